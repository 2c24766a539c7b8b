//! Certificates for the simulated servers: a small authority and the leaves it signs.
//!
//! Used by the API servers (server TLS only) and by the simulated PD pods (mutual TLS). It makes identities and rustls
//! configurations; it accepts no connection itself, and nothing here is meant to protect anything but a demo.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What a leaf certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
    /// As PD wants it: the same certificate serves and dials its peers.
    Both,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

/// An identity with which a server answers.
pub type ServerIdentity = Identity;
/// An identity with which a client asks.
pub type ClientIdentity = Identity;

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// A certificate authority that lives as long as the process.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A self-signed authority with this common name.
    pub fn new(common_name: &str) -> Authority {
        let mut params = validity(CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, new_key()).expect("the parameters of an authority are fixed");
        Authority { issuer }
    }

    /// A server certificate for these DNS names and IP addresses; the first one is the common name.
    pub fn server(&self, names: &[&str]) -> ServerIdentity {
        self.leaf(names.first().copied().unwrap_or("server"), names, Usage::Server)
    }

    /// A client certificate with this common name.
    pub fn client(&self, common_name: &str) -> ClientIdentity {
        self.leaf(common_name, &[], Usage::Client)
    }

    /// A leaf with the common name, subject alternative names (DNS, wildcard or IP) and usage given.
    pub fn leaf(&self, common_name: &str, names: &[&str], usage: Usage) -> Identity {
        let mut params = validity(CertificateParams::default());
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names.iter().filter_map(|name| alternative_name(name)).collect();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = match usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters of a leaf are well formed");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// The authority's own certificate and key.
    pub fn identity(&self) -> Identity {
        Identity { certificate_pem: self.pem(), key_pem: self.issuer.key().serialize_pem() }
    }

    /// The authority's certificate.
    pub fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }

    /// A server that asks every client for a certificate of this authority.
    pub fn mutual_server_config(&self, identity: &ServerIdentity) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.as_ref().der().clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let (chain, key) = identity.parts()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }
}

impl Identity {
    /// A server that asks no client for a certificate.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let (chain, key) = self.parts()?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }

    fn parts(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rustls::Error> {
        let unreadable = |error: rustls::pki_types::pem::Error| rustls::Error::General(error.to_string());
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes()).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes());
        Ok((chain.map_err(unreadable)?, key.map_err(unreadable)?))
    }
}

fn alternative_name(name: &str) -> Option<SanType> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => name.to_owned().try_into().ok().map(SanType::DnsName),
    }
}

fn validity(mut params: CertificateParams) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("ring always has entropy for a P-256 key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_become_server_configs() {
        let authority = Authority::new("demo");
        let identity = authority.leaf("pd", &["127.0.0.1", "*.pd-peer.ns.svc", "pd"], Usage::Both);
        assert!(identity.server_config().is_ok());
        assert!(authority.mutual_server_config(&identity).is_ok());
        assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
