//! PD's new leader has heard of no store yet: for some seconds it calls them Disconnected, and nothing is wrong with them.
//!
//! Measured: until the next heartbeat of each store, 10 s at the most (`docs/evidence.md`, `stores-up`). A run looks again by
//! itself (`client::pd::election_wait`); here the time of the change is kept. Not here: what a run explains (`runbook::run::open_run_status`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::App;
use crate::fleet::ObjectRef;
use crate::fleet::database::Database;
use crate::fleet::pd::{MemberId, PdView};
use crate::fleet::problem::{Problem, ProblemKind};
use crate::fleet::problem_subject::SubjectKind;
use crate::hazards::{Finding, says};

/// A heartbeat, and the look that sees it.
const SETTLES: SignedDuration = SignedDuration::from_secs(15);

/// Whom each pod names as PD's leader, and which change of it is the last one of each PD cluster.
///
/// By pod: where two leaders stand for one cluster, each of its pods names its own all the time, and nothing has changed.
#[derive(Debug, Default)]
pub(super) struct Leads {
    named: BTreeMap<ObjectRef, (u64, MemberId)>,
    changed: BTreeMap<u64, Changed>,
    /// Stores that PD did not call Up when it last told of them under a leader that had time to hear of them.
    away: BTreeMap<u64, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Changed {
    leader: MemberId,
    at: Timestamp,
    /// Until a tick finds that the time is over: what is counted and kept in between stays right.
    settling: bool,
}

impl Leads {
    /// What a PD pod says of its leader and of its stores.
    pub fn note(&mut self, pod: ObjectRef, view: &PdView) {
        let Ok(answer) = &view.answer else { return };
        let (Some(cluster), Some(leader)) = (answer.cluster_id, answer.leader) else { return };
        let before = self.named.insert(pod, (cluster, leader));
        let other = before.is_some_and(|(of, known)| of == cluster && known != leader);
        // The other pods name it some looks later: the change is that of the first one.
        let known = self.changed.get(&cluster).is_some_and(|last| last.leader == leader);
        if other && !known {
            self.changed.insert(cluster, Changed { leader, at: view.at, settling: true });
        } else if !answer.stores.is_empty() && !self.is_new(cluster) {
            let away = answer.stores.iter().filter(|store| !store.is_up()).map(|store| store.id);
            self.away.insert(cluster, away.collect());
        }
    }

    fn is_new(&self, cluster: u64) -> bool {
        self.changed.get(&cluster).is_some_and(|last| last.settling)
    }

    /// Whether the leader before did not call it Up either: with such a store something is wrong.
    fn was_away(&self, cluster: u64, store: u64) -> bool {
        self.away.get(&cluster).is_some_and(|away| away.contains(&store))
    }

    /// Whether the time of a change has ended since this was asked before.
    pub fn ended(&mut self, now: Timestamp) -> bool {
        let mut ended = false;
        for last in self.changed.values_mut().filter(|last| now.duration_since(last.at) >= SETTLES) {
            ended |= std::mem::take(&mut last.settling);
        }
        ended
    }
}

impl App {
    /// Why a problem goes by itself within seconds, where it does.
    pub fn settling(&self, database: &Database, problem: &Problem) -> Option<&'static str> {
        let id: u64 = database.id.as_deref()?.parse().ok()?;
        let new = self.leads.is_new(id);
        let silent = |name: &str| {
            let of = database.stores.iter().find(|row| row.store.id.to_string() == name);
            of.is_some_and(|row| row.store.is_silent() && !self.leads.was_away(id, row.store.id))
        };
        let mut stores = problem.about.iter().filter(|about| about.kind == SubjectKind::Store);
        (new && problem.kind == ProblemKind::StoreNotUp && stores.all(|store| silent(&store.name)))
            .then_some("expected: PD's leader has changed, and has not heard of it yet")
    }

    /// Notes which findings say nothing but what settles, and what a run accounts for beside it.
    pub(super) fn settle(&self, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|finding| finding.expected.is_none()) {
            let database = self.databases().iter().find(|database| finding.database.as_ref() == Some(&database.name));
            let Some(database) = database else { continue };
            let said = || database.problems.iter().filter(|problem| says(finding, problem));
            let why = said().find_map(|problem| self.settling(database, problem));
            if why.is_some() && said().all(|problem| self.expected(database, problem).is_some()) {
                finding.expected = why.map(str::to_owned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::pd::PdAnswer;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// At this second a pod names this leader.
    fn names(leads: &mut Leads, at: i64, pod: &str, leader: u64) {
        let answer = PdAnswer { cluster_id: Some(7), leader: Some(MemberId(leader)), ..PdAnswer::default() };
        leads.note(ObjectRef::new("east", "db", pod), &PdView { at: second(at), answer: Ok(answer) });
    }

    /// Whether its leader is new after the tick of this second.
    fn new(leads: &mut Leads, at: i64) -> bool {
        leads.ended(second(at));
        leads.is_new(7)
    }

    #[test]
    fn two_leaders_that_stand_for_one_cluster_are_no_change() {
        let mut leads = Leads::default();
        for at in (0..300).step_by(3) {
            names(&mut leads, at, "pd-0", 1);
            // The pods of the other side are asked once a minute.
            if at % 60 == 0 {
                names(&mut leads, at, "pd-1", 2);
            }
            assert!(!new(&mut leads, at), "at {at} s");
        }
        names(&mut leads, 300, "pd-0", 2);
        assert!(new(&mut leads, 314) && !new(&mut leads, 315));
    }

    #[test]
    fn a_change_is_one_however_late_the_other_pods_name_it_and_back_again_is_another() {
        let mut leads = Leads::default();
        for pod in ["pd-0", "pd-1"] {
            names(&mut leads, 0, pod, 1);
        }
        names(&mut leads, 10, "pd-0", 2);
        names(&mut leads, 20, "pd-1", 2);
        assert!(new(&mut leads, 24) && !new(&mut leads, 25));
        names(&mut leads, 30, "pd-0", 1);
        assert!(new(&mut leads, 44));
        assert!(!leads.is_new(8), "another cluster");
    }

    #[test]
    fn the_end_of_it_is_told_once() {
        let mut leads = Leads::default();
        names(&mut leads, 0, "pd-0", 1);
        names(&mut leads, 10, "pd-0", 2);
        assert_eq!([24, 25, 26].map(|at| leads.ended(second(at))), [false, true, false]);
    }
}
