//! What only PD's leader knows and only some ask for: placement rules, region counts, removals, schedulers.
//!
//! Goes over the tunnel that is kept for the pod, one thing after the other, the large answers last. What could not be
//! read is a gap in words. Not here: the round that every look takes ([`crate::client::pd`]).

use http::StatusCode;
use serde::Deserialize;

use crate::client::now;
use crate::client::pd::answers;
use crate::client::pd::{Asker, PdRead, not_bootstrapped, open, said};
use crate::client::wire::link::Link;
use crate::client::wire::tunnel::Tunnel;
use crate::client::wire::within::Within;
use crate::fleet::extras::{PdDetails, PlacementRule, RegionCheck, Removal};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;

/// Asks one PD pod, within `limits.pd`. A pod that cannot be reached gives details with nothing but a gap.
pub(in crate::client) async fn ask(link: &Link, pod: &Pod, tc: Option<&TidbCluster>) -> PdDetails {
    let deadline = Within::from(link.limits().pd);
    let asked = async {
        let mut slot = link.slots.of(&pod.metadata.key(), &pod.metadata.uid).await;
        let mut tunnel = match slot.tunnel.take().filter(Tunnel::usable) {
            Some(kept) => kept,
            None => open(link, pod, tc, deadline).await?,
        };
        let (details, dead) = round(&mut tunnel, deadline).await;
        if !dead {
            slot.keep(tunnel, link.has_spare_streams());
        }
        Ok::<_, String>(details)
    };
    let why = match tokio::time::timeout_at(deadline.ends(), asked).await {
        Ok(Ok(details)) => return details,
        Ok(Err(why)) => why,
        Err(_) => format!("pod {}: PD gave no answer within {deadline}", pod.metadata.key()),
    };
    PdDetails { at: now(), gaps: vec![why], ..PdDetails::default() }
}

async fn round(tunnel: &mut Tunnel, deadline: Within) -> (PdDetails, bool) {
    let soft = deadline.earlier(std::time::Duration::from_millis(300));
    let mut asker = Asker::new(tunnel, soft);
    let mut details = PdDetails { at: now(), ..PdDetails::default() };
    details.schedulers =
        list(&mut asker, PdRead::PdSchedulers, "GET /pd/api/v1/schedulers", StatusCode::NOT_FOUND).await;
    // 404: nothing is being removed.
    let name = "GET /pd/api/v1/stores/progress";
    if let Some(reply) = asker.reply(PdRead::PdRemoving, name).await {
        details.removing = match reply.status {
            StatusCode::NOT_FOUND => Some(Vec::new()),
            _ if not_bootstrapped(&reply) => Some(Vec::new()),
            status if status.is_success() => match answers::json::<Removal>(name, &reply.body) {
                Ok(one) => Some(vec![one]),
                Err(gap) => note(&mut asker, gap),
            },
            _ => note(&mut asker, said(name, &reply)),
        };
    }
    // 412: placement rules are off, and `max-replicas` counts.
    let off = StatusCode::PRECONDITION_FAILED;
    details.rules = list::<PlacementRule>(&mut asker, PdRead::PdRules, "GET /pd/api/v1/config/rules", off).await;
    for check in RegionCheck::ALL {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        let name = format!("GET /pd/api/v1/regions/check/{}", check.word());
        let Some(reply) = asker.reply(PdRead::PdRegions(check), &name).await else { continue };
        let counted = match reply.status.is_success() {
            true => answers::json::<Count>(&name, &reply.body).map(|counted| counted.count),
            // No TiKV has come yet, so there is no region either.
            false if not_bootstrapped(&reply) => Ok(0),
            false => Err(said(&name, &reply)),
        };
        match counted {
            Ok(count) => drop(details.regions.insert(check, count)),
            Err(gap) => asker.gaps.push(gap),
        }
    }
    details.gaps = std::mem::take(&mut asker.gaps);
    let dead = asker.dead();
    (details, dead)
}

fn note<T>(asker: &mut Asker<'_>, gap: String) -> Option<T> {
    asker.gaps.push(gap);
    None
}

/// A list; `fine`: a status that means this PD has no such thing, which is no gap.
async fn list<T: for<'de> Deserialize<'de>>(
    asker: &mut Asker<'_>,
    what: PdRead,
    name: &str,
    fine: StatusCode,
) -> Option<Vec<T>> {
    let reply = asker.reply(what, name).await?;
    // Without a TiKV nothing is scheduled and no rule is kept.
    if not_bootstrapped(&reply) {
        return Some(Vec::new());
    }
    if !reply.status.is_success() {
        return if reply.status == fine { None } else { note(asker, said(name, &reply)) };
    }
    match answers::json::<Option<Vec<T>>>(name, &reply.body) {
        // An empty list is `null` in Go.
        Ok(all) => Some(all.unwrap_or_default()),
        Err(gap) => note(asker, gap),
    }
}
