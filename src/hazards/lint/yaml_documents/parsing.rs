//! YAML text into documents: templates, lists, braces that are not YAML's, keys that stand twice.

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{Document, Operations, Origin, Set, Twice};
use crate::hazards::lint::embedded_objects;
use crate::hazards::lint::limits::{OBJECTS, TIDB_CLUSTERS, cut};
use crate::hazards::lint::shell_variables::Variables;

/// Most that is told of a parser's words, which quote what they found.
const WORDS: usize = 600;

pub(super) fn take(set: &mut Set, file: &str, first_line: usize, text: &str, namespace: &str, origin: Origin) {
    let in_shell = origin != Origin::File;
    let mut start = first_line;
    let mut body = String::new();
    let mut parts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            parts.push((start, std::mem::take(&mut body)));
            start = first_line + index + 1;
            continue;
        }
        body.push_str(line);
        body.push('\n');
    }
    parts.push((start, body));
    for (line, text) in parts {
        // A directive (`%YAML 1.2`) stands before the document that it is about.
        let bare = text
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.starts_with("%YAML "));
        if bare {
            continue;
        }
        if set.documents.len() >= OBJECTS {
            set.more_objects += 1;
            continue;
        }
        if is_template(&text) {
            set.unreadable.push(format!(
                "{file}:{line}: this is a template of Helm or Jinja, and what it becomes is not known; render it first (helm template …) and check what comes out"
            ));
            continue;
        }
        // `${x}`, `${x:-y}` and `${var.x}` in a flow mapping: their braces are not YAML's.
        let bare = |why| parse(&Variables::bare(&text)).map_err(|_| why);
        let parsed = parse(&text).or_else(bare).or_else(|why| match in_shell {
            true => parse(&without_braces(&text)).map_err(|_| why),
            false => Err(why),
        });
        match parsed {
            Ok((value @ Value::Object(_), twice)) => {
                let twice = twice.map(|(key, at)| Twice { file: file.to_owned(), line: line + at - 1, key });
                set.twice.extend(twice);
                add(set, file, line, &text, value, namespace, origin);
            }
            Ok((value @ Value::Array(_), _)) if add_nested(set, file, line, &text, &value, namespace) => {}
            Ok((value, _)) if are_operations(&value) => {
                set.operations.push(Operations { file: file.to_owned(), line, value });
            }
            Ok(_) => set.unreadable.push(format!("{file}:{line}: expected an object, found another kind of YAML")),
            Err((why, at)) => {
                let why = cut(&why, WORDS);
                set.unreadable.push(format!("{file}:{}: this is not YAML: {why}", line + at - 1));
            }
        }
    }
}

/// What can be read only after a template's branches and loops were followed. A `{{ name }}` in a value is a placeholder;
/// in the text of a rule or of a message it is somebody else's.
fn is_template(text: &str) -> bool {
    let chart = text.contains("{{") && [".Values", ".Release", ".Chart"].iter().any(|mark| text.contains(mark));
    let begins = |line: &str| line.trim_start().starts_with("{{") || line.contains("{{-") || line.contains("{%");
    (chart || text.lines().any(begins)) && parse(text).is_err()
}

/// What was read, and a key that stands twice, with its line.
type Parsed = (Value, Option<(String, usize)>);

/// Whether a list is one of operations.
fn are_operations(value: &Value) -> bool {
    let operation =
        |item: &Value| item.get("op").is_some_and(Value::is_string) && item.get("path").is_some_and(Value::is_string);
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(operation))
}

/// An inline patch.
pub(in crate::hazards::lint) fn value_of(text: &str) -> Option<Value> {
    parse(text).ok().map(|(value, _)| value)
}

/// Reads one document; a key that stands twice counts as kubectl counts it: the last one. `Err`: why not, and in which line.
fn parse(text: &str) -> Result<Parsed, (String, usize)> {
    let error = match serde_saphyr::from_str::<Value>(text) {
        Ok(value) => return Ok((value, None)),
        Err(error) => error,
    };
    let line =
        |error: &serde_saphyr::Error| error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1)).max(1);
    let last = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.clone().unwrap_or_else(|| "a key".to_owned());
        let value = serde_saphyr::from_str_with_options::<Value>(text, last)
            .map_err(|error| (first_line(&error), line(&error)))?;
        return Ok((value, Some((key, line(&error)))));
    }
    // `key: {{ name }}` without quotes is a mapping in YAML; with quotes it is the text that was meant.
    let quoted: Vec<String> = text.lines().map(quote_placeholder).collect();
    if quoted.iter().zip(text.lines()).any(|(now, before)| now != before)
        && let Ok(value) = serde_saphyr::from_str_with_options::<Value>(&quoted.join("\n"), last)
    {
        return Ok((value, None));
    }
    Err((first_line(&error), line(&error)))
}

/// Every `${…}` as `$_`.
fn without_braces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        // Within its line; one that is not closed there has none behind it that is: it is not searched for each of them.
        let line = after.split('\n').next().unwrap_or_default();
        match line.find('}') {
            Some(end) => {
                out.push_str("$_");
                rest = &after[end + 1..];
            }
            None => {
                out.push_str("${");
                out.push_str(line);
                rest = &after[line.len()..];
            }
        }
    }
    out + rest
}

/// What is wrong with it, without the parser's own counting of lines and its advice to programmers.
fn first_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" at line ").next().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim_end_matches(',').to_owned()
}

fn quote_placeholder(line: &str) -> String {
    let begin = [": {{", "- {{", ": %", ": @"].iter().find_map(|mark| line.find(mark));
    let Some(begin) = begin else { return line.to_owned() };
    let (before, value) = line.split_at(begin + 2);
    format!("{before}'{}'", value.trim_end().replace('\'', "''"))
}

fn add(set: &mut Set, file: &str, line: usize, text: &str, value: Value, namespace: &str, origin: Origin) {
    // `kind: List` and `TidbClusterList` hold objects of their own.
    let items = value.get("items").and_then(Value::as_array);
    if value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
        && let Some(items) = items
    {
        let texts = item_texts(text).filter(|texts| texts.len() == items.len());
        for (index, item) in items.iter().enumerate() {
            // In flow style they stand wherever the list does; its whole text with each of them would be too much.
            let (at, text) = texts.as_ref().map_or((0, ""), |texts| (texts[index].0, texts[index].1.as_str()));
            add(set, file, line + at, text, item.clone(), namespace, origin);
        }
        return;
    }
    if set.documents.len() >= OBJECTS {
        set.more_objects += 1;
        return;
    }
    if value.get("kind").and_then(Value::as_str) != Some("TidbCluster") {
        add_nested(set, file, line, text, &value, namespace);
    }
    let own = value.pointer("/metadata/namespace").and_then(Value::as_str);
    let namespace = own.unwrap_or(namespace).to_owned();
    let text = text.to_owned();
    let in_shell = origin != Origin::File;
    let document = Document { file: file.to_owned(), first_line: line, text, value, namespace, in_shell, origin };
    if document.is_tidb_cluster() {
        set.clusters += 1;
        if set.clusters > TIDB_CLUSTERS {
            set.more_clusters += 1;
            return;
        }
    }
    set.documents.push(document);
}

/// What another object carries; whoever applies that one replaces variables in it. `true`: there was something.
fn add_nested(set: &mut Set, file: &str, line: usize, text: &str, value: &Value, namespace: &str) -> bool {
    let read = |text: &str| parse(text).ok().map(|(value, _)| value);
    let found = embedded_objects::inside(value, &read);
    let texts = embedded_objects::texts(text);
    let texts = (texts.len() == found.len()).then_some(texts);
    let any = !found.is_empty();
    for (index, item) in found.into_iter().enumerate() {
        let (at, text) = texts.as_ref().map_or((0, ""), |texts| (texts[index].0, texts[index].1.as_str()));
        add(set, file, line + at, text, item, namespace, Origin::Inside);
    }
    any
}

/// The texts of a list's items with the index of their first lines, written in block style.
fn item_texts(text: &str) -> Option<Vec<(usize, String)>> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| line.starts_with("items:"))? + 1;
    let dash = |line: &str| line.trim_start().starts_with("- ").then(|| line.len() - line.trim_start().len());
    let indent = lines[start..].iter().find_map(|line| dash(line))?;
    let mut all: Vec<(usize, String)> = Vec::new();
    for (index, line) in lines.iter().enumerate().skip(start) {
        let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        let depth = line.len() - line.trim_start().len();
        if !blank && (depth < indent || (depth == indent && dash(line) != Some(indent))) {
            break;
        }
        if dash(line) == Some(indent) {
            all.push((index, String::new()));
        }
        if let Some((_, text)) = all.last_mut() {
            // Without the dash, so that its keys stand one below the other.
            let line = if dash(line) == Some(indent) { line.replacen("- ", "  ", 1) } else { (*line).to_owned() };
            text.push_str(line.get(indent + 2..).unwrap_or_default());
            text.push('\n');
        }
    }
    Some(all)
}
