//! cert-manager as far as certificates of a TidbCluster need it: Issuers (self-signed, CA) and Certificates become Secrets.
//!
//! Works only in a KubeCluster whose scenario says `certManager: true`. A Certificate waits until its Issuer is ready and an
//! Issuer until its CA's Secret is there; both say so in a Ready condition. Nothing is renewed here. Not here: other
//! kinds of issuers, requests and orders, the certificates of a scenario's own TidbClusters ([`super::secrets`]).

use std::time::Duration;

use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer as _, ParsedExtension};

use super::object_store::{Store, identity, now};
use super::secrets::encode;
use super::world::World;

/// The two definitions that a scenario's KubeCluster gets.
pub const KINDS: [&str; 2] = ["issuers", "certificates"];

/// One pass over the Issuers and Certificates of a KubeCluster.
pub fn tick(world: &World, kube: usize) {
    let store = &world.kubes[kube].store;
    if store.find("customresourcedefinitions", "", "certificates.cert-manager.io").is_none() {
        return;
    }
    for issuer in store.snapshot("issuers", None).1 {
        let (namespace, name) = identity(&issuer);
        let (ready, reason, message) = judge(store, &namespace, &issuer);
        condition(store, "issuers", &namespace, &name, ready, reason, &message);
    }
    for certificate in store.snapshot("certificates", None).1 {
        let (namespace, name) = identity(&certificate);
        let (ready, reason, message) = match issue(store, &namespace, &certificate) {
            Ok(()) => (true, "Ready", "Certificate is up to date and has not expired".to_owned()),
            Err(why) => (false, "DoesNotExist", why),
        };
        condition(store, "certificates", &namespace, &name, ready, reason, &message);
    }
}

fn condition(store: &Store, plural: &str, namespace: &str, name: &str, ready: bool, reason: &str, message: &str) {
    let status = if ready { "True" } else { "False" };
    let known = store.find(plural, namespace, name);
    let current = known.as_ref().and_then(|object| object.pointer("/status/conditions/0")).cloned().unwrap_or_default();
    if current["status"] == status && current["message"] == message {
        return;
    }
    store.edit(plural, namespace, name, |object| {
        object["status"]["conditions"] = json!([{
            "type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": now(),
        }]);
    });
}

fn judge(store: &Store, namespace: &str, issuer: &Value) -> (bool, &'static str, String) {
    if issuer["spec"]["selfSigned"].is_object() {
        return (true, "IsReady", String::new());
    }
    let Some(secret) = issuer["spec"]["ca"]["secretName"].as_str() else {
        return (false, "Unsupported", "the simulated cert-manager knows selfSigned and ca issuers only".into());
    };
    match authority(store, namespace, secret) {
        Ok(_) => (true, "KeyPairVerified", "Signing CA verified".into()),
        Err(why) => (false, "ErrGetKeyPair", why),
    }
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(store: &Store, namespace: &str, name: &str) -> Result<Authority, String> {
    let secret = store.find("secrets", namespace, name);
    let secret = secret.ok_or_else(|| format!("Error getting keypair for CA issuer: secret \"{name}\" not found"))?;
    let text = |key: &str| {
        let bytes = serde_json::from_value::<ByteString>(secret["data"][key].clone()).ok();
        bytes.and_then(|bytes| String::from_utf8(bytes.0).ok()).ok_or_else(|| format!("secret \"{name}\" has no {key}"))
    };
    let (pem, key) = (text("tls.crt")?, text("tls.key")?);
    let key = KeyPair::from_pem(&key).map_err(|_| format!("the key in secret \"{name}\" cannot be read"))?;
    let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|error| error.to_string())?;
    Ok(Authority { issuer, pem })
}

/// Makes the Secret of a Certificate, unless it is there.
fn issue(store: &Store, namespace: &str, certificate: &Value) -> Result<(), String> {
    let spec = &certificate["spec"];
    let secret = spec["secretName"].as_str().ok_or("no secretName")?;
    if store.find("secrets", namespace, secret).is_some() {
        return Ok(());
    }
    let by = spec["issuerRef"]["name"].as_str().unwrap_or_default();
    let issuer = store.find("issuers", namespace, by);
    let issuer =
        issuer.ok_or_else(|| format!("Referenced \"Issuer\" not found: issuer.cert-manager.io \"{by}\" not found"))?;
    let (ready, _, why) = judge(store, namespace, &issuer);
    if !ready {
        return Err(format!("Issuer {by} is not ready: {why}"));
    }
    let params = params(spec);
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let key_pem = key.serialize_pem();
    let (made, ca) = match issuer["spec"]["ca"]["secretName"].as_str() {
        Some(ca) => {
            let authority = authority(store, namespace, ca)?;
            let made = as_go_signs(params, &key, &authority)?;
            (made, authority.pem)
        }
        None => {
            let made = CertifiedIssuer::self_signed(params, key).map_err(|error| error.to_string())?.as_ref().pem();
            (made.clone(), made)
        }
    };
    let data = json!({
        "ca.crt": encode(ca.as_bytes()), "tls.crt": encode(made.as_bytes()), "tls.key": encode(key_pem.as_bytes()),
    });
    let (_, name) = identity(certificate);
    store.put(
        "secrets",
        json!({
            "metadata": {"namespace": namespace, "name": secret, "annotations": {"cert-manager.io/certificate-name": name}},
            "type": "kubernetes.io/tls",
            "data": data,
        }),
    );
    Ok(())
}

/// A leaf as Go's `x509.CreateCertificate` writes it: no subject key id, and an authority key id only where the CA has
/// one and its subject is not, byte for byte, the leaf's own.
fn as_go_signs(mut params: CertificateParams, key: &KeyPair, authority: &Authority) -> Result<String, String> {
    let ca = CertificateDer::from_pem_slice(authority.pem.as_bytes()).map_err(|error| error.to_string())?;
    let (_, ca) = X509Certificate::from_der(&ca).map_err(|error| error.to_string())?;
    let ca_has_id =
        ca.extensions().iter().any(|one| matches!(one.parsed_extension(), ParsedExtension::SubjectKeyIdentifier(_)));
    let sign = |params: &CertificateParams| params.signed_by(key, &authority.issuer).map_err(|error| error.to_string());
    params.use_authority_key_identifier_extension = ca_has_id;
    let made = sign(&params)?;
    let (_, leaf) = X509Certificate::from_der(made.der()).map_err(|error| error.to_string())?;
    if leaf.subject().as_raw() != leaf.issuer().as_raw() {
        return Ok(made.pem());
    }
    params.use_authority_key_identifier_extension = false;
    Ok(sign(&params)?.pem())
}

/// Go writes what fits into it as a PrintableString.
fn text(value: &str) -> DnValue {
    value.try_into().map_or_else(|_| DnValue::Utf8String(value.to_owned()), DnValue::PrintableString)
}

fn params(spec: &Value) -> CertificateParams {
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    for organization in words(&spec["subject"]["organizations"]) {
        name.push(DnType::OrganizationName, text(&organization));
    }
    name.push(DnType::CommonName, text(spec["commonName"].as_str().unwrap_or_default()));
    params.distinguished_name = name;
    let dns = words(&spec["dnsNames"]).into_iter().filter_map(|name| name.try_into().ok().map(SanType::DnsName));
    let addresses = words(&spec["ipAddresses"]).into_iter().filter_map(|one| one.parse().ok().map(SanType::IpAddress));
    params.subject_alt_names = dns.chain(addresses).collect();
    let from = now().parse::<jiff::Timestamp>().map_or(0, |at| u64::try_from(at.as_second()).unwrap_or(0));
    let hours = spec["duration"].as_str().and_then(|text| text.split('h').next()?.parse().ok()).unwrap_or(2_160_u64);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.saturating_sub(60));
    params.not_after = epoch + Duration::from_secs(from + hours * 3_600);
    if spec["isCA"] == true {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    } else {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        // CA:FALSE, without the subject key id that rcgen would write beside it.
        let mut none = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0x00]);
        none.set_criticality(true);
        params.custom_extensions = vec![none];
    }
    let usages = words(&spec["usages"]);
    let known =
        [("server auth", ExtendedKeyUsagePurpose::ServerAuth), ("client auth", ExtendedKeyUsagePurpose::ClientAuth)];
    params.extended_key_usages = known
        .into_iter()
        .filter(|(word, _)| usages.iter().any(|usage| usage == word))
        .map(|(_, usage)| usage)
        .collect();
    params
}
