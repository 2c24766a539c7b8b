//! What a second person is shown before they approve: the step that waits, made from its action.
//!
//! What the plan says in words stands under its own heading: whoever may write the run's record can write them. Not
//! here: asking (`cli::runs_approve`), what is asked for (`app::driver::approve`), the same in the console (`console::approvals`).

use std::fmt::Write as _;

use super::plan::{changes, origin, request_lines, undo};
use crate::app::approvals::ToApprove;
use crate::runbook::plan::{CheckState, Plan};
use crate::runbook::step_from_action;

/// The lines.
pub fn text(asked: &ToApprove) -> String {
    let ToApprove { plan, wanted, driver, last, who, alike, .. } = asked;
    let step = step_from_action::step(&asked.step);
    let mut out = String::new();
    let _ = writeln!(out, "Run {}: {} on {}", wanted.run, plan.runbook, plan.target);
    let _ = writeln!(out, "driven by {driver}, last record {last}; plan sha256:{}", wanted.plan);
    for note in origin(plan).into_iter().chain(asked.document.clone()) {
        let _ = writeln!(out, "! {note}");
    }
    inputs(&mut out, plan);
    let item = step.item.as_ref().map_or_else(String::new, |item| format!("item {item}, "));
    let _ =
        writeln!(out, "Step {} ({item}attempt {}): {}", step.id, wanted.attempt, step_from_action::deed(&step.action));
    for (path, before, after) in changes(&step) {
        let _ = writeln!(out, "  change   {path}: {before} → {after}");
    }
    for line in request_lines(&step) {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(out, "  undo     {}", undo(&step));
    let why = if step.why.is_empty() { String::new() } else { format!("; {}", step.why) };
    let _ = writeln!(out, "  words    the runbook calls it {:?}{why}", step.title);
    if *alike > 0 {
        let _ = writeln!(out, "  more     {alike} more like it follow; each needs an approval of its own");
    }
    let first = wanted.confirmed_by.as_deref().unwrap_or("somebody unknown");
    let since = wanted.asked.as_ref().map_or_else(String::new, |(at, _)| format!(" and waits since {at}"));
    let _ = writeln!(out, "Confirmed by {first}{since}. You are {who}.");
    let _ = writeln!(out, "The whole plan and its records: tidepilot runs show {}", wanted.run);
    super::plain_lines(&out)
}

/// What the run was asked to do, and what its preflight only warned of.
fn inputs(out: &mut String, plan: &Plan) {
    for (name, value) in &plan.inputs {
        let _ = writeln!(out, "  input    {name} = {value}");
    }
    for (check, _) in plan.accepted() {
        let _ = writeln!(out, "  overruled check {} refused: {}", super::plan::named(check), check.found());
    }
    for check in plan.checks.iter().filter(|check| check.state != CheckState::Passed) {
        let _ = writeln!(out, "  warned   {}: {}", super::plan::named(check), check.sentence);
    }
}
