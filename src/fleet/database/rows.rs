//! What is known of one PD member, and of one store.

use serde::Serialize;

use crate::fleet::ObjectRef;
use crate::fleet::pd::{MemberId, PdWay, Store};

/// A PD member with everything known of it. `None` and empty mean "not known", never "no".
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub id: MemberId,
    pub name: String,
    /// The context in which its pod runs.
    pub kube_cluster: Option<String>,
    pub namespace: Option<String>,
    pub tidb_cluster: Option<String>,
    pub pod: Option<String>,
    pub pod_phase: Option<String>,
    pub ready: Option<bool>,
    pub peer_urls: Vec<String>,
    pub expected_peer_url: Option<String>,
    pub drift: bool,
    pub client_urls: Vec<String>,
    pub leader: bool,
    pub healthy: Option<bool>,
    /// How its PD was asked; not there where only the API server's port-forward was thought of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pd_access: Option<PdWay>,
    /// Whether it counts for etcd's majority: its own etcd's word, else what PD says of it.
    #[serde(skip)]
    pub votes: Option<bool>,
    /// Its own etcd answered, whatever it said.
    #[serde(skip)]
    pub answered: bool,
    /// No pod of it runs, as a cluster that shows all of its pods tells.
    #[serde(skip)]
    pub gone: bool,
    /// Its own etcd answers and knows no leader, which is no fault of its own: its health is not known until there is one.
    #[serde(skip)]
    pub leaderless: bool,
}

/// A store with the TidbCluster that it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreRow {
    #[serde(flatten)]
    pub store: Store,
    pub kube_cluster: Option<String>,
    pub tidb_cluster: Option<String>,
    pub pod: Option<String>,
    /// The TidbCluster in full.
    #[serde(skip)]
    pub of: Option<ObjectRef>,
}
