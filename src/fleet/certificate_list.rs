//! Every certificate that the TidbClusters of a fleet have or should have, the one that ends first on top: for people who
//! look when they end. Pure. Not here: what is wrong with one ([`super::tls`]), what one says ([`super::certificate_facts`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::certificate_facts::{CertificateFacts, SecretFacts};
use super::object_kind::{Lookup, ObjectId, ObjectKind};
use super::tls::{CertificateFault, authority_trouble, troubles_at, wanted_of};
use super::{Fleet, ObjectRef};
use crate::pluralize::counted;

/// What a look told of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    Seen,
    Absent,
    /// It could not be read, so nothing is known of it.
    Unseen,
}

/// One certificate of a TidbCluster, or the CA behind some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The TidbCluster.
    pub of: ObjectRef,
    /// Name of the Secret; of a CA, the first that holds it in its `ca.crt`.
    pub secret: String,
    /// `PD`, `clients of the components`, `CA`, …
    pub title: String,
    pub held: Held,
    /// Common name of its subject.
    pub common_name: Option<String>,
    /// Common name of whoever signed it.
    pub issuer: Option<String>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    /// Whole days from now to its end; -1 within the first day afterwards, and so on.
    pub days_left: Option<i64>,
    /// SHA-256, hex.
    pub fingerprint: Option<String>,
    /// Key id of its own key, hex.
    pub key_id: Option<String>,
    /// Key id of whoever signed it, hex.
    pub signer_key_id: Option<String>,
    /// DNS names, then addresses, for which it stands.
    pub hosts: Vec<String>,
    pub troubles: Vec<CertificateFault>,
}

impl Certificate {
    /// What only wants attention does not count.
    pub fn is_wrong(&self) -> bool {
        self.troubles.iter().any(|one| !one.kind.only_warns())
    }
}

/// `34 days`, `today`, `1 day ago`: the words for [`Certificate::days_left`].
pub fn left(days: i64) -> String {
    match days {
        0 => "today".into(),
        -1 => "just ended".into(),
        days if days < 0 => format!("{} ago", counted(-days - 1, "day")),
        days => counted(days, "day"),
    }
}

/// Certificates of these TidbClusters: what is not there or cannot be read first, then by their end. A CA is told once for
/// each TidbCluster.
pub fn certificates<'a>(
    fleet: &Fleet,
    tidb_clusters: impl IntoIterator<Item = &'a ObjectRef>,
    now: Timestamp,
) -> Vec<Certificate> {
    let mut all = Vec::new();
    for of in tidb_clusters {
        let Some(tc) = fleet.tidb_cluster(of) else { continue };
        let mut authorities: BTreeMap<String, Certificate> = BTreeMap::new();
        for wanted in wanted_of(tc) {
            let at = ObjectRef::new(&of.context, &of.namespace, &wanted.secret);
            let sight = fleet.sight(&ObjectId::new(ObjectKind::Secret, &at));
            let facts = sight.and_then(Lookup::present).and_then(SecretFacts::of);
            let held = match (sight, &facts) {
                (_, Some(_)) => Held::Seen,
                (Some(Lookup::Absent), None) => Held::Absent,
                (Some(Lookup::Unseen(_) | Lookup::Present(_)) | None, None) => Held::Unseen,
            };
            let troubles = troubles_at(&wanted, sight, now);
            let certificate = facts.as_ref().and_then(|facts| facts.certificate.as_ref());
            all.push(told(of, &wanted.secret, &wanted.title, held, certificate, troubles, now));
            for ca in facts.iter().flat_map(|facts| &facts.authorities) {
                authorities.entry(ca.fingerprint.clone()).or_insert_with(|| {
                    let troubles = authority_trouble(&wanted.secret, ca, now).into_iter().collect();
                    told(of, &wanted.secret, "CA", Held::Seen, Some(ca), troubles, now)
                });
            }
        }
        all.extend(authorities.into_values());
    }
    all.sort_by(|a, b| (a.not_after, &a.of, &a.secret, &a.title).cmp(&(b.not_after, &b.of, &b.secret, &b.title)));
    all
}

fn told(
    of: &ObjectRef,
    secret: &str,
    title: &str,
    held: Held,
    facts: Option<&CertificateFacts>,
    troubles: Vec<CertificateFault>,
    now: Timestamp,
) -> Certificate {
    Certificate {
        of: of.clone(),
        secret: secret.to_owned(),
        title: title.to_owned(),
        held,
        common_name: facts.map(|facts| facts.common_name.clone()),
        issuer: facts.map(|facts| facts.issuer.clone()),
        not_before: facts.map(|facts| facts.not_before),
        not_after: facts.map(|facts| facts.not_after),
        days_left: facts.map(|facts| facts.not_after.duration_since(now).as_secs().div_euclid(86_400)),
        fingerprint: facts.map(|facts| facts.fingerprint.clone()),
        key_id: facts.and_then(|facts| facts.key_id.clone()),
        signer_key_id: facts.and_then(|facts| facts.authority_key_id.clone()),
        hosts: facts
            .map_or_else(Vec::new, |facts| facts.dns_names.iter().chain(&facts.ip_addresses).cloned().collect()),
        troubles,
    }
}

#[cfg(test)]
mod tests {
    use super::super::certificate_facts::FACTS_KEY;
    use super::super::tidbcluster::TidbCluster;
    use super::super::{Change, What};
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn one(name: &str, until: &str) -> serde_json::Value {
        json!({"commonName": name, "issuer": "ca", "dnsNames": [], "ipAddresses": [], "isCa": name == "ca",
            "notBefore": "2026-01-01T00:00:00Z", "notAfter": until, "fingerprint": name, "publicKey": name})
    }

    #[test]
    fn what_is_missing_comes_first_and_then_what_ends_first() {
        let of = ObjectRef::new("east", "db", "x");
        let now = at("2026-06-01T12:00:00Z");
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "east".into(), at: now, what });
        let tc: TidbCluster = serde_json::from_value(json!({
            "metadata": {"name": "x", "namespace": "db"},
            "spec": {"tlsCluster": {"enabled": true}, "pd": {"replicas": 1}, "tikv": {"replicas": 1}, "tidb": {"replicas": 1}},
        }))
        .expect("the API's shape");
        say(What::TidbClusters(vec![tc]));
        let mut put = |name: &str, sight: Lookup| {
            let (kind, key) = ObjectId::new(ObjectKind::Secret, &ObjectRef::new("east", "db", name)).key();
            say(What::Object { kind, key, sight: Box::new(sight) });
        };
        let secret = |name: &str, until: &str| {
            Lookup::Present(json!({FACTS_KEY: {"keys": ["ca.crt", "tls.crt", "tls.key"],
                "certificate": one(name, until), "authorities": [one("ca", "2026-06-11T00:00:00Z")]}}))
        };
        put("x-pd-cluster-secret", secret("pd", "2027-01-01T00:00:00Z"));
        put("x-tikv-cluster-secret", secret("tikv", "2026-05-31T00:00:00Z"));
        put("x-tidb-cluster-secret", Lookup::Absent);
        let all = certificates(&fleet, [&of], now);
        let told: Vec<(&str, Held, Option<i64>)> =
            all.iter().map(|one| (one.title.as_str(), one.held, one.days_left)).collect();
        assert_eq!(
            told,
            [
                ("clients of the components", Held::Unseen, None),
                ("TiDB", Held::Absent, None),
                ("TiKV", Held::Seen, Some(-2)),
                ("CA", Held::Seen, Some(9)),
                ("PD", Held::Seen, Some(213)),
            ]
        );
        assert!(all[3].troubles[0].sentence.contains("expires in 9 days") && !all[3].is_wrong(), "{:?}", all[3]);
        assert!(all[2].is_wrong() && all[1].is_wrong() && all[0].is_wrong());
    }
}
