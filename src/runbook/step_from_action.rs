//! A planned step as its action has it: what it sends, changes and can have back, made anew and not read.
//!
//! A plan that comes from a cluster says in words of its own what each step does, and whoever may write its record can
//! change them. Who takes a run over, and who approves a step of one, is shown what follows from the action, which is
//! what is sent. Pure. Not here: whether the document is known ([`crate::runbook::plan::provenance`]), printing (`report`).

use super::actions::Action;
use super::plan::PlannedStep;
use crate::runbook::plan::steps::FIELD_MANAGER;

/// One step: everything but its title, its reason and what it waits for.
pub fn step(step: &PlannedStep) -> PlannedStep {
    let mut step = step.clone();
    step.requests = step.action.requests(FIELD_MANAGER, "", step.membership_api());
    step.reversibility = step.action.reversibility();
    let (before, after) = step.action.kind().images();
    step.before = before.unwrap_or(step.before);
    step.after = after.unwrap_or(step.after);
    step
}

/// What an action does, in a few words of this version's own: never a document's.
pub fn deed(action: &Action) -> String {
    action.kind().deed()
}
