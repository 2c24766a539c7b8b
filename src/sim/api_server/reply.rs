//! Building HTTP answers: JSON, text and bodies that keep coming.
//!
//! It knows no Kubernetes type; refusals as `Status` objects are in `status`.

use std::io;

use futures::Stream;
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use serde::Serialize;

/// Any answer's body.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// Any answer.
pub(super) type Reply = Response<Body>;

/// A whole JSON answer.
pub(super) fn json(status: u16, value: &impl Serialize) -> Reply {
    let text = serde_json::to_vec(value).expect("what we answer has string keys and no failing Serialize");
    with_body(status, "application/json", whole(text))
}

/// A plain text answer.
pub(super) fn text(status: u16, text: impl Into<Bytes>) -> Reply {
    with_body(status, "text/plain; charset=utf-8", whole(text))
}

/// A JSON answer that is written as events come.
pub(super) fn stream(events: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Reply {
    use futures::StreamExt;
    let frames = events.map(|chunk| chunk.map(Frame::data));
    with_body(200, "application/json", StreamBody::new(frames).boxed_unsync())
}

/// A text answer that is written as its lines come.
pub(super) fn text_stream(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Reply {
    use futures::StreamExt;
    let frames = chunks.map(|chunk| chunk.map(Frame::data));
    with_body(200, "text/plain", StreamBody::new(frames).boxed_unsync())
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Reply {
    let mut reply = Response::new(whole(Bytes::new()));
    *reply.status_mut() = code(status);
    reply
}

fn with_body(status: u16, kind: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = code(status);
    reply.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    reply
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
