//! How far what is known of a KubeCluster can be trusted: live, stale, unreachable, forbidden, auth-needed, never seen.
//!
//! Not here: which answer makes it what. `client::kube::watch::heartbeat` (stale), `client::wire::request_error` (unreachable,
//! auth-needed) and `client::kube::access_gaps` (forbidden) decide that; what follows for people is in [`super::kube_cluster_problems`].

use jiff::Timestamp;
use serde::Serialize;

/// How far a datum can be trusted. Absent is never healthy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Freshness {
    /// Connected, and the last answer is from just now.
    Live,
    /// Was live; nothing has been heard since.
    Stale { since: Timestamp },
    /// No answer: refused, timed out, name not resolved, TLS failure.
    Unreachable,
    /// Answered 403 for something that we need.
    Forbidden,
    /// Answered 401, or the credential plugin failed.
    AuthNeeded,
    /// Not heard from yet.
    #[default]
    NeverSeen,
}

impl Freshness {
    pub fn is_live(&self) -> bool {
        matches!(self, Freshness::Live)
    }

    /// Whether what its PD pods say is of now: a right that is missing does not make their answers old.
    pub fn answers(&self) -> bool {
        match self {
            Freshness::Live | Freshness::Forbidden => true,
            Freshness::Stale { .. } | Freshness::Unreachable | Freshness::AuthNeeded | Freshness::NeverSeen => false,
        }
    }

    /// The word for screens and JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Freshness::Live => "live",
            Freshness::Stale { .. } => "stale",
            Freshness::Unreachable => "unreachable",
            Freshness::Forbidden => "forbidden",
            Freshness::AuthNeeded => "auth-needed",
            Freshness::NeverSeen => "never-seen",
        }
    }
}
