//! What really helps when a run has stopped: command lines, each with what it does, made from the records alone. Pure.
//!
//! What is offered depends on the cause of the stop and on what the run would refuse ([`crate::runbook::run::choices`]): a line that
//! would stop at once with the same sentence is not offered as a way on. Not here: the sentence itself (the engine), and
//! how a face shows the lines.

use jiff::Timestamp;
use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::fleet::kubectl::{kubectl_in, place, quote};
use crate::fleet::object::{ObjectId, ObjectKind};
use crate::runbook::actions::Does;
use crate::runbook::plan::{Gate, Plan, PlannedStep};
use crate::runbook::run::choices::Resolution;
use crate::runbook::run::engine::{Run, StepState};
use crate::runbook::run::proven::says_gone;
use crate::runbook::run::record::{Cause, How, PauseReason};

/// One way on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOn {
    /// To be pasted as it is.
    pub command: String,
    pub does: String,
}

fn way(command: impl Into<String>, does: impl Into<String>) -> WayOn {
    WayOn { command: command.into(), does: does.into() }
}

impl Run {
    /// The ways on from where the run has stopped, what is most likely wanted first; none where it is over.
    #[expect(clippy::too_many_lines, reason = "one arm for each cause of a stop")]
    pub fn ways_on(&self, now: Timestamp) -> Vec<WayOn> {
        let Some(pause) = self.pause().filter(|_| self.outcome().is_none()) else { return Vec::new() };
        let mut all = named_in(&pause.reason.sentence());
        let Some(step) = self.step(&pause.step) else {
            all.push(self.resume("looks again, and continues"));
            all.extend(self.ways_out(now, "it cannot go on"));
            return all;
        };
        match pause.cause {
            Cause::Asked => {
                all.push(self.resume("continues where it stopped"));
                all.extend(self.ways_out(now, "stopped on purpose"));
            }
            Cause::Foreign => all.extend(self.on_from_foreign(step, &pause.reason, now)),
            Cause::Invariant => {
                all.push(self.resume("continues once it is put right; until then it stops here again"));
                all.extend(self.ways_out(now, "it cannot be put right now"));
            }
            Cause::Away => {
                let asks = |context: &String| format!("{} get --raw /version", kubectl_in(context));
                let away = contexts_in(&self.plan, &pause.reason.sentence());
                all.extend(away.into_iter().map(|context| way(asks(context), "shows whether it answers again")));
                all.push(self.resume("continues once it answers"));
            }
            Cause::StoodStill | Cause::TookTooLong => {
                all.extend(self.left_undone(step));
                all.push(self.resume("looks again, and waits as long once more"));
                all.extend(self.leave_out(step, now));
                all.extend(self.ways_out(now, "it does not come"));
            }
            Cause::Hopeless => {
                all.push(
                    self.resume("continues once what it found is not so any more; until then it stops here again"),
                );
                all.extend(self.ways_out(now, "it cannot be done any more"));
            }
            Cause::NotTaken | Cause::Exhausted => {
                all.push(self.resume("looks, and tries again"));
                all.extend(by_hand(step));
                all.push(self.claim(step));
                all.extend(self.leave_out(step, now));
                all.extend(self.ways_out(now, "it is not taken"));
            }
            Cause::NotByHand => {
                all.extend(by_hand(step));
                all.push(self.claim(step));
                all.push(self.resume("lets the run do it"));
                all.extend(self.ways_out(now, "it was not done"));
            }
            Cause::NotRecorded => {
                all.extend(self.leave_out(step, now));
                all.extend(self.ways_out(now, "what it was before is not recorded"));
            }
            Cause::OtherCluster | Cause::OtherObject | Cause::OtherDatabase => {
                all.extend(self.on_from_another(pause.cause, &pause.reason, now));
            }
            Cause::LeaseUnsure => {
                all.push(self.resume("takes the lease again, and continues"));
                all.extend(self.ways_out(now, "the lease cannot be had"));
            }
        }
        all
    }

    /// Somebody else changed what this step, or one before it, is about.
    fn on_from_foreign(&self, step: &PlannedStep, reason: &PauseReason, now: Timestamp) -> Vec<WayOn> {
        let mut all = Vec::new();
        if matches!(self.state(&step.id), StepState::Completed(_)) {
            // Set and seen to be so, and changed afterwards: what it was before is no way on.
            all.push(way(step.command.clone(), "sets by hand what this run had set; then resume"));
            all.push(self.resume("continues once it is again as this run had set it; until then it stops here again"));
        } else {
            all.extend(after_foreign(step, reason));
            all.push(self.resume(
                "continues once it is as it was before, or as this run wants it; until then it stops here again",
            ));
            all.extend(self.leave_out(step, now));
        }
        all.extend(self.ways_out(now, "somebody else changed it"));
        all
    }

    /// What the run was made for is not there any more: it can never go on with what is there now.
    fn on_from_another(&self, cause: Cause, reason: &PauseReason, now: Timestamp) -> Vec<WayOn> {
        let gone = cause == Cause::OtherObject && says_gone(reason);
        let anew = match gone {
            true => "plans anew, once there is something to plan for",
            false => "plans anew for what is there now; this run can never go on with it",
        };
        let mut all = match cause {
            // Its lease lies in a cluster that is not there any more, so the journal is closed without one.
            Cause::OtherCluster => {
                let reason = quote("it is another cluster now");
                let abandon = format!("tidepilot runs abandon {} --local-only --reason {reason}", quote(&self.id));
                vec![way(abandon, "ends the run as it stands; nothing is put back")]
            }
            _ if gone => vec![self.give_up("it is gone")],
            _ => self.ways_out(now, "it is another one now"),
        };
        all.push(way(plan_anew(&self.plan), anew));
        all
    }

    fn resume(&self, does: &str) -> WayOn {
        way(format!("tidepilot runs resume {}", quote(&self.id)), does)
    }

    /// Only a step that may be left out is offered for it.
    fn leave_out(&self, step: &PlannedStep, now: Timestamp) -> Option<WayOn> {
        let reason = "seen to by hand".to_owned();
        self.choose(&Resolution::Skip { step: step.id.clone(), reason: reason.clone() }, now).ok()?;
        let command =
            format!("tidepilot runs resume {} --skip {} --reason {}", quote(&self.id), quote(&step.id), quote(&reason));
        Some(way(command, "leaves it as it is and continues; what it was to make is then not made"))
    }

    fn claim(&self, step: &PlannedStep) -> WayOn {
        let command = format!("tidepilot runs resume {} --by-hand {}", quote(&self.id), quote(&step.id));
        way(command, "continues when it was done by hand, after having looked")
    }

    /// Undo as far as there is a rollback, and giving up, which always ends the run.
    fn ways_out(&self, now: Timestamp, reason: &str) -> Vec<WayOn> {
        let id = quote(&self.id);
        let mut all = Vec::new();
        if self.choose(&Resolution::Undo, now).is_ok() {
            all.push(way(format!("tidepilot runs undo {id}"), "puts back what this run sent, the newest first"));
        }
        all.push(self.give_up(reason));
        all
    }

    fn give_up(&self, reason: &str) -> WayOn {
        let abandon = format!("tidepilot runs abandon {} --reason {}", quote(&self.id), quote(reason));
        way(abandon, "ends the run as it stands; nothing is put back")
    }

    /// What was left out earlier and is perhaps what is waited for, as it would be done by hand.
    fn left_undone(&self, step: &PlannedStep) -> Vec<WayOn> {
        let before = self.steps().iter().take_while(|other| other.id != step.id);
        let skipped = before.filter(|other| {
            other.action.writes() && matches!(self.state(&other.id), StepState::Completed(How::Skipped { .. }))
        });
        skipped
            .map(|other| way(other.command.clone(), format!("does by hand what {} would have done", other.id)))
            .collect()
    }
}

/// How an open gate is answered from the command line.
pub fn at_gate(run: &str, gate: &Gate) -> WayOn {
    let answer = gate.text.as_ref().map_or_else(|| "--yes".to_owned(), |text| format!("--confirm {}", quote(text)));
    way(format!("tidepilot runs resume {} {answer}", quote(run)), "answers it, and continues")
}

/// The contexts that the sentence of a stop names: its record has nothing else of those that did not answer.
fn contexts_in<'a>(plan: &'a Plan, sentence: &str) -> Vec<&'a String> {
    plan.kube_clusters.keys().filter(|context| sentence.contains(*context)).collect()
}

/// The commands that a sentence names between back quotes. A sentence of a runbook is where a command of its writer stands at all.
fn named_in(sentence: &str) -> Vec<WayOn> {
    let quoted = sentence.split('`').skip(1).step_by(2);
    let runs = |text: &&str| ["kubectl ", "tidepilot run "].iter().any(|start| text.starts_with(start));
    let mut all: Vec<WayOn> = Vec::new();
    for command in quoted.filter(runs) {
        let looks = [" logs ", " describe ", " get "].iter().any(|verb| command.contains(verb));
        let does = if looks { "shows more of it" } else { "helps against what was found" };
        if !all.iter().any(|known| known.command == command) {
            all.push(way(command, does));
        }
    }
    all
}

fn by_hand(step: &PlannedStep) -> Option<WayOn> {
    (step.action.writes() && !step.command.is_empty()).then(|| way(step.command.clone(), "does the step by hand"))
}

/// Lines that make what somebody else changed into what it was, or into what is wanted.
fn after_foreign(step: &PlannedStep, reason: &PauseReason) -> Vec<WayOn> {
    let PauseReason::Foreign { before, .. } = reason else { return Vec::new() };
    let back = match step.action.kind().does() {
        Does::Sets(sets) => sets.line_back(step.membership_api(), before),
        Does::Makes(kind) => return vec![look_at(kind, step.action.target())],
        Does::Changes | Does::Waits | Does::Looks => None,
    };
    let mut all: Vec<WayOn> =
        back.map(|line| way(line, "puts it back by hand to what it was; then resume")).into_iter().collect();
    all.push(way(step.command.clone(), "or sets by hand what this run wants; then resume, which adopts it"));
    all
}

fn look_at(kind: ObjectKind, of: &ObjectRef) -> WayOn {
    let id = ObjectId::new(kind, of);
    let line = match kind {
        // What is in a Secret is not for a screen.
        ObjectKind::Secret => format!("kubectl {} describe {} {}", place(of), kind.resource(), quote(&of.name)),
        _ => format!("kubectl {} get {} {} -o yaml", place(of), kind.resource(), quote(&of.name)),
    };
    way(line, format!("shows what is there: {id}; rename or remove it only if it is not needed"))
}

/// The line that plans the same once more, for what is there now.
fn plan_anew(plan: &Plan) -> String {
    let mut line = format!("tidepilot plan {}", quote(&plan.runbook));
    for (name, value) in &plan.inputs {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Object(of) => {
                let part = |key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                [part("context"), part("namespace"), part("name")].join("/")
            }
            Value::Null => continue,
            other => other.to_string(),
        };
        line.push_str(&format!(" --set {}", quote(&format!("{name}={text}"))));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_a_sentence_are_ways() {
        let said = "paused (set by kubectl-edit). Unpause it: `kubectl --context a patch x`; see `spec.paused`";
        assert_eq!(
            named_in(said).iter().map(|way| way.command.as_str()).collect::<Vec<_>>(),
            ["kubectl --context a patch x"]
        );
        assert!(named_in("nothing here").is_empty());
    }
}
