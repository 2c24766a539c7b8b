//! Whether a value can have come from a template with `${…}` in it.
//!
//! What a hole says of the inputs alone is evaluated, and has to be so; a hole that names facts or bindings stands for
//! anything, since what was seen then is gone. Pure. Used by [`crate::runbook::plan::provenance`] and [`crate::runbook::actions::untrusted_plan`].

use serde_json::{Map, Value};

use crate::runbook::action_types::THIS_RUN;
use crate::runbook::language::cel_expr::{self, Scope};
use crate::runbook::language::template_holes::{Part, pieces, split};

/// `inputs`: a scope with the run's inputs, and nothing else.
pub(in crate::runbook) fn fits(template: &Value, value: &Value, inputs: &Scope) -> bool {
    match (template, value) {
        (Value::String(text), _) if text == THIS_RUN => value.is_string(),
        (Value::String(text), _) if alone(text) => match hole(text, inputs) {
            Some(Ok(expected)) => bare(&expected) == bare(value),
            Some(Err(())) => false,
            None => true,
        },
        (Value::String(text), Value::String(found)) => text_fits(text, found, inputs),
        (Value::Object(template), Value::Object(found)) => object_fits(template, found, inputs),
        (Value::Array(template), Value::Array(found)) => {
            let same = |(template, found)| fits(template, found, inputs);
            template.len() == found.len() && template.iter().zip(found).all(same)
        }
        (template, found) => template == found,
    }
}

/// Whether a template leaves a whole value open: what is in it cannot be told from the document.
pub(in crate::runbook) fn leaves_open(template: &Value, inputs: &Scope) -> bool {
    match template {
        Value::String(text) => alone(text) && hole(text, inputs).is_none(),
        Value::Array(items) => items.iter().any(|item| leaves_open(item, inputs)),
        Value::Object(map) => map.values().any(|item| leaves_open(item, inputs)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// What the template has and the value has not was left out as null.
fn object_fits(template: &Map<String, Value>, found: &Map<String, Value>, inputs: &Scope) -> bool {
    found.iter().all(|(key, value)| match template.get(key) {
        Some(template) => fits(template, value, inputs),
        None => matches!(value, Value::Null | Value::Bool(false)),
    })
}

/// One single `${…}`.
fn alone(text: &str) -> bool {
    matches!(split(text).as_deref(), Ok([Part::Hole(_)]))
}

/// The value of a text that is one hole about inputs only; `None`: it names something else as well.
fn hole(text: &str, inputs: &Scope) -> Option<Result<Value, ()>> {
    let source = text.strip_prefix("${")?.strip_suffix('}')?;
    let names = cel_expr::names(source).ok()?;
    let only = names.iter().any(|name| name == "inputs") && names.iter().all(|name| name == "inputs");
    only.then(|| cel_expr::eval(source, inputs).map_err(|_| ()))
}

/// Without what is null: a plan leaves it out.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), bare(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn text_fits(template: &str, found: &str, inputs: &Scope) -> bool {
    let Some(pieces) = known_pieces(template, inputs) else { return false };
    let [first, middle @ .., last] = pieces.as_slice() else {
        return pieces.first().is_some_and(|only| only == found);
    };
    let Some(mut rest) = found.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// What stands between the open holes, with the holes about inputs filled. `None`: one of those has no value.
fn known_pieces(template: &str, inputs: &Scope) -> Option<Vec<String>> {
    let all = pieces(template);
    let holes = cel_expr::holes(template).unwrap_or_default();
    let mut known: Vec<String> = Vec::new();
    for (index, piece) in all.iter().enumerate() {
        let filled = match index.checked_sub(1).and_then(|before| holes.get(before)) {
            Some(source) => hole(&format!("${{{source}}}"), inputs),
            None => None,
        };
        match (filled, known.last_mut()) {
            (Some(Ok(value)), Some(last)) => {
                last.push_str(&value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
                last.push_str(piece);
            }
            (Some(Err(())), _) => return None,
            (Some(Ok(_)) | None, _) => known.push(piece.clone()),
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_fit_their_templates() {
        let inputs = Scope::from([("inputs".to_owned(), json!({"version": "v8.5.4", "replicas": 3, "hole": "${x}"}))]);
        let cases = [
            (json!("${x}"), json!({"any": "thing"}), true),
            (json!("${ {'a': {'b': x}} }"), json!({"any": "thing"}), true),
            (json!("a-${x}-b"), json!("a-1-b"), true),
            (json!("a-${x}-b"), json!("a-1-c"), false),
            (json!("a-${x}-b-${y}"), json!("a-1-b-2"), true),
            (json!("a-${x}"), json!({"any": "thing"}), false),
            (json!("plain"), json!("plain"), true),
            (json!("plain"), json!("other"), false),
            (json!({"spec": {"acrossK8s": true}}), json!({"spec": {"acrossK8s": true}}), true),
            (json!({"spec": {"acrossK8s": true}}), json!({"spec": {"acrossK8s": true, "paused": true}}), false),
            (json!({"spec": {"acrossK8s": true}}), json!({"spec": {"acrossK8s": false}}), false),
            (json!({"a": "${x}", "b": 1}), json!({"b": 1}), true),
            (json!(["a", "b"]), json!(["a"]), false),
            (json!(THIS_RUN), json!("20261129-1"), true),
            (json!("${inputs.version}"), json!("v8.5.4"), true),
            (json!("${inputs.version}"), json!("v9.0.0"), false),
            (json!("${inputs.replicas}"), json!(3), true),
            (json!("${inputs.replicas}"), json!(0), false),
            (json!("${inputs.missing}"), json!("any"), false),
            (json!("thanos:${inputs.version}"), json!("thanos:v8.5.4"), true),
            (json!("thanos:${inputs.version}"), json!("thanos:v8.5.4@evil"), false),
            (json!("${x}:${inputs.version}"), json!("evil:v8.5.4"), true),
            (json!("${inputs.hole}"), json!("anything"), false),
            (json!("a${inputs.hole}"), json!("a${x}"), true),
            (json!("a${inputs.hole}"), json!("aanything"), false),
            (json!("${inputs.replicas == 0 ? null : {'a': null, 'b': 1}}"), json!({"b": 1}), true),
        ];
        for (template, value, expected) in cases {
            assert_eq!(fits(&template, &value, &inputs), expected, "{template} {value}");
        }
        assert!(leaves_open(&json!({"spec": "${without.zero}"}), &inputs));
        assert!(!leaves_open(&json!({"spec": {"version": "${inputs.version}"}}), &inputs));
    }
}
