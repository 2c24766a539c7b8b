//! `domain.md` §5.4: upgrades, and what goes on by itself meanwhile. Hazards 47 to 53 and 62 to 69.
//!
//! Not here: leaving ([`crate::hazards::tidbcluster_removal`]).

use crate::fleet::advice::RunLine;
use crate::fleet::closer_look::{Controller, EVICT_LEADER_SCHEDULER, Policy};
use crate::fleet::hazard_id::HazardId;
use crate::fleet::kubectl_quoting::kubectl_in;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::rollout::{rollout, stateful_set};
use crate::fleet::tidbcluster::Component;
use crate::fleet::tls_toggle::{FORCE_UPGRADE as FORCE, forced};
use crate::fleet::upgrade_order::ORDER;
use crate::fleet::version::Version;
use crate::fleet::workload::EVICT_LEADER;
use crate::fleet::{Fleet, KubeCluster, ObjectRef, remedy_commands};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Subject};
use crate::pluralize::{counted, total};

pub(super) const ALL: &[OfDatabase] = &[
    ready_too_early,
    out_of_order,
    downgrade,
    force_upgrade,
    regions,
    tiflash_metadata,
    eviction,
    no_domain_on_old_operator,
    overlapping,
];

/// 48 and 62. Ready says yes while the parts say no.
fn ready_too_early(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live() && !part.tc.paused() && !part.deleting()) {
        if part.tc.ready_condition().is_none_or(|ready| ready.status != "True") {
            continue;
        }
        for open in rollout(part.cluster, part.tc).into_iter().filter(|component| !component.settled) {
            let (id, sentence) = match open.component.outside_ready() {
                true => (
                    HazardId::OutsideReady,
                    format!("Ready is True and leaves {} out: {}", open.component.title(), open.reason),
                ),
                false => (HazardId::ReadyTooEarly, format!("Ready is True, but {}", open.reason)),
            };
            all.push(
                scene
                    .find_at(id, part, sentence)
                    .rolls(open.component)
                    .saw(&part.subject(), "status.conditions[Ready]", "True", part.seen())
                    .saw(&part.subject(), &format!("rollout of {}", open.component.key()), &open.reason, part.seen())
                    .then(format!("wait for it, or find out what holds it: {}", remedy_commands::watch(part.of))),
            );
        }
    }
    all
}

/// 49. A later component is newer than an earlier one somewhere in the Database.
fn out_of_order(scene: &CheckContext<'_>) -> Vec<Finding> {
    let order: Vec<Component> = ORDER.into_iter().filter(|component| !component.outside_ready()).collect();
    let versions = |component: Component| -> Vec<(&Part<'_>, Version)> {
        let wanted =
            scene.parts.iter().filter(|part| part.tc.component(component).is_some_and(|spec| spec.replicas > 0));
        wanted.filter_map(|part| Some((part, Version::parse(part.tc.component_version(component)?)?))).collect()
    };
    for (index, &earlier) in order.iter().enumerate() {
        for &later in &order[index + 1..] {
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
                    .find(HazardId::UpgradeOutOfOrder, sentence)
                    .on(high.0.subject())
                    .on(low.0.subject())
                    .saw(&high.0.subject(), &format!("version of {}", later.key()), high.1.to_string(), high.0.seen())
                    .saw(&low.0.subject(), &format!("version of {}", earlier.key()), low.1.to_string(), low.0.seen())
                    .then(RunLine::run("upgrade-cluster").on(low.0.of).set("version", format!("v{}", high.1)).behind(
                        format!("bring {} to {} everywhere before {}", earlier.title(), high.1, later.title()),
                    )),
            ];
        }
    }
    Vec::new()
}

/// 50. A component is asked to go back behind what it runs.
fn downgrade(scene: &CheckContext<'_>) -> Vec<Finding> {
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
                        HazardId::Downgrade,
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
fn force_upgrade(scene: &CheckContext<'_>) -> Vec<Finding> {
    let marked = scene.parts.iter().filter(|part| forced(part.tc));
    marked
        .map(|part| {
            scene
                .find_at(
                    HazardId::ForceUpgradeLeft,
                    part,
                    "force-upgrade is left set: pods restart without any safety check",
                )
                .saw(&part.subject(), &format!("metadata.annotations[{FORCE}]"), "true", part.seen())
                .then(remedy_commands::unforce(scene.database, part.of))
        })
        .collect()
}

/// 52. Regions lack peers, or stores are away.
fn regions(scene: &CheckContext<'_>) -> Vec<Finding> {
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    let mut said = Vec::new();
    let mut evidence = Vec::new();
    if let Some((_, details)) = scene.details {
        let leaving = details.removing.as_ref().is_some_and(|all| !all.is_empty())
            || scene.database.stores.iter().any(|row| row.store.is_leaving());
        for (check, count) in details.regions.iter().filter(|(_, count)| **count > 0) {
            let counts = match check {
                RegionCheck::MissPeer | RegionCheck::DownPeer => true,
                // A store that is being emptied has such peers until it is empty.
                RegionCheck::OfflinePeer => !leaving,
                // Comes and goes with every move of a region.
                RegionCheck::PendingPeer => false,
            };
            if counts {
                said.push(format!("{} with {}", counted(*count, "region"), check.word()));
                let field = format!("GET /pd/api/v1/regions/check/{}", check.word());
                evidence.push((whole.clone(), field, count.to_string(), Some(details.at)));
            }
        }
    }
    let away = scene.database.stores.iter().filter(|row| row.store.is_away());
    for row in away {
        said.push(format!("store {} is {}", row.store.id, row.store.state));
        let subject = Subject::of_pd(SubjectKind::Store, row.store.id.to_string());
        evidence.push((subject, "state_name".into(), row.store.state.clone(), scene.pd_seen()));
    }
    if said.is_empty() {
        return Vec::new();
    }
    let mut found = scene.find(HazardId::RegionsUnhealthy, said.join(", ")).on(whole);
    for (subject, field, value, seen) in evidence {
        found = found.saw(&subject, &field, value, seen);
    }
    vec![found.then("start no upgrade and no exit until these are zero and every store is Up")]
}

/// 53. Operator 1.3.0 and TiFlash from 5.4 on.
fn tiflash_metadata(scene: &CheckContext<'_>) -> Vec<Finding> {
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
                    HazardId::TiflashMetadata,
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

/// 63. Leaders or regions are being moved away, which takes long and looks stuck.
fn eviction(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut said = Vec::new();
    let mut evidence = Vec::new();
    for part in &scene.parts {
        let own = part.cluster.pods_of(part.tc);
        for (pod, value) in own.filter_map(|pod| Some((pod, pod.metadata.annotations.get(EVICT_LEADER)?))) {
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, &pod.metadata.name);
            said.push(format!("leaders are asked to leave {at}"));
            evidence.push((
                Subject::object(SubjectKind::Pod, &at),
                format!("metadata.annotations[{EVICT_LEADER}]"),
                value.clone(),
                part.seen(),
            ));
        }
    }
    let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
    if let Some((_, details)) = scene.details {
        let rolls =
            scene.parts.iter().any(|part| part.tc.status.tikv.phase.as_deref().is_some_and(|phase| phase != "Normal"));
        let evicts = details.schedulers.iter().flatten().any(|name| name.starts_with(EVICT_LEADER_SCHEDULER));
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
                EVICT_LEADER_SCHEDULER.into(),
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
    let mut found = scene.find(HazardId::SilentEviction, said.join("; ")).on(whole);
    for (subject, field, value, seen) in evidence {
        found = found.saw(&subject, &field, value, seen);
    }
    vec![found.then("let it go on while the counts fall (tidepilot status --watch); a mark that was left behind: tidepilot diagnose")]
}

/// 64. Nobody reconciles: of each KubeCluster once, however many Databases have a part there.
pub(super) fn fleet(fleet: &Fleet) -> Vec<Finding> {
    let with =
        fleet.clusters.values().filter(|cluster| cluster.freshness.answers() && !cluster.tidb_clusters.is_empty());
    let each = |cluster| operator_down(cluster).into_iter().chain(records_unguarded(cluster));
    with.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()).flat_map(each).collect()
}

/// Run records lie here, and the server takes them from anybody in anybody's name.
fn records_unguarded(cluster: &KubeCluster) -> Option<Finding> {
    let guard = cluster.more.records.filter(|guard| guard.records && guard.policy == Policy::Absent)?;
    let subject = Subject::cluster(&cluster.context);
    let sentence = "runs are recorded here, and no admission policy binds a record to the user who writes it: its opener and driver are only claims";
    let found = format!("{:?}", guard.policy);
    Some(
        Finding::new(HazardId::RunRecordsUnguarded, None, sentence)
            .saw(&subject, "ValidatingAdmissionPolicy tidepilot-run-records", found, cluster.heard)
            .on(subject)
            .then(format!("{} apply -f run-records-policy.yaml # assets/rbac", kubectl_in(&cluster.context))),
    )
}

fn operator_down(cluster: &KubeCluster) -> Option<Finding> {
    let operator = cluster.more.operator.as_ref()?;
    let subject = Subject::cluster(&cluster.context);
    let managers: Vec<&Controller> =
        operator.deployments.iter().filter(|one| one.component == "controller-manager").collect();
    let available = total(managers.iter().map(|one| one.available));
    let wanted = total(managers.iter().map(|one| one.wanted));
    let broken = operator.deployments.iter().find(|one| one.component == "admission-webhook" && one.available == 0);
    let (sentence, field, value) = match (managers.first(), broken) {
        (None, _) => (
            "no Deployment of TiDB Operator was found, though there are TidbClusters".to_owned(),
            "deployments with component=controller-manager".to_owned(),
            "none".to_owned(),
        ),
        (Some(one), _) if wanted == 0 => (
            "TiDB Operator is scaled to 0: nothing that is changed takes effect".to_owned(),
            format!("Deployment {}, spec.replicas", one.key),
            "0".to_owned(),
        ),
        (Some(one), _) if available == 0 => (
            format!(
                "TiDB Operator is not available (0 of {}): nothing that is changed takes effect",
                counted(wanted, "pod")
            ),
            format!("Deployment {}, status.availableReplicas", one.key),
            available.to_string(),
        ),
        (Some(_), Some(webhook)) if operator.webhooks.as_ref().is_some_and(|all| !all.is_empty()) => (
            "the operator's admission webhook is not available: every change of a TidbCluster is refused".to_owned(),
            format!("Deployment {}, status.availableReplicas", webhook.key),
            "0".to_owned(),
        ),
        (Some(_), _) => return None,
    };
    let kubectl = kubectl_in(&cluster.context);
    let then = match managers.first() {
        Some(one) if wanted == 0 => {
            format!("{kubectl} -n {} scale deployment {} --replicas=1", one.key.namespace, one.key.name)
        }
        Some(one) => {
            format!("{kubectl} -n {} get pods -l app.kubernetes.io/component=controller-manager", one.key.namespace)
        }
        None => format!("{kubectl} -A get pods -l app.kubernetes.io/component=controller-manager"),
    };
    let found = Finding::new(HazardId::OperatorDown, None, sentence).saw(&subject, &field, value, cluster.heard);
    Some(found.on(subject).then(then))
}

/// 68. acrossK8s alone, on an operator that expects another PD name.
fn no_domain_on_old_operator(scene: &CheckContext<'_>) -> Vec<Finding> {
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
                    HazardId::AcrossWithoutDomainOldOperator,
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
fn overlapping(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in scene.parts.iter().filter(|part| part.live()) {
        for component in [Component::Pd, Component::Tikv, Component::Tiflash] {
            let Some(spec) = part.tc.component(component) else { continue };
            let Some(set) = stateful_set(part.cluster, part.tc, component) else { continue };
            let rolls = set.rolls();
            let offline =
                scene.database.stores.iter().any(|row| row.store.is_leaving() && row.place.of() == Some(part.of));
            let scales = set.spec.replicas != spec.replicas || (component == Component::Tikv && offline);
            if !rolls || !scales {
                continue;
            }
            all.push(
                scene
                    .find_at(
                        HazardId::OverlappingChanges,
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
                    .then(match set.spec.replicas == spec.replicas {
                        true => "wait until the store that leaves is empty before anything else is changed".to_owned(),
                        false => format!(
                            "put the replicas back until the rolling has ended: {}",
                            part.patch(&format!("{{\"{}\":{{\"replicas\":{}}}}}", component.key(), set.spec.replicas))
                        ),
                    }),
            );
        }
    }
    all
}
