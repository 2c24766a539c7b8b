//! Reads what a person gives a runbook: text in, typed values out, and the TidbCluster that the run is about.
//!
//! No cluster is looked at. Errors say what was expected and what was found. Not here: whether a value fits the fleet,
//! which is a preflight check's affair ([`crate::runbook::plan::bind`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::runbook::bind_error::BindError;
use crate::runbook::language::document::Runbook;
pub use crate::runbook::language::input_types::dns_domain;
use crate::runbook::language::input_types::{InputType, split};

/// The inputs of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// As given, after defaults.
    pub values: BTreeMap<String, Value>,
    /// The TidbCluster that the run is about: the first that exists already, else the first new one.
    pub target: ObjectRef,
    /// Whether the target must be there.
    pub exists: bool,
    /// Every context that an input names.
    pub contexts: BTreeSet<String>,
}

/// Reads the inputs strictly: an unknown name is an error.
pub fn read(runbook: &Runbook, given: &BTreeMap<String, String>) -> Result<Given, BindError> {
    if let Some(name) = given.keys().find(|name| !runbook.inputs.iter().any(|input| &input.name == *name)) {
        let known = runbook.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(BindError::UnknownInput { name: name.clone(), known });
    }
    let mut values = BTreeMap::new();
    let (mut old, mut new, mut contexts) = (None, None, BTreeSet::new());
    let mut may_be_gone = false;
    for input in &runbook.inputs {
        let Some(text) = given.get(&input.name).or(input.default.as_ref()) else {
            if input.optional {
                continue;
            }
            return Err(BindError::MissingInput { name: input.name.clone(), prompt: input.prompt.en.clone() });
        };
        let bad = |why| BindError::BadInput { name: input.name.clone(), why };
        let value = input.value(text).map_err(bad)?;
        match input.kind {
            InputType::TidbCluster | InputType::NewTidbCluster => {
                let of = ObjectRef::parse(text).map_err(bad)?;
                contexts.insert(of.context.clone());
                if input.kind == InputType::TidbCluster && old.is_none() {
                    may_be_gone = input.may_be_gone;
                }
                let slot = if input.kind == InputType::TidbCluster { &mut old } else { &mut new };
                slot.get_or_insert(of);
            }
            InputType::NewTidbClusters => {
                let all = split(text).map(ObjectRef::parse).collect::<Result<Vec<_>, _>>().map_err(bad)?;
                contexts.extend(all.iter().map(|of| of.context.clone()));
                new = new.or_else(|| all.into_iter().next());
            }
            InputType::KubeContext => drop(contexts.insert(text.clone())),
            InputType::DnsDomain
            | InputType::Version
            | InputType::Integer
            | InputType::Boolean
            | InputType::Time
            | InputType::Choice
            | InputType::Text => {}
        }
        values.insert(input.name.clone(), value);
    }
    let exists = old.is_some() && !may_be_gone;
    let target =
        old.or(new).ok_or_else(|| BindError::Unseen("this runbook has no input that names a TidbCluster".into()))?;
    Ok(Given { values, target, exists, contexts })
}

/// For each input that is a DNS domain: the TidbCluster that it is for, and the domain where one is given. It is for the
/// TidbCluster that is made, else for the one that the runbook is about.
pub fn domains(runbook: &Runbook, values: &BTreeMap<String, Value>) -> Vec<(ObjectRef, Option<String>)> {
    let place = |kind: InputType| {
        let named = runbook.inputs.iter().filter(move |input| input.kind == kind);
        named.filter_map(|input| serde_json::from_value::<ObjectRef>(values.get(&input.name)?.clone()).ok()).next()
    };
    let Some(of) = place(InputType::NewTidbCluster).or_else(|| place(InputType::TidbCluster)) else {
        return Vec::new();
    };
    let asked = runbook.inputs.iter().filter(|input| input.kind == InputType::DnsDomain);
    asked.map(|input| (of.clone(), values.get(&input.name).and_then(Value::as_str).map(str::to_owned))).collect()
}

/// The inputs with the time of the plan wherever one is asked for and none is given.
pub fn at(runbook: &Runbook, given: &BTreeMap<String, String>, now: jiff::Timestamp) -> BTreeMap<String, String> {
    let mut all = given.clone();
    for input in runbook.inputs.iter().filter(|input| input.kind == InputType::Time && input.default.is_none()) {
        all.entry(input.name.clone()).or_insert_with(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_strictly() {
        let runbook = Runbook::shipped("migrate-cluster-domain").expect("ships");
        let read = |pairs: &[(&str, &str)]| {
            let given = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            read(&runbook, &given).map_err(|error| error.to_string())
        };
        assert!(read(&[("tidbCluster", "a/b/c")]).is_ok());
        for (given, wanted) in [
            (vec![], "input tidbCluster is missing"),
            (vec![("tidbCluster", "a/b")], "expected CONTEXT/NAMESPACE/NAME"),
            (vec![("tidbCluster", "a/b/c"), ("clusterDomain", "")], "found nothing"),
            (vec![("tidbCluster", "a/b/c"), ("clusterDomian", "x")], "there is no input \"clusterDomian\""),
        ] {
            let error = read(&given).expect_err("refused");
            assert!(error.contains(wanted), "{error}");
        }
    }
}
