//! A fleet as large and as restless as asked for: `clusters=16,foreignPods=10000,tidbClusters=200,events=1000/s`.
//!
//! For measuring a client, not for learning: every TidbCluster is a healthy Database of its own. The scenario that it makes
//! goes the usual way through `from_scenario`; this file adds the pods of others, and changes pods without pause. It asks nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::object_store::{Store, identity};
use super::scenario::{Scenario, ScenarioError};
use super::world::World;

/// Between two portions of changes.
const PORTION: Duration = Duration::from_millis(5);
/// Most of each that is built: what is beyond it is a slip of the finger, and would fill the machine.
const MOST: [usize; 4] = [100, 200_000, 2_000, 20_000];

/// What to build, and how often pods change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// KubeClusters. With `None` and no `tidb_clusters` the scenario stays as it is.
    pub clusters: Option<usize>,
    /// Pods that TiDB Operator does not manage, over all KubeClusters.
    pub foreign_pods: usize,
    /// TidbClusters over all KubeClusters; one in each where nothing is said.
    pub tidb_clusters: Option<usize>,
    /// Changes of pods in a second, over all KubeClusters.
    pub events: u32,
}

/// A load that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected clusters=N, foreignPods=N, tidbClusters=N or events=N/s with commas between them, found {0:?}{1}")]
pub struct LoadError(String, String);

impl FromStr for Load {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        let mut load = Load::default();
        let mut seen = Vec::new();
        for part in text.split(',') {
            let wrong = |why: String| LoadError(part.to_owned(), why);
            let (key, value) = part.split_once('=').ok_or_else(|| wrong(String::new()))?;
            if seen.contains(&key) {
                return Err(wrong(format!(": {key} is given twice")));
            }
            seen.push(key);
            let number = |text: &str, least: usize, most: usize| {
                let number = text.parse::<usize>().ok().filter(|number| (least..=most).contains(number));
                number.ok_or_else(|| wrong(format!(": a whole number from {least} to {most} is expected")))
            };
            match key {
                "clusters" => load.clusters = Some(number(value, 1, MOST[0])?),
                "foreignPods" => load.foreign_pods = number(value, 0, MOST[1])?,
                "tidbClusters" => load.tidb_clusters = Some(number(value, 0, MOST[2])?),
                "events" => {
                    let rate = value.strip_suffix("/s").ok_or_else(|| wrong(": a rate as 100/s is expected".into()))?;
                    load.events = u32::try_from(number(rate, 0, MOST[3])?).unwrap_or(u32::MAX);
                }
                _ => return Err(wrong(String::new())),
            }
        }
        Ok(load)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |key: &str, count: Option<usize>| count.map(|count| format!("{key}={count}"));
        let all = [
            count("clusters", self.clusters),
            count("foreignPods", Some(self.foreign_pods).filter(|count| *count > 0)),
            count("tidbClusters", self.tidb_clusters),
            Some(format!("events={}/s", self.events)).filter(|_| self.events > 0),
        ];
        f.write_str(&all.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

impl Load {
    /// The fleet that it asks for; `None`: the scenario stays as it is.
    pub fn scenario(&self) -> Result<Option<Scenario>, ScenarioError> {
        if self.clusters.is_none() && self.tidb_clusters.is_none() {
            return Ok(None);
        }
        let clusters = self.clusters.unwrap_or(3);
        let tidb_clusters = self.tidb_clusters.unwrap_or(clusters);
        let name = |index: usize| format!("load-{:02}", index + 1);
        let kubes: Vec<Value> = (0..clusters)
            .map(|index| json!({"name": name(index), "version": "v1.33.4", "domain": format!("{}.local", name(index)), "operator": "v1.6.6"}))
            .collect();
        let place = |index: usize| (name(index % clusters), format!("db-{:04}", index + 1));
        let tcs = (0..tidb_clusters).map(|index| {
            let (kube, namespace) = place(index);
            let spec = json!({
                "version": "v8.5.7", "clusterDomain": format!("{kube}.local"), "timezone": "UTC",
                "pd": {"replicas": 3, "config": {}, "requests": {"storage": "10Gi"}},
                "tikv": {"replicas": 5, "config": {}, "requests": {"storage": "100Gi"}},
                "tidb": {"replicas": 2, "config": {}, "service": {"type": "ClusterIP"}},
            });
            json!({"kubeCluster": kube, "namespace": namespace, "name": namespace, "spec": spec})
        });
        let databases = (0..tidb_clusters).map(|index| {
            let (kube, namespace) = place(index);
            let id = 7_000_000_000_000_000_000_u64 + index as u64;
            json!({"name": namespace, "clusterId": id, "tidbClusters": [format!("{kube}/{namespace}/{namespace}")]})
        });
        let text = json!({
            "description": "a load", "kubeClusters": kubes,
            "tidbClusters": tcs.collect::<Vec<_>>(), "databases": databases.collect::<Vec<_>>(),
        });
        Scenario::parse("load", &text.to_string()).map(Some)
    }

    /// Puts the pods of others into the stores.
    pub(super) fn add_strangers(&self, world: &World) {
        let kubes = world.kubes.len().max(1);
        for index in 0..self.foreign_pods {
            if let Some(kube) = world.kubes.get(index % kubes) {
                stranger(&kube.store, index);
            }
        }
    }
}

/// A pod with about as much in it as they have.
fn stranger(store: &Store, index: usize) {
    let (namespace, name) = (format!("team-{:02}", index % 40), format!("web-{index:06}-x2lqz"));
    let labels = json!({"app": format!("web-{index:06}"), "pod-template-hash": "5c7d9f6b4"});
    let env: Vec<Value> =
        (0..12).map(|at| json!({"name": format!("SETTING_{at}"), "value": format!("value-{at}-of-{index}")})).collect();
    let image = "registry.example.net/team/web:1.2.3";
    store.put("pods", json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"nodeName": "node-1", "containers": [{"name": "web", "image": image, "env": env}]},
        "status": {
            "phase": "Running", "podIP": "10.9.9.9",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "web", "ready": true, "restartCount": 0, "image": image, "state": {"running": {}}}],
        },
    }));
}

/// Changes pods until it is dropped, one after the other, KubeCluster by KubeCluster.
pub(super) struct Churn {
    rate: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Churn {
    pub fn start(world: Arc<World>, rate: u32) -> Self {
        let rate = Arc::new(AtomicU32::new(rate));
        let task = tokio::spawn(change_for_ever(world, Arc::clone(&rate)));
        Self { rate, task }
    }

    pub fn set(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn change_for_ever(world: Arc<World>, rate: Arc<AtomicU32>) {
    let all: Vec<Vec<(String, String)>> = world.kubes.iter().map(|kube| managed(&kube.store)).collect();
    let mut portions = tokio::time::interval(PORTION);
    portions.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (mut owed, mut turn) = (0.0, 0_usize);
    loop {
        portions.tick().await;
        owed += f64::from(rate.load(Ordering::Relaxed)) * PORTION.as_secs_f64();
        while owed >= 1.0 {
            owed -= 1.0;
            let kube = turn % all.len().max(1);
            if let Some((namespace, name)) =
                all.get(kube).and_then(|pods| pods.get(turn / all.len() % pods.len().max(1)))
            {
                world.kubes[kube].store.edit("pods", namespace, name, restarted);
            }
            turn += 1;
        }
    }
}

fn managed(store: &Store) -> Vec<(String, String)> {
    let managed = |pod: &&Arc<Value>| pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "tidb-operator";
    store.snapshot("pods", None).1.iter().filter(managed).map(|pod| identity(pod)).collect()
}

fn restarted(pod: &mut Value) {
    if let Some(status) = pod.pointer_mut("/status/containerStatuses/0") {
        status["restartCount"] = json!(status["restartCount"].as_u64().unwrap_or(0) + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_read_and_written_the_same() {
        let text = "clusters=16,foreignPods=10000,tidbClusters=200,events=1000/s";
        let load: Load = text.parse().expect("a load");
        assert_eq!(load, Load { clusters: Some(16), foreign_pods: 10_000, tidb_clusters: Some(200), events: 1_000 });
        assert_eq!(load.to_string(), text);
        assert_eq!("events=7/s".parse::<Load>().expect("a part").to_string(), "events=7/s");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let cases = [
            ("", "found \"\""),
            ("pods=3", "found \"pods=3\""),
            ("clusters=0", "from 1 to 100"),
            ("clusters=2,clusters=3", "given twice"),
            ("tidbClusters=9999", "from 0 to 2000"),
            ("foreignPods=-1", "from 0 to 200000"),
            ("events=10", "100/s"),
        ];
        for (text, said) in cases {
            let error = text.parse::<Load>().expect_err(text).to_string();
            assert!(error.contains(said) && error.contains("tidbClusters=N"), "{text}: {error}");
        }
    }

    #[test]
    fn a_load_becomes_that_many_of_everything() {
        let load: Load = "clusters=2,foreignPods=30,tidbClusters=5".parse().expect("a load");
        let scenario = load.scenario().expect("it reads").expect("a fleet of its own");
        let log = crate::sim::request_log::RequestLog::new(None).expect("no file");
        let world = crate::sim::from_scenario::world(&scenario, 1, 1.0, log, std::collections::BTreeMap::new(), None)
            .expect("quiet");
        load.add_strangers(&world);
        let count = |kube: usize| world.kubes[kube].store.snapshot("pods", None).1.len();
        // Ten pods of each TidbCluster and its discovery, the operator's own in each KubeCluster, and those of others.
        assert_eq!((count(0), count(1)), (33 + 1 + 15, 22 + 1 + 15));
        assert_eq!(world.state().databases.len(), 5);
        assert!("events=5/s".parse::<Load>().expect("a load").scenario().expect("reads").is_none());
    }
}
