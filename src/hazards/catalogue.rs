//! The catalogue: the 69 hazards of `domain.md` §5 by number ([`numbered_hazards`]), those that were met in use behind them, and the few plain
//! states beside them ([`hazards_from_use`]), each with its name, its severity and how it is seen at all. A hazard that cannot be seen from
//! outside says so, and why.
//!
//! Tables and nothing else: what sees each one is in the files that [`crate::hazards`] names.

mod hazards_from_use;
mod numbered_hazards;

use serde::Serialize;

use crate::fleet::hazard_id::HazardId;
use hazards_from_use::MET;
use numbered_hazards::DOSSIER;

/// How bad it is; the order is the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a word; nothing is wrong, and it does not count.
    Info,
    /// S3: confusing.
    Low,
    /// S2: stuck, or a wrong result.
    Medium,
    /// S1: data loss or an outage is possible.
    High,
}

impl Severity {
    pub const ALL: [Severity; 4] = [Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    pub fn word(self) -> &'static str {
        match self {
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
            Severity::Info => "info",
        }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hazard {
    /// Its number in `domain.md` §5; `None` for what is plainly down.
    pub number: Option<u8>,
    /// Its name, which never changes.
    pub id: HazardId,
    pub severity: Severity,
    pub why: &'static str,
    pub seen: Seeing,
}

/// How a hazard shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "how", content = "by", rename_all = "kebab-case")]
pub enum Seeing {
    /// `check` finds it in a running fleet.
    Now,
    /// It lies in what is about to be done: a preflight or the docs lint finds it, named here.
    BeforeAStep(&'static str),
    /// A name or a port, which only a pod can try.
    OnlyFromInside(&'static str),
    /// Nothing outside shows it; the reason, and who is asked instead.
    NotFromOutside(&'static str),
}

impl Seeing {
    pub fn words(self) -> &'static str {
        match self {
            Seeing::Now => "now",
            Seeing::BeforeAStep(_) => "before a step",
            Seeing::OnlyFromInside(_) => "only from inside",
            Seeing::NotFromOutside(_) => "not from outside",
        }
    }

    pub fn by(self) -> &'static str {
        match self {
            Seeing::Now => "tidepilot check",
            Seeing::BeforeAStep(by) | Seeing::OnlyFromInside(by) | Seeing::NotFromOutside(by) => by,
        }
    }
}

const fn hazard(number: u8, id: HazardId, severity: Severity, seen: Seeing, why: &'static str) -> Hazard {
    Hazard { number: Some(number), id, severity, why, seen }
}

const fn plain(id: HazardId, severity: Severity, why: &'static str) -> Hazard {
    Hazard { number: None, id, severity, why, seen: Seeing::Now }
}

/// The entry of a hazard.
pub fn of(id: HazardId) -> &'static Hazard {
    CATALOGUE.iter().find(|hazard| hazard.id == id).expect("every hazard has its entry; a test walks them")
}

/// The entry of a number.
pub fn numbered(number: u8) -> Option<&'static Hazard> {
    CATALOGUE.iter().find(|hazard| hazard.number == Some(number))
}

/// How many there are.
const COUNT: usize = DOSSIER.len() + MET.len();

const fn joined() -> [Hazard; COUNT] {
    let mut all = [DOSSIER[0]; COUNT];
    let mut at = 1;
    while at < COUNT {
        all[at] = if at < DOSSIER.len() { DOSSIER[at] } else { MET[at - DOSSIER.len()] };
        at += 1;
    }
    all
}

/// All of them, in the order in which they are listed.
pub static CATALOGUE: &[Hazard] = &joined();

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_are_there_once_and_in_order() {
        let numbers: Vec<u8> = CATALOGUE.iter().filter_map(|hazard| hazard.number).collect();
        assert_eq!(numbers, (1..=82).collect::<Vec<u8>>());
        let ids: BTreeSet<&str> = CATALOGUE.iter().map(|hazard| hazard.id.word()).collect();
        assert_eq!(ids.len(), CATALOGUE.len());
        for hazard in CATALOGUE {
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(hazard.id.word().chars().all(kebab) && hazard.why.ends_with('.'), "{}", hazard.id);
        }
    }

    /// What says that it is seen now is looked for by a function, and nothing else is.
    #[test]
    fn what_is_seen_now_has_a_function() {
        let code = [
            include_str!("cluster_domain.rs"),
            include_str!("tidbcluster_spec.rs"),
            include_str!("kube_cluster_and_operator.rs"),
            include_str!("names_and_versions.rs"),
            include_str!("cluster_reference.rs"),
            include_str!("region_replicas.rs"),
            include_str!("stalled_operations.rs"),
            include_str!("tls_certificates.rs"),
            include_str!("membership.rs"),
            include_str!("peer_urls.rs"),
            include_str!("upgrade.rs"),
            include_str!("tidbcluster_removal.rs"),
            include_str!("volume_claims.rs"),
            include_str!("health.rs"),
            include_str!("../fleet/problem.rs"),
        ]
        .concat();
        for hazard in CATALOGUE {
            let name = format!("HazardId::{:?}", hazard.id);
            let whole = |at: usize| !code[at + name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
            let used = code.match_indices(&name).any(|(at, _)| whole(at));
            assert_eq!(used, hazard.seen == Seeing::Now, "{}", hazard.id);
        }
    }
}
