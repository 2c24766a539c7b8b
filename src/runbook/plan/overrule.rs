//! Which refusals a person may overrule, and what an acceptance covers.
//!
//! Only a check whose evidence is a reading (`evidence: reading`), and only what it read when the person decided: where it
//! reads something else later, it refuses again. Not here: what each refusal rests on (`docs/evidence.md`), where the
//! reason is typed (`cli::run`, the console's plan).

use std::collections::BTreeMap;

use crate::runbook::bind_error::BindError;
use crate::runbook::language::document::{Check, Evidence, Runbook, Severity};
use crate::runbook::plan::{CheckResult, CheckState, Plan};

/// Longest reason, in characters.
pub const LONGEST: usize = 500;

/// Check → why a person overrules it.
pub type Accepted = BTreeMap<String, String>;

/// Adds one decision. A reason that says nothing is none.
pub fn accept(accepted: &mut Accepted, check: &str, reason: &str) -> Result<(), String> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(format!("check {check} is overruled by a reason, and none is given (--reason TEXT)"));
    }
    let found = reason.chars().count();
    if found > LONGEST {
        return Err(format!("the reason for {check} has {found} characters; at most {LONGEST} are kept"));
    }
    match accepted.insert(check.to_owned(), reason.to_owned()) {
        Some(_) => Err(format!("check {check} is accepted twice")),
        None => Ok(()),
    }
}

/// What a plan was made with, to make it again.
pub fn of_plan(plan: &Plan) -> Accepted {
    plan.checks.iter().filter_map(|check| Some((check.id.clone(), check.accepted.clone()?))).collect()
}

/// Whether a person may overrule this check at all.
pub(in crate::runbook) fn may_be(check: &Check) -> bool {
    match (check.severity, check.evidence) {
        (Severity::Refuse, Evidence::Reading) => true,
        (Severity::Refuse, Evidence::Proof) | (Severity::Warn, _) => false,
    }
}

/// The result with the decision on it.
pub(in crate::runbook) fn decided(result: CheckResult, accepted: &Accepted) -> CheckResult {
    match accepted.get(&result.id) {
        Some(reason) if result.state == CheckState::Refused && result.reading => {
            CheckResult { state: CheckState::Accepted, accepted: Some(reason.clone()), ..result }
        }
        Some(_) | None => result,
    }
}

/// Whether this refusal, of a later look, is the very one that was accepted when the plan was made.
pub(in crate::runbook) fn covers(planned: &[CheckResult], now: &CheckResult) -> bool {
    let same = |check: &&CheckResult| check.id == now.id && check.state == CheckState::Accepted;
    now.reading && planned.iter().find(same).is_some_and(|check| check.sentence == now.sentence)
}

/// A decision that decides nothing is refused: it was made for another check, or for another world.
pub(in crate::runbook) fn all_used(
    runbook: &Runbook,
    results: &[CheckResult],
    accepted: &Accepted,
) -> Result<(), BindError> {
    for id in accepted.keys() {
        let why = match results.iter().find(|result| result.id == *id) {
            Some(result) if result.state == CheckState::Accepted => continue,
            Some(result) if result.state == CheckState::Passed => "it passes; there is nothing to overrule".to_owned(),
            Some(result) if result.state == CheckState::Warning => {
                "it only warns and keeps nothing from going on".into()
            }
            Some(result) => match runbook.preflight.iter().find(|check| check.id == *id) {
                Some(check) if may_be(check) && check.proven_when.is_none() => {
                    format!("nothing was read that could be overruled: {}", result.sentence)
                }
                Some(_) | None => {
                    format!("what it found is proof, or about quorum, identity or data: {}", result.sentence)
                }
            },
            None => {
                let known: Vec<&str> =
                    runbook.preflight.iter().filter(|check| may_be(check)).map(|check| check.id.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                format!("{} has no such check; those that may be overruled: {known}", runbook.id)
            }
        };
        return Err(BindError::NotAccepted { check: id.clone(), why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(state: CheckState, reading: bool) -> CheckResult {
        CheckResult { reading, ..CheckResult::new("domain-needed", state, "east has a.b, west c.d") }
    }

    fn reason() -> Accepted {
        Accepted::from([("domain-needed".to_owned(), "both are forwarded".to_owned())])
    }

    #[test]
    fn only_a_refusal_that_was_read_is_overruled() {
        let overruled = decided(result(CheckState::Refused, true), &reason());
        assert_eq!(
            (overruled.state, overruled.accepted.as_deref()),
            (CheckState::Accepted, Some("both are forwarded"))
        );
        for other in
            [result(CheckState::Refused, false), result(CheckState::Passed, true), result(CheckState::Warning, true)]
        {
            assert_eq!(decided(other.clone(), &reason()), other);
        }
    }

    #[test]
    fn an_acceptance_is_for_what_was_read_then() {
        let planned = [decided(result(CheckState::Refused, true), &reason())];
        assert!(covers(&planned, &result(CheckState::Refused, true)));
        assert!(!covers(&planned, &result(CheckState::Refused, false)), "it can no longer be read");
        let moved = CheckResult { sentence: "east has a.b, west e.f".into(), ..result(CheckState::Refused, true) };
        assert!(!covers(&planned, &moved));
        assert!(!covers(&[result(CheckState::Passed, true)], &result(CheckState::Refused, true)));
    }

    #[test]
    fn a_reason_says_something_and_is_given_once() {
        let mut accepted = Accepted::new();
        assert!(accept(&mut accepted, "x", " \t").is_err());
        assert!(accept(&mut accepted, "x", &"a".repeat(LONGEST + 1)).is_err());
        assert_eq!(accept(&mut accepted, "x", " why "), Ok(()));
        assert_eq!(accepted["x"], "why");
        assert!(accept(&mut accepted, "x", "again").is_err());
    }
}
