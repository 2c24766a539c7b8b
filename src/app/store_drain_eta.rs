//! Stores that PD empties: how many region peers are left, and how long that takes at the pace that was seen.
//!
//! From the looks at PD that there are anyway. A pace is told only of two looks with fewer peers in the later one; what PD
//! plans is not known. Not here: what a removal needs (`fleet::removal_impact`).

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::App;
use crate::fleet::pd::{PdView, Store};
use crate::pluralize::counted;

/// What PD calls a store that it empties.
const LEAVES: &str = "Offline";
/// The pace is that of so many looks, at least so far apart.
const LOOKS: usize = 10;
const APART: SignedDuration = SignedDuration::from_secs(20);

/// Looks at each store that leaves, by PD's cluster id and the store's: when, and how many peers it had.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeMap<(u64, u64), VecDeque<(Timestamp, i64)>>);

impl Leaving {
    pub fn note(&mut self, view: &PdView) {
        let Ok(answer) = &view.answer else { return };
        let Some(cluster) = answer.cluster_id else { return };
        for store in &answer.stores {
            let key = (cluster, store.id);
            if store.state != LEAVES {
                self.0.remove(&key);
                continue;
            }
            let looks = self.0.entry(key).or_default();
            let newest = looks.back().map(|(at, _)| *at);
            if newest.is_none_or(|newest| view.at.duration_since(newest) >= APART) {
                looks.push_back((view.at, store.region_count));
            }
            if looks.len() > LOOKS {
                looks.pop_front();
            }
        }
    }

    /// Seconds for the peers that are left, at the pace of the looks; `None`: no pace was seen.
    fn seconds_left(&self, cluster: u64, store: &Store) -> Option<i64> {
        let looks = self.0.get(&(cluster, store.id))?;
        let ((first, had), (last, has)) = (*looks.front()?, *looks.back()?);
        let (took, moved) = (last.duration_since(first).as_secs(), had.checked_sub(has)?);
        (took > 0 && moved > 0).then(|| store.region_count.max(0).saturating_mul(took) / moved)
    }
}

impl App {
    /// `402 region peers left, about 40 min at the pace seen`; `None`: PD does not empty it.
    pub fn leaving(&self, database: Option<&str>, store: &Store) -> Option<String> {
        if store.state != LEAVES {
            return None;
        }
        let left = format!("leaves: {} left", counted(store.region_count, "region peer"));
        let cluster = database.and_then(|id| id.parse().ok());
        let seconds = cluster.and_then(|cluster| self.leaving.seconds_left(cluster, store));
        Some(match seconds {
            Some(seconds) => format!("{left}, {} at the pace seen", about(seconds)),
            None => format!("{left}; how long that takes is not known yet"),
        })
    }
}

fn about(seconds: i64) -> String {
    match seconds {
        ..60 => "less than a minute".to_owned(),
        60..7_200 => format!("about {} min", (seconds + 30) / 60),
        _ => format!("about {} h", (seconds + 1_800) / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::pd::PdAnswer;

    fn look(second: i64, state: &str, peers: i64) -> PdView {
        let store = Store { id: 4, state: state.into(), region_count: peers, ..Store::default() };
        let answer = PdAnswer { cluster_id: Some(7), stores: vec![store], ..PdAnswer::default() };
        PdView { at: Timestamp::from_second(second).expect("in range"), answer: Ok(answer) }
    }

    #[test]
    fn a_pace_is_told_of_what_was_seen_to_move_only() {
        let mut leaving = Leaving::default();
        let store = |peers| Store { id: 4, state: LEAVES.into(), region_count: peers, ..Store::default() };
        leaving.note(&look(0, LEAVES, 1200));
        assert_eq!(leaving.seconds_left(7, &store(1200)), None, "one look is no pace");
        leaving.note(&look(60, LEAVES, 1200));
        assert_eq!(leaving.seconds_left(7, &store(1200)), None, "nothing has moved");
        leaving.note(&look(120, LEAVES, 1000));
        assert_eq!(leaving.seconds_left(7, &store(1000)), Some(600));
        assert_eq!(leaving.seconds_left(8, &store(1000)), None, "another Database has a store 4 too");
        // The same answer through another pod is no look of its own.
        leaving.note(&look(121, LEAVES, 1000));
        assert_eq!(leaving.seconds_left(7, &store(1000)), Some(600));
        leaving.note(&look(180, "Up", 1000));
        assert_eq!(leaving.seconds_left(7, &store(1000)), None, "somebody called it back");
    }

    #[test]
    fn times_are_rounded() {
        assert_eq!(
            [20, 90, 2_400, 7_200, 20_000].map(about),
            ["less than a minute", "about 2 min", "about 40 min", "about 2 h", "about 6 h"]
        );
    }
}
