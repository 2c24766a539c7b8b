//! A plan as text for a terminal and as Markdown for a ticket.

use std::fmt::Write as _;

use serde_json::Value;

use crate::runbook::action::Reversibility;
use crate::runbook::plan::{CheckState, Confirm, Plan, PlannedStep, Rehearsal};

/// The plan as lines: checks that did not pass, then every step with its requests and its before → after.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Plan: {} on {}", plan.title, plan.target);
    if plan.experimental {
        out.push_str("! The vendor calls this procedure experimental: data may be lost. The alternative is a new cluster and a data migration.\n");
    }
    let passed = plan.checks.iter().filter(|check| check.state == CheckState::Passed).count();
    let _ = writeln!(out, "Preflight: {passed} of {} checks passed", plan.checks.len());
    for check in &plan.checks {
        match check.state {
            CheckState::Passed => {}
            CheckState::Warning => drop(writeln!(out, "  WARNING  {}: {}", check.id, check.sentence)),
            CheckState::Refused => drop(writeln!(out, "  REFUSED  {}: {}", check.id, check.sentence)),
        }
    }
    for (number, step) in plan.steps.iter().enumerate() {
        out.push('\n');
        step_text(&mut out, number + 1, step);
    }
    out.push('\n');
    match (plan.refusals().count(), plan.changes()) {
        (0, 0) => out.push_str("Nothing to do: everything is already so.\n"),
        (0, changes) => drop(writeln!(out, "{changes} change(s) to make. Nothing has been sent yet.")),
        (refusals, _) => drop(writeln!(out, "{refusals} check(s) refuse: nothing will be sent.")),
    }
    super::status::plain_lines(&out)
}

fn step_text(out: &mut String, number: usize, step: &PlannedStep) {
    let mark = if step.already_so {
        "="
    } else if step.action.writes() {
        "~"
    } else {
        "·"
    };
    let _ = writeln!(out, "{mark} {number}. {} [{}]", step.title, step.id);
    if step.already_so {
        out.push_str("     already so\n");
        return;
    }
    if !step.why.is_empty() {
        let _ = writeln!(out, "     why      {}", step.why);
    }
    for (path, before, after) in changes(step) {
        let _ = writeln!(out, "     change   {path}: {before} → {after}");
    }
    if step.action.writes() {
        let source = match step.rehearsed {
            Rehearsal::ServerDryRun => "from the server's dry run",
            Rehearsal::Predicted => "predicted; the server has no dry run for it",
            Rehearsal::NotNeeded => "",
        };
        let _ = writeln!(out, "     result   {source}");
    }
    for request in &step.requests {
        let through = request.pod.as_ref().map(|pod| format!(" through pod {pod}")).unwrap_or_default();
        let _ = writeln!(out, "     request  [{}{through}] {} {}", request.context, request.method, request.path);
        let _ = writeln!(out, "              {}: {}", request.content_type, request.body);
    }
    let _ = writeln!(out, "     by hand  {}", step.command);
    let back = match step.reversibility {
        Reversibility::Free => "changes nothing",
        Reversibility::Compensable => "can be put back",
        Reversibility::Irreversible => "NO WAY BACK",
    };
    let gate = match &step.confirm {
        Confirm::None => String::new(),
        Confirm::Plain { .. } => "; asks first (--yes)".into(),
        Confirm::Typed { text, .. } => format!("; asks you to type {text} (--confirm {text})"),
    };
    let _ = writeln!(out, "     undo     {back}{gate}");
}

/// Leaf by leaf: path, before, after.
pub fn changes(step: &PlannedStep) -> Vec<(String, String, String)> {
    if !step.action.writes() {
        return Vec::new();
    }
    let fields = |image: &Value| image.get("fields").unwrap_or(image).as_object().cloned().unwrap_or_default();
    let (before, after) = (fields(&step.before), fields(&step.after));
    after
        .into_iter()
        .map(|(path, value)| {
            let was = before.get(&path).cloned().unwrap_or(Value::Null);
            let shown = |v: &Value| if v.is_null() { "(not set)".to_owned() } else { v.to_string() };
            (path, shown(&was), shown(&value))
        })
        .filter(|(_, was, will)| was != will)
        .collect()
}

/// The same for a ticket.
pub fn markdown(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n", plan.title);
    let _ = writeln!(
        out,
        "* target: `{}`\n* runbook: `{}` {} (`sha256:{}`)\n* observed: {}\n",
        plan.target, plan.runbook, plan.runbook_version, plan.runbook_digest, plan.observed_at
    );
    out.push_str("| check | result | |\n|---|---|---|\n");
    for check in &plan.checks {
        let state = match check.state {
            CheckState::Passed => "passed",
            CheckState::Warning => "**warning**",
            CheckState::Refused => "**refused**",
        };
        let _ = writeln!(out, "| {} | {state} | {} |", check.id, check.sentence.replace('|', "\\|"));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        let _ = write!(out, "\n## {}. {}\n\n```text\n", number + 1, step.title);
        step_text(&mut out, number + 1, step);
        out.push_str("```\n");
    }
    out
}
