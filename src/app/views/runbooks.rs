//! The runbooks that can be run.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Note, Row, Tone, ViewSpec, column};
use crate::app::App;
use crate::app::words::Level;

pub const SPEC: ViewSpec = ViewSpec {
    title: "runbooks",
    names: &["run", "runbooks"],
    about: "runbooks, or `run ID`",
    columns: &[column("RUNBOOK", 12, 0), column("WHAT", 20, 1), column("", 12, 2)],
    rows,
    empty: "No runbook is loaded.",
    faults: false,
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let mut all: Vec<_> = app.runbooks.iter().enumerate().collect();
    // Those that the object under the cursor fills come first, the nearest on top.
    all.sort_by_key(|(_, runbook)| std::cmp::Reverse(app.fits(runbook, app.hint())));
    let rows = all.into_iter().map(|(index, runbook)| {
        let word = if runbook.experimental { "experimental" } else { "" };
        let mut row = Row::new(&runbook.id, Level::Done, Item::Runbook(index)).found_by(&runbook.summary).cells(vec![
            Cell::strong(&runbook.id),
            Cell::plain(&runbook.title),
            Cell::new(word, Tone::Level(Level::Working)),
        ]);
        // Where not every summary has room, only that of the row in focus is shown.
        row.notes.push(Note {
            under: 0,
            text: runbook.summary.clone(),
            tone: Tone::Dim,
            narrow_only: None,
            spare: true,
        });
        row
    });
    rows.collect()
}
