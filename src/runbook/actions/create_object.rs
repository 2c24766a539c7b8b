//! Creates an object that is not there yet.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::{OWN_HAND, RUN_LABEL, Request, THIS_RUN, field_manager};
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::kubectl_in;
use crate::fleet::managed_fields::last_writer_of_object;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind, differences, managers, uid, written_by};
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::{Sending, manifest};
use crate::runbook::actions::change_allowlist;
use crate::runbook::actions::judge_types::{Judged, Look, deleting};
use crate::runbook::actions::right_types::{Need, Reach};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateObject {
    pub target: ObjectRef,
    pub object_kind: ObjectKind,
    pub object: Value,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// Where it will be.
    target: ObjectRef,
    /// The manifest; context, namespace and name come from `target`.
    object: Value,
}

impl ActionKind for CreateObject {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { target, object } = document(with)?;
        placed(target, pruned(object))
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        let mut object = self.object.clone();
        // Where it lies is said by the target alone: the document has neither.
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for (field, own) in [("name", &self.target.name), ("namespace", &self.target.namespace)] {
                if metadata.get(field).and_then(Value::as_str) == Some(own.as_str()) {
                    metadata.shift_remove(field);
                }
            }
            if metadata.is_empty() {
                object.as_object_mut().map(|root| root.shift_remove("metadata"));
            }
        }
        json!({"target": self.target, "object": object})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Makes(self.object_kind)
    }

    fn way_back(&self) -> WayBack {
        let joins = self.object_kind == ObjectKind::TidbCluster && self.object.pointer("/spec/cluster").is_some();
        if joins { WayBack::Joined } else { WayBack::Deletes }
    }

    fn unfamiliar(&self) -> Option<String> {
        change_allowlist::created(self.object_kind, &self.target, &self.object)
    }

    fn objects(&self) -> Vec<ObjectId> {
        vec![self.id()]
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        Need::made(self.object_kind, &self.target, "the object is looked at, then made")
    }

    /// TiDB Operator writes a new object back within a second: what it makes of the fields is no difference, and where an
    /// object of this run differs otherwise, only a hand that is not the operator's makes it foreign.
    fn judge(&self, look: &Look<'_>) -> Judged {
        let (id, object) = (&self.id(), &self.object);
        let found = match look.sight(id) {
            Ok(Lookup::Absent) => {
                return Judged::NotDone { before: Image::Absent, after: Image::Object(object.clone()) };
            }
            Ok(Lookup::Present(found)) => found,
            Ok(Lookup::Unseen(why)) => return Judged::Waiting(why.clone()),
            Err(judged) => return judged,
        };
        if deleting(found) {
            return Judged::Waiting(format!("{id} is being deleted"));
        }
        let different = differences(object, found);
        if different.is_empty() {
            return Judged::Done { evidence: json!({"uid": uid(found)}) };
        }
        let ours = !look.run.is_empty() && written_by(found, &field_manager(look.run));
        let hands: Vec<&str> = managers(found).filter(|hand| !hand.starts_with(OWN_HAND)).collect();
        if ours && !hands.is_empty() && hands.iter().all(|hand| hand.starts_with("tidb-controller-manager")) {
            return Judged::Done { evidence: json!({"uid": uid(found), "changedByTheOperator": different}) };
        }
        let how = match ours {
            true => format!("was made by this run and changed since by {}", hands.join(", ")),
            false => "exists already and is another one".to_owned(),
        };
        let who = last_writer_of_object(found).map_or_else(String::new, |who| format!(" ({who})"));
        Judged::Foreign {
            sentence: format!("{id} {how}: {}{who}", different.join("; ")),
            before: Image::Absent,
            ours: Image::from(object.clone()),
            theirs: Image::from(json!({"uid": uid(found), "different": different})),
        }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, Some(Image::Object(self.object.clone())))
    }

    fn requests(&self, sending: &Sending<'_>) -> Vec<Request> {
        vec![sending.create(self.object_kind, &self.target, true, self.object.clone())]
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        let manifest = manifest(&self.object);
        let end = end_of(&manifest);
        format!("{} create -f - <<'{end}'\n{manifest}{end}", kubectl_in(&self.target.context))
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Create {} {}", self.object_kind.kind(), self.target)
    }

    fn deed(&self) -> String {
        format!("creates {}", self.id())
    }
}

impl CreateObject {
    fn id(&self) -> ObjectId {
        ObjectId::new(self.object_kind, &self.target)
    }

    /// With the run's id in the label that a plan leaves open.
    pub(super) fn name_run(&mut self, run: &str) {
        let label = self.object.pointer_mut("/metadata/labels").and_then(|labels| labels.get_mut(RUN_LABEL));
        if let Some(label) = label.filter(|label| *label == THIS_RUN) {
            *label = Value::String(run.to_owned());
        }
    }
}

/// Parts of a manifest that were filled with nothing are left out: that is how a document leaves a field optional.
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, pruned(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().filter(|v| !v.is_null()).map(pruned).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

fn placed(target: ObjectRef, mut object: Value) -> Result<CreateObject, BadWith> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = ObjectKind::of(&object).ok_or_else(|| {
        let known: Vec<String> =
            ObjectKind::ALL.iter().map(|kind| format!("{} {}", kind.api_version(), kind.kind())).collect();
        let (version, kind) = (text("apiVersion"), text("kind"));
        BadWith::Refused(format!("cannot create {version:?} {kind:?}; known are: {}", known.join(", ")))
    })?;
    if kind == ObjectKind::Secret {
        return BadWith::refused("a Secret is not created from a document: its values would stand in the plan");
    }
    // Where it lies is said once, by the target.
    let root = object.as_object_mut().ok_or_else(|| BadWith::Refused("`object` is no manifest".into()))?;
    let given = root.remove("metadata").unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let Value::Object(mut metadata) = given else { return BadWith::refused("`object.metadata` is no map") };
    metadata.insert("name".into(), Value::String(target.name.clone()));
    if kind.namespaced() {
        metadata.insert("namespace".into(), Value::String(target.namespace.clone()));
    }
    // In the order in which people write it.
    let mut ordered = serde_json::Map::new();
    for head in ["apiVersion", "kind"] {
        ordered.extend(root.remove(head).map(|value| (head.to_owned(), value)));
    }
    ordered.insert("metadata".into(), Value::Object(metadata));
    ordered.append(root);
    Ok(CreateObject { target, object_kind: kind, object: Value::Object(ordered) })
}

/// The word that ends a here-document: no line of its text.
fn end_of(text: &str) -> String {
    let mut end = "EOF".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::actions::judge_types::tests::{judged, observation};

    #[test]
    fn manifests_are_bounded_and_placed() {
        let at = ObjectRef::new("a", "db", "x");
        let made =
            placed(at.clone(), pruned(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": null}})));
        let Ok(CreateObject { object, object_kind: ObjectKind::ConfigMap, .. }) = made else { panic!("{made:?}") };
        assert_eq!(object["metadata"], json!({"name": "x", "namespace": "db"}));
        assert_eq!(object["data"], json!({"a": "1"}));
        for (refused, why) in [
            (json!({"apiVersion": "v1", "kind": "Node"}), "cannot create"),
            (json!({"apiVersion": "v1", "kind": "Secret", "data": {}}), "not created from a document"),
        ] {
            let error = placed(at.clone(), refused).expect_err("refused");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn creation_is_judged_by_what_is_there() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1"}});
        let action =
            CreateObject { target: ObjectRef::new("a", "db", "x"), object_kind: ObjectKind::ConfigMap, object };
        let made =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "uid": "u"}, "data": {"a": "1"}});
        let mut dying = made.clone();
        dying["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut other = made.clone();
        other["data"]["a"] = json!("2");
        let cases = [
            (Lookup::Absent, "not done"),
            (Lookup::Present(made), "done"),
            (Lookup::Present(dying), "waiting"),
            (Lookup::Present(other), "foreign"),
            (Lookup::Unseen("forbidden".into()), "waiting"),
        ];
        for (sight, expected) in cases {
            let seen = observation(ObjectKind::ConfigMap, "x", sight.clone());
            assert_eq!(judged(&action, "", &seen), expected, "{sight:?}");
        }
        assert_eq!(judged(&action, "", &observation(ObjectKind::Secret, "x", Lookup::Absent)), "waiting");
    }

    /// TiDB Operator writes a TidbCluster back within a second of its creation; a look comes before or after that.
    #[test]
    fn what_this_run_made_is_its_own_whoever_defaulted_it() {
        let object = json!({"apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster", "metadata": {"name": "x"},
            "spec": {"paused": false, "pd": {"replicas": 1, "config": {}}, "tidb": {"replicas": 1, "config": {"lease": "45s"}}}});
        let action = CreateObject {
            target: ObjectRef::new("a", "db", "x"),
            object_kind: ObjectKind::TidbCluster,
            object: object.clone(),
        };
        let managed = |mut found: Value, managers: &[&str]| {
            let entries: Vec<Value> = managers.iter().map(|manager| json!({"manager": manager})).collect();
            found["metadata"]["managedFields"] = json!(entries);
            Lookup::Present(found)
        };
        let mut written = object.clone();
        written["spec"] = json!({"pd": {"replicas": 1, "config": "", "baseImage": "pingcap/pd"},
            "tidb": {"replicas": 1, "config": "lease = \"45s\"\n\n[log]\n  [log.file]\n    max-backups = 3\n"}});
        let mut odd = written.clone();
        odd["spec"]["tidb"]["config"] = json!("lease = \"1s\"\n");
        let operator = "tidb-controller-manager";
        let cases = [
            (managed(object.clone(), &["tidepilot/r1"]), "done"),
            (managed(written.clone(), &["tidepilot/r1", operator]), "done"),
            // A resume, or an object that was there before and is the same.
            (managed(written.clone(), &[operator]), "done"),
            (managed(odd.clone(), &["tidepilot/r1", operator]), "done"),
            (managed(odd.clone(), &["tidepilot/r1", operator, "kubectl-edit"]), "foreign"),
            (managed(odd.clone(), &["tidepilot/r1"]), "foreign"),
            (managed(odd, &["tidepilot/r2", operator]), "foreign"),
        ];
        for (sight, expected) in cases {
            let seen = observation(ObjectKind::TidbCluster, "x", sight.clone());
            assert_eq!(judged(&action, "r1", &seen), expected, "{sight:?}");
        }
    }
}
