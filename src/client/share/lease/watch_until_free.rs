//! Watching somebody else's lease until it is free: given back, or not renewed for as long as it lives, by our own clock alone.
//!
//! Not here: acquiring it then ([`super::acquiring`]), how a run that is taken over goes on (`app::driver::take_over`).

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::object::{annotation, holder, holder_identity, name, read};
use super::{NotTaken, Place, RUN, SEAT, Wanted};
use crate::client::wire::lease_timing::LONGEST_S;
use crate::client::wire::link::Links;
use crate::client::wire::request_error::RequestErrorKind;
use crate::fleet::kubectl_quoting::{kubectl_in, quote};

/// How many times its own duration a lease is watched that is written to without being renewed.
const WATCHES: u32 = 3;

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
