//! Looking for a text in a page: which line of it is in front, and where the next one is.
//!
//! A page is laid out by the face, which alone knows its lines: it tells after each change which of them have the text
//! ([`App::sought`]). Not here: filters of lists and logs ([`super::filter`]).

use super::keymap::Scope;
use super::status_level::Level;
use super::{App, Dialog};

/// Where to look next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seek {
    /// From the first line on the screen on: while the text is typed.
    Here,
    Next,
    Previous,
}

/// The line that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its index in the page.
    pub line: usize,
    /// Which one of those that have the text, from 1 on.
    pub number: usize,
    pub of: usize,
}

impl App {
    /// The text that is looked for in the page in front; `None` where nothing is, or where there is no page.
    pub fn wanted_text(&self) -> Option<&str> {
        let text = self.screen().filter.as_str();
        (self.has_page() && !text.is_empty()).then_some(text)
    }

    /// Whether the view in front is text in which one can look for something.
    pub(super) fn has_page(&self) -> bool {
        matches!(self.view_scope(), Scope::Text | Scope::Approval)
    }

    /// Another text was typed: the nearest line that has it comes in front.
    pub(super) fn seek_typed(&mut self, changed: bool) {
        let wanted = changed && self.wanted_text().is_some();
        self.screen_mut().seek = wanted.then_some(Seek::Here);
    }

    /// Goes to the next line with the text, or to the one before.
    pub(super) fn seek(&mut self, seek: Seek) {
        if self.wanted_text().is_none() {
            return self.say(Level::Unknown, "nothing is looked for here yet: / takes a text");
        }
        self.screen_mut().seek = Some(seek);
    }

    /// Whether the face has yet to say where the text is.
    pub fn seeks(&self) -> bool {
        self.screen().seek.is_some()
    }

    /// Takes which lines of the page have the text, in order. `height`: lines of the page that the screen shows.
    pub fn sought(&mut self, lines: &[usize], height: usize) {
        let typing = matches!(self.dialog, Some(Dialog::Filter { .. }));
        let screen = self.screen_mut();
        let seek = screen.seek.take();
        let before = screen.hit.map(|hit| hit.line);
        let from = before.unwrap_or(screen.scroll);
        let first = (!lines.is_empty()).then_some(0);
        let at = match seek {
            Some(Seek::Here) => lines.iter().position(|line| *line >= screen.scroll).or(first),
            Some(Seek::Next) if before.is_none() => lines.iter().position(|line| *line >= from).or(first),
            Some(Seek::Next) => lines.iter().position(|line| *line > from).or(first),
            Some(Seek::Previous) => lines.iter().rposition(|line| *line < from).or(lines.len().checked_sub(1)),
            // The page may have been laid out anew meanwhile.
            None => before.and_then(|before| lines.iter().position(|line| *line >= before)).or(first),
        };
        screen.hit = at.map(|at| Hit { line: lines[at], number: at + 1, of: lines.len() });
        let Some(hit) = screen.hit.filter(|_| seek.is_some()) else { return };
        if !(screen.scroll..screen.scroll + height.max(1)).contains(&hit.line) {
            screen.scroll = hit.line.saturating_sub(height / 3);
        }
        let wrapped = match seek {
            Some(Seek::Next) => before.is_some_and(|before| hit.line < before),
            Some(Seek::Previous) => before.is_some_and(|before| hit.line > before),
            Some(Seek::Here) | None => false,
        };
        if wrapped && !typing {
            let end = if seek == Some(Seek::Next) { "the first again" } else { "the last again" };
            self.say(Level::Done, format!("{end}: that was all of {}", hit.of));
        }
    }
}
