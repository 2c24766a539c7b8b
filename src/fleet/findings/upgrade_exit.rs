//! `domain.md` §5.4: upgrade, exit and what is left of it. Hazards 47 to 69.

use std::collections::BTreeMap;

use super::membership::FORCE;
use super::scene::{Part, Scene, kubectl};
use super::{Finding, OfDatabase, Subject};
use crate::fleet::database::{Database, Member, host, referenced};
use crate::fleet::extras::{Claim, RegionCheck};
use crate::fleet::rollout::{rollout, stateful_set};
use crate::fleet::tidbcluster::Component;
use crate::fleet::version::Version;
use crate::fleet::{Fleet, KubeCluster, ObjectRef};

pub(super) const ALL: &[OfDatabase] = &[
    ready_too_early,
    out_of_order,
    downgrade,
    force_upgrade,
    regions,
    tiflash_metadata,
    too_few_tikv,
    tiflash_replicas,
    deleted_too_early,
    ghosts,
    majority_leaving,
    reference_deleted,
    joiner_with_old_claims,
    reclaim_policy,
    eviction,
    operator_down,
    no_domain_on_old_operator,
    overlapping,
];

/// What is judged without a Database: what one left behind.
pub(super) fn fleet(fleet: &Fleet, _databases: &[Database]) -> Vec<Finding> {
    old_claims(fleet)
}

fn outside_ready(component: Component) -> bool {
    matches!(component, Component::Pump | Component::Ticdc | Component::Tiproxy)
}

/// 48 and 62. Ready says yes while the parts say no.
fn ready_too_early(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live() && !part.tc.paused() && !part.deleting()) {
        if part.tc.ready_condition().is_none_or(|ready| ready.status != "True") {
            continue;
        }
        for open in rollout(part.cluster, part.tc).into_iter().filter(|component| !component.settled) {
            let (id, sentence) = match outside_ready(open.component) {
                true => (
                    "outside-ready",
                    format!("Ready is True and leaves {} out: {}", open.component.title(), open.reason),
                ),
                false => ("ready-too-early", format!("Ready is True, but {}", open.reason)),
            };
            all.push(
                scene
                    .find_at(id, part, sentence)
                    .saw(&part.subject(), "status.conditions[Ready]", "True", part.seen())
                    .saw(&part.subject(), &format!("rollout of {}", open.component.key()), &open.reason, part.seen())
                    .then(format!(
                        "wait for it, or find out what holds it: tidepilot --context {} -n {} status --watch",
                        part.of.context, part.of.namespace
                    )),
            );
        }
    }
    all
}

/// 49. A later component is newer than an earlier one somewhere in the Database.
fn out_of_order(scene: &Scene<'_>) -> Vec<Finding> {
    const ORDER: [Component; 4] = [Component::Pd, Component::Tiflash, Component::Tikv, Component::Tidb];
    let versions = |component: Component| -> Vec<(&Part<'_>, Version)> {
        let wanted =
            scene.parts.iter().filter(|part| part.tc.component(component).is_some_and(|spec| spec.replicas > 0));
        wanted.filter_map(|part| Some((part, Version::parse(part.tc.component_version(component)?)?))).collect()
    };
    for (index, earlier) in ORDER.into_iter().enumerate() {
        for later in ORDER.into_iter().skip(index + 1) {
            let (early, late) = (versions(earlier), versions(later));
            let (Some(low), Some(high)) =
                (early.iter().min_by_key(|(_, version)| *version), late.iter().max_by_key(|(_, version)| *version))
            else {
                continue;
            };
            if high.1 <= low.1 {
                continue;
            }
            let sentence = format!(
                "{} of {} is asked to run {}, while {} of {} is still at {}",
                later.title(),
                high.0.of,
                high.1,
                earlier.title(),
                low.0.of,
                low.1
            );
            return vec![
                scene
                    .find("upgrade-out-of-order", sentence)
                    .on(high.0.subject())
                    .on(low.0.subject())
                    .saw(&high.0.subject(), &format!("version of {}", later.key()), high.1.to_string(), high.0.seen())
                    .saw(&low.0.subject(), &format!("version of {}", earlier.key()), low.1.to_string(), low.0.seen())
                    .then(format!("bring {} to {} everywhere before {}", earlier.title(), high.1, later.title())),
            ];
        }
    }
    Vec::new()
}

/// 50. A component is asked to go back behind what it runs.
fn downgrade(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        for (component, _) in part.tc.components() {
            let wanted = part.tc.component_version(component).and_then(Version::parse);
            let image = part.tc.component_status(component).image.as_deref();
            let (Some(wanted), Some(runs)) = (wanted, image.and_then(Version::of_image)) else { continue };
            if wanted >= runs {
                continue;
            }
            let field = format!("version of {}", component.key());
            all.push(
                scene
                    .find_at(
                        "downgrade",
                        part,
                        format!("{} runs {runs} and is asked to go back to {wanted}", component.title()),
                    )
                    .saw(&part.subject(), &field, wanted.to_string(), part.seen())
                    .saw(
                        &part.subject(),
                        &format!("status.{}.image", component.key()),
                        image.unwrap_or_default(),
                        part.seen(),
                    )
                    .then(part.patch(&format!("{{\"{}\":{{\"version\":\"{runs}\"}}}}", component.key()))),
            );
        }
    }
    all
}

/// 51. The operator's safety is off.
fn force_upgrade(scene: &Scene<'_>) -> Vec<Finding> {
    let marked = scene.parts.iter().filter_map(|part| Some((part, part.tc.metadata.annotations.get(FORCE)?)));
    marked
        .map(|(part, value)| {
            scene
                .find_at("force-upgrade-left", part, "force-upgrade is left set: pods restart without any safety check")
                .saw(&part.subject(), &format!("metadata.annotations[{FORCE}]"), value, part.seen())
                .then(format!("{} annotate tidbcluster {} {FORCE}-", part.kubectl(), part.of.name))
        })
        .collect()
}

/// 52. Regions lack peers, or stores are away.
fn regions(scene: &Scene<'_>) -> Vec<Finding> {
    let whole = Subject::of_pd("Database", &scene.database.name);
    let mut said = Vec::new();
    let mut evidence = Vec::new();
    if let Some((_, details)) = scene.details {
        let leaving = details.removing.as_ref().is_some_and(|all| !all.is_empty())
            || scene.database.stores.iter().any(|row| row.store.state == "Offline");
        for (check, count) in details.regions.iter().filter(|(_, count)| **count > 0) {
            let counts = match check {
                RegionCheck::MissPeer | RegionCheck::DownPeer => true,
                // A store that is being emptied has such peers until it is empty.
                RegionCheck::OfflinePeer => !leaving,
                // Comes and goes with every move of a region.
                RegionCheck::PendingPeer => false,
            };
            if counts {
                said.push(format!("{count} regions with {}", check.word()));
                let field = format!("GET /pd/api/v1/regions/check/{}", check.word());
                evidence.push((whole.clone(), field, count.to_string(), Some(details.at)));
            }
        }
    }
    let away = scene.database.stores.iter().filter(|row| matches!(row.store.state.as_str(), "Down" | "Disconnected"));
    for row in away {
        said.push(format!("store {} is {}", row.store.id, row.store.state));
        let subject = Subject::of_pd("store", row.store.id.to_string());
        evidence.push((subject, "state_name".into(), row.store.state.clone(), scene.pd_seen()));
    }
    if said.is_empty() {
        return Vec::new();
    }
    let mut found = scene.find("regions-unhealthy", said.join(", ")).on(whole);
    for (subject, field, value, seen) in evidence {
        found = found.saw(&subject, &field, value, seen);
    }
    vec![found.then("start no upgrade and no exit until these are zero and every store is Up")]
}

/// 53. Operator 1.3.0 and TiFlash from 5.4 on.
fn tiflash_metadata(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.tiflash.is_some()) {
        let version = part.tc.component_version(Component::Tiflash).and_then(Version::parse);
        let (Some(operator), Some(version)) = (part.operator(), version) else { continue };
        if operator >= Version::new(1, 3, 1) || version < Version::new(5, 4, 0) {
            continue;
        }
        all.push(
            scene
                .find_at(
                    "tiflash-metadata",
                    part,
                    format!("TiFlash {version} under TiDB Operator {operator} may lose its metadata"),
                )
                .saw(
                    &Subject::cluster(&part.of.context),
                    "Deployment tidb-controller-manager, image",
                    part.operator_line(),
                    part.seen(),
                )
                .saw(&part.subject(), "version of tiflash", version.to_string(), part.seen())
                .then("upgrade the operator to 1.3.1 or later before TiFlash is touched"),
        );
    }
    all
}

/// 54. Fewer Up TiKV stores than replicas, now or once the replicas asked for are reached.
fn too_few_tikv(scene: &Scene<'_>) -> Vec<Finding> {
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
        0 => format!("{up} TiKV stores are Up, and the placement rules need {needed}"),
        _ => format!(
            "{gone} of {up} Up TiKV stores are to leave; {left} would be left, and the placement rules need {needed}"
        ),
    };
    let whole = Subject::of_pd("Database", &scene.database.name);
    let mut found = scene
        .find("too-few-tikv", sentence)
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
fn tiflash_replicas(scene: &Scene<'_>) -> Vec<Finding> {
    let Some((_, details)) = scene.details else { return Vec::new() };
    let Some(needed) = details.tiflash_needed().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0) else {
        return Vec::new();
    };
    let gone: usize = scene.parts.iter().map(|part| scene.leaving(part, Component::Tiflash)).sum();
    let left = scene.up(true).saturating_sub(gone);
    if left >= needed {
        return Vec::new();
    }
    let whole = Subject::of_pd("Database", &scene.database.name);
    let sentence = format!("tables want {needed} TiFlash replicas, and {left} TiFlash stores are left");
    vec![
        scene
            .find("tiflash-replicas-remain", sentence)
            .on(whole.clone())
            .saw(&whole, "GET /pd/api/v1/config/rules, group tiflash", needed.to_string(), Some(details.at))
            .saw(&whole, "Up TiFlash stores after the change", left.to_string(), scene.pd_seen())
            .then("lower the tables' TiFlash replicas first (ALTER TABLE … SET TIFLASH REPLICA); a stuck TiFlash holds TiKV too"),
    ]
}

/// The live KubeCluster in which a pod of this DNS name would have to run, with `(tc name, namespace)`.
fn home<'a>(scene: &Scene<'a>, host: &str, component: Component) -> Option<(&'a KubeCluster, String, String)> {
    let mut labels = host.splitn(5, '.');
    let (_, service, namespace) = (labels.next()?, labels.next()?, labels.next()?);
    let (svc, domain) = (labels.next()?, labels.next()?);
    let name = service.strip_suffix(&format!("-{}-peer", component.key()))?;
    let cluster = scene.fleet.clusters.values().find(|cluster| {
        cluster.freshness.is_live() && cluster.cluster_domain.as_deref() == Some(domain) && svc == "svc"
    })?;
    Some((cluster, name.to_owned(), namespace.to_owned()))
}

/// 56. The TidbCluster is gone, or going, and its stores are not.
fn deleted_too_early(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.deleting()) {
        let stores = scene.database.stores.iter().filter(|row| {
            row.kube_cluster.as_deref() == Some(&part.of.context)
                && row.tidb_cluster.as_deref() == Some(&part.of.name)
                && row.store.state != "Tombstone"
        });
        let (stores, members) = (stores.count(), scene.members(part).len());
        if stores + members == 0 {
            continue;
        }
        all.push(
            scene
                .find_at("deleted-too-early", part, format!("it is being deleted while {stores} of its stores and {members} of its PD members are still in the Database"))
                .saw(&part.subject(), "metadata.deletionTimestamp", "set", part.seen())
                .then("take the stores out by their ids as soon as PD answers, then the members; quorum first"),
        );
    }
    let mut gone: BTreeMap<(String, String, String), Vec<(u64, String)>> = BTreeMap::new();
    for row in scene.database.stores.iter().filter(|row| row.tidb_cluster.is_none() && row.store.state != "Tombstone") {
        let host = row.store.address.split(':').next().unwrap_or_default();
        let component = if row.store.tiflash { Component::Tiflash } else { Component::Tikv };
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
            format!("{} stores of {was} are still in the Database, and that TidbCluster is gone", stores.len());
        let mut found = scene.find("deleted-too-early", sentence).on(Subject::tidb_cluster(&was));
        for (id, state) in &stores {
            found = found.saw(&Subject::of_pd("store", id.to_string()), "state_name", state, scene.pd_seen());
        }
        all.push(found.then("create the TidbCluster again over its claims, or take the stores out by their ids once enough others are Up"));
    }
    all
}

/// 57. A member whose pod is gone for good still counts for quorum.
fn ghosts(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for member in scene.database.members.iter().filter(|member| !member.name.is_empty()) {
        let why = match &member.pod {
            Some(pod) => {
                let part = scene.parts.iter().find(|part| scene.members(part).iter().any(|own| own.id == member.id));
                let Some(part) = part.filter(|part| part.live()) else { continue };
                let ordinal = pod.rsplit('-').next().and_then(|ordinal| ordinal.parse::<i64>().ok());
                let wanted = part.tc.spec.pd.as_ref().map_or(0, |pd| pd.replicas);
                let there = part.cluster.pods.keys().any(|key| key.name == *pod && key.namespace == part.of.namespace);
                if there || ordinal.is_none_or(|ordinal| ordinal < wanted) {
                    continue;
                }
                format!("its pod {}/{pod} is gone, and {} asks for {wanted} PD", part.of.context, part.of)
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
        let subject = Subject::of_pd("member", member.id.hex());
        let health = match member.healthy {
            Some(true) => "healthy",
            Some(false) => "not healthy",
            None => "not known",
        };
        all.push(
            scene
                .find("ghost-member", format!("{} still counts for quorum: {why}", member.name))
                .on(subject.clone())
                .saw(&subject, "name", &member.name, scene.pd_seen())
                .saw(&subject, "health", health, scene.pd_seen())
                .then(format!(
                    "remove it by its id while quorum stands: DELETE /pd/api/v1/members/id/{}",
                    member.id.decimal()
                )),
        );
    }
    all
}

/// 58. The leader or the majority sits in the TidbCluster that leaves.
fn majority_leaving(scene: &Scene<'_>) -> Vec<Finding> {
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
        let mut found = scene.find_at("majority-in-leaving", part, format!("{what} in the TidbCluster that leaves"));
        if let Some(leader) = leader {
            found = found.saw(&Subject::of_pd("member", leader.id.hex()), "leader", &leader.name, scene.pd_seen());
        }
        found = found.saw(
            &part.subject(),
            "members here, of all",
            format!("{} of {}", own.len(), scene.database.members.len()),
            scene.pd_seen(),
        );
        all.push(
            found.then(
                "add PD in the KubeClusters that stay, then hand the lead over: tidepilot run transfer-pd-leader",
            ),
        );
    }
    all
}

/// 59. Somebody without a PD of its own lives on a TidbCluster that goes.
fn reference_deleted(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.pd.is_none()) {
        let Some(to) = &part.tc.spec.cluster else { continue };
        let target = referenced(scene.fleet, part.tc);
        let going = target
            .as_ref()
            .and_then(|of| scene.parts.iter().find(|other| other.of == of))
            .filter(|other| other.deleting());
        let Some(other) = going else { continue };
        let namespace = to.namespace.as_deref().unwrap_or(part.tc.namespace());
        all.push(
            scene
                .find_at(
                    "reference-deleted",
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
    Subject::object("PersistentVolumeClaim", &at)
}

/// 60, after a leave: claims of a TidbCluster that is not there any more.
fn old_claims(fleet: &Fleet) -> Vec<Finding> {
    let mut all = Vec::new();
    let clusters = fleet.clusters.values().filter(|cluster| cluster.freshness.is_live());
    for cluster in clusters.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()) {
        let mut by_owner: BTreeMap<(&str, &str), Vec<&Claim>> = BTreeMap::new();
        for claim in cluster.more.claims.iter().flat_map(BTreeMap::values) {
            let Some(instance) = claim.instance() else { continue };
            // Monitors and backups have claims of their own.
            let data = claim
                .component()
                .is_some_and(|component| matches!(component, "pd" | "tikv" | "tiflash" | "ticdc" | "pump"));
            let namespace = claim.metadata.namespace.as_str();
            let owned =
                cluster.tidb_clusters.values().any(|tc| tc.namespace() == namespace && tc.instance() == instance);
            if data && !owned {
                by_owner.entry((namespace, instance)).or_default().push(claim);
            }
        }
        for ((namespace, instance), claims) in by_owner {
            let was = ObjectRef::new(&cluster.context, namespace, instance);
            let sentence = format!(
                "{} claims of {was} are left, and that TidbCluster is gone: one of the same name would start with their data",
                claims.len()
            );
            let mut found = Finding::new("old-claims", None, sentence).on(Subject::tidb_cluster(&was));
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
            all.push(found.then(format!("when their data is not needed: {kubectl} delete pvc -l app.kubernetes.io/instance={instance},app.kubernetes.io/managed-by=tidb-operator")));
        }
    }
    all
}

/// 60, before a join: claims older than a TidbCluster that has not joined yet.
fn joiner_with_old_claims(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.tc.spec.cluster.is_some() && part.tc.status.cluster_id.is_none())
    {
        let Some(created) = part.tc.metadata.creation_timestamp else { continue };
        let claims = part.cluster.more.claims.iter().flat_map(BTreeMap::values);
        let older: Vec<&Claim> = claims
            .filter(|claim| {
                claim.metadata.namespace == part.of.namespace && claim.instance() == Some(part.tc.instance())
            })
            .filter(|claim| claim.metadata.creation_timestamp.is_some_and(|made| made < created))
            .collect();
        if older.is_empty() {
            continue;
        }
        let sentence =
            format!("it is to join, but {} of its claims are older than itself: it starts with old data", older.len());
        let mut found = scene.find_at("old-claims", part, sentence);
        for claim in &older {
            let made = claim.metadata.creation_timestamp.map(|made| made.to_string()).unwrap_or_default();
            found = found.saw(&claim_ref(part.cluster, claim), "metadata.creationTimestamp", made, part.seen());
        }
        all.push(found.then("delete the TidbCluster, then these claims (their data is lost), and create it again"));
    }
    all
}

/// 61. Deleting a claim destroys the disk.
fn reclaim_policy(scene: &Scene<'_>) -> Vec<Finding> {
    let risky = scene.parts.iter().filter_map(|part| {
        let policy =
            part.tc.spec.pv_reclaim_policy.as_deref().filter(|policy| matches!(*policy, "Delete" | "Recycle"))?;
        Some((part, policy))
    });
    risky
        .map(|(part, policy)| {
            scene
                .find_at(
                    "reclaim-policy-delete",
                    part,
                    format!("pvReclaimPolicy is {policy}: deleting a claim destroys its data"),
                )
                .saw(&part.subject(), "spec.pvReclaimPolicy", policy, part.seen())
                .then(part.patch("{\"pvReclaimPolicy\":\"Retain\"}"))
        })
        .collect()
}

/// 63. Leaders or regions are being moved away, which takes long and looks stuck.
fn eviction(scene: &Scene<'_>) -> Vec<Finding> {
    const MARK: &str = "tidb.pingcap.com/evict-leader";
    let mut said = Vec::new();
    let mut evidence = Vec::new();
    for part in &scene.parts {
        let own =
            part.cluster.pods.values().filter(|pod| {
                pod.metadata.namespace == part.of.namespace && pod.instance() == Some(part.tc.instance())
            });
        for (pod, value) in own.filter_map(|pod| Some((pod, pod.metadata.annotations.get(MARK)?))) {
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, &pod.metadata.name);
            said.push(format!("leaders are asked to leave {at}"));
            evidence.push((
                Subject::object("Pod", &at),
                format!("metadata.annotations[{MARK}]"),
                value.clone(),
                part.seen(),
            ));
        }
    }
    let whole = Subject::of_pd("Database", &scene.database.name);
    if let Some((_, details)) = scene.details {
        let rolls =
            scene.parts.iter().any(|part| part.tc.status.tikv.phase.as_deref().is_some_and(|phase| phase != "Normal"));
        let evicts = details.schedulers.iter().flatten().any(|name| name.starts_with("evict-leader-scheduler"));
        if evicts {
            said.push(match rolls {
                true => "leaders are being moved off a TiKV store, for up to 25 hours".to_owned(),
                false => {
                    "PD keeps leaders off a TiKV store, though no TiKV is being changed: the scheduler was left behind"
                        .to_owned()
                }
            });
            evidence.push((
                whole.clone(),
                "GET /pd/api/v1/schedulers".into(),
                "evict-leader-scheduler".into(),
                Some(details.at),
            ));
        }
        for removal in details.removing.iter().flatten() {
            let store = removal.store_id.map_or("stores".to_owned(), |id| format!("store {id}"));
            let left = removal.left_seconds.filter(|left| left.is_finite() && *left > 0.0);
            let eta = left.map_or("no estimate".to_owned(), |left| format!("about {left:.0} s left"));
            said.push(format!("{store} being emptied: {:.0} %, {eta}", removal.progress * 100.0));
            evidence.push((
                whole.clone(),
                "GET /pd/api/v1/stores/progress".into(),
                format!("{:.2}", removal.progress),
                Some(details.at),
            ));
        }
    }
    if said.is_empty() {
        return Vec::new();
    }
    let mut found = scene.find("silent-eviction", said.join("; ")).on(whole);
    for (subject, field, value, seen) in evidence {
        found = found.saw(&subject, &field, value, seen);
    }
    vec![found.then("let it go on while the counts fall (tidepilot status --watch); a mark that was left behind: tidepilot diagnose")]
}

/// 64. Nobody reconciles.
fn operator_down(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for part in &scene.parts {
        let Some(operator) = &part.cluster.more.operator else { continue };
        let subject = Subject::cluster(&part.of.context);
        if all.iter().any(|found| found.subjects.first() == Some(&subject)) {
            continue;
        }
        let managers = operator.deployments.iter().filter(|one| one.component == "controller-manager");
        let available: i64 = managers.clone().map(|one| one.available).sum();
        let broken = operator.deployments.iter().find(|one| one.component == "admission-webhook" && one.available == 0);
        let found = match (managers.clone().next(), broken) {
            (None, _) => scene
                .find("operator-down", "no Deployment of TiDB Operator was found, though there are TidbClusters")
                .saw(&subject, "deployments with component=controller-manager", "none", part.seen()),
            (Some(one), _) if available == 0 => scene
                .find(
                    "operator-down",
                    format!(
                        "TiDB Operator is not available ({} of {} pods): nothing that is changed takes effect",
                        one.available, one.wanted
                    ),
                )
                .saw(
                    &subject,
                    &format!("Deployment {}, status.availableReplicas", one.key),
                    one.available.to_string(),
                    part.seen(),
                ),
            (Some(_), Some(webhook)) if operator.webhooks.as_ref().is_some_and(|all| !all.is_empty()) => scene
                .find(
                    "operator-down",
                    "the operator's admission webhook is not available: every change of a TidbCluster is refused",
                )
                .saw(&subject, &format!("Deployment {}, status.availableReplicas", webhook.key), "0", part.seen()),
            _ => continue,
        };
        let at = managers.clone().next().map_or("-A".to_owned(), |one| format!("-n {}", one.key.namespace));
        all.push(found.on(subject).then(format!(
            "kubectl --context {} {at} get pods -l app.kubernetes.io/component=controller-manager",
            part.of.context
        )));
    }
    all
}

/// 68. acrossK8s alone, on an operator that expects another PD name.
fn no_domain_on_old_operator(scene: &Scene<'_>) -> Vec<Finding> {
    let old = |part: &&Part<'_>| {
        let before = part
            .operator()
            .is_some_and(|operator| operator >= Version::new(1, 3, 0) && operator < Version::new(1, 3, 9));
        before && part.tc.across_k8s() && part.tc.domain().is_none()
    };
    scene
        .parts
        .iter()
        .filter(old)
        .map(|part| {
            scene
                .find_at(
                    "across-without-domain-old-operator",
                    part,
                    format!(
                        "acrossK8s without clusterDomain under TiDB Operator {}: PD's upgrade never ends",
                        part.operator_line()
                    ),
                )
                .saw(&part.subject(), "spec.clusterDomain", "(absent)", part.seen())
                .saw(
                    &Subject::cluster(&part.of.context),
                    "Deployment tidb-controller-manager, image",
                    part.operator_line(),
                    part.seen(),
                )
                .then("upgrade the operator to 1.3.9 or later before PD is changed")
        })
        .collect()
}

/// 69. TiKV is scaled and rolled in one go.
fn overlapping(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live()) {
        for component in [Component::Pd, Component::Tikv, Component::Tiflash] {
            let Some(spec) = part.tc.component(component) else { continue };
            let Some(set) = stateful_set(part.cluster, part.tc, component) else { continue };
            let rolls = set.status.current_revision != set.status.update_revision;
            let offline = scene.database.stores.iter().any(|row| {
                row.store.state == "Offline"
                    && row.kube_cluster.as_deref() == Some(&part.of.context)
                    && row.tidb_cluster.as_deref() == Some(&part.of.name)
            });
            let scales = set.spec.replicas != spec.replicas || (component == Component::Tikv && offline);
            if !rolls || !scales {
                continue;
            }
            all.push(
                scene
                    .find_at(
                        "overlapping-changes",
                        part,
                        format!(
                            "{} is scaled and rolled at the same time; the rolling can hang for ever",
                            component.title()
                        ),
                    )
                    .saw(
                        &part.subject(),
                        &format!("spec.{}.replicas, of the StatefulSet", component.key()),
                        format!("{}, {}", spec.replicas, set.spec.replicas),
                        part.seen(),
                    )
                    .saw(
                        &part.subject(),
                        "StatefulSet revisions",
                        format!("{}, {}", set.status.current_revision, set.status.update_revision),
                        part.seen(),
                    )
                    .then(format!("put the replicas back to {} until the rolling has ended", set.spec.replicas)),
            );
        }
    }
    all
}
