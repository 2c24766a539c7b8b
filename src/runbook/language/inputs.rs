//! Reads what a person gives a runbook: text in, typed values out, and the TidbCluster that the run is about.
//!
//! No cluster is looked at. Errors say what was expected and what was found. Not here: whether a value fits the fleet,
//! which is a preflight check's affair ([`crate::runbook::plan::bind`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::runbook::language::definition::{Input, InputType, Runbook};
use crate::runbook::language::expr;
use crate::runbook::plan::bind::BindError;

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
        let bad = |why: String| BindError::BadInput { name: input.name.clone(), why };
        let value = value(input, text).map_err(bad)?;
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

/// One value. `Err`: what was expected, what was found.
pub fn value(input: &Input, text: &str) -> Result<Value, String> {
    Ok(match input.kind {
        InputType::TidbCluster => json!(ObjectRef::parse(text)?),
        InputType::NewTidbCluster => json!(place(text)?),
        InputType::NewTidbClusters => match split(text).map(place).collect::<Result<Vec<_>, _>>()? {
            none if none.is_empty() => {
                return Err("expected CONTEXT/NAMESPACE/NAME, or several with commas between; found nothing".into());
            }
            all => json!(all),
        },
        InputType::KubeContext if text.trim().is_empty() => return Err("expected a kubeconfig context".into()),
        InputType::KubeContext => json!(text),
        InputType::DnsDomain => json!(dns_domain(text)?),
        InputType::Version if expr::version_at_least(text, "0") && text.starts_with('v') => json!(text),
        InputType::Version => return Err(format!("expected a version such as v8.5.7, found {text:?}")),
        InputType::Integer => {
            let number: i64 = text.parse().map_err(|_| format!("expected a whole number, found {text:?}"))?;
            let (min, max) = (input.min.unwrap_or(i64::MIN), input.max.unwrap_or(i64::MAX));
            if !(min..=max).contains(&number) {
                return Err(format!("expected a number from {min} to {max}, found {number}"));
            }
            json!(number)
        }
        InputType::Boolean => match text {
            "true" => json!(true),
            "false" => json!(false),
            other => return Err(format!("expected true or false, found {other:?}")),
        },
        InputType::Time => match text.parse::<jiff::Timestamp>() {
            Ok(_) => json!(text),
            Err(_) => return Err(format!("expected a time such as 2026-01-01T00:00:00Z, found {text:?}")),
        },
        InputType::Choice if input.options.iter().any(|option| option == text) => json!(text),
        InputType::Choice => return Err(format!("expected one of {}, found {text:?}", input.options.join(", "))),
        InputType::Text => json!(text),
    })
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Where a TidbCluster is, or could be made.
fn place(text: &str) -> Result<ObjectRef, String> {
    let of = ObjectRef::parse(text)?;
    for (what, name) in [("namespace", &of.namespace), ("name", &of.name)] {
        if !label(name) {
            return Err(format!("expected a {what} of small letters, digits and \"-\" (at most 63), found {name:?}"));
        }
    }
    Ok(of)
}

fn label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A DNS domain as `clusterDomain` takes it. Refuses what an unset shell variable or a pasted template leaves
/// behind (hazard 12).
pub fn dns_domain(text: &str) -> Result<String, String> {
    let hint = "expected a DNS domain such as cluster1.com or cluster.local";
    if text.is_empty() {
        return Err(format!(
            "{hint}, found nothing; leave the input out when all Kubernetes clusters share one domain"
        ));
    }
    let plain = crate::fleet::dns::normal(text.trim());
    if plain != text && plain.split('.').all(label) {
        return Err(format!(
            "{hint}, found {text:?}: write {plain:?}, which is the same to DNS, and one name to PD and to certificates"
        ));
    }
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(format!("{hint}, found {text:?}"));
    }
    if text.starts_with("svc.") {
        return Err(format!("{hint}, found {text:?}: leave the leading \"svc.\" out"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for good in ["cluster.local", "cluster1.com", "a"] {
            assert_eq!(dns_domain(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "${cluster1_cluster_domain}", "Cluster.local", "a..b", ".a", "a.", "a b", "svc.cluster.local", "-a"]
        {
            assert!(dns_domain(bad).is_err(), "{bad:?}");
        }
        for other in ["Cluster.LOCAL", "cluster.local.", " cluster.local"] {
            let error = dns_domain(other).expect_err("refused");
            assert!(error.contains("write \"cluster.local\""), "{error}");
        }
    }

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

    #[test]
    fn values_by_type() {
        let input = |kind: &str| -> Input {
            let value =
                json!({"name": "x", "type": kind, "prompt": {"en": "x"}, "options": ["a", "b"], "min": 1, "max": 7});
            serde_json::from_value(value).expect("an input")
        };
        let good = [
            ("integer", "3", json!(3)),
            ("boolean", "true", json!(true)),
            ("choice", "b", json!("b")),
            ("version", "v8.5.7", json!("v8.5.7")),
            ("time", "2026-01-01T00:00:00Z", json!("2026-01-01T00:00:00Z")),
            (
                "new-tidb-clusters",
                "a/b/c, d/e/f",
                json!([ObjectRef::new("a", "b", "c"), ObjectRef::new("d", "e", "f")]),
            ),
        ];
        for (kind, text, expected) in good {
            assert_eq!(value(&input(kind), text), Ok(expected), "{kind} {text}");
        }
        let bad = [
            ("integer", "0"),
            ("integer", "x"),
            ("boolean", "yes"),
            ("choice", "c"),
            ("version", "8.5.7"),
            ("version", "vx"),
            ("new-tidb-cluster", "a/B/c"),
            ("new-tidb-cluster", "a/b/${tc}"),
            ("new-tidb-clusters", ""),
            ("new-tidb-clusters", "a/b/c,d"),
            ("kube-context", ""),
            ("time", "today"),
        ];
        for (kind, text) in bad {
            assert!(value(&input(kind), text).is_err(), "{kind} {text}");
        }
    }
}
