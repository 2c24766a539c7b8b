//! Keeping up: every context is listed, watched, heard and its PD polled until the handle is dropped.
//!
//! One task per context, restarted after a fault of its own, so that a dead, slow or hostile cluster changes nothing
//! about another. Connection states have one author per context, the heartbeat; watches and PD polling go on
//! beside it with their own backoff. Not here: what a change means ([`crate::fleet`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch as signal};
use tokio::task::JoinSet;

use crate::client::kube::look::{Gaps, change, configured, definition, facts};
use crate::client::kube::pages::with;
use crate::client::kube::resources::{self, Kind};
use crate::client::wire::frames::Frames;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::{now, pd};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::{Pod, StatefulSet};
use crate::fleet::{Change, Freshness, Keyed, ObjectKey, WatchEvent, What};

mod hear;
mod poll;

use hear::hear;
use poll::poll_pd;

/// Stops everything when dropped.
pub struct WatchHandle {
    refresh: signal::Sender<u64>,
    _tasks: JoinSet<()>,
}

impl WatchHandle {
    /// Asks everything that waits (heartbeats, PD, reconnections) to go on now.
    pub fn refresh(&self) {
        self.refresh.send_modify(|count| *count += 1);
    }
}

/// Starts watching every context of `links`. Needs a tokio runtime; returns at once.
pub fn watch(links: &Links, sender: mpsc::Sender<Change>) -> WatchHandle {
    let (refresh, wake) = signal::channel(0);
    let mut tasks = JoinSet::new();
    for link in links.iter() {
        // Before any network; a full channel only means that the task says it again.
        let said = sender.try_send(configured(link)).is_ok();
        tasks.spawn(supervise(Arc::clone(link), sender.clone(), wake.clone(), said));
    }
    WatchHandle { refresh, _tasks: tasks }
}

async fn supervise(link: Arc<Link>, sender: mpsc::Sender<Change>, wake: signal::Receiver<u64>, said: bool) {
    if !said && sender.send(configured(&link)).await.is_err() {
        return;
    }
    if sender.send(change(&link, What::Trust(link.configured_trust()))).await.is_err() {
        return;
    }
    loop {
        let mut inner = JoinSet::new();
        inner.spawn(tend(Context { link: Arc::clone(&link), sender: sender.clone(), wake: wake.clone() }));
        match inner.join_next().await {
            Some(Err(fault)) if fault.is_panic() => {
                let message = Some("an internal fault ended the watch of it; starting again".to_owned());
                let lost = What::Connection { freshness: Freshness::Unreachable, message };
                if sender.send(change(&link, lost)).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            _ => return,
        }
    }
}

/// Nobody listens any more.
struct Closed;

#[derive(Clone)]
struct Context {
    link: Arc<Link>,
    sender: mpsc::Sender<Change>,
    wake: signal::Receiver<u64>,
}

impl Context {
    async fn say(&self, what: What) -> Result<(), Closed> {
        self.sender.send(change(&self.link, what)).await.map_err(|_| Closed)
    }

    async fn say_connection(&self, freshness: Freshness, message: Option<String>) -> Result<(), Closed> {
        tracing::info!(context = self.link.context(), ?freshness, why = ?message, "connection");
        self.say(What::Connection { freshness, message }).await
    }

    /// Waits, but not through a refresh.
    async fn pause(&mut self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            woken = self.wake.changed() => if woken.is_err() {
                // The handle is gone and this task about to be.
                tokio::time::sleep(time).await;
            }
        }
    }
}

/// A watch that went on for this long was no fault.
const LASTED: Duration = Duration::from_secs(20);

/// 1 s to 30 s, doubling, with some disorder so that many contexts do not come back at once.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    fn next(&mut self) -> Duration {
        let base = Duration::from_secs(1 << self.0.min(5)).min(Duration::from_secs(30));
        self.0 += 1;
        base.mul_f64(rand::random_range(0.8..1.2))
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

async fn tend(mut context: Context) {
    let mut backoff = Backoff::default();
    loop {
        let state = match connect(&context).await {
            Ok(Ok(state)) => state,
            Ok(Err(trouble)) => {
                if context.say_connection(trouble.freshness(), Some(trouble.sentence)).await.is_err() {
                    return;
                }
                context.pause(backoff.next()).await;
                continue;
            }
            Err(Closed) => return,
        };
        backoff.reset();
        if attend(&context, &Arc::new(Mutex::new(state))).await.is_err() {
            return;
        }
    }
}

/// What the parts of one context share.
struct State {
    gaps: Gaps,
    tidb_clusters: BTreeMap<ObjectKey, TidbCluster>,
    /// Running PD pods.
    pods: BTreeMap<ObjectKey, Pod>,
    /// Told when these, or the TidbClusters that they belong to, are others than before.
    news: Arc<Notify>,
}

type Shared = Arc<Mutex<State>>;

fn state(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connect(context: &Context) -> Result<Result<State, RequestError>, Closed> {
    let link = &context.link;
    let known = async {
        let version = resources::version(link).await?;
        let mut facts = facts(link, version).await?;
        // Whether TidbClusters can be listed decides what a forbidden CRD means; one object tells.
        let path = with(&TidbCluster::path(link.namespace()), "limit=1");
        let listed = link.get::<serde::de::IgnoredAny>(&path).await;
        facts.finish(link, definition(link).await, listed.as_ref().err()).await?;
        Ok(facts)
    };
    let limit = link.limits().look;
    match tokio::time::timeout(limit, known).await {
        Ok(Ok(facts)) => {
            for what in facts.changes {
                context.say(what).await?;
            }
            let (freshness, message) = facts.gaps.verdict();
            context.say_connection(freshness, message).await?;
            Ok(Ok(State {
                gaps: facts.gaps,
                tidb_clusters: BTreeMap::new(),
                pods: BTreeMap::new(),
                news: Arc::default(),
            }))
        }
        Ok(Err(trouble)) => Ok(Err(trouble)),
        Err(_) => Ok(Err(link.too_late(limit, true))),
    }
}

/// Goes on while the cluster answers; `Ok` when it has to be connected to anew.
async fn attend(context: &Context, shared: &Shared) -> Result<(), Closed> {
    tokio::select! {
        ended = heartbeat(context.clone(), shared) => ended,
        ended = follow::<TidbCluster>(context.clone(), shared) => ended,
        ended = follow::<Pod>(context.clone(), shared) => ended,
        ended = follow::<StatefulSet>(context.clone(), shared) => ended,
        ended = poll_pd(context.clone(), shared) => ended,
    }
}

async fn heartbeat(mut context: Context, shared: &Shared) -> Result<(), Closed> {
    let link = Arc::clone(&context.link);
    let limits = link.limits();
    let mut heard = now();
    let mut missed = 0;
    loop {
        let wait =
            if missed == 0 { limits.heartbeat_every } else { Duration::from_secs(1).min(limits.heartbeat_every) };
        context.pause(wait).await;
        let beat = tokio::time::timeout(limits.heartbeat, resources::version(&link)).await;
        match beat.unwrap_or_else(|_| Err(link.too_late(limits.heartbeat, true))) {
            Ok(_) => {
                heard = now();
                missed = 0;
                let (freshness, message) = state(shared).gaps.verdict();
                context.say_connection(freshness, message).await?;
            }
            Err(trouble) if trouble.kind == RequestErrorKind::AuthNeeded => {
                context.say_connection(Freshness::AuthNeeded, Some(trouble.sentence)).await?;
                return Ok(());
            }
            Err(trouble) => {
                missed += 1;
                context.say_connection(Freshness::Stale { since: heard }, Some(trouble.sentence)).await?;
                if missed >= 2 {
                    return Ok(());
                }
            }
        }
    }
}

/// A kind that is followed, and what others need to know of it.
trait Followed: Kind {
    fn keep(_: &mut State, _: &What) {}
}

impl Followed for StatefulSet {}

impl Followed for TidbCluster {
    fn keep(state: &mut State, what: &What) {
        match what {
            What::TidbClusters(all) => state.tidb_clusters = all.iter().map(|tc| (tc.key(), tc.clone())).collect(),
            What::TidbCluster(WatchEvent::Set(tc)) => drop(state.tidb_clusters.insert(tc.key(), (**tc).clone())),
            What::TidbCluster(WatchEvent::Gone(key)) => drop(state.tidb_clusters.remove(key)),
            _ => {}
        }
    }
}

impl Followed for Pod {
    fn keep(state: &mut State, what: &What) {
        match what {
            What::Pods(all) => {
                state.pods =
                    all.iter().filter(|pod| pd::is_running_pd(pod)).map(|pod| (pod.key(), pod.clone())).collect();
            }
            What::Pod(WatchEvent::Set(pod)) if pd::is_running_pd(pod) => {
                drop(state.pods.insert(pod.key(), (**pod).clone()))
            }
            What::Pod(WatchEvent::Set(pod)) => drop(state.pods.remove(&pod.key())),
            What::Pod(WatchEvent::Gone(key)) => drop(state.pods.remove(key)),
            _ => {}
        }
    }
}

async fn tell<K: Followed>(context: &Context, shared: &Shared, what: What) -> Result<(), Closed> {
    {
        let mut state = state(shared);
        K::keep(&mut state, &what);
        state.news.notify_one();
    }
    context.say(what).await
}

/// Lists and watches one kind for ever. `Ok` only when something appeared whose absence was reported.
async fn follow<K: Followed>(mut context: Context, shared: &Shared) -> Result<(), Closed> {
    let link = Arc::clone(&context.link);
    let mut backoff = Backoff::default();
    let mut was_missing = false;
    loop {
        let mut asked = None;
        let listed = resources::list::<K>(&link).await;
        let (verdict_before, verdict_after) = {
            let mut state = state(shared);
            let before = state.gaps.verdict();
            match &listed {
                Err(trouble) if trouble.kind == RequestErrorKind::Forbidden => state.gaps.forbidden(K::PLURAL),
                _ => state.gaps.allowed(K::PLURAL),
            }
            (before, state.gaps.verdict())
        };
        if verdict_before != verdict_after {
            context.say_connection(verdict_after.0, verdict_after.1).await?;
        }
        match listed {
            Ok(_) if was_missing => return Ok(()),
            Ok((all, version)) => {
                let frames = Frames::new(all.iter().map(Keyed::key).collect());
                tell::<K>(&context, shared, K::all(all)).await?;
                let begun = tokio::time::Instant::now();
                let ended = follow_from::<K>(&mut context, shared, version, frames).await?;
                // A list that works proves nothing of the watch: only one that lasted lets us come back soon.
                if begun.elapsed() >= LASTED {
                    backoff.reset();
                }
                if let Some(trouble) = ended {
                    asked = trouble.retry_after;
                    if matches!(trouble.kind, RequestErrorKind::AuthNeeded | RequestErrorKind::Forbidden) {
                        let (freshness, message) = {
                            let mut state = state(shared);
                            state.gaps.unwatched(K::PLURAL);
                            state.gaps.verdict()
                        };
                        context.say_connection(freshness, message).await?;
                    }
                }
            }
            Err(trouble) if trouble.kind == RequestErrorKind::Missing => {
                was_missing = true;
                tell::<K>(&context, shared, K::all(Vec::new())).await?;
                context.pause(Duration::from_secs(15)).await;
            }
            Err(trouble) if trouble.kind == RequestErrorKind::Forbidden => context.pause(Duration::from_secs(30)).await,
            Err(trouble) => asked = trouble.retry_after,
        }
        context.pause(backoff.next().max(asked.unwrap_or_default())).await;
    }
}

/// Watches from one version on, reopening the watch, until only a new list helps.
///
/// Gives the trouble that ended it.
async fn follow_from<K: Followed>(
    context: &mut Context,
    shared: &Shared,
    mut version: String,
    mut frames: Frames<K>,
) -> Result<Option<RequestError>, Closed> {
    let link = Arc::clone(&context.link);
    let mut failures = 0;
    loop {
        let opened = tokio::time::Instant::now();
        let outcome = match resources::events::<K>(&link, &version).await {
            Ok(stream) => {
                state(shared).gaps.watched(K::PLURAL);
                let stream = std::pin::pin!(stream);
                let heard = hear::<K>(context, shared, stream, &mut frames, &mut version).await?;
                if heard.changes > 0 {
                    failures = 0;
                }
                heard.ended
            }
            Err(trouble) => Some(trouble),
        };
        match outcome {
            Some(trouble) => {
                failures += 1;
                if trouble.kind != RequestErrorKind::Unreachable || failures >= 3 {
                    return Ok(Some(trouble));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // The usual end after its time. A server that ends every watch at once is not to be hammered.
            None if opened.elapsed() < Duration::from_secs(1) => tokio::time::sleep(Duration::from_secs(1)).await,
            None => {}
        }
    }
}
