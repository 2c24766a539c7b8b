//! What programs with OpenSSL (TiKV, mysql, curl) refuse in a certificate that PD (Go) takes: by its error numbers.
//!
//! `tests/program/check/witness.rs` holds it against `openssl verify`. Pure. Not here: what both refuse ([`super::certificate_checks`]), what looks self-signed
//! (`client::certificates`, where the signature is at hand).

use super::certificate_fault_kinds::CertificateFaultKind;
use crate::fleet::certificate_facts::{CertificateFacts, SecretFacts, colons};

/// Shorter keys of RSA are below security level 2 of OpenSSL, which is the usual one.
const RSA_BITS: usize = 2048;

/// What programs with OpenSSL refuse, and PD (Go) takes.
pub(super) fn minds(certificate: &CertificateFacts, facts: &SecretFacts) -> Vec<(CertificateFaultKind, String)> {
    let mut found = Vec::new();
    if let Some((named, is)) = &facts.other_key_id {
        found.push((
            CertificateFaultKind::OtherKeyId,
            format!(
                "its certificate names {} as the key id of its CA, and that of the CA in its ca.crt, which has the same key, is {}: OpenSSL does not take the one for the signer of the other (error 20), so TiKV, mysql and curl refuse it, though PD (Go) does not; sign it again with the CA of ca.crt",
                short(named),
                short(is)
            ),
        ));
    }
    let weak = |one: &CertificateFacts| one.rsa_bits.filter(|bits| *bits < RSA_BITS);
    let refuses = |what: &str, bits: usize| {
        format!(
            "{what} has a key of RSA with {bits} bits: OpenSSL refuses less than {RSA_BITS} from security level 2 on, which is the usual one"
        )
    };
    if let Some(bits) = weak(certificate) {
        found.push((CertificateFaultKind::ShortKey, refuses("its certificate", bits)));
    }
    if let Some(bits) = facts.signers().find_map(weak) {
        found.push((CertificateFaultKind::CaShortKey, refuses("the CA in its ca.crt", bits)));
    }
    // What was not read in full tells nothing of what it lacks; and what looks self-signed lacks it as well.
    if certificate.subject.is_empty() || certificate.looks_self_signed || facts.signed_by.is_none() {
        return found;
    }
    let strict =
        "programs that verify by the strict rules of RFC 5280 (openssl -x509_strict, Python from 3.13 on) refuse it";
    // One that signed itself names nobody.
    if certificate.authority_key_id.is_none() && facts.signed_by.as_ref() != Some(&certificate.public_key) {
        found.push((
            CertificateFaultKind::NoKeyIds,
            format!("its certificate has no authority key id: {strict} (error 85)"),
        ));
    }
    if facts.signers().next().is_some() && facts.signers().all(|ca| ca.key_id.is_none()) {
        found.push((
            CertificateFaultKind::CaNoKeyId,
            format!("the CA in its ca.crt has no subject key id: {strict} (error 86)"),
        ));
    }
    found
}

fn short(key_id: &str) -> String {
    match key_id.get(..12) {
        Some(begin) if key_id.len() > 16 => format!("{}…", colons(begin)),
        _ => colons(key_id),
    }
}
