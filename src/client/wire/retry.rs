//! How long a server that is busy wants to be left alone: `Retry-After` of a 429 or 503, on whatever was asked.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use crate::client::now;
use crate::client::wire::reply::Reply;

/// A server that wants us away for longer is asked once in this time all the same.
const LONGEST_RETRY: Duration = Duration::from_secs(600);

/// `Retry-After` of a server that is busy.
pub(in crate::client) fn retry_after(reply: &Reply) -> Option<Duration> {
    asked_to_wait(reply.status, &reply.headers)
}

pub(in crate::client) fn asked_to_wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let said = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let wait = time_to_wait(said, now())?;
    busy.then(|| wait.min(LONGEST_RETRY))
}

/// Seconds, as API servers give them, or an HTTP date, as a proxy in front of one may; one that has passed is now.
fn time_to_wait(said: &str, now: Timestamp) -> Option<Duration> {
    let said = said.trim();
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(said).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn how_long_a_busy_server_wants_us_to_wait() {
        let now: Timestamp = "2026-11-29T08:00:00Z".parse().expect("a time");
        for (said, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 29 Nov 2026 08:00:30 GMT", Some(30)),
            ("Sun, 29 Nov 2026 07:00:00 GMT", Some(0)),
            ("Sun, 29 Nov 2026 09:00:00 +0000", Some(3600)),
            ("-3", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(time_to_wait(said, now), seconds.map(Duration::from_secs), "{said:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("99999999"));
        assert_eq!(asked_to_wait(StatusCode::TOO_MANY_REQUESTS, &headers), Some(LONGEST_RETRY));
        assert_eq!(asked_to_wait(StatusCode::INTERNAL_SERVER_ERROR, &headers), None);
    }
}
