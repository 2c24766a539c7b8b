//! Everything that is wrong or could not be seen, one sentence each, the worst first.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, sentence};
use crate::app::App;
use crate::app::words::Level;

pub const SPEC: ViewSpec = ViewSpec {
    title: "problems",
    names: &["problems", "faults"],
    about: "what is wrong or not seen",
    columns: &[column("IN", 6, 1), sentence("WHAT", 10, 0)],
    rows,
    empty: "Nothing is wrong, and nothing is hidden from here.",
    faults: false,
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let rows = app.problems().into_iter().map(|problem| {
        let tone = if problem.level == Level::Bad { Tone::Plain } else { Tone::Dim };
        Row::new(format!("{} {}", problem.of, problem.sentence), problem.level, Item::Problem(problem.clone()))
            .copies(&problem.sentence)
            .cells(vec![Cell::level(problem.level, &problem.of), Cell::new(&problem.sentence, tone)])
    });
    rows.collect()
}
