//! Small fleets for the matrix: the shape of the shipped scenarios with as few pods as still make a case.
//!
//! A case costs what its pods cost. Not here: what is shown to people (`assets/scenarios`).

use serde_json::{Value, json};
use tidepilot::sim::scenario::Scenario;

fn kube(name: &str, domain: &str, reaches: &[&str]) -> Value {
    json!({"name": name, "version": "v1.33.4", "domain": domain, "operator": "v1.6.6", "reaches": reaches})
}

fn component(replicas: u32, storage: Option<&str>) -> Value {
    let mut spec = json!({"replicas": replicas, "maxFailoverCount": 0, "config": {}});
    if let Some(storage) = storage {
        spec["requests"] = json!({ "storage": storage });
    }
    spec
}

fn tidb_cluster(place: [&str; 3], more: Value, counts: [u32; 3]) -> Value {
    let mut spec = json!({
        "configUpdateStrategy": "RollingUpdate", "enableDynamicConfiguration": true, "timezone": "UTC",
        "pd": component(counts[0], Some("10Gi")), "tikv": component(counts[1], Some("100Gi")),
        "tidb": component(counts[2], None),
    });
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    json!({"kubeCluster": place[0], "namespace": place[1], "name": place[2], "spec": spec})
}

fn read(kubes: Vec<Value>, tidb_clusters: Vec<Value>, databases: Value) -> Scenario {
    let document = json!({
        "description": "for the matrix", "kubeClusters": kubes, "tidbClusters": tidb_clusters, "databases": databases,
    });
    serde_json::from_value(document).expect("a scenario")
}

/// One TidbCluster that was never opened for others.
pub fn alone(tls: bool) -> Scenario {
    let more = json!({"version": "v7.5.4", "tlsCluster": {"enabled": tls}});
    read(
        vec![kube("legacy", "cluster1.com", &[])],
        vec![tidb_cluster(["legacy", "pingcap", "basic"], more, [3, 1, 1])],
        json!([{"name": "basic", "clusterId": 7218830945512086113_u64, "tidbClusters": ["legacy/pingcap/basic"]}]),
    )
}

/// Two KubeClusters with nothing in them.
pub fn empty(_: bool) -> Scenario {
    read(vec![kube("east", "east.local", &["west"]), kube("west", "west.local", &["east"])], vec![], json!([]))
}

/// The same with cert-manager.
pub fn with_cert_manager(_: bool) -> Scenario {
    let mut scenario = empty(false);
    scenario.kube_clusters.iter_mut().for_each(|kube| kube.cert_manager = true);
    scenario
}

/// A TidbCluster that others may join, and a KubeCluster with nothing in it.
pub fn opened(tls: bool) -> Scenario {
    let more = json!({
        "version": "v8.5.4", "acrossK8s": true, "clusterDomain": "east.local", "tlsCluster": {"enabled": tls},
    });
    read(
        vec![kube("east", "east.local", &["west"]), kube("west", "west.local", &["east"])],
        vec![tidb_cluster(["east", "prod", "prod-east"], more, [3, 1, 1])],
        json!([{"name": "prod", "clusterId": 7392618453027716404_u64, "tidbClusters": ["east/prod/prod-east"]}]),
    )
}

/// The spanning one, with peerURLs that two members had before they had a domain.
pub fn half_repaired(tls: bool) -> Scenario {
    let mut scenario = spanning(tls);
    let scheme = if tls { "https" } else { "http" };
    for (pod, tc) in [("prod-east-pd-1", "prod-east"), ("prod-west-pd-0", "prod-west")] {
        let url = format!("{scheme}://{pod}.{tc}-pd-peer.prod.svc:2380");
        scenario.databases[0].stale_peer_urls.insert(pod.to_owned(), url);
    }
    scenario
}

/// One Database across two KubeClusters.
pub fn spanning(tls: bool) -> Scenario {
    let both = |domain: &str| json!({"version": "v8.5.4", "acrossK8s": true, "clusterDomain": domain, "tlsCluster": {"enabled": tls}});
    let mut joined = both("west.local");
    joined["cluster"] = json!({"name": "prod-east", "namespace": "prod", "clusterDomain": "east.local"});
    read(
        vec![kube("east", "east.local", &["west"]), kube("west", "west.local", &["east"])],
        vec![
            tidb_cluster(["east", "prod", "prod-east"], both("east.local"), [2, 3, 1]),
            tidb_cluster(["west", "prod", "prod-west"], joined, [1, 1, 1]),
        ],
        json!([{
            "name": "prod", "clusterId": 7392618453027716404_u64,
            "tidbClusters": ["east/prod/prod-east", "west/prod/prod-west"],
        }]),
    )
}
