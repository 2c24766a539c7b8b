//! A simulated Kubernetes API server on loopback: TLS, bearer tokens, HTTP/1.1, the real wire formats.
//!
//! This file is the public face: configuration, the `Pods` trait behind which the world lives, start and stop.
//! It has no controller and no idea what a TidbCluster means beyond its field names; objects live in `sim::object_store`.
//! Neighbours: `router` (which request is what), `read`/`watch`/`write` (the verbs), `streams` (exec, port-forward).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::certificate_authority;
use super::logs::Log;
use super::object_store::Store;
use super::request_log::RequestLog;

mod admission;
mod apply;
mod auth;
mod built_in;
mod connection;
pub mod crd;
mod defaults;
mod delete;
mod direct;
mod discovery;
mod faults;
mod lists;
mod managed;
mod openapi;
mod patch;
mod pod_log;
mod port_forward;
mod protobuf;
mod rbac;
mod read;
mod reply;
mod request;
mod review;
mod router;
mod schema;
mod selectors;
mod spdy;
mod spdy_session;
mod status;
mod streams;
mod table;
mod terminal;
mod token;
mod watch;
mod write;

pub use auth::{Ask, Resolved, Rule, Rules, User};
pub use direct::Direct;
pub use faults::Faults;
pub use managed::managed_by;
pub use pod_log::LOG_ANNOTATION;

/// Both directions of one connection to a pod.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What a program in a container left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOutput {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit_code: i32,
}

/// What lies behind a pod: called by the port-forward and exec handlers.
pub trait Pods: Send + Sync + 'static {
    /// Opens one byte stream to a pod's port; the error is what a node would say about it.
    fn dial(&self, namespace: &str, pod: &str, port: u16) -> Result<Box<dyn Stream>, String>;

    /// Runs an argv in a container; no shell.
    fn exec<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: Option<&'a str>,
        argv: &'a [String],
    ) -> BoxFuture<'a, ExecOutput>;

    /// What a container printed in the run that goes on or ended last, or in the one before.
    fn log(&self, _namespace: &str, _pod: &str, _container: &str, _previous: bool) -> Option<Arc<Log>> {
        None
    }
}

/// Everything one API server needs.
pub struct ApiServerConfig {
    /// The context's name, as the request log shows it.
    pub name: String,
    /// `v1.33.4`: what `/version` answers. From 1.35 on a WebSocket upgrade needs the `create` right too.
    pub version: String,
    /// Bearer token → who that is.
    pub tokens: BTreeMap<String, User>,
    pub store: Store,
    pub pods: Arc<dyn Pods>,
    pub log: RequestLog,
    /// Waits this long before each answer.
    pub latency: Option<Duration>,
    pub faults: Faults,
    pub identity: certificate_authority::ServerIdentity,
    /// Accepts connections and never answers.
    pub hang: bool,
}

/// A running API server; dropping it stops it without waiting.
pub struct ApiServer {
    address: SocketAddr,
    faults: Faults,
    stop: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
}

/// Binds 127.0.0.1 on a free port and serves until stopped.
pub async fn serve(config: ApiServerConfig) -> io::Result<ApiServer> {
    serve_at(config, SocketAddr::from(([127, 0, 0, 1], 0))).await
}

/// Like [`serve`] on a given address: a restarted server keeps the port its kubeconfig names.
pub async fn serve_at(config: ApiServerConfig, address: SocketAddr) -> io::Result<ApiServer> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let tls = config.identity.server_config().map_err(io::Error::other)?;
    let faults = config.faults.clone();
    let stop = CancellationToken::new();
    let accepting = tokio::spawn(connection::accept(listener, tls, config, stop.clone()));
    Ok(ApiServer { address, faults, stop, accepting })
}

impl ApiServer {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The switches for trouble.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Closes the port and cuts every connection, watches and tunnels included.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The task ends by the token; a panic in it has nothing to add here.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
