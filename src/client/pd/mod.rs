//! PD over a tunnel: closed enums of what may be asked and written, and one round of asking a pod everything.
//!
//! Every pod is asked for its own view. What could not be read is a gap in words; a 404 of PD's own API means a bare etcd and is
//! none. Writing takes a permit and happens only in [`crate::client::write`]. Shapes: [`crate::client::pd::answers`].

pub(super) mod answers;
mod asker;
mod direct;
pub(super) mod election_wait;
pub(super) mod leader_details;
mod members_api;
mod requests;
pub(super) mod tls;
pub(super) mod unchanged_check;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use self::asker::not_bootstrapped;
pub(super) use self::asker::{Asker, said};
pub(super) use self::members_api::{Membership, membership};
use self::requests::read;
pub(super) use self::requests::{PdRead, PdWrite, write};
use super::now;
use crate::client::kube::context_selection::PdAccess;
use crate::client::wire::deadline::Within;
use crate::client::wire::link::Link;
use crate::client::wire::open_tunnel;
use crate::client::wire::tunnel::Tunnel;
use crate::fleet::closer_look::Served;
use crate::fleet::pd::{MemberId, MembershipApi, NoAnswer, PdAnswer, PdView};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;

/// etcd's `/health` of the very member asked.
pub(super) async fn healthy(tunnel: &mut Tunnel, within: Within) -> Result<bool, String> {
    let reply = read(tunnel, PdRead::Health, within).await.map_err(|broken| broken.sentence)?;
    answers::health(&reply.body).ok_or_else(|| said("GET /health", &reply))
}

/// Opens a tunnel of its own to a pod, for one write or one careful reading.
pub(super) async fn open(link: &Link, pod: &Pod, tc: Option<&TidbCluster>, within: Within) -> Result<Tunnel, String> {
    opened(link, pod, tc, within).await.map_err(|why| why.sentence)
}

/// Opens one to write through. A direct way only where a person chose it: what proves it comes from the API server that named
/// the address, and through a port-forward that server reaches no more than it does anyway.
pub(super) async fn open_to_write(link: &Link, pod: &Pod, tc: &TidbCluster, within: Within) -> Result<Tunnel, String> {
    if link.pd_access() == PdAccess::Direct {
        return open(link, pod, Some(tc), within).await;
    }
    let tls = tls::material(link, Some(tc), pod).await?;
    open_tunnel::open(link, &pod.metadata.key(), tls.as_ref(), within).await.map_err(|why| why.sentence)
}

async fn opened(link: &Link, pod: &Pod, tc: Option<&TidbCluster>, within: Within) -> Result<Tunnel, NoAnswer> {
    let key = pod.metadata.key();
    let tls = tls::material(link, tc, pod).await?;
    let opened = match direct::open(link, pod, tc, tls.as_ref(), within).await {
        Ok(Ok(tunnel)) => Ok(tunnel),
        Ok(Err(way)) => {
            let opened = open_tunnel::open(link, &key, tls.as_ref(), within).await;
            opened.map(|mut tunnel| {
                tunnel.way = way;
                tunnel
            })
        }
        Err(why) => Err(why),
    };
    if let (Err(_), Some(tc), true) = (&opened, tc, tls.is_some()) {
        tls::forget(link, tc);
    }
    opened
}

/// Which certificate a PD pod serves now, by a handshake of its own: a tunnel that is kept shows the one of its own.
pub(super) async fn served(link: &Link, pod: &Pod, tc: &TidbCluster) -> Result<Served, String> {
    let opened = open(link, pod, Some(tc), link.limits().pd.into()).await?;
    opened.served.ok_or_else(|| format!("pod {} showed no certificate", pod.metadata.key()))
}

/// Asks PD through one pod for what all of them share, where it is not told yet, and what it thinks of its members. That is
/// asked last: PD pings each of them for up to 3 s, so that with one that hangs everything asked after it would be lost
/// (measured).
pub(super) async fn add_health(link: &Link, pod: &Pod, tc: Option<&TidbCluster>, view: &mut PdView, deadline: Within) {
    add(link, pod, tc, view, (deadline, true)).await;
}

/// Only what all pods share: where the one that was to tell it did not.
pub(super) async fn add_told(link: &Link, pod: &Pod, tc: Option<&TidbCluster>, view: &mut PdView, deadline: Within) {
    add(link, pod, tc, view, (deadline, false)).await;
}

async fn add(link: &Link, pod: &Pod, tc: Option<&TidbCluster>, view: &mut PdView, (deadline, health): (Within, bool)) {
    let Ok(answer) = &mut view.answer else { return };
    if answer.version.is_none() {
        // A bare etcd has no such answer.
        return;
    }
    let late = deadline.ends();
    let asked = async {
        let mut slot = link.slots.of(&pod.metadata.key(), &pod.metadata.uid).await;
        let mut tunnel = match slot.tunnel.take().filter(Tunnel::usable) {
            Some(kept) => kept,
            None => open(link, pod, tc, deadline).await?,
        };
        let mut asker = Asker::new(&mut tunnel, deadline);
        if answer.pd_leads.is_none() {
            add_shared(&mut asker, answer).await;
        }
        if health {
            let found = asker.with(PdRead::PdHealth, "GET /pd/api/v1/health", answers::pd_health).await;
            answer.health = found.unwrap_or_default();
        }
        let (gaps, dead) = (std::mem::take(&mut asker.gaps), asker.dead());
        answer.gaps.extend(gaps);
        if !dead {
            link.keep(&mut slot, tunnel);
        }
        Ok::<_, String>(())
    };
    let why = match tokio::time::timeout_at(late, asked).await {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why,
        Err(_) => "GET /pd/api/v1/health: no answer in time".into(),
    };
    answer.gaps.push(why);
}

/// Whose turn it is to ask PD for its members' health: of each TidbCluster one pod. It must not wait for the others, since
/// one of them may be the member that hangs.
#[derive(Debug, Default)]
pub(super) struct HealthTurn(Mutex<BTreeSet<(String, Option<String>)>>);

impl HealthTurn {
    /// `pods`: all running PD pods of the KubeCluster. etcd's leader where it is one of them, else whoever is done first.
    pub fn take(&self, pod: &Pod, view: &PdView, pods: &[&Pod]) -> bool {
        let Some(leads) = leads(pod, view, pods.iter().copied()) else { return false };
        let of = (pod.metadata.namespace.clone(), pod.instance().map(str::to_owned));
        leads && self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(of)
    }
}

/// Whether the pod that answered is etcd's leader.
pub(super) fn is_leader(view: &PdView) -> bool {
    view.answer.as_ref().is_ok_and(|answer| answer.self_id.is_some() && answer.self_id == answer.leader)
}

/// Whether a pod is the one to ask for its TidbCluster's sake: it is etcd's leader, or that one runs elsewhere. `None`: it
/// gave no answer.
pub(super) fn leads<'a>(pod: &Pod, view: &PdView, pods: impl IntoIterator<Item = &'a Pod>) -> Option<bool> {
    if is_leader(view) {
        return Some(true);
    }
    let answer = view.answer.as_ref().ok()?;
    let leader = answer.members.iter().find(|member| Some(member.id) == answer.leader);
    let named = leader.and_then(|leader| leader.name.split('.').next()).unwrap_or_default();
    let same = |other: &Pod| other.metadata.namespace == pod.metadata.namespace && other.instance() == pod.instance();
    Some(!pods.into_iter().any(|other| same(other) && other.metadata.name == named))
}

/// Whether a pod is the first one of its TidbCluster.
pub(super) fn is_first<'a>(pod: &Pod, pods: impl IntoIterator<Item = &'a Pod>) -> bool {
    let same = |other: &&Pod| other.metadata.namespace == pod.metadata.namespace && other.instance() == pod.instance();
    pods.into_iter().find(same).is_some_and(|first| first.metadata.name == pod.metadata.name)
}

/// Asks one PD pod everything but its members' health, within `limits.pd`, over the tunnel that is kept for it.
pub(super) async fn ask(link: &Link, pod: &Pod, tc: Option<&TidbCluster>) -> PdView {
    asked(link, pod, tc, true).await
}

/// The same without what only PD's leader knows: whoever asks all pods together asks one of them for that.
pub(super) async fn ask_member(link: &Link, pod: &Pod, tc: Option<&TidbCluster>) -> PdView {
    asked(link, pod, tc, false).await
}

async fn asked(link: &Link, pod: &Pod, tc: Option<&TidbCluster>, shared: bool) -> PdView {
    let deadline = Within::from(link.limits().pd);
    let answer = match tokio::time::timeout_at(deadline.ends(), ask_over_slot(link, pod, tc, (deadline, shared))).await
    {
        Ok(answer) => answer,
        Err(_) => Err(format!("pod {}: PD gave no answer within {deadline}", pod.metadata.key()).into()),
    };
    PdView { at: now(), answer }
}

async fn ask_over_slot(
    link: &Link,
    pod: &Pod,
    tc: Option<&TidbCluster>,
    (deadline, shared): (Within, bool),
) -> Result<PdAnswer, NoAnswer> {
    let mut slot = link.slots.of(&pod.metadata.key(), &pod.metadata.uid).await;
    // A kept tunnel may have died unnoticed: one new one is worth it, since nothing here writes. It is taken out
    // while in use, so that a round which is given up leaves no half-read answer behind.
    if let Some(mut kept) = slot.tunnel.take() {
        match round(&mut kept, deadline, shared).await {
            Ok(answer) => {
                link.keep(&mut slot, kept);
                return Ok(answer);
            }
            // It was slow, not dead.
            Err(sentence) if deadline.left() < Duration::from_millis(200) => return Err(sentence.into()),
            Err(_) => {}
        }
    }
    let mut tunnel = opened(link, pod, tc, deadline).await?;
    let answer = round(&mut tunnel, deadline, shared).await?;
    link.keep(&mut slot, tunnel);
    Ok(answer)
}

async fn round(tunnel: &mut Tunnel, deadline: Within, shared: bool) -> Result<PdAnswer, String> {
    let membership = membership(tunnel, deadline).await?;
    let mut answer = PdAnswer {
        api: Some(membership.api),
        cluster_id: membership.etcd_cluster_id,
        self_id: membership.self_id,
        members: membership.members,
        way: tunnel.way.clone(),
        ..PdAnswer::default()
    };
    // What follows is worth having, but a slow part must not cost the part that is here already.
    let soft = deadline.earlier(Duration::from_millis(300));
    let mut asker = Asker::new(tunnel, soft);
    match asker.get::<answers::Status>(PdRead::StatusV3, "POST /v3/maintenance/status", true).await {
        Some(status) => {
            answer.self_id = status.header.member_id.map(MemberId).or(answer.self_id);
            answer.leader = status.leader.map(MemberId);
            answer.term = status.header.raft_term;
        }
        None if answer.api == Some(MembershipApi::V2) => {
            let leader = asker.get::<answers::LeaderV2>(PdRead::LeaderV2, "GET /v2/members/leader", false).await;
            answer.leader = leader.map(|leader| leader.id);
        }
        None => {}
    }
    if let Some(reply) = asker.reply(PdRead::Health, "GET /health").await {
        answer.healthy = answers::health(&reply.body);
        if answer.healthy.is_none() {
            asker.gaps.push(said("GET /health", &reply));
        }
    }
    let known = asker.process().await;
    if known.is_none() && !asker.is_bare {
        // PD is there, or the tunnel broke before it could be asked: only a clear 404 is a bare etcd. etcd's id is
        // another number and must not stand in for PD's, or a restarting pod looks like another Database.
        answer.cluster_id = None;
    }
    if let Some(known) = known {
        answer.cluster_id = Some(known.cluster_id);
        answer.version = known.version;
        if shared {
            add_shared(&mut asker, &mut answer).await;
        }
    }
    answer.gaps = asker.gaps;
    Ok(answer)
}

/// What only PD's leader knows: each member that is asked passes it on, so that one of them is enough.
async fn add_shared(asker: &mut Asker<'_>, answer: &mut PdAnswer) {
    if let Some(reply) = asker.reply(PdRead::PdStores, "GET /pd/api/v1/stores").await {
        answer.pd_leads = answers::pd_leads(reply.status, &reply.body);
        match reply.status.is_success() {
            true => match answers::stores(&reply.body) {
                Ok(stores) => answer.stores = stores,
                Err(gap) => asker.gaps.push(gap),
            },
            // No store yet, which is no gap; no leader, which is said once by who looks at all pods together.
            false if answer.pd_leads.is_some() => {}
            false => asker.gaps.push(said("GET /pd/api/v1/stores", &reply)),
        }
    }
    if answer.pd_leads != Some(false) {
        let replicate =
            asker.get::<answers::Replicate>(PdRead::PdReplicate, "GET /pd/api/v1/config/replicate", true).await;
        answer.max_replicas = replicate.as_ref().map(|replicate| replicate.max_replicas);
        let labels = replicate.iter().flat_map(|replicate| replicate.location_labels.split(','));
        answer.location_labels = labels.map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
    }
}

/// A pod that PD may be asked through.
pub(super) fn is_running_pd(pod: &Pod) -> bool {
    pod.component() == Some("pd") && pod.status.phase == "Running" && pod.metadata.deletion_timestamp.is_none()
}

/// The TidbCluster to which a pod belongs, by its instance label.
pub(super) fn owner<'a>(pod: &Pod, all: impl IntoIterator<Item = &'a TidbCluster>) -> Option<&'a TidbCluster> {
    let namespace = pod.metadata.namespace.as_str();
    all.into_iter().find(|tc| tc.namespace() == namespace && pod.instance() == Some(tc.instance()))
}
