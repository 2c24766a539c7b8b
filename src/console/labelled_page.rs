//! A page about one thing: a head, sections, and lines with a label at the left.

use super::text::{Page, pad, span};
use super::theme::{Role, Theme};
use crate::app::status_level::Level;

/// Width of the labels at the left.
const LABEL: usize = 16;

pub struct Sheet {
    pub page: Page,
    pub theme: Theme,
    pub room: usize,
}

impl Sheet {
    pub fn new(theme: Theme, room: usize) -> Self {
        Self { page: Page::default(), theme, room }
    }

    pub fn head(&mut self, kind: &str, name: &str) {
        let spans =
            vec![span(format!("  {kind} "), self.theme.style(Role::Dim)), span(name, self.theme.style(Role::Strong))];
        self.page.push(spans);
        self.page.gap();
    }

    pub fn section(&mut self, title: &str) {
        self.page.gap();
        self.page.push(vec![span(format!("  {title}"), self.theme.style(Role::Title))]);
    }

    pub fn line(&mut self, label: &str, text: &str) {
        self.styled(label, text, Role::Plain);
    }

    /// The same, where there is a text.
    pub fn known(&mut self, label: &str, text: &str) {
        if !text.is_empty() {
            self.line(label, text);
        }
    }

    pub fn level(&mut self, label: &str, level: Level, text: &str) {
        let text = format!("{} {text}", self.theme.glyph(level));
        self.styled(label, &text, Role::Level(level));
    }

    pub fn styled(&mut self, label: &str, text: &str, role: Role) {
        let label = span(format!("  {} ", pad(label, LABEL - 1)), self.theme.style(Role::Dim));
        self.page.hang(vec![label], text, self.theme.style(role), self.room.saturating_sub(1));
    }
}
