//! Makes certificates, built in: a CA of one's own, and certificates signed by a CA whose key is at hand.
//!
//! Keys that are made are ECDSA P-256. A CA may come from elsewhere (cfssl, cert-manager, openssl): RSA of 2048 bits or
//! more, P-256, P-384 or Ed25519, in PKCS#8, PKCS#1 or SEC1. Private keys are in [`Material`] and in no error. Not here:
//! the user's own cfssl ([`crate::client::certificates::cfssl`]), storing what was made ([`crate::client::write`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls::SignatureScheme;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value, json};

use crate::client::certificates;
use crate::client::certificates::signing_error::SigningError;
use crate::fleet::certificate_facts::{CertificateFacts, Usage};
use crate::fleet::tls::{authority_troubles, out_of_time};
use crate::runbook::actions::openssl_commands;

/// Certificates are valid from a little earlier on: clocks differ.
const EARLIER: Duration = Duration::from_secs(300);

/// What is asked for, of a CA or of a certificate.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub common_name: &'a str,
    pub organization: Option<&'a str>,
    /// DNS names and addresses.
    pub hosts: &'a [String],
    pub usages: BTreeSet<Usage>,
    pub days: u32,
}

/// The three values of a Secret, PEM.
#[derive(Clone)]
pub struct Material {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Material(..)")
    }
}

impl Material {
    /// With every CA of an older `ca.crt` beside its own: whoever is signed by one of them is trusted still. An expired copy of
    /// its own CA is left out, which takes its place.
    pub fn trusting(mut self, older: &[u8], now: Timestamp) -> Self {
        self.ca = beside(&String::from_utf8_lossy(older), &self.ca, now);
        self
    }

    pub fn values(&self) -> BTreeMap<String, Vec<u8>> {
        let all = [("ca.crt", &self.ca), ("tls.crt", &self.certificate), ("tls.key", &self.key)];
        all.into_iter().map(|(key, value)| (key.to_owned(), value.clone().into_bytes())).collect()
    }

    /// As `data` of a Secret.
    pub fn data(&self) -> Value {
        let coded = self.values().into_iter().map(|(key, value)| (key, json!(ByteString(value))));
        Value::Object(coded.collect::<Map<_, _>>())
    }
}

/// The certificates of a PEM text, each as text and as DER.
fn blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let bodies = text.split(begin).skip(1).filter_map(|part| part.split_once(end)).map(|(body, _)| body);
    let whole = bodies.map(|body| format!("{begin}{body}{end}"));
    whole
        .filter_map(|pem| Some((CertificateDer::from_pem_slice(pem.as_bytes()).ok()?.to_vec(), pem)))
        .map(|(der, pem)| (pem, der))
        .collect()
}

/// The certificates of one bundle before those of another, each once; of the older none that the newer ones hold as a better copy of
/// the same key and subject.
fn beside(older: &str, newer: &str, now: Timestamp) -> String {
    let new = blocks(newer);
    let read: Vec<_> = new.iter().filter_map(|(_, der)| certificates::one(der)).collect();
    let good = |one: &CertificateFacts| out_of_time(one, now).is_none() && one.may_not_sign.is_none();
    let better = |old: &CertificateFacts| !good(old) && read.iter().any(|one| one.same_authority(old) && good(one));
    let kept = blocks(older).into_iter().filter(|(_, der)| {
        !new.iter().any(|(_, known)| known == der) && !certificates::one(der).is_some_and(|old| better(&old))
    });
    kept.map(|(pem, _)| format!("{pem}\n")).collect::<String>() + newer
}

/// What whoever trusts this CA is given: its `ca.crt`, and where it is a root itself the very certificate that signs.
pub(in crate::client) fn bundle(values: &BTreeMap<String, Vec<u8>>, now: Timestamp) -> String {
    let text = |key: &str| values.get(key).map(|pem| String::from_utf8_lossy(pem).into_owned());
    let own = text("tls.crt").unwrap_or_default();
    let Some(listed) = text("ca.crt") else { return own };
    let facts = certificates::facts(values);
    let root = facts.certificate.as_ref().is_some_and(|ca| facts.signed_by.as_ref() == Some(&ca.public_key));
    let new = blocks(&own);
    match new.first().filter(|(_, der)| root && !blocks(&listed).iter().any(|(_, known)| known == der)) {
        Some((pem, _)) => beside(&listed, &format!("{pem}\n"), now),
        None => listed,
    }
}

/// A new CA, signed by itself.
pub fn authority(ask: &Ask<'_>, now: Timestamp) -> Result<Material, SigningError> {
    let mut params = params(ask, now, None)?;
    params.distinguished_name = name(ask, &openssl_commands::AUTHORITY_SUBJECT)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(SigningError::NoKeyMade)?;
    let pem = key.serialize_pem();
    let issuer = CertifiedIssuer::self_signed(params, key).map_err(SigningError::AuthorityNotMade)?;
    let certificate = issuer.as_ref().pem();
    Ok(Material { ca: certificate.clone(), certificate, key: pem })
}

/// A new certificate. `values`: those of the Secret of the CA, called `secret`.
pub fn certificate(
    ask: &Ask<'_>,
    secret: &str,
    values: &BTreeMap<String, Vec<u8>>,
    now: Timestamp,
) -> Result<Material, SigningError> {
    let facts = certificates::facts(values);
    let troubles = authority_troubles(secret, &facts, now);
    if let Some(trouble) = troubles.into_iter().find(|trouble| !trouble.kind.only_warns()) {
        return Err(SigningError::UnfitAuthority(trouble));
    }
    let part =
        |key: &'static str| values.get(key).ok_or_else(|| SigningError::LacksKey { secret: secret.to_owned(), key });
    let (own, key) = (part("tls.crt")?, part("tls.key")?);
    let der =
        CertificateDer::from_pem_slice(own).map_err(|_| SigningError::NoCertificate { secret: secret.to_owned() })?;
    let key = AuthorityKey::read(secret, key)?;
    let issuer =
        Issuer::from_ca_cert_der(&der, key).map_err(|why| SigningError::Unusable { secret: secret.to_owned(), why })?;
    // Whoever outlives its CA is refused from then on all the same.
    let last = facts.certificate.as_ref().map(|ca| ca.not_after);
    let mut params = params(ask, now, last)?;
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = ask
        .usages
        .iter()
        .map(|usage| match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    let leaf = KeyPair::generate().map_err(SigningError::NoKeyMade)?;
    let signed = params.signed_by(&leaf, &issuer).map_err(SigningError::NotSigned)?;
    let text = |pem: &[u8]| String::from_utf8_lossy(pem).into_owned();
    let own = text(own);
    // One that is not a root goes along, so that the chain can be followed.
    let root =
        facts.certificate.as_ref().is_some_and(|ca| facts.trusts(&ca.public_key)) || facts.authorities.is_empty();
    let certificate = if root { signed.pem() } else { format!("{}{own}", signed.pem()) };
    let ca = bundle(values, now);
    Ok(Material { ca, certificate, key: leaf.serialize_pem() })
}

/// A subject; `more` beside organization and common name, in the order of the documents' CA.
fn name(ask: &Ask<'_>, more: &[(&str, &str)]) -> Result<DistinguishedName, SigningError> {
    let mut name = DistinguishedName::new();
    let of = |key: &str| more.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned());
    if let Some(country) = of("C") {
        // X.520 wants a PrintableString here.
        let printable = country.as_str().try_into().map_err(|_| SigningError::Country(country.clone()))?;
        name.push(DnType::CountryName, DnValue::PrintableString(printable));
    }
    let rest = [
        (DnType::StateOrProvinceName, of("ST")),
        (DnType::LocalityName, of("L")),
        (DnType::OrganizationName, ask.organization.map(str::to_owned)),
        (DnType::OrganizationalUnitName, of("OU")),
        (DnType::CommonName, Some(ask.common_name.to_owned())),
    ];
    rest.into_iter().filter_map(|(kind, value)| Some((kind, value?))).for_each(|(kind, value)| name.push(kind, value));
    Ok(name)
}

fn params(ask: &Ask<'_>, now: Timestamp, last: Option<Timestamp>) -> Result<CertificateParams, SigningError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(ask, &[])?;
    params.subject_alt_names = ask.hosts.iter().map(|host| host_name(host)).collect::<Result<_, _>>()?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let seconds = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    let wanted = seconds(now) + Duration::from_secs(u64::from(ask.days) * 86_400);
    params.not_before = epoch + seconds(now).saturating_sub(EARLIER);
    params.not_after = epoch + last.map_or(wanted, |last| wanted.min(seconds(last)));
    Ok(params)
}

fn host_name(host: &str) -> Result<SanType, SigningError> {
    match host.parse() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => host.to_owned().try_into().map(SanType::DnsName).map_err(|_| SigningError::HostName(host.to_owned())),
    }
}

/// A CA's key in whatever form it came.
struct AuthorityKey {
    key: std::sync::Arc<dyn rustls::sign::SigningKey>,
    scheme: SignatureScheme,
    algorithm: &'static SignatureAlgorithm,
    /// SubjectPublicKeyInfo.
    public: Vec<u8>,
}

impl AuthorityKey {
    fn read(secret: &str, pem: &[u8]) -> Result<Self, SigningError> {
        let unknown = || SigningError::KindOfKey { secret: secret.to_owned() };
        let der =
            PrivateKeyDer::from_pem_slice(pem).map_err(|_| SigningError::NoPrivateKey { secret: secret.to_owned() })?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| unknown())?;
        let known = [
            (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
            (SignatureScheme::ECDSA_NISTP256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
            (SignatureScheme::ECDSA_NISTP384_SHA384, &rcgen::PKCS_ECDSA_P384_SHA384),
            (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
        ];
        let fits = known.into_iter().find(|(scheme, _)| key.choose_scheme(&[*scheme]).is_some());
        let (scheme, algorithm) = fits.ok_or_else(unknown)?;
        let public = key.public_key().map(|key| key.as_ref().to_vec()).ok_or_else(unknown)?;
        Ok(Self { key, scheme, algorithm, public })
    }
}

impl PublicKeyData for AuthorityKey {
    fn subject_public_key_info(&self) -> Vec<u8> {
        self.public.clone()
    }

    /// Wanted only for a certificate that is to hold this key, and the CA's own exists already.
    fn der_bytes(&self) -> &[u8] {
        &[]
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for AuthorityKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.key.choose_scheme(&[self.scheme]).ok_or(rcgen::Error::RemoteKeyError)?;
        signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tidbcluster::Component;
    use crate::fleet::tls::{Asked, troubles, wanted};

    fn now() -> Timestamp {
        "2026-06-01T00:00:00Z".parse().expect("a time")
    }

    fn of_ca(days: u32) -> Ask<'static> {
        Ask { common_name: "TiDB", organization: Some("PingCAP"), hosts: &[], usages: BTreeSet::new(), days }
    }

    #[test]
    fn what_is_signed_is_what_was_asked_for() {
        let ca = authority(&of_ca(3650), now()).expect("made");
        let facts = certificates::facts(&ca.values());
        assert_eq!(authority_troubles("ca", &facts, now()), Vec::new());
        let asked = Asked {
            name: "basic",
            namespace: "db",
            domain: Some("a.com"),
            common_name: Some("TiDB"),
            components: Component::ALL.to_vec(),
            mysql: true,
        };
        for wanted in wanted(&asked) {
            let hosts = wanted.hosts();
            let ask = Ask { hosts: &hosts, usages: wanted.usages.clone(), days: 365, ..of_ca(0) };
            let made = certificate(&ask, "ca", &ca.values(), now()).expect("signed");
            let found = certificates::facts(&made.values());
            assert_eq!(troubles(&wanted, &found, now()), Vec::new(), "{found:?}");
            assert_eq!(found.key_matches, Some(true));
            let (leaf, ca) = (found.certificate.clone().expect("one"), facts.certificate.clone().expect("one"));
            assert_eq!(
                (leaf.subject.as_str(), ca.subject.as_str()),
                ("O=PingCAP, CN=TiDB", "C=US, ST=Beijing, L=CA, O=PingCAP, OU=TiDB, CN=TiDB")
            );
            assert!(leaf.key_id.is_some() && leaf.authority_key_id == ca.key_id && leaf.key_id != ca.key_id);
            assert_eq!(found.signed_by, facts.certificate.as_ref().map(|ca| ca.public_key.clone()));
            // Nothing that is published quotes a key.
            let shown = format!("{made:?} {}", serde_json::to_string(&found).expect("serialises"));
            assert!(!shown.contains("PRIVATE"), "{shown}");
        }
    }

    #[test]
    fn a_ca_that_cannot_sign_is_refused_in_words() {
        let ca = authority(&of_ca(10), now()).expect("made");
        let ask = Ask { days: 365, ..of_ca(0) };
        let made = certificate(&ask, "ca", &ca.values(), now()).expect("signed");
        let until = certificates::facts(&made.values()).certificate.expect("one").not_after;
        assert_eq!(until, now() + jiff::SignedDuration::from_hours(240), "it outlives its CA");
        let later = now() + jiff::SignedDuration::from_hours(300);
        let other = authority(&of_ca(10), now()).expect("made");
        let mixed = Material { key: other.key, ..ca.clone() };
        let broken =
            Material { key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".into(), ..ca.clone() };
        let cases = [
            (ca.values(), later, "expired at"),
            (made.values(), now(), "is not that of a CA"),
            (mixed.values(), now(), "is not the key of tls.crt"),
            (broken.values(), now(), "cannot be signed with"),
            (BTreeMap::new(), now(), "no key"),
        ];
        for (values, at, why) in cases {
            let error = certificate(&ask, "ca", &values, at).expect_err(why).to_string();
            assert!(error.contains(why) && !error.contains("AAAA"), "{error}");
        }
    }
}
