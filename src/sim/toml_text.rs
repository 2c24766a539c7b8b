//! TOML as the library that TiDB Operator uses writes it: keys sorted, plain values before tables, two spaces a level.
//!
//! Only what a component's `config` holds. Reading is the `toml` crate's.

use serde_json::{Map, Value};

/// The tree of a `config`, given as an object or as text. What is no TOML gives nothing, as the operator could not read it.
pub fn read(config: &Value) -> Map<String, Value> {
    match config {
        Value::Object(tree) => tree.clone(),
        Value::String(text) => toml::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

pub fn write(tree: &Map<String, Value>) -> String {
    let mut out = String::new();
    table(&mut out, tree, &[]);
    out
}

fn table(out: &mut String, fields: &Map<String, Value>, path: &[String]) {
    let indent = "  ".repeat(path.len());
    let mut keys: Vec<&String> = fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect();
    keys.sort();
    let nested = |value: &Value| match value {
        Value::Object(_) => true,
        Value::Array(items) => items.first().is_some_and(Value::is_object),
        _ => false,
    };
    for key in keys.iter().filter(|key| !nested(&fields[**key])) {
        out.push_str(&format!("{indent}{} = {}\n", shown(key), plain(&fields[*key])));
    }
    for key in keys.into_iter().filter(|key| nested(&fields[*key])) {
        let path: Vec<String> = path.iter().cloned().chain([shown(key)]).collect();
        let (name, indent) = (path.join("."), "  ".repeat(path.len() - 1));
        let tables: Vec<(&Value, String)> = match &fields[key] {
            Value::Array(items) => items.iter().map(|item| (item, format!("{indent}[[{name}]]\n"))).collect(),
            one => vec![(one, format!("{indent}[{name}]\n"))],
        };
        for (value, head) in tables {
            if path.len() == 1 && !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&head);
            if let Value::Object(fields) = value {
                table(out, fields, &path);
            }
        }
    }
}

fn shown(key: &str) -> String {
    let bare =
        !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_');
    if bare { key.to_owned() } else { Value::String(key.to_owned()).to_string() }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_the_operator_writes_it() {
        let text = |config: Value| write(&read(&config));
        // Recorded of TiDB Operator 1.6.6.
        assert_eq!(text(json!({"log": {"file": {"max-backups": 3}}})), "[log]\n  [log.file]\n    max-backups = 3\n");
        assert_eq!(text(json!({})), "");
        let rich = json!({
            "security": {"cert-allowed-cn": ["TiDB"]}, "lease": "45s", "a.b": 1.5,
            "log": {"level": "info", "file": {"max-days": 2}}, "rules": [{"id": "x"}, {"id": "y"}],
        });
        let written = text(rich.clone());
        let expected = "\"a.b\" = 1.5\nlease = \"45s\"\n\n[log]\n  level = \"info\"\n  [log.file]\n    max-days = 2\n\n[[rules]]\n  id = \"x\"\n\n[[rules]]\n  id = \"y\"\n\n[security]\n  cert-allowed-cn = [\"TiDB\"]\n";
        assert_eq!(written, expected);
        assert_eq!(Value::Object(read(&json!(written))), rich, "and it reads back");
    }
}
