//! Expressions of runbooks. The only file that knows CEL.
//!
//! `check` is for gates: anything but a boolean, and any missing field, is an error which stops; it never counts as
//! false. `interpolate` fills `${…}` in texts and keeps the type where a text is one single `${…}`.
//! Not here: what the names stand for ([`crate::runbook::facts`]), what an expression may cost ([`crate::runbook::language::expression_cost`]).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use cel::objects::Key;
use cel::{Context, Env, Program};
use serde_json::Value;

use crate::runbook::language::expression_cost::{OverBudget, Shape, within_budget};
use crate::runbook::language::free_variables;
use crate::runbook::language::function_error::FunctionError;
use crate::runbook::language::template_holes::{Part, split};

/// Names an expression may use, with their values.
pub type Scope = BTreeMap<String, Value>;

/// Longest expression, in characters, and deepest nesting of brackets: the parser recurses.
const MAX_CHARS: usize = 1_000;
const MAX_DEPTH: usize = 24;
/// Compiled expressions kept per thread.
const MAX_KEPT: usize = 512;

/// Why an expression gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    #[error("expression {source_text:?} cannot be read: {why}")]
    Syntax { source_text: String, why: String },
    #[error("expression {source_text:?} has no answer: {why}")]
    NoAnswer { source_text: String, why: String },
    /// It asks for a field that is not there, or that was not returned.
    #[error("expression {source_text:?} has no answer: No such key: {field}")]
    NoSuchKey { source_text: String, field: String },
    #[error("expression {source_text:?}: expected true or false, found {found}")]
    NotBoolean { source_text: String, found: String },
    #[error("expression {source_text:?} is not evaluated: {why}")]
    OverBudget { source_text: String, why: OverBudget },
    #[error("text {text:?}: a \"${{\" is never closed")]
    Unclosed { text: String },
}

/// A value made ready for expressions once, to be used by many: the making costs more than most expressions do.
#[derive(Clone, Debug)]
pub struct Data {
    value: cel::Value,
    shape: Shape,
}

impl Data {
    pub fn new(value: &Value) -> Self {
        Self { value: to_cel(value), shape: Shape::of(value) }
    }
}

/// What the names of an expression stand for.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    pub scope: &'a Scope,
    /// Beside it; where a name is in both, the scope counts.
    pub data: &'a [(String, Data)],
}

impl<'a> From<&'a Scope> for Names<'a> {
    fn from(scope: &'a Scope) -> Self {
        Names { scope, data: &[] }
    }
}

/// Evaluates a gate.
pub fn check<'a>(source: &str, given: impl Into<Names<'a>>) -> Result<bool, ExprError> {
    match eval(source, given)? {
        Value::Bool(answer) => Ok(answer),
        other => Err(ExprError::NotBoolean { source_text: source.into(), found: other.to_string() }),
    }
}

/// Evaluates an expression to JSON.
pub fn eval<'a>(source: &str, given: impl Into<Names<'a>>) -> Result<Value, ExprError> {
    let Names { scope, data } = given.into();
    let program = compile(source)?;
    let in_data = data.iter().filter(|(name, _)| !scope.contains_key(name) && program.names.contains(name));
    let in_data = in_data.map(|(name, data)| (name.as_str(), data.shape.clone()));
    let in_scope = scope.iter().filter(|(name, _)| program.names.contains(*name));
    let shapes = in_data.chain(in_scope.map(|(name, value)| (name.as_str(), Shape::of(value)))).collect();
    within_budget(program.program.expression(), shapes)
        .map_err(|why| ExprError::OverBudget { source_text: source.into(), why })?;
    let mut context = Context::with_env(env());
    for (name, value) in data.iter().filter(|(name, _)| !scope.contains_key(name)) {
        context.add_variable_from_value(name.as_str(), value.value.clone());
    }
    for (name, value) in scope.iter().filter(|(name, _)| program.names.contains(*name)) {
        context.add_variable_from_value(name.as_str(), to_cel(value));
    }
    context
        .add_function("versionAtLeast", |found: Arc<String>, wanted: Arc<String>| version_at_least(&found, &wanted))
        .map_err(|error| no_answer(source, &error))?;
    // For command lines in texts: a name may hold anything.
    context
        .add_function("quote", |text: Arc<String>| crate::fleet::kubectl_quoting::quote(&text))
        .map_err(|error| no_answer(source, &error))?;
    // What these do is in [`crate::runbook::facts::tls_expression_functions`] and [`crate::runbook::facts`]; an argument that is no data is answered with an error.
    context
        .add_function("certificates", |asked: cel::Value| {
            told(from_cel(&asked).map(|asked| crate::runbook::facts::tls_expression_functions::certificates(&asked)))
        })
        .map_err(|error| no_answer(source, &error))?;
    context
        .add_function("tlsTroubles", |wanted: cel::Value, fact: cel::Value| {
            told(
                from_cel(&wanted)
                    .zip(from_cel(&fact))
                    .map(|(wanted, fact)| crate::runbook::facts::tls_expression_functions::troubles(&wanted, &fact)),
            )
        })
        .map_err(|error| no_answer(source, &error))?;
    context
        .add_function("sameSubject", |certificate: cel::Value, names: cel::Value| {
            let given = from_cel(&certificate).zip(from_cel(&names));
            told(given.map(|(certificate, names)| {
                crate::runbook::facts::tls_expression_functions::same_subject(&certificate, &names)
            }))
        })
        .map_err(|error| no_answer(source, &error))?;
    context
        .add_function("servesDomain", |kube: cel::Value, domain: Arc<String>| {
            told(from_cel(&kube).map(|kube| crate::runbook::facts::serves_domain(&kube, &domain)))
        })
        .map_err(|error| no_answer(source, &error))?;
    let value = program.program.execute(&context).map_err(|error| match error {
        cel::ExecutionError::NoSuchKey(field) => {
            ExprError::NoSuchKey { source_text: source.into(), field: field.to_string() }
        }
        error => no_answer(source, &error),
    })?;
    from_cel(&value).ok_or_else(|| no_answer(source, &"its value is not data"))
}

/// Shows the parsed form of an expression.
pub(super) fn with_parsed<T>(
    source: &str,
    look: impl FnOnce(&cel::common::ast::IdedExpr) -> T,
) -> Result<T, ExprError> {
    Ok(look(compile(source)?.program.expression()))
}

/// The variables which an expression names, after checking that it can be read.
pub fn names(source: &str) -> Result<BTreeSet<String>, ExprError> {
    Ok(compile(source)?.names.clone())
}

/// The expressions inside a text's `${…}`.
pub fn holes(text: &str) -> Result<Vec<String>, ExprError> {
    Ok(cut(text)?
        .into_iter()
        .filter_map(|part| if let Part::Hole(e) = part { Some(e.to_owned()) } else { None })
        .collect())
}

/// Fills every `${…}`, in strings at any depth.
pub fn interpolate<'a>(value: &Value, given: impl Into<Names<'a>>) -> Result<Value, ExprError> {
    let given = given.into();
    Ok(match value {
        Value::String(text) => fill(text, given)?,
        Value::Array(items) => Value::Array(items.iter().map(|v| interpolate(v, given)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let mut filled = serde_json::Map::new();
            for (key, value) in map {
                filled.insert(key.clone(), interpolate(value, given)?);
            }
            Value::Object(filled)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// `v1.6.6` against `1.3.9`: dotted numbers, a leading `v` and anything after `-` or `+` left out. What has no
/// numbers is not at least anything.
pub fn version_at_least(found: &str, wanted: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        let core = text.trim_start_matches('v').split(['-', '+']).next()?;
        core.split('.').map(|part| part.parse().ok()).collect()
    };
    match (numbers(found), numbers(wanted)) {
        (Some(found), Some(wanted)) => found >= wanted,
        (None, _) | (_, None) => false,
    }
}

/// The answer of a function of ours.
fn told(answer: Option<Result<Value, FunctionError>>) -> Result<cel::Value, cel::ExecutionError> {
    match answer.unwrap_or(Err(FunctionError::NoData)) {
        Ok(answer) => Ok(to_cel(&answer)),
        Err(why) => Err(cel::ExecutionError::function_error("it", why.to_string())),
    }
}

fn no_answer(source: &str, why: &dyn std::fmt::Display) -> ExprError {
    ExprError::NoAnswer { source_text: source.into(), why: why.to_string() }
}

fn env() -> Arc<Env> {
    static ENV: OnceLock<Arc<Env>> = OnceLock::new();
    ENV.get_or_init(|| {
        let mut env = Env::stdlib();
        env.add_extension(cel::extensions::strings).expect("the strings extension declares nothing twice");
        Arc::new(env)
    })
    .clone()
}

struct Compiled {
    program: Program,
    /// The variables that it names.
    names: BTreeSet<String>,
}

/// Compiled programs are kept per thread: a run evaluates the same few expressions over and over.
fn compile(source: &str) -> Result<Rc<Compiled>, ExprError> {
    thread_local! {
        static KEPT: RefCell<HashMap<String, Rc<Compiled>>> = RefCell::default();
    }
    if let Some(program) = KEPT.with_borrow(|kept| kept.get(source).cloned()) {
        return Ok(program);
    }
    let program = parse(source)?;
    let names = free_variables::free(program.expression());
    let program = Rc::new(Compiled { program, names });
    KEPT.with_borrow_mut(|kept| {
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(source.to_owned(), program.clone());
    });
    Ok(program)
}

fn parse(source: &str) -> Result<Program, ExprError> {
    let syntax = |why: String| ExprError::Syntax { source_text: source.into(), why };
    if source.chars().count() > MAX_CHARS {
        return Err(syntax(format!("longer than {MAX_CHARS} characters")));
    }
    let mut depth = 0_usize;
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(syntax(format!("more than {MAX_DEPTH} brackets deep")));
        }
    }
    env().compile(source).map_err(|errors| syntax(errors.to_string()))
}

fn cut(text: &str) -> Result<Vec<Part<'_>>, ExprError> {
    split(text).map_err(|_| ExprError::Unclosed { text: text.into() })
}

fn fill(text: &str, given: Names<'_>) -> Result<Value, ExprError> {
    let parts = cut(text)?;
    if let [Part::Hole(source)] = parts.as_slice() {
        return eval(source, given);
    }
    let mut filled = String::new();
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Hole(source) => match eval(source, given)? {
                Value::String(text) => filled.push_str(&text),
                other => filled.push_str(&said(&other)),
            },
        }
    }
    Ok(Value::String(filled))
}

/// A value inside a sentence: a list of texts as people write one.
fn said(value: &Value) -> String {
    let texts = |items: &[Value]| items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    match value {
        Value::Array(items) => texts(items).map_or_else(|| value.to_string(), |texts| texts.join(", ")),
        other => other.to_string(),
    }
}

/// JSON integers become CEL ints: as `uint` they could not be multiplied with a literal. Ids are strings in facts.
fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(b) => cel::Value::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(i) => cel::Value::Int(i),
            None => n.as_u64().map_or_else(|| cel::Value::Float(n.as_f64().unwrap_or(f64::NAN)), cel::Value::UInt),
        },
        Value::String(s) => cel::Value::from(s.as_str()),
        Value::Array(items) => cel::Value::from(items.iter().map(to_cel).collect::<Vec<_>>()),
        Value::Object(map) => {
            let map: HashMap<Key, cel::Value> = map.iter().map(|(k, v)| (Key::from(k.as_str()), to_cel(v))).collect();
            cel::Value::from(map)
        }
    }
}

fn from_cel(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(b) => Value::Bool(*b),
        cel::Value::Int(i) => (*i).into(),
        cel::Value::UInt(u) => (*u).into(),
        cel::Value::Float(f) => (*f).into(),
        cel::Value::String(s) => Value::String(s.to_string()),
        cel::Value::List(items) => Value::Array(items.iter().map(from_cel).collect::<Option<_>>()?),
        cel::Value::Map(map) => {
            let mut sorted = BTreeMap::new();
            for (key, value) in map.map.iter() {
                sorted.insert(key.to_string(), from_cel(value)?);
            }
            Value::Object(sorted.into_iter().collect())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope {
        Scope::from([
            ("tc".into(), json!({"spec": {"acrossK8s": true, "pd": {"replicas": 3}}})),
            ("list".into(), json!([{"n": "a", "ok": true}, {"n": "b", "ok": false}])),
        ])
    }

    #[test]
    fn gates_answer_or_stop() {
        let cases = [
            ("tc.spec.acrossK8s", Some(true)),
            ("tc.spec.pd.replicas * 2 > 5", Some(true)),
            ("list.all(x, x.ok)", Some(false)),
            ("has(tc.spec.clusterDomain)", Some(false)),
            ("!tc.spec.clusterDomain", None),
            ("tc.spec.clusterDomain == ''", None),
            ("nothing.at.all", None),
            ("tc.spec.pd.replicas", None),
            ("tc.spec.", None),
            ("'A.B'.lowerAscii() == 'a.b'", Some(true)),
            ("versionAtLeast('v1.6.6', '1.3.9')", Some(true)),
            ("versionAtLeast('v1.3.8', '1.3.9')", Some(false)),
            ("quote('a b') == '\\'a b\\'' && quote('a') == 'a'", Some(true)),
        ];
        for (source, expected) in cases {
            assert_eq!(check(source, &scope()).ok(), expected, "{source}: {:?}", check(source, &scope()));
        }
    }

    #[test]
    fn texts_keep_types_only_when_alone() {
        let filled = |text: &str| interpolate(&json!(text), &scope()).map_err(|e| e.to_string());
        assert_eq!(filled("${tc.spec.pd.replicas}"), Ok(json!(3)));
        assert_eq!(filled("n=${tc.spec.pd.replicas}!"), Ok(json!("n=3!")));
        assert_eq!(filled("${list.map(x, x.n)}"), Ok(json!(["a", "b"])));
        assert_eq!(filled("plain $x {y}"), Ok(json!("plain $x {y}")));
        assert_eq!(
            filled("${'}' + tc.spec.pd.replicas.string()}!").ok(),
            None,
            "no such function, but read to its end"
        );
        assert_eq!(filled("a${'}' + list[0].n}!"), Ok(json!("a}a!")));
        assert!(filled("${list").is_err());
    }

    #[test]
    fn hostile_expressions_are_refused_before_parsing() {
        assert!(compile(&"(".repeat(200)).is_err());
        assert!(compile(&"1+".repeat(1000)).is_err());
    }

    /// Each of these took all memory, or never ended.
    #[test]
    fn expressions_that_multiply_are_refused_before_they_begin() {
        let nested = |macros: &str, deep: usize| {
            let open: String = (0..deep).map(|at| format!("[1,2,3,4,5,6,7,8,9,10].{macros}(x{at}, ")).collect();
            format!("{open}true{}", ")".repeat(deep))
        };
        let refused = [
            nested("all", 11),
            nested("exists", 9),
            nested("map", 8),
            nested("filter", 9),
            format!("'aaaaaaaaaa'{}", ".replace('a','aaaaaaaaaa')".repeat(12)),
            format!("'a'{}.size() > 0", ".replace('','aaaaaaaaaa')".repeat(12)),
            format!("list.map(x, x.n){}", ".map(x, x + x + x + x + x + x + x + x)".repeat(9)),
            format!("big{}", ".map(x, big.map(y, big))"),
            "big.map(x, big).map(x, x.join('')).join('')".to_owned(),
            format!("'a'{}", ".split('').join('aaaaaaaaaaaaaaaa')".repeat(9)),
            format!("['%s%s%s%s'.format([big.join(','), big.join(',')])]{}", ".map(x, x + x + x + x)".repeat(4)),
        ];
        let mut scope = scope();
        scope.insert("big".into(), json!(vec!["0123456789"; 1_000]));
        for source in refused {
            let error = eval(&source, &scope).err().unwrap_or_else(|| panic!("evaluated: {source}"));
            assert!(matches!(error, ExprError::OverBudget { .. }), "{source}: {error}");
        }
        // A value that doubles from one binding to the next is stopped on its way.
        let mut text = "x".repeat(1_000);
        let stopped = (0..40).find(|_| match eval("v + v", &Scope::from([("v".into(), json!(text))])) {
            Ok(Value::String(doubled)) => {
                text = doubled;
                false
            }
            Ok(_) | Err(_) => true,
        });
        assert!(stopped.is_some_and(|at| at < 14), "{stopped:?}");
    }

    #[test]
    fn what_large_fleets_need_is_within_the_budget() {
        let tc = |at: usize| json!({"ref": format!("c/db/tc-{at}"), "components": vec![json!({"component": "tikv", "settled": true}); 7]});
        let fleet: Vec<Value> = (0..200).map(tc).collect();
        let members: Vec<Value> = (0..7).map(|at| json!({"name": format!("pd-{at}"), "healthy": true})).collect();
        let scope = Scope::from([("all".into(), json!(fleet)), ("members".into(), json!(members))]);
        for source in [
            "all.all(tc, tc.components.all(c, c.settled))",
            "all.filter(tc, all.exists(other, other.ref == tc.ref)).map(tc, tc.ref).join(', ') != ''",
            "all.all(tc, tc.components.exists(c, members.exists(m, m.healthy && m.name != c.component)))",
        ] {
            assert_eq!(check(source, &scope), Ok(true), "{source}");
        }
    }
}
