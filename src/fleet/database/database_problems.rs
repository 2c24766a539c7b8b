//! What is wrong with a Database, and what could not be seen of it, one sentence each.
//!
//! Not here: the arithmetic of quorum ([`crate::fleet::quorum`]), hazards that need more than one look at the fleet
//! ([`crate::hazards`]). Neighbours: [`super::grouping`], [`super::member_pod_matching`].

use std::collections::BTreeMap;

use super::grouping::{Astray, astray, candidates, cluster_id, names, referenced};
use super::pod_hostnames::pod_of;
use super::{Member, StoreRow};
use crate::fleet::not_seen::{NotSeen, NotSeenKind, NotSeenList};
use crate::fleet::pd::{MemberId, PdAnswer};
use crate::fleet::problem::{Problem, ProblemKind};
use crate::fleet::problem_subject::{Subject, SubjectKind};
use crate::fleet::rollout::{rollout, suspended_words, under_way};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};
use crate::pluralize::{counted, total};

/// TidbClusters that may be of this Database, and nobody can tell.
pub(super) fn strays(fleet: &Fleet, tcs: &[ObjectRef], unseen: &mut NotSeenList) {
    let all = fleet.clusters.values();
    let all = all.flat_map(|cluster| cluster.tidb_clusters.iter().map(move |(key, tc)| (cluster, key, tc)));
    for (cluster, key, tc) in all {
        let Some(to) = &tc.spec.cluster else { continue };
        let Some(of) = tcs.iter().find(|of| names(to, tc, of)) else { continue };
        let other = ObjectRef::new(&cluster.context, &key.namespace, &key.name);
        if !tcs.contains(&other) && referenced(fleet, &other, tc).is_none() {
            let sentence = format!(
                "TidbCluster {other} joined {}/{} of a domain that fits no TidbCluster, or several: it may belong to {of}",
                of.namespace, of.name
            );
            let about = [Subject::tidb_cluster(&other), Subject::tidb_cluster(of)];
            unseen.push(NotSeen::new(NotSeenKind::TidbClusterUnassigned, about, sentence));
        }
    }
}

/// What the operator says of one TidbCluster, and what its Ready leaves out (`domain.md` §2.2).
pub(super) fn judge_tidb_cluster(
    fleet: &Fleet,
    of: &ObjectRef,
    cluster: &KubeCluster,
    tc: &TidbCluster,
    problems: &mut Vec<Problem>,
    unseen: &mut NotSeenList,
) {
    if tc.paused() {
        let sentence = format!("TidbCluster {of} is paused: the operator does nothing for it");
        problems.push(Problem::new(ProblemKind::Paused, Subject::tidb_cluster(of), sentence));
    }
    match tc.ready_condition() {
        Some(ready) if ready.status != "True" => {
            let why = suspended_words(cluster, tc).map(|words| format!(" ({words})")).unwrap_or_default();
            let moving = under_way(cluster, tc).map_or_else(String::new, |moving| format!(": {moving}"));
            let sentence = format!("TidbCluster {of} is not Ready: {}{why}{moving}", ready.reason);
            let since = ready.last_transition_time;
            problems.push(Problem::new(ProblemKind::NotReady, Subject::tidb_cluster(of), sentence).since(since));
        }
        // Ready may stay true while the operator waits for an answer that does not come.
        Some(_) => {
            if let Some(moving) = under_way(cluster, tc) {
                let sentence = format!("TidbCluster {of} is Ready, and yet: {moving}");
                problems.push(Problem::new(ProblemKind::NotReady, Subject::tidb_cluster(of), sentence));
            }
        }
        None => unseen.push(NotSeen::new(
            NotSeenKind::ReadyConditionMissing,
            [Subject::tidb_cluster(of)],
            format!("TidbCluster {of} has no Ready condition; the operator has not judged it"),
        )),
    }
    let mut say = |kind, sentence: String| problems.push(Problem::new(kind, Subject::tidb_cluster(of), sentence));
    // What is paused does not roll, and that is said already.
    let moves = !tc.paused() && tc.metadata.deletion_timestamp.is_none();
    let open = rollout(cluster, tc).into_iter().filter(|c| moves && c.component.outside_ready() && !c.settled);
    for component in open {
        say(ProblemKind::OutsideReady, format!("TidbCluster {of}: {}", component.reason));
    }
    // What has its id has begun, whatever its reference says now.
    if tc.status.cluster_id.is_none()
        && let Some(way) = astray(fleet, of, tc)
    {
        say(ProblemKind::LeadsBack, format!("TidbCluster {of}: {}", way.sentence()));
    }
    if let Some(joined) = referenced(fleet, of, tc)
        && let Some(other) = fleet.tidb_cluster(&joined)
        && let (Some(own), Some(theirs)) = (cluster_id(fleet, of, tc), cluster_id(fleet, &joined, other))
        && own != theirs
    {
        say(
            ProblemKind::OwnDatabase,
            format!("TidbCluster {of} was to join {joined}, but is a Database of its own: id {own}, not {theirs}"),
        );
    }
}

/// Stores that are not Up, and those that belong to nothing that is seen.
pub(super) fn judge_stores(stores: &[StoreRow], problems: &mut Vec<Problem>, unseen: &mut NotSeenList) {
    let about = |row: &StoreRow| Subject::of_pd(SubjectKind::Store, row.store.id.to_string());
    for row in stores.iter().filter(|row| !(row.store.is_up() || row.store.is_gone())) {
        let sentence = format!("store {} ({}) is {}", row.store.id, row.store.address, row.store.state);
        let heard = row.store.load.last_heartbeat;
        problems.push(Problem::new(ProblemKind::StoreNotUp, about(row), sentence).since(heard));
    }
    leaderless(stores, unseen);
    for row in stores.iter().filter(|row| !row.place.is_known() && !row.store.is_gone()) {
        let sentence = format!("store {} ({}) belongs to no TidbCluster that is seen", row.store.id, row.store.address);
        unseen.push(NotSeen::new(NotSeenKind::StoreNotConnected, [about(row)], sentence));
    }
}

/// Every store may be Up, as after all of them were suspended, and none lead anything yet.
fn leaderless(stores: &[StoreRow], unseen: &mut NotSeenList) {
    let tikv = || stores.iter().filter(|row| !row.store.tiflash && !row.store.is_gone());
    let regions = total(tikv().map(|row| row.store.region_count));
    if regions > 0 && tikv().all(|row| row.store.leader_count == 0) {
        let about = tikv().map(|row| Subject::of_pd(SubjectKind::Store, row.store.id.to_string()));
        let sentence = format!(
            "PD counts no region leader on any TiKV store, which hold {}: whether data is served is not known",
            counted(regions, "region peer")
        );
        unseen.push(NotSeen::new(NotSeenKind::RegionLeadersNotSeen, about, sentence));
    }
}

/// What we cannot see of the Kubernetes side.
pub(super) fn see_clusters(
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    problems: &mut Vec<Problem>,
    unseen: &mut NotSeenList,
) {
    for (of, cluster, tc) in known {
        if !cluster.freshness.is_live() {
            let word = cluster.freshness.word();
            unseen.push(NotSeen::new(
                NotSeenKind::KubeClusterNotLive,
                [Subject::cluster(&of.context), Subject::tidb_cluster(of)],
                format!("KubeCluster {} is {word}; TidbCluster {of} may have changed", of.context),
            ));
        }
        for (pod, view) in cluster.pd_in(tc.namespace()).filter(|(pod, _)| pod_of(tc, Component::Pd, &pod.name)) {
            let at = || Subject::object(SubjectKind::Pod, &ObjectRef::new(&of.context, &pod.namespace, &pod.name));
            match &view.answer {
                Err(why) => {
                    let sentence = format!("PD pod {}/{pod} did not answer: {why}", of.context);
                    if why.certificate {
                        let problem = Problem::new(ProblemKind::PdCertificate, at(), sentence.clone());
                        problems.push(problem.and(Subject::tidb_cluster(of)));
                    }
                    unseen.push(NotSeen::new(NotSeenKind::PdPodSilent, [at()], sentence));
                }
                Ok(answer) => unseen.extend(answer.gaps.iter().map(|gap| {
                    let sentence = format!("PD pod {}/{pod}: {gap}", of.context);
                    NotSeen::new(NotSeenKind::PdAnswerPartial, [at()], sentence)
                })),
            }
        }
        for (key, replicas) in tc.spec.unknown.iter().filter(|(_, replicas)| **replicas > 0) {
            let sentence = format!(
                "TidbCluster {of}: spec.{key} asks for {} of a component that is not known here, so whether everything is there is not known",
                counted(*replicas, "pod")
            );
            unseen.push(NotSeen::new(NotSeenKind::ComponentUnknown, [Subject::tidb_cluster(of)], sentence));
        }
    }
}

/// Whom it joined, where that is not seen. For one whose Database is seen wholly the reference is wrong, which is a problem.
pub(super) fn see_reference(
    fleet: &Fleet,
    known: &[(&ObjectRef, &KubeCluster, &TidbCluster)],
    (of, tc): (&ObjectRef, &TidbCluster),
    certain: bool,
    unseen: &mut NotSeenList,
) -> Option<Problem> {
    let to = tc.spec.cluster.as_ref()?;
    let named = format!("{}/{}", to.namespace.as_deref().unwrap_or(tc.namespace()), to.name);
    match candidates(fleet, of, tc).as_slice() {
        [_] => {}
        // It is here, under another domain than the reference has; that is judged as such.
        [] if known.iter().any(|(other, ..)| *other != of && names(to, tc, other)) => {}
        [] if certain => {
            let sentence =
                format!("TidbCluster {of}: spec.cluster names {named}, and nothing of its Database is called so");
            return Some(Problem::new(ProblemKind::LeadsBack, Subject::tidb_cluster(of), sentence));
        }
        [] if astray(fleet, of, tc) == Some(Astray::Itself) => {}
        [] => unseen.push(NotSeen::new(
            NotSeenKind::ReferenceNotConnected,
            [Subject::tidb_cluster(of)],
            format!("TidbCluster {of} joined {named}, which is in no connected context"),
        )),
        many => {
            let about = std::iter::once(of).chain(many).map(Subject::tidb_cluster);
            let names: Vec<String> = many.iter().map(ToString::to_string).collect();
            let sentence = format!("TidbCluster {of} joined {named}, which may be any of {}", names.join(", "));
            unseen.push(NotSeen::new(NotSeenKind::ReferenceAmbiguous, about, sentence));
        }
    }
    None
}

/// Compares the lists of all PD pods; says what differs.
pub(super) fn compare(views: &[(&ObjectRef, &ObjectKey, &PdAnswer)], problems: &mut Vec<Problem>) -> bool {
    let list = |answer: &PdAnswer| -> BTreeMap<MemberId, Vec<String>> {
        answer.members.iter().map(|m| (m.id, m.peer_urls.clone())).collect()
    };
    let at = |of: &ObjectRef, pod: &ObjectKey| {
        Subject::object(SubjectKind::Pod, &ObjectRef::new(&of.context, &pod.namespace, &pod.name))
    };
    let mut answered = views.iter().filter(|(_, _, answer)| !answer.members.is_empty());
    let Some((first_of, first_pod, first)) = answered.next() else { return false };
    let mut agree = true;
    for (index, (of, pod, answer)) in views.iter().enumerate() {
        let twin = views.iter().take(index).find(|(_, _, one)| one.self_id.is_some() && one.self_id == answer.self_id);
        if let (Some((first_of, first_pod, _)), Some(id)) = (twin, answer.self_id) {
            agree = false;
            let sentence = format!(
                "PD pods {}/{} and {}/{} both say that they are member {id}",
                first_of.context, first_pod.name, of.context, pod.name
            );
            problems.push(Problem::new(ProblemKind::OtherCluster, at(first_of, first_pod), sentence).and(at(of, pod)));
        }
    }
    for (of, pod, answer) in answered {
        if list(answer) != list(first) {
            agree = false;
            let sentence = format!(
                "PD pods {}/{} and {}/{} list different members or peerURLs",
                first_of.context, first_pod.name, of.context, pod.name
            );
            let both = Problem::new(ProblemKind::ListsDiffer, at(first_of, first_pod), sentence);
            problems.push(both.and(at(of, pod)));
        }
        if let (Some(a), Some(b)) = (first.cluster_id, answer.cluster_id)
            && a != b
        {
            agree = false;
            let sentence = format!("PD pod {}/{} belongs to another cluster: id {b}, not {a}", of.context, pod.name);
            problems.push(Problem::new(ProblemKind::OtherCluster, at(of, pod), sentence));
        }
    }
    agree
}

pub(super) fn judge_members(members: &[Member], problems: &mut Vec<Problem>, unseen: &mut NotSeenList) {
    for member in members {
        let at = || Subject::of_pd(SubjectKind::Member, member.id.hex());
        let of_member = |kind, sentence| Problem::new(kind, at(), sentence);
        let shown = if member.name.is_empty() { member.id.hex() } else { member.name.clone() };
        if member.name.is_empty() {
            problems.push(of_member(
                ProblemKind::NeverStarted,
                format!("member {} was added and never started; while it is there no other PD can join", member.id),
            ));
        } else if !member.place.is_known() {
            let sentence = format!("member {shown} ({}) is in no connected context", member.id);
            unseen.push(NotSeen::new(NotSeenKind::MemberNotConnected, [at()], sentence));
        }
        if let (true, Some(expected)) = (member.drift, &member.expected_peer_url) {
            let urls = member.peer_urls.join(",");
            let sentence = format!("peerURL of {shown} is {urls}, expected {expected}");
            let wrong = of_member(ProblemKind::PeerUrl, sentence);
            problems.push(member.place.of().into_iter().fold(wrong, |wrong, of| wrong.and(Subject::tidb_cluster(of))));
        }
        match member.healthy {
            Some(false) => {
                problems.push(of_member(ProblemKind::MemberUnhealthy, format!("PD member {shown} is not healthy")));
            }
            // Said of the leader.
            None if member.leaderless => {}
            None if !member.name.is_empty() => unseen.push(NotSeen::new(
                NotSeenKind::MemberHealthUnknown,
                [at()],
                format!("the health of member {shown} is not known"),
            )),
            Some(true) | None => {}
        }
    }
}
