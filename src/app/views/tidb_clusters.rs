//! TidbCluster objects of all clusters, with what the operator says of them.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Mark, Row, Tone, ViewSpec, column, middle, state};
use crate::app::App;
use crate::app::status_level::Level;
use crate::fleet::ObjectRef;
use crate::fleet::rollout::suspended_words;
use crate::fleet::tidbcluster::TidbCluster;

pub const SPEC: ViewSpec = ViewSpec {
    title: "tidbclusters",
    names: &["tc", "tidbclusters"],
    about: "TidbCluster objects",
    columns: &[
        middle("NAME", 10, 0),
        column("CLUSTER", 7, 0),
        state("READY", 10, 0),
        column("VERSION", 6, 3),
        middle("DOMAIN", 12, 1),
        column("ACROSS", 6, 2),
        column("JOINED", 6, 4),
        column("TLS", 3, 5),
        column("COMPONENTS", 12, 6),
    ],
    rows,
    empty: "No TidbCluster is seen in any connected cluster. :ctx says how each answers, r has a runbook that deploys.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let all = app.fleet.tidb_clusters().filter(|(of, _)| app.in_focus(Some(&of.context)));
    all.map(|(of, tc)| row(app, of, tc)).collect()
}

fn row(app: &App, of: ObjectRef, tc: &TidbCluster) -> Row {
    let live = app.is_live(&of.context);
    let level = match tc.ready_condition() {
        _ if !live => Level::Unknown,
        None => Level::Unknown,
        Some(ready) if ready.status == "True" => Level::Good,
        Some(_) => Level::Working,
    };
    let ready = match tc.ready_condition() {
        None => "not known".to_owned(),
        Some(ready) if ready.status == "True" => "ready".to_owned(),
        Some(ready) if ready.reason.is_empty() => "not ready".to_owned(),
        Some(ready) => ready.reason.clone(),
    };
    let ready = if tc.paused() { format!("{ready}, paused") } else { ready };
    let cluster = app.fleet.clusters.get(&of.context);
    let ready = match cluster.and_then(|cluster| suspended_words(cluster, tc)) {
        Some(words) => format!("{ready}, {words}"),
        None => ready,
    };
    let parts: Vec<String> =
        tc.components().map(|(component, spec)| format!("{} {}", component.key(), spec.replicas)).collect();
    let joined = tc.spec.cluster.as_ref().map(|to| match &to.namespace {
        Some(namespace) => format!("{namespace}/{}", to.name),
        None => to.name.clone(),
    });
    let mut row = Row::new(of.to_string(), level, Item::TidbCluster(of.clone())).cells(vec![
        Cell::plain(format!("{}/{}", of.namespace, of.name)),
        Cell::plain(&of.context),
        Cell::level(level, ready),
        Cell::plain(tc.spec.version.clone().unwrap_or_default()),
        Cell::plain(tc.domain().unwrap_or("(none)")),
        Cell::plain(if tc.across_k8s() { "yes" } else { "no" }),
        joined.map_or_else(|| Cell::mark(Mark::Dot), Cell::dim),
        Cell::new(if tc.tls() { "yes" } else { "no" }, Tone::Dim),
        Cell::dim(parts.join(" ")),
    ]);
    row.labels = tc.metadata.labels.clone();
    row.old = !live;
    row
}
