//! How long nothing has moved while a run waits, what is said about it, and how a person's wish to stop cuts it short.
//!
//! Not here: what is waited for and how long it may take (`runbook::run::wait_conditions`), what the signs of a stand-still are
//! (`runbook::run::stall_signs`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::Driver;
use crate::fleet::closer_look::{Extra, Extras};
use crate::runbook::Observation;
use crate::runbook::run::engine::{About, Run};
use crate::runbook::run::stall_signs;

/// Without movement for this long a wait says since when, and where to look; again each time that it has doubled.
const STILL: Duration = Duration::from_secs(120);
/// Sentences that are kept to tell what is new from what only comes again.
const MOST: usize = 2000;
/// From a wish to stop until what is under way is not waited for any more, and until the run has to be left.
const GRACE: Duration = Duration::from_millis(1000);
const LEAVE: Duration = Duration::from_millis(2000);
/// What one answer of a cluster may take at least then, and at most while nobody wants to stop.
const MOMENT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(40);

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

/// How long a run sleeps while nothing moves. What it waits for wakes it; PD tells nobody of what it does, so that it is
/// looked at all the same, and less and less often.
#[derive(Debug, Default)]
pub(super) struct Quiet(u32);

/// So many times the usual time is slept first.
const USUAL: u32 = 2;
/// Longest time between two looks of a run that waits.
const LONGEST: Duration = Duration::from_secs(10);

impl Quiet {
    /// `usual`: between two looks where nothing wakes anybody.
    pub fn longest(&self, usual: Duration, hears: bool) -> Duration {
        match hears {
            true => (usual * 2u32.pow(self.0.saturating_sub(USUAL).min(8))).min(LONGEST.max(usual)),
            false => usual,
        }
    }

    pub fn passed(&mut self) {
        self.0 = self.0.saturating_add(1);
    }

    pub fn moved(&mut self) {
        self.0 = 0;
    }
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

/// A person's wish to stop, and how long what is under way may still take after it.
pub(super) struct Haste {
    stop: watch::Receiver<bool>,
    since: Option<Instant>,
}

impl Haste {
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self { stop, since: None }
    }

    pub fn is_over(&mut self) -> bool {
        if *self.stop.borrow() {
            self.since.get_or_insert_with(Instant::now);
        }
        self.since.is_some_and(|since| since.elapsed() >= GRACE)
    }

    /// Waits for something, but not much longer than a person wants to.
    pub async fn bound<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = what => Some(done),
            () = self.over(GRACE, Duration::ZERO) => None,
        }
    }

    /// The same of what belongs to leaving: the journal's copy in the cluster, the lease. The file has everything.
    pub async fn leaving<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = what => Some(done),
            () = self.over(LEAVE, MOMENT) => None,
            () = tokio::time::sleep(PATIENCE) => None,
        }
    }

    async fn over(&mut self, grace: Duration, least: Duration) {
        if self.stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody is there who could want to stop.
            std::future::pending::<()>().await;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        tokio::time::sleep(grace.saturating_sub(since.elapsed()).max(least)).await;
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
    fn whoever_is_woken_sleeps_longer_each_time_that_nothing_moved() {
        let usual = Duration::from_secs(2);
        let mut quiet = Quiet::default();
        let mut slept = |hears| {
            let longest = quiet.longest(usual, hears).as_secs();
            quiet.passed();
            longest
        };
        assert_eq!([slept(true), slept(true), slept(true), slept(true), slept(true), slept(true)], [2, 2, 2, 4, 8, 10]);
        // One that hears nothing looks as often as ever.
        assert_eq!([slept(false), slept(false)], [2, 2]);
        quiet.moved();
        assert_eq!(quiet.longest(usual, true), usual);
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
