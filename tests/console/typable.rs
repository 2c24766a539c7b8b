//! Whatever the console shows as a command can be typed as it stands: the first hint, every `:word` of its sentences, and the
//! lines for a shell on its screens, which are also commands that there are.
//!
//! Not here: whether a plan that a finding prints would be refused (`runbook::plan::advised_commands_tests`).

use std::collections::BTreeSet;
use std::path::Path;

use crate::fixture::{SCENES, app, fleet, now, options, press, scene};
use crate::keys::{place, sent};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tidepilot::app::App;
use tidepilot::app::driver::runbook_catalog::{Lang, RunbookCatalog};
use tidepilot::app::message::Message;
use tidepilot::app::status_level::Level;
use tidepilot::console;

/// Types a line after `:` and says what is wrong with that, if anything is.
fn refused(app: &mut App, line: &str) -> Option<String> {
    press(app, ":");
    for letter in line.chars() {
        press(app, &letter.to_string());
    }
    press(app, "<enter>");
    let flash = app.flash.as_ref().filter(|flash| flash.level == Level::Bad);
    flash.map(|flash| format!(":{line} says {:?}", flash.text))
}

#[test]
fn the_first_hint_can_be_typed_as_it_is_shown() {
    let mut app = scene("overview", options());
    let hint = {
        let fresh = fresh();
        fresh.first_job().unwrap_or_else(|| panic!("no hint at {}", place(&fresh)))
    };
    let line = hint.strip_prefix("try :").expect("a line of the palette");
    assert_eq!(refused(&mut app, line), None);
    assert_eq!(place(&app), "inputs");
    let form = app.form.as_ref().expect("a form");
    assert_eq!(form.runbook.id, "migrate-cluster-domain");
    assert_eq!(form.inputs().get("tidbCluster").map(String::as_str), Some("east/shop/orders"));
    // With all that is needed enter plans.
    let mut app = scene("overview", options());
    assert_eq!(refused(&mut app, &format!("{line} clusterDomain=east.example.com")), None);
    let effects = press(&mut app, "<enter>");
    assert_eq!(
        sent(&effects),
        "plan migrate-cluster-domain clusterDomain=east.example.com tidbCluster=east/shop/orders"
    );
}

/// A rehearsal in which no key was pressed.
fn fresh() -> App {
    app(options(), fleet())
}

#[test]
fn what_a_line_says_wrongly_is_told() {
    for (line, wanted) in [
        ("run migrate-cluster-domain on nowhere", "no CONTEXT/NAMESPACE/NAME"),
        ("run migrate-cluster-domain nonsense", "is no input"),
        ("run migrate-cluster-domain pod=x", "it has tidbCluster"),
        ("run nosuch on east/db/basic", "no runbook"),
        ("tidepilot run nosuch", "nosuch"),
    ] {
        let said = refused(&mut fresh(), line).unwrap_or_else(|| panic!("{line} was taken"));
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn the_target_of_a_line_is_completed() {
    let mut app = fresh();
    press(&mut app, ":run migrate-cluster-domain on orders<tab>");
    assert_eq!(place(&app), "overview [:run migrate-cluster-domain on east/shop/orders]");
    let mut app = fresh();
    press(&mut app, ":run migrate-cluster-domain north<tab><enter>");
    let form = app.form.as_ref().expect("a form");
    assert_eq!(form.inputs().get("tidbCluster").map(String::as_str), Some("north/db/basic"));
}

/// The string literals of a source file, comments left out.
fn literals(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let mut parts = line.split('"');
        parts.next();
        while let (Some(inside), rest) = (parts.next(), parts.next()) {
            all.push(inside.to_owned());
            if rest.is_none() {
                break;
            }
        }
    }
    all
}

/// The `:word`s of a sentence.
fn words(sentence: &str) -> Vec<String> {
    let letters: Vec<char> = sentence.chars().collect();
    let mut all = Vec::new();
    for at in 0..letters.len() {
        let begins = at == 0 || matches!(letters[at - 1], ' ' | '(' | '`');
        if letters[at] != ':' || !begins {
            continue;
        }
        let word: String = letters[at + 1..].iter().take_while(|c| c.is_ascii_lowercase()).collect();
        let after = letters.get(at + 1 + word.len());
        if !word.is_empty() && after.is_none_or(|c| matches!(c, ' ' | ',' | ')' | '.' | ';' | '`')) {
            all.push(word);
        }
    }
    all
}

#[test]
fn every_word_that_a_sentence_of_the_console_names_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.join("app"), root.join("console")];
    let mut seen = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).expect("a source");
                let product = text.split("#[cfg(test)]").next().unwrap_or_default();
                seen.extend(literals(product).iter().flat_map(|literal| words(literal)));
            }
        }
    }
    assert!(seen.len() >= 7 && seen.contains("ns"), "only {seen:?}");
    let wrong: Vec<String> = seen.iter().filter_map(|word| refused(&mut fresh(), word)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The lines for a shell on the screen of a scene, and in its copy menu.
fn shell_lines(name: &str) -> BTreeSet<String> {
    let mut app = scene(name, options());
    app.resize(300, 90);
    let mut terminal = Terminal::new(TestBackend::new(300, 90)).expect("infallible");
    terminal.draw(|frame| console::draw(&app, frame)).expect("infallible");
    let buffer = terminal.backend().buffer().clone();
    // What the copy menu hands out as a command is one too.
    let copied = app.copyable().into_iter().map(|item| item.text).filter(|text| text.starts_with("tidepilot "));
    let mut all: BTreeSet<String> = copied.collect();
    for y in 0..90 {
        let line: String = (0..300).map(|x| buffer[(x, y)].symbol()).collect();
        for (at, _) in line.match_indices("tidepilot ") {
            let rest = &line[at..];
            let command = rest.split(['│', '`', ';', '#', '…']).next().unwrap_or_default();
            let command = command.split("  ").next().unwrap_or_default().trim().trim_end_matches([',', '.', ')']);
            let verb = command.split_whitespace().nth(1).unwrap_or_default();
            if ["run", "plan", "runs", "check", "status", "diagnose"].contains(&verb) {
                all.insert(command.to_owned());
            }
        }
    }
    all
}

#[test]
fn the_lines_for_a_shell_are_commands_and_lead_somewhere_here() {
    let shipped = RunbookCatalog { folder: None, lang: Lang::En }.infos();
    let mut seen = 0;
    for name in SCENES.iter().filter(|name| **name != "hostile") {
        for line in shell_lines(name) {
            seen += 1;
            let shell: Vec<&str> = line.split_whitespace().collect();
            let parsed = tidepilot::cli::commands().try_get_matches_from(&shell);
            assert!(parsed.is_ok(), "{name}: {line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
            let mut app = scene(name, options());
            press(&mut app, "<esc><esc><esc>");
            app.update(Message::Runbooks(shipped.clone()), now());
            assert_eq!(refused(&mut app, &line), None, "{name}");
        }
    }
    assert!(seen >= 5, "only {seen} lines were seen");
}
