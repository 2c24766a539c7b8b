//! `[CONTEXT:]NAMESPACE/POD=ADDRESS`: a simulated pod whose client port is a real process.
//!
//! Reads the option and finds the pod's KubeCluster. Bytes are carried in `pods`; nothing here connects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;

use super::scenario::Scenario;
use super::world::PodKey;

/// One `--pd` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PdTunnel {
    pub context: Option<String>,
    pub namespace: String,
    pub pod: String,
    /// Loopback only.
    pub address: SocketAddr,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TunnelError {
    #[error("`{0}` is not [CONTEXT:]NAMESPACE/POD=127.0.0.1:PORT")]
    Form(String),
    #[error("`{0}` is not a loopback address; the demo connects to nothing else")]
    Foreign(String),
    #[error("no TidbCluster of the scenario has the PD pod {0}")]
    NoPod(String),
    #[error("the PD pod {pod} is in more than one context ({contexts}); write CONTEXT:{pod}=…")]
    Ambiguous { pod: String, contexts: String },
}

impl FromStr for PdTunnel {
    type Err = TunnelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || TunnelError::Form(text.to_owned());
        let (pod, address) = text.split_once('=').ok_or_else(form)?;
        let address: SocketAddr = address.parse().map_err(|_| form())?;
        if !address.ip().is_loopback() {
            return Err(TunnelError::Foreign(address.to_string()));
        }
        let (place, pod) = pod.rsplit_once('/').ok_or_else(form)?;
        let (context, namespace) = match place.rsplit_once(':') {
            Some((context, namespace)) => (Some(context.to_owned()), namespace),
            None => (None, place),
        };
        if namespace.is_empty() || pod.is_empty() || context.as_deref() == Some("") {
            return Err(form());
        }
        Ok(Self { context, namespace: namespace.to_owned(), pod: pod.to_owned(), address })
    }
}

/// Which pod each tunnel belongs to.
pub fn place(tunnels: &[PdTunnel], scenario: &Scenario) -> Result<BTreeMap<PodKey, SocketAddr>, TunnelError> {
    tunnels
        .iter()
        .map(|tunnel| {
            let PdTunnel { context, namespace, pod, address } = tunnel;
            let owners = scenario.tidb_clusters.iter().filter(|tc| {
                let prefix = format!("{}-pd-", tc.name);
                tc.namespace == *namespace
                    && context.as_ref().is_none_or(|context| *context == tc.kube_cluster)
                    && pod.strip_prefix(&prefix).is_some_and(|ordinal| ordinal.parse::<u32>().is_ok())
            });
            let kubes: Vec<&str> = owners.map(|tc| tc.kube_cluster.as_str()).collect();
            let path = format!("{namespace}/{pod}");
            let [kube] = kubes.as_slice() else {
                return Err(if kubes.is_empty() {
                    TunnelError::NoPod(path)
                } else {
                    TunnelError::Ambiguous { pod: path, contexts: kubes.join(", ") }
                });
            };
            let kube = scenario.kube_clusters.iter().position(|known| known.name == *kube);
            let kube = kube.ok_or(TunnelError::NoPod(path))?;
            Ok((PodKey { kube, namespace: namespace.clone(), name: pod.clone() }, *address))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let check = |text: &str, expected: Result<(Option<&str>, &str, &str), ()>| {
            let read = text.parse::<PdTunnel>();
            let shown = read
                .as_ref()
                .map(|tunnel| (tunnel.context.as_deref(), &*tunnel.namespace, &*tunnel.pod))
                .map_err(|_| ());
            assert_eq!(shown, expected, "{text}");
        };
        check("ns/x-pd-0=127.0.0.1:1", Ok((None, "ns", "x-pd-0")));
        check("east:ns/x-pd-0=127.0.0.1:1", Ok((Some("east"), "ns", "x-pd-0")));
        check("arn:aws:eks:1:east:ns/x-pd-0=127.0.0.1:1", Ok((Some("arn:aws:eks:1:east"), "ns", "x-pd-0")));
        check("x-pd-0=127.0.0.1:1", Err(()));
        check("ns/x-pd-0=127.0.0.1", Err(()));
        check("ns/x-pd-0=10.0.0.1:2379", Err(()));
        check(":ns/x-pd-0=127.0.0.1:1", Err(()));
    }

    #[test]
    fn pods_are_found_in_the_scenario() {
        let scenario = Scenario::named("default").expect("an embedded scenario");
        let place = |text: &str| place(&[text.parse().expect("a tunnel")], &scenario);
        assert_eq!(place("pingcap/basic-pd-0=127.0.0.1:1").expect("found").len(), 1);
        assert_eq!(place("pingcap/other-pd-0=127.0.0.1:1"), Err(TunnelError::NoPod("pingcap/other-pd-0".to_owned())));
        assert!(place("east:pingcap/basic-pd-0=127.0.0.1:1").is_err());
    }
}
