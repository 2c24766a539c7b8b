//! Built-in check: nothing is changed in a Database of which a part runs where nobody looks.
//!
//! The lock of a Database is a Lease beside each of its TidbClusters, in the Kubernetes clusters that are connected. Two
//! people with disjoint contexts would hold disjoint leases and change one PD membership in the same second, so whoever
//! does not see the whole of it is refused, in whatever runbook. (A lock in the Database's own etcd would be seen by
//! both, but not while PD has no majority, which is when it is repaired; and it would be a write of ours to the
//! metadata store of somebody's production.) Not here: the leases (`client::share::lease`).

use serde_json::Value;

use crate::fleet::database::{Away, Database, database_of, referenced};
use crate::fleet::object_kind::ObjectKind;
use crate::runbook::Observation;
use crate::runbook::actions::Action;
use crate::runbook::actions::{CreateObject, DeleteObject};
use crate::runbook::plan::{CheckResult, CheckState, Plan};

/// The input of `repair-peer-urls`, which may be what is needed to go on although a Kubernetes cluster is gone for good:
/// names of PD members, by comma.
const LOST: &str = "lostMembers";

pub(in crate::runbook) fn check(plan: &Plan, seen: &Observation) -> Option<CheckResult> {
    if !plan.steps.iter().any(|step| touches(&step.action)) {
        return None;
    }
    // What joins belongs to the Database that it joins before it is there.
    let named = plan.inputs.values().filter_map(|value| serde_json::from_value(value.clone()).ok());
    let all = named.filter_map(|of| database_of(&seen.fleet, &of)).chain(database_of(&seen.fleet, &plan.target));
    let lost = plan.inputs.get(LOST);
    let hidden = all.map(|database| hidden(&database, lost, seen)).find(|hidden| !hidden.is_empty())?;
    let way_out = match plan.runbook.as_str() {
        "repair-peer-urls" => {
            format!(", or name every PD member whose Kubernetes cluster is gone for good: --set {LOST}=MEMBER,MEMBER")
        }
        _ => String::new(),
    };
    let sentence = format!(
        "not in any connected context: {}. Somebody who is connected there only would not see this run, and could drive the same Database at the \
         same time. Connect their Kubernetes cluster{way_out}.",
        hidden.join(", ")
    );
    let result = CheckResult::new("whole-database", CheckState::Refused, sentence);
    Some(result.titled("Every part of the Database is in a connected context"))
}

/// Probe pods are in nobody's way.
fn touches(action: &Action) -> bool {
    let probe = |kind: &ObjectKind| matches!(kind, ObjectKind::Pod | ObjectKind::Service);
    match action {
        Action::CreateObject(CreateObject { object_kind, .. })
        | Action::DeleteObject(DeleteObject { object_kind, .. }) => !probe(object_kind),
        other => other.writes(),
    }
}

fn hidden(database: &Database, lost: Option<&Value>, seen: &Observation) -> Vec<String> {
    let lost: Vec<&str> = lost.and_then(Value::as_str).unwrap_or_default().split(',').map(str::trim).collect();
    let given = lost.iter().any(|name| !name.is_empty());
    let mut hidden: Vec<String> = database
        .away()
        .into_iter()
        // With a cluster went its stores.
        .filter(|what| match what {
            Away::Member(name) => !lost.contains(&name.as_str()),
            Away::Store(_) => !given,
        })
        .map(|what| what.to_string())
        .collect();
    if database.members.is_empty() {
        // Without a word of PD all that is known is what the TidbClusters say of each other.
        hidden.extend(database.tidb_clusters.iter().filter_map(|of| {
            let tc = seen.fleet.tidb_cluster(of)?;
            let to = tc.spec.cluster.as_ref().filter(|_| referenced(&seen.fleet, of, tc).is_none())?;
            Some(format!("TidbCluster {}, which {of} belongs to", to.name))
        }));
    }
    hidden
}
