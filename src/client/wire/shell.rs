//! A shell in a container, with a terminal of its own: bytes both ways, its size, and how it ended.
//!
//! What is typed into it is not seen, so it has a door of its own: it needs a [`HandPermit`], which a read-only context
//! never gives, and the gate lets its mark pass nowhere else. Not here: the person's terminal (`console::shell_attach`), the
//! fixed programs of a run ([`crate::client::kube::pod_probe`]).

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::client::encode;
use crate::client::wire::link::Links;
use crate::client::wire::permit::HandPermit;
use crate::client::wire::read_only_gate::Mark;
use crate::client::wire::request_error::RequestErrorKind;
use crate::client::wire::websocket_channels::{Owned, exit_of};
use crate::client::wire::websocket_upgrade::Socket;
use crate::fleet::ObjectRef;

/// The better shell where there is one. The program is one argument of a fixed vector; no text of ours gets into it.
const PROGRAM: [&str; 3] = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];
/// Keeps balancers on the way from closing a shell in which nobody types.
const PULSE: Duration = Duration::from_secs(30);
/// Messages that wait in either direction.
const WAITING: usize = 256;

/// What goes into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToShell {
    Bytes(Vec<u8>),
    /// Columns and lines of the terminal.
    Size(u16, u16),
}

/// What comes out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromShell {
    Bytes(Vec<u8>),
    /// How it ended; the last that comes.
    Ended(String),
}

/// An open shell; it ends when this is dropped.
pub struct Shell {
    pub to: mpsc::Sender<ToShell>,
    pub from: mpsc::Receiver<FromShell>,
    _pump: Owned,
}

/// Opens a shell in a container of a pod.
pub async fn open(links: &Links, permit: &HandPermit, of: &ObjectRef, container: &str) -> Result<Shell, String> {
    permit.covers(&of.context)?;
    let link = links.need(&of.context)?;
    let command: String = PROGRAM.iter().map(|word| format!("&command={}", encode(word))).collect();
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/exec?container={}&stdin=true&stdout=true&tty=true{command}",
        of.namespace,
        of.name,
        encode(container)
    );
    let socket = link.socket(&path, Mark::Shell, link.limits().probe.into()).await.map_err(|trouble| {
        let needs = match trouble.kind {
            RequestErrorKind::Forbidden => " (needs get and create on pods/exec)",
            _ => "",
        };
        format!("no shell in {of}: {}{needs}", trouble.sentence)
    })?;
    let (to, typed) = mpsc::channel(WAITING);
    let (said, from) = mpsc::channel(WAITING);
    Ok(Shell { to, from, _pump: Owned(tokio::spawn(pump(socket, typed, said))) })
}

async fn pump(socket: Socket, mut typed: mpsc::Receiver<ToShell>, said: mpsc::Sender<FromShell>) {
    // Its place is given back when this task ends.
    let Socket { stream, place: _place } = socket;
    let (mut out, mut incoming) = stream.split();
    let mut pulse = tokio::time::interval(PULSE);
    let mut status = Vec::new();
    loop {
        tokio::select! {
            message = incoming.next() => {
                let bytes = match message {
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => continue,
                };
                match bytes.split_first() {
                    Some((1 | 2, data)) if !data.is_empty() => {
                        let heard = said.send(FromShell::Bytes(data.to_vec())).await;
                        if heard.is_err() {
                            return;
                        }
                    }
                    Some((3, data)) => status.extend_from_slice(data),
                    _ => {}
                }
            }
            typed = typed.recv() => {
                let frame = match typed {
                    Some(ToShell::Bytes(bytes)) => framed(0, &bytes),
                    Some(ToShell::Size(columns, lines)) => {
                        framed(4, json!({"Width": columns, "Height": lines}).to_string().as_bytes())
                    }
                    // Whoever typed has left.
                    None => break,
                };
                if out.send(frame).await.is_err() {
                    break;
                }
            }
            _ = pulse.tick() => {
                if out.send(Message::Ping(Vec::new().into())).await.is_err() {
                    break;
                }
            }
        }
    }
    // Nobody is left to be told where the console is gone.
    let _ = said.send(FromShell::Ended(ended(&status))).await;
    let _ = out.close().await;
}

fn framed(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = Vec::with_capacity(bytes.len() + 1);
    frame.push(channel);
    frame.extend_from_slice(bytes);
    Message::binary(frame)
}

/// What an exit code says that no program in the shell gives by itself.
fn meaning(code: i32) -> &'static str {
    match code {
        126 => ": no shell could be started there, for its container does not run or has none that may be executed",
        127 => ": not found, neither bash nor sh, or the command that was typed last",
        137 => ": killed, as when its container ends",
        _ => "",
    }
}

/// How it ended, in words.
fn ended(status: &[u8]) -> String {
    match exit_of(status) {
        (Some(0), _) => "ended".to_owned(),
        (Some(code), _) => format!("ended with exit {code}{}", meaning(code)),
        (None, why) => format!("was cut off: {why}"),
    }
}
