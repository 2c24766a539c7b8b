//! Where a run waits, what its next command has to answer, and what it is moving just now. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Awaiting;
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::object_kind::ObjectKind;
use crate::fleet::tidbcluster::Component;
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

/// The part of a TidbCluster that is restarted; all of it where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub component: Option<Component>,
    pub pod: Option<String>,
}

impl Part {
    /// What a step restarts, or what the steps before it restarted.
    fn of(steps: &[PlannedStep], now: &PlannedStep) -> Self {
        match &now.action {
            Action::WaitRollout(wait) => Self { component: wait.component, pod: None },
            Action::PatchTidbCluster(_) => {
                let mut waits = steps.iter().filter_map(|step| match &step.action {
                    Action::WaitRollout(wait) if wait.since.as_ref() == Some(&now.id) => Some(wait.component),
                    _ => None,
                });
                Self { component: waits.next_back().flatten(), pod: None }
            }
            Action::Await(wait) => {
                let before = steps.iter().take_while(|step| step.id != now.id);
                let pods = before.filter(|step| step.phase == now.phase).filter_map(|step| pod_made_anew(&step.action));
                let own =
                    |pod: &&ObjectRef| pod.context == wait.target.context && pod.namespace == wait.target.namespace;
                Self { component: None, pod: pods.filter(own).last().map(|pod| pod.name.clone()) }
            }
            other => Self { component: None, pod: pod_made_anew(other).map(|pod| pod.name.clone()) },
        }
    }

    /// Whether this pod of this component is among it.
    pub fn holds(&self, component: Component, pod: Option<&str>) -> bool {
        self.component.is_none_or(|own| own == component) && self.pod.as_deref().is_none_or(|own| pod == Some(own))
    }
}

/// The pod that a step deletes so that it is made anew: not one of the run's own making.
fn pod_made_anew(action: &Action) -> Option<&ObjectRef> {
    match action {
        Action::DeleteObject(delete) if delete.object_kind == ObjectKind::Pod && delete.made_by.is_none() => {
            Some(&delete.target)
        }
        _ => None,
    }
}

/// What it restarts now, which part of it, and whose peerURLs it corrects.
pub(super) fn moves(shown: &Shown, view: &View) -> (BTreeSet<String>, Part, BTreeSet<String>) {
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
    let (mut restarts, mut part) = (BTreeSet::new(), Part::default());
    if let Some(now) = view.step().and_then(|line| planned(&line.id)).filter(|_| run.has_written()) {
        let sent = || view.step().is_some_and(|line| matches!(line.progress, Progress::Sent | Progress::Verifying));
        let restarting = match &now.action {
            Action::WaitRollout(_) | Action::Await(_) => true,
            Action::PatchTidbCluster(_) => sent(),
            _ => false,
        };
        if restarting {
            restarts.insert(now.action.target().to_string());
            part = Part::of(run.steps(), now);
        } else if pod_made_anew(&now.action).is_some() && sent() {
            restarts.insert(run.plan.target.to_string());
            part = Part::of(run.steps(), now);
        }
    }
    (restarts, part, corrects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::document::Runbook;
    use crate::runbook::language::sample_fleet_data;
    use crate::runbook::plan::bind::bind;

    /// The part at each step of a restart.
    fn parts(pod: &str) -> Vec<(String, Part)> {
        let runbook = Runbook::shipped("restart-component").expect("it ships");
        let inputs = [
            ("tidbCluster", sample_fleet_data::TARGET),
            ("component", "tikv"),
            ("pod", pod),
            ("restartedAt", "2026-01-01T00:00:00Z"),
        ];
        let inputs = inputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let observation = sample_fleet_data::observations().remove(0);
        let steps = bind(&runbook, &inputs, &observation).expect("a plan").steps;
        steps.iter().map(|step| (step.id.clone(), Part::of(&steps, step))).collect()
    }

    #[test]
    fn a_restart_is_of_the_component_or_the_pod_that_was_asked_for() {
        let all = Part { component: Some(Component::Tikv), pod: None };
        assert_eq!(parts(""), [("mark".to_owned(), all.clone()), ("wait".to_owned(), all.clone())]);
        let one = Part { component: None, pod: Some("basic-tikv-1".to_owned()) };
        assert_eq!(parts("basic-tikv-1"), [("delete".to_owned(), one.clone()), ("well".to_owned(), one.clone())]);
        assert!(all.holds(Component::Tikv, Some("basic-tikv-0")) && !all.holds(Component::Pd, Some("basic-pd-0")));
        assert!(one.holds(Component::Tikv, Some("basic-tikv-1")) && !one.holds(Component::Tikv, Some("basic-tikv-0")));
        assert!(!one.holds(Component::Tikv, None), "which pod it is is not known");
    }
}
