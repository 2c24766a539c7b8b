//! The runs whose journals are on this machine, and the open ones of others.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, ViewSpec, column, middle, number};
use crate::app::App;
use crate::app::status_level::{Level, age};
use crate::runbook::run::open_run_status::Standing;

pub const SPEC: ViewSpec = ViewSpec {
    title: "runs",
    names: &["runs", "journal"],
    about: "runs on this machine and open ones of others",
    columns: &[
        middle("RUN", 20, 0),
        column("STATE", 16, 0),
        column("DRIVEN BY", 9, 5),
        number("STEPS", 5, 3),
        number("OPENED", 6, 2).aging(),
        column("RUNBOOK", 22, 4),
        middle("TARGET", 16, 1),
    ],
    rows,
    empty: "No run is known: no journal on this machine, and no open one was found in the clusters. r lists the runbooks; a plan sends nothing.",
    faults: false,
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let mut runs: Vec<(usize, &Standing)> = app.runs.iter().enumerate().collect();
    // What is open is somebody's work: it stands above what is over.
    runs.sort_by_key(|(_, run)| !run.open);
    let rows = runs.into_iter().map(|(index, run)| {
        let level = match (run.half_done(), run.open) {
            (true, _) => Level::Bad,
            (false, true) => Level::Working,
            (false, false) => Level::Done,
        };
        Row::new(&run.run, level, Item::Run(index)).cells(vec![
            Cell::plain(&run.run),
            Cell::level(level, marked(run)),
            Cell::plain(run.driven_by()),
            Cell::plain(format!("{}/{}", run.completed, run.steps)),
            Cell::dim(format!("{} ago", age(run.opened, app.now))).ordered_by(run.opened.as_second()).of(run.opened),
            Cell::plain(match run.document.as_str() {
                "" => run.runbook.clone(),
                document => format!("{} ({document})", run.runbook),
            }),
            Cell::plain(&run.target),
        ])
    });
    rows.collect()
}

/// The state, after a word where the document is not the shipped one: the column of the runbook is not on every screen.
fn marked(run: &Standing) -> String {
    let known = ["fork", "own runbook", "UNKNOWN DOCUMENT"].into_iter().find(|word| run.document.starts_with(word));
    match known {
        Some(word) => format!("{word}: {}", run.state),
        None => run.state.clone(),
    }
}
