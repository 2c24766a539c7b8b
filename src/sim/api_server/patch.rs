//! The patch formats: JSON patch, merge patch, strategic merge patch; and reading a body that may be YAML.
//!
//! Each takes a value and a patch and changes the value. Server-side apply is in `apply`; storing is in `write`.

use serde_json::{Map, Value};

use super::lists::merge_key;
use super::protobuf;
use super::status::Refusal;
use crate::sim::object_store::Resource;

/// What the body of a PATCH is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Merge,
    Strategic,
    Apply,
}

const ACCEPTED_CUSTOM: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";

impl Format {
    pub(super) fn of(kind: &Resource, content_type: &str) -> Result<Format, Refusal> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Format::Json),
            "application/merge-patch+json" => Ok(Format::Merge),
            "application/strategic-merge-patch+json" if !kind.custom() => Ok(Format::Strategic),
            "application/apply-patch+yaml" => Ok(Format::Apply),
            _ => Err(Refusal::unsupported_media(if kind.custom() { ACCEPTED_CUSTOM } else { ACCEPTED })),
        }
    }
}

/// Changes `object` by a JSON, merge or strategic patch.
pub(super) fn patch(format: Format, object: &mut Value, body: &[u8]) -> Result<(), Refusal> {
    match format {
        Format::Json => {
            let patch: json_patch::Patch = serde_json::from_slice(body)
                .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(object, &patch).map_err(|_| Refusal::patch_not_applicable())?;
        }
        Format::Merge => json_patch::merge(object, &decode_object(body)?),
        Format::Strategic => strategic(object, &decode_object(body)?),
        Format::Apply => return Err(Refusal::unsupported_media(ACCEPTED)),
    }
    Ok(())
}

/// A JSON, YAML or (for some kinds) protobuf body.
pub(super) fn decode(body: &[u8]) -> Result<Value, Refusal> {
    if body.starts_with(protobuf::MAGIC) {
        return protobuf::decode(body);
    }
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text =
        std::str::from_utf8(body).map_err(|error| Refusal::bad_request(format!("the body is not text: {error}")))?;
    serde_saphyr::from_str(text).map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
}

/// A body that has to be an object.
pub(super) fn decode_object(body: &[u8]) -> Result<Value, Refusal> {
    let value = decode(body)?;
    if value.is_object() { Ok(value) } else { Err(Refusal::bad_request("the body of the request is not an object")) }
}

fn strategic(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target = Value::Object(
                patch.iter().filter(|(name, _)| *name != "$patch").map(|(n, v)| (n.clone(), v.clone())).collect(),
            );
            return;
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return;
        }
        _ => {}
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let unwanted = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(items) = object.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !unwanted.contains(item));
            }
        } else if name.starts_with('$') {
            // Order and key retention only matter for looks.
        } else if value.is_null() {
            object.shift_remove(name);
        } else if let Value::Array(items) = value {
            strategic_list(name, object.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new())), items);
        } else {
            strategic(object.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

fn strategic_list(name: &str, target: &mut Value, items: &[Value]) {
    let replaces = items.iter().any(|item| item.get("$patch").is_some_and(|directive| directive == "replace"));
    let real: Vec<Value> = items.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
    let existing = target.as_array_mut().map(std::mem::take).unwrap_or_default();
    let all: Vec<Value> = existing.iter().chain(&real).cloned().collect();
    let keyed: Vec<Value> = items
        .iter()
        .filter(|item| item.as_object().is_some_and(|item| item.len() > 1 || !item.contains_key("$patch")))
        .cloned()
        .collect();
    let key = merge_key(false, name, &all).or_else(|| merge_key(false, name, &keyed));
    let mut merged = match (replaces, key) {
        (false, Some(_)) => existing,
        (false, None) if name == "finalizers" => existing,
        _ => {
            *target = Value::Array(real);
            return;
        }
    };
    for item in items {
        let Some(key) = key else {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
            continue;
        };
        let at = merged.iter().position(|known| known[key] == item[key]);
        match (item["$patch"].as_str(), at) {
            (Some("delete"), Some(at)) => {
                merged.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => strategic(&mut merged[at], item),
            (_, None) => merged.push(item.clone()),
        }
    }
    *target = Value::Array(merged);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::object_store::resource;

    #[test]
    fn strategic_merges_keyed_lists() {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}});
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [
            {"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}, {"name": "c", "image": "3"},
        ]}});
        strategic(&mut pod, &patch);
        assert_eq!(pod, json!({"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "c", "image": "3"}]}}));
    }

    #[test]
    fn formats_by_kind() {
        let strategic = "application/strategic-merge-patch+json";
        assert_eq!(Format::of(resource("pods"), strategic), Ok(Format::Strategic));
        assert_eq!(Format::of(resource("tidbclusters"), strategic).map_err(|refusal| refusal.code), Err(415));
    }

    #[test]
    fn a_failing_test_is_422() {
        let body = br#"[{"op": "test", "path": "/spec/a", "value": 2}, {"op": "remove", "path": "/spec/a"}]"#;
        let mut object = json!({"spec": {"a": 1}});
        let refused = patch(Format::Json, &mut object, body).expect_err("the test fails");
        assert_eq!((refused.code, object), (422, json!({"spec": {"a": 1}})));
    }
}
