//! Overruling a check in the plan on the screen: which one can be, the reason that is typed, the plan made anew with it.
//!
//! Not here: what may be overruled at all (`runbook::plan::overrule`).

use tui_input::Input;

use super::message::Effect;
use super::status_level::Level;
use super::{App, Dialog};
use crate::runbook::plan::CheckResult;
use crate::runbook::plan::overrule;

impl App {
    /// The first check of the plan that refuses for a reading.
    pub fn can_be_overruled(&self) -> Option<&CheckResult> {
        self.plan.as_ref()?.refusals().find(|check| check.reading)
    }

    /// Opens the field for the reason, or says why there is none.
    pub(super) fn ask_overrule(&mut self) {
        let found = self.can_be_overruled().map(|check| (check.id.clone(), check.sentence.clone()));
        match found {
            Some((check, sentence)) => {
                self.dialog = Some(Dialog::Overrule { check, sentence, input: Input::default(), wrong: String::new() });
            }
            None if self.plan.as_ref().is_some_and(|plan| plan.refusals().next().is_some()) => {
                self.say(
                    Level::Bad,
                    "what refuses here is proof, or about quorum, identity or data: it cannot be overruled",
                );
            }
            None => self.say(Level::Done, "no check refuses; there is nothing to overrule"),
        }
    }

    /// Enter behind the reason: the plan is made anew with it and with those before it.
    pub(super) fn overruled(&mut self, check: String, sentence: String, input: Input, effects: &mut Vec<Effect>) {
        let Some(plan) = &self.plan else { return };
        let mut accepted = overrule::of_plan(plan);
        match overrule::accept(&mut accepted, &check, input.value()) {
            Ok(()) => self.plan_with(accepted, effects),
            Err(wrong) => self.dialog = Some(Dialog::Overrule { check, sentence, input, wrong }),
        }
    }
}
