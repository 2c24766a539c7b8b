//! The Lease object: how it is called, read, and what it says of its holder.

use serde_json::Value;

use super::{HOST, Holder, Place, RUN, SEAT, USER};
use crate::client::kube::identity::Identity;
use crate::client::wire::lease_timing::LONGEST_S;
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::ManagedKind;
use crate::client::{now, plain};

/// What the name of every lease of ours begins with; the PD cluster id follows.
const PREFIX: &str = "tidepilot-";

pub(super) fn name(database: &str) -> String {
    format!("{PREFIX}{database}")
}

/// The Database that a lease of this name is for; `None`: it is none of ours.
pub(in crate::client::share) fn database_of(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)
}

pub(super) async fn read(link: &Link, place: &Place, name: &str) -> Result<Option<Value>, RequestError> {
    match link.get::<Value>(&format!("{}/{name}", ManagedKind::Lease.path(&place.namespace))).await {
        Ok(object) => Ok(Some(object)),
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

pub(in crate::client::share) fn holder_identity(lease: &Value) -> Option<&str> {
    lease.pointer("/spec/holderIdentity").and_then(Value::as_str).filter(|holder| !holder.is_empty())
}

pub(super) fn transitions(lease: &Value) -> u64 {
    lease.pointer("/spec/leaseTransitions").and_then(Value::as_u64).unwrap_or(0)
}

pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["annotations"][name].as_str().unwrap_or_default()
}

pub(in crate::client::share) fn holder(lease: &Value) -> Holder {
    let said = |name: &str| plain(annotation(lease, name));
    let user = match annotation(lease, USER) {
        // Not taken by us: all that is known is the holder's own string.
        "" => plain(holder_identity(lease).unwrap_or("nobody")),
        user => plain(user),
    };
    let since = lease.pointer("/spec/acquireTime").and_then(Value::as_str).unwrap_or("an unknown time");
    let renewed = lease.pointer("/spec/renewTime").and_then(Value::as_str).unwrap_or_default();
    let duration_s =
        lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64).unwrap_or(30).clamp(1, LONGEST_S);
    Holder {
        who: Identity { user, host: said(HOST) },
        run: said(RUN),
        lock_id: said(SEAT),
        since: plain(since),
        renewed: plain(renewed),
        duration_s,
    }
}

/// RFC 3339 with microseconds, as the API wants it. Written for others to read, never compared.
pub(super) fn micro_time() -> String {
    now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
