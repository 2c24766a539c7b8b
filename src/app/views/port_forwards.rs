//! The ports on this machine that lead into pods.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, ViewSpec, column, middle, number, state};
use crate::app::App;
use crate::app::port_forwards::State;
use crate::app::status_level::{Level, age, bytes};

pub const SPEC: ViewSpec = ViewSpec {
    title: "forwards",
    names: &["forwards", "pf", "portforwards"],
    about: "ports on this machine that lead into pods (F opens one)",
    columns: &[
        column("HERE", 15, 0),
        number("PORT", 12, 0),
        middle("POD", 14, 0),
        column("CLUSTER", 7, 2),
        state("STATE", 6, 1),
        column("CONNECTIONS", 11, 3),
        number("TO POD", 7, 4),
        number("FROM POD", 8, 4),
        number("SINCE", 5, 5).aging(),
    ],
    rows,
    empty: "No port leads into a pod: F on a pod, a member or a store opens one.",
    faults: false,
    help: "x ends the one under the cursor; all end with the console",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    app.forwards
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let traffic = &one.traffic;
            let (level, word) = match (&one.state, &traffic.trouble) {
                (State::Opening, _) => (Level::Working, "opening"),
                (State::Over(_), _) => (Level::Bad, "over"),
                (State::Listens(_), Some(_)) => (Level::Working, "in trouble"),
                (State::Listens(_), None) => (Level::Good, "open"),
            };
            let name = if one.name.is_empty() { String::new() } else { format!(" {}", one.name) };
            let mut row = Row::new(one.id.to_string(), level, Item::Forward(index))
                .found_by(format!("{} {}", one.pod, one.name))
                .copies(one.address().unwrap_or_default())
                .cells(vec![
                    Cell::strong(one.address().unwrap_or("-")),
                    Cell::plain(format!("{}{name}", one.port)).ordered_by(i64::from(one.port)),
                    Cell::plain(&one.pod.name),
                    Cell::plain(&one.pod.context),
                    Cell::level(level, word),
                    Cell::plain(format!("{} of {}", traffic.open, traffic.connections)),
                    Cell::plain(bytes(traffic.to_pod)).ordered_by(traffic.to_pod.cast_signed()),
                    Cell::plain(bytes(traffic.from_pod)).ordered_by(traffic.from_pod.cast_signed()),
                    Cell::plain(age(one.since, app.now)).of(one.since),
                ]);
            let why = match &one.state {
                State::Over(why) => Some(why),
                State::Opening | State::Listens(_) => traffic.trouble.as_ref(),
            };
            if let Some(why) = why {
                row = row.note(0, why, super::Tone::Level(level));
            }
            row
        })
        .collect()
}
