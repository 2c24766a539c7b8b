//! The certificates of every TidbCluster with TLS, the one that ends first on top.
//! Drawn by `console::table`.
//!
//! Not here: what is judged (`fleet::tls`), the order (`fleet::certificate_list`), one certificate in full (`console::detail`).

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, state as of_state};
use crate::app::App;
use crate::app::status_level::Level;
use crate::fleet::certificate_facts::colons;
use crate::fleet::certificate_list::{Certificate, Held, left};

pub const SPEC: ViewSpec = ViewSpec {
    title: "certificates",
    names: &["certificates", "tls"],
    about: "TLS certificates by their end",
    columns: &[
        column("LEFT", 11, 0),
        of_state("STATE", 12, 0),
        column("CLUSTER", 7, 1),
        middle("SECRET", 27, 0),
        column("FOR", 7, 2),
        column("UNTIL", 10, 4),
        column("SIGNED BY", 6, 5),
        column("NAME", 4, 6),
    ],
    rows,
    empty: "No TidbCluster here has TLS between its components, so there is no certificate to watch. ! lists what is wrong otherwise.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let all = app.certificates().iter().enumerate();
    let rows = all.filter(|(_, one)| app.in_focus(Some(&one.of.context))).map(|(index, one)| {
        let level = level(one);
        let days = one.days_left;
        let mut made = Row::new(key(one), level, Item::Certificate(index))
            .copies(format!("{}/{}/{}", one.of.context, one.of.namespace, one.secret))
            .cells(vec![
                Cell::new(days.map_or_else(|| "?".into(), left), Tone::Level(level))
                    .ordered_by(days.unwrap_or(i64::MIN)),
                Cell::level(level, state(one)),
                Cell::plain(&one.of.context),
                Cell::plain(&one.secret),
                Cell::dim(&one.title),
                Cell::plain(one.not_after.map_or_else(String::new, |at| at.strftime("%Y-%m-%d").to_string())),
                Cell::dim(signer(one)),
                Cell::dim(one.common_name.clone().unwrap_or_default()),
            ]);
        made.old = !app.is_live(&one.of.context);
        made
    });
    rows.collect()
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

/// Stays the same while it is the same certificate of the same TidbCluster, renewed or not.
pub fn key(certificate: &Certificate) -> String {
    format!("{} {} {}", certificate.of, certificate.secret, certificate.title)
}

pub fn level(certificate: &Certificate) -> Level {
    match certificate.held {
        Held::Unseen => Level::Unknown,
        Held::Absent => Level::Bad,
        Held::Seen if certificate.is_wrong() => Level::Bad,
        Held::Seen if certificate.troubles.is_empty() => Level::Good,
        Held::Seen => Level::Working,
    }
}
