//! A light look at a PD pod that was well when it was last asked everything: whether membership, term and health are as they were.
//!
//! One to three requests where the whole round takes five to eight. It never says what is new: whatever is not as it was is
//! for a whole look to tell. Not here: who is looked at so, and when ([`crate::client::kube::watch`]).

use http::StatusCode;

use crate::client::pd::{self, PdRead, answers};
use crate::client::wire::deadline::Within;
use crate::client::wire::link::Link;
use crate::client::wire::tunnel::{Broken, Tunnel};
use crate::fleet::pd::{MemberId, PdAnswer, Store};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;

/// What is asked beside the membership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::client) struct Depth {
    /// What PD says of its members.
    pub health: bool,
    pub stores: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::client) enum Light {
    Same,
    /// All is the same, and the stores are these now: their numbers move by themselves.
    Stores(Vec<Store>),
    /// Something is not as it was, or could not be asked.
    Moved,
}

/// Asks over the tunnel that is kept, or over a new one: the answer tells whether it is the same member.
pub(in crate::client) async fn look(
    link: &Link,
    pod: &Pod,
    tc: Option<&TidbCluster>,
    before: &PdAnswer,
    depth: Depth,
) -> Light {
    let deadline = Within::from(link.limits().pd);
    let asked = async {
        let mut slot = link.slots.of(&pod.metadata.key(), &pod.metadata.uid).await;
        let mut tunnel = match slot.tunnel.take() {
            Some(kept) => kept,
            None => match pd::open(link, pod, tc, deadline).await {
                Ok(opened) => opened,
                Err(_) => return Light::Moved,
            },
        };
        match compare(&mut tunnel, before, depth, deadline).await {
            Ok(found) => {
                link.keep(&mut slot, tunnel);
                found
            }
            Err(_) => Light::Moved,
        }
    };
    tokio::time::timeout_at(deadline.ends(), asked).await.unwrap_or(Light::Moved)
}

async fn compare(tunnel: &mut Tunnel, before: &PdAnswer, depth: Depth, within: Within) -> Result<Light, Broken> {
    // Served since etcd 3.4, whatever is used for the rest; its header has the term, which every election raises.
    let reply = pd::read(tunnel, PdRead::MembersV3, within).await?;
    let Some((header, members)) = answers::members_v3(&reply.body).ok().filter(|_| reply.status == StatusCode::OK)
    else {
        return Ok(Light::Moved);
    };
    let same = members == before.members
        && header.member_id.map(MemberId) == before.self_id
        && header.raft_term.is_some()
        && header.raft_term == before.term;
    if !same {
        return Ok(Light::Moved);
    }
    if depth.health {
        let reply = pd::read(tunnel, PdRead::PdHealth, within).await?;
        let health = answers::pd_health(&reply.body).ok().filter(|_| reply.status.is_success());
        if health.as_ref() != Some(&before.health) {
            return Ok(Light::Moved);
        }
    }
    if !depth.stores {
        return Ok(Light::Same);
    }
    let reply = pd::read(tunnel, PdRead::PdStores, within).await?;
    let stores = answers::stores(&reply.body).ok().filter(|_| reply.status.is_success());
    Ok(match stores {
        Some(stores) if stores == before.stores => Light::Same,
        Some(stores) if standing(&stores) == standing(&before.stores) => Light::Stores(stores),
        _ => Light::Moved,
    })
}

/// What of stores does not move by itself.
fn standing(stores: &[Store]) -> Vec<(u64, &str, &str, &str)> {
    stores
        .iter()
        .map(|store| (store.id, store.address.as_str(), store.state.as_str(), store.version.as_str()))
        .collect()
}
