//! `runs report`: one Markdown document of a run — who, what, when, each request with before, after and evidence.
//!
//! Pure: records in, text out; everything comes from the journal, but whether the approvals are there. Not here: whether the journal
//! is as it was written ([`crate::runbook::run::journal_verify`]; its verdict is printed in the document), what is left to do
//! (`runbook::run::remaining_script`).

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;

use super::markdown::{block, cell, code};
use super::plan::{changes, risks, undo};
use crate::app::driver::approval_audit::Seen;
use crate::pluralize::counted;
use crate::runbook::action_types::Answer;
use crate::runbook::plan::digest::digest;
use crate::runbook::plan::{CheckState, Document, Plan, PlannedStep};
use crate::runbook::run::journal_verify::Verified;
use crate::runbook::run::record::{Choice, Event, How, Record};
use crate::runbook::run::view::{Progress, Shown, View};

/// The document.
pub fn markdown(records: &[Record], verified: &Verified, approvals: &[Seen]) -> Option<String> {
    let mut out = document(records, approvals)?;
    journal(&mut out, verified);
    Some(out)
}

/// The same of a run as it is seen now: its records count, and its journal is not read.
pub fn so_far(records: &[Record]) -> Option<String> {
    let mut out = document(records, &[])?;
    if let Some(Event::RunOpened { run, .. }) = records.first().map(|first| &first.event) {
        let _ = writeln!(out, "\nNot verified here: `tidepilot runs verify {}` does it.", code(run));
    }
    Some(out)
}

fn document(records: &[Record], approvals: &[Seen]) -> Option<String> {
    let first = records.first()?;
    let shown = Shown::of(records).ok()?;
    let view = shown.view();
    let Event::RunOpened { run, tool, plan } = &first.event else { return None };
    let mut out = String::new();
    let _ = writeln!(out, "# Run {}: {}\n", cell(run), cell(&plan.title));
    head(&mut out, records, first.at, tool, plan, &view.state());
    steps(&mut out, &view);
    let _ = writeln!(out, "\n## Preflight, observed {}\n\n| check | result | |\n|---|---|---|", plan.observed_at);
    for check in &plan.checks {
        let result = match check.state {
            CheckState::Passed => "passed",
            CheckState::Warning => "**warning**",
            CheckState::Refused => "**refused**",
            CheckState::Accepted => "**overruled**",
        };
        let _ = writeln!(out, "| {} | {result} | {} |", cell(&check.id), cell(&super::plan::told(check)));
    }
    confirmations(&mut out, records, approvals);
    for (number, line) in view.steps.iter().enumerate() {
        let Some(step) = shown.run().any_step(&line.id) else { continue };
        let _ = writeln!(out, "\n## Step {}: {} `{}`\n", number + 1, cell(&step.title), cell(&step.id));
        one(&mut out, run, step, records);
    }
    out.push_str("\n## Every record\n\n");
    let mut lines = String::new();
    for record in records {
        let line = match (&record.event, approvals.iter().find(|seen| seen.seq == record.seq)) {
            // What a line says of itself is not what was seen.
            (Event::Approved { vouched, .. }, Some(seen)) => {
                let words = super::approval_audit::words(Some(seen), *vouched);
                super::plain(&format!(
                    "{}  approval of {} by {}: {words}",
                    record.at.strftime("%H:%M:%S"),
                    seen.what,
                    seen.by
                ))
            }
            _ => super::run_lines::line(record),
        };
        let _ = writeln!(lines, "{}  {:>4}  {line}", record.at.strftime("%Y-%m-%d"), record.seq);
    }
    out.push_str(&block(&lines));
    Some(out)
}

fn journal(out: &mut String, verified: &Verified) {
    out.push_str("\n## The journal\n\n");
    let _ = writeln!(out, "* {}, SHA-256 of the last: `{}`", counted(verified.lines, "line"), verified.head);
    match verified.findings.as_slice() {
        [] => out.push_str("* the hash chain is whole\n"),
        findings => {
            for finding in findings {
                let _ = writeln!(out, "* **not as written**: {}", cell(finding));
            }
        }
    }
    for note in &verified.notes {
        let _ = writeln!(out, "* {}", cell(note));
    }
}

/// Every step in the order in which it is carried out, those of an undo as well.
fn steps(out: &mut String, view: &View) {
    let _ = writeln!(out, "\n## Steps\n\n| # | step | state | attempts | since |\n|---|---|---|---|---|");
    for (number, line) in view.steps.iter().enumerate() {
        let since = line.since.map_or_else(|| "-".to_owned(), |at| at.to_string());
        // Nobody looks while only the journal is read.
        let state = if line.progress == Progress::Current { "next" } else { line.progress.word() };
        let _ = writeln!(
            out,
            "| {} | `{}` | {state} | {} | {since} |",
            number + 1,
            code(&line.id).replace('|', "\\|"),
            line.attempts
        );
    }
}

fn head(out: &mut String, records: &[Record], opened: Timestamp, tool: &str, plan: &Plan, state: &str) {
    let last = records.last().map_or(opened, |record| record.at);
    let _ = writeln!(out, "| | |\n|---|---|");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "| {name} | {} |", cell(value));
    };
    row("target", &plan.target.to_string());
    row("state", state);
    for risk in risks(plan) {
        row("warned of", &risk);
    }
    for (name, reason) in reasons(records) {
        row(name, &reason);
    }
    row("opened", &format!("{opened} by {tool}"));
    for (at, who) in records.iter().filter_map(|record| Some((record.at, who(record)?))) {
        row("who", &format!("{at}: {who}"));
    }
    row("last record", &format!("{last}, {} s after the first", last.duration_since(opened).as_secs()));
    row("runbook", &format!("{} {} (sha256 {})", plan.runbook, plan.runbook_version, plan.runbook_digest));
    if let Some(Document { file, fork, .. }) = &plan.document {
        let what = if *fork { "a fork: it stood in the place of the shipped runbook" } else { "written by a user" };
        row("from", &format!("{file}, {what}"));
    }
    row("plan digest", &format!("sha256 {}", digest(plan)));
    for (name, value) in &plan.inputs {
        row(&format!("input {name}"), &value.to_string());
    }
    for (context, uid) in &plan.kube_clusters {
        row(&format!("KubeCluster {context}"), &format!("kube-system uid {uid}"));
    }
}

/// Why it did not go as planned: what people gave as their reasons, and what it stopped at last, where it did not go on since.
fn reasons(records: &[Record]) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut stopped = None;
    for record in records {
        match &record.event {
            Event::Chosen { choice: Choice::Abandon { reason, left } } => {
                let left = if left.is_empty() { String::new() } else { format!(" (left: {})", left.join("; ")) };
                all.push(("given up", format!("{reason}{left}")));
                stopped = None;
            }
            Event::Completed { step, how: How::Skipped { reason }, .. } => {
                all.push(("left out", format!("{step}: {reason}")));
            }
            Event::Paused { step, reason, .. } => stopped = Some(format!("{step}: {}", reason.sentence())),
            Event::Resumed { .. } | Event::TakenOver { .. } | Event::Chosen { .. } | Event::Closed { .. } => {
                stopped = None;
            }
            _ => {}
        }
    }
    all.extend(stopped.map(|why| ("stopped at", why)));
    all
}

/// Whoever a record names as a person or process, in whichever kind of record it is.
fn who(record: &Record) -> Option<String> {
    let value = serde_json::to_value(&record.event).ok()?;
    ["by", "who", "actor", "holder", "identity"]
        .iter()
        .find_map(|name| value.get(name))
        .map(|who| who.as_str().map_or_else(|| who.to_string(), str::to_owned))
}

fn confirmations(out: &mut String, records: &[Record], approvals: &[Seen]) {
    let mut rows = String::new();
    for record in records {
        if let Event::Confirmed { gate, text, option } = &record.event {
            let how = match (text, option) {
                (None, None) => "answered yes".to_owned(),
                (Some(text), None) => format!("typed {text}"),
                (None, Some(option)) => format!("{option} on the command line"),
                (Some(text), Some(option)) => format!("{option} {text} on the command line"),
            };
            let _ = writeln!(rows, "| {} | {} | {} |", record.at, cell(gate), cell(&how));
        }
        if let Event::AwaitsApproval { step, attempt, by, .. } = &record.event {
            let how = format!("a second person is asked for {step}, attempt {attempt}; confirmed by {by}");
            let _ = writeln!(rows, "| {} | {} | {} |", record.at, cell(step), cell(&how));
        }
        if let Event::Approved { gate, step, by, host, given, object, vouched, .. } = &record.event {
            let from = if host.is_empty() { String::new() } else { format!(" on {host}") };
            let seen = approvals.iter().find(|seen| seen.seq == record.seq);
            let words = super::approval_audit::words(seen, *vouched);
            let how = format!("approved by {by}{from} at {given}, ConfigMap {object}; {words}");
            let _ = writeln!(rows, "| {} | {} | {} |", record.at, cell(step.as_ref().unwrap_or(gate)), cell(&how));
        }
    }
    if !rows.is_empty() {
        let _ = write!(out, "\n## Confirmations\n\n| when | gate | how |\n|---|---|---|\n{rows}");
    }
}

fn one(out: &mut String, run: &str, step: &PlannedStep, records: &[Record]) {
    if !step.why.is_empty() {
        let _ = writeln!(out, "{}\n", cell(&step.why));
    }
    for (path, before, after) in changes(step) {
        let _ = writeln!(out, "* planned: `{}`: `{}` → `{}`", code(&path), code(&before), code(&after));
    }
    let _ = writeln!(out, "* undo: {}", cell(&undo(step)));
    let mut seen = false;
    for record in records {
        match &record.event {
            Event::Intent { step: of, attempt, before, after, .. } if *of == step.id => {
                let _ = writeln!(out, "* {}: about to be sent, attempt {attempt}", record.at);
                for request in &step.requests {
                    let through = request.pod.as_ref().map(|pod| format!(" through pod {pod}")).unwrap_or_default();
                    let path = request.path.replace("tidepilot%2FRUN", &format!("tidepilot%2F{run}"));
                    let _ = writeln!(
                        out,
                        "  * request: `[{}{}] {} {}`",
                        code(&request.context),
                        code(&through),
                        request.method,
                        code(&path)
                    );
                    let _ = writeln!(out, "  * body: `{}`", code(&without_version(&request.body)));
                }
                let _ = writeln!(
                    out,
                    "  * before: `{}`\n  * after: `{}`",
                    code(&before.to_string()),
                    code(&after.to_string())
                );
            }
            Event::Returned { step: of, answer, .. } if *of == step.id => {
                let said = match answer {
                    Answer::Accepted { status, detail } => format!("answered {status} {detail}"),
                    Answer::Refused { reason } => format!("refused: {reason}"),
                    Answer::Unknown { reason } => format!("no answer: {reason}"),
                };
                let _ = writeln!(out, "* {}: {}", record.at, cell(said.trim()));
            }
            Event::Completed { step: of, how, evidence } if *of == step.id => {
                let how = serde_json::to_value(how).unwrap_or_default();
                let how = how.as_str().map_or_else(|| how.to_string(), str::to_owned);
                let _ = writeln!(out, "* {}: completed ({how}); seen: `{}`", record.at, code(&evidence.to_string()));
            }
            Event::Paused { step: of, reason, .. } if *of == step.id => {
                let _ = writeln!(out, "* {}: **paused**: {}", record.at, cell(&reason.sentence()));
                for row in reason.three_ways() {
                    let _ = writeln!(out, "  * `{}`", code(&row));
                }
            }
            _ => continue,
        }
        seen = true;
    }
    if !seen {
        out.push_str("* not reached\n");
    }
}

/// The version in the plan is not the one that was sent: each request reads it anew just before.
fn without_version(body: &Value) -> String {
    let mut body = body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.contains_key("resourceVersion")
    {
        metadata.insert("resourceVersion".into(), Value::String("(read just before)".into()));
    }
    body.to_string()
}
