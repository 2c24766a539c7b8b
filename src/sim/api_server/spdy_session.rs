//! One SPDY connection of a port-forward client: pairs of streams, each pair one connection to a pod's port.
//!
//! A pair is an error stream and a data stream with the same `requestid`. Frames are read and written by `spdy`.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::Stream;
use super::port_forward::Target;
use super::spdy::{self, Frame, Headers};
use super::streams::CHUNK;

/// Frames that wait on their way in each direction.
const QUEUE: usize = 64;
/// Streams a client may have open: two for each connection.
const STREAM_LIMIT: usize = 2_000;

/// Serves until the client leaves.
pub(super) async fn serve(connection: impl AsyncRead + AsyncWrite + Unpin, target: Target) {
    let (mut from_client, to_client) = tokio::io::split(connection);
    let (outgoing, queue) = mpsc::channel(QUEUE);
    let Ok(headers) = Headers::new() else { return };
    let session = Session {
        target,
        outgoing,
        headers,
        error_streams: BTreeMap::new(),
        data_streams: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    // Either end of the connection ends the session, and a session's tasks end with it.
    tokio::select! {
        _ = session.run(&mut from_client) => {}
        () = write_all(to_client, queue) => {}
    }
}

async fn write_all(mut to_client: WriteHalf<impl AsyncWrite>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if to_client.write_all(&frame).await.is_err() || to_client.flush().await.is_err() {
            return;
        }
    }
}

struct Session {
    target: Target,
    outgoing: mpsc::Sender<Vec<u8>>,
    headers: Headers,
    /// By `requestid`, until the data stream comes.
    error_streams: BTreeMap<String, u32>,
    data_streams: BTreeMap<u32, Open>,
    tasks: JoinSet<()>,
}

/// An open data stream: dropping `inlet` closes the way into the pod.
struct Open {
    inlet: Option<mpsc::Sender<Vec<u8>>>,
    reader: AbortHandle,
}

impl Session {
    async fn run(mut self, from_client: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        loop {
            match spdy::read(from_client).await? {
                Frame::SynStream { stream, fin, block } => self.open(stream, fin, &block).await?,
                Frame::Data { stream, fin, bytes } => self.data(stream, fin, bytes).await?,
                Frame::Reset { stream } => {
                    if let Some(open) = self.data_streams.remove(&stream) {
                        open.reader.abort();
                    }
                    self.error_streams.retain(|_, error| *error != stream);
                }
                Frame::Ping { id } => self.send(spdy::ping(id)).await?,
                Frame::Other { block: Some(block) } => {
                    self.headers.decode(&block)?;
                }
                Frame::Other { block: None } => {}
                Frame::GoAway => return Ok(()),
            }
            // Ended copies are forgotten as we go.
            while self.tasks.try_join_next().is_some() {}
            self.data_streams.retain(|_, open| !open.reader.is_finished());
        }
    }

    async fn open(&mut self, stream: u32, fin: bool, block: &[u8]) -> io::Result<()> {
        let headers = self.headers.decode(block)?;
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let request = header("requestid").unwrap_or_default();
        let port = header("port").and_then(|port| port.parse::<u16>().ok());
        let full = self.data_streams.len() + self.error_streams.len() >= STREAM_LIMIT;
        match (header("streamtype").as_deref(), port) {
            (Some("error"), Some(_)) if !full => {
                self.accept(stream).await?;
                self.error_streams.insert(request, stream);
                Ok(())
            }
            (Some("data"), Some(port)) if !full => {
                let Some(errors) = self.error_streams.remove(&request) else {
                    return self.send(spdy::reset(stream)).await;
                };
                self.accept(stream).await?;
                match self.target.dial(port) {
                    Ok(pod) => self.connect(stream, errors, fin, pod),
                    Err(words) => {
                        self.send(spdy::data(errors, words.as_bytes(), true)).await?;
                        self.send(spdy::data(stream, &[], true)).await?;
                    }
                }
                Ok(())
            }
            _ => self.send(spdy::reset(stream)).await,
        }
    }

    async fn accept(&mut self, stream: u32) -> io::Result<()> {
        let block = self.headers.encode_none()?;
        self.send(spdy::syn_reply(stream, &block)).await
    }

    fn connect(&mut self, stream: u32, errors: u32, fin: bool, pod: Box<dyn Stream>) {
        let (mut from_pod, mut to_pod) = tokio::io::split(pod);
        let (inlet, mut incoming) = mpsc::channel::<Vec<u8>>(QUEUE);
        let outgoing = self.outgoing.clone();
        let taken = self.outgoing.clone();
        self.tasks.spawn(async move {
            while let Some(bytes) = incoming.recv().await {
                if to_pod.write_all(&bytes).await.is_err() || to_pod.flush().await.is_err() {
                    return;
                }
                if taken.send(spdy::window_update(stream, bytes.len())).await.is_err() {
                    return;
                }
            }
            // The client said it has no more; how the pod takes that is its own affair.
            let _ = to_pod.shutdown().await;
        });
        let reader = self.tasks.spawn(async move {
            let mut buffer = vec![0; CHUNK];
            while let Ok(count) = from_pod.read(&mut buffer).await {
                if count == 0 || outgoing.send(spdy::data(stream, &buffer[..count], false)).await.is_err() {
                    break;
                }
            }
            for closed in [stream, errors] {
                // Nobody is left to tell when this fails.
                let _ = outgoing.send(spdy::data(closed, &[], true)).await;
            }
        });
        self.data_streams.insert(stream, Open { inlet: (!fin).then_some(inlet), reader });
    }

    async fn data(&mut self, stream: u32, fin: bool, bytes: Vec<u8>) -> io::Result<()> {
        let Some(open) = self.data_streams.get_mut(&stream) else { return Ok(()) };
        if let Some(inlet) = open.inlet.as_ref().filter(|_| !bytes.is_empty()) {
            // A pod which closed its end takes no more.
            let _ = inlet.send(bytes).await;
        }
        if fin {
            open.inlet = None;
        }
        Ok(())
    }

    async fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        self.outgoing.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
