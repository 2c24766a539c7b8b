//! KubeClusters: how fresh each is, what it serves, and beneath it what is wrong with the connection.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, number, state};
use crate::app::App;
use crate::app::status_level::{Level, access_word, crd_words, freshness_level, freshness_words};
use crate::fleet::KubeCluster;
use crate::fleet::connection_health::Weather;

pub const SPEC: ViewSpec = ViewSpec {
    title: "clusters",
    names: &["ctx", "clusters", "contexts"],
    about: "KubeClusters, or `ctx NAME`",
    columns: &[
        middle("CONTEXT", 8, 0),
        state("STATE", 15, 0),
        column("ACCESS", 10, 3),
        column("VERSION", 7, 2),
        column("OPERATOR", 8, 4),
        column("TC CRD", 9, 2),
        number("TC", 2, 4),
        number("RTT", 4, 4),
        number("ASKED", 5, 6),
        number("FAILED", 6, 4),
        column("LOGIN", 19, 7),
        middle("DOMAIN", 8, 5),
        middle("SERVER", 14, 6),
    ],
    rows,
    empty: "No cluster: the kubeconfig has no context. Start with --kubeconfig FILE, or with `tidepilot demo`.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let clusters = app.fleet.clusters.values().filter(|cluster| app.in_focus(Some(&cluster.context)));
    clusters.map(|cluster| row(app, cluster)).collect()
}

fn row(app: &App, cluster: &KubeCluster) -> Row {
    let level = freshness_level(&cluster.freshness);
    let (crd_level, crd) = crd_words(&cluster.crd);
    let weather = app.weather.get(&cluster.context);
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
            rtt(app, &cluster.context),
            Cell::number(weather.and_then(|weather| i64::try_from(weather.sent).ok())),
            failed(weather),
            login(app, weather),
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

/// The way there and back, in steps that do not move with every answer.
fn rtt(app: &App, context: &str) -> Cell {
    let step = app.weather.get(context).and_then(Weather::rtt_step);
    let order = step.and_then(|step| i64::try_from(step).ok()).unwrap_or(i64::MAX);
    Cell::dim(step.map(|step| format!("{step} ms")).unwrap_or_default()).ordered_by(order)
}

/// Requests without a proper answer, and those to a server that was busy.
fn failed(weather: Option<&Weather>) -> Cell {
    let Some(weather) = weather else { return Cell::plain("") };
    let all = weather.failed.saturating_add(weather.busy);
    let tone = if all > 0 { Tone::Level(Level::Working) } else { Tone::Dim };
    Cell::new(all.to_string(), tone).ordered_by(i64::try_from(all).unwrap_or(i64::MAX))
}

fn login(app: &App, weather: Option<&Weather>) -> Cell {
    let Some(credential) = weather.and_then(|weather| weather.credential.as_ref()) else { return Cell::plain("") };
    match credential.until.map(|until| (until, until.duration_since(app.now).as_hours())) {
        Some((until, hours)) if hours < 24 * SOON_DAYS => {
            let words = format!("until {}, {}", until.strftime("%m-%d %H:%MZ"), credential.kind);
            Cell::new(words, if credential.renewed { Tone::Dim } else { Tone::Level(Level::Working) })
        }
        Some(_) | None => Cell::dim(&credential.kind),
    }
}

/// A login that ends within so many days is worth a look.
const SOON_DAYS: i64 = 14;
