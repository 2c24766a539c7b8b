//! Recorded approvals held against the objects that they name: a journal alone can say that anybody approved anything.
//!
//! Pure: what was recorded and what was found, in; sentences out. Not here: looking (`app::driver::approval_audit`), whether
//! the journal is as it was written ([`crate::runbook::run::journal_verify`]).

use crate::app::driver::approval_audit::{Found, Seen};
use crate::runbook::run::approval_validity::IdentityProof;
use crate::runbook::run::journal_verify::Verified;

/// What is wrong with one, and what could not be told; a sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub wrong: Vec<String>,
    pub notes: Vec<String>,
}

/// Adds what the objects say to what the journal's own text says.
pub fn into(verified: &mut Verified, seen: &[Seen]) {
    for judged in seen.iter().map(judge) {
        verified.findings.extend(judged.wrong);
        verified.notes.extend(judged.notes);
    }
}

/// One recorded approval.
pub fn judge(seen: &Seen) -> Judged {
    let Seen { object, by, what, .. } = seen;
    let named = format!("the approval of {what} by {by} (ConfigMap {object})");
    let one = |sentence: String| Judged { wrong: vec![sentence], notes: Vec::new() };
    let found = match &seen.found {
        Found::NotLooked(why) => {
            let note = format!("{named} was not looked at: {why}");
            return Judged { wrong: Vec::new(), notes: vec![note] };
        }
        Found::Absent => return one(format!("{named} is not there, or says nothing that can be read")),
        Found::There(found) => found,
    };
    let mut wrong = Vec::new();
    if found.user != *by {
        wrong.push(format!("{named} is of {} and not of {by}", found.user));
    }
    if !found.immutable {
        wrong.push(format!("{named} can be changed: it is not immutable"));
    }
    let differs = seen.expected.iter().filter(|(_, wanted, read)| read(found) != *wanted);
    let differs: Vec<String> =
        differs.map(|(name, wanted, read)| format!("{name} {:?} instead of {wanted:?}", read(found))).collect();
    if !differs.is_empty() {
        wrong.push(format!("{named} says something else: {}", differs.join(", ")));
    }
    let mut notes = Vec::new();
    if seen.vouched == IdentityProof::Server {
        match (seen.policy_since, found.created) {
            (Some(since), Some(made)) if made > since => {}
            (Some(since), _) => notes.push(format!(
                "the record says that the API server vouches for {named}; its admission policy stands as it does since {since}, which is not before"
            )),
            (None, _) => notes.push(format!(
                "the record says that the API server vouches for {named}; its admission policy is not there now, or may not be read"
            )),
        }
    }
    Judged { wrong, notes }
}

/// The words beside a recorded approval.
pub fn words(seen: Option<&Seen>, recorded: IdentityProof) -> String {
    let Some(seen) = seen else { return format!("as recorded: {}", recorded.words()) };
    let judged = judge(seen);
    match (judged.wrong.as_slice(), judged.notes.as_slice()) {
        ([], []) => format!("seen there; {}", recorded.words()),
        ([], notes) => format!("as recorded: {}. {}", recorded.words(), notes.join(". ")),
        (wrong, _) => format!("NOT SO: {}", wrong.join(". ")),
    }
}
