//! The overview as data: rows are instances (`pd-0`, `tikv-3`), columns are the KubeClusters that hold a part of one
//! Database, and a cell is what Kubernetes says of the pod joined with what PD says of the member or store.
//!
//! The worse of two truths wins, and a cell from a cluster that is not live is unknown whatever it said last.
//! Not here: drawing (`console::overview`), filtering ([`super::visible_rows`]).

use std::collections::BTreeSet;

use super::App;
use super::status_level::{Level, freshness_level};
use super::url_display;
use super::views::members::peer_cell;
use super::views::{Cell, grouped};
use crate::fleet::database::{Database, StoreRow};
use crate::fleet::database_invariants::{Holding, invariants};
use crate::fleet::rollout::component_pods;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::workload::Pod;
use crate::fleet::{KubeCluster, ObjectRef};
use crate::pluralize::{counted, noun, total};

/// The order in which components are read, which is not the order in which they roll.
const ORDER: [Component; 7] = [
    Component::Pd,
    Component::Tikv,
    Component::Tidb,
    Component::Tiflash,
    Component::Ticdc,
    Component::Tiproxy,
    Component::Pump,
];

/// One TidbCluster's part of the Database, or a cluster that may hold a part and cannot be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub context: String,
    pub tidb_cluster: Option<ObjectRef>,
    pub level: Level,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CellView {
    pub level: Level,
    /// As kubectl prints it.
    pub word: String,
    pub leader: bool,
    pub drift: bool,
    /// Whether its pod is ready; `None` where that is not seen.
    pub ready: Option<bool>,
    /// More, where there is room for it; and less of it, for less room.
    pub detail: String,
    pub brief: String,
    /// The peerURL of a PD member, by its parts.
    pub peer: Option<Cell>,
    pub pod: ObjectRef,
}

/// The instances of one component in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub component: Component,
    /// One per column.
    pub sums: Vec<Option<(Level, String)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MatrixRow {
    pub component: Component,
    pub ordinal: u32,
    /// One per column.
    pub cells: Vec<Option<CellView>>,
}

impl MatrixRow {
    pub fn label(&self) -> String {
        format!("{}-{}", self.component.key(), self.ordinal)
    }

    pub fn level(&self) -> Level {
        self.cells.iter().flatten().map(|cell| cell.level).max().unwrap_or(Level::Done)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    pub columns: Vec<Column>,
    pub rows: Vec<MatrixRow>,
    pub groups: Vec<Group>,
    /// The invariants of "is this one cluster", each with its short name.
    pub lamps: Vec<(Level, &'static str)>,
    /// Live clusters with no part of this Database: they take no column.
    pub elsewhere: Vec<String>,
}

/// The matrix of the Database on the screen, under the present focus.
pub fn matrix(app: &App) -> Matrix {
    let Some(database) = app.database() else { return Matrix { columns: dark_columns(app), ..Matrix::default() } };
    let mut columns = Vec::new();
    let mut elsewhere = Vec::new();
    for cluster in app.fleet.clusters.values() {
        let parts: Vec<&ObjectRef> = database.tidb_clusters.iter().filter(|of| of.context == cluster.context).collect();
        if !app.in_focus(Some(&cluster.context)) {
            continue;
        }
        let parts: Vec<&ObjectRef> = parts.into_iter().filter(|of| app.in_namespace(Some(&of.namespace))).collect();
        let level = freshness_level(&cluster.freshness);
        let column =
            |of: Option<&ObjectRef>| Column { context: cluster.context.clone(), tidb_cluster: of.cloned(), level };
        if !parts.is_empty() {
            columns.extend(parts.into_iter().map(|of| column(Some(of))));
        } else if !cluster.freshness.is_live() || app.focus.is_some() {
            columns.push(column(None));
        } else {
            elsewhere.push(cluster.context.clone());
        }
    }
    let mut names = BTreeSet::new();
    for part in columns.iter().filter_map(|column| column.tidb_cluster.as_ref()) {
        names.extend(instances(app, part));
    }
    let rows: Vec<MatrixRow> = names
        .into_iter()
        .map(|(order, ordinal)| {
            let component = ORDER[order];
            let cells = columns
                .iter()
                .map(|column| cell(app, database, column.tidb_cluster.as_ref()?, component, ordinal))
                .collect();
            MatrixRow { component, ordinal, cells }
        })
        .collect();
    let groups = groups(&columns, &rows, database);
    let lamps = invariants(&app.fleet, database).into_iter().map(|one| {
        let level = match one.holding {
            Holding::Holds => Level::Good,
            Holding::Broken(_) => Level::Bad,
            Holding::Unknown(_) => Level::Unknown,
        };
        (level, one.word())
    });
    let lamps = lamps.collect();
    Matrix { columns, rows, groups, lamps, elsewhere }
}

/// How many of each component are well in each column, and what else is worth a word.
fn groups(columns: &[Column], rows: &[MatrixRow], database: &Database) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for component in rows.iter().map(|row| row.component) {
        if groups.iter().any(|group| group.component == component) {
            continue;
        }
        let own: Vec<&MatrixRow> = rows.iter().filter(|row| row.component == component).collect();
        let sums = columns.iter().enumerate().map(|(at, column)| {
            let cells: Vec<&CellView> = own.iter().filter_map(|row| row.cells.get(at)?.as_ref()).collect();
            let level = cells.iter().map(|cell| cell.level).max()?;
            // Of pods, as Kubernetes counts them; what is PD's majority stands above.
            let ready = cells.iter().filter(|cell| cell.ready == Some(true)).count();
            let seen = cells.iter().all(|cell| cell.ready.is_some());
            let ready = if seen { ready.to_string() } else { "?".to_owned() };
            let mut words = format!("{ready}/{} ready", cells.len());
            if matches!(component, Component::Tikv | Component::Tiflash) {
                let here = |row: &&StoreRow| {
                    row.place.context() == Some(&column.context)
                        && row.place.of() == column.tidb_cluster.as_ref()
                        && row.store.tiflash == (component == Component::Tiflash)
                };
                let stores: Vec<&StoreRow> = database.stores.iter().filter(here).collect();
                // Every region counts once in each store that holds a peer of it: a sum over stores is of peers.
                let peers = total(stores.iter().map(|row| row.store.region_count));
                words.push_str(&format!("  {} {}", grouped(peers), noun(&peers, "region peer")));
                if let Some(full) = stores.iter().filter_map(|row| row.store.load.full()).max() {
                    words.push_str(&format!("  {full} % full"));
                }
            }
            Some((level, words))
        });
        groups.push(Group { component, sums: sums.collect() });
    }
    groups
}

/// Before any Database is known every cluster shows how far its connection is.
fn dark_columns(app: &App) -> Vec<Column> {
    let shown = app.fleet.clusters.values().filter(|cluster| app.in_focus(Some(&cluster.context)));
    shown
        .map(|cluster| Column {
            context: cluster.context.clone(),
            tidb_cluster: None,
            level: freshness_level(&cluster.freshness),
        })
        .collect()
}

/// The instances that one TidbCluster has or should have.
fn instances(app: &App, of: &ObjectRef) -> Vec<(usize, u32)> {
    let Some((cluster, tc)) = part(app, of) else { return Vec::new() };
    let mut found = Vec::new();
    for (order, component) in ORDER.into_iter().enumerate() {
        // A spec with an absurd number must not make the screen endless.
        let wanted = tc.component(component).map_or(0, |spec| spec.replicas.clamp(0, 200));
        found.extend((0..u32::try_from(wanted).unwrap_or(0)).map(|ordinal| (order, ordinal)));
        let pods = component_pods(cluster, tc, component);
        found.extend(pods.iter().filter_map(|pod| Some((order, pod.ordinal()?))));
    }
    found
}

fn part<'a>(app: &'a App, of: &ObjectRef) -> Option<(&'a KubeCluster, &'a TidbCluster)> {
    Some((app.fleet.clusters.get(&of.context)?, app.fleet.tidb_cluster(of)?))
}

fn cell(app: &App, database: &Database, of: &ObjectRef, component: Component, ordinal: u32) -> Option<CellView> {
    let (cluster, tc) = part(app, of)?;
    let pods = component_pods(cluster, tc, component);
    let pod = pods.into_iter().find(|pod| pod.ordinal() == Some(ordinal));
    let name = format!("{}-{}-{ordinal}", tc.name(), component.key());
    let live = cluster.freshness.is_live();
    let mut cell = CellView {
        level: Level::Unknown,
        word: String::new(),
        leader: false,
        drift: false,
        ready: None,
        detail: String::new(),
        brief: String::new(),
        peer: None,
        pod: ObjectRef::new(&of.context, &of.namespace, name),
    };
    match pod {
        Some(pod) => {
            cell.pod.name = pod.metadata.name.clone();
            (cell.level, cell.word) = pod_words(pod);
            cell.ready = live.then_some(cell.level == Level::Good);
            match component {
                Component::Pd => join_member(&mut cell, database),
                Component::Tikv | Component::Tiflash => join_store(&mut cell, database),
                Component::Tidb | Component::Ticdc | Component::Tiproxy | Component::Pump => {}
            }
            if pod.restarts() > 0 {
                add(&mut cell.detail, &format!("restarts {}", pod.restarts()));
            }
        }
        None => {
            let wanted = tc.component(component).map_or(0, |spec| spec.replicas);
            if i64::from(ordinal) >= wanted {
                return None;
            }
            cell.level = Level::Working;
            let suspended = tc.asks_to_suspend(component);
            let word = if suspended { "suspended" } else { "no pod" };
            cell.word = if live { word } else { "not seen" }.into();
            cell.ready = live.then_some(false);
            if live && matches!(component, Component::Tikv | Component::Tiflash) {
                // PD knows the store of a pod that is gone; its number says more there than that it is away.
                join_store(&mut cell, database);
                cell.word = word.into();
            }
        }
    }
    if !live {
        cell.level = Level::Unknown;
    }
    Some(cell)
}

/// The word that kubectl prints, with `0/1` where a running pod is not Ready.
pub fn pod_words(pod: &Pod) -> (Level, String) {
    let word = pod.status_word();
    match word.as_str() {
        "Running" if pod.ready() => (Level::Good, word),
        "Running" => {
            let all = pod.status.container_statuses.len().max(1);
            let ready = pod.status.container_statuses.iter().filter(|container| container.ready).count();
            (Level::Working, format!("Running {ready}/{all}"))
        }
        "Succeeded" | "Completed" => (Level::Done, word),
        "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating" => (Level::Working, word),
        "Unknown" => (Level::Unknown, word),
        _ if word.starts_with("Init:") => (Level::Working, word),
        _ => (Level::Bad, word),
    }
}

fn join_member(cell: &mut CellView, database: &Database) {
    let own = database.members.iter().find(|member| {
        member.place.context() == Some(&cell.pod.context)
            && member.place.namespace() == Some(&cell.pod.namespace)
            && member.place.pod() == Some(&cell.pod.name)
    });
    let Some(member) = own else {
        if database.members.is_empty() {
            cell.level = cell.level.max(Level::Unknown);
            cell.detail = "PD did not answer".into();
        } else {
            cell.level = cell.level.max(Level::Working);
            cell.word.push_str(", no member");
        }
        return;
    };
    cell.leader = member.leader;
    cell.drift = member.drift;
    let ids: Vec<String> = database.members.iter().map(|member| member.id.hex()).collect();
    cell.detail = url_display::short(&member.id.hex(), url_display::prefix(ids.iter().map(String::as_str)));
    let all: Vec<&str> = database.members.iter().flat_map(|one| one.peer_urls.iter().map(String::as_str)).collect();
    cell.peer = Some(peer_cell(member, &all));
    match member.healthy {
        Some(true) => {}
        Some(false) => {
            cell.level = Level::Bad;
            cell.word.push_str(", unhealthy");
        }
        None => cell.level = cell.level.max(Level::Unknown),
    }
    if member.drift {
        cell.level = cell.level.max(Level::Working);
    }
}

fn join_store(cell: &mut CellView, database: &Database) {
    let here = |of: &ObjectRef| of.context == cell.pod.context && of.namespace == cell.pod.namespace;
    let own =
        database.stores.iter().find(|row| row.place.of().is_some_and(here) && row.place.pod() == Some(&cell.pod.name));
    let Some(row) = own else { return };
    let store = &row.store;
    let level = store_level(&store.state);
    if level != Level::Good {
        cell.word = format!("{}, {}", cell.word, store.state);
    }
    cell.level = cell.level.max(level);
    let counts = format!(
        "store {}, {}, {}",
        store.id,
        counted(store.region_count, "region peer"),
        counted(store.leader_count, "leader")
    );
    add(&mut cell.detail, &counts);
    cell.brief = format!("store {}", store.id);
}

pub fn store_level(state: &str) -> Level {
    match state {
        "Up" => Level::Good,
        "Tombstone" => Level::Done,
        "Down" => Level::Bad,
        "" => Level::Unknown,
        _ => Level::Working,
    }
}

fn add(detail: &mut String, more: &str) {
    if !detail.is_empty() {
        detail.push_str(", ");
    }
    detail.push_str(more);
}
