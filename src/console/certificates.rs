//! The certificates of every TidbCluster with TLS, the one that ends first on top.
//!
//! Not here: what is judged (`fleet::tls`), the order (`fleet::expiry`), one certificate in full ([`super::detail`]).

use ratatui::Frame;
use ratatui::layout::Rect;

use super::table::{self, TableRow, cell, column, middle};
use super::theme::{Role, Theme};
use super::{empty, nothing};
use crate::app::App;
use crate::app::rows::{Item, Row};
use crate::fleet::certificate::colons;
use crate::fleet::expiry::{Certificate, Held, left};

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if rows.is_empty() {
        return empty(frame, area, theme, &nothing(app, "No TidbCluster here has TLS between its components."));
    }
    let columns = [
        column("LEFT", 11, 0),
        column("STATE", 12, 0),
        column("CLUSTER", 7, 1),
        middle("SECRET", 27, 0),
        column("FOR", 7, 2),
        column("UNTIL", 10, 4),
        column("SIGNED BY", 6, 5),
        column("NAME", 4, 6),
    ];
    let (plain, dim) = (theme.style(Role::Plain), theme.style(Role::Dim));
    let all = app.certificates();
    let table: Vec<TableRow> = rows
        .iter()
        .filter_map(|row| match row.item {
            Item::Certificate(index) => Some((row.level, all.get(index)?)),
            _ => None,
        })
        .map(|(level, one)| TableRow {
            cells: vec![
                cell(one.days_left.map_or_else(|| "?".into(), left), theme.level(level)),
                cell(format!("{} {}", theme.glyph(level), state(one)), theme.level(level)),
                cell(&one.of.context, plain),
                cell(&one.secret, plain),
                cell(&one.title, dim),
                cell(one.not_after.map_or_else(String::new, |at| at.strftime("%Y-%m-%d").to_string()), plain),
                cell(signer(one), dim),
                cell(one.common_name.clone().unwrap_or_default(), dim),
            ],
            below: Vec::new(),
        })
        .collect();
    table::draw(frame, area, theme, &columns, &table, app.cursor(rows));
}

/// Name and the beginning of the key id: two CAs of one name are two.
fn signer(one: &Certificate) -> String {
    let name = one.issuer.clone().unwrap_or_default();
    match &one.signer_key_id {
        Some(id) if id.len() > 8 => format!("{name} {}", colons(&id[..8])),
        Some(id) => format!("{name} {}", colons(id)),
        None => name,
    }
}

pub fn state(one: &Certificate) -> &'static str {
    match one.held {
        Held::Unseen => "not seen",
        Held::Absent => "missing",
        Held::Seen => match one.troubles.iter().min_by_key(|one| one.kind.only_warns()) {
            None => "in order",
            Some(trouble) => trouble.kind.word(),
        },
    }
}
