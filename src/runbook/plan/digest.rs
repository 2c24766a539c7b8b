//! What a plan stands on, as flat names and values: what has moved since; and the digest of all that a plan says.
//!
//! What may not move: the runbook, the inputs, the KubeClusters' and TidbClusters' uids, the spec fields that we judge, every
//! PD member with its peerURLs, the results of the checks, each step's action and before-image. Left out on purpose:
//! resourceVersions, times, who leads, pod restarts — they move all the time and change nothing that was reviewed.
//! The digest covers more: every title, reason, request, command and condition as well, since that is what people read
//! and agree to. Not here: taking the observation (`client::kube::snapshot`), the refusal itself (`cli::run`), the file (`cli::plan`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fleet::ObjectRef;
use crate::fleet::database::database_of;
use crate::fleet::operator_normalization::same;
use crate::runbook::Observation;
use crate::runbook::actions::merge_patch::asked;
use crate::runbook::plan::{CheckState, Plan};

/// The observed part, taken when the plan is made and stored in it.
pub fn basis(plan: &Plan, seen: &Observation) -> BTreeMap<String, Value> {
    let mut basis = BTreeMap::new();
    for (context, uid) in &plan.kube_clusters {
        basis.insert(format!("KubeCluster {context}: kube-system uid"), json!(uid));
    }
    let Some(database) = database_of(&seen.fleet, &plan.target) else { return basis };
    basis.insert("Database: PD cluster id".into(), json!(database.id));
    for of in &database.tidb_clusters {
        let Some(tc) = seen.fleet.tidb_cluster(of) else { continue };
        let name = |what: &str| named(of, what);
        basis.insert(name("uid"), json!(tc.metadata.uid));
        for (path, value) in asked(&json!(tc.spec)) {
            basis.insert(name(&format!("spec.{path}")), value);
        }
        for (key, value) in tc.metadata.annotations.iter().filter(|(key, _)| key.starts_with("tidb.pingcap.com/")) {
            // The operator keeps a clock in this one.
            if key != "tidb.pingcap.com/sync-timestamp" {
                basis.insert(name(&format!("annotation {key}")), json!(value));
            }
        }
    }
    for member in &database.members {
        basis.insert(format!("PD member {}: peerURLs", member.id), json!(member.peer_urls));
    }
    basis
}

/// Begins the name of what is of a TidbCluster.
const OF: &str = "TidbCluster ";

fn named(of: &ObjectRef, what: &str) -> String {
    format!("{OF}{of}: {what}")
}

/// A name of [`named`], taken apart: a plan keeps nothing but the name.
fn read(name: &str) -> Option<(ObjectRef, &str)> {
    let (of, what) = name.strip_prefix(OF)?.split_once(": ")?;
    Some((ObjectRef::parse(of).ok()?, what))
}

/// The TidbClusters of the Database on which a plan rests.
pub fn tidb_clusters(plan: &Plan) -> BTreeSet<ObjectRef> {
    plan.basis.keys().filter_map(|name| Some(read(name)?.0)).collect()
}

/// Everything that may not move between a review and its run, by name.
fn covered(plan: &Plan) -> BTreeMap<String, Value> {
    let mut all = plan.basis.clone();
    all.insert("runbook".into(), json!(format!("{} {}", plan.runbook, plan.runbook_version)));
    all.insert("runbook digest".into(), json!(plan.runbook_digest));
    for (name, value) in &plan.inputs {
        all.insert(format!("input {name}"), value.clone());
    }
    for check in &plan.checks {
        let state = match check.state {
            CheckState::Passed => "passed",
            CheckState::Warning => "warning",
            CheckState::Refused => "refused",
            CheckState::Accepted => "accepted",
        };
        all.insert(format!("check {}", check.id), json!(state));
        if let Some(reason) = &check.accepted {
            all.insert(format!("check {}: overruled although", check.id), json!(check.sentence));
            all.insert(format!("check {}: overruled because", check.id), json!(reason));
        }
    }
    for step in &plan.steps {
        let name = |what: &str| format!("step {}: {what}", step.id);
        all.insert(name("already so"), json!(step.already_so));
        all.insert(name("action"), json!(step.action));
        if step.action.writes() {
            all.insert(name("before"), step.before.unversioned());
        }
    }
    all
}

/// SHA-256 over all that a plan says, in hex; only its time and resourceVersions are left out, so that the same plan of an
/// unchanged world has the same digest.
pub fn digest(plan: &Plan) -> String {
    if let Some(sealed) = &plan.sealed {
        return sealed.clone();
    }
    let mut all = json!(plan);
    if let Some(root) = all.as_object_mut() {
        root.shift_remove("observedAt");
    }
    for step in all.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
        for part in ["requests", "before", "env"] {
            step.get_mut(part).into_iter().for_each(unversioned);
        }
    }
    fingerprint(&all)
}

fn unversioned(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.shift_remove("resourceVersion");
            map.values_mut().for_each(unversioned);
        }
        Value::Array(items) => items.iter_mut().for_each(unversioned),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// SHA-256 over a value, in hex; the order of keys does not count.
pub fn fingerprint(value: &Value) -> String {
    hex::encode(Sha256::digest(canonical(value).as_bytes()))
}

/// What is different now, one sentence each; empty when nothing that was reviewed has moved.
pub fn moved(reviewed: &Plan, now: &Plan) -> Vec<String> {
    let (was, is) = (covered(reviewed), covered(now));
    let mut names: Vec<&String> = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name))).collect();
    names.sort();
    let shown = |value: Option<&Value>| value.map_or_else(|| "(not there)".to_owned(), canonical);
    names
        .into_iter()
        .filter(|name| was.get(*name).map(canonical) != is.get(*name).map(canonical))
        .filter(|name| !written_back(name, was.get(*name), is.get(*name)))
        .map(|name| format!("{name}: was {}, is now {}", shown(was.get(name)), shown(is.get(name))))
        .collect()
}

/// Whether a field of a spec only reads as TiDB Operator writes it back: its first sync may come between the two plans.
fn written_back(name: &str, was: Option<&Value>, is: Option<&Value>) -> bool {
    let Some((of, path)) = read(name).and_then(|(of, what)| Some((of, what.strip_prefix("spec.")?))) else {
        return false;
    };
    let pointer = format!("/spec/{}", path.replace('.', "/"));
    let nothing = Value::Null;
    same(&pointer, &of.namespace, was.unwrap_or(&nothing), is.unwrap_or(&nothing))
}

/// JSON with sorted keys: the same data is the same text, in whatever order it arrived.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let parts: Vec<String> =
                sorted.into_iter().map(|(key, value)| format!("{}:{}", json!(key), canonical(value))).collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        serde_json::from_value(json!({
            "runbook": "x", "runbookVersion": "1", "runbookDigest": "d", "title": "x", "experimental": false,
            "inputs": {}, "target": {"context": "c", "namespace": "n", "name": "t"}, "kubeClusters": {},
            "contexts": [], "checks": [], "steps": [], "observedAt": "1970-01-01T00:00:00Z",
            "basis": {"TidbCluster c/n/t: spec.paused": {"b": 1, "a": 2}},
        }))
        .expect("a plan")
    }

    #[test]
    fn the_order_of_keys_and_the_time_do_not_count() {
        let mut other = plan();
        other.basis.insert("TidbCluster c/n/t: spec.paused".into(), json!({"a": 2, "b": 1}));
        other.observed_at = "2026-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!((digest(&plan()), moved(&plan(), &other)), (digest(&other), Vec::new()));
    }

    #[test]
    fn what_the_operator_writes_back_has_not_moved() {
        let mut fresh = plan();
        let name = |path: &str| format!("TidbCluster c/n/t: spec.{path}");
        fresh.basis.insert(name("paused"), json!(false));
        let mut synced = plan();
        synced.basis.insert(name("paused"), json!(null));
        synced.basis.insert(name("pd.maxFailoverCount"), json!(3));
        synced.basis.insert(name("tlsCluster"), json!({}));
        assert_eq!(moved(&fresh, &synced), Vec::<String>::new());
        // A context may have slashes in its name.
        let eks = "TidbCluster arn:aws:eks:eu-west-1:1:cluster/east/n/t: spec.cluster.namespace".to_owned();
        synced.basis.insert(eks, json!("n"));
        assert_eq!(moved(&fresh, &synced), Vec::<String>::new());
        assert_eq!(tidb_clusters(&synced).iter().map(|of| of.namespace.as_str()).collect::<Vec<_>>(), ["n", "n"]);
        synced.basis.insert(name("pd.maxFailoverCount"), json!(0));
        assert_eq!(moved(&fresh, &synced).len(), 1);
    }

    #[test]
    fn what_moved_is_named_with_both_values() {
        let mut other = plan();
        other.basis.insert("TidbCluster c/n/t: spec.paused".into(), json!(true));
        other.inputs.insert("d".into(), json!("x"));
        assert_ne!(digest(&plan()), digest(&other));
        assert_eq!(
            moved(&plan(), &other),
            [
                "TidbCluster c/n/t: spec.paused: was {\"a\":2,\"b\":1}, is now true",
                "input d: was (not there), is now \"x\""
            ]
        );
    }
}
