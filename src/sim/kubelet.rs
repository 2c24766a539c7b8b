//! The node's side of a pod: creating, starting, readiness, crash loops, ending; and the processes inside.
//!
//! Reads the start script from the ConfigMap that the pod mounts and does what the real one would: waits 30 s for its own
//! name, then starts the member or store in the pod's Database (domain.md §2.4). Pods come from `statefulset`; their JSON
//! status is written in `pod_status`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::components::Component;
use super::logs::lines;
use super::object_store::{identity, now};
use super::pd::Database;
use super::world::{PodKey, State, TcKey, World};
use super::{dns, pod_status, secrets};

mod processes;

pub use processes::database_of;
use processes::{Script, start_pd, start_store, tidb_cluster};

const CREATE_MS: u64 = 1_000;
const START_MS: u64 = 1_000;
const STOP_MS: u64 = 1_000;
/// How long the start script waits for the pod's own name.
const NAME_TIMEOUT_MS: u64 = 30_000;
/// How long the kubelet takes to write a changed Secret into a pod's files.
const FILES_MS: u64 = 8_000;
const BACK_OFF_MS: u64 = 10_000;
const BACK_OFF_LIMIT_MS: u64 = 300_000;

/// Where a pod's container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Volumes and image; `ContainerCreating`.
    Creating {
        until_ms: u64,
    },
    /// The start script waits for the pod's own name.
    Script {
        since_ms: u64,
    },
    /// The process starts, or waits for PD.
    Starting {
        since_ms: u64,
    },
    Running,
    /// `CrashLoopBackOff`.
    BackOff {
        until_ms: u64,
    },
    Leaving {
        until_ms: u64,
    },
}

/// The one container of a pod.
pub struct Container {
    pub uid: String,
    pub stage: Stage,
    pub restarts: u32,
    pub ip: Option<String>,
    /// When the container now running, or the last one, began.
    pub started: String,
    pub last_exit: Option<i32>,
    /// Cancelled when the process ends: cuts its connections.
    pub stop: CancellationToken,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The Secret's version that `tls` was made from.
    pub tls_version: Option<String>,
    /// When another version of it is in the pod's files.
    pub tls_due_ms: Option<u64>,
}

impl Container {
    /// The same container in another world: its connections stay behind.
    pub fn fork(&self) -> Container {
        Container {
            uid: self.uid.clone(),
            stage: self.stage,
            restarts: self.restarts,
            ip: self.ip.clone(),
            started: self.started.clone(),
            last_exit: self.last_exit,
            stop: CancellationToken::new(),
            tls: self.tls.clone(),
            tls_version: self.tls_version.clone(),
            tls_due_ms: self.tls_due_ms,
        }
    }
}

/// FNV-1a: it only has to differ where the content differs, and a digest would be most of a tick in a debug build.
pub fn json_hash(value: &Value) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    value.to_string().bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A short hash in the alphabet that Kubernetes uses for names.
pub fn short_hash(value: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = json_hash(value);
    let mut letter = || {
        let index = usize::try_from(hash % 27).unwrap_or(0);
        hash /= 27;
        char::from(ALPHABET[index])
    };
    (0..10).map(|_| letter()).collect()
}

/// One pass over all pods of a KubeCluster.
pub fn tick(world: &World, state: &mut State, kube: usize) {
    let (_, pods) = world.kubes[kube].store.snapshot("pods", None);
    // A Job's pod is no part of a Database, and nothing here knows its image: whoever tests one plays its node.
    for pod in pods.iter().filter(|pod| !pod["metadata"]["labels"]["job-name"].is_string()) {
        let key = key_of(kube, pod);
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        if state.containers.get(&key).is_none_or(|container| container.uid != uid) {
            end_process(state, &key, false);
            state.logs.forget(&key);
            let message =
                format!("Successfully assigned {}/{} to {}", key.namespace, key.name, pod_status::node_of(world, &key));
            world.event(kube, pod, "default-scheduler", "Normal", "Scheduled", &message);
            let container = Container {
                uid: uid.to_owned(),
                stage: Stage::Creating { until_ms: state.now_ms + CREATE_MS },
                restarts: 0,
                ip: None,
                started: now(),
                last_exit: None,
                stop: CancellationToken::new(),
                tls: None,
                tls_version: None,
                tls_due_ms: None,
            };
            state.containers.insert(key.clone(), container);
        }
        advance(world, state, &key, pod);
        if let Some(container) = state.containers.get(&key) {
            pod_status::write(world, &key, pod, container);
        }
    }
    forget(world, state, kube);
    let there: BTreeSet<PodKey> = pods.iter().map(|pod| key_of(kube, pod)).collect();
    let gone: Vec<PodKey> =
        state.containers.keys().filter(|key| key.kube == kube && !there.contains(*key)).cloned().collect();
    for key in gone {
        end_process(state, &key, false);
        state.containers.remove(&key);
        state.logs.forget(&key);
    }
}

/// Data goes with its volume claim, and a deleted TidbCluster is in no Database.
fn forget(world: &World, state: &mut State, kube: usize) {
    let names = |plural: &str| -> BTreeSet<(String, String)> {
        world.kubes[kube].store.snapshot(plural, None).1.iter().map(|object| identity(object)).collect()
    };
    let (claims, tidb_clusters) = (names("persistentvolumeclaims"), names("tidbclusters"));
    let stays = |at: usize, known: &BTreeSet<(String, String)>, namespace: &str, name: &str| {
        at != kube || known.contains(&(namespace.to_owned(), name.to_owned()))
    };
    state.disks.retain(|key, _| stays(key.kube, &claims, &key.namespace, &key.name));
    state.database_of.retain(|key, _| stays(key.kube, &tidb_clusters, &key.namespace, &key.name));
}

fn key_of(kube: usize, pod: &Value) -> PodKey {
    let (namespace, name) = identity(pod);
    PodKey { kube, namespace, name }
}

/// The container of a pod that the pod is there for: TiDB's has one beside it, which comes first.
pub fn main_container(pod: &Value) -> &Value {
    let own = pod["metadata"]["labels"]["app.kubernetes.io/component"].as_str().unwrap_or_default();
    let containers = pod["spec"]["containers"].as_array();
    let named = containers.into_iter().flatten().find(|container| container["name"] == own);
    named.unwrap_or(&pod["spec"]["containers"][0])
}

/// The component that a pod runs.
pub fn component_of(pod: &Value) -> Option<Component> {
    Component::from_key(pod["metadata"]["labels"]["app.kubernetes.io/component"].as_str()?)
}

#[expect(clippy::too_many_lines, reason = "one pass over the pods")]
fn advance(world: &World, state: &mut State, key: &PodKey, pod: &Value) {
    let now_ms = state.now_ms;
    let leaving = pod["metadata"]["deletionTimestamp"].is_string();
    let Some(stage) = state.containers.get(key).map(|container| container.stage) else { return };
    match stage {
        Stage::Leaving { until_ms } => {
            if now_ms >= until_ms {
                world.kubes[key.kube].store.remove("pods", &key.namespace, &key.name);
                state.containers.remove(key);
                state.logs.forget(key);
            }
        }
        _ if leaving => {
            lines::exits(&state.logs, key, component_of(pod), 0);
            let container = main_container(pod)["name"].as_str().unwrap_or_default();
            let message = format!("Stopping container {container}");
            world.event(key.kube, pod, "kubelet", "Normal", "Killing", &message);
            end_process(state, key, false);
            set_stage(state, key, Stage::Leaving { until_ms: now_ms + STOP_MS });
        }
        Stage::Creating { until_ms } if now_ms >= until_ms => {
            if let Some(missing) = secrets::missing(world, key, pod) {
                let message = format!("MountVolume.SetUp failed for volume: secret {missing:?} not found");
                if now_ms.is_multiple_of(30_000) {
                    world.event(key.kube, pod, "kubelet", "Warning", "FailedMount", &message);
                }
                return;
            }
            let ip = state.fresh_ip(key.kube);
            if let Some(container) = state.containers.get_mut(key) {
                container.ip = Some(ip);
                container.started = now();
                container.stage = Stage::Script { since_ms: now_ms };
            }
            begin(world, state, key, pod);
        }
        Stage::Script { since_ms } => {
            let Some(component) = component_of(pod) else { return set_stage(state, key, Stage::Running) };
            if state.broken.contains(key) {
                return exit(world, state, key, pod, 1);
            }
            let script = Script::of(world, key, pod);
            if dns::pod(world, key.kube, &key.namespace, &script.domain).as_ref() == Some(key) {
                set_stage(state, key, Stage::Starting { since_ms: now_ms });
                let image = main_container(pod)["image"].as_str().unwrap_or_default();
                lines::starts(&state.logs, key, component, &script.domain, image);
                if component == Component::Pd {
                    start_pd(world, state, key, pod, &script);
                }
            } else if now_ms >= since_ms + NAME_TIMEOUT_MS {
                exit(world, state, key, pod, 1);
            } else {
                lines::waits_for_name(&state.logs, key, &script.domain);
            }
        }
        Stage::Starting { since_ms } => start(world, state, key, pod, now_ms >= since_ms + START_MS),
        Stage::Running => {
            if died(state, key) {
                exit(world, state, key, pod, 2);
            }
            reread(world, state, key, pod);
        }
        Stage::BackOff { until_ms } if now_ms >= until_ms => {
            if let Some(container) = state.containers.get_mut(key) {
                container.started = now();
                container.stage = Stage::Script { since_ms: now_ms };
            }
            begin(world, state, key, pod);
        }
        Stage::Creating { .. } | Stage::BackOff { .. } => {}
    }
}

/// PD serves a certificate that was replaced without a restart, as soon as the kubelet has written the file anew.
fn reread(world: &World, state: &mut State, key: &PodKey, pod: &Value) {
    let now_ms = state.now_ms;
    let Some(container) = state.containers.get_mut(key).filter(|container| container.tls.is_some()) else { return };
    let version = secrets::version(world, key, pod);
    if version.is_none() || version == container.tls_version {
        container.tls_due_ms = None;
        return;
    }
    if now_ms < *container.tls_due_ms.get_or_insert(now_ms + FILES_MS) {
        return;
    }
    container.tls_due_ms = None;
    container.tls_version = version;
    // Files that do not fit together are not taken: what was served is served on.
    if let Some(tls) = secrets::server_config(world, key, pod) {
        container.tls = Some(tls);
    }
}

fn set_stage(state: &mut State, key: &PodKey, stage: Stage) {
    if let Some(container) = state.containers.get_mut(key) {
        container.stage = stage;
    }
}

/// Whether the PD in this pod panicked since the last look.
fn died(state: &State, key: &PodKey) -> bool {
    state.databases.iter().any(|database| database.member_at(key).is_some_and(|id| database.panicked.contains(&id)))
}

/// Kills the process in a pod (SIGKILL); its container is started again after the usual pause.
pub fn kill(world: &World, state: &mut State, key: &PodKey) -> bool {
    let pod = world.kubes[key.kube].store.find("pods", &key.namespace, &key.name);
    pod.is_some_and(|pod| {
        exit(world, state, key, &pod, 137);
        true
    })
}

/// A container is started: its log begins, and the kubelet says so.
fn begin(world: &World, state: &mut State, key: &PodKey, pod: &Value) {
    state.logs.begin(key);
    let container = main_container(pod);
    let text = |field: &str| container[field].as_str().unwrap_or_default();
    let (name, image) = (text("name"), text("image"));
    for (reason, message) in [
        ("Pulled", format!("Container image {image:?} already present on machine")),
        ("Created", format!("Created container: {name}")),
        ("Started", format!("Started container {name}")),
    ] {
        world.event(key.kube, pod, "kubelet", "Normal", reason, &message);
    }
}

fn exit(world: &World, state: &mut State, key: &PodKey, pod: &Value, code: i32) {
    lines::exits(&state.logs, key, component_of(pod), code);
    end_process(state, key, true);
    let now_ms = state.now_ms;
    if let Some(container) = state.containers.get_mut(key) {
        container.restarts += 1;
        container.last_exit = Some(code);
        let wait_ms =
            BACK_OFF_MS.saturating_mul(1 << container.restarts.saturating_sub(1).min(6)).min(BACK_OFF_LIMIT_MS);
        container.stage = Stage::BackOff { until_ms: now_ms + wait_ms };
    }
    let name = main_container(pod)["name"].as_str().unwrap_or_default();
    let message = format!("Back-off restarting failed container {name} in pod {}", key.name);
    world.event(key.kube, pod, "kubelet", "Warning", "BackOff", &message);
}

/// Ends whatever runs in a pod and cuts its connections. `abruptly`: it could hand nothing over.
fn end_process(state: &mut State, key: &PodKey, abruptly: bool) {
    let now_ms = state.now_ms;
    if let Some(container) = state.containers.get_mut(key) {
        std::mem::take(&mut container.stop).cancel();
    }
    for database in &mut state.databases {
        if let Some(id) = database.member_at(key) {
            database.panicked.remove(&id);
            match abruptly {
                true => database.kill(id, now_ms),
                false => database.stop(id, now_ms),
            }
        }
        for store in database.stores.values_mut().filter(|store| store.pod == *key) {
            store.heard_at_ms = None;
            store.away = true;
        }
    }
}

/// Waits for what a process needs, then calls it running.
fn start(world: &World, state: &mut State, key: &PodKey, pod: &Value, long_enough: bool) {
    if died(state, key) {
        return exit(world, state, key, pod, 2);
    }
    let Some(component) = component_of(pod) else { return };
    if component == Component::Pd {
        let joined = |database: &Database| {
            database.member_at(key).and_then(|id| database.processes.get(&id)).is_some_and(|process| process.joined)
        };
        if long_enough && state.databases.iter().any(joined) {
            set_stage(state, key, Stage::Running);
        }
        return;
    }
    let Some(tc) = tidb_cluster(world, key, component) else { return };
    let Some(index) = database_of(world, state, key.kube, &tc) else { return };
    let own = TcKey { kube: key.kube, namespace: tc.namespace().to_owned(), name: tc.name().to_owned() };
    state.database_of.entry(own).or_insert(index);
    if !long_enough || state.databases[index].pd_leader.is_none() {
        // Of TiDB the port is asked.
        if long_enough && component == Component::TiDb && state.now_ms.is_multiple_of(10_000) {
            let address = state.containers.get(key).and_then(|container| container.ip.clone()).unwrap_or_default();
            let message = format!("Readiness probe failed: dial tcp {address}:4000: connect: connection refused");
            world.event(key.kube, pod, "kubelet", "Warning", "Unhealthy", &message);
        }
        return;
    }
    if matches!(component, Component::TiKv | Component::TiFlash) {
        start_store(world, state, key, pod, component, index);
    }
    let leader = state.databases[index].pd_leader.and_then(|id| state.databases[index].processes.get(&id));
    let leader = leader.map(|process| process.client_url.clone()).unwrap_or_default();
    lines::serves(&state.logs, key, component, &leader);
    set_stage(state, key, Stage::Running);
}

/// Seconds since the epoch, of the real clock.
#[allow(clippy::disallowed_methods, reason = "the simulated world is an edge: PD reports real times")]
pub fn now_s() -> u64 {
    jiff::Timestamp::now().as_second().try_into().unwrap_or(0)
}
