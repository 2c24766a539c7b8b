//! Rolling a component: which ordinal may go next, and what must hold before it does.
//!
//! The operator only moves the partition of a StatefulSet; `statefulset` replaces pods. Per domain.md §2.3: highest ordinal
//! first, leadership and leaders moved away before, the next one only when the last one is healthy, and gates between the
//! components of one TidbCluster (none between TidbClusters).

use serde_json::{Value, json};

use super::{Pass, Stopped};
use crate::sim::components::Component;
use crate::sim::dns::is_ready;
use crate::sim::kubelet::{self};
use crate::sim::pd::stores::StoreState;
use crate::sim::tidb_cluster::TidbCluster;
use crate::sim::world::PodKey;

/// Rolls PD without looking, when the operator cannot reach it (domain.md §2.3, force path).
pub fn forced(tc: &TidbCluster, set: &Value, same_template: bool) -> bool {
    let pd = &tc.object["status"]["pd"];
    if pd["synced"] == true || same_template {
        return false;
    }
    let asked = tc.annotation("tidb.pingcap.com/force-upgrade") == Some("true");
    let alone = set["spec"]["replicas"].as_u64().unwrap_or(0) < 2
        && pd["peerMembers"].as_object().is_none_or(|peers| peers.is_empty());
    asked || alone
}

/// Whether a component has to wait for others of its TidbCluster.
pub fn gated(tc: &TidbCluster, component: Component) -> bool {
    use Component::{Pd, Pump, TiCdc, TiDb, TiFlash, TiKv, TiProxy};
    let before: &[Component] = match component {
        Pd | TiProxy | Pump => &[],
        TiFlash => &[Pd],
        TiKv => &[Pd, TiFlash],
        TiDb => &[Pd, TiKv, TiFlash, Pump],
        TiCdc => &[Pd, TiKv, TiFlash, Pump, TiDb],
    };
    before.iter().any(|other| {
        let phase = &tc.object["status"][other.key()]["phase"];
        phase == "Upgrade" || phase == "Scale"
    })
}

/// Moves the partition in `set` one step, or says what it waits for.
pub fn upgrade(
    pass: &mut Pass<'_>,
    tc: &TidbCluster,
    component: Component,
    set: &mut Value,
    same_template: bool,
) -> Result<(), Stopped> {
    if component == Component::Pd && tc.object["status"]["pd"]["synced"] != true {
        return Err(Stopped::new("pd status sync failed, can not to be upgraded"));
    }
    // The new template is written first; only the pass after the controller has seen it moves the partition.
    let seen = set["status"]["observedGeneration"] == set["metadata"]["generation"];
    if !same_template || !seen || set["status"]["currentRevision"] == set["status"]["updateRevision"] {
        return Ok(());
    }
    let replicas = u32::try_from(set["spec"]["replicas"].as_u64().unwrap_or(0)).unwrap_or(0);
    for ordinal in (0..replicas).rev() {
        let name = component.pod(tc.name(), ordinal);
        let store = &pass.world.kubes[pass.kube].store;
        let pod =
            store.find("pods", tc.namespace(), &name).ok_or_else(|| Stopped::new(format!("pod {name} not found")))?;
        if pod["metadata"]["labels"]["controller-revision-hash"] == set["status"]["updateRevision"] {
            if !is_ready(&pod) || pod["metadata"]["deletionTimestamp"].is_string() {
                return Err(Stopped::new(format!("upgraded pod {name} is not ready")));
            }
            healthy(pass, tc, component, ordinal)?;
            continue;
        }
        let key = PodKey { kube: pass.kube, namespace: tc.namespace().to_owned(), name };
        prepare(pass, tc, component, &key)?;
        set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(ordinal);
        return Ok(());
    }
    Ok(())
}

/// What a freshly upgraded pod must show before the next one goes.
fn healthy(pass: &Pass<'_>, tc: &TidbCluster, component: Component, ordinal: u32) -> Result<(), Stopped> {
    let status = &tc.object["status"][component.key()];
    let name = component.pod(tc.name(), ordinal);
    match component {
        Component::Pd => {
            let expected = tc.pd_name(ordinal);
            if status["members"][&expected]["health"] != true {
                return Err(Stopped::new(format!("pd member {expected} is not healthy")));
            }
        }
        Component::TiKv | Component::TiFlash => {
            let up = status["stores"]
                .as_object()
                .into_iter()
                .flatten()
                .any(|(_, store)| store["podName"] == *name && store["state"] == "Up");
            if !up {
                return Err(Stopped::new(format!("store of {name} is not up")));
            }
        }
        Component::TiDb if status["members"][&name]["health"] != true => {
            return Err(Stopped::new(format!("tidb {name} is not healthy")));
        }
        Component::TiDb | Component::TiProxy | Component::Pump | Component::TiCdc => {}
    }
    if component == Component::Pd && tc.annotation("tidb.pingcap.com/pd-check-quorum-before-upgrade") == Some("true") {
        return quorum(pass, tc);
    }
    Ok(())
}

/// The optional check wants more than half of all members plus one (so with one or two PDs it never holds).
fn quorum(pass: &Pass<'_>, tc: &TidbCluster) -> Result<(), Stopped> {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return Ok(()) };
    let database = &pass.state.databases[index];
    let healthy = database.members.iter().filter(|member| database.in_touch(member.id)).count();
    if healthy > database.members.len() / 2 + 1 { Ok(()) } else { Err(Stopped::new("pd quorum is not healthy")) }
}

/// Without a StorageClass the operator cannot tell whether a volume is to be modified, and restarts no TiKV pod for ever;
/// nothing but its log says so (seen with 1.6.6).
fn class_of_claim(pass: &Pass<'_>, pod: &PodKey) -> Result<(), Stopped> {
    let name = format!("tikv-{}", pod.name);
    let claim = pass.world.kubes[pass.kube].store.find("persistentvolumeclaims", &pod.namespace, &name);
    let class = |claim: &Value| claim["spec"]["storageClassName"].as_str().is_some_and(|class| !class.is_empty());
    match claim.is_none_or(|claim| class(&claim)) {
        true => Ok(()),
        false => Err(Stopped::new(format!(
            "upgradeTiKVPod: failed to modify volumes of pod {}: StorageClass of pvc {name} is not set, requeuing",
            pod.name
        ))),
    }
}

/// Moves leadership or leaders away from a pod that goes next.
fn prepare(pass: &mut Pass<'_>, tc: &TidbCluster, component: Component, pod: &PodKey) -> Result<(), Stopped> {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return Ok(()) };
    if component == Component::Pd {
        if tc.annotation("tidb.pingcap.com/pd-check-quorum-before-upgrade") == Some("true") {
            quorum(pass, tc)?;
        }
        let database = &mut pass.state.databases[index];
        let Some(leader) = database.leader.filter(|leader| database.member_at(pod) == Some(*leader)) else {
            return Ok(());
        };
        let own = |process: &crate::sim::pd::Process| tc.owns_client_url(&process.client_url);
        let Some(next) = database.successor(leader, own) else { return Ok(()) };
        database.transfer(next);
        return Err(Stopped::new("pd leader is being transferred"));
    }
    if component == Component::TiKv {
        class_of_claim(pass, pod)?;
        let database = &mut pass.state.databases[index];
        let mut stores = database.stores.values();
        let full = stores.find(|store| store.pod == *pod && store.state == StoreState::Up && store.leaders > 0);
        if let Some(id) = full.map(|store| store.id) {
            database.give_leaders_up(id);
            return Err(Stopped::new("leaders are being evicted"));
        }
    }
    Ok(())
}
