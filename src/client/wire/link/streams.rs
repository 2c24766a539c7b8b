//! What stays open over a link: watches, followed logs, and sockets into pods; so many at a time, and none while the server
//! wants none. Not here: which pod's tunnel is kept ([`crate::client::wire::tunnel_pool`]).

use super::client_builder::with_bearer;
use super::{ANSWER_LIMIT, Built, Link};
use crate::client::plain;
use crate::client::wire::deadline::Within;
use crate::client::wire::read_only_gate::Mark;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::request_log::Call;
use crate::client::wire::retry::asked_to_wait;
use crate::client::wire::tunnel::Tunnel;
use crate::client::wire::tunnel_pool::Slot;
use crate::client::wire::websocket_upgrade::{self, Socket};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Most streams to pods (port-forwards, programs) that one cluster keeps open at once; who comes later waits for his turn.
pub(in crate::client) const STREAMS: usize = 80;
/// Tunnels that nobody uses are kept only while so many more could be opened.
const SPARE_STREAMS: usize = 8;
/// Tunnels for reading PD that stay open from one look to the next.
pub(in crate::client) const TUNNELS_KEPT: usize = STREAMS - SPARE_STREAMS;
/// Between two uses of a tunnel that is used often, in rounds of PD; at rest the others have twenty.
const OFTEN: u32 = 10;

impl Link {
    /// Opens a watch: the answer's head within the deadline, its body as it comes.
    pub(in crate::client) async fn stream(&self, path: &str) -> Result<http::Response<Body>, RequestError> {
        let built = self.built().await?;
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|error| RequestError::unsent(RequestErrorKind::Refused, error.to_string()))?;
        let limit = self.limits().request;
        let log = Call::of(self.context(), &self.traffic, &request);
        let sent = built.client.send(with_bearer(request, &built).map(Body::from));
        let response = tokio::time::timeout(limit, sent).await.map_err(|_| self.too_late(limit, true));
        let response = response.and_then(|response| response.map_err(|error| self.failed(&built, &error)));
        log.ended(response.as_ref().map(|head| (head.status(), head.headers())).map_err(|error| error.kind));
        let response = response?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(&built, response, limit).await)
    }

    /// Keeps a tunnel open for the next time. Where places are short, to one that is asked every few seconds the one that was used
    /// longest ago gives way; else this one is closed: the others are as good, and somebody may wait for its place.
    pub(in crate::client) fn keep(&self, slot: &mut Slot, tunnel: Tunnel) {
        let room = self.streams.available_permits() >= SPARE_STREAMS
            || (slot.is_often_used(self.limits().pd_every * OFTEN) && self.slots.let_go(1) > 0);
        slot.tunnel = room.then_some(tunnel);
    }

    /// A place for one more stream to a pod. Tunnels that only wait for their next use make room.
    async fn place(&self, within: Within) -> Result<OwnedSemaphorePermit, RequestError> {
        if let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() {
            return Ok(place);
        }
        self.slots.let_go(SPARE_STREAMS);
        match tokio::time::timeout_at(within.ends(), Arc::clone(&self.streams).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => {
                let sentence = format!(
                    "{STREAMS} streams to pods of {} are open already, and none ended within {within}",
                    self.server()
                );
                Err(RequestError::unsent(RequestErrorKind::Unreachable, sentence))
            }
        }
    }

    /// Opens a WebSocket to a pod's subresource, under a mark.
    pub(in crate::client) async fn socket(
        &self,
        path: &str,
        mark: Mark,
        within: Within,
    ) -> Result<Socket, RequestError> {
        self.rested()?;
        let built = self.built().await?;
        let place = self.place(within).await?;
        let request = Request::get(path).extension(mark).body(Vec::new());
        let request = request.map_err(|error| RequestError::unsent(RequestErrorKind::Refused, error.to_string()))?;
        let mut request = with_bearer(request, &built);
        let key = websocket_upgrade::ask(request.headers_mut());
        let log = Call::of(self.context(), &self.traffic, &request);
        let sent = tokio::time::timeout_at(within.ends(), built.client.send(request.map(Body::from))).await;
        let response = sent.map_err(|_| self.too_late(within.of(), true));
        let response = response.and_then(|response| response.map_err(|error| self.failed(&built, &error)));
        log.ended(response.as_ref().map(|head| (head.status(), head.headers())).map_err(|error| error.kind));
        let response = response?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let trouble = self.refused(&built, response, within.left()).await;
            self.rest(trouble.retry_after);
            return Err(trouble);
        }
        let odd =
            |why: String| RequestError::cut(format!("the connection to {} failed: {}", self.server(), plain(&why)));
        websocket_upgrade::agreed(response.status(), response.headers(), &key).map_err(|why| odd(why.to_owned()))?;
        let upgraded = tokio::time::timeout_at(within.ends(), hyper::upgrade::on(response)).await;
        let upgraded =
            upgraded.map_err(|_| self.too_late(within.of(), true))?.map_err(|error| odd(error.to_string()))?;
        Ok(Socket { stream: websocket_upgrade::stream(upgraded).await, place })
    }

    /// No stream is asked for until then: the server has said so to one of them.
    fn rest(&self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::time::Instant::now() + wait);
        }
    }

    fn rested(&self) -> Result<(), RequestError> {
        let until = *self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = until.map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            None => Ok(()),
            Some(wait) => {
                let sentence =
                    format!("{} is busy and wants no stream to a pod for {} s", self.server(), wait.as_secs() + 1);
                Err(RequestError {
                    retry_after: Some(wait),
                    ..RequestError::unsent(RequestErrorKind::Answered, sentence)
                })
            }
        }
    }

    /// The trouble of an answer that is no success, read to its end.
    pub(super) async fn refused(&self, built: &Built, response: http::Response<Body>, limit: Duration) -> RequestError {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            self.not_accepted(built).await;
        }
        let retry_after = asked_to_wait(status, response.headers());
        let body = tokio::time::timeout(limit, Limited::new(response.into_body(), ANSWER_LIMIT).collect()).await;
        let bytes = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        RequestError { retry_after, ..self.answered(status, &bytes) }
    }
}
