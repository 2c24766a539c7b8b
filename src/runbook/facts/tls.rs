//! What runbooks can ask about certificates: three facts, and the functions `certificates`, `tlsTroubles` and `sameSubject`.
//!
//! `certificates({name, namespace, clusterDomain?, components, mysql?, essential?, commonName?})` lists those that are
//! needed; `tlsTroubles(list, fact)` says what is wrong with them, by the fact `tls.certificates`; `sameSubject(certificate,
//! {commonName, organization})` whether one of those names would be called like it. Pure; one truth with the findings:
//! both are judged by `fleet::tls`. Not here: issuing ([`crate::runbook::action`]).

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::certificate::{self, CertificateFacts, SecretFacts, kept_by, subject};
use crate::fleet::database::database_of;
use crate::fleet::object::{Lookup, ObjectId, ObjectKind};
use crate::fleet::rollout::component_pods;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls::{self, Asked, CertificateFaultKind, Wanted, authority_secret, every_secret};
use crate::fleet::tls_toggle::pod_speaks_tls;
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};
use crate::runbook::Observation;
use crate::runbook::facts::Unseen;

/// The Secrets that `tls.certificates` is told from.
pub(in crate::runbook) fn objects(of: &ObjectRef) -> Vec<ObjectId> {
    let secret = |name: String| ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&of.context, &of.namespace, name));
    every_secret(&of.name).into_iter().map(secret).collect()
}

/// `tls.certificates`. A Secret that cannot be seen is in it as such: whoever needs it is told so by `tlsTroubles`.
pub(in crate::runbook) fn fact(of: &ObjectRef, seen: &Observation) -> Value {
    let mut expiring = Vec::new();
    let mut unfit = Vec::new();
    let secrets: Vec<Value> = objects(of)
        .iter()
        .map(|id| match seen.fleet.sight(id) {
            None => json!({"secret": id.name, "state": "unseen", "sentence": "it was not looked at"}),
            Some(Lookup::Unseen(why)) => json!({"secret": id.name, "state": "unseen", "sentence": why}),
            Some(Lookup::Absent) => json!({"secret": id.name, "state": "absent"}),
            Some(Lookup::Present(secret)) => match SecretFacts::of(secret) {
                Some(facts) => {
                    let soon = tls::authority_troubles(&id.name, &facts, seen.at).into_iter();
                    let soon = soon.filter(|one| {
                        matches!(one.kind, CertificateFaultKind::Expiring | CertificateFaultKind::Expired)
                    });
                    expiring.extend(soon.map(|one| format!("Secret {}: {}", id.name, after_colon(&one.sentence))));
                    if id.name == authority_secret(&of.name) {
                        let lasting = tls::authority_troubles(&id.name, &facts, seen.at).into_iter();
                        let lasting = lasting.filter(|one| !one.kind.only_warns() && facts.certificate.is_some());
                        unfit.extend(lasting.map(|one| one.sentence));
                    }
                    let kept_by = kept_by(secret).unwrap_or_default();
                    json!({"secret": id.name, "state": "present", "facts": facts, "keptBy": kept_by})
                }
                None => json!({"secret": id.name, "state": "unseen", "sentence": "seen without its certificates"}),
            },
        })
        .collect();
    let mut fact = json!({"at": seen.at, "secrets": secrets, "expiring": expiring, "unfit": unfit});
    if let Some(tc) = seen.fleet.tidb_cluster(of) {
        let all = database_of(&seen.fleet, of).map_or_else(|| vec![of.clone()], |database| database.tidb_clusters);
        let own = tls::troubles_of(&seen.fleet, &all, seen.at).into_iter().filter(|one| one.of == *of);
        let lasting = own.filter(|one| tc.tls() && !one.trouble.kind.only_warns());
        fact["troubles"] = lasting.map(|one| json!(one.trouble.sentence)).collect();
    }
    fact
}

/// The Secrets of `tls.trust`, with the TidbCluster of each.
pub(in crate::runbook) fn between(of: &ObjectRef, fleet: &Fleet) -> Vec<(ObjectRef, ObjectId)> {
    let all = database_of(fleet, of).map_or_else(|| vec![of.clone()], |database| database.tidb_clusters);
    let parts = all.iter().filter_map(|of| Some((of, fleet.tidb_cluster(of)?)));
    let secrets = parts.flat_map(|(of, tc)| {
        let names = tls::wanted_of(tc).into_iter().map(|wanted| wanted.secret).filter(|name| tls::between(name));
        names.map(|name| {
            let at = ObjectRef::new(&of.context, &of.namespace, name);
            (of.clone(), ObjectId::new(ObjectKind::Secret, &at))
        })
    });
    secrets.collect()
}

/// `tls.trust`. A Secret that is `outside` is trusted by nobody in order as it is: it takes no part in what a new one may break.
pub(in crate::runbook) fn trust(of: &ObjectRef, seen: &Observation) -> Value {
    let all = database_of(&seen.fleet, of).map_or_else(|| vec![of.clone()], |database| database.tidb_clusters);
    let outside = tls::trust::outside(&seen.fleet, &all);
    let secrets = between(of, &seen.fleet).into_iter().map(|(of, id)| {
        let told = match seen.fleet.sight(&id) {
            None | Some(Lookup::Unseen(_)) => ("unseen", None),
            Some(Lookup::Absent) => ("absent", None),
            Some(Lookup::Present(secret)) => {
                SecretFacts::of(secret).map_or(("unseen", None), |facts| ("present", Some(facts)))
            }
        };
        let apart = outside.contains(&(of.clone(), id.name.clone()));
        let mut value = json!({"of": of.to_string(), "secret": id.name, "state": told.0, "outside": apart});
        if let Some(facts) = told.1 {
            value["facts"] = json!(facts);
        }
        value
    });
    let doors = tls::trust::doors(&seen.fleet, &all).into_iter().map(|door| {
        json!({"of": door.of.to_string(), "component": door.component.title(), "list": door.allowed.join(", "), "allowed": door.allowed})
    });
    // What is in order by itself today, and is to be replaced all the same.
    let wanted = seen.fleet.tidb_cluster(of).map(tls::wanted_of).unwrap_or_default();
    let due = wanted.iter().filter(|wanted| {
        let at = ObjectRef::new(&of.context, &of.namespace, &wanted.secret);
        let sight = seen.fleet.sight(&ObjectId::new(ObjectKind::Secret, &at));
        outside.contains(&(of.clone(), wanted.secret.clone()))
            || tls::troubles_at(wanted, sight, seen.at).iter().any(|one| {
                matches!(
                    one.kind,
                    CertificateFaultKind::Expiring | CertificateFaultKind::NoKeyIds | CertificateFaultKind::ShortKey
                )
            })
    });
    let due: Vec<&String> = due.map(|wanted| &wanted.secret).collect();
    json!({"secrets": secrets.collect::<Vec<_>>(), "due": due, "doors": doors.collect::<Vec<_>>()})
}

/// The Secret of PD's own certificate.
pub(in crate::runbook) fn pd_secret(of: &ObjectRef) -> ObjectId {
    let name = format!("{}-pd-cluster-secret", of.name);
    ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&of.context, &of.namespace, name))
}

/// `tls.served`. A pod that does not run yet reads the files when it starts.
pub(in crate::runbook) fn served(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, seen: &Observation) -> Value {
    let running = component_pods(cluster, tc, Component::Pd).into_iter().filter(|pod| pod.status.phase == "Running");
    let pods: Vec<&str> = running.filter(|pod| pod_speaks_tls(pod, tc)).map(|pod| pod.metadata.name.as_str()).collect();
    if pods.is_empty() {
        return json!({"late": []});
    }
    let id = pd_secret(of);
    let facts = seen.fleet.sight(&id).and_then(Lookup::present).and_then(SecretFacts::of);
    let Some(kept) = facts.and_then(|facts| facts.certificate) else {
        return json!({"late": [format!("no certificate of {id} could be read")]});
    };
    let late = pods.iter().filter_map(|pod| match cluster.more.served.get(&ObjectKey::new(&of.namespace, *pod)) {
        Some(Ok(served)) if served.fingerprint == kept.fingerprint => None,
        Some(Ok(served)) => Some(format!(
            "{pod} still serves the certificate that ends {} ({}…), not the one in its Secret ({}…)",
            served.not_after,
            short(&served.fingerprint),
            short(&kept.fingerprint)
        )),
        Some(Err(why)) => Some(format!("{pod} could not be asked: {why}")),
        None => Some(format!("{pod} was not asked")),
    });
    json!({"late": late.collect::<Vec<_>>()})
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

fn after_colon(sentence: &str) -> &str {
    sentence.split_once(": ").map_or(sentence, |(_, rest)| rest)
}

/// `k8s.cert-manager`. Versions between v1alpha2 and v1 were never without one of these two beside them.
pub(in crate::runbook) fn cert_manager(cluster: &KubeCluster) -> Result<Value, Unseen> {
    let Some(versions) = &cluster.more.cert_manager else {
        let why = cluster.more.lacking.values().next().map_or("nobody looked", String::as_str);
        return Err(Unseen(format!("which API of cert-manager {} serves is not known: {why}", cluster.context)));
    };
    let version = ["v1", "v1alpha2"].into_iter().find(|known| versions.iter().any(|version| version == known));
    Ok(json!({"version": version.unwrap_or_default(), "served": versions}))
}

/// The function `certificates`.
pub(in crate::runbook) fn certificates(asked: &Value) -> Result<Value, String> {
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
    let wish: WantedCertificate =
        serde_json::from_value(asked.clone()).map_err(|error| format!("certificates(…): {error}"))?;
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
                .ok_or_else(|| format!("expected components out of {}, found {word:?}", known.join(", ")))
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
            let mut value = serde_json::to_value(&wanted).map_err(|error| error.to_string())?;
            value["hosts"] = json!(wanted.hosts());
            Ok(value)
        })
        .collect()
}

/// The function `tlsTroubles`: sentences about what is not in order today.
pub(in crate::runbook) fn troubles(wanted: &Value, fact: &Value) -> Result<Value, String> {
    let wrong = |error: serde_json::Error| format!("tlsTroubles(…): {error}");
    let wanted: Vec<Wanted> = serde_json::from_value(wanted.clone()).map_err(wrong)?;
    let at = fact.get("at").and_then(Value::as_str).and_then(|at| at.parse().ok());
    let at = at.ok_or("tlsTroubles(…): its second argument is not a fact tls.certificates")?;
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
pub(in crate::runbook) fn same_subject(certificate: &Value, names: &Value) -> Result<Value, String> {
    let wrong = |what: &str| format!("sameSubject(…): {what}");
    let certificate: CertificateFacts =
        serde_json::from_value(certificate.clone()).map_err(|error| wrong(&error.to_string()))?;
    let text = |key: &str| names.get(key).and_then(Value::as_str);
    let common_name = text("commonName").ok_or_else(|| wrong("its second argument has no commonName"))?;
    let asked = subject(common_name, text("organization"));
    Ok(json!(certificate::same_subject(&certificate.subject, &asked)))
}

fn sight(told: &Value) -> Lookup {
    match told["state"].as_str() {
        Some("absent") => Lookup::Absent,
        Some("present") => Lookup::Present(json!({crate::fleet::certificate::FACTS_KEY: told["facts"]})),
        _ => Lookup::Unseen(told["sentence"].as_str().unwrap_or("it was not looked at").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::expr::{Scope, eval};

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
