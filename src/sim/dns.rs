//! Names as pods see them: the cluster's own DNS, its search list, and the zones forwarded to other KubeClusters.
//!
//! Answers come from the Services and Pods in the stores (domain.md §1.4); nothing is cached. It makes no connection.

use serde_json::Value;

use super::world::{PodKey, World};

/// The API server's service address in every cluster.
const API_SERVICE_IP: &str = "10.96.0.1";

/// One address of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub ip: String,
    /// The pod behind it, where there is one.
    pub pod: Option<PodKey>,
}

/// The search list of a pod's `/etc/resolv.conf`.
pub fn search_list(world: &World, kube: usize, namespace: &str) -> [String; 3] {
    let domain = &world.kubes[kube].domain;
    [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()]
}

/// All addresses of a name, asked from a pod in `namespace`.
pub fn resolve(world: &World, kube: usize, namespace: &str, name: &str) -> Vec<Target> {
    let absolute = name.strip_suffix('.');
    let mut candidates = vec![absolute.unwrap_or(name).to_owned()];
    if absolute.is_none() {
        candidates.extend(search_list(world, kube, namespace).iter().map(|suffix| format!("{name}.{suffix}")));
    }
    let mut answers = candidates.iter().map(|candidate| lookup(world, kube, &candidate.to_ascii_lowercase()));
    answers.find(|targets| !targets.is_empty()).unwrap_or_default()
}

/// The one pod that a name (or an IP) leads to.
pub fn pod(world: &World, kube: usize, namespace: &str, name: &str) -> Option<PodKey> {
    resolve(world, kube, namespace, name).into_iter().find_map(|target| target.pod)
}

/// A fully qualified name, in the own zone or in one that is forwarded; else as the own CoreDNS is configured.
fn lookup(world: &World, from: usize, name: &str) -> Vec<Target> {
    let others = world.kubes[from].reaches.iter().copied();
    for kube in std::iter::once(from).chain(others) {
        let zone = format!(".svc.{}", world.kubes[kube].domain);
        let found = name.strip_suffix(&zone).map(|rest| in_cluster(world, kube, rest)).unwrap_or_default();
        if !found.is_empty() {
            return found;
        }
    }
    let mut aliases = aliases(world, from).into_iter();
    aliases
        .find_map(|zone| name.strip_suffix(&format!(".svc.{zone}")).map(|rest| in_cluster(world, from, rest)))
        .unwrap_or_default()
}

/// Further domains that the Corefile gives to the cluster's own names: more zones of its `kubernetes` lines, and what a
/// `rewrite name suffix` turns into the cluster's domain.
fn aliases(world: &World, kube: usize) -> Vec<String> {
    let own = &world.kubes[kube].domain;
    let map = world.kubes[kube].store.find("configmaps", "kube-system", "coredns").unwrap_or_default();
    let bare = |zone: &str| zone.trim_matches('.').to_ascii_lowercase();
    let mut all = Vec::new();
    for line in map["data"]["Corefile"].as_str().unwrap_or_default().lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            ["kubernetes", zones @ ..] => {
                all.extend(
                    zones.iter().filter(|zone| **zone != "{" && !zone.ends_with(".arpa")).map(|zone| bare(zone)),
                );
            }
            ["name", "suffix", from, to, ..]
            | ["rewrite", "name", "suffix", from, to, ..]
            | ["rewrite", "stop" | "continue", "name", "suffix", from, to, ..]
                if bare(to) == *own =>
            {
                all.push(bare(from));
            }
            _ => {}
        }
    }
    all
}

/// `SERVICE.NAMESPACE` or `POD.SERVICE.NAMESPACE` in one cluster.
fn in_cluster(world: &World, kube: usize, name: &str) -> Vec<Target> {
    let store = &world.kubes[kube].store;
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        ["kubernetes", "default"] => vec![Target { ip: API_SERVICE_IP.to_owned(), pod: None }],
        [pod, service, namespace] => {
            let Some(service) = store.find("services", namespace, service) else { return Vec::new() };
            let Some(found) = store.find("pods", namespace, pod) else { return Vec::new() };
            let named = found["spec"]["subdomain"] == service["metadata"]["name"];
            target(kube, &found).filter(|_| named && published(&service, &found)).into_iter().collect()
        }
        [service, namespace] => {
            let Some(service) = store.find("services", namespace, service) else { return Vec::new() };
            let behind: Vec<Target> = store
                .snapshot("pods", Some(namespace))
                .1
                .iter()
                .filter(|pod| selects(&service["spec"]["selector"], &pod["metadata"]["labels"]))
                .filter(|pod| published(&service, pod))
                .filter_map(|pod| target(kube, pod))
                .collect();
            match service["spec"]["clusterIP"].as_str() {
                Some("None") | None => behind,
                // The name of a ClusterIP resolves even with nothing behind it.
                Some(ip) => vec![Target { ip: ip.to_owned(), pod: behind.into_iter().find_map(|target| target.pod) }],
            }
        }
        _ => Vec::new(),
    }
}

fn target(kube: usize, pod: &Value) -> Option<Target> {
    let ip = pod["status"]["podIP"].as_str()?.to_owned();
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    Some(Target { ip, pod: Some(PodKey { kube, namespace: text("namespace"), name: text("name") }) })
}

fn published(service: &Value, pod: &Value) -> bool {
    service["spec"]["publishNotReadyAddresses"] == true || is_ready(pod)
}

fn selects(selector: &Value, labels: &Value) -> bool {
    selector
        .as_object()
        .is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value))
}

/// Whether the pod's Ready condition is True.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
