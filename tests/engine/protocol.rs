//! Lease, fence and record alone, as a small state machine: two operators, two crashes, every interleaving.
//!
//! One step with one effect that must not be had twice. Time is a word only: a holder is *fresh* for as long as its last
//! renewal is young enough for a write to leave, a request that has left arrives while its sender is fresh (the margin of
//! the lease), and a lease lapses only when its holder is not. Each rule can be taken out, and then the search has to find
//! what it is for. `voyage` has the real loop and real times; here nothing is left to chance.

use std::collections::{BTreeSet, VecDeque};

/// How far an operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Out,
    /// Has the lease and has read the record.
    Looking,
    /// The Intent is in its own file.
    Filed,
    /// The Intent is in the cluster.
    Recorded,
    /// The request has left.
    Sent,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Operator {
    at: At,
    fence: u8,
    fresh: bool,
    /// Version of the record that it knows.
    knows: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    operators: [Operator; 2],
    holder: Option<usize>,
    fence: u8,
    version: u8,
    /// Fences under which an Intent was recorded.
    intents: BTreeSet<u8>,
    completed: bool,
    /// Requests on their way: sender, fence.
    flights: BTreeSet<(usize, u8)>,
    effects: u8,
    crashes: u8,
    broken: Option<&'static str>,
}

/// A rule that is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The look at the clock when a request leaves.
    Departure,
    /// The Intent in the cluster before the request.
    Intent,
    /// The condition under which the record is stored.
    Condition,
    /// The look at the world before a step of somebody else is done again.
    Look,
}

/// Changes of hands that are followed.
const FENCES: u8 = 4;

impl State {
    fn first() -> Self {
        let out = Operator { at: At::Out, fence: 0, fresh: false, knows: 0 };
        Self {
            operators: [out; 2],
            holder: None,
            fence: 0,
            version: 0,
            intents: BTreeSet::new(),
            completed: false,
            flights: BTreeSet::new(),
            effects: 0,
            crashes: 0,
            broken: None,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    /// Stores a record of this operator, if nobody has stored one since it looked.
    fn store(&mut self, who: usize, without: Without) -> bool {
        if self.operators[who].knows != self.version && without != Without::Condition {
            self.operators[who].at = At::Out;
            return false;
        }
        if self.operators[who].fence != self.fence {
            self.broken = Some("the record was continued by one who has lost the lease");
        }
        self.version += 1;
        self.operators[who].knows = self.version;
        true
    }

    /// Everything that can happen next.
    fn next(&self, without: Without) -> Vec<Self> {
        let mut all = Vec::new();
        for (sender, fence) in self.flights.clone() {
            all.push(self.with(|s| s.arrive(sender, fence)));
        }
        for who in 0..2 {
            let one = self.operators[who];
            if self.crashes < 2 && !matches!(one.at, At::Out | At::Over) {
                all.push(self.with(|s| {
                    s.crashes += 1;
                    // Its lease lives on, and so does what it has sent.
                    s.operators[who].at = At::Out;
                }));
            }
            // A renewal comes through, or time passes: what has left by then has arrived, which is the lease's margin.
            if self.holder == Some(who) && one.fence == self.fence && !one.fresh && one.at != At::Out {
                all.push(self.with(|s| s.operators[who].fresh = true));
            }
            let under_way = without != Without::Departure && self.flights.iter().any(|(sender, _)| *sender == who);
            if one.fresh && !under_way {
                all.push(self.with(|s| s.operators[who].fresh = false));
            }
            all.extend(self.steps(who, without));
        }
        all
    }

    fn arrive(&mut self, sender: usize, fence: u8) {
        self.flights.remove(&(sender, fence));
        self.effects += 1;
        if self.effects > 1 {
            self.broken = Some("the effect was had twice");
        }
        if fence != self.fence {
            self.broken = Some("an effect after the fence has moved");
        }
        if !self.intents.contains(&fence) {
            self.broken = Some("an effect without an Intent in the cluster");
        }
    }

    fn steps(&self, who: usize, without: Without) -> Option<Self> {
        let one = self.operators[who];
        match one.at {
            At::Out => {
                let lapsed = self.holder.is_none_or(|holder| !self.operators[holder].fresh);
                (lapsed && self.fence < FENCES).then(|| {
                    self.with(|s| {
                        s.holder = Some(who);
                        s.fence += 1;
                        s.operators[who] = Operator { at: At::Looking, fence: s.fence, fresh: true, knows: s.version };
                        // Its first record: that it took over.
                        s.store(who, without);
                    })
                })
            }
            At::Looking if self.completed => Some(self.with(|s| s.operators[who].at = At::Over)),
            At::Looking if self.effects > 0 && without != Without::Look => Some(self.with(|s| {
                if s.store(who, without) {
                    s.completed = true;
                    s.operators[who].at = At::Over;
                }
            })),
            At::Looking => Some(self.with(|s| s.operators[who].at = At::Filed)),
            At::Filed if without == Without::Intent => Some(self.with(|s| s.operators[who].at = At::Recorded)),
            At::Filed => Some(self.with(|s| {
                if s.store(who, without) {
                    s.intents.insert(one.fence);
                    s.operators[who].at = At::Recorded;
                }
            })),
            At::Recorded if one.fresh || without == Without::Departure => Some(self.with(|s| {
                s.flights.insert((who, one.fence));
                s.operators[who].at = At::Sent;
            })),
            // Too late to leave: it looks again, and finds out.
            At::Recorded => Some(self.with(|s| s.operators[who].at = At::Out)),
            At::Sent if self.flights.iter().any(|(sender, _)| *sender == who) => None,
            At::Sent => Some(self.with(|s| s.operators[who].at = At::Looking)),
            At::Over => None,
        }
    }
}

/// Every state that can be reached; the first that must not be.
fn search(without: Without) -> (usize, Option<&'static str>) {
    let mut seen = BTreeSet::from([State::first()]);
    let mut open = VecDeque::from([State::first()]);
    while let Some(state) = open.pop_front() {
        if let Some(broken) = state.broken {
            return (seen.len(), Some(broken));
        }
        for next in state.next(without) {
            if seen.insert(next.clone()) {
                open.push_back(next);
            }
        }
    }
    (seen.len(), None)
}

#[test]
fn no_interleaving_breaks_it() {
    let (states, broken) = search(Without::Nothing);
    assert_eq!(broken, None);
    assert!(states > 500, "only {states} states");
}

#[test]
fn each_rule_is_needed() {
    for (without, why) in [
        (Without::Departure, "fence"),
        (Without::Intent, "Intent"),
        (Without::Condition, "lost the lease"),
        (Without::Look, "twice"),
    ] {
        let (_, broken) = search(without);
        assert!(broken.is_some_and(|broken| broken.contains(why)), "without {without:?}: {broken:?}");
    }
}
