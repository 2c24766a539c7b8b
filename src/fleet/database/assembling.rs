//! One Database from the TidbClusters that are it: members and stores as PD tells, each joined to what Kubernetes shows, and
//! what is wrong with them.
//!
//! The order of the parts is the order in which problems are told. Not here: which TidbClusters are one
//! ([`super::grouping`]), whose a member is ([`super::member_pod_matching`]), each single judgement ([`super::database_problems`]).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::database_problems::{
    compare, judge_members, judge_stores, judge_tidb_cluster, see_clusters, see_reference, strays,
};
use super::grouping::{answers, cluster_id, group};
use super::member_pod_matching::{join, join_stores, place_of};
use super::peer_url_drift::expect_urls;
use super::{Database, Member, StoreRow, joined_for_certain};
use crate::fleet::cluster_domain_evidence::{DomainDoubt, doubts};
use crate::fleet::not_seen::{NotSeen, NotSeenKind, NotSeenList};
use crate::fleet::pd::{EtcdMember, MemberId, PdAnswer};
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::problem::{Problem, ProblemKind};
use crate::fleet::problem_subject::{Subject, SubjectKind};
use crate::fleet::quorum::Quorum;
use crate::fleet::quorum_after_cluster_loss::Losses;
use crate::fleet::regions_after_cluster_loss::region_losses;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls_toggle::{Toggle, toggle};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};

/// Every Database of the fleet, by name.
pub fn databases(fleet: &Fleet) -> Vec<Database> {
    let mut all: Vec<Database> = group(fleet).into_iter().map(|tcs| assemble(fleet, &tcs)).collect();
    claims(fleet, &mut all);
    all.sort_by(by_name);
    all
}

/// The order in which Databases are shown.
pub(super) fn by_name(a: &Database, b: &Database) -> Ordering {
    (&a.name, &a.id, &a.tidb_clusters).cmp(&(&b.name, &b.id, &b.tidb_clusters))
}

/// Two that say one id, and whose PDs do not list each other.
pub(super) fn claims(fleet: &Fleet, all: &mut [Database]) {
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
        database.claimed = true;
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

/// The TidbClusters of the Database to which this one belongs; alone where it has none yet.
pub fn parts_of(fleet: &Fleet, tc: &ObjectRef) -> Vec<ObjectRef> {
    group(fleet).into_iter().find(|set| set.contains(tc)).unwrap_or_else(|| vec![tc.clone()])
}

/// The Database to which a TidbCluster belongs, as [`databases`] has it: made are only those that say its id, which may be claims.
pub fn database_of(fleet: &Fleet, tc: &ObjectRef) -> Option<Database> {
    let says = |set: &[ObjectRef]| -> Vec<String> {
        set.iter().filter_map(|of| cluster_id(fleet, of, fleet.tidb_cluster(of)?)).collect()
    };
    let sets = group(fleet);
    let ids = says(sets.iter().find(|set| set.contains(tc))?);
    let beside = |set: &&Vec<ObjectRef>| set.contains(tc) || says(set).iter().any(|id| ids.contains(id));
    let mut all: Vec<Database> = sets.iter().filter(beside).map(|set| assemble(fleet, set)).collect();
    claims(fleet, &mut all);
    all.into_iter().find(|database| database.tidb_clusters.contains(tc))
}

fn whole(name: &str) -> Subject {
    Subject::of_pd(SubjectKind::Database, name)
}

/// What one PD pod told, with its TidbCluster.
type View<'a> = (&'a ObjectRef, &'a ObjectKey, &'a PdAnswer);

/// What there is to make a Database of.
struct Evidence<'a> {
    fleet: &'a Fleet,
    tcs: &'a [ObjectRef],
    known: Vec<(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster)>,
    views: Vec<View<'a>>,
    /// Of clusters that answer now. What a cluster said before it went dark is no word of now.
    fresh: Vec<View<'a>>,
}

/// What is said of it, in the order in which it was found.
#[derive(Default)]
struct Said {
    problems: Vec<Problem>,
    unseen: NotSeenList,
}

impl<'a> Evidence<'a> {
    fn of(fleet: &'a Fleet, tcs: &'a [ObjectRef]) -> Self {
        let known: Vec<_> =
            tcs.iter().filter_map(|of| Some((of, fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?))).collect();
        let views: Vec<View<'_>> = known
            .iter()
            .flat_map(|(of, cluster, tc)| answers(cluster, tc).map(|(pod, answer)| (*of, pod, answer)))
            .collect();
        let answers_now =
            |of: &ObjectRef| fleet.clusters.get(&of.context).is_some_and(|cluster| cluster.freshness.answers());
        let fresh = views.iter().filter(|(of, _, _)| answers_now(of)).copied().collect();
        Self { fleet, tcs, known, views, fresh }
    }

    /// Those of now, and where there are none, those of before.
    fn told(&self) -> &[View<'a>] {
        if self.fresh.is_empty() { &self.views } else { &self.fresh }
    }

    /// What a PD says before what an object claims.
    fn id(&self) -> Option<String> {
        let said = self.views.iter().find_map(|(_, _, answer)| answer.cluster_id).map(|id| id.to_string());
        said.or_else(|| self.known.iter().find_map(|(of, _, tc)| cluster_id(self.fleet, of, tc)))
    }

    fn name(&self) -> String {
        let initial = self.known.iter().find(|(_, _, tc)| tc.spec.cluster.is_none()).or(self.known.first());
        initial.map_or_else(String::new, |(of, _, _)| of.name.clone())
    }

    /// Members in the leader's words, and who leads.
    fn members(&self) -> (Vec<Member>, Option<MemberId>) {
        let told = self.told();
        let leader = told.iter().find_map(|(_, _, answer)| answer.leader);
        let reference = told
            .iter()
            .find(|(_, _, answer)| leader.is_some() && answer.self_id == leader)
            .or(told.iter().find(|(_, _, answer)| !answer.members.is_empty()));
        let listed: &[EtcdMember] = reference.map_or(&[], |(_, _, answer)| &answer.members);
        let mut members: Vec<Member> =
            listed.iter().map(|m| join(m, &self.known, &self.views, &self.fresh, leader)).collect();
        // As a person looks for them: those of one TidbCluster together, by number. PD's ids are random.
        members.sort_by_cached_key(|member| (place_of(&member.place), member.id));
        // One that is gone leads nothing, whoever still follows it.
        let leader = leader.filter(|id| !members.iter().any(|member| member.gone && member.id == *id));
        (members, leader)
    }

    /// The leader is asked most often: where two differ, its word counts.
    fn stores(&self, leader: Option<MemberId>) -> Vec<StoreRow> {
        let mut tellers = self.told().to_vec();
        if let Some(at) = tellers.iter().position(|(_, _, answer)| leader.is_some() && answer.self_id == leader) {
            let leading = tellers.remove(at);
            tellers.push(leading);
        }
        join_stores(&self.known, &tellers)
    }

    fn toggled(&self, members: &[Member]) -> Vec<Toggle> {
        let of_one = |of: &ObjectRef, cluster, tc| {
            let own = members.iter().filter(|member| member.place.of() == Some(of));
            let urls: Vec<&str> = own.flat_map(|member| &member.client_urls).map(String::as_str).collect();
            toggle(of, cluster, tc, &urls)
        };
        self.known.iter().filter_map(|(of, cluster, tc)| of_one(of, cluster, tc)).collect()
    }

    /// TidbClusters that belong here by their own word only.
    fn unconfirmed(&self, members: &[Member], stores: &[StoreRow]) -> Vec<ObjectRef> {
        let listed = |of: &ObjectRef| {
            members.iter().any(|member| member.place.of() == Some(of))
                || stores.iter().any(|row| row.place.of() == Some(of))
        };
        let alone = |of: &&ObjectRef| !listed(of) && !confirms(self.fleet, of);
        let unconfirmed: Vec<ObjectRef> = self.tcs.iter().filter(alone).cloned().collect();
        // Where PD tells nothing there is nothing to confirm by.
        if unconfirmed.len() == self.tcs.len() { Vec::new() } else { unconfirmed }
    }
}

/// One Database of the TidbClusters `tcs`.
pub(super) fn assemble(fleet: &Fleet, tcs: &[ObjectRef]) -> Database {
    let evidence = Evidence::of(fleet, tcs);
    let name = evidence.name();
    let mut said = Said::default();
    see_clusters(&evidence.known, &mut said.problems, &mut said.unseen);
    let (mut members, leader) = evidence.members();
    let tls_toggled = evidence.toggled(&members);
    for (of, cluster, tc) in &evidence.known {
        expect_urls(of, cluster, tc, &tls_toggled, &mut members);
    }
    said.toggled(&tls_toggled);
    let stores = evidence.stores(leader);
    for (of, _, tc) in &evidence.known {
        let certain = joined_for_certain(of, &members, &stores);
        said.problems.extend(see_reference(fleet, &evidence.known, (of, tc), certain, &mut said.unseen));
    }
    let domain_doubts = doubts(fleet, &evidence.known, &members, &stores);
    said.domains(&domain_doubts, &mut members);
    let agree = compare(&evidence.views, &mut said.problems);
    // PD's own judgement of its members is none while it has no leader: etcd's counts.
    let quorum = Quorum::new(members.len(), members.iter().filter(|m| m.votes == Some(true)).count());
    let lead = lead(&evidence, &mut members, quorum, leader);
    said.members(&evidence, &name, &members, (quorum, lead));
    judge_stores(&stores, &mut said.problems, &mut said.unseen);
    strays(fleet, tcs, &mut said.unseen);
    for (of, cluster, tc) in &evidence.known {
        judge_tidb_cluster(fleet, of, cluster, tc, &mut said.problems, &mut said.unseen);
    }
    let told = evidence.told();
    let max_replicas = told.iter().find_map(|(_, _, answer)| answer.max_replicas);
    let labels = told.iter().find(|(_, _, answer)| answer.max_replicas.is_some());
    let labels = labels.map(|(_, _, answer)| answer.location_labels.as_slice());
    let unconfirmed = evidence.unconfirmed(&members, &stores);
    said.unconfirmed(&evidence, &unconfirmed);
    Database {
        id: evidence.id(),
        unseen: said.unseen.of(&name),
        name,
        tidb_clusters: tcs.to_vec(),
        unconfirmed,
        quorum,
        losses: Losses::of(quorum, &members, tcs.iter().map(|of| of.context.as_str())),
        region_losses: region_losses(&stores, max_replicas, labels),
        max_replicas,
        members,
        stores,
        problems: said.problems,
        agree,
        domain_doubts,
        lead,
        tls_toggled,
        claimed: false,
    }
}

/// Whether PD can decide anything now. Where it has no leader, what it says of its members' health is none.
fn lead(evidence: &Evidence<'_>, members: &mut [Member], quorum: Quorum, leader: Option<MemberId>) -> Lead {
    let now: Vec<&PdAnswer> = evidence.fresh.iter().map(|(_, _, answer)| *answer).collect();
    let lead = if now.is_empty() { Lead::NotSeen } else { Lead::of(members, quorum, leader, &now) };
    if matches!(lead, Lead::Electing | Lead::Lost) {
        for member in members.iter_mut().filter(|member| member.answered && member.healthy == Some(false)) {
            (member.healthy, member.leaderless) = (None, true);
        }
    }
    lead
}

impl Said {
    fn toggled(&mut self, toggles: &[Toggle]) {
        for toggle in toggles {
            let sentence = format!("TidbCluster {}: {}; {}", toggle.of, toggle.sentence(), toggle.advice());
            self.problems.push(Problem::new(ProblemKind::TlsToggled, Subject::tidb_cluster(&toggle.of), sentence));
        }
    }

    /// A domain in doubt; no peerURL is blamed for it.
    fn domains(&mut self, doubts: &[DomainDoubt], members: &mut [Member]) {
        for member in members {
            if member.place.of().is_some_and(|of| doubts.iter().any(|doubt| doubt.of == *of)) {
                (member.expected_peer_url, member.drift) = (None, false);
            }
        }
        self.problems.extend(
            doubts.iter().map(|doubt| {
                Problem::new(ProblemKind::DomainInDoubt, Subject::tidb_cluster(&doubt.of), doubt.sentence())
            }),
        );
    }

    /// PD's members, and whether it decides.
    fn members(&mut self, evidence: &Evidence<'_>, name: &str, members: &[Member], (quorum, lead): (Quorum, Lead)) {
        judge_members(members, &mut self.problems, &mut self.unseen);
        let silent = |sentence| NotSeen::new(NotSeenKind::PdSilent, [whole(name)], sentence);
        if members.is_empty() {
            if evidence.known.iter().any(|(_, _, tc)| tc.spec.pd.is_some()) {
                self.unseen.push(silent("no PD pod of this Database answered, so its members are not known"));
            }
            return;
        }
        let lost = lead == Lead::Lost;
        self.problems.extend(lead.problem(members, quorum).map(|sentence| {
            let kind = if lost { ProblemKind::NoQuorum } else { ProblemKind::NoLeader };
            let sick = members.iter().filter(|member| lost && member.healthy == Some(false));
            let about = Problem::new(kind, whole(name), sentence);
            sick.fold(about, |about, member| about.and(Subject::of_pd(SubjectKind::Member, member.id.hex())))
        }));
        let now: Vec<&PdAnswer> = evidence.fresh.iter().map(|(_, _, answer)| *answer).collect();
        let leaderless = lead.unseen(&now);
        self.unseen.extend(leaderless.map(|why| NotSeen::new(NotSeenKind::PdLeaderNotSeen, [whole(name)], why)));
        if evidence.fresh.is_empty() {
            self.unseen.push(silent("no PD pod of this Database answers now: members and stores are as last reported"));
        }
    }

    fn unconfirmed(&mut self, evidence: &Evidence<'_>, unconfirmed: &[ObjectRef]) {
        // TiDB alone leaves no trace in what PD tells.
        let holds = [Component::Pd, Component::Tikv, Component::Tiflash];
        for (of, _, tc) in evidence.known.iter().filter(|(of, _, _)| unconfirmed.contains(of)) {
            if holds.iter().any(|component| tc.component(*component).is_some_and(|spec| spec.replicas > 0)) {
                let sentence =
                    format!("TidbCluster {of} says that it belongs here, and PD lists no member and no store of it");
                self.unseen.push(NotSeen::new(
                    NotSeenKind::TidbClusterUnconfirmed,
                    [Subject::tidb_cluster(of)],
                    sentence,
                ));
            }
        }
    }
}
