//! The functions `certificates`, `tlsTroubles` and `sameSubject` of expressions.
//!
//! `certificates({name, namespace, clusterDomain?, components, mysql?, essential?, commonName?})` lists those that are
//! needed; `tlsTroubles(list, fact)` says what is wrong with them, by the fact `tls.certificates`; `sameSubject(certificate,
//! {commonName, organization})` whether one of those names would be called like it. Pure; one truth with the findings:
//! both are judged by `fleet::tls`. Not here: issuing ([`crate::runbook::action_types`]).

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::certificate_facts::{self, CertificateFacts, FACTS_KEY, subject};
use crate::fleet::object_kind::Lookup;
use crate::fleet::tidbcluster::Component;
use crate::fleet::tls::{self, Asked, Wanted};
use crate::runbook::language::function_error::FunctionError;

/// The function `certificates`.
pub(in crate::runbook) fn certificates(asked: &Value) -> Result<Value, FunctionError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct WantedCertificate {
        name: String,
        namespace: String,
        #[serde(default)]
        cluster_domain: Option<String>,
        components: Components,
        #[serde(default)]
        mysql: bool,
        /// Only the names without which the components cannot speak with each other across KubeClusters.
        #[serde(default)]
        essential: bool,
        #[serde(default)]
        common_name: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Components {
        /// `pd,tikv,tidb`
        Words(String),
        List(Vec<String>),
    }
    let wrong = |why: &dyn std::fmt::Display| FunctionError::argument("certificates", why);
    let wish: WantedCertificate = serde_json::from_value(asked.clone()).map_err(|error| wrong(&error))?;
    let words = match wish.components {
        Components::Words(words) => words.split([',', ' ']).map(str::to_owned).collect(),
        Components::List(words) => words,
    };
    let components: Vec<Component> = words
        .iter()
        .filter(|word| !word.is_empty())
        .map(|word| {
            let known: Vec<&str> = Component::ALL.iter().map(|component| component.key()).collect();
            Component::parse(word)
                .ok_or_else(|| wrong(&format!("expected components out of {}, found {word:?}", known.join(", "))))
        })
        .collect::<Result<_, _>>()?;
    let all = tls::wanted(&Asked {
        name: &wish.name,
        namespace: &wish.namespace,
        domain: wish.cluster_domain.as_deref().filter(|domain| !domain.is_empty()),
        common_name: wish.common_name.as_deref(),
        components,
        mysql: wish.mysql,
    });
    all.into_iter()
        .map(|wanted| if wish.essential { wanted.of_essential_names() } else { wanted })
        .map(|wanted| {
            let mut value = serde_json::to_value(&wanted).map_err(|error| wrong(&error))?;
            value["hosts"] = json!(wanted.hosts());
            Ok(value)
        })
        .collect()
}

/// The function `tlsTroubles`: sentences about what is not in order today.
pub(in crate::runbook) fn troubles(wanted: &Value, fact: &Value) -> Result<Value, FunctionError> {
    let wrong = |why: &dyn std::fmt::Display| FunctionError::argument("tlsTroubles", why);
    let wanted: Vec<Wanted> = serde_json::from_value(wanted.clone()).map_err(|error| wrong(&error))?;
    let at = fact.get("at").and_then(Value::as_str).and_then(|at| at.parse().ok());
    let at = at.ok_or_else(|| wrong(&"its second argument is not a fact tls.certificates"))?;
    let mut found = Vec::new();
    for wanted in &wanted {
        let listed = fact.get("secrets").and_then(Value::as_array).into_iter().flatten();
        let sight = listed.filter(|one| one["secret"] == wanted.secret.as_str()).map(sight).next();
        let troubles = tls::troubles_at(wanted, sight.as_ref(), at);
        found.extend(troubles.into_iter().filter(|one| !one.kind.only_warns()).map(|one| json!(one.sentence)));
    }
    Ok(Value::Array(found))
}

/// The function `sameSubject`: whether a certificate of these names would be called like the one that is there.
pub(in crate::runbook) fn same_subject(certificate: &Value, names: &Value) -> Result<Value, FunctionError> {
    let wrong = |why: &dyn std::fmt::Display| FunctionError::argument("sameSubject", why);
    let certificate: CertificateFacts = serde_json::from_value(certificate.clone()).map_err(|error| wrong(&error))?;
    let text = |key: &str| names.get(key).and_then(Value::as_str);
    let common_name = text("commonName").ok_or_else(|| wrong(&"its second argument has no commonName"))?;
    let asked = subject(common_name, text("organization"));
    Ok(json!(certificate_facts::same_subject(&certificate.subject, &asked)))
}

fn sight(told: &Value) -> Lookup {
    match told["state"].as_str() {
        Some("absent") => Lookup::Absent,
        Some("present") => Lookup::Present(json!({FACTS_KEY: told["facts"]})),
        _ => Lookup::Unseen(told["sentence"].as_str().unwrap_or("it was not looked at").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::cel_expr::{Scope, eval};

    #[test]
    fn expressions_list_certificates_and_judge_them() {
        let fact = json!({"at": "2026-06-01T00:00:00Z", "secrets": [
            {"secret": "x-pd-cluster-secret", "state": "absent"},
            {"secret": "x-cluster-client-secret", "state": "unseen", "sentence": "forbidden"},
        ]});
        let scope = Scope::from([("tls".into(), fact)]);
        let list = "certificates({'name': 'x', 'namespace': 'db', 'clusterDomain': 'a.com', 'components': 'pd'})";
        let found = eval(list, &scope).expect("a list");
        assert_eq!(found[0]["secret"], "x-pd-cluster-secret");
        assert_eq!(found[0]["hosts"].as_array().map(Vec::len), Some(14));
        assert_eq!(found[0]["usages"], json!(["server auth", "client auth"]));
        let told = eval(&format!("tlsTroubles({list}, tls)"), &scope).expect("sentences");
        let told: Vec<&str> = told.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(told.len() == 2 && told[0].contains("is not there") && told[1].contains("forbidden"), "{told:?}");
        for (bad, why) in [
            ("certificates({'name': 'x', 'namespace': 'db', 'components': 'pd,tikc'})", "found \"tikc\""),
            ("certificates({'name': 'x'})", "namespace"),
            ("tlsTroubles([], {})", "not a fact"),
            ("sameSubject({}, {'commonName': 'x'})", "missing field"),
        ] {
            let error = eval(bad, &scope).expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
