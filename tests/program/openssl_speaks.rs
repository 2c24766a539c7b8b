//! Certificates judged by those who know nothing of our rules: rustls, `openssl verify`, and two OpenSSL programs that speak TLS with each other.

use crate::common::openssl::{self};
use crate::issuing::{Bed, chain, key};
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::sync::Arc;

fn roots(values: &BTreeMap<String, Vec<u8>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    chain(values, "ca.crt").into_iter().for_each(|one| roots.add(one).expect("a CA"));
    roots
}

/// A handshake in memory, both sides asking for the other's certificate.
fn speak(server: &BTreeMap<String, Vec<u8>>, client: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(server)), provider.clone()).build();
    let serving = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(chain(server, "tls.crt"), key(server))
        .map_err(|error| error.to_string())?;
    let asking = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots(client))
        .with_client_auth_cert(chain(client, "tls.crt"), key(client))
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(asking), name).map_err(|error| error.to_string())?;
    let mut server = ServerConnection::new(Arc::new(serving)).map_err(|error| error.to_string())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).map_err(|error| error.to_string())?;
        server.read_tls(&mut wire.as_slice()).map_err(|error| error.to_string())?;
        server.process_new_packets().map_err(|error| error.to_string())?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).map_err(|error| error.to_string())?;
        client.read_tls(&mut wire.as_slice()).map_err(|error| error.to_string())?;
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// PD of one speaks with PD of two, a client with both, and nobody with a name that is not in the certificate.
pub fn they_speak(bed: &Bed) {
    let one = bed.secret("east", "one-pd-cluster-secret");
    let two = bed.secret("west", "two-pd-cluster-secret");
    let client = bed.secret("west", "two-cluster-client-secret");
    speak(&one, &two, "one-pd-0.one-pd-peer.prod.svc.east.local").expect("two asks one");
    speak(&two, &one, "two-pd-peer.prod.svc.west.local").expect("one asks two");
    speak(&one, &client, "one-pd.prod.svc").expect("a client asks one");
    speak(&one, &two, "two-pd-0.two-pd-peer.prod.svc.west.local").expect_err("another name");
    speak(&client, &two, "one-pd.prod.svc").expect_err("a client's certificate serves nobody");
    let tidb = bed.secret("east", "one-tidb-server-secret");
    let mysql = bed.secret("east", "one-tidb-client-secret");
    speak(&tidb, &mysql, "one-tidb.prod.svc.east.local").expect("a MySQL client");
    if openssl::installed() {
        openssl_takes_them(bed);
    }
}

/// OpenSSL on both sides of the same conversations, and every certificate by its strict rules.
fn openssl_takes_them(bed: &Bed) {
    let mut seen = 0;
    for context in ["east", "west"] {
        for secret in bed.sim.store(context).expect("a context").list("secrets", Some("prod")) {
            let name = secret["metadata"]["name"].as_str().expect("a name");
            let values = bed.secret(context, name);
            if name.ends_with("-ca-secret") {
                let (_, text) = openssl::openssl(
                    openssl::files(&values).path(),
                    &["verify", "-x509_strict", "-CAfile", "ca.crt", "tls.crt"],
                );
                assert!(text.contains("OK"), "{name}: {text}");
            } else {
                openssl::verify_all(&format!("{context} {name}"), &values);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 10, "six of one, four of two");
    let one = bed.secret("east", "one-pd-cluster-secret");
    let two = bed.secret("west", "two-pd-cluster-secret");
    let client = bed.secret("west", "two-cluster-client-secret");
    openssl::speak(&one, &two, "one-pd-0.one-pd-peer.prod.svc.east.local").expect("two asks one");
    openssl::speak(&two, &one, "two-pd-peer.prod.svc.west.local").expect("one asks two");
    openssl::speak(&one, &client, "one-pd.prod.svc").expect("a client asks one");
    openssl::speak(&one, &two, "two-pd-0.two-pd-peer.prod.svc.west.local").expect_err("another name");
    openssl::speak(&client, &two, "one-pd.prod.svc").expect_err("a client's certificate serves nobody");
    let tidb = bed.secret("east", "one-tidb-server-secret");
    let mysql = bed.secret("east", "one-tidb-client-secret");
    openssl::speak(&tidb, &mysql, "one-tidb.prod.svc.east.local").expect("a MySQL client");
    let trusted = openssl::files(&mysql);
    openssl::curl(&tidb, &trusted.path().join("ca.crt"), "one-tidb.prod.svc.east.local").expect("curl");
    openssl::curl(&tidb, &trusted.path().join("ca.crt"), "two-tidb.prod.svc").expect_err("another name");
}
