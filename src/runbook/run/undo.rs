//! Undo: the steps that put back what a run sent, made from its records alone. Pure.
//!
//! Only what an Intent of this run has sent is put back, the newest first, and only to the before-image that the
//! Intent recorded. A step with no rollback ends the undo: what came before it stays. The steps made here take the
//! same path through [`crate::runbook::run::engine`] as any other: proved anew before each effect, journalled, judged by looking.
//! Not here: the decision to undo ([`crate::runbook::run::pause_choices`]).

use std::collections::BTreeMap;

use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::runbook::action_types::Reversibility;
use crate::runbook::actions::Action;
use crate::runbook::actions::undo_trait::{Back, Part, Sets, Undoing};
use crate::runbook::actions::{DeleteObject, Does};
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::{Confirm, Plan, PlannedStep, Rehearsal};

/// The rollback of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undo {
    pub steps: Vec<PlannedStep>,
    /// The plan's steps that are put back, in this order.
    pub of: Vec<String>,
    /// The step with no rollback at which the undo ends.
    pub ends_at: Option<String>,
}

/// Name of the step that puts `step` back.
pub fn undo_id(step: &str) -> String {
    format!("undo:{step}")
}

/// The plan's step which `undo_step` puts back.
pub fn undone(undo_step: &str) -> Option<&str> {
    undo_step.strip_prefix("undo:")
}

/// `run`: whose undo it is; `sent`: steps with an Intent, in the order of their first one; `images`: the before-image
/// of each.
pub fn undo(run: &str, plan: &Plan, sent: &[String], images: &BTreeMap<String, Image>) -> Undo {
    let mut way = Undo::default();
    for step in sent.iter().rev().filter_map(|id| plan.step(id)) {
        let Some(image) = images.get(&step.id) else { continue };
        let made = match (step.reversibility, step.action.kind().does()) {
            (Reversibility::Irreversible, _) => None,
            (_, Does::Sets(sets)) => back(plan, step, sets, image),
            (_, Does::Makes(kind)) => Some(vec![created(run, step, kind)]),
            (_, Does::Changes) if !step.action.stays() => None,
            (_, Does::Changes | Does::Waits | Does::Looks) => continue,
        };
        match made {
            Some(steps) => {
                way.of.push(step.id.clone());
                way.steps.extend(steps);
            }
            None => {
                way.ends_at = Some(step.id.clone());
                break;
            }
        }
    }
    way
}

/// The steps of the rollback of one step, each with what it takes over from the step forth.
fn back(plan: &Plan, step: &PlannedStep, sets: &dyn Sets, image: &Image) -> Option<Vec<PlannedStep>> {
    let waits_for = |wait: &&PlannedStep| match &wait.action {
        Action::WaitRollout(rollout) => rollout.since.as_ref() == Some(&step.id),
        _ => false,
    };
    let waits: Vec<&PlannedStep> = plan.steps.iter().filter(waits_for).collect();
    let rollouts = waits.iter().filter_map(|wait| match &wait.action {
        Action::WaitRollout(rollout) => Some((wait.id.as_str(), rollout)),
        _ => None,
    });
    let undoing = Undoing { step: &step.id, image, back: &undo_id(&step.id), waits: rollouts.collect() };
    // A restart that is still under way has to end before the next one begins.
    let patience = |of: fn(&PlannedStep) -> u64| waits.iter().map(|wait| of(wait)).fold(of(step), u64::max);
    let planned = |Back { action, part }: Back| match part {
        Part::Looks { number, title, after } => {
            let more = if number == 0 { String::new() } else { format!("#{number}") };
            let id = format!("undo-probe{more}:{}", step.id);
            Some(PlannedStep { id, title, confirm: Confirm::None, after, ..step_back(step, action) })
        }
        Part::Sets { title, before, after } => {
            let (total_s, stalled_s) = (patience(|step| step.total_s), patience(|step| step.stalled_s));
            Some(PlannedStep { title, before, after, total_s, stalled_s, ..step_back(step, action) })
        }
        // What the wait proves is about names and health as the spec has them, so it holds on the rollback too.
        Part::Waits { like } => {
            let wait = plan.step(&like)?;
            let (title, post) = (wait.title.clone(), wait.post.clone());
            Some(PlannedStep { title, confirm: Confirm::None, post, ..step_back(wait, action) })
        }
    };
    sets.back(&undoing)?.into_iter().map(planned).collect()
}

/// Deletes what this run created, and only that: whether it did is seen in the object's field managers.
fn created(run: &str, step: &PlannedStep, object_kind: ObjectKind) -> PlannedStep {
    let target = step.action.target().clone();
    let title = format!("Delete {}, which this run made", ObjectId::new(object_kind, &target));
    let action = DeleteObject { target, object_kind, uid: None, made_by: Some(run.to_owned()) };
    PlannedStep { title, after: Image::Absent, ..step_back(step, Action::DeleteObject(action)) }
}

/// A step back, with the guards and times of the step forth. The post-conditions of the step forth are about the
/// state that is being left, so they are not taken over.
fn step_back(step: &PlannedStep, action: Action) -> PlannedStep {
    let gate = |gate: &str| format!("undo/{gate}");
    PlannedStep {
        id: undo_id(&step.id),
        phase: "undo".into(),
        item: None,
        last: None,
        why: format!("undo of {}", step.id),
        already_so: false,
        before: Image::Nothing,
        after: Image::Nothing,
        requests: Vec::new(),
        command: action.command(None, false),
        rehearsed: if action.writes() { Rehearsal::Predicted } else { Rehearsal::NotNeeded },
        reversibility: action.reversibility(),
        confirm: match &step.confirm {
            Confirm::Typed { gate: id, text, short } => {
                Confirm::Typed { gate: gate(id), text: text.clone(), short: short.clone() }
            }
            Confirm::Plain { .. } | Confirm::None => Confirm::Plain { gate: gate("all") },
        },
        // The rollback must stay open to whoever is there.
        approvers: 1,
        between: Vec::new(),
        post: Vec::new(),
        until: Vec::new(),
        say: None,
        never: Vec::new(),
        action,
        ..step.clone()
    }
}
