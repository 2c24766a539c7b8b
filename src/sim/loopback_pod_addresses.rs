//! PD pods whose addresses are real ones of this machine's loopback network, on which their client port listens: what a
//! process in the same network as the pods finds.
//!
//! Every pod's address is `127.N.x.y` then. Linux has all of 127.0.0.0/8; where a machine has not, nothing listens, which is
//! what a machine outside of the network finds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::components::Component;
use super::kubelet::component_of;
use super::pd::server::CLIENT_PORT;
use super::pod_ports;
use super::world::{PodKey, World};

/// Between two looks for pods that came or went.
const LOOK: Duration = Duration::from_millis(20);

/// The second byte of a network that nobody here listens in yet.
pub fn network() -> u8 {
    let free = |byte: &u8| std::net::TcpListener::bind(SocketAddr::from(([127, *byte, 255, 254], 0))).is_ok();
    std::iter::repeat_with(|| rand::random_range(2..=250)).take(20).find(free).unwrap_or(2)
}

/// Ends its listeners when it goes.
pub struct Direct(JoinHandle<()>);

impl Drop for Direct {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Direct {
    /// Listens for every PD pod that there is, until dropped.
    pub fn start(world: Arc<World>) -> Self {
        Self(tokio::spawn(async move {
            let mut listening: BTreeMap<(PodKey, IpAddr), Listener> = BTreeMap::new();
            loop {
                let there = addresses(&world);
                listening.retain(|key, _| there.contains(key));
                for (pod, ip) in there {
                    if let std::collections::btree_map::Entry::Vacant(place) = listening.entry((pod.clone(), ip))
                        && let Ok(listener) = TcpListener::bind((ip, CLIENT_PORT)).await
                    {
                        place.insert(Listener(tokio::spawn(accept(world.clone(), pod, listener))));
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        }))
    }
}

struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn addresses(world: &World) -> Vec<(PodKey, IpAddr)> {
    let mut all = Vec::new();
    for (kube, cluster) in world.kubes.iter().enumerate() {
        for pod in cluster.store.snapshot("pods", None).1.iter() {
            let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
            let ip = pod["status"]["podIP"].as_str().and_then(|ip| ip.parse::<IpAddr>().ok());
            if let (Some(Component::Pd), Some(ip)) = (component_of(pod), ip.filter(IpAddr::is_loopback)) {
                all.push((PodKey { kube, namespace: text("namespace"), name: text("name") }, ip));
            }
        }
    }
    all
}

async fn accept(world: Arc<World>, pod: PodKey, listener: TcpListener) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        // A port that nobody serves closes at once.
        if let Ok(mut far) = pod_ports::connect(&world, &pod, CLIENT_PORT) {
            open.spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
            });
        }
        while open.try_join_next().is_some() {}
    }
}
