//! Journals read back: what a list of runs shows, and the run that records make.
//!
//! Not here: the file format (`runbook::run::record`), the files (`client::journal`), how a run stands (`runbook::run::open_run_status`).

use std::path::Path;

use super::runbook_catalog::{self, Lang};
use crate::client::journal;
use crate::runbook::recorded_text_translation;
use crate::runbook::run::engine::{BadRun, Run};
use crate::runbook::run::open_run_status::{Drives, Standing};
use crate::runbook::run::record::{Event, Record};
use crate::runbook::run::recovery_commands::WayOn;

/// Journals in a folder, newest first. Who drives an open one is told by its lock alone.
pub fn standings(folder: &Path, lang: Lang) -> Vec<Standing> {
    let mut all: Vec<Standing> = journal::list(folder)
        .map(|(id, records)| {
            let made = records.map_err(|error| error.to_string()).and_then(|records| {
                let mut standing =
                    Standing::of(&recorded_text_translation::records(&records, lang), true, Drives::NotKnown)?;
                if standing.open && journal::is_locked(folder, &id) {
                    standing.driven(Drives::Here);
                }
                Ok(standing)
            });
            made.unwrap_or_else(|why| Standing::unreadable(&id, &why, true))
        })
        .collect();
    all.sort_by(|a, b| (b.opened, &b.run).cmp(&(a.opened, &a.run)));
    all
}

/// Replays records with the runbook that they began with, in the reader's language.
pub fn replay(records: &[Record], lang: Lang) -> Result<Run, String> {
    let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event) else {
        return Err(BadRun::NotOpened.to_string());
    };
    let runbook = runbook_catalog::of_plan(plan)?.worded(lang);
    Run::replay(runbook, &recorded_text_translation::records(records, lang)).map_err(|error| error.to_string())
}

/// What helps where the run has stopped; empty where it is over, or driven on since.
pub fn ways_on(records: &[Record], lang: Lang) -> Vec<WayOn> {
    replay(records, lang).map(|run| run.ways_on(super::now())).unwrap_or_default()
}
