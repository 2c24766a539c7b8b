//! Opens runs and drives them: the journal and the lease before the first step, an end in words after the last.
//!
//! Not here: the loop itself ([`run_loop`]), what to do next (`runbook::run::engine` decides) and how it is done on the wire (`client`). A face watches
//! through a channel of [`RunMessage`]s and answers gates through another; the driver never prints.
//!
//! Neighbours: [`run_loop`] and [`run_loop_io`] (the loop and what it touches the world with), [`acquire_lease`] and [`run_journal`] (the
//! lease, the journal in both places), [`resume`] and [`take_over`] (a run of this machine, of somebody else), [`run_end`]
//! (how it ended, in words), [`stall_detection`] (how long nothing has moved), [`poll_backoff`] and [`stop_grace`] (how long it
//! sleeps between two looks, how long a wish to stop waits), [`approve`] and [`approval_audit`] (the second person),
//! [`local_runs`] and [`journal_reconcile`] (runs read back, here and there), [`open_runs`] (what is half done), [`console_session`] (the
//! console's effects), [`job_submit`] and [`job_pod`] (a run that a Kubernetes Job drives: who submits it, what its pod does), [`run_notifications`] (what people elsewhere are told of a run), [`save_to_file`] (what a person keeps of a screen), [`runbook_catalog`] (the runbooks at hand).

mod acquire_lease;
pub mod approval_audit;
mod approval_eligibility;
pub mod approve;
mod connection_stats;
pub mod console_session;
mod job_answers;
pub mod job_pod;
pub mod job_submit;
mod journal_reconcile;
mod lease_scope;
mod load_run_journal;
pub mod local_runs;
mod logs_and_events;
pub mod open_runs;
mod planning;
mod poll_backoff;
mod port_forwards;
mod resume;
mod run_end;
pub mod run_journal;
pub mod run_loop;
mod run_loop_io;
pub mod run_notifications;
pub mod runbook_catalog;
mod runs_polling;
mod save_to_file;
pub mod shells;
mod stall_detection;
mod stop_grace;
mod take_over;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use acquire_lease::{Acquire, Guarded};
use resume::moving;
use run_end::{end, need, stopped};
use run_journal::{RunJournal, Unwritten};
use run_loop::{Ending, Taken};
use run_loop_io::WireHands;

use super::exit_codes::Exit;
use super::message::{RunEnd, RunMessage, RunbookInfo};
use crate::client::Links;
use crate::client::journal::{self, Journal};
use crate::client::notify::Notifier;
use crate::client::share::find_run_records::{self, Dark};
use crate::client::share::lease::Timing;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::suspend_aware_clock::Clock as Witness;
use crate::client::wire::user_agent;
use crate::fleet::ObjectRef;
use crate::runbook::plan::{CheckResult, CheckState, Gate, Plan};
use crate::runbook::run::concurrent_runs;
use crate::runbook::run::engine::{Input, Run};
use crate::runbook::run::open_run_status::{Drives, Standing, last_driver};
use crate::runbook::run::record::{Choice, Event};
use local_runs::replay;
use runbook_catalog::{Lang, RunbookCatalog};
use stop_grace::Haste;

/// Longest wait for a face to take a message.
const FACE_WAIT: Duration = Duration::from_secs(2);

/// Name and version written into journals.
pub const TOOL: &str = concat!("tidepilot ", env!("CARGO_PKG_VERSION"));

/// A face's answer to a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub gate: String,
    pub said: GateAnswer,
}

/// What a person says at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateAnswer {
    /// What was typed; empty for a plain gate.
    Text(String),
    /// The same, by an option of the command line.
    Option { text: String, option: &'static str },
    /// No answer: the run waits here.
    NotYet,
    /// An explicit no: a run that has sent nothing is over with it.
    No,
}

impl GateAnswer {
    /// What was typed, where it was answered.
    pub fn text(self) -> Option<String> {
        match self {
            GateAnswer::Text(text) | GateAnswer::Option { text, .. } => Some(text),
            GateAnswer::NotYet | GateAnswer::No => None,
        }
    }

    /// The option of the command line that answered.
    pub fn option(&self) -> Option<&'static str> {
        match self {
            GateAnswer::Option { option, .. } => Some(option),
            GateAnswer::Text(_) | GateAnswer::NotYet | GateAnswer::No => None,
        }
    }
}

/// The face's side of one run.
pub struct RunChannels {
    pub news: mpsc::Sender<RunMessage>,
    pub replies: mpsc::Receiver<Reply>,
    /// Becomes true when a person asks to stop.
    pub stop: watch::Receiver<bool>,
}

/// Drives plans and runs over a set of connections.
#[derive(Clone)]
pub struct Driver {
    links: Links,
    runs: PathBuf,
    catalog: RunbookCatalog,
    local_only: bool,
    timing: Timing,
    witness: Witness,
    /// How long a second person is waited for before the run stops.
    patience: Duration,
    notifier: Notifier,
    /// Where it is driven, in the place of this machine's name: the Job.
    place: Option<String>,
}

impl Driver {
    /// `runs`: the folder of journals.
    pub fn new(links: Links, runs: PathBuf) -> Self {
        Self {
            links,
            runs,
            catalog: RunbookCatalog::default(),
            local_only: false,
            timing: Timing::from_environment(),
            witness: Witness::default(),
            patience: Duration::ZERO,
            notifier: Notifier::default(),
            place: None,
        }
    }

    /// The language of whoever reads what this driver tells.
    pub(super) fn lang(&self) -> Lang {
        self.catalog.lang
    }

    /// With these runbooks; without, only the shipped ones are known.
    pub fn with_catalog(self, catalog: RunbookCatalog) -> Self {
        Self { catalog, ..self }
    }

    /// The runbooks as lists and forms show them, and those that cannot be used: why.
    pub fn runbooks(&self) -> (Vec<RunbookInfo>, BTreeMap<String, String>) {
        self.catalog.infos_and_broken()
    }

    /// With `true`, no lease is taken and the journal stays on this machine only.
    pub fn local_only(self, local_only: bool) -> Self {
        Self { local_only, ..self }
    }

    /// How long to wait for a second person before the run stops at their gate; not at all without.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whom a session tells of its runs.
    pub fn notifying(self, notifier: Notifier) -> Self {
        Self { notifier, ..self }
    }

    pub fn runs_folder(&self) -> &Path {
        &self.runs
    }

    /// Opens a run of this plan and drives it.
    pub async fn start(&self, plan: Plan, channels: RunChannels) -> RunEnd {
        self.start_as(new_run_id(), plan, channels).await
    }

    /// The same under a name that was given out before.
    #[expect(clippy::too_many_lines, reason = "the run from its plan to its end, each part once")]
    async fn start_as(&self, run: String, plan: Plan, channels: RunChannels) -> RunEnd {
        if let Some(check) = plan.refusals().next() {
            let sentence = format!("refused by check {}: {}", check.id, check.sentence);
            // What it was refused for may be the very doing of the run that is under way.
            let known =
                self.open_run_on(&plan.target, &plan.runbook, |open| !concurrent_runs::passes(&plan, open)).await;
            let known = known.map(|run| run.refusal());
            let somebody = if known.is_some() { known } else { self.somebody(&plan).await };
            return match somebody {
                Some(somebody) => end("", Exit::AnotherRun, format!("{somebody}; {sentence}")),
                None => end("", Exit::Refused, sentence),
            };
        }
        if plan.nothing_to_do() {
            return end("", Exit::Done, "nothing to do: every step is already so".into());
        }
        if let Some(other) =
            self.open_run_on(&plan.target, &plan.runbook, |open| !concurrent_runs::passes(&plan, open)).await
        {
            return end(&other.run, Exit::AnotherRun, other.refusal());
        }
        if let Some(sentence) = self.unreadable() {
            return end("", Exit::Refused, sentence);
        }
        let runbook = match runbook_catalog::of_plan(&plan) {
            Ok(runbook) => runbook.worded(self.lang()),
            Err(sentence) => return end("", Exit::Refused, sentence),
        };
        if let Some(sentence) = self.nobody_first(&plan, &plan.steps).await {
            return end("", Exit::Refused, sentence);
        }
        // The permit comes before the journal: a read-only context leaves no trace.
        if let Err(sentence) = WritePermit::for_run(&self.links, &run, &plan.contexts) {
            return end("", Exit::Refused, sentence);
        }
        let opened = Event::RunOpened { run: run.clone(), tool: TOOL.into(), plan: Box::new(plan.clone()) };
        // The file comes before the lease: with a disk that takes nothing, nothing at all is sent.
        let journal = Journal::create(&self.runs, &run).and_then(|mut journal| match journal.append(now(), opened) {
            Ok(record) => Ok((journal, record)),
            // Half a first line is no run, and would be listed as a damaged one for ever.
            Err(error) => {
                journal.discard();
                Err(error)
            }
        });
        let (mut journal, record) = match journal {
            Ok(both) => both,
            Err(error) => return end("", Exit::Refused, format!("no journal, so nothing was sent: {error}")),
        };
        let opened = match Run::replay(runbook, std::slice::from_ref(&record)) {
            Ok(opened) => opened,
            Err(error) => return end(&run, Exit::Internal, error.to_string()),
        };
        user_agent::during(&plan.runbook, &run, async {
            match Box::pin(self.guard(&plan, &run, &mut journal, Acquire::New, &channels)).await {
                Ok(guarded) => {
                    tell(&channels, RunMessage::Record(Box::new(record))).await;
                    Box::pin(self.drive(opened, journal, guarded, Vec::new(), channels)).await
                }
                Err(barred) if barred.recorded => barred.end(&run),
                Err(barred) => {
                    journal.discard();
                    barred.end("")
                }
            }
        })
        .await
    }

    /// Drives a run under its lease and gives the lease back, however it ends. `first`: the records to begin with.
    async fn drive(
        &self,
        mut run: Run,
        journal: Journal,
        guarded: Option<Guarded>,
        first: Vec<Event>,
        mut channels: RunChannels,
    ) -> RunEnd {
        let (shared, leased) = guarded.map(|guarded| (guarded.shared, guarded.leased)).unzip();
        let mut book = RunJournal::new(journal, shared, Haste::new(channels.stop.clone()));
        let late = run.under_way_to().map(|(target, uid)| (target.clone(), uid.to_owned()));
        let given_up = first.iter().any(|event| matches!(event, Event::Chosen { choice: Choice::Abandon { .. } }));
        for event in first.into_iter().chain(leased) {
            let event = moving(event, late.as_ref().map(|(target, _)| target));
            match book.append(now(), event).await {
                Ok(record) => {
                    run.apply(&record);
                    tell(&channels, RunMessage::Record(Box::new(record))).await;
                }
                Err(unwritten) => {
                    let ended = self.unwritten(&run, unwritten);
                    let _ = book.leave().await;
                    return ended;
                }
            }
        }
        let unmoved = match &late {
            Some((target, uid)) => Box::pin(self.hold_back(&run, target, uid, &mut book, &channels)).await,
            None => None,
        };
        // Large, and deep in a worker's stack already.
        let mut ended = Box::pin(self.steps(run, &mut book, &mut channels)).await;
        if let (true, Some(unmoved)) = (given_up, unmoved) {
            ended.sentence = format!("{}; {unmoved}", ended.sentence);
        }
        if let Err(lacking) = book.leave().await {
            ended.sentence = format!("{}; {lacking}", ended.sentence);
        }
        ended
    }

    /// The end of a run whose journal does not take any more.
    fn unwritten(&self, run: &Run, why: Unwritten) -> RunEnd {
        let code = if run.has_written() { Exit::Paused } else { Exit::Refused };
        match why {
            Unwritten::File(error) => {
                let sentence = format!("the journal cannot be written, so nothing more was sent: {error}");
                end(&run.id, code, sentence)
            }
            Unwritten::Taken(why) => {
                let sentence = format!(
                    "{why}; nothing more was sent from here, and `tidepilot runs take-over {}` takes it back once no process drives it",
                    run.id
                );
                end(&run.id, Exit::AnotherRun, sentence)
            }
            Unwritten::Unsure(why) | Unwritten::NotShared(_, why) => {
                end(&run.id, code, format!("nothing more was sent: {why}"))
            }
        }
    }

    /// The end of a run that somebody else has by now: they may have ended it.
    async fn gone(&self, run: &Run, why: String) -> RunEnd {
        match self.recorded(&run.id).await.ok().and_then(|(_, records)| replay(&records, self.lang()).ok()?.outcome()) {
            Some(outcome) => {
                let sentence =
                    format!("{why}; the run was ended there ({}), and nothing more was sent from here", outcome.word());
                end(&run.id, Exit::AnotherRun, sentence)
            }
            None => self.unwritten(run, Unwritten::Taken(why)),
        }
    }

    /// ` (driven by …)`, where the journal knows it.
    fn driven_by(&self, run: &str) -> String {
        let records = journal::read(&self.runs, run).unwrap_or_default();
        last_driver(&records).map(|who| format!(" (driven by {who})")).unwrap_or_default()
    }

    /// Drives the steps, and puts how that ended in words.
    async fn steps(&self, mut run: Run, book: &mut RunJournal, channels: &mut RunChannels) -> RunEnd {
        let ending = match WireHands::of(self, &run, book, channels) {
            Ok(mut hands) => run_loop::drive(&mut run, &mut hands, Input::Go).await,
            Err(sentence) => return end(&run.id, Exit::Refused, sentence),
        };
        match ending {
            Ending::Stopped(stop) => stopped(&run, stop),
            Ending::Declined => run_end::declined(&run),
            Ending::Taken(Taken(why)) => self.gone(&run, why).await,
            Ending::Unwritten(unwritten) => self.unwritten(&run, unwritten),
        }
    }

    /// An open run of this machine on this target that keeps a new one of this runbook out, and of which this holds.
    async fn open_run_on(&self, target: &ObjectRef, runbook: &str, counts: impl Fn(&Run) -> bool) -> Option<Standing> {
        let all = local_runs::standings(&self.runs, self.lang()).into_iter();
        for mut open in all.filter(|run| run.target == target.to_string() && run.keeps_out(runbook, true)) {
            let records = journal::read(&self.runs, &open.run).unwrap_or_default();
            if !replay(&records, self.lang()).map_or(true, |run| counts(&run)) {
                continue;
            }
            if open.drives != Drives::Here && !self.local_only {
                // Somebody else may have ended it.
                if self.catch_up(&open.run, &Dark::new()).await.is_some() {
                    continue;
                }
                self.note_driver(&mut open, &records).await;
                let there = find_run_records::find(&self.links, Some(&open.run)).await.heads;
                if let Some(head) = there.iter().find(|head| head.open) {
                    self.compare(&mut open, head).await;
                }
            }
            return Some(open);
        }
        None
    }

    /// With `--local-only` this folder is all that keeps a second run out: a journal in it that cannot be read may be
    /// an open run on this very target. One sentence.
    fn unreadable(&self) -> Option<String> {
        if !self.local_only {
            return None;
        }
        let mut unreadable = journal::list(&self.runs).filter_map(|(id, records)| match records {
            Ok(records) => Some((id, replay(&records, self.lang()).err()?)),
            Err(why) => Some((id, why.to_string())),
        });
        let (id, why) = unreadable.next()?;
        Some(format!(
            "the journal of run {id} cannot be read ({why}), and with --local-only nothing else tells whether it is an open run on this TidbCluster; \
             `tidepilot runs verify {id}` says what is wrong with it, and once it is moved out of {} it is not looked at",
            self.runs.display()
        ))
    }
}

fn refused(id: &str, title: &str, sentence: String) -> CheckResult {
    CheckResult::new(id, CheckState::Refused, sentence).titled(title)
}

async fn tell(channels: &RunChannels, message: RunMessage) {
    // A face that went away or is held up (a terminal on Ctrl-S) does not hold a write back between its Intent and
    // its leaving: the journal has everything.
    let _ = channels.news.send_timeout(message, FACE_WAIT).await;
}

async fn ask(channels: &mut RunChannels, gate: &Gate) -> GateAnswer {
    tell(channels, RunMessage::Gate(gate.clone())).await;
    loop {
        tokio::select! {
            reply = channels.replies.recv() => match reply {
                Some(reply) if reply.gate == gate.id => return reply.said,
                Some(_) => {}
                None => return GateAnswer::NotYet,
            },
            changed = channels.stop.changed() => {
                if changed.is_err() || *channels.stop.borrow() {
                    return GateAnswer::NotYet;
                }
            }
        }
    }
}

/// `20261122-190312-3fa9`: sorts by time, and two in one second differ.
fn new_run_id() -> String {
    format!("{}-{:04x}", now().strftime("%Y%m%d-%H%M%S"), rand::random::<u16>())
}

/// The product's clock for runs.
#[expect(clippy::disallowed_methods, reason = "the driver owns the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
