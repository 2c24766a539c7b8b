//! PD's new leader has heard of no store yet: for some seconds it calls them Disconnected, and nothing is wrong with them.
//!
//! Measured: until the next heartbeat of each store, 10 s at the most (`docs/evidence.md`, `stores-up`). A run looks again by
//! itself (`client::pd::settle`); here the time of the change is kept. Not here: what a run explains (`runbook::run::standing`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::App;
use crate::fleet::database::Database;
use crate::fleet::pd::{MemberId, PdView};
use crate::fleet::problem::{Problem, ProblemKind};

/// A heartbeat, and the look that sees it.
const SETTLES: SignedDuration = SignedDuration::from_secs(15);

/// Who leads each PD cluster, and since when it is known to be another one than before.
#[derive(Debug, Default)]
pub(super) struct Leads(BTreeMap<u64, (MemberId, Option<Timestamp>)>);

impl Leads {
    pub fn note(&mut self, view: &PdView) {
        let Ok(answer) = &view.answer else { return };
        let (Some(cluster), Some(leader)) = (answer.cluster_id, answer.leader) else { return };
        let changed = self.0.get(&cluster).is_some_and(|(known, _)| *known != leader);
        match self.0.get_mut(&cluster) {
            Some(known) if changed => *known = (leader, Some(view.at)),
            Some(_) => {}
            None => {
                self.0.insert(cluster, (leader, None));
            }
        }
    }
}

impl App {
    /// Why a problem goes by itself within seconds, where it does.
    pub fn settling(&self, database: &Database, problem: &Problem) -> Option<&'static str> {
        let id: u64 = database.id.as_deref()?.parse().ok()?;
        let (_, since) = self.leads.0.get(&id)?;
        let new = since.is_some_and(|since| self.now.duration_since(since) < SETTLES);
        let silent = |name: &str| {
            let of = database.stores.iter().find(|row| row.store.id.to_string() == name);
            of.is_some_and(|row| row.store.state == "Disconnected")
        };
        let mut stores = problem.about.iter().filter(|about| about.kind == "store");
        (new && problem.kind == ProblemKind::StoreNotUp && stores.all(|store| silent(&store.name)))
            .then_some("expected: PD's leader has changed, and has not heard of it yet")
    }
}
