//! Carries the engine's effects out, in order: append and fsync before act. Owns the clock, ids and permits.
//!
//! Not here: what to do next (`runbook::engine` decides) and how it is done on the wire (`client`). A face watches
//! through a channel of [`RunMessage`]s and answers gates through another; the driver never prints.
//!
//! Neighbours: [`journals`] (runs read back), [`session`] (the console's effects).

pub mod journals;
pub mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::message::{InputInfo, InputKind, RunEnd, RunMessage, RunbookInfo};
use crate::client::access::{ProbePermit, WritePermit};
use crate::client::ledger::{self, Journal};
use crate::client::{self, Links, apply, probe, rights};
use crate::fleet::tidbcluster::Component;
use crate::fleet::{Change, Fleet, ObjectRef, What, rollout};
use crate::runbook::Observation;
use crate::runbook::action::Action;
use crate::runbook::bind::{self, bind};
use crate::runbook::choices::{BadChoice, Wish};
use crate::runbook::definition::{InputType, Runbook, SHIPPED};
use crate::runbook::engine::{Effect, Input, Run, StepState, Stop};
use crate::runbook::judge::leaves;
use crate::runbook::plan::{CheckResult, CheckState, Gate, Plan, Rehearsal};
use crate::runbook::record::{Event, How, Outcome, PauseReason};
use journals::replay;

/// Exit codes of `plan` and `run`; the table is in the README.
pub mod exit {
    pub const DONE: u8 = 0;
    pub const INTERNAL: u8 = 1;
    pub const CHANGES: u8 = 2;
    pub const AT_GATE: u8 = 3;
    pub const REFUSED: u8 = 4;
    pub const PAUSED: u8 = 5;
    pub const ANOTHER_RUN: u8 = 6;
    pub const FOREIGN: u8 = 7;
    pub const UNDONE: u8 = 8;
}

/// Name and version written into journals.
pub const TOOL: &str = concat!("tidepilot ", env!("CARGO_PKG_VERSION"));

/// A face's answer to a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub gate: String,
    /// What was typed; empty for a plain gate. `None`: nobody will answer.
    pub text: Option<String>,
}

/// The face's side of one run.
pub struct Ears {
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
}

impl Driver {
    /// `runs`: the folder of journals.
    pub fn new(links: Links, runs: PathBuf) -> Self {
        Self { links, runs }
    }

    pub fn runs_folder(&self) -> &Path {
        &self.runs
    }

    /// Makes a plan from one fresh look at every context. With `rehearse`, the server dry-runs each patch; without
    /// (read-only), nothing but reads is sent and the results are predicted.
    pub async fn plan(&self, id: &str, inputs: &BTreeMap<String, String>, rehearse: bool) -> Result<Plan, String> {
        let runbook = Runbook::shipped(id).map_err(|error| error.to_string())?;
        let (_, target) = bind::read_inputs(&runbook, inputs).map_err(|error| error.to_string())?;
        if self.links.get(&target.context).is_none() {
            let known: Vec<&str> = self.links.iter().map(|link| link.context()).collect();
            return Err(format!("no context is called {:?}; connected are: {}", target.context, known.join(", ")));
        }
        let changes = self.links.look(None).await;
        let mut fleet = client::fold(changes);
        if let (true, Some(domain)) = (rehearse, self.real_domain(&fleet, &target).await) {
            let context = target.context.clone();
            fleet.apply(Change { context, at: now(), what: What::ClusterDomain(domain) });
        }
        let denied = rights::denied(&self.links, &needs(&target)).await;
        let seen = Observation { at: now(), fleet, denied: Some(denied) };
        let mut plan = bind(&runbook, inputs, &seen).map_err(|error| error.to_string())?;
        if rehearse && plan.refusals().next().is_none() {
            self.rehearse(&mut plan).await;
        }
        Ok(plan)
    }

    /// The DNS domain that the pods really use, from a PD pod's own resolver configuration.
    async fn real_domain(&self, fleet: &Fleet, target: &ObjectRef) -> Option<String> {
        let permit = ProbePermit::for_contexts(&self.links, [&target.context]).ok()?;
        let cluster = fleet.clusters.get(&target.context)?;
        let tc = fleet.tidb_cluster(target)?;
        for pod in rollout::component_pods(cluster, tc, Component::Pd) {
            let of = ObjectRef::new(&target.context, &target.namespace, &pod.metadata.name);
            if let Ok(domain) = probe::resolv_domain(&self.links, &permit, &of).await {
                return Some(domain);
            }
        }
        None
    }

    /// Puts the server's dry-run answers into the plan; one that is refused becomes a refused check.
    async fn rehearse(&self, plan: &mut Plan) {
        let contexts: BTreeSet<&String> = plan.contexts.iter().collect();
        let permit = match WritePermit::for_run(&self.links, "plan", contexts) {
            Ok(permit) => permit,
            Err(sentence) => return plan.checks.push(refused("dry-run", sentence)),
        };
        for step in plan.steps.iter_mut().filter(|step| step.action.writes() && !step.already_so) {
            let Action::PatchTidbCluster { merge, .. } = &step.action else { continue };
            match apply::rehearse(&self.links, &permit, "plan", &step.action).await {
                Ok(Some(object)) => {
                    let fields: BTreeMap<String, Value> = leaves(merge)
                        .into_keys()
                        .map(|path| {
                            let at = path.split('.').try_fold(&object, |at, key| at.get(key));
                            (path, at.cloned().unwrap_or(Value::Null))
                        })
                        .collect();
                    // Old API servers ignore Strict and drop unknown fields: compare with what was asked.
                    if fields != leaves(merge) {
                        let sentence = format!("the server would store {} instead of what was asked", json!(fields));
                        plan.checks.push(refused("dry-run", sentence));
                    }
                    step.after = json!({ "fields": fields });
                    step.rehearsed = Rehearsal::ServerDryRun;
                }
                Ok(None) => {}
                Err(sentence) => {
                    plan.checks.push(refused("dry-run", format!("the server's dry run refused: {sentence}")))
                }
            }
        }
    }

    /// Opens a run of this plan and drives it.
    pub async fn start(&self, plan: Plan, ears: Ears) -> RunEnd {
        if let Some(check) = plan.refusals().next() {
            return end("", exit::REFUSED, format!("refused by check {}: {}", check.id, check.sentence));
        }
        if plan.steps.iter().all(|step| step.already_so) {
            return end("", exit::DONE, "nothing to do: every step is already so".into());
        }
        if let Some(other) = self.open_run_on(&plan.target) {
            let sentence = format!(
                "run {other} on {} is open and has already sent something; `tidepilot runs resume {other}` goes on with it",
                plan.target
            );
            return end(&other, exit::ANOTHER_RUN, sentence);
        }
        let runbook = match Runbook::shipped(&plan.runbook) {
            Ok(runbook) => runbook,
            Err(error) => return end("", exit::REFUSED, error.to_string()),
        };
        let run = new_run_id();
        // The permit comes before the journal: a read-only context leaves no trace.
        if let Err(sentence) = WritePermit::for_run(&self.links, &run, &plan.contexts) {
            return end("", exit::REFUSED, sentence);
        }
        let opened = Event::RunOpened { run: run.clone(), tool: TOOL.into(), plan: Box::new(plan) };
        let journal = Journal::create(&self.runs, &run).and_then(|mut journal| {
            let record = journal.append(now(), opened)?;
            Ok((journal, record))
        });
        match journal {
            Ok((journal, record)) => {
                tell(&ears, RunMessage::Record(Box::new(record.clone()))).await;
                match Run::replay(runbook, &[record]) {
                    Ok(run) => self.drive(run, journal, ears).await,
                    Err(error) => end(&run, exit::INTERNAL, error.to_string()),
                }
            }
            Err(error) => end("", exit::REFUSED, format!("no journal, so nothing was sent: {error}")),
        }
    }

    /// Goes on with a run whose journal is on this machine.
    pub async fn resume(&self, run: &str, ears: Ears) -> RunEnd {
        self.resume_with(run, None, ears).await
    }

    /// Goes on with a run as a person chose. A choice that is refused leaves the journal as it was.
    pub async fn resume_with(&self, run: &str, wish: Option<&Wish>, ears: Ears) -> RunEnd {
        let (mut journal, records) = match Journal::open(&self.runs, run) {
            Ok(opened) => opened,
            Err(error @ ledger::LedgerError::Held { .. }) => return end(run, exit::ANOTHER_RUN, error.to_string()),
            Err(error) => return end(run, exit::REFUSED, error.to_string()),
        };
        let mut replayed = match replay(&records) {
            Ok(replayed) => replayed,
            Err(sentence) => return end(run, exit::REFUSED, sentence),
        };
        let choice = match wish.map(|wish| replayed.choose(wish, now())).transpose() {
            Ok(choice) => choice,
            // To ask for the undo again is to go on with it.
            Err(BadChoice::Undoing) => None,
            Err(why) => return end(run, exit::REFUSED, format!("refused, nothing was changed: {why}")),
        };
        if choice.is_some()
            && replayed.outcome().is_some()
            && let Some(other) = self.open_run_on(&replayed.plan.target)
        {
            let sentence = format!("run {other} on {} is open; finish or abandon it first", replayed.plan.target);
            return end(&other, exit::ANOTHER_RUN, sentence);
        }
        if replayed.outcome().is_none() || choice.is_some() {
            if let Err(sentence) = WritePermit::for_run(&self.links, run, &replayed.plan.contexts) {
                return end(run, exit::REFUSED, sentence);
            }
            for event in [Event::Resumed { tool: TOOL.into() }].into_iter().chain(choice) {
                match journal.append(now(), event) {
                    Ok(record) => {
                        replayed.apply(&record);
                        tell(&ears, RunMessage::Record(Box::new(record))).await;
                    }
                    Err(error) => return end(run, exit::REFUSED, format!("nothing was sent: {error}")),
                }
            }
        }
        self.drive(replayed, journal, ears).await
    }

    /// The loop: effects out, inputs in, until the engine stops.
    async fn drive(&self, mut run: Run, mut journal: Journal, mut ears: Ears) -> RunEnd {
        let id = run.id.clone();
        let contexts: BTreeSet<String> = run.plan.contexts.iter().cloned().collect();
        let permits = WritePermit::for_run(&self.links, &id, &contexts)
            .and_then(|write| ProbePermit::for_contexts(&self.links, &contexts).map(|probe| (write, probe)));
        let (write, probe_permit) = match permits {
            Ok(permits) => permits,
            Err(sentence) => return end(&id, exit::REFUSED, sentence),
        };
        let mut stall = Stall::default();
        let mut seen = Observation::default();
        let mut input = Next::Go;
        loop {
            let stop_asked = *ears.stop.borrow();
            let effects = match input {
                Next::Go => run.advance(Input::Go, stop_asked, now()),
                Next::Observed => run.advance(Input::Observed(&seen), stop_asked, now()),
                Next::Input(input) => run.advance(input, stop_asked, now()),
            };
            input = Next::Go;
            for effect in effects {
                match effect {
                    Effect::Append(event) => match journal.append(now(), event) {
                        Ok(record) => {
                            run.apply(&record);
                            stall = Stall::default();
                            tell(&ears, RunMessage::Record(Box::new(record))).await;
                        }
                        // If it cannot be written down it is not done (invariant 4).
                        Err(error) => {
                            let code = if run.has_written() { exit::PAUSED } else { exit::REFUSED };
                            return end(
                                &id,
                                code,
                                format!("the journal cannot be written, so nothing more was sent: {error}"),
                            );
                        }
                    },
                    Effect::Observe => {
                        let fleet = client::fold(self.links.look(Some(&contexts)).await);
                        seen = Observation { at: now(), fleet, denied: None };
                        input = Next::Observed;
                    }
                    Effect::Probe { step, action } => {
                        let lines = probe::probe(&self.links, &probe_permit, &action, &seen.fleet).await;
                        input = Next::Input(Input::Probed { step, lines });
                    }
                    Effect::Perform(action) => {
                        let answer = apply::perform(&self.links, &write, &id, &action, &seen.fleet).await;
                        input = Next::Input(Input::Performed(answer));
                    }
                    Effect::Ask(gate) => {
                        let text = ask(&mut ears, &gate).await;
                        input = Next::Input(Input::Answered { gate, text });
                    }
                    Effect::Wait { seconds, sentence, stalled_s } => {
                        tell(&ears, RunMessage::Waiting(sentence.clone())).await;
                        if stall.note(&sentence, Instant::now()) > Duration::from_secs(stalled_s) {
                            input = Next::Input(Input::Stalled { sentence });
                            continue;
                        }
                        tokio::select! {
                            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                            _ = ears.stop.changed() => {}
                        }
                    }
                    Effect::Stop(stop) => return stopped(&run, stop),
                }
            }
        }
    }

    /// An open run on this target that has sent something.
    fn open_run_on(&self, target: &ObjectRef) -> Option<String> {
        ledger::list(&self.runs).into_iter().find_map(|(id, records)| {
            let run = replay(&records.ok()?).ok()?;
            (run.plan.target == *target && run.outcome().is_none() && run.has_written()).then_some(id)
        })
    }
}

/// The next input of the engine; a look is kept beside it, since inputs borrow it.
enum Next<'a> {
    Go,
    Observed,
    Input(Input<'a>),
}

/// How long the same sentence has been waited for, on a clock that nobody can set.
#[derive(Default)]
struct Stall {
    sentence: String,
    since: Option<Instant>,
}

impl Stall {
    /// For how long this very sentence has been the answer.
    fn note(&mut self, sentence: &str, now: Instant) -> Duration {
        if self.sentence != sentence {
            self.sentence = sentence.to_owned();
            self.since = None;
        }
        now.duration_since(*self.since.get_or_insert(now))
    }
}

/// The shipped runbooks as lists and forms show them.
pub fn runbooks() -> Vec<RunbookInfo> {
    SHIPPED
        .iter()
        .filter_map(|(id, _)| Runbook::shipped(id).ok())
        .map(|runbook| RunbookInfo {
            id: runbook.id,
            title: runbook.title.en,
            experimental: runbook.experimental,
            summary: runbook.summary.en,
            inputs: runbook
                .inputs
                .into_iter()
                .map(|input| InputInfo {
                    name: input.name,
                    prompt: input.prompt.en,
                    kind: match input.kind {
                        InputType::TidbCluster => InputKind::TidbCluster,
                        InputType::DnsDomain => InputKind::DnsDomain,
                        InputType::Text => InputKind::Text,
                    },
                    required: !input.optional,
                })
                .collect(),
        })
        .collect()
}

/// The rights a run on this TidbCluster needs. A WebSocket port-forward needs get and, from Kubernetes 1.35 on,
/// create too (`facts-kubernetes.md`).
fn needs(target: &ObjectRef) -> Vec<rights::Right> {
    let right = |verb: &str, group: &str, resource: &str, subresource: &str| rights::Right {
        context: target.context.clone(),
        namespace: target.namespace.clone(),
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
    };
    vec![
        right("get", "pingcap.com", "tidbclusters", ""),
        right("patch", "pingcap.com", "tidbclusters", ""),
        right("list", "", "pods", ""),
        right("list", "apps", "statefulsets", ""),
        right("get", "", "pods", "portforward"),
        right("create", "", "pods", "portforward"),
        right("create", "", "pods", "exec"),
    ]
}

fn refused(id: &str, sentence: String) -> CheckResult {
    CheckResult { id: id.into(), state: CheckState::Refused, sentence }
}

async fn tell(ears: &Ears, message: RunMessage) {
    // A face that went away does not stop a run: the journal has everything.
    let _ = ears.news.send(message).await;
}

async fn ask(ears: &mut Ears, gate: &Gate) -> Option<String> {
    tell(ears, RunMessage::Gate(gate.clone())).await;
    loop {
        tokio::select! {
            reply = ears.replies.recv() => match reply {
                Some(reply) if reply.gate == gate.id => return reply.text,
                Some(_) => {}
                None => return None,
            },
            changed = ears.stop.changed() => {
                if changed.is_err() || *ears.stop.borrow() {
                    return None;
                }
            }
        }
    }
}

fn stopped(run: &Run, stop: Stop) -> RunEnd {
    let resume = format!("`tidepilot runs resume {}` goes on", run.id);
    match stop {
        Stop::Finished(Outcome::Done) => {
            end(&run.id, exit::DONE, format!("done: {} steps, each verified", run.completed()))
        }
        Stop::Finished(Outcome::NothingToDo) => {
            end(&run.id, exit::DONE, "nothing to do: every step was already so".into())
        }
        Stop::Finished(Outcome::Undone) => end(&run.id, exit::UNDONE, undone(run)),
        Stop::Finished(Outcome::Abandoned) => {
            end(&run.id, exit::DONE, format!("abandoned as it stands: {}", run.left().join("; ")))
        }
        Stop::AtGate(gate) => {
            let need = gate.text.as_ref().map_or_else(|| "--yes".to_owned(), |text| format!("--confirm {text}"));
            end(&run.id, exit::AT_GATE, format!("stopped at a gate: {} (needs {need}); {resume}", gate.question))
        }
        Stop::Paused(reason) => {
            let code = match &reason {
                PauseReason::Foreign { .. } => exit::FOREIGN,
                PauseReason::Refused { .. } if !run.has_written() => exit::REFUSED,
                PauseReason::Refused { .. }
                | PauseReason::NotReady { .. }
                | PauseReason::TimedOut { .. }
                | PauseReason::Asked => exit::PAUSED,
            };
            end(&run.id, code, format!("paused: {}; {resume} ({CHOICES})", reason.sentence()))
        }
    }
}

/// What a person may do instead of trying again; leaving the run open needs no command.
const CHOICES: &str = "--by-hand STEP or --skip STEP --reason TEXT to leave a step to you; `runs undo` and `runs abandon` are the ways out";

fn undone(run: &Run) -> String {
    let Some(way) = run.undoing() else { return "undone".into() };
    let stays = way
        .ends_at
        .as_ref()
        .map_or_else(String::new, |step| format!("; {step} has no way back, so it and what came before it stay"));
    let skipped: Vec<&str> = way
        .steps
        .iter()
        .filter(|step| matches!(run.state(&step.id), StepState::Completed(How::Skipped { .. })))
        .map(|step| step.id.as_str())
        .collect();
    let skipped = if skipped.is_empty() { String::new() } else { format!("; skipped: {}", skipped.join(", ")) };
    format!("undone: {} step(s) put back and verified{skipped}{stays}", way.of.len())
}

fn end(run: &str, code: u8, sentence: String) -> RunEnd {
    RunEnd { run: run.to_owned(), code, sentence }
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
