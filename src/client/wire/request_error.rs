//! Why a request came to nothing, as a kind and one plain sentence that names the server.
//!
//! Classifies transport errors (refused, timed out, name not found, TLS) and Kubernetes `Status` answers. Not here:
//! what to do about them; callers turn a [`RequestError`] into Freshness, a gap or an Answer.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::client::plain;
use crate::client::wire::read_only_gate::Refused;
use crate::client::wire::tls_errors;
use crate::fleet::Freshness;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestErrorKind {
    /// No answer: refused, timed out, name not resolved, TLS failure.
    Unreachable,
    /// 401, or no credential to send.
    AuthNeeded,
    /// 403.
    Forbidden,
    /// 404.
    Missing,
    /// 410: the list or watch position is too old.
    Expired,
    /// Any other answer that is not a success.
    Answered,
    /// Our own gate stopped it; nothing was sent.
    Refused,
}

/// A request that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct RequestError {
    pub kind: RequestErrorKind,
    pub sentence: String,
    /// Whether the request may have reached the server.
    pub sent: bool,
    /// HTTP status, where the server answered.
    pub status: Option<u16>,
    /// How long the server asked us to stay away (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// TLS failed: then there was a server (or a proxy) that answered.
    pub(in crate::client) tls: bool,
}

impl RequestError {
    pub(in crate::client) fn unsent(kind: RequestErrorKind, sentence: impl Into<String>) -> Self {
        Self { kind, sentence: sentence.into(), sent: false, status: None, retry_after: None, tls: false }
    }

    pub(in crate::client) fn cut(sentence: impl Into<String>) -> Self {
        Self {
            kind: RequestErrorKind::Unreachable,
            sentence: sentence.into(),
            sent: true,
            status: None,
            retry_after: None,
            tls: false,
        }
    }

    /// Of a request, or an answer, that broke off on the way.
    pub(in crate::client) fn broken(server: &str, error: &(dyn StdError + 'static)) -> Self {
        let Transport { sentence, tls } = transport(server, error);
        Self { tls, ..Self::cut(sentence) }
    }

    /// From an answer that is not a success. `body` is a Kubernetes `Status`, or anything at all.
    pub(in crate::client) fn answered(server: &str, status: StatusCode, body: &[u8]) -> Self {
        let told = serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .and_then(|status| status.get("message")?.as_str().map(|message| plain(&without_object(message))))
            .filter(|message| !message.is_empty());
        let code = status.as_u16();
        let said = |otherwise: &str| told.clone().unwrap_or_else(|| otherwise.to_owned());
        let (kind, sentence) = match code {
            401 => (
                RequestErrorKind::AuthNeeded,
                format!("{server} does not accept our credentials (401); log in again or renew the token"),
            ),
            403 => (RequestErrorKind::Forbidden, format!("{server} forbids it: {}", said("no reason given"))),
            404 => (RequestErrorKind::Missing, format!("{server} does not have it: {}", said("not found"))),
            410 => (RequestErrorKind::Expired, format!("{server} has forgotten that point: {}", said("expired"))),
            _ => (RequestErrorKind::Answered, format!("{server} answered {code}: {}", said("no reason given"))),
        };
        Self { kind, sentence, sent: true, status: Some(code), retry_after: None, tls: false }
    }

    /// From kube's error. A request whose connection was never made was not sent.
    pub(in crate::client) fn from_kube(server: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let body = serde_json::json!({"message": status.message}).to_string();
                let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Self::answered(server, code, body.as_bytes())
            }
            kube::Error::Service(inner) => match inner.downcast_ref::<Refused>() {
                Some(refused) => Self::unsent(RequestErrorKind::Refused, refused.to_string()),
                None => {
                    let unsent = inner
                        .downcast_ref::<hyper_util::client::legacy::Error>()
                        .is_some_and(hyper_util::client::legacy::Error::is_connect);
                    Self { sent: !unsent, ..Self::broken(server, inner.as_ref()) }
                }
            },
            other => Self::broken(server, other),
        }
    }

    pub fn freshness(&self) -> Freshness {
        match self.kind {
            RequestErrorKind::AuthNeeded => Freshness::AuthNeeded,
            RequestErrorKind::Forbidden => Freshness::Forbidden,
            RequestErrorKind::Unreachable
            | RequestErrorKind::Missing
            | RequestErrorKind::Expired
            | RequestErrorKind::Answered
            | RequestErrorKind::Refused => Freshness::Unreachable,
        }
    }
}

/// A refused patch is answered with the whole object in the middle of the sentence: useless to a person, and its
/// `config` may hold secrets.
fn without_object(message: &str) -> String {
    const OPENING: &str = "Invalid value: \"{";
    match (message.find(OPENING), message.rfind("}\": ")) {
        (Some(from), Some(to)) if to > from => {
            format!("{}…{}", &message[..from + OPENING.len()], &message[to..])
        }
        (Some(from), None) => format!("{}…", &message[..from + OPENING.len()]),
        _ => message.to_owned(),
    }
}

/// A transport error, as one sentence.
struct Transport {
    sentence: String,
    /// It is TLS that failed.
    tls: bool,
}

/// The first thing in the chain of a transport error that a person can act on.
fn transport(server: &str, error: &(dyn StdError + 'static)) -> Transport {
    let plainly = |sentence: String| Transport { sentence, tls: false };
    let mut deepest = error.to_string();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(tls) = tls_errors::inside(current) {
            let words = tls_errors::words(tls, "the kubeconfig's certificate-authority");
            return Transport { sentence: format!("TLS with {server} failed: {}", plain(&words)), tls: true };
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => {
                    return plainly(format!("{server} refuses connections; is it running?"));
                }
                io::ErrorKind::TimedOut => {
                    return plainly(format!("no connection to {server} within the time allowed"));
                }
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                    return plainly(format!("{server} cut the connection"));
                }
                _ => {}
            }
        }
        deepest = current.to_string();
        if deepest.contains("dns error") || deepest.contains("failed to lookup") {
            return plainly(format!("the name of {server} does not resolve"));
        }
        if deepest.contains("invalid HTTP version") {
            return plainly(format!("{server} does not answer in plain HTTP: write https:// where it speaks TLS"));
        }
        next = current.source();
    }
    plainly(format!("the connection to {server} failed: {}", plain(&deepest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_kinds_and_sentences() {
        let body = br#"{"kind":"Status","message":"pods is forbidden: User \"x\" cannot list\u001b[2J"}"#;
        let cases = [
            (401, RequestErrorKind::AuthNeeded, "(401)"),
            (403, RequestErrorKind::Forbidden, "cannot list [2J"),
            (404, RequestErrorKind::Missing, "does not have it"),
            (410, RequestErrorKind::Expired, "forgotten"),
            (503, RequestErrorKind::Answered, "503"),
        ];
        for (code, kind, text) in cases {
            let trouble = RequestError::answered("https://east", StatusCode::from_u16(code).expect("valid"), body);
            assert_eq!(trouble.kind, kind);
            assert!(trouble.sentence.contains(text) && trouble.sentence.contains("https://east"), "{trouble}");
        }
    }

    #[test]
    fn an_echoed_object_is_left_out() {
        let body = br#"{"message":"\"\" is invalid: patch: Invalid value: \"{\\\"spec\\\":{\\\"password\\\":1}}\": strict decoding error: unknown field \"spec.x\""}"#;
        let said = RequestError::answered("s", StatusCode::UNPROCESSABLE_ENTITY, body).sentence;
        assert!(said.contains("unknown field \"spec.x\"") && !said.contains("password"), "{said}");
        let torn = br#"{"message":"Invalid value: \"{\\\"password\\\":1"}"#;
        assert!(!RequestError::answered("s", StatusCode::BAD_REQUEST, torn).sentence.contains("password"));
    }

    #[test]
    fn transport_errors_name_the_server() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(transport("https://east", &refused).sentence.contains("https://east refuses connections"));
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        let failed = RequestError::broken("https://east", &tls);
        assert!(failed.tls && failed.sentence.starts_with("TLS with https://east failed"), "{failed:?}");
        assert!(!RequestError::broken("https://east", &refused).tls);
        let dns = io::Error::other("failed to lookup address information: Name or service not known");
        assert!(transport("https://nowhere", &dns).sentence.contains("does not resolve"));
    }
}
