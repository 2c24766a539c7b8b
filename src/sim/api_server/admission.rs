//! ValidatingAdmissionPolicies in force: what is applied to the server is asked before each write, as a real one does.
//!
//! Rules, object selectors, match conditions, variables and validations in CEL, with the failure policy; namespace
//! selectors and parameters are not known here, and a policy that has them matches whatever they say. It knows no policy
//! of anybody: they are objects in the store.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::Key;
use cel::{Context, Program};
use serde_json::{Value, json};

use super::auth::User;
use super::router::Call;
use super::status::Refusal;
use crate::sim::object_store::{Resource, Store};

/// The policies that are bound to deny, with the name of the binding. Read before the store is held by a transaction.
pub(super) struct Policies(Vec<(String, Arc<Value>)>);

impl Policies {
    pub(super) fn of(store: &Store) -> Self {
        let all = store.snapshot("validatingadmissionpolicies", None).1;
        if all.is_empty() {
            return Self(Vec::new());
        }
        let bindings = store.snapshot("validatingadmissionpolicybindings", None).1;
        let denies = |binding: &Value| {
            binding["spec"]["validationActions"].as_array().is_some_and(|actions| actions.iter().any(|a| a == "Deny"))
        };
        let bound = bindings.iter().filter(|binding| denies(binding)).filter_map(|binding| {
            let policy = all.iter().find(|policy| policy["metadata"]["name"] == binding["spec"]["policyName"])?;
            Some((binding["metadata"]["name"].as_str()?.to_owned(), policy.clone()))
        });
        Self(bound.collect())
    }

    /// Asks them all about one write. `before`: `None` where the object is made.
    pub(super) fn admit(
        &self,
        call: &Call,
        kind: &Resource,
        name: &str,
        before: Option<&Value>,
        object: &Value,
    ) -> Result<(), Refusal> {
        let operation = if before.is_some() { "UPDATE" } else { "CREATE" };
        for (binding, policy) in &self.0 {
            let matching = &policy["spec"]["matchConstraints"];
            if !ruled(matching, kind, operation) || !selected(&matching["objectSelector"], before, object) {
                continue;
            }
            let asked = Asked::new(call, name, operation, before, object);
            if let Err((reason, message)) = judge(&policy["spec"], &asked) {
                let policy = policy["metadata"]["name"].as_str().unwrap_or_default();
                return Err(Refusal::denied(kind, name, (policy, binding), &reason, &message));
            }
        }
        Ok(())
    }
}

fn ruled(matching: &Value, kind: &Resource, operation: &str) -> bool {
    let has = |list: &Value, wanted: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|entry| entry == "*" || entry == wanted))
    };
    matching["resourceRules"].as_array().into_iter().flatten().any(|rule| {
        has(&rule["apiGroups"], kind.group)
            && has(&rule["apiVersions"], kind.version)
            && has(&rule["operations"], operation)
            && has(&rule["resources"], kind.plural)
    })
}

/// A selector matches where it matches the object or the one before.
fn selected(selector: &Value, before: Option<&Value>, object: &Value) -> bool {
    [Some(object), before].into_iter().flatten().any(|object| fits(selector, &object["metadata"]["labels"]))
}

fn fits(selector: &Value, labels: &Value) -> bool {
    let exact = selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    exact
        && expressions.into_iter().all(|expression| {
            let found = &labels[expression["key"].as_str().unwrap_or_default()];
            let listed = expression["values"].as_array().is_some_and(|values| values.contains(found));
            match expression["operator"].as_str() {
                Some("Exists") => found.is_string(),
                Some("DoesNotExist") => !found.is_string(),
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some(_) | None => false,
            }
        })
}

type Variables = HashMap<Key, cel::Value>;

/// What the expressions of a policy may name.
struct Asked(Vec<(&'static str, Value)>);

impl Asked {
    fn new(call: &Call, name: &str, operation: &str, before: Option<&Value>, object: &Value) -> Self {
        let User { name: username, .. } = &call.user;
        let request = json!({
            "operation": operation, "name": name, "namespace": call.namespace(), "dryRun": call.query.dry_run(),
            "userInfo": {"username": username, "groups": call.user.all_groups()},
        });
        Self(vec![
            ("object", object.clone()),
            ("oldObject", before.cloned().unwrap_or(Value::Null)),
            ("request", request),
        ])
    }

    fn eval(&self, expression: &Value, variables: &Variables) -> Result<cel::Value, String> {
        let program = Program::compile(expression.as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        let mut context = Context::default();
        for (name, value) in &self.0 {
            context.add_variable_from_value(*name, to_cel(value));
        }
        context.add_variable_from_value("variables", cel::Value::from(variables.clone()));
        program.execute(&context).map_err(|error| error.to_string())
    }
}

/// `Err`: reason and message of the refusal.
fn judge(spec: &Value, asked: &Asked) -> Result<(), (String, String)> {
    let ignores = spec["failurePolicy"] == "Ignore";
    let failed = |why: String| if ignores { Ok(()) } else { Err(("Invalid".to_owned(), why)) };
    for condition in spec["matchConditions"].as_array().into_iter().flatten() {
        match asked.eval(&condition["expression"], &Variables::new()) {
            Ok(cel::Value::Bool(true)) => {}
            Ok(_) => return Ok(()),
            Err(why) => return failed(format!("match condition: {why}")),
        }
    }
    let mut variables = Variables::new();
    for variable in spec["variables"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        match asked.eval(&variable["expression"], &variables) {
            Ok(value) => drop(variables.insert(Key::from(name), value)),
            Err(why) => return failed(format!("variable {name}: {why}")),
        }
    }
    for validation in spec["validations"].as_array().into_iter().flatten() {
        let text = |name: &str| validation[name].as_str().map(str::to_owned);
        match asked.eval(&validation["expression"], &variables) {
            Ok(cel::Value::Bool(true)) => {}
            Ok(_) => {
                let message = text("message").or(text("expression")).unwrap_or_default();
                return Err((text("reason").unwrap_or_else(|| "Invalid".to_owned()), message));
            }
            Err(why) => failed(format!("expression {:?} resulted in error: {why}", text("expression")))?,
        }
    }
    Ok(())
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(b) => cel::Value::Bool(*b),
        Value::Number(n) => n.as_i64().map_or_else(|| cel::Value::Float(n.as_f64().unwrap_or(0.0)), cel::Value::Int),
        Value::String(s) => cel::Value::from(s.as_str()),
        Value::Array(items) => cel::Value::from(items.iter().map(to_cel).collect::<Vec<_>>()),
        Value::Object(map) => {
            let map: HashMap<Key, cel::Value> = map.iter().map(|(k, v)| (Key::from(k.as_str()), to_cel(v))).collect();
            cel::Value::from(map)
        }
    }
}
