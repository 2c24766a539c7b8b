//! The texts of an object, and the places of its names.

use serde_json::Value;

/// Fields that name things, and can hold nothing but names.
pub(super) const NAMES: [&[&str]; 6] = [
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["spec", "clusterDomain"],
    &["spec", "cluster", "name"],
    &["spec", "cluster", "namespace"],
    &["spec", "cluster", "clusterDomain"],
];

/// Below these keys Kubernetes or a shell in the container replaces variables, or `$` stands for itself.
const REPLACED_LATER: [&str; 14] = [
    "env",
    "envFrom",
    "args",
    "command",
    "lifecycle",
    "initContainers",
    "additionalContainers",
    "containers",
    "annotations",
    "data",
    "stringData",
    "plugins",
    "config",
    "relabelConfigs",
];

/// Every text with its path; of a list the path is the list's.
pub(super) fn walk<'a>(value: &'a Value, path: &mut Vec<&'a str>, found: &mut impl FnMut(&[&'a str], &'a str)) {
    match value {
        Value::String(text) => found(path, text),
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, found)),
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| !REPLACED_LATER.contains(&key.as_str())) {
                path.push(key);
                walk(value, path, found);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
