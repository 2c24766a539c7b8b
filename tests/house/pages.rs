//! The pages that people read: links lead somewhere, the reference is what the program writes, commands are ones that
//! there are, helps say exit codes and give examples. Not here: whether what a page claims is so (`tests/program`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidepilot::cli::{commands, reference_pages};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page: its path from the root, and its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut all: Vec<PathBuf> = ["", "docs"]
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder").flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
        .collect();
    all.sort();
    assert!(all.len() > 10, "only {} pages", all.len());
    let text = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        (path.strip_prefix(root()).expect("below").to_path_buf(), text)
    };
    all.into_iter().map(text).collect()
}

/// The anchors of a page, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| {
        let line = line.trim_start_matches('#').trim().to_lowercase();
        let kept = line.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (page, text) in pages() {
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            if target.starts_with("http") {
                continue;
            }
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file.is_empty() {
                true => root().join(&page),
                false => root().join(page.parent().expect("a folder")).join(file),
            };
            if !path.exists() {
                wrong.push(format!("{}: {target} is not there", page.display()));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(&path).expect("a page")).contains(anchor) {
                wrong.push(format!("{}: {target} has no such heading", page.display()));
            }
        }
    }
    assert!(seen > 40, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reference_is_what_the_program_writes() {
    for (name, text) in reference_pages() {
        let lies = fs::read_to_string(root().join("docs").join(name)).unwrap_or_default();
        if lies != text {
            let differs = lies.lines().zip(text.lines()).find(|(lies, writes)| lies != writes);
            panic!("docs/{name} is not what the program writes: run `cargo run -- docs docs`. First: {differs:#?}");
        }
    }
}

/// The lines of a page's shell blocks that call the program, without comments.
fn called(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && ["```console", "```sh"].contains(&line.trim());
        } else if inside && line.starts_with("tidepilot ") {
            lines.push(line.split("  #").next().unwrap_or_default().to_owned());
        }
    }
    lines
}

/// Words as a shell makes them, as far as our pages go: quotes, and what ends a simple command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ';' | '|' | '>' | '&') => break,
            (None, ' ') if begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            (None, ' ') => {}
            (None, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    // `2>` leaves its number behind.
    words.retain(|word| word != "2");
    words
}

#[test]
fn commands_on_the_pages_are_ones_that_there_are() {
    let mut seen = 0;
    for (page, text) in pages() {
        // What was once so stays in the log of changes.
        if page == Path::new("CHANGELOG.md") {
            continue;
        }
        for line in called(&text) {
            seen += 1;
            if let Err(error) = commands().try_get_matches_from(words(&line)) {
                let help = matches!(
                    error.kind(),
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                );
                assert!(help, "{}: {line}\n{error}", page.display());
            }
        }
    }
    assert!(seen > 15, "only {seen} commands were found");
    assert!(commands().try_get_matches_from(words("tidepilot statsu")).is_err());
}

#[test]
fn the_readme_is_two_screens() {
    for (name, most) in [("README.md", 120), ("README.zh.md", 120)] {
        let text = fs::read_to_string(root().join(name)).expect("a README");
        assert!(text.lines().count() <= most, "{name} has {} lines", text.lines().count());
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 120).collect();
        assert!(long.is_empty(), "{name}: {long:?}");
    }
}

fn walk(command: &clap::Command, path: &str, wrong: &mut Vec<String>, seen: &mut usize) {
    for argument in command.get_arguments() {
        if argument.get_help().is_none() && argument.get_long_help().is_none() {
            wrong.push(format!("{path}: {} has no text", argument.get_id()));
        }
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    *seen += 1;
    if !after.contains("Exit codes") || !after.contains("Example") {
        wrong.push(format!("{path}: its help has no exit codes or no example"));
    }
    // What an example calls is there.
    for line in after.lines().filter_map(|line| line.strip_prefix("  tidepilot ")) {
        let line = format!("tidepilot {}", line.split("   ").next().unwrap_or_default());
        if let Err(error) = commands().try_get_matches_from(words(&line)) {
            wrong.push(format!("{path}: {line}\n{error}"));
        }
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        walk(below, &format!("{path} {}", below.get_name()), wrong, seen);
    }
}

#[test]
fn every_help_says_exit_codes_and_gives_an_example() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    walk(&commands(), "tidepilot", &mut wrong, &mut seen);
    assert!(seen > 25, "only {seen} commands");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
