//! Golden screens: every scene at 80×24, 120×36 and 200×50, one file each; each also in ASCII, the main
//! ones as runs of style with and without colour. And every scene at every small size, where only survival counts.

use crate::fixture;
use crate::fixture::{SCENES, options, scene};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use tidepilot::app::{App, AppOptions, Subject, View};
use tidepilot::console;

fn draw(app: &mut App, width: u16, height: u16) -> Buffer {
    app.resize(width, height);
    console::settle(app, Rect::new(0, 0, width, height));
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("infallible");
    terminal.draw(|frame| console::draw(app, frame)).expect("infallible");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let mut lines = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        for x in 0..buffer.area.width {
            line.push_str(buffer[(x, y)].symbol());
        }
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

/// One line per run of cells with the same style, for all that is not plain.
fn styles(buffer: &Buffer) -> String {
    let mut lines = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(String, Color, Color, Modifier)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            match runs.last_mut() {
                Some((text, fg, bg, modifier)) if (*fg, *bg, *modifier) == (cell.fg, cell.bg, cell.modifier) => {
                    text.push_str(cell.symbol());
                }
                _ => runs.push((cell.symbol().to_owned(), cell.fg, cell.bg, cell.modifier)),
            }
        }
        for (text, fg, bg, modifier) in runs {
            let plain = fg == Color::Reset && bg == Color::Reset && modifier.is_empty();
            if !plain && !text.trim().is_empty() {
                let on = if bg == Color::Reset { String::new() } else { format!(" on {bg:?}") };
                lines.push_str(&format!("{y:>2} {:?} {fg:?}{on} {modifier:?}\n", text.trim()));
            }
        }
    }
    lines
}

/// Sizes of the golden screens.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 50)];

/// Scenes that are also kept as runs of style, with and without colour.
const MAIN: [&str; 10] =
    ["overview", "members", "pods", "findings", "plan", "refused", "run", "gate", "help", "changed"];

/// Blank lines in a row are counted, not kept.
fn lean(text: &str) -> String {
    let mut out = String::new();
    let mut blank = 0;
    for line in text.lines().chain(["end"]) {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        match blank {
            0 => {}
            1 => out.push('\n'),
            more => out.push_str(&format!("~ {more} blank lines ~\n")),
        }
        blank = 0;
        out.push_str(line);
        out.push('\n');
    }
    out.strip_suffix("end\n").unwrap_or(&out).to_owned()
}

fn golden(name: &str, width: u16, height: u16, options: AppOptions) -> Buffer {
    draw(&mut scene(name, options), width, height)
}

/// All that is kept of a scene, in one file.
fn sheet(name: &str) -> String {
    let mut out = String::new();
    let mut part = |title: String, text: String| out.push_str(&format!("=== {title}\n{}", lean(&text)));
    for (width, height) in SIZES {
        part(format!("{width}x{height}"), text(&golden(name, width, height, options())));
    }
    part("80x24 ASCII".into(), text(&golden(name, 80, 24, AppOptions { ascii: true, ..options() })));
    if MAIN.contains(&name) {
        part("80x24 styles".into(), styles(&golden(name, 80, 24, options())));
        let plain = AppOptions { color: false, ..options() };
        part("80x24 styles without colour".into(), styles(&golden(name, 80, 24, plain)));
    }
    out
}

/// In parts, so that several run at once.
fn golden_part(part: usize) {
    for name in SCENES.iter().skip(part).step_by(3) {
        insta::assert_snapshot!(*name, sheet(name));
    }
}

#[test]
fn golden_screens_of_every_view() {
    golden_part(0);
}

#[test]
fn golden_screens_of_every_view_more() {
    golden_part(1);
}

#[test]
fn golden_screens_of_every_view_and_the_rest() {
    golden_part(2);
}

/// The table of views says which there are: none is without a golden screen.
#[test]
fn every_view_has_a_scene() {
    let seen: Vec<View> = SCENES.iter().map(|name| scene(name, options()).view().clone()).collect();
    for view in View::ALL {
        assert!(seen.contains(&view), "no scene shows {view:?}");
    }
    let with = |wanted: fn(&View) -> bool| seen.iter().any(wanted);
    assert!(with(|view| matches!(view, View::Logs { .. })));
    assert!(with(|view| matches!(view, View::Events(Some(_)))));
    assert!(with(|view| matches!(view, View::Yaml(_))));
    assert!(with(|view| matches!(view, View::Compare(..))));
    assert!(with(|view| matches!(view, View::Detail(Subject::Pod(_)))));
}

#[test]
fn ascii_is_ascii_in_every_view() {
    for name in SCENES.iter().filter(|name| **name != "hostile") {
        for size in [(80, 24), (200, 50)] {
            let buffer = draw(&mut scene(name, AppOptions { ascii: true, ..options() }), size.0, size.1);
            let strange: String = text(&buffer).chars().filter(|c| !c.is_ascii()).collect();
            assert!(strange.is_empty(), "{name} shows {strange:?} in ASCII mode");
        }
    }
}

#[test]
fn without_color_nothing_is_colored_and_the_cursor_stays() {
    for name in SCENES {
        let mut app = scene(name, AppOptions { color: false, ..options() });
        let buffer = draw(&mut app, 120, 32);
        for cell in &buffer.content {
            assert!(cell.fg == Color::Reset && cell.bg == Color::Reset, "{name} has colour");
        }
    }
    let buffer = draw(&mut scene("overview", AppOptions { color: false, ..options() }), 80, 24);
    assert!(text(&buffer).contains('▌'));
    // The same words, with and without colour; what has changed has a sign where it has no colour.
    for name in SCENES.iter().filter(|name| !matches!(**name, "changed" | "forwards")) {
        for (width, height) in SIZES {
            let plain = golden(name, width, height, AppOptions { color: false, ..options() });
            assert_eq!(text(&plain), text(&golden(name, width, height, options())), "{name} at {width}x{height}");
        }
    }
}

#[test]
fn read_only_says_so() {
    for (name, size) in [("overview", (80, 24)), ("overview", (40, 12)), ("plan", (80, 24))] {
        let buffer = draw(&mut scene(name, AppOptions { read_only: true, ..options() }), size.0, size.1);
        assert!(text(&buffer).contains("READ-ONLY"), "{name} at {size:?}:\n{}", text(&buffer));
    }
    let plan = golden("plan", 80, 24, AppOptions { read_only: true, ..options() });
    assert!(text(&plan).contains("read-only: this session cannot start a run"), "{}", text(&plan));
}

#[test]
fn any_size_is_survived() {
    for name in SCENES {
        let mut app = scene(name, options());
        for height in 0..=12 {
            for width in 0..=30 {
                draw(&mut app, width, height);
            }
        }
        for (width, height) in [(80, 24), (200, 50), (300, 1), (1, 100), (500, 200)] {
            draw(&mut app, width, height);
        }
    }
}

/// Where nothing fits that a person could decide by, that is said, and no piece of a view stands beside it.
#[test]
fn a_terminal_that_is_too_small_says_so() {
    for (name, words) in [("overview", ""), ("help", ""), ("run", "a question waits"), ("gate", "a question waits")] {
        let mut app = scene(name, options());
        for (width, height) in [(20, 5), (29, 40), (200, 5)] {
            let shown = text(&draw(&mut app, width, height));
            let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            let wanted = format!("terminal too small: {width}x{height}, needs 30x6 {words}");
            assert!(flat.starts_with(wanted.trim_end()), "{name}: {shown}");
            assert!(!shown.contains("pd-0") && !shown.contains("read-write"), "{name}: {shown}");
        }
        let shown = text(&draw(&mut app, 30, 6));
        assert!(!shown.contains("too small"), "{name}: {shown}");
    }
}

#[test]
fn nothing_from_a_cluster_reaches_the_terminal_as_control() {
    for keys in
        ["", ":ctx<enter>", ":pd<enter>", ":stores<enter>", ":tc<enter>", "!", ":db<enter>", ":pd<enter><enter>"]
    {
        let mut app = scene("hostile", options());
        fixture::press(&mut app, keys);
        let shown = text(&draw(&mut app, 200, 50));
        let evil: Vec<char> = shown.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
        assert!(evil.is_empty(), "{keys}: {evil:?}");
    }
}

#[test]
fn scrolling_ends_at_the_end() {
    let mut app = scene("cluster", options());
    draw(&mut app, 80, 12);
    fixture::press(&mut app, "G");
    let end = text(&draw(&mut app, 80, 12));
    fixture::press(&mut app, "GG<ctrl-f>");
    assert_eq!(end, text(&draw(&mut app, 80, 12)));
    fixture::press(&mut app, "k");
    let above = text(&draw(&mut app, 80, 12));
    assert_ne!(end, above, "one line up from the end is seen at once");
}
