//! The namespaces with something of TiDB Operator, over all clusters.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Mark, Row, ViewSpec, column, number};
use crate::app::App;
use crate::app::status_level::Level;

pub const SPEC: ViewSpec = ViewSpec {
    title: "namespaces",
    names: &["ns", "namespaces", "namespace"],
    about: "show one namespace only, in every cluster",
    columns: &[
        column("NAMESPACE", 12, 0),
        column("SHOWN", 5, 3),
        number("TIDBCLUSTERS", 12, 1),
        number("PODS", 4, 1),
        column("CLUSTERS", 8, 2),
    ],
    rows,
    empty: "Nothing of TiDB Operator is seen in any connected cluster. :ctx says how each answers, r has a runbook that deploys.",
    faults: false,
    help: "enter shows one namespace only; 0, esc on the first view, or :ns all shows all again",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let all = app.namespaces();
    if all.is_empty() {
        return Vec::new();
    }
    let number = |count: usize| Cell::number(i64::try_from(count).unwrap_or(i64::MAX));
    let shown = |is: bool| if is { Cell::mark(Mark::Level(Level::Good)) } else { Cell::default() };
    let everything = Row::new("all", Level::Done, Item::Namespace(None)).cells(vec![
        Cell::strong("all"),
        shown(app.namespace.is_none()),
        number(all.values().map(|one| one.tidb_clusters).sum()),
        number(all.values().map(|one| one.pods).sum()),
        Cell::default(),
    ]);
    let each = all.iter().map(|(name, one)| {
        let contexts: Vec<&str> = one.contexts.iter().map(String::as_str).collect();
        // A namespace may be called "all".
        Row::new(format!("ns {name}"), Level::Done, Item::Namespace(Some(name.clone()))).copies(name).cells(vec![
            Cell::plain(name),
            shown(app.namespace.as_ref() == Some(name)),
            number(one.tidb_clusters),
            number(one.pods),
            Cell::dim(contexts.join(", ")),
        ])
    });
    std::iter::once(everything).chain(each).collect()
}
