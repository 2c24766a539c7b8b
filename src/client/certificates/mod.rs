//! Reads what the values of a Secret say about certificates: the one way from bytes to [`SecretFacts`].
//!
//! Values go in, names and fingerprints come out; of a private key only whether it belongs to the certificate. No error
//! quotes a value. Not here: judging the facts (`fleet::tls`), making certificates ([`crate::client::certificates::signing`]).

pub mod cfssl;
pub mod signing;
pub mod signing_error;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{X509Name, X509Version};

use super::plain;
use crate::fleet::certificate_facts::{CertificateFacts, SecretFacts, Usage, escaped, same_subject};
use crate::fleet::closer_look::Served;

/// Most certificates of one file that are looked at.
const MOST: usize = 16;

/// The decoded values of a Secret as the API gives it; what is no base64 is left out.
pub fn values(secret: &Value) -> BTreeMap<String, Vec<u8>> {
    let data = secret.get("data").and_then(Value::as_object);
    data.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), serde_json::from_value::<ByteString>(value.clone()).ok()?.0)))
        .collect()
}

/// What the values say.
pub fn facts(data: &BTreeMap<String, Vec<u8>>) -> SecretFacts {
    let mut unreadable = Vec::new();
    let mut read = |key: &str| -> Vec<CertificateDer<'static>> {
        let Some(pem) = data.get(key) else { return Vec::new() };
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(MOST).collect();
        let good =
            all.ok().filter(|all| !all.is_empty() && all.iter().all(|der| X509Certificate::from_der(der).is_ok()));
        good.unwrap_or_else(|| {
            unreadable.push(format!("{key} holds no certificate in PEM"));
            Vec::new()
        })
    };
    let (chain, authorities) = (read("tls.crt"), read("ca.crt"));
    if data.get("tls.key").is_some_and(|pem| PrivateKeyDer::from_pem_slice(pem).is_err()) {
        unreadable.push("tls.key holds no private key in PEM".to_owned());
    }
    let (chain, authorities) = (parsed(&chain), parsed(&authorities));
    let leaf = chain.first();
    SecretFacts {
        keys: data.keys().map(|key| plain(key)).collect(),
        certificate: leaf.map(certificate),
        authorities: authorities.iter().map(certificate).collect(),
        key_matches: leaf.zip(data.get("tls.key")).and_then(|(leaf, key)| belongs(leaf, key)),
        signed_by: leaf.and_then(|leaf| signer(leaf, &chain, &authorities)),
        other_key_id: leaf.and_then(|leaf| other_key_id(leaf, &chain, &authorities)),
        unreadable,
    }
}

/// What a server showed of itself.
pub(super) fn served(of: &CertificateDer<'_>) -> Option<Served> {
    let (_, read) = X509Certificate::from_der(of).ok()?;
    let CertificateFacts { fingerprint, not_after, .. } = certificate(&read);
    Some(Served { fingerprint, not_after })
}

/// What one certificate says.
pub(super) fn one(der: &[u8]) -> Option<CertificateFacts> {
    X509Certificate::from_der(der).ok().map(|(_, read)| certificate(&read))
}

fn parsed<'a>(all: &'a [CertificateDer<'static>]) -> Vec<X509Certificate<'a>> {
    all.iter().filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)).collect()
}

fn certificate(of: &X509Certificate<'_>) -> CertificateFacts {
    let name = |name: &x509_parser::x509::X509Name<'_>| {
        plain(name.iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default())
    };
    let (mut dns_names, mut ip_addresses) = (BTreeSet::new(), BTreeSet::new());
    if let Ok(Some(names)) = of.subject_alternative_name() {
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(name) => drop(dns_names.insert(plain(name))),
                GeneralName::IPAddress(bytes) => ip_addresses.extend(address(bytes)),
                _ => {}
            }
        }
    }
    let usages = of.extended_key_usage().ok().flatten().filter(|usages| !usages.value.any).map(|usages| {
        let all = [(usages.value.server_auth, Usage::Server), (usages.value.client_auth, Usage::Client)];
        all.into_iter().filter(|(has, _)| *has).map(|(_, usage)| usage).collect()
    });
    let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).unwrap_or_default();
    CertificateFacts {
        common_name: name(of.subject()),
        issuer: name(of.issuer()),
        dns_names,
        ip_addresses,
        usages,
        is_ca: of.is_ca(),
        not_before: time(of.validity().not_before),
        not_after: time(of.validity().not_after),
        fingerprint: hex(&Sha256::digest(of.as_raw())),
        public_key: public_key(of),
        subject: subject(of.subject()),
        key_id: key_id(of).map(hex),
        authority_key_id: authority(of).and_then(|id| id.key_identifier.as_ref()).map(|id| hex(id.0)),
        looks_self_signed: looks_self_signed(of),
        may_not_sign: may_not_sign(of).map(str::to_owned),
        rsa_bits: match of.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => Some(key.key_size()),
            _ => None,
        },
    }
}

/// What Go and OpenSSL ask of a CA. One of X.509 v1 can say nothing of it and is taken as it is.
fn may_not_sign(of: &X509Certificate<'_>) -> Option<&'static str> {
    if of.version() != X509Version::V3 {
        return None;
    }
    if !of.is_ca() {
        return Some("is not that of a CA (basicConstraints CA:TRUE is not in it)");
    }
    let signs = of.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    (!signs).then_some("may not sign certificates (its keyUsage is without keyCertSign)")
}

/// In the order of the certificate, types by their usual letters.
fn subject(name: &X509Name<'_>) -> String {
    const LETTERS: [(&str, &str); 6] = [
        ("2.5.4.3", "CN"),
        ("2.5.4.6", "C"),
        ("2.5.4.7", "L"),
        ("2.5.4.8", "ST"),
        ("2.5.4.10", "O"),
        ("2.5.4.11", "OU"),
    ];
    let parts = name.iter_rdn().map(|together| {
        let all = together.iter().map(|one| {
            let oid = one.attr_type().to_id_string();
            let letter = LETTERS.iter().find(|(known, _)| *known == oid).map_or(oid.as_str(), |(_, letter)| letter);
            let value = one.as_str().map_or_else(|_| hex(one.as_slice()), plain);
            format!("{letter}={}", escaped(&value))
        });
        all.collect::<Vec<_>>().join("+")
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn key_id<'a>(of: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    of.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn authority<'a>(of: &'a X509Certificate<'_>) -> Option<&'a x509_parser::extensions::AuthorityKeyIdentifier<'a>> {
    of.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => Some(id),
        _ => None,
    })
}

/// OpenSSL's own rule (`ossl_x509v3_cache_extensions`: EXFLAG_SI, then EXFLAG_SS), for what somebody else signed.
fn looks_self_signed(of: &X509Certificate<'_>) -> bool {
    if !same_subject(&subject(of.subject()), &subject(of.issuer())) {
        return false;
    }
    let named = authority(of);
    let other_key = named.and_then(|id| id.key_identifier.as_ref()).zip(key_id(of)).is_some_and(|(a, b)| a.0 != b);
    let other_serial = named.and_then(|id| id.authority_cert_serial).is_some_and(|serial| serial != of.raw_serial());
    // A signature of another kind than its own key cannot be its own.
    let kind = |oid: String| {
        let families = ["1.2.840.10045.", "1.2.840.113549.1.1."];
        families.into_iter().find(|family| oid.starts_with(family)).map_or(oid, str::to_owned)
    };
    let own_kind = kind(of.public_key().algorithm.algorithm.to_id_string());
    let signed_kind = kind(of.signature_algorithm.algorithm.to_id_string());
    !other_key && !other_serial && own_kind == signed_kind && of.verify_signature(None).is_err()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}

fn public_key(of: &X509Certificate<'_>) -> String {
    hex(&Sha256::digest(of.public_key().raw))
}

/// `None`: a kind of key that is not known here.
fn belongs(leaf: &X509Certificate<'_>, key: &[u8]) -> Option<bool> {
    let key = PrivateKeyDer::from_pem_slice(key).ok()?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
    Some(key.public_key()?.as_ref() == leaf.public_key().raw)
}

/// The one in `authorities` that signed it, through what stands beside it in its own file.
fn signer(
    leaf: &X509Certificate<'_>,
    chain: &[X509Certificate<'_>],
    authorities: &[X509Certificate<'_>],
) -> Option<String> {
    let mut current = leaf;
    for _ in 0..MOST {
        if let Some(authority) = authorities.iter().find(|authority| signed(current, authority)) {
            return Some(public_key(authority));
        }
        current =
            chain.iter().find(|next| next.is_ca() && next.as_raw() != current.as_raw() && signed(current, next))?;
    }
    None
}

/// Where every certificate that signed the leaf has another key id than the leaf names: the two ids. What stands between it and
/// `ca.crt` counts as the program that verifies it counts it.
fn other_key_id(
    leaf: &X509Certificate<'_>,
    chain: &[X509Certificate<'_>],
    authorities: &[X509Certificate<'_>],
) -> Option<(String, String)> {
    let named = authority(leaf)?.key_identifier.as_ref()?.0;
    let between = chain.iter().filter(|one| one.is_ca() && one.as_raw() != leaf.as_raw());
    let mut signers = authorities.iter().chain(between).filter(|one| signed(leaf, one)).peekable();
    signers.peek()?;
    let mut other = None;
    for signer in signers {
        match key_id(signer) {
            Some(id) if id != named => other = Some((hex(named), hex(id))),
            // One that fits, or says nothing, is enough.
            Some(_) | None => return None,
        }
    }
    other
}

/// A signature of a kind that cannot be checked here counts by the names alone.
fn signed(of: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    of.issuer().as_raw() == by.subject().as_raw()
        && match of.verify_signature(Some(by.public_key())) {
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => true,
            Err(_) => false,
        }
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
