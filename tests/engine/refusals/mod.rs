//! What each preflight check of each shipped runbook says where it fails: one case for each, and a whole sentence in it.
//!
//! A case ([`cases`](self::cases::CASES)) takes an observation in which nothing is refused ([`worlds`]), alters it or gives other inputs, binds,
//! and looks at the one check that it is for: not failed before, failed after as its severity says, its sentence filled
//! and naming what was found. A check of a shipped runbook without a case fails the last test. Not here: what a
//! run does about a refusal (`tests/engine/guards.rs`).

mod bases;
mod case;
mod cases;
mod certificate_and_monitoring_cases;
mod worlds;

use std::collections::{BTreeMap, BTreeSet};

use bases::{BASES, Base, Beds};
use case::Case;
use cases::{CASES, FITTING};
use certificate_and_monitoring_cases::CERTIFICATE_AND_MONITORING_CASES;
use tidepilot::runbook::Observation;
use tidepilot::runbook::language::cel_expr::Scope;
use tidepilot::runbook::language::document::{Runbook, SHIPPED, Severity};
use tidepilot::runbook::plan::bind;
use tidepilot::runbook::plan::fact_evaluation::Facts;
use tidepilot::runbook::plan::{CheckResult, CheckState, Plan};
use worlds::World;

/// A base with its observation and with the plan that is made from it.
struct Good {
    runbook: Runbook,
    inputs: BTreeMap<String, String>,
    seen: Observation,
    plan: Plan,
}

fn good(base: &Base, beds: &mut Beds) -> Good {
    let runbook = Runbook::shipped(base.runbook()).expect("it is shipped");
    let inputs: BTreeMap<String, String> =
        base.inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let seen = beds.of(base).observe(&runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", base.name));
    let plan = bind::bind(&runbook, &inputs, &seen).unwrap_or_else(|why| panic!("{}: {why}", base.name));
    Good { runbook, inputs, seen, plan }
}

fn check<'a>(plan: &'a Plan, id: &str) -> Result<&'a CheckResult, String> {
    plan.checks.iter().find(|check| check.id == id).ok_or_else(|| format!("there is no check {id}"))
}

/// Every case, from both files.
fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain(CERTIFICATE_AND_MONITORING_CASES)
}

/// One case on one base. `Err`: why it proves nothing, or what is wrong with the check.
fn provoke(case: &Case, base: &Base, good: &Good, beds: &mut Beds) -> Result<(), String> {
    let known = good.runbook.preflight.iter().find(|check| check.id == case.check);
    let known = known.ok_or("the runbook has no such check")?;
    let expected = match known.severity {
        Severity::Refuse => CheckState::Refused,
        Severity::Warn => CheckState::Warning,
    };
    let before = check(&good.plan, case.check)?;
    if before.state != CheckState::Passed {
        return Err(format!("failed before anything was altered: {}", before.sentence));
    }
    let mut inputs = good.inputs.clone();
    for (name, value) in case.given {
        match value.is_empty() {
            true => drop(inputs.remove(*name)),
            false => drop(inputs.insert((*name).to_owned(), (*value).to_owned())),
        }
    }
    // Other inputs may have other objects looked at.
    let seen = match case.given.is_empty() {
        true => good.seen.clone(),
        false => beds.of(base).observe(&good.runbook, &inputs)?,
    };
    let mut world = World { seen, at: base.at(), place: base.place() };
    (case.alter)(&mut world);
    let plan = bind::bind(&good.runbook, &inputs, &world.seen).map_err(|why| format!("there is no plan: {why}"))?;
    let after = check(&plan, case.check)?;
    if after.state != expected {
        return Err(format!("expected {expected:?}, found {:?} {}", after.state, after.sentence));
    }
    if !after.sentence.contains(case.says) || after.sentence.starts_with("could not be checked") {
        return Err(format!("expected a sentence with {:?}, found: {}", case.says, after.sentence));
    }
    // In the other language as well; and what else of the runbook fails is whole.
    if let Some(zh) = &known.fail.zh {
        Facts::new(&good.runbook, &plan.inputs, &world.seen).words(zh, &Scope::new())?;
    }
    let own = |check: &&CheckResult| good.runbook.preflight.iter().any(|known| known.id == check.id);
    let torn = |check: &&CheckResult| check.sentence.contains("${") || check.sentence.contains("null");
    let torn = plan.checks.iter().filter(own).find(torn);
    torn.map_or(Ok(()), |check| Err(format!("{} is torn: {}", check.id, check.sentence)))
}

#[test]
fn every_case_makes_its_check_fail() {
    let mut beds = Beds::default();
    let goods: BTreeMap<&str, Good> = BASES.iter().map(|base| (base.name, good(base, &mut beds))).collect();
    let refused = goods.iter().flat_map(|(name, good)| good.plan.refusals().map(move |check| (name, check)));
    let mut wrong: Vec<String> =
        refused.map(|(name, check)| format!("{name} refuses unaltered: {} {}", check.id, check.sentence)).collect();
    for case in cases() {
        for name in case.on {
            let base = BASES.iter().find(|base| base.name == *name).unwrap_or_else(|| panic!("no base {name}"));
            if let Err(why) = provoke(case, base, &goods[name], &mut beds) {
                wrong.push(format!("{name}/{}: {why}", case.check));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What looks like a fault and is none: the check stays passed.
#[test]
fn what_fits_is_not_refused() {
    let mut beds = Beds::default();
    let mut wrong = Vec::new();
    for case in FITTING {
        for name in case.on {
            let base = BASES.iter().find(|base| base.name == *name).unwrap_or_else(|| panic!("no base {name}"));
            let good = good(base, &mut beds);
            let mut world = World { seen: good.seen.clone(), at: base.at(), place: base.place() };
            (case.alter)(&mut world);
            let plan =
                bind::bind(&good.runbook, &good.inputs, &world.seen).unwrap_or_else(|why| panic!("{name}: {why}"));
            match check(&plan, case.check) {
                Ok(found) if found.state == CheckState::Passed => {}
                Ok(found) => wrong.push(format!("{name}/{} ({}): {}", case.check, case.says, found.sentence)),
                Err(why) => wrong.push(format!("{name}: {why}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_check_of_every_shipped_runbook_has_a_case() {
    let provoked: BTreeSet<(&str, &str)> =
        cases().flat_map(|case| case.on.iter().map(|base| (worlds::runbook_of(base), case.check))).collect();
    let mut left = Vec::new();
    for (id, _) in SHIPPED {
        let runbook = Runbook::shipped(id).expect("it is shipped");
        let checks = runbook.preflight.iter().map(|check| check.id.clone());
        left.extend(
            checks.filter(|check| !provoked.contains(&(id, check.as_str()))).map(|check| format!("{id}/{check}")),
        );
    }
    assert!(left.is_empty(), "{} checks that no case makes fail:\n{}", left.len(), left.join("\n"));
}
