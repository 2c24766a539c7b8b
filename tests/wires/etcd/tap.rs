//! A recording wire between a simulated PD pod and the etcd behind it.
//!
//! It copies bytes and keeps what the client sent, so that a test can count the requests that really arrived. With TLS
//! the bytes are opaque and only connections are counted. It changes nothing and answers nothing itself; where its
//! other end is (`servers`) may be said later than its own port, because certificates come from the running fleet.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is kept of one connection; more than any test sends.
const KEPT: usize = 4 * 1024 * 1024;

#[derive(Default)]
struct State {
    backend: Option<SocketAddr>,
    /// What the client sent, one entry per connection.
    heard: Vec<Vec<u8>>,
}

pub struct Tap {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Tap {
    pub async fn start() -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(carry(near, shared.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Tap { address, state, task }
    }

    pub fn lead_to(&self, backend: SocketAddr) {
        lock(&self.state).backend = Some(backend);
    }

    pub fn connections(&self) -> usize {
        lock(&self.state).heard.len()
    }

    /// Method and path of every request, in the order of each connection. Empty where the bytes are TLS.
    pub fn requests(&self) -> Vec<(String, String)> {
        lock(&self.state).heard.iter().flat_map(|bytes| requests(bytes)).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(near: TcpStream, state: Arc<Mutex<State>>) {
    let (index, backend) = {
        let mut state = lock(&state);
        state.heard.push(Vec::new());
        (state.heard.len() - 1, state.backend)
    };
    let Some(backend) = backend else { return };
    let Ok(far) = TcpStream::connect(backend).await else { return };
    // Both ends speak in small pieces; without this each one waits for an acknowledgement.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let out = async {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read @ 1..) = near_read.read(&mut buffer).await {
            {
                // Written down before it goes on: nothing can arrive that is not in the record.
                let mut state = lock(&state);
                let heard = &mut state.heard[index];
                assert!(heard.len() + read <= KEPT, "more was sent than a test can send");
                heard.extend_from_slice(&buffer[..read]);
            }
            if far_write.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        let _ = far_write.shutdown().await;
    };
    let back = async {
        let _ = tokio::io::copy(&mut far_read, &mut near_write).await;
        let _ = near_write.shutdown().await;
    };
    tokio::join!(out, back);
}

/// Request lines in a stream of HTTP/1.1. A body without a line end may stand before the next one's method.
fn requests(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let heads = text.lines().filter_map(|line| line.trim_end().strip_suffix(" HTTP/1.1"));
    heads
        .filter_map(|head| {
            let (before, path) = head.rsplit_once(' ')?;
            let method = before.rsplit(|c: char| !c.is_ascii_uppercase()).next()?;
            Some((method.to_owned(), path.to_owned()))
        })
        .collect()
}

#[test]
fn request_lines_are_found_after_bodies() {
    let bytes = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nPOST /v3/a HTTP/1.1\r\n\r\n{}PUT /v2/b HTTP/1.1\r\n\r\n{\"a\":\"B C\"}";
    let found = requests(bytes);
    let shown: Vec<String> = found.iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(shown, ["GET /health", "POST /v3/a", "PUT /v2/b"]);
}
