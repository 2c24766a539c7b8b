//! How many regions lack something, by PD's own checks, and how many have a peer on a store that is away.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, number, sentence};
use crate::app::App;
use crate::app::overview_matrix::store_level;
use crate::app::region_counts_refresh::{is_away, level_of, meaning};
use crate::app::status_level::{Level, age};
use crate::fleet::region_health_counts::RegionCheck;

pub const SPEC: ViewSpec = ViewSpec {
    title: "regions",
    names: &["regions", "region"],
    about: "how many regions lack a peer, and how many a store that is away touches",
    columns: &[column("WHAT", 12, 0), number("REGIONS", 7, 0), sentence("MEANS", 30, 1)],
    rows,
    empty: "PD has not told how many regions lack something: it is asked while this list is in front.",
    help: "PD counts; it is asked at most twice a minute while this list or a store's page is in front, and never at rest",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let Some(database) = app.database() else { return Vec::new() };
    let mut all = Vec::new();
    for (index, row) in database.stores.iter().enumerate().filter(|(_, row)| is_away(row)) {
        let store = &row.store;
        let level = store_level(&store.state);
        let since = store.load.last_heartbeat.map(|at| format!(" for {}", age(at, app.now))).unwrap_or_default();
        let pod = row.place.pod().unwrap_or("in no connected context");
        let told = format!("have a peer on this store ({pod}), which is {}{since}", store.state);
        all.push(Row::new(store.id.to_string(), level, Item::Store(index)).cells(vec![
            Cell::level(level, format!("store {}", store.id)),
            Cell::number(store.region_count),
            Cell::plain(told),
        ]));
    }
    if let Some(told) = app.majority_at_risk(database) {
        all.push(Row::new("majority", Level::Bad, Item::Line).cells(vec![
            Cell::level(Level::Bad, "majority"),
            Cell::plain("?"),
            Cell::plain(told),
        ]));
    }
    let Some(counts) = app.region_counts(database) else { return all };
    for check in RegionCheck::ALL {
        let count = counts.count(check);
        // A number from before an answer that did not come is no word of now.
        let old = counts.counts.get(&check).is_some_and(|(_, at)| *at < counts.asked);
        let level = count.filter(|_| !old).map_or(Level::Unknown, |count| level_of(check, count));
        let told = if count.is_some() { meaning(check) } else { "not told by PD" };
        all.push(Row::new(check.word(), level, Item::Line).copies(told).cells(vec![
            Cell::level(level, check.word()),
            Cell::number(count.and_then(|count| i64::try_from(count).ok())),
            Cell::new(told, if count == Some(0) { Tone::Dim } else { Tone::Plain }),
        ]));
    }
    all
}
