//! From a TCP connection to requests: accept, TLS, HTTP/1.1, and cutting all of it on demand.
//!
//! It hands every request to `router` and knows nothing of what is asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::router;
use super::{ApiServerConfig, Faults};

/// What every connection shares.
pub(super) struct Server {
    pub config: ApiServerConfig,
    pub issued: super::token::Issued,
    pub stop: CancellationToken,
}

impl Server {
    /// Comes back when a connection or stream has to end: the server stops, or a test cuts it.
    pub(super) async fn cut(&self) {
        let faults: &Faults = &self.config.faults;
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = faults.dropped() => {}
        }
    }
}

/// Accepts connections until the token says stop.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    config: ApiServerConfig,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let server = Arc::new(Server { config, issued: super::token::Issued::default(), stop });
    loop {
        let accepted = tokio::select! {
            () = server.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (server, acceptor) = (server.clone(), acceptor.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = server.cut() => {}
                        () = converse(stream, acceptor, server.clone()) => {}
                    }
                });
            }
            // Out of file descriptors, most likely: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, server: Arc<Server>) {
    if server.config.hang {
        return std::future::pending().await;
    }
    // Without this, small frames of a tunnel wait for delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream));
    let Ok(Ok(stream)) = handshake.await else { return };
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(router::answer(&server, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // No hurry for idle connections: closing one just as a client writes would fail its request.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // How a client ends its connection is its own affair.
    let _ = connection.await;
}
