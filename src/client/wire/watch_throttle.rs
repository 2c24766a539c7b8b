//! Changes of a watch, told in frames: a cluster that changes one object without pause costs no more than ten changes
//! a second, and one that floods is read only as fast as this.
//!
//! The first changes of an object after a quiet time are told at once. Of one that goes on changing the last word of each frame
//! counts, since a change carries the whole object; and of very many that change together. What is not read yet stays in the connection, which holds the server up. Not here: what a
//! change means, and who hears of it ([`crate::client::kube::watch`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::fleet::{Keyed, ObjectKey, WatchEvent};

/// Time between two changes of one object that are told, on the long run.
pub(in crate::client) const FRAME: Duration = Duration::from_millis(100);
/// So many changes of one object are told at once before it has to wait: a pod that starts changes several times together.
const BURST: u32 = 8;
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
    /// Told lately, and when that will be forgotten: each change is, one frame after the one before it.
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
        let often = self.told.get(&key).is_some_and(|until| *until > now + FRAME * (BURST - 1));
        if !often && self.told_at_once < AT_ONCE && !self.waiting.contains_key(&key) {
            self.told_at_once += 1;
            self.note(key, now);
            return Ok(Some(one));
        }
        self.waiting.insert(key, one);
        Ok(None)
    }

    /// One change of it is told.
    fn note(&mut self, key: ObjectKey, now: Instant) {
        let until = self.told.entry(key).or_insert(now);
        *until = (*until).max(now) + FRAME;
    }

    fn line(&mut self, now: Instant) {
        self.lines += 1;
        self.begun.get_or_insert(now);
    }

    /// The frame is over. What was told in it holds its next change back for another one.
    pub fn flush(&mut self, now: Instant) -> Vec<WatchEvent<K>> {
        let waiting = std::mem::take(&mut self.waiting);
        self.told.retain(|_, until| now < *until);
        waiting.keys().for_each(|key| self.note(key.clone(), now));
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
    fn the_first_few_at_once_and_then_the_last_of_each_frame() {
        let start = Instant::now();
        let mut frames = Frames::new(BTreeSet::new());
        assert!(frames.due().is_none());
        let at_once = |frames: &mut Frames<Thing>, one, now| frames.take(one, now).is_ok_and(|told| told.is_some());
        for number in 1..=BURST {
            assert!(at_once(&mut frames, set(number, "a"), start), "{number}");
        }
        for number in 101..=104 {
            assert!(!at_once(&mut frames, set(number, "a"), start), "{number}");
        }
        assert!(at_once(&mut frames, set(1, "b"), start), "another one waits for nobody");
        assert_eq!(frames.due(), Some(start + FRAME));
        let now = start + FRAME;
        assert_eq!(numbers(frames.flush(now)), [Some(104)]);
        assert!(frames.due().is_some(), "it was told just now");
        assert!(!at_once(&mut frames, set(9, "a"), now), "it goes on changing");
        assert!(!at_once(&mut frames, WatchEvent::Gone(Thing(0, "a").key()), now));
        let now = start + 2 * FRAME;
        assert_eq!(numbers(frames.flush(now)), [None], "the last word counts");
        // Each quiet frame gives one back.
        let now = now + FRAME;
        assert!(frames.flush(now).is_empty());
        assert!(at_once(&mut frames, set(10, "a"), now) && !at_once(&mut frames, set(11, "a"), now));
        let now = now + FRAME * (BURST + 2);
        assert_eq!(numbers(frames.flush(now)), [Some(11)]);
        let now = now + FRAME;
        assert!(frames.flush(now).is_empty() && frames.due().is_none(), "quiet again");
        assert!(at_once(&mut frames, set(12, "a"), now));
    }

    #[test]
    fn an_object_that_never_rests_is_told_ten_times_a_second() {
        let start = Instant::now();
        let mut frames = Frames::new(BTreeSet::new());
        let mut told = 0;
        for millisecond in 0..3_000 {
            let now = start + Duration::from_millis(millisecond);
            if frames.due().is_some_and(|due| due <= now) {
                told += frames.flush(now).len();
            }
            told += usize::from(frames.take(set(1, "a"), now).is_ok_and(|one| one.is_some()));
        }
        assert!((29..=30 + BURST as usize).contains(&told), "{told}");
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
