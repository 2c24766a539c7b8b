//! What the mouse does: a click selects a row, orders by a heading, presses a key of the footer or shows one cluster; the
//! wheel scrolls. Nothing that changes the world can be reached by it: a footer key does what the key does.
//!
//! Not here: what lies where on the screen (`console::click_targets`).

use crossterm::event::KeyEvent;

use super::keymap::{Command, Scope, parse};
use super::message::{Effect, Pointed};
use super::{App, Dialog};

impl App {
    pub(super) fn pointed(&mut self, at: Pointed, effects: &mut Vec<Effect>) {
        self.flash = None;
        match at {
            Pointed::Key(name) => {
                let Some(KeyEvent { code, modifiers, .. }) = parse(name) else { return };
                self.key(KeyEvent::new(code, modifiers), effects);
            }
            Pointed::Wheel(lines) => {
                let (command, times) = if lines < 0 { (Command::Up, -lines) } else { (Command::Down, lines) };
                // In a field the arrows mean another field or an earlier line.
                let scrolls = !self.scope().types() && self.scope() != Scope::Ask;
                for _ in 0..if scrolls { times } else { 0 } {
                    self.perform(command, 0, effects);
                }
            }
            // What lies under a question is not meant by a click.
            _ if self.dialog.as_ref().is_some_and(|dialog| !matches!(dialog, Dialog::Filter { .. })) => {}
            Pointed::Row { key, column } => {
                let screen = self.screen_mut();
                screen.key = Some(key);
                screen.column = column.unwrap_or(screen.column);
            }
            Pointed::Step(number) => self.choose_step(number),
            Pointed::Heading(column) => {
                self.order_by(Some(column));
                // What was said is a row of :log.
                self.change += 1;
            }
            Pointed::Cluster(index) => self.command(Command::Focus, index, effects),
        }
        self.remember_row();
    }
}
