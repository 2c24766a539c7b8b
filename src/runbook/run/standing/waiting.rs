//! Where a run waits, what its next command has to answer, and what it is moving just now. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Awaiting;
use crate::fleet::ObjectRef;
use crate::runbook::actions::requests::quote;
use crate::runbook::actions::{Action, UpdatePeerUrl};
use crate::runbook::plan::{Document, Gate, PlannedStep};
use crate::runbook::run::engine::{Run, StepState};
use crate::runbook::run::record::{Event, Record};
use crate::runbook::run::view::{Direction, Progress, Shown, View};

pub(super) fn pod_name(of: &ObjectRef, pod: &str) -> String {
    format!("{}/{}/{pod}", of.context, of.namespace)
}

/// Where it waits, as the end of a sentence that begins with "it".
pub(super) fn waits(shown: &Shown, view: &View) -> String {
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
pub(super) fn named(document: &Document) -> String {
    let what = if document.fork { "fork" } else { "own runbook" };
    format!("{what} {}", document.file)
}

/// The flags that answer what stands before the next step.
pub(super) fn answers(shown: &Shown, view: &View, here: bool) -> String {
    let gate = match &view.gate {
        None if !here && view.outcome.is_none() => gate_anew(shown.run()),
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
pub fn gate_anew(run: &Run) -> Option<Gate> {
    let mut taken = run.clone();
    let event = Event::TakenOver { tool: String::new(), by: String::new(), from: String::new(), moves: None };
    taken.apply(&Record { seq: 0, at: Timestamp::UNIX_EPOCH, prev: String::new(), event });
    // Of a for-each the item that was begun is the next, wherever it stands in the plan.
    if let Some(gate) = taken.view().gate {
        return Some(gate);
    }
    let open = |step: &&PlannedStep| !matches!(taken.state(&step.id), StepState::Completed(_));
    taken.open_gate(taken.steps().iter().find(open)?)
}

/// When something was sent for the first time.
pub(super) fn first_sent(records: &[Record]) -> Option<Timestamp> {
    records.iter().find(|record| matches!(record.event, Event::Intent { .. })).map(|record| record.at)
}

/// What it restarts now, and whose peerURLs it corrects.
pub(super) fn moves(shown: &Shown, view: &View) -> (BTreeSet<String>, BTreeSet<String>) {
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
