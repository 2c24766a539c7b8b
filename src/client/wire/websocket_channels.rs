//! The channel framing of a pod's WebSocket subresources: one byte of channel number before each message.
//!
//! kube has this inside `Api::portforward` and `Api::exec`, which make their own requests; ours must carry a mark
//! through the gate, and must keep the error text that the node sends. Used by [`crate::client::wire::tunnel`] (port-forward) and
//! [`crate::client::kube::pod_probe`] (exec). Not here: which of them may be opened ([`crate::client::wire::read_only_gate`]).

use std::sync::{Arc, Mutex, PoisonError};

use futures::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::client::plain;
use crate::client::wire::websocket_upgrade::Socket;

/// A task that ends with its owner.
pub(in crate::client) struct Owned(pub JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What went wrong on the far side, as the node said it.
#[derive(Clone, Default)]
pub(in crate::client) struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }
}

/// Turns a port-forward of one port into a byte stream: channel 0 carries data, channel 1 an error text.
pub(in crate::client) fn port_stream(socket: Socket) -> (DuplexStream, Fault, Owned) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let fault = Fault::default();
    let task = tokio::spawn(pump(socket, far, fault.clone()));
    (near, fault, Owned(task))
}

async fn pump(socket: Socket, stream: DuplexStream, fault: Fault) {
    // Its place is given back when this task ends.
    let Socket { stream: socket, place: _place } = socket;
    let (mut out, mut incoming) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(stream);
    // The first message of each channel is the port number.
    let mut greeted = [false; 2];
    let from_pod = async {
        while let Some(message) = incoming.next().await {
            let bytes = match message {
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Close(_)) => break,
                Ok(_) => continue,
                Err(error) => {
                    fault.set(format!("the port-forward broke: {}", plain(&error.to_string())));
                    break;
                }
            };
            let Some((channel, data)) = bytes.split_first() else { continue };
            match (usize::from(*channel), data.is_empty()) {
                (channel @ (0 | 1), _) if !greeted[channel] => greeted[channel] = true,
                (0, false) if writer.write_all(data).await.is_err() => break,
                (1, false) => fault.set(plain(&String::from_utf8_lossy(data))),
                _ => {}
            }
        }
        // The reader on our side sees the end of the stream.
        let _ = writer.shutdown().await;
    };
    let to_pod = async {
        let mut buffer = vec![0_u8; 16 * 1024];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            let mut frame = Vec::with_capacity(length + 1);
            frame.push(0);
            frame.extend_from_slice(&buffer[..length]);
            if out.send(Message::binary(frame)).await.is_err() {
                break;
            }
        }
        let _ = out.close().await;
    };
    // Our side may be done sending while the pod still answers, but not the other way round.
    tokio::pin!(from_pod, to_pod);
    tokio::select! {
        () = &mut from_pod => {}
        () = &mut to_pod => from_pod.await,
    }
}

/// What a program in a pod left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::client) struct Output {
    pub stdout: String,
    pub stderr: String,
    /// `None`: it could not be started, or its end was not seen; `message` says why.
    pub exit_code: Option<i32>,
    pub message: String,
}

/// Reads an exec socket to its end: channels 1 and 2 carry output, 3 a Kubernetes `Status`. Bounded.
pub(in crate::client) async fn read_exec(socket: Socket) -> Output {
    const LIMIT: usize = 64 * 1024;
    let Socket { stream: mut socket, place: _place } = socket;
    let (mut stdout, mut stderr, mut status) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(message) = socket.next().await {
        let bytes = match message {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Close(_)) | Err(_) => break,
            Ok(_) => continue,
        };
        let Some((channel, data)) = bytes.split_first() else { continue };
        let sink = match channel {
            1 => &mut stdout,
            2 => &mut stderr,
            3 => &mut status,
            _ => continue,
        };
        sink.extend_from_slice(&data[..data.len().min(LIMIT - sink.len())]);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (exit_code, message) = exit_of(&status);
    Output { stdout: text(&stdout), stderr: text(&stderr), exit_code, message }
}

/// The exit code that a Kubernetes `Status` tells, or what it says instead.
pub(in crate::client) fn exit_of(status: &[u8]) -> (Option<i32>, String) {
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Status {
        status: String,
        message: String,
        reason: String,
        details: Option<Details>,
    }
    #[derive(Deserialize)]
    struct Details {
        #[serde(default)]
        causes: Vec<Cause>,
    }
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Cause {
        reason: String,
        message: String,
    }
    let Ok(status) = serde_json::from_slice::<Status>(status) else {
        return (None, "the connection ended before the program did".into());
    };
    if status.status == "Success" {
        return (Some(0), String::new());
    }
    let causes = status.details.map(|details| details.causes).unwrap_or_default();
    let code = causes.iter().find(|cause| cause.reason == "ExitCode").and_then(|cause| cause.message.parse().ok());
    (code.filter(|_| status.reason == "NonZeroExitCode"), plain(&status.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let failed =
            br#"{"status":"Failure","reason":"NonZeroExitCode","message":"command terminated with non-zero exit code",
            "details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
        assert_eq!(exit_of(failed).0, Some(7));
        assert_eq!(exit_of(br#"{"status":"Success"}"#), (Some(0), String::new()));
        let (code, why) = exit_of(br#"{"status":"Failure","reason":"InternalError","message":"no such program"}"#);
        assert_eq!((code, why.as_str()), (None, "no such program"));
        assert_eq!(exit_of(b"").0, None);
    }
}
