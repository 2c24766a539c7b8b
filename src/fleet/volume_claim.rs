//! A PersistentVolumeClaim of TiDB Operator: whose it is, which pod would bind it, and whether data lies on it.
//!
//! Pure. Not here: reading them (`client::kube::snapshot_extras`), judging them ([`crate::hazards::volume_claims`]).

use serde::{Deserialize, Serialize};

use super::tidbcluster::{Component, Meta};
use super::{Keyed, ObjectKey};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
