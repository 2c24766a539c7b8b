//! Databases: TidbClusters grouped, and every PD member joined to its pod, TidbCluster and KubeCluster.
//!
//! The join is made from evidence in this order: the member id that a pod says is its own; then names and URLs in
//! the forms TiDB Operator gives them (`domain.md` §2.4). What cannot be joined is said in words, never guessed.
//! Not here: what a runbook does about drift. Neighbours: [`super::quorum`], [`super::pd`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::pd::{EtcdMember, MemberId, PdAnswer, Store};
use super::quorum::Quorum;
use super::rollout::rollout;
use super::tidbcluster::{ClusterReference, Component, TidbCluster};
use super::{Fleet, Freshness, KubeCluster, ObjectKey, ObjectRef};

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

/// The PD cluster id of one TidbCluster: as its own PD pods say, else as the operator wrote it.
pub(super) fn cluster_id(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Option<String> {
    let cluster = fleet.clusters.get(&of.context)?;
    let told = answers(cluster, tc).find_map(|(_, answer)| answer.cluster_id).map(|id| id.to_string());
    told.or_else(|| tc.status.cluster_id.clone().filter(|id| !id.is_empty()))
}

/// The answers of one TidbCluster's own PD pods.
pub(super) fn answers<'a>(
    cluster: &'a KubeCluster,
    tc: &'a TidbCluster,
) -> impl Iterator<Item = (&'a ObjectKey, &'a PdAnswer)> {
    cluster
        .pd
        .iter()
        .filter(|(pod, _)| pod.namespace == tc.namespace() && pod_of(tc, Component::Pd, &pod.name))
        .filter_map(|(pod, view)| view.answer.as_ref().ok().map(|answer| (pod, answer)))
}

/// Whether a pod name is `<tc>-<component>-<ordinal>`.
pub(super) fn pod_of(tc: &TidbCluster, component: Component, pod: &str) -> bool {
    pod.strip_prefix(tc.name())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(component.key()))
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
}

/// Groups TidbClusters: same PD cluster id, or joined by `spec.cluster` while an id is not known yet. A reference
/// never joins two that are known to be different Databases (hazard 11).
fn group(fleet: &Fleet) -> Vec<Vec<ObjectRef>> {
    let mut seen = BTreeSet::new();
    let mut sets: Vec<(BTreeSet<ObjectRef>, Option<String>)> = Vec::new();
    for (of, tc) in fleet.tidb_clusters() {
        // One cluster under two contexts is one set of objects.
        if fleet.same_cluster_as(&of.context).is_some() || !seen.insert(of.clone()) {
            continue;
        }
        let id = cluster_id(fleet, &of, tc);
        match sets.iter_mut().find(|(_, known)| known.is_some() && *known == id) {
            Some((set, _)) => {
                set.insert(of);
            }
            None => sets.push((BTreeSet::from([of]), id)),
        }
    }
    let mut index = 0;
    while index < sets.len() {
        let target = sets[index].0.iter().find_map(|of| {
            let tc = fleet.tidb_cluster(of)?;
            let target = referenced(fleet, of, tc)?;
            let at = sets.iter().position(|(set, _)| set.contains(&target))?;
            (at != index && (sets[at].1.is_none() || sets[index].1.is_none())).then_some(at)
        });
        match target {
            Some(at) => {
                let (set, id) = sets.remove(index);
                let at = if at > index { at - 1 } else { at };
                sets[at].0.extend(set);
                sets[at].1 = sets[at].1.take().or(id);
                index = 0;
            }
            None => index += 1,
        }
    }
    sets.into_iter().map(|(set, _)| set.into_iter().collect()).collect()
}

/// The TidbCluster that `spec.cluster` names. `None` where it is in no connected context, and where it could be more than
/// one.
pub fn referenced(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Option<ObjectRef> {
    let mut all = candidates(fleet, of, tc);
    let one = all.pop()?;
    all.is_empty().then_some(one)
}

/// What `spec.cluster` may mean. Without a domain the name leads into the own Kubernetes cluster, where there is one of
/// it; else to one without a domain, elsewhere.
pub(super) fn candidates(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Vec<ObjectRef> {
    let Some(to) = &tc.spec.cluster else { return Vec::new() };
    let own = fleet.same_cluster_as(&of.context).unwrap_or(&of.context);
    let mut named: Vec<(ObjectRef, &TidbCluster)> = fleet
        .tidb_clusters()
        .filter(|(other, _)| other != of && fleet.same_cluster_as(&other.context).is_none())
        .filter(|(other, _)| names(to, tc, other))
        .collect();
    match to.cluster_domain.as_deref().filter(|domain| !domain.is_empty()) {
        Some(domain) => named.retain(|(_, other)| other.domain() == Some(domain)),
        None if named.iter().any(|(other, _)| other.context == *own) => {
            named.retain(|(other, _)| other.context == *own)
        }
        None => named.retain(|(_, other)| other.domain().is_none()),
    }
    named.into_iter().map(|(other, _)| other).collect()
}

/// Whether a reference of this TidbCluster has the name and namespace of another.
fn names(to: &ClusterReference, tc: &TidbCluster, other: &ObjectRef) -> bool {
    other.name == to.name && other.namespace == to.namespace.as_deref().unwrap_or(tc.namespace())
}

/// TidbClusters that may be of this Database, and nobody can tell.
fn strays(fleet: &Fleet, tcs: &[ObjectRef], unseen: &mut Vec<String>) {
    for (other, tc) in fleet.tidb_clusters().filter(|(other, _)| !tcs.contains(other)) {
        let Some(to) = &tc.spec.cluster else { continue };
        let near = tcs.iter().find(|of| names(to, tc, of));
        if let Some(of) = near.filter(|_| referenced(fleet, &other, tc).is_none()) {
            unseen.push(format!(
                "TidbCluster {other} joined {}/{} of a domain that fits no TidbCluster, or several: it may belong to {of}",
                of.namespace, of.name
            ));
        }
    }
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
    let members: Vec<Member> = listed.iter().map(|m| join(m, &known, &views, leader)).collect();
    let agree = compare(&views, &mut problems);
    judge_members(&members, &mut problems, &mut unseen);
    let healthy = members.iter().filter(|m| m.healthy == Some(true)).count();
    let quorum = Quorum::new(members.len(), healthy);
    if !members.is_empty() {
        if leader.is_none() {
            problems.push("PD has no leader".into());
        }
        let unhealthy = members.iter().filter(|m| m.healthy == Some(false)).count();
        if unhealthy > 0 && !quorum.stands() {
            problems.push(format!("PD has lost its quorum: {healthy} of {} members are healthy", members.len()));
        }
    } else if known.iter().any(|(_, _, tc)| tc.spec.pd.is_some()) {
        unseen.push("no PD pod of this Database answered, so its members are not known".into());
    }

    let stores = join_stores(&known, &views);
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
    Database { id, name, tidb_clusters: tcs.to_vec(), quorum, max_replicas, members, stores, problems, unseen, agree }
}

/// What the operator says of one TidbCluster, and what its Ready leaves out (`domain.md` §2.2).
fn judge_tidb_cluster(
    fleet: &Fleet,
    of: &ObjectRef,
    cluster: &KubeCluster,
    tc: &TidbCluster,
    problems: &mut Vec<String>,
    unseen: &mut Vec<String>,
) {
    match tc.ready_condition() {
        Some(ready) if ready.status != "True" => {
            problems.push(format!("TidbCluster {of} is not Ready: {}", ready.reason));
        }
        Some(_) => {}
        None => unseen.push(format!("TidbCluster {of} has no Ready condition; the operator has not judged it")),
    }
    let outside_ready = |c: Component| matches!(c, Component::Pump | Component::Ticdc | Component::Tiproxy);
    for component in rollout(cluster, tc).into_iter().filter(|c| outside_ready(c.component) && !c.settled) {
        problems.push(format!("TidbCluster {of}: {}", component.reason));
    }
    if let Some(joined) = referenced(fleet, of, tc)
        && let Some(other) = fleet.tidb_cluster(&joined)
        && let (Some(own), Some(theirs)) = (cluster_id(fleet, of, tc), cluster_id(fleet, &joined, other))
        && own != theirs
    {
        problems.push(format!(
            "TidbCluster {of} was to join {joined}, but is a Database of its own: id {own}, not {theirs}"
        ));
    }
}

/// What we cannot see of the Kubernetes side.
fn see_clusters(fleet: &Fleet, known: &[(&ObjectRef, &KubeCluster, &TidbCluster)], unseen: &mut Vec<String>) {
    for (of, cluster, tc) in known {
        if !cluster.freshness.is_live() {
            let word = cluster.freshness.word();
            unseen.push(format!("KubeCluster {} is {word}; TidbCluster {of} may have changed", of.context));
        }
        for (pod, view) in
            cluster.pd.iter().filter(|(pod, _)| pod.namespace == tc.namespace() && pod_of(tc, Component::Pd, &pod.name))
        {
            match &view.answer {
                Err(why) => unseen.push(format!("PD pod {}/{pod} did not answer: {why}", of.context)),
                Ok(answer) => {
                    unseen.extend(answer.gaps.iter().map(|gap| format!("PD pod {}/{pod}: {gap}", of.context)))
                }
            }
        }
        if let Some(to) = &tc.spec.cluster {
            let named = format!("{}/{}", to.namespace.as_deref().unwrap_or(tc.namespace()), to.name);
            match candidates(fleet, of, tc).as_slice() {
                [_] => {}
                [] => unseen.push(format!("TidbCluster {of} joined {named}, which is in no connected context")),
                many => {
                    let many: Vec<String> = many.iter().map(ToString::to_string).collect();
                    unseen.push(format!("TidbCluster {of} joined {named}, which may be any of {}", many.join(", ")));
                }
            }
        }
    }
}

/// Joins one etcd member to pod, TidbCluster and KubeCluster.
fn join(
    member: &EtcdMember,
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
    leader: Option<MemberId>,
) -> Member {
    let own = views.iter().find(|(_, _, answer)| answer.self_id == Some(member.id));
    let place = match own {
        Some((of, pod, _)) => {
            known.iter().find(|(k, _, _)| k == of).map(|(of, c, tc)| (*of, *c, *tc, pod.name.clone()))
        }
        None => by_name(member, known, views),
    };
    let own_health = own.and_then(|(_, _, answer)| answer.healthy);
    let told: Vec<bool> = views.iter().filter_map(|(_, _, answer)| answer.health.get(&member.id).copied()).collect();
    let healthy = match (own_health, told.is_empty()) {
        (Some(false), _) => Some(false),
        (own, true) => own,
        // One that sees it down is enough: an asymmetric partition is no health.
        (_, false) => Some(told.iter().all(|h| *h)),
    };
    let mut joined = Member {
        id: member.id,
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        client_urls: member.client_urls.clone(),
        leader: leader == Some(member.id),
        healthy,
        ..Member::default()
    };
    if let Some((of, cluster, tc, pod_name)) = place {
        let pod = cluster.pods.get(&ObjectKey::new(&of.namespace, &pod_name));
        let expected = tc.expected_peer_url(&pod_name);
        joined.drift = joined.peer_urls != [expected.clone()];
        joined.expected_peer_url = Some(expected);
        joined.kube_cluster = Some(of.context.clone());
        joined.namespace = Some(of.namespace.clone());
        joined.tidb_cluster = Some(of.name.clone());
        joined.pod_phase = pod.map(|pod| pod.status_word());
        joined.ready = pod.map(|pod| pod.ready());
        joined.pod = Some(pod_name);
    }
    joined
}

/// Finds a member's pod by its name, clientURLs and peerURLs, where the pod itself did not say who it is. Two
/// candidates are no answer. A pod that said it is another member is no candidate.
fn by_name<'a>(
    member: &EtcdMember,
    known: &[(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
) -> Option<(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster, String)> {
    let mut hosts: Vec<&str> = vec![member.name.as_str()];
    hosts.extend(member.client_urls.iter().chain(&member.peer_urls).filter_map(|url| host(url)));
    let candidates = |exact: bool| -> Vec<(&'a ObjectRef, &'a KubeCluster, &'a TidbCluster, String)> {
        known
            .iter()
            .filter_map(|(of, cluster, tc)| {
                let pod = hosts.iter().find_map(|host| {
                    let pod = host.split('.').next()?;
                    let forms = [
                        tc.pd_host(pod, tc.domain()),
                        if exact { String::new() } else { tc.pd_host(pod, None) },
                        if exact { String::new() } else { pod.to_owned() },
                    ];
                    (pod_of(tc, Component::Pd, pod) && forms.iter().any(|form| form == host)).then(|| pod.to_owned())
                })?;
                let taken = views.iter().any(|(other, key, answer)| {
                    *other == *of && key.name == pod && answer.self_id.is_some_and(|id| id != member.id)
                });
                (!taken).then_some((*of, *cluster, *tc, pod))
            })
            .collect()
    };
    let mut found = candidates(true);
    if found.is_empty() {
        found = candidates(false);
    }
    if found.len() == 1 { found.pop() } else { None }
}

/// `host` of `scheme://host:port`.
pub fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    Some(rest.split([':', '/']).next().unwrap_or(rest))
}

/// Compares the lists of all PD pods; says what differs.
fn compare(views: &[(&ObjectRef, &ObjectKey, &PdAnswer)], problems: &mut Vec<String>) -> bool {
    let list = |answer: &PdAnswer| -> BTreeMap<MemberId, Vec<String>> {
        answer.members.iter().map(|m| (m.id, m.peer_urls.clone())).collect()
    };
    let mut answered = views.iter().filter(|(_, _, answer)| !answer.members.is_empty());
    let Some((first_of, first_pod, first)) = answered.next() else { return false };
    let mut agree = true;
    for (of, pod, answer) in answered {
        if list(answer) != list(first) {
            agree = false;
            problems.push(format!(
                "PD pods {}/{} and {}/{} list different members or peerURLs",
                first_of.context, first_pod.name, of.context, pod.name
            ));
        }
        if let (Some(a), Some(b)) = (first.cluster_id, answer.cluster_id)
            && a != b
        {
            agree = false;
            problems.push(format!("PD pod {}/{} belongs to another cluster: id {b}, not {a}", of.context, pod.name));
        }
    }
    agree
}

fn judge_members(members: &[Member], problems: &mut Vec<String>, unseen: &mut Vec<String>) {
    for member in members {
        let shown = if member.name.is_empty() { member.id.hex() } else { member.name.clone() };
        if member.name.is_empty() {
            problems.push(format!(
                "member {} was added and never started; while it is there no other PD can join",
                member.id
            ));
        } else if member.pod.is_none() {
            unseen.push(format!("member {shown} ({}) is in no connected context", member.id));
        }
        if let (true, Some(expected)) = (member.drift, &member.expected_peer_url) {
            problems.push(format!("peerURL of {shown} is {}, expected {expected}", member.peer_urls.join(",")));
        }
        match member.healthy {
            Some(false) => problems.push(format!("PD member {shown} is not healthy")),
            None if !member.name.is_empty() => unseen.push(format!("the health of member {shown} is not known")),
            Some(true) | None => {}
        }
    }
}

fn join_stores(
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    views: &[(&ObjectRef, &ObjectKey, &PdAnswer)],
) -> Vec<StoreRow> {
    let stores: BTreeMap<u64, &Store> = views.iter().flat_map(|(_, _, a)| &a.stores).map(|s| (s.id, s)).collect();
    stores
        .into_values()
        .map(|store| {
            let host = store.address.split(':').next().unwrap_or_default();
            let pod = host.split('.').next().unwrap_or_default();
            let component = if store.tiflash { Component::Tiflash } else { Component::Tikv };
            let mut owners = known.iter().filter(|(_, _, tc)| {
                let base = format!("{pod}.{}-{}-peer.{}.svc", tc.name(), component.key(), tc.namespace());
                let full = tc.domain().map(|domain| format!("{base}.{domain}"));
                pod_of(tc, component, pod) && (host == base || Some(host) == full.as_deref())
            });
            let owner = match (owners.next(), owners.next()) {
                (Some(one), None) => Some(one),
                _ => None,
            };
            StoreRow {
                store: store.clone(),
                kube_cluster: owner.map(|(of, _, _)| of.context.clone()),
                tidb_cluster: owner.map(|(of, _, _)| of.name.clone()),
                pod: owner.map(|_| pod.to_owned()),
                of: owner.map(|(of, _, _)| (*of).clone()),
            }
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Change, Freshness, What};
    use serde_json::json;

    /// `context/name`, its domain, and the domain in its reference to `basic` (`-`: it refers to nobody).
    fn fleet(all: &[(&str, &str, &str)]) -> Fleet {
        let mut fleet = Fleet::default();
        let mut by_context: BTreeMap<&str, Vec<TidbCluster>> = BTreeMap::new();
        for (place, domain, refers) in all {
            let (context, name) = place.split_once('/').expect("context/name");
            let mut spec = json!({"clusterDomain": domain});
            if *refers != "-" {
                spec["cluster"] = json!({"name": "basic", "clusterDomain": refers});
            } else {
                spec["pd"] = json!({"replicas": 1});
            }
            let tc = json!({"metadata": {"namespace": "db", "name": name}, "spec": spec});
            by_context.entry(context).or_default().push(serde_json::from_value(tc).expect("the API's shape"));
        }
        for (context, all) in by_context {
            let mut say = |what| fleet.apply(Change { context: context.into(), at: jiff::Timestamp::UNIX_EPOCH, what });
            say(What::Connection { freshness: Freshness::Live, message: None });
            say(What::Identity { uid: Some(context.into()), version: None });
            say(What::TidbClusters(all));
        }
        fleet
    }

    #[test]
    fn a_reference_leads_to_one_and_to_no_stranger() {
        type All = &'static [(&'static str, &'static str, &'static str)];
        let cases: &[(&str, All, Option<&str>)] = &[
            (
                "without a domain: the own KubeCluster",
                &[("a/basic", "", "-"), ("b/basic", "", "-"), ("b/x", "", "")],
                Some("b/db/basic"),
            ),
            (
                "and there whatever its domain is",
                &[("a/basic", "", "-"), ("b/basic", "b.com", "-"), ("b/x", "", "")],
                Some("b/db/basic"),
            ),
            (
                "else elsewhere, where domains are not used",
                &[("a/basic", "", "-"), ("b/x", "", "")],
                Some("a/db/basic"),
            ),
            ("but not to one that has a domain", &[("a/basic", "a.com", "-"), ("b/x", "", "")], None),
            ("nor to one of two", &[("a/basic", "", "-"), ("c/basic", "", "-"), ("b/x", "", "")], None),
            (
                "with a domain: by the domain",
                &[("a/basic", "a.com", "-"), ("b/basic", "b.com", "-"), ("b/x", "b.com", "a.com")],
                Some("a/db/basic"),
            ),
            (
                "one of the domain, or none",
                &[("a/basic", "a.com", "-"), ("c/basic", "a.com", "-"), ("b/x", "b.com", "a.com")],
                None,
            ),
        ];
        for (what, all, expected) in cases {
            let fleet = fleet(all);
            let of = ObjectRef::new("b", "db", "x");
            let tc = fleet.tidb_cluster(&of).expect("it is there");
            assert_eq!(referenced(&fleet, &of, tc).map(|of| of.to_string()).as_deref(), *expected, "{what}");
        }
    }

    #[test]
    fn who_may_belong_to_it_is_said_to_be_unseen() {
        let fleet = fleet(&[("a/basic", "a.com", "-"), ("b/x", "", "")]);
        let database = database_of(&fleet, &ObjectRef::new("a", "db", "basic")).expect("a Database");
        assert_eq!(database.tidb_clusters.len(), 1);
        assert!(
            database
                .unseen
                .iter()
                .any(|unseen| unseen.contains("b/db/x") && unseen.contains("may belong to a/db/basic")),
            "{:?}",
            database.unseen
        );
    }
}
