//! Leases named `tidepilot-…`, found in the namespaces of TidbClusters: whose is still renewed, and which was left.
//!
//! Only reads. A Lease is left behind when nothing renews it for its whole duration while we watch; clocks of
//! different machines are never compared. Not here: taking one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use crate::client::kube::list_pagination::{self, MANY};
use crate::client::plain;
use crate::client::share::lease::object::{database_of, holder, holder_identity};
use crate::client::wire::link::Links;
use crate::client::write::store_object::ManagedKind;
use crate::fleet::{Fleet, ObjectRef};
use crate::pluralize::counted;

/// A Lease that nobody renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub lease: ObjectRef,
    /// The PD cluster id that its name tells.
    pub database: String,
    pub holder: String,
    /// The run that it says it was taken for; empty where it says none.
    pub run: String,
    pub watched_s: u64,
}

type Held = BTreeMap<ObjectRef, Value>;

/// Held Leases which were not renewed for their duration, and what could not be read, one sentence each.
pub async fn orphans(links: &Links, fleet: &Fleet) -> (Vec<Orphan>, Vec<String>) {
    let mut unseen = Vec::new();
    let before = held(links, fleet, &mut unseen).await;
    let Some(watched_s) = watch_s(&before) else { return (Vec::new(), unseen) };
    if let Some(notice) = links.notice() {
        let leases = counted(before.len(), "lease");
        notice(&format!("{leases} of runs found; watching for {watched_s} s whether somebody renews them"));
    }
    tokio::time::sleep(Duration::from_secs(watched_s)).await;
    let after = held(links, fleet, &mut Vec::new()).await;
    let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
    let left = before.into_iter().filter(|(of, lease)| after.get(of).is_some_and(|now| version(now) == version(lease)));
    let orphans = left
        .map(|(of, lease)| Orphan {
            database: plain(database_of(&of.name).unwrap_or_default()),
            lease: of,
            run: holder(&lease).run,
            holder: plain(holder_identity(&lease).unwrap_or_default()),
            watched_s,
        })
        .collect();
    (orphans, unseen)
}

/// A second longer than the longest of them lives without a renewal; `None` where there is none. A holder that is alive
/// renews within that time, by the same rule as whoever takes a lease waits for it.
fn watch_s(held: &Held) -> Option<u64> {
    held.values().map(|lease| holder(lease).duration_s + 1).max()
}

async fn held(links: &Links, fleet: &Fleet, unseen: &mut Vec<String>) -> Held {
    let places: BTreeSet<(String, String)> =
        fleet.tidb_clusters().map(|(of, _)| (of.context.clone(), of.namespace)).collect();
    let asked = places.into_iter().map(|(context, namespace)| async move {
        let link = links.get(&context)?;
        let path = ManagedKind::Lease.path(&namespace);
        Some((context, namespace, list_pagination::list::<Value>(link, &path, MANY).await))
    });
    let mut found = Held::new();
    for (context, namespace, answer) in join_all(asked).await.into_iter().flatten() {
        match answer {
            Ok(list) => found.extend(list.items.into_iter().filter_map(|lease| {
                let name = lease["metadata"]["name"].as_str().filter(|name| database_of(name).is_some())?;
                let at = ObjectRef::new(&context, &namespace, name);
                holder_identity(&lease).is_some().then_some((at, lease))
            })),
            Err(trouble) => {
                unseen.push(format!("leases in {context}/{namespace} could not be read: {}", trouble.sentence));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Who holds a lease of 300 s renews it each 100 s: looked at after a minute it would pass for left behind.
    #[test]
    fn a_lease_is_watched_for_as_long_as_whoever_takes_it_would_watch_it() {
        let held = |durations: &[Value]| -> Held {
            let leases = durations.iter().enumerate().map(|(at, duration)| {
                let lease = json!({"spec": {"holderIdentity": "ann/r/1", "leaseDurationSeconds": duration}});
                (ObjectRef::new("east", "db", format!("tidepilot-{at}")), lease)
            });
            leases.collect()
        };
        assert_eq!(watch_s(&held(&[])), None);
        assert_eq!(watch_s(&held(&[json!(2), json!(300)])), Some(301));
        assert_eq!(watch_s(&held(&[json!(86_400)])), Some(301), "somebody's mistake");
        assert_eq!(watch_s(&held(&[Value::Null])), Some(31));
    }
}
