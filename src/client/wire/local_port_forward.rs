//! A port on this machine's loopback that leads to one port of a pod: each connection is one port-forward through the link.
//!
//! The system chooses the port, unless a person did. Connections of one port are bounded, and so are those of all ports of a cluster, so that the
//! tunnels to PD always find a place. What is sent into it is not seen: it needs a [`HandPermit`], which a read-only
//! context never gives. Not here: PD's own tunnels ([`super::tunnel`]), what is shown of it (`app::port_forwards`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::client::plain;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::open_tunnel;
use crate::client::wire::permit::HandPermit;
use crate::client::wire::read_only_gate::Mark;
use crate::client::wire::tunnel::said_by_the_node;
use crate::client::wire::websocket_channels::Owned;
use crate::files::io_words;
use crate::fleet::ObjectRef;
use crate::fleet::port_forward::{ForwardNews, Traffic};

/// Connections through one local port at once; who comes later waits.
const CONNECTIONS: usize = 16;
/// And through all local ports of one cluster: half of the streams that its link may have open.
const OF_CLUSTER: usize = 32;
/// How long a pod may still answer whoever has no more to say.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often what went through is told, while something does.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// How many connections each cluster may have through local ports.
#[derive(Default)]
pub struct Room(Mutex<BTreeMap<String, Arc<Semaphore>>>);

impl Room {
    fn of(&self, context: &str) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(context.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(OF_CLUSTER))))
    }
}

/// An open local port; it is closed, and its connections end, when this is dropped.
pub struct LocalPort {
    _serving: Owned,
}

/// Opens a port on loopback that leads to `port` of the pod: `here`, or any free one. News come as long as it is open.
pub async fn listen(
    links: &Links,
    permit: &HandPermit,
    room: &Room,
    (pod, port, here): (&ObjectRef, u16, Option<u16>),
    news: mpsc::Sender<ForwardNews>,
) -> Result<LocalPort, String> {
    permit.covers(&pod.context)?;
    let link = Arc::clone(links.need(&pod.context)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, here.unwrap_or(0))).await;
    let listener = listener.map_err(|error| match here {
        Some(here) => format!("port {here} of this machine: {}", io_words(&error)),
        None => format!("no port on this machine: {}", io_words(&error)),
    })?;
    let local = listener.local_addr().map_err(|error| format!("no port on this machine: {}", io_words(&error)))?;
    let open = Open {
        link,
        pod: pod.clone(),
        port,
        traffic: Arc::default(),
        places: Arc::new(Semaphore::new(CONNECTIONS)),
        room: room.of(&pod.context),
    };
    // A console that is gone has dropped the port as well.
    let _ = news.send(ForwardNews::Listens(local.to_string())).await;
    Ok(LocalPort { _serving: Owned(tokio::spawn(serve(listener, open, news))) })
}

#[derive(Clone)]
struct Open {
    link: Arc<Link>,
    pod: ObjectRef,
    port: u16,
    traffic: Arc<Mutex<Traffic>>,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Open {
    fn note(&self, change: impl FnOnce(&mut Traffic)) {
        change(&mut self.traffic.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn serve(listener: TcpListener, open: Open, news: mpsc::Sender<ForwardNews>) {
    // Dropped with this task: no connection outlives the port.
    let mut connections = JoinSet::new();
    let mut told = Traffic::default();
    let mut ticks = tokio::time::interval(TOLD_EVERY);
    loop {
        tokio::select! {
            (place, accepted) = next(&listener, &open.places) => match accepted {
                Ok(stream) => {
                    connections.spawn(carry(open.clone(), stream, place));
                }
                // Too many open files, for one: what is open goes on, and the next try is later.
                Err(error) => {
                    open.note(|traffic| traffic.trouble = Some(format!("no connection taken: {}", io_words(&error))));
                    tokio::time::sleep(TOLD_EVERY).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = ticks.tick() => {
                let now = open.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Nothing is told while nothing goes through.
                if now != told {
                    told = now.clone();
                    if news.send(ForwardNews::Traffic(now)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The next connection, once there is a place for it: until then it waits in the system's queue.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, std::io::Result<TcpStream>) {
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await.map(|(stream, _)| stream))
}

/// One connection, from its first byte to its last.
async fn carry(open: Open, near: TcpStream, _place: Option<OwnedSemaphorePermit>) {
    let Ok(_room) = open.room.acquire().await else { return };
    let _ = near.set_nodelay(true);
    open.note(|traffic| {
        traffic.open += 1;
        traffic.connections += 1;
    });
    let said = connected(&open, near).await;
    open.note(|traffic| {
        traffic.open -= 1;
        traffic.trouble = said.err();
    });
}

async fn connected(open: &Open, near: TcpStream) -> Result<(), String> {
    let within = open.link.limits().pd.into();
    let key = open.pod.key();
    let opened = tokio::time::timeout(
        open.link.limits().pd,
        open_tunnel::stream(&open.link, &key, open.port, Mark::LocalPort, within),
    );
    let (far, fault, _pump) = opened.await.map_err(|_| format!("no port-forward to {} in time", open.pod))??;
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = tokio::io::split(far);
    let answered = AtomicBool::new(false);
    // Its writing end is kept: to close it would end the whole forward, and the pod may still answer.
    let mut to_far = to_far;
    let out = copy(from_near, &mut to_far, |bytes| open.note(|traffic| traffic.to_pod += bytes));
    let back = async {
        let mut to_near = to_near;
        copy(from_far, &mut to_near, |bytes| {
            answered.store(true, Ordering::Relaxed);
            open.note(|traffic| traffic.from_pod += bytes);
        })
        .await;
        // How the other end takes it is its own affair.
        let _ = to_near.shutdown().await;
    };
    tokio::pin!(out, back);
    tokio::select! {
        () = &mut back => {}
        () = &mut out => {
            let _ = tokio::time::timeout(LAST_WORDS, back).await;
        }
    }
    // The node's words come a moment after the end; where the pod has answered nobody waits for them.
    let said = if answered.load(Ordering::Relaxed) { fault.get() } else { said_by_the_node(&fault).await };
    said.map_or(Ok(()), |why| Err(plain(&why)))
}

async fn copy(mut from: impl AsyncRead + Unpin, to: &mut (impl AsyncWrite + Unpin), count: impl Fn(u64)) {
    let mut buffer = vec![0_u8; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        count(length as u64);
    }
}
