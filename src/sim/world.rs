//! What everything in the simulation shares: the KubeClusters with their stores, and one mutable state under one lock.
//!
//! Simulated time lives here: it moves only with `World::tick`, so a scenario can be run up to its quiet state before the
//! first client connects. Who does what in a tick is in `operator`, `statefulset`, `kubelet` and `pd`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::kubelet::Container;
use super::logs::{self, Logs};
use super::object_store::{Store, now};
use super::pd::{Database, urls};
use super::request_log::RequestLog;
use super::{cert_manager, dns, kubelet, operator, secrets, statefulset, tidb_monitor};

/// Simulated time between two ticks.
pub const TICK_MS: u64 = 1_000;

/// A KubeCluster in which nothing happens is looked at this often, as the real operator does (its resync): every look costs, and the
/// tests run through hours.
const RESYNC_MS: u64 = 30_000;

/// A pod of one KubeCluster (by index).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodKey {
    pub kube: usize,
    pub namespace: String,
    pub name: String,
}

/// A TidbCluster of one KubeCluster (by index).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TcKey {
    pub kube: usize,
    pub namespace: String,
    pub name: String,
}

/// One simulated Kubernetes cluster, without its API server.
pub struct KubeCluster {
    pub name: String,
    /// The DNS domain it really uses.
    pub domain: String,
    /// Version of its TiDB Operator.
    pub operator: (u64, u64, u64),
    pub store: Store,
    /// Indices of the KubeClusters whose names resolve from here.
    pub reaches: BTreeSet<usize>,
}

/// What a volume claim holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disk {
    PdMember { database: usize, id: u64 },
    Store { database: usize, id: u64 },
}

/// Everything that changes outside the stores.
pub struct State {
    pub now_ms: u64,
    pub rng: StdRng,
    pub databases: Vec<Database>,
    pub containers: BTreeMap<PodKey, Container>,
    /// By KubeCluster, namespace and claim name.
    pub disks: BTreeMap<PodKey, Disk>,
    /// Which Database a TidbCluster is part of, once its PD bootstrapped or joined.
    pub database_of: BTreeMap<TcKey, usize>,
    /// Names and cluster ids that bootstrapping TidbClusters get from the scenario.
    pub christening: BTreeMap<TcKey, (String, u64)>,
    pub logs: Logs,
    /// Pods whose container exits at each start.
    pub broken: BTreeSet<PodKey>,
    pub next_ip: u32,
    /// Pods get addresses of this machine's loopback network, `127.N.x.y`.
    pub loopback: Option<u8>,
    /// Ports of a KubeCluster's pods (by index) that no other KubeCluster reaches.
    pub closed: BTreeSet<(usize, u16)>,
    /// Store version and pulse at each KubeCluster's last tick.
    pub seen: BTreeMap<usize, (u64, u64)>,
}

pub struct World {
    pub kubes: Vec<KubeCluster>,
    pub speed: f64,
    pub log: RequestLog,
    /// Pods whose port 2379 is a real process elsewhere.
    pub tunnels: BTreeMap<PodKey, SocketAddr>,
    state: Mutex<State>,
}

impl World {
    pub fn new(
        kubes: Vec<KubeCluster>,
        seed: u64,
        speed: f64,
        log: RequestLog,
        tunnels: BTreeMap<PodKey, SocketAddr>,
    ) -> World {
        let state = State {
            now_ms: 0,
            rng: StdRng::seed_from_u64(seed),
            databases: Vec::new(),
            containers: BTreeMap::new(),
            disks: BTreeMap::new(),
            database_of: BTreeMap::new(),
            christening: BTreeMap::new(),
            logs: Logs::default(),
            broken: BTreeSet::new(),
            next_ip: 0,
            loopback: None,
            closed: BTreeSet::new(),
            seen: BTreeMap::new(),
        };
        World { kubes, speed, log, tunnels, state: Mutex::new(state) }
    }

    /// The same world once more, on its own from here on; requests are logged apart.
    pub fn fork(&self, log: RequestLog) -> World {
        let state = self.state();
        let kube = |kube: &KubeCluster| KubeCluster {
            name: kube.name.clone(),
            domain: kube.domain.clone(),
            operator: kube.operator,
            store: kube.store.fork(),
            reaches: kube.reaches.clone(),
        };
        let containers = state.containers.iter().map(|(key, container)| (key.clone(), container.fork()));
        let forked = State {
            now_ms: state.now_ms,
            rng: state.rng.clone(),
            databases: state.databases.iter().map(Database::fork).collect(),
            containers: containers.collect(),
            disks: state.disks.clone(),
            database_of: state.database_of.clone(),
            christening: state.christening.clone(),
            logs: state.logs.fork(),
            broken: state.broken.clone(),
            next_ip: state.next_ip,
            loopback: state.loopback,
            closed: state.closed.clone(),
            seen: state.seen.clone(),
        };
        World {
            kubes: self.kubes.iter().map(kube).collect(),
            speed: self.speed,
            log,
            tunnels: self.tunnels.clone(),
            state: Mutex::new(forked),
        }
    }

    /// The state; held for moments only, never across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Real time for a simulated duration.
    pub fn real(&self, simulated_ms: u64) -> Duration {
        Duration::from_secs_f64(simulated_ms as f64 / 1_000.0 / self.speed)
    }

    /// One second of simulated time for everybody.
    pub fn tick(&self) {
        let mut state = self.state();
        state.now_ms += TICK_MS;
        for kube in 0..self.kubes.len() {
            let now = (self.kubes[kube].store.version(), state.pulse());
            let same = state.seen.insert(kube, now) == Some(now);
            // Nothing happened since the last look: nobody has to act.
            if same && state.idle(kube) && !state.now_ms.is_multiple_of(RESYNC_MS) {
                continue;
            }
            // Where only time has passed, only the pods have something to do.
            if !same || state.now_ms.is_multiple_of(RESYNC_MS) {
                cert_manager::tick(self, kube);
                operator::tick(self, &mut state, kube);
                tidb_monitor::tick(self, kube);
                statefulset::tick(self, kube);
            }
            kubelet::tick(self, &mut state, kube);
        }
        let now_ms = state.now_ms;
        let resolves = |from: &PodKey, url: &str| {
            let host = urls::host(url)?;
            let to = dns::pod(self, from.kube, &from.namespace, host)?;
            (!url.starts_with("https:") || secrets::peers(self, from, &to, host)).then_some(to)
        };
        for database in &mut state.databases {
            database.tick(now_ms, &resolves);
        }
        let State { databases, logs, .. } = &mut *state;
        for (index, database) in databases.iter().enumerate() {
            logs::lines::observe(logs, index, database, now_ms);
        }
    }

    /// Records an Event about an object; the same one again only counts up.
    pub fn event(&self, kube: usize, about: &Value, component: &str, kind: &str, reason: &str, message: &str) {
        let text = |field: &str| about["metadata"][field].as_str().unwrap_or_default();
        let (namespace, object) = (text("namespace").to_owned(), text("name").to_owned());
        let digest = kubelet::short_hash(&json!([about["kind"], text("uid"), reason, message]));
        let name = format!("{object}.{digest}");
        let store = &self.kubes[kube].store;
        let again = store.edit("events", &namespace, &name, |event| {
            event["count"] = json!(event["count"].as_u64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now());
        });
        if again.is_some() {
            return;
        }
        store.put(
            "events",
            json!({
                "metadata": {"namespace": namespace, "name": name},
                "involvedObject": {
                    "apiVersion": about["apiVersion"], "kind": about["kind"], "namespace": namespace, "name": object,
                    "uid": text("uid"), "resourceVersion": text("resourceVersion"),
                },
                "type": kind, "reason": reason, "message": message, "count": 1,
                "firstTimestamp": now(), "lastTimestamp": now(),
                "source": {"component": component}, "reportingComponent": component, "reportingInstance": "",
            }),
        );
    }
}

impl State {
    /// The Database and member id behind a PD pod's disk.
    pub fn pd_disk(&self, claim: &PodKey) -> Option<(usize, u64)> {
        match self.disks.get(claim)? {
            Disk::PdMember { database, id } => Some((*database, *id)),
            Disk::Store { .. } => None,
        }
    }

    /// A number that changes when something in a Database does.
    fn pulse(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for database in &self.databases {
            database.pulse(self.now_ms, &mut hasher);
        }
        hasher.finish()
    }

    /// Whether no container of a KubeCluster waits for time to pass.
    fn idle(&self, kube: usize) -> bool {
        let mut containers = self.containers.iter().filter(|(key, _)| key.kube == kube);
        containers.all(|(_, container)| container.stage == kubelet::Stage::Running && container.tls_due_ms.is_none())
    }

    /// A pod IP that was not given out before.
    pub fn fresh_ip(&mut self, kube: usize) -> String {
        self.next_ip += 1;
        if let Some(network) = self.loopback {
            let low = self.next_ip % 250 + 1;
            return format!("127.{network}.{}.{low}", (kube * 16) as u32 % 240 + self.next_ip / 250 % 16);
        }
        format!("10.{}.{}.{}", 10 + kube * 10, self.next_ip / 250, self.next_ip % 250 + 2)
    }
}
