//! What a look found, as data: a finding with its evidence and what to do, and all of one look together.
//!
//! Not here: what finds them ([`crate::hazards`]), what is known of each hazard ([`super::catalogue`]).

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::catalogue::{self, Hazard, Severity};
use crate::fleet::advice::Advice;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::not_seen::NotSeenList;
use crate::fleet::problem_subject::Subject;
use crate::fleet::tidbcluster::Component;

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// As [`Subject`] writes it.
    pub object: String,
    /// `spec.tikv.maxFailoverCount`, `GET /pd/api/v1/health`, …
    pub field: String,
    pub value: String,
    /// When the object was last heard of; `None` where it never was.
    pub seen: Option<Timestamp>,
}

/// A place in a text that was linted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// One thing that is wrong or risky.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    #[serde(flatten, serialize_with = "short")]
    pub hazard: &'static Hazard,
    pub severity: Severity,
    /// Name of the Database; `None` where it is about the fleet.
    pub database: Option<String>,
    pub subjects: Vec<Subject>,
    /// What was found.
    pub sentence: String,
    pub evidence: Vec<Evidence>,
    pub why: &'static str,
    /// Often a command line.
    pub what_to_do: Advice,
    /// A run accounts for it: it is to be expected while that one is at work, and counts as nothing wrong. One sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// It could not be seen whether this is so: neither a finding nor an all-clear.
    pub unknown: bool,
    /// The component whose rollout it is about, where it is about one.
    #[serde(skip)]
    pub rolls: Option<Component>,
    /// Others follow from it: it stands before those of its severity.
    #[serde(skip)]
    pub first: bool,
    /// Where it stands; only in what the docs lint read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// In a finding the hazard is its name and number; the rest of its entry is the catalogue's.
fn short<S: Serializer>(hazard: &&'static Hazard, out: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    let mut map = out.serialize_map(Some(2))?;
    map.serialize_entry("id", &hazard.id)?;
    map.serialize_entry("hazard", &hazard.number)?;
    map.end()
}

impl Finding {
    pub(crate) fn new(id: HazardId, database: Option<&str>, sentence: impl Into<String>) -> Self {
        let hazard = catalogue::of(id);
        Self {
            hazard,
            severity: hazard.severity,
            database: database.map(ToOwned::to_owned),
            subjects: Vec::new(),
            sentence: sentence.into(),
            evidence: Vec::new(),
            why: hazard.why,
            what_to_do: Advice::default(),
            expected: None,
            unknown: false,
            rolls: None,
            first: false,
            location: None,
        }
    }

    pub(crate) fn on(mut self, subject: Subject) -> Self {
        self.subjects.push(subject);
        self
    }

    pub(super) fn saw(
        mut self,
        what: &Subject,
        field: &str,
        value: impl Into<String>,
        seen: Option<Timestamp>,
    ) -> Self {
        self.evidence.push(Evidence { object: what.to_string(), field: field.into(), value: value.into(), seen });
        self
    }

    pub(super) fn then(mut self, what_to_do: impl Into<Advice>) -> Self {
        self.what_to_do = what_to_do.into();
        self
    }

    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn unknown(mut self) -> Self {
        self.unknown = true;
        self
    }

    pub(super) fn rolls(mut self, component: Component) -> Self {
        self.rolls = Some(component);
        self
    }

    pub(super) fn first(mut self) -> Self {
        self.first = true;
        self
    }

    /// Which hazard, by the word that is printed.
    pub fn id(&self) -> &'static str {
        self.hazard.id.word()
    }
}

/// The answer of one look.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Names of the Databases that were looked at.
    pub databases: Vec<String>,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What could not be seen.
    #[serde(flatten)]
    pub unseen: NotSeenList,
    /// What is worth a word and changes nothing about the verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Checked {
    /// Whether something could not be seen, so that nothing found is no all-clear.
    pub fn dark(&self) -> bool {
        self.databases.is_empty() || !self.unseen.is_empty() || self.findings.iter().any(|finding| finding.unknown)
    }
}
