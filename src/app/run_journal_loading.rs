//! The journal of the run whose page is in front: asked for when the page opens, and anew when the run has moved since.
//!
//! Until it is there the page says so, and nothing is saved in its place. Not here: reading it (`driver::load_run_journal`), the page
//! (`console::run_page`).

use jiff::Timestamp;

use super::message::Effect;
use super::whole_run::WholeRun;
use super::{App, Subject, View};
use crate::runbook::run::open_run_status::Standing;

/// What was asked for last, and what came.
#[derive(Debug, Default)]
pub struct Reading {
    /// The run, and its latest record when it was asked for.
    of: Option<(String, Timestamp)>,
    read: Option<Result<Box<WholeRun>, String>>,
}

/// What is known of it.
pub enum Known<'a> {
    Asked,
    /// One sentence: why it cannot be read.
    NotRead(&'a str),
    Read(&'a WholeRun),
}

impl App {
    /// The run whose page is in front, where it is listed.
    pub fn run_on_page(&self) -> Option<&Standing> {
        match self.view() {
            View::Detail(Subject::Run(id)) => self.runs.iter().find(|run| run.run == *id),
            _ => None,
        }
    }

    /// Asks for the journal of the run on the page.
    pub(super) fn read_run_in_front(&mut self, effects: &mut Vec<Effect>) {
        let Some(wanted) = self.run_on_page().map(|run| (run.run.clone(), run.latest)) else { return };
        if self.reading.of.as_ref() == Some(&wanted) {
            return;
        }
        // Of the same run what was read stays until the rest of it is there.
        if self.reading.of.as_ref().is_none_or(|(run, _)| *run != wanted.0) {
            self.reading.read = None;
        }
        effects.push(Effect::ReadRun { run: wanted.0.clone() });
        self.reading.of = Some(wanted);
    }

    /// Reads it anew, whatever came of it before.
    pub(super) fn forget_reading(&mut self) {
        self.reading = Reading::default();
    }

    pub(super) fn whole_run_news(&mut self, run: &str, read: Result<Box<WholeRun>, String>, was_dirty: bool) {
        if self.reading.of.as_ref().is_some_and(|(of, _)| of == run) {
            self.reading.read = Some(read);
        } else {
            self.as_before(was_dirty);
        }
    }

    /// What is known of the journal of the run on the page.
    pub fn whole_run(&self) -> Option<Known<'_>> {
        let run = self.run_on_page()?;
        let read = self.reading.read.as_ref();
        let read = read.filter(|_| self.reading.of.as_ref().is_some_and(|(of, _)| *of == run.run));
        Some(match read {
            None => Known::Asked,
            Some(Err(why)) => Known::NotRead(why),
            Some(Ok(whole)) => Known::Read(whole),
        })
    }

    /// Why nothing can be saved yet.
    pub(super) fn cannot_save(&self) -> Option<String> {
        let asked = matches!(self.whole_run(), Some(Known::Asked));
        asked.then(|| "its journal is being read: ctrl-s saves the whole of it once it is there".to_owned())
    }
}
