//! What is asked at three in the morning, and how many keys it takes from the overview: key string → what is on the screen.

use crate::fixture::{options, press, scene};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidepilot::app::App;
use tidepilot::console;

/// The screen after these keys.
pub fn shown(name: &str, keys: &str, size: (u16, u16)) -> String {
    let mut app = scene(name, options());
    app.resize(size.0, size.1);
    press(&mut app, keys);
    screen_of(&mut app, size)
}

/// The screen as it is.
pub fn screen_of(app: &mut App, size: (u16, u16)) -> String {
    app.resize(size.0, size.1);
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("infallible");
    terminal.draw(|frame| console::draw(app, frame)).expect("infallible");
    let buffer = terminal.backend().buffer().clone();
    (0..size.1).map(|y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>() + "\n").collect()
}

#[track_caller]
fn answers(keys: &str, size: (u16, u16), wanted: &[&str]) {
    let text = shown("overview", keys, size);
    for wanted in wanted {
        assert!(text.contains(wanted), "{keys:?} at {size:?} does not show {wanted:?}:\n{text}");
    }
}

#[test]
fn without_a_key() {
    // Is it safe, what can be lost; who leads; who is ill; how does the store stand; is it one cluster?
    answers("", (80, 24), &["PD 3/3, tolerates 1", "losing cluster east: no quorum", "2 wrong", "★", "✖ CrashLoop"]);
    answers("", (150, 42), &["TiKV      2/3 ready  3,601 peers", "one cluster?", "? leader"]);
    // What can be lost and what is wrong is said wherever one is.
    answers(":stores<enter>", (150, 42), &["losing cluster east: no quorum", "✖ 2 wrong", "PD 3/3, tolerates 1"]);
    // Which version it runs, how its stores stand, and what time it is, where there is room.
    answers("", (150, 42), &["basic [1/2] v8.5.4", "TiKV ■■■□ 3/4", "12:00Z"]);
    answers(":stores<enter>", (200, 50), &["losing cluster east: no quorum", "TiKV ■■■□ 3/4", "PEERS"]);
    // Which peerURL is wrong, and in what.
    answers(":pd<enter>", (120, 36), &["svc⟨.north.example.com⟩:2380"]);
}

#[test]
fn with_one_key() {
    // What do Kubernetes and PD say of this one?
    answers("j", (150, 42), &["basic-pd-1 in east", "Kubernetes", "5b7720aa91c30d42", "healthy"]);
    answers("!", (120, 36), &["failover-on", "store-not-up"]);
    // From a problem to what it is about, and what helps.
    answers("!jjj<enter><enter>", (120, 36), &["TidbCluster north/db/basic"]);
}

#[test]
fn a_form_begins_with_what_the_cursor_is_on() {
    let mut app = scene("overview", options());
    press(&mut app, "r<enter>");
    let form = app.form.as_ref().expect("a form");
    assert_eq!(form.inputs().get("tidbCluster").map(String::as_str), Some("east/db/basic"));
    // Named in the palette, it is about the same.
    let mut app = scene("overview", options());
    press(&mut app, ":run migrate-cluster-domain<enter>");
    let filled = app.form.as_ref().and_then(|form| form.inputs().get("tidbCluster").cloned());
    assert_eq!(filled.as_deref(), Some("east/db/basic"));
    press(&mut app, "<esc>:run migrate-cluster-domain on north/db/basic<enter>");
    let filled = app.form.as_ref().and_then(|form| form.inputs().get("tidbCluster").cloned());
    assert_eq!(filled.as_deref(), Some("north/db/basic"), "the line comes before the cursor");
}
