//! What `check` finds, the worst first, and the seven invariants of "is this one cluster" for the Database on the screen.
//!
//! Severity is glyph, word and colour together. Not here: what is found (`fleet::findings`), one finding in full
//! ([`super::detail`]).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::table::{self, TableRow, cell, column};
use super::text::{cut, span, width, wrap};
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};
use crate::app::words::Level;
use crate::fleet::one_cluster::{Holding, invariants};

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    let mut area = area;
    if area.height >= 17 {
        area.height -= panel_height();
        panel(app, theme, frame, Rect { y: area.bottom(), height: panel_height(), ..area });
    }
    if rows.is_empty() {
        return empty(frame, area, theme, &nothing(app, "Nothing is found, and nothing is hidden from here."));
    }
    let columns = [column("SEVERITY", 8, 0), column("IN", 4, 2), column("WHAT", 20, 1)];
    let checked = app.checked();
    let names = rows.iter().map(|row| match &row.item {
        Item::Finding(index) => checked.findings.get(*index).and_then(|f| f.database.as_deref()).map_or(5, width),
        _ => 5,
    });
    let names = names.max().unwrap_or(4).clamp(4, 16);
    let room = usize::from(area.width).saturating_sub(9 + names + 8).max(1);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| {
            let (word, of, head, sentence) = match &row.item {
                Item::Finding(index) => {
                    let finding = checked.findings.get(*index)?;
                    let word = if finding.unknown { "unknown" } else { finding.severity.word() };
                    // Which of several TidbClusters it is about.
                    let subject = finding.subjects.first().filter(|subject| !subject.namespace.is_empty());
                    let place = subject.map(|subject| format!("{subject}: ")).unwrap_or_default();
                    let sentence = format!("{place}{}", finding.sentence);
                    (word, finding.database.as_deref().unwrap_or("fleet"), Some(finding.id()), sentence)
                }
                Item::Problem(problem) => ("unseen", "", None, problem.sentence.clone()),
                _ => return None,
            };
            let level = theme.level(row.level);
            let dim = theme.style(Role::Dim);
            let mut pieces = wrap(&sentence, room).into_iter();
            let first = head.map_or_else(|| pieces.next().unwrap_or_default(), ToOwned::to_owned);
            let style = if head.is_some() { theme.style(Role::Plain) } else { dim };
            Some(TableRow {
                cells: vec![
                    cell(format!("{} {word}", theme.glyph(row.level)), level),
                    cell(cut(of, names, theme), theme.style(Role::Plain)),
                    cell(first, style),
                ],
                below: pieces.map(|piece| (2, cell(piece, dim))).collect(),
            })
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
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
