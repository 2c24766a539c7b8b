//! Who changed it, and when, as far as the objects say: `metadata.managedFields` names a tool and a time, never a person.
//!
//! Pure. PD keeps no such record of its members, which is said where it matters. Not here: that something was changed
//! (`runbook::actions::judge_types`, `runbook::run::write_guards`).

use jiff::Timestamp;
use serde_json::Value;

use crate::fleet::tidbcluster::{FieldManager, Meta, TidbCluster};

/// What TiDB Operator writes under; it is never who is looked for, unless nobody else ever wrote.
pub const OPERATOR: &str = "tidb-controller-manager";

/// Who set these fields of a TidbCluster last (`spec.paused`, `metadata.annotations[x]`).
pub fn last_writer_of_fields(tc: &TidbCluster, fields: &[&str]) -> Option<String> {
    let owns = |manager: &&FieldManager| fields.iter().any(|field| owned(manager, field));
    let managers = &tc.metadata.managed_fields;
    if let Some(last) = newest(managers.iter().filter(owns)) {
        return Some(format!("set by {}", named(&last.manager, last.time)));
    }
    // A field that was taken out belongs to nobody any more.
    let last = newest(managers.iter().filter(|manager| manager.manager != OPERATOR && !manager.paths.is_empty()))?;
    Some(format!("the TidbCluster was last written by {}", named(&last.manager, last.time)))
}

/// managedFields are kept two levels deep, so a field further down is its parent's.
fn owned(manager: &FieldManager, field: &str) -> bool {
    manager
        .paths
        .iter()
        .any(|path| path == field || (path.matches('.').count() == 2 && field.starts_with(&format!("{path}."))))
}

/// The last write of one tool to an object, with the fields that it owns: one of them is what it changed then.
#[derive(Clone, Debug, PartialEq)]
pub struct LastWrite {
    /// The tool, or the run of this one.
    pub by: String,
    /// Which of the tool's entries it is, in the order of the object: one that applies and updates has two.
    pub entry: usize,
    pub at: Option<Timestamp>,
    /// The deepest that are known; a field above another one is left out.
    pub fields: Vec<String>,
}

/// The last write of every tool that owns a field of the spec or an annotation, the newest first.
pub fn last_writes(meta: &Meta) -> Vec<LastWrite> {
    let written = || meta.managed_fields.iter().filter(|manager| !manager.paths.is_empty());
    let mut all: Vec<LastWrite> = written()
        .enumerate()
        .map(|(at, manager)| {
            let entry = written().take(at).filter(|other| other.manager == manager.manager).count();
            let above = |path: &String| manager.paths.iter().any(|other| other.starts_with(&format!("{path}.")));
            let fields = manager.paths.iter().filter(|path| !above(path)).cloned().collect();
            LastWrite { by: who(&manager.manager), entry, at: manager.time, fields }
        })
        .collect();
    all.sort_by_key(|write| std::cmp::Reverse(write.at));
    all
}

/// A manager's name as people know it.
pub fn who(manager: &str) -> String {
    match manager.split_once('/') {
        Some(("tidepilot", run)) => format!("tidepilot run {run}"),
        Some(_) | None => manager.to_owned(),
    }
}

fn newest<'a>(managers: impl Iterator<Item = &'a FieldManager>) -> Option<&'a FieldManager> {
    managers.max_by_key(|manager| (manager.time, manager.manager != OPERATOR))
}

fn named(manager: &str, time: Option<Timestamp>) -> String {
    let who = who(manager);
    match time {
        Some(at) => format!("{who} at {} UTC", at.strftime("%Y-%m-%d %H:%M:%S")),
        None => who,
    }
}

/// Who wrote an object last, of those who are not the operator.
pub fn last_writer_of_object(object: &Value) -> Option<String> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array)?;
    let written = entries.iter().filter_map(|entry| {
        let time = entry.get("time").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
        Some((time, entry.get("manager")?.as_str()?))
    });
    let (time, manager) = written.filter(|(_, manager)| *manager != OPERATOR).max_by_key(|(time, _)| *time)?;
    Some(format!("last written by {}", named(manager, time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tc() -> TidbCluster {
        let fields = |spec: Value| json!({"f:spec": spec, "f:metadata": {"f:annotations": {"f:a.b/c": {}}}});
        serde_json::from_value(json!({"metadata": {"name": "basic", "namespace": "db", "managedFields": [
            {"manager": "kubectl-create", "time": "2026-01-01T00:00:00Z", "fieldsV1": fields(json!({"f:paused": {}, "f:pd": {".": {}, "f:version": {}}}))},
            {"manager": OPERATOR, "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:spec": {"f:pd": {"f:config": {}}}}},
            {"manager": "kubectl-edit", "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "tidepilot/20260101-x", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {"f:clusterDomain": {}}}},
        ]}}))
        .expect("shape")
    }

    /// As a real API server showed a TidbCluster after TiDB Operator 1.6.6 had written its status.
    #[test]
    fn the_time_of_a_status_is_none_of_the_spec() {
        let tc: TidbCluster = serde_json::from_value(json!({"metadata": {"name": "basic", "namespace": "db", "managedFields": [
            {"manager": "helm", "operation": "Apply", "time": "2026-11-30T09:43:03Z", "fieldsV1": {"f:spec": {"f:timezone": {}, "f:pd": {"f:replicas": {}}}}},
            {"manager": "tidepilot/20261130-094650-f5ea", "operation": "Update", "time": "2026-11-30T10:00:37Z", "fieldsV1": {"f:spec": {"f:acrossK8s": {}}}},
            {"manager": OPERATOR, "operation": "Update", "time": "2026-11-30T10:09:57Z",
             "fieldsV1": {"f:spec": {"f:pd": {"f:config": {}}}, "f:status": {"f:pd": {}}}},
        ]}}))
        .expect("shape");
        let all = last_writes(&tc.metadata);
        let by: Vec<(&str, bool)> = all.iter().map(|write| (write.by.as_str(), write.at.is_some())).collect();
        assert_eq!(by, [("tidepilot run 20261130-094650-f5ea", true), ("helm", true), (OPERATOR, false)]);
        assert_eq!(last_writer_of_fields(&tc, &["spec.pd.config"]).as_deref(), Some("set by tidb-controller-manager"));
    }

    #[test]
    fn every_tool_is_listed_with_what_it_owns_the_newest_first() {
        let all = last_writes(&tc().metadata);
        let by: Vec<&str> = all.iter().map(|write| write.by.as_str()).collect();
        assert_eq!(by, [OPERATOR, "kubectl-edit", "tidepilot run 20260101-x", "kubectl-create"]);
        let fields = |at: usize| all[at].fields.join(" ");
        assert_eq!(fields(1), "spec.paused");
        // `spec.pd` stands above a field that is named itself.
        assert!(fields(3).contains("spec.pd.version") && !all[3].fields.contains(&"spec.pd".to_owned()), "{all:?}");
    }

    #[test]
    fn the_newest_writer_of_the_field_is_named() {
        let cases = [
            ("spec.paused", "set by kubectl-edit at 2026-01-02 03:04:05 UTC"),
            ("spec.pd.version", "set by kubectl-create at 2026-01-01 00:00:00 UTC"),
            ("spec.pd.config.x", "set by tidb-controller-manager at 2026-01-03 00:00:00 UTC"),
            ("spec.clusterDomain", "set by tidepilot run 20260101-x at 2026-01-02 00:00:00 UTC"),
            ("metadata.annotations[a.b/c]", "set by kubectl-create at 2026-01-01 00:00:00 UTC"),
            // Taken out: nobody's any more.
            ("spec.acrossK8s", "the TidbCluster was last written by kubectl-edit at 2026-01-02 03:04:05 UTC"),
        ];
        for (field, who) in cases {
            assert_eq!(last_writer_of_fields(&tc(), &[field]).as_deref(), Some(who), "{field}");
        }
        assert_eq!(last_writer_of_fields(&TidbCluster::default(), &["spec.paused"]), None);
    }
}
