//! One line of the log for each request: cluster, verb, path, status, milliseconds. Never a body, a header or a query, so
//! nothing secret and nothing that a stranger wrote but names.

use std::fmt;
use std::time::Instant;

use http::{Method, Request, StatusCode};

/// A request that is under way.
pub(super) struct Call<'a> {
    context: &'a str,
    method: Method,
    path: String,
    begun: Instant,
}

impl<'a> Call<'a> {
    pub fn of<T>(context: &'a str, request: &Request<T>) -> Self {
        let path = request.uri().path().to_owned();
        Self { context, method: request.method().clone(), path, begun: Instant::now() }
    }

    /// Notes how it ended: the status of the answer, or the kind of failure.
    pub fn ended(&self, status: Result<StatusCode, impl fmt::Debug>) {
        let ms = self.begun.elapsed().as_millis();
        let Self { context, method, path, .. } = self;
        match status {
            Ok(status) => tracing::debug!(context, %method, ?path, status = status.as_u16(), ms, "request"),
            Err(kind) => tracing::warn!(context, %method, ?path, ?kind, ms, "request failed"),
        }
    }
}
