//! Lists, Databases and the matrix are computed once for a change, however often they are drawn.

use crate::fixture::{options, press, scene};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidepilot::app::App;
use tidepilot::console;

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
