//! Who changed which spec, and when: of every TidbCluster the last write of each tool, from the object itself.
//! Drawn by `console::table`.
//!
//! Kubernetes keeps one time for each tool, not for each field: what is listed is what the tool owns, and it wrote one of them
//! then. Nothing is asked for it. Not here: events ([`super::events`]), who changed a field that a run stopped at
//! (`fleet::managed_fields`).

use super::{Cell, Item, LIST, Note, Row, Tone, ViewSpec, column, middle, number};
use crate::app::App;
use crate::app::words::{Level, age};
use crate::fleet::managed_fields::{LastWrite, last_writes};

/// From this width on the fields stand in their column.
const FIELDS: u16 = 120;

pub const SPEC: ViewSpec = ViewSpec {
    title: "changes",
    names: &["changes", "changed"],
    about: "who wrote which spec, and when",
    columns: &[
        number("AGO", 4, 0).aging(),
        column("CLUSTER", 7, 1),
        middle("TIDBCLUSTER", 12, 0),
        column("BY PROGRAM", 24, 0),
        column("OWNS", 40, 2),
    ],
    rows,
    empty: "No TidbCluster says who wrote it.",
    faults: false,
    help: "BY is the program that wrote: Kubernetes notes no person; one time for each tool: it wrote one of the fields that it owns; ago<1h shows what is younger",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let clusters = app.fleet.tidb_clusters();
    let mut all: Vec<(String, crate::fleet::ObjectRef, LastWrite)> = Vec::new();
    for (of, tc) in clusters.into_iter().filter(|(of, _)| app.in_focus(Some(&of.context))) {
        let key = |write: &LastWrite| format!("{of} {} {}", write.by, write.entry);
        all.extend(last_writes(tc).into_iter().map(|write| (key(&write), of.clone(), write)));
    }
    all.sort_by_key(|(_, _, write)| std::cmp::Reverse(write.at));
    let rows = all.into_iter().enumerate().map(|(at, (key, of, write))| {
        let fields = write.fields.join(", ");
        let ago = write.at.map_or_else(|| "?".to_owned(), |at| age(at, app.now));
        let seconds = write.at.map_or(i64::MAX, |at| app.now.duration_since(at).as_secs());
        let copy = format!("{of} {} {} {fields}", write.at.map(|at| at.to_string()).unwrap_or_default(), write.by);
        let mut row = Row::new(key, Level::Done, Item::TidbCluster(of.clone())).copies(copy).cells(vec![
            Cell::plain(ago).ordered_by(seconds),
            Cell::plain(&of.context),
            Cell::strong(format!("{}/{}", of.namespace, of.name)),
            Cell::plain(&write.by),
            Cell::plain(&fields),
        ]);
        row.notes.push(Note { under: 1, text: fields, tone: Tone::Dim, narrow_only: Some(FIELDS), spare: true });
        if at == 0 {
            row = row.note(3, "the program that wrote: Kubernetes notes no person", Tone::Dim);
        }
        row.old = !app.is_live(&of.context);
        row
    });
    rows.collect()
}
