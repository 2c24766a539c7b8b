//! When the runs were asked for last, and when that was answered: a list of runs says how old it is, and is asked for as soon as
//! it comes in front, whatever led there, and again while it stays there.
//!
//! Not here: the looks themselves (`driver::runs_polling`), the list (`views::runs`).

use jiff::{SignedDuration, Timestamp};

use super::message::Effect;
use super::status_level::age;
use super::{App, View};

/// While the list is in front.
const EVERY: SignedDuration = SignedDuration::from_secs(10);
/// For an answer, before it is asked for again.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// The age is said in such steps: a list that counts seconds would be drawn for ever.
const STEP_S: i64 = 5;

/// Of this session.
#[derive(Debug, Default)]
pub(super) struct RunLooks {
    asked: Option<Timestamp>,
    /// When the look began whose answer is there.
    answered: Option<Timestamp>,
    /// As it was said last.
    said: Option<String>,
}

impl App {
    fn lists_runs(&self) -> bool {
        matches!(self.view(), View::Runs | View::Approvals)
    }

    /// Asks for the runs now.
    pub(super) fn ask_for_runs(&mut self, effects: &mut Vec<Effect>) {
        self.looks.asked = Some(self.now);
        effects.push(Effect::ListRuns);
    }

    /// Asks where a list of runs is in front and was not asked for lately.
    pub(super) fn keep_runs_fresh(&mut self, effects: &mut Vec<Effect>) {
        // While an answer is on its way, as long as it may take, nothing is asked for again.
        let waits = self.looks.asked.is_some_and(|asked| self.looks.answered.is_none_or(|answered| answered < asked));
        let every = if waits { PATIENCE } else { EVERY };
        let old = self.looks.asked.is_none_or(|at| self.now.duration_since(at) >= every);
        if self.lists_runs() && old {
            self.ask_for_runs(effects);
        }
    }

    /// A look that began then is over; drawn where the list in front says another age by it.
    pub(super) fn runs_looked_for(&mut self, began: Timestamp, was_dirty: bool) {
        self.looks.answered = Some(began);
        if !self.looks_moved() {
            self.as_before(was_dirty);
        }
    }

    /// Whether the list says another age than before.
    pub(super) fn looks_moved(&mut self) -> bool {
        let said = self.aged_words();
        let moved = said.is_some() && said != self.looks.said;
        self.looks.said = said;
        moved
    }

    /// How old a list of runs is: `asked 10s ago`, `asking`. `None` where none is in front.
    pub fn runs_asked(&self) -> Option<String> {
        if !self.lists_runs() {
            return None;
        }
        let Some(answered) = self.looks.answered else { return Some("asking".to_owned()) };
        if self.looks.asked.is_some_and(|asked| asked > answered) {
            return Some("asking again".to_owned());
        }
        Some(aged("asked", answered, self.now))
    }

    /// What the view in front says of its own age.
    pub fn aged_words(&self) -> Option<String> {
        self.runs_asked().or_else(|| self.regions_counted())
    }
}

/// `asked just now`, `asked 10s ago`, `asked 3m ago`.
pub(super) fn aged(what: &str, at: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds / STEP_S * STEP_S {
        0 => format!("{what} just now"),
        1..120 => format!("{what} {}s ago", seconds / STEP_S * STEP_S),
        _ => format!("{what} {} ago", age(at, now)),
    }
}
