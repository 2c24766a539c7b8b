//! Whether API servers give an answer at all: before a pod has begun, what was not reached is tried again, and what was
//! refused is not. Reads only.

use futures::future::join_all;
use serde_json::Value;

use crate::client::Links;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};

/// The first of these contexts whose API server gives no answer or cannot serve, one sentence.
pub async fn away(links: &Links, contexts: &[String]) -> Option<String> {
    let asked = contexts.iter().filter_map(|context| links.get(context)).map(|link| link.get::<Value>("/version"));
    join_all(asked).await.into_iter().find_map(|answer| answer.err().filter(is_away)).map(|trouble| trouble.sentence)
}

/// A refusal is an answer too.
fn is_away(trouble: &RequestError) -> bool {
    trouble.kind == RequestErrorKind::Unreachable || trouble.status.is_some_and(|status| status >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_refuses_is_not_away() {
        let trouble = |kind, status| RequestError { kind, status, ..RequestError::cut("x") };
        assert!(is_away(&trouble(RequestErrorKind::Unreachable, None)));
        assert!(is_away(&trouble(RequestErrorKind::Answered, Some(503))));
        for (kind, status) in [
            (RequestErrorKind::Forbidden, 403),
            (RequestErrorKind::AuthNeeded, 401),
            (RequestErrorKind::Missing, 404),
            (RequestErrorKind::Answered, 429),
        ] {
            assert!(!is_away(&trouble(kind, Some(status))), "{status}");
        }
    }
}
