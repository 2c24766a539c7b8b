//! The only place that writes: a rehearsal on the server, and one action sent once under a permit.
//!
//! Each write carries a condition: uid and resourceVersion for a TidbCluster; for a peerURL our own check (no server
//! makes it) and the member's current peerURLs read just before. A timeout, a 5xx or a cut connection is *unknown*,
//! never a failure; nothing is sent twice. Not here: whether to send, and whether it took effect.
//!
//! TidbClusters are in [`tidb_cluster_patch`], single objects in [`objects`], certificates in [`certificate_secrets`], PD's membership
//! in [`pd_writes`], our own leases, records and Jobs in [`store_object`]; what refuses a write that comes late in
//! [`late_write_fence`]; a token for a ServiceAccount in [`service_account_token`]; how a request leaves in [`request`].

mod certificate_secrets;
mod late_write_fence;
mod objects;
mod pd_writes;
mod request;
pub mod service_account_token;
pub(super) mod store_object;
mod tidb_cluster_patch;

pub use late_write_fence::move_version;

use serde_json::Value;

use crate::client::wire::lease_timing::Until;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::permit::WritePermit;
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::RequestError;
use crate::client::write::request::Writing;
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::action_types::Answer;
use crate::runbook::actions::Action;

/// Asks the server what the write would give, storing nothing. `None` for actions that have no dry run.
pub async fn rehearse(
    links: &Links,
    permit: &WritePermit,
    run: &str,
    action: &Action,
) -> Result<Option<Value>, String> {
    let writing = || Ok::<_, String>(Writing { link: writable(links, permit, run, action.target())?, permit, action });
    match action {
        Action::CreateObject(create) => objects::rehearse(writing()?, create).await.map(Some),
        Action::PatchTidbCluster(patch) => tidb_cluster_patch::rehearse(writing()?, patch).await.map(Some),
        Action::UpdatePeerUrl(_)
        | Action::TransferPdLeader(_)
        | Action::RemovePdMember(_)
        | Action::DeleteObject(_)
        | Action::CopySecret(_)
        | Action::IssueCa(_)
        | Action::IssueCertificate(_)
        | Action::WaitRollout(_)
        | Action::ProbePeerUrl(_)
        | Action::NetProbe(_)
        | Action::Await(_)
        | Action::Manual(_) => Ok(None),
    }
}

/// Carries out one action, once. Never completes a step: only an observation does.
pub async fn perform(links: &Links, permit: &WritePermit, run: &str, action: &Action, seen: &Fleet) -> Answer {
    let link = match writable(links, permit, run, action.target()) {
        Ok(link) => link,
        Err(reason) => return Answer::Refused { reason },
    };
    let writing = Writing { link, permit, action };
    let done = match action {
        Action::PatchTidbCluster(what) => tidb_cluster_patch::patch(writing, what, seen).await,
        Action::UpdatePeerUrl(update) => pd_writes::update_peer_url(link, permit, update, seen).await,
        Action::TransferPdLeader(transfer) => pd_writes::transfer_leader(link, permit, transfer, seen).await,
        Action::RemovePdMember(remove) => pd_writes::remove_member(link, permit, remove, seen).await,
        Action::CreateObject(create) => objects::create(writing, create).await,
        Action::DeleteObject(delete) => objects::delete(link, permit, delete).await,
        Action::CopySecret(copy) => match links.need(&copy.from.context) {
            Ok(source) => objects::copy_secret(source, writing, copy).await,
            Err(reason) => Err(reason),
        },
        Action::IssueCa(ca) => certificate_secrets::authority(writing, ca).await,
        Action::IssueCertificate(certificate) => certificate_secrets::certificate(links, writing, certificate).await,
        Action::WaitRollout(_)
        | Action::ProbePeerUrl(_)
        | Action::NetProbe(_)
        | Action::Await(_)
        | Action::Manual(_) => Err("this action sends nothing".into()),
    };
    done.unwrap_or_else(|reason| Answer::Refused { reason })
}

fn writable<'a>(links: &'a Links, permit: &WritePermit, run: &str, target: &ObjectRef) -> Result<&'a Link, String> {
    if permit.run() != run {
        return Err(format!("the leave to write is for run {}, not for {run}", permit.run()));
    }
    permit.covers(&target.context)?;
    let link = links.need(&target.context)?;
    if link.read_only() {
        return Err(format!("context {:?} is read-only", target.context));
    }
    Ok(link)
}

/// The last look before a write leaves: a process that was stopped for a while must not write over whoever went on. What
/// it gives goes with the write, which leaves by then or not at all.
async fn fence(permit: &WritePermit) -> Result<Until, String> {
    permit.still_ours().await.map_err(|lost| format!("nothing was sent: {lost}"))
}

fn version_of(object: &Value) -> String {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned()
}

enum Verdict {
    Taken,
    Refused(String),
    Unknown(String),
}

fn judge(link: &Link, reply: &Reply) -> Verdict {
    let said = || RequestError::answered(link.server(), reply.status, &reply.body).sentence;
    match reply.status.as_u16() {
        200..=299 => Verdict::Taken,
        status if surely_refused(status) => Verdict::Refused(said()),
        _ => Verdict::Unknown(said()),
    }
}

/// Whether nothing was done, and nothing will be. With 408 and 499 somebody on the way gave up waiting: the server may
/// still do it, as with every 5xx.
fn surely_refused(status: u16) -> bool {
    matches!(status, 400..=407 | 409..=498)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_up_waiting_has_refused_nothing() {
        for status in [400, 401, 403, 404, 409, 410, 412, 415, 422, 429] {
            assert!(surely_refused(status), "{status}");
        }
        for status in [200, 301, 408, 499, 500, 502, 503, 504] {
            assert!(!surely_refused(status), "{status}");
        }
    }
}
