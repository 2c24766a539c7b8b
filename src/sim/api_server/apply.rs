//! Server-side apply: merge what a manager declares, refuse what others own, forget what it no longer declares.
//!
//! Works on two values and gives a third; `write` stores it. The field sets are in `managed`.

use serde_json::Value;

use super::lists::merge_key;
use super::managed::{self, Entry, Fields, Path};
use super::status::{Cause, Refusal};
use crate::sim::object_store::Resource;

/// One apply request.
pub(super) struct Apply<'a> {
    pub kind: &'a Resource,
    pub manager: &'a str,
    pub subresource: &'a str,
    pub force: bool,
}

impl Apply<'_> {
    /// The object after this apply; `current` is `None` when it does not exist yet.
    pub(super) fn onto(&self, current: Option<&Value>, declared: &Value) -> Result<Value, Refusal> {
        let wanted = managed::leaves(self.kind, declared, self.subresource);
        let mut entries = current.map(managed::read).unwrap_or_default();
        if let Some(current) = current.filter(|_| entries.is_empty()) {
            // Whoever wrote this left no trace: the server lets a stand-in own it all.
            entries.push(Entry {
                manager: "before-first-apply".into(),
                operation: "Update".into(),
                api_version: self.kind.api_version(),
                time: crate::sim::object_store::now(),
                subresource: String::new(),
                fields: managed::leaves(self.kind, current, ""),
            });
        }
        let own_at = entries.iter().position(|entry| entry.same_manager(self.manager, "Apply", self.subresource));
        let own = own_at.map(|at| entries.remove(at));
        if let Some(current) = current {
            self.settle_conflicts(current, declared, &wanted, &mut entries)?;
        }
        let mut merged = current.cloned().unwrap_or_else(|| serde_json::json!({}));
        merge(self.kind, &mut merged, declared);
        let given_up = own.iter().flat_map(|own| &own.fields).filter(|path| !wanted.contains(*path));
        for path in given_up {
            let filled = managed::resolve(&merged, path).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
            let covered = |fields: &Fields| fields.iter().any(|field| field.starts_with(path));
            if !filled && !covered(&wanted) && !entries.iter().any(|entry| covered(&entry.fields)) {
                managed::remove(&mut merged, path);
            }
        }
        for entry in &mut entries {
            entry.fields.retain(|path| managed::resolve(&merged, path).is_some());
        }
        let unchanged =
            own.filter(|own| own.fields == wanted && current.is_some_and(|current| same_content(current, &merged)));
        let time = unchanged.map_or_else(crate::sim::object_store::now, |own| own.time);
        let entry = Entry {
            manager: self.manager.to_owned(),
            operation: "Apply".into(),
            api_version: self.kind.api_version(),
            time,
            subresource: self.subresource.to_owned(),
            fields: wanted,
        };
        entries.insert(own_at.unwrap_or(entries.len()).min(entries.len()), entry);
        managed::write(&mut merged, &entries);
        Ok(merged)
    }

    /// With force the others lose the fields; without, the request is refused.
    fn settle_conflicts(
        &self,
        current: &Value,
        declared: &Value,
        wanted: &Fields,
        others: &mut [Entry],
    ) -> Result<(), Refusal> {
        let differs = |path: &Path| managed::resolve(current, path) != managed::resolve(declared, path);
        let contested: Vec<&Path> = wanted.iter().filter(|path| differs(path)).collect();
        let mut causes = Vec::new();
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for entry in others.iter_mut() {
            let lost: Vec<Path> = entry
                .fields
                .iter()
                .filter(|owned| contested.iter().any(|path| clash(current, declared, path, owned)))
                .cloned()
                .collect();
            if lost.is_empty() {
                continue;
            }
            if self.force {
                entry.fields.retain(|path| !lost.contains(path));
                continue;
            }
            let who = match entry.subresource.as_str() {
                "" => format!("{:?} using {}", entry.manager, entry.api_version),
                sub => format!("{:?} with subresource {sub:?} using {}", entry.manager, entry.api_version),
            };
            let named: Vec<String> = lost.iter().map(|path| managed::display(path)).collect();
            causes.extend(named.iter().map(|field| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {who}"),
                field: field.clone(),
            }));
            lines.push((who, named));
        }
        match (causes.len(), lines.as_slice()) {
            (0, _) => Ok(()),
            (1, [(who, fields)]) => {
                let message = format!("Apply failed with 1 conflict: conflict with {who}: {}", fields.join(""));
                Err(Refusal::apply_conflict(message, &causes))
            }
            (count, lines) => {
                let said: Vec<String> = lines
                    .iter()
                    .map(|(who, fields)| format!("conflicts with {who}:\n- {}", fields.join("\n- ")))
                    .collect();
                let message = format!("Apply failed with {count} conflicts: {}", said.join("\n"));
                Err(Refusal::apply_conflict(message, &causes))
            }
        }
    }
}

/// Whether setting `path` takes `owned` away: the same field, or one of them replaced by something it contained.
fn clash(current: &Value, declared: &Value, path: &Path, owned: &Path) -> bool {
    let empty = |object: &Value, path: &[String]| {
        managed::resolve(object, path).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
    };
    if path == owned {
        // An empty map agrees with whatever others put into it.
        !(empty(declared, path) && managed::resolve(current, path).is_some_and(Value::is_object))
    } else if owned.starts_with(path) {
        !empty(declared, path)
    } else {
        // Owning a map is owning that it is there, not what others put into it.
        path.starts_with(owned) && managed::resolve(current, owned).is_some_and(|value| !value.is_object())
    }
}

fn same_content(one: &Value, other: &Value) -> bool {
    let plain = |value: &Value| {
        let mut value = value.clone();
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.shift_remove("managedFields");
        }
        value
    };
    plain(one) == plain(other)
}

/// Lays `declared` over `target`: maps and keyed lists are merged, everything else replaced.
fn merge(kind: &Resource, target: &mut Value, declared: &Value) {
    let (Value::Object(target_map), Value::Object(declared_map)) = (&mut *target, declared) else {
        *target = declared.clone();
        return;
    };
    for (name, value) in declared_map {
        match (target_map.get_mut(name), value) {
            (Some(existing @ Value::Object(_)), Value::Object(_)) => merge(kind, existing, value),
            (Some(Value::Array(existing)), Value::Array(items)) => match merge_key(kind.custom(), name, items) {
                Some(key) if merge_key(kind.custom(), name, existing) == Some(key) => {
                    for item in items {
                        match existing.iter_mut().find(|known| known[key] == item[key]) {
                            Some(known) => merge(kind, known, item),
                            None => existing.push(item.clone()),
                        }
                    }
                }
                _ => *existing = items.clone(),
            },
            _ => {
                target_map.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::object_store::resource;

    fn apply(manager: &str, force: bool, current: Option<&Value>, spec: Value) -> Result<Value, Refusal> {
        let declared = json!({"metadata": {"name": "x"}, "spec": spec});
        Apply { kind: resource("tidbclusters"), manager, subresource: "", force }.onto(current, &declared)
    }

    #[test]
    fn conflicts_name_the_other_manager() {
        let first = apply("one", false, None, json!({"version": "1", "pd": {"replicas": 3}})).expect("new");
        let refused = apply("two", false, Some(&first), json!({"version": "2"})).expect_err("one owns it");
        assert_eq!(refused.code, 409);
        assert!(
            refused.message.contains(r#"conflict with "one" using pingcap.com/v1alpha1: .spec.version"#),
            "{}",
            refused.message
        );
        apply("two", false, Some(&first), json!({"version": "1"})).expect("the same value is shared");
        let forced = apply("two", true, Some(&first), json!({"version": "2"})).expect("forced");
        assert_eq!(forced["spec"], json!({"version": "2", "pd": {"replicas": 3}}));
        apply("one", false, Some(&forced), json!({"pd": {"replicas": 3}})).expect("one gave it up");
    }

    #[test]
    fn what_is_no_longer_declared_goes() {
        let first = apply("one", false, None, json!({"version": "1", "pd": {"replicas": 3}})).expect("new");
        let second = apply("one", false, Some(&first), json!({"version": "1"})).expect("own fields");
        assert_eq!(second["spec"], json!({"version": "1"}));
        assert_eq!(apply("one", false, Some(&second), json!({"version": "1"})).expect("again"), second);
    }

    #[test]
    fn untracked_objects_are_owned_by_a_stand_in() {
        let current = json!({"metadata": {"name": "x"}, "spec": {"version": "1"}});
        let refused = apply("one", false, Some(&current), json!({"version": "2"})).expect_err("somebody set it");
        assert!(refused.message.contains("before-first-apply"));
        apply("one", false, Some(&current), json!({"clusterDomain": "a.com"})).expect("nobody set it");
    }
}
