//! How a run comes under its lease: who is there already, and which copy of the journal counts.
//!
//! Not here: where the leases lie ([`super::lease_scope`]), the lease itself (`client::share::lease`), writing under it
//! ([`super::run_journal`]), the run's steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::lease_scope::Ground;
use super::local_runs::replay;
use super::run_journal::Shared;
use super::{Driver, RunChannels, end, journal_reconcile, now, tell};
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::journal::{Journal, LedgerError};
use crate::client::kube::identity::{Identity, Named};
use crate::client::share::find_run_records;
use crate::client::share::lease::{self, Lately, Lease, NotTaken, Wanted};
use crate::client::share::run_record_configmaps::{self, Head, NotShared, OpenRun};
use crate::client::wire::permit::WritePermit;
use crate::runbook::plan::Plan;
use crate::runbook::run::concurrent_runs;
use crate::runbook::run::identity_source::NamedBy;
use crate::runbook::run::journal_lines::decode;
use crate::runbook::run::open_run_status::last_driver;
use crate::runbook::run::record::{Event, Fence, Record};

/// Why the leases are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquire {
    /// A new run: there must be no other open one.
    New,
    /// The journal of this machine goes on.
    Resume,
    /// The journal in the cluster goes on, wherever it came from.
    Over,
}

/// Why a run may not be driven from here now. Nothing was sent for it.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub code: Exit,
    pub sentence: String,
    /// The run's record may be in the cluster for all that: its journal is kept, so that there is something to go on with.
    pub recorded: bool,
}

fn barred(code: Exit, sentence: impl Into<String>) -> NotStarted {
    NotStarted { code, sentence: sentence.into(), recorded: false }
}

/// Certificates may be issued while another run waits; how that one lets them through is said.
fn let_through(plan: &Plan, barred: NotStarted) -> NotStarted {
    if barred.code != Exit::AnotherRun || !concurrent_runs::only_certificates(plan) {
        return barred;
    }
    let sentence = format!(
        "{}. A run that only waits lets this one through when it is stopped (Ctrl-C there; its record stays): then run this, and \
         go on with it by `tidepilot runs resume`",
        barred.sentence
    );
    NotStarted { sentence, ..barred }
}

/// What the run's record in the cluster says of it.
fn head(plan: &Plan, run: &str, database: &str, who: &Identity, opened: String) -> Head {
    Head {
        run: run.to_owned(),
        runbook: plan.runbook.clone(),
        target: plan.target.to_string(),
        database: database.to_owned(),
        user: who.user.clone(),
        host: who.host.clone(),
        opened,
        open: true,
        context: plan.target.context.clone(),
        namespace: plan.target.namespace.clone(),
        opener: String::new(),
        written: None,
        object: run_record_configmaps::head_name(run),
    }
}

fn leased(lease: &Lease, database: String, who: &Identity, named_by: NamedBy) -> Event {
    let fences = lease.fences().map(|(place, fence)| Fence {
        context: place.context.clone(),
        namespace: place.namespace.clone(),
        fence,
    });
    Event::Leased {
        database,
        by: who.to_string(),
        user: Some(who.user.clone()),
        named_by: Some(named_by),
        fences: fences.collect(),
    }
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
        taking: Acquire,
        channels: &RunChannels,
    ) -> Result<Option<Guarded>, NotStarted> {
        if self.local_only {
            return Ok(None);
        }
        let text = journal.text().map_err(|error| barred(Exit::Refused, error.to_string()))?;
        let records = decode(&text).map(|parsed| parsed.records).unwrap_or_default();
        let ground = self.ground_unless_stopped(plan, &records, channels).await?;
        let Ground { database, places, also, beside, .. } = ground.clone();
        let contexts: BTreeSet<&String> = places.iter().map(|place| &place.context).chain(&plan.contexts).collect();
        let permit = WritePermit::for_run(&self.links, run, contexts).map_err(|why| barred(Exit::Refused, why))?;
        let Named { who, by: named_by, .. } = match self.links.get(&plan.target.context) {
            Some(link) => self.placed(Identity::ask_named(link).await),
            None => return Err(barred(Exit::Refused, format!("no context is called {:?}", plan.target.context))),
        };
        let wanted = Wanted {
            database: database.clone(),
            run: run.to_owned(),
            places,
            also,
            beside,
            who: who.clone(),
            lock_id: journal.lock_id(),
            timing: self.timing,
            clock: self.witness.clone(),
        };
        let lease = match self.take(&permit, &wanted, channels).await {
            Ok(lease) => Arc::new(lease),
            Err(barred) => return Err(let_through(plan, barred)),
        };
        let opened = records.first().map_or_else(now, |record| record.at).to_string();
        let head = head(plan, run, &database, &who, opened);
        let permit = permit.under(Arc::new(Lately(Arc::clone(&lease))));
        let joined = async {
            if taking == Acquire::New {
                self.no_other_run(plan, run, &ground).await?;
            }
            self.join(permit, head, journal, taking).await
        };
        match joined.await {
            Ok(record) => {
                let leased = leased(&lease, database, &who, named_by);
                Ok(Some(Guarded { shared: Shared { lease, record }, leased, who: who.to_string() }))
            }
            Err(barred) => {
                lease.release().await;
                Err(barred)
            }
        }
    }

    /// A cluster that does not answer must not hold up whoever wants to stop.
    async fn ground_unless_stopped(
        &self,
        plan: &Plan,
        records: &[Record],
        channels: &RunChannels,
    ) -> Result<Ground, NotStarted> {
        let mut stop = channels.stop.clone();
        let placed = tokio::select! {
            placed = self.ground(plan, records) => placed,
            _ = stop.wait_for(|stop| *stop) => Err("stopped because you asked for it; nothing was sent".to_owned()),
        };
        placed.map_err(|why| barred(Exit::Refused, why))
    }

    /// Who is at work on the plan's Database now, or has left a run there that keeps this one out; one sentence. As far as
    /// can be seen; takes nothing.
    pub(super) async fn somebody(&self, plan: &Plan) -> Option<String> {
        if self.local_only {
            return None;
        }
        let ground = self.ground(plan, &[]).await.ok()?;
        // A run says more of itself than its lease.
        if let Err(NotStarted { code: Exit::AnotherRun, sentence, .. }) = self.no_other_run(plan, "", &ground).await {
            return Some(sentence);
        }
        let own = ground.places.iter().map(|place| (place, &ground.database));
        let others = ground.also.iter().chain(&ground.beside).map(|(place, name)| (place, name));
        for (place, database) in own.chain(others) {
            if let Ok(Some(holder)) = lease::held_by(&self.links, place, database).await {
                return Some(format!("{holder} holds the lease of this Database"));
            }
        }
        None
    }

    async fn take(&self, permit: &WritePermit, wanted: &Wanted, channels: &RunChannels) -> Result<Lease, NotStarted> {
        let news = channels.news.clone();
        let told = move |sentence: String| drop(news.try_send(RunMessage::Waiting(sentence)));
        let mut stop = channels.stop.clone();
        let taken = tokio::select! {
            taken = Lease::take(&self.links, permit, wanted, &told) => taken,
            // Whoever asked has gone, or asks to stop: nothing was sent, and a lease that is half taken lapses.
            _ = stop.wait_for(|stop| *stop) => {
                return Err(barred(Exit::Refused, "stopped on request while waiting for the lease; nothing was sent"));
            }
        };
        taken.map_err(|not_taken| {
            let code = if matches!(not_taken, NotTaken::Held { .. }) { Exit::AnotherRun } else { Exit::Refused };
            let sent = match not_taken {
                NotTaken::InDoubt { .. } => "nothing else was sent",
                NotTaken::Held { .. } | NotTaken::Failed { .. } => "nothing was sent",
            };
            barred(code, format!("{not_taken}; {sent}"))
        })
    }

    /// The lease is free, yet a run may be open: one that has sent something keeps every other out, one that has sent
    /// nothing the same runbook on the same TidbCluster. One that waits for what this plan cures lets it through.
    async fn no_other_run(&self, plan: &Plan, run: &str, ground: &Ground) -> Result<(), NotStarted> {
        let cannot = |why: String| barred(Exit::Refused, format!("cannot tell whether another run is open: {why}"));
        let others = find_run_records::open_in(&self.links, &ground.places).await.map_err(cannot)?;
        for other in others.into_iter().filter(|head| head.run != run && ground.owns(head)) {
            let lines = run_record_configmaps::read(&self.links, &other).await.map_err(cannot)?;
            // One that only waits for what this plan cures lets it through.
            let records = decode(&lines).map(|parsed| parsed.records).unwrap_or_default();
            if replay(&records, self.lang()).is_ok_and(|open| concurrent_runs::passes(plan, &open)) {
                continue;
            }
            let same = other.name() == plan.target.name && other.namespace == plan.target.namespace;
            let standing = self.standing_of(&other, &lines).await;
            if standing.keeps_out(&plan.runbook, same) {
                return Err(barred(Exit::AnotherRun, standing.refusal()));
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
        taking: Acquire,
    ) -> Result<OpenRun, NotStarted> {
        let refused = |why: String| barred(Exit::Refused, format!("{why}; nothing was sent"));
        let file = |error: LedgerError| refused(error.to_string());
        let id = head.run.clone();
        let own = head.clone();
        let mut record = OpenRun::open(&self.links, permit, head).await.map_err(|why| refused(why.to_string()))?;
        let there = record.text();
        if taking == Acquire::Over {
            journal.extend(&there).map_err(file)?;
        }
        let here = journal.text().map_err(file)?;
        let Some(more) = here.strip_prefix(there.as_str()) else {
            let found = self.head_of(own).await;
            let bad = journal_reconcile::whole(&found, &there, self.lang())
                .err()
                .or_else(|| journal_reconcile::another_run(&found, &here, &there));
            if let Some(bad) = bad {
                return Err(refused(bad.refusal(true)));
            }
            let sentence = format!(
                "run {id} was continued from another place since; `tidepilot runs take-over {id}` fetches its journal and continues"
            );
            return Err(barred(Exit::AnotherRun, sentence));
        };
        record.add(more);
        let stored = match record.seal().await {
            Ok(()) => record.flush().await,
            Err(why) => Err(why),
        };
        match stored {
            Ok(()) => Ok(record),
            Err(why) if taking == Acquire::New && record.may_be_there() => {
                let sentence = format!(
                    "{why}. Whether it is there is not known; nothing else was sent. `tidepilot runs resume {id}` looks again and goes on, \
                     `tidepilot runs abandon {id} --reason TEXT` ends it"
                );
                Err(NotStarted { recorded: true, ..barred(Exit::Refused, sentence) })
            }
            Err(NotShared::Taken(why)) => Err(barred(Exit::AnotherRun, format!("{why}; nothing was sent"))),
            Err(why) => Err(refused(why.to_string())),
        }
    }

    /// The head as it lies in the cluster, with who wrote it; `own`: as we would write it.
    async fn head_of(&self, own: Head) -> Head {
        let found = find_run_records::find(&self.links, Some(&own.run)).await.heads;
        found.into_iter().find(|head| head.object == own.object && head.namespace == own.namespace).unwrap_or(own)
    }
}

/// What a person who takes over should know first.
pub(super) async fn introduce(head: &Head, records: &[Record], channels: &RunChannels) {
    let who = last_driver(records).unwrap_or_else(|| head.who().to_string());
    let last = records.last().map_or_else(String::new, |record| record.at.to_string());
    let first =
        format!("run {}: {} on {}, opened {} by {}", head.run, head.runbook, head.target, head.opened, head.who());
    tell(channels, RunMessage::Waiting(first)).await;
    tell(channels, RunMessage::Waiting(format!("its record lies in {}", head.provenance()))).await;
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
    tell(channels, RunMessage::Waiting(format!("last driven by {who}, last record {last}; {intent}"))).await;
}

impl NotStarted {
    pub(super) fn end(self, run: &str) -> RunEnd {
        end(run, self.code, self.sentence)
    }
}
