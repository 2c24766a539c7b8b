//! What stopped a run: the reason as it is recorded and shown ([`PauseReason`]), and the finer cause ([`Cause`]) that says what helps.
//!
//! Both are parts of a journal's `paused` record, and their written form stays. Pure. Not here: when a run stops
//! ([`crate::runbook::run::engine`]), the lines that go on from there ([`crate::runbook::run::recovery_commands`]).

use serde::{Deserialize, Serialize};

use crate::runbook::before_after_image::Image;

/// Why a run stopped without being finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PauseReason {
    /// A pre-condition or invariant is not met.
    NotReady { sentence: String },
    /// Something else changed what we were about to change: before, ours and theirs.
    Foreign { sentence: String, before: Image, ours: Image, theirs: Image },
    /// The step took longer than it may.
    TimedOut { sentence: String },
    /// The server refused.
    Refused { sentence: String },
    /// A person (or a signal) asked for it.
    Asked,
}

impl PauseReason {
    /// One plain sentence.
    pub fn sentence(&self) -> String {
        match self {
            PauseReason::NotReady { sentence }
            | PauseReason::Foreign { sentence, .. }
            | PauseReason::TimedOut { sentence }
            | PauseReason::Refused { sentence } => sentence.clone(),
            PauseReason::Asked => "stopped because you asked for it".into(),
        }
    }
}

impl PauseReason {
    /// Before, ours and theirs, one line each; empty where nobody else has been here.
    pub fn three_ways(&self) -> Vec<String> {
        let PauseReason::Foreign { before, ours, theirs, .. } = self else { return Vec::new() };
        [("before", before), ("ours", ours), ("theirs", theirs)]
            .into_iter()
            .map(|(name, value)| format!("{name:<7} {}", brief(value)))
            .collect()
    }
}

/// What an image is about, without what is kept beside it for later waits.
fn brief(image: &Image) -> String {
    let text = image.brief().to_string();
    match text.char_indices().nth(LONGEST_IMAGE) {
        Some((end, _)) => format!("{}… (all of it: `tidepilot runs show -o json`)", &text[..end]),
        None => text,
    }
}

/// Characters of an image that are shown on one line.
const LONGEST_IMAGE: usize = 600;

/// What stopped a run, finer than [`PauseReason`]: what helps depends on it ([`crate::runbook::run::recovery_commands`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A person or a signal asked for it.
    Asked,
    /// A context leads to another Kubernetes cluster than the one of the plan.
    OtherCluster,
    /// The target has been made anew under its name.
    OtherObject,
    /// PD's cluster id is another one.
    OtherDatabase,
    /// Somebody else changed what the step is about to change.
    Foreign,
    /// What has to hold all through a phase did not for too long.
    Invariant,
    /// An API server could not be asked for too long.
    Away,
    /// What the step waits for did not move for too long.
    StoodStill,
    /// The step took longer in all than it may.
    TookTooLong,
    /// Nothing good can come any more as things are: the object is gone, or something was seen that must not be.
    Hopeless,
    /// The write was refused, or did not leave.
    NotTaken,
    /// Sent as often as it may be, and still not so.
    Exhausted,
    /// Said to be done by hand, and the world does not show it.
    NotByHand,
    /// It would put something else back than this run recorded.
    NotRecorded,
    /// Whether the lease is still ours could not be asked.
    LeaseUnsure,
}

impl Cause {
    /// Every cause, in the order of the type; the match makes a new one join the row.
    pub fn all() -> impl Iterator<Item = Cause> {
        let next = |cause: &Cause| {
            Some(match cause {
                Cause::Asked => Cause::OtherCluster,
                Cause::OtherCluster => Cause::OtherObject,
                Cause::OtherObject => Cause::OtherDatabase,
                Cause::OtherDatabase => Cause::Foreign,
                Cause::Foreign => Cause::Invariant,
                Cause::Invariant => Cause::Away,
                Cause::Away => Cause::StoodStill,
                Cause::StoodStill => Cause::TookTooLong,
                Cause::TookTooLong => Cause::Hopeless,
                Cause::Hopeless => Cause::NotTaken,
                Cause::NotTaken => Cause::Exhausted,
                Cause::Exhausted => Cause::NotByHand,
                Cause::NotByHand => Cause::NotRecorded,
                Cause::NotRecorded => Cause::LeaseUnsure,
                Cause::LeaseUnsure => return None,
            })
        };
        std::iter::successors(Some(Cause::Asked), next)
    }

    /// That of a record without one.
    pub fn of(reason: &PauseReason) -> Self {
        match reason {
            PauseReason::Asked => Cause::Asked,
            PauseReason::Foreign { .. } => Cause::Foreign,
            PauseReason::NotReady { .. } => Cause::NotByHand,
            PauseReason::TimedOut { .. } => Cause::StoodStill,
            PauseReason::Refused { .. } => Cause::NotTaken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::run::record::Event;
    use serde_json::json;

    #[test]
    fn a_pause_of_an_older_journal_has_its_cause_by_its_reason() {
        let older = json!({"record": "paused", "step": "s", "reason": {"why": "timed-out", "sentence": "x"}});
        let Ok(Event::Paused { reason, cause: None, .. }) = serde_json::from_value(older) else { panic!("not read") };
        assert_eq!(Cause::of(&reason), Cause::StoodStill);
        let all: std::collections::BTreeSet<String> = Cause::all().map(|cause| json!(cause).to_string()).collect();
        assert_eq!(all.len(), Cause::all().count(), "each cause has a word of its own");
    }

    #[test]
    fn three_ways_are_short() {
        let fields = |value: &str| json!({"fields": {"spec.x": value}, "revisions": {"pd": "r"}});
        let (before, ours, theirs) = (fields("a"), json!({"spec.x": "b"}), json!({"spec.x": "c".repeat(5000)}));
        let rows = PauseReason::Foreign {
            sentence: String::new(),
            before: before.into(),
            ours: ours.into(),
            theirs: theirs.into(),
        }
        .three_ways();
        assert_eq!(rows[0], "before  {\"spec.x\":\"a\"}");
        assert!(rows[2].len() < 700 && rows[2].contains("runs show -o json"), "{}", rows[2]);
        assert!(PauseReason::Asked.three_ways().is_empty());
    }
}
