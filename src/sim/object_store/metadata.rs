//! What an API server fills in or keeps in an object's metadata.

use serde_json::{Value, json};

use super::Resource;

/// Fills in what the server owns: type, uid, creation time, generation, and the version it had.
pub(super) fn complete(kind: &Resource, before: Option<&Value>, object: &mut Value) {
    if !object.is_object() {
        *object = json!({});
    }
    let before_generation = before.and_then(|before| before["metadata"]["generation"].as_i64()).unwrap_or(0);
    let changed = before.is_none_or(|before| {
        if kind.custom() && !kind.has_status() {
            // No status subresource: everything but metadata counts (domain.md §1.1).
            without_metadata(before) != without_metadata(object)
        } else {
            before.get("spec") != object.get("spec")
        }
    });
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    let metadata = &mut object["metadata"];
    for (field, fresh) in [("uid", new_uid as fn() -> String), ("creationTimestamp", now)] {
        if !metadata[field].is_string() {
            let kept = before.and_then(|before| before["metadata"][field].as_str()).map(str::to_owned);
            metadata[field] = json!(kept.unwrap_or_else(fresh));
        }
    }
    if kind.has_generation() {
        // A first object may bring its generation along (a scenario's old cluster); later ones only count.
        let brought = metadata["generation"].as_i64().filter(|_| before.is_none());
        metadata["generation"] = json!(brought.unwrap_or(before_generation + i64::from(changed)));
    }
    match before {
        Some(before) => metadata["resourceVersion"] = before["metadata"]["resourceVersion"].clone(),
        None => {
            metadata.as_object_mut().and_then(|metadata| metadata.shift_remove("resourceVersion"));
        }
    }
}

pub(super) fn without_metadata(object: &Value) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = object.as_object().into_iter().flatten().collect();
    fields.retain(|(name, _)| !matches!(name.as_str(), "metadata" | "apiVersion" | "kind"));
    fields.sort_by_key(|(name, _)| name.as_str());
    fields
}

pub(super) fn lost_last_finalizer(before: Option<&Value>, object: &Value) -> bool {
    let finalizers =
        |object: &Value| object.pointer("/metadata/finalizers").and_then(Value::as_array).map_or(0, Vec::len);
    object.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string)
        && before.is_some_and(|before| finalizers(before) > 0)
        && finalizers(object) == 0
}

/// Namespace (empty for cluster scope) and name of an object.
pub fn identity(object: &Value) -> (String, String) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}

pub(super) fn new_uid() -> String {
    let bits = rand::random::<u128>();
    let hex = format!("{bits:032x}");
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// The wall clock, as object timestamps show it.
#[allow(clippy::disallowed_methods, reason = "the simulated server is an edge: its objects carry real times")]
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
