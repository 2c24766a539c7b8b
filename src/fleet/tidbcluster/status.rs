//! `status` of a TidbCluster, as TiDB Operator writes it (v1.6).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deserialize::{null_default, object_or_empty};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TidbClusterStatus {
    /// PD cluster id, decimal.
    #[serde(rename = "clusterID", skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    #[serde(deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "null_default")]
    pub pd: ComponentStatus,
    #[serde(deserialize_with = "null_default")]
    pub tikv: ComponentStatus,
    #[serde(deserialize_with = "null_default")]
    pub tidb: ComponentStatus,
    #[serde(deserialize_with = "null_default")]
    pub tiflash: ComponentStatus,
    #[serde(deserialize_with = "null_default")]
    pub ticdc: ComponentStatus,
    #[serde(deserialize_with = "null_default")]
    pub tiproxy: ComponentStatus,
    #[serde(deserialize_with = "null_default")]
    pub pump: ComponentStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
}

/// One component's `status`. Missing where the component has no such field (TiDB has no `synced`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced: Option<bool>,
    /// `Normal`, `Upgrade`, `Scale`, `Suspend`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// PD members by PD name; TiDB members by pod; all Pump nodes of the Database by node id (without health).
    #[serde(deserialize_with = "object_or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, MemberStatus>,
    #[serde(deserialize_with = "object_or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub peer_members: BTreeMap<String, MemberStatus>,
    /// TiKV and TiFlash stores by decimal store id.
    #[serde(deserialize_with = "object_or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub stores: BTreeMap<String, StoreStatus>,
    #[serde(deserialize_with = "object_or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub peer_stores: BTreeMap<String, StoreStatus>,
    /// Failover made a pod more for each of these; only their number matters.
    #[serde(deserialize_with = "null_default")]
    pub failure_members: BTreeMap<String, Value>,
    #[serde(deserialize_with = "null_default")]
    pub failure_stores: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStatus {
    pub name: String,
    pub id: String,
    #[serde(rename = "clientURL")]
    pub client_url: String,
    pub health: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StoreStatus {
    pub id: String,
    pub pod_name: String,
    /// The FQDN in spite of the name (`domain.md` §1.3).
    pub ip: String,
    pub state: String,
    pub leader_count: i64,
}
