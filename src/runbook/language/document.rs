//! The YAML document, read strictly: an unknown or doubled key is an error with line and column.
//!
//! Here: the shape. Not here: reading it ([`crate::runbook::language::document_validation`]); what actions do
//! ([`crate::runbook::action_types`]); binding to a fleet ([`crate::runbook::plan::bind`]).
//! A file can pick, order, parameterise, word and tighten; it cannot add a way to touch the world.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::runbook::actions::ActionName;
use crate::runbook::facts::Query;
pub use crate::runbook::language::input_types::{Input, InputType};
pub use crate::runbook::language::localized_text::{Lang, Text};
pub use crate::runbook::language::shared_checks::{Check, Evidence, Severity};

/// The runbooks inside the binary: id and text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("deploy-initial-cluster", include_str!("../../../runbooks/deploy-initial-cluster.yaml")),
    ("join-cluster", include_str!("../../../runbooks/join-cluster.yaml")),
    ("monitor-across-clusters", include_str!("../../../runbooks/monitor-across-clusters.yaml")),
    ("migrate-cluster-domain", include_str!("../../../runbooks/migrate-cluster-domain.yaml")),
    ("enable-across-k8s", include_str!("../../../runbooks/enable-across-k8s.yaml")),
    ("issue-ca", include_str!("../../../runbooks/issue-ca.yaml")),
    ("issue-certificates", include_str!("../../../runbooks/issue-certificates.yaml")),
    ("renew-certificates", include_str!("../../../runbooks/renew-certificates.yaml")),
    ("leave-cluster", include_str!("../../../runbooks/leave-cluster.yaml")),
    ("repair-peer-urls", include_str!("../../../runbooks/repair-peer-urls.yaml")),
    ("restart-component", include_str!("../../../runbooks/restart-component.yaml")),
    ("resume-cluster", include_str!("../../../runbooks/resume-cluster.yaml")),
    ("suspend-cluster", include_str!("../../../runbooks/suspend-cluster.yaml")),
    ("transfer-pd-leader", include_str!("../../../runbooks/transfer-pd-leader.yaml")),
    ("verify-network", include_str!("../../../runbooks/verify-network.yaml")),
    ("upgrade-cluster", include_str!("../../../runbooks/upgrade-cluster.yaml")),
];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Runbook {
    /// Format version, `v1`.
    pub runbook: String,
    pub id: String,
    pub version: String,
    pub title: Text,
    pub summary: Text,
    #[serde(default)]
    pub experimental: bool,
    #[serde(default)]
    pub source: Vec<String>,
    pub inputs: Vec<Input>,
    pub facts: BTreeMap<String, Fact>,
    #[serde(default)]
    pub preflight: Vec<Check>,
    pub phases: Vec<Phase>,
    /// SHA-256 of the document's text.
    #[serde(skip)]
    pub digest: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fact {
    pub query: Query,
    /// The TidbCluster it is about, or a list of them: then it is the list of their answers.
    pub of: String,
    /// Looked for only where this is true; over inputs and over facts that have no `when`.
    #[serde(default)]
    pub when: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Phase {
    pub id: String,
    pub title: Text,
    /// The phase is left out of the plan when this does not hold.
    #[serde(default)]
    pub when: Option<String>,
    /// Watched from the phase's first step to its last; a breach stops new effects and pauses the run.
    #[serde(default)]
    pub invariants: Vec<Condition>,
    #[serde(default)]
    pub for_each: Option<ForEach>,
    /// Evaluated in order when the plan is made.
    #[serde(default, rename = "let")]
    pub bindings: Vec<Binding>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ForEach {
    pub over: String,
    #[serde(rename = "as")]
    pub name: String,
    /// The item's name in step ids.
    pub key: String,
    /// Items for which this holds at the time wait until all others are done.
    #[serde(default)]
    pub last: Option<String>,
    /// Must hold after one item before the next one begins.
    #[serde(default)]
    pub between: Vec<Condition>,
    #[serde(default)]
    pub allow_empty: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    pub id: String,
    pub title: Text,
    #[serde(default)]
    pub why: Option<Text>,
    #[serde(default)]
    pub when: Option<String>,
    pub action: ActionName,
    pub with: Value,
    #[serde(default)]
    pub confirm: ConfirmAsked,
    /// How many people it takes: 1, or 2 where a second one has to approve it from an identity of their own.
    #[serde(default = "one")]
    pub approvers: u8,
    #[serde(default)]
    pub pre: Vec<Condition>,
    #[serde(default)]
    pub post: Vec<Condition>,
    /// Of `await` and `manual`: what has to hold for the step to be done. A `manual` without is done when a person says so.
    #[serde(default)]
    pub until: Vec<Condition>,
    /// What is said while one does not that has no sentence of its own.
    #[serde(default)]
    pub say: Option<Text>,
    /// What ends the wait at once when it is seen.
    #[serde(default)]
    pub never: Vec<Never>,
    pub timeout: Timeout,
}

/// An expression that has to hold, with what is said where it does not: what was found, on which object, and what helps.
/// A bare expression can be read, and `lint` asks for its sentence.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Conditional")]
pub struct Condition {
    pub check: String,
    pub say: Option<Text>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Conditional {
    Bare(String),
    Said(Said),
}

/// [`Condition`] as it is written in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::runbook) struct Said {
    check: String,
    say: Text,
}

impl From<Conditional> for Condition {
    fn from(written: Conditional) -> Self {
        match written {
            Conditional::Bare(check) => Self { check, say: None },
            Conditional::Said(Said { check, say }) => Self { check, say: Some(say) },
        }
    }
}

/// A sight that ends a wait: nothing good can come any more.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Never {
    pub check: String,
    pub say: Text,
}

/// What the author asks for; the engine raises it to the floor of the action's reversibility.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmAsked {
    #[default]
    None,
    Once,
    OncePerPhase,
    Typed,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Timeout {
    /// Seconds.
    pub total_s: u64,
    pub stalled_s: u64,
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadRunbook {
    #[error("{name}: {why}")]
    Syntax { name: String, why: String },
    #[error("{name}: expected `runbook: v1`, found {found:?}")]
    Format { name: String, found: String },
    #[error("{name}, {place}: {why}")]
    Place { name: String, place: String, why: String },
    #[error("no runbook is called {asked:?}; there are: {known}")]
    Unknown { asked: String, known: String },
}

impl Runbook {
    /// Nothing but the name and digest of a document that is not at hand: for showing a run, never for driving one.
    pub(in crate::runbook) fn named(id: &str, digest: &str) -> Self {
        let text = || Text { en: String::new(), zh: None };
        Self {
            runbook: String::new(),
            id: id.to_owned(),
            version: String::new(),
            title: text(),
            summary: text(),
            experimental: false,
            source: Vec::new(),
            inputs: Vec::new(),
            facts: BTreeMap::new(),
            preflight: Vec::new(),
            phases: Vec::new(),
            digest: digest.to_owned(),
        }
    }

    /// One of the shipped runbooks.
    pub fn shipped(id: &str) -> Result<Self, BadRunbook> {
        let (name, text) = SHIPPED.iter().find(|(name, _)| *name == id).ok_or_else(|| BadRunbook::Unknown {
            asked: id.into(),
            known: SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
        })?;
        Self::read(name, text)
    }

    /// With its texts in this language, as far as it has them; whoever wants the text of a plan takes the English place.
    #[must_use]
    pub fn worded(mut self, lang: Lang) -> Self {
        self.texts_mut().into_iter().for_each(|text| text.en = text.of(lang).to_owned());
        self
    }

    fn texts_mut(&mut self) -> Vec<&mut Text> {
        let mut all = vec![&mut self.title, &mut self.summary];
        all.extend(self.inputs.iter_mut().map(|input| &mut input.prompt));
        all.extend(self.preflight.iter_mut().flat_map(|check| check.title.iter_mut().chain([&mut check.fail])));
        for phase in &mut self.phases {
            all.push(&mut phase.title);
            let between = phase.for_each.iter_mut().flat_map(|each| &mut each.between);
            all.extend(phase.invariants.iter_mut().chain(between).filter_map(|condition| condition.say.as_mut()));
            for step in &mut phase.steps {
                let conditions = step.pre.iter_mut().chain(&mut step.post).chain(&mut step.until);
                all.push(&mut step.title);
                all.extend(step.why.iter_mut().chain(&mut step.say));
                all.extend(step.never.iter_mut().map(|never| &mut never.say));
                all.extend(conditions.filter_map(|condition| condition.say.as_mut()));
            }
        }
        all
    }

    /// Every text that a plan or a run tells.
    pub(in crate::runbook) fn texts(&self) -> Vec<&Text> {
        let mut all = vec![&self.title];
        all.extend(self.preflight.iter().map(|check| &check.fail));
        for phase in &self.phases {
            let between = phase.for_each.iter().flat_map(|each| &each.between);
            all.extend(phase.invariants.iter().chain(between).filter_map(|condition| condition.say.as_ref()));
            for step in &phase.steps {
                let conditions = step.pre.iter().chain(&step.post).chain(&step.until);
                all.push(&step.title);
                all.extend(step.why.iter().chain(&step.say).chain(step.never.iter().map(|never| &never.say)));
                all.extend(conditions.filter_map(|condition| condition.say.as_ref()));
            }
        }
        all
    }
}

pub(in crate::runbook) fn one() -> u8 {
    1
}

/// The text of a shipped runbook, for tests.
#[cfg(test)]
pub(in crate::runbook) fn shipped_text(id: &str) -> &'static str {
    SHIPPED.iter().find(|(name, _)| *name == id).expect("ships").1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_shipped_runbook_reads() {
        for (id, text) in SHIPPED {
            let runbook = Runbook::read(id, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(&runbook.id, id);
        }
    }

    /// People read the title, in their language; the id is for scripts.
    #[test]
    fn every_check_of_every_shipped_runbook_has_a_title_in_both_languages() {
        let mut seen = 0;
        for (id, text) in SHIPPED {
            let runbook = Runbook::read(id, text).expect("reads");
            for check in &runbook.preflight {
                seen += 1;
                let title = check.title.as_ref().unwrap_or_else(|| panic!("{id}/{} has no title", check.id));
                let zh = title.zh.as_deref().unwrap_or_default();
                let chinese = zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
                assert!(!title.en.trim().is_empty() && chinese, "{id}/{}: {title:?}", check.id);
            }
        }
        assert!(seen > 200, "{seen}");
    }

    /// Each row of the note is a check that refuses, with the evidence that its runbooks give; no reading is left out.
    #[test]
    fn the_note_on_evidence_says_what_the_runbooks_say() {
        let note = include_str!("../../../docs/evidence.md");
        let preflight = note.split("## Findings").next().expect("a split has a first part");
        let rows: std::collections::BTreeMap<&str, &str> = preflight
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
                Some((cells.first()?.trim_end_matches('`'), *cells.get(3)?))
            })
            .collect();
        assert!(rows.len() > 100, "the table was not read");
        let mut known = BTreeSet::new();
        for (id, text) in SHIPPED {
            let runbook = Runbook::read(id, text).expect("reads");
            for check in runbook.preflight.iter().filter(|check| check.severity == Severity::Refuse) {
                known.insert(check.id.clone());
                let word = match check.evidence {
                    Evidence::Proof => "proof",
                    Evidence::Reading => "reading",
                };
                match rows.get(check.id.as_str()) {
                    Some(said) => assert_eq!(*said, word, "{id}/{}", check.id),
                    None => assert_eq!(check.evidence, Evidence::Proof, "{id}/{} is in no row", check.id),
                }
            }
        }
        // The program's own, which no document can leave out.
        known.insert("whole-database".to_owned());
        let gone: Vec<&&str> = rows.keys().filter(|id| !known.contains(**id)).collect();
        assert!(gone.is_empty(), "rows of checks that there are not: {gone:?}");
    }
}
