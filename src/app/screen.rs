//! One entry of the stack of views, what may lie over it, and what is said to the person.
//!
//! Plain data. Not here: what moves it (`update`, `perform`, `moving`).

use std::collections::BTreeSet;

use jiff::Timestamp;
use tui_input::Input;

use super::keymap::Scope;
use super::message::Effect;
use super::search::{Hit, Seek};
use super::sorting::Order;
use super::status_level::Level;
use super::views::View;
use super::{App, clipboard_items, port_forwards, run_choices};
use crate::fleet::ObjectRef;

/// One entry of the view stack, with its own filter and cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    pub view: View,
    pub filter: String,
    /// The row under the cursor, by key: rows come and go while the cursor stays on its object.
    pub key: Option<String>,
    /// Where that row was when last looked at; used when it is gone.
    pub row: usize,
    /// Column of the matrix.
    pub column: usize,
    /// First line shown, of views that are text.
    pub scroll: usize,
    /// The line of a page that has the text in `filter`.
    pub hit: Option<Hit>,
    /// Where to look for the next one.
    pub(super) seek: Option<Seek>,
    /// What is folded away is shown: passed checks, managed fields, equal fields, the whole card of a run's step.
    pub unfolded: bool,
    /// By which column a person ordered it.
    pub order: Option<Order>,
    /// Keys of the rows that are marked.
    pub marks: BTreeSet<String>,
}

impl Screen {
    pub fn new(view: View) -> Self {
        Self {
            view,
            filter: String::new(),
            key: None,
            row: 0,
            column: 0,
            scroll: 0,
            hit: None,
            seek: None,
            unfolded: false,
            order: None,
            marks: BTreeSet::new(),
        }
    }
}

/// What lies over the screen and takes the keys.
#[derive(Clone, Debug)]
pub enum Dialog {
    Help {
        scroll: usize,
        of: Scope,
    },
    Palette {
        input: Input,
        /// What was typed before completions were put in its place.
        stem: Option<String>,
    },
    Filter {
        input: Input,
        /// What was there before: a character takes its place, a move within it keeps it.
        selected: bool,
    },
    /// A question with two buttons. `go` tells which one is in focus; it starts on the one that does nothing.
    Ask {
        title: String,
        question: String,
        yes: String,
        go: bool,
        effect: Box<Effect>,
    },
    /// What a person may choose once a run has stopped.
    Choices {
        at: usize,
        offers: Vec<run_choices::ResolutionOffer>,
    },
    /// What can be copied of what is under the cursor; enter copies one.
    Copy {
        at: usize,
        items: Vec<clipboard_items::Copyable>,
    },
    /// One of several things to choose: a port of a pod.
    Pick {
        title: String,
        at: usize,
        items: Vec<port_forwards::Pick>,
    },
    /// The number of a port on this machine that is to lead to a port of a pod.
    Port {
        of: ObjectRef,
        port: u16,
        name: String,
        input: Input,
        /// What was typed is no port.
        wrong: bool,
    },
    /// Why something is chosen: it is what the next person will read.
    Reason {
        offer: run_choices::ResolutionOffer,
        input: Input,
        wrong: bool,
    },
    /// Why a check that refuses for a reading is overruled.
    Overrule {
        check: String,
        sentence: String,
        input: Input,
        /// What is wrong with the reason; empty while nothing is.
        wrong: String,
    },
    /// What leaves only once a text was typed exactly.
    Typed {
        effect: Box<Effect>,
        question: String,
        text: String,
        input: Input,
        wrong: bool,
    },
}

impl Dialog {
    /// What it asks, where a single key may answer it with something that cannot be taken back.
    fn question(&self) -> Option<String> {
        match self {
            Dialog::Ask { title, question, .. } => Some(format!("{title}\n{question}")),
            Dialog::Typed { question, .. } => Some(question.clone()),
            Dialog::Choices { offers, .. } => Some(format!("one of {}", offers.len())),
            Dialog::Reason { .. } => Some("reason".to_owned()),
            Dialog::Overrule { sentence, .. } => Some(sentence.clone()),
            // What these lead to changes nothing, or asks once more.
            Dialog::Help { .. }
            | Dialog::Palette { .. }
            | Dialog::Filter { .. }
            | Dialog::Copy { .. }
            | Dialog::Pick { .. }
            | Dialog::Port { .. } => None,
        }
    }
}

impl App {
    /// The question that lies over the screen. Whoever reads keys lets none of them answer one that was not drawn yet: they were
    /// meant for something else.
    pub fn question(&self) -> Option<String> {
        self.dialog.as_ref().and_then(Dialog::question)
    }
}

/// One line for the person, gone after some seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flash {
    pub level: Level,
    pub text: String,
    /// `None`: stays until a key is pressed.
    pub until: Option<Timestamp>,
}

/// What this program said or noticed; the last ones are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: Timestamp,
    pub level: Level,
    /// `said`, `fault`, `cluster`
    pub about: &'static str,
    pub sentence: String,
}

/// How many of them.
pub(super) const TOLD: usize = 500;
