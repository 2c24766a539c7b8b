//! What this program said and what it noticed in this session, the last one first.

use super::{Cell, Item, LIST, Row, ViewSpec, column, sentence};
use crate::app::App;

pub const SPEC: ViewSpec = ViewSpec {
    title: "log",
    names: &["log", "messages"],
    about: "what this program said and noticed in this session",
    columns: &[column("AT", 8, 0), column("WHAT", 9, 1), sentence("SENTENCE", 30, 0)],
    rows,
    empty: "Nothing was said yet.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let all = app.told.iter().enumerate().rev();
    let rows = all.map(|(at, told)| {
        Row::new(at.to_string(), told.level, Item::Line).copies(&told.sentence).cells(vec![
            Cell::dim(told.at.strftime("%H:%M:%S").to_string()),
            Cell::level(told.level, told.about),
            Cell::plain(&told.sentence),
        ])
    });
    rows.collect()
}
