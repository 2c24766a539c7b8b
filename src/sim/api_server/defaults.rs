//! What the server fills into objects that clients create: the few defaults other parts of the fleet look at.
//!
//! Not the full defaulting of Kubernetes, and nothing the operator does (that is in `sim::operator`).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::sim::object_store::Resource;

/// Completes an object about to be created.
pub(super) fn fill(kind: &Resource, object: &mut Value) {
    convert(kind, object);
    match kind.plural {
        "namespaces" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        "pods" => object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}),
        "services" => {
            if !object["spec"]["type"].is_string() {
                object["spec"]["type"] = json!("ClusterIP");
            }
            if !object["spec"]["clusterIP"].is_string() && object["spec"]["type"] != "ExternalName" {
                let [third, fourth] = rand::random::<[u8; 2]>();
                object["spec"]["clusterIP"] = json!(format!("10.96.{third}.{fourth}"));
            }
        }
        "secrets" if !object["type"].is_string() => object["type"] = json!("Opaque"),
        _ => {}
    }
}

/// Turns write-only forms into the stored one: a Secret's `stringData`.
pub(super) fn convert(kind: &Resource, object: &mut Value) {
    if kind.plural != "secrets" {
        return;
    }
    let Some(Value::Object(plain)) = object.as_object_mut().and_then(|object| object.shift_remove("stringData")) else {
        return;
    };
    for (name, value) in plain {
        object["data"][name] = json!(BASE64_STANDARD.encode(value.as_str().unwrap_or_default()));
    }
}
