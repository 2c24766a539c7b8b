//! What keeps the plan on the screen from being started: one value, with its sentence and its level.
//!
//! Not here: which open run is in the way of which plan ([`super::confirmation`], over `runbook::run::open_run_status`).

use super::App;
use super::status_level::Level;
use crate::pluralize::counted;
use crate::runbook::run::open_run_status::{Drives, Standing};

/// Why the plan on the screen cannot be started.
#[derive(Clone, Debug, PartialEq)]
pub enum Bar<'a> {
    NoPlan,
    /// The whole session is read-only; `sealed`: by a word in it.
    Session {
        sealed: bool,
    },
    /// The configuration allows no writes to this context.
    Context(&'a str),
    /// This console drives a run, and drives one at a time.
    Driving(&'a str),
    /// A run that is open on the same Database.
    OpenRun(&'a Standing),
    NothingToDo,
    /// So many checks refuse, of so many that apply.
    Refused {
        refused: usize,
        checks: usize,
    },
}

impl Bar<'_> {
    /// One sentence.
    pub fn sentence(&self) -> String {
        match self {
            Bar::NoPlan => "there is no plan yet".to_owned(),
            Bar::Session { sealed } => read_only_words(*sealed, "start a run"),
            Bar::Context(context) => format!("read-only: the configuration allows no writes to {context}"),
            Bar::Driving(run) => {
                format!("run {run} is under way, one at a time: `:progress` shows it, p there pauses it")
            }
            Bar::OpenRun(run) => kept_out_words(run),
            Bar::NothingToDo => "nothing to do: every step is already so, and nothing is started".to_owned(),
            Bar::Refused { refused, checks } => {
                format!("refused by {refused} of {}; nothing can be sent", counted(*checks, "check"))
            }
        }
    }

    /// That everything is so already is good news.
    pub fn level(&self) -> Level {
        match self {
            Bar::NothingToDo => Level::Good,
            Bar::NoPlan
            | Bar::Session { .. }
            | Bar::Context(_)
            | Bar::Driving(_)
            | Bar::OpenRun(_)
            | Bar::Refused { .. } => Level::Bad,
        }
    }
}

/// Why a read-only session does not do that, and what would: what was done with a word here is not undone by an option.
fn read_only_words(sealed: bool, what: &str) -> String {
    let way = match sealed {
        true => "it was made so by :read-only, and only a new console is not",
        false => "start one without --read-only, and without readOnly in the configuration, for that",
    };
    format!("read-only: this session cannot {what}; {way}")
}

/// Why a plan cannot be started beside this run, and where enter leads instead.
fn kept_out_words(run: &Standing) -> String {
    let id = &run.run;
    let held = match &run.drives {
        Drives::Holds(who) => format!("{who} holds the Database, run {id} is open"),
        Drives::Here => format!("run {id} is open, and another process here drives it"),
        Drives::NotKnown => format!("run {id} is open, and who drives it is not known"),
        Drives::Gone(who) => format!("run {id} is open and paused; {who}, who drove it, is gone"),
        Drives::Nobody => format!("run {id} is open and paused"),
    };
    format!("refused: {held}; enter shows that run")
}

impl App {
    /// What keeps the plan on the screen from being started: of the session first, whatever the plan found.
    pub fn bar(&self) -> Option<Bar<'_>> {
        let Some(plan) = &self.plan else { return Some(Bar::NoPlan) };
        if self.options.read_only {
            return Some(Bar::Session { sealed: self.sealed });
        }
        if let Some(context) = plan.contexts.iter().find(|context| self.is_read_only(context)) {
            return Some(Bar::Context(context));
        }
        if let Some(run) = self.run.as_ref().filter(|run| run.driving) {
            return Some(Bar::Driving(run.id()));
        }
        if let Some(run) = self.kept_out() {
            return Some(Bar::OpenRun(run));
        }
        let refused = plan.refusals().count();
        if refused > 0 {
            return Some(Bar::Refused { refused, checks: plan.checks.iter().filter(|check| check.applies()).count() });
        }
        plan.nothing_to_do().then_some(Bar::NothingToDo)
    }

    /// Why this read-only session does not do that.
    pub(crate) fn read_only_words(&self, what: &str) -> String {
        read_only_words(self.sealed, what)
    }
}
