//! Port-forward over WebSocket: channel pairs as kube-rs uses them, and SPDY tunnelled as kubectl does.
//!
//! Moves bytes between a client and what `Pods::dial` opens. The handshake is in `streams`, SPDY in `spdy_session`.

use std::sync::Arc;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::Stream;
use super::connection::Server;
use super::spdy_session;
use super::streams::{CHUNK, WebSocket, finish, frame};

/// Messages that wait on their way in each direction.
const QUEUE: usize = 16;

/// The pod that a session reaches into.
#[derive(Clone)]
pub(super) struct Target {
    pub server: Arc<Server>,
    pub namespace: String,
    pub pod: String,
    pub running: bool,
}

impl Target {
    /// Opens a port, or gives the node's words about why not.
    pub(super) fn dial(&self, port: u16) -> Result<Box<dyn Stream>, String> {
        if !self.running {
            let Target { namespace, pod, .. } = self;
            return Err(format!(
                "error forwarding port {port} to pod {pod}, uid : pod not found ({:?})",
                format!("{pod}_{namespace}")
            ));
        }
        self.server.config.pods.dial(&self.namespace, &self.pod, port)
    }
}

/// `v4.channel.k8s.io`: per port a data channel and an error channel, each opened by the port's number.
pub(super) async fn channels(socket: WebSocket, target: Target, ports: &[u16]) {
    let (mut sink, mut stream) = socket.split();
    let (outgoing, queue) = mpsc::channel::<Message>(QUEUE);
    // Dropped with this future: nothing outlives the session.
    let mut tasks = JoinSet::new();
    let mut inlets = Vec::new();
    let mut hellos = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let data = u8::try_from(2 * index).expect("the number of ports was bounded");
        hellos.extend([frame(data, &port.to_le_bytes()), frame(data + 1, &port.to_le_bytes())]);
        match target.dial(*port) {
            Ok(stream) => {
                let (from_pod, to_pod) = tokio::io::split(stream);
                let (inlet, incoming) = mpsc::channel::<Message>(QUEUE);
                tasks.spawn(into_pod(incoming, to_pod));
                tasks.spawn(out_of_pod(data, from_pod, outgoing.clone()));
                inlets.push(Some(inlet));
            }
            Err(words) => {
                hellos.push(frame(data + 1, words.as_bytes()));
                inlets.push(None);
            }
        }
    }
    // With the last port's sender the writer's queue ends, and with it the session.
    drop(outgoing);
    tokio::select! {
        () = write_all(&mut sink, hellos, queue) => {}
        () = distribute(&mut stream, inlets) => {}
    }
    if let Ok(socket) = sink.reunite(stream) {
        finish(socket).await;
    }
}

async fn write_all(sink: &mut SplitSink<WebSocket, Message>, hellos: Vec<Message>, mut queue: mpsc::Receiver<Message>) {
    for hello in hellos {
        if sink.send(hello).await.is_err() {
            return;
        }
    }
    while let Some(message) = queue.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

async fn distribute(stream: &mut SplitStream<WebSocket>, inlets: Vec<Option<mpsc::Sender<Message>>>) {
    while let Some(Ok(message)) = stream.next().await {
        match &message {
            Message::Binary(bytes) => {
                let channel = bytes.first().copied().unwrap_or(u8::MAX);
                // Odd channels are for errors, and errors only come from us.
                let inlet = inlets.get(usize::from(channel / 2)).filter(|_| channel % 2 == 0);
                if let Some(Some(inlet)) = inlet {
                    // A pod that closed its end takes no more: what comes is dropped, as on a closed socket.
                    let _ = inlet.send(message).await;
                }
            }
            Message::Close(_) => return,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn into_pod(mut incoming: mpsc::Receiver<Message>, mut pod: WriteHalf<Box<dyn Stream>>) {
    while let Some(message) = incoming.recv().await {
        let bytes = message.into_data();
        if pod.write_all(bytes.get(1..).unwrap_or_default()).await.is_err() || pod.flush().await.is_err() {
            return;
        }
    }
    // Nobody listens for how the end of a connection went.
    let _ = pod.shutdown().await;
}

async fn out_of_pod(channel: u8, mut pod: ReadHalf<Box<dyn Stream>>, outgoing: mpsc::Sender<Message>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count) = pod.read(&mut buffer).await {
        if count == 0 || outgoing.send(frame(channel, &buffer[..count])).await.is_err() {
            return;
        }
    }
}

/// `SPDY/3.1+portforward.k8s.io`: the bytes of a SPDY connection in binary messages, cut anywhere.
pub(super) async fn tunnelled(socket: WebSocket, target: Target) {
    let (mut sink, mut stream) = socket.split();
    let (near, far) = tokio::io::duplex(4 * CHUNK);
    let (mut from_session, mut to_session) = tokio::io::split(near);
    let inwards = async {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(bytes) => {
                    if to_session.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                Message::Close(_) => break,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        let _ = to_session.shutdown().await;
    };
    let outwards = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count) = from_session.read(&mut buffer).await {
            if count == 0 || sink.send(Message::binary(buffer[..count].to_vec())).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(inwards, outwards, spdy_session::serve(far, target));
    if let Ok(socket) = sink.reunite(stream) {
        finish(socket).await;
    }
}
