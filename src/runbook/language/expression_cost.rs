//! What an expression may cost at most, worked out before it is evaluated.
//!
//! CEL always ends, but nested macros multiply steps and `replace` multiplies bytes: eleven `all` over ten items are 10^11
//! steps, twelve `replace` fill any memory. The interpreter has no budget, so the bound is static: the shapes of the
//! values that an expression names are known, and every operation has a largest result. Beyond the budget it is refused.
//! Not here: evaluating ([`crate::runbook::language::cel_expr`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use serde_json::Value;

/// Most steps of one evaluation: about two seconds on a slow machine.
const MOST_STEPS: u64 = 5_000_000;
/// Most bytes of any value on the way.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// What a number, a boolean or the frame of a list counts for.
const NODE: u64 = 16;
/// What one of our own functions adds at most to what it is given.
const OWN_FUNCTION: u64 = 64 * 1024;

/// The largest that a value can be: of a list's items, and of two branches, the larger counts in each respect. What lies
/// below is shared: every name and every field on the way gives a copy, before each evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Items of a list, entries of a map, characters of a text.
    items: u64,
    /// Bytes in all.
    bytes: u64,
    fields: Arc<BTreeMap<String, Shape>>,
    element: Option<Arc<Shape>>,
}

impl Shape {
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::scalar(),
            Value::String(text) => Self::text(length(text.len())),
            Value::Array(items) => {
                let all = items.iter().map(Self::of);
                Self::list(all)
            }
            Value::Object(map) => {
                let (mut bytes, mut fields) = (NODE, BTreeMap::new());
                for (key, value) in map {
                    let inner = Self::of(value);
                    bytes = bytes.saturating_add(length(key.len())).saturating_add(inner.bytes);
                    fields.insert(key.clone(), inner);
                }
                Self { items: length(map.len()), bytes, fields: Arc::new(fields), element: None }
            }
        }
    }

    fn scalar() -> Self {
        Self { bytes: NODE, ..Self::default() }
    }

    fn text(length: u64) -> Self {
        Self { items: length, bytes: length.saturating_add(NODE), ..Self::default() }
    }

    fn list(items: impl Iterator<Item = Self>) -> Self {
        let mut shape = Self { bytes: NODE, ..Self::default() };
        let mut element: Option<Self> = None;
        for item in items {
            shape.items = shape.items.saturating_add(1);
            shape.bytes = shape.bytes.saturating_add(item.bytes);
            element = Some(match element.take() {
                Some(known) => known.or(&item),
                None => item,
            });
        }
        shape.element = element.map(Arc::new);
        shape
    }

    /// Something of which only the size is known: any field and any item of it may be all of it.
    fn opaque(bytes: u64) -> Self {
        Self { items: bytes, bytes, ..Self::default() }
    }

    fn or(mut self, other: &Self) -> Self {
        self.items = self.items.max(other.items);
        self.bytes = self.bytes.max(other.bytes);
        if !Arc::ptr_eq(&self.fields, &other.fields) && !other.fields.is_empty() {
            let fields = Arc::make_mut(&mut self.fields);
            for (key, theirs) in other.fields.iter() {
                match fields.get_mut(key) {
                    Some(known) => *known = std::mem::take(known).or(theirs),
                    None => drop(fields.insert(key.clone(), theirs.clone())),
                }
            }
        }
        self.element = match (self.element.take(), &other.element) {
            (Some(known), Some(theirs)) if !Arc::ptr_eq(&known, theirs) => {
                Some(Arc::new(Arc::unwrap_or_clone(known).or(theirs)))
            }
            (known, theirs) => known.or_else(|| theirs.clone()),
        };
        self
    }

    fn field(&self, name: &str) -> Self {
        self.fields.get(name).cloned().unwrap_or_else(|| self.anything())
    }

    /// Any one item of a list, or any value of a map.
    fn item(&self) -> Self {
        if let Some(element) = &self.element {
            return (**element).clone();
        }
        let all = self.fields.values().cloned().reduce(|known, next| known.or(&next));
        all.unwrap_or_else(|| self.anything())
    }

    /// What a loop over it is given: an item, or a key of a map.
    fn looped(&self) -> Self {
        if self.fields.is_empty() {
            return self.item();
        }
        let longest = self.fields.keys().map(|key| length(key.len())).max().unwrap_or_default();
        Self::text(longest)
    }

    fn anything(&self) -> Self {
        if self.fields.is_empty() && self.element.is_none() { Self::opaque(self.bytes) } else { Self::scalar() }
    }
}

fn length(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

/// Why an expression is not evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    #[error("it may take more than {MOST_STEPS} steps here: nested all(), exists(), map() multiply their lists")]
    Steps,
    #[error("it may make a value of more than {MOST_BYTES} bytes here: nested replace(), join() and + multiply")]
    Bytes,
}

/// Checks an expression against the budget. `given`: the shapes of the names that it uses.
pub(in crate::runbook) fn within_budget(expression: &IdedExpr, given: BTreeMap<&str, Shape>) -> Result<(), OverBudget> {
    let mut walk = Walk { names: given.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect(), steps: 0 };
    walk.shape(expression, 1).map(|_| ())
}

struct Walk {
    /// Innermost last.
    names: Vec<(String, Shape)>,
    steps: u64,
}

impl Walk {
    fn spend(&mut self, steps: u64) -> Result<(), OverBudget> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MOST_STEPS { Err(OverBudget::Steps) } else { Ok(()) }
    }

    /// The shape of what an expression gives, which is evaluated so many times.
    fn shape(&mut self, of: &IdedExpr, times: u64) -> Result<Shape, OverBudget> {
        self.spend(times)?;
        let shape = match &of.expr {
            Expr::Unspecified => Shape::scalar(),
            Expr::Literal(literal) => match literal {
                LiteralValue::String(text) => Shape::text(length(text.inner().len())),
                LiteralValue::Bytes(bytes) => Shape::text(length(bytes.inner().len())),
                LiteralValue::Boolean(_)
                | LiteralValue::Double(_)
                | LiteralValue::Int(_)
                | LiteralValue::Null
                | LiteralValue::UInt(_) => Shape::scalar(),
            },
            Expr::Ident(name) => {
                let known = self.names.iter().rev().find(|(known, _)| known == name);
                known.map_or_else(Shape::scalar, |(_, shape)| shape.clone())
            }
            Expr::Select(select) => {
                let operand = self.shape(&select.operand, times)?;
                if select.test { Shape::scalar() } else { operand.field(&select.field) }
            }
            Expr::List(list) => {
                let items = list.elements.iter().map(|item| self.shape(item, times));
                Shape::list(items.collect::<Result<Vec<_>, _>>()?.into_iter())
            }
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr), times)?,
            Expr::Struct(made) => self.entries(made.entries.iter().map(|entry| &entry.expr), times)?,
            Expr::Call(call) => self.call(call, times)?,
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, times)?,
        };
        if shape.bytes > MOST_BYTES {
            return Err(OverBudget::Bytes);
        }
        Ok(shape)
    }

    fn entries<'a>(&mut self, entries: impl Iterator<Item = &'a EntryExpr>, times: u64) -> Result<Shape, OverBudget> {
        let mut shape = Shape { bytes: NODE, ..Shape::default() };
        let (mut fields, mut element) = (BTreeMap::new(), None::<Shape>);
        for entry in entries {
            let (name, value, key_bytes) = match entry {
                EntryExpr::StructField(field) => (Some(field.field.clone()), &field.value, length(field.field.len())),
                EntryExpr::MapEntry(entry) => {
                    let key = self.shape(&entry.key, times)?;
                    (literal(&entry.key), &entry.value, key.bytes)
                }
            };
            let value = self.shape(value, times)?;
            shape.items = shape.items.saturating_add(1);
            shape.bytes = shape.bytes.saturating_add(key_bytes).saturating_add(value.bytes);
            match name {
                Some(name) => {
                    fields.insert(name, value);
                }
                None => {
                    element = Some(match element.take() {
                        Some(known) => known.or(&value),
                        None => value,
                    });
                }
            }
        }
        Ok(Shape { fields: Arc::new(fields), element: element.map(Arc::new), ..shape })
    }

    fn call(&mut self, call: &CallExpr, times: u64) -> Result<Shape, OverBudget> {
        let target = call.target.as_deref().map(|target| self.shape(target, times)).transpose()?;
        let args = call.args.iter().map(|arg| self.shape(arg, times)).collect::<Result<Vec<_>, _>>()?;
        let all: Vec<&Shape> = target.iter().chain(&args).collect();
        let bytes = all.iter().fold(0_u64, |sum, shape| sum.saturating_add(shape.bytes));
        // Looking through a value costs its length, a little.
        self.spend(times.saturating_mul(bytes / 256))?;
        let of = |at: usize| all.get(at).copied().cloned().unwrap_or_default();
        Ok(match call.func_name.as_str() {
            "_+_" => {
                let (left, right) = (of(0), of(1));
                let items = left.items.saturating_add(right.items);
                let bytes = left.bytes.saturating_add(right.bytes);
                Shape { items, bytes, ..left.or(&right) }
            }
            "_?_:_" => of(1).or(&of(2)),
            "_[_]" | "_[?_]" => match call.args.last().and_then(literal) {
                Some(key) if !of(0).fields.is_empty() => of(0).field(&key),
                Some(_) | None => of(0).item(),
            },
            "replace" => {
                let (text, from, to) = (of(0), call.args.first().and_then(literal), of(2));
                // An empty or unknown text is found before each character and at the end.
                let places = match from.map(|from| length(from.len())) {
                    Some(length @ 1..) => text.items / length,
                    Some(0) | None => text.items.saturating_add(1),
                };
                Shape::text(text.items.saturating_add(places.saturating_mul(to.items)))
            }
            "join" => {
                let (list, between) = (of(0), of(1));
                Shape::text(list.bytes.saturating_add(list.items.saturating_mul(between.items)))
            }
            "split" => {
                let text = of(0);
                let items = text.items.saturating_add(1);
                let bytes = text.bytes.saturating_add(items.saturating_mul(NODE));
                Shape { items, bytes, element: Some(Arc::new(Shape::text(text.items))), ..Shape::default() }
            }
            "format" => Shape::text(of(0).items.saturating_add(1).saturating_mul(of(1).bytes.saturating_add(NODE))),
            // A control character may become six.
            "quote" | "strings.quote" | "string" | "bytes" => Shape::text(of(0).bytes.saturating_mul(6)),
            // One for each component that is named, with a separator between two, and three for clients and MySQL. Each has
            // three names in up to four forms, twice.
            "certificates" => {
                let named = of(0).fields.get("components").map_or(bytes / 2, |components| components.items);
                let (items, each) = (named.saturating_add(3), bytes.saturating_mul(32).saturating_add(4 * 1024));
                let element = Some(Arc::new(Shape::opaque(each)));
                Shape { items, bytes: items.saturating_mul(each).min(MOST_BYTES), element, ..Shape::default() }
            }
            "servesDomain" => Shape::text(length("unknown".len())),
            // Each name stands in a wanted certificate twice (dnsNames, hosts), and in a sentence once.
            "tlsTroubles" => Shape::opaque((bytes / 2).saturating_add(OWN_FUNCTION)),
            "size" | "indexOf" | "lastIndexOf" | "contains" | "startsWith" | "endsWith" | "matches"
            | "versionAtLeast" | "int" | "uint" | "double" | "bool" | "type" | "_==_" | "_!=_" | "_<_" | "_<=_"
            | "_>_" | "_>=_" | "_&&_" | "_||_" | "!_" | "-_" | "_-_" | "_*_" | "_/_" | "_%_" | "@in" | "_in_" => {
                Shape::scalar()
            }
            // Everything else gives a part of what it is given, or all of it in another order.
            _ => {
                let parts = all.iter().fold(Shape::scalar(), |known, next| known.or(next));
                Shape { items: bytes.max(parts.items), bytes: bytes.saturating_add(NODE), ..parts }
            }
        })
    }

    /// A macro. What it gathers grows by the same amount in each turn: nobody can write one that names it twice.
    fn comprehension(&mut self, of: &ComprehensionExpr, times: u64) -> Result<Shape, OverBudget> {
        let range = self.shape(&of.iter_range, times)?;
        let start = self.shape(&of.accu_init, times)?;
        let turns = times.saturating_mul(range.items);
        let before = self.names.len();
        self.names.push((of.iter_var.clone(), range.looped()));
        if let Some(second) = &of.iter_var2 {
            self.names.push((second.clone(), range.item()));
        }
        self.names.push((of.accu_var.clone(), start.clone()));
        self.shape(&of.loop_cond, turns)?;
        let step = self.shape(&of.loop_step, turns)?;
        let grown =
            |step: u64, start: u64| start.saturating_add(step.saturating_sub(start).saturating_mul(range.items));
        let gathered =
            Shape { items: grown(step.items, start.items), bytes: grown(step.bytes, start.bytes), ..start.or(&step) };
        if gathered.bytes > MOST_BYTES {
            return Err(OverBudget::Bytes);
        }
        self.names.truncate(before);
        self.names.push((of.accu_var.clone(), gathered));
        let result = self.shape(&of.result, times);
        self.names.truncate(before);
        result
    }
}

fn literal(of: &IdedExpr) -> Option<String> {
    match &of.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}
