//! PD asked directly at its pod's address, without the API server: from inside the cluster, or over a VPN.
//!
//! An address proves nothing: pods of two KubeClusters may have the same one, and a network may lead it anywhere. So a direct
//! way is used only once PD has said there who it is: the PD cluster id that TiDB Operator has noted in
//! `status.clusterID`, and the name of the member that answers. Certificates are checked as through a tunnel: the pod's own DNS
//! name, by the CA of its TidbCluster. Not here: what is asked ([`super`]), opening ([`crate::client::wire::open_tunnel`]).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Asker, PdRead, answers, read};
use crate::client::kube::context_selection::PdAccess;
use crate::client::wire::deadline::Within;
use crate::client::wire::link::Link;
use crate::client::wire::open_tunnel;
use crate::client::wire::pd_tls::PdTls;
use crate::client::wire::tunnel::{PD_PORT, Tunnel};
use crate::fleet::dns::same_name;
use crate::fleet::pd::{EtcdMember, MemberId, NoAnswer, PdWay};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;

/// What `auto` gives to a direct way before it takes the other one.
const TRY: Duration = Duration::from_millis(1500);

/// A direct way to this pod, where one is wanted. `Ok(Err(why))`: the port-forward is to be taken, with what is to be said of it.
pub(super) async fn open(
    link: &Link,
    pod: &Pod,
    tc: Option<&TidbCluster>,
    tls: Option<&PdTls>,
    within: Within,
) -> Result<Result<Tunnel, PdWay>, NoAnswer> {
    let (key, access) = (pod.metadata.key(), link.pd_access());
    match access {
        PdAccess::PortForward => return Ok(Err(PdWay::PortForward)),
        PdAccess::Auto => {
            if let Some(why) = link.indirect.of(&key, &pod.metadata.uid) {
                return Ok(Err(PdWay::Instead(why)));
            }
        }
        PdAccess::Direct => {}
    }
    let within = match access {
        PdAccess::Auto => Within::from(TRY.min(within.left())),
        PdAccess::Direct | PdAccess::PortForward => within,
    };
    let tried = tokio::time::timeout_at(within.ends(), proven(pod, tc, tls, link.is_local(), within)).await;
    let why = match tried {
        Ok(Ok(tunnel)) => return Ok(Ok(tunnel)),
        Ok(Err(why)) => why,
        Err(_) => format!("pod {key} did not answer directly within {within}").into(),
    };
    match access {
        PdAccess::Direct => Err(why),
        PdAccess::Auto | PdAccess::PortForward => {
            link.indirect.note(&key, &pod.metadata.uid, &why.sentence);
            Ok(Err(PdWay::Instead(why.sentence)))
        }
    }
}

/// What a cluster may make this machine dial: never itself (but where the API server is on it too), its links or a group.
fn may_be_dialled(address: IpAddr, local: bool) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.to_ipv4_mapped().is_some(),
    };
    !(link_local || address.is_unspecified() || address.is_multicast() || (address.is_loopback() && !local))
}

async fn proven(
    pod: &Pod,
    tc: Option<&TidbCluster>,
    tls: Option<&PdTls>,
    local: bool,
    within: Within,
) -> Result<Tunnel, NoAnswer> {
    let key = pod.metadata.key();
    let wanted = tc.and_then(|tc| Some((tc, tc.status.cluster_id.as_ref()?.parse::<u64>().ok()?)));
    let Some((tc, cluster_id)) = wanted else {
        let sentence =
            format!("pod {key} is not asked directly: status.clusterID does not say yet which PD it should be");
        return Err(sentence.into());
    };
    let address = pod.status.addresses().into_iter().find_map(|address| address.parse::<IpAddr>().ok());
    let Some(address) = address else {
        return Err(format!("pod {key} has no address yet").into());
    };
    if !may_be_dialled(address, local) {
        return Err(format!("pod {key} is not asked directly: {address} is no address of a pod elsewhere").into());
    }
    let mut tunnel = open_tunnel::open_direct(SocketAddr::new(address, PD_PORT), &key, tls, within).await?;
    let who = who(&mut tunnel, within).await?;
    match mismatch(&who, cluster_id, tc, &pod.metadata.name) {
        None => Ok(tunnel),
        Some(why) => Err(format!("at {address} another PD answers than pod {key}: {why}").into()),
    }
}

/// Who answers.
struct Who {
    cluster_id: u64,
    member: Option<MemberId>,
    members: Vec<EtcdMember>,
}

async fn who(tunnel: &mut Tunnel, within: Within) -> Result<Who, String> {
    let reply = read(tunnel, PdRead::MembersV3, within).await.map_err(|broken| broken.sentence)?;
    let (header, members) = answers::members_v3(&reply.body)?;
    let mut asker = Asker::new(tunnel, within);
    let process = asker.process().await;
    let said = asker.gaps.pop();
    let process = process.ok_or_else(|| said.unwrap_or_else(|| "it is no PD".to_owned()))?;
    Ok(Who { cluster_id: process.cluster_id, member: header.member_id.map(MemberId), members })
}

/// What speaks against its being the PD of this pod; the end of a sentence.
fn mismatch(who: &Who, cluster_id: u64, tc: &TidbCluster, pod: &str) -> Option<String> {
    if who.cluster_id != cluster_id {
        return Some(format!("its cluster id is {}, and status.clusterID is {cluster_id}", who.cluster_id));
    }
    let Some(itself) = who.members.iter().find(|member| Some(member.id) == who.member) else {
        return Some("it does not say which member it is".to_owned());
    };
    let alike = who.members.iter().filter(|member| same_name(&member.name, &itself.name)).count();
    let full = tc.domain().map(|domain| tc.pd_host(pod, Some(domain)));
    let short = [tc.pd_host(pod, None), pod.to_owned()];
    let called = |name: &String| same_name(name, &itself.name);
    if !full.as_ref().is_some_and(called) {
        if !short.iter().any(called) {
            return Some(format!("it is the member {}", itself.name));
        }
        // A member keeps the name that it was made with, which may be from before the domain was set. Such a name may be that of a
        // pod in another KubeCluster of the same Database too, so that it tells nothing once there may be one.
        if tc.across_k8s() || full.is_some() || tc.spec.cluster.is_some() {
            return Some(format!("it is called {}, as a pod of another KubeCluster may be", itself.name));
        }
    }
    (alike > 1).then(|| format!("more than one member is called {}", itself.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tc(spec: serde_json::Value) -> TidbCluster {
        let object = serde_json::json!({"metadata": {"namespace": "pingcap", "name": "basic"}, "spec": spec});
        serde_json::from_value(object).expect("a TidbCluster")
    }

    fn who(cluster_id: u64, itself: u64, names: &[&str]) -> Who {
        let member = |(index, name): (usize, &&str)| EtcdMember {
            id: MemberId(index as u64 + 1),
            name: (*name).to_owned(),
            peer_urls: Vec::new(),
            client_urls: Vec::new(),
        };
        Who { cluster_id, member: Some(MemberId(itself)), members: names.iter().enumerate().map(member).collect() }
    }

    #[test]
    fn no_cluster_makes_this_machine_dial_itself() {
        let cases = [
            ("10.1.2.3", true),
            ("fd00::1", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("fe80::1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
        ];
        for (address, may) in cases {
            assert_eq!(may_be_dialled(address.parse().expect("an address"), false), may, "{address}");
        }
        assert!(may_be_dialled("127.0.0.1".parse().expect("an address"), true), "a cluster on this very machine");
    }

    #[test]
    fn only_the_pd_of_this_very_pod_is_believed() {
        let plain = tc(serde_json::json!({}));
        let placed = tc(serde_json::json!({"clusterDomain": "cluster1.com", "acrossK8s": true}));
        let (long, other) =
            ("basic-pd-0.basic-pd-peer.pingcap.svc.cluster1.com", "basic-pd-0.basic-pd-peer.pingcap.svc.cluster2.com");
        let joined = tc(serde_json::json!({"cluster": {"name": "basic"}}));
        let mirrored = tc(serde_json::json!({"clusterDomain": "cluster2.com", "acrossK8s": true}));
        let cases: [(&TidbCluster, Who, Option<&str>); 11] = [
            (&plain, who(7, 1, &["basic-pd-0", "basic-pd-1"]), None),
            (&placed, who(7, 1, &[long, other]), None),
            (&mirrored, who(7, 2, &[long, other]), None),
            // The short name is cluster1's, whichever of the two is asked.
            (&placed, who(7, 1, &["basic-pd-0", other]), Some("another KubeCluster")),
            (&mirrored, who(7, 1, &["basic-pd-0", other]), Some("another KubeCluster")),
            (&joined, who(7, 1, &["basic-pd-0", "x"]), Some("another KubeCluster")),
            (&plain, who(8, 1, &["basic-pd-0"]), Some("cluster id is 8")),
            (&plain, who(7, 2, &["basic-pd-0", "basic-pd-1"]), Some("it is the member basic-pd-1")),
            (&placed, who(7, 2, &[long, other]), Some("cluster2.com")),
            (&plain, who(7, 9, &["basic-pd-0"]), Some("which member")),
            (&plain, who(7, 1, &["basic-pd-0", "basic-pd-0"]), Some("more than one member")),
        ];
        for (tc, who, wanted) in cases {
            let found = mismatch(&who, 7, tc, "basic-pd-0");
            match wanted {
                None => assert_eq!(found, None),
                Some(wanted) => assert!(found.as_ref().is_some_and(|why| why.contains(wanted)), "{found:?} {wanted}"),
            }
        }
    }
}
