//! Every preflight check of every shipped runbook is made to fail: each runbook on a healthy world ([`bases`]), and then
//! on that world with one thing altered ([`alterations`]).
//!
//! What each alteration makes fail is a snapshot, so that a check which stops to fail, or begins to where it should not,
//! is seen. A check that no alteration fails has no proof, and its name fails the test. Not here: that a refused run
//! sends nothing (`tests/lifecycle`, `tests/spanning.rs`, `tests/rights.rs`).

#[allow(dead_code, reason = "only how a bed sees, not how it drives")]
#[path = "../bare/mod.rs"]
mod bare;
#[path = "../model/mod.rs"]
mod model;

mod alterations;
mod bases;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use alterations::ALTERATIONS;
use bases::BASES;
use tidepilot::runbook::Observation;
use tidepilot::runbook::bind::bind;
use tidepilot::runbook::definition::{Runbook, SHIPPED};
use tidepilot::runbook::plan::CheckState;

/// Names and values of a runbook's inputs.
type Inputs = BTreeMap<String, String>;

/// The checks that do not pass, with their sentences. `None`: there is no plan at all on such a world.
fn failing(runbook: &Runbook, inputs: &Inputs, seen: &Observation) -> Option<BTreeMap<String, (CheckState, String)>> {
    let plan = bind(runbook, inputs, seen).ok()?;
    let failed = plan.checks.into_iter().filter(|check| check.state != CheckState::Passed);
    Some(failed.map(|check| (check.id, (check.state, check.sentence))).collect())
}

/// A check that did not pass, and what was altered for it.
struct Told {
    altered: &'static str,
    /// `runbook/check`
    check: String,
    sentence: String,
}

/// Everything that fails on one world under each alteration, and did not before.
fn walk(base: &'static bases::Base) -> Vec<Told> {
    let runbook = Runbook::shipped(base.runbook).expect("ships");
    let (seen, inputs) = base.observed(&runbook);
    let before = failing(&runbook, &inputs, &seen).unwrap_or_else(|| panic!("{}: no plan", base.name));
    let refused: Vec<_> = before.iter().filter(|(_, (state, _))| *state == CheckState::Refused).collect();
    assert!(refused.is_empty(), "{}: refused as it is: {refused:#?}", base.name);
    let named = |altered: &'static str, check: &String, sentence: &String| Told {
        altered,
        check: format!("{}/{check}", base.runbook),
        sentence: sentence.clone(),
    };
    let mut told: Vec<Told> =
        before.iter().map(|(check, (_, sentence))| named("(as it is)", check, sentence)).collect();
    for (name, alter) in ALTERATIONS {
        let (mut altered, mut given) = (seen.clone(), inputs.clone());
        alter(&mut altered, &mut given);
        given.retain(|name, _| runbook.inputs.iter().any(|input| input.name == *name));
        if altered.fleet == seen.fleet && altered.denied == seen.denied && given == inputs {
            continue;
        }
        let Some(after) = failing(&runbook, &given, &altered) else { continue };
        let new = after.iter().filter(|(check, (state, _))| before.get(*check).is_none_or(|(was, _)| was != state));
        told.extend(new.map(|(check, (_, sentence))| named(name, check, sentence)));
    }
    told
}

#[test]
fn every_preflight_check_can_fail_and_says_why() {
    let told: Vec<Told> = std::thread::scope(|scope| {
        let halves = BASES.chunks(BASES.len().div_ceil(2));
        let threads: Vec<_> =
            halves.map(|half| scope.spawn(|| half.iter().flat_map(walk).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let good = |one: &&Told| !one.sentence.contains("${") && !one.sentence.contains("could not be checked");
    let provoked: BTreeSet<String> = told.iter().filter(good).map(|one| one.check.clone()).collect();
    let all = SHIPPED.iter().flat_map(|(id, _)| {
        let checks = Runbook::shipped(id).expect("ships").preflight;
        checks.into_iter().map(move |check| format!("{id}/{}", check.id))
    });
    let all: BTreeSet<String> = all.collect();
    let unproved: Vec<&String> = all.difference(&provoked).collect();
    let mut table = String::new();
    let mut by_name: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    for one in told.iter().filter(good).filter(|one| all.contains(&one.check)) {
        by_name.entry(one.altered).or_default().insert(&one.check);
    }
    for (altered, checks) in by_name {
        let _ = writeln!(table, "{altered}");
        checks.into_iter().for_each(|check| table.push_str(&format!("  {check}\n")));
    }
    let unfilled: Vec<&String> = told.iter().map(|one| &one.sentence).filter(|text| text.contains("${")).collect();
    assert!(unfilled.is_empty(), "sentences with holes: {unfilled:#?}");
    assert!(unproved.is_empty(), "{} of {} checks never failed: {unproved:#?}", unproved.len(), all.len());
    insta::assert_snapshot!("what_each_alteration_makes_fail", table);
}
