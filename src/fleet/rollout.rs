//! Has a component of a TidbCluster really finished rolling? (`domain.md` §2.2)
//!
//! `Ready=True` is no proof: it stays true right after a patch and while an upgrade is gated. This is the five-part
//! predicate, with the reason when it is not met. Right after a patch all five can still describe the *old* state,
//! so a caller who patched also compares [`revisions`] with those from before.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::tidbcluster::{Component, ComponentStatus, TidbCluster};
use super::workload::{Pod, StatefulSet, runs_version};
use super::{KubeCluster, ObjectKey};
use crate::pluralize::counted;

/// Why a changed start script restarts no pod of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// `configUpdateStrategy` is not `RollingUpdate`: the ConfigMap keeps its name, and the pod template with it.
    InPlace,
    /// Without `config` the operator makes no ConfigMap, and the script lies in it.
    NoConfig,
}

impl Held {
    pub fn words(self) -> &'static str {
        match self {
            Held::InPlace => "InPlace",
            Held::NoConfig => "without config",
        }
    }
}

/// What keeps a changed start script (a new domain, acrossK8s) from restarting the pods of a component; `None`: it
/// restarts them. Read in TiDB Operator 1.3 to 1.6, `pkg/manager/member`: PD, TiKV and TiDB have their script in a
/// ConfigMap that is made only where `config` is set; TiFlash's names lie in its ConfigMap, which is always made; TiCDC and
/// Pump have the script in the container's command, that is in the pod template. TiProxy's ConfigMap is always written in
/// place, whatever the spec says, and nothing that could be set changes that.
pub fn held(component: Component, strategy: &str, has_config: bool) -> Option<Held> {
    let rolling = strategy == "RollingUpdate";
    match component {
        Component::Pd | Component::Tikv | Component::Tidb if !rolling => Some(Held::InPlace),
        Component::Pd | Component::Tikv | Component::Tidb => (!has_config).then_some(Held::NoConfig),
        Component::Tiflash => (!rolling).then_some(Held::InPlace),
        Component::Ticdc | Component::Pump | Component::Tiproxy => None,
    }
}

/// [`held`] for a component of a TidbCluster that exists.
pub fn held_in(tc: &TidbCluster, component: Component) -> Option<Held> {
    let has_config = tc.component(component).is_some_and(|spec| spec.config.is_some());
    held(component, tc.config_update_strategy(component), has_config)
}

/// One component's rollout as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentRollout {
    pub component: Component,
    /// Nothing is under way: it runs as the spec asks, or it is suspended as the spec asks.
    pub settled: bool,
    /// Its pods are gone because a suspendAction asks for that, and nothing more will come. While pods are left it is
    /// neither this nor settled.
    pub suspended: bool,
    /// What is still missing, one sentence; empty when settled.
    pub reason: String,
    pub revision: String,
    pub replicas: i64,
    pub updated: i64,
    pub ready: i64,
}

/// The rollout of every component which the spec asks for, in rolling order.
pub fn rollout(cluster: &KubeCluster, tc: &TidbCluster) -> Vec<ComponentRollout> {
    tc.components()
        .map(|(component, spec)| {
            let set = stateful_set(cluster, tc, component);
            let pods = component_pods(cluster, tc, component);
            let asked = tc.asks_to_suspend(component);
            let reason = match asked {
                true => suspending(tc, component, set, &pods),
                false => unsettled(tc, component, spec.replicas, set, &pods),
            };
            let status = set.map(|s| s.status.clone()).unwrap_or_default();
            ComponentRollout {
                component,
                settled: reason.is_none(),
                suspended: asked && reason.is_none(),
                reason: reason.unwrap_or_default(),
                revision: status.update_revision,
                replicas: spec.replicas,
                updated: status.updated_replicas,
                ready: status.ready_replicas,
            }
        })
        .collect()
}

/// What a suspendAction has taken away: `TiKV, TiDB suspended`; `None` where nothing is.
pub fn suspended_words(cluster: &KubeCluster, tc: &TidbCluster) -> Option<String> {
    let titles: Vec<&str> =
        rollout(cluster, tc).iter().filter(|part| part.suspended).map(|part| part.component.title()).collect();
    (!titles.is_empty()).then(|| format!("{} suspended", titles.join(", ")))
}

/// `updateRevision` of every component's StatefulSet: compare with the ones from before a patch.
pub fn revisions(cluster: &KubeCluster, tc: &TidbCluster) -> BTreeMap<String, String> {
    tc.components()
        .filter_map(|(component, _)| {
            let set = stateful_set(cluster, tc, component)?;
            Some((component.key().to_owned(), set.status.update_revision.clone()))
        })
        .collect()
}

pub fn stateful_set<'a>(cluster: &'a KubeCluster, tc: &TidbCluster, component: Component) -> Option<&'a StatefulSet> {
    cluster.stateful_sets.get(&ObjectKey::new(tc.namespace(), format!("{}-{}", tc.name(), component.key())))
}

/// The pods of one component, by ordinal.
pub fn component_pods<'a>(cluster: &'a KubeCluster, tc: &TidbCluster, component: Component) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = cluster.pods_of(tc).filter(|pod| pod.component() == Some(component.key())).collect();
    pods.sort_by_key(|pod| (pod.ordinal(), pod.metadata.name.clone()));
    pods
}

/// What is missing until a component is suspended (`pkg/manager/suspender` of TiDB Operator 1.6).
fn suspending(tc: &TidbCluster, component: Component, set: Option<&StatefulSet>, pods: &[&Pod]) -> Option<String> {
    let title = component.title();
    match tc.component_status(component).phase.as_deref() {
        Some("Suspend") => match (pods.len(), set) {
            (0, None) => None,
            (0, Some(_)) => Some(format!("{title} is being suspended: its StatefulSet is not gone yet")),
            (left, _) => Some(format!("{title} is being suspended: {} left", counted(left, "pod"))),
        },
        Some(phase @ ("Upgrade" | "Scale")) => {
            Some(format!("{title} is to be suspended, but is in phase {phase}, and the operator waits for its end"))
        }
        _ => Some(format!("{title} is to be suspended, and the operator has not begun with it")),
    }
}

/// Every pod is new and Ready, and the operator still calls it an upgrade: it waits for an answer that does not come, and
/// Ready stays true meanwhile.
pub fn smooth_upgrade(cluster: &KubeCluster, tc: &TidbCluster, component: Component) -> bool {
    let Some(set) = stateful_set(cluster, tc, component) else { return false };
    let pods = component_pods(cluster, tc, component);
    let s = &set.status;
    tc.component_status(component).phase.as_deref() == Some("Upgrade")
        && s.observed_generation == set.metadata.generation
        && s.updated_replicas == s.replicas
        && !pods.is_empty()
        && pods
            .iter()
            .all(|pod| pod.ready() && pod.metadata.labels.get("controller-revision-hash") == Some(&s.update_revision))
}

/// Whether something is on its way that ends by waiting: another template or size, a pod that is being made or taken away. A pod that
/// only starts and ends again is ill, and no change.
pub fn moves(cluster: &KubeCluster, tc: &TidbCluster, component: Component) -> bool {
    let Some(spec) = tc.component(component) else { return false };
    let set = stateful_set(cluster, tc, component);
    let pods = component_pods(cluster, tc, component);
    if tc.asks_to_suspend(component) {
        return suspending(tc, component, set, &pods).is_some();
    }
    let Some(set) = set else { return true };
    let (s, replicas) = (&set.status, spec.replicas);
    let as_asked = s.observed_generation == set.metadata.generation
        && !set.rolls()
        && set.spec.replicas == replicas
        && s.replicas == replicas
        && i64::try_from(pods.len()) == Ok(replicas);
    let rolls = matches!(tc.component_status(component).phase.as_deref(), Some("Upgrade" | "Scale" | "Suspend"));
    let stands = |pod: &&Pod| {
        pod.metadata.deletion_timestamp.is_none()
            && pod.metadata.labels.get("controller-revision-hash") == Some(&s.update_revision)
            && (pod.ready() || pod.loops())
    };
    let wanted = tc.component_version(component);
    let other_version = set.image(component).zip(wanted).is_some_and(|(image, wanted)| !runs_version(image, wanted));
    !as_asked || rolls || other_version || !pods.iter().all(stands)
}

/// What is said of a TidbCluster whose rollout is not at its end: the component, and the last thing that is seen to have
/// moved. Nothing where no StatefulSet that Ready is about is under way.
pub fn under_way(cluster: &KubeCluster, tc: &TidbCluster) -> Option<String> {
    let phase = |component: Component| tc.component_status(component).phase.clone().unwrap_or_default();
    let moving = rollout(cluster, tc).into_iter().find(|component| {
        !component.settled
            && !component.component.outside_ready()
            && (matches!(phase(component.component).as_str(), "Upgrade" | "Scale")
                || stateful_set(cluster, tc, component.component).is_some_and(StatefulSet::rolls))
    })?;
    let pods = component_pods(cluster, tc, moving.component);
    let newest = pods.iter().filter_map(|pod| pod.metadata.creation_timestamp).max();
    let changed = tc.ready_condition().and_then(|ready| ready.last_transition_time);
    let last = match newest.max(changed) {
        Some(at) => format!("; nothing of it has moved since {} UTC", at.strftime("%Y-%m-%d %H:%M:%S")),
        None => String::new(),
    };
    Some(format!("{}{last}", moving.reason))
}

/// How the pods that failover made go away again. Only TiKV and TiFlash wait for a word (`RecoverFailover` in `types.go` of
/// TiDB Operator 1.6); of PD and TiDB the operator takes them away when every member is well.
pub fn after_failover(component: Component) -> String {
    match component {
        Component::Tikv | Component::Tiflash => {
            format!("look at the failed ones, then set spec.{}.recoverFailover and take it out again", component.key())
        }
        Component::Pd | Component::Tidb | Component::Tiproxy | Component::Pump | Component::Ticdc => {
            "bring the failed ones back: the operator takes the others away by itself when all are well".to_owned()
        }
    }
}

/// Why a component is not settled: the first of what is asked of its image, its StatefulSet, its pods and the operator's word.
fn unsettled(
    tc: &TidbCluster,
    component: Component,
    replicas: i64,
    set: Option<&StatefulSet>,
    pods: &[&Pod],
) -> Option<String> {
    let status = tc.component_status(component);
    let title = component.title();
    let has_image = matches!(component, Component::Pd | Component::Tikv | Component::Tidb | Component::Tiflash);
    let version = tc.component_version(component);
    if let (true, Some(version), Some(image)) = (has_image, version, status.image.as_deref())
        && !runs_version(image, version)
    {
        return Some(format!("{title} runs {image}, wanted version {version}"));
    }
    let Some(set) = set else { return Some(format!("{title} has no StatefulSet yet")) };
    // Pump, TiCDC and TiProxy have no image in status (hazard 62): the template tells what their pods are made from.
    if let (false, Some(version), Some(image)) = (has_image, version, set.image(component))
        && !runs_version(image, version)
    {
        return Some(format!("{title} is made from {image}, wanted version {version}"));
    }
    set_unsettled(component, status, replicas, set)
        .or_else(|| pods_unsettled(component, replicas, &set.status.update_revision, pods))
        .or_else(|| operator_unsettled(component, status, replicas))
}

/// What the StatefulSet's status says against it.
fn set_unsettled(component: Component, status: &ComponentStatus, replicas: i64, set: &StatefulSet) -> Option<String> {
    let title = component.title();
    let s = &set.status;
    if s.observed_generation != set.metadata.generation {
        return Some(format!("the StatefulSet controller has not yet seen the newest {title} template"));
    }
    if set.rolls() {
        let all = counted(replicas, "pod");
        return Some(format!("{title} is rolling: {} of {all} on the new revision", s.updated_replicas));
    }
    let failed = i64::try_from(status.failure_members.len() + status.failure_stores.len()).unwrap_or(i64::MAX);
    if failed > 0 && set.spec.replicas == replicas + failed {
        return Some(format!(
            "{title} has {} more than the spec, because failover is still recorded in status; {}",
            counted(failed, "pod"),
            after_failover(component)
        ));
    }
    if set.spec.replicas != replicas || s.replicas != replicas || s.ready_replicas != replicas {
        return Some(format!("{title} has {} ready of {replicas} wanted", s.ready_replicas));
    }
    (s.updated_replicas != replicas).then(|| format!("{title} has {} updated of {replicas} wanted", s.updated_replicas))
}

/// A pod that is missing, of the old revision, or not Ready.
fn pods_unsettled(component: Component, replicas: i64, update_revision: &str, pods: &[&Pod]) -> Option<String> {
    if i64::try_from(pods.len()).unwrap_or(i64::MAX) != replicas {
        return Some(format!("{} shows {} of {replicas} wanted", component.title(), counted(pods.len(), "pod")));
    }
    pods.iter().find_map(|pod| {
        let hash = pod.metadata.labels.get("controller-revision-hash");
        if hash.is_none_or(|hash| hash != update_revision) {
            return Some(format!("pod {} is still on the old revision", pod.metadata.name));
        }
        (!pod.ready() || pod.metadata.deletion_timestamp.is_some())
            .then(|| format!("pod {} is {} and not Ready", pod.metadata.name, pod.status_word()))
    })
}

/// What the operator says in the TidbCluster's status.
fn operator_unsettled(component: Component, status: &ComponentStatus, replicas: i64) -> Option<String> {
    let title = component.title();
    match status.phase.as_deref() {
        Some("Normal") => {}
        Some(phase) => return Some(format!("{title} is in phase {phase}")),
        None => return Some(format!("the operator has not said in which phase {title} is")),
    }
    let has_synced = matches!(component, Component::Pd | Component::Tikv | Component::Tiflash);
    if has_synced && status.synced != Some(true) {
        return Some(format!("the operator cannot reach {title} (status.{}.synced is not true)", component.key()));
    }
    // An empty list is the operator seeing nothing, not everything being well (hazard 2).
    let too_few = |seen: usize, what: &str| {
        (i64::try_from(seen).unwrap_or(i64::MAX) < replicas)
            .then(|| format!("the operator sees {} of {replicas} wanted", counted(seen, &format!("{title} {what}"))))
    };
    match component {
        Component::Pd | Component::Tidb => match status.members.values().find(|member| !member.health) {
            Some(member) => Some(format!("{title} member {} is not healthy", member.name)),
            None => too_few(status.members.len(), "member"),
        },
        Component::Tikv | Component::Tiflash => match status.stores.values().find(|store| store.state != "Up") {
            Some(store) => Some(format!("{title} store {} is {}", store.id, store.state)),
            None => too_few(status.stores.len(), "store"),
        },
        Component::Tiproxy | Component::Pump | Component::Ticdc => None,
    }
}

#[cfg(test)]
mod tests;
