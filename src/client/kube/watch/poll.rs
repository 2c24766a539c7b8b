//! Asking PD over and over, pod by pod: each at its own pace, a bounded number at once, the longest unasked first.
//!
//! A cluster that lists thousands of PD pods which do not answer keeps no other cluster from being asked, and in its own
//! each still has its turn. Not here: what is asked ([`crate::client::pd`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::client::kube::watch::{Closed, Context, Shared, State, state};
use crate::client::pd;
use crate::client::wire::within::Within;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;
use crate::fleet::{Keyed as _, ObjectKey, What};

/// PD pods of one cluster that are asked at the same time; the others wait for their turn.
const ASKED_AT_ONCE: usize = 48;

/// How long a pod waits for the TidbCluster that it belongs to: with TLS, only that one says by which certificate PD is
/// asked. A pod that has none is asked without.
const OWNERLESS: Duration = Duration::from_millis(300);
/// Longest time without a look at what is due.
const LONGEST: Duration = Duration::from_secs(5);

/// Asks each running PD pod every `pd_every`, each at its own pace: a slow one delays no other.
pub(super) async fn poll_pd(mut context: Context, shared: &Shared) -> Result<(), Closed> {
    let link = Arc::clone(&context.link);
    let every = link.limits().pd_every;
    let mut asking = FuturesUnordered::new();
    let mut busy: BTreeSet<ObjectKey> = BTreeSet::new();
    let mut due = Due::new();
    let begun = tokio::time::Instant::now();
    let news = Arc::clone(&state(shared).news);
    loop {
        let instant = tokio::time::Instant::now();
        let patient = instant < begun + OWNERLESS;
        let room = ASKED_AT_ONCE.saturating_sub(asking.len());
        let (ready, all) = match room {
            0 => (Vec::new(), Arc::default()),
            room => turn(&state(shared), &busy, &mut due, instant, room, patient),
        };
        for (pod, owner) in ready {
            busy.insert(pod.key());
            let (link, all) = (&link, Arc::clone(&all));
            let first = all.iter().find(|one| one.instance() == pod.instance()).map(|one| one.key()) == Some(pod.key());
            asking.push(async move {
                let deadline = Within::from(link.limits().pd);
                let mut view = pd::ask(link, &pod, owner.as_ref()).await;
                // Of one pod only: etcd's leader, or where it runs elsewhere the first.
                if pd::leads(&pod, &view, all.iter()) == Some(true) && (first || pd::is_leader(&view)) {
                    pd::add_health(link, &pod, owner.as_ref(), &mut view, deadline).await;
                }
                (pod, view)
            });
        }
        let next = due.values().map(|(_, at)| *at).filter(|at| *at > instant).min();
        let mut until = next.unwrap_or(instant + LONGEST).min(instant + LONGEST);
        if patient {
            until = until.min(begun + OWNERLESS);
        }
        tokio::select! {
            Some((pod, view)) = asking.next() => {
                let key = pod.key();
                busy.remove(&key);
                // Only of the pod that is still there: Fleet drops views of pods that are gone.
                let current = state(shared).pods.get(&key).is_some_and(|now| now.metadata.uid == pod.metadata.uid);
                due.insert(key.clone(), (pod.metadata.uid, tokio::time::Instant::now() + every));
                if current {
                    context.say(What::Pd { pod: key, view: Box::new(view) }).await?;
                }
            }
            () = tokio::time::sleep_until(until) => {}
            () = news.notified() => {}
            woken = context.wake.changed() => match woken {
                Ok(()) => due.clear(),
                Err(_) => return Err(Closed),
            }
        }
    }
}

/// When each pod is to be asked again, by its uid.
type Due = BTreeMap<ObjectKey, (String, tokio::time::Instant)>;

/// A pod, and the TidbCluster that it belongs to.
type Turn = (Pod, Option<TidbCluster>);

/// The pods whose turn it is, those that wait for longest first, and all of them where any is.
fn turn(
    state: &State,
    busy: &BTreeSet<ObjectKey>,
    due: &mut Due,
    now: tokio::time::Instant,
    room: usize,
    patient: bool,
) -> (Vec<Turn>, Arc<Vec<Pod>>) {
    due.retain(|key, (uid, _)| state.pods.get(key).is_some_and(|pod| pod.metadata.uid == *uid));
    let since = |pod: &Pod| due.get(&pod.key()).map(|(_, at)| *at);
    let mut ready: Vec<&Pod> = state.pods.values().filter(|pod| !busy.contains(&pod.key())).collect();
    ready.retain(|pod| since(pod).is_none_or(|at| at <= now));
    if patient {
        ready.retain(|pod| pd::owner(pod, state.tidb_clusters.values()).is_some());
    }
    if ready.is_empty() {
        return (Vec::new(), Arc::default());
    }
    ready.sort_by_key(|pod| since(pod));
    ready.truncate(room);
    let ready = ready.into_iter().map(|pod| (pod.clone(), pd::owner(pod, state.tidb_clusters.values()).cloned()));
    (ready.collect(), Arc::new(state.pods.values().cloned().collect()))
}
