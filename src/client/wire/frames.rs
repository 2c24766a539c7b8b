//! Changes of a watch, told in frames: a cluster that changes one object without pause costs no more than ten changes
//! a second, and one that floods is read only as fast as this.
//!
//! The first change of an object after a quiet time is told at once. Of one that changes again within a frame the last word
//! counts, since a change carries the whole object; and of very many that change together. What is not read yet stays in the connection, which holds the server up. Not here: what a
//! change means, and who hears of it ([`crate::client::kube::watch`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::fleet::{Keyed, ObjectKey, WatchEvent};

/// Shortest time between two changes of one object that are told.
pub(in crate::client) const FRAME: Duration = Duration::from_millis(100);
/// Most lines of a watch that are read in one frame.
const LINES: usize = 200;
/// Most changes of one frame that are told at once, each of another object.
const AT_ONCE: usize = 100;
/// More objects of a kind are not held: as many as a list may have.
const OBJECTS: usize = 50_000;

/// What one watch has said and nobody was told yet.
pub(in crate::client) struct Frames<K> {
    begun: Option<Instant>,
    lines: usize,
    waiting: BTreeMap<ObjectKey, WatchEvent<K>>,
    /// Told less than a frame ago, and when.
    told: BTreeMap<ObjectKey, Instant>,
    told_at_once: usize,
    known: BTreeSet<ObjectKey>,
}

impl<K: Keyed> Frames<K> {
    /// `known`: what the list had.
    pub fn new(known: BTreeSet<ObjectKey>) -> Self {
        Self { begun: None, lines: 0, waiting: BTreeMap::new(), told: BTreeMap::new(), told_at_once: 0, known }
    }

    /// When what waits is to be told, or reading may go on.
    pub fn due(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + FRAME)
    }

    /// Whether enough was read until then.
    pub fn is_full(&self) -> bool {
        self.lines >= LINES
    }

    /// A line that changes nothing.
    pub fn bookmark(&mut self, now: Instant) {
        self.line(now);
    }

    /// Takes one change; gives it back where it may be told at once. `Err`: more objects than are held.
    pub fn take(&mut self, one: WatchEvent<K>, now: Instant) -> Result<Option<WatchEvent<K>>, usize> {
        let key = match &one {
            WatchEvent::Set(object) => object.key(),
            WatchEvent::Gone(key) => key.clone(),
        };
        match one {
            WatchEvent::Set(_) => drop(self.known.insert(key.clone())),
            WatchEvent::Gone(_) => drop(self.known.remove(&key)),
        }
        if self.known.len() > OBJECTS {
            return Err(OBJECTS);
        }
        self.line(now);
        let lately = self.told.get(&key).is_some_and(|at| now < *at + FRAME);
        if !lately && self.told_at_once < AT_ONCE && !self.waiting.contains_key(&key) {
            self.told_at_once += 1;
            self.told.insert(key, now);
            return Ok(Some(one));
        }
        self.waiting.insert(key, one);
        Ok(None)
    }

    fn line(&mut self, now: Instant) {
        self.lines += 1;
        self.begun.get_or_insert(now);
    }

    /// The frame is over. What was told in it holds its next change back for another one.
    pub fn flush(&mut self, now: Instant) -> Vec<WatchEvent<K>> {
        let waiting = std::mem::take(&mut self.waiting);
        self.told.retain(|_, at| now < *at + FRAME);
        self.told.extend(waiting.keys().map(|key| (key.clone(), now)));
        self.begun = (!self.told.is_empty()).then_some(now);
        (self.lines, self.told_at_once) = (0, 0);
        waiting.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Thing(u32, &'static str);

    impl Keyed for Thing {
        fn key(&self) -> ObjectKey {
            ObjectKey { namespace: "n".into(), name: self.1.into() }
        }
    }

    fn set(number: u32, name: &'static str) -> WatchEvent<Thing> {
        WatchEvent::Set(Box::new(Thing(number, name)))
    }

    fn numbers(all: Vec<WatchEvent<Thing>>) -> Vec<Option<u32>> {
        let number = |one: WatchEvent<Thing>| match one {
            WatchEvent::Set(thing) => Some(thing.0),
            WatchEvent::Gone(_) => None,
        };
        all.into_iter().map(number).collect()
    }

    #[test]
    fn the_first_at_once_and_then_the_last_of_each() {
        let start = Instant::now();
        let now = start;
        let mut frames = Frames::new(BTreeSet::new());
        assert!(frames.due().is_none());
        assert!(frames.take(set(1, "a"), now).is_ok_and(|told| told.is_some()));
        for number in 2..9 {
            assert!(frames.take(set(number, "a"), now).is_ok_and(|told| told.is_none()));
        }
        assert!(frames.take(set(1, "b"), now).is_ok_and(|told| told.is_some()), "another one waits for nobody");
        assert!(frames.take(WatchEvent::Gone(Thing(0, "b").key()), now).is_ok_and(|told| told.is_none()));
        assert_eq!(frames.due(), Some(now + FRAME));
        let now = start + FRAME;
        assert_eq!(numbers(frames.flush(now)), [Some(8), None]);
        assert!(frames.due().is_some(), "they were told just now");
        assert!(frames.take(set(9, "a"), now).is_ok_and(|told| told.is_none()));
        let now = start + 2 * FRAME;
        assert_eq!(numbers(frames.flush(now)), [Some(9)]);
        let now = start + 3 * FRAME;
        assert!(frames.flush(now).is_empty() && frames.due().is_none());
        assert!(frames.take(set(11, "c"), now).is_ok_and(|told| told.is_some()));
        let now = now + FRAME;
        assert!(frames.flush(now).is_empty() && frames.due().is_none(), "one change holds nothing back for longer");
        assert!(frames.take(set(10, "a"), now).is_ok_and(|told| told.is_some()), "quiet again");
    }

    #[test]
    fn a_frame_is_full_whatever_its_lines_say() {
        let now = Instant::now();
        let mut frames = Frames::<Thing>::new(BTreeSet::new());
        for _ in 0..LINES {
            assert!(!frames.is_full());
            frames.bookmark(now);
        }
        assert!(frames.is_full() && frames.flush(now).is_empty() && !frames.is_full());
    }

    #[test]
    fn more_objects_than_a_list_may_have_are_not_held() {
        let key = |number: usize| ObjectKey { namespace: "n".into(), name: number.to_string() };
        let mut frames = Frames::new((0..OBJECTS).map(key).collect());
        assert_eq!(frames.take(set(0, "one more"), Instant::now()).map(|_| ()), Err(OBJECTS));
        let mut frames = Frames::new((0..OBJECTS).map(key).collect());
        assert!(frames.take(WatchEvent::<Thing>::Gone(key(3)), Instant::now()).is_ok());
        assert!(frames.take(set(0, "one more"), Instant::now()).is_ok());
    }
}
