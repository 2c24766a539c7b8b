//! A plan as text for a terminal and as Markdown for a ticket.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::markdown::{block, cell, code};
use crate::fleet::kubectl_quoting::quote;
use crate::pluralize::counted;
use crate::runbook::action_types::{Request, Reversibility};
use crate::runbook::actions::Action;
use crate::runbook::actions::api_request_parts::manifest;
use crate::runbook::actions::port_forward_script;
use crate::runbook::actions::{CreateObject, UpdatePeerUrl, WayBack};
use crate::runbook::plan::digest::digest;
use crate::runbook::plan::{CheckResult, CheckState, Confirm, Plan, PlannedStep, Rehearsal};

/// `pd-agrees (All PD pods list the same members)`: the id is what `--accept` takes.
pub fn named(check: &CheckResult) -> String {
    let title = &check.title;
    match check.state {
        _ if title.is_empty() => check.id.clone(),
        // What was found is mostly the contrary of the title.
        CheckState::Refused => format!("{} (required: {title})", check.id),
        CheckState::Warning => format!("{} (expected: {title})", check.id),
        CheckState::Passed | CheckState::Accepted => format!("{} ({title})", check.id),
    }
}

/// What it is about, and what it found.
pub fn told(check: &CheckResult) -> String {
    match (check.title.as_str(), check.found()) {
        ("", found) => found,
        (title, found) if found.is_empty() => title.to_owned(),
        (title, found) => format!("{title}: {found}"),
    }
}

/// The plan as lines: checks that did not pass, then every step with its requests and its before → after.
pub fn text(plan: &Plan) -> String {
    super::plain_lines(&format!("{}{}\n", lines(plan), verdict(plan)))
}

/// The same of a run that is open: what of it was sent stands in the run's records, and not here.
pub fn recorded(plan: &Plan) -> String {
    super::plain_lines(&format!("{}As it was planned. What of it was sent stands in the run's records.\n", lines(plan)))
}

fn lines(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Plan: {} on {}", plan.title, plan.target);
    for warning in warnings(plan) {
        let _ = writeln!(out, "! {warning}");
    }
    let passed = plan.checks.iter().filter(|check| check.state == CheckState::Passed && check.applies()).count();
    let of = plan.checks.iter().filter(|check| check.applies()).count();
    let _ = writeln!(out, "Preflight: {passed} of {} passed", counted(of, "check"));
    for check in &plan.checks {
        match check.state {
            CheckState::Passed => {}
            CheckState::Warning => drop(writeln!(out, "  WARNING  {}: {}", named(check), check.sentence)),
            CheckState::Refused => drop(writeln!(out, "  REFUSED  {}: {}", named(check), check.sentence)),
            CheckState::Accepted => drop(writeln!(out, "  OVERRULED  {}: {}", named(check), check.found())),
        }
        if check.state == CheckState::Refused && check.reading {
            let _ = writeln!(
                out,
                "           a reading, not proof: who knows better overrules it with --accept {} --reason TEXT",
                check.id
            );
        }
    }
    let no_return = no_return(plan);
    let shared = shared_function(plan);
    if let Some((function, steps)) = &shared {
        let _ = writeln!(out, "\n{}\n     {function}", shared_by(steps));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        out.push('\n');
        if no_return == Some(number) {
            out.push_str("---- no rollback from here on ----\n");
        }
        step_text(&mut out, number + 1, step, shared.is_some());
    }
    let _ = writeln!(out, "\n{}", way_back(plan));
    let _ = writeln!(out, "Digest: sha256:{}", digest(plan));
    out
}

/// What nobody may overlook before a plan is started: whose it is, and what it risks.
fn warnings(plan: &Plan) -> Vec<String> {
    origin(plan).into_iter().chain(risks(plan)).collect()
}

/// What is risked, and what stops.
pub fn risks(plan: &Plan) -> Vec<String> {
    let experimental = plan.experimental.then(|| {
        "The vendor calls this procedure experimental: data may be lost. The alternative is a new cluster and a data migration.".to_owned()
    });
    [experimental, plan.outage(None)].into_iter().flatten().collect()
}

/// Whether anything would be sent.
fn verdict(plan: &Plan) -> String {
    match (plan.refusals().count(), plan.changes()) {
        (0, 0) => "Nothing to do: everything is already so.".to_owned(),
        (0, changes) => format!("{} to make. Nothing has been sent yet.", counted(changes, "change")),
        (refusals, _) => {
            let ids: Vec<&str> = plan.refusals().map(|check| check.id.as_str()).collect();
            format!("Refused by {}: {}. Nothing will be sent.", counted(refusals, "check"), ids.join(", "))
        }
    }
}

/// The shell function that the lines by hand of several steps call, and their numbers; `None`: a line stands for itself.
fn shared_function(plan: &Plan) -> Option<(&str, Vec<usize>)> {
    let open = plan.steps.iter().enumerate().filter(|(_, step)| !step.already_so);
    let calls = open.filter_map(|(at, step)| Some((port_forward_script::function_and_call(&step.command)?.0, at + 1)));
    let (functions, steps): (Vec<&str>, Vec<usize>) = calls.unzip();
    let (first, others) = functions.split_first()?;
    // With TLS for some and without for others there would be two of one name.
    (!others.is_empty() && others.iter().all(|other| other == first)).then_some((*first, steps))
}

fn shared_by(steps: &[usize]) -> String {
    let numbers: Vec<String> = steps.iter().map(usize::to_string).collect();
    format!("By hand: steps {} call this function, so define it first in the same shell:", numbers.join(", "))
}

/// `shared`: the function that its line by hand calls stands above the steps.
fn step_text(out: &mut String, number: usize, step: &PlannedStep, shared: bool) {
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
    if step.last.is_some() && step.action.writes() {
        // A restart before it may move PD's leader.
        out.push_str("     order    as it would be now; decided again when the step begins\n");
    }
    if let Action::DeleteObject(delete) = &step.action {
        let _ = writeln!(out, "     change   {}", delete.outcome());
    }
    for (path, before, after) in changes(step) {
        let _ = writeln!(out, "     change   {path}: {before} → {after}");
    }
    if step.action.writes() {
        let source = match step.rehearsed {
            Rehearsal::ServerDryRun => "from the server's dry run",
            // Of a plan that is refused, or in a namespace that is not there yet.
            Rehearsal::Predicted if of_kubernetes(step) => "predicted; no dry run was asked for",
            Rehearsal::Predicted => "predicted; the server has no dry run for it",
            Rehearsal::NotNeeded => "",
        };
        let _ = writeln!(out, "     result   {source}");
    }
    for line in request_lines(step) {
        let _ = writeln!(out, "     {line}");
    }
    // A manifest stands above already, and half of it could not be pasted.
    let by_hand = step.command.lines().next().unwrap_or_default();
    let by_hand = port_forward_script::function_and_call(by_hand).filter(|_| shared).map_or(by_hand, |(_, call)| call);
    let by_hand = by_hand.replace(" -f - <<'EOF'", " -f FILE # the manifest above");
    let _ = writeln!(out, "     by hand  {by_hand}");
    let back = undo(step);
    let gate = match &step.confirm {
        Confirm::None => String::new(),
        Confirm::Plain { .. } => "; asks first (--yes)".into(),
        Confirm::Typed { text, .. } => format!("; asks you to type {text} (--confirm {})", quote(text)),
    };
    let second = if step.approvers > 1 { "; then a second person approves (runs approve)" } else { "" };
    let _ = writeln!(out, "     undo     {back}{gate}{second}");
}

/// What an API server could rehearse; PD has no dry run.
fn of_kubernetes(step: &PlannedStep) -> bool {
    step.requests.iter().any(Request::to_api_server)
}

/// Each request with its body, where it has one; a manifest as YAML.
pub fn request_lines(step: &PlannedStep) -> Vec<String> {
    let mut lines = Vec::new();
    for request in &step.requests {
        let through = request.pod.as_ref().map(|pod| format!(" through pod {pod}")).unwrap_or_default();
        lines.push(format!("request  [{}{through}] {} {}", request.context, request.method, request.path));
        match &step.action {
            Action::CreateObject(CreateObject { object, .. }) => {
                lines.extend(manifest(object).lines().map(|line| format!("         {line}")));
            }
            _ if request.body.is_null() => {}
            _ => lines.push(format!("         {}: {}", request.content_type, request.body)),
        }
    }
    lines
}

/// Where the runbook comes from, unless it is the shipped one.
pub fn origin(plan: &Plan) -> Option<String> {
    let document = plan.document.as_ref()?;
    let what = if document.fork { "a fork of the shipped runbook" } else { "a user's runbook" };
    Some(format!("{} comes from {}: {what}, digest {}", plan.runbook, document.file, plan.runbook_digest))
}

/// The first step (from 0) that would be sent and cannot be undone.
pub fn no_return(plan: &Plan) -> Option<usize> {
    plan.steps.iter().position(|step| !step.already_so && step.reversibility == Reversibility::Irreversible)
}

/// What can be had back, of the plan as a whole.
fn way_back(plan: &Plan) -> String {
    let named = |(number, step): (usize, &PlannedStep)| format!("{} [{}]", number + 1, step.id);
    let changes = |(_, step): &(usize, &PlannedStep)| step.action.writes() && !step.already_so;
    let all = || plan.steps.iter().enumerate().filter(changes);
    if all().next().is_none() {
        return "Rollback: nothing is changed, so nothing has to be put back.".into();
    }
    match no_return(plan) {
        None => {
            let left: Vec<String> = all().filter(|(_, step)| stays(step)).map(named).collect();
            let but = if plan.outage(None).is_some() { "; the outage until then cannot" } else { "" };
            match left.as_slice() {
                [] => format!("Rollback: every change can be put back{but}."),
                left => format!(
                    "Rollback: {} is left as it is by an undo; every other change can be put back{but}.",
                    left.join(", ")
                ),
            }
        }
        Some(at) => {
            let before: Vec<String> = all().filter(|(number, _)| *number < at).map(named).collect();
            let after: Vec<String> = all()
                .filter(|(number, step)| *number > at && step.reversibility == Reversibility::Compensable)
                .map(named)
                .collect();
            let list = |steps: Vec<String>| if steps.is_empty() { "none".to_owned() } else { steps.join(", ") };
            format!(
                "Rollback: step {} cannot be undone.\n  can be put back until it is sent: {}\n  can be put back afterwards, one by one: {}",
                named((at, &plan.steps[at])),
                list(before),
                list(after)
            )
        }
    }
}

/// Whether an undo passes over it although it changes something.
fn stays(step: &PlannedStep) -> bool {
    step.action.stays() && step.reversibility == Reversibility::Compensable
}

/// What undoing this step would restore, in one line.
pub fn undo(step: &PlannedStep) -> String {
    if step.already_so && step.action.writes() {
        return "nothing: it is so already and is not sent".into();
    }
    let shown = |value: &Value| if value.is_null() { "(not set)".to_owned() } else { value.to_string() };
    let fields = || {
        let before: Vec<String> =
            changes(step).into_iter().map(|(path, before, _)| format!("{path} = {before}")).collect();
        if before.is_empty() { "the recorded before-image".to_owned() } else { before.join(", ") }
    };
    match (step.reversibility, step.action.way_back()) {
        (Reversibility::Free, _) => "nothing: it changes nothing".into(),
        (Reversibility::Irreversible, WayBack::Joined) => {
            "NO ROLLBACK by itself: it is a member of the Database from then on (leave-cluster takes it out again)"
                .into()
        }
        (Reversibility::Irreversible, WayBack::Gone) => "NO ROLLBACK: it is gone".into(),
        (Reversibility::Irreversible, _) => format!("NO ROLLBACK; before it was {}", fields()),
        (Reversibility::Compensable, WayBack::Deletes) => {
            "deletes it again, as long as it is the one that this run made".into()
        }
        (Reversibility::Compensable, WayBack::Stays) => "nothing: it is not put back by itself".into(),
        (Reversibility::Compensable, _) => match &step.action {
            Action::UpdatePeerUrl(UpdatePeerUrl { pod, from, .. }) => {
                format!(
                    "puts back peerURLs {} of {pod}, unless somebody else has changed them since",
                    shown(&json!(from))
                )
            }
            _ => format!("puts back {}, unless somebody else has changed it since", fields()),
        },
    }
}

/// Leaf by leaf: path, before, after.
pub fn changes(step: &PlannedStep) -> Vec<(String, String, String)> {
    // An object that is made or deleted is shown as a whole.
    let whole = matches!(step.action, Action::CreateObject(_) | Action::DeleteObject(_));
    if !step.action.writes() || whole {
        return Vec::new();
    }
    let shown = |value: &Value| if value.is_null() { "(not set)".to_owned() } else { value.to_string() };
    let changes = step.before.changes(&step.after).into_iter();
    changes.map(|(path, was, will)| (path, shown(&was), shown(&will))).collect()
}

/// The same for a ticket.
pub fn markdown(plan: &Plan) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n", cell(&plan.title));
    let _ = writeln!(
        out,
        "* target: `{}`\n* runbook: `{}` {} (`sha256:{}`)\n* observed: {}\n* plan digest: `sha256:{}`",
        code(&plan.target.to_string()),
        code(&plan.runbook),
        cell(&plan.runbook_version),
        code(&plan.runbook_digest),
        plan.observed_at,
        digest(plan)
    );
    for warning in warnings(plan) {
        let _ = writeln!(out, "* **{}**", cell(&warning));
    }
    let _ = writeln!(out, "* {}", cell(&verdict(plan)));
    let ways: Vec<String> = way_back(plan).split("\n  ").map(cell).collect();
    let _ = writeln!(out, "\n{}\n", ways.join("\n* "));
    out.push_str("| check | result | |\n|---|---|---|\n");
    for check in &plan.checks {
        let state = match check.state {
            CheckState::Passed => "passed",
            CheckState::Warning => "**warning**",
            CheckState::Refused => "**refused**",
            CheckState::Accepted => "**overruled**",
        };
        let _ = writeln!(out, "| {} | {state} | {} |", cell(&check.id), cell(&told(check)));
    }
    let no_return = no_return(plan);
    let shared = shared_function(plan);
    if let Some((function, steps)) = &shared {
        let _ = write!(out, "\n{}\n\n{}", shared_by(steps), block(function));
    }
    for (number, step) in plan.steps.iter().enumerate() {
        if no_return == Some(number) {
            out.push_str("\n---\n\n**No rollback from here on.**\n");
        }
        let _ = write!(out, "\n## {}. {}\n\n", number + 1, cell(&step.title));
        let mut lines = String::new();
        step_text(&mut lines, number + 1, step, shared.is_some());
        out.push_str(&block(&lines));
    }
    out
}
