//! Every pod of TiDB Operator in all clusters, whatever Database it belongs to.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, number, state};
use crate::app::App;
use crate::app::overview_matrix::pod_words;
use crate::app::status_level::Level;
use crate::fleet::workload::Pod;
use crate::fleet::{KubeCluster, ObjectRef};

pub const SPEC: ViewSpec = ViewSpec {
    title: "pods",
    names: &["pods", "po", "pod"],
    about: "the pods of all clusters",
    columns: &[
        middle("POD", 18, 0),
        column("CLUSTER", 7, 1),
        state("STATUS", 16, 0),
        column("READY", 5, 2),
        number("RESTARTS", 8, 1),
        state("LAST END", 12, 3),
        column("COMPONENT", 9, 6),
        middle("TIDBCLUSTER", 12, 5),
        middle("NODE", 13, 4),
        number("AGE", 4, 3).aging(),
        middle("IMAGE", 12, 7),
        column("REVISION", 8, 8),
    ],
    rows,
    empty: "No pod of TiDB Operator is seen in any connected cluster. :ctx says how each answers, r has a runbook that deploys.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let clusters = app.fleet.clusters.values().filter(|cluster| app.in_focus(Some(&cluster.context)));
    clusters.flat_map(|cluster| cluster.pods.values().map(move |pod| row(app, cluster, pod))).collect()
}

fn row(app: &App, cluster: &KubeCluster, pod: &Pod) -> Row {
    let meta = &pod.metadata;
    let of = ObjectRef::new(&cluster.context, &meta.namespace, &meta.name);
    let live = cluster.freshness.is_live();
    let (level, word) = pod_words(pod);
    let level = if live { level } else { Level::Unknown };
    let statuses = &pod.status.container_statuses;
    let ready = statuses.iter().filter(|container| container.ready).count();
    let (restarts, created) = (pod.restarts(), meta.creation_timestamp);
    let tone = if restarts > 0 { Tone::Level(Level::Working) } else { Tone::Plain };
    let seconds = created.map_or(0, |created| app.now.duration_since(created).as_secs());
    let end = pod.last_end().map(|(_, end)| end.words());
    let mut row = Row::new(of.to_string(), level, Item::Pod(of)).copies(&meta.name).cells(vec![
        Cell::plain(&meta.name),
        Cell::plain(&cluster.context),
        Cell::level(level, word),
        Cell::plain(format!("{ready}/{}", statuses.len())),
        Cell::new(restarts.to_string(), tone).ordered_by(restarts),
        Cell::plain(end.unwrap_or_default()),
        Cell::dim(pod.component().unwrap_or("?")),
        Cell::dim(format!("{}/{}", meta.namespace, pod.instance().unwrap_or("?"))),
        Cell::dim(pod.spec.node_name.as_deref().unwrap_or("(none)")),
        Cell::aged(created, app.now).ordered_by(seconds),
        Cell::dim(pod.image().unwrap_or("?")),
        revision(cluster, pod),
    ]);
    row.labels = meta.labels.clone();
    row.old = !live;
    row
}

/// Whether a pod has what its StatefulSet wants now; told only while they differ.
fn revision(cluster: &KubeCluster, pod: &Pod) -> Cell {
    let own = pod.metadata.labels.get("controller-revision-hash").map(String::as_str).unwrap_or_default();
    let set = pod.metadata.name.rsplit_once('-').map(|(set, _)| set).unwrap_or_default();
    let key = crate::fleet::ObjectKey::new(&pod.metadata.namespace, set);
    let Some(set) = cluster.stateful_sets.get(&key) else { return Cell::dim(own) };
    let hash = own.rsplit('-').next().unwrap_or(own);
    match (&set.status.current_revision, &set.status.update_revision) {
        (current, update) if current == update => Cell::dim(hash),
        (_, update) if update == own => Cell::new(format!("new {hash}"), Tone::Level(Level::Good)),
        _ => Cell::new(format!("old {hash}"), Tone::Level(Level::Working)),
    }
}
