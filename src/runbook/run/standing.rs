//! Is something half done here, whose is it, where does it wait, and what next: one answer for every face.
//!
//! A [`Standing`] is made from a run's records (of this machine or of the cluster) and from who was seen to drive it.
//! Header, problems, `status`, `check`, `diagnose`, `runs list` and what `run` refuses with all say what stands here.
//! Pure. Not here: reading journals, records and leases (`app::driver::open_work`).

pub mod bad_record;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use self::bad_record::BadRecord;
use crate::fleet::database::{Database, Member};
use crate::fleet::diagnosis::{Diagnosis, Leftover};
use crate::fleet::problem::{Problem, ProblemKind};
use crate::fleet::subject::Subject;
use crate::fleet::{Fleet, ObjectRef};
use crate::hazards::Finding;
use crate::runbook::actions::Action;
use crate::runbook::actions::UpdatePeerUrl;
use crate::runbook::actions::requests::quote;
use crate::runbook::plan::{Document, Gate, PlannedStep};
use crate::runbook::run::engine::{Run, StepState};
use crate::runbook::run::proven::{gone_sentence, missing};
use crate::runbook::run::record::{Cause, Event, Record};
use crate::runbook::run::view::{Direction, Progress, ResolutionOffer, Shown, View};

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
        let (restarts, corrects) = if open { moves(shown, &view) } else { Default::default() };
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
            let approve = self.approval.as_ref().map(|approval| approval.approve.clone());
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
                let held = matches!(self.drives, Drives::Holds(_)) && !first.contains(" runs approve ");
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

    /// Whether what it is doing now accounts for a problem. Nothing does while PD's quorum is not seen to stand, nor once
    /// no process drives it.
    pub fn explains(&self, database: &Database, problem: &Problem) -> bool {
        if !self.open || self.left() || !self.sent || !self.concerns(database) || !database.quorum.stands() {
            return false;
        }
        let restarted = |of: Option<ObjectRef>| of.is_some_and(|of| self.restarts.contains(&of.to_string()));
        let corrected = |member: &Member| {
            let pod = member.of().zip(member.pod.as_ref());
            pod.is_some_and(|(of, pod)| self.corrects.contains(&pod_name(&of, pod)))
        };
        let here = |subject: &Subject| {
            subject.kind == "TidbCluster"
                && self.restarts.contains(&format!("{}/{}/{}", subject.context, subject.namespace, subject.name))
        };
        let members = || {
            let named = problem.about.iter().filter(|about| about.kind == "member");
            named.filter_map(|about| database.members.iter().find(|member| member.id.hex() == about.name))
        };
        match problem.kind {
            ProblemKind::NotReady | ProblemKind::OutsideReady => problem.about.iter().any(here),
            ProblemKind::MemberUnhealthy => members().any(|member| restarted(member.of())),
            ProblemKind::PeerUrl => members().any(corrected),
            ProblemKind::StoreNotUp => {
                let named = problem.about.iter().filter(|about| about.kind == "store");
                let rows =
                    named.filter_map(|about| database.stores.iter().find(|row| row.store.id.to_string() == about.name));
                rows.into_iter().any(|row| row.store.state == "Disconnected" && restarted(row.of.clone()))
            }
            ProblemKind::OneUidTwice
            | ProblemKind::IdNotConfirmed
            | ProblemKind::OperatorDown
            | ProblemKind::Paused
            | ProblemKind::OwnDatabase
            | ProblemKind::LeadsBack
            | ProblemKind::TlsToggled
            | ProblemKind::PdCertificate
            | ProblemKind::DomainInDoubt
            | ProblemKind::ListsDiffer
            | ProblemKind::OtherCluster
            | ProblemKind::NeverStarted
            | ProblemKind::NoLeader
            | ProblemKind::NoQuorum => false,
        }
    }

    /// The same for a finding.
    pub fn explains_finding(&self, database: &Database, finding: &Finding) -> bool {
        if !self.open || self.left() || !self.sent || !self.concerns(database) || !database.quorum.stands() {
            return false;
        }
        let subjects = |kind: &'static str| finding.subjects.iter().filter(move |subject| subject.kind == kind);
        let here = |set: &BTreeSet<String>, subject: &Subject| {
            set.contains(&format!("{}/{}/{}", subject.context, subject.namespace, subject.name))
        };
        let member = |name: &str| database.members.iter().find(|member| member.id.hex() == name);
        match finding.id() {
            "not-ready" => {
                subjects("TidbCluster").next().is_some()
                    && subjects("TidbCluster").all(|subject| here(&self.restarts, subject))
            }
            "pd-member-unhealthy" => {
                subjects("member").next().is_some()
                    && subjects("member").all(|subject| {
                        let of = member(&subject.name).and_then(Member::of);
                        of.is_some_and(|of| self.restarts.contains(&of.to_string()))
                    })
            }
            "peer-urls-half-updated" => {
                let drifting: Vec<&Member> = database.members.iter().filter(|member| member.drift).collect();
                !drifting.is_empty()
                    && drifting.iter().all(|member| {
                        let pod = member.of().zip(member.pod.as_ref());
                        pod.is_some_and(|(of, pod)| self.corrects.contains(&pod_name(&of, pod)))
                    })
            }
            _ => false,
        }
    }

    /// What stands beside a problem that it explains.
    pub fn expected(&self) -> String {
        let doing = match (self.restarts.is_empty(), self.corrects.is_empty()) {
            (false, _) => format!("is restarting {}", self.restarts.iter().cloned().collect::<Vec<_>>().join(", ")),
            (true, false) => "corrects the peerURLs next".to_owned(),
            (true, true) => "is at work on it".to_owned(),
        };
        format!("expected: run {} {doing}", self.run)
    }
}

/// The run that accounts for a problem of a Database, if one does.
pub fn explained<'a>(runs: &'a [Standing], database: &Database, problem: &Problem) -> Option<&'a Standing> {
    runs.iter().find(|run| run.explains(database, problem))
}

/// Problems of all Databases that no run explains.
pub fn unexplained(runs: &[Standing], databases: &[Database]) -> bool {
    let mut all =
        databases.iter().flat_map(|database| database.problems.iter().map(move |problem| (database, problem)));
    all.any(|(database, problem)| explained(runs, database, problem).is_none())
}

/// Puts the open runs into what interrupted work was found: they come first, and no other command is proposed for their
/// Databases before they are over. `fleet_databases`: what was looked at.
pub fn into_diagnosis(runs: &[Standing], databases: &[Database], found: &mut Diagnosis) {
    for leftover in &mut found.leftovers {
        let database = databases.iter().find(|database| {
            database.name == leftover.database || database.id.as_deref() == Some(leftover.database.as_str())
        });
        let Some(run) = runs.iter().find(|run| run.open && database.is_some_and(|database| run.concerns(database)))
        else {
            continue;
        };
        if run.sent || leftover.remedy.starts_with("tidepilot run ") {
            leftover.remedy = format!("{} # then look again", run.first_command());
        }
    }
    let open = runs.iter().filter(|run| run.open).map(|run| Leftover {
        kind: "open-run",
        database: databases
            .iter()
            .find(|database| run.concerns(database))
            .map_or_else(|| run.database.clone().unwrap_or_default(), |database| database.name.clone()),
        at: run.target.clone(),
        sentence: run.sentence(),
        remedy: run.first_command(),
    });
    let open: Vec<Leftover> = open.collect();
    found.leftovers.splice(0..0, open);
}

impl Standing {
    fn first_command(&self) -> String {
        match self.next.as_slice() {
            [] => format!("tidepilot runs show {} # it is under way: wait for its end", self.run),
            [one] => one.clone(),
            [first, more @ ..] => format!("{first} # or: {}", more.join("; or: ")),
        }
    }
}

/// Notes what the runs account for, and proposes no other command for their Databases before they are over.
pub fn into_findings(runs: &[Standing], databases: &[Database], findings: &mut [Finding]) {
    for finding in findings {
        let database = databases.iter().find(|database| finding.database.as_ref() == Some(&database.name));
        let Some(database) = database else { continue };
        let explained = runs.iter().find(|run| run.explains_finding(database, finding));
        finding.expected = explained.map(Standing::expected);
        let open = runs.iter().find(|run| run.open && run.concerns(database));
        if let Some(run) = open.filter(|_| finding.what_to_do.contains("tidepilot run ")) {
            finding.what_to_do = run.first_command();
        }
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

fn pod_name(of: &ObjectRef, pod: &str) -> String {
    format!("{}/{}/{pod}", of.context, of.namespace)
}

/// Where it waits, as the end of a sentence that begins with "it".
fn waits(shown: &Shown, view: &View) -> String {
    let undo = if view.direction == Direction::Undo { "is being undone and " } else { "" };
    let line = view.step();
    let at = line.map_or_else(String::new, |line| line.id.clone());
    if let Some(reason) = &view.paused {
        return format!("{undo}stopped at {at}: {}", reason.sentence());
    }
    if let Some(Awaiting { step, attempt, since, confirmed_by, .. }) = Awaiting::of(shown) {
        return format!(
            "{undo}waits for a second person at {step} (attempt {attempt}) since {since}, confirmed by {confirmed_by}"
        );
    }
    if let Some(gate) = &view.gate {
        return format!("{undo}waits at the gate of {at}: {}", gate.question);
    }
    match line.map(|line| (&line.progress, line.attempts)) {
        Some((Progress::Sent | Progress::Verifying | Progress::Refused, attempt)) => {
            format!("{undo}has sent {at} (attempt {attempt}), and its end is not noted")
        }
        Some(_) => format!("{undo}is at {at}"),
        None => format!("{undo}has every step done and was not closed"),
    }
}

/// What a document is called before anybody has held it against what is on this machine.
fn named(document: &Document) -> String {
    let what = if document.fork { "fork" } else { "own runbook" };
    format!("{what} {}", document.file)
}

/// The flags that answer what stands before the next step.
fn answers(shown: &Shown, view: &View, here: bool) -> String {
    let gate = match &view.gate {
        None if !here && view.outcome.is_none() => asked_anew(shown.run()),
        gate => gate.clone(),
    };
    match gate.map(|gate| gate.text) {
        Some(Some(text)) => format!(" --confirm {}", quote(&text)),
        Some(None) => " --yes".to_owned(),
        None => match shown.run().awaits_approval() {
            Some(_) => " --await-approval 600".to_owned(),
            None => String::new(),
        },
    }
}

/// The gate before the next step, once somebody else has taken the run over.
fn asked_anew(run: &Run) -> Option<Gate> {
    let mut taken = run.clone();
    let event = Event::TakenOver { tool: String::new(), by: String::new(), from: String::new(), moves: None };
    taken.apply(&Record { seq: 0, at: Timestamp::UNIX_EPOCH, prev: String::new(), event });
    let open = |step: &&PlannedStep| !matches!(taken.state(&step.id), StepState::Completed(_));
    taken.open_gate(taken.steps().iter().find(open)?)
}

/// What it restarts now, and whose peerURLs it corrects.
fn moves(shown: &Shown, view: &View) -> (BTreeSet<String>, BTreeSet<String>) {
    let run = shown.run();
    let planned = |id: &str| run.steps().iter().find(|step| step.id == id);
    let left: Vec<&PlannedStep> = view
        .steps
        .iter()
        .filter(|line| line.direction == view.direction && !line.progress.over())
        .filter_map(|line| planned(&line.id))
        .collect();
    let mut corrects = BTreeSet::new();
    for step in &left {
        if let Action::UpdatePeerUrl(UpdatePeerUrl { target, pod, .. }) = &step.action {
            corrects.insert(pod_name(target, pod));
        }
    }
    let mut restarts = BTreeSet::new();
    if let Some(now) = view.step().and_then(|line| planned(&line.id)).filter(|_| run.has_written()) {
        let sent = || view.step().is_some_and(|line| matches!(line.progress, Progress::Sent | Progress::Verifying));
        let restarting = match &now.action {
            Action::WaitRollout(_) | Action::Await(_) => true,
            Action::PatchTidbCluster(_) => sent(),
            _ => false,
        };
        if restarting {
            restarts.insert(now.action.target().to_string());
        }
    }
    (restarts, corrects)
}
