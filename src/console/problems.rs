//! Everything that is wrong or could not be seen, one sentence each, the worst first.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::table::{self, TableRow, cell, column};
use super::text::{width, wrap};
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};
use crate::app::words::Level;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        return empty(frame, area, theme, &nothing(app, "Nothing is wrong, and nothing is hidden from here."));
    }
    let columns = [column("IN", 6, 1), column("WHAT", 10, 0)];
    let names = rows.iter().filter_map(|row| match &row.item {
        Item::Problem(problem) => Some(width(&problem.of) + 2),
        _ => None,
    });
    let names = names.max().unwrap_or(0).clamp(4, 24);
    let room = usize::from(area.width).saturating_sub(names + 6).max(1);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match &row.item {
            Item::Problem(problem) => Some(problem),
            _ => None,
        })
        .map(|problem| {
            let glyph = theme.glyph(problem.level);
            let style = if problem.level == Level::Bad { theme.style(Role::Plain) } else { theme.style(Role::Dim) };
            let mut pieces = wrap(&problem.sentence, room).into_iter();
            TableRow {
                cells: vec![
                    cell(format!("{glyph} {}", problem.of), theme.level(problem.level)),
                    cell(pieces.next().unwrap_or_default(), style),
                ],
                below: pieces.map(|piece| (1, cell(piece, style))).collect(),
            }
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}
