//! Waiting: steps that only wait, and what is said while anything is waited for. Pure.
//!
//! Not here: for how long nothing has moved, and where to look (`app::driver::stall_detection`).

use jiff::Timestamp;
use serde_json::json;

use crate::runbook::actions::Action;
use crate::runbook::plan::fact_evaluation::Facts;
use crate::runbook::plan::{Condition, PlannedStep};
use crate::runbook::run::engine::{POLL_S, pause};
use crate::runbook::run::engine_effects::{About, Effect};
use crate::runbook::run::record::{Cause, How, PauseReason};
use crate::runbook::run::{Run, StepState};

impl Run {
    /// A step that sends nothing: its own conditions decide. A person is asked first where there is something to do.
    pub(super) fn awaiting(&self, step: &PlannedStep, claimed: bool, facts: &Facts<'_>, now: Timestamp) -> Vec<Effect> {
        for never in &step.never {
            // What cannot be told yet is not what must never be seen.
            if facts.check(&never.check, &step.env) == Ok(true) {
                let sentence =
                    facts.words(&never.say, &step.env).unwrap_or_else(|why| format!("{} ({why})", never.say));
                return pause(&step.id, Cause::Hopeless, PauseReason::Refused { sentence });
            }
        }
        let said = |until: &Condition| match (&until.say, &step.say) {
            (None, Some(say)) => facts.words(say, &step.env).unwrap_or_else(|_| facts.told(until, &step.env)),
            (Some(_), _) | (None, None) => facts.told(until, &step.env),
        };
        let open = step.until.iter().find_map(|until| match facts.check(&until.check, &step.env) {
            Ok(true) => None,
            Ok(false) => Some(said(until)),
            Err(why) => Some(why.into()),
        });
        let Some(open) = open else {
            // What can only be said by a person is done when one has said it.
            if step.until.is_empty()
                && !claimed
                && let Some(gate) = self.open_gate(step)
            {
                return vec![Effect::Ask(gate)];
            }
            let how = match (claimed, step.until.is_empty()) {
                (_, true) => How::Asserted,
                (true, false) => How::ByHand,
                (false, false) => How::Observed,
            };
            let until: Vec<&String> = step.until.iter().map(|until| &until.check).collect();
            return self.complete(step, how, json!({ "until": until }), facts, now);
        };
        if let Some(hold) = self.open_gate(step).map(|gate| vec![Effect::Ask(gate)]) {
            return hold;
        }
        self.wait(step, open, now)
    }

    pub(in crate::runbook) fn wait(&self, step: &PlannedStep, sentence: String, now: Timestamp) -> Vec<Effect> {
        let sentence = match self.left_out(step) {
            Some(skipped) => format!("{sentence}; {skipped}"),
            None => sentence,
        };
        self.wait_about(step, About::Step, sentence, step.stalled_s, now)
    }

    pub(in crate::runbook) fn wait_about(
        &self,
        step: &PlannedStep,
        about: About,
        sentence: String,
        stalled_s: u64,
        now: Timestamp,
    ) -> Vec<Effect> {
        let waited = now.duration_since(self.progress).as_secs();
        if waited > i64::try_from(step.total_s).unwrap_or(i64::MAX) {
            let sentence = format!("{} took longer than {} s; last seen: {sentence}", step.id, step.total_s);
            return pause(&step.id, Cause::TookTooLong, PauseReason::TimedOut { sentence });
        }
        vec![Effect::Wait { seconds: POLL_S, sentence, stalled_s: stalled_s.min(step.stalled_s), about }]
    }

    /// What was left out, where a later step may wait for just that: nothing else will make it.
    fn left_out(&self, step: &PlannedStep) -> Option<String> {
        let before = self.steps().iter().take_while(|other| other.id != step.id);
        let made = |other: &&PlannedStep| other.action.writes() || matches!(other.action, Action::Manual(_));
        let skipped: Vec<String> = before
            .filter(made)
            .filter_map(|other| match self.state(&other.id) {
                StepState::Completed(How::Skipped { reason }) => Some(format!("{} ({reason})", other.id)),
                StepState::Completed(_) | StepState::Pending | StepState::Open { .. } => None,
            })
            .collect();
        (!skipped.is_empty()).then(|| {
            format!(
                "{} waits for what an earlier step would have made and was skipped: {}",
                step.id,
                skipped.join(", ")
            )
        })
    }
}
