//! A run as lines: each record as one sentence for people, or the record itself as one line of JSON.

use jiff::Timestamp;
use serde_json::Value;

use super::table::table;
use crate::app::message::{RunEnd, RunSummary};
use crate::runbook::action::Answer;
use crate::runbook::network;
use crate::runbook::record::{Choice, Event, How, Outcome, PauseReason, Record};
use crate::runbook::ways::WayOn;

/// One record, one line; a matrix has more.
pub fn line(record: &Record) -> String {
    let sentence = match &record.event {
        Event::RunOpened { run, plan, .. } => format!("run {run} opened: {} on {}", plan.runbook, plan.target),
        Event::Resumed { tool } => format!("resumed by {tool}"),
        Event::Leased { by, fences, .. } => {
            let places: Vec<String> = fences.iter().map(|f| format!("{} (fence {})", f.context, f.fence)).collect();
            format!("lease taken by {by} in {}", places.join(", "))
        }
        Event::TakenOver { by, from, .. } => format!("taken over from {from} by {by}"),
        Event::Confirmed { gate, text: Some(text) } => format!("confirmed {gate} by typing {text}"),
        Event::Confirmed { gate, text: None } => format!("confirmed {gate}"),
        Event::Approved { gate, by, vouched, .. } => format!("{gate} approved by {by} ({})", vouched.words()),
        Event::Intent { step, attempt, .. } => format!("{step}: sending (attempt {attempt})"),
        Event::Returned { step, answer, .. } => match answer {
            Answer::Accepted { status, .. } => format!("{step}: answered {status}; verifying"),
            Answer::Refused { reason } => format!("{step}: refused: {reason}"),
            Answer::Unknown { reason } => format!("{step}: no answer ({reason}); looking"),
        },
        Event::Completed { step, how, .. } => match how {
            How::AlreadySo => format!("{step}: already so"),
            How::Performed => format!("{step}: done and verified"),
            How::Adopted => format!("{step}: found done, adopted"),
            How::Observed => format!("{step}: seen"),
            How::ByHand => format!("{step}: done by hand, and verified"),
            How::Skipped { reason } => format!("{step}: skipped: {reason}"),
        },
        Event::Paused { step, reason: PauseReason::Asked, .. } => format!("{step}: paused as asked"),
        Event::Paused { step, reason, .. } => format!("{step}: paused: {}", reason.sentence()),
        Event::Chosen { choice } => match choice {
            Choice::ByHand { step } => format!("{step}: said to be done by hand; looking"),
            Choice::Undo { steps, ends_at: None } => format!("undo of {} step(s): {}", steps.len(), steps.join(", ")),
            Choice::Undo { steps, ends_at: Some(end) } => {
                format!("undo of {} step(s): {}; {end} and what came before it stay", steps.len(), steps.join(", "))
            }
            Choice::Abandon { reason, left } => format!("given up: {reason}; {}", left.join("; ")),
        },
        Event::Closed { outcome: Outcome::Undone } => "undone".into(),
        Event::Closed { outcome: Outcome::Abandoned } => "abandoned".into(),
        Event::Closed { outcome: Outcome::Done } => "done".into(),
        Event::Closed { outcome: Outcome::NothingToDo } => "nothing to do".into(),
    };
    let mut line = super::plain(&format!("{}  {sentence}", record.at.strftime("%H:%M:%S")));
    if let Event::Completed { evidence, .. } = &record.event {
        // What was seen of a network is the result, so it stands below its line.
        for row in matrix(evidence) {
            line.push_str("\n          ");
            line.push_str(&row);
        }
    }
    if let Event::Paused { reason, .. } = &record.event {
        for row in reason.three_ways() {
            line.push_str("\n          ");
            line.push_str(&super::plain(&row));
        }
    }
    line
}

/// What a run waits for, with the time as the records have it.
pub fn waiting(at: Timestamp, sentence: &str) -> String {
    format!("{}  … {}", at.strftime("%H:%M:%S"), super::plain(sentence))
}

/// How a drive ended: the sentence, what belongs to it, and what helps. `repeated`: the options that each printed command
/// of this program needs as well.
pub fn end(end: &RunEnd, repeated: &str) -> String {
    let mut out = super::plain(&end.sentence);
    for row in &end.more {
        out.push_str("\n  ");
        out.push_str(&super::plain(row));
    }
    let ways = ways(&end.ways, repeated);
    if !ways.is_empty() {
        out.push('\n');
        out.push_str(ways.trim_end());
    }
    out
}

/// The ways on, a command and what it does on each two lines; empty where there are none.
pub fn ways(all: &[WayOn], repeated: &str) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut out = String::from("what helps:\n");
    for way in all {
        let command: Vec<String> = way.command.lines().map(super::plain).collect();
        let own = way.command.starts_with("tidepilot ") && !repeated.is_empty();
        let repeated = if own { format!(" {repeated}") } else { String::new() };
        out.push_str(&format!("  {}{repeated}\n      # {}\n", command.join("\n"), super::plain(&way.does)));
    }
    out
}

/// The matrix of a look at the network; empty for any other evidence.
pub fn matrix(evidence: &Value) -> Vec<String> {
    let ways = network::ways(evidence);
    if ways.is_empty() {
        return Vec::new();
    }
    network::table(&ways).iter().map(|row| super::plain(row)).collect()
}

/// The list of journals.
pub fn list(all: &[RunSummary]) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|run| {
            vec![
                run.run.clone(),
                run.runbook.clone(),
                run.target.clone(),
                format!("{}/{}", run.completed, run.steps),
                run.state.clone(),
            ]
        })
        .collect();
    table(&["RUN", "RUNBOOK", "TARGET", "STEPS", "STATE"], &rows)
}
