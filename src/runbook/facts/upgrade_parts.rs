//! `database.parts`: every component of every TidbCluster of a Database, in the order in which versions move.
//!
//! A projection; the judgement is `fleet::upgrade_order`'s, where `check` finds it too.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Unseen, not_known, of_database};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls_toggle::forced;
use crate::fleet::workload::{Pod, image_tag};
use crate::fleet::{Fleet, ObjectRef, rollout, upgrade_order};

/// The annotation with which the operator looks at the whole quorum before it restarts a PD (`domain.md` §2.3).
const QUORUM_CHECK: &str = "tidb.pingcap.com/pd-check-quorum-before-upgrade";

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartsFact {
    components: Vec<Part>,
    tidb_clusters: Vec<Member>,
    /// Every version that runs or is asked for, the oldest first.
    versions: Vec<String>,
    /// What is not as it should be, with the reason, and what is not seen.
    unsettled: Vec<String>,
    /// Those of `unsettled` that end by waiting.
    moving: Vec<String>,
    ill: Vec<IllPod>,
    pods: Vec<PartPod>,
}

/// A component of one TidbCluster.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Part {
    /// `component@CONTEXT/NAMESPACE/NAME`.
    key: String,
    /// `CONTEXT/NAMESPACE/NAME`.
    of: String,
    tidb_cluster: ObjectRef,
    /// Of the TidbCluster that was asked about.
    here: bool,
    /// As in the spec: `pd`, `tikv`, …
    component: &'static str,
    /// As people write it: `PD`, `TiKV`, …
    title: &'static str,
    replicas: i64,
    /// It has a version of its own in the spec.
    own_version: bool,
    /// Nothing is under way: it runs as the spec asks, or is suspended as the spec asks.
    settled: bool,
    /// What is still missing; empty when settled.
    reason: String,
    /// What is missing ends by waiting.
    moves: bool,
    /// `configUpdateStrategy`.
    strategy: String,
    has_config: bool,
    /// Why a changed start script would not restart its pods; empty where it does.
    held: &'static str,
    /// Its version moves with an upgrade.
    upgradable: bool,
    /// A suspendAction asks for it to be gone.
    suspended: bool,
    /// `baseImage` has a tag.
    tagged_image: bool,
    /// The suspendAction is the component's own.
    own_suspend: bool,
    /// Of its status, as the operator writes it; null where there is none.
    phase: Option<String>,
    /// Absent where none is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The version of its pods; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<String>,
}

/// A TidbCluster of the Database.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Member {
    /// `CONTEXT/NAMESPACE/NAME`.
    of: String,
    tidb_cluster: ObjectRef,
    /// It is the one that was asked about.
    here: bool,
    /// The same as `of`.
    key: String,
    /// It joined no other.
    initial: bool,
    #[serde(rename = "acrossK8s")]
    across_k8s: bool,
    /// `clusterDomain`; empty where there is none.
    domain: String,
    paused: bool,
    /// The annotation `tidb.pingcap.com/force-upgrade`.
    force_upgrade: bool,
    /// The annotation with which the operator looks at the quorum before it restarts a PD; null where there is none.
    quorum_check: Option<String>,
    has_pd: bool,
    has_tiproxy: bool,
    /// PD runs as microservices.
    has_microservices: bool,
    /// Every component has a version of its own.
    own_versions: bool,
    /// The operator reaches PD (or there is none).
    synced: bool,
    /// `spec.version`; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// A pod of a component.
#[derive(Serialize, JsonSchema)]
struct PartPod {
    /// `CONTEXT/NAMESPACE/NAME` of its TidbCluster.
    of: String,
    /// Of the TidbCluster that was asked about.
    here: bool,
    /// As in the spec: `pd`, `tikv`, …
    component: &'static str,
    pod: String,
    /// It is Ready, and is not going.
    ready: bool,
}

/// A pod that starts, ends and starts again.
#[derive(Serialize, JsonSchema)]
struct IllPod {
    /// `CONTEXT/NAMESPACE/NAME` of its TidbCluster.
    of: String,
    /// Of the TidbCluster that was asked about.
    here: bool,
    /// As in the spec: `pd`, `tikv`, …
    component: &'static str,
    /// As people write it: `PD`, `TiKV`, …
    title: &'static str,
    pod: String,
    /// Its state and how often it restarted.
    why: String,
}

/// Every pod of these parts, with the part that it is of.
fn pods_of<'a>(
    fleet: &'a Fleet,
    parts: &'a [upgrade_order::Part],
) -> impl Iterator<Item = (&'a upgrade_order::Part, &'a Pod)> {
    let seen = parts.iter().filter_map(|part| {
        let (cluster, tc) = fleet.clusters.get(&part.of.context).zip(fleet.tidb_cluster(&part.of))?;
        Some((part, rollout::component_pods(cluster, tc, part.component)))
    });
    seen.flat_map(|(part, pods)| pods.into_iter().map(move |pod| (part, pod)))
}

fn pods(fleet: &Fleet, of: &ObjectRef, parts: &[upgrade_order::Part]) -> Vec<PartPod> {
    let all = pods_of(fleet, parts).map(|(part, pod)| PartPod {
        of: part.of.to_string(),
        here: part.of == *of,
        component: part.component.key(),
        pod: pod.metadata.name.clone(),
        ready: pod.ready() && pod.metadata.deletion_timestamp.is_none(),
    });
    all.collect()
}

fn ill(fleet: &Fleet, of: &ObjectRef, parts: &[upgrade_order::Part]) -> Vec<IllPod> {
    let all = pods_of(fleet, parts).filter(|(_, pod)| pod.loops()).map(|(part, pod)| IllPod {
        of: part.of.to_string(),
        here: part.of == *of,
        component: part.component.key(),
        title: part.component.title(),
        pod: pod.metadata.name.clone(),
        why: format!("{}, {} restarts", pod.status_word(), pod.restarts()),
    });
    all.collect()
}

/// Whether what keeps a part from being settled comes to its end by waiting.
fn moves(fleet: &Fleet, part: &upgrade_order::Part) -> bool {
    let seen = fleet.clusters.get(&part.of.context).zip(fleet.tidb_cluster(&part.of));
    !part.settled && seen.is_none_or(|(cluster, tc)| rollout::moves(cluster, tc, part.component))
}

fn told(fleet: &Fleet, part: &upgrade_order::Part, asked: &ObjectRef) -> Option<Part> {
    let tc = fleet.tidb_cluster(&part.of)?;
    let spec = tc.component(part.component)?;
    Some(Part {
        key: format!("{}@{}", part.component.key(), part.of),
        of: part.of.to_string(),
        tidb_cluster: part.of.clone(),
        here: part.of == *asked,
        component: part.component.key(),
        title: part.component.title(),
        replicas: spec.replicas,
        own_version: part.own_version,
        settled: part.settled,
        reason: part.reason.clone(),
        moves: moves(fleet, part),
        strategy: tc.config_update_strategy(part.component).to_owned(),
        has_config: spec.config.is_some(),
        held: rollout::held_in(tc, part.component).map_or("", rollout::Held::words),
        upgradable: upgrade_order::ORDER.contains(&part.component),
        suspended: tc.asks_to_suspend(part.component),
        tagged_image: spec.base_image.as_deref().is_some_and(|image| image_tag(image).is_some()),
        own_suspend: spec.suspend_action.is_some() && tc.asks_to_suspend(part.component),
        phase: tc.component_status(part.component).phase.clone(),
        version: part.version.clone(),
        running: part.running.clone(),
    })
}

fn member(of: &ObjectRef, tc: &TidbCluster, parts: &[upgrade_order::Part], asked: &ObjectRef) -> Member {
    let pd = tc.spec.pd.as_ref();
    Member {
        of: of.to_string(),
        tidb_cluster: of.clone(),
        here: of == asked,
        key: of.to_string(),
        initial: tc.spec.cluster.is_none(),
        across_k8s: tc.across_k8s(),
        domain: tc.domain().unwrap_or_default().to_owned(),
        paused: tc.paused(),
        force_upgrade: forced(tc),
        quorum_check: tc.metadata.annotations.get(QUORUM_CHECK).cloned(),
        has_pd: pd.is_some(),
        has_tiproxy: tc.component(Component::Tiproxy).is_some(),
        has_microservices: tc.spec.pdms.is_some() || pd.is_some_and(|pd| pd.mode.as_deref() == Some("ms")),
        own_versions: parts.iter().filter(|part| part.of == *of).all(|part| part.own_version),
        synced: pd.is_none() || tc.status.pd.synced == Some(true),
        version: tc.spec.version.clone(),
    }
}

pub(super) fn parts(fleet: &Fleet, of: &ObjectRef) -> Result<PartsFact, Unseen> {
    let database = of_database(fleet, of)?;
    let parts = upgrade_order::parts(fleet, &database);
    let line = |part: &upgrade_order::Part| format!("{} ({})", part.of, part.reason);
    let tidb_clusters = database.tidb_clusters.iter().filter_map(|of| Some((of, fleet.tidb_cluster(of)?)));
    let unsettled = parts.iter().filter(|part| !part.settled).map(line);
    let moving = parts.iter().filter(|part| moves(fleet, part)).map(line);
    Ok(PartsFact {
        components: parts.iter().filter_map(|part| told(fleet, part, of)).collect(),
        tidb_clusters: tidb_clusters.map(|(member_of, tc)| member(member_of, tc, &parts, of)).collect(),
        versions: upgrade_order::versions(fleet, &database),
        unsettled: unsettled.chain(not_known(&database)).collect(),
        moving: moving.chain(not_known(&database)).collect(),
        ill: ill(fleet, of, &parts),
        pods: pods(fleet, of, &parts),
    })
}
