//! Copies named keys of a Secret to a Secret of another name or KubeCluster. The values pass through the client only.

use std::fmt::Write as _;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::action_types::Request;
use super::super::before_after_image::Image;
use super::with_error::BadWith;
use super::{ActionKind, Does, WayBack, document, schema_of};
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{kubectl_in, place, quote};
use crate::fleet::managed_fields::last_writer_of_object;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind, uid};
use crate::fleet::pd::MembershipApi;
use crate::runbook::Observation;
use crate::runbook::actions::api_request_parts::{Sending, copied_secret};
use crate::runbook::actions::judge_types::{Judged, Look, deleting};
use crate::runbook::actions::right_types::{Need, Reach, of_object};
use crate::runbook::actions::script_writer::Script;

/// The keys of a Secret that may be copied to another one.
const COPIED_KEYS: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopySecret {
    pub from: ObjectRef,
    pub target: ObjectRef,
    pub keys: Vec<String>,
}

/// Its `with`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct With {
    /// The Secret whose keys are copied.
    from: ObjectRef,
    /// The Secret that is made.
    target: ObjectRef,
    /// Keys of `data`.
    keys: Vec<String>,
}

impl ActionKind for CopySecret {
    fn read(with: Value, _: &Observation) -> Result<Self, BadWith> {
        let With { from, target, keys } = document(with)?;
        if let Some(other) = keys.iter().find(|key| !COPIED_KEYS.contains(&key.as_str())) {
            return BadWith::refused(format!("key {other:?} is not copied; {} are", COPIED_KEYS.join(", ")));
        }
        Ok(Self { from, target, keys })
    }

    fn schema() -> Schema {
        schema_of::<With>()
    }

    fn written(&self) -> Value {
        json!({"from": self.from, "target": self.target, "keys": self.keys})
    }

    fn target(&self) -> &ObjectRef {
        &self.target
    }

    fn does(&self) -> Does<'_> {
        Does::Makes(ObjectKind::Secret)
    }

    fn way_back(&self) -> WayBack {
        WayBack::Deletes
    }

    fn unfamiliar(&self) -> Option<String> {
        let Self { from, target, keys } = self;
        let leaves = (&from.context, &from.namespace) != (&target.context, &target.namespace);
        let what = match keys.iter().any(|key| key.ends_with(".key")) {
            true => "a private key leaves its namespace",
            false => "a Secret leaves its namespace",
        };
        leaves.then(|| format!("{what}: {} of Secret {from} goes to {target}", keys.join(", ")))
    }

    fn objects(&self) -> Vec<ObjectId> {
        vec![ObjectId::new(ObjectKind::Secret, &self.from), ObjectId::new(ObjectKind::Secret, &self.target)]
    }

    fn rights(&self, _: &Reach) -> Vec<Need> {
        let source = of_object(ObjectKind::Secret, &self.from, "get");
        let mut needs = vec![Need::required(source, "the Secret that is copied")];
        needs.extend(Need::made(ObjectKind::Secret, &self.target, "the copy is looked at, then made"));
        needs
    }

    fn judge(&self, look: &Look<'_>) -> Judged {
        let from = ObjectId::new(ObjectKind::Secret, &self.from);
        let to = ObjectId::new(ObjectKind::Secret, &self.target);
        let source = match look.sight(&from) {
            Ok(Lookup::Present(source)) => source,
            Ok(Lookup::Absent) => return Judged::Waiting(format!("{from}, which is to be copied, is not there")),
            Ok(Lookup::Unseen(why)) => return Judged::Waiting(why.clone()),
            Err(judged) => return judged,
        };
        if let Some(missing) = self.keys.iter().find(|key| print(source, key).is_none()) {
            return Judged::Refuse(format!("{from} has no key {missing}"));
        }
        let prints = |secret: &Value| -> Value {
            self.keys
                .iter()
                .map(|key| (key.clone(), json!(print(secret, key))))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        match look.sight(&to) {
            Ok(Lookup::Absent) => Judged::NotDone { before: Image::Absent, after: Image::Keys(prints(source)) },
            Ok(Lookup::Present(found)) if deleting(found) => Judged::Waiting(format!("{to} is being deleted")),
            Ok(Lookup::Present(found)) if prints(found) == prints(source) => {
                Judged::Done { evidence: json!({"uid": uid(found), "keys": prints(found)}) }
            }
            Ok(Lookup::Present(found)) => Judged::Foreign {
                sentence: format!(
                    "{to} exists already and holds something else than {from}{}",
                    last_writer_of_object(found).map_or_else(String::new, |who| format!(" ({who})"))
                ),
                before: Image::Absent,
                ours: Image::from(prints(source)),
                theirs: Image::from(prints(found)),
            },
            Ok(Lookup::Unseen(why)) => Judged::Waiting(why.clone()),
            Err(judged) => judged,
        }
    }

    fn images(&self) -> (Option<Image>, Option<Image>) {
        (None, None)
    }

    fn requests(&self, sending: &Sending<'_>) -> Vec<Request> {
        let as_there = |key: &String| (key.clone(), json!(format!("(as in {})", self.from)));
        let data = Value::Object(self.keys.iter().map(as_there).collect());
        vec![sending.create(ObjectKind::Secret, &self.target, false, copied_secret(&self.target, &data))]
    }

    fn command(&self, _: Option<MembershipApi>, _: bool) -> String {
        let Self { from, target, keys } = self;
        let data: Vec<String> =
            keys.iter().map(|key| json!(key).to_string()).map(|key| format!("{key}: .data[{key}]")).collect();
        let filter = format!(
            "{{apiVersion, kind, type, metadata: {{name: {}, namespace: {}}}, data: {{{}}}}}",
            json!(target.name),
            json!(target.namespace),
            data.join(", ")
        );
        format!(
            "kubectl {} get secret {} -o json | jq {} | {} create -f -",
            place(from),
            quote(&from.name),
            quote(&filter),
            kubectl_in(&target.context)
        )
    }

    fn script(&self, script: &mut Script<'_>) {
        let _ = writeln!(script.out, "{}", script.line);
    }

    fn told(&self) -> String {
        format!("Copy {} of Secret {} to Secret {}", self.keys.join(", "), self.from, self.target)
    }

    fn deed(&self) -> String {
        format!("copies {} of Secret {} to Secret {}", self.keys.join(", "), self.from, self.target)
    }
}

/// A Secret's data as a look gives it: key → fingerprint (`client::kube::objects`).
fn print<'a>(secret: &'a Value, key: &str) -> Option<&'a str> {
    secret.get("data")?.get(key)?.as_str()
}
