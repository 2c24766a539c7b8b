//! The node's side of a pod: creating, starting, readiness, crash loops, ending; and the processes inside.
//!
//! Reads the start script from the ConfigMap that the pod mounts and does what the real one would: waits 30 s for its own
//! name, then starts the member or store in the pod's Database (domain.md §2.4). Pods come from `statefulset`; their JSON
//! status is written in `pod_status`.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::components::{Component, ordinal};
use super::logs::lines;
use super::pd::stores::{Store, StoreState};
use super::pd::{Change, Database, Member, Process, Proposal};
use super::store::{identity, now};
use super::tidb_cluster::TidbCluster;
use super::world::{Disk, PodKey, State, TcKey, World};
use super::{dns, pod_status, secrets, toml_text};

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
    for pod in &pods {
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
    let pod = world.kubes[key.kube].store.get("pods", &key.namespace, &key.name);
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
            if store.state == StoreState::Up {
                store.state = StoreState::Disconnected;
            }
        }
    }
}

/// The start script with this pod's name in it.
struct Script {
    domain: String,
    name: String,
    scheme: String,
}

impl Script {
    fn of(world: &World, key: &PodKey, pod: &Value) -> Script {
        let volumes = pod["spec"]["volumes"].as_array();
        let volume = volumes.into_iter().flatten().find(|volume| volume["name"] == "startup-script");
        let map = volume.and_then(|volume| volume["configMap"]["name"].as_str()).unwrap_or_default();
        let map = world.kubes[key.kube].store.get("configmaps", &key.namespace, map).unwrap_or_default();
        // Pump and TiCDC have it in the container's command.
        let command = pod["spec"]["containers"][0]["command"][2].as_str();
        let text = map["data"]["startup-script"].as_str().or(command).unwrap_or_default();
        let text = text.replace("${POD_NAME}", &key.name);
        let line = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().to_owned()
        };
        Script { domain: line("DOMAIN"), name: line("NAME"), scheme: line("SCHEME") }
    }
}

/// The TidbCluster of a component's pod.
fn tidb_cluster(world: &World, key: &PodKey, component: Component) -> Option<TidbCluster> {
    let suffix = format!("-{}-{}", component.key(), ordinal(&key.name)?);
    let name = key.name.strip_suffix(&suffix)?;
    world.kubes[key.kube].store.get("tidbclusters", &key.namespace, name).map(TidbCluster::new)
}

fn claim_key(key: &PodKey, component: Component) -> PodKey {
    let name = component.claim().map(|claim| format!("{claim}-{}", key.name)).unwrap_or_default();
    PodKey { name, ..key.clone() }
}

/// The Database a TidbCluster is in, or the one its `spec.cluster` leads to.
pub fn database_of(world: &World, state: &State, kube: usize, tc: &TidbCluster) -> Option<usize> {
    let own = TcKey { kube, namespace: tc.namespace().to_owned(), name: tc.name().to_owned() };
    if let Some(database) = state.database_of.get(&own) {
        return Some(*database);
    }
    let reference = &tc.spec()["cluster"];
    let name = reference["name"].as_str()?;
    let namespace = reference["namespace"].as_str().unwrap_or(tc.namespace());
    let domain = reference["clusterDomain"].as_str().filter(|domain| !domain.is_empty());
    let suffix = domain.map(|domain| format!(".{domain}")).unwrap_or_default();
    // Across Kubernetes clusters the headless service is asked, else the ClusterIP (domain.md §2.5).
    let service = if tc.across() { Component::Pd.peer_service(name) } else { Component::Pd.stateful_set(name) };
    let host = format!("{service}.{namespace}.svc{suffix}");
    let peer = dns::resolve(world, kube, tc.namespace(), &host).into_iter().find_map(|target| target.pod)?;
    state.databases.iter().position(|database| database.member_at(&peer).is_some())
}

/// Starts the member whose data is on the pod's disk; with an empty disk it joins or bootstraps.
fn start_pd(world: &World, state: &mut State, key: &PodKey, pod: &Value, script: &Script) {
    let Some(tc) = tidb_cluster(world, key, Component::Pd) else { return };
    let claim = claim_key(key, Component::Pd);
    if state.pd_disk(&claim).is_none() && !join(world, state, key, &tc, &claim, script) {
        // Discovery has no answer yet: the script asks again.
        return set_stage(state, key, Stage::Script { since_ms: state.now_ms });
    }
    let Some((index, id)) = state.pd_disk(&claim) else { return };
    // A TidbCluster made anew over old volumes is where its data is.
    let own = TcKey { kube: key.kube, namespace: tc.namespace().to_owned(), name: tc.name().to_owned() };
    state.database_of.insert(own, index);
    let process = Process {
        pod: key.clone(),
        name: script.name.clone(),
        client_url: format!("{}://{}:2379", script.scheme, script.domain),
        version: image_tag(pod),
        view: state.databases[index].members.clone(),
        joined: false,
        started_s: now_s(),
    };
    let tls = if script.scheme == "https" { secrets::server_config(world, key, pod) } else { None };
    if let Some(container) = state.containers.get_mut(key) {
        container.tls_version = secrets::version(world, key, pod).filter(|_| tls.is_some());
        container.tls = tls;
    }
    if !state.databases[index].start(id, process) {
        exit(world, state, key, pod, 2);
    }
}

fn join(world: &World, state: &mut State, key: &PodKey, tc: &TidbCluster, claim: &PodKey, script: &Script) -> bool {
    let tc_key = TcKey { kube: key.kube, namespace: tc.namespace().to_owned(), name: tc.name().to_owned() };
    let id = state.rng.random::<u64>();
    let member = Member {
        id,
        name: String::new(),
        peer_urls: vec![format!("{}://{}:2380", script.scheme, script.domain)],
        client_urls: Vec::new(),
    };
    let index = match database_of(world, state, key.kube, tc) {
        Some(index) => {
            let database = &mut state.databases[index];
            // PD refuses to join beside a member that never started.
            let unstarted = database.members.iter().any(|member| member.name.is_empty());
            let Some(leader) = database.pd_leader.filter(|_| !unstarted) else { return false };
            if !matches!(database.propose(leader, Change::Add(member)), Proposal::Committed) {
                return false;
            }
            index
        }
        None if tc.spec()["cluster"].is_object() => return false,
        None => {
            let (name, cluster_id) = state
                .christening
                .remove(&tc_key)
                .unwrap_or_else(|| (tc.name().to_owned(), 7_000_000_000_000_000_000 + (id >> 12)));
            let mut database = Database::new(&name, cluster_id, state.rng.random(), &now());
            database.members.push(member);
            database.configure(&toml_text::read(&tc.spec()["pd"]["config"]));
            state.databases.push(database);
            state.databases.len() - 1
        }
    };
    state.database_of.insert(tc_key, index);
    state.disks.insert(claim.clone(), Disk::PdMember { database: index, id });
    true
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

fn start_store(world: &World, state: &mut State, key: &PodKey, pod: &Value, component: Component, index: usize) {
    let claim = claim_key(key, component);
    let leaders = state.rng.random_range(480..520);
    let database = &mut state.databases[index];
    let id = match state.disks.get(&claim) {
        Some(Disk::Store { database: at, id }) if *at == index => *id,
        _ => {
            let id = database.next_store;
            database.next_store += if id == 1 { 3 } else { 1 };
            state.disks.insert(claim, Disk::Store { database: index, id });
            id
        }
    };
    let host = Script::of(world, key, pod).domain;
    let store = database.stores.entry(id).or_insert_with(|| Store {
        id,
        pod: key.clone(),
        tiflash: component == Component::TiFlash,
        host: String::new(),
        version: String::new(),
        state: StoreState::Up,
        leaders: if component == Component::TiFlash { 0 } else { leaders },
        regions: 3 * leaders,
        leaders_before: 0,
        heard_at_ms: None,
        removing_since_ms: None,
        zone: world.kubes[key.kube].name.clone(),
        node: pod_status::node_of(world, key),
        started: String::new(),
        started_s: 0,
    });
    store.host = host;
    store.version = image_tag(pod);
    store.started = now();
    store.started_s = now_s();
    store.heard_at_ms = None;
    if store.state == StoreState::Disconnected {
        store.state = StoreState::Up;
    }
    if store.leaders_before > 0 {
        store.leaders = std::mem::take(&mut store.leaders_before);
    }
}

fn image_tag(pod: &Value) -> String {
    let image = main_container(pod)["image"].as_str().unwrap_or_default();
    image.rsplit_once(':').map_or("latest", |(_, tag)| tag).to_owned()
}

/// Seconds since the epoch, of the real clock.
#[allow(clippy::disallowed_methods, reason = "the simulated world is an edge: PD reports real times")]
pub fn now_s() -> u64 {
    jiff::Timestamp::now().as_second().try_into().unwrap_or(0)
}
