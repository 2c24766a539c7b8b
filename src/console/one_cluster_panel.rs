//! The seven invariants of "is this one cluster" for the Database on the screen.
//!
//! Not here: the list of findings (`app::views::findings`), one finding in full ([`super::detail`]).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text::{cut, span, width};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::status_level::Level;
use crate::fleet::database_invariants::{Holding, invariants};

/// Draws the seven below the list where there is room; what is left for the list.
pub fn panel_below(app: &App, theme: Theme, frame: &mut Frame<'_>, mut area: Rect) -> Rect {
    if area.height >= 17 {
        area.height -= panel_height();
        panel(app, theme, frame, Rect { y: area.bottom(), height: panel_height(), ..area });
    }
    area
}

/// Lines of [`panel`]: a gap, its heading, and the seven.
pub fn panel_height() -> u16 {
    9
}

/// The seven for the Database on the screen.
pub fn panel(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(database) = app.database() else { return };
    let room = usize::from(area.width).saturating_sub(2);
    let mut lines = vec![
        Line::default(),
        Line::from(vec![
            Span::styled("  is this one cluster? ", theme.style(Role::Title)),
            span(&database.name, theme.style(Role::Dim)),
        ]),
    ];
    for one in invariants(&app.fleet, database) {
        let (level, word, why) = match one.holding {
            Holding::Holds => (Level::Good, "holds", String::new()),
            Holding::Broken(why) => (Level::Bad, "broken", why),
            Holding::Unknown(why) => (Level::Unknown, "unknown", why),
        };
        let head = format!("  {} {} {word:<8}", theme.glyph(level), one.number);
        let left = room.saturating_sub(width(&head));
        let (text, style) = match why.is_empty() {
            true => (one.title.to_owned(), theme.style(Role::Dim)),
            false => (format!("{}: {why}", one.title), theme.style(Role::Plain)),
        };
        lines.push(Line::from(vec![Span::styled(head, theme.level(level)), span(cut(&text, left, theme), style)]));
    }
    for (offset, line) in lines.into_iter().enumerate() {
        let y = area.y.saturating_add(u16::try_from(offset).unwrap_or(u16::MAX));
        if y < area.bottom() {
            frame.render_widget(line, Rect { y, height: 1, ..area });
        }
    }
}
