//! One Database across all clusters: a row per instance. Drawn by `console::overview`; what the cells say is `app::overview_matrix`.

use super::{Item, LIST, Row, ViewSpec};
use crate::app::App;
use crate::app::keymap::Scope;
use crate::app::overview_matrix::MatrixRow;

pub const SPEC: ViewSpec = ViewSpec {
    title: "overview",
    names: &["overview", "fleet", "pulse", "pu"],
    about: "one Database across all clusters",
    scope: Scope::Matrix,
    rows,
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    app.matrix().rows.iter().cloned().map(instance).collect()
}

fn instance(instance: MatrixRow) -> Row {
    let label = instance.label();
    let mut text = instance.component.title().to_owned();
    let mut copy = label.clone();
    for cell in instance.cells.iter().flatten() {
        let marks = [if cell.leader { "leader" } else { "" }, if cell.drift { "drift" } else { "" }].join(" ");
        text.push_str(&format!(" {} {} {marks}", cell.word, cell.detail));
        copy = cell.pod.name.clone();
    }
    Row::new(label, instance.level(), Item::Instance(instance)).found_by(text).copies(copy)
}
