//! What is other in an object than before, field by field, and who wrote it then: from two looks at the same object.
//!
//! Pure, and bounded whatever an object holds. Only fields that are kept have values here ([`super::tidbcluster`], [`super::workload`]):
//! of a component's configuration, of variables, of microservices and of annotations that are not known none is. Not here: what was seen in this session (`app::change_history`), what an object says by itself
//! ([`super::managed_fields`]), former templates of a StatefulSet ([`super::controller_revision`]).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use serde_json::Value;

use super::managed_fields::{OPERATOR, who};
use super::tidbcluster::{Meta, TidbCluster};
use super::workload::StatefulSet;
use crate::pluralize::counted;

/// Longest value that is shown, and longest name of one level of a path, in characters.
const LONGEST: usize = 120;
/// Longest path, in bytes.
const LONGEST_PATH: usize = 400;
/// Most fields that are kept of one object; what is behind them is one field more.
const FIELDS: usize = 2_000;
const FURTHER: &str = "(further fields)";
/// Most fields of one edit.
const MOST: usize = 40;
/// Most programs of one edit, and most entries of `managedFields` that are looked at for them.
const WRITERS: usize = 8;
const ENTRIES: usize = 200;

/// Which pods of a StatefulSet get the newest template.
pub const PARTITION: &str = "spec.updateStrategy.rollingUpdate.partition";

/// A value as it is kept: whether it is another one is always known, what it is only where it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptValue {
    shown: Option<String>,
    hash: u64,
}

impl KeptValue {
    fn of(text: &str, show: bool) -> Self {
        let mut hash = DefaultHasher::new();
        text.hash(&mut hash);
        Self { shown: show.then(|| cut(text)), hash: hash.finish() }
    }

    /// What it is, where that may be shown.
    pub fn shown(&self) -> Option<&str> {
        self.shown.as_deref()
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Values by their path, `spec.tikv.replicas`.
pub type Fields = BTreeMap<String, KeptValue>;

/// One field with what it held before and after, in words; `None`: it was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub field: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Edit {
    fn new(field: &str, before: Option<&KeptValue>, after: Option<&KeptValue>) -> Self {
        const HIDDEN: &str = "(not shown)";
        let told = match (before.map(KeptValue::shown), after.map(KeptValue::shown)) {
            (_, None) => None,
            (Some(None), Some(None)) => Some("another".to_owned()),
            (Some(Some(before)), Some(Some(after))) if before == after => Some("another one behind that".to_owned()),
            (_, Some(after)) => Some(after.unwrap_or(HIDDEN).to_owned()),
        };
        let before = before.map(|held| held.shown().unwrap_or(HIDDEN).to_owned());
        Self { field: field.to_owned(), before, after: told }
    }

    /// `spec.tikv.replicas 3 → 4`
    pub fn words(&self, arrow: &str) -> String {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(unset)".to_owned());
        format!("{} {} {arrow} {}", self.field, value(&self.before), value(&self.after))
    }
}

/// The fields that are other, in the order of their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// At most so many.
    pub edits: Vec<Edit>,
    /// How many there are beyond those.
    pub more: usize,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    pub fn words(&self, arrow: &str) -> String {
        let mut words: Vec<String> = self.edits.iter().map(|edit| edit.words(arrow)).collect();
        if self.more > 0 {
            words.push(format!("and {} more", counted(self.more, "field")));
        }
        words.join(", ")
    }

    /// Whether all of it is told, and every field is one of these.
    pub fn only(&self, of_these: impl Fn(&str) -> bool) -> bool {
        self.more == 0 && !self.is_empty() && self.edits.iter().all(|edit| of_these(&edit.field))
    }
}

/// What one object became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub difference: Difference,
    /// Who wrote since the look before, and when; none where the object does not tell.
    pub by: Vec<(String, Option<Timestamp>)>,
}

/// The fields that are other.
pub fn difference(before: &Fields, after: &Fields) -> Difference {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let other: Vec<&String> = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    let edit = |field: &&String| Edit::new(field, before.get(*field), after.get(*field));
    Difference { edits: other.iter().take(MOST).map(edit).collect(), more: other.len().saturating_sub(MOST) }
}

/// Puts the values of a JSON tree into a map; entries of a list that have a name stand under it. `shows`: whether the value at a
/// path may be seen.
pub fn flatten(path: &str, value: &Value, shows: &dyn Fn(&str) -> bool, into: &mut Fields) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&below_path(path, dot, key, ""), below, shows, into);
            }
        }
        Value::Array(all) => {
            for (at, below) in all.iter().enumerate() {
                let name = below.get("name").and_then(Value::as_str).map_or_else(|| at.to_string(), cut);
                flatten(&below_path(path, "[", &name, "]"), below, shows, into);
            }
        }
        Value::Null => {}
        leaf => {
            let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned);
            put(path, &text, shows(path), into);
        }
    }
}

/// What others write into a path may be as long as an object may be, and stands above thousands of values.
fn below_path(path: &str, before: &str, name: &str, after: &str) -> String {
    match path.len() > LONGEST_PATH {
        true => path.to_owned(),
        false => format!("{path}{before}{}{after}", cut(name)),
    }
}

/// A second value of one path (it was cut), and whatever is beyond the bound, only counts for whether something is other.
fn put(path: &str, text: &str, show: bool, into: &mut Fields) {
    let path = if into.len() >= FIELDS && !into.contains_key(path) { FURTHER } else { path };
    let held = KeptValue::of(text, show && path != FURTHER);
    match into.get_mut(path) {
        Some(known) => *known = KeptValue { shown: None, hash: known.hash.rotate_left(5) ^ held.hash },
        None => drop(into.insert(path.to_owned(), held)),
    }
}

/// Whether the value of an annotation may be seen: only those of the operator and of this program hold what is known.
pub fn shows_annotation(key: &str) -> bool {
    let secret = ["last-applied-configuration", "last-applied-podtemplate"].iter().any(|end| key.ends_with(end));
    ["tidb.pingcap.com/", "pingcap.com/", "tidepilot/"].iter().any(|known| key.starts_with(known)) && !secret
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
        put(&below_path("metadata.annotations", "[", key, "]"), value, shows_annotation(key), into);
    }
}

/// Of a spec as it is kept: of annotations of pods those that are known, of microservices nothing.
fn shows_field(path: &str) -> bool {
    match path.split_once(".annotations.") {
        Some((_, key)) => shows_annotation(key),
        None => !path.starts_with("spec.pdms"),
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
        flatten("spec", &serde_json::to_value(&self.spec).unwrap_or_default(), &shows_field, &mut all);
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
        flatten("spec", &serde_json::to_value(&self.spec).unwrap_or_default(), &shows_field, &mut all);
        if let Some(partition) = self.spec.partition() {
            put(PARTITION, &partition.to_string(), true, &mut all);
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
    let difference = difference(&before.fields(), &after.fields());
    let by = writers(before.meta(), after.meta());
    // The operator's entry moves with each write of the status.
    let hand = by.iter().any(|(name, _)| name != OPERATOR);
    let counted = T::COUNTS && before.meta().generation != after.meta().generation;
    (!difference.is_empty() || counted || (hand && !T::COUNTS)).then_some(Moved { difference, by })
}

/// Whose entries are other than before. With an edit of one tool the entries of others can lose a field: those of the newest
/// time are meant.
fn writers(before: &Meta, after: &Meta) -> Vec<(String, Option<Timestamp>)> {
    let old = || before.managed_fields.iter().take(ENTRIES);
    let entries = after.managed_fields.iter().take(ENTRIES).filter(|one| !one.paths.is_empty());
    let new: Vec<_> = entries.filter(|one| !old().any(|known| known == *one)).collect();
    let newest = new.iter().map(|one| one.time).max().flatten();
    let named = new.iter().filter(|one| one.time == newest).map(|one| (cut(&who(&one.manager)), one.time));
    let mut all: Vec<(String, Option<Timestamp>)> = named.take(WRITERS).collect();
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
        moved.difference.edits.iter().map(|edit| edit.words("->")).collect()
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
        assert!(moved.difference.is_empty() && moved.by[0].0 == "kubectl-patch", "{moved:?}");
    }

    #[test]
    fn what_may_be_secret_is_another_and_no_more() {
        let tc = |secret: &str| -> TidbCluster {
            serde_json::from_value(json!({
                "metadata": {"name": "basic", "namespace": "db", "annotations": {
                    "kapp.k14s.io/original": secret, "tidb.pingcap.com/force-upgrade": "true"}},
                "spec": {"pd": {"replicas": 3, "annotations": {"vault/token": secret}},
                    "pdms": [{"name": "tso", "env": [{"name": "PASSWORD", "value": secret}], "config": secret}]}
            }))
            .expect("shape")
        };
        let moved = super::moved(&tc("hush-1"), &tc("hush-2")).expect("moved");
        let words = moved.difference.words("->");
        assert!(
            !format!("{moved:?}").contains("hush") && !format!("{:?}", tc("hush").fields()).contains("hush"),
            "{words}"
        );
        assert!(words.contains("metadata.annotations[kapp.k14s.io/original] (not shown) -> another"), "{words}");
        assert!(words.contains("spec.pdms[tso].env[PASSWORD].value (not shown) -> another"), "{words}");
        assert!(words.contains("spec.pd.annotations.vault/token (not shown) -> another"), "{words}");
        let known = tc("x").fields();
        assert_eq!(known["metadata.annotations[tidb.pingcap.com/force-upgrade]"].shown(), Some("true"));
    }

    #[test]
    fn a_change_behind_what_is_shown_is_one() {
        let long = |end: &str| tc(json!({"version": format!("{}{end}", "v".repeat(500))}), json!([]));
        let words = super::moved(&long("1"), &long("2")).expect("moved").difference.words("->");
        assert!(words.ends_with("… -> another one behind that") && words.len() < 300, "{words}");
        let many = |value: u8| {
            json!((0..100).map(|at| (format!("a{at:03}"), json!(value))).collect::<serde_json::Map<_, _>>())
        };
        let fields = |value| {
            let mut all = Fields::new();
            flatten("spec", &many(value), &|_| true, &mut all);
            all
        };
        let told = difference(&fields(1), &fields(2));
        assert_eq!((told.edits.len(), told.more), (MOST, 60));
        assert!(told.words("->").ends_with(", and 60 fields more") && !told.only(|_| true), "{}", told.words("->"));
    }

    #[test]
    fn a_long_name_above_many_values_takes_no_room() {
        let leaves: serde_json::Map<String, Value> = (0..100_000).map(|at| (at.to_string(), json!(at))).collect();
        let tree = json!({ "k".repeat(1 << 20): leaves });
        let mut all = Fields::new();
        flatten("spec", &tree, &|_| true, &mut all);
        let bytes: usize = all.keys().map(String::len).sum();
        assert!(
            all.len() <= FIELDS + 1 && bytes < FIELDS * (LONGEST_PATH + 500),
            "{} fields, {bytes} bytes",
            all.len()
        );
        // Another value at its end is another one for all that.
        let mut other = tree.clone();
        other.as_object_mut().expect("map").values_mut().for_each(|below| below["99999"] = json!("x"));
        let mut after = Fields::new();
        flatten("spec", &other, &|_| true, &mut after);
        assert_eq!(difference(&all, &after).edits[0].field, FURTHER);
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
        assert_eq!(
            super::moved(&old, &set(5, json!({"partition": 3}), "tikv:v1")).map(|one| one.difference),
            Some(Difference::default())
        );
    }
}
