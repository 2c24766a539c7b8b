//! The one author of a context's connection: what the cluster is, and whether it still answers.
//!
//! Whatever is heard of a server (a line of a watch, a bookmark, PD's answer through it) proves that it lives; it is asked
//! only when nothing was heard for `limits.heartbeat_every`, or when there is reason to doubt. Not here: what is said to people, how long the limits are
//! ([`crate::client::wire::timeouts`]), how long until a lost cluster is tried again ([`super::backoff`]).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::client::kube::access_gaps::Facts;
use crate::client::kube::list_pagination::with;
use crate::client::kube::resources::{self, Kind as _};
use crate::client::kube::snapshot::{definition, facts_in_turn};
use crate::client::kube::watch::{Closed, Context, Ended, Shared, state};
use crate::client::now;
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::{Freshness, What};

/// Shortest time between two questions whether it lives.
const SHORTEST: Duration = Duration::from_secs(1);

/// Learns what the cluster is, then asks whether it lives where nothing else tells.
pub(super) async fn heartbeat(mut context: Context, shared: &Shared, version: String) -> Result<Ended, Closed> {
    if let Err(trouble) = learn(&context, shared, version).await? {
        return Ok(Ended::NotKnown(trouble));
    }
    let link = Arc::clone(&context.link);
    let limits = link.limits();
    let mut asked = Instant::now();
    let mut missed = 0;
    loop {
        if !wait(&mut context, shared, asked, missed).await? {
            // Something else was heard of it: said once in a while, so that its age is told truly.
            asked = Instant::now();
            let (freshness, message) = state(shared).gaps.verdict();
            context.say_at(heard(shared), What::Connection { freshness, message }).await?;
            continue;
        }
        asked = Instant::now();
        let beat = tokio::time::timeout(limits.heartbeat, resources::version(&link)).await;
        match beat.unwrap_or_else(|_| Err(link.too_late(limits.heartbeat, true))) {
            Ok(_) => {
                missed = 0;
                let (freshness, message) = {
                    let mut state = state(shared);
                    state.heard = Instant::now();
                    state.gaps.verdict()
                };
                context.say_connection(freshness, message).await?;
            }
            Err(trouble) if trouble.kind == RequestErrorKind::AuthNeeded => {
                context.say_connection(Freshness::AuthNeeded, Some(trouble.sentence)).await?;
                return Ok(Ended::Lost);
            }
            Err(trouble) => {
                missed += 1;
                context.say_connection(Freshness::Stale { since: heard(shared) }, Some(trouble.sentence)).await?;
                if missed >= 2 {
                    return Ok(Ended::Lost);
                }
            }
        }
    }
}

/// Waits until the server is to be asked (`true`), or for as long as it might have been silent and was not (`false`).
async fn wait(context: &mut Context, shared: &Shared, asked: Instant, missed: u32) -> Result<bool, Closed> {
    let every = context.link.limits().heartbeat_every;
    let soonest = asked + SHORTEST.min(every);
    if missed > 0 {
        context.pause(soonest.saturating_duration_since(Instant::now())).await;
        return Ok(true);
    }
    let doubt = Arc::clone(&state(shared).doubt);
    loop {
        let silent_from = state(shared).heard + every;
        tokio::select! {
            () = tokio::time::sleep_until(silent_from) => {
                if state(shared).heard.elapsed() >= every {
                    return Ok(true);
                }
                if asked.elapsed() >= every {
                    return Ok(false);
                }
            }
            () = doubt.notified() => {
                tokio::time::sleep_until(soonest).await;
                return Ok(true);
            }
            woken = context.wake.changed() => return woken.map(|()| true).map_err(|_| Closed),
        }
    }
}

/// When the server was last heard, by the clock that people read.
fn heard(shared: &Shared) -> Timestamp {
    let ago = state(shared).heard.elapsed();
    let ago = jiff::SignedDuration::try_from(ago).unwrap_or_default();
    now().checked_sub(ago).unwrap_or_else(|_| now())
}

/// What the cluster is. Its objects are listed meanwhile.
async fn learn(context: &Context, shared: &Shared, version: String) -> Result<Result<(), RequestError>, Closed> {
    let link = &context.link;
    let limit = link.limits().look;
    let facts = match tokio::time::timeout(limit, known(link, version)).await {
        Ok(Ok(facts)) => facts,
        Ok(Err(trouble)) => return Ok(Err(trouble)),
        Err(_) => return Ok(Err(link.too_late(limit, true))),
    };
    for what in facts.changes {
        context.say(what).await?;
    }
    let (freshness, message) = {
        let mut state = state(shared);
        state.gaps.learn(facts.gaps);
        state.known = true;
        state.gaps.verdict()
    };
    context.say_connection(freshness, message).await?;
    Ok(Ok(()))
}

async fn known(link: &Link, version: String) -> Result<Facts, RequestError> {
    // Whether TidbClusters can be listed decides what a forbidden CRD means; one object tells.
    let path = with(&TidbCluster::path(link.namespace()), "limit=1");
    let served = async { (definition(link).await, link.get::<serde::de::IgnoredAny>(&path).await) };
    let (facts, (definition, listed)) = futures::join!(facts_in_turn(link, version), served);
    let mut facts = facts?;
    facts.finish(link, definition, listed.as_ref().err()).await?;
    Ok(facts)
}
