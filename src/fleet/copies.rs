//! How PD spreads the replicas of a region over stores, and which KubeClusters may hold more of one than it can lose.
//!
//! By location labels alone: placement rules take a closer look ([`super::leaving`]). Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::database::rows::StoreRow;
use crate::counted::counted;

/// The replicas of one region that can lie together, and how many of them it can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    pub replicas: u64,
    pub tolerated: u64,
}

/// A KubeCluster without which regions may have no majority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionLoss {
    pub kube_cluster: String,
    /// Replicas of one region that may lie in it.
    pub replicas: u64,
    /// Replicas that a region has.
    pub of: u64,
}

/// Every KubeCluster whose loss may stop regions. `None`: PD did not tell, or a store's place is not known.
pub fn region_losses(
    stores: &[StoreRow],
    max_replicas: Option<u64>,
    labels: Option<&[String]>,
) -> Option<Vec<RegionLoss>> {
    let (needed, labels) = max_replicas.zip(labels)?;
    let counted: Vec<&StoreRow> =
        stores.iter().filter(|row| !row.store.tiflash && row.store.state != "Tombstone").collect();
    let places: Option<BTreeSet<&str>> = counted.iter().map(|row| row.kube_cluster.as_deref()).collect();
    let places = places.filter(|places| !places.is_empty())?;
    let up: Vec<&StoreRow> = counted.into_iter().filter(|row| row.store.state == "Up").collect();
    let losing = |place: &str| {
        let (here, left): (Vec<&StoreRow>, Vec<&StoreRow>) =
            up.iter().partition(|row| row.kube_cluster.as_deref() == Some(place));
        let risk = risk(labels, needed, &here, &left);
        let (kube_cluster, replicas) = (place.to_owned(), risk.replicas);
        (risk.replicas > risk.tolerated).then_some(RegionLoss { kube_cluster, replicas, of: needed })
    };
    Some(places.into_iter().filter_map(losing).collect())
}

/// `losing west: regions may stop (3 of 3 replicas of one may be there)`
pub fn sentence(losses: &[RegionLoss]) -> Option<String> {
    let worst = losses.iter().max_by_key(|loss| loss.replicas)?;
    let names: Vec<&str> = losses.iter().map(|loss| loss.kube_cluster.as_str()).collect();
    let who = if let [one] = names.as_slice() { (*one).to_owned() } else { format!("any of {}", names.join(", ")) };
    let of = counted(worst.of, "replica");
    Some(format!("losing {who}: regions may stop ({} of {of} of one may be there)", worst.replicas))
}

/// PD keeps replicas apart by the widest location label as far as there are enough values of it; else any replicas of
/// a region can lie together.
pub(super) fn risk(labels: &[String], needed: u64, here: &[&StoreRow], left: &[&StoreRow]) -> Risk {
    let tikv = |rows: &[&StoreRow]| -> Vec<BTreeMap<String, String>> {
        rows.iter().filter(|row| !row.store.tiflash).map(|row| row.store.labels.clone()).collect()
    };
    let (here, left) = (tikv(here), tikv(left));
    let widest = labels.first();
    let values = |rows: &[BTreeMap<String, String>]| -> Option<BTreeSet<String>> {
        rows.iter().map(|labels| labels.get(widest?).cloned()).collect()
    };
    let apart = match (values(&here), values(&left)) {
        (Some(here), Some(left)) if here.union(&left).count() as u64 >= needed => Some(here.len() as u64),
        (Some(_) | None, Some(_) | None) => None,
    };
    let together = needed.min(here.len() as u64);
    Risk { replicas: apart.unwrap_or(together).min(together), tolerated: needed.saturating_sub(1) / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::pd::Store;

    fn row(id: u64, of: &str, zone: &str) -> StoreRow {
        let labels = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        let store = Store { id, state: "Up".into(), labels, ..Store::default() };
        StoreRow { store, of: None, kube_cluster: Some(of.into()), tidb_cluster: None, pod: None }
    }

    #[test]
    fn a_cluster_with_most_replicas_of_a_region_stops_it() {
        let all = [row(1, "east", "a"), row(2, "east", "a"), row(3, "west", "b"), row(4, "north", "c")];
        let zone = ["zone".to_owned()];
        assert_eq!(region_losses(&all, Some(3), Some(&zone)), Some(vec![]), "three zones hold one replica each");
        let found = region_losses(&all, Some(3), Some(&[])).expect("known");
        assert_eq!(
            sentence(&found).as_deref(),
            Some("losing east: regions may stop (2 of 3 replicas of one may be there)")
        );
        let two = [row(1, "east", "a"), row(2, "east", "a"), row(3, "west", "b"), row(4, "west", "b")];
        let found = region_losses(&two, Some(3), Some(&zone)).expect("known");
        assert_eq!(
            sentence(&found).as_deref(),
            Some("losing any of east, west: regions may stop (2 of 3 replicas of one may be there)")
        );
        // What is not known is no all-clear.
        let lost = StoreRow { kube_cluster: None, ..row(5, "", "d") };
        assert_eq!(region_losses(&[all[0].clone(), lost], Some(3), Some(&zone)), None);
        assert_eq!(region_losses(&all, None, Some(&zone)), None);
        assert_eq!(region_losses(&all, Some(3), None), None);
        assert_eq!(region_losses(&[], Some(3), Some(&zone)), None);
    }

    #[test]
    fn replicas_lie_apart_only_where_there_are_enough_places() {
        let at = |zones: &[&str], of: &str| -> Vec<StoreRow> {
            zones.iter().enumerate().map(|(i, zone)| row(i as u64, of, zone)).collect()
        };
        let named = |labels: &[&str]| -> Vec<String> { labels.iter().map(|l| (*l).to_owned()).collect() };
        type Names = &'static [&'static str];
        let cases: [(Names, Names, Names, u64); 5] = [
            (&["zone"], &["c", "c", "c"], &["a", "a", "b"], 1),
            (&["zone"], &["b", "b", "b"], &["a", "a", "a"], 3),
            (&[], &["c", "c"], &["a", "b"], 2),
            (&["zone"], &["c", "d"], &["a", "b"], 2),
            (&["zone"], &[], &["a", "b", "c"], 0),
        ];
        for (labels, here, left, expected) in cases {
            let (here, left) = (at(here, "west"), at(left, "east"));
            let found = risk(&named(labels), 3, &here.iter().collect::<Vec<_>>(), &left.iter().collect::<Vec<_>>());
            assert_eq!(found, Risk { replicas: expected, tolerated: 1 }, "{labels:?} {here:?} {left:?}");
        }
    }
}
