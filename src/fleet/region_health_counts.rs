//! How many regions lack something, as PD's checks count them, each number with the time at which it was counted.
//!
//! A later look that could not read a number leaves the earlier one, with its age. Pure. Not here: asking
//! (`client::pd::leader_details`), when it is asked (`app::region_counts_refresh`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Fleet;
use super::database::Database;
use super::rollout::component_pods;
use super::tidbcluster::Component;

/// Region checks of PD (`/pd/api/v1/regions/check/…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionCheck {
    MissPeer,
    DownPeer,
    OfflinePeer,
    PendingPeer,
}

impl RegionCheck {
    pub const ALL: [RegionCheck; 4] =
        [RegionCheck::MissPeer, RegionCheck::DownPeer, RegionCheck::OfflinePeer, RegionCheck::PendingPeer];

    pub fn word(self) -> &'static str {
        match self {
            RegionCheck::MissPeer => "miss-peer",
            RegionCheck::DownPeer => "down-peer",
            RegionCheck::OfflinePeer => "offline-peer",
            RegionCheck::PendingPeer => "pending-peer",
        }
    }
}

/// What one PD pod said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionCounts {
    /// When it was last asked.
    pub asked: Timestamp,
    /// Number of regions, and when it was counted; a check that was never answered is not in it.
    pub counts: BTreeMap<RegionCheck, (u64, Timestamp)>,
    /// The last answer was longer than is read: asking for it again is a burden to PD and helps nobody.
    pub too_long: bool,
    /// Why a number is missing, or is older than `asked`; one sentence each.
    pub gaps: Vec<String>,
}

impl RegionCounts {
    pub fn count(&self, check: RegionCheck) -> Option<u64> {
        self.counts.get(&check).map(|(count, _)| *count)
    }

    /// Whether the last look read them all.
    pub fn complete(&self) -> bool {
        RegionCheck::ALL.iter().all(|check| self.counts.get(check).is_some_and(|(_, at)| *at >= self.asked))
    }

    /// The time of the oldest number.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.counts.values().map(|(_, at)| *at).min()
    }

    /// With the numbers of an earlier look where this one has none.
    fn after(mut self, earlier: &RegionCounts) -> Self {
        for (check, counted) in &earlier.counts {
            let kept = self.counts.entry(*check).or_insert(*counted);
            if kept.1 < counted.1 {
                *kept = *counted;
            }
        }
        self
    }

    /// Keeps what is known from before in a place of its own.
    pub(super) fn put(self, place: &mut RegionCounts) {
        *place = self.after(place);
    }
}

/// What PD counted of a Database, by whichever of its pods was asked last: the lead moves. `None`: never asked.
pub fn of(fleet: &Fleet, database: &Database) -> Option<RegionCounts> {
    let mut all: Vec<RegionCounts> = Vec::new();
    for of in &database.tidb_clusters {
        let (Some(cluster), Some(tc)) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(of)) else { continue };
        for pod in component_pods(cluster, tc, Component::Pd) {
            let key = pod.metadata.key();
            all.extend(cluster.more.regions.get(&key).cloned());
            all.extend(cluster.more.pd.get(&key).map(RegionCounts::from));
        }
    }
    all.sort_by_key(|counts| counts.asked);
    all.into_iter().reduce(|earlier, later| later.after(&earlier))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_number_that_could_not_be_read_again_keeps_its_age() {
        let all = RegionCheck::ALL.map(|check| (check, (7, at(10))));
        let first = RegionCounts { asked: at(10), counts: BTreeMap::from(all), ..RegionCounts::default() };
        assert!(first.complete());
        let counts = BTreeMap::from([(RegionCheck::MissPeer, (9, at(40)))]);
        let later = RegionCounts { asked: at(40), counts, too_long: true, gaps: vec!["too long to read".into()] };
        let mut kept = first;
        later.put(&mut kept);
        assert_eq!((kept.count(RegionCheck::MissPeer), kept.count(RegionCheck::DownPeer)), (Some(9), Some(7)));
        assert_eq!((kept.asked, kept.oldest(), kept.complete()), (at(40), Some(at(10)), false));
        assert_eq!(kept.gaps, ["too long to read"]);
        // Of two pods the later number counts, whichever was asked last.
        let other =
            RegionCounts { asked: at(30), counts: [(RegionCheck::DownPeer, (8, at(30)))].into(), ..kept.clone() };
        assert_eq!(kept.after(&other).count(RegionCheck::DownPeer), Some(8));
    }
}
