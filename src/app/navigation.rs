//! Where the cursor and the view in front go: up and down, columns, order, marks, and the rollback.
//!
//! Nothing leaves from here. Not here: what opens (`perform`), the stack of views itself ([`super`]).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::keymap::{Command, Scope};
use super::status_level::Level;
use super::{App, Dialog};

impl App {
    /// Tells the core how large the terminal is.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.size = (width, height);
        self.dirty = true;
    }

    /// Columns and lines of the terminal.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Whether what is in front is scrolled, or the help over it.
    pub fn is_scrolled(&self) -> bool {
        match &self.dialog {
            Some(Dialog::Help { scroll, .. }) => *scroll > 0,
            _ => self.screen().scroll > 0,
        }
    }

    /// Text cannot be scrolled past its end: the face knows how long it is.
    pub fn limit_scroll(&mut self, last: usize) {
        let scroll = match &mut self.dialog {
            Some(Dialog::Help { scroll, .. }) => scroll,
            _ => &mut self.screen_mut().scroll,
        };
        *scroll = (*scroll).min(last);
    }

    pub(super) fn move_by(&mut self, command: Command) {
        let page = usize::from(self.size.1.saturating_sub(6)).max(1);
        let in_plan = self.view_scope() == Scope::Plan && self.dialog.is_none();
        match command {
            Command::Up => self.up_or_down(-1),
            Command::Down => self.up_or_down(1),
            Command::PageUp => self.step(-signed(page)),
            Command::PageDown => self.step(signed(page)),
            Command::HalfUp => self.step(-signed(page / 2)),
            Command::HalfDown => self.step(signed(page / 2)),
            Command::Top if in_plan => self.choose_step(0),
            Command::Bottom if in_plan => self.choose_step(usize::MAX),
            Command::Top => self.step(isize::MIN / 2),
            Command::Bottom => self.step(isize::MAX / 2),
            _ => {}
        }
    }

    /// In a list to choose from a letter that has no meaning of its own there leads to the next entry that begins with it. Gives whether
    /// there is one.
    pub(super) fn jump_to(&mut self, key: &KeyEvent) -> bool {
        let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        let KeyCode::Char(letter) = key.code else { return false };
        if !plain {
            return false;
        }
        let (at, labels): (&mut usize, Vec<&str>) = match &mut self.dialog {
            Some(Dialog::Copy { at, items }) => (at, items.iter().map(|item| item.what).collect()),
            Some(Dialog::Pick { at, items, .. }) => (at, items.iter().map(|item| item.label.as_str()).collect()),
            _ => return false,
        };
        let begins =
            |label: &str| label.chars().next().is_some_and(|first| first.to_lowercase().eq(letter.to_lowercase()));
        let next = (1..=labels.len()).map(|by| (*at + by) % labels.len()).find(|index| begins(labels[*index]));
        *at = next.unwrap_or(*at);
        next.is_some()
    }

    pub(super) fn up_or_down(&mut self, by: isize) {
        match self.scope() {
            Scope::Choices => {
                let (at, count) = match &mut self.dialog {
                    Some(Dialog::Choices { at, offers }) => (at, offers.len()),
                    Some(Dialog::Copy { at, items }) => (at, items.len()),
                    Some(Dialog::Pick { at, items, .. }) => (at, items.len()),
                    _ => return,
                };
                *at = at.saturating_add_signed(by).min(count.saturating_sub(1));
            }
            Scope::Palette => self.earlier(by < 0),
            Scope::Plan => self.choose_step(self.chosen_step().saturating_add_signed(by)),
            Scope::Form => {
                if let Some(form) = &mut self.form {
                    form.at = form.at.saturating_add_signed(by).min(form.fields.len().saturating_sub(1));
                }
            }
            _ => self.step(by),
        }
    }

    pub(super) fn step(&mut self, by: isize) {
        if let Some(Dialog::Help { scroll, .. }) = &mut self.dialog {
            *scroll = scroll.saturating_add_signed(by);
            return;
        }
        match self.view_scope() {
            Scope::Matrix | Scope::List => {
                let rows = self.rows();
                let Some(at) = self.cursor(&rows) else { return };
                let at = at.saturating_add_signed(by).min(rows.len() - 1);
                let screen = self.screen_mut();
                screen.row = at;
                screen.key = Some(rows[at].key.clone());
            }
            // The journal of a run and logs are read from their end: scroll counts lines back from there.
            Scope::Run if self.screen().unfolded => {
                let screen = self.screen_mut();
                screen.scroll = screen.scroll.saturating_add_signed(by);
            }
            Scope::Run | Scope::Logs => {
                let screen = self.screen_mut();
                screen.scroll = screen.scroll.saturating_add_signed(by.saturating_neg());
                let at_end = screen.scroll == 0;
                self.closeup.follow = at_end;
            }
            _ => {
                let screen = self.screen_mut();
                screen.scroll = screen.scroll.saturating_add_signed(by);
            }
        }
    }

    /// What is chosen in the plan: 0 are its checks, then its steps.
    pub fn chosen_step(&self) -> usize {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        self.screen().row.min(steps)
    }

    pub(super) fn choose_step(&mut self, number: usize) {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        let screen = self.screen_mut();
        (screen.row, screen.scroll) = (number.min(steps), 0);
    }

    /// Marks the row under the cursor, or takes its mark away.
    pub(super) fn mark(&mut self) {
        let Some(row) = self.row() else { return };
        let marks = &mut self.screen_mut().marks;
        if !marks.remove(&row.key) {
            marks.insert(row.key);
        }
    }

    pub(super) fn turn(&mut self, forward: bool) {
        let columns = self.matrix().columns.len().max(1);
        let at = self.column(columns);
        self.screen_mut().column = if forward { (at + 1) % columns } else { (at + columns - 1) % columns };
    }

    pub(super) fn turn_database(&mut self, forward: bool) {
        let count = self.databases().len();
        let Some(at) = self.database_index() else { return };
        let next = if forward { (at + 1) % count } else { (at + count - 1) % count };
        self.choose_database(next);
    }

    pub(super) fn back(&mut self) {
        if !self.screen().filter.is_empty() {
            self.screen_mut().filter.clear();
        } else if self.faults_only && matches!(self.view_scope(), Scope::Matrix | Scope::List) {
            self.faults_only = false;
        } else if self.screens.len() > 1 {
            self.screens.pop();
        } else if self.focus.is_some() {
            self.focus = None;
        } else if self.namespace.is_some() {
            self.namespace = None;
        } else {
            self.say(Level::Done, "this is the first view; ctrl-c or :q quits");
        }
    }

    /// Back and forth between the two views that were chosen last.
    pub(super) fn last_view(&mut self) {
        let Some(view) = self.before.clone() else {
            return self.say(Level::Unknown, "no other view was in front yet");
        };
        self.switch(view);
    }

    pub(super) fn close(&mut self) {
        if self.screens.len() > 1 {
            self.screens.pop();
        } else {
            self.say(Level::Done, "ctrl-c or :q quits");
        }
    }
}

fn signed(lines: usize) -> isize {
    isize::try_from(lines).unwrap_or(isize::MAX / 2)
}
