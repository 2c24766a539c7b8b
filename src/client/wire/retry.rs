//! Which request is sent again, how often and after how long; and how long a server that is busy wants to be left alone:
//! `Retry-After` of a 429 or 503, on whatever was asked.
//!
//! A write is sent again only where the server said that it took none (429). Not here: sending ([`crate::client::wire::link`]),
//! when a lost cluster is tried again (`client::kube::watch::backoff`), how long one try may take ([`crate::client::wire::timeouts`]).

use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;

use crate::client::now;
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};

/// A server that wants us away for longer is asked once in this time all the same.
const LONGEST_RETRY: Duration = Duration::from_secs(600);
/// Most times that one request is sent to a server that says it is busy.
const TRIES: u32 = 4;
/// A read that failed later than this is not asked once more: its time is better spent by whoever asked.
const READ_AGAIN_WITHIN: Duration = Duration::from_secs(1);
/// Before a read is asked once more.
pub(in crate::client) const READ_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How long to wait before the next try. The server says when to come again; nobody else's time is spent on waiting longer
/// than what is `left`. `tries`: so many were made.
pub(in crate::client) fn wait_of_busy(reply: &Reply, tries: u32, left: Duration) -> Option<Duration> {
    retry_after(reply).filter(|wait| tries < TRIES && *wait < left)
}

/// After that wait. Of a 503 it is not known whether it was taken: whoever wrote looks, and only then sends it again.
pub(in crate::client) fn is_sent_again(method: &Method, status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || method == Method::GET
}

/// Whether a read is asked once more: it was cut off at once, or the server was busy. `took`: the first try.
pub(in crate::client) fn is_read_again(trouble: &RequestError, took: Duration) -> bool {
    took < READ_AGAIN_WITHIN && worth_asking_again(trouble)
}

fn worth_asking_again(trouble: &RequestError) -> bool {
    match trouble.status {
        None => trouble.kind == RequestErrorKind::Unreachable && trouble.sent,
        // With a time to wait it was obeyed already.
        Some(status) => matches!(status, 429 | 503) && trouble.retry_after.is_none(),
    }
}

/// The same request once more, with its marks.
pub(in crate::client) fn copied(request: &Request<Vec<u8>>) -> Request<Vec<u8>> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

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
