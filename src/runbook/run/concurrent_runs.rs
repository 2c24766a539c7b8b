//! Which run may be opened while another one of the same Database is open: one that only makes certificates, beside one that
//! stands at a wait.
//!
//! A run waits for the operator, for instance, and the operator cannot reach PD because a certificate lacks a name: without this
//! the one runbook that cures it would be refused for the very run that waits for it. Such a run writes Secrets, each
//! bound to the one that was seen, and touches neither a TidbCluster nor the membership, so whatever the
//! waiting run has recorded stays true. One lease drives at a time all the same: the waiting run keeps its record, not the
//! lease. Pure. Not here: who holds the lease (`app::driver::acquire_lease`).

use crate::runbook::actions::Action;
use crate::runbook::plan::Plan;
use crate::runbook::run::engine::{Run, StepState};

/// Whether a run of this plan sends nothing but certificates.
pub fn only_certificates(plan: &Plan) -> bool {
    let fits = |action: &Action| matches!(action, Action::IssueCertificate(_) | Action::Await(_));
    let issues = |action: &Action| matches!(action, Action::IssueCertificate(_));
    plan.steps.iter().all(|step| fits(&step.action)) && plan.steps.iter().any(|step| issues(&step.action))
}

/// The step at which an open run waits, with nothing on its way; `None` where it stands at anything else.
pub fn waits_at(open: &Run) -> Option<&str> {
    let at = open.steps().iter().find(|step| !matches!(open.state(&step.id), StepState::Completed(_)))?;
    let waits = matches!(at.action, Action::WaitRollout(_) | Action::Await(_));
    // A wait has no Intent; whatever has one may still be on its way.
    let idle = matches!(open.state(&at.id), StepState::Pending);
    (open.outcome().is_none() && waits && idle).then_some(at.id.as_str())
}

/// Whether a run of this plan may be opened while the other is open.
pub fn passes(plan: &Plan, open: &Run) -> bool {
    only_certificates(plan) && waits_at(open).is_some() && !open.steps().iter().any(|step| issues_later(open, step))
}

/// Two runs that make the same certificates would take each other's for a stranger's.
fn issues_later(open: &Run, step: &crate::runbook::plan::PlannedStep) -> bool {
    let makes = matches!(step.action, Action::IssueCertificate(_) | Action::IssueCa(_) | Action::CopySecret(_));
    makes && !matches!(open.state(&step.id), StepState::Completed(_))
}
