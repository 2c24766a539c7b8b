//! How long nothing has moved while a run waits, and what is said about it.
//!
//! Not here: what is waited for and how long it may take (`runbook::run::wait_conditions`), what the signs of a stand-still are
//! (`runbook::run::stall_signs`), how long a run sleeps until its next look ([`super::poll_backoff`]), how a person's wish to stop
//! cuts it short ([`super::stop_grace`]).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::Driver;
use crate::fleet::closer_look::{Extra, Extras};
use crate::runbook::Observation;
use crate::runbook::run::engine::{About, Run};
use crate::runbook::run::stall_signs;

/// Without movement for this long a wait says since when, and where to look; again each time that it has doubled.
const STILL: Duration = Duration::from_secs(120);
/// Sentences that are kept to tell what is new from what only comes again.
const MOST: usize = 2000;

/// The clocks of one step's waiting, which nobody can set. Only a sentence that was not said before is movement: a pod
/// that crashes and comes back, and crashes, moves nothing.
#[derive(Debug)]
pub(super) struct Clock {
    about: About,
    said: BTreeSet<String>,
    moved: Option<(Duration, Timestamp)>,
    /// Of what has to be looked at or put right first; begins anew each time.
    held: Option<(Duration, Timestamp)>,
    next: Duration,
    still: Option<Still>,
    /// What was found when somebody should look.
    found: String,
}

impl Default for Clock {
    fn default() -> Self {
        let next = patience();
        Self {
            about: About::Step,
            said: BTreeSet::new(),
            moved: None,
            held: None,
            next,
            still: None,
            found: String::new(),
        }
    }
}

/// For how long nothing has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Still {
    pub lasts: Duration,
    pub since: Timestamp,
    /// It lasts long enough to be said, and longer than when it was said last.
    pub to_be_said: bool,
}

/// Tests shorten it.
fn patience() -> Duration {
    let given = std::env::var("TIDEPILOT_STILL_S").ok().and_then(|text| text.trim().parse::<u64>().ok());
    given.filter(|seconds| *seconds > 0).map_or(STILL, Duration::from_secs)
}

impl Clock {
    /// Takes note of what is waited for now. `now`: since the driving began, by a clock that nobody can set.
    pub fn note(&mut self, about: About, sentence: &str, now: Duration, at: Timestamp) -> Still {
        let (begun, since) = match about {
            About::Step => {
                self.held = None;
                if self.said.len() < MOST && self.said.insert(sentence.to_owned()) {
                    self.moved = Some((now, at));
                    self.restart();
                }
                *self.moved.get_or_insert((now, at))
            }
            About::Connection | About::Invariant => {
                if self.about != about {
                    self.held = None;
                }
                *self.held.get_or_insert((now, at))
            }
        };
        self.about = about;
        let lasts = now.saturating_sub(begun);
        let to_be_said = about == About::Step && lasts >= self.next;
        if to_be_said {
            self.next = self.next.max(lasts) * 2;
        }
        let still = Still { lasts, since, to_be_said };
        if about == About::Step && to_be_said {
            self.still = Some(still);
        }
        still
    }

    fn restart(&mut self) {
        self.next = patience();
        self.still = None;
        self.found.clear();
    }

    pub fn found(&mut self, found: String) {
        self.found = found;
    }

    /// What was found when it was looked for, to stand behind a sentence.
    pub fn signs(&self) -> &str {
        &self.found
    }

    /// The sentence, with how long nothing has moved once that is worth a word.
    pub fn words(&self, sentence: &str) -> String {
        match (self.about, &self.still) {
            (About::Step, Some(still)) => {
                let since = still.since.strftime("%H:%M:%S");
                format!("{sentence}; nothing has moved for {} (since {since} UTC){}", span(still.lasts), self.found)
            }
            (About::Step | About::Connection | About::Invariant, _) => match &self.held {
                Some((_, since)) => format!("{sentence} (since {} UTC)", since.strftime("%H:%M:%S")),
                None => sentence.to_owned(),
            },
        }
    }
}

fn span(lasts: Duration) -> String {
    match lasts.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

impl Driver {
    /// What can be read about a stand-still, as far as the rights allow: one piece of a sentence, empty where nothing
    /// is found.
    pub(super) async fn look_around(&self, run: &Run, contexts: &BTreeSet<String>, seen: &Observation) -> String {
        let Some(step) = run.under_way() else { return String::new() };
        let mut fleet = seen.fleet.clone();
        let wanted = Extras::of(&[Extra::Events, Extra::Operator, Extra::Claims]);
        for change in self.links.closer(&fleet, &wanted).await {
            if contexts.contains(&change.context) {
                fleet.apply(change);
            }
        }
        stall_signs::told(step, &run.plan.target, &fleet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_second(i64::try_from(seconds).expect("small")).expect("in range")
    }

    /// `note` at so many seconds after the beginning.
    fn noted(clock: &mut Clock, about: About, sentence: &str, seconds: u64) -> Still {
        clock.note(about, sentence, Duration::from_secs(seconds), at(seconds))
    }

    #[test]
    fn only_what_is_new_is_movement() {
        let mut clock = Clock::default();
        let mut note = |sentence: &str, seconds| noted(&mut clock, About::Step, sentence, seconds).lasts.as_secs();
        assert_eq!(note("0 of 3", 0), 0);
        assert_eq!(note("x is CrashLoopBackOff", 10), 0);
        // It comes and goes, and nothing moves.
        assert_eq!(note("0 of 3", 20), 10);
        assert_eq!(note("x is CrashLoopBackOff", 100), 90);
        assert_eq!(note("1 of 3", 110), 0);
    }

    #[test]
    fn a_connection_has_a_clock_of_its_own() {
        let mut clock = Clock::default();
        let mut note = |about, sentence: &str, seconds| noted(&mut clock, about, sentence, seconds);
        assert_eq!(note(About::Step, "0 of 3", 0).lasts.as_secs(), 0);
        assert_eq!(note(About::Connection, "a refuses", 100).lasts.as_secs(), 0);
        // In whatever words it does not answer.
        assert_eq!(note(About::Connection, "a cut the connection", 130).lasts.as_secs(), 30);
        assert_eq!(note(About::Step, "0 of 3", 140).lasts.as_secs(), 140);
        assert_eq!(note(About::Connection, "a refuses", 200).lasts.as_secs(), 0, "a new one begins anew");
        assert_eq!(note(About::Connection, "a refuses", 230).since, at(200));
        assert_eq!(note(About::Invariant, "paused", 240).lasts.as_secs(), 0);
    }

    #[test]
    fn a_stand_still_is_said_and_said_again_when_it_has_doubled() {
        let mut clock = Clock::default();
        let mut said = Vec::new();
        for seconds in (0..1000).step_by(10) {
            if noted(&mut clock, About::Step, "0 of 3", seconds).to_be_said {
                said.push(seconds);
            }
        }
        assert_eq!(said, [120, 240, 480, 960]);
        let words = clock.words("0 of 3");
        assert!(words.contains("nothing has moved for 16 min (since 00:00:00 UTC)"), "{words}");
        noted(&mut clock, About::Step, "1 of 3", 1000);
        assert_eq!(clock.words("1 of 3"), "1 of 3");
    }
}
