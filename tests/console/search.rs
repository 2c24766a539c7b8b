//! A text that is looked for in a page: YAML, a description, a comparison.

use ratatui::layout::Rect;
use tidepilot::app::App;
use tidepilot::console;

use crate::fixture::{options, press, scene};
use crate::questions::screen_of;

/// The screen, as the loop draws it.
fn drawn(app: &mut App, size: (u16, u16)) -> String {
    app.resize(size.0, size.1);
    console::settle(app, Rect::new(0, 0, size.0, size.1));
    screen_of(app, size)
}

/// The screen after these keys, drawn after each.
fn found(keys: &str, size: (u16, u16)) -> String {
    let mut app = scene("yaml", options());
    drawn(&mut app, size);
    for key in keys.chars() {
        press(&mut app, &if key == '⏎' { "<enter>".to_owned() } else { key.to_string() });
        drawn(&mut app, size);
    }
    drawn(&mut app, size)
}

#[test]
fn what_is_looked_for_is_counted_and_brought_into_sight() {
    let typed = found("/REPLICAS", (100, 12));
    assert!(typed.contains("/REPLICAS 1 of 2"), "{typed}");
    let first = found("/replicas⏎", (100, 12));
    assert!(first.contains("/replicas 1 of 2") && first.contains("replicas:"), "{first}");
    let second = found("/replicas⏎n", (100, 12));
    assert!(second.contains("/replicas 2 of 2"), "{second}");
    let last = found("/replicas⏎N", (100, 12));
    assert!(last.contains("/replicas 2 of 2") && last.contains("the last again"), "{last}");
    let around = found("/replicas⏎nn", (100, 12));
    assert!(around.contains("/replicas 1 of 2") && around.contains("the first again"), "{around}");
}

#[test]
fn what_is_not_there_is_said_and_no_letter_means_anything_else() {
    let none = found("/rics⏎", (100, 12));
    assert!(none.contains("/rics in no line") && none.contains("YAML"), "{none}");
    let unasked = found("n", (100, 12));
    assert!(unasked.contains("/ takes a text"), "{unasked}");
}

#[test]
fn esc_takes_the_text_away_and_leaves_the_page() {
    let mut app = scene("yaml", options());
    press(&mut app, "/");
    press(&mut app, "p");
    press(&mut app, "<esc>");
    let text = drawn(&mut app, (100, 30));
    assert!(!text.contains("</p") && text.contains("YAML"), "{text}");
}
