//! The simulated fleet without sockets and without a clock: time moves by hand, and the whole world can be forked.
//!
//! The objects, the operator, the pods and the Databases are the ones of [`super::Sim`]; only what lies between them and a
//! client is left out. For tests that need a world hundreds of times over. Requests go through the same code as on the
//! wire: the API server's checks ([`Direct`]) and etcd's and PD's handlers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::api_server::Direct;
use super::object_store::Store;
use super::pd::etcd_http::{Answer, Request};
use super::pd::server::{self, CLIENT_PORT, Endpoint};
use super::request_log::RequestLog;
use super::scenario::Scenario;
use super::world::{PodKey, TICK_MS, World};
use super::{Member, SimError, dns, from_scenario};

/// One fleet at one moment.
pub struct Bare {
    world: Arc<World>,
    servers: Vec<Direct>,
    /// Kubernetes version by KubeCluster.
    versions: Vec<String>,
}

/// One request to a pod's PD.
#[derive(Clone, Copy, Debug)]
pub struct PdRequest<'a> {
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// To be answered by this very member.
    pub local: bool,
    pub body: &'a str,
}

impl Bare {
    /// A scenario in its quiet state.
    pub fn named(scenario: &str, seed: u64) -> Result<Self, SimError> {
        Self::new(&Scenario::named(scenario)?, seed)
    }

    pub fn new(scenario: &Scenario, seed: u64) -> Result<Self, SimError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = from_scenario::world(scenario, seed, 1.0, log()?, BTreeMap::new(), None)?;
        Ok(Self::of(world, scenario.kube_clusters.iter().map(|kube| kube.version.clone()).collect()))
    }

    fn of(world: World, versions: Vec<String>) -> Self {
        let servers = world
            .kubes
            .iter()
            .zip(&versions)
            .map(|(kube, version)| Direct::new(&kube.name, version, kube.store.clone(), world.log.clone()))
            .collect();
        Self { world: Arc::new(world), servers, versions }
    }

    /// The same fleet once more, on its own from here on.
    pub fn fork(&self) -> Self {
        let log = log().expect("a log without a file cannot fail");
        Self::of(self.world.fork(log), self.versions.clone())
    }

    /// Contexts with their Kubernetes versions, in the scenario's order.
    pub fn contexts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.world.kubes.iter().map(|kube| kube.name.as_str()).zip(self.versions.iter().map(String::as_str))
    }

    /// Simulated milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.world.state().now_ms
    }

    /// Lets so many simulated seconds pass.
    pub fn pass(&self, seconds: u64) {
        for _ in 0..seconds * 1_000 / TICK_MS {
            self.world.tick();
        }
    }

    /// The objects of one KubeCluster.
    pub fn store(&self, context: &str) -> Option<&Store> {
        Some(&self.world.kubes[self.index(context)?].store)
    }

    /// Asks an API server; `path` with its query.
    pub fn ask(&self, context: &str, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Value) {
        match self.index(context) {
            Some(index) => self.servers[index].ask(method, path, content_type, body),
            None => (0, Value::Null),
        }
    }

    /// Asks the PD in a pod. `None`: no answer comes, as from a process that is gone or has no majority.
    pub fn ask_pd(&self, context: &str, namespace: &str, pod: &str, request: PdRequest<'_>) -> Option<(u16, String)> {
        let pod = PodKey { kube: self.index(context)?, namespace: namespace.to_owned(), name: pod.to_owned() };
        let endpoint = Endpoint { world: self.world.clone(), pod, port: CLIENT_PORT };
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let request = Request {
            method: request.method,
            path,
            query,
            content_type: Some("application/json"),
            local: request.local,
            body: request.body.as_bytes(),
        };
        match server::decide(&endpoint, &request) {
            Answer::Now(reply) | Answer::After(_, reply) => Some((reply.status, reply.body)),
            Answer::Hang | Answer::Cut | Answer::WhenApplied(_) => None,
        }
    }

    /// The addresses of a name, asked from a pod of a namespace.
    pub fn resolve(&self, context: &str, namespace: &str, name: &str) -> Vec<String> {
        let Some(kube) = self.index(context) else { return Vec::new() };
        dns::resolve(&self.world, kube, namespace, name).into_iter().map(|target| target.ip).collect()
    }

    /// Members and leader of every Database, by its name.
    pub fn databases(&self) -> BTreeMap<String, (Vec<Member>, Option<u64>)> {
        let state = self.world.state();
        let one = |database: &super::pd::Database| (database.name.clone(), (database.members.clone(), database.leader));
        state.databases.iter().map(one).collect()
    }

    fn index(&self, context: &str) -> Option<usize> {
        self.world.kubes.iter().position(|kube| kube.name == context)
    }
}

fn log() -> Result<RequestLog, SimError> {
    RequestLog::new(None).map_err(|source| SimError::RequestLog { path: String::new(), source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fork_goes_its_own_way() {
        let one = Bare::named("default", 1).expect("the scenario becomes quiet");
        let other = one.fork();
        let path = "/apis/pingcap.com/v1alpha1/namespaces/pingcap/tidbclusters/basic";
        let patch = json!({"spec": {"acrossK8s": true, "clusterDomain": "cluster1.com"}}).to_string();
        let (status, _) = other.ask("legacy", "PATCH", path, "application/merge-patch+json", patch.as_bytes());
        assert_eq!(status, 200);
        let name = |bare: &Bare| bare.databases()["basic"].0[0].name.clone();
        let before = name(&one);
        one.pass(300);
        other.pass(300);
        assert_eq!(name(&one), before, "the first one was not asked for anything");
        assert_ne!(name(&other), before, "PD's names carry the domain after the restart");
        let request = PdRequest { method: "GET", path: "/health", local: true, body: "" };
        let asked = other.ask_pd("legacy", "pingcap", "basic-pd-0", request);
        assert_eq!(asked.map(|(status, _)| status), Some(200));
        assert_eq!(other.ask_pd("legacy", "pingcap", "none", request), None);
    }

    /// What PD tells of one store: its state, its leaders, and for how many seconds it was not heard of.
    fn told(bare: &Bare, pod: &str) -> (String, u64, i64) {
        let request = PdRequest { method: "GET", path: "/pd/api/v1/stores", local: false, body: "" };
        let (_, body) = bare.ask_pd("legacy", "pingcap", "basic-pd-0", request).expect("PD answers");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let mut all = body["stores"].as_array().expect("stores").iter();
        let one = all.find(|one| one["store"]["address"].as_str().is_some_and(|host| host.starts_with(pod)));
        let one = one.expect("a store at this pod");
        let heard = one["status"]["last_heartbeat_ts"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let now = i64::try_from(super::super::kubelet::now_s()).expect("after 1970");
        let state = one["store"]["state_name"].as_str().expect("a state").to_owned();
        (state, one["status"]["leader_count"].as_u64().expect("a count"), now - heard.expect("a time").as_second())
    }

    #[test]
    fn a_store_that_is_away_keeps_its_last_heartbeat_and_loses_its_leaders() {
        let bare = Bare::named("default", 1).expect("the scenario becomes quiet");
        let pods = ["basic-tikv-0", "basic-tikv-1", "basic-tikv-2"];
        let led = |bare: &Bare| pods.iter().map(|pod| told(bare, pod).1).sum::<u64>();
        let (all, own) = (led(&bare), told(&bare, "basic-tikv-2").1);
        let key = PodKey {
            kube: bare.index("legacy").expect("a context"),
            namespace: "pingcap".to_owned(),
            name: "basic-tikv-2".to_owned(),
        };
        bare.world.state().broken.insert(key);
        bare.store("legacy").expect("a context").remove("pods", "pingcap", "basic-tikv-2");
        let at = |wanted: &str, seconds: std::ops::Range<i64>| {
            let (state, leaders, silent_s) = told(&bare, "basic-tikv-2");
            assert_eq!(state, wanted, "silent for {silent_s} s");
            assert!(seconds.contains(&silent_s), "{wanted}: silent for {silent_s} s");
            assert_eq!(led(&bare), all, "each region has a leader somewhere");
            leaders
        };
        bare.pass(5);
        assert_eq!(at("Up", 4..8), own, "nobody has noticed yet");
        bare.pass(9);
        assert_eq!(at("Up", 13..17), 0);
        bare.pass(10);
        assert_eq!(at("Disconnected", 23..27), 0);
        assert_eq!(told(&bare, "basic-tikv-0").2, 0, "the others are heard of all the time");
        bare.pass(1_800);
        assert_eq!(at("Down", 1_823..1_828), 0);
        bare.world.state().broken.clear();
        bare.pass(400);
        assert_eq!(at("Up", 0..2), own, "it leads again what it led before");
    }
}
