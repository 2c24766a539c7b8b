//! A GET that becomes a WebSocket to a pod's subresource: what is asked for, what counts as yes, and its bounds.
//!
//! kube has this inside `Client::connect`, which drops the headers of an answer that is none: `Retry-After` stands there.
//! Not here: who may open one ([`crate::client::wire::read_only_gate`]), how many ([`crate::client::wire::link`]), what goes over it ([`crate::client::wire::websocket_channels`]).

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// What a far side makes us queue (a pong for each ping) is bounded.
const QUEUE: usize = 1024 * 1024;

pub(in crate::client) type WebSocket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// A stream to a pod, and its place among those that are open.
pub(in crate::client) struct Socket {
    pub stream: WebSocket,
    pub place: OwnedSemaphorePermit,
}

/// Frames of a port-forward are at most 64 kB.
fn limits() -> WebSocketConfig {
    WebSocketConfig::default()
        // Held for as long as the stream is open, and there are hundreds of them.
        .read_buffer_size(8 * 1024)
        .write_buffer_size(64 * 1024)
        .max_write_buffer_size(QUEUE)
        .max_message_size(Some(16 * 1024 * 1024))
        .max_frame_size(Some(16 * 1024 * 1024))
}

/// What the request says; gives the key that the answer has to know.
pub(in crate::client) fn ask(headers: &mut HeaderMap) -> String {
    let key = generate_key();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v5.channel.k8s.io, v4.channel.k8s.io"));
    if let Ok(value) = HeaderValue::from_str(&key) {
        headers.insert(SEC_WEBSOCKET_KEY, value);
    }
    key
}

/// Whether the answer is the one to this key, in a protocol that we speak. `Err`: what is odd about it.
pub(in crate::client) fn agreed(status: StatusCode, headers: &HeaderMap, key: &str) -> Result<(), &'static str> {
    let is = |name, wanted: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    if status != StatusCode::SWITCHING_PROTOCOLS || !is(UPGRADE, "websocket") || !is(CONNECTION, "Upgrade") {
        return Err("it did not switch to a WebSocket");
    }
    if headers.get(SEC_WEBSOCKET_ACCEPT).and_then(|value| value.to_str().ok())
        != Some(derive_accept_key(key.as_bytes()).as_str())
    {
        return Err("its answer is to another request");
    }
    if !is(SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io") && !is(SEC_WEBSOCKET_PROTOCOL, "v5.channel.k8s.io") {
        return Err("it speaks another protocol than was offered");
    }
    Ok(())
}

/// The stream behind an answer that was agreed to.
pub(in crate::client) async fn stream(upgraded: hyper::upgrade::Upgraded) -> WebSocket {
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(limits())).await
}
