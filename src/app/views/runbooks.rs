//! The runbooks that can be run.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Note, Row, Tone, ViewSpec, column};
use crate::app::App;
use crate::app::message::RunbookInfo;
use crate::app::status_level::Level;

pub const SPEC: ViewSpec = ViewSpec {
    title: "runbooks",
    names: &["run", "runbooks"],
    about: "runbooks, or `run ID`",
    columns: &[column("RUNBOOK", 12, 0), column("WHAT", 20, 1), column("", 12, 2)],
    rows,
    empty: "No runbook is loaded yet: they are read once at the start. ! says what is wrong with one.",
    faults: false,
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let offers = app.runbooks.iter().enumerate().flat_map(|(index, runbook)| {
        let either = app.about_one_or_all(runbook);
        let ways: &[Option<bool>] = if either { &[Some(true), Some(false)] } else { &[None] };
        ways.iter().map(move |pod| (index, runbook, *pod))
    });
    let mut offers: Vec<_> = offers.collect();
    // Those that the object under the cursor fills come first, the nearest on top; what would touch every pod like it comes after
    // all that is about it or its TidbCluster, whatever its state: no habit of fingers leads from one pod to all of them.
    offers.sort_by_key(|(_, runbook, pod)| {
        let fits = app.fits(runbook, app.hint());
        std::cmp::Reverse(if *pod == Some(false) { (0, 1) } else { (fits, 0) })
    });
    let rows = offers.into_iter().map(|(index, runbook, pod)| {
        let word = if runbook.experimental { "experimental" } else { "" };
        let key = if pod == Some(true) { format!("{} pod", runbook.id) } else { runbook.id.clone() };
        let item = Item::Runbook { index, pod };
        let mut row = Row::new(key, Level::Done, item).copies(&runbook.id).found_by(&runbook.summary).cells(vec![
            Cell::strong(&runbook.id),
            Cell::plain(what(app, runbook, pod)),
            Cell::new(word, Tone::Level(Level::Working)),
        ]);
        // Where not every summary has room, only that of the row in focus is shown.
        row.notes.push(Note { spare: true, ..Note::plain(0, &runbook.summary, Tone::Dim) });
        row
    });
    rows.collect()
}

/// What is offered: one pod and all of them are told apart before anything is opened.
fn what(app: &App, runbook: &RunbookInfo, pod: Option<bool>) -> String {
    let known = app.hint();
    match (pod, &known.pod, &known.component, &known.tidb_cluster) {
        (Some(true), Some(pod), ..) => format!("restart (delete) this pod alone: {pod}"),
        (Some(false), _, Some(component), Some(of)) => format!("every {component} pod of {of}"),
        _ => runbook.title.clone(),
    }
}
