//! `domain.md` §5.4: upgrades, and what rolls too early, by force or twice at once. Hazards 48 to 51, 53, 62 and 69.
//!
//! Not here: leaving ([`crate::hazards::tidbcluster_removal`]), TiDB Operator itself
//! ([`crate::hazards::kube_cluster_and_operator`]), regions without all their peers ([`crate::hazards::region_replicas`]), leaders that
//! are being moved away ([`crate::hazards::stalled_operations`]).

use crate::fleet::advice::RunLine;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::remedy_commands;
use crate::fleet::rollout::{rollout, stateful_set};
use crate::fleet::tidbcluster::Component;
use crate::fleet::tls_toggle::{FORCE_UPGRADE as FORCE, forced};
use crate::fleet::upgrade_order::ORDER;
use crate::fleet::version::Version;
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Subject};

pub(super) const ALL: &[OfDatabase] =
    &[ready_too_early, out_of_order, downgrade, force_upgrade, tiflash_metadata, overlapping];

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
