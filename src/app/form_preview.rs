//! What the values of a form would lead to: a plan that is made while they are typed, from reads alone.
//!
//! Asked for when every field that has to be filled is, and none is known to be wrong; only of the values as they stand.
//! Nothing can be started from it: the plan that a person agrees to is made anew, and rehearsed. Not here: making it
//! (`driver::console_session`), how it is shown (`console::form`).

use std::collections::BTreeMap;

use super::message::Effect;
use super::{App, View};
use crate::runbook::plan::Plan;

/// A runbook and its inputs as they were typed.
type Values = (String, BTreeMap<String, String>);

#[derive(Debug, Default)]
pub struct Foreseen {
    id: u64,
    asked: Option<Values>,
    /// `None`: it has not come. `Err`: there is no such plan; one sentence.
    plan: Option<Result<Box<Plan>, String>>,
}

/// What is known of what the values lead to.
pub enum Following<'a> {
    /// Something is still to be filled in, or known to be wrong.
    NotAsked,
    Asked,
    NoPlan(&'a str),
    Plan(&'a Plan),
}

impl App {
    pub fn following(&self) -> Following<'_> {
        match (&self.foreseen.asked, &self.foreseen.plan) {
            (None, _) => Following::NotAsked,
            (Some(_), None) => Following::Asked,
            (Some(_), Some(Err(sentence))) => Following::NoPlan(sentence),
            (Some(_), Some(Ok(plan))) => Following::Plan(plan),
        }
    }

    /// Asks where the values have moved; what was told of others is forgotten.
    pub(super) fn foresee(&mut self, effects: &mut Vec<Effect>) {
        let wanted = self.values();
        if wanted == self.foreseen.asked {
            return;
        }
        self.foreseen.plan = None;
        self.foreseen.id += 1;
        if let Some((runbook, inputs)) = wanted.clone() {
            effects.push(Effect::Foresee { id: self.foreseen.id, runbook, inputs });
        }
        self.foreseen.asked = wanted;
    }

    /// The values of the form in front, where a plan could be made of them.
    fn values(&self) -> Option<Values> {
        let form = self.form.as_ref().filter(|_| *self.view() == View::Form)?;
        let whole = form.missing().is_none() && form.fields.iter().all(|field| self.wrong(form, field).is_none());
        whole.then(|| (form.runbook.id.clone(), form.inputs()))
    }

    pub(super) fn foreseen(&mut self, id: u64, plan: Result<Box<Plan>, String>) {
        if id == self.foreseen.id && self.foreseen.asked.is_some() {
            self.foreseen.plan = Some(plan);
        }
    }
}
