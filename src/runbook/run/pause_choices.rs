//! What a person may choose when a run has stopped, and what each choice writes into the journal. Pure.
//!
//! Retry is going on as before; detach is leaving the run open. Here are the others: done by hand, skip, undo,
//! abandon. A choice that is refused changes nothing. Not here: what follows from a choice ([`crate::runbook::run::engine`]).

use jiff::Timestamp;
use serde_json::Value;

use crate::runbook::action_types::{Answer, Reversibility};
use crate::runbook::actions::Action;
use crate::runbook::actions::WaitRollout;
use crate::runbook::plan::PlannedStep;
use crate::runbook::run::engine::{LATE_WRITE_S, Run, StepState};
use crate::runbook::run::record::{Choice, Event, How, Outcome};
use crate::runbook::run::undo;

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The step was done outside: verify and go on.
    ByHand { step: String },
    /// Leave the step out.
    Skip { step: String, reason: String },
    /// Put back what was sent, the newest first.
    Undo,
    /// Give the run up as it stands.
    Abandon { reason: String },
}

/// Why a choice is refused; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChoice {
    #[error("there is no step {asked:?} to do; still to do are: {known}")]
    UnknownStep { asked: String, known: String },
    #[error("step {step} is completed already ({how})")]
    Completed { step: String, how: &'static str },
    #[error(
        "step {step} cannot be rolled back and everything after it stands on it, so it cannot be skipped; do it by hand, or abandon the run"
    )]
    Irreversible { step: String },
    #[error(
        "step {later} waits for what {step} starts, so {step} cannot be skipped; do it by hand, or abandon the run"
    )]
    Needed { step: String, later: String },
    #[error("an attempt of step {step} may still be applied for {seconds} s; resume to look, then decide")]
    InDoubt { step: String, seconds: i64 },
    #[error("a reason is needed: it is what the next person will read")]
    NoReason,
    #[error("the run is closed ({0})")]
    Closed(&'static str),
    #[error("the run is being undone already; `runs resume` continues it")]
    Undoing,
    #[error("nothing can be put back: {0}")]
    NothingToUndo(String),
}

impl Run {
    /// Checks a choice against the run as it stands and gives the record which makes it.
    pub fn choose(&self, wish: &Resolution, now: Timestamp) -> Result<Event, BadChoice> {
        let open = match self.outcome() {
            None => Ok(()),
            Some(outcome) => Err(BadChoice::Closed(outcome.word())),
        };
        match wish {
            Resolution::ByHand { step } => {
                open?;
                let step = self.unfinished(step)?;
                Ok(Event::Chosen { choice: Choice::ByHand { step: step.id.clone() } })
            }
            Resolution::Skip { step, reason } => {
                open?;
                self.skip(self.unfinished(step)?, reason, now)
            }
            Resolution::Undo => self.way_back(),
            Resolution::Abandon { reason } => {
                open?;
                let reason = given(reason)?;
                Ok(Event::Chosen { choice: Choice::Abandon { reason, left: self.left() } })
            }
        }
    }

    fn unfinished(&self, id: &str) -> Result<&PlannedStep, BadChoice> {
        let found = self.steps().iter().find(|step| step.id == id);
        match found.map(|step| (step, self.state(&step.id))) {
            Some((step, StepState::Pending | StepState::Open { .. })) => Ok(step),
            Some((step, StepState::Completed(how))) => {
                Err(BadChoice::Completed { step: step.id.clone(), how: how.word() })
            }
            None => {
                let todo = self.steps().iter().filter(|step| !matches!(self.state(&step.id), StepState::Completed(_)));
                let known = todo.map(|step| step.id.as_str()).collect::<Vec<_>>().join(", ");
                Err(BadChoice::UnknownStep { asked: id.to_owned(), known })
            }
        }
    }

    fn skip(&self, step: &PlannedStep, reason: &str, now: Timestamp) -> Result<Event, BadChoice> {
        let reason = given(reason)?;
        if step.reversibility == Reversibility::Irreversible {
            return Err(BadChoice::Irreversible { step: step.id.clone() });
        }
        let waits = |later: &&PlannedStep| matches!(&later.action, Action::WaitRollout(WaitRollout { since: Some(since), .. }) if *since == step.id);
        if let Some(later) = self.steps().iter().find(waits) {
            return Err(BadChoice::Needed { step: step.id.clone(), later: later.id.clone() });
        }
        if let Some(seconds) = self.may_still_apply(&step.id, now) {
            return Err(BadChoice::InDoubt { step: step.id.clone(), seconds });
        }
        Ok(Event::Completed { step: step.id.clone(), how: How::Skipped { reason }, evidence: Value::Null })
    }

    /// Seconds for which an attempt whose answer is not known may still take effect.
    pub(in crate::runbook) fn may_still_apply(&self, step: &str, now: Timestamp) -> Option<i64> {
        let StepState::Open { since, answer, .. } = self.state(step) else { return None };
        match answer {
            Some(Answer::Refused { .. }) => None,
            Some(Answer::Accepted { .. } | Answer::Unknown { .. }) | None => {
                let left = LATE_WRITE_S - now.duration_since(*since).as_secs();
                (left > 0).then_some(left)
            }
        }
    }

    fn way_back(&self) -> Result<Event, BadChoice> {
        match self.outcome() {
            // A run that is done, or was given up, can be put back too: each effect is proved anew.
            None | Some(Outcome::Done | Outcome::Abandoned) => {}
            Some(outcome @ (Outcome::Undone | Outcome::NothingToDo | Outcome::LeftOut)) => {
                return Err(BadChoice::Closed(outcome.word()));
            }
        }
        if self.undoing().is_some() {
            return Err(BadChoice::Undoing);
        }
        let way = self.way_ahead();
        if way.of.is_empty() {
            return Err(BadChoice::NothingToUndo(match way.ends_at {
                Some(step) => format!("the last thing that was sent is {step}, and it cannot be rolled back"),
                None => "this run sent nothing".into(),
            }));
        }
        Ok(Event::Chosen { choice: Choice::Undo { steps: way.of, ends_at: way.ends_at } })
    }

    /// The rollback as it would be if it were chosen now.
    pub fn way_ahead(&self) -> undo::Undo {
        undo::undo(&self.id, &self.plan, self.sent(), self.images())
    }

    /// What an abandoned run leaves behind: one sentence per step that was sent, is in doubt, or was not done.
    pub fn left(&self) -> Vec<String> {
        if !self.has_written() {
            return vec!["nothing was sent".into()];
        }
        let steps = self.steps().iter().filter(|step| step.action.writes());
        steps
            .map(|step| {
                let state = match self.state(&step.id) {
                    StepState::Pending => "not done".to_owned(),
                    StepState::Open { answer: Some(Answer::Refused { .. }), .. } => "refused, not done".to_owned(),
                    StepState::Open { .. } => "in doubt: sent, and not seen to be done".to_owned(),
                    StepState::Completed(how) => how.word().to_owned(),
                };
                format!("{}: {state}", step.id)
            })
            .collect()
    }
}

fn given(reason: &str) -> Result<String, BadChoice> {
    match reason.trim() {
        "" => Err(BadChoice::NoReason),
        reason => Ok(reason.to_owned()),
    }
}
