//! Golden screens: every scene at 80×24, some at 120×32 and 200×50, with colour as runs of style, without colour, in
//! ASCII; and every scene at every small size, where only survival counts.

use crate::fixture;
use crate::fixture::{SCENES, options, scene};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use tidepilot::app::{App, AppOptions};
use tidepilot::console;

fn draw(app: &mut App, width: u16, height: u16) -> Buffer {
    app.resize(width, height);
    app.limit_scroll(console::scroll_limit(app, Rect::new(0, 0, width, height)));
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

fn golden(name: &str, size: (u16, u16), options: AppOptions, suffix: &str) {
    let mut app = scene(name, options);
    let buffer = draw(&mut app, size.0, size.1);
    insta::assert_snapshot!(format!("{name}_{}x{}{suffix}", size.0, size.1), text(&buffer));
}

#[test]
fn at_80_by_24() {
    for name in SCENES {
        golden(name, (80, 24), options(), "");
    }
}

#[test]
fn at_120_by_32() {
    for name in [
        "overview",
        "members",
        "clusters",
        "plan",
        "run",
        "problems",
        "findings",
        "certificates",
        "approvals",
        "approval",
        "runs-of-documents",
    ] {
        golden(name, (120, 32), options(), "");
    }
}

#[test]
fn at_200_by_50() {
    for name in ["overview", "healthy", "members", "stores", "clusters", "tidbclusters", "plan", "run", "gate"] {
        golden(name, (200, 50), options(), "");
    }
}

#[test]
fn in_ascii() {
    for name in ["overview", "members", "plan", "run", "gate", "help"] {
        golden(name, (80, 24), AppOptions { ascii: true, ..options() }, "_ascii");
    }
    for name in SCENES.iter().filter(|name| **name != "hostile") {
        for size in [(80, 24), (200, 50)] {
            let buffer = draw(&mut scene(name, AppOptions { ascii: true, ..options() }), size.0, size.1);
            let strange: String = text(&buffer).chars().filter(|c| !c.is_ascii()).collect();
            assert!(strange.is_empty(), "{name} shows {strange:?} in ASCII mode");
        }
    }
}

#[test]
fn styles_with_color() {
    for name in ["overview", "gate", "refused", "findings"] {
        let buffer = draw(&mut scene(name, options()), 80, 24);
        insta::assert_snapshot!(format!("{name}_styles"), styles(&buffer));
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
    insta::assert_snapshot!("overview_styles_no_color", styles(&buffer));
    assert!(text(&buffer).contains('▌'));
    // The same words, with and without colour.
    assert_eq!(text(&buffer), text(&draw(&mut scene("overview", options()), 80, 24)));
}

#[test]
fn read_only_says_so() {
    for (name, size) in [("overview", (80, 24)), ("overview", (40, 12)), ("plan", (80, 24))] {
        let buffer = draw(&mut scene(name, AppOptions { read_only: true, ..options() }), size.0, size.1);
        assert!(text(&buffer).contains("READ-ONLY"), "{name} at {size:?}:\n{}", text(&buffer));
    }
    golden("plan", (80, 24), AppOptions { read_only: true, ..options() }, "_read_only");
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
    let mut app = scene("plan", options());
    fixture::press(&mut app, "G");
    let end = text(&draw(&mut app, 80, 24));
    fixture::press(&mut app, "GG<ctrl-f>");
    assert_eq!(end, text(&draw(&mut app, 80, 24)));
    fixture::press(&mut app, "k");
    let above = text(&draw(&mut app, 80, 24));
    assert_ne!(end, above, "one line up from the end is seen at once");
}
