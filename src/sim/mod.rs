//! A simulated fleet: KubeClusters with TiDB Operator and PD behind real API servers on loopback.
//!
//! `Sim` starts a scenario, runs its time, hands out a kubeconfig and stops it. It speaks only the wires and imports none of
//! our other rooms; nothing but `cli::demo` and tests imports it. Reading order: `scenario` and `from_scenario` (what there is),
//! `world` (what is shared), `operator`, `statefulset`, `kubelet` (who moves it), `pd`, `dns`, `exec` (what is inside),
//! `store` and `api_server` (how it is reached). `bare` is the same world without sockets and without a clock.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub mod api_server;
mod cert_manager;
pub mod certificate_authority;
pub mod components;
pub mod dns;
mod exec;
pub mod external_pd;
mod fault_injection;
mod from_scenario;
pub mod in_memory;
mod kubelet;
pub mod load_generator;
pub mod logs;
mod loopback_pod_addresses;
mod manifests;
pub mod object_store;
mod operator;
pub mod pd;
mod pod_ports;
mod pod_status;
pub mod request_log;
pub mod scenario;
mod secrets;
mod statefulset;
pub mod tidb_cluster;
mod tidb_monitor;
mod toml_text;
pub mod world;

use api_server::{ApiServer, ApiServerConfig, Faults, Rules, User};
use external_pd::{PdTunnel, TunnelError};
use load_generator::{Churn, Load};
use loopback_pod_addresses::Direct;
use object_store::Store;
use request_log::RequestLog;
use scenario::{Access, Scenario, ScenarioError, ServerState, UserSpec};
use world::World;

pub use pd::Member;

/// The shortest real time between two ticks, whatever the speed.
const SHORTEST_TICK: Duration = Duration::from_millis(2);

/// What to start.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// An embedded scenario's name.
    pub scenario: String,
    /// Ids and numbers that are made up follow from it.
    pub seed: u64,
    /// Simulated seconds in a real one.
    pub speed: f64,
    /// Gets one JSON line per request.
    pub request_log: Option<PathBuf>,
    /// More users than the scenario has, in every KubeCluster; the first is the kubeconfig's.
    pub users: Vec<UserSpec>,
    /// Pods whose port 2379 is a real process.
    pub pd: Vec<PdTunnel>,
    /// A larger and more restless fleet than the scenario has.
    pub load: Option<Load>,
    /// Pods have addresses of this machine's loopback network, and PD listens there.
    pub direct: bool,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            scenario: "default".to_owned(),
            seed: 1,
            speed: 1.0,
            request_log: None,
            users: Vec::new(),
            pd: Vec::new(),
            load: None,
            direct: false,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Seed(#[from] from_scenario::SeedError),
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    #[error("the speed must be a number above 0 and at most 1000, found {0}")]
    Speed(f64),
    #[error("the request log {path} cannot be written: {source}")]
    RequestLog { path: String, source: io::Error },
    #[error("a simulated API server cannot be started: {0}")]
    Server(#[from] io::Error),
    #[error("there is no simulated KubeCluster `{asked}`; the contexts are: {known}")]
    NoContext { asked: String, known: String },
}

/// One context with what is needed to start its server again.
struct Context {
    name: String,
    version: String,
    /// Where the kubeconfig points, whether or not anything listens.
    address: SocketAddr,
    state: ServerState,
    tokens: BTreeMap<String, User>,
    /// Users in the scenario's order, with their tokens.
    users: Vec<(String, String)>,
    faults: Faults,
    server: Option<ApiServer>,
}

/// A running fleet. Dropping it stops it without waiting.
pub struct Sim {
    world: Arc<World>,
    authority: certificate_authority::Authority,
    identity: certificate_authority::ServerIdentity,
    contexts: Vec<Context>,
    clock: JoinHandle<()>,
    churn: Churn,
    _direct: Option<Direct>,
}

impl Sim {
    /// Builds the scenario, runs it to its quiet state, and starts its API servers on 127.0.0.1.
    pub async fn start(options: SimOptions) -> Result<Sim, SimError> {
        let made = options.load.as_ref().map(Load::scenario).transpose()?.flatten();
        let scenario = match made {
            Some(made) => made,
            None => Scenario::named(&options.scenario)?,
        };
        Sim::start_scenario(scenario, options).await
    }

    /// Like [`Sim::start`] with a scenario of one's own; `options.scenario` is not looked at.
    pub async fn start_scenario(mut scenario: Scenario, options: SimOptions) -> Result<Sim, SimError> {
        // Whoever installed a provider first is right as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if !(options.speed > 0.0 && options.speed <= 1_000.0) {
            return Err(SimError::Speed(options.speed));
        }
        let log = RequestLog::new(options.request_log.clone()).map_err(|source| SimError::RequestLog {
            path: options.request_log.clone().unwrap_or_default().display().to_string(),
            source,
        })?;
        scenario.add_users(&options.users);
        let tunnels = external_pd::place(&options.pd, &scenario)?;
        let loopback = options.direct.then(loopback_pod_addresses::network);
        let world = Arc::new(from_scenario::world(&scenario, options.seed, options.speed, log, tunnels, loopback)?);
        let load = options.load.unwrap_or_default();
        load.add_strangers(&world);
        let authority = certificate_authority::Authority::new("tidepilot demo");
        let identity = authority.server(&["localhost", "127.0.0.1"]);
        let churn = Churn::start(world.clone(), load.events);
        let direct = options.direct.then(|| Direct::start(world.clone()));
        let mut sim = Sim {
            clock: run_clock(world.clone()),
            churn,
            _direct: direct,
            world,
            authority,
            identity,
            contexts: Vec::new(),
        };
        for spec in &scenario.kube_clusters {
            let mut context = Context {
                name: spec.name.clone(),
                version: spec.version.clone(),
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                state: spec.state,
                tokens: BTreeMap::new(),
                users: Vec::new(),
                faults: Faults::default(),
                server: None,
            };
            for user in &spec.users {
                let token = format!("{:032x}", rand::random::<u128>());
                context.users.push((user.name.clone(), token.clone()));
                context.tokens.insert(token, self::user(&user.name, user.access));
            }
            if spec.state == ServerState::Dead {
                // A port that was free a moment ago and that nobody listens on.
                context.address = TcpListener::bind(context.address)?.local_addr()?;
            }
            sim.contexts.push(context);
        }
        for index in 0..sim.contexts.len() {
            if sim.contexts[index].state != ServerState::Dead {
                sim.serve(index).await?;
            }
        }
        Ok(sim)
    }

    async fn serve(&mut self, index: usize) -> Result<(), SimError> {
        let context = &self.contexts[index];
        let config = ApiServerConfig {
            name: context.name.clone(),
            version: context.version.clone(),
            tokens: context.tokens.clone(),
            store: self.world.kubes[index].store.clone(),
            pods: Arc::new(pod_ports::ClusterPods::new(self.world.clone(), index)),
            log: self.world.log.clone(),
            latency: None,
            faults: context.faults.clone(),
            identity: self.identity.clone(),
            hang: context.state == ServerState::Hanging,
        };
        let server = api_server::serve_at(config, context.address).await?;
        let context = &mut self.contexts[index];
        context.address = server.address();
        context.server = Some(server);
        Ok(())
    }

    /// The kubeconfig of the whole fleet, token users, the first context current.
    pub fn kubeconfig(&self) -> Value {
        self.kubeconfig_as(None)
    }

    /// The same, with every context as this user where the scenario has them there, and nobody else's token.
    pub fn kubeconfig_as(&self, user: Option<&str>) -> Value {
        let authority = secrets::encode(self.authority.pem().as_bytes());
        let (mut clusters, mut contexts, mut users) = (Vec::new(), Vec::new(), Vec::new());
        for context in &self.contexts {
            let name = &context.name;
            let server = format!("https://{}", context.address);
            clusters
                .push(json!({"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}));
            let named = context.users.iter().find(|(known, _)| Some(known.as_str()) == user);
            for (user, token) in context.users.iter().filter(|one| named.is_none_or(|named| named == *one)) {
                users.push(json!({"name": format!("{name}-{user}"), "user": {"token": token}}));
            }
            let chosen = named.or(context.users.first()).map(|(user, _)| format!("{name}-{user}"));
            contexts.push(json!({"name": name, "context": {"cluster": name, "user": chosen}}));
        }
        json!({
            "apiVersion": "v1", "kind": "Config", "preferences": {},
            "clusters": clusters, "users": users, "contexts": contexts,
            "current-context": self.contexts.first().map(|context| &context.name),
        })
    }

    /// Writes the kubeconfig for its owner only: it holds tokens.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        self.write_kubeconfig_as(None, path)
    }

    /// The same of one user's kubeconfig.
    pub fn write_kubeconfig_as(&self, user: Option<&str>, path: &Path) -> io::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let text = serde_json::to_string_pretty(&self.kubeconfig_as(user))?;
        // Opening a pipe would wait for somebody who reads it.
        if std::fs::metadata(path).is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type())) {
            return Err(io::Error::other("it is a pipe; expected a plain file"));
        }
        let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        // An older file may have been readable to others.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        writeln!(file, "{text}")
    }

    /// Changes so many pods in a second from now on.
    pub fn set_events(&self, rate: u32) {
        self.churn.set(rate);
    }

    /// Every request so far.
    pub fn log(&self) -> &RequestLog {
        &self.world.log
    }

    /// Context names in the scenario's order.
    pub fn contexts(&self) -> Vec<String> {
        self.contexts.iter().map(|context| context.name.clone()).collect()
    }

    /// The objects of one KubeCluster.
    pub fn store(&self, context: &str) -> Result<&Store, SimError> {
        Ok(&self.world.kubes[self.index(context)?].store)
    }

    /// The certificate (DER) that a PD pod's client port shows, by a handshake as another PD would make it.
    pub async fn served(&self, context: &str, namespace: &str, pod: &str) -> Option<Vec<u8>> {
        let kube = self.index(context).ok()?;
        let key = world::PodKey { kube, namespace: namespace.to_owned(), name: pod.to_owned() };
        let object = self.world.kubes[kube].store.find("pods", namespace, pod)?;
        let config = secrets::bundle(&self.world, &key, &object)?.client_config(true)?;
        let stream = pod_ports::connect(&self.world, &key, pd::server::CLIENT_PORT).ok()?;
        let peer = object["spec"]["subdomain"].as_str()?;
        let name = rustls::pki_types::ServerName::try_from(format!("{pod}.{peer}.{namespace}.svc")).ok()?;
        let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await.ok()?;
        let shown = stream.get_ref().1.peer_certificates()?.first()?.to_vec();
        Some(shown)
    }

    /// Trouble switches of one API server.
    pub fn faults(&self, context: &str) -> Result<&Faults, SimError> {
        Ok(&self.contexts[self.index(context)?].faults)
    }

    /// The members of a Database by its scenario name, as the raft log has them.
    pub fn database(&self, name: &str) -> Option<Vec<Member>> {
        let state = self.world.state();
        state.databases.iter().find(|database| database.name == name).map(|database| database.members.clone())
    }

    /// The member id of a Database's leader.
    pub fn leader(&self, name: &str) -> Option<u64> {
        let state = self.world.state();
        state.databases.iter().find(|database| database.name == name)?.leader
    }

    /// The pod of a Database's PD leader, with its context.
    pub fn pd_leader_pod(&self, database: &str) -> Option<(String, String)> {
        let state = self.world.state();
        let database = state.databases.iter().find(|known| known.name == database)?;
        let pod = &database.processes.get(&database.pd_leader?)?.pod;
        Some((self.contexts[pod.kube].name.clone(), pod.name.clone()))
    }

    /// Stops the clock and every server, and waits for them.
    pub async fn shutdown(mut self) {
        self.clock.abort();
        for context in &mut self.contexts {
            if let Some(server) = context.server.take() {
                server.stop().await;
            }
        }
    }

    fn index(&self, context: &str) -> Result<usize, SimError> {
        self.contexts
            .iter()
            .position(|known| known.name == context)
            .ok_or_else(|| SimError::NoContext { asked: context.to_owned(), known: self.contexts().join(", ") })
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.clock.abort();
    }
}

fn user(name: &str, access: Access) -> User {
    match access {
        Access::Admin => User::admin(name),
        Access::ReadOnly => User { name: name.to_owned(), groups: Vec::new(), rules: Rules::ReadOnly },
        Access::Bound => User { name: name.to_owned(), groups: Vec::new(), rules: Rules::Bound },
    }
}

fn run_clock(world: Arc<World>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let period = world.real(world::TICK_MS).max(SHORTEST_TICK);
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            world.tick();
        }
    })
}
