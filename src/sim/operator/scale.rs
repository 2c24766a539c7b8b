//! Scaling a component: one replica per pass, with the membership kept in step.
//!
//! PD is not taken to 0 while others live on it; a PD member is deleted before its pod; a store goes Offline, then
//! Tombstone, before its pod (domain.md §2.7). The pods themselves are `statefulset`'s.

use serde_json::{Value, json};

use super::{Pass, Stopped};
use crate::sim::components::Component;
use crate::sim::kubelet;
use crate::sim::pd::stores::StoreState;
use crate::sim::pd::{Change, Proposal};
use crate::sim::tidb_cluster::TidbCluster;
use crate::sim::world::PodKey;

/// How long a store takes to be emptied.
const DRAIN_MS: u64 = 5_000;

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
            Component::Pd => leave_pd(pass, tc, &pod, wanted == 0 && present == 1)?,
            Component::TiKv | Component::TiFlash => leave_store(pass, tc, component, &pod)?,
            Component::TiProxy | Component::Pump | Component::TiDb | Component::TiCdc => {}
        }
        present - 1
    };
    set["spec"]["replicas"] = json!(next);
    set["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(next);
    Ok(())
}

fn refuse(pass: &Pass<'_>, tc: &TidbCluster, reason: &str) -> Stopped {
    if pass.state.now_ms.is_multiple_of(super::RESYNC_MS) {
        pass.world.event(pass.kube, &tc.object, "tidb-controller-manager", "Warning", "FailedScaleIn", reason);
    }
    Stopped::new(reason)
}

fn leave_pd(pass: &mut Pass<'_>, tc: &TidbCluster, pod: &PodKey, last: bool) -> Result<(), Stopped> {
    let status = &tc.object["status"];
    let count = |component: &str, list: &str| status[component][list].as_object().map_or(0, serde_json::Map::len);
    let users = count("tikv", "stores") + count("tiflash", "stores") + count("tidb", "members");
    if last && users > 0 {
        return Err(refuse(pass, tc, &format!("The PD is in use by TidbCluster [{}/{}]", tc.namespace(), tc.name())));
    }
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

fn leave_store(pass: &mut Pass<'_>, tc: &TidbCluster, component: Component, pod: &PodKey) -> Result<(), Stopped> {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return Ok(()) };
    let now_ms = pass.state.now_ms;
    let database = &pass.state.databases[index];
    let Some(store) = database.stores.values().find(|store| store.pod == *pod && store.state != StoreState::Tombstone)
    else {
        return Ok(());
    };
    let (id, state, since) = (store.id, store.state, store.removing_since_ms);
    let up = database.stores.values().filter(|store| !store.tiflash && store.state == StoreState::Up).count() as u64;
    if component == Component::TiKv && state == StoreState::Up && up <= database.max_replicas {
        let need = database.max_replicas;
        return Err(refuse(
            pass,
            tc,
            &format!(
                "the number of stores in Up state of TidbCluster [{}/{}] is {up}, less than or equal to MaxReplicas in PD configuration({need}), can't scale in TiKV, podname {}",
                tc.namespace(),
                tc.name(),
                pod.name
            ),
        ));
    }
    let Some(store) = pass.state.databases[index].stores.get_mut(&id) else { return Ok(()) };
    match since {
        None => {
            store.state = StoreState::Offline;
            store.removing_since_ms = Some(now_ms);
            store.leaders = 0;
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
