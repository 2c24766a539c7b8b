//! The only place that writes: a rehearsal on the server, and one action sent once under a permit.
//!
//! Each write carries a condition: uid and resourceVersion for a TidbCluster; for a peerURL our own check (no server
//! makes it) and the member's current peerURLs read just before. A timeout, a 5xx or a cut connection is *unknown*,
//! never a failure; nothing is sent twice. Not here: whether to send, and whether it took effect.
//!
//! Single objects are in [`objects`], certificates in [`certificate_secrets`], PD's membership in [`pd_writes`]; what refuses a write
//! that comes late in [`late_write_fence`]; a token for a ServiceAccount in [`service_account_token`]; how a request leaves in [`request`].

mod certificate_secrets;
mod late_write_fence;
mod objects;
mod pd_writes;
mod request;
pub mod service_account_token;

pub use late_write_fence::move_version;

use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::Value;

use crate::client::wire::lease_timing::Until;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::permit::Lost;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::request::Writing;
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::action_types::Answer;
use crate::runbook::actions::api_request_parts::tidb_cluster_path;
use crate::runbook::actions::merge_patch;
use crate::runbook::actions::{Action, PatchTidbCluster};

/// Asks the server what the patch would give, storing nothing. `None` for actions that have no dry run.
pub async fn rehearse(
    links: &Links,
    permit: &WritePermit,
    run: &str,
    action: &Action,
) -> Result<Option<Value>, String> {
    let writing = || Ok::<_, String>(Writing { link: writable(links, permit, run, action.target())?, permit, action });
    let PatchTidbCluster { target, uid, merge } = match action {
        Action::CreateObject(create) => return objects::rehearse(writing()?, create).await.map(Some),
        Action::PatchTidbCluster(patch) => patch,
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
        | Action::Manual(_) => return Ok(None),
    };
    let writing = writing()?;
    let link = writing.link;
    let current = current(link, target, uid).await?;
    let asked = writing.send(&version_of(&current), None, None).await;
    let reply = asked.map_err(|trouble| trouble.sentence)?;
    let result: Value = link.decode(&reply).map_err(|trouble| trouble.sentence)?;
    match dropped(merge, &result).as_slice() {
        [] => Ok(Some(result)),
        lost => {
            Err(format!("{} would drop {} without a word; its CRD is too old for it", link.server(), lost.join(", ")))
        }
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
        Action::PatchTidbCluster(what) => patch(writing, what, seen).await,
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

// ---- our own objects: leases, run records, and the Jobs that drive runs ----

/// The only kinds of object that we own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum ManagedKind {
    Lease,
    ConfigMap,
    Job,
}

impl ManagedKind {
    pub fn path(self, namespace: &str) -> String {
        match self {
            ManagedKind::Lease => format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
            ManagedKind::ConfigMap => format!("/api/v1/namespaces/{namespace}/configmaps"),
            ManagedKind::Job => format!("/apis/batch/v1/namespaces/{namespace}/jobs"),
        }
    }
}

/// Creates one of our own objects, or replaces the very version that `object` was made from; the server checks which.
/// Sent once. A lease is its own fence; everything else is written only while the lease is ours.
pub(in crate::client) async fn store(
    link: &Link,
    permit: &WritePermit,
    kind: ManagedKind,
    object: &Value,
    limit: Duration,
) -> Result<Value, NotStored> {
    let mut request = to_store(link, permit, kind, object, false).map_err(NotStored::RequestError)?;
    if kind != ManagedKind::Lease {
        request.extensions_mut().insert(permit.still_ours().await.map_err(NotStored::Lost)?);
    }
    let reply = link.call(request, limit).await.map_err(NotStored::RequestError)?;
    let stored: Value = link.decode(&reply).map_err(NotStored::RequestError)?;
    let names_it =
        |value: &Value| value.pointer("/metadata/name").is_some_and(|name| *name == object["metadata"]["name"]);
    if !names_it(&stored) || version_of(&stored).is_empty() {
        // A proxy's page, or `{}`: the next write would be made from it.
        let sentence =
            format!("{} answered {} without the object that was written", link.server(), reply.status.as_u16());
        return Err(NotStored::RequestError(RequestError {
            kind: RequestErrorKind::Answered,
            ..RequestError::cut(sentence)
        }));
    }
    Ok(stored)
}

/// What the server would say to the same; it stores nothing.
pub(in crate::client) async fn rehearse_store(
    link: &Link,
    permit: &WritePermit,
    kind: ManagedKind,
    object: &Value,
) -> Result<Value, RequestError> {
    let reply = link.call(to_store(link, permit, kind, object, true)?, link.limits().request).await?;
    link.decode(&reply)
}

fn to_store(
    link: &Link,
    permit: &WritePermit,
    kind: ManagedKind,
    object: &Value,
    dry_run: bool,
) -> Result<Request<Vec<u8>>, RequestError> {
    let refused = |why: String| RequestError::unsent(RequestErrorKind::Refused, why);
    permit.covers(link.context()).map_err(refused)?;
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    let (path, query) = (kind.path(namespace), request::by(permit, dry_run));
    let (method, uri) = match text("/metadata/resourceVersion") {
        "" => ("POST", format!("{path}?{query}")),
        _ => ("PUT", format!("{path}/{name}?{query}")),
    };
    request::request(method, &uri, "application/json", object)
}

/// Why one of our own objects was not stored, or is not known to be.
#[derive(Debug)]
pub(in crate::client) enum NotStored {
    Lost(Lost),
    RequestError(RequestError),
}

impl NotStored {
    /// It may be stored all the same, now or later: there was no answer, or none of which it is clear that it refuses.
    pub fn in_doubt(&self) -> bool {
        match self {
            NotStored::Lost(_) => false,
            NotStored::RequestError(trouble) => trouble.sent && !trouble.status.is_some_and(surely_refused),
        }
    }

    /// The server has said when it wants to be asked again.
    pub fn busy(&self) -> bool {
        matches!(self, NotStored::RequestError(trouble) if trouble.retry_after.is_some())
    }

    /// Somebody else wrote in between, or created it first.
    pub fn conflict(&self) -> bool {
        matches!(self, NotStored::RequestError(trouble) if trouble.status == Some(StatusCode::CONFLICT.as_u16()))
    }
}

// ---- TidbCluster ----

async fn current(link: &Link, target: &ObjectRef, uid: &str) -> Result<Value, String> {
    let current: Value = link.get(&tidb_cluster_path(target)).await.map_err(|trouble| trouble.sentence)?;
    match current.pointer("/metadata/uid").and_then(Value::as_str) {
        Some(found) if found == uid => Ok(current),
        found => Err(format!(
            "{target} is another object than the one planned for (uid {}, expected {uid}); plan again",
            found.unwrap_or("missing")
        )),
    }
}

fn version_of(object: &Value) -> String {
    object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn patch(writing: Writing<'_>, what: &PatchTidbCluster, seen: &Fleet) -> Result<Answer, String> {
    let Writing { link, permit, .. } = writing;
    let PatchTidbCluster { target, uid, merge } = what;
    let before = current(link, target, uid).await?;
    // What was decided on must still be there: the version sent is read only now.
    let decided = seen.tidb_cluster(target).and_then(|tc| serde_json::to_value(tc).ok());
    let decided = decided.ok_or_else(|| format!("{target} was not seen; look again"))?;
    if !alike(merge, &decided, &before) {
        return Err(format!("{target} was changed in the same fields since it was looked at; nothing was sent"));
    }
    let until = fence(permit).await?;
    let mut sent = writing.send(&version_of(&before), None, Some(until)).await;
    if matches!(&sent, Ok(reply) if reply.status == StatusCode::CONFLICT) {
        // The operator writes status into the same object, so its version moves all the time. A conflict was not
        // applied; once more is right only if nobody touched what we are about to change.
        let again = current(link, target, uid).await?;
        if !alike(merge, &before, &again) {
            return Err(format!("{target} was changed by somebody else in the same fields; plan again"));
        }
        let until = fence(permit).await?;
        sent = writing.send(&version_of(&again), None, Some(until)).await;
    }
    let reply = match sent {
        Ok(reply) => reply,
        Err(trouble) if trouble.sent => return Ok(Answer::Unknown { reason: trouble.sentence }),
        Err(trouble) => return Err(format!("nothing was sent: {}", trouble.sentence)),
    };
    match judge(link, &reply) {
        Verdict::Taken => {}
        Verdict::Refused(reason) => return Err(reason),
        Verdict::Unknown(reason) => return Ok(Answer::Unknown { reason }),
    }
    let status = reply.status.as_u16();
    let Ok(after) = serde_json::from_slice::<Value>(&reply.body) else {
        return Ok(Answer::Accepted { status, detail: "the answer could not be read".into() });
    };
    let lost = dropped(merge, &after);
    if lost.is_empty() {
        return Ok(Answer::Accepted { status, detail: format!("resourceVersion {}", version_of(&after)) });
    }
    let lost = lost.join(", ");
    if touched(merge, &before) == touched(merge, &after) {
        return Err(format!("{} took the patch but dropped {lost}; its CRD is too old for it", link.server()));
    }
    Ok(Answer::Accepted { status, detail: format!("but {lost} was dropped") })
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

fn touched<'a>(merge: &Value, object: &'a Value) -> Vec<Option<&'a Value>> {
    merge_patch::leaves(merge).iter().map(|(at, _)| object.pointer(at).filter(|value| !value.is_null())).collect()
}

/// Whether two looks show the same in the fields of the patch, as TiDB Operator may have written them back in between.
fn alike(merge: &Value, one: &Value, other: &Value) -> bool {
    merge_patch::unchanged(merge, &merge_patch::found(merge, one).into_iter().collect(), other)
}

/// The fields that did not become what was asked: an old API server prunes unknown ones without a word.
fn dropped(merge: &Value, result: &Value) -> Vec<String> {
    let differs = |(at, asked): &(String, &Value)| {
        let found = result.pointer(at).unwrap_or(&Value::Null);
        found != *asked && !(asked.as_object().is_some_and(serde_json::Map::is_empty) && found.is_object())
    };
    merge_patch::leaves(merge).into_iter().filter(differs).map(|(at, _)| merge_patch::name(&at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pruned_fields_are_noticed() {
        let merge = json!({"spec": {"acrossK8s": true, "clusterDomain": "a.com", "gone": null}});
        let full = json!({"spec": {"acrossK8s": true, "clusterDomain": "a.com", "pd": {}}, "status": {}});
        assert_eq!(dropped(&merge, &full), Vec::<String>::new());
        let pruned = json!({"spec": {"clusterDomain": "a.com", "gone": 1}});
        assert_eq!(dropped(&merge, &pruned), ["spec.acrossK8s", "spec.gone"]);
    }

    #[test]
    fn who_gave_up_waiting_has_refused_nothing() {
        for status in [400, 401, 403, 404, 409, 410, 412, 415, 422, 429] {
            assert!(surely_refused(status), "{status}");
        }
        for status in [200, 301, 408, 499, 500, 502, 503, 504] {
            assert!(!surely_refused(status), "{status}");
        }
    }

    #[test]
    fn touched_fields_ignore_everything_else() {
        let merge = json!({"spec": {"clusterDomain": "a.com"}});
        let (before, after) =
            (json!({"spec": {}, "status": {"a": 1}}), json!({"spec": {"clusterDomain": null}, "status": {"a": 2}}));
        assert_eq!(touched(&merge, &before), touched(&merge, &after));
        assert_ne!(touched(&merge, &before), touched(&merge, &json!({"spec": {"clusterDomain": "b"}})));
    }
}
