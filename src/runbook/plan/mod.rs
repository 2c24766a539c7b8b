//! A plan: a runbook bound to its inputs and to what was observed — every step with its exact before and after.
//!
//! Types here; made in [`crate::runbook::plan::bind`], shown by `report::plan` and `console::plan_panes`. A plan is stored in a run's first record and never changes after.

#[cfg(test)]
pub(super) mod advised_commands_tests;
pub mod bind;
pub mod digest;
pub mod fact_evaluation;
pub mod overrule;
pub(super) mod preflight;
pub mod provenance;
pub mod reads_for_facts;
pub mod required_rights;
mod step_confirmation;
pub mod steps;
pub(super) mod whole_database_check;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action_types::{Request, Reversibility};
use super::actions::pd_requests::api_of;
use super::actions::{Action, port_forward_script};
use super::before_after_image::Image;
use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::object_kind::ObjectKind;
use crate::fleet::pd::MembershipApi;
use crate::pluralize::counted;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub runbook: String,
    pub runbook_version: String,
    /// SHA-256 of the document's text.
    pub runbook_digest: String,
    pub title: String,
    /// The vendor calls the procedure experimental: shown as a banner.
    pub experimental: bool,
    /// As given, after defaults.
    pub inputs: BTreeMap<String, Value>,
    pub target: ObjectRef,
    /// Context → `kube-system` UID: a resumed run refuses another cluster under the same name (hazard 66).
    pub kube_clusters: BTreeMap<String, String>,
    /// PD cluster id: a resumed run refuses another Database under the same names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Every context that must be looked at for this Database.
    pub contexts: Vec<String>,
    pub observed_at: Timestamp,
    pub checks: Vec<CheckResult>,
    pub steps: Vec<PlannedStep>,
    /// What was observed and matters, by name: what `run --plan` compares ([`crate::runbook::plan::digest`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub basis: BTreeMap<String, Value>,
    /// The runbook's text where it is not the shipped one: a run can be resumed without the file it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// Digest of the plan as it is recorded, where this one tells it in another language ([`crate::runbook::recorded_text_translation`]).
    #[serde(skip)]
    pub sealed: Option<String>,
}

/// A runbook that a user wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Name of the file, without its folder.
    pub file: String,
    /// It stands in the place of a shipped runbook of the same id.
    pub fork: bool,
    pub text: String,
}

impl Document {
    /// What stands in the head of everything that shows a run of it.
    pub fn mark(&self) -> String {
        match self.fork {
            true => format!("fork {}: not the shipped runbook", self.file),
            false => format!("own runbook {}", self.file),
        }
    }
}

impl Plan {
    /// Steps that would send something.
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.action.writes() && !step.already_so).count()
    }

    /// Whether every step is already so: no run is opened for it. One with steps that only look is worth a run.
    pub fn nothing_to_do(&self) -> bool {
        self.steps.iter().all(|step| step.already_so)
    }

    /// The TidbCluster whose pods it takes away.
    pub fn suspends(&self) -> Option<&ObjectRef> {
        self.steps.iter().filter(|step| !step.already_so).find_map(|step| match &step.action {
            Action::PatchTidbCluster(patch) if patch.suspends() => Some(&patch.target),
            _ => None,
        })
    }

    /// What nobody may overlook before a suspension is sent; `pods`: how many go, where that is seen.
    pub fn outage(&self, pods: Option<usize>) -> Option<String> {
        let of = self.suspends()?;
        let gone = match pods {
            Some(1) => format!("the 1 pod of {of} goes"),
            Some(count) => format!("all {} of {of} go", counted(count, "pod")),
            None => format!("all pods of {of} go"),
        };
        let stops = self.given().get("stopDatabase").is_some_and(|given| given == "true");
        Some(match stops {
            true => format!("THE DATABASE STOPS: no SQL until resume-cluster; {gone}, the data stays on the volumes"),
            false => format!("{gone} until resume-cluster, the data stays on the volumes"),
        })
    }

    /// The inputs as they were given.
    pub fn given(&self) -> BTreeMap<String, String> {
        let one = |value: &Value| serde_json::from_value::<ObjectRef>(value.clone()).ok().map(|of| of.to_string());
        let text = |value: &Value| {
            let several = || value.as_array()?.iter().map(one).collect::<Option<Vec<_>>>();
            match (one(value), several(), value.as_str()) {
                (Some(of), _, _) => of,
                (None, Some(all), _) => all.join(","),
                (None, None, Some(text)) => text.to_owned(),
                (None, None, None) => value.to_string(),
            }
        };
        self.inputs.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    /// The TidbClusters that its steps make.
    pub fn makes_tidb_clusters(&self) -> impl Iterator<Item = ObjectRef> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::CreateObject(create) if create.object_kind == ObjectKind::TidbCluster => {
                Some(create.target.clone())
            }
            _ => None,
        })
    }

    /// A check that refuses: nothing may be sent.
    pub fn refusals(&self) -> impl Iterator<Item = &CheckResult> {
        self.checks.iter().filter(|check| check.state == CheckState::Refused)
    }

    /// What a person overruled, and why.
    pub fn accepted(&self) -> impl Iterator<Item = (&CheckResult, &str)> {
        self.checks.iter().filter_map(|check| Some((check, check.accepted.as_deref()?)))
    }

    /// Why a text that was given as a confirmation names none of this plan's TidbClusters for sure; nothing is to be sent then.
    pub fn ambiguous(&self, given: &str) -> Option<String> {
        let asked = self.steps.iter().filter(|step| !step.already_so).filter_map(|step| match &step.confirm {
            Confirm::Typed { text, short, .. } => Some((text.as_str(), short.as_deref())),
            Confirm::None | Confirm::Plain { .. } => None,
        });
        let asked: Vec<_> = asked.collect();
        match asked.iter().any(|(text, short)| answers(Some(text), *short, given)) {
            true => None,
            false => asked.into_iter().find_map(|(text, short)| ambiguous(Some(text), short, given)),
        }
    }

    pub fn step(&self, id: &str) -> Option<&PlannedStep> {
        self.steps.iter().find(|step| step.id == id)
    }
}

/// One preflight check with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    pub id: String,
    /// What holds where it passes, in a few words. Empty in a plan of before there were titles, and where the document has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    pub state: CheckState,
    /// What was refused, what was found, what to do; of one that passed: that it does not apply, else empty.
    pub sentence: String,
    /// It refuses for a reading, not for proof: a person may overrule it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reading: bool,
    /// Why a person overruled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

impl CheckResult {
    pub fn new(id: impl Into<String>, state: CheckState, sentence: impl Into<String>) -> Self {
        let (title, sentence) = (String::new(), sentence.into());
        Self { id: id.into(), title, state, sentence, reading: false, accepted: None }
    }

    #[must_use]
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// What people call it: by its title, else by its id.
    pub fn name(&self) -> &str {
        if self.title.is_empty() { &self.id } else { &self.title }
    }

    /// Whether there was anything to check: a check for one way of doing it passes on every other way.
    pub fn applies(&self) -> bool {
        self.state != CheckState::Passed || self.sentence.is_empty()
    }

    /// What it found, with the reason where a person overruled it.
    pub fn found(&self) -> String {
        match &self.accepted {
            Some(reason) => format!("{}; accepted because: {reason}", self.sentence),
            None => self.sentence.clone(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    Passed,
    Warning,
    Refused,
    /// It refused, and a person overruled it ([`crate::runbook::plan::overrule`]).
    Accepted,
}

/// One step, concrete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// Unique in the plan: `update[basic-pd-2]` for a step of a for-each.
    pub id: String,
    pub phase: String,
    /// The item of a for-each that this step belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Holds while the item has to wait for all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    pub title: String,
    pub why: String,
    pub action: Action,
    /// Observed to be so already when the plan was made.
    pub already_so: bool,
    pub before: Image,
    pub after: Image,
    pub requests: Vec<Request>,
    pub command: String,
    /// Where `after` comes from.
    pub rehearsed: Rehearsal,
    pub reversibility: Reversibility,
    pub confirm: Confirm,
    /// 2: a second person has to approve it after the gate was answered.
    #[serde(default = "crate::runbook::language::document::one", skip_serializing_if = "is_one")]
    pub approvers: u8,
    /// Hold while the step's phase is under way; a breach stops new effects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invariants: Vec<Condition>,
    /// Hold before the next item of the for-each begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub between: Vec<Condition>,
    /// Expressions with their sentences, and what their names stand for besides the facts.
    pub pre: Vec<Condition>,
    pub post: Vec<Condition>,
    /// Of a step that only waits: what has to hold, what is said meanwhile, and what must never be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub until: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<NeverSeen>,
    pub env: BTreeMap<String, Value>,
    /// Longest the step may take, and longest without visible progress; seconds.
    pub total_s: u64,
    pub stalled_s: u64,
}

impl PlannedStep {
    /// The line that a person would type instead, made from the action: what a record holds in its place may be anybody's.
    pub fn by_hand(&self) -> String {
        // Whether PD speaks TLS is all that is taken from there.
        self.action.command(self.membership_api(), port_forward_script::speaks_tls(&self.command))
    }

    /// How the membership was to be changed when the plan was made.
    pub fn membership_api(&self) -> Option<MembershipApi> {
        self.requests.iter().find_map(|request| api_of(&request.path))
    }
}

/// An expression that has to hold, with what a person is told where it does not. One without a sentence is written as the
/// bare expression, as journals before 0.2 have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Condition {
    pub check: String,
    /// With `${…}`; in the language that the plan was made in.
    pub say: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Bare(String),
    Said { check: String, say: String },
}

impl From<Written> for Condition {
    fn from(written: Written) -> Self {
        match written {
            Written::Bare(check) => Self { check, say: None },
            Written::Said { check, say } => Self { check, say: Some(say) },
        }
    }
}

impl From<Condition> for Written {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition { check, say: Some(say) } => Written::Said { check, say },
            Condition { check, say: None } => Written::Bare(check),
        }
    }
}

/// Something that ends a wait at once when it is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeverSeen {
    pub check: String,
    /// One sentence with `${…}`.
    pub say: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's shape")]
fn is_one(approvers: &u8) -> bool {
    *approvers == 1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rehearsal {
    /// The server answered a dry run of this very request.
    ServerDryRun,
    /// Computed by us: the server has no dry run for it.
    Predicted,
    /// Nothing is sent.
    NotNeeded,
}

/// What a person has to do before the step is sent. Steps of one `gate` share one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Confirm {
    None,
    Plain {
        gate: String,
    },
    /// Typing exactly `text`: `CONTEXT/NAMESPACE/NAME`, since names repeat from cluster to cluster.
    Typed {
        gate: String,
        text: String,
        /// The bare name, which `--confirm` takes as well: only where one TidbCluster in all connected contexts has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        short: Option<String>,
    },
}

/// A question that stops a run until it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    pub id: String,
    /// The step that waits for it.
    pub step: String,
    pub question: String,
    /// `Some`: this exact text must be typed.
    pub text: Option<String>,
    /// What a flag may say in the place of `text` ([`Confirm::Typed`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
}

impl Gate {
    /// Whether a flag's text answers this gate.
    pub fn takes(&self, given: &str) -> bool {
        answers(self.text.as_deref(), self.short.as_deref(), given)
    }
}

/// Whether a flag's text is what is asked for, or its short form where that one says which.
pub fn answers(text: Option<&str>, short: Option<&str>, given: &str) -> bool {
    text == Some(given) || short == Some(given)
}

/// Why a bare name is no answer to a gate that asks for a whole one. `None`: it is not that name.
pub fn ambiguous(text: Option<&str>, short: Option<&str>, given: &str) -> Option<String> {
    let whole = text.filter(|text| short.is_none() && *text != given)?;
    (whole.rsplit('/').next() == Some(given)).then(|| {
        format!(
            "more than one TidbCluster or pod in the connected contexts is called {given}, so it does not say which; this one is confirmed with --confirm {}",
            quote(whole)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_of_older_journals_are_bare_and_stay_so() {
        let written = json!(["pd.agree", {"check": "pd.hasLeader", "say": "PD has no leader"}]);
        let read: Vec<Condition> = serde_json::from_value(written.clone()).expect("both forms");
        assert_eq!(read[0], Condition { check: "pd.agree".into(), say: None });
        assert_eq!(read[1].say.as_deref(), Some("PD has no leader"));
        assert_eq!(json!(read), written);
    }
}
