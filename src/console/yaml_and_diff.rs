//! One object as it is served, and two of them side by side: `managedFields` folded away, equal fields counted.
//!
//! Secrets are no kind that can be asked for here (`fleet::logs_and_events::Kind`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::{Page, clean, pad, span, width};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::status_level::Level;
use crate::fleet::logs_and_events::Thing;
use crate::pluralize::counted;

/// What differs between any two objects.
const OWN: [&str; 8] = [
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.name",
    "metadata.namespace",
    "metadata.generateName",
];

/// What an object is, before what it says.
const FIRST: [&str; 3] = ["apiVersion", "kind", "metadata"];

pub fn page(app: &App, theme: Theme, thing: &Thing) -> Page {
    let mut page = Page::default();
    let head = vec![
        span(format!("  {} ", thing.kind.word()), theme.style(Role::Dim)),
        span(thing.of.to_string(), theme.style(Role::Strong)),
    ];
    page.push(head);
    page.gap();
    match object(app, 0) {
        Shown::Asking => page.push(vec![span("  asking…", theme.style(Role::Dim))]),
        Shown::Unseen(why) => page.push(vec![span(format!("  {why}"), theme.level(Level::Bad))]),
        Shown::Is(object) => {
            let mut object = in_order(object);
            let managers = if app.screen().unfolded { 0 } else { fold_managers(&mut object) };
            let text =
                serde_saphyr::to_string(&object).unwrap_or_else(|error| format!("# it cannot be written: {error}"));
            for line in text.lines() {
                page.push(yaml_line(theme, line));
            }
            if managers > 0 {
                let text = format!("  # managedFields of {} left out; z shows them", counted(managers, "manager"));
                page.push(vec![span(text, theme.style(Role::Dim))]);
            }
        }
    }
    page
}

/// An object as people write one: what it is stands first, wherever the server put it.
fn in_order(object: &Value) -> Value {
    let Value::Object(fields) = object else { return object.clone() };
    let first = FIRST.iter().filter_map(|key| fields.get_key_value(*key));
    let rest = fields.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    first.chain(rest).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Takes `managedFields` out; gives how many managers there were.
fn fold_managers(object: &mut Value) -> usize {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    let taken = metadata.and_then(|metadata| metadata.shift_remove("managedFields"));
    taken.as_ref().and_then(Value::as_array).map_or(0, Vec::len)
}

/// Keys stand out by weight, too, so that a screen without colour says the same; those above others most of all.
fn yaml_line(theme: Theme, line: &str) -> Vec<ratatui::text::Span<'static>> {
    let plain = theme.style(Role::Plain);
    let body = line.trim_start_matches([' ', '-']);
    let indent = &line[..line.len() - body.len()];
    let key = body.split_once(':').filter(|(key, rest)| {
        !key.is_empty() && !key.contains([' ', '"', '\'']) && (rest.is_empty() || rest.starts_with(' '))
    });
    match key {
        Some((key, rest)) => {
            let role = if rest.is_empty() { Role::Title } else { Role::Key };
            vec![span(format!("  {indent}"), plain), span(format!("{key}:"), theme.style(role)), span(rest, plain)]
        }
        None => vec![span(format!("  {line}"), plain)],
    }
}

pub fn compare(app: &App, theme: Theme, room: usize, one: &Thing, other: &Thing) -> Page {
    let mut page = Page::default();
    let (dim, strong) = (theme.style(Role::Dim), theme.style(Role::Strong));
    for (sign, thing) in [("A", one), ("B", other)] {
        let head = vec![span(format!("  {sign} {} ", thing.kind.word()), dim), span(thing.of.to_string(), strong)];
        page.push(head);
    }
    page.gap();
    let (first, second) = match (object(app, 0), object(app, 1)) {
        (Shown::Is(first), Shown::Is(second)) => (first, second),
        (Shown::Unseen(why), _) | (_, Shown::Unseen(why)) => {
            page.push(vec![span(format!("  {why}"), theme.level(Level::Bad))]);
            return page;
        }
        _ => {
            page.push(vec![span("  asking…", dim)]);
            return page;
        }
    };
    let (differing, equal) = differences(first, second);
    let columns = Columns::of(&differing, room);
    for (path, left, right) in &differing {
        if let Some(line) = columns.as_ref().and_then(|columns| columns.line(theme, path, left, right)) {
            page.push(line);
            continue;
        }
        page.push(vec![span(format!("  {path}"), strong)]);
        for (sign, value, level) in [("A", left, Level::Good), ("B", right, Level::Working)] {
            let head = vec![span(format!("    {sign} "), dim)];
            let style = if value.is_some() { theme.level(level) } else { dim };
            page.hang(head, value.as_deref().unwrap_or("(not there)"), style, room.saturating_sub(1));
        }
    }
    page.gap();
    let unfolded = app.screen().unfolded;
    let how = if unfolded { "equal" } else { "equal and folded; z shows them" };
    let sum = format!("  {} differ, {} {how}", counted(differing.len(), "field"), equal.len());
    page.push(vec![span(sum, dim)]);
    for (path, value) in equal.iter().filter(|_| unfolded) {
        page.hang(vec![span(format!("  {path}  "), dim)], value, dim, room.saturating_sub(1));
    }
    page
}

/// From this width on a field that fits has its values beside each other.
const SIDE_BY_SIDE: usize = 100;

/// Where the two values of a field stand, in columns.
struct Columns {
    path: usize,
    value: usize,
}

impl Columns {
    fn of(differing: &[Difference], room: usize) -> Option<Self> {
        let longest = differing.iter().map(|(path, ..)| width(path)).filter(|wide| *wide <= room * 2 / 5).max()?;
        let value = room.checked_sub(longest + 7)? / 2;
        (room >= SIDE_BY_SIDE && value >= 16).then_some(Self { path: longest, value })
    }

    /// `None`: it does not fit, and nothing that differs is cut off.
    fn line(
        &self,
        theme: Theme,
        path: &str,
        left: &Option<String>,
        right: &Option<String>,
    ) -> Option<Vec<ratatui::text::Span<'static>>> {
        let text = |value: &Option<String>| clean(value.as_deref().unwrap_or("(not there)")).into_owned();
        let (one, other) = (text(left), text(right));
        if width(path) > self.path || width(&one) > self.value || width(&other) > self.value {
            return None;
        }
        let style = |value: &Option<String>, level| match value {
            Some(_) => theme.level(level),
            None => theme.style(Role::Dim),
        };
        Some(vec![
            span(format!("  {}  ", pad(path, self.path)), theme.style(Role::Strong)),
            span(format!("{}  ", pad(&one, self.value)), style(left, Level::Good)),
            span(other, style(right, Level::Working)),
        ])
    }
}

/// A field with its values on both sides.
type Difference = (String, Option<String>, Option<String>);

/// What differs, and the fields that are equal with their values.
fn differences(one: &Value, other: &Value) -> (Vec<Difference>, Vec<(String, String)>) {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    flatten(one, String::new(), &mut left);
    flatten(other, String::new(), &mut right);
    let mut paths: Vec<&String> = left.keys().chain(right.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut equal = Vec::new();
    let mut differing = Vec::new();
    for path in paths {
        let (before, after) = (left.get(path), right.get(path));
        if before == after {
            equal.extend(before.map(|value| (path.clone(), value.clone())));
        } else {
            differing.push((path.clone(), before.cloned(), after.cloned()));
        }
    }
    (differing, equal)
}

fn flatten(value: &Value, path: String, fields: &mut BTreeMap<String, String>) {
    if OWN.contains(&path.as_str()) || path == "metadata.managedFields" {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, value)| flatten(value, below(key), fields)),
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                // Lists of named things are compared by name: an order of their own says nothing.
                let named = item.get("name").or_else(|| item.get("type")).and_then(Value::as_str);
                let key = named.map_or_else(|| format!("{path}[{at}]"), |name| format!("{path}[{name}]"));
                flatten(item, key, fields);
            }
        }
        Value::String(text) => drop(fields.insert(path, text.clone())),
        other => drop(fields.insert(path, other.to_string())),
    }
}

enum Shown<'a> {
    Asking,
    Unseen(&'a str),
    Is(&'a Value),
}

fn object(app: &App, at: usize) -> Shown<'_> {
    match app.closeup.objects.get(at) {
        None | Some(None) => Shown::Asking,
        Some(Some(Err(why))) => Shown::Unseen(why),
        Some(Some(Ok(object))) => Shown::Is(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_told_by_field() {
        let one = json!({"metadata": {"name": "a", "uid": "1", "managedFields": [{"x": 1}]}, "spec": {"version": "v1",
            "pd": {"replicas": 3}, "list": [{"name": "x", "v": 1}, {"name": "y", "v": 2}]}});
        let mut other = one.clone();
        other["metadata"]["uid"] = json!("2");
        other["spec"]["version"] = json!("v2");
        other["spec"]["list"] = json!([{"name": "y", "v": 2}, {"name": "x", "v": 1}]);
        other["spec"]["added"] = json!(true);
        let (differing, equal) = differences(&one, &other);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            differing,
            [("spec.added".to_owned(), None, text("true")), ("spec.version".to_owned(), text("v1"), text("v2")),]
        );
        assert_eq!(equal.len(), 5);
        let mut folded = one.clone();
        assert_eq!(fold_managers(&mut folded), 1);
        assert!(!folded.to_string().contains("managedFields"));
    }
}
