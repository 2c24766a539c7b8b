//! How a run comes under its lease: where the leases lie, who is there already, and which copy of the journal counts.
//!
//! Not here: the lease itself (`client::lease`), writing under it ([`super::book`]), the run's steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::Shared;
use super::journals::replay;
use super::{Driver, Ears, end, exit, now, tell};
use crate::app::message::{RunEnd, RunMessage};
use crate::client::access::WritePermit;
use crate::client::identity::Identity;
use crate::client::lease::{self, Holder, Lease, NotTaken, Place, Wanted};
use crate::client::ledger::{Journal, LedgerError};
use crate::client::open_run::{self, Head, OpenRun};
use crate::client::{self};
use crate::fleet::database::database_of;
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::beside;
use crate::runbook::plan::Plan;
use crate::runbook::record::{Event, Fence, Record, decode, line_hash};

/// Why the leases are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// A new run: there must be no other open one.
    New,
    /// The journal of this machine goes on.
    Resume,
    /// The journal in the cluster goes on, wherever it came from.
    Over,
}

/// Why a run may not be driven from here now. Nothing was sent for it.
#[derive(Debug)]
pub(super) struct Barred {
    pub code: u8,
    pub sentence: String,
}

fn barred(code: u8, sentence: impl Into<String>) -> Barred {
    Barred { code, sentence: sentence.into() }
}

/// A run under its lease.
pub(super) struct Guarded {
    pub shared: Shared,
    /// To be the next record.
    pub leased: Event,
    pub who: String,
}

impl Driver {
    /// Takes the leases of the plan's Database and brings the two copies of the journal together. `None` with
    /// `--local-only`.
    pub(super) async fn guard(
        &self,
        plan: &Plan,
        run: &str,
        journal: &mut Journal,
        taking: Taking,
        ears: &Ears,
    ) -> Result<Option<Guarded>, Barred> {
        if self.local_only {
            return Ok(None);
        }
        let text = journal.text().map_err(|error| barred(exit::REFUSED, error.to_string()))?;
        let records = decode(&text).map(|parsed| parsed.records).unwrap_or_default();
        let mut stop = ears.stop.clone();
        let placed = tokio::select! {
            placed = self.places(plan, &records) => placed,
            // A cluster that does not answer must not hold up whoever wants to stop.
            _ = stop.wait_for(|stop| *stop) => Err("stopped because you asked for it; nothing was sent".to_owned()),
        };
        let (database, places) = placed.map_err(|why| barred(exit::REFUSED, why))?;
        let contexts: BTreeSet<&String> = places.iter().map(|place| &place.context).chain(&plan.contexts).collect();
        let permit = WritePermit::for_run(&self.links, run, contexts).map_err(|why| barred(exit::REFUSED, why))?;
        let who = match self.links.get(&plan.target.context) {
            Some(link) => Identity::ask(link).await,
            None => return Err(barred(exit::REFUSED, format!("no context is called {:?}", plan.target.context))),
        };
        let wanted = Wanted {
            database: database.clone(),
            run: run.to_owned(),
            places,
            who: who.clone(),
            seat: journal.seat(),
            timing: self.timing,
        };
        let lease = match self.take(&permit, &wanted, ears).await {
            Ok(lease) => Arc::new(lease),
            Err(barred) if barred.code == exit::ANOTHER_RUN && beside::only_certificates(plan) => {
                let sentence = format!(
                    "{}. A run that only waits lets this one through when it is stopped (Ctrl-C there; its record stays): then run this, and \
                     go on with it by `tidepilot runs resume`",
                    barred.sentence
                );
                return Err(Barred { sentence, ..barred });
            }
            Err(barred) => return Err(barred),
        };
        let head = Head {
            run: run.to_owned(),
            runbook: plan.runbook.clone(),
            target: plan.target.to_string(),
            database: database.clone(),
            user: who.user.clone(),
            host: who.host.clone(),
            opened: records.first().map_or_else(now, |record| record.at).to_string(),
            open: true,
            context: plan.target.context.clone(),
            namespace: plan.target.namespace.clone(),
        };
        let permit = permit.under(Arc::clone(&lease));
        let joined = async {
            if taking == Taking::New {
                self.no_other_run(&wanted, plan).await?;
            }
            self.join(permit, head, journal, taking).await
        };
        match joined.await {
            Ok(record) => {
                let fences = lease.fences().map(|(place, fence)| Fence {
                    context: place.context.clone(),
                    namespace: place.namespace.clone(),
                    fence,
                });
                let leased = Event::Leased {
                    database,
                    by: who.to_string(),
                    user: Some(who.user.clone()),
                    fences: fences.collect(),
                };
                Ok(Some(Guarded { shared: Shared { lease, record }, leased, who: who.to_string() }))
            }
            Err(barred) => {
                lease.release().await;
                Err(barred)
            }
        }
    }

    /// Who holds a lease of the plan's Database now, as far as can be seen. Takes nothing.
    pub(super) async fn holder(&self, plan: &Plan) -> Option<Holder> {
        if self.local_only {
            return None;
        }
        let (database, places) = self.places(plan, &[]).await.ok()?;
        for place in &places {
            if let Some(holder) = lease::held_by(&self.links, place, &database).await {
                return Some(holder);
            }
        }
        None
    }

    async fn take(&self, permit: &WritePermit, wanted: &Wanted, ears: &Ears) -> Result<Lease, Barred> {
        let news = ears.news.clone();
        let told = move |sentence: String| drop(news.try_send(RunMessage::Waiting(sentence)));
        let mut stop = ears.stop.clone();
        let taken = tokio::select! {
            taken = Lease::take(&self.links, permit, wanted, &told) => taken,
            // Whoever asked has gone, or asks to stop: nothing was sent, and a lease that is half taken lapses.
            _ = stop.wait_for(|stop| *stop) => {
                return Err(barred(exit::REFUSED, "stopped on request while waiting for the lease; nothing was sent"));
            }
        };
        taken.map_err(|not_taken| {
            let code = if matches!(not_taken, NotTaken::Held { .. }) { exit::ANOTHER_RUN } else { exit::REFUSED };
            barred(code, format!("{not_taken}; nothing was sent"))
        })
    }

    /// The lease is free, yet a run that has sent something may be open. One that waits for what this plan cures lets it through.
    async fn no_other_run(&self, wanted: &Wanted, plan: &Plan) -> Result<(), Barred> {
        let cannot = |why: String| barred(exit::REFUSED, format!("cannot tell whether another run is open: {why}"));
        let others = open_run::open_on(&self.links, &wanted.places, &wanted.database).await.map_err(cannot)?;
        for other in others.into_iter().filter(|head| head.run != wanted.run) {
            let lines = open_run::read(&self.links, &other).await.map_err(cannot)?;
            let records = decode(&lines).map(|parsed| parsed.records);
            let open = records.as_ref().ok().and_then(|records| replay(records).ok());
            if open.is_some_and(|open| beside::passes(plan, &open)) {
                continue;
            }
            // What cannot be read may have sent something.
            if records.map_or(true, |records| records.iter().any(|r| matches!(r.event, Event::Intent { .. }))) {
                let sentence = format!(
                    "run {id} on {target} by {who}, opened {opened}, is open and has already sent something; \
                     `tidepilot runs take-over {id}` goes on with it",
                    id = other.run,
                    target = other.target,
                    who = other.who(),
                    opened = other.opened
                );
                return Err(barred(exit::ANOTHER_RUN, sentence));
            }
        }
        Ok(())
    }

    /// Brings file and cluster to the same lines.
    async fn join(
        &self,
        permit: WritePermit,
        head: Head,
        journal: &mut Journal,
        taking: Taking,
    ) -> Result<OpenRun, Barred> {
        let refused = |why: String| barred(exit::REFUSED, format!("{why}; nothing was sent"));
        let file = |error: LedgerError| refused(error.to_string());
        let id = head.run.clone();
        let mut record = OpenRun::open(&self.links, permit, head).await.map_err(|why| refused(why.to_string()))?;
        let there = record.text();
        if taking == Taking::Over {
            journal.extend(&there).map_err(file)?;
        }
        let here = journal.text().map_err(file)?;
        let Some(more) = here.strip_prefix(there.as_str()) else {
            let sentence = format!(
                "run {id} was continued from another place since; `tidepilot runs take-over {id}` fetches its journal and goes on"
            );
            return Err(barred(exit::ANOTHER_RUN, sentence));
        };
        record.add(more);
        let stored = match record.seal().await {
            Ok(()) => record.flush().await,
            Err(why) => Err(why),
        };
        stored.map_err(|why| refused(why.to_string()))?;
        Ok(record)
    }

    /// The Database's id and the places of its leases in the order of taking.
    async fn places(&self, plan: &Plan, records: &[Record]) -> Result<(String, Vec<Place>), String> {
        let contexts: BTreeSet<String> = plan.contexts.iter().cloned().collect();
        let fleet = client::fold(self.links.look(Some(&contexts)).await);
        for (context, uid) in &plan.kube_clusters {
            let found = fleet.clusters.get(context).and_then(|cluster| cluster.uid.as_ref());
            if let Some(found) = found.filter(|found| *found != uid) {
                return Err(format!(
                    "context {context} is another Kubernetes cluster now: expected kube-system uid {uid}, found {found}"
                ));
            }
        }
        let leased = records.iter().rev().find_map(|record| match &record.event {
            Event::Leased { database, fences, .. } => Some((database, fences)),
            _ => None,
        });
        let database = database_of(&fleet, &plan.target);
        let id = database.as_ref().and_then(|database| database.id.clone());
        let leased_id = leased.map(|(id, _)| id.clone());
        // A Database that is not there yet has no id: the place where it is to be keeps two runs apart, and the run
        // keeps the name under which it began.
        let unborn = || {
            let there = fleet.tidb_cluster(&plan.target).is_some_and(|tc| tc.spec.pd.is_some());
            (plan.database.is_none() && !there).then(|| unborn_id(&plan.target))
        };
        let id = match plan.database {
            Some(_) => id.or(leased_id),
            None => leased_id.or(id),
        };
        let id = id.or_else(unborn).ok_or_else(|| {
            let silent = fleet.clusters.get(&plan.target.context).filter(|cluster| !cluster.freshness.is_live());
            if let Some(cluster) = silent {
                let told = cluster.message.as_deref().unwrap_or("no answer");
                return format!("{} does not answer: {told}; nothing was sent", plan.target.context);
            }
            format!(
                "PD's cluster id of {} is not known, so its lease has no name yet; wait until PD answers (or use --local-only)",
                plan.target
            )
        })?;
        let mut all: Vec<(String, String)> = members(&fleet, &plan.target);
        // A member that is out of sight now is still a member.
        all.extend(
            leased.iter().flat_map(|(_, fences)| fences.iter()).map(|f| (f.context.clone(), f.namespace.clone())),
        );
        Ok((id, places(&fleet, plan, all)))
    }
}

/// Fits a label: 63 characters with room for a prefix.
fn unborn_id(of: &ObjectRef) -> String {
    let id = format!("new-{}-{}", of.namespace, of.name);
    match id.len() {
        0..=50 => id,
        _ => format!("{}-{}", &id[..40], &line_hash(&id)[..9]),
    }
}

fn members(fleet: &Fleet, target: &ObjectRef) -> Vec<(String, String)> {
    let all = database_of(fleet, target).map_or_else(|| vec![target.clone()], |database| database.tidb_clusters);
    all.into_iter().map(|of| (of.context, of.namespace)).collect()
}

fn places(fleet: &Fleet, plan: &Plan, all: Vec<(String, String)>) -> Vec<Place> {
    let uid = |context: &String| {
        let seen = fleet.clusters.get(context).and_then(|cluster| cluster.uid.clone());
        // Where the uid may not be read, the name has to do; it sorts behind every uid.
        seen.or_else(|| plan.kube_clusters.get(context).cloned()).unwrap_or_else(|| format!("~{context}"))
    };
    let all = all.into_iter().map(|(context, namespace)| Place { kube_uid: uid(&context), namespace, context });
    let mut places: Vec<Place> = all.collect();
    places.sort();
    // Two contexts may lead to one cluster.
    places.dedup_by(|a, b| (&a.kube_uid, &a.namespace) == (&b.kube_uid, &b.namespace));
    places
}

/// Who last took the lease for a run, by its journal.
pub(super) fn last_driver(records: &[Record]) -> Option<String> {
    records.iter().rev().find_map(|record| match &record.event {
        Event::Leased { by, .. } => Some(by.clone()),
        _ => None,
    })
}

/// What a person who takes over should know first.
pub(super) async fn introduce(head: &Head, records: &[Record], ears: &Ears) {
    let who = last_driver(records).unwrap_or_else(|| head.who().to_string());
    let last = records.last().map_or_else(String::new, |record| record.at.to_string());
    let first =
        format!("run {}: {} on {}, opened {} by {}", head.run, head.runbook, head.target, head.opened, head.who());
    tell(ears, RunMessage::Waiting(first)).await;
    let mut open = None;
    for record in records {
        match &record.event {
            Event::Intent { step, attempt, .. } => open = Some((step, attempt, record.at)),
            Event::Completed { step, .. } if open.is_some_and(|(of, _, _)| of == step) => open = None,
            _ => {}
        }
    }
    let intent = match open {
        Some((step, attempt, at)) => format!("the Intent of {step} (attempt {attempt}, {at}) is open"),
        None => "no Intent is open".to_owned(),
    };
    tell(ears, RunMessage::Waiting(format!("last driven by {who}, last record {last}; {intent}"))).await;
}

impl Barred {
    pub(super) fn end(self, run: &str) -> RunEnd {
        end(run, self.code, self.sentence)
    }
}
