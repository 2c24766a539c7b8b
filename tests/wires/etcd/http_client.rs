//! A test's own way to etcd: one connection for each request, past the simulated fleet and the taps.
//!
//! Plain, or with the members' own certificate as the client's. Not the product's client: what that one says is
//! compared with what is read here.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::etcd::servers::Certificates;

/// One request with its answer.
const REQUEST: Duration = Duration::from_secs(10);

pub struct Http(Option<Arc<ClientConfig>>);

impl Http {
    pub fn new(certificates: Option<&Certificates>) -> Result<Http, String> {
        certificates.map(|files| config(files, true)).transpose().map(Http)
    }

    /// Speaks TLS and shows no certificate.
    pub fn without_certificate(files: &Certificates) -> Result<Http, String> {
        config(files, false).map(|config| Http(Some(config)))
    }

    /// Status and body; a body that is not JSON becomes a string.
    pub async fn ask(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let answer = async {
            let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
            let Some(config) = &self.0 else { return exchange(stream, request).await };
            let name = ServerName::from(address.ip());
            let stream = tokio_rustls::TlsConnector::from(config.clone()).connect(name, stream).await;
            exchange(stream.map_err(|error| error.to_string())?, request).await
        };
        let answer = tokio::time::timeout(REQUEST, answer).await;
        answer.unwrap_or_else(|_| Err(format!("no answer within {REQUEST:?}")))
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Value), String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    driver.abort();
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| text())))
}

fn config(files: &Certificates, show: bool) -> Result<Arc<ClientConfig>, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let chain = |pem: &[u8]| CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let mut roots = RootCertStore::empty();
    for authority in chain(&read(&files.authority)?).map_err(|error| error.to_string())? {
        roots.add(authority).map_err(|error| error.to_string())?;
    }
    let certificate = chain(&read(&files.certificate)?).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots);
    if !show {
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    builder.with_client_auth_cert(certificate, key).map(Arc::new).map_err(|error| error.to_string())
}
