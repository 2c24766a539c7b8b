//! Whose runbook a run's plan is: the shipped one, one on this machine, or one that nobody here knows.
//!
//! A run that somebody left open is as good as the rights on ConfigMaps in its namespace: its record may hold a plan of
//! anybody's making under a shipped name. So nothing in it is believed: each step is held against the document that it
//! says it is from, action by action, gate by gate. What does not fit is [`Provenance::Foreign`], and says why.
//! Pure. Not here: asking ([`super::gates`]), where documents lie (`app::driver::shelf`).

use serde_json::{Map, Value, json};

use super::action::{Action, Reversibility, Signer, THIS_RUN};
use super::danger::unfamiliar;
use super::definition::{self, ActionName, ConfirmAsked, Runbook, Step};
use super::plan::{self, Confirm, Plan, PlannedStep};

/// A document on this machine.
pub struct Known<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub runbook: &'a Runbook,
}

/// Where a plan comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Every step is one of the shipped runbook of this version.
    Shipped,
    /// Every step is one of this file's, byte for byte.
    Here { file: String },
    /// One sentence.
    Foreign { why: String },
}

impl Provenance {
    /// Judges a plan. `shipped`: the shipped runbook of its id, where there is one.
    pub fn of(plan: &Plan, shipped: Option<&Runbook>, here: &[Known<'_>]) -> Self {
        let (runbook, name) = match &plan.document {
            None => match shipped {
                Some(runbook) => (runbook, None),
                None => return Self::Foreign { why: format!("no shipped runbook is called {:?}", plan.runbook) },
            },
            Some(document) => match here.iter().find(|known| known.text == document.text) {
                Some(known) => (known.runbook, Some(known.file.to_owned())),
                None => {
                    let fork = shipped.map(|shipped| differences(plan, shipped)).unwrap_or_default();
                    let fork = match fork.first() {
                        Some(first) => format!("; where the shipped {} differs: {first}", plan.runbook),
                        None => String::new(),
                    };
                    return Self::Foreign {
                        why: format!("its document {:?} is not on this machine{fork}", document.file),
                    };
                }
            },
        };
        match (differences(plan, runbook).into_iter().next(), name) {
            (None, None) => Self::Shipped,
            (None, Some(file)) => Self::Here { file },
            (Some(first), _) => {
                Self::Foreign { why: format!("it is not what {} of this version does: {first}", plan.runbook) }
            }
        }
    }
}

/// Where a plan does what its document does not say, one sentence each.
pub fn differences(plan: &Plan, runbook: &Runbook) -> Vec<String> {
    plan.steps.iter().filter_map(|planned| difference(planned, runbook)).collect()
}

fn difference(planned: &PlannedStep, runbook: &Runbook) -> Option<String> {
    let id = planned.id.split('[').next().unwrap_or_default();
    let phase = runbook.phases.iter().find(|phase| phase.id == planned.phase);
    let Some(step) = phase.and_then(|phase| phase.steps.iter().find(|step| step.id == id)) else {
        return Some(format!("it has no step {}", planned.id));
    };
    let (name, with) = as_written(&planned.action);
    if name != step.action {
        return Some(format!("step {} is another action", planned.id));
    }
    if !fits(&step.with, &with) {
        return Some(format!("step {} sends something else", planned.id));
    }
    if weaker(planned, step) {
        return Some(format!("step {} asks less", planned.id));
    }
    let alike = |planned: &[plan::Condition], step: &[definition::Condition]| {
        planned.iter().map(|condition| &condition.check).eq(step.iter().map(|condition| &condition.check))
    };
    let same = alike(&planned.pre, &step.pre)
        && alike(&planned.post, &step.post)
        && alike(&planned.until, &step.until)
        && planned.never.iter().map(|never| &never.check).eq(step.never.iter().map(|never| &never.check));
    (!same).then(|| format!("step {} waits for something else", planned.id))
}

/// Whether a planned step asks less of people than its document and the floor of its action want.
fn weaker(planned: &PlannedStep, step: &Step) -> bool {
    let reversibility = planned.action.reversibility();
    let cleans_up = matches!(&planned.action, Action::DeleteObject { made_by: Some(_), .. });
    let typed = step.confirm == ConfirmAsked::Typed
        || reversibility == Reversibility::Irreversible
        || unfamiliar(&planned.action).is_some();
    let plain = step.confirm != ConfirmAsked::None || (reversibility == Reversibility::Compensable && !cleans_up);
    let asked = match &planned.confirm {
        Confirm::Typed { .. } => true,
        Confirm::Plain { .. } => !typed,
        Confirm::None => !typed && !plain,
    };
    !asked || planned.approvers < step.approvers
}

/// An action in the words of a document: its name and its `with`.
fn as_written(action: &Action) -> (ActionName, Value) {
    match action {
        Action::PatchTidbCluster { target, merge, .. } => {
            (ActionName::PatchTidbCluster, json!({"target": target, "merge": merge}))
        }
        Action::WaitRollout { target, since, component } => {
            (ActionName::WaitRollout, json!({"target": target, "since": since, "component": component}))
        }
        Action::ProbePeerUrl { target, id, pod, url } => {
            (ActionName::ProbePeerUrl, json!({"target": target, "id": id, "pod": pod, "url": url}))
        }
        Action::UpdatePeerUrl { target, id, pod, from, to, .. } => {
            (ActionName::UpdatePeerUrl, json!({"target": target, "id": id, "pod": pod, "from": from, "to": to}))
        }
        Action::CreateObject { target, object, .. } => {
            let mut object = object.clone();
            // Where it lies is said by the target alone: the document has neither.
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                for (field, own) in [("name", &target.name), ("namespace", &target.namespace)] {
                    if metadata.get(field).and_then(Value::as_str) == Some(own.as_str()) {
                        metadata.shift_remove(field);
                    }
                }
                if metadata.is_empty() {
                    object.as_object_mut().map(|root| root.shift_remove("metadata"));
                }
            }
            (ActionName::CreateObject, json!({"target": target, "object": object}))
        }
        Action::DeleteObject { target, object_kind, made_by, .. } => {
            (ActionName::DeleteObject, json!({"target": target, "kind": object_kind, "own": made_by.is_some()}))
        }
        Action::CopySecret { from, target, keys } => {
            (ActionName::CopySecret, json!({"from": from, "target": target, "keys": keys}))
        }
        Action::IssueCa { target, common_name, organization, days, signer } => {
            let (signer, folder) = signed(signer);
            let with = json!({"target": target, "commonName": common_name, "organization": organization, "days": days,
                "signer": signer, "folder": folder});
            (ActionName::IssueCa, with)
        }
        Action::IssueCertificate {
            target,
            authority,
            common_name,
            organization,
            hosts,
            usages,
            days,
            signer,
            replaces,
        } => {
            let (signer, folder) = signed(signer);
            let with = json!({"target": target, "authority": authority, "commonName": common_name,
                "organization": organization, "hosts": hosts, "usages": usages, "days": days, "signer": signer,
                "folder": folder, "replace": replaces.is_some()});
            (ActionName::IssueCertificate, with)
        }
        Action::TransferPdLeader { target, to } => (ActionName::TransferPdLeader, json!({"target": target, "to": to})),
        Action::RemovePdMember { target, id } => (ActionName::RemovePdMember, json!({"target": target, "id": id})),
        Action::NetProbe { target, places, ports, patience_s } => {
            let with = json!({"target": target, "places": places, "ports": ports, "patienceS": patience_s});
            (ActionName::NetProbe, with)
        }
        Action::Await { target } => (ActionName::Await, json!({"target": target})),
        Action::Manual { target, command } => (ActionName::Manual, json!({"target": target, "command": command})),
    }
}

fn signed(signer: &Signer) -> (&'static str, Option<&str>) {
    match signer {
        Signer::Builtin => ("builtin", None),
        Signer::Cfssl { folder } => ("cfssl", Some(folder)),
    }
}

/// Whether a value can have come from a template: `${…}` alone stands for anything, in a text for any text. What the
/// template has and the value has not was left out as null.
fn fits(template: &Value, value: &Value) -> bool {
    match (template, value) {
        (Value::String(text), _) if text == THIS_RUN => value.is_string(),
        (Value::String(text), _) if alone(text) => true,
        (Value::String(text), Value::String(found)) => text_fits(text, found),
        (Value::Object(template), Value::Object(found)) => object_fits(template, found),
        (Value::Array(template), Value::Array(found)) => {
            template.len() == found.len() && template.iter().zip(found).all(|(template, found)| fits(template, found))
        }
        (template, found) => template == found,
    }
}

fn object_fits(template: &Map<String, Value>, found: &Map<String, Value>) -> bool {
    found.iter().all(|(key, value)| match template.get(key) {
        Some(template) => fits(template, value),
        None => matches!(value, Value::Null | Value::Bool(false)),
    })
}

/// One single `${…}`.
fn alone(text: &str) -> bool {
    matches!(pieces(text).as_slice(), [first, last] if first.is_empty() && last.is_empty())
}

fn text_fits(template: &str, found: &str) -> bool {
    let pieces = pieces(template);
    let [first, middle @ .., last] = pieces.as_slice() else {
        return template == found;
    };
    let Some(mut rest) = found.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// What stands between the holes of a text; one more than there are holes.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let mut depth = 0_usize;
        let end = rest[start + 1..].char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(start + 1 + at)
        });
        let Some(end) = end else { break };
        pieces.push(rest[..start].to_owned());
        rest = &rest[end + 1..];
    }
    pieces.push(rest.to_owned());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_their_templates() {
        let cases = [
            (json!("${x}"), json!({"any": "thing"}), true),
            (json!("${ {'a': {'b': 1}} }"), json!({"any": "thing"}), true),
            (json!("a-${x}-b"), json!("a-1-b"), true),
            (json!("a-${x}-b"), json!("a-1-c"), false),
            (json!("a-${x}-b-${y}"), json!("a-1-b-2"), true),
            (json!("a-${x}"), json!({"any": "thing"}), false),
            (json!("plain"), json!("plain"), true),
            (json!("plain"), json!("other"), false),
            (json!({"spec": {"acrossK8s": true}}), json!({"spec": {"acrossK8s": true}}), true),
            (json!({"spec": {"acrossK8s": true}}), json!({"spec": {"acrossK8s": true, "paused": true}}), false),
            (json!({"spec": {"acrossK8s": true}}), json!({"spec": {"acrossK8s": false}}), false),
            (json!({"a": "${x}", "b": 1}), json!({"b": 1}), true),
            (json!(["a", "b"]), json!(["a"]), false),
            (json!(THIS_RUN), json!("20261129-1"), true),
        ];
        for (template, value, expected) in cases {
            assert_eq!(fits(&template, &value), expected, "{template} {value}");
        }
    }
}
