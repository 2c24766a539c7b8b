//! What a step may do on a plain yes: an allow-list. Everything that is not on it is typed.
//!
//! A runbook may come from anybody, and a list of what is known to be dangerous is never whole. So what shipped runbooks
//! do and is understood gets the gate of its reversibility; any other field, kind or way of running a pod asks for the
//! TidbCluster's name, and the plan says why. Pure. Not here: reversibility ([`super::action`]), gates ([`super::gates`]).

use serde_json::Value;

use super::action::{Action, RESTARTED_AT};
use crate::fleet::object::ObjectKind;
use crate::fleet::tidbcluster::Component;

/// The annotation with which the operator looks at PD's quorum before each restart (`domain.md` §2.3).
const CHECK_QUORUM: &str = "tidb.pingcap.com/pd-check-quorum-before-upgrade";

/// Why an action asks for a typed text whatever its author says; `None`: its danger is known and its own gate is enough.
pub(super) fn unfamiliar(action: &Action) -> Option<String> {
    action.kind().unfamiliar()
}

pub(super) fn patched(merge: &Value) -> Option<String> {
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

pub(super) fn created(kind: ObjectKind, object: &Value) -> Option<String> {
    match kind {
        ObjectKind::TidbCluster => risky_tidb_cluster(object),
        ObjectKind::Pod => risky_pod(object.pointer("/spec")?),
        ObjectKind::Deployment => risky_pod(object.pointer("/spec/template/spec")?),
        ObjectKind::Issuer
        | ObjectKind::Certificate
        | ObjectKind::IssuerV1alpha2
        | ObjectKind::CertificateV1alpha2
        | ObjectKind::TidbMonitor
        | ObjectKind::ConfigMap
        | ObjectKind::Namespace
        | ObjectKind::Service => None,
        ObjectKind::Secret
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::ServiceAccount
        | ObjectKind::Role
        | ObjectKind::RoleBinding => Some(format!("it makes a {}", kind.kind())),
    }
}

/// Ways out of a pod: onto its node, or to the rights of somebody else's service account.
fn risky_pod(spec: &Value) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        if spec.get(field).is_some_and(|value| *value != Value::Bool(false)) {
            found.push(field.to_owned());
        }
    }
    for field in ["serviceAccountName", "serviceAccount", "nodeName", "runtimeClassName", "priorityClassName"] {
        if spec.get(field).is_some_and(|value| !matches!(value.as_str(), Some("" | "default"))) {
            found.push(field.to_owned());
        }
    }
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let harmless = ["name", "emptyDir", "configMap", "downwardAPI"];
    for volume in volumes.filter_map(Value::as_object) {
        found
            .extend(volume.keys().filter(|key| !harmless.contains(&key.as_str())).map(|key| format!("a {key} volume")));
    }
    if spec.get("securityContext").is_some_and(gains) {
        found.push("securityContext".to_owned());
    }
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        let containers = spec.get(field).and_then(Value::as_array).into_iter().flatten();
        for container in containers {
            if container.get("securityContext").is_some_and(gains) {
                found.push(format!("the securityContext of a container in {field}"));
            }
            let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
            if ports.into_iter().any(|port| port.get("hostPort").is_some()) {
                found.push("hostPort".to_owned());
            }
        }
    }
    (!found.is_empty()).then(|| format!("it runs a pod with {}", found.join(", ")))
}

/// Whether a securityContext gives anything: what only takes rights away is harmless.
fn gains(context: &Value) -> bool {
    let Some(fields) = context.as_object() else { return true };
    fields.iter().any(|(name, value)| match name.as_str() {
        "privileged" | "allowPrivilegeEscalation" => *value != Value::Bool(false),
        "runAsNonRoot" | "readOnlyRootFilesystem" => *value != Value::Bool(true),
        "runAsUser" | "runAsGroup" | "fsGroup" => value.as_i64().is_none_or(|id| id == 0),
        "seccompProfile" => value.get("type").and_then(Value::as_str) != Some("RuntimeDefault"),
        "capabilities" => value.as_object().is_none_or(|map| map.keys().any(|key| key != "drop")),
        _ => true,
    })
}

/// What in a new TidbCluster runs somebody else's program, reaches its nodes, or loses data by itself.
fn risky_tidb_cluster(object: &Value) -> Option<String> {
    const RISKY: [&str; 12] = [
        "additionalContainers",
        "initContainers",
        "additionalVolumes",
        "additionalVolumeMounts",
        "hostNetwork",
        "privileged",
        "serviceAccount",
        "podSecurityContext",
        "image",
        "helper",
        "enablePVReclaim",
        "nodeSelector",
    ];
    let mut found = Vec::new();
    leaves(object, &mut Vec::new(), &mut |path, value| {
        let risky = path.iter().find(|part| RISKY.contains(&part.as_str()));
        let annotation = path.len() > 2 && path[0] == "metadata" && path[1] == "annotations";
        let deletes = path.last().is_some_and(|last| last == "pvReclaimPolicy") && *value != "Retain";
        let off = matches!(value, Value::Bool(false) | Value::Null);
        if (risky.is_some() && !off) || annotation || deletes {
            found.push(path.join("."));
        }
    });
    (!found.is_empty()).then(|| format!("it sets {}", found.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::actions::{CopySecret, CreateObject, PatchTidbCluster};
    use super::*;
    use crate::fleet::ObjectRef;
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
    fn a_pod_that_reaches_its_node_is_typed() {
        let plain = json!({"containers": [{"name": "c", "image": "busybox",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "runAsUser": 65534}}]});
        assert_eq!(create(ObjectKind::Pod, json!({"spec": plain})), None);
        assert_eq!(create(ObjectKind::Deployment, json!({"spec": {"template": {"spec": plain}}})), None);
        let with = |field: &str, value: Value| {
            let mut spec = plain.clone();
            spec[field] = value;
            spec
        };
        let privileged = json!([{"name": "c", "securityContext": {"privileged": true}}]);
        for (spec, named) in [
            (with("hostPID", json!(true)), "hostPID"),
            (with("hostNetwork", json!("true")), "hostNetwork"),
            (with("serviceAccountName", json!("admin")), "serviceAccountName"),
            (with("volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])), "hostPath"),
            (with("volumes", json!([{"name": "v", "secret": {"secretName": "x"}}])), "secret"),
            (with("containers", privileged.clone()), "securityContext"),
            (with("initContainers", privileged.clone()), "securityContext"),
            (
                with("containers", json!([{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}])),
                "securityContext",
            ),
            (with("containers", json!([{"ports": [{"hostPort": 80}]}])), "hostPort"),
            (with("securityContext", json!({"sysctls": []})), "securityContext"),
            (with("nodeName", json!("master")), "nodeName"),
        ] {
            for (kind, object) in [
                (ObjectKind::Pod, json!({"spec": spec})),
                (ObjectKind::Deployment, json!({"spec": {"template": {"spec": spec}}})),
            ] {
                assert!(create(kind, object).is_some_and(|why| why.contains(named)), "{spec}");
            }
        }
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
        assert_eq!(copy("b/db/ca", &["ca.crt"]), None);
        assert!(copy("b/db/ca", &["tls.key"]).is_some_and(|why| why.contains("tls.key")));
        assert!(copy("a/kube-system/ca", &["ca.crt", "tls.key"]).is_some());
    }
}
