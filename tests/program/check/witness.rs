//! Certificates that `openssl verify` refuses, made by `openssl` alone: each is found, and what it takes is not.

use std::collections::BTreeSet;

use tidepilot::client::certificates::facts;
use tidepilot::fleet::tls::{CertificateFaultKind, Wanted, troubles};

use crate::check::now;
use crate::common::openssl::{Leaf, Office, Values, files, installed, openssl};

const AUTHORITY: &str = "/O=PingCAP/CN=TiDB CA";

/// The CA made once more from its key, by itself, with these extensions.
fn remade(authority: &Values, extensions: &str) -> Vec<u8> {
    let folder = files(authority);
    let config = format!("[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n{extensions}");
    std::fs::write(folder.path().join("own.cnf"), config).expect("written");
    let words = ["req", "-x509", "-new", "-key", "tls.key", "-subj", AUTHORITY, "-days", "3000"];
    let (content, text) = openssl(folder.path(), &[&words[..], &["-config", "own.cnf", "-out", "again.crt"]].concat());
    assert!(content, "{text}");
    std::fs::read(folder.path().join("again.crt")).expect("made")
}

/// A leaf of RSA with a short key, signed by the CA.
fn short(authority: &Values) -> Values {
    let folder = files(authority);
    std::fs::write(folder.path().join("ext"), "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        .expect("written");
    let request = ["req", "-newkey", "rsa", "-pkeyopt", "rsa_keygen_bits:1024", "-nodes", "-subj", "/CN=TiDB"];
    let sign =
        ["x509", "-req", "-in", "r.pem", "-CA", "tls.crt", "-CAkey", "tls.key", "-CAcreateserial", "-days", "30"];
    for words in [
        [&request[..], &["-keyout", "leaf.key", "-out", "r.pem"]].concat(),
        [&sign[..], &["-extfile", "ext", "-out", "leaf.crt"]].concat(),
    ] {
        let (content, text) = openssl(folder.path(), &words);
        assert!(content, "{text}");
    }
    let read = |file: &str| std::fs::read(folder.path().join(file)).expect("made");
    [("ca.crt", authority["tls.crt"].clone()), ("tls.crt", read("leaf.crt")), ("tls.key", read("leaf.key"))]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
}

fn found(values: &Values) -> Vec<CertificateFaultKind> {
    found_at(values, now())
}

fn found_at(values: &Values, at: jiff::Timestamp) -> Vec<CertificateFaultKind> {
    let wanted = Wanted {
        secret: "x".into(),
        title: "a test".into(),
        common_name: None,
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        essential: BTreeSet::new(),
        operator: None,
        usages: BTreeSet::new(),
    };
    troubles(&wanted, &facts(values), at).into_iter().map(|trouble| trouble.kind).collect()
}

fn verified(values: &Values, more: &[&str]) -> String {
    let folder = files(values);
    openssl(folder.path(), &[&["verify"], more, &["-CAfile", "ca.crt", "tls.crt"]].concat()).1
}

/// What, values, how it is verified, what openssl says, what is found.
type Case = (&'static str, Values, &'static [&'static str], &'static str, &'static [CertificateFaultKind]);

#[test]
fn what_openssl_refuses_is_found() {
    if !installed() {
        return;
    }
    let office = Office::new(AUTHORITY, "ec");
    let authority = office.authority();
    let leaf = |ids: bool| {
        let leaf =
            Leaf { subject: "/O=PingCAP/CN=TiDB", alternative_names: &[], subject_key_id: ids, authority_key_id: ids };
        office.leaf(&leaf)
    };
    let under = |ca: Vec<u8>| {
        let mut values = leaf(true);
        values.insert("ca.crt".into(), ca);
        values
    };
    const SIGNS: &str = "keyUsage=critical,digitalSignature,keyCertSign\n";
    let ca = |extensions: &str| remade(&authority, extensions);
    let other_id = ca(&format!("basicConstraints=critical,CA:TRUE\n{SIGNS}subjectKeyIdentifier=01:02:03:04\n"));
    let no_ca = ca("basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\n");
    let no_sign =
        ca("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n");
    let both = [other_id.clone(), authority["tls.crt"].clone()].concat();
    let both_ways = [no_ca.clone(), authority["tls.crt"].clone()].concat();
    use CertificateFaultKind::{NoAuthority, NoKeyIds, OtherKeyId, ShortKey};
    let cases: [Case; 8] = [
        ("in order", leaf(true), &["-x509_strict"], "OK", &[]),
        ("another key id", under(other_id), &[], "error 20", &[OtherKeyId]),
        ("one of two fits", under(both), &[], "OK", &[]),
        ("CA:FALSE", under(no_ca), &[], "error 79", &[NoAuthority]),
        ("a good copy behind it", under(both_ways), &[], "error 79", &[NoAuthority]),
        ("without keyCertSign", under(no_sign), &[], "error 32", &[NoAuthority]),
        ("no key ids", leaf(false), &["-x509_strict"], "error 85", &[NoKeyIds]),
        ("1024 bits", short(&authority), &["-auth_level", "2"], "error 66", &[ShortKey]),
    ];
    for (what, values, how, says, kinds) in cases {
        let text = verified(&values, how);
        // The witness first: a case that openssl takes would prove nothing.
        assert!(text.contains(says), "{what}: {text}");
        assert_eq!(found(&values), kinds, "{what}: {text}");
    }
}

/// Whatever is no certificate ends every handshake, as a wrong key does.
#[test]
fn what_is_no_certificate_is_unusable() {
    if !installed() {
        return;
    }
    let whole = Office::new(AUTHORITY, "ec").authority();
    let text = whole["tls.crt"].clone();
    for bad in [Vec::new(), b"garbage".to_vec(), text[..text.len() / 2].to_vec()] {
        let mut values = whole.clone();
        values.insert("tls.crt".into(), bad);
        assert_eq!(found(&values), [CertificateFaultKind::Unreadable]);
    }
}

/// An expired copy of the CA gives way to the one that signs; other CAs, and copies that are good still, stay.
#[test]
fn an_expired_copy_of_the_ca_is_replaced() {
    if !installed() {
        return;
    }
    let office = Office::new(AUTHORITY, "ec");
    let authority = office.authority();
    let folder = files(&authority);
    let past = ["req", "-x509", "-new", "-key", "tls.key", "-subj", AUTHORITY, "-days", "1", "-out", "past.crt"];
    let (content, said) = openssl(folder.path(), &past);
    assert!(content, "{said}");
    // It ends tomorrow; judged is the day after.
    let later = now() + jiff::SignedDuration::from_hours(48);
    let expired = std::fs::read(folder.path().join("past.crt")).expect("made");
    let stranger = Office::new("/CN=another", "ec").authority()["tls.crt"].clone();
    let ask = tidepilot::client::certificates::signing::Ask {
        common_name: "TiDB",
        organization: None,
        hosts: &[],
        usages: BTreeSet::new(),
        days: 30,
    };
    let mut kept = authority.clone();
    // Also in the Secret of the CA itself.
    kept.insert("ca.crt".into(), expired.clone());
    let made = tidepilot::client::certificates::signing::certificate(&ask, "ca", &kept, later).expect("it signs");
    let made = made.trusting(&[expired, stranger].concat(), later);
    let read = facts(&made.values());
    let names: Vec<&str> = read.authorities.iter().map(|one| one.common_name.as_str()).collect();
    assert_eq!(names, ["another", "TiDB CA"]);
    assert_eq!(found_at(&made.values(), later), []);
}
