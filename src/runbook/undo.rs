//! Undo: the steps that put back what a run sent, made from its records alone. Pure.
//!
//! Only what an Intent of this run has sent is put back, the newest first, and only to the before-image that the
//! Intent recorded. A step with no way back ends the undo: what came before it stays. The steps made here take the
//! same path through [`super::engine`] as any other: proved anew before each effect, journalled, judged by looking.
//! Not here: the decision to undo ([`super::choices`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::action::{Action, Reversibility};
use super::merge;
use super::plan::{Confirm, Plan, PlannedStep, Rehearsal};
use crate::fleet::object::{ObjectId, ObjectKind};

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
pub fn undo(run: &str, plan: &Plan, sent: &[String], images: &BTreeMap<String, Value>) -> Undo {
    let mut way = Undo::default();
    for step in sent.iter().rev().filter_map(|id| plan.step(id)) {
        let Some(image) = images.get(&step.id) else { continue };
        let made = match step.reversibility {
            Reversibility::Irreversible => None,
            Reversibility::Free | Reversibility::Compensable => match &step.action {
                Action::UpdatePeerUrl { .. } => peer_url(step, image),
                Action::PatchTidbCluster { .. } => patch(plan, step, image),
                Action::CreateObject { .. }
                | Action::CopySecret { .. }
                | Action::IssueCa { .. }
                | Action::IssueCertificate { .. } => created(run, step),
                // Who leads, and what was deleted though it can be made again, is not put back.
                Action::TransferPdLeader { .. } | Action::DeleteObject { .. } => continue,
                Action::RemovePdMember { .. } => None,
                Action::WaitRollout { .. }
                | Action::ProbePeerUrl { .. }
                | Action::NetProbe { .. }
                | Action::Await { .. }
                | Action::Manual { .. } => continue,
            },
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

/// Looks from the other PD pods at each recorded peerURL, then puts them back.
fn peer_url(step: &PlannedStep, image: &Value) -> Option<Vec<PlannedStep>> {
    let Action::UpdatePeerUrl { target, id, pod, to: ours, .. } = &step.action else { return None };
    let before: Vec<String> = serde_json::from_value(image.get("peerUrls")?.clone()).ok()?;
    let mut steps: Vec<PlannedStep> = before
        .iter()
        .enumerate()
        .map(|(number, url)| {
            let action = Action::ProbePeerUrl { target: target.clone(), id: *id, pod: pod.clone(), url: url.clone() };
            let more = if number == 0 { String::new() } else { format!("#{number}") };
            PlannedStep {
                id: format!("undo-probe{more}:{}", step.id),
                title: format!("Probe the former peerURL of {pod} from the other PD pods"),
                confirm: Confirm::None,
                before: Value::Null,
                after: json!({ "url": url }),
                ..way_back(step, action)
            }
        })
        .collect();
    let action = Action::UpdatePeerUrl {
        target: target.clone(),
        id: *id,
        pod: pod.clone(),
        from: ours.clone(),
        to: before.clone(),
        restores: true,
    };
    steps.push(PlannedStep {
        title: format!("Put the peerURL of {pod} back to {}", before.join(", ")),
        before: json!({ "peerUrls": ours }),
        after: json!({ "peerUrls": before }),
        ..way_back(step, action)
    });
    Some(steps)
}

/// Deletes what this run created, and only that: whether it did is seen in the object's field managers.
fn created(run: &str, step: &PlannedStep) -> Option<Vec<PlannedStep>> {
    let (target, object_kind) = match &step.action {
        Action::CreateObject { target, object_kind, .. } => (target.clone(), *object_kind),
        Action::CopySecret { target, .. }
        | Action::IssueCa { target, .. }
        | Action::IssueCertificate { target, .. } => (target.clone(), ObjectKind::Secret),
        _ => return None,
    };
    let title = format!("Delete {}, which this run made", ObjectId::new(object_kind, &target));
    let action = Action::DeleteObject { target, object_kind, uid: None, made_by: Some(run.to_owned()) };
    Some(vec![PlannedStep { title, after: json!({"absent": true}), ..way_back(step, action) }])
}

/// Puts the patched fields back, and waits again for what the first patch was waited for.
fn patch(plan: &Plan, step: &PlannedStep, image: &Value) -> Option<Vec<PlannedStep>> {
    let Action::PatchTidbCluster { target, uid, merge } = &step.action else { return None };
    let fields = image.get("fields")?.as_object()?;
    let back = with_values("", merge, fields)?;
    let action = Action::PatchTidbCluster { target: target.clone(), uid: uid.clone(), merge: back };
    if action.reversibility() == Reversibility::Irreversible {
        return None;
    }
    let waits: Vec<&PlannedStep> = plan
        .steps
        .iter()
        .filter(|wait| matches!(&wait.action, Action::WaitRollout { since: Some(since), .. } if *since == step.id))
        .collect();
    // A restart that is still under way has to end before the next one begins.
    let patience = |of: fn(&PlannedStep) -> u64| waits.iter().map(|wait| of(wait)).fold(of(step), u64::max);
    let mut steps = vec![PlannedStep {
        title: format!("Put the fields of TidbCluster {} back as they were before {}", target.name, step.id),
        before: json!({ "fields": merge::asked(merge) }),
        after: json!({ "fields": fields }),
        total_s: patience(|step| step.total_s),
        stalled_s: patience(|step| step.stalled_s),
        ..way_back(step, action)
    }];
    for wait in waits {
        let component = match &wait.action {
            Action::WaitRollout { component, .. } => *component,
            _ => None,
        };
        let action = Action::WaitRollout { target: target.clone(), since: Some(undo_id(&step.id)), component };
        // What the wait proves is about names and health as the spec has them, so it holds on the way back too.
        let post = wait.post.clone();
        steps.push(PlannedStep { title: wait.title.clone(), confirm: Confirm::None, post, ..way_back(wait, action) });
    }
    Some(steps)
}

/// The merge patch with each leaf replaced by its recorded value.
pub(super) fn with_values(at: &str, merge: &Value, fields: &Map<String, Value>) -> Option<Value> {
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
fn way_back(step: &PlannedStep, action: Action) -> PlannedStep {
    let gate = |gate: &str| format!("undo/{gate}");
    PlannedStep {
        id: undo_id(&step.id),
        phase: "undo".into(),
        item: None,
        last: None,
        why: format!("undo of {}", step.id),
        already_so: false,
        before: Value::Null,
        after: Value::Null,
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

    #[test]
    fn recorded_values_take_the_places_of_ours() {
        let merge = json!({"metadata": {"annotations": {"a.b/c": "true"}}, "spec": {"acrossK8s": true}});
        let fields = json!({"metadata.annotations[a.b/c]": null, "spec.acrossK8s": false});
        let back = with_values("", &merge, fields.as_object().expect("a map"));
        assert_eq!(back, Some(json!({"metadata": {"annotations": {"a.b/c": null}}, "spec": {"acrossK8s": false}})));
        assert_eq!(with_values("", &merge, &Map::new()), None, "a value that was not recorded is not made up");
    }
}
