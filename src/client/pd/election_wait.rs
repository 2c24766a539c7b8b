//! Looks again while what was seen is known to pass by itself: PD between two leaders, and stores that the new one has not
//! heard of yet.
//!
//! Whoever advises or refuses on a look takes it here; whoever only shows what there is does not wait (`status`). Bounded by
//! `limits.election` and `limits.store_heartbeat`. Not here: what passes ([`crate::fleet::pd_leader_state`]).

use std::time::Duration;

use tokio::time::Instant;

use crate::client::kube::snapshot::assemble;
use crate::client::wire::link::Links;
use crate::fleet::Fleet;
use crate::fleet::closer_look::Extras;
use crate::fleet::database::{Database, databases};

const PAUSE: Duration = Duration::from_secs(1);

/// What is looked at again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    Leader,
    Stores,
}

fn passing(fleet: &Fleet, database: &Database) -> Option<Passing> {
    if database.lead.passes() {
        return Some(Passing::Leader);
    }
    // As PD says, and as the operator, which asks PD a little later, has it in the status.
    let written = database.tidb_clusters.iter().filter_map(|of| fleet.tidb_cluster(of)).any(|tc| {
        let stores = tc.status.tikv.stores.values().chain(tc.status.tiflash.stores.values());
        stores.into_iter().any(|store| store.state == "Disconnected")
    });
    let told = database.stores.iter().any(|row| row.store.is_silent());
    (told || written).then_some(Passing::Stores)
}

impl Links {
    /// A closer look at all contexts, taken again while a Database for which `about` holds is in such a state.
    pub async fn look_settled(&self, extras: &Extras, about: impl Fn(&Database) -> bool) -> Fleet {
        let start = Instant::now();
        // Counted from the last moment without a leader: its stores are heard of only after it.
        let mut led = start;
        let mut told = false;
        loop {
            let fleet = assemble(self.look_closer(None, extras).await);
            let all = databases(&fleet);
            let states: Vec<Passing> = all.iter().filter(|db| about(db)).filter_map(|db| passing(&fleet, db)).collect();
            let limits = self.iter().next().map(|link| link.limits().clone());
            let (Some(limits), false) = (limits, states.is_empty()) else { return fleet };
            let now = Instant::now();
            let again = match states.contains(&Passing::Leader) {
                true => {
                    led = now;
                    now - start < limits.election
                }
                false => now - led < limits.store_heartbeat,
            };
            if !again {
                return fleet;
            }
            if let Some(notice) = self.notice().filter(|_| !std::mem::replace(&mut told, true)) {
                let what = match states.contains(&Passing::Leader) {
                    true => format!(
                        "PD has no leader at the moment; looking again for up to {} s",
                        limits.election.as_secs()
                    ),
                    false => format!(
                        "some stores are Disconnected, as after a change of PD's leader; looking again for up to {} s",
                        limits.store_heartbeat.as_secs()
                    ),
                };
                notice(&what);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
