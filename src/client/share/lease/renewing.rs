//! One Lease that is ours: renewed for as long as it is, compared before each write.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::acquiring::sentence;
use super::object::{holder, holder_identity, micro_time, read, transitions};
use super::{Lost, Place, State, Timing};
use crate::client::wire::link::{Link, Links};
use crate::client::wire::permit::WritePermit;
use crate::client::wire::suspend_aware_clock::Clock;
use crate::client::write::store_object::{ManagedKind, store};

/// One lease that we took.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) place: Place,
    pub(super) holder: String,
    pub(super) fence: u64,
    pub(super) state: Mutex<State>,
}

impl Held {
    /// Renews for as long as it is ours.
    pub(super) async fn keep(&self, links: &Links, permit: &WritePermit, timing: Timing, clock: &Clock) {
        let Ok(link) = links.need(&self.place.context) else { return };
        let mut pause = timing.renew_every();
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.renew(link, permit, timing, clock).await {
                Ok(()) => timing.renew_every(),
                Err(Lost::Unsure { .. }) => timing.renew_every() / 5,
                Err(Lost::Taken { now, .. }) => {
                    self.state.lock().unwrap_or_else(PoisonError::into_inner).taken = Some(now);
                    return;
                }
            };
        }
    }

    pub(super) async fn renew(
        &self,
        link: &Link,
        permit: &WritePermit,
        timing: Timing,
        clock: &Clock,
    ) -> Result<(), Lost> {
        let begun = clock.moment();
        let (mut object, renewed) = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.object.clone(), state.renewed)
        };
        // After a pause as long as this somebody may have gone on: look before writing.
        let mut look = clock.since(renewed) > timing.good_for();
        loop {
            if look {
                let found = read(link, &self.place, &name_of(self)).await.map_err(|t| self.unsure(t.sentence))?;
                object = self.compare(found.as_ref())?.clone();
            }
            object["spec"]["renewTime"] = json!(micro_time());
            match store(link, permit, ManagedKind::Lease, &object, timing.renew_every()).await {
                Ok(stored) => {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.object = stored;
                    state.renewed = begun;
                    return Ok(());
                }
                Err(error) if error.conflict() && !look => look = true,
                Err(error) => return Err(self.unsure(sentence(&error))),
            }
        }
    }

    pub(super) fn unsure(&self, why: String) -> Lost {
        Lost::Unsure { context: self.place.context.clone(), why }
    }

    /// Whether this is still our lease.
    pub(super) fn compare<'a>(&self, found: Option<&'a Value>) -> Result<&'a Value, Lost> {
        let taken = |now: String| Lost::Taken { context: self.place.context.clone(), now };
        let found = found.ok_or_else(|| taken("it was deleted".into()))?;
        if holder_identity(found) == Some(self.holder.as_str()) && transitions(found) == self.fence {
            return Ok(found);
        }
        Err(taken(match holder_identity(found) {
            Some(_) => {
                format!("{} has it (fencing token {}, ours was {})", holder(found), transitions(found), self.fence)
            }
            None => format!("nobody has it (fencing token {}, ours was {})", transitions(found), self.fence),
        }))
    }
}

pub(super) fn name_of(held: &Held) -> String {
    let state = held.state.lock().unwrap_or_else(PoisonError::into_inner);
    state.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}
