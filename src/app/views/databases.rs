//! Every Database, one line each: how its quorum stands, what is wrong, where it is.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, state};
use crate::app::App;
use crate::fleet::ObjectRef;

pub const SPEC: ViewSpec = ViewSpec {
    title: "databases",
    names: &["db", "databases"],
    about: "every Database, or `db NAME`",
    columns: &[
        column("DATABASE", 8, 0),
        column("QUORUM", 23, 0),
        state("STATE", 19, 1),
        middle("ID", 9, 3),
        column("CLUSTERS", 10, 2),
    ],
    rows,
    empty: "No Database is seen yet: one shows once its TidbCluster is. :ctx says how each cluster answers.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let rows = app.databases().iter().enumerate().map(|(index, database)| {
        let id = database.id.clone().unwrap_or_default();
        let key = database.tidb_clusters.first().map(ObjectRef::to_string).unwrap_or_default();
        let level = app.database_level(index);
        let (quorum, words) = app.pd_words(database);
        let mut contexts: Vec<&str> = database.tidb_clusters.iter().map(|of| of.context.as_str()).collect();
        contexts.dedup();
        let (bad, expected) = app.wrong_problems(database);
        let state = match (bad, database.unseen.len()) {
            (0, 0) if expected > 0 => format!("{expected} expected"),
            (0, 0) => "all well".to_owned(),
            (0, dark) => format!("{dark} unseen"),
            (bad, 0) => format!("{bad} wrong"),
            (bad, dark) => format!("{bad} wrong, {dark} unseen"),
        };
        Row::new(key, level, Item::Database(index))
            .copies(if id.is_empty() { database.name.clone() } else { id.clone() })
            .cells(vec![
                Cell::plain(&database.name),
                Cell::level(quorum, words),
                Cell::level(level, state),
                Cell::new(if id.is_empty() { "not known".to_owned() } else { id }, Tone::Dim),
                Cell::plain(contexts.join(", ")),
            ])
    });
    rows.collect()
}
