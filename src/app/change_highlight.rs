//! Which values on the screen have changed within the last seconds: that is how one sees where it moves.
//!
//! Of the view in front alone, by hashes: a list of ten thousand rows costs bytes, not texts. What a view shows when it is
//! opened is no change. Not here: how it looks (`console::table`, `console::overview`).

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::overview_matrix::CellView;
use super::views::{Cell, Column, Item, Mark, Part, Row};
use super::{App, View};

/// How long a change stays lit, and a cluster that is back.
const LIT: SignedDuration = SignedDuration::from_secs(5);
const BACK: SignedDuration = SignedDuration::from_secs(2);

/// What rows are compared under: another Database or another choice of clusters is another list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub view: View,
    pub database: Option<usize>,
    pub focus: Option<String>,
}

/// What was there when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Changes {
    of: Option<Seen>,
    known: HashMap<String, Box<[u64]>>,
    lit: BTreeMap<(String, usize), Timestamp>,
    /// Clusters that answer again, and since when.
    back: BTreeMap<String, Timestamp>,
}

impl Changes {
    /// Compares rows with those before, and keeps them.
    pub fn note(&mut self, of: Seen, rows: &[Row], columns: &[Column], now: Timestamp) {
        let same = self.of.as_ref() == Some(&of);
        if !same {
            self.of = Some(of);
            self.lit.clear();
        }
        let before = std::mem::take(&mut self.known);
        for row in rows {
            let values = values(row, columns);
            if let Some(old) = before.get(&row.key).filter(|_| same) {
                for (at, (old, new)) in old.iter().zip(values.iter()).enumerate() {
                    if old != new {
                        self.lit.insert((row.key.clone(), at), now);
                    }
                }
            }
            self.known.insert(row.key.clone(), values);
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Timestamp) {
        self.lit.retain(|_, since| now.duration_since(*since) < LIT);
        self.back.retain(|_, since| now.duration_since(*since) < BACK);
    }

    fn is_lit(&self, key: &str, at: usize, now: Timestamp) -> bool {
        if self.lit.is_empty() {
            return false;
        }
        let since = self.lit.get(&(key.to_owned(), at));
        since.is_some_and(|since| now.duration_since(*since) < LIT)
    }
}

impl App {
    /// Whether this value changed within the last seconds.
    pub fn changed(&self, key: &str, at: usize) -> bool {
        self.changes.borrow().is_lit(key, at, self.now)
    }

    /// Whether something that was lit is to be drawn without it.
    pub(super) fn fades(&self) -> bool {
        let mut changes = self.changes.borrow_mut();
        let before = changes.lit.len() + changes.back.len();
        changes.forget(self.now);
        before > changes.lit.len() + changes.back.len()
    }

    /// A cluster that was lost and answers again.
    pub(super) fn note_back(&mut self, context: &str) {
        self.changes.get_mut().back.insert(context.to_owned(), self.now);
    }

    /// Whether it came back a moment ago.
    pub fn is_back(&self, context: &str) -> bool {
        let changes = self.changes.borrow();
        changes.back.get(context).is_some_and(|since| self.now.duration_since(*since) < BACK)
    }
}

/// One number per column; ages move by themselves and are no change.
fn values(row: &Row, columns: &[Column]) -> Box<[u64]> {
    if let Item::Instance(instance) = &row.item {
        return instance.cells.iter().map(|cell| cell.as_ref().map_or(0, of_instance)).collect();
    }
    let one = |(at, cell): (usize, &Cell)| {
        let ages = columns.get(at).is_some_and(|column| column.ages);
        if ages { 0 } else { of_cell(cell) }
    };
    row.cells.iter().enumerate().map(one).collect()
}

fn of_instance(cell: &CellView) -> u64 {
    let mut hash = DefaultHasher::new();
    // Numbers of regions move all the time: they are read in the view of stores.
    (&cell.word, cell.leader, cell.drift).hash(&mut hash);
    cell.peer.as_ref().map(of_cell).hash(&mut hash);
    hash.finish()
}

fn of_cell(cell: &Cell) -> u64 {
    let mut hash = DefaultHasher::new();
    for part in &cell.parts {
        match part {
            Part::Text { text, .. } => text.hash(&mut hash),
            Part::Missing(text) => (1_u8, text).hash(&mut hash),
            Part::Mark(Mark::Leader) => 2_u8.hash(&mut hash),
            Part::Mark(Mark::Drift) => 3_u8.hash(&mut hash),
            // A level has a word beside it.
            Part::Mark(Mark::Level(_) | Mark::Dot) => {}
        }
    }
    hash.finish()
}
