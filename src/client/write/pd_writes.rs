//! Writes to PD: a member's peerURLs, the lead, the membership.
//!
//! No server checks a peerURL, so our own check stands here once more, right before the write; the member is read anew
//! through the very tunnel that the write then takes. Not here: what PD's API looks like (`client::pd`).

use crate::client::pd::{self, Membership, PdWrite};
use crate::client::plain;
use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::reply::Reply;
use crate::client::wire::tunnel::{Broken, Tunnel};
use crate::client::write::fence;
use crate::fleet::database::database_of;
use crate::fleet::pd::{MemberId, MembershipApi};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::tls_toggle::speaks_tls;
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, ObjectRef, peer_url_check};
use crate::pluralize::counted;
use crate::runbook::action_types::Answer;
use crate::runbook::actions::{RemovePdMember, TransferPdLeader, UpdatePeerUrl};

pub(super) async fn update_peer_url(
    link: &Link,
    permit: &WritePermit,
    update: &UpdatePeerUrl,
    seen: &Fleet,
) -> Result<Answer, String> {
    let UpdatePeerUrl { target, id, pod, from, to, restores } = update;
    let tc = seen.tidb_cluster(target).ok_or_else(|| format!("{target} was not seen; look again"))?;
    let cluster = seen.clusters.get(&target.context).ok_or_else(|| format!("{} was not seen", target.context))?;
    if let Some(toggle) = database_of(seen, target).as_ref().and_then(|database| database.toggled(target)) {
        return Err(format!("{}; no peerURL is sent: {}", toggle.sentence(), toggle.advice()));
    }
    let tls = speaks_tls(cluster, tc, pod);
    let expected = tc.expected_peer_url(pod, tls);
    let mut session = PdSession::open(link, seen, target, tc, pod).await?;
    let (name, found) = (&session.pod, &session.found);
    let member = found.members.iter().find(|member| member.id == *id);
    let member = member.ok_or_else(|| format!("PD (asked through {name}) has no member {id}; plan again"))?;
    match restores {
        true => peer_url_check::check_restore(*id, to, tls, &found.members),
        false => peer_url_check::check_update(*id, to, &expected, tls, &found.members),
    }
    .map_err(|bad| bad.to_string())?;
    if member.peer_urls != *from {
        return Err(format!("member {id} has peerURLs {:?}, planned for {from:?}; plan again", member.peer_urls));
    }
    let until = fence(permit).await?;
    let api = found.api;
    let write = PdWrite::UpdateMember { api, id: *id, to };
    match pd::write(&mut session.tunnel, link, permit, &write, &until).await {
        Ok(reply) => Ok(membership_answer(&reply, api, &session.pod)),
        Err(broken) => unanswered(broken),
    }
}

/// Asks PD for another leader.
pub(super) async fn transfer_leader(
    link: &Link,
    permit: &WritePermit,
    transfer: &TransferPdLeader,
    seen: &Fleet,
) -> Result<Answer, String> {
    let TransferPdLeader { target, to } = transfer;
    let session = PdSession::any(link, seen, target).await?;
    if !session.found.members.iter().any(|member| member.name == *to) {
        return Err(format!("PD (asked through {}) has no member {to}; plan again", session.pod));
    }
    tell(session, link, permit, &PdWrite::TransferLeader { to }, "POST /pd/api/v1/leader/transfer").await
}

/// Asks PD to remove a member.
pub(super) async fn remove_member(
    link: &Link,
    permit: &WritePermit,
    remove: &RemovePdMember,
    seen: &Fleet,
) -> Result<Answer, String> {
    let RemovePdMember { target, id } = remove;
    let session = PdSession::any(link, seen, target).await?;
    if !session.found.members.iter().any(|member| member.id == *id) {
        return Err(format!("PD (asked through {}) has no member {id} any more", session.pod));
    }
    stands_without(seen, target, *id)?;
    tell(session, link, permit, &PdWrite::RemoveMember { id: *id }, "DELETE /pd/api/v1/members/id").await
}

/// To whichever pod it goes, it hands it to the leader. `what`: the request in words.
async fn tell(
    mut session: PdSession,
    link: &Link,
    permit: &WritePermit,
    write: &PdWrite<'_>,
    what: &str,
) -> Result<Answer, String> {
    let until = fence(permit).await?;
    match pd::write(&mut session.tunnel, link, permit, write, &until).await {
        Ok(reply) => Ok(match reply.status.as_u16() {
            status @ 200..=299 => Answer::Accepted { status, detail: format!("{what} through {}", session.pod) },
            400..=407 | 409..=498 => Answer::Refused { reason: plain(&pd::said(what, &reply)) },
            500.. if refused_by_pd(&reply.body) => Answer::Refused { reason: plain(&pd::said(what, &reply)) },
            _ => Answer::Unknown { reason: plain(&pd::said(what, &reply)) },
        }),
        Err(broken) => unanswered(broken),
    }
}

/// What PD says with a 500 although it did nothing, and will not: an unknown member (`[PD:etcd:ErrEtcdMemberRemove]…member
/// not found`), nobody to take the lead (PD 8.5.4 and 7.5.7, measured).
fn refused_by_pd(body: &[u8]) -> bool {
    let said = String::from_utf8_lossy(body);
    ["member not found", "no valid pd to transfer"].iter().any(|sure| said.contains(sure))
}

/// Without the member, the healthy others must be a majority of what is left. Not [`crate::fleet::quorum::Quorum::stands_without`]: there a
/// lost member still counts, here it is removed.
fn stands_without(seen: &Fleet, target: &ObjectRef, id: MemberId) -> Result<(), String> {
    let database = database_of(seen, target).ok_or_else(|| format!("{target} belongs to no Database"))?;
    let others: Vec<_> = database.members.iter().filter(|member| member.id != id).collect();
    let healthy = others.iter().filter(|member| member.healthy == Some(true)).count();
    match healthy * 2 > others.len() {
        true => Ok(()),
        false => Err(format!(
            "without member {id} there would be {} and {healthy} healthy, which is no majority",
            counted(others.len(), "member")
        )),
    }
}

fn unanswered(broken: Broken) -> Result<Answer, String> {
    match broken.sent {
        true => Ok(Answer::Unknown { reason: broken.sentence }),
        false => Err(format!("nothing was sent: {}", broken.sentence)),
    }
}

/// A healthy PD pod to send through, with the membership as it tells it now.
struct PdSession {
    tunnel: Tunnel,
    pod: String,
    found: Membership,
}

impl PdSession {
    /// Through any healthy pod.
    async fn any(link: &Link, seen: &Fleet, target: &ObjectRef) -> Result<Self, String> {
        let tc = seen.tidb_cluster(target).ok_or_else(|| format!("{target} was not seen; look again"))?;
        Self::open(link, seen, target, tc, "").await
    }

    /// Up to here nothing has been sent that changes anything, so one pod after the other may be tried.
    async fn open(link: &Link, seen: &Fleet, target: &ObjectRef, tc: &TidbCluster, own: &str) -> Result<Self, String> {
        let limits = link.limits();
        let mut failures = Vec::new();
        for via in doors(seen, target, tc, own) {
            let pod = &via.metadata.name;
            let tried = async {
                let mut tunnel = pd::open_to_write(link, via, tc, limits.request.into()).await?;
                if !pd::healthy(&mut tunnel, limits.pd.into()).await? {
                    return Err(format!("pod {pod}: its PD is not healthy"));
                }
                let found = pd::membership(&mut tunnel, limits.pd.into()).await?;
                Ok(Self { tunnel, pod: pod.clone(), found })
            };
            match tried.await {
                Ok(session) => return Ok(session),
                Err(why) => failures.push(why),
            }
        }
        Err(match failures.is_empty() {
            true => format!("no running PD pod of {target} to send it through"),
            false => format!("no PD pod to send it through: {}", failures.join("; ")),
        })
    }
}

/// The pods to send through: the healthy others first, the member's own last. etcd takes it at any of them.
fn doors<'a>(seen: &'a Fleet, target: &ObjectRef, tc: &TidbCluster, own: &str) -> Vec<&'a Pod> {
    let Some(cluster) = seen.clusters.get(&target.context) else { return Vec::new() };
    let mut doors: Vec<&Pod> = cluster
        .pods
        .values()
        .filter(|pod| {
            pd::is_running_pd(pod) && pod.metadata.namespace == tc.namespace() && pod.instance() == Some(tc.instance())
        })
        .collect();
    let healthy = |pod: &Pod| {
        let view = cluster.pd.get(&pod.metadata.key()).and_then(|view| view.answer.as_ref().ok());
        view.and_then(|answer| answer.healthy) == Some(true)
    };
    doors.sort_by_key(|pod| (pod.metadata.name == own, !healthy(pod), pod.metadata.name.clone()));
    doors
}

fn membership_answer(reply: &Reply, api: MembershipApi, via: &str) -> Answer {
    let what = match api {
        MembershipApi::V2 => "PUT /v2/members",
        MembershipApi::V3 => "POST /v3/cluster/member/update",
    };
    match reply.status.as_u16() {
        status @ 200..=299 => Answer::Accepted { status, detail: format!("{what} through {via}") },
        400 | 401 | 403..=405 | 409 | 412 | 415 => Answer::Refused { reason: plain(&pd::said(what, reply)) },
        _ => Answer::Unknown { reason: plain(&pd::said(what, reply)) },
    }
}
