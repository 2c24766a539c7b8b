//! PD members: who they are, where they run, and what peerURL they have against the one they should have.
//! Drawn by `console::table`.

use super::{Cell, Column, Item, LIST, Mark, Note, Row, Tone, ViewSpec, column, middle, state};
use crate::app::App;
use crate::app::status_level::Level;
use crate::app::url_display;
use crate::fleet::database::Member;

/// From this width on URLs stand in columns; below it they stand beneath the member, whole.
pub const WIDE: u16 = 120;
/// The heading of the column whose colour says that it drifted.
pub const PEER_URL: &str = "PEER URL";

const COLUMNS: &[Column] = &[
    column("ID", 4, 0),
    state("HEALTH", 11, 0),
    column("LEAD", 4, 1),
    column("CLUSTER", 7, 1),
    middle("POD", 12, 2),
    state("STATUS", 7, 3),
    middle(PEER_URL, 44, 2),
    middle("CLIENT URL", 40, 5).only_wide(),
    middle("NAME", 30, 6).only_wide(),
];

pub const SPEC: ViewSpec = ViewSpec {
    title: "members",
    names: &["pd", "members"],
    about: "PD members and their URLs",
    columns: COLUMNS,
    rows,
    empty: "No PD pod of this Database has answered yet. :pods shows whether they run, ! what is not seen and why.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let Some(database) = app.database() else { return Vec::new() };
    let members = database.members.iter().enumerate();
    let shown = members.filter(|(_, member)| app.in_focus(member.place.context()));
    let all: Vec<&str> = database.members.iter().flat_map(|one| one.peer_urls.iter().map(String::as_str)).collect();
    let ids: Vec<String> = database.members.iter().map(|member| member.id.hex()).collect();
    let length = url_display::prefix(ids.iter().map(String::as_str));
    shown.map(|(index, member)| row(app, index, member, &all, length)).collect()
}

pub fn health(member: &Member) -> (Level, &'static str) {
    match member.healthy {
        _ if member.name.is_empty() => (Level::Bad, "never started"),
        Some(true) => (Level::Good, "healthy"),
        Some(false) => (Level::Bad, "unhealthy"),
        None if member.leaderless => (Level::Unknown, "no leader yet"),
        None => (Level::Unknown, "not known"),
    }
}

/// What Kubernetes says of its pod, which is not known where the cluster is not live.
pub fn status(app: &App, member: &Member) -> (Level, String) {
    let live = member.place.context().is_some_and(|context| app.is_live(context));
    match (&member.pod_phase, member.ready) {
        (Some(phase), _) if !live => (Level::Unknown, format!("{phase} ?")),
        (Some(phase), Some(false)) if phase == "Running" => (Level::Working, "Running, not ready".to_owned()),
        (Some(phase), Some(true)) => (Level::Good, phase.clone()),
        (Some(phase), _) => (Level::Working, phase.clone()),
        (None, _) => (Level::Unknown, "not seen".to_owned()),
    }
}

/// The peerURL by its parts; more than one, or none, as it is.
pub fn peer_cell(member: &Member, all: &[&str]) -> Cell {
    let should = member.expected_peer_url.as_deref().filter(|_| member.drift);
    match member.peer_urls.as_slice() {
        [one] => url_display::cell(one, should, all),
        more => Cell::new(more.join(", "), if member.drift { Tone::Level(Level::Bad) } else { Tone::Plain }),
    }
}

fn row(app: &App, index: usize, member: &Member, all: &[&str], length: usize) -> Row {
    let (health_level, word) = health(member);
    let level = match health_level {
        Level::Good if member.drift => Level::Working,
        other => other,
    };
    let (status_level, status) = status(app, member);
    let peer = member.peer_urls.join(", ");
    let client = member.client_urls.join(", ");
    let peer_tone = if member.drift { Tone::Level(Level::Bad) } else { Tone::Plain };
    let lead = if member.leader { Cell::mark(Mark::Leader).ordered_by(0) } else { Cell::default().ordered_by(1) };
    let mut row = Row::new(member.id.hex(), level, Item::Member(index))
        .found_by(format!("{} {peer} {}", member.id.decimal(), if member.drift { "drift" } else { "" }))
        .found_by(if member.leader { "leader" } else { "" })
        .cells(vec![
            Cell::plain(url_display::short(&member.id.hex(), length)),
            Cell::level(health_level, word),
            lead,
            Cell::plain(member.place.context().unwrap_or("?")),
            Cell::plain(member.place.pod().unwrap_or("in no connected context")),
            Cell::new(status, Tone::Level(status_level)),
            peer_cell(member, all),
            Cell::dim(&client),
            Cell::dim(&member.name),
        ]);
    let name = if member.name.is_empty() { "(none: it was added and never started)" } else { &member.name };
    let narrow = |text: String, tone: Tone| Note { narrow_only: Some(WIDE), ..Note::plain(0, text, tone) };
    row.notes.push(narrow(format!("name      {name}"), Tone::Dim));
    row.notes.push(narrow(format!("peer      {peer}"), peer_tone));
    if let Some(url) = member.expected_peer_url.as_ref().filter(|_| member.drift) {
        row.notes.push(narrow(format!("expected  {url}"), Tone::Level(Level::Working)));
    }
    row.notes.push(narrow(format!("client    {client}"), Tone::Dim));
    row.old = member.place.context().is_some_and(|context| !app.is_live(context));
    row
}
