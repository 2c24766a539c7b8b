//! `domain.md` §5.4: leaving a Database, and what is left of whoever left. Hazards 54 to 61.
//!
//! Judged by the replicas that the objects ask for now. What a whole TidbCluster's leave would do is `fleet::removal_impact`'s,
//! which a runbook asks before it begins. Not here: upgrades ([`crate::hazards::upgrade`]).

use crate::fleet::advice::RunLine;
use crate::fleet::hazard_id::HazardId;
use std::collections::BTreeMap;

use crate::fleet::closer_look::{Claim, DATA};
use crate::fleet::database::{Member, host, referenced};
use crate::fleet::dns::Served;
use crate::fleet::kubectl_quoting::kubectl;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::remedy_commands::remove_unused;
use crate::fleet::removal_impact::ghost;
use crate::fleet::tidbcluster::Component;
use crate::fleet::{Fleet, KubeCluster, ObjectRef};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Subject};
use crate::pluralize::{counted, is};

pub(super) const ALL: &[OfDatabase] = &[
    too_few_tikv,
    tiflash_replicas,
    deleted_too_early,
    ghosts,
    majority_leaving,
    reference_deleted,
    joiner_with_old_claims,
    reclaim_policy,
];

/// What is judged without a Database: what one left behind.
pub(super) fn fleet(fleet: &Fleet) -> Vec<Finding> {
    old_claims(fleet)
}

/// 54. Fewer Up TiKV stores than replicas, now or once the replicas asked for are reached.
fn too_few_tikv(scene: &CheckContext<'_>) -> Vec<Finding> {
    let rules = scene.details.and_then(|(_, details)| details.tikv_needed());
    let needed = scene.database.max_replicas.max(rules);
    let Some(needed) = needed.and_then(|needed| usize::try_from(needed).ok()) else { return Vec::new() };
    if scene.database.stores.is_empty() {
        return Vec::new();
    }
    let up = scene.up(false);
    let leaving: Vec<(&Part<'_>, usize)> = scene
        .parts
        .iter()
        .map(|part| (part, scene.leaving(part, Component::Tikv)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let gone: usize = leaving.iter().map(|(_, count)| count).sum();
    let left = up.saturating_sub(gone);
    if left >= needed {
        return Vec::new();
    }
    let sentence = match gone {
        0 => format!("{} Up, and the placement rules need {needed}", counted(up, "TiKV store")),
        _ => format!(
            "{gone} of {up} Up TiKV stores are to leave; {left} would be left, and the placement rules need {needed}"
        ),
    };
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let mut found = scene
        .find(HazardId::TooFewTikv, sentence)
        .on(whole.clone())
        .saw(&whole, "Up TiKV stores", up.to_string(), scene.pd_seen())
        .saw(
            &whole,
            "max-replicas",
            scene.database.max_replicas.map_or("not known".into(), |n| n.to_string()),
            scene.pd_seen(),
        );
    if let Some(rules) = rules {
        found = found.saw(
            &whole,
            "GET /pd/api/v1/config/rules, counts",
            rules.to_string(),
            scene.details.map(|(_, details)| details.at),
        );
    }
    for (part, _) in &leaving {
        let wanted = part.tc.spec.tikv.as_ref().map_or(0, |tikv| tikv.replicas);
        found = found.on(part.subject()).saw(&part.subject(), "spec.tikv.replicas", wanted.to_string(), part.seen());
    }
    vec![found.then("add TiKV in the KubeClusters that stay before any leaves, or lower the replicas knowingly")]
}

/// 55. Tables want more TiFlash replicas than there will be stores.
fn tiflash_replicas(scene: &CheckContext<'_>) -> Vec<Finding> {
    let Some((_, details)) = scene.details else { return Vec::new() };
    let Some(needed) = details.tiflash_needed().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0) else {
        return Vec::new();
    };
    let gone: usize = scene.parts.iter().map(|part| scene.leaving(part, Component::Tiflash)).sum();
    let left = scene.up(true).saturating_sub(gone);
    if left >= needed {
        return Vec::new();
    }
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let sentence = format!(
        "tables want {}, and {} {} left",
        counted(needed, "TiFlash replica"),
        counted(left, "TiFlash store"),
        is(left)
    );
    vec![
        scene
            .find(HazardId::TiflashReplicasRemain, sentence)
            .on(whole.clone())
            .saw(&whole, "GET /pd/api/v1/config/rules, group tiflash", needed.to_string(), Some(details.at))
            .saw(&whole, "Up TiFlash stores after the change", left.to_string(), scene.pd_seen())
            .then("lower the tables' TiFlash replicas first (ALTER TABLE … SET TIFLASH REPLICA); a stuck TiFlash holds TiKV too"),
    ]
}

/// The live KubeCluster in which a pod of this DNS name would have to run, with `(tc name, namespace)`.
fn home<'a>(scene: &CheckContext<'a>, host: &str, component: Component) -> Option<(&'a KubeCluster, String, String)> {
    let mut labels = host.splitn(5, '.');
    let (_, service, namespace) = (labels.next()?, labels.next()?, labels.next()?);
    let (svc, domain) = (labels.next()?, labels.next()?);
    let name = service.strip_suffix(&format!("-{}-peer", component.key()))?;
    let cluster = scene
        .fleet
        .clusters
        .values()
        .find(|cluster| cluster.freshness.is_live() && cluster.dns.serves(domain) == Served::Yes && svc == "svc")?;
    Some((cluster, name.to_owned(), namespace.to_owned()))
}

/// 56. The TidbCluster is gone, or going, and its stores are not.
fn deleted_too_early(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.deleting()) {
        let stores = scene.database.stores.iter().filter(|row| row.place.of() == Some(part.of) && !row.store.is_gone());
        let (stores, members) = (stores.count(), scene.members(part).len());
        if stores + members == 0 {
            continue;
        }
        all.push(
            scene
                .find_at(
                    HazardId::DeletedTooEarly,
                    part,
                    format!(
                        "it is being deleted while {} and {} of it are still in the Database",
                        counted(stores, "store"),
                        counted(members, "PD member")
                    ),
                )
                .saw(&part.subject(), "metadata.deletionTimestamp", "set", part.seen())
                .then("take the stores out by their ids as soon as PD answers, then the members; quorum first"),
        );
    }
    let mut gone: BTreeMap<(String, String, String), Vec<(u64, String)>> = BTreeMap::new();
    for row in scene.database.stores.iter().filter(|row| !row.place.is_known() && !row.store.is_gone()) {
        let host = row.store.host();
        let component = row.store.component();
        let Some((cluster, name, namespace)) = home(scene, host, component) else { continue };
        let exists = cluster.tidb_clusters.keys().any(|key| key.name == name && key.namespace == namespace);
        if !exists {
            let key = (cluster.context.clone(), namespace, name);
            gone.entry(key).or_default().push((row.store.id, row.store.state.clone()));
        }
    }
    for ((context, namespace, name), stores) in gone {
        let was = ObjectRef::new(context, namespace, name);
        let sentence =
            format!("still in the Database: {} of {was}, and that TidbCluster is gone", counted(stores.len(), "store"));
        let mut found = scene.find(HazardId::DeletedTooEarly, sentence).on(Subject::tidb_cluster(&was));
        for (id, state) in &stores {
            found =
                found.saw(&Subject::of_pd(SubjectKind::Store, id.to_string()), "state_name", state, scene.pd_seen());
        }
        all.push(found.then("create the TidbCluster again over its claims, or take the stores out by their ids once enough others are Up"));
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

/// 58. The leader or the majority sits in the TidbCluster that leaves.
fn majority_leaving(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let leaves = part.deleting() || part.tc.spec.pd.as_ref().is_some_and(|pd| pd.replicas == 0);
        let own = scene.members(part);
        if !leaves || own.is_empty() || scene.parts.len() < 2 {
            continue;
        }
        let leader: Option<&&Member> = own.iter().find(|member| member.leader);
        let majority = own.len() > scene.database.members.len() / 2;
        let what = match (leader, majority) {
            (None, false) => continue,
            (Some(_), false) => "PD's leader is",
            (None, true) => "most PD members are",
            (Some(_), true) => "PD's leader and most of its members are",
        };
        let mut found =
            scene.find_at(HazardId::MajorityInLeaving, part, format!("{what} in the TidbCluster that leaves"));
        if let Some(leader) = leader {
            found = found.saw(
                &Subject::of_pd(SubjectKind::Member, leader.id.hex()),
                "leader",
                &leader.name,
                scene.pd_seen(),
            );
        }
        found = found.saw(
            &part.subject(),
            "members here, of all",
            format!("{} of {}", own.len(), scene.database.members.len()),
            scene.pd_seen(),
        );
        let add = "add PD in the KubeClusters that stay";
        all.push(found.then(match hand_over(scene, part) {
            Some(line) => line.behind(format!("{add}, then transfer PD leadership")),
            None => format!("{add} first: no other member can take PD leadership").into(),
        }));
    }
    all
}

/// To a member that stays, where there is one.
fn hand_over(scene: &CheckContext<'_>, leaving: &Part<'_>) -> Option<RunLine> {
    let stays = |part: &&Part<'_>| part.of != leaving.of && !part.deleting();
    let mut others =
        scene.parts.iter().filter(stays).flat_map(|part| scene.members(part).into_iter().map(move |m| (part, m)));
    let well = others.find(|(_, member)| member.healthy == Some(true) && member.place.is_known());
    let (part, pod) = well.and_then(|(part, member)| Some((part, member.place.pod()?)))?;
    Some(RunLine::run("transfer-pd-leader").on(part.of).set("pod", pod))
}

/// 59. Somebody without a PD of its own lives on a TidbCluster that goes.
fn reference_deleted(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.pd.is_none()) {
        let Some(to) = &part.tc.spec.cluster else { continue };
        let target = referenced(scene.fleet, part.of, part.tc);
        let going = target
            .as_ref()
            .and_then(|of| scene.parts.iter().find(|other| other.of == of))
            .filter(|other| other.deleting());
        let Some(other) = going else { continue };
        let namespace = to.namespace.as_deref().unwrap_or(part.tc.namespace());
        all.push(
            scene
                .find_at(
                    HazardId::ReferenceDeleted,
                    part,
                    format!("it has no PD of its own and lives on {}, which is being deleted", other.of),
                )
                .on(other.subject())
                .saw(&part.subject(), "spec.cluster", format!("{namespace}/{}", to.name), part.seen())
                .saw(&other.subject(), "metadata.deletionTimestamp", "set", other.seen())
                .then("let this TidbCluster leave first, or point spec.cluster at one that stays"),
        );
    }
    all
}

fn claim_ref(cluster: &KubeCluster, claim: &Claim) -> Subject {
    let at = ObjectRef::new(&cluster.context, &claim.metadata.namespace, &claim.metadata.name);
    Subject::object(SubjectKind::Claim, &at)
}

/// 60, after a leave: claims of a TidbCluster that is not there any more.
fn old_claims(fleet: &Fleet) -> Vec<Finding> {
    let mut all = Vec::new();
    let clusters = fleet.clusters.values().filter(|cluster| cluster.freshness.is_live());
    for cluster in clusters.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()) {
        let mut by_owner: BTreeMap<(&str, &str), Vec<&Claim>> = BTreeMap::new();
        for claim in cluster.more.claims.iter().flat_map(BTreeMap::values) {
            let Some(instance) = claim.instance() else { continue };
            let namespace = claim.metadata.namespace.as_str();
            let owned =
                cluster.tidb_clusters.values().any(|tc| tc.namespace() == namespace && tc.instance() == instance);
            if claim.holds_data() && !owned {
                by_owner.entry((namespace, instance)).or_default().push(claim);
            }
        }
        for ((namespace, instance), claims) in by_owner {
            let was = ObjectRef::new(&cluster.context, namespace, instance);
            let sentence = format!(
                "{} of {was} {} left, and that TidbCluster is gone: one of the same name would start with that data",
                counted(claims.len(), "volume claim"),
                is(claims.len())
            );
            let mut found = Finding::new(HazardId::OldClaims, None, sentence).on(Subject::tidb_cluster(&was));
            for claim in &claims {
                let policy = claim.reclaim_policy.as_deref().unwrap_or("not known");
                let subject = claim_ref(cluster, claim);
                found = found.saw(
                    &subject,
                    "status.phase, reclaim policy of the volume",
                    format!("{}, {policy}", claim.status.phase),
                    cluster.heard,
                );
            }
            let kubectl = kubectl(&was);
            let data = DATA.join(",");
            all.push(found.then(format!("when their data is not needed: {kubectl} delete pvc -l 'app.kubernetes.io/instance={instance},app.kubernetes.io/component in ({data})'")));
        }
    }
    all
}

/// 60, before a join: claims older than a TidbCluster that has not joined yet.
fn joiner_with_old_claims(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.cluster.is_some() && part.tc.status.cluster_id.is_none())
    {
        let Some(created) = part.tc.metadata.creation_timestamp else { continue };
        let claims = part.cluster.more.claims.iter().flat_map(BTreeMap::values);
        let older: Vec<&Claim> = claims
            .filter(|claim| {
                claim.holds_data()
                    && claim.metadata.namespace == part.of.namespace
                    && claim.instance() == Some(part.tc.instance())
            })
            .filter(|claim| claim.metadata.creation_timestamp.is_some_and(|made| made < created))
            .collect();
        if older.is_empty() {
            continue;
        }
        let sentence = format!(
            "it is to join, but {} of it {} older than itself: it starts with old data",
            counted(older.len(), "claim"),
            is(older.len())
        );
        let mut found = scene.find_at(HazardId::OldClaims, part, sentence);
        for claim in &older {
            let made = claim.metadata.creation_timestamp.map(|made| made.to_string()).unwrap_or_default();
            found = found.saw(&claim_ref(part.cluster, claim), "metadata.creationTimestamp", made, part.seen());
        }
        all.push(found.then("delete the TidbCluster, then these claims (their data is lost), and create it again"));
    }
    all
}

/// 61. Deleting a claim destroys the disk.
fn reclaim_policy(scene: &CheckContext<'_>) -> Vec<Finding> {
    let risky = scene.parts.iter().filter_map(|part| {
        let policy =
            part.tc.spec.pv_reclaim_policy.as_deref().filter(|policy| matches!(*policy, "Delete" | "Recycle"))?;
        Some((part, policy))
    });
    risky
        .map(|(part, policy)| {
            scene
                .find_at(
                    HazardId::ReclaimPolicyDelete,
                    part,
                    format!("pvReclaimPolicy is {policy}: deleting a claim destroys its data"),
                )
                .saw(&part.subject(), "spec.pvReclaimPolicy", policy, part.seen())
                .then(part.patch("{\"pvReclaimPolicy\":\"Retain\"}"))
        })
        .collect()
}
