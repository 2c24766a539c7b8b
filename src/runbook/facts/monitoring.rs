//! Facts about monitoring a whole Database: where each TidbMonitor goes, how the query reaches it, whether both run.
//!
//! Projections only. Names are those that TiDB Operator gives (`NAME-monitor`, `NAME-prometheus`); what could not be
//! seen is an absent field.

use serde_json::{Value, json};

use super::Unseen;
use crate::fleet::database::database_of;
use crate::fleet::object::{Lookup, ObjectId, ObjectKind};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};

/// gRPC port of a Thanos sidecar.
const STORE_PORT: u16 = 10901;

/// The place of the query: one for a Database, beside the TidbCluster that was named.
pub(super) fn query_place(of: &ObjectRef) -> ObjectRef {
    ObjectRef::new(&of.context, &of.namespace, format!("{}-thanos-query", of.name))
}

pub(super) fn query_object(of: &ObjectRef) -> ObjectId {
    ObjectId::new(ObjectKind::Deployment, &query_place(of))
}

/// `members[]{ref, place, domain, local, store, running?, version?}, query{place, running?}`.
pub(super) fn monitoring(fleet: &Fleet, of: &ObjectRef) -> Result<Value, Unseen> {
    let database =
        database_of(fleet, of).ok_or_else(|| Unseen(format!("TidbCluster {of} belongs to no Database yet")))?;
    let members: Vec<Value> = database
        .tidb_clusters
        .iter()
        .filter_map(|member| {
            let (cluster, tc) = (fleet.clusters.get(&member.context)?, fleet.tidb_cluster(member)?);
            let domain = tc.domain().unwrap_or_default();
            let suffix = if domain.is_empty() { String::new() } else { format!(".{domain}") };
            let mut value = json!({
                "ref": member.to_string(), "place": member, "domain": domain, "local": member.context == of.context,
                "store": format!("{}-prometheus.{}.svc{suffix}:{STORE_PORT}", member.name, member.namespace),
            });
            if let Some(running) = monitor_runs(cluster, member) {
                value["running"] = json!(running);
            }
            if let Some(version) = &tc.spec.version {
                value["version"] = json!(version);
            }
            Some(value)
        })
        .collect();
    let mut query = json!({ "place": query_place(of) });
    match fleet.sight(&query_object(of)) {
        Some(Lookup::Present(deployment)) => {
            let number = |at: &str| deployment.pointer(at).and_then(Value::as_i64).unwrap_or(0);
            let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
            let seen = number("/status/observedGeneration") >= number("/metadata/generation");
            query["running"] = json!(seen && number("/status/availableReplicas") >= wanted);
        }
        Some(Lookup::Absent) => query["running"] = json!(false),
        // Not for us to see: absent, so that a wait for it says so.
        Some(Lookup::Unseen(_)) | None => {}
    }
    Ok(json!({"members": members, "query": query}))
}

/// Whether every pod of the TidbMonitor is Ready on its newest revision. `None`: the cluster is not seen now.
fn monitor_runs(cluster: &KubeCluster, member: &ObjectRef) -> Option<bool> {
    if !cluster.freshness.is_live() {
        return None;
    }
    let key = ObjectKey::new(&member.namespace, format!("{}-monitor", member.name));
    Some(cluster.stateful_sets.get(&key).is_some_and(|set| {
        let (wanted, status) = (set.spec.replicas, &set.status);
        let seen = status.observed_generation >= set.metadata.generation;
        seen && wanted > 0 && status.ready_replicas >= wanted && status.updated_replicas >= wanted
    }))
}
