//! What one connection was asked and how it fared, counted as the requests end; for whoever looks at it (`:ctx`, `:log`).
//!
//! Nothing is asked for its sake. The last requests are kept until somebody takes them, at most [`KEPT`]. Neighbour:
//! [`super::request_log`], which notes each request here and in the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use k8s_openapi::ByteString;
use kube::config::AuthInfo;

use crate::client::certificates::facts;
use crate::fleet::connection_health::{Asked, BUSY, Credential, Weather};

/// Requests that nobody has taken yet.
const KEPT: usize = 200;
/// The quickest of so many is taken for the way there and back.
const RECENT: usize = 16;

#[derive(Default)]
pub struct Traffic(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    weather: Weather,
    recent: VecDeque<u64>,
    kept: VecDeque<Asked>,
}

impl Traffic {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests have ended: whoever looks again and again need not look closer while it stands.
    pub fn count(&self) -> u64 {
        self.inner().weather.sent
    }

    /// The counts, and the requests since the last time.
    pub fn take(&self) -> (Weather, Vec<Asked>) {
        let mut inner = self.inner();
        let kept = inner.kept.drain(..).collect();
        (inner.weather.clone(), kept)
    }

    /// A request has ended. `headers` of its answer tell the server's clock.
    pub(super) fn note(&self, asked: Asked, headers: Option<&HeaderMap>) {
        let mut inner = self.inner();
        inner.weather.sent += 1;
        inner.weather.failed += u64::from(asked.failed() && asked.ended != Ok(BUSY));
        inner.weather.busy += u64::from(asked.ended == Ok(BUSY));
        if asked.ended.is_ok() {
            inner.recent.push_back(asked.ms);
            if inner.recent.len() > RECENT {
                inner.recent.pop_front();
            }
            inner.weather.quickest_ms = inner.recent.iter().min().copied();
        }
        let said = headers.and_then(|headers| headers.get(http::header::DATE)?.to_str().ok());
        let theirs = said.and_then(|said| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(said).ok());
        if let Some(theirs) = theirs {
            let way = jiff::SignedDuration::from_millis(i64::try_from(asked.ms).unwrap_or_default());
            let ahead = (theirs.duration_since(asked.at) - way).as_millis();
            inner.weather.skew_s = i64::try_from((ahead + 500).div_euclid(1000)).ok();
        }
        inner.kept.push_back(asked);
        if inner.kept.len() > KEPT {
            inner.kept.pop_front();
        }
    }

    /// The server was busy, and the same is asked once more.
    pub(super) fn busy(&self) {
        self.inner().weather.busy += 1;
    }

    /// With what the connection logs in from now on.
    pub(super) fn logged_in(&self, credential: Credential) {
        self.inner().weather.credential = Some(credential);
    }
}

/// What a user's entry logs in with. `command`: of a plugin, without what may be secret.
pub(super) fn credential(
    user: &AuthInfo,
    bearer: bool,
    file: bool,
    plugin: Option<(&str, Option<jiff::Timestamp>)>,
) -> Credential {
    if let Some((command, until)) = plugin {
        let name = command.split(' ').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        return Credential { kind: format!("plugin {}", crate::client::plain(name)), renewed: true, until };
    }
    let certificate = user.client_certificate_data.as_ref().filter(|data| !data.is_empty());
    let kind = match (file, bearer, certificate.is_some()) {
        (true, _, _) => "token file",
        (false, true, _) => "token",
        (false, false, true) => "client certificate",
        (false, false, false) if user.username.is_some() => "name and password",
        (false, false, false) => "nothing",
    };
    let until = certificate.filter(|_| kind == "client certificate").and_then(|data| {
        let pem: ByteString = serde_json::from_value(data.as_str().into()).ok()?;
        facts(&BTreeMap::from([("tls.crt".to_owned(), pem.0)])).certificate.map(|certificate| certificate.not_after)
    });
    Credential { kind: kind.to_owned(), renewed: false, until }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use jiff::Timestamp;

    use super::*;

    fn asked(ended: Result<u16, String>, ms: u64) -> Asked {
        let at = "2026-11-29T08:00:00Z".parse::<Timestamp>().expect("a time");
        Asked { at, method: "GET".into(), path: "/readyz".into(), ended, ms }
    }

    #[test]
    fn requests_are_counted_by_their_ends_and_the_quickest_of_the_last_counts() {
        let traffic = Traffic::default();
        traffic.note(asked(Ok(200), 3), None);
        traffic.note(asked(Ok(429), 1), None);
        traffic.note(asked(Ok(503), 9), None);
        traffic.note(asked(Err("Unreachable".into()), 5000), None);
        traffic.busy();
        let (weather, all) = traffic.take();
        assert_eq!((weather.sent, weather.busy, weather.failed, all.len()), (4, 2, 2, 4));
        assert_eq!(weather.quickest_ms, Some(1));
        // What was quick long ago says nothing of now, and what was taken is not told again.
        (0..KEPT + 50).for_each(|_| traffic.note(asked(Ok(200), 40), None));
        let (weather, all) = traffic.take();
        assert_eq!((weather.quickest_ms, all.len()), (Some(40), KEPT));
    }

    #[test]
    fn the_server_s_clock_is_read_from_its_answers() {
        let traffic = Traffic::default();
        let mut headers = HeaderMap::new();
        headers.insert(http::header::DATE, HeaderValue::from_static("Sun, 29 Nov 2026 08:01:30 GMT"));
        traffic.note(asked(Ok(200), 3), Some(&headers));
        assert_eq!(traffic.take().0.skew_s, Some(90));
        headers.insert(http::header::DATE, HeaderValue::from_static("yesterday"));
        traffic.note(asked(Ok(200), 3), Some(&headers));
        assert_eq!(traffic.take().0.clocks_differ(), Some(90), "what cannot be read changes nothing");
    }

    #[test]
    fn a_login_is_named_without_its_secret() {
        let none = AuthInfo::default();
        let of = |bearer, file, plugin| credential(&none, bearer, file, plugin).kind;
        assert_eq!(of(true, true, None), "token file");
        assert_eq!(of(true, false, None), "token");
        assert_eq!(of(false, false, None), "nothing");
        assert_eq!(of(true, false, Some(("/opt/bin/aws eks get-token …", None))), "plugin aws");
    }
}
