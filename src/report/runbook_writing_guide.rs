//! `docs/writing-runbooks.md`: what a runbook can ask, do and share, from the types that read and make it.

use std::fmt::Write as _;

use serde_json::Value;

use super::reference::cell;
use crate::runbook::actions::ActionName;
use crate::runbook::facts::Query;
use crate::runbook::language::key_descriptions::{INPUT_TYPES, KEYS};
use crate::runbook::language::schema::skeleton;
use crate::runbook::language::shared_checks;
use crate::runbook::language::unknown_fact_fields::resolved;

const HEAD: &str = "# Writing a runbook

Written by `tidepilot docs` from the types that read a runbook. `tidepilot runbook new ID` prints a commented skeleton,
`tidepilot runbook schema` a JSON Schema for editors, `tidepilot runbook lint FILE` tries every expression on sample fleets.
A file in the folder of runbooks that has the id of a shipped one stands in its place and is called a fork everywhere.

Expressions are CEL. A text may hold `${EXPRESSION}`; a value that is one such hole alone keeps its type. What could not be
seen is an absent field, and an absent field in a check stops: it never counts as false.

The sha256 of a runbook in plans and reports is that of its text with the shared checks written out.

## Functions beside those of CEL

| function | gives |
|---|---|
| `versionAtLeast(found, wanted)` | whether a version is at least another; what has no numbers is not |
| `quote(text)` | the text as one word of a shell |
| `servesDomain(kube, domain)` | `yes`, `no` or `unknown`, by a fact `k8s.cluster` |
| `certificates({name, namespace, clusterDomain, components, mysql, essential, commonName})` | the certificates that a TidbCluster needs |
| `tlsTroubles(certificates, tls)` | what is wrong with them, a sentence each, by a fact `tls.certificates` |
| `sameSubject(certificate, {commonName, organization})` | whether a certificate of these names would be called like it |
";

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    document(&mut out);
    out.push_str("\n## Facts\n\n`facts: {NAME: {query: QUERY, of: \"${inputs.tidbCluster}\"}}`; for a list of TidbClusters it is a list.\n");
    for query in Query::ALL.iter().copied() {
        let schema = query.schema();
        let _ = write!(out, "\n### {}\n\n", query.word());
        let about = query.about().trim();
        let _ = writeln!(out, "{about}\n");
        fields(&mut out, schema.as_value());
    }
    out.push_str("\n## Actions\n\nThe value of each field of `with` may come from a hole.\n");
    for action in ActionName::ALL {
        let _ = write!(out, "\n### {}\n\n{}\n\n", action.word(), action.about().trim());
        fields(&mut out, action.schema().as_value());
    }
    out.push_str(
        "\n## Shared checks\n\n`- use: NAME` in a preflight; keys beside it replace its own. A plan keeps them written out.\n\n| name | title | hazards | holds where |\n|---|---|---|---|\n",
    );
    for shared_checks::Listed { name, title, hazards, check } in shared_checks::listed() {
        let hazards = hazards.iter().map(|number| format!("[{number}](hazards.md)")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "| `{name}` | {} | {hazards} | `{}` |", cell(&title), cell(&check));
    }
    out
}

/// The keys of a document, object by object, and an example.
fn document(out: &mut String) {
    const OBJECTS: &[(&str, &str)] = &[
        ("runbook", "The document"),
        ("text", "A text"),
        ("input", "An input"),
        ("fact", "A fact"),
        ("check", "A check of the preflight"),
        ("phase", "A phase"),
        ("forEach", "`forEach` of a phase"),
        ("binding", "`let` of a phase"),
        ("step", "A step"),
        ("condition", "A condition: `pre`, `post`, `until`, `invariants`, `between`"),
        ("never", "`never` of a step"),
        ("timeout", "`timeout` of a step"),
    ];
    out.push_str("\n## The document\n");
    for (object, title) in OBJECTS {
        let _ = write!(out, "\n### {title}\n\n| key | meaning |\n|---|---|\n");
        for (_, key, meaning) in KEYS.iter().filter(|(of, ..)| of == object) {
            let _ = writeln!(out, "| `{key}` | {} |", cell(meaning));
        }
        if *object == "input" {
            out.push_str("\n| type | takes |\n|---|---|\n");
            for (name, takes) in INPUT_TYPES {
                let _ = writeln!(out, "| `{name}` | {takes} |");
            }
        }
    }
    let _ = write!(
        out,
        "\n## An example\n\nWhat `tidepilot runbook new my-runbook` prints:\n\n```yaml\n{}```\n",
        skeleton("my-runbook")
    );
}

/// The fields of a schema's root object (or of the items of its list), then those of the objects inside.
fn fields(out: &mut String, root: &Value) {
    let object = if root["type"] == "array" { resolved(root, &root["items"]) } else { root };
    let Some(properties) = object["properties"].as_object().filter(|all| !all.is_empty()) else {
        out.push_str("Any fields.\n");
        return;
    };
    out.push_str("| field | type | meaning |\n|---|---|---|\n");
    rows(out, root, properties, object, "", 0);
}

fn rows(
    out: &mut String,
    root: &Value,
    properties: &serde_json::Map<String, Value>,
    object: &Value,
    before: &str,
    depth: usize,
) {
    for (name, field) in properties {
        let required = object["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let mut kind = kind(root, field);
        if !required {
            kind = format!("{}, may be absent", kind.trim_end_matches(" or null"));
        }
        let about = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(out, "| `{before}{name}` | {kind} | {} |", cell(&about));
        let (inner, suffix) = match field["type"] == "array" {
            true => (resolved(root, &field["items"]), "[]."),
            false => (resolved(root, field), "."),
        };
        // A place is known to everybody who has read the first of them.
        if let Some(inner_fields) = inner["properties"].as_object().filter(|_| depth < 2 && !is_place(inner)) {
            rows(out, root, inner_fields, inner, &format!("{before}{name}{suffix}"), depth + 1);
        }
    }
}

fn is_place(schema: &Value) -> bool {
    let names = schema["properties"].as_object().map(|all| all.keys().map(String::as_str).collect::<Vec<_>>());
    names.is_some_and(|mut names| {
        names.sort_unstable();
        names == ["context", "name", "namespace"]
    })
}

fn kind(root: &Value, field: &Value) -> String {
    let inner = resolved(root, field);
    if is_place(inner) {
        return "place".to_owned();
    }
    if let Some(words) = inner["enum"].as_array().or_else(|| inner["oneOf"].as_array()) {
        // Words with a meaning of their own stand one by one, the others in a list.
        let words = words.iter().flat_map(|word| match word["enum"].as_array() {
            Some(all) => all.iter().collect::<Vec<_>>(),
            None => vec![word],
        });
        let words = words.filter_map(|word| word.as_str().or_else(|| word["const"].as_str()));
        let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
        if !words.is_empty() {
            return words.join(" ");
        }
    }
    match &inner["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of_items(root, &inner["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn kind_of_items(root: &Value, items: &Value) -> String {
    match kind(root, items).as_str() {
        "object" => "objects".to_owned(),
        "string" => "strings".to_owned(),
        "integer" => "integers".to_owned(),
        "place" => "places".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::sample_fleet_data;

    /// Every field of every fact and every action has its meaning, unless its name says it all.
    #[test]
    fn the_page_names_every_query_action_and_shared_check() {
        let page = page();
        for query in Query::ALL.iter().copied() {
            assert!(page.contains(&format!("### {}\n", query.word())), "{query:?}");
        }
        for action in ActionName::ALL {
            assert!(page.contains(&format!("### {}\n", action.word())), "{action:?}");
            let schema = action.schema();
            for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                assert!(field["description"].is_string(), "{}: {name} has no meaning", action.word());
            }
        }
        for wanted in [
            "| `members[].drift` | boolean, may be absent |",
            "| `rights` | This user has the rights that the run needs | [64](hazards.md)",
            "`target` | place |",
        ] {
            assert!(page.contains(wanted), "{wanted:?} is missing:\n{page}");
        }
    }

    /// What the sample fleets give has no field that its schema does not have, and none that is required is missing.
    #[test]
    fn facts_are_as_their_schemas_say() {
        let mut seen_of: std::collections::BTreeSet<&str> = std::collections::BTreeSet::new();
        for seen in sample_fleet_data::observations() {
            for (of, _) in seen.fleet.tidb_clusters() {
                for query in Query::ALL.iter().copied().filter(|query| *query != Query::TidbCluster) {
                    let Ok(fact) = crate::runbook::facts::fact(query, &of, &seen) else { continue };
                    let schema = query.schema();
                    fits(schema.as_value(), schema.as_value(), &fact, query.word());
                    seen_of.insert(query.word());
                }
            }
        }
        assert_eq!(seen_of.len(), Query::ALL.len() - 1, "{seen_of:?}");
    }

    fn fits(root: &Value, schema: &Value, value: &Value, at: &str) {
        let schema = resolved(root, schema);
        if let Some(fields) = schema["properties"].as_object().filter(|_| value.is_object()) {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let field = fields.get(name).unwrap_or_else(|| panic!("{at}.{name} is in no schema"));
                fits(root, field, inner, &format!("{at}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(value.get(name).is_some(), "{at} lacks {name}");
            }
        }
        for item in value.as_array().into_iter().flatten() {
            fits(root, &schema["items"], item, &format!("{at}[]"));
        }
    }
}
