//! What a table is made of: columns, and rows of cells whose parts say what they are, not how they look.
//! Drawn by `console::table`.
//!
//! The face decides colours, glyphs and widths. Not here: which rows a view has (its own file), filter and order
//! ([`super::super::visible_rows`]).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::overview_matrix::MatrixRow;
use super::super::status_level::{Level, age};
use crate::fleet::ObjectRef;
use crate::fleet::problem_subject::Subject as Object;

/// Of a state so much is shown before anything else, and of what names a row.
const LONGEST_STATE: usize = 34;
const LONGEST_NAME: usize = 24;

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    /// It is never squeezed below this; it goes instead.
    pub min: usize,
    /// Which columns go first: the highest number.
    pub rank: u8,
    /// Cut in the middle (URLs, ids) or at the end.
    pub middle: bool,
    /// Numbers stand at the right of their column, under a heading at the right.
    pub right: bool,
    /// Only shown when a person asks for wide columns, or where the terminal is wide enough for everything.
    pub wide: bool,
    /// Takes what room is left and is wrapped: a sentence.
    pub wraps: bool,
    /// It moves by itself: a change of it is none.
    pub ages: bool,
    /// A word of state says nothing once it is cut: what matters less goes first.
    pub whole: bool,
}

pub const fn column(title: &'static str, min: usize, rank: u8) -> Column {
    Column { title, min, rank, middle: false, right: false, wide: false, wraps: false, ages: false, whole: false }
}

pub const fn middle(title: &'static str, min: usize, rank: u8) -> Column {
    Column { middle: true, ..column(title, min, rank) }
}

pub const fn number(title: &'static str, min: usize, rank: u8) -> Column {
    Column { right: true, ..column(title, min, rank) }
}

pub const fn state(title: &'static str, min: usize, rank: u8) -> Column {
    Column { whole: true, ..column(title, min, rank) }
}

pub const fn sentence(title: &'static str, min: usize, rank: u8) -> Column {
    Column { wraps: true, ..column(title, min, rank) }
}

impl Column {
    /// The same column, of ages.
    pub const fn aging(self) -> Self {
        Self { ages: true, ..self }
    }

    /// What it has before a column that matters less stays beside it, where it wants as much.
    pub fn legible(&self) -> usize {
        match self {
            Self { right: true, .. } => usize::MAX,
            Self { whole: true, .. } => self.min.max(LONGEST_STATE),
            Self { wraps: false, rank: 0 | 1, .. } => self.min.max(LONGEST_NAME),
            _ => self.min,
        }
    }

    /// The same column, shown only in wide tables.
    pub const fn only_wide(self) -> Self {
        Self { wide: true, ..self }
    }
}

/// The weight of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Dim,
    Strong,
    Accent,
    Level(Level),
}

/// A sign that the face draws, in ASCII where it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Level(Level),
    Leader,
    Drift,
    Dot,
}

/// A piece of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text {
        text: String,
        tone: Tone,
        /// The first to give way where the cell is too narrow: it says what all its neighbours say.
        common: bool,
    },
    Mark(Mark),
    /// What should be there and is not.
    Missing(String),
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    pub parts: Vec<Part>,
    /// What it is ordered by, where that is a number.
    pub number: Option<i64>,
    /// The time that an age is of: where it is read later an age says nothing.
    pub at: Option<Timestamp>,
}

impl Cell {
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { parts: vec![Part::Text { text: text.into(), tone, common: false }], number: None, at: None }
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Plain)
    }

    pub fn dim(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Dim)
    }

    pub fn strong(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Strong)
    }

    /// Glyph and word of a status.
    pub fn level(level: Level, word: impl Into<String>) -> Self {
        let word = Part::Text { text: format!(" {}", word.into()), tone: Tone::Level(level), common: false };
        Self { parts: vec![Part::Mark(Mark::Level(level)), word], ..Self::default() }
    }

    /// A number, or a dash where it is not known.
    pub fn number(value: impl Into<Option<i64>>) -> Self {
        let value = value.into();
        let text = value.map_or_else(|| "?".to_owned(), grouped);
        Self { number: Some(value.unwrap_or(i64::MIN)), ..Self::plain(text) }
    }

    /// How long ago that was; ordered by it.
    pub fn aged(at: Option<Timestamp>, now: Timestamp) -> Self {
        let seconds = at.map_or(i64::MAX, |at| now.duration_since(at).as_secs());
        let text = at.map_or_else(|| "?".to_owned(), |at| age(at, now));
        Self { number: Some(seconds), at, ..Self::plain(text) }
    }

    pub fn mark(mark: Mark) -> Self {
        Self { parts: vec![Part::Mark(mark)], ..Self::default() }
    }

    pub fn ordered_by(mut self, number: i64) -> Self {
        self.number = Some(number);
        self
    }

    /// The text without its marks.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } => Some(text.as_str()),
            Part::Mark(_) | Part::Missing(_) => None,
        });
        texts.collect::<String>().trim().to_owned()
    }

    /// The same, of a moment.
    pub fn of(self, at: Timestamp) -> Self {
        Self { at: Some(at), ..self }
    }

    /// The whole of it where nothing is drawn: signs as words, what is missing in brackets, and an age with its time.
    pub fn words(&self) -> String {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text { text, .. } => text.clone(),
            // The word of a level stands beside it, and a dot is nothing.
            Part::Mark(Mark::Level(_) | Mark::Dot) => String::new(),
            Part::Mark(Mark::Leader) => "leader".to_owned(),
            Part::Mark(Mark::Drift) => "drift".to_owned(),
            Part::Missing(text) => format!("⟨{text}⟩"),
        });
        let words = texts.collect::<String>().trim().to_owned();
        match self.at {
            Some(at) => format!("{} ({words})", at.strftime("%Y-%m-%d %H:%M:%SZ")),
            None => words,
        }
    }
}

/// `1,545`: digits in groups of three.
pub fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// A sentence beneath a row, wrapped by the face.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The column under which it begins.
    pub under: usize,
    pub text: String,
    pub tone: Tone,
    /// Left out in a terminal at least this wide, where columns say the same.
    pub narrow_only: Option<u16>,
    /// Left out where this column is shown, which says the same.
    pub instead_of: Option<usize>,
    /// Only shown for the row under the cursor where not all notes have room.
    pub spare: bool,
}

impl Note {
    /// A sentence that is always shown.
    pub fn plain(under: usize, text: impl Into<String>, tone: Tone) -> Self {
        Self { under, text: text.into(), tone, narrow_only: None, instead_of: None, spare: false }
    }
}

/// One line that the cursor can stand on.
#[derive(Clone, Debug)]
pub struct Row {
    /// Stays the same while the thing stays the same.
    pub key: String,
    /// What the filter looks at, beyond the cells.
    pub search_text: String,
    pub level: Level,
    /// What `c` copies.
    pub copy: String,
    pub item: Item,
    /// One per column of the view's table.
    pub cells: Vec<Cell>,
    pub notes: Vec<Note>,
    /// Labels for `-l key=value`.
    pub labels: BTreeMap<String, String>,
    /// It is of a cluster that is not live: its cells fade.
    pub old: bool,
}

impl Row {
    pub fn new(key: impl Into<String>, level: Level, item: Item) -> Self {
        let key = key.into();
        Self {
            search_text: key.clone(),
            copy: key.clone(),
            key,
            level,
            item,
            cells: Vec::new(),
            notes: Vec::new(),
            labels: BTreeMap::new(),
            old: false,
        }
    }

    /// What else the filter finds it by.
    pub fn found_by(mut self, text: impl AsRef<str>) -> Self {
        self.search_text = format!("{} {}", self.search_text, text.as_ref());
        self
    }

    pub fn copies(mut self, text: impl Into<String>) -> Self {
        self.copy = text.into();
        self
    }

    pub fn cells(mut self, cells: Vec<Cell>) -> Self {
        self.cells = cells;
        self
    }

    pub fn note(mut self, under: usize, text: impl Into<String>, tone: Tone) -> Self {
        self.notes.push(Note::plain(under, text, tone));
        self
    }
}

/// What a row stands for; indexes are into the list it comes from.
#[derive(Clone, Debug)]
pub enum Item {
    Instance(MatrixRow),
    Database(usize),
    Cluster(String),
    /// `None`: all of them.
    Namespace(Option<String>),
    Member(usize),
    Store(usize),
    TidbCluster(ObjectRef),
    Pod(ObjectRef),
    Problem(Problem),
    /// Index into what `check` found.
    Finding(usize),
    /// Index into the certificates of the fleet.
    Certificate(usize),
    Runbook {
        index: usize,
        /// Of a runbook that may be about one pod or all of them: which of both is offered.
        pod: Option<bool>,
    },
    Run(usize),
    Forward(usize),
    /// An event: the whole of it in words, and the object that it is about.
    Happened {
        about: Option<Object>,
        told: String,
    },
    /// A line of a list which opens nothing of its own.
    Line,
}

/// One sentence of the problems view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub level: Level,
    /// Name of the Database, or `fleet`.
    pub of: String,
    pub sentence: String,
}
