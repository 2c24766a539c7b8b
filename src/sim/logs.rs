//! What the containers print: one bounded log per container run, kept for the run before it as well.
//!
//! A [`Log`] is a ring of dated lines that can be followed; it ends with its container. Which lines there are is in
//! [`lines`], how they are asked for over the wire in `api_server::pod_log`. Nothing here acts on the world.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::world::PodKey;

pub mod lines;

/// Lines that a container's log keeps; older ones are rotated away, as on a node.
const KEPT: usize = 2_000;

/// One line, with the time at which the container runtime took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub text: String,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Arc<Entry>>,
    /// Number of the first entry that is still here.
    first: u64,
    over: bool,
}

/// The output of one run of one container.
#[derive(Debug)]
pub struct Log {
    kept: Mutex<Kept>,
    changed: watch::Sender<()>,
}

impl Default for Log {
    fn default() -> Self {
        Self { kept: Mutex::default(), changed: watch::channel(()).0 }
    }
}

impl Log {
    /// A log that has ended already.
    pub fn ended(text: &str) -> Self {
        let log = Self::default();
        text.lines().for_each(|line| log.print(line));
        log.end();
        log
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more line; nothing comes after the end.
    pub fn print(&self, text: impl Into<String>) {
        let mut kept = self.lock();
        if kept.over {
            return;
        }
        kept.entries.push_back(Arc::new(Entry { at: clock(), text: text.into() }));
        if kept.entries.len() > KEPT {
            kept.entries.pop_front();
            kept.first += 1;
        }
        drop(kept);
        self.changed.send_replace(());
    }

    pub fn end(&self) {
        self.lock().over = true;
        self.changed.send_replace(());
    }

    /// The entries from number `from` on, the number of the next one, and whether none can follow.
    pub fn since(&self, from: u64) -> (Vec<Arc<Entry>>, u64, bool) {
        let kept = self.lock();
        let skip = usize::try_from(from.saturating_sub(kept.first)).unwrap_or(usize::MAX);
        let entries = kept.entries.iter().skip(skip).cloned().collect();
        (entries, kept.first + kept.entries.len() as u64, kept.over)
    }

    /// Wakes whoever follows.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn fork(&self) -> Self {
        let kept = self.lock();
        let kept = Kept { entries: kept.entries.clone(), first: kept.first, over: kept.over };
        Self { kept: Mutex::new(kept), ..Self::default() }
    }
}

/// The logs of a pod's own container.
#[derive(Debug, Default)]
struct Runs {
    current: Arc<Log>,
    previous: Option<Arc<Log>>,
}

/// The logs of all pods, and what was last seen of each Database.
#[derive(Debug, Default)]
pub struct Logs {
    pods: BTreeMap<PodKey, Runs>,
    seen: BTreeMap<usize, lines::Seen>,
}

impl Logs {
    pub fn fork(&self) -> Self {
        let runs = |runs: &Runs| Runs {
            current: Arc::new(runs.current.fork()),
            previous: runs.previous.as_ref().map(|log| Arc::new(log.fork())),
        };
        Self { pods: self.pods.iter().map(|(key, one)| (key.clone(), runs(one))).collect(), seen: self.seen.clone() }
    }

    /// A container starts; the log of its last run is the previous one.
    pub fn begin(&mut self, key: &PodKey) {
        let before = self.pods.remove(key);
        let previous = before.map(|runs| runs.current);
        if let Some(previous) = &previous {
            previous.end();
        }
        self.pods.insert(key.clone(), Runs { current: Arc::default(), previous });
    }

    pub fn print(&self, key: &PodKey, line: impl Into<String>) {
        if let Some(runs) = self.pods.get(key) {
            runs.current.print(line);
        }
    }

    /// The container has exited.
    pub fn end(&self, key: &PodKey) {
        if let Some(runs) = self.pods.get(key) {
            runs.current.end();
        }
    }

    /// The pod is gone, and its logs with it.
    pub fn forget(&mut self, key: &PodKey) {
        if let Some(runs) = self.pods.remove(key) {
            runs.current.end();
        }
    }

    /// The log of the run that goes on or ended last; or of the last one that ended.
    pub fn of(&self, key: &PodKey, previous: bool) -> Option<Arc<Log>> {
        let runs = self.pods.get(key)?;
        match previous {
            false => Some(runs.current.clone()),
            // Until the next one has begun, the last run is the one that goes by both names.
            true if runs.current.lock().over => Some(runs.current.clone()),
            true => runs.previous.clone(),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the simulated world is an edge: containers print at real times")]
pub fn clock() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &Log, from: u64) -> Vec<String> {
        log.since(from).0.iter().map(|entry| entry.text.clone()).collect()
    }

    #[test]
    fn a_log_is_a_ring_that_ends_with_its_container() {
        let log = Log::default();
        (0..KEPT + 3).for_each(|line| log.print(line.to_string()));
        assert_eq!(log.since(0).1, (KEPT + 3) as u64);
        assert_eq!(texts(&log, 0).first().map(String::as_str), Some("3"));
        assert_eq!(texts(&log, KEPT as u64 + 2), [(KEPT + 2).to_string()]);
        log.end();
        log.print("after the end");
        assert!(log.since(0).2 && texts(&log, KEPT as u64 + 3).is_empty());
    }

    #[test]
    fn the_previous_run_is_kept() {
        let key = PodKey { kube: 0, namespace: "a".into(), name: "b".into() };
        let mut logs = Logs::default();
        assert!(logs.of(&key, false).is_none());
        logs.begin(&key);
        logs.print(&key, "first run");
        assert!(logs.of(&key, true).is_none(), "nothing ran before");
        logs.end(&key);
        let last = logs.of(&key, true).expect("the one that ended");
        assert_eq!(texts(&last, 0), ["first run"]);
        logs.begin(&key);
        assert!(texts(&logs.of(&key, false).expect("a log"), 0).is_empty());
        assert_eq!(texts(&logs.of(&key, true).expect("a log"), 0), ["first run"]);
        let fork = logs.fork();
        logs.print(&key, "here only");
        assert!(texts(&fork.of(&key, false).expect("a log"), 0).is_empty());
        logs.forget(&key);
        assert!(logs.of(&key, false).is_none());
    }
}
