//! From a scenario to the objects that are there before anybody looks: namespaces, nodes, CRDs, operator, TidbClusters.
//!
//! Pods and their Databases are not put here: the world is run until it is quiet, and what comes out is then given the
//! scenario's stale peerURLs and troubles. It opens no port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::api_server::crd;
use super::cert_manager;
use super::certificate_authority::Authority;
use super::object_store::Store;
use super::pod_status::{NODES, node_name};
use super::request_log::RequestLog;
use super::scenario::{KubeClusterSpec, Scenario, Trouble};
use super::secrets;
use super::world::{KubeCluster, PodKey, TcKey, World};

/// Ticks after which a scenario that is not quiet never will be.
const QUIET_LIMIT: usize = 400;

/// A scenario that does not become what it says.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("the scenario did not become quiet: TidbCluster {0} is not Ready after {QUIET_LIMIT} simulated seconds")]
    Restless(String),
    #[error("the scenario names pod {0}, and no PD member belongs to it")]
    NoMember(String),
}

/// Builds the world of a scenario and runs it up to its quiet state.
pub fn world(
    scenario: &Scenario,
    seed: u64,
    speed: f64,
    log: RequestLog,
    tunnels: BTreeMap<PodKey, SocketAddr>,
    loopback: Option<u8>,
) -> Result<World, SeedError> {
    let index = |name: &str| scenario.kube_clusters.iter().position(|kube| kube.name == name);
    let kubes = scenario
        .kube_clusters
        .iter()
        .map(|spec| {
            let store = Store::new();
            cluster_objects(&store, spec);
            KubeCluster {
                name: spec.name.clone(),
                domain: spec.domain.clone(),
                operator: release(&spec.operator),
                store,
                reaches: spec.reaches.iter().filter_map(|name| index(name)).collect::<BTreeSet<_>>(),
            }
        })
        .collect();
    let world = World::new(kubes, seed, speed, log, tunnels);
    world.state().loopback = loopback;
    christen(&world, scenario);
    let authority = Authority::new("tidb-ca");
    for tc in &scenario.tidb_clusters {
        let Some(kube) = index(&tc.kube_cluster) else { continue };
        let kube = &world.kubes[kube];
        if tc.spec["tlsCluster"]["enabled"] == true {
            secrets::seed(&kube.store, &authority, &tc.namespace, &tc.name, &kube.domain);
        }
        let metadata = json!({"namespace": tc.namespace, "name": tc.name, "generation": 17});
        kube.store.put("tidbclusters", json!({"metadata": metadata, "spec": tc.spec}));
    }
    settle(&world)?;
    stale_urls(&world, scenario)?;
    trouble(&world, scenario);
    Ok(world)
}

/// `v1.6.6` as numbers; what cannot be read counts as 0.
fn release(version: &str) -> (u64, u64, u64) {
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

fn tc_key(world: &World, path: &str) -> Option<TcKey> {
    let mut parts = path.splitn(3, '/');
    let (kube, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let kube = world.kubes.iter().position(|known| known.name == kube)?;
    Some(TcKey { kube, namespace: namespace.to_owned(), name: name.to_owned() })
}

fn christen(world: &World, scenario: &Scenario) {
    let mut state = world.state();
    for database in &scenario.databases {
        if let Some(first) = database.tidb_clusters.first().and_then(|path| tc_key(world, path)) {
            state.christening.insert(first, (database.name.clone(), database.cluster_id));
        }
    }
}

/// Runs until every TidbCluster is Ready and nothing changes any more.
fn settle(world: &World) -> Result<(), SeedError> {
    let mut versions = Vec::new();
    for _ in 0..QUIET_LIMIT {
        world.tick();
        let now: Vec<u64> = world.kubes.iter().map(|kube| kube.store.version()).collect();
        if now == versions && unready(world).is_none() {
            return Ok(());
        }
        versions = now;
    }
    unready(world).map_or(Ok(()), |path| Err(SeedError::Restless(path)))
}

fn unready(world: &World) -> Option<String> {
    let all = world.kubes.iter().flat_map(|kube| kube.store.snapshot("tidbclusters", None).1);
    let mut waiting =
        all.filter(|tc| tc["spec"]["paused"] != true && tc["status"]["conditions"][0]["status"] != "True");
    waiting.next().map(|tc| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!(
            "{}/{} ({})",
            text(&tc["metadata"]["namespace"]),
            text(&tc["metadata"]["name"]),
            text(&tc["status"]["conditions"][0]["reason"])
        )
    })
}

fn stale_urls(world: &World, scenario: &Scenario) -> Result<(), SeedError> {
    let mut state = world.state();
    for spec in &scenario.databases {
        for (pod, url) in &spec.stale_peer_urls {
            let Some(database) = state.databases.iter_mut().find(|database| database.cluster_id == spec.cluster_id)
            else {
                return Err(SeedError::NoMember(pod.clone()));
            };
            let id = database.processes.iter().find(|(_, process)| process.pod.name == *pod).map(|(id, _)| *id);
            let id = id.ok_or_else(|| SeedError::NoMember(pod.clone()))?;
            database.seed_peer_url(id, url);
        }
    }
    Ok(())
}

fn trouble(world: &World, scenario: &Scenario) {
    for trouble in &scenario.troubles {
        match trouble {
            Trouble::CrashLoop { kube_cluster, namespace, pod } => {
                let Some(kube) = world.kubes.iter().position(|known| known.name == *kube_cluster) else { continue };
                let key = PodKey { kube, namespace: namespace.clone(), name: pod.clone() };
                world.state().broken.insert(key);
                world.kubes[kube].store.remove("pods", namespace, pod);
            }
            Trouble::ClosedPort { kube_cluster, port } => {
                let Some(kube) = world.kubes.iter().position(|known| known.name == *kube_cluster) else { continue };
                world.state().closed.insert((kube, *port));
            }
        }
    }
    if !scenario.troubles.is_empty() {
        // Long enough for a pod to be made again and to fail, and for the operator to say so.
        (0..15).for_each(|_| world.tick());
    }
}

fn cluster_objects(store: &Store, spec: &KubeClusterSpec) {
    for index in 0..NODES {
        let name = node_name(&spec.name, index);
        store.put("nodes", json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": format!("{}-{}", spec.name, index + 1)}},
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
                "nodeInfo": {"kubeletVersion": spec.version, "operatingSystem": "linux", "architecture": "amd64"},
            },
        }));
    }
    if spec.crd.installed {
        store.put("customresourcedefinitions", crd::tidbclusters(spec.crd.across_k8s));
        store.put("customresourcedefinitions", crd::custom("tidbmonitors"));
    }
    if spec.cert_manager {
        for plural in cert_manager::KINDS {
            store.put("customresourcedefinitions", crd::custom(plural));
        }
    }
    if spec.crd.operator_v2 {
        store.put("customresourcedefinitions", crd::operator_v2());
    }
    let labels = json!({
        "app.kubernetes.io/name": "tidb-operator", "app.kubernetes.io/instance": "tidb-operator",
        "app.kubernetes.io/component": "controller-manager",
    });
    let template = json!({
        "containers": [{
            "name": "tidb-operator", "image": format!("pingcap/tidb-operator:{}", spec.operator),
            "command": ["/usr/local/bin/tidb-controller-manager"],
        }],
        "serviceAccountName": "tidb-controller-manager",
    });
    store.put("deployments", json!({
        "metadata": {"namespace": "tidb-admin", "name": "tidb-controller-manager", "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template},
        },
        "status": {
            "observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
        },
    }));
    store.put("pods", json!({
        "metadata": {"namespace": "tidb-admin", "name": "tidb-controller-manager-5c7d9f6b4-x2lqz", "labels": labels},
        "spec": template,
    }));
    store.put("configmaps", json!({
        "metadata": {"namespace": "kube-system", "name": "coredns"},
        "data": {"Corefile": format!(".:53 {{\n    errors\n    kubernetes {} in-addr.arpa ip6.arpa\n    cache 30\n}}\n", spec.domain)},
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::scenario;

    #[test]
    fn every_scenario_becomes_quiet() {
        for name in scenario::names() {
            let scenario = Scenario::named(name).expect("an embedded scenario");
            let log = RequestLog::new(None).expect("no file");
            let built = world(&scenario, 1, 1.0, log, BTreeMap::new(), None);
            let world = built.unwrap_or_else(|error| panic!("{name}: {error}"));
            let state = world.state();
            assert_eq!(state.databases.len(), scenario.databases.len(), "{name}");
            for database in &state.databases {
                assert_eq!(database.members.len(), 3, "{name}");
                assert!(database.leader.is_some(), "{name}");
            }
        }
    }
}
