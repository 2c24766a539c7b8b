//! Nothing moves: what the objects and events say about why, and the lines that show the rest. Pure.
//!
//! TiDB Operator tells of most of its refusals nowhere but in its log (no event, no condition), so its log is always
//! named. Not here: for how long nothing has moved (`app::driver::stall_detection`), reading events (`client::kube::snapshot_extras`).

use crate::fleet::closer_look::Controller;
use crate::fleet::database::parts_of;
use crate::fleet::kubectl_quoting::{kubectl_in, place, quote};
use crate::fleet::rollout::{component_pods, rollout, smooth_upgrade};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, KubeCluster, ObjectRef};
use crate::pluralize::{counted, has, total};
use crate::runbook::actions::Action;
use crate::runbook::plan::PlannedStep;

/// Signs and lines in one sentence; more would not be read.
const MOST_SIGNS: usize = 5;

/// One piece of a sentence, to stand behind what is waited for. `fleet` with events, claims and the operator, as far as
/// they may be read.
pub fn told(step: &PlannedStep, target: &ObjectRef, fleet: &Fleet) -> String {
    let mut signs = Vec::new();
    let mut lines = Vec::new();
    for of in about(step, target, fleet) {
        let Some(cluster) = fleet.clusters.get(&of.context) else { continue };
        let tc = cluster.tidb_clusters.get(&of.key());
        signs.extend(of_operator(cluster));
        if let Some(tc) = tc {
            signs.extend(of_tidb_cluster(&of, cluster, tc));
        }
        lines.extend(to_look(&of, cluster, tc));
    }
    signs.dedup();
    lines.dedup();
    let mut out = String::new();
    if !signs.is_empty() {
        let more = signs.len().saturating_sub(MOST_SIGNS);
        signs.truncate(MOST_SIGNS);
        out.push_str(&format!(". Found: {}", signs.join("; ")));
        if more > 0 {
            out.push_str(&format!("; and {more} more"));
        }
    }
    lines.truncate(MOST_SIGNS);
    if !lines.is_empty() {
        out.push_str(&format!(". Where to look: `{}`", lines.join("`, `")));
    }
    out
}

/// The TidbClusters that a step waits for: its own, and where it is of PD's whole membership those of the Database.
fn about(step: &PlannedStep, target: &ObjectRef, fleet: &Fleet) -> Vec<ObjectRef> {
    let own = step.action.target();
    let single = matches!(step.action, Action::WaitRollout(_) | Action::PatchTidbCluster(_));
    let of = if fleet.tidb_cluster(own).is_some() { own } else { target };
    if single {
        return vec![of.clone()];
    }
    // Those that are not settled first: the step waits for one of them.
    let mut all = parts_of(fleet, of);
    let settled = |of: &ObjectRef| {
        let found = fleet.clusters.get(&of.context).zip(fleet.tidb_cluster(of));
        found.is_none_or(|(cluster, tc)| rollout(cluster, tc).iter().all(|component| component.settled))
    };
    all.sort_by_key(|of| settled(of));
    all.truncate(2);
    all
}

fn of_operator(cluster: &KubeCluster) -> Option<String> {
    let managers: Vec<&Controller> = manager(cluster).collect();
    let available = total(managers.iter().map(|one| one.available));
    let wanted = total(managers.iter().map(|one| one.wanted));
    cluster.more.operator.as_ref()?;
    match managers.is_empty() {
        true => Some(format!("no TiDB Operator runs in {}", cluster.context)),
        false => (available == 0).then(|| {
            format!(
                "TiDB Operator is not available in {} (0 of {}), so nothing is done",
                cluster.context,
                counted(wanted, "pod")
            )
        }),
    }
}

fn manager(cluster: &KubeCluster) -> impl Iterator<Item = &Controller> {
    let all = cluster.more.operator.iter().flat_map(|operator| &operator.deployments);
    all.filter(|one| one.component == "controller-manager")
}

fn of_tidb_cluster(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster) -> Vec<String> {
    let mut signs = Vec::new();
    if tc.paused() {
        signs.push(format!("TidbCluster {of} is paused (spec.paused is true)"));
    }
    let pods: Vec<&Pod> = Component::ALL.iter().flat_map(|component| component_pods(cluster, tc, *component)).collect();
    signs.extend(pods.iter().filter_map(|pod| trouble(pod)));
    for component in Component::ALL.iter().filter(|component| smooth_upgrade(cluster, tc, **component)) {
        let (title, key) = (component.title(), component.key());
        signs.push(format!(
            "status.{key}.phase is Upgrade though every {title} pod is new: the operator waits for an answer of {title} (a smooth upgrade asks TiDB at :10080/upgrade/…)"
        ));
    }
    signs.extend(no_class(cluster, tc));
    signs.extend(events(cluster, tc, &pods));
    signs
}

/// Why a pod is not Ready, as far as it says so itself.
fn trouble(pod: &Pod) -> Option<String> {
    if pod.ready() {
        return None;
    }
    let unscheduled = pod.status.conditions.iter().find(|one| one.kind == "PodScheduled" && one.status == "False");
    let why = unscheduled.map(|one| one.message.as_str()).filter(|message| !message.is_empty());
    let restarts = match pod.restarts() {
        0 => String::new(),
        times => format!(", restarted {}", counted(times, "time")),
    };
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("pod {} is {}{restarts}{why}", pod.metadata.name, pod.status_word()))
}

/// With a claim without StorageClass the operator restarts no pod of the component, and only its log says so.
fn no_class(cluster: &KubeCluster, tc: &TidbCluster) -> Option<String> {
    let claims = cluster.more.claims.iter().flat_map(|claims| claims.values());
    let bare = claims.filter(|claim| {
        claim.metadata.namespace == tc.namespace()
            && claim.binds_to(tc.name()).is_some()
            && claim.spec.storage_class_name.as_deref().is_none_or(str::is_empty)
    });
    let names: Vec<&str> = bare.map(|claim| claim.metadata.name.as_str()).collect();
    let first = names.first()?;
    Some(format!(
        "{} {} no StorageClass ({first}{}): the operator then refuses to restart the pods (\"StorageClass of pvc … is not set\")",
        counted(names.len(), "volume claim"),
        has(names.len()),
        if names.len() > 1 { ", …" } else { "" }
    ))
}

/// Warnings of the TidbCluster, its StatefulSets, claims and pods, the newest first.
fn events(cluster: &KubeCluster, tc: &TidbCluster, pods: &[&Pod]) -> Vec<String> {
    let made = tc.metadata.creation_timestamp;
    let own = |kind: &str, name: &str| match kind {
        "Pod" => pods.iter().any(|pod| pod.metadata.name == name),
        "TidbCluster" => name == tc.name(),
        "StatefulSet" => name.strip_prefix(tc.name()).is_some_and(|rest| rest.starts_with('-')),
        _ => false,
    };
    let all = cluster.more.events.iter().flatten();
    let ours = all.filter(|event| {
        event.object.namespace == tc.namespace() && event.last >= made && own(&event.kind, &event.object.name)
    });
    let told = ours.map(|event| format!("{} {}: {}: {}", event.kind, event.object.name, event.reason, event.message));
    told.take(3).collect()
}

fn to_look(of: &ObjectRef, cluster: &KubeCluster, tc: Option<&TidbCluster>) -> Vec<String> {
    let kubectl = kubectl_in(&of.context);
    let mut lines = Vec::new();
    match manager(cluster).next() {
        Some(one) => lines.push(format!(
            "{kubectl} -n {} logs deploy/{} --since=15m",
            quote(&one.key.namespace),
            quote(&one.key.name)
        )),
        None => lines.push(format!("{kubectl} get deploy -A -l app.kubernetes.io/component=controller-manager")),
    }
    let sick = tc.and_then(|tc| {
        let all = Component::ALL.iter().flat_map(|component| component_pods(cluster, tc, *component));
        all.into_iter().find(|pod| !pod.ready())
    });
    if let Some(pod) = sick {
        lines.push(format!("kubectl {} describe pod {}", place(of), quote(&pod.metadata.name)));
    }
    lines.push(format!("kubectl {} get events --sort-by=.lastTimestamp", place(of)));
    lines
}
