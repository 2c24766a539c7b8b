//! What a certificate and a Secret with certificates say: names, uses, times, who signed it. No value of any key.
//!
//! Plain data, made where the bytes are (`client::certificates`) and kept inside the redacted Secret under
//! [`FACTS_KEY`], so that whoever sees the Secret sees this and nothing else of it. Pure. Not here: what there should
//! be, and what is wrong with what there is ([`super::tls`]).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operator_normalization;

/// Field of a redacted Secret that holds its [`SecretFacts`].
pub const FACTS_KEY: &str = "certificateFacts";

/// What a certificate may be used for, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Usage {
    #[serde(rename = "server auth")]
    Server,
    #[serde(rename = "client auth")]
    Client,
}

impl Usage {
    /// As cfssl and cert-manager write it.
    pub fn word(self) -> &'static str {
        match self {
            Usage::Server => "server auth",
            Usage::Client => "client auth",
        }
    }
}

/// One certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// Empty where the subject has none.
    pub common_name: String,
    /// Common name of whoever signed it.
    pub issuer: String,
    pub dns_names: BTreeSet<String>,
    pub ip_addresses: BTreeSet<String>,
    /// `None`: nothing is said, so any use is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usages: Option<BTreeSet<Usage>>,
    pub is_ca: bool,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SHA-256 of the certificate, hex.
    pub fingerprint: String,
    /// SHA-256 of its SubjectPublicKeyInfo, hex: the same for a CA that was renewed with its key.
    pub public_key: String,
    /// The whole subject, `O=PingCAP, CN=TiDB`, in the certificate's own order; empty: it was not read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Subject key identifier, hex; of a CA it tells two of one name apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Authority key identifier, hex: the key id of whoever signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_key_id: Option<String>,
    /// Another signed it, and OpenSSL takes it for self-signed all the same: issuer and subject are equal, and no pair of
    /// key ids tells them apart (X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, error 18).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub looks_self_signed: bool,
    /// What it lacks to sign others, as the rest of a sentence: Go and OpenSSL refuse what it signed all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_not_sign: Option<String>,
    /// Bits of its key, of RSA alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa_bits: Option<usize>,
}

impl CertificateFacts {
    pub fn allows(&self, usage: Usage) -> bool {
        self.usages.as_ref().is_none_or(|usages| usages.contains(&usage))
    }

    /// As people tell it from another of its name: `"TiDB" (key id 0D:89:E4:5D:69:FA…)`, or by its fingerprint.
    pub fn called(&self) -> String {
        let (word, whole) = match &self.key_id {
            Some(id) => ("key id", id),
            None => ("SHA-256", &self.fingerprint),
        };
        let short = if whole.len() > 16 { format!("{}…", colons(&whole[..12])) } else { colons(whole) };
        format!("{:?} ({word} {short})", self.common_name)
    }

    /// Who signed it, by its own words.
    pub fn signer(&self) -> String {
        match &self.authority_key_id {
            Some(id) if id.len() > 16 => format!("{:?} (key id {}…)", self.issuer, colons(&id[..12])),
            Some(id) => format!("{:?} (key id {})", self.issuer, colons(id)),
            None => format!("{:?}", self.issuer),
        }
    }

    /// Whether it is of the same key and subject as another: what the one signed, the other signed as well.
    pub fn same_authority(&self, other: &CertificateFacts) -> bool {
        self.public_key == other.public_key && same_subject(&self.subject, &other.subject)
    }

    /// Whether the name is in it as it stands, small and capital letters alike. An address is written as Rust writes it.
    pub fn names(&self, host: &str) -> bool {
        self.ip_addresses.contains(host) || self.dns_names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// A key id as `openssl x509 -text` prints it.
pub fn colons(key_id: &str) -> String {
    let pairs: Vec<String> =
        key_id.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).to_uppercase()).collect();
    pairs.join(":")
}

/// The subject of a certificate with these two names, as [`CertificateFacts::subject`] writes it.
pub fn subject(common_name: &str, organization: Option<&str>) -> String {
    let organization = organization.filter(|name| !name.is_empty()).map(|name| format!("O={}, ", escaped(name)));
    format!("{}CN={}", organization.unwrap_or_default(), escaped(common_name))
}

/// A value inside a subject.
pub fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('+', "\\+")
}

/// Whether OpenSSL takes two subjects for one name: small and capital letters alike, spaces run together
/// (`X509_NAME_cmp` compares the canonical encodings).
pub fn same_subject(one: &str, other: &str) -> bool {
    let canonical = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    canonical(one) == canonical(other)
}

/// What a Secret of the three keys `tls.crt`, `tls.key`, `ca.crt` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecretFacts {
    /// The names of all its keys.
    pub keys: BTreeSet<String>,
    /// The first of `tls.crt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    /// All of `ca.crt`: two while a CA is being replaced.
    pub authorities: Vec<CertificateFacts>,
    /// Whether `tls.key` belongs to `tls.crt`; `None`: one is missing, or the key is of a kind that is not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_matches: Option<bool>,
    /// Public key (see [`CertificateFacts::public_key`]) of the one in `ca.crt` whose signature `tls.crt` bears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The key ids say that none in `ca.crt` signed it, though the signature is by the key of one of them: both ids, that of
    /// the certificate first. OpenSSL finds no issuer then (X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, error 20).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_key_id: Option<(String, String)>,
    /// What could not be read, one sentence each.
    pub unreadable: Vec<String>,
}

/// Fingerprint of the certificate in a redacted Secret; empty where there is none that could be read.
pub fn fingerprint(secret: &Value) -> String {
    SecretFacts::of(secret).and_then(|facts| facts.certificate).map_or_else(String::new, |found| found.fingerprint)
}

/// The Certificate whose Secret cert-manager keeps; `None`: it keeps this one not.
pub fn kept_by(secret: &Value) -> Option<&str> {
    secret.pointer("/metadata/annotations/cert-manager.io~1certificate-name")?.as_str()
}

impl SecretFacts {
    /// The facts inside a redacted Secret.
    pub fn of(secret: &Value) -> Option<Self> {
        serde_json::from_value(secret.get(FACTS_KEY)?.clone()).ok()
    }

    /// The copies in `ca.crt` of whoever signed it.
    pub fn signers(&self) -> impl Iterator<Item = &CertificateFacts> {
        self.authorities.iter().filter(|one| self.signed_by.as_ref() == Some(&one.public_key))
    }

    /// Whether a certificate signed by that public key is trusted by whoever mounts this Secret.
    pub fn trusts(&self, public_key: &str) -> bool {
        self.authorities.iter().any(|authority| authority.public_key == public_key)
    }
}

/// Common names that a component's `config` lets in: `security.cert-allowed-cn` (TiFlash writes it with `_`), or TiDB's
/// `cluster-verify-cn`, in an object or in TOML text. `None`: nothing is said.
pub fn allowed_names(config: &Value) -> Option<Vec<String>> {
    const KEYS: [&str; 3] = ["cert-allowed-cn", "cert_allowed_cn", "cluster-verify-cn"];
    let config = operator_normalization::config(config);
    // TiFlash keeps its own below `config`.
    let security = config.get("security").or_else(|| config.get("config")?.get("security"))?;
    let names = KEYS.into_iter().find_map(|key| security.get(key)?.as_array())?;
    Some(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whose_names_are_let_in() {
        let cases = [
            (json!({"security": {"cert-allowed-cn": ["TiDB", "x"]}}), Some(vec!["TiDB", "x"])),
            (json!({"config": {"security": {"cert_allowed_cn": ["TiDB"]}}}), Some(vec!["TiDB"])),
            (json!({"security": {"cluster-verify-cn": ["TiDB"]}}), Some(vec!["TiDB"])),
            (
                json!("[security]\n  cert-allowed-cn = [\"TiDB\",\n 'x']\n[log]\nlevel = \"info\""),
                Some(vec!["TiDB", "x"]),
            ),
            (json!("[security]\n# cert-allowed-cn = [\"no\"]"), None),
            (json!({}), None),
            (json!(""), None),
        ];
        for (config, expected) in cases {
            let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(allowed_names(&config), expected, "{config}");
        }
    }

    #[test]
    fn subjects_are_compared_as_openssl_compares_them() {
        let asked = subject("TiDB", Some("PingCAP"));
        assert_eq!(asked, "O=PingCAP, CN=TiDB");
        assert_eq!(subject("TiDB", Some("")), "CN=TiDB");
        assert_eq!(subject("a, b", None), "CN=a\\, b");
        assert!(same_subject(&asked, "O=pingcap,  CN=tidb"));
        for other in ["CN=TiDB", "CN=TiDB, O=PingCAP", "O=PingCAP, CN=TiDB2", ""] {
            assert!(!same_subject(&asked, other), "{other}");
        }
        assert_eq!(colons("0d89e4"), "0D:89:E4");
    }

    #[test]
    fn a_redacted_secret_carries_its_facts() {
        let facts = SecretFacts { keys: ["tls.crt".to_owned()].into(), ..SecretFacts::default() };
        let secret = json!({ "data": {}, FACTS_KEY: facts });
        assert_eq!(SecretFacts::of(&secret), Some(facts));
        assert_eq!(SecretFacts::of(&json!({"data": {}})), None);
    }
}
