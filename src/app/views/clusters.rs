//! KubeClusters: how fresh each is, what it serves, and beneath it what is wrong with the connection.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, number};
use crate::app::App;
use crate::app::words::{Level, access_word, crd_words, freshness_level, freshness_words};
use crate::fleet::KubeCluster;

pub const SPEC: ViewSpec = ViewSpec {
    title: "clusters",
    names: &["ctx", "clusters", "contexts"],
    about: "KubeClusters, or `ctx NAME`",
    columns: &[
        middle("CONTEXT", 8, 0),
        column("STATE", 15, 0),
        column("ACCESS", 10, 3),
        column("VERSION", 7, 2),
        column("OPERATOR", 8, 4),
        column("TC CRD", 9, 2),
        number("TC", 2, 4),
        middle("DOMAIN", 8, 5),
        middle("SERVER", 14, 6),
    ],
    rows,
    empty: "No cluster.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let clusters = app.fleet.clusters.values().filter(|cluster| app.in_focus(Some(&cluster.context)));
    clusters.map(|cluster| row(app, cluster)).collect()
}

fn row(app: &App, cluster: &KubeCluster) -> Row {
    let level = freshness_level(&cluster.freshness);
    let (crd_level, crd) = crd_words(&cluster.crd);
    let mut row = Row::new(&cluster.context, level, Item::Cluster(cluster.context.clone()))
        .found_by(cluster.message.as_deref().unwrap_or_default())
        .cells(vec![
            Cell::plain(&cluster.context),
            Cell::level(level, freshness_words(cluster, app.now)),
            Cell::plain(access_word(app, cluster)),
            Cell::plain(cluster.version.clone().unwrap_or_else(|| "?".into())),
            match cluster.operator() {
                Ok(version) => Cell::plain(version.unwrap_or("?")),
                Err(why) => Cell::new(why, Tone::Level(Level::Bad)),
            },
            Cell::new(crd, Tone::Level(crd_level)),
            Cell::number(i64::try_from(cluster.tidb_clusters.len()).ok()),
            Cell::dim(cluster.cluster_domain().unwrap_or("?")),
            Cell::dim(&cluster.server),
        ]);
    let tone = Tone::Level(if level == Level::Good { Level::Working } else { level });
    if let Some(message) = &cluster.message {
        row = row.note(0, message, tone);
    }
    if let Some(other) = app.fleet.same_cluster_as(&cluster.context) {
        row = row.note(0, format!("The same cluster as {other}: shown there."), tone);
    }
    row
}
