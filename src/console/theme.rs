//! How a meaning looks: every status is a glyph, a word and a colour together, so that none of them is needed.
//!
//! Sixteen colours of the terminal's own palette; without colour the same roles are modifiers. We map colours away
//! ourselves because crossterm's own `NO_COLOR` handling writes a reset which also takes reverse video back.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use crate::app::AppOptions;
use crate::app::status_level::Level;
use crate::runbook::run::record::How;
use crate::runbook::run::view::Progress;

/// What a piece of text is, apart from its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Plain,
    /// Of less weight: units, labels, second lines.
    Dim,
    Strong,
    /// Headings of columns and the name of the product.
    Title,
    /// The key of a value in a document.
    Key,
    /// Keys in the footer, the field in focus.
    Accent,
    /// The cell or button under the cursor.
    Cursor,
    Level(Level),
    /// What should be there and is not.
    Missing,
    /// It was another value some seconds ago.
    Changed,
    /// A banner which must not be overlooked.
    Alarm,
}

#[derive(Clone, Copy, Debug)]
pub struct Theme {
    color: bool,
    pub ascii: bool,
}

impl Theme {
    pub fn new(options: &AppOptions) -> Self {
        Self { color: options.color, ascii: options.ascii }
    }

    pub fn style(self, role: Role) -> Style {
        let (color, modifier) = match role {
            Role::Plain => (Color::Reset, Modifier::empty()),
            Role::Dim => (Color::DarkGray, Modifier::DIM),
            Role::Strong => (Color::Reset, Modifier::BOLD),
            Role::Title => (Color::Cyan, Modifier::BOLD),
            Role::Key => (Color::Cyan, Modifier::BOLD),
            Role::Accent => (Color::Cyan, Modifier::BOLD),
            Role::Cursor => (Color::Reset, Modifier::REVERSED.union(Modifier::BOLD)),
            Role::Level(Level::Good) => (Color::Green, Modifier::empty()),
            Role::Level(Level::Working) => (Color::Yellow, Modifier::empty()),
            Role::Level(Level::Bad) => (Color::Red, Modifier::BOLD),
            Role::Level(Level::Unknown) => (Color::Magenta, Modifier::empty()),
            Role::Level(Level::Done) => (Color::DarkGray, Modifier::DIM),
            Role::Missing => (Color::Yellow, Modifier::BOLD.union(Modifier::UNDERLINED)),
            Role::Changed => (Color::Reset, Modifier::BOLD.union(Modifier::UNDERLINED)),
            Role::Alarm => (Color::Yellow, Modifier::REVERSED.union(Modifier::BOLD)),
        };
        if !self.color {
            return Style::new().add_modifier(modifier);
        }
        // Dim *and* dark grey cannot be read on many terminals: with colour, the colour says it alone.
        let modifier = if color == Color::DarkGray || role == Role::Key { Modifier::empty() } else { modifier };
        // What changed keeps the colour of what it says now.
        if role == Role::Changed {
            return Style::new().add_modifier(modifier);
        }
        Style::new().fg(color).add_modifier(modifier)
    }

    pub fn level(self, level: Level) -> Style {
        self.style(Role::Level(level))
    }

    fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    pub fn glyph(self, level: Level) -> &'static str {
        match level {
            Level::Good => self.pick("●", "+"),
            Level::Working => self.pick("◐", "~"),
            Level::Bad => self.pick("✖", "x"),
            Level::Unknown => "?",
            Level::Done => self.pick("·", "."),
        }
    }

    pub fn step(self, state: &Progress) -> (&'static str, Level) {
        match state {
            Progress::Pending => (self.pick("○", "."), Level::Done),
            Progress::Current => (self.pick("◌", "~"), Level::Working),
            Progress::WaitingForYou => (self.pick("▶", "!"), Level::Working),
            Progress::Sent => (self.pick("↑", "^"), Level::Working),
            Progress::Refused => (self.pick("✖", "x"), Level::Bad),
            Progress::PutBack => (self.pick("↩", "<"), Level::Done),
            Progress::Verifying => (self.pick("◐", "~"), Level::Working),
            Progress::Done(How::Skipped { .. }) => (self.pick("⊘", "-"), Level::Unknown),
            Progress::Done(_) => (self.pick("●", "+"), Level::Good),
            Progress::Paused => (self.pick("‖", "x"), Level::Bad),
        }
    }

    /// Before a value that has changed, where style alone may not be seen.
    pub fn changed(self) -> Option<&'static str> {
        (self.ascii || !self.color).then(|| self.pick("Δ", "^"))
    }

    pub fn cursor(self) -> &'static str {
        self.pick("▌", ">")
    }

    pub fn leader(self) -> &'static str {
        self.pick("★", "*")
    }

    pub fn drift(self) -> &'static str {
        self.pick("≠", "!=")
    }

    /// Beside the heading by which a table is ordered.
    pub fn order(self, descends: bool) -> &'static str {
        if descends { self.pick("▼", "v") } else { self.pick("▲", "^") }
    }

    /// Around what should be there and is not.
    pub fn brackets(self) -> (&'static str, &'static str) {
        (self.pick("⟨", "<"), self.pick("⟩", ">"))
    }

    /// Beside a row that is marked.
    pub fn marked(self) -> &'static str {
        self.pick("◆", "#")
    }

    pub fn arrow(self) -> &'static str {
        self.pick("→", "->")
    }

    pub fn rule(self) -> &'static str {
        self.pick("─", "-")
    }

    /// Between two panes.
    pub fn bar_of_panes(self) -> &'static str {
        self.pick("│", "|")
    }

    pub fn dot(self) -> &'static str {
        self.pick("·", "-")
    }

    pub fn ellipsis(self) -> &'static str {
        self.pick("…", "~")
    }

    /// At the right end of a line that goes on.
    pub fn goes_on(self) -> &'static str {
        self.pick("›", ">")
    }

    pub fn bar(self) -> (&'static str, &'static str) {
        (self.pick("■", "#"), self.pick("□", "."))
    }

    pub fn border(self) -> border::Set<'static> {
        if self.ascii {
            border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            }
        } else {
            border::ROUNDED
        }
    }

    /// A key as the footer and the help show it.
    pub fn key(self, name: &str) -> String {
        let known = match name {
            "enter" => self.pick("⏎", "enter"),
            "up" => self.pick("↑", "up"),
            "down" => self.pick("↓", "down"),
            "left" => self.pick("←", "left"),
            "right" => self.pick("→", "right"),
            other => return other.to_owned(),
        };
        known.to_owned()
    }
}
