//! `fleet.monitoring`: the monitoring of a whole Database: where each TidbMonitor goes, how the query reaches it, whether both run.
//!
//! Projections only. Names are those that TiDB Operator gives (`NAME-monitor`, `NAME-prometheus`); what could not be
//! seen is an absent field.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Unseen, of_database};
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

/// Where the parts of a Database's monitoring go, and whether they run.
#[derive(Serialize, JsonSchema)]
pub(super) struct MonitoringFact {
    members: Vec<MonitorMember>,
    query: Query,
}

/// The TidbMonitor of one TidbCluster.
#[derive(Serialize, JsonSchema)]
struct MonitorMember {
    /// `CONTEXT/NAMESPACE/NAME`.
    #[serde(rename = "ref")]
    of: String,
    place: ObjectRef,
    /// `clusterDomain`; empty where there is none.
    domain: String,
    /// In the context of the TidbCluster that was asked about.
    local: bool,
    /// Where its Thanos sidecar is asked, `HOST:PORT`.
    store: String,
    /// Absent where its KubeCluster is not seen now.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<bool>,
    /// `spec.version` of the TidbCluster; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// The one Thanos query of the Database.
#[derive(Serialize, JsonSchema)]
struct Query {
    place: ObjectRef,
    /// Absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<bool>,
}

pub(super) fn monitoring(fleet: &Fleet, of: &ObjectRef) -> Result<MonitoringFact, Unseen> {
    let database = of_database(fleet, of)?;
    let members = database.tidb_clusters.iter().filter_map(|member| {
        let (cluster, tc) = (fleet.clusters.get(&member.context)?, fleet.tidb_cluster(member)?);
        let domain = tc.domain().unwrap_or_default();
        let suffix = if domain.is_empty() { String::new() } else { format!(".{domain}") };
        Some(MonitorMember {
            of: member.to_string(),
            place: member.clone(),
            local: member.context == of.context,
            store: format!("{}-prometheus.{}.svc{suffix}:{STORE_PORT}", member.name, member.namespace),
            domain: domain.to_owned(),
            running: monitor_runs(cluster, member),
            version: tc.spec.version.clone(),
        })
    });
    let running = match fleet.sight(&query_object(of)) {
        Some(Lookup::Present(deployment)) => {
            let number = |at: &str| deployment.pointer(at).and_then(Value::as_i64).unwrap_or(0);
            let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
            let seen = number("/status/observedGeneration") >= number("/metadata/generation");
            Some(seen && number("/status/availableReplicas") >= wanted)
        }
        Some(Lookup::Absent) => Some(false),
        // Not for us to see: absent, so that a wait for it says so.
        Some(Lookup::Unseen(_)) | None => None,
    };
    Ok(MonitoringFact { members: members.collect(), query: Query { place: query_place(of), running } })
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
