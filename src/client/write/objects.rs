//! Writes of single objects: create, delete, copy a Secret.
//!
//! The server checks each condition: a second object of one name is refused, a deletion names the uid. A Secret's
//! values go from one cluster to the other through this file and nowhere else. Not here: TidbCluster patches
//! ([`super::tidb_cluster_patch`]); our own leases, records and Jobs ([`super::store_object`]); certificates ([`crate::client::write::certificate_secrets`]); how an object is looked at (`client::kube::objects`).

use serde_json::{Map, Value};

use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::request::{Writing, request};
use crate::client::write::{Verdict, fence, judge};
use crate::fleet::ObjectRef;
use crate::fleet::object_kind::{ObjectId, ObjectKind, differences, uid, written_by};
use crate::runbook::action_types::{Answer, field_manager};
use crate::runbook::actions::api_request_parts::{copied_secret, delete_options};
use crate::runbook::actions::{CopySecret, CreateObject, DeleteObject};

/// What the server would store; nothing is stored.
pub(super) async fn rehearse(writing: Writing<'_>, create: &CreateObject) -> Result<Value, String> {
    let link = writing.link;
    let reply = writing.send("", Some(&create.object), None).await.map_err(|trouble| trouble.sentence)?;
    let stored: Value = link.decode(&reply).map_err(|trouble| trouble.sentence)?;
    match differences(&create.object, &stored).as_slice() {
        [] => Ok(stored),
        lost => Err(format!("{} would not store what was asked: {}", link.server(), lost.join("; "))),
    }
}

/// How an answer to a write counts. A conflict at a creation means that there is one already: nothing was changed.
pub(super) fn answer(link: &Link, sent: Result<Reply, RequestError>) -> Result<Answer, String> {
    let reply = match sent {
        Ok(reply) => reply,
        Err(trouble) if trouble.sent => return Ok(Answer::Unknown { reason: trouble.sentence }),
        Err(trouble) => return Err(format!("nothing was sent: {}", trouble.sentence)),
    };
    match judge(link, &reply) {
        Verdict::Taken => {
            let made: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let detail = if uid(&made).is_empty() { String::new() } else { format!("uid {}", uid(&made)) };
            Ok(Answer::Accepted { status: reply.status.as_u16(), detail })
        }
        Verdict::Refused(reason) => Err(reason),
        Verdict::Unknown(reason) => Ok(Answer::Unknown { reason }),
    }
}

pub(super) async fn create(writing: Writing<'_>, create: &CreateObject) -> Result<Answer, String> {
    let until = fence(writing.permit).await?;
    answer(writing.link, writing.send("", Some(&create.object), Some(until)).await)
}

/// Reads the object once more and names its uid, so that no other one of the same name is deleted.
pub(super) async fn delete(link: &Link, permit: &WritePermit, delete: &DeleteObject) -> Result<Answer, String> {
    let DeleteObject { target, object_kind, uid: wanted, made_by } = delete;
    let id = ObjectId::new(*object_kind, target);
    let found: Value = match link.get(&id.path()).await {
        Ok(found) => found,
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => {
            return Ok(Answer::Accepted { status: 404, detail: format!("{id} is gone already") });
        }
        Err(trouble) => return Err(trouble.sentence),
    };
    let found_uid = uid(&found);
    match (wanted, made_by) {
        (Some(wanted), _) if wanted != found_uid => {
            return Err(format!("{id} is another one than planned for (uid {found_uid}, expected {wanted})"));
        }
        (None, Some(run)) if !written_by(&found, &field_manager(run)) => {
            return Err(format!("{id} was not made by run {run}; it is left as it is"));
        }
        (None, None) => return Err(format!("{id}: which one is meant is not known; plan again")),
        (Some(_), _) | (None, Some(_)) => {}
    }
    let request = request("DELETE", &id.path(), "application/json", &delete_options(found_uid));
    let mut request = request.map_err(|trouble| trouble.sentence)?;
    request.extensions_mut().insert(fence(permit).await?);
    answer(link, link.call(request, link.limits().write).await)
}

/// Reads the named keys in one cluster and writes them in the other; nothing else of the original is taken over.
pub(super) async fn copy_secret(source: &Link, writing: Writing<'_>, copy: &CopySecret) -> Result<Answer, String> {
    let CopySecret { from, target, keys } = copy;
    let original: Value = source
        .get(&ObjectId::new(ObjectKind::Secret, from).path())
        .await
        .map_err(|trouble| format!("{from}: {}", trouble.sentence))?;
    let data = picked(&original, from, keys)?;
    let until = fence(writing.permit).await?;
    let body = copied_secret(target, &Value::Object(data));
    answer(writing.link, writing.send("", Some(&body), Some(until)).await)
}

fn picked(original: &Value, from: &ObjectRef, keys: &[String]) -> Result<Map<String, Value>, String> {
    let value = |key: &String| {
        let value = original.get("data").and_then(|data| data.get(key)).filter(|value| value.is_string());
        value.cloned().map(|value| (key.clone(), value)).ok_or_else(|| format!("Secret {from} has no key {key}"))
    };
    keys.iter().map(value).collect()
}
