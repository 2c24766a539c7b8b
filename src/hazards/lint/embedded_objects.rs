//! TidbClusters inside of other objects: a task of Ansible, a ConfigMap, whatever else a tool applies them from.
//!
//! Only what is one by its apiVersion and kind. Not here: lists of Kubernetes, which are objects themselves ([`crate::hazards::lint::yaml_documents`]).

use serde_json::Value;

/// A TidbCluster of Operator v1, or a list of them.
fn is_ours(value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    text("apiVersion").starts_with("pingcap.com/") && matches!(text("kind"), "TidbCluster" | "TidbClusterList")
}

/// Those inside of a value, in its order; a whole document kept as a text counts as well.
pub(super) fn inside(value: &Value, read: &impl Fn(&str) -> Option<Value>) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(map) => map.values().for_each(|value| look(value, read, &mut all)),
        other => look(other, read, &mut all),
    }
    all
}

fn look(value: &Value, read: &impl Fn(&str) -> Option<Value>, all: &mut Vec<Value>) {
    match value {
        ours if is_ours(ours) => all.push(ours.clone()),
        Value::Object(map) => map.values().for_each(|value| look(value, read, all)),
        Value::Array(items) => items.iter().for_each(|value| look(value, read, all)),
        Value::String(text) if text.contains("pingcap.com/") && text.contains('\n') => {
            let documents = text.split("\n---").filter_map(read);
            all.extend(documents.filter(is_ours));
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Of more than these the places are not looked for.
const MOST: usize = 64;

/// The texts of the mappings in block style that have such an apiVersion, with the index of their first lines.
pub(super) fn texts(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let marks = lines.iter().enumerate().filter(|(_, line)| {
        let bare = line.trim_start_matches([' ', '-']);
        bare.starts_with("apiVersion:") && bare.contains("pingcap.com/") && depth(line) > 0
    });
    // Each is walked to both its ends: of very many the place of the whole has to do.
    marks
        .take(MOST + 1)
        .map(|(mark, line)| {
            let indent = depth(line);
            let inner = |index: &usize| blank(lines[*index]) || depth(lines[*index]) >= indent;
            // The dash of a list's item stands before its first key.
            let dashed = |index: usize| lines[index].trim_start().starts_with("- ");
            let mut start = mark;
            while start > 0 && !dashed(start) && inner(&(start - 1)) {
                start -= 1;
            }
            let end = (mark + 1..lines.len()).find(|index| !inner(index)).unwrap_or(lines.len());
            let body: Vec<&str> = lines[start..end].iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
            (start, body.join("\n") + "\n")
        })
        .collect()
}
