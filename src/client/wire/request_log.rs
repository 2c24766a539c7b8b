//! One line of the log for each request: cluster, verb, path, status, milliseconds; and the same for whoever looks at the
//! connection ([`super::request_stats`]). Never a body, a header or a query, so nothing secret and nothing that a stranger wrote but
//! names.

use std::fmt;
use std::time::Instant;

use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;

use super::request_stats::Traffic;
use crate::client::now;
use crate::fleet::connection_health::Asked;

/// A request that is under way.
pub(super) struct Call<'a> {
    context: &'a str,
    traffic: &'a Traffic,
    method: Method,
    path: String,
    at: Timestamp,
    begun: Instant,
}

impl<'a> Call<'a> {
    pub fn of<T>(context: &'a str, traffic: &'a Traffic, request: &Request<T>) -> Self {
        let path = request.uri().path().to_owned();
        Self { context, traffic, method: request.method().clone(), path, at: now(), begun: Instant::now() }
    }

    /// Notes how it ended: the head of the answer, or the kind of failure.
    pub fn ended(&self, head: Result<(StatusCode, &HeaderMap), impl fmt::Debug>) {
        let ms = self.begun.elapsed().as_millis();
        let Self { context, method, path, .. } = self;
        let (ended, headers) = match head {
            Ok((status, headers)) => {
                tracing::debug!(context, %method, ?path, status = status.as_u16(), ms, "request");
                (Ok(status.as_u16()), Some(headers))
            }
            Err(kind) => {
                tracing::warn!(context, %method, ?path, ?kind, ms, "request failed");
                (Err(format!("{kind:?}")), None)
            }
        };
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        let asked = Asked { at: self.at, method: method.to_string(), path: path.clone(), ended, ms };
        self.traffic.note(asked, headers);
    }
}
