//! What only PD's leader tells of a Database: placement rules, region checks, stores being emptied, schedulers; and which of several
//! answers is the newest.
//!
//! Pure. Not here: asking PD (`client::pd::leader_details`), what follows for who leaves ([`super::removal_impact`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fleet;
use super::database::Database;
use super::region_health_counts::{RegionCheck, RegionCounts};
use super::rollout::component_pods;
use super::tidbcluster::Component;

/// What only PD's leader knows. `None`: could not be read, or this PD has no such thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PdDetails {
    pub at: Timestamp,
    /// `None` also where placement rules are off (412): `max-replicas` counts then.
    pub rules: Option<Vec<PlacementRule>>,
    /// Regions with this trouble; one that could not be read is not in it.
    pub regions: BTreeMap<RegionCheck, u64>,
    /// Stores being emptied.
    pub removing: Option<Vec<Removal>>,
    pub schedulers: Option<Vec<String>>,
    /// What could not be read, one sentence each.
    pub gaps: Vec<String>,
}

/// What PD told of placement, where it was asked; of several pods that were asked the latest, since the lead moves.
pub fn details<'a>(fleet: &'a Fleet, database: &Database) -> Option<&'a PdDetails> {
    let known = database.tidb_clusters.iter().filter_map(|of| {
        let (cluster, tc) = (fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?);
        let pods = component_pods(cluster, tc, Component::Pd).into_iter();
        Some(pods.filter_map(|pod| cluster.more.pd.get(&pod.metadata.key())).collect::<Vec<_>>())
    });
    known.flatten().max_by_key(|details| details.at)
}

/// By which labels PD keeps replicas apart. `None`: nobody told.
pub(crate) fn location_labels<'a>(fleet: &'a Fleet, database: &Database) -> Option<&'a [String]> {
    let clusters = database
        .tidb_clusters
        .iter()
        .filter_map(|of| Some((fleet.clusters.get(&of.context)?, fleet.tidb_cluster(of)?)));
    let pods = clusters.flat_map(|(cluster, tc)| {
        component_pods(cluster, tc, Component::Pd).into_iter().map(|pod| cluster.pd.get(&pod.metadata.key()))
    });
    let answers = pods.flatten().filter_map(|view| view.answer.as_ref().ok());
    answers.filter(|answer| answer.max_replicas.is_some()).map(|answer| answer.location_labels.as_slice()).next()
}

/// PD's scheduler that keeps leaders off stores, as its name begins.
pub const EVICT_LEADER_SCHEDULER: &str = "evict-leader-scheduler";

/// Whether a scheduler of this name keeps leaders off a store, or on one: PD runs none of them unasked.
pub fn moves_leaders(scheduler: &str) -> bool {
    scheduler.starts_with(EVICT_LEADER_SCHEDULER) || scheduler.starts_with("grant-leader-scheduler")
}

/// One placement rule, as far as counting needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlacementRule {
    pub group_id: String,
    pub id: String,
    /// `voter`, `leader`, `follower`, `learner`
    pub role: String,
    pub count: u64,
    pub start_key: String,
    pub end_key: String,
    pub label_constraints: Vec<LabelConstraint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelConstraint {
    pub key: String,
    pub op: String,
    pub values: Vec<String>,
}

impl PlacementRule {
    /// Wants TiFlash stores (`domain.md` §2.7).
    pub fn tiflash(&self) -> bool {
        self.group_id == "tiflash"
            || self.label_constraints.iter().any(|constraint| {
                constraint.key == "engine" && constraint.op == "in" && constraint.values.iter().any(|v| v == "tiflash")
            })
    }
}

impl From<&PdDetails> for RegionCounts {
    fn from(details: &PdDetails) -> Self {
        let counts = details.regions.iter().map(|(check, count)| (*check, (*count, details.at))).collect();
        Self { asked: details.at, counts, too_long: false, gaps: details.gaps.clone() }
    }
}

impl PdDetails {
    /// TiKV stores that the rules need at least: the counts of all rules over one range add up. `None`: not known.
    pub fn tikv_needed(&self) -> Option<u64> {
        let rules = self.rules.as_ref()?;
        let mut by_range: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for rule in rules.iter().filter(|rule| !rule.tiflash()) {
            *by_range.entry((&rule.start_key, &rule.end_key)).or_insert(0) += rule.count;
        }
        by_range.into_values().max()
    }

    /// TiFlash stores that the rules need at least. `None`: not known.
    pub fn tiflash_needed(&self) -> Option<u64> {
        let rules = self.rules.as_ref()?;
        Some(rules.iter().filter(|rule| rule.tiflash()).map(|rule| rule.count).max().unwrap_or(0))
    }
}

/// One store on its way out (`/pd/api/v1/stores/progress?action=removing`): an average over all of them where PD gives
/// no store id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removal {
    pub store_id: Option<u64>,
    /// 0 to 1.
    pub progress: f64,
    /// Estimated by PD; may be infinite, which JSON cannot say.
    pub left_seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_rules_need() {
        let rules = json!([
            {"group_id": "pd", "id": "default", "role": "voter", "count": 3},
            {"group_id": "pd", "id": "reader", "role": "learner", "count": 1},
            {"group_id": "tiflash", "id": "table-45-r", "role": "learner", "count": 2, "start_key": "a", "end_key": "b",
             "label_constraints": [{"key": "engine", "op": "in", "values": ["tiflash"]}]},
            {"group_id": "hot", "id": "east", "role": "voter", "count": 5, "start_key": "a", "end_key": "b"},
        ]);
        let details = PdDetails { rules: serde_json::from_value(rules).expect("shape"), ..PdDetails::default() };
        assert_eq!((details.tikv_needed(), details.tiflash_needed()), (Some(5), Some(2)));
        let unknown = PdDetails::default();
        assert_eq!((unknown.tikv_needed(), unknown.tiflash_needed()), (None, None));
    }
}
