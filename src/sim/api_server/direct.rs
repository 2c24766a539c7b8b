//! The API server's answers without a connection: one request in, status and body out.
//!
//! Past faults, tokens and the wire, it is the very same code: rights of an administrator, schemas, conditions, field
//! owners. For worlds that have no sockets (`sim::in_memory`); streams into pods and watches are not for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::connection::Server;
use super::request::{Query, Target};
use super::router::{self, Call};
use super::status::Refusal;
use super::{ApiServerConfig, ExecOutput, Faults, Pods, Stream, User};
use crate::sim::certificate_authority::Identity;
use crate::sim::object_store::Store;
use crate::sim::request_log::RequestLog;

/// One API server that nobody has to connect to.
pub struct Direct(Arc<Server>);

impl Direct {
    /// `version` as in [`ApiServerConfig`].
    pub fn new(name: &str, version: &str, store: Store, log: RequestLog) -> Self {
        let config = ApiServerConfig {
            name: name.to_owned(),
            version: version.to_owned(),
            tokens: BTreeMap::new(),
            store,
            pods: Arc::new(NoStreams),
            log,
            latency: None,
            faults: Faults::default(),
            // Nobody shakes hands with it.
            identity: Identity { certificate_pem: String::new(), key_pem: String::new() },
            hang: false,
        };
        Self(Arc::new(Server { config, issued: super::token::Issued::default(), stop: CancellationToken::new() }))
    }

    /// `path`: with its query. A request that the router does not know is a 404, as on the wire.
    pub fn ask(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Value) {
        let reply = self.route(method, path, content_type, body).unwrap_or_else(|refusal| refusal.reply());
        let status = reply.status().as_u16();
        // Whole answers are ready at once; only streams are not.
        let body = reply.into_body().collect().now_or_never().and_then(Result::ok);
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn route(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<super::reply::Reply, Refusal> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let target = Target::parse(path).ok_or_else(Refusal::unknown_path)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::method_not_allowed())?;
        let mut headers = HeaderMap::new();
        if let Ok(kind) = HeaderValue::from_str(content_type) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        let call = Call {
            server: self.0.clone(),
            user: User::admin("direct"),
            query: Query::parse(query),
            headers,
            body: Bytes::copy_from_slice(body),
            target,
        };
        router::resource(&method, call, None)
    }
}

/// Pods that cannot be reached: there are no streams here.
struct NoStreams;

impl Pods for NoStreams {
    fn dial(&self, _: &str, pod: &str, _: u16) -> Result<Box<dyn Stream>, String> {
        Err(format!("there is no way into pod {pod} without sockets"))
    }

    fn exec<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Option<&'a str>,
        _: &'a [String],
    ) -> futures::future::BoxFuture<'a, ExecOutput> {
        async { ExecOutput { exit_code: 126, ..ExecOutput::default() } }.boxed()
    }
}
