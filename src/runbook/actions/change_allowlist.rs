//! What a step may do on a plain yes: an allow-list. Everything that is not on it is typed.
//!
//! A runbook may come from anybody, and a list of what is known to be dangerous is never whole. So what shipped runbooks
//! do and is understood gets the gate of its reversibility; any other field, kind or way of running a pod asks for the
//! TidbCluster's name, and the plan says why. Pure. Neighbours:
//! [`created_object`] (what a new object may hold). Not here: reversibility ([`crate::runbook::action_types`]), gates ([`crate::runbook::run::confirmation_gates`]).

#[cfg(test)]
mod cases;
mod created_object;

use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::fleet::object_kind::ObjectKind;
use crate::fleet::tidbcluster::Component;
use crate::runbook::action_types::RESTARTED_AT;
use crate::runbook::actions::Action;

/// The annotation with which the operator looks at PD's quorum before each restart (`domain.md` §2.3).
const CHECK_QUORUM: &str = "tidb.pingcap.com/pd-check-quorum-before-upgrade";

/// Why an action asks for a typed text whatever its author says; `None`: its danger is known and its own gate is enough.
pub(in crate::runbook) fn unfamiliar(action: &Action) -> Option<String> {
    action.kind().unfamiliar()
}

pub(in crate::runbook) fn patched(merge: &Value) -> Option<String> {
    let mut odd = Vec::new();
    leaves(merge, &mut Vec::new(), &mut |path, _| {
        if !known_field(path) {
            odd.push(path.join("."));
        }
    });
    (!odd.is_empty()).then(|| format!("what {} does is not known here", odd.join(", ")))
}

/// Fields that shipped runbooks patch, whose effect their plans tell.
fn known_field(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let component = |name: &str| Component::parse(name).is_some();
    match path.as_slice() {
        ["metadata", "annotations", name] => *name == CHECK_QUORUM,
        ["spec", "clusterDomain" | "acrossK8s" | "version"] | ["spec", "suspendAction", "suspendStatefulSet"] => true,
        ["spec", name, "replicas" | "version"] | ["spec", name, "suspendAction", "suspendStatefulSet"] => {
            component(name)
        }
        ["spec", name, "annotations", annotation] => component(name) && *annotation == RESTARTED_AT,
        _ => false,
    }
}

/// Every value that is no object, with its path. An empty object is one as well: it may stand for a default.
fn leaves<'a>(value: &'a Value, path: &mut Vec<String>, each: &mut impl FnMut(&[String], &'a Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                path.push(key.clone());
                leaves(inner, path, each);
                path.pop();
            }
        }
        other => each(path, other),
    }
}

pub(in crate::runbook) fn created(kind: ObjectKind, target: &ObjectRef, object: &Value) -> Option<String> {
    match kind {
        ObjectKind::Secret
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::ServiceAccount
        | ObjectKind::Role
        | ObjectKind::RoleBinding => Some(format!("it makes a {}", kind.kind())),
        ObjectKind::TidbCluster
        | ObjectKind::TidbMonitor
        | ObjectKind::Issuer
        | ObjectKind::Certificate
        | ObjectKind::IssuerV1alpha2
        | ObjectKind::CertificateV1alpha2
        | ObjectKind::ConfigMap
        | ObjectKind::Namespace
        | ObjectKind::Service
        | ObjectKind::Deployment
        | ObjectKind::Pod => {
            let odd = created_object::odd(kind, target, object);
            (!odd.is_empty()).then(|| format!("it makes a {} with {}", kind.kind(), few(&odd)))
        }
    }
}

/// A list as long as a person reads.
fn few(all: &[String]) -> String {
    const SHOWN: usize = 12;
    match all.len().checked_sub(SHOWN) {
        None | Some(0) => all.join(", "),
        Some(more) => format!("{} and {more} more", all[..SHOWN].join(", ")),
    }
}

/// What another hand made, and nobody puts back: only a pod of a TidbCluster is made anew by itself. Where the kind alone
/// asks for a typed text ([`Action::reversibility`]), nothing is added.
pub(in crate::runbook) fn deleted(kind: ObjectKind, target: &ObjectRef) -> Option<String> {
    let foreign = || Some(format!("it deletes {} {target}, which this run did not make", kind.kind()));
    match kind {
        ObjectKind::TidbCluster | ObjectKind::Namespace | ObjectKind::Secret | ObjectKind::PersistentVolumeClaim => {
            None
        }
        ObjectKind::Pod if instance(&target.name) => None,
        ObjectKind::Pod
        | ObjectKind::TidbMonitor
        | ObjectKind::Issuer
        | ObjectKind::Certificate
        | ObjectKind::IssuerV1alpha2
        | ObjectKind::CertificateV1alpha2
        | ObjectKind::ConfigMap
        | ObjectKind::Service
        | ObjectKind::Deployment
        | ObjectKind::ServiceAccount
        | ObjectKind::Role
        | ObjectKind::RoleBinding => foreign(),
    }
}

/// `basic-pd-0`
pub(in crate::runbook) fn instance(pod: &str) -> bool {
    let Some((set, ordinal)) = pod.rsplit_once('-') else { return false };
    let component = set.rsplit('-').next().and_then(Component::parse);
    component.is_some() && !ordinal.is_empty() && ordinal.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ObjectRef;
    use crate::runbook::actions::{CopySecret, CreateObject, PatchTidbCluster};
    use serde_json::json;

    fn at(place: &str) -> ObjectRef {
        serde_json::from_value(json!(place))
            .or_else(|_| {
                let mut parts = place.split('/');
                let mut next = || parts.next().unwrap_or_default();
                Ok::<_, serde_json::Error>(ObjectRef::new(next(), next(), next()))
            })
            .expect("a place")
    }

    fn patch(merge: Value) -> Option<String> {
        unfamiliar(&Action::PatchTidbCluster(PatchTidbCluster { target: at("a/db/basic"), uid: "u".into(), merge }))
    }

    #[test]
    fn only_known_fields_go_with_their_own_gate() {
        for merge in [
            json!({"spec": {"acrossK8s": true, "clusterDomain": "a.com"}}),
            json!({"spec": {"version": "v8.5.4", "pd": {"version": null}, "tikv": {"replicas": 0}}}),
            json!({"spec": {"suspendAction": {"suspendStatefulSet": true}}}),
            json!({"spec": {"tidb": {"annotations": {RESTARTED_AT: "now"}}}}),
            json!({"metadata": {"annotations": {CHECK_QUORUM: "true"}}}),
        ] {
            assert_eq!(patch(merge.clone()), None, "{merge}");
        }
        for (merge, named) in [
            (json!({"status": {"clusterID": "1"}}), "status.clusterID"),
            (json!({"metadata": {"annotations": {"tidb.pingcap.com/force-upgrade": "true"}}}), "force-upgrade"),
            (json!({"spec": {"pvReclaimPolicy": "Delete"}}), "spec.pvReclaimPolicy"),
            (json!({"spec": {"pd": {"baseImage": "evil/pd"}}}), "spec.pd.baseImage"),
            (json!({"spec": {"pd": {"config": {}}}}), "spec.pd.config"),
            (json!({"spec": {}}), "spec"),
            (json!({"spec": {"clusterDomain": {"x": 1}}}), "spec.clusterDomain.x"),
            (json!({"metadata": {"finalizers": []}}), "metadata.finalizers"),
            (json!({"spec": {"tici": {"replicas": 0}}}), "spec.tici.replicas"),
        ] {
            assert!(patch(merge.clone()).is_some_and(|why| why.contains(named)), "{merge}");
        }
    }

    fn create(kind: ObjectKind, object: Value) -> Option<String> {
        unfamiliar(&Action::CreateObject(CreateObject { target: at("a/db/x"), object_kind: kind, object }))
    }

    #[test]
    fn rights_and_foreign_programs_are_typed() {
        for kind in [ObjectKind::ServiceAccount, ObjectKind::Role, ObjectKind::RoleBinding] {
            assert!(create(kind, json!({})).is_some());
        }
        let tc = |spec: Value| create(ObjectKind::TidbCluster, json!({"spec": spec}));
        assert_eq!(tc(json!({"pvReclaimPolicy": "Retain", "pd": {"replicas": 3, "config": {}}})), None);
        assert!(tc(json!({"pvReclaimPolicy": "Delete"})).is_some());
        assert!(tc(json!({"pd": {"additionalContainers": [{"image": "evil"}]}})).is_some());
        assert!(tc(json!({"tikv": {"privileged": true}})).is_some());
        assert!(create(ObjectKind::TidbCluster, json!({"metadata": {"annotations": {"a": "b"}}})).is_some());
    }

    #[test]
    fn a_key_that_leaves_its_namespace_is_typed() {
        let copy = |from: &str, keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            unfamiliar(&Action::CopySecret(CopySecret { from: at(from), target: at("a/db/copy"), keys }))
        };
        assert_eq!(copy("a/db/ca", &["ca.crt", "tls.crt", "tls.key"]), None);
        assert!(copy("b/db/ca", &["ca.crt"]).is_some_and(|why| why.contains("a Secret leaves its namespace")));
        assert!(copy("b/db/ca", &["tls.key"]).is_some_and(|why| why.contains("tls.key")));
        assert!(copy("a/kube-system/ca", &["ca.crt", "tls.key"]).is_some());
    }
}
