//! Taking a lease: watched until it is free, then our name written into the version that was seen. All or none of them, and renewing: [`super`].

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::object::{annotation, holder, holder_identity, micro_time, name, read, transitions};
use super::{HOST, Held, LOOKS_MS, NotTaken, Place, RUN, SEAT, State, USER, WATCHES, Wanted};
use crate::client::wire::lease_timing::LONGEST_S;
use crate::client::wire::link::Links;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::{ManagedKind, NotStored, store};
use crate::fleet::kubectl_quoting::{kubectl_in, quote};

pub(super) fn sentence(not_stored: &NotStored) -> String {
    match not_stored {
        NotStored::Lost(lost) => lost.to_string(),
        NotStored::RequestError(trouble) => trouble.sentence.clone(),
    }
}

/// Whether nobody has taken a lease beside ours since it was seen to be free.
pub(super) async fn still_free(links: &Links, wanted: &Wanted, seen: &[Option<Value>]) -> Result<(), NotTaken> {
    let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
    for ((place, of), before) in wanted.beside.iter().zip(seen) {
        let context = place.context.clone();
        let failed = |why: String| NotTaken::Failed { context: context.clone(), why };
        let link = links.need(&place.context).map_err(failed)?;
        let now = read(link, place, &name(of)).await.map_err(|trouble| failed(trouble.sentence))?;
        let taken =
            now.filter(|now| holder_identity(now).is_some() && before.as_ref().map(version) != Some(version(now)));
        if let Some(lease) = taken {
            return Err(NotTaken::Held { context, holder: Box::new(holder(&lease)) });
        }
    }
    Ok(())
}

/// Comes back when the lease of `database` may be taken, with what is there; errs when it is seen to be renewed.
pub(super) async fn until_free(
    links: &Links,
    place: &Place,
    database: &str,
    wanted: &Wanted,
    told: &(dyn Fn(String) + Send + Sync),
) -> Result<Option<Value>, NotTaken> {
    let failed = |why: String| NotTaken::Failed { context: place.context.clone(), why };
    let link = links.need(&place.context).map_err(failed)?;
    let mut watched: Option<(Value, Instant)> = None;
    let mut misses = 0;
    let begun = Instant::now();
    loop {
        let found = match read(link, place, &name(database)).await {
            Ok(found) => found,
            // What is not seen is not known to be unchanged: the watch begins anew, and not for ever.
            Err(trouble) if misses < 3 && trouble.kind == RequestErrorKind::Unreachable => {
                (watched, misses) = (None, misses + 1);
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            Err(trouble) => return Err(failed(trouble.sentence)),
        };
        let Some(current) = found else { return Ok(None) };
        if holder_identity(&current).is_none() || left_behind(&current, wanted) {
            return Ok(Some(current));
        }
        let asked = current.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64).unwrap_or(0);
        let duration = Duration::from_secs(asked.clamp(1, LONGEST_S));
        match &watched {
            Some((before, _)) if before["spec"] != current["spec"] => {
                let holder = Box::new(holder(&current));
                return Err(NotTaken::Held { context: place.context.clone(), holder });
            }
            Some((before, since))
                if before["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"] =>
            {
                if since.elapsed() > duration {
                    return Ok(Some(current));
                }
            }
            Some(_) if begun.elapsed() > duration * WATCHES => {
                return Err(failed(format!(
                    "{} holds it and does not renew it, yet it is written to again and again, so that it is not seen to lapse; \
                     `{} -n {} get lease {} -o yaml --show-managed-fields` tells by what",
                    holder(&current),
                    kubectl_in(&place.context),
                    quote(&place.namespace),
                    quote(&name(database)),
                )));
            }
            _ => {
                let s = duration.as_secs();
                told(format!(
                    "{} holds the lease in {}; watching for {s} s whether it is renewed",
                    holder(&current),
                    place.context
                ));
                watched = Some((current, Instant::now()));
            }
        }
        tokio::time::sleep((duration / 30).min(Duration::from_secs(1))).await;
    }
}

/// Held for this very run from the journal that we have locked: its process has ended.
pub(super) fn left_behind(lease: &Value, wanted: &Wanted) -> bool {
    annotation(lease, RUN) == wanted.run
        && wanted.lock_id.as_deref().is_some_and(|lock_id| !lock_id.is_empty() && annotation(lease, SEAT) == lock_id)
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
