//! Databases: TidbClusters grouped, and every PD member joined to its pod, TidbCluster and KubeCluster.
//!
//! Which TidbClusters are one is decided in `grouping`, whose a member is in `joining`, what is wrong in `judging`. What
//! cannot be joined is said in words, never guessed. Not here: what a runbook does about drift. Neighbours:
//! [`super::quorum`], [`super::pd`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::domain_witness::{DomainDoubt, doubts};
use super::lead::Lead;
use super::pd::{EtcdMember, MemberId, PdAnswer, Store};
use super::quorum::Quorum;
use super::tidbcluster::TidbCluster;
use super::tls_toggle::{Toggle, speaks_tls, toggle};
use super::{Fleet, Freshness, KubeCluster, ObjectKey, ObjectRef};

mod grouping;
mod joining;
mod judging;

use grouping::group;
pub use grouping::referenced;
pub(super) use grouping::{answers, candidates, cluster_id, names, pod_of};
pub use joining::host;
use joining::{join, join_stores};
use judging::{compare, judge_members, judge_tidb_cluster, see_clusters, strays};

/// One TiDB cluster as PD knows it, made of one or more TidbClusters.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// PD cluster id, decimal; `None` until PD or the operator said it.
    pub id: Option<String>,
    /// Name of the initial TidbCluster (the one without `spec.cluster`).
    pub name: String,
    pub tidb_clusters: Vec<ObjectRef>,
    pub quorum: Quorum,
    pub max_replicas: Option<u64>,
    pub members: Vec<Member>,
    pub stores: Vec<StoreRow>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// What could not be seen, one sentence each: a partly visible Database is unknown, never healthy.
    pub unseen: Vec<String>,
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
}

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
    /// Whether it counts for etcd's majority: its own etcd's word, else what PD says of it.
    #[serde(skip)]
    pub votes: Option<bool>,
    /// Its own etcd answered, whatever it said.
    #[serde(skip)]
    pub answered: bool,
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

impl Member {
    /// The TidbCluster that it belongs to.
    pub fn of(&self) -> Option<ObjectRef> {
        Some(ObjectRef::new(self.kube_cluster.as_ref()?, self.namespace.as_ref()?, self.tidb_cluster.as_ref()?))
    }
}

impl Database {
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.leader)
    }

    /// Healthy members per context, for "what if this KubeCluster is lost". Members that could not be placed are
    /// left out.
    pub fn healthy_by_context(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for tc in &self.tidb_clusters {
            counts.entry(tc.context.as_str()).or_insert(0);
        }
        for member in self.members.iter().filter(|m| m.healthy == Some(true)) {
            if let Some(context) = member.kube_cluster.as_deref() {
                *counts.entry(context).or_insert(0) += 1;
            }
        }
        counts
    }

    /// The contexts whose loss would stop the Database's writes.
    pub fn fatal_contexts(&self) -> Vec<&str> {
        let lost = self.healthy_by_context();
        lost.into_iter().filter(|(_, n)| *n > 0 && !self.quorum.stands_without(*n)).map(|(c, _)| c).collect()
    }

    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Whether TLS of this TidbCluster was switched while it runs.
    pub fn toggled(&self, of: &ObjectRef) -> Option<&Toggle> {
        self.tls_toggled.iter().find(|toggle| toggle.of == *of)
    }
}

/// Every Database of the fleet, by name.
pub fn databases(fleet: &Fleet) -> Vec<Database> {
    let mut all: Vec<Database> = group(fleet).into_iter().map(|tcs| assemble(fleet, &tcs)).collect();
    all.sort_by(|a, b| (&a.name, &a.id, &a.tidb_clusters).cmp(&(&b.name, &b.id, &b.tidb_clusters)));
    all
}

/// The Database to which a TidbCluster belongs.
pub fn database_of(fleet: &Fleet, tc: &ObjectRef) -> Option<Database> {
    databases(fleet).into_iter().find(|database| database.tidb_clusters.contains(tc))
}

fn assemble(fleet: &Fleet, tcs: &[ObjectRef]) -> Database {
    let known: Vec<(&ObjectRef, &KubeCluster, &TidbCluster)> =
        tcs.iter().filter_map(|of| Some((of, fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?))).collect();
    let views: Vec<(&ObjectRef, &ObjectKey, &PdAnswer)> = known
        .iter()
        .flat_map(|(of, cluster, tc)| answers(cluster, tc).map(|(pod, answer)| (*of, pod, answer)))
        .collect();
    let id = known.iter().find_map(|(of, _, tc)| cluster_id(fleet, of, tc));
    let initial = known.iter().find(|(_, _, tc)| tc.spec.cluster.is_none()).or(known.first());
    let name = initial.map_or_else(String::new, |(of, _, _)| of.name.clone());

    let mut problems = Vec::new();
    let mut unseen = Vec::new();
    see_clusters(fleet, &known, &mut unseen);

    let leader = views.iter().find_map(|(_, _, answer)| answer.leader);
    let reference = views
        .iter()
        .find(|(_, _, answer)| leader.is_some() && answer.self_id == leader)
        .or(views.iter().find(|(_, _, answer)| !answer.members.is_empty()));
    let listed: &[EtcdMember] = reference.map_or(&[], |(_, _, answer)| &answer.members);
    let mut members: Vec<Member> = listed.iter().map(|m| join(m, &known, &views, leader)).collect();
    let tls_toggled: Vec<Toggle> =
        known.iter().filter_map(|(of, cluster, tc)| toggled(of, cluster, tc, &members)).collect();
    known.iter().for_each(|(of, cluster, tc)| expect_urls(of, cluster, tc, &tls_toggled, &mut members));
    for toggle in &tls_toggled {
        problems.push(format!("TidbCluster {}: {}; {}", toggle.of, toggle.sentence(), toggle.advice()));
    }
    let stores = join_stores(&known, &views);
    let domain_doubts = doubts(fleet, &known, &members, &stores);
    for member in &mut members {
        if member.of().is_some_and(|of| domain_doubts.iter().any(|doubt| doubt.of == of)) {
            (member.expected_peer_url, member.drift) = (None, false);
        }
    }
    problems.extend(domain_doubts.iter().map(DomainDoubt::sentence));
    let agree = compare(&views, &mut problems);
    judge_members(&members, &mut problems, &mut unseen);
    // PD's own judgement of its members is none while it has no leader: etcd's counts.
    let quorum = Quorum::new(members.len(), members.iter().filter(|m| m.votes == Some(true)).count());
    let told: Vec<&PdAnswer> = views.iter().map(|(_, _, answer)| *answer).collect();
    let lead = Lead::of(&members, quorum, leader, &told);
    if !members.is_empty() {
        problems.extend(lead.problem(&members, quorum));
        unseen.extend(lead.unseen(&told));
    } else if known.iter().any(|(_, _, tc)| tc.spec.pd.is_some()) {
        unseen.push("no PD pod of this Database answered, so its members are not known".into());
    }

    for row in stores.iter().filter(|row| !matches!(row.store.state.as_str(), "Up" | "Tombstone")) {
        problems.push(format!("store {} ({}) is {}", row.store.id, row.store.address, row.store.state));
    }
    for row in stores.iter().filter(|row| row.of.is_none() && row.store.state != "Tombstone") {
        unseen.push(format!("store {} ({}) belongs to no TidbCluster that is seen", row.store.id, row.store.address));
    }
    strays(fleet, tcs, &mut unseen);
    for (of, cluster, tc) in &known {
        judge_tidb_cluster(fleet, of, cluster, tc, &mut problems, &mut unseen);
    }
    let max_replicas = views.iter().find_map(|(_, _, answer)| answer.max_replicas);
    Database {
        id,
        name,
        tidb_clusters: tcs.to_vec(),
        quorum,
        max_replicas,
        members,
        stores,
        problems,
        unseen,
        agree,
        domain_doubts,
        lead,
        tls_toggled,
    }
}

fn toggled(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, members: &[Member]) -> Option<Toggle> {
    let own = members.iter().filter(|member| member.of().as_ref() == Some(of));
    let urls: Vec<&str> = own.flat_map(|member| &member.client_urls).map(String::as_str).collect();
    toggle(of, cluster, tc, &urls)
}

/// The peerURL that each member of a TidbCluster should have. Where TLS was switched, it is the one from before: that is what has
/// to come back.
fn expect_urls(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, toggled: &[Toggle], members: &mut [Member]) {
    let toggle = toggled.iter().find(|toggle| toggle.of == *of);
    for member in members.iter_mut().filter(|member| member.of().as_ref() == Some(of)) {
        let Some(pod) = &member.pod else { continue };
        let tls = toggle.map_or_else(|| speaks_tls(cluster, tc, pod), |toggle| toggle.proper);
        let expected = tc.expected_peer_url(pod, tls);
        member.drift = member.peer_urls != [expected.clone()];
        member.expected_peer_url = Some(expected);
    }
}

/// What is wrong with, or not seen of, KubeClusters as such: one sentence each, with its context.
pub fn unseen_clusters(fleet: &Fleet) -> Vec<String> {
    fleet
        .clusters
        .values()
        .filter(|cluster| cluster.freshness != Freshness::Live)
        .map(|cluster| {
            let why = cluster.message.as_deref().unwrap_or("no answer yet");
            format!("KubeCluster {} is {}: {why}", cluster.context, cluster.freshness.word())
        })
        .collect()
}
