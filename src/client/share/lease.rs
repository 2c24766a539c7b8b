//! The short lock of one Database: a Lease in every member KubeCluster, all or none, fenced by `leaseTransitions`.
//!
//! Expiry is judged by what this process saw with its own monotonic clock: a lease that was not renewed for its whole
//! duration while we looked has lapsed; no two clocks are ever compared. There is no unlock. Each write asks
//! [`Lease::confirm`] immediately before it leaves (`permit::WritePermit::still_ours`) and is told until when it may, so
//! that a process which was stopped for a while cannot write over whoever went on. Not here: that arithmetic
//! ([`crate::client::wire::lease_timing`]), the journal beside it ([`crate::client::share::run_record_configmaps`]), whom to let wait (`app::driver`).

mod acquiring;
mod fencing;
pub(in crate::client::share) mod object;
mod renewing;
mod watch_until_free;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::task::JoinHandle;

use self::acquiring::{grab, sentence};
pub use self::fencing::Lately;
use self::object::{holder, holder_identity, name, read};
use self::renewing::{Held, name_of};
use self::watch_until_free::{still_free, until_free};
use crate::client::kube::identity::Identity;
pub use crate::client::wire::lease_timing::Timing;
use crate::client::wire::link::Links;
pub use crate::client::wire::permit::Lost;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::suspend_aware_clock::{Clock, Moment};
use crate::client::wire::user_agent;
use crate::client::write::store_object::{ManagedKind, NotStored, store};

/// Annotations of our leases and run records.
pub(in crate::client) const RUN: &str = "tidepilot/run";
pub(in crate::client) const USER: &str = "tidepilot/user";
pub(in crate::client) const HOST: &str = "tidepilot/host";
const SEAT: &str = "tidepilot/seat";
/// Rounds in which somebody else may be faster.
const ROUNDS: usize = 3;
/// When it is looked whether a lease is there after all.
const LOOKS_MS: [u64; 3] = [0, 300, 1000];

/// Where a lease lies. A list of these is in the order of taking: by `kube-system` UID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub kube_uid: String,
    pub namespace: String,
    pub context: String,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// PD cluster id.
    pub database: String,
    pub run: String,
    pub places: Vec<Place>,
    /// Leases under other names that are taken with them, all or none.
    pub also: Vec<(Place, String)>,
    /// Leases under which others may be at work on the same Database, by the name that they knew for it: watched before
    /// ours are taken, and looked at once more after. Whoever does the same on the other side is seen, or sees us.
    pub beside: Vec<(Place, String)>,
    pub who: Identity,
    /// Names the locked journal file; a lease with the same seat and run was held by a process that is dead, because
    /// we have its lock now ([`crate::client::journal::Journal::lock_id`]).
    pub lock_id: Option<String>,
    pub timing: Timing,
    pub clock: Clock,
}

impl Wanted {
    /// Every lease that is taken, in that order: the Database's own first.
    fn leases(&self) -> impl Iterator<Item = (&Place, &str)> {
        let own = self.places.iter().map(|place| (place, self.database.as_str()));
        own.chain(self.also.iter().map(|(place, name)| (place, name.as_str())))
    }
}

/// Who has a lease, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub who: Identity,
    pub run: String,
    /// Names the journal file under whose lock it was taken.
    pub lock_id: String,
    /// As the holder's clock had it: for people, never for a decision.
    pub since: String,
    /// The last renewal, by the same clock: whoever looks twice sees whether it moves.
    pub renewed: String,
    /// How long it lives without one, as it says.
    pub duration_s: u64,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (run {}, since {})", self.who, self.run, self.since)
    }
}

/// Why there is no lease. None is held then.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error("{holder} holds the lease of this Database in {context} and renews it; wait for it, there is no unlock")]
    Held { context: String, holder: Box<Holder> },
    #[error("the lease in {context} cannot be had: {why}")]
    Failed { context: String, why: String },
    /// It was asked for, and what became of that is not known.
    #[error(
        "whether the lease in {context} was taken is not known: {why}. If it was, or still is by a request that is on its way, it lapses by \
         itself {duration_s} s after: nobody renews it, and the next run watches it for so long"
    )]
    InDoubt { context: String, why: String, duration_s: u64 },
}

#[derive(Debug)]
struct State {
    object: Value,
    /// When the last renewal that succeeded was begun.
    renewed: Moment,
    taken: Option<String>,
}

/// The leases of one Database, renewed in the background until [`Lease::release`] (or the end of the process).
pub struct Lease {
    links: Links,
    permit: WritePermit,
    timing: Timing,
    clock: Clock,
    held: Vec<Arc<Held>>,
    /// How many of them, from the first, carry the Database's own name.
    own: usize,
    renewing: Mutex<Vec<JoinHandle<()>>>,
    /// When the last confirmation that succeeded was begun.
    confirmed: Mutex<Option<Moment>>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop_renewing();
    }
}

impl Lease {
    /// Takes all of them or none. One that is held is watched for its whole duration first; `told` hears whom that is
    /// waited for.
    pub async fn take(
        links: &Links,
        permit: &WritePermit,
        wanted: &Wanted,
        told: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Self, NotTaken> {
        let mut last = None;
        for _ in 0..ROUNDS {
            // Watching comes before taking: the first lease would lapse while the last is watched.
            let own = wanted.leases().map(|(place, of)| until_free(links, place, of, wanted, told));
            let others = wanted.beside.iter().map(|(place, of)| until_free(links, place, of, wanted, told));
            let (free, beside) = futures::join!(join_all(own), join_all(others));
            let free = free.into_iter().collect::<Result<Vec<_>, _>>()?;
            let beside = beside.into_iter().collect::<Result<Vec<_>, _>>()?;
            let mut lease = Self::of_nothing_yet(links, permit, wanted);
            match lease.grab_all(wanted, free).await? {
                None => {
                    if let Err(not_taken) = still_free(links, wanted, &beside).await {
                        lease.release().await;
                        return Err(not_taken);
                    }
                    for held in &lease.held {
                        let (context, fence) = (&held.place.context, held.fence);
                        tracing::info!(context, fence, run = wanted.run, "lease taken");
                    }
                    lease.renew();
                    return Ok(lease);
                }
                Some((context, not_stored)) => {
                    lease.release().await;
                    let retry = not_stored.conflict();
                    last = Some(NotTaken::Failed { context, why: sentence(&not_stored) });
                    if !retry {
                        break;
                    }
                    // Two that collide must not do so again in step.
                    tokio::time::sleep(Duration::from_millis(rand::random_range(50..400))).await;
                }
            }
        }
        let nowhere = || NotTaken::Failed { context: String::new(), why: "no place to take it in".into() };
        Err(last.unwrap_or_else(nowhere))
    }

    fn of_nothing_yet(links: &Links, permit: &WritePermit, wanted: &Wanted) -> Self {
        Self {
            links: links.clone(),
            permit: permit.clone(),
            timing: wanted.timing,
            clock: wanted.clock.clone(),
            held: Vec::new(),
            own: wanted.places.len(),
            renewing: Mutex::default(),
            confirmed: Mutex::default(),
        }
    }

    /// Takes one after the other, and stops at the first that cannot be had: where, and why. `free`: each as it was seen.
    async fn grab_all(
        &mut self,
        wanted: &Wanted,
        free: Vec<Option<Value>>,
    ) -> Result<Option<(String, NotStored)>, NotTaken> {
        for ((place, of), current) in wanted.leases().zip(free) {
            match grab(&self.links, &self.permit, place, of, wanted, current).await {
                Ok(held) => self.held.push(Arc::new(held)),
                Err(not_stored) if not_stored.in_doubt() => {
                    self.release().await;
                    let (context, why) = (place.context.clone(), sentence(&not_stored));
                    return Err(NotTaken::InDoubt { context, why, duration_s: wanted.timing.duration_s });
                }
                Err(not_stored) => return Ok(Some((place.context.clone(), not_stored))),
            }
        }
        Ok(None)
    }

    /// The fences under the Database's own name, in the order of taking: context, namespace, `leaseTransitions`.
    pub fn fences(&self) -> impl Iterator<Item = (&Place, u64)> {
        self.held.iter().take(self.own).map(|held| (&held.place, held.fence))
    }

    /// Gives them back in reverse order. What cannot be given back lapses by itself.
    pub async fn release(&self) {
        self.stop_renewing();
        tracing::info!(leases = self.held.len(), "leases given back");
        for held in self.held.iter().rev() {
            let Ok(link) = self.links.need(&held.place.context) else { continue };
            let mut again = true;
            while let Ok(Some(mut object)) = read(link, &held.place, &name_of(held)).await {
                if held.compare(Some(&object)).is_err() {
                    break;
                }
                if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                    spec.shift_remove("holderIdentity");
                }
                let given = store(link, &self.permit, ManagedKind::Lease, &object, self.timing.renew_every()).await;
                // A renewal that was under way when it was stopped may have come in between, or the answer is lost.
                if given.is_ok() || !std::mem::take(&mut again) {
                    break;
                }
            }
        }
    }

    fn stop_renewing(&self) {
        for task in self.renewing.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }

    fn renew(&self) {
        let tasks = self.held.iter().map(|held| {
            let (held, links, permit) = (Arc::clone(held), self.links.clone(), self.permit.clone());
            let (timing, clock) = (self.timing, self.clock.clone());
            tokio::spawn(user_agent::inherited(async move { held.keep(&links, &permit, timing, &clock).await }))
        });
        self.renewing.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }
}

/// Who holds the lease of a Database in one place now; `None`: nobody. `Err`: it could not be read.
pub async fn held_by(links: &Links, place: &Place, database: &str) -> Result<Option<Holder>, String> {
    let link = links.need(&place.context)?;
    let found = read(link, place, &name(database)).await.map_err(|trouble| trouble.sentence)?;
    Ok(found.filter(|found| holder_identity(found).is_some()).map(|found| holder(&found)))
}

#[cfg(test)]
mod tests {
    use super::watch_until_free::left_behind;
    use serde_json::json;

    use super::*;

    fn wanted(run: &str, lock_id: Option<&str>) -> Wanted {
        Wanted {
            database: "7".into(),
            run: run.into(),
            places: Vec::new(),
            also: Vec::new(),
            beside: Vec::new(),
            who: Identity::default(),
            lock_id: lock_id.map(Into::into),
            timing: Timing::of_seconds(30),
            clock: Clock::default(),
        }
    }

    fn lease(holder: &str, fence: u64) -> Value {
        json!({
            "metadata": {"name": "tidepilot-7", "annotations": {RUN: "r", SEAT: "s", USER: "ann", HOST: "box"}},
            "spec": {"holderIdentity": holder, "leaseTransitions": fence, "acquireTime": "t"},
        })
    }

    #[test]
    fn only_the_same_run_from_the_same_locked_file_is_known_to_be_dead() {
        let held = lease("ann/r/1", 1);
        assert!(left_behind(&held, &wanted("r", Some("s"))));
        for other in [wanted("r", None), wanted("r", Some("")), wanted("r", Some("x")), wanted("q", Some("s"))] {
            assert!(!left_behind(&held, &other), "{other:?}");
        }
        let mut bare = held;
        bare["metadata"]["annotations"][SEAT] = json!("");
        assert!(!left_behind(&bare, &wanted("r", Some(""))));
    }

    #[test]
    fn a_lease_is_ours_only_with_our_name_and_our_fence() {
        let place = Place { kube_uid: "u".into(), namespace: "n".into(), context: "east".into() };
        let renewed = Clock::default().moment();
        let state = Mutex::new(State { object: lease("ann/r/1", 3), renewed, taken: None });
        let ours = Held { place, holder: "ann/r/1".into(), fence: 3, state };
        assert!(ours.compare(Some(&lease("ann/r/1", 3))).is_ok());
        let cases = [
            (Some(lease("ann/r/1", 4)), "ann on box (run r, since t) has it (fencing token 4, ours was 3)"),
            (Some(lease("ann/r/2", 3)), "has it (fencing token 3"),
            (Some(lease("", 3)), "nobody has it"),
            (None, "it was deleted"),
        ];
        for (found, text) in cases {
            let lost = ours.compare(found.as_ref()).expect_err("not ours");
            assert!(matches!(lost, Lost::Taken { .. }) && lost.to_string().contains(text), "{lost}");
        }
    }
}
