//! TiKV and TiFlash stores as PD lists them, each with the cluster and pod that it was joined to.
//! Drawn by `console::table`.
//!
//! What PD calls `region_count` of a store are region peers: a region has one in each store that holds a copy of it.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, number, state};
use crate::app::App;
use crate::app::overview_matrix::store_level;
use crate::app::status_level::Level;

pub const SPEC: ViewSpec = ViewSpec {
    title: "stores",
    names: &["stores", "tikv"],
    about: "TiKV and TiFlash stores, each with its region peers",
    columns: &[
        number("STORE", 5, 0),
        state("STATE", 14, 0),
        column("KIND", 7, 4),
        column("CLUSTER", 7, 1),
        middle("POD", 12, 1),
        number("PEERS", 5, 2),
        number("LEADERS", 7, 2),
        column("VERSION", 6, 3),
        middle("ADDRESS", 20, 5),
    ],
    rows,
    empty: "PD lists no store of this Database, or has not answered yet. :pd shows which PD answers, :pods whether TiKV runs.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let Some(database) = app.database() else { return Vec::new() };
    let stores = database.stores.iter().enumerate();
    let rows = stores.filter(|(_, row)| app.in_focus(row.place.context())).map(|(index, row)| {
        let store = &row.store;
        let level = store_level(&store.state);
        let mut made = Row::new(store.id.to_string(), level, Item::Store(index)).cells(vec![
            Cell::plain(store.id.to_string()).ordered_by(i64::try_from(store.id).unwrap_or(i64::MAX)),
            Cell::level(level, &store.state),
            Cell::dim(if store.tiflash { "TiFlash" } else { "TiKV" }),
            Cell::plain(row.place.context().unwrap_or("?")),
            Cell::plain(row.place.pod().unwrap_or("in no connected context")),
            Cell::number(store.region_count),
            Cell::number(store.leader_count),
            Cell::dim(&store.version),
            Cell::dim(&store.address),
        ]);
        if let Some(words) = app.leaving(database.id.as_deref(), store) {
            made = made.note(0, words, Tone::Level(Level::Working));
        }
        made.labels = store.labels.clone();
        made.old = row.place.context().is_some_and(|context| !app.is_live(context));
        made
    });
    rows.collect()
}
