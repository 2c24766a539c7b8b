//! Looking for what [`crate::runbook::run::open_run_status`] is made of: this machine's journals, the records in the clusters, and who
//! holds the leases. Reads only.
//!
//! Not here: what is made of it, and what a guard does with it ([`super::acquire_lease`]).

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::{Driver, journal_reconcile, local_runs};
use crate::client::assemble;
use crate::client::journal;
use crate::client::share::find_run_records::{self, Dark};
use crate::client::share::lease::{self, Place};
use crate::client::share::orphaned_leases::Orphan;
use crate::client::share::run_record_configmaps::{self, Head};
use crate::fleet::object_kind::Lookup;
use crate::fleet::{Fleet, Freshness};
use crate::runbook::actions::untrusted_plan::told;
use crate::runbook::plan::provenance::Provenance;
use crate::runbook::recorded_text_translation;
use crate::runbook::run::engine::Run;
use crate::runbook::run::engine::StepState;
use crate::runbook::run::gone_or_overwritten;
use crate::runbook::run::open_run_status::{Drives, Standing};
use crate::runbook::run::record::{Choice, Event, Record};

/// How a document that nobody here knows is marked.
const UNKNOWN: &str = "UNKNOWN DOCUMENT";

/// Records of other machines' runs that are read in one look; of more there is only the head.
const MOST_READ: usize = 20;
/// So far two clocks may be apart before a renewal is called old.
const SKEW_S: i64 = 120;

/// Every run that is known, and what could not be looked into, one sentence each.
#[derive(Clone, Debug, Default)]
pub struct OpenWork {
    /// This machine's runs, newest first, then the open ones of others.
    pub runs: Vec<Standing>,
    /// Heads of the open runs that the clusters know.
    pub heads: Vec<Head>,
    pub unseen: Vec<String>,
    /// One sentence for each context of which only the namespaces with TidbClusters were looked into.
    pub narrowed: Vec<String>,
}

impl OpenWork {
    /// Whether no open run can be missing: all of every cluster was looked into.
    pub fn is_whole(&self) -> bool {
        self.unseen.is_empty() && self.narrowed.is_empty()
    }

    pub fn open(&self) -> Vec<Standing> {
        self.runs.iter().filter(|run| run.open).cloned().collect()
    }

    /// Leases that were watched and not renewed: the processes that held them are gone.
    pub fn note_orphans(&mut self, orphans: &[Orphan]) {
        for run in &mut self.runs {
            if let Drives::Holds(who) = run.drives.clone()
                && orphans.iter().any(|orphan| orphan.run == run.run)
            {
                run.driven(Drives::Gone(who));
            }
        }
    }
}

impl Driver {
    /// What is open here and in the clusters. `fleet`: where to look where a whole cluster may not be listed.
    pub async fn open_work(&self, fleet: Option<&Fleet>) -> OpenWork {
        let mut namespaces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (of, _) in fleet.iter().flat_map(|fleet| fleet.tidb_clusters()) {
            namespaces.entry(of.context).or_default().insert(of.namespace);
        }
        let clusters = fleet.iter().flat_map(|fleet| fleet.clusters.values());
        let dark =
            clusters.filter(|cluster| matches!(cluster.freshness, Freshness::Unreachable | Freshness::AuthNeeded));
        let dark: Dark =
            dark.map(|cluster| (cluster.context.clone(), cluster.message.clone().unwrap_or_default())).collect();
        let found = find_run_records::find_in(&self.links, None, &namespaces, &dark).await;
        // Many files, and each is replayed: not on a thread that others wait for.
        let (folder, lang) = (self.runs.clone(), self.lang());
        let read = tokio::task::spawn_blocking(move || local_runs::standings(&folder, lang));
        let mut runs = read.await.unwrap_or_default();
        let mut asked = 0..MOST_READ;
        for run in runs.iter_mut().filter(|run| run.drives != Drives::Here) {
            let head = found.heads.iter().find(|head| head.run == run.run);
            if run.open && head.is_none() && asked.next().is_some() && self.catch_up(&run.run, &dark).await.is_some() {
                let records = journal::read(&self.runs, &run.run).unwrap_or_default();
                if let Ok(ended) =
                    Standing::of(&recorded_text_translation::records(&records, self.lang()), true, Drives::NotKnown)
                {
                    *run = ended;
                }
            }
            if run.open {
                let records = journal::read(&self.runs, &run.run).unwrap_or_default();
                self.note_driver(run, &records).await;
                self.note_document(run, &records).await;
            }
            if let Some(head) = head {
                self.compare(run, head).await;
            }
        }
        let strangers = found.heads.iter().filter(|head| runs.iter().all(|run| run.run != head.run));
        let strangers = strangers.enumerate().map(|(index, head)| async move {
            let lines = match index {
                0..MOST_READ => run_record_configmaps::read(&self.links, head).await.unwrap_or_default(),
                _ => String::new(),
            };
            let mut standing = self.standing_of(head, &lines).await;
            standing.record = head.provenance();
            standing
        });
        let strangers = join_all(strangers).await;
        runs.extend(strangers);
        if let Some(fleet) = fleet {
            runs.iter_mut().for_each(|run| run.seen(fleet));
        }
        OpenWork { runs, heads: found.heads, unseen: found.unseen, narrowed: found.narrowed }
    }

    /// How a run found in a cluster stands. What cannot be read of it may have sent something.
    pub(super) async fn standing_of(&self, head: &Head, lines: &str) -> Standing {
        let here = self.have(&head.run, lines);
        let made = journal_reconcile::whole(head, lines, self.lang()).and_then(|(records, _)| {
            let standing =
                Standing::of(&recorded_text_translation::records(&records, self.lang()), here, Drives::NotKnown);
            standing.map(|standing| (standing, records)).map_err(|why| journal_reconcile::bad(head, why))
        });
        let mut standing = match made {
            Ok((mut standing, records)) => {
                self.note_driver(&mut standing, &records).await;
                self.note_document(&mut standing, &records).await;
                if standing.document.starts_with(UNKNOWN) {
                    // Its journal names whom it likes: the one that counts is who wrote the record.
                    standing.document = format!("{UNKNOWN} of {}", head.who());
                    standing.needs(&format!("document of {}", head.user));
                }
                standing
            }
            Err(bad) => {
                // The journal here may be whole: what is in its record's place is in its way.
                let here = journal::read(&self.runs, &head.run).is_ok();
                let mut standing = Standing {
                    sent: true,
                    runbook: head.runbook.clone(),
                    opened: head.opened.parse().unwrap_or_default(),
                    ..Standing::unreadable(&head.run, &bad.why, here)
                };
                standing.barred_by(bad);
                standing
            }
        };
        // By the name that this session has for the cluster.
        standing.target = format!("{}/{}/{}", head.context, head.namespace, head.name());
        standing.who = head.who().to_string();
        standing
    }

    /// Whether what a run works on is gone with its namespace, in which its lease and its record were.
    pub(super) async fn nothing_left(&self, run: &Run) -> bool {
        let needed = run.needed();
        let contexts: BTreeSet<String> = needed.iter().map(|of| of.context.clone()).collect();
        let mut fleet = assemble(self.links.look(Some(&contexts)).await);
        let Some(namespace) = gone_or_overwritten::missing(&needed, &fleet).map(gone_or_overwritten::namespace_of)
        else {
            return false;
        };
        self.add_objects(&mut fleet, &BTreeSet::from([namespace.clone()])).await;
        matches!(fleet.sight(&namespace), Some(Lookup::Absent))
    }

    /// Whose document an open run's plan is: held against the shipped one and those of this machine.
    async fn note_document(&self, run: &mut Standing, records: &[Record]) {
        if let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event).filter(|_| run.open) {
            let (provenance, _) = self.judged(plan).await;
            run.document = provenance.mark(plan).unwrap_or_default();
            if let (Provenance::Foreign { .. }, Ok(open)) = (provenance, local_runs::replay(records, self.lang())) {
                // Its own titles say what its writer likes.
                let next = open.steps().iter().find(|step| !matches!(open.state(&step.id), StepState::Completed(_)));
                run.waits =
                    next.map_or_else(String::new, |step| format!("is before its next step: {}", told(&step.action)));
            }
        }
    }

    /// Notes who drives a run now, by its lease.
    pub(super) async fn note_driver(&self, run: &mut Standing, records: &[Record]) {
        let (drives, renewed) = self.drives(&run.run, records, run.here).await;
        run.renewed = renewed;
        run.driven(drives);
    }

    async fn drives(&self, run: &str, records: &[Record], here: bool) -> (Drives, Option<(String, u64)>) {
        if here && journal::is_locked(&self.runs, run) {
            return (Drives::Here, None);
        }
        let leased = records.iter().rev().find_map(|record| match &record.event {
            Event::Leased { database, fences, .. } => Some((database, fences)),
            _ => None,
        });
        let Some((database, fences)) = leased else { return (Drives::Nobody, None) };
        let lock_id = if here { journal::seat_of(&self.runs, run) } else { None };
        let mut unknown = false;
        for fence in fences {
            let place =
                Place { kube_uid: String::new(), namespace: fence.namespace.clone(), context: fence.context.clone() };
            match lease::held_by(&self.links, &place, database).await {
                Ok(Some(holder)) if holder.run == run => {
                    // The lock of the very file under which it was taken is free: its process is dead. And one that was not
                    // renewed for minutes is no longer, however the clocks differ; this is only told, never acted upon.
                    let dead = lock_id.as_ref() == Some(&holder.lock_id);
                    let who = holder.who.to_string();
                    let drives = if dead || stale(&holder) { Drives::Gone(who) } else { Drives::Holds(who) };
                    return (drives, Some((holder.renewed, holder.duration_s)));
                }
                Ok(_) => {}
                Err(_) => unknown = true,
            }
        }
        (if unknown { Drives::NotKnown } else { Drives::Nobody }, None)
    }
}

/// Whether nothing is sent by this choice where the run can never go on.
pub(super) fn ends(choice: Option<&Event>) -> bool {
    matches!(choice, None | Some(Event::Chosen { choice: Choice::Abandon { .. } }))
}

fn stale(holder: &lease::Holder) -> bool {
    let Ok(renewed) = holder.renewed.parse::<jiff::Timestamp>() else { return false };
    let age = super::now().duration_since(renewed).as_secs();
    age > i64::try_from(holder.duration_s).unwrap_or(i64::MAX).saturating_add(SKEW_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_for_in_some_namespaces_only_is_not_whole() {
        assert!(OpenWork::default().is_whole());
        assert!(!OpenWork { narrowed: vec!["some".into()], ..OpenWork::default() }.is_whole());
        assert!(!OpenWork { unseen: vec!["dark".into()], ..OpenWork::default() }.is_whole());
    }
}
