//! Why a certificate could not be made with the built-in signer; no variant holds key material.
//!
//! Not here: what a CA must be ([`crate::fleet::tls`]), the faults of cfssl ([`crate::client::certificates::cfssl`]).

use crate::fleet::tls::CertificateFault;

/// Nothing was made. `secret`: the Secret of the CA that was to sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// By the rules that judge every CA: expired, no CA, not its key.
    #[error("{}", .0.sentence)]
    UnfitAuthority(CertificateFault),
    #[error("Secret {secret} has no key {key}")]
    LacksKey { secret: String, key: &'static str },
    #[error("tls.crt of Secret {secret} holds no certificate")]
    NoCertificate { secret: String },
    #[error("tls.key of Secret {secret} holds no private key in PEM")]
    NoPrivateKey { secret: String },
    #[error(
        "tls.key of Secret {secret} is of a kind that cannot be signed with here (RSA from 2048 bits on, ECDSA P-256 and P-384 and Ed25519 can be)"
    )]
    KindOfKey { secret: String },
    #[error("the CA in Secret {secret} cannot be signed with: {why}")]
    Unusable { secret: String, why: rcgen::Error },
    #[error("{0:?} is no country")]
    Country(String),
    /// Neither an address nor a DNS name.
    #[error("{0:?} is no name for a certificate")]
    HostName(String),
    #[error("no key could be made: {0}")]
    NoKeyMade(rcgen::Error),
    #[error("the CA could not be made: {0}")]
    AuthorityNotMade(rcgen::Error),
    #[error("the certificate could not be signed: {0}")]
    NotSigned(rcgen::Error),
}
