//! `tls.certificates`, `tls.trust`, `tls.served`, `k8s.cert-manager`: what runbooks can ask about certificates.
//!
//! Pure; one truth with the findings: both are judged by `fleet::tls`. Not here: the functions of expressions
//! ([`super::tls_expression_functions`]).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Unseen;
use crate::fleet::certificate_facts::{SecretFacts, kept_by};
use crate::fleet::database::parts_of;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::rollout::component_pods;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls::{self, CertificateFaultKind, authority_secret, every_secret};
use crate::fleet::tls_toggle::pod_speaks_tls;
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};
use crate::runbook::Observation;

/// What the Secrets with the certificates of a TidbCluster say, which need not be there.
#[derive(Serialize, JsonSchema)]
pub(super) struct CertificatesFact {
    /// When it was looked at, RFC 3339.
    #[schemars(with = "String")]
    at: Timestamp,
    secrets: Vec<SecretFact>,
    /// Certificates that end soon, a sentence each.
    expiring: Vec<String>,
    /// What makes the CA unfit to sign with, a sentence each.
    unfit: Vec<String>,
    /// What is wrong with certificates that are in use, a sentence each; absent where there is no such TidbCluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    troubles: Option<Vec<String>>,
}

/// A Secret. One that cannot be seen is listed as such: whoever needs it is told so by `tlsTroubles`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SecretFact {
    secret: String,
    /// `present`, `absent` or `unseen`.
    state: &'static str,
    /// Why it is unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<String>,
    /// What its certificates say: `certificate{subject, issuer, fingerprint, notAfter, …}`, `authorities[]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    facts: Option<SecretFacts>,
    /// Who keeps it (cert-manager), empty: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_by: Option<String>,
}

/// The certificates with which the components of the whole Database speak with each other.
#[derive(Serialize, JsonSchema)]
pub(super) struct TrustFact {
    secrets: Vec<TrustedSecret>,
    /// Secrets of this TidbCluster to be replaced for the trust, or because they end soon.
    due: Vec<String>,
    /// Whose common names are let in.
    doors: Vec<Door>,
}

#[derive(Serialize, JsonSchema)]
struct TrustedSecret {
    /// `CONTEXT/NAMESPACE/NAME` of its TidbCluster.
    of: String,
    secret: String,
    /// `present`, `absent` or `unseen`.
    state: &'static str,
    /// Nobody in order trusts it as it is: it takes no part in what a new one may break.
    outside: bool,
    /// As in `tls.certificates`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    facts: Option<SecretFacts>,
}

#[derive(Serialize, JsonSchema)]
struct Door {
    /// `CONTEXT/NAMESPACE/NAME`.
    of: String,
    /// By title.
    component: &'static str,
    /// `allowed`, joined by commas.
    list: String,
    /// Common names.
    allowed: Vec<String>,
}

/// Whether the running PD pods serve the certificate that their Secret holds.
#[derive(Serialize, JsonSchema)]
pub(super) struct ServedFact {
    /// A sentence for each that does not, or that could not be asked.
    late: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CertManagerFact {
    /// The newest API version that can be used; empty where there is none.
    version: String,
    /// Every version that is served.
    served: Vec<String>,
}

/// The Secrets that `tls.certificates` is told from.
pub(super) fn objects(of: &ObjectRef) -> Vec<ObjectId> {
    let secret = |name: String| ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&of.context, &of.namespace, name));
    every_secret(&of.name).into_iter().map(secret).collect()
}

fn seen_as(secret: &str, state: &'static str, sentence: Option<&str>) -> SecretFact {
    let sentence = sentence.map(str::to_owned);
    SecretFact { secret: secret.to_owned(), state, sentence, facts: None, kept_by: None }
}

/// `tls.certificates`.
pub(super) fn certificates(of: &ObjectRef, seen: &Observation) -> CertificatesFact {
    let mut expiring = Vec::new();
    let mut unfit = Vec::new();
    let secrets: Vec<SecretFact> = objects(of)
        .iter()
        .map(|id| match seen.fleet.sight(id) {
            None => seen_as(&id.name, "unseen", Some("it was not looked at")),
            Some(Lookup::Unseen(why)) => seen_as(&id.name, "unseen", Some(why)),
            Some(Lookup::Absent) => seen_as(&id.name, "absent", None),
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
                    let kept_by = Some(kept_by(secret).unwrap_or_default().to_owned());
                    SecretFact { facts: Some(facts), kept_by, ..seen_as(&id.name, "present", None) }
                }
                None => seen_as(&id.name, "unseen", Some("seen without its certificates")),
            },
        })
        .collect();
    let troubles = seen.fleet.tidb_cluster(of).map(|tc| {
        let all = parts_of(&seen.fleet, of);
        let own = tls::troubles_of(&seen.fleet, &all, seen.at).into_iter().filter(|one| one.of == *of);
        let lasting = own.filter(|one| tc.tls() && !one.trouble.kind.only_warns());
        lasting.map(|one| one.trouble.sentence).collect()
    });
    CertificatesFact { at: seen.at, secrets, expiring, unfit, troubles }
}

/// The Secrets of `tls.trust`, with the TidbCluster of each.
pub(super) fn between(of: &ObjectRef, fleet: &Fleet) -> Vec<(ObjectRef, ObjectId)> {
    let all = parts_of(fleet, of);
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

/// `tls.trust`.
pub(super) fn trust(of: &ObjectRef, seen: &Observation) -> TrustFact {
    let all = parts_of(&seen.fleet, of);
    let outside = tls::ca_trust::outside(&seen.fleet, &all);
    let secrets = between(of, &seen.fleet).into_iter().map(|(of, id)| {
        let told = match seen.fleet.sight(&id) {
            None | Some(Lookup::Unseen(_)) => ("unseen", None),
            Some(Lookup::Absent) => ("absent", None),
            Some(Lookup::Present(secret)) => {
                SecretFacts::of(secret).map_or(("unseen", None), |facts| ("present", Some(facts)))
            }
        };
        TrustedSecret {
            of: of.to_string(),
            state: told.0,
            outside: outside.contains(&(of, id.name.clone())),
            secret: id.name,
            facts: told.1,
        }
    });
    let secrets = secrets.collect();
    let doors = tls::ca_trust::doors(&seen.fleet, &all).into_iter().map(|door| Door {
        of: door.of.to_string(),
        component: door.component.title(),
        list: door.allowed.join(", "),
        allowed: door.allowed,
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
    TrustFact { secrets, due: due.map(|wanted| wanted.secret.clone()).collect(), doors: doors.collect() }
}

/// The Secret of PD's own certificate.
pub(super) fn pd_secret(of: &ObjectRef) -> ObjectId {
    let name = format!("{}-pd-cluster-secret", of.name);
    ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&of.context, &of.namespace, name))
}

/// `tls.served`. A pod that does not run yet reads the files when it starts.
pub(super) fn served(of: &ObjectRef, cluster: &KubeCluster, tc: &TidbCluster, seen: &Observation) -> ServedFact {
    let running = component_pods(cluster, tc, Component::Pd).into_iter().filter(|pod| pod.status.phase == "Running");
    let pods: Vec<&str> = running.filter(|pod| pod_speaks_tls(pod, tc)).map(|pod| pod.metadata.name.as_str()).collect();
    if pods.is_empty() {
        return ServedFact { late: Vec::new() };
    }
    let id = pd_secret(of);
    let facts = seen.fleet.sight(&id).and_then(Lookup::present).and_then(SecretFacts::of);
    let Some(kept) = facts.and_then(|facts| facts.certificate) else {
        return ServedFact { late: vec![format!("no certificate of {id} could be read")] };
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
    ServedFact { late: late.collect() }
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

fn after_colon(sentence: &str) -> &str {
    sentence.split_once(": ").map_or(sentence, |(_, rest)| rest)
}

/// `k8s.cert-manager`. Versions between v1alpha2 and v1 were never without one of these two beside them.
pub(super) fn cert_manager(cluster: &KubeCluster) -> Result<CertManagerFact, Unseen> {
    let Some(versions) = &cluster.more.cert_manager else {
        let why = cluster.more.lacking.values().next().map_or("nobody looked", String::as_str);
        return Err(Unseen(format!("which API of cert-manager {} serves is not known: {why}", cluster.context)));
    };
    let version = ["v1", "v1alpha2"].into_iter().find(|known| versions.iter().any(|version| version == known));
    Ok(CertManagerFact { version: version.unwrap_or_default().to_owned(), served: versions.clone() })
}
