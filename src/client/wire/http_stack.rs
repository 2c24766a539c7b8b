//! The HTTP stack of one connection: TCP (through a proxy where there is one), TLS, the gate, and the last look before a byte
//! leaves.
//!
//! Not here: whose it is and what is sent ([`super::link`]), what may leave ([`super::read_only_gate`]).

use std::time::Duration;

use http::Request;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel as ProxyTunnel};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use tower::{BoxError, Layer as _};

use crate::client::wire::lease_timing::{Departure, Watched};
use crate::client::wire::read_only_gate::Gate;

pub(super) fn client(config: &kube::Config, gate: &Gate, connect: Duration) -> Result<kube::Client, BoxError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect));
    http.set_keepalive(Some(Duration::from_secs(30)));
    match &config.proxy_url {
        None => stack(config, gate, http),
        Some(proxy) if proxy.scheme_str() == Some("socks5") => stack(config, gate, SocksV5::new(proxy.clone(), http)),
        Some(proxy)
            if proxy.scheme_str() == Some("http") && !proxy.authority().is_some_and(|a| a.as_str().contains('@')) =>
        {
            stack(config, gate, ProxyTunnel::new(proxy.clone(), http))
        }
        Some(_) => Err("only http:// (without a password) and socks5:// proxies are supported".into()),
    }
}

fn stack<C>(config: &kube::Config, gate: &Gate, connector: C) -> Result<kube::Client, BoxError>
where
    C: tower::Service<http::Uri> + Clone + Send + Sync + 'static,
    C::Response:
        hyper::rt::Read + hyper::rt::Write + hyper_util::client::legacy::connect::Connection + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError> + 'static,
{
    let https = config.rustls_https_connector_with_connector(connector)?;
    let pooled = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .build::<_, Watched<Body>>(https);
    let pooled = tower::util::MapErr::new(pooled, BoxError::from);
    // The last word before a byte leaves is behind all that takes time: logging in, connecting, the TLS handshake.
    let pooled = tower::util::MapRequest::new(pooled, |mut request: Request<Body>| {
        let departure = request.extensions_mut().remove::<Departure>();
        request.map(|body| Watched::new(body, departure))
    });
    let service = config.extra_headers_layer()?.layer(pooled);
    let service = tower::util::option_layer(config.auth_layer()?).layer(service);
    let service = config.base_uri_layer().layer(service);
    Ok(kube::Client::new(gate.layer(service), config.default_namespace.clone()))
}
