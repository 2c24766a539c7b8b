//! Wakes whoever waits for something to move: a watch of each kind in each context, which tells only *that* something moved.
//!
//! Whoever is woken looks for himself; nothing is decided by what a watch says. One that may not be opened, or that ends, is
//! opened again in time, and [`Wake::hears`] tells meanwhile that waiting for it alone would miss something. Not here: the
//! fleet kept up to date by watches ([`crate::client::kube::watch`]).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::client::kube::resources::{self, Event, Kind};
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::RequestErrorKind;
use crate::client::wire::user_agent;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::{Pod, StatefulSet};
use crate::fleet::{ObjectKey, WatchEvent};

/// Between two openings of one watch.
const AGAIN: Duration = Duration::from_secs(5);
/// A server sends a bookmark about once a minute.
const SILENT: Duration = Duration::from_secs(75);
/// What moves comes in bursts: it is waited for so long that one is over, and not longer than this in all.
const PAUSE: Duration = Duration::from_millis(300);
const BURST: Duration = Duration::from_secs(2);

/// Watches until it is dropped.
pub struct Wake {
    moved: Arc<Notify>,
    open: Arc<AtomicUsize>,
    wanted: usize,
    _tasks: JoinSet<()>,
}

impl Wake {
    /// Watches these namespaces of these contexts, each kind from its last list on.
    pub fn of(links: &Links, contexts: &BTreeSet<String>, namespaces: &BTreeSet<String>) -> Self {
        let (moved, open) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let namespaces = Arc::new(namespaces.clone());
        let mut tasks = JoinSet::new();
        for link in links.iter().filter(|link| contexts.contains(link.context())) {
            let one = One {
                link: Arc::clone(link),
                namespaces: Arc::clone(&namespaces),
                moved: Arc::clone(&moved),
                open: Arc::clone(&open),
            };
            tasks.spawn(user_agent::inherited(follow::<TidbCluster>(one.clone())));
            tasks.spawn(user_agent::inherited(follow::<Pod>(one.clone())));
            tasks.spawn(user_agent::inherited(follow::<StatefulSet>(one)));
        }
        Self { moved, open, wanted: tasks.len(), _tasks: tasks }
    }

    /// Whether every watch is open.
    pub fn hears(&self) -> bool {
        self.wanted > 0 && self.open.load(Ordering::Acquire) == self.wanted
    }

    /// Comes back when something has moved and the burst of it is over.
    pub async fn moved(&self) {
        self.moved.notified().await;
        let last = Instant::now() + BURST;
        while timeout_at(last.min(Instant::now() + PAUSE), self.moved.notified()).await.is_ok() {}
    }
}

#[derive(Clone)]
struct One {
    link: Arc<Link>,
    namespaces: Arc<BTreeSet<String>>,
    moved: Arc<Notify>,
    open: Arc<AtomicUsize>,
}

/// Counts a watch that is open for as long as it is.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn of(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn follow<K: Kind>(one: One) {
    loop {
        match watched::<K>(&one).await {
            // Nothing that will be allowed in the time of a run: not asked again.
            Some(RequestErrorKind::Forbidden | RequestErrorKind::Missing) => return,
            _ => sleep(AGAIN).await,
        }
        // Whatever moved in between is not told by the next one.
        one.moved.notify_one();
    }
}

/// One watch from the last list on, to its end.
async fn watched<K: Kind>(one: &One) -> Option<RequestErrorKind> {
    let listed = one.link.listed.lock().unwrap_or_else(PoisonError::into_inner).get(K::PLURAL).cloned();
    let stream = match resources::events::<K>(&one.link, &listed?).await {
        Ok(stream) => stream,
        Err(trouble) => return Some(trouble.kind),
    };
    let _open = Open::of(&one.open);
    let mut stream = std::pin::pin!(stream);
    loop {
        match timeout(SILENT, stream.next()).await {
            Ok(Some(Ok(Event::Changed(event, _)))) => {
                if one.namespaces.contains(&key(&event).namespace) {
                    one.moved.notify_one();
                }
            }
            Ok(Some(Ok(Event::Bookmark(_)))) => {}
            Ok(Some(Err(trouble))) => return Some(trouble.kind),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn key<K: Kind>(event: &WatchEvent<K>) -> ObjectKey {
    match event {
        WatchEvent::Set(object) => object.key(),
        WatchEvent::Gone(key) => key.clone(),
    }
}
