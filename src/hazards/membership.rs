//! `domain.md` §5.3: PD's membership and its quorum. Hazards 27 to 46, and members without a pod (57).
//!
//! Not here: their peerURLs ([`crate::hazards::peer_urls`]), when a member is a ghost ([`crate::fleet::ghost_member`]).

use crate::fleet::advice::{Advice, RunLine};
use crate::fleet::hazard_id::HazardId;
use std::collections::BTreeMap;

use crate::fleet::database::{Member, host};
use crate::fleet::ghost_member::ghost;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::remedy_commands::remove_unused;
use crate::fleet::rollout::stateful_set;
use crate::fleet::tidbcluster::Component;
use crate::fleet::tls_toggle::forced;
use crate::fleet::workload::StatefulSet;
use crate::hazards::check_context::{CheckContext, home, member_name, member_subject};
use crate::hazards::{Finding, OfDatabase, Subject};

pub(super) const ALL: &[OfDatabase] = &[
    single_pd,
    nameless,
    duplicate_names,
    spread,
    rolling_in_two,
    single_unsynced,
    in_doubt,
    discovery,
    asymmetric,
    ghosts,
];

/// 27. One PD, opened for others to join: the join itself can take its quorum.
fn single_pd(scene: &CheckContext<'_>) -> Vec<Finding> {
    let [part] = scene.parts.as_slice() else { return Vec::new() };
    let wanted = part.tc.spec.pd.as_ref().map_or(0, |pd| pd.replicas);
    let seen = scene.database.members.len();
    if !part.opened() || wanted != 1 || seen > 1 || part.tc.spec.cluster.is_some() {
        return Vec::new();
    }
    let found = scene.find_at(HazardId::SinglePdJoin, part, "the Database has one PD and is open for others to join");
    let found = found.saw(&part.subject(), "spec.pd.replicas", "1", part.seen());
    vec![found.then(format!("first: {}", part.patch("{\"pd\":{\"replicas\":3}}")))]
}

/// 28. Added and never started.
fn nameless(scene: &CheckContext<'_>) -> Vec<Finding> {
    let unstarted = scene.database.members.iter().filter(|member| member.name.is_empty());
    unstarted
        .map(|member| {
            let sentence = format!("member {} was added and never started; no other PD can join", member.id);
            let remove = remove_unused(scene.fleet, scene.database, member);
            scene
                .find(HazardId::NamelessMember, sentence)
                .on(member_subject(member))
                .saw(&member_subject(member), "name", "(empty)", scene.pd_seen())
                .saw(&member_subject(member), "peerURLs", member.peer_urls.join(", "), scene.pd_seen())
                .then(remove)
        })
        .collect()
}

/// 29. Two members of one name.
fn duplicate_names(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in scene.database.members.iter().filter(|member| !member.name.is_empty()) {
        by_name.entry(&member.name).or_default().push(member);
    }
    let twice = by_name.into_iter().filter(|(_, members)| members.len() > 1);
    twice
        .map(|(name, members)| {
            let mut found =
                scene.find(HazardId::DuplicatePdName, format!("{} members are called {name}", members.len()));
            for member in members {
                found = found.saw(&member_subject(member), "name", name, scene.pd_seen()).on(member_subject(member));
            }
            found.then("remove the stale one by its id (never by its name), and the volume of the pod that it was")
        })
        .collect()
}

/// 30. An even number of members, or most of them in one of three or more KubeClusters.
fn spread(scene: &CheckContext<'_>) -> Vec<Finding> {
    let started: Vec<&Member> = scene.database.members.iter().filter(|member| !member.name.is_empty()).collect();
    // Unstarted members are on their way in, and no KubeCluster's yet.
    if started.len() != scene.database.members.len() {
        return Vec::new();
    }
    let mut by_context: BTreeMap<&str, usize> = BTreeMap::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.pd.is_some()) {
        by_context.entry(&part.of.context).or_insert(0);
    }
    for member in &started {
        if let Some(context) = member.place.context() {
            *by_context.entry(context).or_insert(0) += 1;
        }
    }
    let said: Vec<String> = by_context.iter().map(|(context, count)| format!("{context} {count}")).collect();
    let most = by_context.iter().max_by_key(|(_, count)| **count).map(|(context, count)| (*context, *count));
    let heavy = most.filter(|(_, count)| by_context.len() >= 3 && *count > started.len() / 2);
    let sentence = match heavy {
        _ if started.len() >= 2 && started.len().is_multiple_of(2) => {
            format!("PD has {} members: an even number tolerates no more than one less would", started.len())
        }
        Some((context, count)) => {
            format!(
                "{count} of {} PD members are in {context}: losing that KubeCluster stops the Database",
                started.len()
            )
        }
        _ => return Vec::new(),
    };
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let found = scene.find(HazardId::UnevenPdSpread, sentence).on(whole.clone());
    vec![
        found
            .saw(&whole, "members by KubeCluster", said.join(", "), scene.pd_seen())
            .then("spread an odd number: 1, 1, 1 or 2, 2, 1; a third place with one PD breaks the tie of two"),
    ]
}

/// What no spread over two KubeClusters can change, and whoever reads a clean bill has to know all the same.
pub(super) fn majority(scene: &CheckContext<'_>) -> Option<String> {
    let mut contexts: BTreeMap<&str, usize> = scene.parts.iter().map(|part| (part.of.context.as_str(), 0)).collect();
    let members = &scene.database.members;
    // An even number is a finding; of one that is not placed nothing can be counted.
    if contexts.len() != 2 || members.len().is_multiple_of(2) {
        return None;
    }
    for member in members {
        *contexts.get_mut(member.place.context()?)? += 1;
    }
    let (heavy, count) = contexts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(format!(
        "{count} of {} PD members are in {heavy}: losing that KubeCluster stops the Database. Of two KubeClusters one always has the majority; a third one with a PD of its own would bear the loss of any",
        members.len()
    ))
}

/// 31. PD rolls in two TidbClusters at once.
fn rolling_in_two(scene: &CheckContext<'_>) -> Vec<Finding> {
    let rolling: Vec<_> = scene
        .parts
        .iter()
        .filter(|part| part.tc.spec.pd.is_some() && part.live())
        .filter_map(|part| {
            let phase = part.tc.status.pd.phase.as_deref().unwrap_or_default();
            let set = stateful_set(part.cluster, part.tc, Component::Pd);
            let moves = set.is_some_and(StatefulSet::rolls);
            (matches!(phase, "Upgrade" | "Scale") || moves).then_some((part, phase, moves))
        })
        .collect();
    if rolling.len() < 2 {
        return Vec::new();
    }
    let names: Vec<String> = rolling.iter().map(|(part, _, _)| part.of.to_string()).collect();
    let mut found =
        scene.find(HazardId::PdRollingInTwo, format!("PD is being changed in {} at once", names.join(" and ")));
    for (part, phase, moves) in &rolling {
        let value = if *moves { "revisions differ" } else { *phase };
        found = found.on(part.subject()).saw(&part.subject(), "status.pd.phase, StatefulSet", value, part.seen());
    }
    let pause: Vec<String> = rolling.iter().skip(1).map(|(part, _, _)| part.patch("{\"paused\":true}")).collect();
    vec![found.then(format!("hold all but one: {}", pause.join("; ")))]
}

/// 32. The one PD of a TidbCluster, and the operator cannot reach it: it rolls by force.
fn single_unsynced(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let Some(pd) = &part.tc.spec.pd else { continue };
        let status = &part.tc.status.pd;
        let forced = forced(part.tc);
        let alone = pd.replicas < 2 && status.peer_members.is_empty();
        if status.synced != Some(false)
            || !(alone || forced)
            || part.deleting()
            || part.tc.asks_to_suspend(Component::Pd)
        {
            continue;
        }
        all.push(
            scene
                .find_at(HazardId::SinglePdUnsynced, part, "the operator cannot reach PD, and will restart it without any safety at the next change")
                .saw(&part.subject(), "status.pd.synced", "false", part.seen())
                .saw(&part.subject(), "spec.pd.replicas", pd.replicas.to_string(), part.seen())
                .then("change nothing in this TidbCluster until status.pd.synced is true; look at DNS and TLS between operator and PD"),
        );
    }
    all
}

/// 39. The PD pods do not list the same: a change is on its way, or lost.
fn in_doubt(scene: &CheckContext<'_>) -> Vec<Finding> {
    let listed: Vec<_> = scene.views().filter(|(_, _, _, answer)| !answer.members.is_empty()).collect();
    if scene.database.agree || listed.len() < 2 {
        return Vec::new();
    }
    let mut found = scene.find(HazardId::MembershipInDoubt, "the PD pods list different members or peerURLs");
    for (part, pod, view, answer) in listed {
        let at = Subject {
            kind: SubjectKind::Pod,
            context: part.of.context.clone(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
        };
        let urls: Vec<String> = answer.members.iter().map(|m| format!("{} {}", m.id, m.peer_urls.join(","))).collect();
        found = found.saw(&at, "its own list of members", urls.join("; "), Some(view.at)).on(at);
    }
    vec![
        found.then(
            "look again in 20 s before anything is sent; never repeat a change that timed out with another value",
        ),
    ]
}

/// 44. Discovery, which answers every PD that starts, is not running.
fn discovery(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    let needed = scene.parts.iter().filter(|part| part.live() && !part.deleting() && !part.tc.paused());
    for part in needed.filter(|part| part.tc.spec.pd.is_some() || part.opened()) {
        let own = |pod: &&crate::fleet::workload::Pod| {
            pod.instance() == Some(part.tc.instance()) && pod.component() == Some("discovery")
        };
        let pods: Vec<_> = part.cluster.pods_in(&part.of.namespace).filter(own).collect();
        if pods.iter().any(|pod| pod.ready()) || part.tc.status.cluster_id.is_none() {
            continue;
        }
        let value = match pods.first() {
            Some(pod) => format!("{} is {}", pod.metadata.name, pod.status_word()),
            None => "no pod".into(),
        };
        all.push(
            scene
                .find_at(
                    HazardId::DiscoveryUnavailable,
                    part,
                    "discovery is not running: a PD that starts without data waits for ever",
                )
                .saw(&part.subject(), "pods with component=discovery", value, part.seen())
                .then(format!("{} rollout restart deployment {}-discovery", part.kubectl(), part.of.name)),
        );
    }
    all
}

fn verify_network(scene: &CheckContext<'_>) -> Advice {
    let other = scene.parts.iter().find(|part| part.of.context != scene.parts[0].of.context);
    match other {
        Some(other) => RunLine::run("verify-network")
            .set("first", scene.parts[0].of)
            .set("second", other.of)
            .behind("check the network between these KubeClusters in both directions"),
        None => "check the network between the nodes of these pods in both directions".into(),
    }
}

/// 46. One PD sees a member well that another sees down.
fn asymmetric(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for member in &scene.database.members {
        let told: Vec<(String, bool)> = scene
            .views()
            .filter_map(|(part, pod, _, answer)| Some((format!("{}/{pod}", part.of.context), answer.told(member.id)?)))
            .collect();
        if told.iter().all(|(_, well)| *well) || told.iter().all(|(_, well)| !well) {
            continue;
        }
        let sentence = format!(
            "{} is healthy for some PD pods and not for others: the way between them is not whole",
            member_name(member)
        );
        let mut found = scene.find(HazardId::AsymmetricHealth, sentence).on(member_subject(member));
        for (from, well) in told {
            let value = if well { "healthy" } else { "not healthy" };
            found = found.saw(
                &member_subject(member),
                &format!("GET /pd/api/v1/health as {from} answers"),
                value,
                scene.pd_seen(),
            );
        }
        all.push(found.then(verify_network(scene)));
    }
    all
}

/// 57. A member whose pod is gone for good still counts for quorum.
fn ghosts(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for member in scene.database.members.iter().filter(|member| !member.name.is_empty()) {
        let why = match member.place.pod() {
            Some(pod) => {
                let Some((of, wanted)) = member.place.of().zip(ghost(scene.fleet, member)) else { continue };
                format!("its pod {}/{pod} is gone, and {of} asks for {wanted} PD", of.context)
            }
            None => {
                let hosts: Vec<&str> = [member.name.as_str()]
                    .into_iter()
                    .chain(member.client_urls.iter().filter_map(|url| host(url)))
                    .collect();
                let Some((cluster, name, namespace)) = hosts.iter().find_map(|host| home(scene, host, Component::Pd))
                else {
                    continue;
                };
                if cluster.tidb_clusters.keys().any(|key| key.name == name && key.namespace == namespace) {
                    continue;
                }
                format!("its TidbCluster {}/{namespace}/{name} is gone", cluster.context)
            }
        };
        let subject = Subject::of_pd(SubjectKind::Member, member.id.hex());
        let health = match member.healthy {
            Some(true) => "healthy",
            Some(false) => "not healthy",
            None => "not known",
        };
        all.push(
            scene
                .find(HazardId::GhostMember, format!("{} still counts for quorum: {why}", member.name))
                .on(subject.clone())
                .saw(&subject, "name", &member.name, scene.pd_seen())
                .saw(&subject, "health", health, scene.pd_seen())
                .then(remove_unused(scene.fleet, scene.database, member)),
        );
    }
    all
}
