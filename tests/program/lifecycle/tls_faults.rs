//! Each fault of a certificate, made by a forger's hand: what `check` prints mends it, and what is said meanwhile is true.
//!
//! Not here: certificates that are renewed in order (`tls.rs`).

use crate::common::openssl::{self, Leaf, Office, Values};
use crate::lifecycle::bed::Bed;
use crate::lifecycle::tls::LISTED;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidepilot::client::certificates;
use tidepilot::client::certificates::signing::{self, Ask};
use tidepilot::fleet::certificate_facts::Usage;

/// A Secret of the Database in `tls`, spoiled in one way.
struct Fault {
    what: &'static str,
    /// Where: context and name.
    at: (&'static str, &'static str),
    /// The one finding that it is, and a part of its sentence.
    finding: &'static str,
    says: &'static str,
    spoil: fn(&Forge, &mut Value),
}

/// Makes wrong certificates with the Database's own CA, and with another of the same name.
struct Forge {
    ca: Values,
    other: Values,
    now: jiff::Timestamp,
    hosts: Vec<String>,
}

impl Forge {
    fn of(bed: &Bed, context: &str, name: &str) -> Self {
        let ca = certificates::values(&bed.object("east", "secrets", "prod", "prod-east-ca-secret").expect("the CA"));
        #[allow(clippy::disallowed_methods, reason = "the binary judges by the real clock")]
        let now = jiff::Timestamp::now();
        let called = certificates::facts(&ca).certificate.expect("one").common_name;
        let ask = Ask { common_name: &called, organization: None, hosts: &[], usages: BTreeSet::new(), days: 3_000 };
        let other = signing::authority(&ask, now).expect("a CA").values();
        let old =
            certificates::facts(&certificates::values(&bed.object(context, "secrets", "prod", name).expect("there")));
        let old = old.certificate.expect("a certificate");
        let hosts = old.dns_names.iter().chain(&old.ip_addresses).cloned().collect();
        Self { ca, other, now, hosts }
    }

    fn ask<'a>(&self, hosts: &'a [String], common_name: &'a str) -> Ask<'a> {
        Ask { common_name, organization: None, hosts, usages: [Usage::Server, Usage::Client].into(), days: 300 }
    }

    fn put(&self, secret: &mut Value, ask: &Ask<'_>, ca: &Values, days: i64) {
        let at = self.now + jiff::SignedDuration::from_hours(24 * days);
        secret["data"] = signing::certificate(ask, "ca", ca, at).expect("signed").data();
    }
}

/// The CA once more, by its own key, ended long ago.
fn ended_copy(ca: &Values) -> String {
    let key = rcgen::KeyPair::from_pem(&String::from_utf8_lossy(&ca["tls.key"])).expect("a key");
    let mut params = rcgen::CertificateParams::default();
    let called = certificates::facts(ca).certificate.expect("one").common_name;
    params.distinguished_name.push(rcgen::DnType::CommonName, called);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    params.self_signed(&key).expect("signed").pem()
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "an ended copy of the CA in ca.crt",
        at: ("west", "prod-west-tikv-cluster-secret"),
        finding: "certificate-expiry",
        says: "the CA in its ca.crt expired",
        spoil: |forge, secret| {
            secret["data"]["ca.crt"] = json!(k8s_openapi::ByteString(ended_copy(&forge.ca).into_bytes()));
        },
    },
    Fault {
        what: "expired",
        at: ("west", "prod-west-pd-cluster-secret"),
        finding: "certificate-expiry",
        says: "(100 days ago)",
        spoil: |forge, secret| forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.ca, -400),
    },
    Fault {
        what: "ends soon",
        at: ("west", "prod-west-tikv-cluster-secret"),
        finding: "certificate-expiry",
        says: "expires in 9 days",
        spoil: |forge, secret| forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.ca, -290),
    },
    Fault {
        what: "the client's, of another CA of the same name",
        at: ("west", "prod-west-cluster-client-secret"),
        finding: "different-ca",
        says: "signed by another CA",
        spoil: |forge, secret| forge.put(secret, &forge.ask(&[], "TiDB"), &forge.other, 0),
    },
    Fault {
        what: "one of the first TidbCluster, of another CA",
        at: ("east", "prod-east-tikv-cluster-secret"),
        finding: "different-ca",
        says: "7 Secrets trust",
        spoil: |forge, secret| forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.other, 0),
    },
    Fault {
        what: "another CA, and the right ca.crt",
        at: ("west", "prod-west-tidb-cluster-secret"),
        finding: "different-ca",
        says: "its ca.crt holds",
        spoil: |forge, secret| {
            let ca = secret["data"]["ca.crt"].clone();
            forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.other, 0);
            secret["data"]["ca.crt"] = ca;
        },
    },
    Fault {
        what: "only the ca.crt is another's",
        at: ("west", "prod-west-tidb-cluster-secret"),
        finding: "different-ca",
        says: "its ca.crt holds",
        spoil: |forge, secret| {
            let ca = forge.other["ca.crt"].clone();
            secret["data"]["ca.crt"] = json!(k8s_openapi::ByteString(ca));
        },
    },
    Fault {
        what: "no name with the domain",
        at: ("west", "prod-west-pd-cluster-secret"),
        finding: "san-missing",
        says: "prod-west-pd-peer.prod.svc.west.local",
        spoil: |forge, secret| {
            let hosts: Vec<String> =
                forge.hosts.iter().filter(|host| !host.ends_with(".west.local")).cloned().collect();
            forge.put(secret, &forge.ask(&hosts, "TiDB"), &forge.ca, 0);
        },
    },
    Fault {
        what: "without the short forms",
        at: ("west", "prod-west-tikv-cluster-secret"),
        finding: "san-incomplete",
        says: "lacks the name",
        spoil: |forge, secret| {
            let hosts: Vec<String> = forge.hosts.iter().filter(|host| host.ends_with(".west.local")).cloned().collect();
            forge.put(secret, &forge.ask(&hosts, "TiDB"), &forge.ca, 0);
        },
    },
    Fault {
        what: "a name that PD does not let in",
        at: ("west", "prod-west-pd-cluster-secret"),
        finding: "common-name-mismatch",
        says: "cert-allowed-cn: TiDB",
        spoil: |forge, secret| forge.put(secret, &forge.ask(&forge.hosts, "Other"), &forge.ca, 0),
    },
    Fault {
        what: "for servers only",
        at: ("west", "prod-west-tikv-cluster-secret"),
        finding: "certificate-unusable",
        says: "client auth",
        spoil: |forge, secret| {
            let ask = Ask { usages: [Usage::Server].into(), ..forge.ask(&forge.hosts, "TiDB") };
            forge.put(secret, &ask, &forge.ca, 0);
        },
    },
    Fault {
        what: "the key of another",
        at: ("west", "prod-west-tidb-cluster-secret"),
        finding: "certificate-unusable",
        says: "is not the key",
        spoil: |forge, secret| {
            let certificate = secret["data"]["tls.crt"].clone();
            forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.ca, 0);
            secret["data"]["tls.crt"] = certificate;
        },
    },
    Fault {
        what: "no ca.crt",
        at: ("west", "prod-west-tidb-cluster-secret"),
        finding: "tls-secret-missing",
        says: "has no key ca.crt",
        spoil: |_, secret| drop(secret["data"].as_object_mut().expect("data").remove("ca.crt")),
    },
    Fault {
        what: "no PEM",
        at: ("east", "prod-east-tidb-cluster-secret"),
        finding: "certificate-unusable",
        says: "holds no certificate in PEM",
        spoil: |_, secret| secret["data"]["tls.crt"] = json!(k8s_openapi::ByteString(b"x".to_vec())),
    },
];

/// What a finding about certificates tells one to do is done as it stands, on the fleet that shows it: the command is not
/// refused, goes through, and the finding is gone. Nothing is deleted on the way.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_finding_about_certificates_prints_mends_it() {
    let bed = Bed::of("tls", &[("pd: { replicas: 2, maxFailoverCount: 0, config: {}", LISTED)]).await;
    // Its CA stays where the Database began.
    bed.store("west").remove("secrets", "prod", "prod-west-ca-secret");
    let named = |checked: &Value| -> Vec<Value> {
        let all = checked["findings"].as_array().expect("a list");
        let ids = ["certificate", "tls-secret", "san-", "different-ca", "common-name"];
        let about = |one: &&Value| ids.iter().any(|id| one["id"].as_str().is_some_and(|found| found.starts_with(id)));
        all.iter().filter(about).cloned().collect()
    };
    let mend = async |what: &str, context: &str, finding: &str, says: &str| {
        let checked = bed.tool(&["check", "prod-east", "-o", "json"]).await.json();
        let found = named(&checked);
        assert_eq!(found.len(), 1, "{what}: {found:#?}");
        assert_eq!(found[0]["id"], finding, "{what}");
        let sentence = found[0]["sentence"].as_str().unwrap_or_default();
        assert!(sentence.contains(says), "{what}: {sentence}");
        let command = found[0]["whatToDo"].as_str().expect("text");
        let words: Vec<&str> =
            command.strip_prefix("tidepilot ").unwrap_or_else(|| panic!("{command}")).split(' ').collect();
        assert!(!command.contains("delete"), "{command}");
        if context == "west" {
            assert!(
                command.contains("caOf=east/prod/prod-east") && command.contains("clusterDomain=west.local"),
                "{command}"
            );
        }
        let until = bed.log_length();
        let confirm = format!("prod-{context}");
        bed.tool(&[&words[..], &["--yes", "--confirm", &confirm]].concat()).await.expect(0);
        let sent = bed.writes_since(until);
        assert_eq!(sent.len(), 1, "{what}: {sent:?}");
        assert!(sent[0].contains("PATCH") || sent[0].contains("POST"), "{what}: {sent:?}");
        let after = named(&bed.tool(&["check", "prod-east", "-o", "json"]).await.json());
        assert_eq!(after, Vec::<Value>::new(), "{what}");
    };
    for fault in FAULTS {
        let (context, name) = fault.at;
        let forge = Forge::of(&bed, context, name);
        bed.edit(context, "secrets", "prod", name, |secret| (fault.spoil)(&forge, secret));
        mend(fault.what, context, fault.finding, fault.says).await;
    }
    for (context, name) in [("east", "prod-east-tikv-cluster-secret"), ("west", "prod-west-cluster-client-secret")] {
        bed.store(context).remove("secrets", "prod", name);
        mend("absent", context, "tls-secret-missing", "is not there").await;
    }
    if openssl::installed() {
        let (context, name) = ("west", "prod-west-tidb-cluster-secret");
        let forge = Forge::of(&bed, context, name);
        let office = Office::with(&forge.ca);
        let leaf = Leaf {
            subject: "/CN=tidb-ca",
            alternative_names: &forge.hosts,
            subject_key_id: false,
            authority_key_id: false,
        };
        let made: serde_json::Map<String, Value> =
            office.leaf(&leaf).into_iter().map(|(key, value)| (key, json!(k8s_openapi::ByteString(value)))).collect();
        bed.edit(context, "secrets", "prod", name, |secret| secret["data"] = Value::Object(made));
        mend("called like its CA", context, "certificate-looks-self-signed", "error 18").await;
    }
    // The name of the client's certificate is asked for by nobody at PD's port.
    let name = "prod-west-cluster-client-secret";
    let forge = Forge::of(&bed, "west", name);
    bed.edit("west", "secrets", "prod", name, |secret| forge.put(secret, &forge.ask(&[], "Other"), &forge.ca, 0));
    assert_eq!(named(&bed.tool(&["check", "prod-east", "-o", "json"]).await.json()), Vec::<Value>::new());
    bed.end().await;
}

/// What people read while a certificate is wrong: which one, since when, and no word of a library.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_a_certificate_is_wrong() {
    let bed = Bed::of("tls", &[]).await;
    type Spoil = fn(&Forge, &mut Value);
    let expired: Spoil = |forge, secret| forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.ca, -400);
    let foreign: Spoil = |forge, secret| forge.put(secret, &forge.ask(&forge.hosts, "TiDB"), &forge.other, 0);
    let cases = [
        ("prod-west-cluster-client-secret", expired, "Secret prod/prod-west-cluster-client-secret) expired at"),
        ("prod-west-cluster-client-secret", foreign, "is signed by a CA that is not in ca.crt"),
    ];
    for (name, spoil, says) in cases {
        let forge = Forge::of(&bed, "west", name);
        let good = bed.object("west", "secrets", "prod", name).expect("there");
        bed.edit("west", "secrets", "prod", name, |secret| spoil(&forge, secret));
        let said = bed.tool(&["status"]).await.all();
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(says), "{name}: {says}: {said}");
        for raw in [
            "UNIX",
            "seconds ago",
            "DnsName",
            "BadSignature",
            "invalid peer",
            "connection error",
            "UnknownIssuer",
            "-1 days",
            "Received",
        ] {
            assert!(!said.contains(raw), "{name}: {raw}: {said}");
        }
        bed.edit("west", "secrets", "prod", name, |secret| secret["data"] = good["data"].clone());
    }
    bed.end().await;
}
