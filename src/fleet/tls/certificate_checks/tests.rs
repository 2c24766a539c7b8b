//! The list of certificates, and each trouble one by one.

use super::*;
use crate::fleet::certificate_facts::Usage;
use crate::fleet::tls::{Asked, every_secret, wanted};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

const NOW: &str = "2026-06-01T00:00:00Z";

fn asked(domain: Option<&'static str>) -> Asked<'static> {
    Asked {
        name: "basic",
        namespace: "db",
        domain,
        common_name: Some("TiDB"),
        components: vec![Component::Pd, Component::Pump],
        mysql: true,
    }
}

#[test]
fn the_lists_are_those_of_the_documents() {
    let all = wanted(&asked(Some("a.com")));
    let names: Vec<&str> = all.iter().map(|one| one.secret.as_str()).collect();
    let expected = [
        "basic-pd-cluster-secret",
        "basic-pump-cluster-secret",
        "basic-cluster-client-secret",
        "basic-tidb-server-secret",
        "basic-tidb-client-secret",
    ];
    assert_eq!(names, expected);
    let hosts = |secret: &str| all.iter().find(|one| one.secret == secret).expect("listed").hosts().join(" ");
    assert_eq!(
        hosts("basic-pd-cluster-secret"),
        "basic-pd basic-pd.db basic-pd.db.svc basic-pd.db.svc.a.com \
         basic-pd-peer basic-pd-peer.db basic-pd-peer.db.svc basic-pd-peer.db.svc.a.com \
         *.basic-pd-peer *.basic-pd-peer.db *.basic-pd-peer.db.svc *.basic-pd-peer.db.svc.a.com 127.0.0.1 ::1"
    );
    assert_eq!(
        hosts("basic-pump-cluster-secret"),
        "*.basic-pump *.basic-pump.db *.basic-pump.db.svc *.basic-pump.db.svc.a.com 127.0.0.1 ::1"
    );
    assert_eq!(hosts("basic-cluster-client-secret"), "");
    assert!(
        hosts("basic-tidb-server-secret")
            .starts_with("basic-tidb basic-tidb.db basic-tidb.db.svc basic-tidb.db.svc.a.com *.basic-tidb ")
    );
    assert!(hosts("basic-tidb-server-secret").contains(" *.basic-tidb-peer.db.svc.a.com 127.0.0.1"));
    let essential = ["*.basic-pd-peer.db.svc.a.com", "basic-pd-peer.db.svc.a.com", "basic-pd.db.svc.a.com"];
    assert_eq!(all[0].essential, BTreeSet::from(essential.map(str::to_owned)));
    let usages: Vec<usize> = all.iter().map(|one| one.usages.len()).collect();
    assert_eq!(usages, [2, 2, 1, 1, 1]);
    let single = wanted(&asked(None));
    assert_eq!(single[0].dns_names.len(), 9);
    let essential = ["*.basic-pd-peer.db.svc", "basic-pd-peer.db.svc", "basic-pd.db"];
    assert_eq!(single[0].essential, BTreeSet::from(essential.map(str::to_owned)));
    assert_eq!(every_secret("basic").len(), 11);
}

/// A Secret in which everything is in order.
fn good(wanted: &Wanted) -> SecretFacts {
    let leaf = CertificateFacts {
        common_name: "TiDB".into(),
        issuer: "ca".into(),
        dns_names: wanted.dns_names.iter().cloned().collect(),
        ip_addresses: wanted.ip_addresses.iter().cloned().collect(),
        usages: Some(wanted.usages.clone()),
        is_ca: false,
        not_before: at("2026-01-01T00:00:00Z"),
        not_after: at("2027-01-01T00:00:00Z"),
        fingerprint: "f".into(),
        public_key: "leaf".into(),
        ..CertificateFacts::default()
    };
    let ca = CertificateFacts { common_name: "ca".into(), is_ca: true, public_key: "ca".into(), ..leaf.clone() };
    SecretFacts {
        keys: KEYS.iter().map(|&key| key.to_owned()).collect(),
        certificate: Some(leaf),
        authorities: vec![ca],
        key_matches: Some(true),
        signed_by: Some("ca".into()),
        other_key_id: None,
        unreadable: Vec::new(),
    }
}

#[test]
fn every_fault_is_found_and_named() {
    type Spoil = fn(&mut SecretFacts, &mut CertificateFacts);
    let cases: [(Spoil, &[CertificateFaultKind], &str); 14] = [
        (|_, _| {}, &[], ""),
        (
            |s, _| assert!(s.keys.remove("ca.crt")),
            &[CertificateFaultKind::Keys],
            "no key ca.crt; its keys are tls.crt, tls.key",
        ),
        (
            |s, _| s.unreadable.push("tls.crt holds no certificate".into()),
            &[CertificateFaultKind::Unreadable],
            "holds no certificate",
        ),
        (
            |_, c| assert!(c.dns_names.remove("basic-pd-peer.db.svc.a.com")),
            &[CertificateFaultKind::EssentialName],
            "lacks the name basic-pd-peer.db.svc.a.com",
        ),
        (|_, c| assert!(c.ip_addresses.remove("::1")), &[CertificateFaultKind::OtherName], "lacks the name ::1"),
        (
            |_, c| c.usages = Some([Usage::Server].into()),
            &[CertificateFaultKind::Usage],
            "may not be used for client auth",
        ),
        (|_, c| c.usages = None, &[], ""),
        (
            |_, c| c.common_name = "PD".into(),
            &[CertificateFaultKind::CommonName],
            "expected common name \"TiDB\", found \"PD\"",
        ),
        (|_, c| c.not_after = at(NOW), &[CertificateFaultKind::Expired], "expired at 2026-06-01T00:00:00Z"),
        (|_, c| c.not_before = at("2026-06-02T00:00:00Z"), &[CertificateFaultKind::NotYetValid], "valid only from"),
        (|_, c| c.not_after = at("2026-06-15T12:00:00Z"), &[CertificateFaultKind::Expiring], "expires in 14 days"),
        (|s, _| s.key_matches = Some(false), &[CertificateFaultKind::KeyMismatch], "is not the key"),
        (|_, c| c.looks_self_signed = true, &[CertificateFaultKind::LooksSelfSigned], "error 18"),
        (|s, _| s.signed_by = None, &[CertificateFaultKind::Chain], "signed by \"ca\", and its ca.crt holds"),
    ];
    let wanted = wanted(&asked(Some("a.com"))).remove(0);
    for (number, (spoil, kinds, part)) in cases.into_iter().enumerate() {
        let mut facts = good(&wanted);
        let mut certificate = facts.certificate.clone().expect("one");
        spoil(&mut facts, &mut certificate);
        facts.certificate = Some(certificate);
        let found = troubles(&wanted, &facts, at(NOW));
        assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), kinds, "case {number}: {found:?}");
        assert!(found.iter().all(|one| one.sentence.contains(part)), "case {number}: {found:?}");
    }
}

#[test]
fn an_older_pd_takes_one_name() {
    let of = ObjectRef::new("east", "db", "basic");
    let judge = |version: &str, names: &[&str], tls: bool| {
        let tc: TidbCluster = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "basic", "namespace": "db"},
            "spec": {"version": version, "tlsCluster": {"enabled": tls},
                "pd": {"replicas": 3, "config": {"security": {"cert-allowed-cn": names}}}},
        }))
        .expect("a TidbCluster");
        one_name_only(&of, &tc).map(|found| found.trouble.sentence)
    };
    let told = judge("v8.3.0", &["TiDB", "other"], true).expect("one name only");
    assert!(told.contains("v8.3.0") && told.contains("TiDB, other"), "{told}");
    assert_eq!(judge("v8.4.0", &["TiDB", "other"], true), None);
    assert_eq!(judge("v8.3.0", &["TiDB"], true), None);
    assert_eq!(judge("v8.3.0", &["TiDB", "other"], false), None);
    assert_eq!(judge("nightly", &["TiDB", "other"], true), None);
}

#[test]
fn what_is_not_seen_is_never_fine() {
    let wanted = wanted(&asked(None)).remove(0);
    let secret = serde_json::json!({"data": {}});
    let cases = [
        (None, CertificateFaultKind::Unseen),
        (Some(Lookup::Unseen("forbidden".into())), CertificateFaultKind::Unseen),
        (Some(Lookup::Absent), CertificateFaultKind::Absent),
        (Some(Lookup::Present(secret)), CertificateFaultKind::Unseen),
    ];
    for (sight, kind) in cases {
        let found = troubles_at(&wanted, sight.as_ref(), at(NOW));
        assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [kind], "{sight:?}");
    }
}

#[test]
fn one_ca_for_the_whole_database_and_names_that_are_let_in() {
    use crate::fleet::certificate_facts::FACTS_KEY;
    use crate::fleet::{Change, What};
    let refs = [ObjectRef::new("east", "db", "basic"), ObjectRef::new("west", "db", "basic")];
    let fleet = |west_ca: &str, west_name: &str| {
        let mut fleet = Fleet::default();
        for of in &refs {
            let mut say = |what| fleet.apply(Change { context: of.context.clone(), at: at(NOW), what });
            let tc: TidbCluster = serde_json::from_value(serde_json::json!({
                "metadata": {"name": "basic", "namespace": "db"},
                "spec": {"tlsCluster": {"enabled": true}, "pd": {"replicas": 1, "config": {"security": {"cert-allowed-cn": ["TiDB"]}}}},
            }))
            .expect("the API's shape");
            let all = wanted_of(&tc);
            say(What::TidbClusters(vec![tc]));
            for wanted in all {
                let mut facts = good(&wanted);
                if of.context == "west" {
                    facts.signed_by = Some(west_ca.to_owned());
                    facts.authorities[0].public_key = west_ca.to_owned();
                    if let Some(certificate) = &mut facts.certificate {
                        certificate.common_name = west_name.to_owned();
                    }
                }
                let place = ObjectRef::new(&of.context, "db", &wanted.secret);
                let (kind, key) = ObjectId::new(ObjectKind::Secret, &place).key();
                let sight = Box::new(Lookup::Present(serde_json::json!({ FACTS_KEY: facts })));
                say(What::Object { kind, key, sight });
            }
        }
        fleet
    };
    let kinds = |fleet: &Fleet| -> Vec<(String, CertificateFaultKind)> {
        let found = troubles_of(fleet, &refs, at(NOW));
        found.into_iter().map(|one| (one.of.context, one.trouble.kind)).collect()
    };
    assert_eq!(kinds(&fleet("ca", "TiDB")), Vec::new());
    let foreign = kinds(&fleet("other", "TiDB"));
    // Two against two: the one that was there first is right. One trouble, not one for every Secret.
    assert_eq!(foreign, [("west".to_owned(), CertificateFaultKind::Authority)]);
    // PD holds its list against PD only: the client may have any name.
    let named = kinds(&fleet("ca", "PD"));
    assert_eq!(named, [("west".to_owned(), CertificateFaultKind::CommonName)]);
}

#[test]
fn a_ca_by_hand_needs_no_ca_crt_but_has_to_be_one() {
    let wanted = wanted(&asked(None)).remove(0);
    let mut facts = good(&wanted);
    facts.keys.remove("ca.crt");
    let found = authority_troubles("x", &facts, at(NOW));
    assert_eq!(found.iter().map(|one| one.kind).collect::<Vec<_>>(), [CertificateFaultKind::Authority]);
}
