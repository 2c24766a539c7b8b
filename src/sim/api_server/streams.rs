//! What goes into a pod: exec and port-forward; the upgrade handshakes and the rights they need.
//!
//! Logs are in `pod_log`. exec is answered here; the bytes of port-forward flow in `port_forward` (WebSocket) and `spdy_session`.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::header;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::reply::{self, Reply};
use super::router::Call;
use super::status::Refusal;
use super::{ExecOutput, discovery, port_forward, spdy_session, terminal};

/// Frames to a client stay below this many bytes.
pub(super) const CHUNK: usize = 16 * 1024;

pub(super) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const SPDY_PROTOCOL: &str = "portforward.k8s.io";
const V4: &str = "v4.channel.k8s.io";
const V5: &str = "v5.channel.k8s.io";

/// What a container runtime takes to start a program, at the least. kubectl before 1.34 drops what comes before its
/// streams are open (kubernetes#131203), so an answer at once is one that no real API server gives.
const EXEC_START: Duration = Duration::from_millis(25);

pub(super) fn exec(call: Call, verb: &str, upgrade: Option<OnUpgrade>) -> Result<Reply, Refusal> {
    upgrade_rights(&call, verb)?;
    let pod = pod(&call)?;
    let argv: Vec<String> = call.query.all("command").map(str::to_owned).collect();
    if argv.is_empty() {
        return Err(Refusal::bad_request("you must specify at least 1 command for the container"));
    }
    let container = call.query.get("container").map(str::to_owned);
    if let Some(container) = &container {
        let known = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !known.iter().any(|known| known["name"] == container.as_str()) {
            return Err(Refusal::bad_request(format!("container {container} is not valid for pod {}", call.name())));
        }
    }
    if let Some(phase) = pod["status"]["phase"].as_str().filter(|phase| matches!(*phase, "Succeeded" | "Failed")) {
        return Err(Refusal::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let not_running = pod["status"]["phase"] == "Pending";
    let asks = |what| call.query.get(what) == Some("true");
    let interactive = asks("tty") && asks("stdin");
    let protocol = choose(&call, &[V5, V4])?;
    let (reply, upgrade) = web_socket(&call, protocol, upgrade)?;
    tokio::spawn(async move {
        let session = async {
            let Ok(upgraded) = upgrade.await else { return };
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            tokio::time::sleep(EXEC_START).await;
            if interactive && !not_running {
                return terminal::serve(socket, &call, container.as_deref(), &argv).await;
            }
            let output = if not_running {
                ExecOutput { stderr: b"container not found\n".to_vec(), exit_code: 1, ..ExecOutput::default() }
            } else {
                call.server.config.pods.exec(call.namespace(), call.name(), container.as_deref(), &argv).await
            };
            // A client that left needs no answer.
            let _ = send_output(socket, &output).await;
        };
        tokio::select! {
            () = call.server.cut() => {}
            () = session => {}
        }
    });
    Ok(reply)
}

async fn send_output(mut socket: WebSocket, output: &ExecOutput) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    for (channel, bytes) in [(1, &output.stdout), (2, &output.stderr)] {
        for chunk in bytes.chunks(CHUNK) {
            socket.send(frame(channel, chunk)).await?;
        }
    }
    socket.send(frame(3, exit_status(output.exit_code).to_string().as_bytes())).await?;
    finish(socket).await;
    Ok(())
}

pub(super) fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    let message = format!("command terminated with non-zero exit code: exit status {code}");
    let cause = json!({"reason": "ExitCode", "message": code.to_string()});
    json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode", "details": {"causes": [cause]},
    })
}

pub(super) fn port_forward(call: Call, verb: &str, upgrade: Option<OnUpgrade>) -> Result<Reply, Refusal> {
    upgrade_rights(&call, verb)?;
    let pod = pod(&call)?;
    let scheduled = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let phase = pod["status"]["phase"].as_str().unwrap_or("Unknown").to_owned();
    if phase == "Pending" && !scheduled {
        return Err(Refusal::bad_request(format!("pod {} does not have a host assigned", call.name())));
    }
    let target = port_forward::Target {
        server: call.server.clone(),
        namespace: call.namespace().to_owned(),
        pod: call.name().to_owned(),
        running: phase == "Running",
    };
    if call.header(header::UPGRADE).eq_ignore_ascii_case("SPDY/3.1") {
        return spdy(&call, target, upgrade);
    }
    let protocol = choose(&call, &[TUNNEL, V4])?;
    let ports = if protocol == V4 { ports(&call)? } else { Vec::new() };
    let (reply, upgrade) = web_socket(&call, protocol, upgrade)?;
    tokio::spawn(async move {
        let server = target.server.clone();
        let session = async {
            let Ok(upgraded) = upgrade.await else { return };
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            if protocol == V4 {
                port_forward::channels(socket, target, &ports).await;
            } else {
                port_forward::tunnelled(socket, target).await;
            }
        };
        tokio::select! {
            () = server.cut() => {}
            () = session => {}
        }
    });
    Ok(reply)
}

/// The older way of kubectl: an HTTP upgrade of a POST.
fn spdy(call: &Call, target: port_forward::Target, upgrade: Option<OnUpgrade>) -> Result<Reply, Refusal> {
    let offered = call.headers.get_all("x-stream-protocol-version").iter().filter_map(|value| value.to_str().ok());
    let mut offered = offered.flat_map(|value| value.split(',')).map(str::trim);
    if !offered.any(|protocol| protocol == SPDY_PROTOCOL) {
        return Err(Refusal::bad_request(format!("unable to negotiate protocol: server supports [{SPDY_PROTOCOL}]")));
    }
    let upgrade =
        upgrade.ok_or_else(|| Refusal::bad_request("unable to upgrade: missing upgrade headers in request"))?;
    let mut reply = reply::empty(101);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, http::HeaderValue::from_static("SPDY/3.1"));
    headers.insert("x-stream-protocol-version", http::HeaderValue::from_static(SPDY_PROTOCOL));
    tokio::spawn(async move {
        let server = target.server.clone();
        let session = async {
            let Ok(upgraded) = upgrade.await else { return };
            spdy_session::serve(TokioIo::new(upgraded), target).await;
        };
        tokio::select! {
            () = server.cut() => {}
            () = session => {}
        }
    });
    Ok(reply)
}

/// Since 1.35 an upgrade of a GET needs `create` beside the `get` which was asked already.
fn upgrade_rights(call: &Call, verb: &str) -> Result<(), Refusal> {
    let ask = call.ask("create");
    let needed = verb == "get" && discovery::minor(&call.server.config.version) >= 35;
    if needed && !call.user.rules.allow(&ask) { Err(Refusal::forbidden_without_words(&ask)) } else { Ok(()) }
}

pub(super) fn pod(call: &Call) -> Result<Arc<Value>, Refusal> {
    let found = call.store().find("pods", call.namespace(), call.name());
    found.ok_or_else(|| Refusal::not_found(call.target.kind, call.name()))
}

fn ports(call: &Call) -> Result<Vec<u16>, Refusal> {
    let texts: Vec<&str> =
        call.query.all("ports").flat_map(|ports| ports.split(',')).filter(|port| !port.is_empty()).collect();
    if texts.is_empty() {
        return Err(Refusal::bad_request("query parameter \"port\" is required"));
    }
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports: Option<Vec<u16>> = texts.into_iter().map(port).collect();
    // Two channels each, and a channel number is one byte.
    ports.filter(|ports| ports.len() <= 100).ok_or_else(|| Refusal::bad_request("unable to parse the ports given"))
}

/// The first protocol of the client's list that we speak.
fn choose(call: &Call, ours: &[&'static str]) -> Result<&'static str, Refusal> {
    let offered = call.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = offered.flat_map(|value| value.split(',')).map(str::trim).collect();
    let chosen = offered.iter().find_map(|offered| ours.iter().find(|own| *own == offered).copied());
    chosen.ok_or_else(|| {
        let ours = ours.join(" ");
        Refusal::bad_request(format!(
            "unable to upgrade: offered {offered:?}, but the server supports [{ours}] over WebSocket"
        ))
    })
}

fn web_socket(call: &Call, protocol: &'static str, upgrade: Option<OnUpgrade>) -> Result<(Reply, OnUpgrade), Refusal> {
    let key = call.headers.get(header::SEC_WEBSOCKET_KEY);
    let asked = call.header(header::UPGRADE).eq_ignore_ascii_case("websocket");
    let (Some(key), Some(upgrade), true) = (key, upgrade, asked) else {
        return Err(Refusal::bad_request("Upgrade request required"));
    };
    let mut reply = reply::empty(101);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, http::HeaderValue::from_static(protocol));
    if let Ok(accept) = http::HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok((reply, upgrade))
}

/// Ends a WebSocket as both sides should: close, the other's close, and the end of TLS.
pub(super) async fn finish(mut socket: WebSocket) {
    let farewell = async {
        // Fails when the client closed first; its close is then answered by the reads below.
        let _ = socket.send(normal_close()).await;
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
        let _ = socket.into_inner().shutdown().await;
    };
    // A client that is gone, or never answers, is not waited for.
    let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
}

/// Close code 1000: kubectl takes a close without a code for an accident.
fn normal_close() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// A binary message on a channel.
pub(super) fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    Message::binary(message)
}
