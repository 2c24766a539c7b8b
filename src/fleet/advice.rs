//! What is to be done about something: words for people, and in them the line that runs a runbook, kept as what it is.
//!
//! Pure. Not here: which advice helps with what ([`super::remedy_commands`], [`crate::hazards`]), which options a printed line gets
//! (`cli::printed_command_options`).

use std::fmt;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::ObjectRef;
use super::kubectl_quoting::quote;

/// A runbook with inputs, printed as the line for a shell: `tidepilot run ID --set NAME=VALUE …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLine {
    verb: Verb,
    pub runbook: &'static str,
    /// As they are; the line quotes them.
    pub inputs: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Run,
    /// Looks only.
    Plan,
}

impl RunLine {
    pub fn run(runbook: &'static str) -> Self {
        Self { verb: Verb::Run, runbook, inputs: Vec::new() }
    }

    pub fn plan(runbook: &'static str) -> Self {
        Self { verb: Verb::Plan, ..Self::run(runbook) }
    }

    pub fn set(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.inputs.push((name, value.to_string()));
        self
    }

    /// With the TidbCluster that it is about.
    pub fn on(self, of: &ObjectRef) -> Self {
        self.set("tidbCluster", of)
    }

    /// `WORDS: LINE`.
    pub fn behind(self, words: impl fmt::Display) -> Advice {
        Advice { text: format!("{words}: {self}"), run: Some(self) }
    }
}

impl fmt::Display for RunLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            Verb::Run => "run",
            Verb::Plan => "plan",
        };
        write!(f, "tidepilot {verb} {}", self.runbook)?;
        self.inputs.iter().try_for_each(|(name, value)| write!(f, " --set {name}={}", quote(value)))
    }
}

/// What is to be done. It reads as its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    text: String,
    run: Option<RunLine>,
}

impl Advice {
    /// A text in which a line stands, with that line; where several stand in it, the first.
    pub fn with(text: impl Into<String>, run: Option<RunLine>) -> Self {
        Self { text: text.into(), run }
    }

    /// The runbook that it names, to be run or to be planned.
    pub fn line(&self) -> Option<&RunLine> {
        self.run.as_ref()
    }

    /// Whether it asks for a run, and not only for a plan.
    pub fn runs(&self) -> bool {
        self.run.as_ref().is_some_and(|line| line.verb == Verb::Run)
    }

    /// Whether a run is all that it asks for: the line stands first.
    pub fn is_run(&self) -> bool {
        self.run.as_ref().is_some_and(|line| line.verb == Verb::Run && self.text.starts_with(&line.to_string()))
    }

    /// The same in another text, as a face prints it.
    pub fn reworded(&self, text: String) -> Self {
        Self { text, run: self.run.clone() }
    }
}

impl Deref for Advice {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Advice {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.text)
    }
}

impl From<RunLine> for Advice {
    fn from(line: RunLine) -> Self {
        Self { text: line.to_string(), run: Some(line) }
    }
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        Self { text, run: None }
    }
}

impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_printed_quoted_and_kept_plain() {
        let of = ObjectRef::new("a$b", "db", "basic");
        let advice = RunLine::run("repair-peer-urls").on(&of).set("removeUnused", true).behind("restart no PD before");
        assert_eq!(
            &*advice,
            "restart no PD before: tidepilot run repair-peer-urls --set tidbCluster='a$b/db/basic' --set removeUnused=true"
        );
        let line = advice.line().expect("a line");
        assert_eq!(line.inputs, [("tidbCluster", "a$b/db/basic".to_owned()), ("removeUnused", "true".to_owned())]);
        assert!(advice.runs() && !advice.is_run(), "words stand before it");
        assert!(Advice::from(line.clone()).is_run());
        let planned = Advice::from(RunLine::plan("repair-peer-urls"));
        assert_eq!((&*planned, planned.runs(), planned.is_run()), ("tidepilot plan repair-peer-urls", false, false));
        assert_eq!(Advice::from("tidepilot run x").line(), None, "nothing is read out of words");
        assert_eq!(advice.reworded("other".into()).line(), advice.line());
    }
}
