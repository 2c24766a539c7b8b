//! What reading somebody else's text may cost. `check --file` stands in CI and reads what a stranger sent: sizes that
//! multiply (variables in variables, a line shown with each of its commands, an item with its whole list) are cut here.
//!
//! Nothing is cut in silence: what is left out is named as not judged. Not here: the size of a file as such (`cli::check`).

use std::cell::Cell;

/// Longest shell text that is judged: it is looked through several times, also for what it only may be.
pub const SHELL_TEXT: usize = 2 * 1024 * 1024;
/// Longest value of a variable that is followed.
const VALUE: usize = 64 * 1024;
/// What all variables of one text may add to it.
const ADDED: usize = 8 * 1024 * 1024;
/// How deep `$(…)`, `${…}` and quotes are followed into each other.
pub const NESTED: usize = 16;
/// Most of what stands around a command.
pub const AROUND: usize = 16 * 1024;
/// Most objects of all texts together.
pub const OBJECTS: usize = 20_000;
/// Most TidbClusters among them: each is held against all others.
pub const TIDB_CLUSTERS: usize = 1_000;
/// Most commands of all texts together.
pub const COMMANDS: usize = 50_000;

/// How much variables may still add.
#[derive(Clone, Debug)]
pub struct Room {
    left: Cell<usize>,
    refused: Cell<bool>,
}

impl Default for Room {
    fn default() -> Self {
        Self { left: Cell::new(ADDED), refused: Cell::new(false) }
    }
}

impl Room {
    /// Takes room for a text of this length; `false`, and remembered, where there is none.
    pub fn take(&self, length: usize) -> bool {
        match self.left.get().checked_sub(length).filter(|_| length <= VALUE) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => {
                self.refused.set(true);
                false
            }
        }
    }

    /// Whether something had to be left out.
    pub fn refused(&self) -> bool {
        self.refused.get()
    }
}

/// A text cut at a whole character.
pub fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
