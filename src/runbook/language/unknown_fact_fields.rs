//! Whether an expression names a field that its fact does not have, read from its parsed form and the facts' schemas.
//!
//! Evaluating on samples does not find each: what stands behind a `&&` or inside a list that is empty there is not looked
//! at. Where the type of something is not known nothing is said.

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, operators};
use serde_json::Value;

use crate::runbook::facts::Query;
use crate::runbook::language::cel_expr;
use crate::runbook::language::document::{Condition, Phase, Runbook, Step, Text};

/// Place, expression, and one sentence.
pub(super) type Unknown = (String, String, String);

/// Every field that no fact has, in the order of the document.
pub(super) fn unknown_fields(runbook: &Runbook) -> Vec<Unknown> {
    let schemas: BTreeMap<&str, Value> = runbook
        .facts
        .iter()
        // Of several places it is a list of answers.
        .filter(|(_, fact)| !fact.of.contains('['))
        .map(|(name, fact)| (name.as_str(), schema(fact.query)))
        .collect();
    let names = schemas.iter().map(|(name, root)| {
        let node = Type::Node { root, node: root, path: (*name).to_owned() };
        ((*name).to_owned(), node)
    });
    let mut found = Found { names: names.collect(), out: Vec::new() };
    for check in &runbook.preflight {
        let place = format!("preflight {}", check.id);
        check.when.iter().chain([&check.check]).for_each(|source| found.expression(&place, source));
        found.text(&place, &check.fail);
    }
    for phase in &runbook.phases {
        let outside = found.names.clone();
        found.phase(phase);
        found.names = outside;
    }
    found.out
}

fn schema(query: Query) -> Value {
    query.schema().to_value()
}

/// What is known of a value.
#[derive(Clone, Debug)]
enum Type<'a> {
    Unknown,
    /// As a schema has it; `path` is how a document writes it.
    Node {
        root: &'a Value,
        node: &'a Value,
        path: String,
    },
    List(Box<Type<'a>>),
}

struct Found<'a> {
    /// Innermost last.
    names: Vec<(String, Type<'a>)>,
    out: Vec<Unknown>,
}

impl<'a> Found<'a> {
    fn phase(&mut self, phase: &Phase) {
        let place = format!("phase {}", phase.id);
        phase.when.iter().for_each(|source| self.expression(&place, source));
        if let Some(each) = &phase.for_each {
            let over = self.evaluated(&place, &each.over).item();
            self.names.push((each.name.clone(), over));
            [Some(&each.key), each.last.as_ref()]
                .into_iter()
                .flatten()
                .for_each(|source| self.expression(&place, source));
        }
        for binding in &phase.bindings {
            let of = self.evaluated(&place, &binding.value);
            self.names.push((binding.name.clone(), of));
        }
        let between = phase.for_each.iter().flat_map(|each| &each.between);
        phase.invariants.iter().chain(between).for_each(|condition| self.condition(&place, condition));
        phase.steps.iter().for_each(|step| self.step(step));
    }

    fn step(&mut self, step: &Step) {
        let place = format!("step {}", step.id);
        step.when.iter().for_each(|source| self.expression(&place, source));
        step.pre.iter().chain(&step.post).chain(&step.until).for_each(|condition| self.condition(&place, condition));
        for never in &step.never {
            self.expression(&place, &never.check);
            self.text(&place, &never.say);
        }
        [Some(&step.title), step.why.as_ref(), step.say.as_ref()]
            .into_iter()
            .flatten()
            .for_each(|text| self.text(&place, text));
        self.value(&place, &step.with);
    }

    fn condition(&mut self, place: &str, condition: &Condition) {
        self.expression(place, &condition.check);
        condition.say.iter().for_each(|say| self.text(place, say));
    }

    fn text(&mut self, place: &str, text: &Text) {
        [Some(&text.en), text.zh.as_ref()].into_iter().flatten().for_each(|text| self.holes(place, text));
    }

    fn holes(&mut self, place: &str, text: &str) {
        cel_expr::holes(text).unwrap_or_default().iter().for_each(|source| self.expression(place, source));
    }

    fn value(&mut self, place: &str, value: &Value) {
        match value {
            Value::String(text) => self.holes(place, text),
            Value::Array(items) => items.iter().for_each(|item| self.value(place, item)),
            Value::Object(map) => map.values().for_each(|value| self.value(place, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn expression(&mut self, place: &str, source: &str) {
        self.evaluated(place, source);
    }

    fn evaluated(&mut self, place: &str, source: &str) -> Type<'a> {
        let mut walk = Walk { names: self.names.clone(), wrong: Vec::new() };
        let of = cel_expr::with_parsed(source, |parsed| walk.of(parsed)).unwrap_or(Type::Unknown);
        walk.wrong.sort();
        walk.wrong.dedup();
        self.out.extend(walk.wrong.into_iter().map(|why| (place.to_owned(), source.to_owned(), why)));
        of
    }
}

struct Walk<'a> {
    names: Vec<(String, Type<'a>)>,
    wrong: Vec<String>,
}

impl<'a> Walk<'a> {
    fn of(&mut self, expression: &IdedExpr) -> Type<'a> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Type::Unknown,
            Expr::Ident(name) => {
                let known = self.names.iter().rev().find(|(known, _)| known == name);
                known.map_or(Type::Unknown, |(_, of)| of.clone())
            }
            Expr::Select(select) => {
                let operand = self.of(&select.operand);
                operand.field(&select.field).unwrap_or_else(|why| {
                    self.wrong.push(why);
                    Type::Unknown
                })
            }
            Expr::List(list) => {
                let items: Vec<Type<'a>> = list.elements.iter().map(|item| self.of(item)).collect();
                Type::List(Box::new(items.into_iter().next().unwrap_or(Type::Unknown)))
            }
            // Their entries are looked at by evaluating.
            Expr::Map(_) | Expr::Struct(_) => Type::Unknown,
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Type<'a> {
        if let Some(target) = &call.target {
            self.of(target);
        }
        let arguments: Vec<Type<'a>> = call.args.iter().map(|argument| self.of(argument)).collect();
        let mut arguments = arguments.into_iter();
        match call.func_name.as_str() {
            operators::INDEX => arguments.next().map_or(Type::Unknown, Type::item),
            operators::ADD => arguments.find(|of| of.item_is_known()).unwrap_or(Type::Unknown),
            operators::CONDITIONAL => {
                arguments.skip(1).find(|of| !matches!(of, Type::Unknown)).unwrap_or(Type::Unknown)
            }
            _ => Type::Unknown,
        }
    }

    fn comprehension(&mut self, of: &ComprehensionExpr) -> Type<'a> {
        let item = self.of(&of.iter_range).item();
        let start = self.of(&of.accu_init);
        let before = self.names.len();
        self.names.push((of.accu_var.clone(), start));
        self.names.push((of.iter_var.clone(), item));
        // With two, the first is an index or a key.
        if let Some(second) = &of.iter_var2 {
            let item = std::mem::replace(&mut self.names[before + 1].1, Type::Unknown);
            self.names.push((second.clone(), item));
        }
        self.of(&of.loop_cond);
        let gathered = self.of(&of.loop_step);
        self.names.truncate(before);
        self.names.push((of.accu_var.clone(), gathered));
        let result = self.of(&of.result);
        self.names.truncate(before);
        result
    }
}

impl<'a> Type<'a> {
    fn item(self) -> Self {
        match self {
            Type::List(item) => *item,
            Type::Node { root, node, path } => match &resolved(root, node)["items"] {
                Value::Null => Type::Unknown,
                items => Type::Node { root, node: items, path: format!("{path}[]") },
            },
            Type::Unknown => Type::Unknown,
        }
    }

    fn item_is_known(&self) -> bool {
        match self {
            Type::List(item) => !matches!(**item, Type::Unknown),
            Type::Node { root, node, .. } => resolved(root, node)["items"].is_object(),
            Type::Unknown => false,
        }
    }

    /// `Err`: there is no such field; one sentence.
    fn field(self, name: &str) -> Result<Self, String> {
        let Type::Node { root, node, path } = self else { return Ok(Type::Unknown) };
        let object = resolved(root, node);
        let Some(fields) = object["properties"].as_object().filter(|fields| !fields.is_empty()) else {
            return Ok(Type::Unknown);
        };
        match fields.get(name) {
            Some(node) => Ok(Type::Node { root, node, path: format!("{path}.{name}") }),
            None => {
                let known = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(format!("{path} has no field {name:?}; it has: {known}"))
            }
        }
    }
}

/// Follows a `$ref` of a schema, and takes the object out of "this or null".
pub fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = match schema["anyOf"].as_array() {
        Some(all) => all.iter().find(|one| one["type"] != "null").unwrap_or(schema),
        None => schema,
    };
    match schema["$ref"].as_str() {
        Some(at) => root.pointer(at.trim_start_matches('#')).unwrap_or(schema),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::document::{SHIPPED, shipped_text};

    #[test]
    fn shipped_runbooks_name_only_fields_that_there_are() {
        for (id, text) in SHIPPED {
            let runbook = Runbook::read(id, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(unknown_fields(&runbook), Vec::new(), "{id}");
        }
    }

    #[test]
    fn a_field_that_there_is_not_is_found_wherever_it_stands() {
        let text = shipped_text("restart-component");
        let cases = [
            ("false && pd.helthy == 1", "pd has no field \"helthy\""),
            ("pd.members.all(m, m.leader && m.naem != '')", "pd.members[] has no field \"naem\""),
            ("size(pd.members.filter(m, m.leader).map(m, m.naem)) > 0", "pd.members[] has no field \"naem\""),
            ("pd.stores[0].adress == ''", "pd.stores[] has no field \"adress\""),
            ("parts.ill.exists(p, p.pood == '')", "parts.ill[] has no field \"pood\""),
            ("(pd.hasLeader ? pd.members : pd.members).exists(m, m.naem == '')", "has no field \"naem\""),
            ("has(pd.leeder)", "pd has no field \"leeder\""),
            ("pd.members.exists(m, m.tidbCluster.contxt == '')", "pd.members[].tidbCluster has no field \"contxt\""),
        ];
        for (source, wanted) in cases {
            let broken = text.replacen("  - use: rights\n", &format!("  - use: rights\n    when: \"{source}\"\n"), 1);
            let runbook = Runbook::read("x", &broken).unwrap_or_else(|error| panic!("{source}: {error}"));
            let found = unknown_fields(&runbook);
            assert!(
                found.iter().any(|(place, _, why)| place == "preflight rights" && why.contains(wanted)),
                "{source}: {found:?}"
            );
        }
        // What is not known is not blamed.
        for source in ["tc.spec.anything.at.all == 1", "inputs.pod.nothing == 1", "rights.denied.all(d, d.size() > 0)"]
        {
            let known = text.replacen("  - use: rights\n", &format!("  - use: rights\n    when: \"{source}\"\n"), 1);
            let runbook = Runbook::read("x", &known).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(unknown_fields(&runbook), Vec::new(), "{source}");
        }
    }
}
