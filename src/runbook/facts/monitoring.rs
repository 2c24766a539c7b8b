//! `fleet.monitoring`: the monitoring of a whole Database: where each TidbMonitor goes, how it is reached from elsewhere, and whether
//! what brings them together runs.
//!
//! Projections only. Names are those that TiDB Operator gives (`NAME-monitor`, `NAME-prometheus`); what could not be
//! seen is an absent field.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Unseen, of_database};
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};

/// gRPC port of a Thanos sidecar.
const STORE_PORT: u16 = 10901;
/// HTTP port of a Prometheus.
const PROMETHEUS_PORT: u16 = 9090;

/// What brings the metrics of a Database together; one of each, beside the TidbCluster that was named.
const QUERY: &str = "thanos-query";
const STORE_GATEWAY: &str = "thanos-store";
const FEDERATION: &str = "federation";
const GRAFANA: &str = "global-grafana";

fn place(of: &ObjectRef, part: &str) -> ObjectRef {
    ObjectRef::new(&of.context, &of.namespace, format!("{}-{part}", of.name))
}

fn deployment(of: &ObjectRef, part: &str) -> ObjectId {
    ObjectId::new(ObjectKind::Deployment, &place(of, part))
}

/// The Deployments that have to be read.
pub(super) fn objects(of: &ObjectRef) -> Vec<ObjectId> {
    [QUERY, STORE_GATEWAY, FEDERATION, GRAFANA].map(|part| deployment(of, part)).into()
}

/// Where the parts of a Database's monitoring go, and whether they run.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MonitoringFact {
    members: Vec<MonitorMember>,
    /// Thanos Query.
    query: Central,
    /// The Thanos Store Gateway, which reads object storage.
    store_gateway: Central,
    /// The Prometheus that takes over what all others have.
    federation: Central,
    /// The Grafana that shows the whole Database.
    grafana: Central,
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
    /// Where its Prometheus is asked, `HOST:PORT`.
    prometheus: String,
    /// Absent where its KubeCluster is not seen now.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<bool>,
    /// `spec.version` of the TidbCluster; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// A Deployment that there is once for a Database.
#[derive(Serialize, JsonSchema)]
struct Central {
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
        let host = format!("{}-prometheus.{}.svc{suffix}", member.name, member.namespace);
        Some(MonitorMember {
            of: member.to_string(),
            place: member.clone(),
            local: member.context == of.context,
            store: format!("{host}:{STORE_PORT}"),
            prometheus: format!("{host}:{PROMETHEUS_PORT}"),
            domain: domain.to_owned(),
            running: monitor_runs(cluster, member),
            version: tc.spec.version.clone(),
        })
    });
    let central = |part| Central { place: place(of, part), running: deployment_runs(fleet, &deployment(of, part)) };
    Ok(MonitoringFact {
        members: members.collect(),
        query: central(QUERY),
        store_gateway: central(STORE_GATEWAY),
        federation: central(FEDERATION),
        grafana: central(GRAFANA),
    })
}

/// Whether a Deployment has all its pods. `None`: not for us to see, so that a wait for it says so.
fn deployment_runs(fleet: &Fleet, id: &ObjectId) -> Option<bool> {
    match fleet.sight(id)? {
        Lookup::Present(deployment) => {
            let number = |at: &str| deployment.pointer(at).and_then(Value::as_i64).unwrap_or(0);
            let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
            let seen = number("/status/observedGeneration") >= number("/metadata/generation");
            Some(seen && number("/status/availableReplicas") >= wanted)
        }
        Lookup::Absent => Some(false),
        Lookup::Unseen(_) => None,
    }
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
