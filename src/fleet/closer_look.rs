//! What a closer look sees besides the cheap one: claims, events, the operator itself, PD's rules and counts.
//!
//! Every part is `None` until it was read: a right that is missing leaves it unknown, never empty, and leaves a sentence
//! in [`Extended::lacking`]. Pure. Not here: reading it (`client::kube::snapshot_extras`), judging it ([`crate::hazards`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::ObjectKey;
use super::pd_details::PdDetails;
use super::region_health_counts::RegionCounts;
use super::volume_claim::Claim;

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

#[cfg(test)]
mod tests {
    use super::*;

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
