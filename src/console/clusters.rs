//! Three lists: KubeClusters (each with trouble as a sentence beneath it), TidbClusters, and Databases.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::table::{self, TableRow, cell, column, middle};
use super::text::wrap;
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};
use crate::app::words::{Level, freshness_level, freshness_words, quorum_level, quorum_short};
use crate::fleet::rollout::suspended_words;
use crate::fleet::{Crd, KubeCluster};

/// What the cluster knows of TidbClusters, in few words.
pub fn crd_words(crd: &Crd) -> (Level, &'static str) {
    match crd {
        Crd::Unknown => (Level::Unknown, "not known"),
        Crd::Served { across_k8s: Some(false) } => (Level::Working, "v1, no acrossK8s"),
        Crd::Served { across_k8s: _ } => (Level::Good, "v1"),
        Crd::Missing => (Level::Done, "none"),
        Crd::OperatorV2Only => (Level::Bad, "operator v2 only"),
    }
}

pub fn access_word(app: &App, cluster: &KubeCluster) -> &'static str {
    if app.is_read_only(&cluster.context) { "read-only" } else { "read-write" }
}

pub fn clusters(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        return empty(frame, area, theme, &nothing(app, "No cluster."));
    }
    let columns = [
        middle("CONTEXT", 8, 0),
        column("STATE", 15, 0),
        column("ACCESS", 10, 3),
        column("VERSION", 7, 2),
        column("OPERATOR", 8, 4),
        column("TC CRD", 9, 2),
        column("TC", 2, 4),
        middle("DOMAIN", 8, 5),
        middle("SERVER", 14, 6),
    ];
    let plain = theme.style(Role::Plain);
    let dim = theme.style(Role::Dim);
    let room = usize::from(area.width).saturating_sub(4).max(1);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match &row.item {
            Item::Cluster(context) => app.fleet.clusters.get(context),
            _ => None,
        })
        .map(|cluster| {
            let level = freshness_level(&cluster.freshness);
            let (crd_level, crd) = crd_words(&cluster.crd);
            let mut sentences: Vec<String> = cluster.message.iter().cloned().collect();
            if let Some(other) = app.fleet.same_cluster_as(&cluster.context) {
                sentences.push(format!("The same cluster as {other}: shown there."));
            }
            let style = if level == Level::Good { theme.level(Level::Working) } else { theme.level(level) };
            let state = format!("{} {}", theme.glyph(level), freshness_words(cluster, app.now));
            TableRow {
                cells: vec![
                    cell(&cluster.context, plain),
                    cell(state, theme.level(level)),
                    cell(access_word(app, cluster), plain),
                    cell(cluster.version.clone().unwrap_or_else(|| "?".into()), plain),
                    match cluster.operator() {
                        Ok(version) => cell(version.unwrap_or("?"), plain),
                        Err(why) => cell(why, theme.level(Level::Bad)),
                    },
                    cell(crd, theme.level(crd_level)),
                    cell(cluster.tidb_clusters.len().to_string(), plain),
                    cell(cluster.cluster_domain().unwrap_or("?").to_owned(), dim),
                    cell(&cluster.server, dim),
                ],
                below: sentences
                    .iter()
                    .flat_map(|sentence| wrap(sentence, room))
                    .map(|piece| (0, cell(format!("  {piece}"), style)))
                    .collect(),
            }
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}

pub fn tidb_clusters(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        return empty(frame, area, theme, &nothing(app, "No TidbCluster is seen in any connected cluster."));
    }
    let columns = [
        middle("NAME", 10, 0),
        column("CLUSTER", 6, 0),
        column("READY", 10, 0),
        column("VERSION", 6, 3),
        middle("DOMAIN", 12, 1),
        column("ACROSS", 6, 2),
        column("JOINED", 6, 4),
        column("TLS", 3, 5),
        column("COMPONENTS", 12, 6),
    ];
    let plain = theme.style(Role::Plain);
    let dim = theme.style(Role::Dim);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match &row.item {
            Item::TidbCluster(of) => Some((row.level, of, app.fleet.tidb_cluster(of)?)),
            _ => None,
        })
        .map(|(level, of, tc)| {
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
            TableRow {
                cells: vec![
                    cell(format!("{}/{}", of.namespace, of.name), plain),
                    cell(&of.context, plain),
                    cell(format!("{} {ready}", theme.glyph(level)), theme.level(level)),
                    cell(tc.spec.version.clone().unwrap_or_default(), plain),
                    cell(tc.domain().unwrap_or("(none)"), plain),
                    cell(if tc.across_k8s() { "yes" } else { "no" }, plain),
                    cell(joined.unwrap_or_else(|| theme.dot().into()), dim),
                    cell(if tc.tls() { "yes" } else { "no" }, dim),
                    cell(parts.join(" "), dim),
                ],
                below: Vec::new(),
            }
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}

pub fn databases(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        return empty(frame, area, theme, &nothing(app, "No Database is seen yet."));
    }
    let columns = [
        column("DATABASE", 8, 0),
        column("QUORUM", 23, 0),
        column("STATE", 19, 1),
        middle("ID", 9, 3),
        column("CLUSTERS", 10, 2),
    ];
    let plain = theme.style(Role::Plain);
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match row.item {
            Item::Database(index) => Some((row.level, app.databases().get(index)?)),
            _ => None,
        })
        .map(|(level, database)| {
            let quorum = quorum_level(database);
            let mut contexts: Vec<&str> = database.tidb_clusters.iter().map(|of| of.context.as_str()).collect();
            contexts.dedup();
            let (bad, expected) = app.wrong_and_expected(database);
            let state = match (bad, database.unseen.len()) {
                (0, 0) if expected > 0 => format!("{expected} expected"),
                (0, 0) => "all well".to_owned(),
                (0, dark) => format!("{dark} unseen"),
                (bad, 0) => format!("{bad} wrong"),
                (bad, dark) => format!("{bad} wrong, {dark} unseen"),
            };
            TableRow {
                cells: vec![
                    cell(&database.name, plain),
                    cell(format!("{} {}", theme.glyph(quorum), quorum_short(database)), theme.level(quorum)),
                    cell(format!("{} {state}", theme.glyph(level)), theme.level(level)),
                    cell(database.id.clone().unwrap_or_else(|| "not known".into()), theme.style(Role::Dim)),
                    cell(contexts.join(", "), plain),
                ],
                below: Vec::new(),
            }
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}
