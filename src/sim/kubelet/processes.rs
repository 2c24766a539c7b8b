//! What a pod's start script does: the member, store or server that it starts, in the pod's Database.

use rand::Rng;
use serde_json::Value;

use super::{Stage, exit, main_container, now_s, set_stage};
use crate::sim::components::{Component, ordinal};
use crate::sim::object_store::now;
use crate::sim::pd::stores::{Store, StoreState};
use crate::sim::pd::{Change, Database, Member, Process, Proposal};
use crate::sim::tidb_cluster::TidbCluster;
use crate::sim::world::{Disk, PodKey, State, TcKey, World};
use crate::sim::{dns, pod_status, secrets, toml_text};

/// The start script with this pod's name in it.
pub(super) struct Script {
    pub(super) domain: String,
    name: String,
    scheme: String,
}

impl Script {
    pub(super) fn of(world: &World, key: &PodKey, pod: &Value) -> Script {
        let volumes = pod["spec"]["volumes"].as_array();
        let volume = volumes.into_iter().flatten().find(|volume| volume["name"] == "startup-script");
        let map = volume.and_then(|volume| volume["configMap"]["name"].as_str()).unwrap_or_default();
        let map = world.kubes[key.kube].store.find("configmaps", &key.namespace, map).unwrap_or_default();
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
pub(super) fn tidb_cluster(world: &World, key: &PodKey, component: Component) -> Option<TidbCluster> {
    let suffix = format!("-{}-{}", component.key(), ordinal(&key.name)?);
    let name = key.name.strip_suffix(&suffix)?;
    world.kubes[key.kube]
        .store
        .find("tidbclusters", &key.namespace, name)
        .map(|object| TidbCluster::new(Value::clone(&object)))
}

pub(super) fn claim_key(key: &PodKey, component: Component) -> PodKey {
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
pub(super) fn start_pd(world: &World, state: &mut State, key: &PodKey, pod: &Value, script: &Script) {
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

pub(super) fn start_store(
    world: &World,
    state: &mut State,
    key: &PodKey,
    pod: &Value,
    component: Component,
    index: usize,
) {
    let claim = claim_key(key, component);
    let leaders = state.rng.random_range(480..520);
    let now_ms = state.now_ms;
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
        inherited: 0,
        heard_ms: now_ms,
        away: false,
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
    (store.heard_ms, store.heard_at_ms, store.away) = (now_ms, None, false);
    if matches!(store.state, StoreState::Disconnected | StoreState::Down) {
        store.state = StoreState::Up;
    }
    database.take_leaders_back(id);
}

fn image_tag(pod: &Value) -> String {
    let image = main_container(pod)["image"].as_str().unwrap_or_default();
    image.rsplit_once(':').map_or("latest", |(_, tag)| tag).to_owned()
}
