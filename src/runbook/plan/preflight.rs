//! The preflight: what each check of a runbook says of one observation.
//!
//! Pure. Not here: what a person may overrule ([`super::overrule`]).

use crate::runbook::facts::Query;
use crate::runbook::language::cel_expr::{self, Scope};
use crate::runbook::language::document::{Check, Severity};
use crate::runbook::plan::fact_evaluation::{FactError, Facts};
use crate::runbook::plan::overrule;
use crate::runbook::plan::{CheckResult, CheckState};

/// The first preflight check that refuses now. `begun`: the run has sent something, so what it changes itself is not
/// judged any more ([`Check::once`]). `planned`: what was judged for the plan; what a person overruled there does not
/// refuse. Rights are left to the server: they are asked once, for the plan.
pub fn first_refusal(facts: &Facts<'_>, begun: bool, planned: &[CheckResult]) -> Option<CheckResult> {
    let of_rights = |check: &&Check| {
        let fact = |name: &String| facts.runbook.facts.get(name).is_some_and(|fact| fact.query == Query::Rights);
        cel_expr::names(&check.check).is_ok_and(|names| names.iter().any(fact))
    };
    facts
        .runbook
        .preflight
        .iter()
        .filter(|check| !of_rights(check) && (!check.once || !begun))
        .map(|check| judged(check, facts))
        .find(|result| result.state == CheckState::Refused && !overrule::covers(planned, result))
}

pub(super) fn judged(check: &Check, facts: &Facts<'_>) -> CheckResult {
    let none = Scope::new();
    let failed = match check.severity {
        Severity::Refuse => CheckState::Refused,
        Severity::Warn => CheckState::Warning,
    };
    let title = check.title.as_ref().map_or("", |title| &title.en);
    let result = |state, sentence: String| CheckResult::new(&check.id, state, sentence).titled(title);
    let applies = check.when.as_ref().map_or(Ok(true), |when| facts.check(when, &none));
    if applies == Ok(false) {
        return result(CheckState::Passed, "does not apply here".to_owned());
    }
    match applies.and_then(|_| facts.check(&check.check, &none)) {
        Ok(true) => result(CheckState::Passed, String::new()),
        Ok(false) => match facts.words(&check.fail.en, &none) {
            Ok(sentence) => {
                CheckResult { reading: overrule::may_be(check) && !proven(check, facts), ..result(failed, sentence) }
            }
            Err(why) => result(failed, format!("{} ({why})", check.fail.en)),
        },
        // What cannot be seen refuses, whatever the severity: absent is never fine.
        Err(why) => result(CheckState::Refused, format!("could not be checked: {}", unanswered(&why))),
    }
}

/// What lacks, in the words of the objects; the expression behind it, for whoever wrote it.
fn unanswered(why: &FactError) -> String {
    match why.missing_field() {
        Some((field, asked)) => format!(
            "the field {field:?} is not there or was not returned, and what is not known does not pass (expression {asked:?})"
        ),
        None => why.to_string(),
    }
}

/// What cannot be told is taken for proof: only what is known to be a reading is overruled.
fn proven(check: &Check, facts: &Facts<'_>) -> bool {
    check.proven_when.as_ref().is_some_and(|when| facts.check(when, &Scope::new()).unwrap_or(true))
}
