//! Who owns which field: `metadata.managedFields` read, written and kept up to date.
//!
//! A field is a path of FieldsV1 keys (`f:spec`, `k:{"name":"pd"}`); an entry is a set of leaf paths. What server-side
//! apply makes of the sets is in `apply`; here are the sets themselves and the rule for plain updates.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::lists::merge_key;
use crate::sim::object_store::Resource;

/// One field: FieldsV1 keys from the root.
pub(super) type Path = Vec<String>;
/// Leaf fields.
pub(super) type Fields = BTreeSet<Path>;

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub manager: String,
    pub operation: String,
    pub api_version: String,
    pub time: String,
    pub subresource: String,
    pub fields: Fields,
}

impl Entry {
    pub(super) fn same_manager(&self, manager: &str, operation: &str, subresource: &str) -> bool {
        self.manager == manager && self.operation == operation && self.subresource == subresource
    }
}

/// The entries of an object.
pub(super) fn read(object: &Value) -> Vec<Entry> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |value: &Value| {
        let mut fields = Fields::new();
        flatten(&value["fieldsV1"], &mut Vec::new(), &mut fields);
        Entry {
            manager: text(&value["manager"]),
            operation: text(&value["operation"]),
            api_version: text(&value["apiVersion"]),
            time: text(&value["time"]),
            subresource: text(&value["subresource"]),
            fields,
        }
    };
    entries.into_iter().flatten().map(entry).collect()
}

/// Puts the entries into an object; those that own nothing any more are left out.
pub(super) fn write(object: &mut Value, entries: &[Entry]) {
    let values: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(|entry| {
            let mut value = json!({
                "manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version,
                "time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": tree(&entry.fields),
            });
            if !entry.subresource.is_empty() {
                value["subresource"] = json!(entry.subresource);
            }
            value
        })
        .collect();
    let metadata = &mut object["metadata"];
    if !values.is_empty() {
        metadata["managedFields"] = Value::Array(values);
    } else if let Some(metadata) = metadata.as_object_mut() {
        metadata.shift_remove("managedFields");
    }
}

/// Notes a create, update or patch by `manager`: it owns what it changed, and the others lose that.
pub(super) fn record_update(
    kind: &Resource,
    before: Option<&Value>,
    after: &mut Value,
    manager: &str,
    subresource: &str,
) {
    let mut entries = before.map(read).unwrap_or_default();
    let nothing = Value::Null;
    let old = before.unwrap_or(&nothing);
    let changed: Fields = leaves(kind, after, subresource)
        .into_iter()
        .filter(|path| resolve(old, path) != resolve(after, path))
        .collect();
    for entry in &mut entries {
        entry.fields.retain(|path| !changed.contains(path) && resolve(after, path).is_some());
    }
    if !changed.is_empty() {
        let time = crate::sim::object_store::now();
        match entries.iter_mut().find(|entry| entry.same_manager(manager, "Update", subresource)) {
            Some(own) => {
                own.fields.extend(changed);
                own.time = time;
            }
            None => entries.push(Entry {
                manager: manager.to_owned(),
                operation: "Update".into(),
                api_version: kind.api_version(),
                time,
                subresource: subresource.to_owned(),
                fields: changed,
            }),
        }
    }
    write(after, &entries);
}

/// The object with a manager who owns all of it: for objects that are put into a store rather than sent to the server.
///
/// # Panics
/// When `plural` is not in the table of kinds.
pub fn managed_by(plural: &str, mut object: Value, manager: &str) -> Value {
    record_update(crate::sim::object_store::resource(plural), None, &mut object, manager, "");
    object
}

/// Every leaf that somebody can own, seen through the main resource or its status.
pub(super) fn leaves(kind: &Resource, object: &Value, subresource: &str) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let of_status = name == "status" && kind.has_status();
        let wanted = match name.as_str() {
            "apiVersion" | "kind" => false,
            "metadata" => subresource.is_empty(),
            _ => of_status == (subresource == "status"),
        };
        if !wanted {
            continue;
        }
        let mut path = vec![format!("f:{name}")];
        if name != "metadata" {
            walk(kind, name, value, &mut path, &mut fields);
            continue;
        }
        for name in ["annotations", "finalizers", "labels", "ownerReferences"] {
            if let Some(value) = value.get(name) {
                path.push(format!("f:{name}"));
                walk(kind, name, value, &mut path, &mut fields);
                path.pop();
            }
        }
    }
    fields
}

fn walk(kind: &Resource, name: &str, value: &Value, path: &mut Path, fields: &mut Fields) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, value) in object {
                path.push(format!("f:{name}"));
                walk(kind, name, value, path, fields);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => match merge_key(kind.custom(), name, items) {
            None => {
                fields.insert(path.clone());
            }
            Some(key) => {
                for item in items {
                    path.push(format!("k:{}", json!({key: item[key]})));
                    walk(kind, "", item, path, fields);
                    path.pop();
                }
            }
        },
        _ => {
            fields.insert(path.clone());
        }
    }
}

/// The value at a path, when the object has one.
pub(super) fn resolve<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, part| match part.split_at_checked(2)? {
        ("f:", name) => value.get(name),
        ("k:", key) => value.as_array()?.iter().find(|item| has_key(item, key)),
        _ => None,
    })
}

/// Takes the value at a path out, and the maps that this leaves empty.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    if let Some(name) = first.strip_prefix("f:") {
        let Some(map) = object.as_object_mut() else { return };
        if let Some(value) = map.get_mut(name).filter(|_| !rest.is_empty()) {
            remove(value, rest);
        }
        let emptied =
            |value: &Value| value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if rest.is_empty() || map.get(name).is_some_and(emptied) {
            map.shift_remove(name);
        }
    } else if let (Some(key), Some(items)) = (first.strip_prefix("k:"), object.as_array_mut()) {
        let Some(at) = items.iter().position(|item| has_key(item, key)) else { return };
        let key_field: Option<Map<String, Value>> = serde_json::from_str(key).ok();
        let removes_key = key_field.is_some_and(
            |fields| matches!(rest, [one] if one.strip_prefix("f:").is_some_and(|name| fields.contains_key(name))),
        );
        if rest.is_empty() || removes_key {
            items.remove(at);
        } else {
            remove(&mut items[at], rest);
        }
    }
}

fn has_key(item: &Value, key: &str) -> bool {
    let wanted: Option<Map<String, Value>> = serde_json::from_str(key).ok();
    wanted.is_some_and(|wanted| wanted.iter().all(|(name, value)| item.get(name) == Some(value)))
}

/// `.spec.pd.replicas`, as conflicts name fields.
pub(super) fn display(path: &[String]) -> String {
    path.iter()
        .map(|part| match part.split_at_checked(2) {
            Some(("k:", key)) => {
                let fields: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", pairs.join(","))
            }
            Some((_, name)) => format!(".{name}"),
            None => part.clone(),
        })
        .collect()
}

fn flatten(tree: &Value, path: &mut Path, fields: &mut Fields) {
    let Some(tree) = tree.as_object() else { return };
    if tree.is_empty() && !path.is_empty() {
        fields.insert(path.clone());
    }
    for (part, below) in tree {
        if part == "." {
            fields.insert(path.clone());
            continue;
        }
        path.push(part.clone());
        flatten(below, path, fields);
        path.pop();
    }
}

fn tree(fields: &Fields) -> Value {
    let mut root = json!({});
    // Sorted: a path comes right before the paths below it.
    for path in fields {
        let mut at = &mut root;
        for part in path {
            at = &mut at[part.as_str()];
            if at.is_null() {
                *at = json!({});
            }
        }
    }
    for path in fields {
        let pointer = |value: &Value, part: &String| value.get(part.as_str()).cloned();
        let below = path.iter().try_fold(root.clone(), |value, part| pointer(&value, part));
        if below.is_some_and(|below| below.as_object().is_some_and(|below| !below.is_empty())) {
            let mut at = &mut root;
            for part in path {
                at = &mut at[part.as_str()];
            }
            at["."] = json!({});
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::object_store::resource;

    #[test]
    fn updates_take_fields_over() {
        let kind = resource("tidbclusters");
        let mut first =
            json!({"metadata": {"name": "x"}, "spec": {"version": "1", "pd": {"replicas": 3, "config": {}}}});
        record_update(kind, None, &mut first, "creator", "");
        let mut second = first.clone();
        second["spec"]["version"] = json!("2");
        record_update(kind, Some(&first), &mut second, "patcher", "");
        let fields = |manager: &str| -> Vec<String> {
            let entries = read(&second);
            let entry = entries.iter().find(|entry| entry.manager == manager).expect("an entry");
            entry.fields.iter().map(|path| display(path)).collect()
        };
        assert_eq!(fields("creator"), [".spec.pd.config", ".spec.pd.replicas"]);
        assert_eq!(fields("patcher"), [".spec.version"]);
    }

    #[test]
    fn keyed_lists_round_trip() {
        let kind = resource("pods");
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b"}]}});
        let fields = leaves(kind, &pod, "");
        let mut again = Fields::new();
        flatten(&tree(&fields), &mut Vec::new(), &mut again);
        assert_eq!(fields, again);
        let image: Path = ["f:spec", "f:containers", r#"k:{"name":"a"}"#, "f:image"].map(str::to_owned).to_vec();
        assert_eq!(resolve(&pod, &image), Some(&json!("i")));
        assert_eq!(display(&image), r#".spec.containers[name="a"].image"#);
        let mut pod = pod;
        remove(&mut pod, &["f:spec", "f:containers", r#"k:{"name":"b"}"#, "f:name"].map(str::to_owned));
        assert_eq!(pod["spec"]["containers"], json!([{"name": "a", "image": "i"}]));
    }
}
