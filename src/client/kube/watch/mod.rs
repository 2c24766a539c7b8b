//! Keeping up: every context is listed, watched, heard and its PD polled until the handle is dropped.
//!
//! One task per context, restarted after a fault of its own, so that a dead, slow or hostile cluster changes nothing
//! about another. Connection states have one author per context, the heartbeat; watches and PD polling go on
//! beside it with their own backoff, from the first answer of the server on. Not here: what a change means
//! ([`crate::fleet`]), how long until a lost cluster is tried again ([`backoff`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc, watch as signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::kube::access_gaps::Gaps;
use crate::client::kube::resources::{self, Kind};
use crate::client::kube::snapshot::{change, configured};
use crate::client::pd;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::watch_throttle::Frames;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::{Pod, StatefulSet};
use crate::fleet::{Change, Freshness, Keyed, ObjectKey, WatchEvent, What};

mod backoff;
mod heartbeat;
mod pd_poll;
mod pd_poll_schedule;
mod watch_stream;

use backoff::{AFTER_FAULT, AFTER_FORBIDDEN, AFTER_MISSING, Backoff, LASTED, REOPEN_AFTER, REOPENINGS};
use heartbeat::heartbeat;
use pd_poll::poll_pd;
use pd_poll_schedule::{Group, group_of};
use watch_stream::hear;

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
    let (moved, _) = broadcast::channel(64);
    let mut tasks = JoinSet::new();
    for link in links.iter() {
        // Before any network; a full channel only means that the task says it again.
        let said = sender.try_send(configured(link)).is_ok();
        let context =
            Context { link: Arc::clone(link), sender: sender.clone(), wake: wake.clone(), moved: moved.clone() };
        tasks.spawn(supervise(context, said));
    }
    WatchHandle { refresh, _tasks: tasks }
}

async fn supervise(context: Context, said: bool) {
    let Context { link, sender, .. } = &context;
    if !said && sender.send(configured(link)).await.is_err() {
        return;
    }
    if sender.send(change(link, What::Trust(link.configured_trust()))).await.is_err() {
        return;
    }
    loop {
        let mut inner = JoinSet::new();
        inner.spawn(tend(context.clone()));
        match inner.join_next().await {
            Some(Err(fault)) if fault.is_panic() => {
                let message = Some("an internal fault ended the watch of it; starting again".to_owned());
                let lost = What::Connection { freshness: Freshness::Unreachable, message };
                if sender.send(change(link, lost)).await.is_err() {
                    return;
                }
                tokio::time::sleep(AFTER_FAULT).await;
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
    /// PD clusters in which somebody saw something move, with the context that saw it.
    moved: broadcast::Sender<(String, u64)>,
}

impl Context {
    async fn say(&self, what: What) -> Result<(), Closed> {
        self.sender.send(change(&self.link, what)).await.map_err(|_| Closed)
    }

    /// Of something that was known at an earlier moment.
    async fn say_at(&self, at: jiff::Timestamp, what: What) -> Result<(), Closed> {
        self.sender.send(Change { at, ..change(&self.link, what) }).await.map_err(|_| Closed)
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

async fn tend(mut context: Context) {
    let mut backoff = Backoff::default();
    loop {
        // Alone and first: a cluster that does not answer this is asked nothing else.
        let limit = context.link.limits().look;
        let version = tokio::time::timeout(limit, resources::version(&context.link)).await;
        let ended = match version.unwrap_or_else(|_| Err(context.link.too_late(limit, true))) {
            Ok(version) => attend(&context, &Arc::new(Mutex::new(State::new())), version).await,
            Err(trouble) => Ok(Ended::NotKnown(trouble)),
        };
        match ended {
            Err(Closed) => return,
            Ok(Ended::Lost) => backoff.reset(),
            Ok(Ended::NotKnown(trouble)) => {
                if context.say_connection(trouble.freshness(), Some(trouble.sentence)).await.is_err() {
                    return;
                }
                context.pause(backoff.next()).await;
            }
        }
    }
}

/// Why a cluster has to be connected to anew.
enum Ended {
    /// It was known, and is to be asked again at once.
    Lost,
    /// It did not say what it is.
    NotKnown(RequestError),
}

/// What the parts of one context share.
struct State {
    gaps: Gaps,
    /// What the cluster is was learned: before that nothing is said of the connection.
    known: bool,
    tidb_clusters: BTreeMap<ObjectKey, TidbCluster>,
    /// Running PD pods.
    pods: BTreeMap<ObjectKey, Pod>,
    /// Rises with every change of these.
    pods_version: u64,
    /// Told when these, or the TidbClusters that they belong to, are others than before.
    news: Arc<Notify>,
    /// TidbClusters of which something changed since PD was last asked.
    stirred: BTreeSet<Group>,
    /// When the server last said anything, on whichever way.
    heard: Instant,
    /// Told when there is reason to ask whether it still lives.
    doubt: Arc<Notify>,
}

/// What was heard so long ago says nothing against a doubt.
const LATELY: Duration = Duration::from_secs(3);

impl State {
    fn new() -> Self {
        Self {
            gaps: Gaps::default(),
            known: false,
            tidb_clusters: BTreeMap::new(),
            pods: BTreeMap::new(),
            pods_version: 0,
            news: Arc::default(),
            stirred: BTreeSet::new(),
            heard: Instant::now(),
            doubt: Arc::default(),
        }
    }

    /// Something did not answer that might have.
    fn doubted(&self, now: Instant) {
        if now.duration_since(self.heard) > LATELY {
            self.doubt.notify_one();
        }
    }
}

type Shared = Arc<Mutex<State>>;

fn state(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Goes on while the cluster answers. What it is, its objects and PD behind them are asked for side by side.
async fn attend(context: &Context, shared: &Shared, version: String) -> Result<Ended, Closed> {
    let lost = |ended: Result<(), Closed>| ended.map(|()| Ended::Lost);
    tokio::select! {
        ended = heartbeat(context.clone(), shared, version) => ended,
        ended = follow::<TidbCluster>(context.clone(), shared) => lost(ended),
        ended = follow::<Pod>(context.clone(), shared) => lost(ended),
        ended = follow::<StatefulSet>(context.clone(), shared) => lost(ended),
        ended = poll_pd(context.clone(), shared) => lost(ended),
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
            What::TidbCluster(WatchEvent::Set(tc)) => {
                let before = state.tidb_clusters.insert(tc.key(), (**tc).clone());
                if before.is_none_or(|before| !same(&before, tc)) {
                    state.stirred.insert((tc.namespace().to_owned(), Some(tc.instance().to_owned())));
                }
            }
            What::TidbCluster(WatchEvent::Gone(key)) => drop(state.tidb_clusters.remove(key)),
            _ => {}
        }
    }
}

/// Whether nothing but the version of the object moved.
fn same(before: &TidbCluster, now: &TidbCluster) -> bool {
    let plain = |tc: &TidbCluster| {
        let mut tc = tc.clone();
        tc.metadata.resource_version.clear();
        tc
    };
    plain(before) == plain(now)
}

impl Followed for Pod {
    fn keep(state: &mut State, what: &What) {
        state.pods_version += 1;
        match what {
            What::Pods(all) => {
                let running = all.iter().filter(|pod| pd::is_running_pd(pod));
                state.pods = running.map(|pod| (pod.key(), pod.clone())).collect();
            }
            What::Pod(WatchEvent::Set(pod)) => {
                let before = match pd::is_running_pd(pod) {
                    true => state.pods.insert(pod.key(), (**pod).clone()),
                    false => state.pods.remove(&pod.key()),
                };
                // PD knows of a store that went before anybody asks it.
                let restarted = before.is_some_and(|before| before.restarts() != pod.restarts());
                if restarted || !pod.ready() {
                    state.stirred.insert(group_of(pod));
                }
            }
            What::Pod(WatchEvent::Gone(key)) => {
                if let Some(pod) = state.pods.remove(key) {
                    state.stirred.insert(group_of(&pod));
                }
            }
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
        if verdict_before != verdict_after && state(shared).known {
            context.say_connection(verdict_after.0, verdict_after.1).await?;
        }
        match listed {
            Ok(_) if was_missing => return Ok(()),
            Ok((all, version)) => {
                state(shared).heard = Instant::now();
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
                        let (freshness, message, known) = {
                            let mut state = state(shared);
                            state.gaps.unwatched(K::PLURAL);
                            let (freshness, message) = state.gaps.verdict();
                            (freshness, message, state.known)
                        };
                        if known {
                            context.say_connection(freshness, message).await?;
                        }
                    }
                }
            }
            Err(trouble) if trouble.kind == RequestErrorKind::Missing => {
                was_missing = true;
                tell::<K>(&context, shared, K::all(Vec::new())).await?;
                context.pause(AFTER_MISSING).await;
            }
            Err(trouble) if trouble.kind == RequestErrorKind::Forbidden => context.pause(AFTER_FORBIDDEN).await,
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
                // Whoever watches is the first to notice that a server is gone.
                state(shared).doubt.notify_one();
                if trouble.kind != RequestErrorKind::Unreachable || failures >= REOPENINGS {
                    return Ok(Some(trouble));
                }
                tokio::time::sleep(REOPEN_AFTER).await;
            }
            // The usual end after its time. A server that ends every watch at once is not to be hammered.
            None if opened.elapsed() < REOPEN_AFTER => tokio::time::sleep(REOPEN_AFTER).await,
            None => {}
        }
    }
}
