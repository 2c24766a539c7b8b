//! What only PD's leader knows and only some ask for: placement rules, region counts, removals, schedulers.
//!
//! Goes over the tunnel that is kept for the pod, one thing after the other, the large answers last. What could not be
//! read is a gap in words. Not here: the round that every look takes ([`crate::client::pd`]).

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use crate::client::now;
use crate::client::pd::answers;
use crate::client::pd::{Asker, PdRead, not_bootstrapped, open, said};
use crate::client::wire::deadline::Within;
use crate::client::wire::link::Link;
use crate::client::wire::tunnel::{TOO_LONG, Tunnel};
use crate::fleet::pd_details::{PdDetails, PlacementRule, Removal};
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::region_health_counts::RegionCounts;
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::workload::Pod;

/// Asks one PD pod, within `limits.pd`. A pod that cannot be reached gives details with nothing but a gap.
pub(in crate::client) async fn ask(link: &Link, pod: &Pod, tc: Option<&TidbCluster>) -> PdDetails {
    let asked = with_asker(link, pod, tc, async |asker| round(asker).await).await;
    asked.unwrap_or_else(|why| PdDetails { at: now(), gaps: vec![why], ..PdDetails::default() })
}

/// Asks one PD pod for nothing but its region checks.
pub(in crate::client) async fn count_regions(link: &Link, pod: &Pod, tc: Option<&TidbCluster>) -> RegionCounts {
    let asked = now();
    let counted = with_asker(link, pod, tc, async |asker| count(asker).await).await;
    let (counts, gaps) = counted.unwrap_or_else(|why| (BTreeMap::new(), vec![why]));
    let counts = counts.into_iter().map(|(check, count)| (check, (count, asked))).collect();
    let too_long = gaps.iter().any(|gap| gap.contains(TOO_LONG));
    RegionCounts { asked, counts, too_long, gaps }
}

/// Runs questions over the tunnel that is kept for the pod, or over a new one, within `limits.pd`.
async fn with_asker<T>(
    link: &Link,
    pod: &Pod,
    tc: Option<&TidbCluster>,
    questions: impl AsyncFnOnce(&mut Asker<'_>) -> T,
) -> Result<T, String> {
    let deadline = Within::from(link.limits().pd);
    let asked = async {
        let mut slot = link.slots.of(&pod.metadata.key(), &pod.metadata.uid).await;
        let mut tunnel = match slot.tunnel.take().filter(Tunnel::usable) {
            Some(kept) => kept,
            None => open(link, pod, tc, deadline).await?,
        };
        let mut asker = Asker::new(&mut tunnel, deadline.earlier(std::time::Duration::from_millis(300)));
        let answer = questions(&mut asker).await;
        let dead = asker.dead();
        if !dead {
            link.keep(&mut slot, tunnel);
        }
        Ok(answer)
    };
    let late = || Err(format!("pod {}: PD gave no answer within {deadline}", pod.metadata.key()));
    tokio::time::timeout_at(deadline.ends(), asked).await.unwrap_or_else(|_| late())
}

async fn round(asker: &mut Asker<'_>) -> PdDetails {
    let mut details = PdDetails { at: now(), ..PdDetails::default() };
    details.schedulers = list(asker, PdRead::PdSchedulers, "GET /pd/api/v1/schedulers", StatusCode::NOT_FOUND).await;
    // 404: nothing is being removed.
    let name = "GET /pd/api/v1/stores/progress";
    if let Some(reply) = asker.reply(PdRead::PdRemoving, name).await {
        details.removing = match reply.status {
            StatusCode::NOT_FOUND => Some(Vec::new()),
            _ if not_bootstrapped(&reply) => Some(Vec::new()),
            status if status.is_success() => match answers::json::<Removal>(name, &reply.body) {
                Ok(one) => Some(vec![one]),
                Err(gap) => note(asker, gap),
            },
            _ => note(asker, said(name, &reply)),
        };
    }
    // 412: placement rules are off, and `max-replicas` counts.
    let off = StatusCode::PRECONDITION_FAILED;
    details.rules = list::<PlacementRule>(asker, PdRead::PdRules, "GET /pd/api/v1/config/rules", off).await;
    (details.regions, details.gaps) = count(asker).await;
    details
}

/// The region checks, and what of all that was asked so far could not be read.
async fn count(asker: &mut Asker<'_>) -> (BTreeMap<RegionCheck, u64>, Vec<String>) {
    #[derive(Deserialize)]
    struct Count {
        count: u64,
    }
    let mut counts = BTreeMap::new();
    for check in RegionCheck::ALL {
        let name = format!("GET /pd/api/v1/regions/check/{}", check.word());
        let Some(reply) = asker.reply(PdRead::PdRegions(check), &name).await else { continue };
        let counted = match reply.status.is_success() {
            true => answers::json::<Count>(&name, &reply.body).map(|counted| counted.count),
            // No TiKV has come yet, so there is no region either.
            false if not_bootstrapped(&reply) => Ok(0),
            false => Err(said(&name, &reply)),
        };
        match counted {
            Ok(count) => drop(counts.insert(check, count)),
            Err(gap) => asker.gaps.push(gap),
        }
    }
    (counts, std::mem::take(&mut asker.gaps))
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
