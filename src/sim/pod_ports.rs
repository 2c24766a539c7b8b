//! What lies behind the pods of one KubeCluster: their ports and the programs in their containers.
//!
//! Implements the API server's `Pods` trait over the world. PD's ports are served by `pd::server`, or by a real process
//! behind a tunnel; other components' ports accept a connection and say nothing. Programs are in `exec`.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::api_server::{ExecOutput, Pods, Stream};
use super::components::Component;
use super::exec;
use super::kubelet::{self, Stage, component_of};
use super::logs::Log;
use super::pd::server::{self, CLIENT_PORT, Endpoint, PEER_PORT};
use super::world::{PodKey, World};

/// Bytes in flight in one direction of a connection.
const BUFFER: usize = 64 * 1024;

/// A loopback connect that takes longer than this will not happen.
const TUNNEL_TIMEOUT: Duration = Duration::from_millis(500);

/// The pods of one KubeCluster.
pub struct ClusterPods {
    world: Arc<World>,
    kube: usize,
}

impl ClusterPods {
    pub fn new(world: Arc<World>, kube: usize) -> Self {
        Self { world, kube }
    }

    fn key(&self, namespace: &str, pod: &str) -> PodKey {
        PodKey { kube: self.kube, namespace: namespace.to_owned(), name: pod.to_owned() }
    }
}

impl Pods for ClusterPods {
    fn dial(&self, namespace: &str, pod: &str, port: u16) -> Result<Box<dyn Stream>, String> {
        let key = self.key(namespace, pod);
        connect(&self.world, &key, port).map_err(|reason| {
            format!("error forwarding port {port} to pod {pod}, uid : failed to connect to localhost:{port} inside namespace {namespace:?}: {reason}")
        })
    }

    fn exec<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        _container: Option<&'a str>,
        argv: &'a [String],
    ) -> BoxFuture<'a, ExecOutput> {
        let key = self.key(namespace, pod);
        async move { exec::run(&self.world, &key, argv).await }.boxed()
    }

    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Option<Arc<Log>> {
        let object = self.world.kubes[self.kube].store.find("pods", namespace, pod)?;
        // Only a pod's own container says something.
        if kubelet::main_container(&object)["name"] != container {
            return (!previous).then(|| Arc::new(Log::default()));
        }
        self.world.state().logs.of(&self.key(namespace, pod), previous)
    }
}

/// Opens one connection to a pod; the error is the operating system's.
pub fn connect(world: &Arc<World>, key: &PodKey, port: u16) -> Result<Box<dyn Stream>, String> {
    let refused = || Err(format!("dial tcp4 127.0.0.1:{port}: connect: connection refused"));
    if port == CLIENT_PORT
        && let Some(address) = world.tunnels.get(key)
    {
        return tunnel(*address).map_err(|error| format!("dial tcp4 {address}: {error}"));
    }
    let Some(pod) = world.kubes[key.kube].store.find("pods", &key.namespace, &key.name) else { return refused() };
    let component = component_of(&pod);
    let listens = match component {
        Some(component) => component.ports().iter().any(|(_, known)| *known == port),
        // Any other pod listens where it says that it does.
        None => declared(&pod).any(|known| known == u64::from(port)),
    };
    if !listens {
        return refused();
    }
    let state = world.state();
    let Some(container) = state.containers.get(key) else { return refused() };
    if !matches!(container.stage, Stage::Starting { .. } | Stage::Running) {
        return refused();
    }
    let (stop, tls) = (container.stop.clone(), container.tls.clone());
    let (near, far) = tokio::io::duplex(BUFFER);
    if component == Some(Component::Pd) && matches!(port, CLIENT_PORT | PEER_PORT) {
        let process = state.databases.iter().find_map(|database| database.processes.get(&database.member_at(key)?));
        let Some(process) = process else { return refused() };
        if process.client_url.starts_with("https:") && tls.is_none() {
            return refused();
        }
        drop(state);
        tokio::spawn(server::serve(Endpoint { world: world.clone(), pod: key.clone(), port }, far, tls, stop));
        return Ok(Box::new(near));
    }
    if container.stage != Stage::Running {
        return refused();
    }
    drop(state);
    // Open, as a connection test wants to see, and mute: no other protocol is simulated.
    tokio::spawn(async move {
        let mut far = far;
        let mut sink = [0; 1024];
        loop {
            tokio::select! {
                read = far.read(&mut sink) => if !matches!(read, Ok(1..)) { break },
                () = stop.cancelled() => break,
            }
        }
    });
    Ok(Box::new(near))
}

/// The container ports of a pod.
fn declared(pod: &serde_json::Value) -> impl Iterator<Item = u64> + '_ {
    let containers = pod["spec"]["containers"].as_array();
    let ports = containers.into_iter().flatten().filter_map(|container| container["ports"].as_array());
    ports.flatten().filter_map(|port| port["containerPort"].as_u64())
}

fn tunnel(address: SocketAddr) -> std::io::Result<Box<dyn Stream>> {
    let stream = TcpStream::connect_timeout(&address, TUNNEL_TIMEOUT)?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(Box::new(tokio::net::TcpStream::from_std(stream)?))
}
