//! `domain.md` §5.4: a TidbCluster that leaves, or is gone, and its stores and members are not. Hazards 56, 58 and 59.
//!
//! What a whole TidbCluster's leave would do is `fleet::removal_impact`'s, which a runbook asks before it begins. Not here: members
//! without a pod ([`crate::hazards::membership`]), too few stores ([`crate::hazards::region_replicas`]), volume claims
//! ([`crate::hazards::volume_claims`]).

use crate::fleet::advice::RunLine;
use crate::fleet::hazard_id::HazardId;
use std::collections::BTreeMap;

use crate::fleet::ObjectRef;
use crate::fleet::database::{Member, referenced};
use crate::fleet::problem_subject::SubjectKind;
use crate::hazards::check_context::{CheckContext, Part, home};
use crate::hazards::{Finding, OfDatabase, Subject};
use crate::pluralize::counted;

pub(super) const ALL: &[OfDatabase] = &[deleted_too_early, majority_leaving, reference_deleted];

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
