//! Which file leans on which, from the `use` lines and paths of the source, tests left out: and which of them lean on each
//! other in a circle, so that none can be read first.
//!
//! A parent and its own children are one file in parts and no circle. Not here: which room may import which ([`super::tidy`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::source::{bare, code, test_files};

/// Module path (`client::wire::link`) → source without comments and tests.
fn modules() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, out: &mut BTreeMap<String, String>, tests: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("the source tree is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, root, out, tests);
                continue;
            }
            if path.extension().is_none_or(|ext| ext != "rs") {
                continue;
            }
            let relative = path.strip_prefix(root).expect("below src").with_extension("");
            let mut parts: Vec<String> =
                relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            if parts.last().is_some_and(|last| last == "mod") {
                parts.pop();
            }
            let text = fs::read_to_string(&path).expect("readable source");
            let own = parts.join("::");
            tests.extend(test_files(&text).into_iter().map(|name| format!("{own}::{name}")));
            let code = code(&text);
            out.insert(own, code.lines().map(bare).collect::<Vec<_>>().join("\n"));
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut out, mut tests) = (BTreeMap::new(), Vec::new());
    walk(&root, &root, &mut out, &mut tests);
    out.retain(|name, _| !tests.iter().any(|test| name == test || name.starts_with(&format!("{test}::"))));
    out.remove("lib");
    out.remove("main");
    out
}

/// Every path in a `use` tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d`, `a::c::e`.
fn leaves(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        if !path.is_empty() {
            out.push(format!("{prefix}{path}"));
        }
        return;
    };
    let (mut depth, mut start) = (0_usize, 0);
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let prefix = format!("{prefix}{}", head.trim());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                leaves(&prefix, &inner[start..at], out);
                start = at + 1;
            }
            _ => {}
        }
    }
    leaves(&prefix, &inner[start..], out);
}

/// All paths of a file that may lead to another one.
fn paths(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let begins = rest[..at].chars().next_back().is_none_or(|before| before.is_whitespace() || before == ')');
        rest = &rest[at + "use ".len()..];
        if begins && let Some(end) = rest.find(';') {
            let flat: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            leaves("", &flat, &mut out);
        }
    }
    for head in ["crate::", "super::"] {
        for (at, _) in code.match_indices(head) {
            let inside = code[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_');
            if !inside {
                out.push(code[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect());
            }
        }
    }
    out
}

/// The file that a path leads to, seen from a module.
fn target(all: &BTreeMap<String, String>, from: &str, path: &str) -> Option<String> {
    let mut base: Vec<&str> = from.split("::").collect();
    let mut rest: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    match *rest.first()? {
        "crate" => {
            base.clear();
            rest.remove(0);
        }
        "super" => {
            while rest.first() == Some(&"super") {
                base.pop();
                rest.remove(0);
            }
        }
        child if all.contains_key(&format!("{from}::{child}")) => {}
        _ => return None,
    }
    base.extend(rest);
    (1..=base.len()).rev().map(|end| base[..end].join("::")).find(|name| all.contains_key(name))
}

/// One file in parts: a module and what lies below it.
fn kin(a: &str, b: &str) -> bool {
    a.starts_with(&format!("{b}::")) || b.starts_with(&format!("{a}::"))
}

/// What can be reached from one module, itself only in a circle.
fn reached<'a>(edges: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut todo: Vec<&str> = edges.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(next) = todo.pop() {
        if seen.insert(next) {
            todo.extend(edges.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    seen
}

#[test]
fn no_circle_of_files() {
    let all = modules();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, code) in &all {
        let to = paths(code).into_iter().filter_map(|path| target(&all, from, &path));
        let to = to.filter(|to| to != from && !kin(from, to) && !from.starts_with("sim"));
        edges.entry(from.clone()).or_default().extend(to);
    }
    let count: usize = edges.values().map(BTreeSet::len).sum();
    assert!(count > 500, "the scan found only {count} imports, so it does not scan");
    let reach: BTreeMap<&str, BTreeSet<&str>> = all.keys().map(|from| (from.as_str(), reached(&edges, from))).collect();
    let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (from, to) in &reach {
        let circle: Vec<&str> = to.iter().copied().filter(|other| reach[other].contains(from)).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    let circles: Vec<String> = circles.iter().map(|circle| circle.join(" ")).collect();
    assert!(circles.is_empty(), "{} circles of files that lean on each other:\n{}", circles.len(), circles.join("\n"));
}
