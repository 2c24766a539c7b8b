//! Databases: TidbClusters grouped, and every PD member joined to its pod, TidbCluster and KubeCluster.
//!
//! Which TidbClusters are one is decided in `grouping`, whose a member is in `joining`, what is wrong in `judging`. What
//! cannot be joined is said in words, never guessed. Not here: what a runbook does about drift. Neighbours:
//! [`super::quorum`], [`super::pd`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::copies::{self, RegionLoss};
use super::domain_witness::{DomainDoubt, doubts};
use super::lead::Lead;
use super::loss::Losses;
use super::not_seen::{NotSeen, NotSeenKind, NotSeenList};
use super::pd::{EtcdMember, MemberId, PdAnswer};
use super::problem::{Problem, ProblemKind};
use super::quorum::Quorum;
use super::subject::Subject;
use super::tidbcluster::{Component, TidbCluster};
use super::tls_toggle::{Toggle, toggle};
use super::{Fleet, KubeCluster, ObjectKey, ObjectRef};

pub(super) mod grouping;
mod joining;
mod judging;
pub(super) mod names;
mod peer_url_drift;
pub mod rows;

use grouping::group;
pub use grouping::{Astray, astray, referenced};
pub(crate) use grouping::{answers, candidates, cluster_id};
use joining::{join, join_stores, place_of};
use judging::{compare, judge_members, judge_tidb_cluster, see_clusters, see_reference, strays};
pub use names::host;
use peer_url_drift::expect_urls;
pub use rows::{Member, StoreRow};

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

    /// Whether PD lists this TidbCluster, and all that it lists is seen: then nothing is behind `spec.cluster` that is not here.
    pub fn joined_for_certain(&self, of: &ObjectRef) -> bool {
        joined_for_certain(of, &self.members, &self.stores)
    }

    /// Members and stores of which PD tells, and that belong to nothing that is seen: whatever is summed up over the parts
    /// leaves them out, and is not known for as long as there are any.
    pub fn away(&self) -> Vec<String> {
        let members = self.members.iter().filter(|member| member.kube_cluster.is_none() && !member.name.is_empty());
        let stores = self.stores.iter().filter(|row| row.of.is_none() && row.store.state != "Tombstone");
        let members = members.map(|member| format!("PD member {}", member.name));
        members.chain(stores.map(|row| format!("store {}", row.store.id))).collect()
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
    claims(fleet, &mut all);
    all.sort_by(|a, b| (&a.name, &a.id, &a.tidb_clusters).cmp(&(&b.name, &b.id, &b.tidb_clusters)));
    all
}

/// Two that say one id, and whose PDs do not list each other.
fn claims(fleet: &Fleet, all: &mut [Database]) {
    let told = |database: &Database| database.tidb_clusters.iter().any(|of| confirms(fleet, of));
    let confirmed: Vec<bool> = all.iter().map(told).collect();
    let ids: Vec<Option<String>> = all.iter().map(|database| database.id.clone()).collect();
    let names: Vec<String> = all.iter().map(|database| database.name.clone()).collect();
    let mut of_id: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, id) in ids.iter().enumerate().filter_map(|(at, id)| Some((at, id.as_deref()?))) {
        of_id.entry(id).or_default().push(at);
    }
    for (at, database) in all.iter_mut().enumerate() {
        let Some(id) = ids[at].clone() else { continue };
        let same = of_id.get(id.as_str()).into_iter().flatten().copied();
        let other = same.into_iter().find(|other| *other != at && confirmed[*other]);
        let Some(other) = other.map(|other| &names[other]) else { continue };
        let sentence = match confirmed[at] {
            true => format!(
                "PD says cluster id {id} here and in Database {other}, and the two do not list each other's members: a copy of it, or not what it says"
            ),
            false => format!(
                "it claims cluster id {id}, which Database {other} has, and no PD confirms that it belongs there"
            ),
        };
        let about = database.tidb_clusters.first().map_or_else(|| whole(&database.name), Subject::tidb_cluster);
        database.problems.push(Problem::new(ProblemKind::IdNotConfirmed, about, sentence));
        if !confirmed[at] {
            database.id = None;
        }
    }
}

/// Whether a PD pod of this TidbCluster says to which PD cluster it belongs.
fn confirms(fleet: &Fleet, of: &ObjectRef) -> bool {
    let parts = fleet.clusters.get(&of.context).zip(fleet.tidb_cluster(of));
    parts.is_some_and(|(cluster, tc)| answers(cluster, tc).any(|(_, answer)| answer.cluster_id.is_some()))
}

/// The Database to which a TidbCluster belongs.
pub fn database_of(fleet: &Fleet, tc: &ObjectRef) -> Option<Database> {
    databases(fleet).into_iter().find(|database| database.tidb_clusters.contains(tc))
}

/// What one PD pod told, with its TidbCluster.
type View<'a> = (&'a ObjectRef, &'a ObjectKey, &'a PdAnswer);

fn whole(name: &str) -> Subject {
    Subject::of_pd("Database", name)
}

fn assemble(fleet: &Fleet, tcs: &[ObjectRef]) -> Database {
    let known: Vec<(&ObjectRef, &KubeCluster, &TidbCluster)> =
        tcs.iter().filter_map(|of| Some((of, fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?))).collect();
    let views: Vec<View<'_>> = known
        .iter()
        .flat_map(|(of, cluster, tc)| answers(cluster, tc).map(|(pod, answer)| (*of, pod, answer)))
        .collect();
    // What a cluster said before it went dark is no word of now.
    let (fresh, old): (Vec<View<'_>>, Vec<View<'_>>) =
        views.iter().partition(|(of, _, _)| fleet.clusters.get(&of.context).is_some_and(|c| c.freshness.answers()));
    let told = if fresh.is_empty() { &old } else { &fresh };
    // What a PD says before what an object claims.
    let said = views.iter().find_map(|(_, _, answer)| answer.cluster_id).map(|id| id.to_string());
    let id = said.or_else(|| known.iter().find_map(|(of, _, tc)| cluster_id(fleet, of, tc)));
    let initial = known.iter().find(|(_, _, tc)| tc.spec.cluster.is_none()).or(known.first());
    let name = initial.map_or_else(String::new, |(of, _, _)| of.name.clone());

    let mut problems = Vec::new();
    let mut unseen = NotSeenList::default();
    see_clusters(&known, &mut problems, &mut unseen);

    let leader = told.iter().find_map(|(_, _, answer)| answer.leader);
    let reference = told
        .iter()
        .find(|(_, _, answer)| leader.is_some() && answer.self_id == leader)
        .or(told.iter().find(|(_, _, answer)| !answer.members.is_empty()));
    let listed: &[EtcdMember] = reference.map_or(&[], |(_, _, answer)| &answer.members);
    let mut members: Vec<Member> = listed.iter().map(|m| join(m, &known, &views, &fresh, leader)).collect();
    // As a person looks for them: those of one TidbCluster together, by number. PD's ids are random.
    members.sort_by_cached_key(|member| (place_of(member.of(), member.pod.as_deref()), member.id));
    // One that is gone leads nothing, whoever still follows it.
    let leader = leader.filter(|id| !members.iter().any(|member| member.gone && member.id == *id));
    let tls_toggled: Vec<Toggle> =
        known.iter().filter_map(|(of, cluster, tc)| toggled(of, cluster, tc, &members)).collect();
    known.iter().for_each(|(of, cluster, tc)| expect_urls(of, cluster, tc, &tls_toggled, &mut members));
    for toggle in &tls_toggled {
        let sentence = format!("TidbCluster {}: {}; {}", toggle.of, toggle.sentence(), toggle.advice());
        problems.push(Problem::new(ProblemKind::TlsToggled, Subject::tidb_cluster(&toggle.of), sentence));
    }
    // The leader is asked most often: where two differ, its word counts.
    let mut tellers = told.clone();
    if let Some(at) = tellers.iter().position(|(_, _, answer)| leader.is_some() && answer.self_id == leader) {
        let leading = tellers.remove(at);
        tellers.push(leading);
    }
    let stores = join_stores(&known, &tellers);
    for (of, _, tc) in &known {
        let certain = joined_for_certain(of, &members, &stores);
        problems.extend(see_reference(fleet, &known, (of, tc), certain, &mut unseen));
    }
    let domain_doubts = doubts(fleet, &known, &members, &stores);
    for member in &mut members {
        if member.of().is_some_and(|of| domain_doubts.iter().any(|doubt| doubt.of == of)) {
            (member.expected_peer_url, member.drift) = (None, false);
        }
    }
    problems.extend(
        domain_doubts
            .iter()
            .map(|doubt| Problem::new(ProblemKind::DomainInDoubt, Subject::tidb_cluster(&doubt.of), doubt.sentence())),
    );
    let agree = compare(&views, &mut problems);
    // PD's own judgement of its members is none while it has no leader: etcd's counts.
    let quorum = Quorum::new(members.len(), members.iter().filter(|m| m.votes == Some(true)).count());
    let now: Vec<&PdAnswer> = fresh.iter().map(|(_, _, answer)| *answer).collect();
    let lead = if now.is_empty() { Lead::NotSeen } else { Lead::of(&members, quorum, leader, &now) };
    if matches!(lead, Lead::Electing | Lead::Lost) {
        for member in members.iter_mut().filter(|member| member.answered && member.healthy == Some(false)) {
            (member.healthy, member.leaderless) = (None, true);
        }
    }
    judge_members(&members, &mut problems, &mut unseen);
    if !members.is_empty() {
        let lost = lead == Lead::Lost;
        problems.extend(lead.problem(&members, quorum).map(|sentence| {
            let kind = if lost { ProblemKind::NoQuorum } else { ProblemKind::NoLeader };
            let sick = members.iter().filter(|member| lost && member.healthy == Some(false));
            let about = Problem::new(kind, whole(&name), sentence);
            sick.fold(about, |about, member| about.and(Subject::of_pd("member", member.id.hex())))
        }));
        let leaderless = lead.unseen(&now);
        unseen.extend(leaderless.map(|why| NotSeen::new(NotSeenKind::PdLeaderNotSeen, [whole(&name)], why)));
        if fresh.is_empty() {
            let sentence = "no PD pod of this Database answers now: members and stores are as last reported";
            unseen.push(NotSeen::new(NotSeenKind::PdSilent, [whole(&name)], sentence));
        }
    } else if known.iter().any(|(_, _, tc)| tc.spec.pd.is_some()) {
        let sentence = "no PD pod of this Database answered, so its members are not known";
        unseen.push(NotSeen::new(NotSeenKind::PdSilent, [whole(&name)], sentence));
    }

    for row in stores.iter().filter(|row| !matches!(row.store.state.as_str(), "Up" | "Tombstone")) {
        let about = Subject::of_pd("store", row.store.id.to_string());
        let sentence = format!("store {} ({}) is {}", row.store.id, row.store.address, row.store.state);
        let heard = row.store.load.last_heartbeat;
        problems.push(Problem::new(ProblemKind::StoreNotUp, about, sentence).since(heard));
    }
    for row in stores.iter().filter(|row| row.of.is_none() && row.store.state != "Tombstone") {
        let about = Subject::of_pd("store", row.store.id.to_string());
        let sentence = format!("store {} ({}) belongs to no TidbCluster that is seen", row.store.id, row.store.address);
        unseen.push(NotSeen::new(NotSeenKind::StoreNotConnected, [about], sentence));
    }
    strays(fleet, tcs, &mut unseen);
    for (of, cluster, tc) in &known {
        judge_tidb_cluster(fleet, of, cluster, tc, &mut problems, &mut unseen);
    }
    let max_replicas = told.iter().find_map(|(_, _, answer)| answer.max_replicas);
    let losses = Losses::of(quorum, &members, tcs.iter().map(|of| of.context.as_str()));
    let labels = told.iter().find(|(_, _, answer)| answer.max_replicas.is_some());
    let labels = labels.map(|(_, _, answer)| answer.location_labels.as_slice());
    let region_losses = copies::region_losses(&stores, max_replicas, labels);
    let listed = |of: &ObjectRef| {
        members.iter().any(|member| member.of().as_ref() == Some(of))
            || stores.iter().any(|row| row.of.as_ref() == Some(of))
    };
    let mut unconfirmed: Vec<ObjectRef> =
        tcs.iter().filter(|of| !listed(of) && !confirms(fleet, of)).cloned().collect();
    if unconfirmed.len() == tcs.len() {
        // Where PD tells nothing there is nothing to confirm by.
        unconfirmed.clear();
    }
    for (of, _, tc) in known.iter().filter(|(of, _, _)| unconfirmed.contains(of)) {
        // TiDB alone leaves no trace in what PD tells.
        let holds = [Component::Pd, Component::Tikv, Component::Tiflash];
        if holds.iter().any(|component| tc.component(*component).is_some_and(|spec| spec.replicas > 0)) {
            let sentence =
                format!("TidbCluster {of} says that it belongs here, and PD lists no member and no store of it");
            unseen.push(NotSeen::new(NotSeenKind::TidbClusterUnconfirmed, [Subject::tidb_cluster(of)], sentence));
        }
    }
    let unseen = unseen.of(&name);
    Database {
        id,
        name,
        tidb_clusters: tcs.to_vec(),
        unconfirmed,
        quorum,
        losses,
        region_losses,
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

fn joined_for_certain(of: &ObjectRef, members: &[Member], stores: &[StoreRow]) -> bool {
    let own = members.iter().any(|member| member.of().as_ref() == Some(of))
        || stores.iter().any(|row| row.of.as_ref() == Some(of));
    own && !members.is_empty()
        && members.iter().all(|member| member.pod.is_some())
        && stores.iter().all(|row| row.of.is_some() || row.store.state == "Tombstone")
}

fn toggled(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, members: &[Member]) -> Option<Toggle> {
    let own = members.iter().filter(|member| member.of().as_ref() == Some(of));
    let urls: Vec<&str> = own.flat_map(|member| &member.client_urls).map(String::as_str).collect();
    toggle(of, cluster, tc, &urls)
}
