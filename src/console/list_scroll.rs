//! Which rows of a list are in sight, and the mark that more are below.
//!
//! Not here: how a row looks ([`super::table`], [`super::overview`]).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;
use ratatui::widgets::Clear;

use super::text::width;
use super::theme::{Role, Theme};

/// The first row in sight such that the cursor is about in the middle; a function of its arguments alone. Asks for the heights of
/// rows near the cursor only.
pub fn first_in_sight(
    rows: usize,
    cursor: Option<usize>,
    room: usize,
    mut height: impl FnMut(usize) -> usize,
) -> usize {
    let cursor = cursor.unwrap_or(0).min(rows.saturating_sub(1));
    let (mut top, mut used) = (cursor, 0);
    while top > 0 {
        let more = height(top - 1);
        if used + more > room / 2 {
            break;
        }
        (top, used) = (top - 1, used + more);
    }
    for at in cursor..rows {
        used += height(at);
        if used > room {
            return top;
        }
    }
    // The end is in sight: what room is left is for those above.
    while top > 0 {
        used += height(top - 1);
        if used > room {
            break;
        }
        top -= 1;
    }
    top
}

/// `↓ 14 more` in the last line, where rows are left below it. Nothing is hidden half: where the line has something there it gives way as
/// a whole. `begins`: a row begins in that line.
pub fn more_rows(frame: &mut Frame<'_>, area: Rect, theme: Theme, below: usize, begins: bool) {
    if below == 0 || area.height < 5 || area.width < 30 {
        return;
    }
    let line = Rect { y: area.bottom() - 1, height: 1, ..area };
    let spot = |text: &str| {
        let wide = u16::try_from(width(text)).unwrap_or(u16::MAX).min(area.width);
        Rect { x: area.right() - wide, width: wide, ..line }
    };
    let words = |count: usize| format!(" {} {count} more ", theme.key("down"));
    let mut text = words(below);
    let blank = |frame: &mut Frame<'_>, at: Rect| at.positions().all(|at| frame.buffer_mut()[at].symbol() == " ");
    if !blank(frame, spot(&text)) {
        text = words(below + usize::from(begins));
        frame.render_widget(Clear, line);
    }
    frame.render_widget(Span::styled(text.clone(), theme.style(Role::Accent)), spot(&text));
}
