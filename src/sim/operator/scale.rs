//! Scaling a component: one replica per pass, with the membership kept in step.
//!
//! PD is not taken to 0 while others live on it; a PD member is deleted before its pod; a store goes Offline, then
//! Tombstone, before its pod (domain.md §2.7). The pods themselves are `statefulset`'s.

use serde_json::{Value, json};

use super::{Pass, Stopped};
use crate::sim::components::Component;
use crate::sim::kubelet;
use crate::sim::pd::stores::{DRAIN_MS, Store, StoreState};
use crate::sim::pd::{Change, Proposal};
use crate::sim::tidb_cluster::TidbCluster;
use crate::sim::world::PodKey;

pub fn scale(pass: &mut Pass<'_>, tc: &TidbCluster, component: Component, set: &mut Value) -> Result<(), Stopped> {
    let wanted = u64::from(tc.replicas(component));
    let present = set["spec"]["replicas"].as_u64().unwrap_or(0);
    if wanted == present {
        return Ok(());
    }
    if tc.object["status"][component.key()]["phase"] == "Upgrade" {
        return Err(Stopped::new(format!("{} is upgrading, can not scale now", component.key())));
    }
    let next = if wanted > present {
        present + 1
    } else {
        let ordinal = u32::try_from(present - 1).unwrap_or(0);
        let name = component.pod(tc.name(), ordinal);
        let pod = PodKey { kube: pass.kube, namespace: tc.namespace().to_owned(), name };
        match component {
            Component::Pd if wanted == 0 && present == 1 && in_use(pass, tc) => return Ok(()),
            Component::TiKv if too_few(pass, tc, &pod) => return Ok(()),
            Component::Pd => leave_pd(pass, tc, &pod)?,
            Component::TiKv | Component::TiFlash => leave_store(pass, tc, &pod)?,
            Component::TiProxy | Component::Pump | Component::TiDb | Component::TiCdc => {}
        }
        present - 1
    };
    set["spec"]["replicas"] = json!(next);
    set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(next);
    Ok(())
}

/// A refusal is an Event and no error: what stands behind this component in the pass goes on.
fn refuse(pass: &Pass<'_>, tc: &TidbCluster, reason: &str) {
    if pass.state.now_ms.is_multiple_of(super::RESYNC_MS) {
        pass.world.event(pass.kube, &tc.object, "tidb-controller-manager", "Warning", "FailedScaleIn", reason);
    }
}

/// The last PD stays while other components of its TidbCluster live on it.
fn in_use(pass: &Pass<'_>, tc: &TidbCluster) -> bool {
    let status = &tc.object["status"];
    let count = |component: &str, list: &str| status[component][list].as_object().map_or(0, serde_json::Map::len);
    let sets = ["ticdc", "pump"].map(|key| status[key]["statefulSet"]["replicas"].as_u64().unwrap_or(0));
    let users = count("tikv", "stores") + count("tiflash", "stores") + count("tidb", "members");
    let used = users > 0 || sets.iter().any(|replicas| *replicas > 0);
    if used {
        refuse(pass, tc, &format!("The PD is in use by TidbCluster [{}/{}]", tc.namespace(), tc.name()));
    }
    used
}

/// Taking this store away would leave fewer Up stores in the whole Database than PD wants replicas.
fn too_few(pass: &Pass<'_>, tc: &TidbCluster, pod: &PodKey) -> bool {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return false };
    let database = &pass.state.databases[index];
    let up = |store: &&Store| !store.tiflash && store.state == StoreState::Up;
    let count = database.stores.values().filter(up).count() as u64;
    let refused = count <= database.max_replicas && database.stores.values().filter(up).any(|store| store.pod == *pod);
    if refused {
        let need = database.max_replicas;
        refuse(
            pass,
            tc,
            &format!("{count} TiKV stores are Up and max-replicas is {need}: {} cannot be scaled in", pod.name),
        );
    }
    refused
}

fn leave_pd(pass: &mut Pass<'_>, tc: &TidbCluster, pod: &PodKey) -> Result<(), Stopped> {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return Ok(()) };
    let database = &mut pass.state.databases[index];
    let Some(id) = database.member_at(pod) else { return Ok(()) };
    if database.leader == Some(id) {
        if let Some(next) = database.successor(id, |process| tc.owns_client_url(&process.client_url)) {
            database.transfer(next);
            return Err(Stopped::new("pd leader is being transferred"));
        }
    } else if let Some(leader) = database.leader
        && matches!(database.propose(leader, Change::Remove { id }), Proposal::Waiting(_))
    {
        return Err(Stopped::new("pd has no majority"));
    }
    Ok(())
}

fn leave_store(pass: &mut Pass<'_>, tc: &TidbCluster, pod: &PodKey) -> Result<(), Stopped> {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return Ok(()) };
    let now_ms = pass.state.now_ms;
    let database = &pass.state.databases[index];
    let Some(store) = database.stores.values().find(|store| store.pod == *pod && store.state != StoreState::Tombstone)
    else {
        return Ok(());
    };
    let (id, since) = (store.id, store.removing_since_ms);
    let Some(store) = pass.state.databases[index].stores.get_mut(&id) else { return Ok(()) };
    match since {
        None => {
            store.state = StoreState::Offline;
            store.removing_since_ms = Some(now_ms);
            pass.state.databases[index].give_leaders_up(id);
        }
        Some(since) if now_ms >= since + DRAIN_MS => {
            store.state = StoreState::Tombstone;
            store.regions = 0;
            return Ok(());
        }
        Some(_) => {}
    }
    Err(Stopped::new(format!("store {id} of {} is not tombstone yet", pod.name)))
}
