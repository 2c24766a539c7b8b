//! From a step's `with` to its typed action: strict, and with what the look has to add (uids).
//!
//! Pure. Here are the limits of what a document can ask for: kinds of objects, keys of Secrets, fields that are never
//! patched. Not here: order, gates, conditions ([`super::bind`]).

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::action::{Action, Replaced, Signer, THIS_RUN};
use super::bind::Facts;
use super::definition::ActionName;
use crate::fleet::ObjectRef;
use crate::fleet::certificate::{Usage, fingerprint};
use crate::fleet::object::{ObjectId, ObjectKind, Sight, uid};
use crate::fleet::pd::MemberId;
use crate::fleet::tidbcluster::Component;

/// The keys of a Secret that may be copied to another one.
const COPIED_KEYS: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// Makes the action of a step from its filled `with`. `Err`: one sentence.
pub(super) fn typed(name: ActionName, with: Value, facts: &Facts<'_>) -> Result<Action, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Patch {
        target: ObjectRef,
        merge: Value,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wait {
        target: ObjectRef,
        since: Option<String>,
        #[serde(default)]
        component: Option<Component>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Probe {
        target: ObjectRef,
        id: MemberId,
        pod: String,
        url: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Update {
        target: ObjectRef,
        id: MemberId,
        pod: String,
        from: Vec<String>,
        to: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Create {
        target: ObjectRef,
        object: Value,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Delete {
        target: ObjectRef,
        kind: ObjectKind,
        /// Only the one that this very run made.
        #[serde(default)]
        own: bool,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Copy {
        from: ObjectRef,
        target: ObjectRef,
        keys: Vec<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct IssueCa {
        target: ObjectRef,
        common_name: String,
        #[serde(default)]
        organization: Option<String>,
        days: u32,
        signer: String,
        #[serde(default)]
        folder: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Issue {
        target: ObjectRef,
        authority: ObjectRef,
        common_name: String,
        #[serde(default)]
        organization: Option<String>,
        hosts: Vec<String>,
        usages: BTreeSet<Usage>,
        days: u32,
        signer: String,
        #[serde(default)]
        folder: Option<String>,
        /// What stands there gives way.
        #[serde(default)]
        replace: bool,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Transfer {
        target: ObjectRef,
        to: String,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Remove {
        target: ObjectRef,
        id: MemberId,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Cross {
        target: ObjectRef,
        places: Vec<ObjectRef>,
        ports: Vec<u16>,
        patience_s: u64,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Await {
        target: ObjectRef,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Manual {
        target: ObjectRef,
        command: String,
    }
    fn read<T: serde::de::DeserializeOwned>(with: Value) -> Result<T, String> {
        serde_json::from_value(with).map_err(|error| format!("`with`: {error}"))
    }
    Ok(match name {
        ActionName::PatchTidbCluster => {
            let Patch { target, merge } = read(with)?;
            let tc =
                facts.seen.fleet.tidb_cluster(&target).ok_or_else(|| format!("there is no TidbCluster {target}"))?;
            if merge.pointer("/spec/tlsCluster").is_some() {
                return Err(
                    "tlsCluster is not toggled on a live cluster (the scheme of the peerURLs would not follow)".into(),
                );
            }
            Action::PatchTidbCluster { uid: tc.metadata.uid.clone(), target, merge }
        }
        ActionName::WaitRollout => {
            let Wait { target, since, component } = read(with)?;
            Action::WaitRollout { target, since, component }
        }
        ActionName::ProbePeerUrl => {
            let Probe { target, id, pod, url } = read(with)?;
            Action::ProbePeerUrl { target, id, pod, url }
        }
        ActionName::UpdatePeerUrl => {
            let Update { target, id, pod, from, to } = read(with)?;
            Action::UpdatePeerUrl { target, id, pod, from, to, restores: false }
        }
        ActionName::CreateObject => {
            let Create { target, object } = read(with)?;
            create(target, pruned(object))?
        }
        ActionName::DeleteObject => {
            let Delete { target, kind, own } = read(with)?;
            match own {
                true => {
                    let made_by = Some(THIS_RUN.to_owned());
                    Action::DeleteObject { target, object_kind: kind, uid: None, made_by }
                }
                false => delete(target, kind, facts)?,
            }
        }
        ActionName::CopySecret => {
            let Copy { from, target, keys } = read(with)?;
            if let Some(other) = keys.iter().find(|key| !COPIED_KEYS.contains(&key.as_str())) {
                return Err(format!("key {other:?} is not copied; {} are", COPIED_KEYS.join(", ")));
            }
            Action::CopySecret { from, target, keys }
        }
        ActionName::IssueCa => {
            let IssueCa { target, common_name, organization, days, signer, folder } = read(with)?;
            certificate_for(&common_name, days)?;
            Action::IssueCa { target, common_name, organization, days, signer: signed_by(&signer, folder)? }
        }
        ActionName::IssueCertificate => {
            let Issue { target, authority, common_name, organization, hosts, usages, days, signer, folder, replace } =
                read(with)?;
            certificate_for(&common_name, days)?;
            if usages.is_empty() {
                return Err("a certificate without `usages` would be good for anything".into());
            }
            let signer = signed_by(&signer, folder)?;
            let replaces = if replace { replaced(&target, facts)? } else { None };
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
            }
        }
        ActionName::TransferPdLeader => {
            let Transfer { target, to } = read(with)?;
            Action::TransferPdLeader { target, to }
        }
        ActionName::RemovePdMember => {
            let Remove { target, id } = read(with)?;
            Action::RemovePdMember { target, id }
        }
        ActionName::NetProbe => {
            let Cross { target, places, ports, patience_s } = read(with)?;
            if places.len() < 2 {
                return Err("there are fewer than two places to look between".into());
            }
            Action::NetProbe { target, places, ports, patience_s }
        }
        ActionName::Await => {
            let Await { target } = read(with)?;
            Action::Await { target }
        }
        ActionName::Manual => {
            let Manual { target, command } = read(with)?;
            Action::Manual { target, command }
        }
    })
}

/// Longest life of a certificate, in days: a hundred years.
const MOST_DAYS: u32 = 36_500;

fn certificate_for(common_name: &str, days: u32) -> Result<(), String> {
    // The longest that X.509 takes.
    if common_name.is_empty() || common_name.len() > 64 || common_name.chars().any(char::is_control) {
        return Err(format!("expected a common name of 1 to 64 characters, found {common_name:?}"));
    }
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(format!("expected 1 to {MOST_DAYS} days, found {days}"));
    }
    Ok(())
}

fn signed_by(signer: &str, folder: Option<String>) -> Result<Signer, String> {
    match (signer, folder.filter(|folder| !folder.trim().is_empty())) {
        ("builtin", _) => Ok(Signer::Builtin),
        ("cfssl", Some(folder)) => Ok(Signer::Cfssl { folder }),
        ("cfssl", None) => Err("cfssl needs a folder for its files".into()),
        (other, _) => Err(format!("expected signer builtin or cfssl, found {other:?}")),
    }
}

/// The certificate that the plan's look saw there; none where no Secret is.
fn replaced(target: &ObjectRef, facts: &Facts<'_>) -> Result<Option<Replaced>, String> {
    match facts.seen.fleet.sight(&ObjectId::new(ObjectKind::Secret, target)) {
        Some(Sight::Present(secret)) => {
            Ok(Some(Replaced { uid: uid(secret).to_owned(), fingerprint: fingerprint(secret) }))
        }
        Some(Sight::Absent) => Ok(None),
        Some(Sight::Unseen(why)) => Err(format!("Secret {target}, which is to be replaced, cannot be read: {why}")),
        None => Err(format!("Secret {target}, which is to be replaced, was not looked at")),
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

fn create(target: ObjectRef, mut object: Value) -> Result<Action, String> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = ObjectKind::of(&object).ok_or_else(|| {
        let known: Vec<String> =
            ObjectKind::ALL.iter().map(|kind| format!("{} {}", kind.api_version(), kind.kind())).collect();
        format!("cannot create {:?} {:?}; known are: {}", text("apiVersion"), text("kind"), known.join(", "))
    })?;
    if kind == ObjectKind::Secret {
        return Err("a Secret is not created from a document: its values would stand in the plan".into());
    }
    // Where it lies is said once, by the target.
    let root = object.as_object_mut().ok_or("`object` is no manifest")?;
    let given = root.remove("metadata").unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let Value::Object(mut metadata) = given else { return Err("`object.metadata` is no map".into()) };
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
    let object = Value::Object(ordered);
    Ok(Action::CreateObject { target, object_kind: kind, object })
}

/// The uid is that of the object which the plan's look saw. One that is not there has none, and is done.
fn delete(target: ObjectRef, kind: ObjectKind, facts: &Facts<'_>) -> Result<Action, String> {
    let known = match kind {
        ObjectKind::TidbCluster => facts.seen.fleet.tidb_cluster(&target).map(|tc| tc.metadata.uid.clone()),
        ObjectKind::Pod => {
            let cluster = facts.seen.fleet.clusters.get(&target.context);
            cluster.and_then(|cluster| cluster.pods.get(&target.key())).map(|pod| pod.metadata.uid.clone())
        }
        _ => None,
    };
    let seen = match facts.seen.fleet.sight(&ObjectId::new(kind, &target)) {
        Some(Sight::Present(object)) => Some(uid(object).to_owned()),
        Some(Sight::Absent | Sight::Unseen(_)) | None => None,
    };
    Ok(Action::DeleteObject { target, object_kind: kind, uid: known.or(seen), made_by: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn manifests_are_bounded_and_placed() {
        let at = ObjectRef::new("a", "db", "x");
        let made =
            create(at.clone(), pruned(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": null}})));
        let Ok(Action::CreateObject { object, object_kind: ObjectKind::ConfigMap, .. }) = made else {
            panic!("{made:?}")
        };
        assert_eq!(object["metadata"], json!({"name": "x", "namespace": "db"}));
        assert_eq!(object["data"], json!({"a": "1"}));
        for (refused, why) in [
            (json!({"apiVersion": "v1", "kind": "Node"}), "cannot create"),
            (json!({"apiVersion": "v1", "kind": "Secret", "data": {}}), "not created from a document"),
        ] {
            let error = create(at.clone(), refused).expect_err("refused");
            assert!(error.contains(why), "{error}");
        }
    }
}
