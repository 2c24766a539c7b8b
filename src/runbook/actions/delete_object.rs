//! Deletes one object, and no other that may have taken its name.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::{Request, THIS_RUN, field_manager};
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{place, quote};
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind, uid, written_by};
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::{Sending, delete_options};
use crate::runbook::actions::change_allowlist;
use crate::runbook::actions::judge_types::{Judged, Look, deleting};
use crate::runbook::actions::right_types::{Need, Reach, of_object};
use crate::runbook::actions::script_writer::Script;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteObject {
    pub target: ObjectRef,
    pub object_kind: ObjectKind,
    /// The uid of the one that is meant; else it is the one that this run made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The run that made it. Of an undo, and of what a run makes for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The object.
    target: ObjectRef,
    /// Its kind, as in a manifest.
    kind: ObjectKind,
    /// Only the one that this very run made.
    #[serde(default)]
    own: bool,
}

impl ActionKind for DeleteObject {
    fn read(with: Value, seen: &Observation) -> Result<Self, BadWith> {
        let With { target, kind, own } = document(with)?;
        let (uid, made_by) = match own {
            true => (None, Some(THIS_RUN.to_owned())),
            false => (seen_uid(&target, kind, seen), None),
        };
        Ok(Self { target, object_kind: kind, uid, made_by })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"target": self.target, "kind": self.object_kind, "own": self.made_by.is_some()})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Changes
    }

    fn way_back(&self) -> WayBack {
        match self.object_kind {
            _ if self.made_by.is_some() => WayBack::Stays,
            ObjectKind::TidbCluster
            | ObjectKind::Namespace
            | ObjectKind::Secret
            | ObjectKind::PersistentVolumeClaim => WayBack::Gone,
            ObjectKind::TidbMonitor
            | ObjectKind::Issuer
            | ObjectKind::Certificate
            | ObjectKind::IssuerV1alpha2
            | ObjectKind::CertificateV1alpha2
            | ObjectKind::ConfigMap
            | ObjectKind::Service
            | ObjectKind::Deployment
            | ObjectKind::ServiceAccount
            | ObjectKind::Role
            | ObjectKind::RoleBinding
            | ObjectKind::Pod => WayBack::Stays,
        }
    }

    fn unfamiliar(&self) -> Option<String> {
        self.made_by.is_none().then(|| change_allowlist::deleted(self.object_kind, &self.target)).flatten()
    }

    fn objects(&self) -> Vec<ObjectId> {
        vec![self.id()]
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        let right = |verb: &str| of_object(self.object_kind, &self.target, verb);
        ["get", "delete"].map(|verb| Need::required(right(verb), "the object is looked at, then deleted")).into()
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        let id = self.id();
        let found = match look.sight(&id) {
            Ok(Lookup::Absent) => return Judged::Done { evidence: json!({"absent": true}) },
            Ok(Lookup::Present(found)) => found,
            Ok(Lookup::Unseen(why)) => return Judged::Waiting(why.clone()),
            Err(judged) => return judged,
        };
        match (&self.uid, &self.made_by) {
            (Some(wanted), _) if wanted != uid(found) => {
                return Judged::Done { evidence: json!({"gone": wanted, "another": uid(found)}) };
            }
            (None, Some(run)) if !written_by(found, &field_manager(run)) => {
                return Judged::Refuse(format!("{id} was not made by this run, so it is left as it is"));
            }
            (None, None) => return Judged::Refuse(format!("{id}: which one is meant is not known")),
            (Some(_), _) | (None, Some(_)) => {}
        }
        if deleting(found) {
            return Judged::Waiting(format!("{id} is being deleted"));
        }
        Judged::NotDone { before: Image::Uid(uid(found).to_owned()), after: Image::Absent }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, _: &Sending<'_>) -> Vec<Request> {
        vec![Request {
            context: self.target.context.clone(),
            pod: None,
            method: "DELETE".into(),
            path: self.id().path(),
            content_type: "application/json".into(),
            body: delete_options(self.uid.as_deref().unwrap_or("the uid that is read just before")),
        }]
    }

    /// kubectl has no precondition: look at the uid first.
    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        format!("kubectl {} delete {} {}", place(&self.target), self.object_kind.resource(), quote(&self.target.name))
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Delete {} {}", self.object_kind.kind(), self.target)
    }

    fn deed(&self) -> String {
        format!("deletes {}", self.id())
    }
}

impl DeleteObject {
    /// What becomes of the object, where images only say that it is not there.
    pub fn outcome(&self) -> String {
        let what = format!("{} {}", self.object_kind.kind(), self.target.name);
        match (self.object_kind, &self.made_by) {
            (ObjectKind::Pod, None) if change_allowlist::instance(&self.target.name) => {
                format!("{what} is deleted; its StatefulSet makes it anew")
            }
            _ => format!("{what} is deleted"),
        }
    }

    fn id(&self) -> ObjectId {
        ObjectId::new(self.object_kind, &self.target)
    }

    /// With the run's id in the place that a plan leaves open.
    pub(super) fn name_run(&mut self, run: &str) {
        if let Some(made_by) = self.made_by.as_mut().filter(|made_by| *made_by == THIS_RUN) {
            run.clone_into(made_by);
        }
    }
}

/// The uid is that of the object which the plan's look saw. One that is not there has none, and is done.
fn seen_uid(target: &ObjectRef, kind: ObjectKind, seen: &Observation) -> Option<String> {
    let fleet = &seen.fleet;
    let known = match kind {
        ObjectKind::TidbCluster => fleet.tidb_cluster(target).map(|tc| tc.metadata.uid.clone()),
        ObjectKind::Pod => {
            let cluster = fleet.clusters.get(&target.context);
            cluster.and_then(|cluster| cluster.pods.get(&target.key())).map(|pod| pod.metadata.uid.clone())
        }
        _ => None,
    };
    known.or_else(|| match fleet.sight(&ObjectId::new(kind, target)) {
        Some(Lookup::Present(object)) => Some(uid(object).to_owned()),
        Some(Lookup::Absent | Lookup::Unseen(_)) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::actions::judge_types::tests::{judged, observation};

    #[test]
    fn only_the_object_that_is_meant_is_deleted() {
        let object = |uid: &str, manager: &str| {
            Lookup::Present(json!({"metadata": {"uid": uid, "managedFields": [{"manager": manager}]}}))
        };
        let action = |uid: Option<&str>, made_by: Option<&str>| DeleteObject {
            target: ObjectRef::new("a", "db", "x"),
            object_kind: ObjectKind::Pod,
            uid: uid.map(str::to_owned),
            made_by: made_by.map(str::to_owned),
        };
        let cases = [
            (action(Some("u"), None), object("u", "kubectl"), "not done"),
            (action(Some("u"), None), object("v", "kubectl"), "done"),
            (action(Some("u"), None), Lookup::Absent, "done"),
            (action(None, Some("r1")), object("u", "tidepilot/r1"), "not done"),
            (action(None, Some("r1")), object("u", "tidepilot/r2"), "refuse"),
            (action(None, None), object("u", "tidepilot/r2"), "refuse"),
        ];
        for (action, sight, expected) in cases {
            let seen = observation(ObjectKind::Pod, "x", sight.clone());
            assert_eq!(judged(&action, "r1", &seen), expected, "{action:?} {sight:?}");
        }
    }
}
