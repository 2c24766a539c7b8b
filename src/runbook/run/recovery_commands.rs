//! What really helps when a run has stopped: command lines, each with what it does, made from the records alone. Pure.
//!
//! What is offered depends on the cause of the stop and on what the run would refuse ([`crate::runbook::run::pause_choices`]): a line that
//! would stop at once with the same sentence is not offered as a way on. Not here: the sentence itself (the engine), and
//! how a face shows the lines.

use jiff::Timestamp;
use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl_in, place, quote};
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::runbook::actions::Does;
use crate::runbook::plan::{Gate, Plan, PlannedStep};
use crate::runbook::run::engine::{Run, StepState};
use crate::runbook::run::gone_or_overwritten::says_gone;
use crate::runbook::run::pause_choices::Resolution;
use crate::runbook::run::record::{Cause, How, PauseReason};

/// One way on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOn {
    pub command: Line,
    pub does: String,
}

/// A line for a shell, to be pasted as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `tidepilot runs resume RUN …`: on this machine, or by a Job in this place (`CONTEXT/NAMESPACE`).
    Resume {
        run: String,
        job: Option<String>,
        /// The option that answers the open gate.
        answer: Option<String>,
    },
    /// Another line of this program.
    Own(String),
    /// kubectl's, or one for whatever else a runbook's author names.
    Other(String),
}

impl Line {
    pub fn resume(run: &str) -> Self {
        Line::Resume { run: run.to_owned(), job: None, answer: None }
    }

    /// A line that was written elsewhere, by an action or by the author of a runbook: its first word tells whose it is.
    fn written(text: &str) -> Self {
        match text.starts_with("tidepilot ") {
            true => Line::Own(text.to_owned()),
            false => Line::Other(text.to_owned()),
        }
    }

    /// Has a Job in this place go on, where going on is what it does. What is decided about a step is decided without one.
    pub fn in_job(&mut self, place: &str) {
        match self {
            Line::Resume { job, .. } => *job = Some(place.to_owned()),
            Line::Own(_) | Line::Other(_) => {}
        }
    }

    /// Whether it runs this program.
    pub fn is_own(&self) -> bool {
        match self {
            Line::Resume { .. } | Line::Own(_) => true,
            Line::Other(_) => false,
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Line::Resume { run, job, answer } => {
                write!(f, "tidepilot runs resume {}", quote(run))?;
                job.iter().try_for_each(|place| write!(f, " --in {}", quote(place)))?;
                answer.iter().try_for_each(|answer| write!(f, " {answer}"))
            }
            Line::Own(text) | Line::Other(text) => f.write_str(text),
        }
    }
}

fn way(command: Line, does: impl Into<String>) -> WayOn {
    WayOn { command, does: does.into() }
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
                all.extend(
                    away.into_iter().map(|context| way(Line::Other(asks(context)), "shows whether it answers again")),
                );
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
            all.push(way(Line::written(&step.command), "sets by hand what this run had set; then resume"));
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
                vec![way(Line::Own(abandon), "ends the run as it stands; nothing is put back")]
            }
            _ if gone => vec![self.give_up("it is gone")],
            _ => self.ways_out(now, "it is another one now"),
        };
        all.push(way(Line::Own(plan_anew(&self.plan)), anew));
        all
    }

    fn resume(&self, does: &str) -> WayOn {
        way(Line::resume(&self.id), does)
    }

    /// Only a step that may be left out is offered for it.
    fn leave_out(&self, step: &PlannedStep, now: Timestamp) -> Option<WayOn> {
        let reason = "seen to by hand".to_owned();
        self.choose(&Resolution::Skip { step: step.id.clone(), reason: reason.clone() }, now).ok()?;
        let command =
            format!("tidepilot runs resume {} --skip {} --reason {}", quote(&self.id), quote(&step.id), quote(&reason));
        Some(way(Line::Own(command), "leaves it as it is and continues; what it was to make is then not made"))
    }

    fn claim(&self, step: &PlannedStep) -> WayOn {
        let command = format!("tidepilot runs resume {} --by-hand {}", quote(&self.id), quote(&step.id));
        way(Line::Own(command), "continues when it was done by hand, after having looked")
    }

    /// Undo as far as there is a rollback, and giving up, which always ends the run.
    fn ways_out(&self, now: Timestamp, reason: &str) -> Vec<WayOn> {
        let id = quote(&self.id);
        let mut all = Vec::new();
        if self.choose(&Resolution::Undo, now).is_ok() {
            all.push(way(
                Line::Own(format!("tidepilot runs undo {id}")),
                "puts back what this run sent, the newest first",
            ));
        }
        all.push(self.give_up(reason));
        all
    }

    fn give_up(&self, reason: &str) -> WayOn {
        let abandon = format!("tidepilot runs abandon {} --reason {}", quote(&self.id), quote(reason));
        way(Line::Own(abandon), "ends the run as it stands; nothing is put back")
    }

    /// What was left out earlier and is perhaps what is waited for, as it would be done by hand.
    fn left_undone(&self, step: &PlannedStep) -> Vec<WayOn> {
        let before = self.steps().iter().take_while(|other| other.id != step.id);
        let skipped = before.filter(|other| {
            other.action.writes() && matches!(self.state(&other.id), StepState::Completed(How::Skipped { .. }))
        });
        skipped
            .map(|other| way(Line::written(&other.command), format!("does by hand what {} would have done", other.id)))
            .collect()
    }
}

/// How an open gate is answered from the command line.
pub fn at_gate(run: &str, gate: &Gate) -> WayOn {
    let answer = gate.text.as_ref().map_or_else(|| "--yes".to_owned(), |text| format!("--confirm {}", quote(text)));
    way(Line::Resume { run: run.to_owned(), job: None, answer: Some(answer) }, "answers it, and continues")
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
        let line = Line::written(command);
        if !all.iter().any(|known| known.command == line) {
            all.push(way(line, does));
        }
    }
    all
}

fn by_hand(step: &PlannedStep) -> Option<WayOn> {
    (step.action.writes() && !step.command.is_empty())
        .then(|| way(Line::written(&step.command), "does the step by hand"))
}

/// Lines that make what somebody else changed into what it was, or into what is wanted.
fn after_foreign(step: &PlannedStep, reason: &PauseReason) -> Vec<WayOn> {
    let PauseReason::Foreign { before, .. } = reason else { return Vec::new() };
    let back = match step.action.kind().does() {
        Does::Sets(sets) => sets.line_back(step.membership_api(), before),
        Does::Makes(kind) => return vec![look_at(kind, step.action.target())],
        Does::Changes | Does::Waits | Does::Looks => None,
    };
    let mut all: Vec<WayOn> = back
        .map(|line| way(Line::written(&line), "puts it back by hand to what it was; then resume"))
        .into_iter()
        .collect();
    all.push(way(Line::written(&step.command), "or sets by hand what this run wants; then resume, which adopts it"));
    all
}

fn look_at(kind: ObjectKind, of: &ObjectRef) -> WayOn {
    let id = ObjectId::new(kind, of);
    let line = match kind {
        // What is in a Secret is not for a screen.
        ObjectKind::Secret => format!("kubectl {} describe {} {}", place(of), kind.resource(), quote(&of.name)),
        _ => format!("kubectl {} get {} {} -o yaml", place(of), kind.resource(), quote(&of.name)),
    };
    way(Line::Other(line), format!("shows what is there: {id}; rename or remove it only if it is not needed"))
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
            named_in(said).iter().map(|way| way.command.to_string()).collect::<Vec<_>>(),
            ["kubectl --context a patch x"]
        );
        assert!(named_in("nothing here").is_empty());
    }

    #[test]
    fn only_what_goes_on_with_a_run_goes_on_by_a_job() {
        let answer = Some("--confirm 'a b'".to_owned());
        for (mut line, printed, by_job) in [
            (Line::resume("r"), "tidepilot runs resume r", "tidepilot runs resume r --in a/b"),
            (
                Line::Resume { run: "r".into(), job: None, answer },
                "tidepilot runs resume r --confirm 'a b'",
                "tidepilot runs resume r --in a/b --confirm 'a b'",
            ),
            (
                Line::written("tidepilot runs resume r --skip x"),
                "tidepilot runs resume r --skip x",
                "tidepilot runs resume r --skip x",
            ),
            (Line::written("kubectl get pods"), "kubectl get pods", "kubectl get pods"),
        ] {
            assert_eq!(line.to_string(), printed);
            assert_eq!(line.is_own(), printed.starts_with("tidepilot "), "{printed}");
            line.in_job("a/b");
            assert_eq!(line.to_string(), by_job);
        }
    }
}
