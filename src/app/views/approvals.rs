//! Runs that wait for a second person. Not here: what one of them waits with (`console::approvals`).
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, number};
use crate::app::App;
use crate::app::status_level::{Level, age};
use crate::runbook::run::open_run_status::Turn;

pub const SPEC: ViewSpec = ViewSpec {
    title: "approvals",
    names: &["approvals", "waiting"],
    about: "runs that wait for a second person",
    columns: &[
        middle("RUN", 20, 0),
        column("STEP", 16, 0),
        number("SINCE", 5, 1),
        column("DRIVEN BY", 9, 2),
        column("NOT BY", 6, 0),
        column("RUNBOOK", 22, 4),
        middle("TARGET", 16, 3),
    ],
    rows,
    empty: "No run is seen to wait for a second person. ctrl-r asks again, R lists every run.",
    faults: false,
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let rows = app.approvals().filter_map(|(index, run)| {
        let approval = run.approval.as_ref()?;
        let level = match approval.turn {
            Turn::Yours => Level::Working,
            Turn::NotKnown => Level::Unknown,
            Turn::Not(_) => Level::Done,
        };
        let (word, tone) = match &approval.turn {
            Turn::Yours => ("waits for your approval".to_owned(), Tone::Level(level)),
            Turn::NotKnown => ("the cluster does not say who you are".to_owned(), Tone::Dim),
            Turn::Not(why) => (format!("not by you: {why}"), Tone::Dim),
        };
        let row = Row::new(&run.run, level, Item::Run(index)).copies(&approval.approve).cells(vec![
            Cell::plain(&run.run),
            Cell::strong(&approval.step),
            Cell::plain(age(approval.since, app.now)).ordered_by(approval.since.as_second()),
            Cell::plain(run.driven_by()),
            Cell::plain(&approval.confirmed_by),
            Cell::plain(&run.runbook),
            Cell::plain(&run.target),
        ]);
        Some(row.note(0, word, tone))
    });
    rows.collect()
}
