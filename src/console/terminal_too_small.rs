//! The screen of a terminal in which nothing fits that a person could decide by: one sentence instead of pieces of a view.
//!
//! Whatever runs goes on meanwhile. A question that is not drawn is answered by no key ([`super::input_events`]).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text::wrap;
use super::theme::{Role, Theme};
use crate::app::App;

/// Columns and lines in which a row's name and state, and one line of a question, have room.
pub const SMALLEST: (u16, u16) = (30, 6);

/// Whether a screen has less room than that.
pub fn is_small(area: Rect) -> bool {
    area.width < SMALLEST.0 || area.height < SMALLEST.1
}

/// What matters most comes first: of what does not fit the end is lost.
pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = SMALLEST;
    let mut said = vec![
        (Role::Strong, format!("terminal too small: {}x{}, needs {width}x{height}", area.width, area.height)),
        (Role::Dim, ":q enter leaves".to_owned()),
    ];
    let run = app.run.as_ref().filter(|run| run.driving);
    if app.question().is_some() || run.is_some_and(|run| run.gate.is_some()) {
        said.insert(1, (Role::Accent, "a question waits".to_owned()));
    } else if run.is_some() {
        said.insert(1, (Role::Accent, "the run goes on".to_owned()));
    }
    let room = usize::from(area.width).max(1);
    let lines = said.into_iter().flat_map(|(role, text)| {
        let lines = wrap(&text, room).into_iter();
        lines.map(move |line| Line::from(Span::styled(line, theme.style(role)))).collect::<Vec<_>>()
    });
    super::lines(frame, area, lines.collect(), 0);
}
