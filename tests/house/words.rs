//! Words that people read, of every text of every shipped runbook: both languages say the same values, and Chinese ones use
//! the terms of PingCAP's Chinese documents.
//!
//! Not here: whether an expression has an answer (`runbook lint`), sentences of the program itself (their own tests).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::source::code;
use serde_json::Value;
use tidepilot::runbook::language::document::{Runbook, SHIPPED, Severity};

/// A text of a runbook, and where it stands.
struct Said {
    place: String,
    en: String,
    zh: Option<String>,
}

fn every_text() -> Vec<Said> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
    let mut all = Vec::new();
    for file in fs::read_dir(folder).expect("the runbooks").flatten() {
        let text = fs::read_to_string(file.path()).expect("readable");
        let document: Value = serde_saphyr::from_str(&text).expect("YAML");
        collect(&document, &file.file_name().to_string_lossy(), &mut all);
    }
    assert!(all.len() > 600, "only {} texts were found, so they are not looked for rightly", all.len());
    all
}

fn collect(value: &Value, place: &str, all: &mut Vec<Said>) {
    match value {
        Value::Object(map) => {
            let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
            if let Some(en) = text("en").filter(|_| map.keys().all(|key| key == "en" || key == "zh")) {
                all.push(Said { place: place.to_owned(), en, zh: text("zh") });
                return;
            }
            let own = text("id").unwrap_or_default();
            map.iter().for_each(|(key, inner)| collect(inner, &format!("{place} {own}.{key}"), all));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, place, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The names in each `${…}` of a text, without the words that an expression itself prints.
fn values(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        rest = &rest[at + 2..];
        let (mut depth, mut quoted, mut name, mut end) = (1, false, String::new(), rest.len());
        for (at, c) in rest.char_indices() {
            match c {
                '\'' => quoted = !quoted,
                '{' if !quoted => depth += 1,
                '}' if !quoted => depth -= 1,
                _ => {}
            }
            let part = !quoted && (c.is_ascii_alphanumeric() || c == '_' || c == '.');
            if part {
                name.push(c);
            } else if !name.is_empty() {
                names.insert(std::mem::take(&mut name));
            }
            if depth == 0 {
                end = at;
                break;
            }
        }
        rest = &rest[end..];
    }
    names
}

#[test]
fn both_languages_say_the_same_values() {
    let mut wrong = Vec::new();
    for said in every_text() {
        match &said.zh {
            None => wrong.push(format!("{}: has no Chinese text", said.place)),
            Some(zh) if values(&said.en) != values(zh) => {
                wrong.push(format!("{}\n  en {}\n  zh {zh}", said.place, said.en));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let pair = ("set ${a.b} of ${c ? c : 'x'}", "设置 ${c ? c : '未知'} 的 ${a.b}");
    assert_eq!(values(pair.0), values(pair.1));
    assert_ne!(values("Patch ${inputs.domain}"), values("修改"));
}

/// Words with which a sentence says what to do.
const ADVICE: &[&str] = &[
    "add", "ask", "bring", "change", "choose", "connect", "delete", "finish", "give", "grant", "have", "install",
    "issue", "keep", "leave", "look", "make", "name", "needs", "plan", "put", "remove", "replace", "resume", "run",
    "scale", "see", "set", "suspend", "take", "turn", "unpause", "upgrade", "use", "wait",
];

#[test]
fn every_refusal_says_what_to_do() {
    let mut silent = Vec::new();
    let mut seen = 0;
    for (id, _) in SHIPPED {
        let runbook = Runbook::shipped(id).expect("ships");
        for check in runbook.preflight.iter().filter(|check| check.severity == Severity::Refuse) {
            seen += 1;
            let words = check.fail.en.to_lowercase();
            let mut words = words.split(|c: char| !c.is_ascii_alphabetic());
            if !words.any(|word| ADVICE.contains(&word)) {
                silent.push(format!("{id} {}: {}", check.id, check.fail.en));
            }
        }
    }
    assert!(seen > 200, "{seen} refusals");
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

/// Words that a reader of PingCAP's Chinese documents stumbles over, and what stands there.
const NOT_SO: &[(&str, &str)] = &[
    ("数据库", "TiDB 集群"),
    ("开放", "开启跨 Kubernetes 集群功能"),
    ("卷声明", "PVC"),
    ("厂商", "PingCAP"),
    ("滚动重启", "滚动更新"),
    ("无从滚动", "无法滚动更新"),
    ("隐患", "风险项"),
    ("名字空间", "命名空间"),
    ("Tidb集群", "TiDB 集群"),
    ("容器组", "Pod"),
    ("领导者", "leader"),
    ("' of '", "' 的 '"),
];

#[test]
fn chinese_texts_use_the_terms_of_the_documents() {
    let chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let mut wrong = Vec::new();
    for said in every_text() {
        let zh = said.zh.unwrap_or_default();
        for (not, but) in NOT_SO {
            if zh.contains(not) {
                wrong.push(format!("{}: {not}, where the documents say {but}\n  {zh}", said.place));
            }
        }
        let pairs = zh.chars().zip(zh.chars().skip(1));
        let glued = |(a, b): (char, char)| {
            (chinese(a) && b.is_ascii_alphanumeric()) || (a.is_ascii_alphanumeric() && chinese(b))
        };
        if let Some((a, b)) = pairs.into_iter().find(|pair| glued(*pair)) {
            wrong.push(format!("{}: no blank between {a} and {b}\n  {zh}", said.place));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Counts of which there are always several, or which are no counts.
const SEVERAL: &[&str] = &[
    "TidbClusters are called",
    "members are called",
    "an even number tolerates",
    "members have the peerURL",
    "objects at",
    "PD pods run",
    "bytes",
    "characters",
    "TiKV for",
    "members {are} in no connected context",
    "PD members are in",
    "copies of one region",
    " get pods ",
    "lines => format!",
    "if lines == 1",
];

/// A sentence that counts says `1 step` as well: its nouns go through `counted`.
#[test]
fn numbers_agree_with_their_nouns() {
    const NOUNS: &str = "ways steps places members regions leaders stores changes checks things pods days seconds lines \
        TidbClusters replicas copies contexts findings problems minutes hours votes clusters KubeClusters records objects \
        files leases certificates samples requests attempts times claims errors warnings components hazards \
        Databases Secrets documents entries others";
    let nouns: Vec<&str> = NOUNS.split_whitespace().collect();
    let mut wrong = Vec::new();
    let mut read = 0;
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources").flatten() {
            let path = entry.path();
            if path.is_dir() && path.ends_with("sim") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("readable");
            let sentences = code(&text);
            for (number, line) in sentences.lines().enumerate().filter(|(_, line)| line.contains('"')) {
                read += 1;
                let said =
                    !line.trim_start().starts_with("//") && !SEVERAL.iter().any(|several| line.contains(several));
                if said
                    && (nouns.iter().any(|noun| line.contains(&format!("{}(s)", noun.trim_end_matches('s'))))
                        || miscounted(line, &nouns))
                {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(read > 3000, "only {read} lines were looked at");
    assert!(wrong.is_empty(), "`counted` says 1 step and 2 steps:\n{}", wrong.join("\n"));
    assert!(miscounted("\"lease taken in {} places\"", &nouns) && miscounted("\"{n} PD pods\"", &nouns));
    assert!(!miscounted("\"{n} steps of {MOST_STEPS} steps\"", &["ways"]) && !miscounted("\"{MOST} steps\"", &nouns));
}

/// Whether a number that is not written in capitals is followed, after at most one word, by a plural.
fn miscounted(line: &str, nouns: &[&str]) -> bool {
    line.match_indices('}').any(|(at, _)| {
        let name = line[..at].rsplit('{').next().unwrap_or_default();
        let constant = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let Some(rest) = line[at + 1..].strip_prefix(' ') else { return false };
        let words: Vec<&str> = rest.split([' ', '"', ',', ';', ':', '.', ')']).take(2).collect();
        !constant
            && words.iter().enumerate().any(|(place, word)| {
                nouns.contains(word) && (place == 0 || words[0].chars().all(char::is_alphabetic) && words[0] != "of")
            })
    })
}
