//! Our own objects, stored whole: leases, run records, approvals, and the Jobs that drive runs.
//!
//! Not here: what stands in them (`client::share`, `client::jobs`), objects that a run creates for somebody ([`super::objects`]).

use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::Value;

use crate::client::wire::link::Link;
use crate::client::wire::permit::{Lost, WritePermit};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::{request, surely_refused, version_of};

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
