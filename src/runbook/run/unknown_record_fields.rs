//! What a newer version wrote and this one does not know: a field that is dropped in silence may be a guard.
//!
//! Pure: a value as it was read, and the same as this version would write it. A field that is in the one and not in the
//! other is unknown, unless it says nothing (null, false, an empty list): those are left out when they are written. Not
//! here: what is done about it ([`crate::runbook::run::record`], [`crate::runbook::run`]).

use serde::Serialize;
use serde_json::Value;

/// Fields that are left out where they have their default.
const DEFAULTS: &[(&str, u64)] = &[("approvers", 1)];

/// The first field of `read` that `known`, made from it, has lost; as a path.
pub fn unknown_field(read: &Value, known: &impl Serialize) -> Option<String> {
    lost(read, &serde_json::to_value(known).ok()?, "")
}

fn lost(read: &Value, known: &Value, at: &str) -> Option<String> {
    match (read, known) {
        (Value::Object(read), Value::Object(known)) => read.iter().find_map(|(name, value)| {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            match known.get(name) {
                Some(known) => lost(value, known, &path),
                None if says_nothing(name, value) => None,
                None => Some(path),
            }
        }),
        (Value::Array(read), Value::Array(known)) => read
            .iter()
            .zip(known)
            .enumerate()
            .find_map(|(index, (read, known))| lost(read, known, &format!("{at}[{index}]"))),
        // One form of the same written as another has lost what the first had beside it.
        (Value::Object(read), _) => {
            read.keys().next().filter(|_| !known.is_object()).map(|name| format!("{at}.{name}"))
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_), _) => None,
    }
}

fn says_nothing(name: &str, value: &Value) -> bool {
    let default = DEFAULTS.iter().any(|(field, default)| *field == name && value.as_u64() == Some(*default));
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::String(_) | Value::Number(_) => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_lost_is_named_by_its_path() {
        for (read, known, path) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": [{"b": 1}, {"b": 1, "c": 2}]}), json!({"a": [{"b": 1}, {"b": 1}]}), Some("a[1].c")),
            (json!({"a": null, "b": false, "c": [], "d": {}, "approvers": 1}), json!({}), None),
            (json!({"approvers": 3}), json!({}), Some("approvers")),
            (json!({"mustNotBefore": "x"}), json!({}), Some("mustNotBefore")),
            (json!({"pre": [{"check": "x", "unless": "y"}]}), json!({"pre": [{"check": "x"}]}), Some("pre[0].unless")),
        ] {
            assert_eq!(unknown_field(&read, &known).as_deref(), path, "{read}");
        }
    }
}
