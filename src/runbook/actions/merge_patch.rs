//! Merge patches leaf by leaf: the one walk that judging, sending, rehearsing and putting back share.
//!
//! A place is a JSON pointer (RFC 6901): the key of an annotation may hold dots and slashes. People and journals see
//! its [`name`], which is never read back. Not here: what follows from a difference ([`crate::runbook::actions::judge_types`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::fleet::operator_normalization::same;

/// Pointer and value of each leaf, in the patch's order; an empty map is a leaf.
pub fn leaves(merge: &Value) -> Vec<(String, &Value)> {
    fn walk<'a>(at: &str, value: &'a Value, into: &mut Vec<(String, &'a Value)>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    walk(&below(at, key), value, into);
                }
            }
            leaf => into.push((at.to_owned(), leaf)),
        }
    }
    let mut all = Vec::new();
    walk("", merge, &mut all);
    all
}

/// The pointer of a key below a place.
pub fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A place as people write it: `spec.pd.replicas`, `metadata.annotations[tidb.pingcap.com/pd-ready]`.
pub fn name(pointer: &str) -> String {
    let mut name = String::new();
    for key in pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")) {
        match key.contains(['.', '/', '[', ']']) {
            true => name.push_str(&format!("[{key}]")),
            false if name.is_empty() => name.push_str(&key),
            false => name.push_str(&format!(".{key}")),
        }
    }
    name
}

/// What the patch asks for, by name.
pub fn asked(merge: &Value) -> BTreeMap<String, Value> {
    leaves(merge).into_iter().map(|(at, value)| (name(&at), value.clone())).collect()
}

/// What an object has in the same places; absent is `null`, as merge patches have it.
pub fn found(merge: &Value, object: &Value) -> BTreeMap<String, Value> {
    let there = |at: &str| object.pointer(at).cloned().unwrap_or(Value::Null);
    leaves(merge).into_iter().map(|(at, _)| (name(&at), there(&at))).collect()
}

/// Whether an object has what the patch asks for, as TiDB Operator may have written it back meanwhile.
pub fn holds(merge: &Value, object: &Value) -> bool {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let nothing = Value::Null;
    leaves(merge).iter().all(|(at, asked)| same(at, namespace, asked, object.pointer(at).unwrap_or(&nothing)))
}

/// A place of a patch that an object does not hold as asked.
pub struct Lost<'a> {
    pub name: String,
    pub asked: &'a Value,
    pub found: Value,
}

/// Whether an object lacks what the patch asks for at one place.
pub fn lost<'a>(merge: &'a Value, object: &Value, at: &str) -> Option<Lost<'a>> {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let asked = leaves(merge).into_iter().find(|(place, _)| place == at)?.1;
    let found = object.pointer(at).cloned().unwrap_or(Value::Null);
    (!same(at, namespace, asked, &found)).then(|| Lost { name: name(at), asked, found })
}

/// Whether the places of a patch still hold what they held (by name), as TiDB Operator may have written it back meanwhile.
pub fn unchanged(merge: &Value, before: &Map<String, Value>, object: &Value) -> bool {
    let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
    let nothing = Value::Null;
    leaves(merge).iter().all(|(at, _)| {
        let was = before.get(&name(at)).unwrap_or(&nothing);
        same(at, namespace, was, object.pointer(at).unwrap_or(&nothing))
    })
}

/// The merge patch with each leaf replaced by its recorded value.
pub fn with_values(at: &str, merge: &Value, fields: &Map<String, Value>) -> Option<Value> {
    match merge.as_object() {
        Some(map) if !map.is_empty() => {
            let mut filled = Map::new();
            for (key, value) in map {
                filled.insert(key.clone(), with_values(&below(at, key), value, fields)?);
            }
            Some(Value::Object(filled))
        }
        _ => fields.get(&name(at)).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_with_dots_and_slashes_are_one_place() {
        let merge = json!({
            "metadata": {"annotations": {"tidb.pingcap.com/pd-ready": "true", "plain": null}, "labels": {}},
            "spec": {"acrossK8s": true, "pd": {"version": "v1"}},
        });
        let names: Vec<String> = asked(&merge).into_keys().collect();
        let wanted = [
            "metadata.annotations.plain",
            "metadata.annotations[tidb.pingcap.com/pd-ready]",
            "metadata.labels",
            "spec.acrossK8s",
            "spec.pd.version",
        ];
        assert_eq!(names, wanted);
        // Nested maps are another place than a key with a dot.
        let object = json!({
            "metadata": {"annotations": {"tidb.pingcap.com/pd-ready": "false", "tidb": {"pingcap": {"com/pd-ready": "no"}}}},
            "spec": {"pd": {}},
        });
        let there = found(&merge, &object);
        assert_eq!(there["metadata.annotations[tidb.pingcap.com/pd-ready]"], "false");
        assert_eq!((&there["spec.acrossK8s"], &there["spec.pd.version"]), (&Value::Null, &Value::Null));
        assert_eq!(leaves(&json!({"a": {"b/c~d": 1}}))[0].0, "/a/b~1c~0d");
    }

    #[test]
    fn recorded_values_take_the_places_of_ours() {
        let merge = json!({"metadata": {"annotations": {"a.b/c": "true"}}, "spec": {"acrossK8s": true}});
        let fields = json!({"metadata.annotations[a.b/c]": null, "spec.acrossK8s": false});
        let back = with_values("", &merge, fields.as_object().expect("a map"));
        assert_eq!(back, Some(json!({"metadata": {"annotations": {"a.b/c": null}}, "spec": {"acrossK8s": false}})));
        assert_eq!(with_values("", &merge, &Map::new()), None, "a value that was not recorded is not made up");
    }
}
