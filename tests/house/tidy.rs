//! The picture in ARCHITECTURE.md, held to the code: import directions, file lengths, headers, README commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::source::code;

/// What each room may import of the others. `app/driver` is the one part of `app` that may touch `client`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("fleet", &["pluralize", "invalid_value", "did_you_mean"]),
    ("hazards", &["fleet", "pluralize"]),
    ("runbook", &["hazards", "fleet", "pluralize", "did_you_mean", "invalid_value"]),
    ("client", &["files", "runbook", "fleet", "pluralize"]),
    ("app", &["runbook", "hazards", "fleet", "pluralize", "did_you_mean"]),
    ("console", &["report", "app", "runbook", "hazards", "fleet", "sanitize", "pluralize"]),
    ("report", &["app", "runbook", "hazards", "fleet", "pluralize"]),
    ("sim", &[]),
    ("sanitize", &[]),
    ("pluralize", &[]),
    ("did_you_mean", &[]),
    ("invalid_value", &["did_you_mean"]),
    ("config", &["files", "invalid_value"]),
    ("files", &[]),
    (
        "cli",
        &[
            "invalid_value",
            "app",
            "client",
            "config",
            "console",
            "pluralize",
            "files",
            "fleet",
            "hazards",
            "did_you_mean",
            "report",
            "runbook",
            "sanitize",
            "sim",
        ],
    ),
];

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source tree is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable source");
            (path.strip_prefix(&root).expect("below src").to_path_buf(), text)
        })
        .collect()
}

fn room(path: &Path) -> String {
    let first = path.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_go_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in all() {
        let own = room(&path);
        let Some(allowed) = allowed.get(own.as_str()) else { continue };
        // The tests of a room may stand above it: the fleets of `hazards` serve those of `fleet`.
        if path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            for (at, _) in line.match_indices("crate::") {
                if line.trim_start().starts_with("//") || line[..at].ends_with("$") {
                    continue;
                }
                let rest = &line[at + "crate::".len()..];
                let target: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                seen += 1;
                let driver = path.starts_with("app/driver") && (target == "client" || target == "files");
                // Tests of the parsers hold their sentences against the door of printed text.
                let fuzz = path == Path::new("client/fuzz.rs") && (target == "sanitize" || target == "hazards");
                let demo = own != "cli" || target != "sim" || path == Path::new("cli/demo.rs");
                if target != own && !driver && !fuzz && (!allowed.contains(&target.as_str()) || !demo) {
                    wrong.push(format!("{}:{}: {own} imports {target}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(seen > 50, "the scan found only {seen} imports, so it does not scan");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `client/wire/link.rs` on a page is a file of ours, and `client::wire::link::…` begins with one.
#[test]
fn pages_name_files_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> =
        ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"].map(|page| root.join(page)).to_vec();
    pages.extend(fs::read_dir(root.join("docs")).expect("there are pages").flatten().map(|entry| entry.path()));
    let is_room = |name: &str| MAY_IMPORT.iter().any(|(room, _)| *room == name);
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ext| ext == "md")) {
        let text = fs::read_to_string(page).expect("readable page");
        for named in text.split('`').skip(1).step_by(2) {
            let path = named.trim_start_matches("src/").replace("::", "/");
            let first = path.split('/').next().unwrap_or_default();
            let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.'));
            if !plain || !is_room(first) || !path.contains('/') || named.contains("//") {
                continue;
            }
            seen += 1;
            let source = |stem: &str| root.join("src").join(stem);
            // A path leads to a file or a folder; what is named after a module is an item of it.
            let leads = match named.contains("::") {
                false => source(&path).exists(),
                true => {
                    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                    ends.map(|end| &path[..end]).any(|stem| {
                        source(stem).with_extension("rs").exists() || (stem != first && source(stem).exists())
                    })
                }
            };
            if !leads {
                wrong.push(format!("{}: {named}", page.strip_prefix(root).expect("ours").display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} were looked at");
    assert!(wrong.is_empty(), "{} lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
}

/// `client::wire::link` in a comment leads to a file of ours, or to something in one.
#[test]
fn comments_name_files_that_there_are() {
    let files: BTreeMap<String, String> = all()
        .into_iter()
        .map(|(path, text)| {
            let path = path.with_extension("");
            let parts: Vec<String> =
                path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            (parts.join("::").trim_end_matches("::mod").to_owned(), code(&text))
        })
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in all() {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//")) {
            for named in line.split('`').skip(1).step_by(2) {
                let named = named.trim_start_matches("crate::").trim_end_matches("()");
                let plain = named.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
                let ours =
                    named.split_once("::").is_some_and(|(room, _)| MAY_IMPORT.iter().any(|(own, _)| *own == room));
                if !plain || !ours {
                    continue;
                }
                seen += 1;
                let parts: Vec<&str> = named.split("::").collect();
                let leads = (1..=parts.len()).rev().find_map(|end| {
                    let text = files.get(&parts[..end].join("::"))?;
                    Some(parts.get(end).is_none_or(|item| holds(text, item)))
                });
                // A folder without a file of its own.
                let folder = files.keys().any(|file| file.starts_with(&format!("{named}::")));
                if leads != Some(true) && !folder {
                    wrong.push(format!("{}:{}: {named}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} were looked at");
    assert!(wrong.is_empty(), "{} lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a word stands in the code of a file, comments aside.
fn holds(text: &str, word: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).any(|found| found == word)
}

#[test]
fn files_are_one_room_each_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let lines = text.lines().count();
        if lines > 700 {
            wrong.push(format!("{}: {lines} lines; it wants to be two files", path.display()));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not begin with what it is (//!)", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A context may be called whatever a kubeconfig says: each line for a shell begins where it is quoted.
#[test]
fn a_line_for_kubectl_begins_in_one_place() {
    let begins: Vec<String> = all()
        .iter()
        .filter(|(path, text)| !path.ends_with("tests.rs") && code(text).contains("kubectl --context {"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_eq!(begins, ["fleet/kubectl_quoting.rs"]);
}

#[test]
fn pure_rooms_have_no_clock_and_no_io() {
    let mut wrong = Vec::new();
    for (path, text) in all() {
        let pure = matches!(room(&path).as_str(), "fleet" | "hazards" | "runbook")
            || (room(&path) == "app" && !path.starts_with("app/driver"));
        for word in ["tokio::", "reqwest::", "kube::", "std::fs", "std::net", "::now()", "rand::", "Instant"] {
            // A page may name a room of ours that is called like the crate.
            if pure && text.replace("client::kube::", "").contains(word) {
                wrong.push(format!("{} uses {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_apply_writes() {
    for (path, text) in all() {
        if room(&path) == "client" && !path.starts_with("client/write") {
            for word in ["Method::PATCH", "Method::PUT", "Method::DELETE", ".patch(", ".delete("] {
                assert!(
                    !text.contains(word) || path == Path::new("client/wire/read_only_gate.rs"),
                    "{} uses {word}",
                    path.display()
                );
            }
        }
    }
}

/// What a person does by hand has its own leave and its own marks; each is made in one place.
#[test]
fn what_is_done_by_hand_has_doors_of_its_own() {
    let doors: [(&str, &[&str]); 3] = [
        ("HandPermit::for_context", &["app/driver/port_forwards.rs", "app/driver/shells.rs"]),
        ("Mark::LocalPort", &["client/wire/local_port_forward.rs", "client/wire/read_only_gate.rs"]),
        ("Mark::Shell", &["client/wire/read_only_gate.rs", "client/wire/shell.rs"]),
    ];
    for (word, wanted) in doors {
        let mut found: Vec<String> = all()
            .into_iter()
            .filter(|(_, text)| text.contains(word))
            .map(|(path, _)| path.display().to_string())
            .collect();
        found.sort();
        assert_eq!(found, wanted, "{word}");
    }
}

#[test]
fn the_readme_opens_with_the_two_commands() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let commands: Vec<&str> = readme.lines().filter(|line| line.starts_with("cargo ")).take(2).collect();
    assert_eq!(commands, ["cargo run -- demo", "cargo test"]);
}

#[test]
fn every_file_on_the_map_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("a map");
    let named = map.split('`').skip(1).step_by(2).filter(|name| !name.contains(['{', ' ', '*']));
    let files: Vec<&str> = named.filter(|name| name.ends_with(".rs") || name.ends_with('/')).collect();
    let missing: Vec<&&str> =
        files.iter().filter(|name| !root.join(name).exists() && !root.join("src").join(name).exists()).collect();
    assert!(files.len() > 80 && missing.is_empty(), "of {}: {missing:?}", files.len());
}
