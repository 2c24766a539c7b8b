//! What is other in an object than before, field by field, and who wrote it then: from two looks at the same object.
//!
//! Pure. Only fields that are kept have values here ([`super::tidbcluster`], [`super::workload`]): of a component's configuration
//! and of variables none is. Not here: what was seen in this session (`app::seen`), what an object says by itself
//! ([`super::managed_fields`]), former templates of a StatefulSet ([`super::revision`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::managed_fields::{OPERATOR, who};
use super::tidbcluster::{Meta, TidbCluster};
use super::workload::StatefulSet;

/// Longest value that is kept, in characters.
const LONGEST: usize = 120;
/// Most fields of one edit.
const MOST: usize = 40;

/// Which pods of a StatefulSet get the newest template.
pub const PARTITION: &str = "spec.updateStrategy.rollingUpdate.partition";

/// Values by their path, `spec.tikv.replicas`.
pub type Fields = BTreeMap<String, String>;

/// One field with what it held before and after; `None`: it was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Edit {
    /// `spec.tikv.replicas 3 → 4`
    pub fn words(&self, arrow: &str) -> String {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(unset)".to_owned());
        format!("{} {} {arrow} {}", self.field, value(&self.before), value(&self.after))
    }
}

/// What one object became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub edits: Vec<Edit>,
    /// Who wrote since the look before, and when; none where the object does not tell.
    pub by: Vec<(String, Option<Timestamp>)>,
}

/// The fields that are other, at most so many, in the order of their paths.
pub fn edits(before: &Fields, after: &Fields) -> Vec<Edit> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let other = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let edit = |field: &String| Edit {
        field: field.clone(),
        before: before.get(field).cloned(),
        after: after.get(field).cloned(),
    };
    other.take(MOST).map(edit).collect()
}

/// Puts the values of a JSON tree into a map; entries of a list that have a name stand under it.
pub fn flatten(path: &str, value: &Value, into: &mut Fields) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, below, into);
            }
        }
        Value::Array(all) => {
            for (at, below) in all.iter().enumerate() {
                let name = below.get("name").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
                flatten(&format!("{path}[{name}]"), below, into);
            }
        }
        Value::Null => {}
        leaf => {
            let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned);
            into.insert(path.to_owned(), text.chars().take(LONGEST).collect());
        }
    }
}

/// Objects whose edits are told.
pub trait Edited {
    fn meta(&self) -> &Meta;
    /// The values that are kept of what people set.
    fn fields(&self) -> Fields;
    /// Whether every change of the spec counts up its generation, and nothing else does.
    const COUNTS: bool;
    /// Whether nothing that people set is other; cheap, asked with each event.
    fn stays(&self, other: &Self) -> bool;
}

fn annotated(meta: &Meta, into: &mut Fields) {
    for (key, value) in &meta.annotations {
        into.insert(format!("metadata.annotations[{key}]"), value.chars().take(LONGEST).collect());
    }
}

impl Edited for TidbCluster {
    // Its status is no part of its own: each look of the operator counts as well.
    const COUNTS: bool = false;

    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn fields(&self) -> Fields {
        let mut all = Fields::new();
        flatten("spec", &serde_json::to_value(&self.spec).unwrap_or_default(), &mut all);
        annotated(&self.metadata, &mut all);
        all
    }

    fn stays(&self, other: &Self) -> bool {
        self.spec == other.spec
            && self.metadata.annotations == other.metadata.annotations
            && self.metadata.managed_fields == other.metadata.managed_fields
    }
}

impl Edited for StatefulSet {
    const COUNTS: bool = true;

    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn fields(&self) -> Fields {
        let mut all = Fields::new();
        flatten("spec", &serde_json::to_value(&self.spec).unwrap_or_default(), &mut all);
        if let Some(partition) = self.spec.partition() {
            all.insert(PARTITION.into(), partition.to_string());
        }
        all
    }

    fn stays(&self, other: &Self) -> bool {
        self.metadata.generation == other.metadata.generation && self.spec == other.spec
    }
}

/// What an object became between two looks; `None`: nothing that people set.
pub fn moved<T: Edited>(before: &T, after: &T) -> Option<Moved> {
    if before.stays(after) {
        return None;
    }
    let edits = edits(&before.fields(), &after.fields());
    let by = writers(before.meta(), after.meta());
    // The operator's entry moves with each write of the status.
    let hand = by.iter().any(|(name, _)| name != OPERATOR);
    let counted = T::COUNTS && before.meta().generation != after.meta().generation;
    (!edits.is_empty() || counted || (hand && !T::COUNTS)).then_some(Moved { edits, by })
}

/// Whose entries are other than before. With an edit of one tool the entries of others can lose a field: those of the newest
/// time are meant.
fn writers(before: &Meta, after: &Meta) -> Vec<(String, Option<Timestamp>)> {
    let known = |one: &&super::tidbcluster::FieldManager| !before.managed_fields.contains(one);
    let new: Vec<_> = after.managed_fields.iter().filter(|one| !one.paths.is_empty()).filter(known).collect();
    let newest = new.iter().map(|one| one.time).max().flatten();
    let mut all: Vec<(String, Option<Timestamp>)> =
        new.iter().filter(|one| one.time == newest).map(|one| (who(&one.manager), one.time)).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tc(spec: Value, managers: Value) -> TidbCluster {
        let metadata = json!({"name": "basic", "namespace": "db", "managedFields": managers});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("shape")
    }

    fn owns(manager: &str, second: u8, fields: Value) -> Value {
        json!({"manager": manager, "time": format!("2026-01-01T00:00:{second:02}Z"), "fieldsV1": {"f:spec": fields}})
    }

    fn words(moved: &Moved) -> Vec<String> {
        moved.edits.iter().map(|edit| edit.words("->")).collect()
    }

    #[test]
    fn an_edit_has_its_values_and_its_writer() {
        let operator = |second| owns(OPERATOR, second, json!({"f:pd": {"f:image": {}}}));
        let before = tc(json!({"tikv": {"replicas": 3}, "paused": true}), json!([operator(1)]));
        let by_hand = owns("kubectl-edit", 5, json!({"f:tikv": {"f:replicas": {}}}));
        let after = tc(json!({"tikv": {"replicas": 4}}), json!([operator(1), by_hand]));
        let moved = super::moved(&before, &after).expect("moved");
        assert_eq!(words(&moved), ["spec.paused true -> (unset)", "spec.tikv.replicas 3 -> 4"]);
        assert_eq!(moved.by.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["kubectl-edit"]);
        // The operator writes the status all the time.
        let looked = tc(json!({"tikv": {"replicas": 3}, "paused": true}), json!([operator(9)]));
        assert_eq!(super::moved(&before, &looked), None);
        // A field whose value is not kept.
        let set = owns("kubectl-patch", 7, json!({"f:pd": {"f:config": {}}}));
        let hidden = tc(json!({"tikv": {"replicas": 3}, "paused": true}), json!([operator(1), set]));
        let moved = super::moved(&before, &hidden).expect("moved");
        assert!(moved.edits.is_empty() && moved.by[0].0 == "kubectl-patch", "{moved:?}");
    }

    #[test]
    fn a_stateful_set_says_how_far_it_rolls() {
        let set = |generation: i64, partition: Value, image: &str| -> StatefulSet {
            serde_json::from_value(json!({
                "metadata": {"name": "basic-tikv", "namespace": "db", "generation": generation},
                "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": partition},
                    "template": {"spec": {"containers": [{"name": "tikv", "image": image}]}}}
            }))
            .expect("shape")
        };
        let (old, new) = (set(3, json!({"partition": 3}), "tikv:v1"), set(4, json!({"partition": 2}), "tikv:v2"));
        let all = words(&super::moved(&old, &new).expect("moved"));
        let wanted = [
            "spec.template.spec.containers[tikv].image tikv:v1 -> tikv:v2",
            "spec.updateStrategy.rollingUpdate.partition 3 -> 2",
        ];
        assert_eq!(all, wanted);
        assert_eq!(super::moved(&old, &old), None);
        // Something of it that is not kept.
        assert_eq!(super::moved(&old, &set(5, json!({"partition": 3}), "tikv:v1")).map(|one| one.edits), Some(vec![]));
    }
}
