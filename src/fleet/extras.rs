//! What is seen beyond the cheap look, where a runbook's facts ask for it: volume claims, placement rules, region checks.
//!
//! Pure data. Each of these is optional to read: a right or an API that is missing leaves it *absent*, never empty.
//! Not here: reading it (`client`), judging by it ([`super::leaving`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tidbcluster::Meta;
use super::{Keyed, ObjectKey};

/// What more is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// PersistentVolumeClaims.
    pub claims: bool,
    /// PD's placement rules, region checks and removals; asked of the leader only.
    pub placement: bool,
}

impl Extras {
    pub fn and(self, other: Self) -> Self {
        Self { claims: self.claims || other.claims, placement: self.placement || other.placement }
    }
}

/// A PersistentVolumeClaim, as far as we judge it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claim {
    pub metadata: Meta,
    pub spec: ClaimSpec,
    pub status: ClaimStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    pub volume_name: Option<String>,
    pub storage_class_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimStatus {
    /// `Bound`, `Pending`, `Lost`
    pub phase: Option<String>,
}

impl Keyed for Claim {
    fn key(&self) -> ObjectKey {
        self.metadata.key()
    }
}

/// What PD's leader tells about where replicas have to lie, and how they do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    /// `GET /pd/api/v1/config/rules`; `None` where it could not be read.
    pub rules: Option<Vec<Rule>>,
    /// The labels by which PD keeps replicas apart, the widest first; `None` where it could not be read.
    pub location_labels: Option<Vec<String>>,
    /// Number of regions by check (`miss-peer`, `down-peer`, …); a check that could not be read is absent.
    pub region_checks: BTreeMap<String, u64>,
    /// How far the removal of stores has come; `None` while there is none.
    pub removing: Option<Removing>,
}

/// One placement rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    pub group_id: String,
    pub id: String,
    pub start_key: String,
    pub end_key: String,
    /// `voter`, `leader`, `follower`, `learner`
    pub role: String,
    pub count: u64,
    #[serde(deserialize_with = "super::tidbcluster::null_default")]
    pub label_constraints: Vec<Constraint>,
}

/// What a rule asks of a store's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Constraint {
    pub key: String,
    /// `in`, `notIn`, `exists`, `notExists`
    pub op: String,
    #[serde(deserialize_with = "super::tidbcluster::null_default")]
    pub values: Vec<String>,
}

/// `GET /pd/api/v1/stores/progress?action=removing`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removing {
    /// 0 to 1.
    pub progress: f64,
    pub left_seconds: f64,
}
