//! Lists, Databases and the matrix are computed once for a change, however often they are drawn.

use crate::fixture::{now, options, press, scene};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;
use tidepilot::app::App;
use tidepilot::app::message::Message;
use tidepilot::console;
use tidepilot::fleet::{Change, WatchEvent, What};

pub fn frames(app: &mut App, count: usize) {
    app.resize(120, 40);
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("infallible");
    for _ in 0..count {
        terminal.draw(|frame| console::draw(app, frame)).expect("infallible");
    }
}

#[test]
fn a_list_is_computed_once_for_a_change_and_not_once_for_a_frame() {
    let mut app = scene("overview", options());
    frames(&mut app, 1);
    let before = app.counts();
    frames(&mut app, 50);
    assert_eq!(app.counts(), before, "fifty frames of the same state");
    press(&mut app, "j");
    frames(&mut app, 3);
    let after = app.counts();
    assert_eq!(after.matrices, before.matrices, "the fleet has not changed");
    assert_eq!(after.rows, before.rows, "a cursor that moves changes no row");
    press(&mut app, "1");
    frames(&mut app, 3);
    let after = app.counts();
    assert!(after.rows > before.rows && after.rows <= before.rows + 2, "{after:?} after {before:?}");
}

/// A pod of the Database in front that is another one with each number.
fn moved(number: usize) -> Change {
    let pod = json!({
        "metadata": {"namespace": "db", "name": "basic-pd-0", "uid": format!("uid-{number}"),
            "labels": {"app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "pd"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    });
    let pod = serde_json::from_value(pod).expect("a pod");
    Change { context: "east".into(), at: now(), what: What::Pod(WatchEvent::Set(pod)) }
}

#[test]
fn what_moves_between_two_frames_is_made_once_and_only_where_it_moved() {
    for view in [":db<enter>", ":overview<enter>", ":pods<enter>", ":stores<enter>", "f"] {
        let mut app = scene("overview", options());
        let count = app.databases().len();
        assert!(count > 1, "one Database shows nothing");
        press(&mut app, view);
        frames(&mut app, 1);
        let before = app.counts();
        (0..100).for_each(|number| drop(app.update(Message::Fleet(moved(number)), now())));
        app.update(Message::Tick, now());
        assert_eq!(app.counts().databases, before.databases, "{view}: messages alone make nothing");
        frames(&mut app, 1);
        let after = app.counts();
        assert_eq!(after.databases, before.databases + 1, "{view}: once for a frame");
        assert_eq!(after.made, before.made + 1, "{view}: only the Database of that namespace");
    }
}
