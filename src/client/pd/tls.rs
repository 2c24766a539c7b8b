//! Mutual TLS with PD: where the certificates come from and which names the server may have.
//!
//! From the files given, else from the Secret `<tc>-cluster-client-secret` (`domain.md` §4.2). Only the CA of that
//! Secret is trusted, never the system's. The name checked is the pod's own DNS name, although the bytes go through
//! a tunnel. Key material stays inside rustls; no error here quotes any of it.

use std::sync::{Arc, PoisonError};

use k8s_openapi::ByteString;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

use crate::client::kube::context_selection::PdTlsFiles;
use crate::client::wire::link::Link;
pub(in crate::client) use crate::client::wire::pd_tls::PdTls;
use crate::client::wire::request_error::RequestErrorKind;
use crate::client::{certificates, now};
use crate::files::{Allowed, CREDENTIAL_LIMIT, read_async};
use crate::fleet::tidbcluster::TidbCluster;
use crate::fleet::tls::out_of_time;
use crate::fleet::tls_toggle::pod_speaks_tls;
use crate::fleet::workload::Pod;

/// How long a Secret that was read is used before it is read again: certificates are renewed in place.
const KEPT: jiff::SignedDuration = jiff::SignedDuration::from_secs(300);

/// The TLS of one PD pod; `None` when it runs without. The pod decides, not what its TidbCluster has come to ask for.
pub(in crate::client) async fn material(
    link: &Link,
    tc: Option<&TidbCluster>,
    pod: &Pod,
) -> Result<Option<PdTls>, String> {
    let Some(tc) = tc.filter(|tc| pod_speaks_tls(pod, tc)) else { return Ok(None) };
    let pod = pod.metadata.key();
    let mut hosts: Vec<String> = tc.domain().map(|domain| tc.pd_host(&pod.name, Some(domain))).into_iter().collect();
    // A pod that has not restarted since the domain was set may hold a certificate without it.
    hosts.push(tc.pd_host(&pod.name, None));
    let key = tc.metadata.key();
    {
        let cached = link.pd_tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((tls, _)) = cached.get(&key).filter(|(_, read)| now().duration_since(*read) < KEPT) {
            return Ok(Some(PdTls { config: Arc::clone(&tls.config), hosts, doubt: tls.doubt.clone(), own: tls.own }));
        }
    }
    let (config, doubt) = match &link.options().pd_tls {
        Some(files) => from_files(files).await?,
        None => from_secret(link, tc).await?,
    };
    let own = link.options().pd_tls.is_none();
    let tls = PdTls { config: Arc::new(config), hosts, doubt, own };
    let mut cached = link.pd_tls.lock().unwrap_or_else(PoisonError::into_inner);
    cached.insert(key, (Arc::new(tls.clone()), now()));
    Ok(Some(tls))
}

/// Forgets what was read, after a handshake failed: the Secret may have been renewed.
pub(in crate::client) fn forget(link: &Link, tc: &TidbCluster) {
    link.pd_tls.lock().unwrap_or_else(PoisonError::into_inner).remove(&tc.metadata.key());
}

/// A configuration, and what its own certificate will be refused for.
type Read = (ClientConfig, Option<String>);

/// Says where the certificate stands that is out of its time.
fn doubt(certificate: &[u8], place: &str) -> Option<String> {
    let values = [("tls.crt".to_owned(), certificate.to_vec())].into();
    let shown = certificates::facts(&values).certificate?;
    Some(format!("the certificate that is shown to PD ({place}) {}", out_of_time(&shown, now())?))
}

async fn from_files(files: &PdTlsFiles) -> Result<Read, String> {
    let read = async |path: &std::path::Path| {
        read_async(path.to_owned(), Allowed::PlainOrPipe, CREDENTIAL_LIMIT).await.map_err(|error| error.to_string())
    };
    let (ca, certificate, key) = (read(&files.ca).await?, read(&files.certificate).await?, read(&files.key).await?);
    let made = config(&ca, &certificate, &key).map_err(|why| format!("the PD certificate files: {why}"))?;
    Ok((made, doubt(&certificate, &files.certificate.display().to_string())))
}

async fn from_secret(link: &Link, tc: &TidbCluster) -> Result<Read, String> {
    #[derive(Deserialize)]
    struct Secret {
        #[serde(default)]
        data: std::collections::BTreeMap<String, ByteString>,
    }
    let name = format!("{}-cluster-client-secret", tc.name());
    let secret: Secret =
        link.get(&format!("/api/v1/namespaces/{}/secrets/{name}", tc.namespace())).await.map_err(|trouble| {
            match trouble.kind {
                RequestErrorKind::Forbidden => {
                    format!("may not read Secret {}/{name}: needs get on it, or PD certificate files", tc.namespace())
                }
                RequestErrorKind::Missing => {
                    format!("there is no Secret {}/{name}: PD cannot be asked", tc.namespace())
                }
                RequestErrorKind::Unreachable
                | RequestErrorKind::AuthNeeded
                | RequestErrorKind::Expired
                | RequestErrorKind::Answered
                | RequestErrorKind::Refused => trouble.sentence,
            }
        })?;
    let part = |key: &str| {
        secret.data.get(key).map(|data| data.0.as_slice()).ok_or_else(|| format!("Secret {name} lacks {key}"))
    };
    let made = config(part("ca.crt")?, part("tls.crt")?, part("tls.key")?);
    let made = made.map_err(|why| format!("Secret {name}: {why}"))?;
    Ok((made, doubt(part("tls.crt")?, &format!("Secret {}/{name}", tc.namespace()))))
}

fn config(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<ClientConfig, String> {
    let chain = |pem: &[u8], what: &str| -> Result<Vec<CertificateDer<'static>>, String> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        all.ok().filter(|all| !all.is_empty()).ok_or_else(|| format!("{what} holds no PEM certificate"))
    };
    let mut roots = RootCertStore::empty();
    for authority in chain(ca, "ca.crt")? {
        roots.add(authority).map_err(|error| format!("ca.crt is not usable: {error}"))?;
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "tls.key holds no PEM private key".to_owned())?;
    ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain(certificate, "tls.crt")?, key)
        .map_err(|error| format!("tls.crt and tls.key do not belong together: {error}"))
}
