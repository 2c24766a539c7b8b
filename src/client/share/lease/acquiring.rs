//! Acquiring a lease that was seen to be free: our name is written into that very version. All or none of them, and renewing: [`super`].
//!
//! Not here: watching until it is free ([`super::watch_until_free`]).

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::object::{holder_identity, micro_time, name, read, transitions};
use super::{HOST, Held, LOOKS_MS, Place, RUN, SEAT, State, USER, Wanted};
use crate::client::wire::link::Links;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::{ManagedKind, NotStored, store};

pub(super) fn sentence(not_stored: &NotStored) -> String {
    match not_stored {
        NotStored::Lost(lost) => lost.to_string(),
        NotStored::RequestError(trouble) => trouble.sentence.clone(),
    }
}

/// Writes our name into the version that was seen to be free; the server refuses if it has changed since.
pub(super) async fn grab(
    links: &Links,
    permit: &WritePermit,
    place: &Place,
    database: &str,
    wanted: &Wanted,
    current: Option<Value>,
) -> Result<Held, NotStored> {
    let no_link = |why: String| NotStored::RequestError(RequestError::unsent(RequestErrorKind::Refused, why));
    let link = links.need(&place.context).map_err(no_link)?;
    let mut object = current.unwrap_or_else(|| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name(database), "namespace": place.namespace},
        })
    });
    let fence = transitions(&object) + 1;
    // The number tells two processes of one person apart.
    let identity = format!("{}/{}/{:08x}", wanted.who.user, wanted.run, rand::random::<u32>());
    let metadata = &mut object["metadata"];
    metadata["labels"]["app.kubernetes.io/managed-by"] = json!("tidepilot");
    for (name, value) in [
        (RUN, wanted.run.as_str()),
        (USER, &wanted.who.user),
        (HOST, &wanted.who.host),
        (SEAT, wanted.lock_id.as_deref().unwrap_or_default()),
    ] {
        metadata["annotations"][name] = json!(value);
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.shift_remove("managedFields");
    }
    let time = micro_time();
    object["spec"] = json!({
        "holderIdentity": identity, "leaseDurationSeconds": wanted.timing.duration_s,
        "acquireTime": time, "renewTime": time, "leaseTransitions": fence,
    });
    let renewed = wanted.clock.moment();
    let held = |object| {
        let state = Mutex::new(State { object, renewed, taken: None });
        Held { place: place.clone(), holder: identity.clone(), fence, state }
    };
    let mut again = false;
    loop {
        let not_stored = match store(link, permit, ManagedKind::Lease, &object, link.limits().request).await {
            Ok(stored) => return Ok(held(stored)),
            Err(not_stored) => not_stored,
        };
        // Once it was sent twice, a conflict may be with ourselves.
        if !(not_stored.in_doubt() || again && not_stored.conflict()) {
            return Err(not_stored);
        }
        // It may be there for all that: with our own name in it, it is ours.
        for pause_ms in LOOKS_MS {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            let Ok(Some(found)) = read(link, place, &name(database)).await else { continue };
            if holder_identity(&found) == Some(identity.as_str()) && transitions(&found) == fence {
                return Ok(held(found));
            }
        }
        // Not there, and the server has said when to come again: once more on the same version, so that of the two only one
        // can be stored.
        if again || !not_stored.busy() {
            return Err(not_stored);
        }
        again = true;
    }
}
