//! The tunnels that are kept open for reading, one per pod; one to a pod that was made anew is dropped.
//! Not here: how many there may be, and which gives way ([`crate::client::wire::link::streams`]).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::client::now;
use crate::client::wire::tunnel::Tunnel;
use crate::fleet::ObjectKey;

/// The tunnels that are kept open for reading, one per pod.
#[derive(Default)]
pub(in crate::client) struct Slots(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    slots: BTreeMap<ObjectKey, Arc<tokio::sync::Mutex<Slot>>>,
    /// When those that nobody asks any more were dropped last.
    swept: Option<jiff::Timestamp>,
}

/// Between two times of dropping what nobody asks any more: of a thousand pods each asking would walk through all.
const SWEEP: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// One pod's place: empty, or a tunnel to the pod with this uid.
#[derive(Default)]
pub(in crate::client) struct Slot {
    pub uid: String,
    pub tunnel: Option<Tunnel>,
    /// Last time anybody used it, and the time before that.
    used: Option<jiff::Timestamp>,
    before: Option<jiff::Timestamp>,
}

impl Slots {
    /// The slot of one pod; a new uid empties it. Slots of pods that nobody asks any more are dropped.
    pub async fn of(&self, pod: &ObjectKey, uid: &str) -> tokio::sync::OwnedMutexGuard<Slot> {
        let slot = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = now();
            if kept.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP) {
                kept.swept = Some(now);
                kept.slots.retain(|key, slot| key == pod || slot.try_lock().map_or(true, |slot| slot.recent()));
            }
            Arc::clone(kept.slots.entry(pod.clone()).or_default())
        };
        let mut slot = slot.lock_owned().await;
        slot.before = slot.used.replace(now());
        if slot.uid != uid || !slot.tunnel.as_ref().is_some_and(Tunnel::usable) {
            slot.uid = uid.to_owned();
            slot.tunnel = None;
        }
        slot
    }
}

impl Slots {
    /// Closes so many of the tunnels that nobody uses just now, the longest unused ones first: a pod that is asked every few
    /// seconds keeps its own. How many there were.
    pub fn let_go(&self, count: usize) -> usize {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = kept.slots.values().filter_map(|slot| slot.try_lock().ok());
        let mut idle: Vec<_> = free.filter(|slot| slot.tunnel.is_some()).collect();
        idle.sort_by_key(|slot| slot.used);
        idle.into_iter().take(count).map(|mut slot| slot.tunnel = None).count()
    }
}

impl Slot {
    /// Whether it was used twice within so long: then it is worth more than one that is used once a minute.
    pub fn is_often_used(&self, within: std::time::Duration) -> bool {
        let often = jiff::SignedDuration::try_from(within).unwrap_or(jiff::SignedDuration::MAX);
        self.before.zip(self.used).is_some_and(|(before, used)| used.duration_since(before) < often)
    }

    fn recent(&self) -> bool {
        // At rest a follower is asked once a minute.
        let idle = jiff::SignedDuration::from_secs(90);
        self.used.is_none_or(|used| now().duration_since(used) < idle)
    }
}
