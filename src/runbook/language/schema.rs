//! The JSON Schema of a runbook, for editors, and the skeleton of a new one.
//!
//! Which fields and words exist is asked of the very types that read a document, so the schema cannot forget one;
//! what a field holds is said here, what it means in [`key_descriptions`], and one that nothing is said about may hold anything. Pure.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::{Map, Value, json};

use crate::runbook::actions::ActionName;
use crate::runbook::facts::Query;
use crate::runbook::language::document::{
    Binding, ConfirmAsked, Evidence, Fact, ForEach, Input, InputType, Never, Phase, Runbook, Said, Severity, Step,
    Text, Timeout,
};
use crate::runbook::language::key_descriptions;
use crate::runbook::language::shared_checks::{WrittenCheck, shared_names};

/// The schema (draft 2020-12).
#[expect(clippy::too_many_lines, reason = "one document")]
pub fn schema() -> Value {
    let strings = || json!({"type": "array", "items": {"type": "string"}});
    let to = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    let list = |name: &str| json!({"type": "array", "items": {"$ref": format!("#/$defs/{name}")}});
    let map = |name: &str| json!({"type": "object", "additionalProperties": {"$ref": format!("#/$defs/{name}")}});
    let text = || json!({"type": "string"});
    let cel = || json!({"type": "string", "$comment": "CEL over facts, inputs and bindings"});
    let some = |list: Value| {
        let mut list = list;
        list["minItems"] = json!(1);
        list
    };
    let mut root = object::<Runbook>(
        &["runbook", "id", "version", "title", "summary", "inputs", "facts", "phases"],
        vec![
            ("runbook", json!({"const": "v1"})),
            ("id", json!({"type": "string", "pattern": "^[a-z0-9-]+$"})),
            ("version", text()),
            ("title", to("text")),
            ("summary", to("text")),
            ("experimental", json!({"type": "boolean"})),
            ("source", strings()),
            ("inputs", list("input")),
            ("facts", map("fact")),
            ("preflight", list("check")),
            ("phases", some(list("phase"))),
        ],
    );
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("tidepilot runbook");
    root["$defs"] = json!({
        "text": object::<Text>(&["en"], vec![("en", text()), ("zh", json!({"type": ["string", "null"]}))]),
        "input": object::<Input>(
            &["name", "type", "prompt"],
            vec![
                ("name", text()),
                ("type", words::<InputType>()),
                ("prompt", to("text")),
                ("optional", json!({"type": "boolean"})),
                ("mayBeGone", json!({"type": "boolean"})),
                ("default", text()),
                ("example", text()),
                ("propose", json!({"type": "boolean"})),
                ("options", strings()),
                ("min", json!({"type": "integer"})),
                ("max", json!({"type": "integer"})),
            ],
        ),
        "fact": object::<Fact>(&["query", "of"], vec![("query", words::<Query>()), ("of", text()), ("when", cel())]),
        "check": object::<WrittenCheck>(
            &[],
            vec![
                ("id", text()),
                ("title", to("text")),
                ("use", json!({"enum": shared_names()})),
                ("hazards", json!({"type": "array", "items": {"type": "integer", "minimum": 0}})),
                ("when", cel()),
                ("check", cel()),
                ("fail", to("text")),
                ("severity", words::<Severity>()),
                ("once", json!({"type": "boolean"})),
                ("evidence", words::<Evidence>()),
                ("provenWhen", cel()),
            ],
        ),
        "phase": object::<Phase>(
            &["id", "title", "steps"],
            vec![
                ("id", text()),
                ("title", to("text")),
                ("when", cel()),
                ("forEach", to("forEach")),
                ("let", list("binding")),
                ("invariants", list("condition")),
                ("steps", some(list("step"))),
            ],
        ),
        "forEach": object::<ForEach>(
            &["over", "as", "key"],
            vec![
                ("over", cel()),
                ("as", text()),
                ("key", cel()),
                ("last", cel()),
                ("between", list("condition")),
                ("allowEmpty", json!({"type": "boolean"})),
            ],
        ),
        "binding": object::<Binding>(&["name", "value"], vec![("name", text()), ("value", cel())]),
        "step": object::<Step>(
            &["id", "title", "action", "with", "timeout"],
            vec![
                ("id", text()),
                ("title", to("text")),
                ("why", to("text")),
                ("when", cel()),
                ("action", words::<ActionName>()),
                ("with", json!({"type": "object"})),
                ("confirm", words::<ConfirmAsked>()),
                ("approvers", json!({"type": "integer", "minimum": 1, "maximum": 2})),
                ("pre", list("condition")),
                ("post", list("condition")),
                ("until", list("condition")),
                ("say", to("text")),
                ("never", list("never")),
                ("timeout", to("timeout")),
            ],
        ),
        "condition": json!({"anyOf": [cel(), object::<Said>(&["check", "say"], vec![("check", cel()), ("say", to("text"))])]}),
        "never": object::<Never>(&["check", "say"], vec![("check", cel()), ("say", to("text"))]),
        "timeout": object::<Timeout>(
            &["totalS", "stalledS"],
            vec![("totalS", json!({"type": "integer", "minimum": 1})), ("stalledS", json!({"type": "integer", "minimum": 1}))],
        ),
    });
    root["$defs"]["step"]["allOf"] = ActionName::ALL.iter().map(|action| with_of(*action)).collect();
    root["$defs"]["check"]["anyOf"] = json!([{"required": ["use"]}, {"required": ["id", "check", "fail"]}]);
    key_descriptions::describe(&mut root);
    root
}

/// Which fields `with` has for an action; the value of each may come from a hole.
fn with_of(action: ActionName) -> Value {
    let schema = action.schema();
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let described = |of: &Value| of.get("description").cloned().unwrap_or_default();
    let properties: Map<String, Value> =
        fields.map(|(name, of)| (name.clone(), json!({"description": described(of)}))).collect();
    json!({
        "if": {"properties": {"action": {"const": action.word()}}},
        "then": {"properties": {"with": {
            "properties": properties,
            "required": schema.get("required").cloned().unwrap_or_else(|| json!([])),
            "additionalProperties": false,
        }}},
    })
}

/// The text of a new runbook with comments.
pub fn skeleton(id: &str) -> String {
    include_str!("../../../assets/runbook-skeleton.yaml").replace("RUNBOOK-ID", id)
}

fn object<T: for<'de> Deserialize<'de>>(required: &[&str], known: Vec<(&str, Value)>) -> Value {
    let mut properties = Map::new();
    for &field in declared::<T>() {
        let said = known.iter().find(|(name, _)| *name == field);
        properties.insert(field.to_owned(), said.map_or_else(|| json!({}), |(_, value)| value.clone()));
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn words<T: for<'de> Deserialize<'de>>() -> Value {
    json!({"enum": declared::<T>()})
}

/// The fields or words that a type declares to whoever reads it.
fn declared<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    match T::deserialize(Asker) {
        Err(Declared(names)) => names,
        Ok(_) => &[],
    }
}

/// Reads nothing: it only takes down what it is asked for.
struct Asker;

#[derive(Debug, thiserror::Error)]
#[error("declares {0:?}")]
struct Declared(&'static [&'static str]);

impl serde::de::Error for Declared {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Declared(&[])
    }
}

impl<'de> Deserializer<'de> for Asker {
    type Error = Declared;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Declared> {
        Err(Declared(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Declared> {
        Err(Declared(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Declared> {
        Err(Declared(variants))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::document::SHIPPED;

    /// As much of JSON Schema as ours uses.
    fn check(schema: &Value, root: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            return check(&root["$defs"][name.trim_start_matches("#/$defs/")], root, value, at, wrong);
        }
        for rule in schema["allOf"].as_array().into_iter().flatten() {
            let named = rule["if"]["properties"]["action"]["const"] == value["action"];
            if named {
                check(&rule["then"]["properties"]["with"], root, &value["with"], &format!("{at}.with"), wrong);
            }
        }
        let is = |kind: &str| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            other => panic!("the schema uses type {other}"),
        };
        let fits = match &schema["type"] {
            Value::String(kind) => is(kind),
            Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().expect("text"))),
            _ => true,
        };
        let named = schema["enum"].as_array().is_none_or(|all| all.contains(value));
        let constant = schema.get("const").is_none_or(|wanted| wanted == value);
        if !fits || !named || !constant {
            wrong.push(format!("{at}: {value} does not fit {schema}"));
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(property), _) => check(property, root, value, &at, wrong),
                (None, Value::Bool(false)) => wrong.push(format!("{at}: not in the schema")),
                (None, more) => check(more, root, value, &at, wrong),
            }
        }
        let one_of = schema["anyOf"].as_array().filter(|_| value.is_object());
        if one_of.is_some_and(|all| all.iter().all(|wanted| missing(wanted, value))) {
            wrong.push(format!("{at}: fits none of {}", schema["anyOf"]));
        }
        for name in schema["required"].as_array().into_iter().flatten().filter(|_| value.is_object()) {
            if value.get(name.as_str().expect("text")).is_none() {
                wrong.push(format!("{at}: lacks {name}"));
            }
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            check(&schema["items"], root, item, &format!("{at}[{index}]"), wrong);
        }
    }

    /// Whether one of the names that a schema requires is not there.
    fn missing(schema: &Value, value: &Value) -> bool {
        let required = schema["required"].as_array().into_iter().flatten();
        required.filter_map(Value::as_str).any(|name| value.get(name).is_none())
    }

    fn wrong(text: &str) -> Vec<String> {
        let (root, mut wrong) = (schema(), Vec::new());
        let value: Value = serde_saphyr::from_str(text).expect("YAML");
        check(&root, &root, &value, "", &mut wrong);
        wrong
    }

    #[test]
    fn shipped_runbooks_and_the_skeleton_fit() {
        for (id, text) in SHIPPED {
            assert_eq!(wrong(text), Vec::<String>::new(), "{id}");
        }
        assert_eq!(wrong(&skeleton("my-runbook")), Vec::<String>::new());
    }

    #[test]
    fn what_the_reader_refuses_does_not_fit() {
        let text = crate::runbook::language::document::shipped_text("migrate-cluster-domain");
        for (from, to) in [
            ("runbook: v1", "runbook: v7"),
            ("experimental: true", "experimental: true\nshell: rm"),
            ("action: pd.update-peer-url", "action: http.post"),
            ("query: pd.membership", "query: k8s.exec"),
            ("severity: warn", "severity: maybe"),
            ("- use: rights", "- use: rihgts"),
            ("- use: rights", "- hazards: [1]"),
            ("confirm: typed", "confirm: never"),
            ("version: 1.0.0\n", ""),
        ] {
            let broken = text.replacen(from, to, 1);
            assert!(broken != *text && !wrong(&broken).is_empty(), "{from:?} → {to:?}");
            assert!(Runbook::read("x", &broken).is_err(), "{from:?} → {to:?}");
        }
        // What is read only when the plan is made is in the schema as well.
        let broken = text.replacen("merge: ", "murge: ", 1);
        assert!(wrong(&broken).iter().any(|why| why.contains("with.murge")), "{:?}", wrong(&broken));
    }

    #[test]
    fn every_declared_field_is_there() {
        let schema = schema();
        for (def, count) in [("check", 6), ("step", 10), ("timeout", 2), ("fact", 2)] {
            let found = schema["$defs"][def]["properties"].as_object().expect("an object").len();
            assert!(found >= count, "{def}: {found}");
        }
        assert!(schema["$defs"]["step"]["properties"]["action"]["enum"].as_array().is_some_and(|all| all.len() >= 4));
    }
}
