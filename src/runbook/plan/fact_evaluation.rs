//! The facts of one observation, taken only as far as an expression names them, and what expressions make of them.
//!
//! Pure. Not here: what each fact is ([`crate::runbook::facts`]), what is asked of them ([`super::preflight`], [`super::steps`]).

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::runbook::Observation;
use crate::runbook::facts;
use crate::runbook::language::cel_expr::{self, ExprError, Names, Scope};
use crate::runbook::language::document::{Fact, Runbook};
use crate::runbook::plan::Condition;

/// Where a document has no sentence for one of its conditions (`runbook lint` asks for it).
const NO_SENTENCE: &str = "a condition of this runbook does not hold; it has no sentence, and `tidepilot runs show -o json` has its expression in the plan";
/// Where the sentence names what cannot be seen.
const NOT_SEEN: &str = "a condition of this runbook does not hold, and not all that its sentence names can be seen";

/// What a fact is about: with several it is a list of as many answers.
#[derive(Deserialize)]
#[serde(untagged)]
pub(in crate::runbook) enum Of {
    One(ObjectRef),
    Several(Vec<ObjectRef>),
}

impl Of {
    pub(in crate::runbook) fn all(self) -> Vec<ObjectRef> {
        match self {
            Of::One(of) => vec![of],
            Of::Several(all) => all,
        }
    }
}

/// Why facts give no answer; one sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    #[error(transparent)]
    Expression(#[from] ExprError),
    #[error("fact {fact} is not looked for here: {when}")]
    NotLookedFor { fact: String, when: String },
    /// What a fact is about cannot be told.
    #[error("fact {fact}: {why}")]
    Of { fact: String, why: Box<FactError> },
    #[error("`of` is no TidbCluster and no list of them")]
    NoPlace,
    /// The look did not see it.
    #[error("{0}")]
    Unseen(String),
}

impl FactError {
    /// The field that is not there or was not returned, and the expression that asks for it.
    pub fn missing_field(&self) -> Option<(&str, &str)> {
        match self {
            Self::Expression(ExprError::NoSuchKey { source_text, field }) => Some((field, source_text)),
            Self::Of { why, .. } => why.missing_field(),
            _ => None,
        }
    }
}

/// Where a sentence is all that is asked for.
impl From<FactError> for String {
    fn from(error: FactError) -> Self {
        error.to_string()
    }
}

/// Facts of one observation, taken only as far as an expression names them.
pub struct Facts<'a> {
    pub runbook: &'a Runbook,
    pub inputs: &'a BTreeMap<String, Value>,
    pub seen: &'a Observation,
    /// Facts that were named already, by name; all are of this one observation.
    taken: RefCell<BTreeMap<String, Result<cel_expr::Data, FactError>>>,
}

impl<'a> Facts<'a> {
    pub fn new(runbook: &'a Runbook, inputs: &'a BTreeMap<String, Value>, seen: &'a Observation) -> Self {
        Self { runbook, inputs, seen, taken: RefCell::default() }
    }

    /// What some expressions name: facts and inputs, except where `extra` has the name. A fact which cannot be seen is
    /// an error sentence.
    fn data<'s>(
        &self,
        sources: impl IntoIterator<Item = &'s str>,
        extra: &Scope,
    ) -> Result<Vec<(String, cel_expr::Data)>, FactError> {
        let mut data: Vec<(String, cel_expr::Data)> = Vec::new();
        for source in sources {
            for name in cel_expr::names(source)? {
                let known = extra.contains_key(&name) || data.iter().any(|(known, _)| *known == name);
                if !known && (name == "inputs" || self.runbook.facts.contains_key(&name)) {
                    let value = self.taken(&name)?;
                    data.push((name, value));
                }
            }
        }
        Ok(data)
    }

    /// A fact, or the inputs, made once.
    fn taken(&self, name: &str) -> Result<cel_expr::Data, FactError> {
        if let Some(taken) = self.taken.borrow().get(name) {
            return taken.clone();
        }
        let taken = self.take(name).map(|value| cel_expr::Data::new(&value));
        self.taken.borrow_mut().insert(name.to_owned(), taken.clone());
        taken
    }

    fn take(&self, name: &str) -> Result<Value, FactError> {
        let Some(fact) = self.runbook.facts.get(name) else { return Ok(json!(self.inputs)) };
        if !self.applies(fact)? {
            return Err(FactError::NotLookedFor { fact: name.to_owned(), when: fact.when.clone().unwrap_or_default() });
        }
        let of = self.of(fact).map_err(|why| FactError::Of { fact: name.to_owned(), why: Box::new(why) })?;
        let take =
            |of: &ObjectRef| facts::fact(fact.query, of, self.seen).map_err(|unseen| FactError::Unseen(unseen.0));
        match of {
            Of::One(of) => take(&of),
            Of::Several(all) => Ok(Value::Array(all.iter().map(take).collect::<Result<_, _>>()?)),
        }
    }

    pub(super) fn applies(&self, fact: &Fact) -> Result<bool, FactError> {
        fact.when.as_ref().map_or(Ok(true), |when| self.check(when, &Scope::new()))
    }

    pub(in crate::runbook) fn of(&self, fact: &Fact) -> Result<Of, FactError> {
        // Nearly every fact is about one input as it stands: that takes no expression.
        let input = fact.of.strip_prefix("${inputs.").and_then(|rest| rest.strip_suffix('}'));
        let of = match input.and_then(|name| self.inputs.get(name)) {
            Some(input) => input.clone(),
            None => {
                let scope = Scope::from([("inputs".into(), json!(self.inputs))]);
                cel_expr::interpolate(&json!(fact.of), &scope)?
            }
        };
        Of::deserialize(of).map_err(|_| FactError::NoPlace)
    }

    pub fn check(&self, source: &str, extra: &Scope) -> Result<bool, FactError> {
        let data = self.data([source], extra)?;
        Ok(cel_expr::check(source, Names { scope: extra, data: &data })?)
    }

    pub fn eval(&self, source: &str, extra: &Scope) -> Result<Value, FactError> {
        let data = self.data([source], extra)?;
        Ok(cel_expr::eval(source, Names { scope: extra, data: &data })?)
    }

    pub(super) fn fill(&self, value: &Value, extra: &Scope) -> Result<Value, FactError> {
        let text = value.to_string().replace("\\\"", "\"");
        let holes = cel_expr::holes(&text)?;
        let data = self.data(holes.iter().map(String::as_str), extra)?;
        Ok(cel_expr::interpolate(value, Names { scope: extra, data: &data })?)
    }

    /// What a person is told of a condition that does not hold: its sentence, and never the expression.
    pub fn told(&self, condition: &Condition, extra: &Scope) -> String {
        match &condition.say {
            Some(say) => self.words(say, extra).unwrap_or_else(|_| NOT_SEEN.to_owned()),
            None => NO_SENTENCE.to_owned(),
        }
    }

    /// A text for people with its `${…}` filled.
    pub fn words(&self, text: &str, extra: &Scope) -> Result<String, FactError> {
        Ok(match self.fill(&json!(text), extra)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }
}
