//! How PD spreads the replicas of a region over stores, and which KubeClusters may hold more of one than it can lose.
//!
//! By location labels alone: placement rules take a closer look ([`super::removal_impact`]). Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::database::member_and_store::StoreRow;
use crate::pluralize::counted;

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
    /// Every store is Up; else what lies on those that are not is among the replicas.
    #[serde(skip)]
    pub whole: bool,
}

/// Every KubeCluster whose loss may stop regions. `None`: PD did not tell, or a store's place is not known.
pub fn region_losses(
    stores: &[StoreRow],
    max_replicas: Option<u64>,
    labels: Option<&[String]>,
) -> Option<Vec<RegionLoss>> {
    let (needed, labels) = max_replicas.zip(labels)?;
    let counted: Vec<&StoreRow> = stores.iter().filter(|row| !row.store.tiflash && !row.store.is_gone()).collect();
    let places: Option<BTreeSet<&str>> = counted.iter().map(|row| row.place.context()).collect();
    let places = places.filter(|places| !places.is_empty())?;
    let whole = counted.iter().all(|row| row.store.is_up());
    let losing = |place: &str| {
        // What is on a store that is not Up is lost already.
        let gone = |row: &&StoreRow| row.place.context() == Some(place) || !row.store.is_up();
        let (here, left): (Vec<&StoreRow>, Vec<&StoreRow>) = counted.iter().copied().partition(gone);
        let risk = risk(labels, needed, &here, &left);
        let replicas = risk.replicas.min(spread(labels, needed, &here, &left).unwrap_or(u64::MAX));
        let kube_cluster = place.to_owned();
        (replicas > risk.tolerated).then_some(RegionLoss { kube_cluster, replicas, of: needed, whole })
    };
    Some(places.into_iter().filter_map(losing).collect())
}

/// `losing west: regions may stop (3 of 3 replicas of one may be there)`
pub fn sentence(losses: &[RegionLoss]) -> Option<String> {
    let worst = losses.iter().max_by_key(|loss| loss.replicas)?;
    let names: Vec<&str> = losses.iter().map(|loss| loss.kube_cluster.as_str()).collect();
    let who = if let [one] = names.as_slice() { (*one).to_owned() } else { format!("any of {}", names.join(", ")) };
    let of = counted(worst.of, "replica");
    let down = if worst.whole { "" } else { ", or on stores that are not Up" };
    Some(format!("losing {who}: regions may stop ({} of {of} of one may be there{down})", worst.replicas))
}

/// With fewer values of the widest label than replicas PD puts as many into each as come out even, as long as each has the stores
/// for it. `None`: it does not.
fn spread(labels: &[String], needed: u64, here: &[&StoreRow], left: &[&StoreRow]) -> Option<u64> {
    let widest = labels.first()?;
    let mut stores: BTreeMap<&String, u64> = BTreeMap::new();
    for row in here.iter().chain(left) {
        *stores.entry(row.store.labels.get(widest)?).or_default() += 1;
    }
    let each = needed.div_ceil(stores.len() as u64);
    let lost: BTreeSet<&String> = here.iter().filter_map(|row| row.store.labels.get(widest)).collect();
    stores.values().all(|count| *count >= each).then_some(lost.len() as u64 * each)
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
    use crate::fleet::ObjectRef;
    use crate::fleet::database::Place;
    use crate::fleet::pd::Store;

    fn row(id: u64, of: &str, zone: &str) -> StoreRow {
        let labels = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
        let store = Store { id, state: "Up".into(), labels, ..Store::default() };
        StoreRow { store, place: Place::new(ObjectRef::new(of, "db", "basic"), format!("basic-tikv-{id}")) }
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
        // Five over three places: two, two and one.
        let five: Vec<StoreRow> = [("east", "a"), ("west", "b"), ("north", "c")]
            .into_iter()
            .flat_map(|(of, zone)| [row(1, of, zone), row(2, of, zone)])
            .collect();
        assert_eq!(region_losses(&five, Some(5), Some(&zone)), Some(vec![]));
        // One of three is down: the loss of either other one is the second.
        let mut ill = [row(1, "east", "a"), row(2, "west", "b"), row(3, "north", "c")];
        assert_eq!(region_losses(&ill, Some(3), Some(&zone)), Some(vec![]));
        ill[1].store.state = "Down".into();
        let found = region_losses(&ill, Some(3), Some(&zone)).expect("known");
        assert_eq!(
            sentence(&found).as_deref(),
            Some(
                "losing any of east, north: regions may stop (2 of 3 replicas of one may be there, or on stores that are not Up)"
            )
        );
        // What is not known is no all-clear.
        let lost = StoreRow { place: Place::default(), ..row(5, "", "d") };
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
