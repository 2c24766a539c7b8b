//! What a closer look sees besides the cheap one: claims, events, the operator itself, PD's rules and counts.
//!
//! Every part is `None` until it was read: a right that is missing leaves it unknown, never empty, and leaves a sentence
//! in [`Extended::lacking`]. Pure. Not here: reading it (`client::kube::snapshot_extras`), judging it ([`crate::hazards`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::region_health_counts::{RegionCheck, RegionCounts};
use super::tidbcluster::{Component, Meta};
use super::{Keyed, ObjectKey};

/// One thing that a closer look may read besides the cheap one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// PersistentVolumeClaims of TiDB Operator, with the reclaim policy of their volumes.
    Claims,
    /// Warning events on TidbClusters and their pods.
    Events,
    /// The operator's Deployment and its admission webhooks.
    Operator,
    /// Names of the keys and fingerprints of the Secrets that TLS needs.
    Secrets,
    /// Which versions of cert-manager's API are served.
    CertManager,
    /// PD's placement rules, region checks, removals under way and schedulers.
    Pd,
    /// Which certificate each PD pod serves, by a handshake of its own.
    Served,
    /// Whether run records lie here, and whether an admission policy says who may write them.
    Records,
}

/// What is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras(BTreeSet<Extra>);

impl Extras {
    /// What `check` looks at.
    pub fn all() -> Self {
        [Extra::Claims, Extra::Events, Extra::Operator, Extra::Secrets, Extra::CertManager, Extra::Pd, Extra::Records]
            .into_iter()
            .collect()
    }

    pub fn of(wanted: &[Extra]) -> Self {
        wanted.iter().copied().collect()
    }

    pub fn has(&self, extra: Extra) -> bool {
        self.0.contains(&extra)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Extra> for Extras {
    fn from_iter<I: IntoIterator<Item = Extra>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// What was seen of one KubeCluster on a closer look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extended {
    pub claims: Option<BTreeMap<ObjectKey, Claim>>,
    pub events: Option<Vec<Event>>,
    pub operator: Option<Operator>,
    /// Served versions of `cert-manager.io`, `v1`; empty where cert-manager is not installed.
    pub cert_manager: Option<Vec<String>>,
    /// By the PD pod that was asked: the leader's where it could be reached.
    pub pd: BTreeMap<ObjectKey, PdDetails>,
    /// By the PD pod that was asked for nothing else, while its counts were in front.
    pub regions: BTreeMap<ObjectKey, RegionCounts>,
    /// By PD pod with TLS; `Err`: one sentence why it is not known.
    pub served: BTreeMap<ObjectKey, Result<Served, String>>,
    /// `None`: not for us to see.
    pub records: Option<RecordGuard>,
    /// What was asked for and could not be had; one sentence each.
    pub lacking: BTreeMap<Extra, String>,
}

impl Extended {
    pub(super) fn take_claims(&mut self, all: BTreeMap<ObjectKey, Claim>) {
        self.lacking.remove(&Extra::Claims);
        self.claims = Some(all);
    }

    pub(super) fn take_events(&mut self, all: Vec<Event>) {
        self.lacking.remove(&Extra::Events);
        self.events = Some(all);
    }

    pub(super) fn take_operator(&mut self, operator: Operator) {
        self.lacking.remove(&Extra::Operator);
        self.operator = Some(operator);
    }

    pub(super) fn take_cert_manager(&mut self, versions: Vec<String>) {
        self.lacking.remove(&Extra::CertManager);
        self.cert_manager = Some(versions);
    }

    pub(super) fn take_records(&mut self, guard: RecordGuard) {
        self.lacking.remove(&Extra::Records);
        self.records = Some(guard);
    }

    pub(super) fn take_pd(&mut self, pod: ObjectKey, details: PdDetails) {
        self.pd.insert(pod, details);
    }

    pub(super) fn lack(&mut self, extra: Extra, sentence: String) {
        match extra {
            Extra::Claims => self.claims = None,
            Extra::Events => self.events = None,
            Extra::Operator => self.operator = None,
            Extra::CertManager => self.cert_manager = None,
            Extra::Records => self.records = None,
            // Kept pod by pod, and object by object: each one says itself what it lacks.
            Extra::Secrets | Extra::Pd | Extra::Served => {}
        }
        self.lacking.insert(extra, sentence);
    }
}

/// How the records of runs are guarded in a KubeCluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordGuard {
    /// There are some.
    pub records: bool,
    pub policy: Policy,
}

/// The admission policy by which a record names whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// There, and bound so that it denies.
    InForce,
    Absent,
    /// The server is older than such policies.
    NotServed,
}

/// The certificate that a port showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// As [`super::certificate_facts::CertificateFacts`] has it.
    pub fingerprint: String,
    pub not_after: Timestamp,
}

/// A PersistentVolumeClaim that TiDB Operator made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claim {
    pub metadata: Meta,
    pub spec: ClaimSpec,
    pub status: ClaimStatus,
    /// `Retain`, `Delete`, `Recycle` of the bound volume; `None` where it could not be read or nothing is bound.
    #[serde(skip_deserializing)]
    pub reclaim_policy: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    /// `Bound`, `Pending`, `Lost`
    pub phase: String,
}

impl Claim {
    /// The TidbCluster that it belongs or belonged to.
    pub fn instance(&self) -> Option<&str> {
        self.metadata.labels.get("app.kubernetes.io/instance").map(String::as_str)
    }

    pub fn component(&self) -> Option<&str> {
        self.metadata.labels.get("app.kubernetes.io/component").map(String::as_str)
    }

    /// The component of a TidbCluster of this name whose pod would bind it: StatefulSets go by the name of a claim, and never by
    /// its labels.
    pub fn binds_to(&self, tidb_cluster: &str) -> Option<Component> {
        let volumes =
            [(Component::Pd, "pd"), (Component::Tikv, "tikv"), (Component::Tiflash, "data"), (Component::Pump, "data")];
        volumes.into_iter().find_map(|(component, volume)| {
            let rest = self.metadata.name.strip_prefix(volume)?.trim_start_matches(|c: char| c.is_ascii_digit());
            let rest = rest.strip_prefix('-')?.strip_prefix(tidb_cluster)?.strip_prefix('-')?;
            let ordinal = rest.strip_prefix(component.key())?.strip_prefix('-')?;
            (!ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit())).then_some(component)
        })
    }

    /// Whether a TidbCluster's data lies on it. Monitors and backups have claims of their own, with an instance's name.
    pub fn holds_data(&self) -> bool {
        self.component().is_some_and(|component| DATA.contains(&component))
    }
}

/// The components with volume claims.
pub const DATA: [&str; 5] = ["pd", "tikv", "tiflash", "ticdc", "pump"];

impl Keyed for Claim {
    fn key(&self) -> ObjectKey {
        self.metadata.key()
    }
}

/// A Warning event, folded as the API server folds repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// `TidbCluster`, `Pod`
    pub kind: String,
    pub object: ObjectKey,
    pub reason: String,
    pub message: String,
    pub count: u64,
    pub last: Option<Timestamp>,
}

/// TiDB Operator as it runs in one KubeCluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// Deployments of `tidb-controller-manager`; none at all is a finding where there are TidbClusters.
    pub deployments: Vec<Controller>,
    /// Names of webhook configurations of `admission.tidb.pingcap.com` (`domain.md` §1.5); `None`: not for us to see.
    pub webhooks: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    pub key: ObjectKey,
    pub image: String,
    /// `controller-manager`, `admission-webhook`
    pub component: String,
    pub wanted: i64,
    pub available: i64,
}

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

    #[test]
    fn a_claim_is_bound_by_its_name() {
        let cases = [
            ("pd-third-pd-0", "third", Some(Component::Pd)),
            ("tikv-third-tikv-12", "third", Some(Component::Tikv)),
            ("data0-third-tiflash-1", "third", Some(Component::Tiflash)),
            ("data-third-pump-0", "third", Some(Component::Pump)),
            // Of another one, whose name ends the same.
            ("pd-a-third-pd-0", "third", None),
            ("pd-third-pd-0", "thi", None),
            ("pd-third-pd-x", "third", None),
            ("monitor-third-monitor-0", "third", None),
        ];
        for (name, tidb_cluster, expected) in cases {
            let claim = Claim { metadata: Meta { name: name.into(), ..Meta::default() }, ..Claim::default() };
            assert_eq!(claim.binds_to(tidb_cluster), expected, "{name} of {tidb_cluster}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_forgotten() {
        let mut more = Extended::default();
        more.take_events(vec![Event::default()]);
        more.lack(Extra::Events, "may not list events".into());
        assert_eq!((more.events.as_ref(), more.lacking.len()), (None, 1));
        more.take_events(Vec::new());
        assert!(more.lacking.is_empty() && more.events.is_some());
    }
}
