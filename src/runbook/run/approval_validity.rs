//! The second person: what a step with `approvers: 2` waits for after its gate was confirmed, and which approval counts.
//!
//! An approval is an object of its own in the cluster ([`Approval`]); the driver reads it and records it as
//! `Approved`, so that the run stays a fold of its journal. It is for one step of one plan (with its item, where the
//! step is one of a for-each), for one attempt, and for one question. Pure: nothing here looks. Not here: who counts as
//! a person ([`crate::runbook::run::who_counts_as_person`]), writing and finding approvals (`client::share::approval`), which steps need one ([`crate::runbook::run::approval_request`]), the gate itself ([`crate::runbook::run::confirmation_gates`]).

use jiff::{SignedDuration, Timestamp};

use crate::fleet::kubectl_quoting::quote;
pub use crate::runbook::run::identity_source::IdentityProof;
use crate::runbook::run::identity_source::NamedBy;
use crate::runbook::run::who_counts_as_person::no_person;

/// So far the clocks of a driver and of an API server may be apart before an approval is called too old. What an
/// approval answers is told by [`Approval::question`], exactly; this only stands beside it.
const SKEW: SignedDuration = SignedDuration::from_secs(120);

/// What an approval has to be about, and of whom it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub run: String,
    /// Where the run's record lies; the role of who only approves may end there.
    pub namespace: String,
    pub gate: String,
    /// With its item.
    pub step: String,
    /// The attempt that it is for: an approval is used up by being sent on.
    pub attempt: u32,
    /// Digest of the plan as `plan` prints it.
    pub plan: String,
    /// What has to be typed, as for the gate.
    pub text: Option<String>,
    /// Its short form, as for the gate.
    pub short: Option<String>,
    /// Who confirmed the gate, as the cluster knows them. `None`: nobody knows, so nobody can be a second person.
    pub confirmed_by: Option<String>,
    /// Why nobody does.
    pub nobody: String,
    /// When the question was put, and the hash that tells it from any other; `None`: it is not in the journal yet.
    pub asked: Option<(Timestamp, String)>,
}

/// What the second person left in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub run: String,
    pub gate: String,
    /// With its item. `None`: made by an earlier tidepilot, which did not say.
    pub step: Option<String>,
    pub attempt: u32,
    pub plan: String,
    /// The question that it answers ([`crate::runbook::run::who_counts_as_person::Awaited::question`]).
    pub question: Option<String>,
    pub user: String,
    pub named_by: NamedBy,
    pub host: String,
    /// By the approver's clock.
    pub at: Timestamp,
    /// By the API server's, when the object was made.
    pub created: Option<Timestamp>,
    /// Name of the object.
    pub object: String,
    /// Nobody can change what it says.
    pub immutable: bool,
    /// Something in it that this version does not know: it may be a condition.
    pub unknown: Option<String>,
    pub vouched: IdentityProof,
}

impl Wanted {
    /// The line that another user runs.
    pub fn line(&self) -> String {
        line(&self.run, &self.namespace, &self.answer())
    }

    /// What the command line needs beside `tidepilot runs approve RUN`.
    pub fn answer(&self) -> String {
        self.text.as_ref().map_or_else(|| " --yes".to_owned(), |text| format!(" --confirm {}", quote(text)))
    }
}

/// The line of who approves, for one namespace: a role there may see no other.
pub(super) fn line(run: &str, namespace: &str, answer: &str) -> String {
    let of = if namespace.is_empty() { String::new() } else { format!(" -n {}", quote(namespace)) };
    format!("tidepilot runs approve {run}{of}{answer}")
}

/// Why one approval of this run and gate is not the one that is waited for; each once, in words.
fn lacks(wanted: &Wanted, first: &str, approval: &Approval) -> Option<String> {
    let Approval { object, user, .. } = approval;
    let Some(step) = &approval.step else {
        return Some(format!(
            "{object} was made by an earlier tidepilot and does not say for which item and question, so it does not count; {user} approves anew"
        ));
    };
    if (step, approval.attempt) != (&wanted.step, wanted.attempt) {
        return Some(format!(
            "{object} of {user} approved attempt {} of {step}, and what is asked for now is attempt {} of {}: an approval is for one attempt of one step, so {user} approves this one too",
            approval.attempt, wanted.attempt, wanted.step
        ));
    }
    if let Some(field) = &approval.unknown {
        return Some(format!("{object} has {field:?}, which this version does not know, so it does not count"));
    }
    if approval.plan != wanted.plan {
        return Some("There is an approval of another plan, which does not count".to_owned());
    }
    if user == first {
        return Some(format!("The approval of {first}, who confirmed it, does not count twice"));
    }
    if let Some(why) = no_person(user, Some(approval.named_by)) {
        return Some(format!("That of {user} does not count: {user} {why}"));
    }
    if !approval.immutable {
        return Some(format!(
            "{object} can be changed by anyone with permission to write it (not immutable), so it does not count"
        ));
    }
    let Some((asked, question)) = &wanted.asked else {
        return Some("the question is not in the journal yet".to_owned());
    };
    if approval.question.as_ref() != Some(question) {
        return Some(format!(
            "{object} answers a question that was put before and has been put anew since, so it does not count; {user} looks again and approves anew"
        ));
    }
    let oldest = asked.checked_sub(SKEW).unwrap_or(*asked);
    match approval.created {
        Some(created) if created >= oldest => None,
        Some(created) => Some(format!(
            "{object} is older ({created}) than the confirmation that it should answer ({asked}), so it does not count"
        )),
        None => Some(format!("the API server does not say when {object} was made, so it does not count")),
    }
}

/// The approval that counts, or one sentence that says what is lacking.
pub fn decide<'a>(wanted: &Wanted, found: &'a [Approval]) -> Result<&'a Approval, String> {
    let Wanted { run, step, attempt, .. } = wanted;
    let Some(first) = &wanted.confirmed_by else {
        return Err(format!(
            "{step} needs a second person, and it is not known who confirmed it: {}. Resume it as a user whom the API server itself names",
            wanted.nobody
        ));
    };
    let mut noted: Vec<String> = Vec::new();
    for approval in found.iter().filter(|approval| approval.run == *run && approval.gate == wanted.gate) {
        match lacks(wanted, first, approval) {
            None => return Ok(approval),
            Some(why) if !noted.contains(&why) => noted.push(why),
            Some(_) => {}
        }
    }
    let noted = if noted.is_empty() { String::new() } else { format!(" {}.", noted.join(". ")) };
    Err(format!(
        "{step} (attempt {attempt}) waits for a second person, confirmed by {first}: another user of the cluster runs `{}`.{noted}",
        wanted.line()
    ))
}
