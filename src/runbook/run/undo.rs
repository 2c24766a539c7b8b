//! Undo: the steps that put back what a run sent, made from its records alone. Pure.
//!
//! Only what an Intent of this run has sent is put back, the newest first, and only to the before-image that the
//! Intent recorded. A step with no way back ends the undo: what came before it stays. The steps made here take the
//! same path through [`crate::runbook::run::engine`] as any other: proved anew before each effect, journalled, judged by looking.
//! Not here: the decision to undo ([`crate::runbook::run::choices`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::fleet::object::{ObjectId, ObjectKind};
use crate::runbook::action::{Action, Reversibility};
use crate::runbook::actions::merge;
use crate::runbook::actions::{DeleteObject, Does};
use crate::runbook::image::Image;
use crate::runbook::plan::{Confirm, Plan, PlannedStep, Rehearsal};

/// The way back of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undo {
    pub steps: Vec<PlannedStep>,
    /// The plan's steps that are put back, in this order.
    pub of: Vec<String>,
    /// The step with no way back at which the undo ends.
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
            (_, Does::Sets(sets)) => sets.back(&Undoing { plan, step, image }),
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

/// What a step is put back from.
pub(in crate::runbook) struct Undoing<'a> {
    pub plan: &'a Plan,
    pub step: &'a PlannedStep,
    /// What its first Intent recorded.
    pub image: &'a Image,
}

/// Deletes what this run created, and only that: whether it did is seen in the object's field managers.
fn created(run: &str, step: &PlannedStep, object_kind: ObjectKind) -> PlannedStep {
    let target = step.action.target().clone();
    let title = format!("Delete {}, which this run made", ObjectId::new(object_kind, &target));
    let action = DeleteObject { target, object_kind, uid: None, made_by: Some(run.to_owned()) };
    PlannedStep { title, after: Image::Absent, ..step_back(step, Action::DeleteObject(action)) }
}

/// The merge patch with each leaf replaced by its recorded value.
pub(in crate::runbook) fn with_values(at: &str, merge: &Value, fields: &Map<String, Value>) -> Option<Value> {
    match merge.as_object() {
        Some(map) if !map.is_empty() => {
            let mut filled = Map::new();
            for (key, value) in map {
                filled.insert(key.clone(), with_values(&merge::below(at, key), value, fields)?);
            }
            Some(Value::Object(filled))
        }
        _ => fields.get(&merge::name(at)).cloned(),
    }
}

/// A step back, with the guards and times of the step forth. The post-conditions of the step forth are about the
/// state that is being left, so they are not taken over.
pub(in crate::runbook) fn step_back(step: &PlannedStep, action: Action) -> PlannedStep {
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
        // The way back must stay open to whoever is there.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn recorded_values_take_the_places_of_ours() {
        let merge = json!({"metadata": {"annotations": {"a.b/c": "true"}}, "spec": {"acrossK8s": true}});
        let fields = json!({"metadata.annotations[a.b/c]": null, "spec.acrossK8s": false});
        let back = with_values("", &merge, fields.as_object().expect("a map"));
        assert_eq!(back, Some(json!({"metadata": {"annotations": {"a.b/c": null}}, "spec": {"acrossK8s": false}})));
        assert_eq!(with_values("", &merge, &Map::new()), None, "a value that was not recorded is not made up");
    }
}
