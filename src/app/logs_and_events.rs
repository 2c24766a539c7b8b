//! What is looked at closely: which logs, events or objects the view in front wants, and what has come of them.
//!
//! Bounded: so many lines and bytes of logs, whatever comes in. Asked for while the view is in front, and no longer; a
//! change of what is wanted leaves as one effect. Not here: how it is asked for (`client::kube::logs_and_events`), how it looks.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use super::message::Effect;
use super::selected_object::{member_pod, store_pod};
use super::{App, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::controller_revision::Revision;
use crate::fleet::log_line::{Gravity, gravity};
use crate::fleet::logs_and_events::{Ask, Happening, Kind, LogLine, LogOf, News, Place, Reading, Thing};

/// Lines of logs that are kept.
const LINES: usize = 5_000;
/// And their bytes.
const BYTES: usize = 4 * 1024 * 1024;

/// A line of one of several logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    /// Index of its log.
    pub of: usize,
    pub gravity: Gravity,
    pub text: String,
}

/// The state of what is looked at.
#[derive(Debug)]
pub struct Closeup {
    ask: Option<Ask>,
    /// Which ask: news of an older one does not count.
    id: u64,
    lines: VecDeque<Line>,
    bytes: usize,
    /// Lines that had to go.
    pub dropped: u64,
    pub readings: Vec<Reading>,
    pub events: Vec<Option<Result<Vec<Happening>, String>>>,
    pub objects: Vec<Option<Result<Box<Value>, String>>>,
    /// Former templates of StatefulSets, of all places.
    revisions: Vec<Revision>,
    /// Why those of a place are not seen.
    unseen_revisions: BTreeMap<usize, String>,
    /// The end of the log stays in sight.
    pub follow: bool,
    pub wrap: bool,
    pub timestamps: bool,
    /// Warnings and what is worse, and nothing else.
    pub grave_only: bool,
}

impl Default for Closeup {
    fn default() -> Self {
        Self {
            ask: None,
            id: 0,
            lines: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            readings: Vec::new(),
            events: Vec::new(),
            objects: Vec::new(),
            revisions: Vec::new(),
            unseen_revisions: BTreeMap::new(),
            follow: true,
            wrap: false,
            timestamps: false,
            grave_only: false,
        }
    }
}

impl Closeup {
    /// Begins with something else.
    fn begin(&mut self, ask: Option<Ask>) {
        let (id, wrap, timestamps) = (self.id + 1, self.wrap, self.timestamps);
        *self = Self { id, wrap, timestamps, ..Self::default() };
        match &ask {
            Some(Ask::Logs { of, .. }) => self.readings = vec![Reading::default(); of.len()],
            Some(Ask::Events { places, .. }) => self.events = vec![None; places.len()],
            Some(Ask::Objects(things)) => self.objects = vec![None; things.len()],
            Some(Ask::Revisions(_)) | None => {}
        }
        self.ask = ask;
    }

    /// Folds news in; gives the number of new lines that a filter shows.
    fn apply(&mut self, news: News, filter: &str) -> usize {
        match news {
            News::Lines { of, lines } => {
                let shown = lines.iter().filter(|line| self.shows(filter, gravity(&line.text), &line.text)).count();
                lines.into_iter().for_each(|line| self.put(of, line));
                return shown;
            }
            News::Log { of, state } => {
                if let Some(reading) = self.readings.get_mut(of) {
                    *reading = state;
                }
            }
            News::Events { place, events } => {
                if let Some(known) = self.events.get_mut(place) {
                    *known = Some(events);
                }
            }
            News::Object { of, object } => {
                if let Some(known) = self.objects.get_mut(of) {
                    *known = Some(object);
                }
            }
            News::Revisions { place, all } => self.take_revisions(place, all),
        }
        0
    }

    fn take_revisions(&mut self, place: usize, all: Result<Vec<Revision>, String>) {
        let Some(Ask::Revisions(places)) = &self.ask else { return };
        let Some(of) = places.get(place) else { return };
        self.unseen_revisions.remove(&place);
        match all {
            Ok(all) => {
                self.revisions.retain(|one| (&one.context, &one.namespace) != (&of.context, &of.namespace));
                self.revisions.extend(all);
            }
            Err(why) => drop(self.unseen_revisions.insert(place, why)),
        }
    }

    /// Former templates of StatefulSets, as far as they came.
    pub fn revisions(&self) -> &[Revision] {
        &self.revisions
    }

    /// Puts a line where its time belongs; most come last.
    fn put(&mut self, of: usize, line: LogLine) {
        let line = Line { at: line.at, of, gravity: gravity(&line.text), text: line.text };
        self.bytes += line.text.len();
        let behind = self.lines.iter().rev().take_while(|other| other.at > line.at).count();
        self.lines.insert(self.lines.len() - behind, line);
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(gone) = self.lines.pop_front() else { break };
            self.bytes -= gone.text.len();
            self.dropped += 1;
        }
    }

    /// The lines under a filter, the last one first.
    pub fn backwards<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().rev().filter(move |line| self.shows(filter, line.gravity, &line.text))
    }

    fn shows(&self, filter: &str, gravity: Gravity, text: &str) -> bool {
        (!self.grave_only || gravity >= Gravity::Warn) && takes(filter, text)
    }

    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// All events, the last one first, with the place that each is of.
    pub fn happened(&self) -> Vec<(&Place, &Happening)> {
        let Some(Ask::Events { places, .. }) = &self.ask else { return Vec::new() };
        let mut all: Vec<(&Place, &Happening)> = places
            .iter()
            .zip(&self.events)
            .filter_map(|(place, events)| Some((place, events.as_ref()?.as_ref().ok()?)))
            .flat_map(|(place, events)| events.iter().map(move |event| (place, event)))
            .collect();
        all.sort_by_key(|(_, event)| std::cmp::Reverse(event.last));
        all
    }

    /// Why events or templates of some place are not seen.
    pub fn unseen(&self) -> Vec<String> {
        let why = self.events.iter().filter_map(|events| events.as_ref()?.as_ref().err());
        why.chain(self.unseen_revisions.values()).cloned().collect()
    }

    /// Whether every place has answered, one way or the other.
    pub fn heard(&self) -> bool {
        self.events.iter().all(Option::is_some)
    }
}

/// Whether a text holds every word of a filter, and none behind a `!`.
pub fn takes(filter: &str, text: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let text = text.to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| match word.strip_prefix('!') {
        Some("") => true,
        Some(word) => !text.contains(word),
        None => text.contains(word),
    })
}

impl App {
    /// What the view in front wants to have asked for.
    fn wants(&self) -> Option<Ask> {
        match self.view() {
            View::Logs { of, previous } => Some(Ask::Logs { of: of.clone(), previous: *previous }),
            View::Events(Some(about)) => Some(events_about(about)),
            View::Events(None) => Some(Ask::Events { places: self.places(), about: None }),
            View::Changes => Some(Ask::Revisions(self.places())),
            View::Yaml(thing) => Some(Ask::Objects(vec![thing.clone()])),
            View::Compare(one, other) => Some(Ask::Objects(vec![one.clone(), other.clone()])),
            View::Detail(Subject::Pod(of)) => Some(events_about(&Thing { kind: Kind::Pod, of: of.clone() })),
            View::Detail(Subject::Member(id)) => {
                let of = member_pod(self.database()?.member(*id)?)?;
                Some(events_about(&Thing { kind: Kind::Pod, of }))
            }
            View::Detail(Subject::Store(id)) => {
                let row = self.database()?.stores.iter().find(|row| row.store.id == *id)?;
                Some(events_about(&Thing { kind: Kind::Pod, of: store_pod(row)? }))
            }
            View::Detail(Subject::TidbCluster(of)) => {
                Some(events_about(&Thing { kind: Kind::TidbCluster, of: of.clone() }))
            }
            _ => None,
        }
    }

    /// The namespaces with TidbClusters that are shown.
    fn places(&self) -> Vec<Place> {
        let all = self.fleet.tidb_clusters().filter(|(of, _)| self.in_focus(Some(&of.context)));
        let mut places: Vec<Place> =
            all.map(|(of, _)| Place { context: of.context, namespace: of.namespace }).collect();
        places.sort();
        places.dedup();
        places
    }

    /// Asks for what is in sight now, and for nothing else any more.
    pub(super) fn look_closely(&mut self, effects: &mut Vec<Effect>) {
        let wanted = self.wants();
        if wanted == self.closeup.ask {
            return;
        }
        self.closeup.begin(wanted.clone());
        effects.push(Effect::Closeup { id: self.closeup.id, ask: wanted });
    }

    pub(super) fn closeup_news(&mut self, id: u64, news: News) {
        if id != self.closeup.id {
            self.dirty = false;
            return;
        }
        let filter = self.screen().filter.clone();
        let added = self.closeup.apply(news, &filter);
        // Who reads back in a log keeps his place.
        if !self.closeup.follow && matches!(self.view(), View::Logs { .. }) {
            let screen = self.screen_mut();
            screen.scroll = screen.scroll.saturating_add(added);
        }
    }

    /// The logs of these pods, of the container that a pod is there for.
    pub(super) fn log_of(&self, of: &ObjectRef) -> LogOf {
        let pod = self.fleet.clusters.get(&of.context).and_then(|cluster| cluster.pods.get(&of.key()));
        LogOf { pod: of.clone(), container: pod.and_then(|pod| pod.component()).map(str::to_owned) }
    }
}

fn events_about(about: &Thing) -> Ask {
    let place = Place { context: about.of.context.clone(), namespace: about.of.namespace.clone() };
    Ask::Events { places: vec![place], about: Some(about.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, text: &str) -> LogLine {
        LogLine { at: Timestamp::from_second(second).expect("a time"), text: text.to_owned() }
    }

    fn texts(closeup: &Closeup, filter: &str) -> Vec<String> {
        closeup.backwards(filter).map(|line| line.text.clone()).collect()
    }

    #[test]
    fn logs_are_merged_by_time_and_bounded() {
        let mut closeup = Closeup::default();
        closeup.begin(Some(Ask::Logs { of: Vec::new(), previous: false }));
        closeup.apply(News::Lines { of: 0, lines: vec![line(1, "a"), line(4, "d")] }, "");
        let shown = closeup.apply(News::Lines { of: 1, lines: vec![line(2, "b"), line(3, "C"), line(4, "e")] }, "!b");
        assert_eq!(shown, 2);
        assert_eq!(texts(&closeup, ""), ["e", "d", "C", "b", "a"]);
        assert_eq!(texts(&closeup, "c"), ["C"]);
        assert_eq!(texts(&closeup, "!c !a"), ["e", "d", "b"]);
        let many = (0..LINES as i64).map(|at| line(10 + at, "x")).collect();
        closeup.apply(News::Lines { of: 0, lines: many }, "");
        assert_eq!((closeup.count(), closeup.dropped), (LINES, 5));
        let long = "y".repeat(BYTES / 2 + 1);
        closeup.apply(News::Lines { of: 0, lines: vec![line(99_998, &long), line(99_999, &long)] }, "");
        assert_eq!(closeup.count(), 1);
    }
}
