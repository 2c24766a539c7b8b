//! PD asked directly at its pod's address, without the API server: from inside the cluster, or over a VPN.
//!
//! An address proves nothing: pods of two KubeClusters may have the same one, and a network may lead it anywhere. So a direct
//! way is used only once PD has said there who it is: the PD cluster id that TiDB Operator has noted in
//! `status.clusterID`, and the name of the member that answers. Certificates are checked as through a tunnel: the pod's own DNS
//! name, by the CA of its TidbCluster. Not here: what is asked ([`super`]), opening ([`crate::client::wire::forward`]).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Asker, PdRead, answers, read};
use crate::client::kube::connect::PdAccess;
use crate::client::wire::forward;
use crate::client::wire::link::Link;
use crate::client::wire::pd_tls::PdTls;
use crate::client::wire::tunnel::{PD_PORT, Tunnel};
use crate::client::wire::within::Within;
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
    let tried = tokio::time::timeout_at(within.ends(), proven(pod, tc, tls, within)).await;
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

async fn proven(pod: &Pod, tc: Option<&TidbCluster>, tls: Option<&PdTls>, within: Within) -> Result<Tunnel, NoAnswer> {
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
    let mut tunnel = forward::open_direct(SocketAddr::new(address, PD_PORT), &key, tls, within).await?;
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
    // A member keeps the name that it was made with, which may be from before the domain was set. Such a short name may be
    // that of two pods of the Database, and then it tells nothing.
    let mut names = vec![tc.pd_host(pod, None), pod.to_owned()];
    names.extend(tc.domain().map(|domain| tc.pd_host(pod, Some(domain))));
    if !names.iter().any(|name| same_name(name, &itself.name)) {
        return Some(format!("it is the member {}", itself.name));
    }
    let alike = who.members.iter().filter(|member| same_name(&member.name, &itself.name)).count();
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
    fn only_the_pd_of_this_very_pod_is_believed() {
        let plain = tc(serde_json::json!({}));
        let placed = tc(serde_json::json!({"clusterDomain": "cluster1.com", "acrossK8s": true}));
        let (long, other) =
            ("basic-pd-0.basic-pd-peer.pingcap.svc.cluster1.com", "basic-pd-0.basic-pd-peer.pingcap.svc.cluster2.com");
        let cases: [(&TidbCluster, Who, Option<&str>); 8] = [
            (&plain, who(7, 1, &["basic-pd-0", "basic-pd-1"]), None),
            (&placed, who(7, 1, &[long, other]), None),
            (&placed, who(7, 1, &["basic-pd-0", other]), None),
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
