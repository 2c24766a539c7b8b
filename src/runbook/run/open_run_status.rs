//! Is something half done here, whose is it, where does it wait, and what next: one answer for every face.
//!
//! A [`Standing`] is made from a run's records (of this machine or of the cluster) and from who was seen to drive it.
//! Header, problems, `status`, `check`, `diagnose`, `runs list` and what `run` refuses with all say what stands here.
//! Pure. Not here: reading journals, records and leases (`app::driver::open_runs`).

mod current_wait;
mod expected_problems;
pub mod unreadable_record;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

pub use self::current_wait::{Part, gate_anew};
use self::current_wait::{answers, first_sent, moves, named, waits};
pub use self::expected_problems::{explained, into_diagnosis, into_findings, unexplained};
use self::unreadable_record::BadRecord;
use crate::fleet::database::Database;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::run::gone_or_overwritten::{gone_sentence, missing};
use crate::runbook::run::record::{Cause, Event, Record};
use crate::runbook::run::view::{ResolutionOffer, Shown};

/// Whether a process drives a run now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "is", content = "who", rename_all = "kebab-case")]
pub enum Drives {
    /// A process of this machine has its journal locked.
    Here,
    /// Its lease is held. One look does not tell whether it is still renewed.
    Holds(String),
    /// Its lease is held by a process that is gone or stopped.
    Gone(String),
    Nobody,
    #[default]
    NotKnown,
}

/// A second person is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaiting {
    /// With its item.
    pub step: String,
    pub gate: String,
    pub attempt: u32,
    /// Since when, by the clock of whoever drove it.
    pub since: Timestamp,
    pub confirmed_by: String,
    /// The command of the second person.
    pub approve: String,
    /// The hash that tells this question from any other.
    #[serde(skip)]
    pub question: String,
    #[serde(skip)]
    pub turn: Turn,
}

/// Whether a second person who is waited for is the one who looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Who looks was not asked of the cluster, or it did not say.
    #[default]
    NotKnown,
    Yours,
    /// Why not; the end of a sentence that begins with "not by you:".
    Not(String),
}

impl Awaiting {
    fn of(shown: &Shown) -> Option<Self> {
        let (step, wanted) = shown.run().awaits_approval()?;
        let (since, question) = wanted.asked.clone()?;
        Some(Self {
            step: step.id.clone(),
            approve: wanted.line(),
            gate: wanted.gate,
            attempt: wanted.attempt,
            since,
            question,
            turn: Turn::NotKnown,
            confirmed_by: wanted.confirmed_by.unwrap_or_default(),
        })
    }
}

/// One run as every list shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    pub run: String,
    pub runbook: String,
    /// `CONTEXT/NAMESPACE/NAME`
    pub target: String,
    pub opened: Timestamp,
    /// Of its latest record.
    pub latest: Timestamp,
    /// `open`, `paused: why`, `done`, `nothing to do`, or why the journal cannot be read.
    pub state: String,
    pub open: bool,
    /// Of the way that it goes: the plan's steps, or those of its undo.
    pub completed: usize,
    pub steps: usize,
    /// PD cluster id, where the plan knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Something was sent, or may have been.
    pub sent: bool,
    /// When it sent something for the first time, where that record is known.
    #[serde(skip)]
    pub first_sent: Option<Timestamp>,
    /// Who last drove it, or opened it; empty where nobody noted it.
    pub who: String,
    /// Whose document it is where it is not the shipped one: `fork FILE`, `own runbook FILE`, `UNKNOWN DOCUMENT of USER`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub document: String,
    /// Where its record lies in a cluster, and who wrote it, as far as was seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub record: String,
    /// Its record in a cluster is none that can be gone on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_record: Option<BadRecord>,
    pub drives: Drives,
    /// Its journal is on this machine.
    pub here: bool,
    /// It was continued elsewhere: its record in a cluster has lines that the journal here has not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// Where it waits; empty once it is over.
    pub waits: String,
    /// What a second person is waited for with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Awaiting>,
    /// Command lines that go on with it or end it, the first the likeliest; empty while somebody drives it.
    pub next: Vec<String>,
    /// The TidbClusters of which it restarts something now.
    pub restarts: BTreeSet<String>,
    /// What of them it restarts.
    #[serde(skip)]
    pub part: Part,
    /// The PD pods whose peerURLs it is about to correct: `CONTEXT/NAMESPACE/POD`.
    pub corrects: BTreeSet<String>,
    /// Last renewal of the lease that is held for it, and for how many seconds it is good.
    #[serde(skip)]
    pub renewed: Option<(String, u64)>,
    /// What `next` needs typed or answered.
    #[serde(skip)]
    pub answers: String,
    #[serde(skip)]
    pub offers: Vec<ResolutionOffer>,
    /// The TidbClusters without which it cannot go on.
    #[serde(skip)]
    pub needed: BTreeSet<ObjectRef>,
    /// What it works on is gone or another one: no command goes on with it.
    #[serde(skip)]
    pub dead_end: Option<DeadEnd>,
}

/// Why a run can only be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadEnd {
    /// An object is gone, or is another one under its name.
    Object,
    /// The context leads to another Kubernetes cluster, in which no lease of it lies.
    Cluster,
}

impl DeadEnd {
    fn of(cause: Cause) -> Option<Self> {
        match cause {
            Cause::OtherObject | Cause::OtherDatabase => Some(DeadEnd::Object),
            Cause::OtherCluster => Some(DeadEnd::Cluster),
            Cause::Asked
            | Cause::Foreign
            | Cause::Invariant
            | Cause::Away
            | Cause::StoodStill
            | Cause::TookTooLong
            | Cause::Hopeless
            | Cause::NotTaken
            | Cause::Exhausted
            | Cause::NotByHand
            | Cause::NotRecorded
            | Cause::LeaseUnsure => None,
        }
    }
}

impl Standing {
    /// Of a run's records. `Err`: why they make no run.
    pub fn of(records: &[Record], here: bool, drives: Drives) -> Result<Self, String> {
        let shown = Shown::of(records).map_err(|why| why.to_string())?;
        Ok(Self::shown(&shown, records, here, drives))
    }

    /// The same of a run that is folded already; `records`: the first ones and the latest are enough.
    pub fn shown(shown: &Shown, records: &[Record], here: bool, drives: Drives) -> Self {
        let (run, view) = (shown.run(), shown.view());
        let (completed, steps) = view.count();
        let open = view.outcome.is_none();
        let (restarts, part, corrects) = if open { moves(shown, &view) } else { Default::default() };
        let mut standing = Self {
            run: run.id.clone(),
            runbook: run.plan.runbook.clone(),
            target: run.plan.target.to_string(),
            opened: records.first().map_or(Timestamp::UNIX_EPOCH, |record| record.at),
            latest: records.last().map_or(Timestamp::UNIX_EPOCH, |record| record.at),
            state: match shown.run().awaits_approval() {
                Some((step, _)) if view.paused.is_none() => format!("waits for a second person at {}", step.id),
                Some(_) | None => view.state(),
            },
            open,
            completed,
            steps,
            database: run.plan.database.clone(),
            sent: run.has_written(),
            first_sent: first_sent(records),
            who: last_driver(records).unwrap_or_default(),
            document: run.plan.document.as_ref().map(named).unwrap_or_default(),
            record: String::new(),
            bad_record: None,
            drives: Drives::NotKnown,
            here,
            elsewhere: false,
            waits: if open { waits(shown, &view) } else { String::new() },
            approval: Awaiting::of(shown).filter(|_| open),
            next: Vec::new(),
            restarts,
            part,
            corrects,
            renewed: None,
            answers: answers(shown, &view, here),
            offers: view.offers,
            needed: if open { run.needed() } else { BTreeSet::new() },
            dead_end: run.pause().filter(|_| open).and_then(|pause| DeadEnd::of(pause.cause)),
        };
        standing.driven(drives);
        standing
    }

    /// Of a journal or record that cannot be read: it may be an open run that has sent something.
    pub fn unreadable(run: &str, why: &str, here: bool) -> Self {
        Self { run: run.to_owned(), state: format!("unreadable: {why}"), here, ..Self::default() }
    }

    /// Notes who drives it, and what can be done then.
    pub fn driven(&mut self, drives: Drives) {
        self.drives = drives;
        self.next = self.commands();
    }

    /// Notes that its record in a cluster can be gone on with by nobody.
    pub fn barred_by(&mut self, bad: BadRecord) {
        (self.open, self.bad_record) = (true, Some(bad));
        self.next = self.commands();
    }

    /// Notes that it was continued elsewhere: what is here is not the whole.
    pub fn continued(&mut self) {
        self.elsewhere = true;
        self.waits = format!("was continued elsewhere; as far as is known here it {}", self.waits);
        self.next = self.commands();
    }

    /// Notes that it is over here, and that its record in a cluster does not say so: to resume it says so there.
    pub fn not_closed_there(&mut self) {
        self.open = true;
        self.waits = "is over here, and its record in the cluster does not say so yet".to_owned();
        self.answers = String::new();
        self.offers.clear();
        self.next = self.commands();
    }

    /// A text that has to be typed before it goes on at all.
    pub fn needs(&mut self, text: &str) {
        self.answers = format!(" --confirm {}{}", quote(text), self.answers);
        self.next = self.commands();
    }

    /// Notes what a look at the clusters proves: a run whose TidbCluster is gone is not gone on with, whatever its journal says.
    pub fn seen(&mut self, fleet: &Fleet) {
        let Some(of) = missing(&self.needed, fleet).filter(|_| self.open && self.dead_end.is_none()) else { return };
        self.waits = format!("can never go on: {}", gone_sentence(of, fleet));
        self.dead_end = Some(DeadEnd::Object);
        self.next = self.commands();
    }

    /// Nobody is seen to drive it, so that it stays as it is until somebody does.
    pub fn left(&self) -> bool {
        self.open && matches!(self.drives, Drives::Nobody | Drives::Gone(_))
    }

    /// Who drives it now, for a column; nobody drives what is over.
    pub fn driven_by(&self) -> String {
        match (&self.drives, self.open) {
            (_, false) => "-".to_owned(),
            (Drives::Here, true) => "a process here".to_owned(),
            (Drives::Holds(who), true) => who.clone(),
            (Drives::Gone(who), true) => format!("nobody ({who} is gone)"),
            (Drives::Nobody, true) => "nobody".to_owned(),
            (Drives::NotKnown, true) => "not known".to_owned(),
        }
    }

    /// It waits for the approval of whoever looks.
    pub fn waits_for_you(&self) -> bool {
        self.open && self.approval.as_ref().is_some_and(|approval| approval.turn == Turn::Yours)
    }

    /// Half done, and left so.
    pub fn half_done(&self) -> bool {
        self.left() && self.sent
    }

    /// The approval that comes before everything else: it is given beside whoever drives the run, who is not here.
    fn approves_first(&self) -> Option<&Awaiting> {
        self.approval.as_ref().filter(|_| self.bad_record.is_none() && (!self.here || self.elsewhere))
    }

    fn commands(&self) -> Vec<String> {
        if !self.open || matches!(self.drives, Drives::Here) {
            return Vec::new();
        }
        let Self { run, answers, .. } = self;
        if let Some(bad) = &self.bad_record {
            let resume = self.here.then(|| format!("tidepilot runs resume {run}{answers}"));
            return [bad.removal()].into_iter().chain(resume).collect();
        }
        if !self.here || self.elsewhere {
            let approve = self.approves_first().map(|approval| approval.approve.clone());
            return approve.into_iter().chain([format!("tidepilot runs take-over {run}{answers}")]).collect();
        }
        match self.dead_end {
            Some(DeadEnd::Object) => return vec![format!("tidepilot runs abandon {run} --reason TEXT")],
            Some(DeadEnd::Cluster) => return vec![format!("tidepilot runs abandon {run} --local-only --reason TEXT")],
            None => {}
        }
        let mut all = vec![format!("tidepilot runs resume {run}{answers}")];
        if self.offers.contains(&ResolutionOffer::Undo) {
            all.push(format!("tidepilot runs undo {run} --yes"));
        }
        if !self.sent {
            all.push(format!("tidepilot runs abandon {run} --reason TEXT"));
        }
        all
    }

    /// Whether a new run of this runbook on this TidbCluster has to wait for it; `same`: it is on the same one.
    pub fn keeps_out(&self, runbook: &str, same: bool) -> bool {
        self.open && (self.sent || (same && self.runbook == runbook))
    }

    /// One sentence: what is open, whose, where it waits, who drives it.
    pub fn sentence(&self) -> String {
        let Self { run, runbook, target, opened, waits, .. } = self;
        if let (Some(bad), false) = (&self.bad_record, self.here) {
            return bad.sentence();
        }
        let waits = match &self.bad_record {
            Some(bad) => format!("{waits}; {}", bad.sentence()),
            None => waits.clone(),
        };
        // A question ends in a full stop, this sentence does not yet.
        let waits = waits.trim_end_matches('.');
        let by = if self.who.is_empty() { String::new() } else { format!(" by {}", self.who) };
        let sent = if self.sent { "and has already sent something" } else { "and has sent nothing yet" };
        let drives = match &self.drives {
            Drives::Here => "a process on this machine drives it".to_owned(),
            Drives::Holds(who) => format!("{who} holds its lease"),
            Drives::Gone(who) => format!("the process of {who} that drove it is gone or stopped"),
            Drives::Nobody => "no process drives it".to_owned(),
            Drives::NotKnown => "whether somebody drives it is not known".to_owned(),
        };
        let document = if self.document.is_empty() { String::new() } else { format!(" ({})", self.document) };
        format!("run {run}: {runbook}{document} on {target}{by}, opened {opened}, is open {sent}; it {waits}; {drives}")
    }

    /// The sentence with the command that goes on.
    pub fn refusal(&self) -> String {
        if let Some(bad) = &self.bad_record {
            return bad.refusal(self.here);
        }
        match self.next.as_slice() {
            [] => format!("{}; wait for it, or stop it where it runs", self.sentence()),
            [first, ..] => {
                let held = matches!(self.drives, Drives::Holds(_)) && self.approves_first().is_none();
                let when = if held { ", once no process drives it," } else { "" };
                format!("{}; `{first}`{when} continues it", self.sentence())
            }
        }
    }

    /// What to do first, where another command was going to be proposed for the same Database.
    pub fn first(&self) -> String {
        match self.next.first() {
            Some(next) => format!("run {} is open: {next}", self.run),
            None => format!("run {} is under way: wait for its end", self.run),
        }
    }

    /// Whether it is about this Database.
    pub fn concerns(&self, database: &Database) -> bool {
        let named = self.database.is_some() && self.database == database.id;
        named
            || database
                .tidb_clusters
                .iter()
                .any(|of| of.to_string() == self.target || self.restarts.contains(&of.to_string()))
    }
}

/// Who last took the lease for a run.
pub fn last_driver(records: &[Record]) -> Option<String> {
    records.iter().rev().find_map(|record| match &record.event {
        Event::Leased { by, .. } => Some(by.clone()),
        Event::RunOpened { .. }
        | Event::Resumed { .. }
        | Event::TakenOver { .. }
        | Event::Confirmed { .. }
        | Event::AwaitsApproval { .. }
        | Event::Approved { .. }
        | Event::Intent { .. }
        | Event::Returned { .. }
        | Event::Chosen { .. }
        | Event::Completed { .. }
        | Event::Paused { .. }
        | Event::Closed { .. } => None,
    })
}
