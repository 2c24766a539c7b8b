//! What lies where on the screen, noted while it is drawn: for the mouse; and which question the person has in sight.
//!
//! Not here: what pointing at it does (`app::mouse`).

use ratatui::layout::{Position, Rect};

use crate::app::message::Pointed;

/// The places of one frame.
#[derive(Debug, Default)]
pub struct Spots {
    all: Vec<(Rect, Pointed)>,
    /// The question that lies over the screen ([`crate::app::App::question`]).
    pub question: Option<String>,
}

impl Spots {
    pub fn put(&mut self, area: Rect, what: Pointed) {
        self.all.push((area, what));
    }

    /// What is there; of several what was drawn last.
    pub fn at(&self, x: u16, y: u16) -> Option<&Pointed> {
        let here = |(area, _): &&(Rect, Pointed)| area.contains(Position::new(x, y));
        self.all.iter().rev().find(here).map(|(_, what)| what)
    }
}
