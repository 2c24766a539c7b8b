//! What the server fills into objects that clients create: the few defaults other parts of the fleet look at.
//!
//! Not the full defaulting of Kubernetes, and nothing the operator does (that is in `sim::operator`).

use serde_json::{Value, json};

use crate::sim::store::Resource;

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
        object["data"][name] = json!(base64(value.as_str().unwrap_or_default().as_bytes()));
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_all_lengths() {
        let check = |plain: &str, expected: &str| assert_eq!(base64(plain.as_bytes()), expected);
        check("", "");
        check("a", "YQ==");
        check("ab", "YWI=");
        check("abc", "YWJj");
        check("tidb?~", "dGlkYj9+");
    }
}
