//! Leases named `tidepilot-…`, found in the namespaces of TidbClusters: whose is still renewed, and which was left.
//!
//! Only reads. A Lease is left behind when nothing renews it for its whole duration while we watch; clocks of
//! different machines are never compared. Not here: taking one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde::Deserialize;

use crate::client::kube::pages::{self, MANY};
use crate::client::share::lease::RUN;
use crate::client::wire::link::Links;
use crate::counted::counted;
use crate::fleet::{Fleet, ObjectRef};

/// Longest that is waited for a renewal, whatever a Lease says of itself.
const LONGEST: u64 = 60;
const PREFIX: &str = "tidepilot-";

/// A Lease that nobody renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub lease: ObjectRef,
    pub holder: String,
    /// The run that it says it was taken for; empty where it says none.
    pub run: String,
    pub watched_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Lease {
    metadata: crate::fleet::tidbcluster::Meta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u64>,
}

/// Held Leases which were not renewed for their duration, and what could not be read, one sentence each.
pub async fn orphans(links: &Links, fleet: &Fleet) -> (Vec<Orphan>, Vec<String>) {
    let mut unseen = Vec::new();
    let before = held(links, fleet, &mut unseen).await;
    let Some(longest) = before.values().map(duration_s).max() else { return (Vec::new(), unseen) };
    if let Some(notice) = links.notice() {
        let leases = counted(before.len(), "lease");
        notice(&format!("{leases} of runs found; watching for {} s whether somebody renews them", longest + 1));
    }
    tokio::time::sleep(Duration::from_secs(longest + 1)).await;
    let after = held(links, fleet, &mut Vec::new()).await;
    let left = before.into_iter().filter(|(of, lease)| {
        after.get(of).is_some_and(|now| now.metadata.resource_version == lease.metadata.resource_version)
    });
    let orphans = left
        .map(|(lease, seen)| Orphan {
            lease,
            run: crate::client::plain(seen.metadata.annotations.get(RUN).map(String::as_str).unwrap_or_default()),
            holder: crate::client::plain(&seen.spec.holder_identity.unwrap_or_default()),
            watched_s: longest + 1,
        })
        .collect();
    (orphans, unseen)
}

fn duration_s(lease: &Lease) -> u64 {
    lease.spec.lease_duration_seconds.unwrap_or(30).clamp(1, LONGEST)
}

async fn held(links: &Links, fleet: &Fleet, unseen: &mut Vec<String>) -> BTreeMap<ObjectRef, Lease> {
    let places: BTreeSet<(String, String)> =
        fleet.tidb_clusters().map(|(of, _)| (of.context.clone(), of.namespace)).collect();
    let asked = places.into_iter().map(|(context, namespace)| async move {
        let link = links.get(&context)?;
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        Some((context, namespace, pages::list::<Lease>(link, &path, MANY).await))
    });
    let mut found = BTreeMap::new();
    for (context, namespace, answer) in join_all(asked).await.into_iter().flatten() {
        match answer {
            Ok(list) => {
                let ours = list.items.into_iter().filter(|lease| {
                    lease.metadata.name.starts_with(PREFIX)
                        && lease.spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty())
                });
                found.extend(ours.map(|lease| (ObjectRef::new(&context, &namespace, &lease.metadata.name), lease)));
            }
            Err(trouble) => {
                unseen.push(format!("leases in {context}/{namespace} could not be read: {}", trouble.sentence));
            }
        }
    }
    found
}
