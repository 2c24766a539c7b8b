//! A run as lines: each record as one sentence for people, or the record itself as one line of JSON.

use jiff::Timestamp;
use serde_json::Value;

use super::table::table;
use crate::app::message::RunEnd;
use crate::runbook::actions::network_probe_result;
use crate::runbook::run::open_run_status::Standing;
use crate::runbook::run::record::{Event, Record};
use crate::runbook::run::recovery_commands::WayOn;
use crate::runbook::run::view::sentence;
use crate::runbook::step_from_action;

/// One record, one line; a matrix has more.
pub fn line(record: &Record) -> String {
    let sentence = sentence(record);
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

/// A record as a line of JSON, as every document begins.
pub fn json(record: &Record) -> serde_json::Result<String> {
    serde_json::to_string(&super::document(record, record.at)?)
}

/// A run that is not of this machine: whose record it is and where, its inputs, its whole plan, and every record.
pub fn recorded(who: &str, place: &str, records: &[Record]) -> String {
    let mut out = super::plain(&format!(
        "as recorded by {who} in {place}; anyone with permission to write ConfigMaps there can change it"
    ));
    out.push('\n');
    if let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event) {
        let mut plan = plan.clone();
        plan.steps.iter_mut().for_each(|step| *step = step_from_action::step(step));
        for (name, value) in &plan.inputs {
            out.push_str(&super::plain(&format!("input   {name} = {value}")));
            out.push('\n');
        }
        out.push_str(&super::plan::recorded(&plan));
    }
    out.push_str("\nRecords:\n");
    for record in records {
        out.push_str(&line(record));
        out.push('\n');
    }
    out
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
        let command: Vec<String> = way.command.to_string().lines().map(super::plain).collect();
        let repeated =
            if way.command.is_own() && !repeated.is_empty() { format!(" {repeated}") } else { String::new() };
        out.push_str(&format!("  {}{repeated}\n      # {}\n", command.join("\n"), super::plain(&way.does)));
    }
    out
}

/// The matrix of a look at the network; empty for any other evidence.
pub fn matrix(evidence: &Value) -> Vec<String> {
    let ways = network_probe_result::ways(evidence);
    if ways.is_empty() {
        return Vec::new();
    }
    network_probe_result::table(&ways).iter().map(|row| super::plain(row)).collect()
}

/// The list of runs; one that is open lasts until `now`.
pub fn list(all: &[Standing], now: Timestamp) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|run| {
            let known = run.opened != Timestamp::default();
            vec![
                run.run.clone(),
                match run.document.as_str() {
                    "" => run.runbook.clone(),
                    document => format!("{} ({document})", run.runbook),
                },
                run.target.clone(),
                if known { run.opened.strftime("%Y-%m-%d %H:%M").to_string() } else { "-".to_owned() },
                if known { lasted(run.opened, if run.open { now } else { run.latest }) } else { "-".to_owned() },
                if run.who.is_empty() { "-".to_owned() } else { run.who.clone() },
                format!("{}/{}", run.completed, run.steps),
                run.driven_by(),
                run.state.clone(),
            ]
        })
        .collect();
    table(&["RUN", "RUNBOOK", "TARGET", "OPENED (UTC)", "LASTED", "WHO", "STEPS", "DRIVEN BY", "STATE"], &rows)
}

/// From the first record to the latest: `42s`, `7m12s`, `3h05m`.
fn lasted(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What is open, one block a run: whose, where it waits, and what goes on with it.
pub fn open(all: &[Standing]) -> String {
    let mut out = String::new();
    for run in all.iter().filter(|run| run.open) {
        out.push_str(&super::plain(&format!("RUN     {}", run.sentence())));
        out.push('\n');
        if !run.record.is_empty() {
            out.push_str(&super::plain(&format!("  record {}", run.record)));
            out.push('\n');
        }
        for (index, next) in run.next.iter().enumerate() {
            out.push_str(&super::plain(&format!("  {}  {next}", if index == 0 { "then  " } else { "or    " })));
            out.push('\n');
        }
    }
    out
}
