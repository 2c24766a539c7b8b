//! Two lists: the runbooks that can be run, and the runs whose journals are on this machine.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::table::{self, TableRow, cell, column, middle};
use super::text::wrap;
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};
use crate::app::words::{Level, age};

pub fn runbooks(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        let sentence =
            if app.runbooks.is_empty() { "No runbook is loaded." } else { "No row fits the filter. Esc clears it." };
        return empty(frame, area, theme, sentence);
    }
    let columns = [column("RUNBOOK", 12, 0), column("WHAT", 20, 1), column("", 12, 2)];
    let room = usize::from(area.width).saturating_sub(6).clamp(1, 110);
    let cursor = app.cursor(rows);
    let known = || {
        rows.iter().filter_map(|row| match row.item {
            Item::Runbook(index) => app.runbooks.get(index),
            _ => None,
        })
    };
    // Where not every summary has room, only that of the row in focus is shown.
    let all: usize = known().map(|runbook| 1 + wrap(&runbook.summary, room).len()).sum();
    let fits = all < usize::from(area.height);
    let table: Vec<TableRow> = known()
        .enumerate()
        .map(|(index, runbook)| TableRow {
            cells: vec![
                cell(&runbook.id, theme.style(Role::Strong)),
                cell(&runbook.title, theme.style(Role::Plain)),
                cell(if runbook.experimental { "experimental" } else { "" }, theme.level(Level::Working)),
            ],
            below: Some(wrap(&runbook.summary, room))
                .filter(|_| fits || Some(index) == cursor)
                .unwrap_or_default()
                .into_iter()
                .map(|piece| (0, cell(format!("  {piece}"), theme.style(Role::Dim))))
                .collect(),
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, cursor);
}

pub fn runs(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        let sentence = if app.runs.is_empty() {
            "No run is known: no journal on this machine, and no open one was found in the clusters.".to_owned()
        } else {
            nothing(app, "")
        };
        return empty(frame, area, theme, &sentence);
    }
    let columns = [
        middle("RUN", 20, 0),
        column("STATE", 16, 0),
        column("DRIVEN BY", 9, 5),
        column("STEPS", 5, 3),
        column("OPENED", 6, 2),
        column("RUNBOOK", 22, 4),
        middle("TARGET", 16, 1),
    ];
    let dim = theme.style(Role::Dim);
    let plain = theme.style(Role::Plain);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match row.item {
            Item::Run(index) => Some((row.level, app.runs.get(index)?)),
            _ => None,
        })
        .map(|(level, run)| TableRow {
            cells: vec![
                cell(&run.run, plain),
                cell(format!("{} {}", theme.glyph(level), run.state), theme.level(level)),
                cell(run.driven_by(), plain),
                cell(format!("{}/{}", run.completed, run.steps), plain),
                cell(format!("{} ago", age(run.opened, app.now)), dim),
                cell(&run.runbook, plain),
                cell(&run.target, plain),
            ],
            below: Vec::new(),
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}
