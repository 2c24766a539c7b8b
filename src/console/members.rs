//! PD members: who they are, where they run, and what peerURL they have against the one they should have.
//!
//! With room for it every URL stands in a column; without, they stand beneath the member, whole.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::table::{self, TableRow, cell, column, middle};
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};
use crate::app::words::Level;
use crate::fleet::database::Member;

/// From this width on URLs stand in columns.
const WIDE: u16 = 168;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    let Some(database) = app.database().filter(|_| !rows.is_empty()) else {
        return empty(frame, area, theme, &nothing(app, "No PD pod of this Database has answered yet."));
    };
    let wide = area.width >= WIDE;
    let mut columns = vec![
        column("ID", 16, 0),
        column("HEALTH", 9, 0),
        column("LEAD", 4, 1),
        column("CLUSTER", 6, 1),
        middle("POD", 8, 2),
        column("STATUS", 7, 3),
    ];
    if wide {
        columns.extend([middle("PEER URL", 50, 2), middle("CLIENT URL", 50, 5), middle("NAME", 40, 6)]);
    }
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match row.item {
            Item::Member(index) => database.members.get(index),
            _ => None,
        })
        .map(|member| row(app, theme, member, wide))
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
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

fn row(app: &App, theme: Theme, member: &Member, wide: bool) -> TableRow {
    let plain = theme.style(Role::Plain);
    let dim = theme.style(Role::Dim);
    let (level, word) = health(member);
    let leader = if member.leader { theme.leader() } else { "" };
    let context = member.kube_cluster.as_ref().and_then(|context| app.fleet.clusters.get(context));
    let live = context.is_some_and(|cluster| cluster.freshness.is_live());
    let status = match (&member.pod_phase, member.ready) {
        (Some(phase), _) if !live => (Level::Unknown, format!("{phase} ?")),
        (Some(phase), Some(false)) if phase == "Running" => (Level::Working, "Running, not ready".to_owned()),
        (Some(phase), Some(true)) => (Level::Good, phase.clone()),
        (Some(phase), _) => (Level::Working, phase.clone()),
        (None, _) => (Level::Unknown, "not seen".to_owned()),
    };
    let cluster = member.kube_cluster.clone().unwrap_or_else(|| "?".into());
    let mut cells = vec![
        cell(member.id.hex(), plain),
        cell(format!("{} {word}", theme.glyph(level)), theme.level(level)),
        cell(leader, theme.style(Role::Accent)),
        cell(cluster, plain),
        cell(member.pod.clone().unwrap_or_else(|| "in no connected context".into()), plain),
        cell(status.1, theme.level(status.0)),
    ];
    let peer = member.peer_urls.join(", ");
    let client = member.client_urls.join(", ");
    let peer_style = if member.drift { theme.level(Level::Bad) } else { plain };
    let expected = member.expected_peer_url.as_ref().filter(|_| member.drift);
    let mut below = Vec::new();
    let mark = theme.drift();
    if wide {
        cells.extend([cell(peer, peer_style), cell(client, dim), cell(&member.name, dim)]);
        below.extend(expected.map(|url| (6, cell(format!("{url} {mark} expected"), theme.level(Level::Working)))));
    } else {
        let name = if member.name.is_empty() { "(none: it was added and never started)" } else { &member.name };
        below.push((0, cell(format!("name      {name}"), dim)));
        below.push((0, cell(format!("peer      {peer}"), peer_style)));
        below.extend(expected.map(|url| (0, cell(format!("expected  {url} {mark}"), theme.level(Level::Working)))));
        below.push((0, cell(format!("client    {client}"), dim)));
    }
    TableRow { cells, below }
}
