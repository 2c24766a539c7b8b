//! Databases: TidbClusters grouped, and every PD member joined to its pod, TidbCluster and KubeCluster.
//!
//! Which TidbClusters are one is decided in `grouping`, whose a member is in `joining`, what is wrong in `judging`; `assembling`
//! brings them together, `kept` only those anew that a change can be about; `by_name` finds one. What cannot be joined is said in words, never guessed. Not here: what a runbook does about drift. Neighbours:
//! [`super::quorum`], [`super::pd`].

use serde::Serialize;

use super::ObjectRef;
use super::cluster_domain_evidence::DomainDoubt;
use super::not_seen::NotSeenList;
use super::pd::MemberId;
use super::pd_leader_state::Lead;
use super::problem::Problem;
use super::quorum::Quorum;
use super::quorum_after_cluster_loss::Losses;
use super::regions_after_cluster_loss::RegionLoss;
use super::tls_toggle::Toggle;

mod assembling;
mod database_problems;
pub mod find_by_name;
pub(super) mod grouping;
pub mod incremental_rebuild;
pub mod member_and_store;
mod member_pod_matching;
mod peer_url_drift;
pub(super) mod pod_hostnames;

pub use assembling::{database_of, databases, parts_of};
pub use grouping::{Astray, astray, referenced};
pub(crate) use grouping::{answers, candidates, cluster_id};
pub use member_and_store::{Member, Place, StoreRow};
pub use pod_hostnames::host;

/// One TiDB cluster as PD knows it, made of one or more TidbClusters.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// PD cluster id, decimal; `None` until PD or the operator said it.
    pub id: Option<String>,
    /// Name of the initial TidbCluster (the one without `spec.cluster`).
    pub name: String,
    pub tidb_clusters: Vec<ObjectRef>,
    /// Those that belong here by their own word only: their reference says so, and nothing that PD tells does.
    #[serde(skip)]
    pub unconfirmed: Vec<ObjectRef>,
    pub quorum: Quorum,
    /// What losing one KubeCluster would do to it.
    pub losses: Losses,
    /// KubeClusters whose loss may stop regions, by location labels alone. `None`: not known.
    pub region_losses: Option<Vec<RegionLoss>>,
    pub max_replicas: Option<u64>,
    pub members: Vec<Member>,
    pub stores: Vec<StoreRow>,
    /// What is wrong, one sentence each.
    pub problems: Vec<Problem>,
    /// What could not be seen: a partly visible Database is unknown, never healthy.
    #[serde(flatten)]
    pub unseen: NotSeenList,
    /// Every PD pod that answered lists the same members with the same peerURLs.
    pub agree: bool,
    /// Its TidbClusters whose domain is in doubt: which peerURLs their members should have is not known.
    #[serde(skip)]
    pub domain_doubts: Vec<DomainDoubt>,
    /// Whether PD can decide anything now.
    #[serde(skip)]
    pub lead: Lead,
    /// TidbClusters of it whose TLS was switched while they run (hazard 25).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_toggled: Vec<Toggle>,
    /// Another one says the same id: what is said of that rests on both.
    #[serde(skip)]
    pub claimed: bool,
}

/// What PD tells of, and that belongs to nothing that is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Away {
    /// A PD member by its name.
    Member(String),
    /// A store by its id.
    Store(u64),
}

impl std::fmt::Display for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Away::Member(name) => write!(f, "PD member {name}"),
            Away::Store(id) => write!(f, "store {id}"),
        }
    }
}

impl Database {
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.leader)
    }

    /// Whether PD lists this TidbCluster, and all that it lists is seen: then nothing is behind `spec.cluster` that is not here.
    pub fn joined_for_certain(&self, of: &ObjectRef) -> bool {
        joined_for_certain(of, &self.members, &self.stores)
    }

    /// Members and stores of which PD tells, and that belong to nothing that is seen: whatever is summed up over the parts
    /// leaves them out, and is not known for as long as there are any.
    pub fn away(&self) -> Vec<Away> {
        let members = self.members.iter().filter(|member| !member.place.is_known() && !member.name.is_empty());
        let stores = self.stores.iter().filter(|row| !row.place.is_known() && !row.store.is_gone());
        let members = members.map(|member| Away::Member(member.name.clone()));
        members.chain(stores.map(|row| Away::Store(row.store.id))).collect()
    }

    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Whether TLS of this TidbCluster was switched while it runs.
    pub fn toggled(&self, of: &ObjectRef) -> Option<&Toggle> {
        self.tls_toggled.iter().find(|toggle| toggle.of == *of)
    }
}

fn joined_for_certain(of: &ObjectRef, members: &[Member], stores: &[StoreRow]) -> bool {
    let own = members.iter().any(|member| member.place.of() == Some(of))
        || stores.iter().any(|row| row.place.of() == Some(of));
    own && !members.is_empty()
        && members.iter().all(|member| member.place.is_known())
        && stores.iter().all(|row| row.place.is_known() || row.store.is_gone())
}
