//! Findings: every hazard of the catalogue that shows in what is seen, as small pure functions over a Fleet.
//!
//! A [`Finding`] names what was found, the evidence (which object, which field, which value, seen when), why it matters
//! and what to do. What could not be seen is `unseen`, never healthy: a Database of which a part is dark has no clean
//! bill. Severities follow three classes: S1 (data loss or outage) is high, S2 (stuck or wrong) medium, S3
//! (confusing) low. Not here: what a runbook refuses (its own preflight, which calls the same functions where both
//! judge); YAML that was not applied yet ([`lint`]).
//!
//! Neighbours: [`check`](self::check::check) (asks all of them, and joins what they find), [`catalogue`] (all of them with how each is seen), [`finding`] (what
//! was found, as data), [`check_context`] (what the functions look at), and one file per group: [`cluster_domain`], [`tidbcluster_spec`],
//! [`names_and_versions`], [`cluster_reference`], [`kube_cluster_and_operator`], [`tls_certificates`], [`certificate_remedy`], [`membership`], [`peer_urls`],
//! [`region_replicas`], [`upgrade`], [`tidbcluster_removal`], [`volume_claims`], [`stalled_operations`], and [`health`] for what is plainly down.

pub mod catalogue;
pub mod catalogue_en;
pub mod catalogue_zh;
mod certificate_remedy;
mod check;
pub mod check_context;
mod cluster_domain;
mod cluster_reference;
mod finding;
mod health;
mod kube_cluster_and_operator;
pub mod lint;
mod membership;
mod names_and_versions;
mod peer_urls;
mod region_replicas;
mod stalled_operations;
mod tidbcluster_removal;
mod tidbcluster_spec;
mod tls_certificates;
mod upgrade;
mod volume_claims;

use check_context::CheckContext;

pub use crate::fleet::problem_subject::{Subject, SubjectKind};
pub use catalogue::Severity;
pub use check::{check, check_among, says};
pub use finding::{Checked, Evidence, Finding, Location};

/// One check of one Database.
type OfDatabase = fn(&CheckContext<'_>) -> Vec<Finding>;

#[cfg(test)]
mod fault_injection;
#[cfg(test)]
mod spec_and_tls_test_cases;
#[cfg(test)]
mod stalled_test_cases;
#[cfg(test)]
pub(crate) mod test_fleet;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod upgrade_and_leave_test_cases;
