//! What can be wrong with a certificate, and how much that matters.

use serde::Serialize;

use crate::fleet::ObjectRef;

/// One thing that is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFault {
    pub kind: CertificateFaultKind,
    pub secret: String,
    pub sentence: String,
}

/// Number of the hazard (`domain.md` §5.2) beside each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateFaultKind {
    /// It could not be read, so nothing is known of it.
    Unseen,
    /// 24
    Absent,
    /// A key is not there; 24.
    Keys,
    /// What is in a key is no certificate, or no private key.
    Unreadable,
    /// A name without which the components cannot speak with each other; 20.
    EssentialName,
    /// Another name of the documents' list.
    OtherName,
    Usage,
    /// 22
    CommonName,
    /// 21
    Authority,
    /// The key is another certificate's.
    KeyMismatch,
    /// Its own `ca.crt` did not sign it; 21.
    Chain,
    /// OpenSSL takes it for self-signed ([`crate::fleet::certificate_facts::CertificateFacts::looks_self_signed`]); Go does not.
    LooksSelfSigned,
    /// By its key ids another signed it, though the signature is right ([`crate::fleet::certificate_facts::SecretFacts::other_key_id`]); Go does not mind.
    OtherKeyId,
    /// What signed it is in its `ca.crt` as no CA.
    NoAuthority,
    /// A key of RSA that is shorter than programs with OpenSSL take.
    ShortKey,
    /// Without the key id of its CA, which RFC 5280 asks for.
    NoKeyIds,
    /// The same two of the CA, which no new certificate mends.
    CaShortKey,
    CaNoKeyId,
    /// More common names in cert-allowed-cn than this PD takes; 22.
    SeveralNames,
    /// Of the clients of the components: some of them, and not PD, do not let its name in; 22.
    ClientName,
    /// The CA that signed it, in its `ca.crt`; 23.
    CaExpired,
    CaExpiring,
    /// 23
    Expired,
    NotYetValid,
    /// It is good still, but not for long; 23.
    Expiring,
}

impl CertificateFaultKind {
    /// For a table.
    pub fn word(self) -> &'static str {
        match self {
            CertificateFaultKind::Unseen => "not seen",
            CertificateFaultKind::Absent => "missing",
            CertificateFaultKind::Keys | CertificateFaultKind::Unreadable => "broken",
            CertificateFaultKind::EssentialName | CertificateFaultKind::OtherName => "lacks a name",
            CertificateFaultKind::Usage => "wrong use",
            CertificateFaultKind::CommonName => "wrong name",
            CertificateFaultKind::Authority => "other CA",
            CertificateFaultKind::KeyMismatch => "wrong key",
            CertificateFaultKind::Chain => "wrong CA",
            CertificateFaultKind::LooksSelfSigned => "no key ids",
            CertificateFaultKind::OtherKeyId => "other key id",
            CertificateFaultKind::NoAuthority => "no CA",
            CertificateFaultKind::ShortKey | CertificateFaultKind::CaShortKey => "short key",
            CertificateFaultKind::NoKeyIds | CertificateFaultKind::CaNoKeyId => "no key ids",
            CertificateFaultKind::SeveralNames | CertificateFaultKind::ClientName => "wrong name",
            CertificateFaultKind::CaExpired => "CA expired",
            CertificateFaultKind::CaExpiring => "CA ends",
            CertificateFaultKind::Expired => "expired",
            CertificateFaultKind::NotYetValid => "not yet",
            CertificateFaultKind::Expiring => "ends soon",
        }
    }

    /// Whether it is in order today, and only wants attention.
    pub fn only_warns(self) -> bool {
        match self {
            CertificateFaultKind::Expiring
            | CertificateFaultKind::CaExpiring
            | CertificateFaultKind::NoKeyIds
            | CertificateFaultKind::ShortKey
            | CertificateFaultKind::CaShortKey
            | CertificateFaultKind::CaNoKeyId => true,
            CertificateFaultKind::Unseen
            | CertificateFaultKind::Absent
            | CertificateFaultKind::Keys
            | CertificateFaultKind::Unreadable
            | CertificateFaultKind::OtherKeyId
            | CertificateFaultKind::NoAuthority
            | CertificateFaultKind::EssentialName
            | CertificateFaultKind::OtherName
            | CertificateFaultKind::Usage
            | CertificateFaultKind::CommonName
            | CertificateFaultKind::Authority
            | CertificateFaultKind::KeyMismatch
            | CertificateFaultKind::Chain
            | CertificateFaultKind::LooksSelfSigned
            | CertificateFaultKind::SeveralNames
            | CertificateFaultKind::ClientName
            | CertificateFaultKind::CaExpired
            | CertificateFaultKind::Expired
            | CertificateFaultKind::NotYetValid => false,
        }
    }
}

/// One TidbCluster's trouble with TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TroubleOf {
    /// The TidbCluster.
    pub of: ObjectRef,
    #[serde(flatten)]
    pub trouble: CertificateFault,
}
