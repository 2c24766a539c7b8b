//! Which fields the built-in kinds have: those of the API's own types, as `k8s-openapi` has them.
//!
//! An object goes through its type and back; what does not come back is no field. Where the type itself does not fit, nothing is
//! said here. Custom resources: [`super::schema`].

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::storage::v1::StorageClass;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sim::object_store::Resource;

/// Drops the fields that the kind does not have, and names them (`spec.template.spec.hostNetwrok`).
pub(super) fn prune(kind: &Resource, object: &mut Value) -> Vec<String> {
    let typed = match kind.plural {
        "configmaps" => through::<ConfigMap>(object),
        "endpoints" => through::<Endpoints>(object),
        "events" => through::<Event>(object),
        "namespaces" => through::<Namespace>(object),
        "nodes" => through::<Node>(object),
        "persistentvolumeclaims" => through::<PersistentVolumeClaim>(object),
        "persistentvolumes" => through::<PersistentVolume>(object),
        "pods" => through::<Pod>(object),
        "secrets" => through::<Secret>(object),
        "serviceaccounts" => through::<ServiceAccount>(object),
        "services" => through::<Service>(object),
        "deployments" => through::<Deployment>(object),
        "replicasets" => through::<ReplicaSet>(object),
        "statefulsets" => through::<StatefulSet>(object),
        "controllerrevisions" => through::<ControllerRevision>(object),
        "jobs" => through::<Job>(object),
        "poddisruptionbudgets" => through::<PodDisruptionBudget>(object),
        "storageclasses" => through::<StorageClass>(object),
        "leases" => through::<Lease>(object),
        "clusterrolebindings" => through::<ClusterRoleBinding>(object),
        "clusterroles" => through::<ClusterRole>(object),
        "rolebindings" => through::<RoleBinding>(object),
        "roles" => through::<Role>(object),
        "validatingadmissionpolicies" => through::<ValidatingAdmissionPolicy>(object),
        "validatingadmissionpolicybindings" => through::<ValidatingAdmissionPolicyBinding>(object),
        _ => None,
    };
    let mut lost = Vec::new();
    if let Some(typed) = typed {
        without(object, &typed, "", &mut lost);
    }
    lost
}

fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Option<Value> {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).ok()?).ok()
}

fn without(object: &mut Value, typed: &Value, at: &str, lost: &mut Vec<String>) {
    match (object, typed) {
        (Value::Object(fields), Value::Object(known)) => fields.retain(|name, value| {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            match known.get(name) {
                Some(known) => {
                    without(value, known, &path, lost);
                    true
                }
                // Not written out again because there is nothing in it.
                None if is_empty(value) => true,
                None => {
                    lost.push(path);
                    false
                }
            }
        }),
        (Value::Array(items), Value::Array(known)) => {
            for (index, (item, known)) in items.iter_mut().zip(known).enumerate() {
                without(item, known, &format!("{at}[{index}]"), lost);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(yes) => !yes,
        Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::object_store::resource;
    use serde_json::json;

    #[test]
    fn what_is_no_field_goes_and_everything_else_stays() {
        let good = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "labels": {"a": "b"}, "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [
                {"name": "c", "image": "i", "env": [], "resources": {"requests": {"cpu": "100m"}}, "ports": [{"containerPort": 1}]}]}}}});
        let mut kept = good.clone();
        assert_eq!(prune(resource("deployments"), &mut kept), Vec::<String>::new());
        assert_eq!(kept, good);
        let mut bad = good.clone();
        bad["spec"]["replicsa"] = json!(2);
        bad["spec"]["template"]["spec"]["containers"][0]["imge"] = json!("x");
        assert_eq!(
            prune(resource("deployments"), &mut bad),
            ["spec.template.spec.containers[0].imge", "spec.replicsa"]
        );
        assert_eq!(bad, good);
        let custom = json!({"spec": {"anything": 1}});
        assert_eq!(prune(resource("issuers"), &mut custom.clone()), Vec::<String>::new());
    }
}
