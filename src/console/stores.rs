//! TiKV and TiFlash stores as PD lists them, each with the cluster and pod that it was joined to.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::table::{self, TableRow, cell, column, middle};
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    let Some(database) = app.database().filter(|_| !rows.is_empty()) else {
        return empty(
            frame,
            area,
            theme,
            &nothing(app, "PD lists no store of this Database, or has not answered yet."),
        );
    };
    let columns = [
        column("STORE", 5, 0),
        column("STATE", 14, 0),
        column("KIND", 7, 4),
        column("CLUSTER", 6, 1),
        middle("POD", 12, 1),
        column("REGIONS", 7, 2),
        column("LEADERS", 7, 2),
        column("VERSION", 6, 3),
        middle("ADDRESS", 20, 5),
    ];
    let plain = theme.style(Role::Plain);
    let dim = theme.style(Role::Dim);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match row.item {
            Item::Store(index) => Some((row.level, database.stores.get(index)?)),
            _ => None,
        })
        .map(|(level, row)| {
            let store = &row.store;
            TableRow {
                cells: vec![
                    cell(store.id.to_string(), plain),
                    cell(format!("{} {}", theme.glyph(level), store.state), theme.level(level)),
                    cell(if store.tiflash { "TiFlash" } else { "TiKV" }, dim),
                    cell(row.kube_cluster.clone().unwrap_or_else(|| "?".into()), plain),
                    cell(row.pod.clone().unwrap_or_else(|| "in no connected context".into()), plain),
                    cell(format!("{:>7}", store.region_count), plain),
                    cell(format!("{:>7}", store.leader_count), plain),
                    cell(&store.version, dim),
                    cell(&store.address, dim),
                ],
                below: Vec::new(),
            }
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}
