//! Journals read back: what a list of runs shows, and the run that records make.
//!
//! Not here: the file format (`runbook::record`), the files (`client::ledger`).

use std::path::Path;

use jiff::Timestamp;

use super::shelf;
use crate::app::message::RunSummary;
use crate::client::ledger;
use crate::runbook::engine::{BadRun, Run};
use crate::runbook::record::{Event, Outcome, PauseReason, Record};
use crate::runbook::ways::WayOn;

/// Journals in a folder, newest first.
pub fn summaries(folder: &Path) -> Vec<RunSummary> {
    let mut all: Vec<RunSummary> = ledger::list(folder)
        .into_iter()
        .map(|(id, records)| summary(id, records.map_err(|error| error.to_string())))
        .collect();
    all.sort_by(|a, b| (b.opened, &b.run).cmp(&(a.opened, &a.run)));
    all
}

/// Replays records with the runbook that they began with.
pub fn replay(records: &[Record]) -> Result<Run, String> {
    let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event) else {
        return Err(BadRun::NotOpened.to_string());
    };
    let runbook = shelf::of_plan(plan)?;
    Run::replay(runbook, records).map_err(|error| error.to_string())
}

/// What helps where the run has stopped; empty where it is over, or driven on since.
pub fn ways_on(records: &[Record]) -> Vec<WayOn> {
    replay(records).map(|run| run.ways_on(super::now())).unwrap_or_default()
}

fn summary(run: String, records: Result<Vec<Record>, String>) -> RunSummary {
    let unreadable = |state: String| RunSummary {
        run: run.clone(),
        runbook: String::new(),
        target: String::new(),
        opened: Timestamp::UNIX_EPOCH,
        state,
        open: false,
        completed: 0,
        steps: 0,
    };
    let records = match records {
        Ok(records) => records,
        Err(why) => return unreadable(format!("unreadable: {why}")),
    };
    let replayed = match replay(&records) {
        Ok(replayed) => replayed,
        Err(why) => return unreadable(format!("unreadable: {why}")),
    };
    let state = match (replayed.outcome(), replayed.paused()) {
        (Some(Outcome::Done), _) => "done".into(),
        (Some(Outcome::Undone), _) => "undone".into(),
        (Some(Outcome::Abandoned), _) => "abandoned".into(),
        (Some(Outcome::NothingToDo), _) => "nothing to do".into(),
        (None, Some(PauseReason::Asked)) => "paused as asked".into(),
        (None, Some(reason)) => format!("paused: {}", reason.sentence()),
        (None, None) => "open".into(),
    };
    RunSummary {
        run: run.clone(),
        runbook: replayed.plan.runbook.clone(),
        target: replayed.plan.target.to_string(),
        opened: records.first().map_or(Timestamp::UNIX_EPOCH, |record| record.at),
        state,
        open: replayed.outcome().is_none(),
        completed: replayed.completed(),
        steps: replayed.plan.steps.len(),
    }
}
