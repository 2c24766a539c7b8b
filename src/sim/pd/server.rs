//! HTTP/1.1 in front of a simulated PD pod: one connection, plain or mutual TLS, until the process ends.
//!
//! Reads a request whole, asks `etcd_http` or `api` under the world's lock, waits what the answer says, writes the log line. It
//! opens no socket: the byte stream comes from port-forward or from a program in another pod.

use std::convert::Infallible;
use std::sync::Arc;

use futures::future;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::api::{self, Surroundings};
use super::etcd_http::{self, Answer, Reply, Request};
use super::etcd_v3;
use crate::sim::request_log::PdRequest;
use crate::sim::world::{PodKey, World};
use crate::sim::{dns, kubelet};

pub const CLIENT_PORT: u16 = 2379;
pub const PEER_PORT: u16 = 2380;

/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 0x16;

/// More than any membership request.
const BODY_LIMIT: usize = 1 << 20;

/// One end of a connection: which pod and port it reached.
#[derive(Clone)]
pub struct Endpoint {
    pub world: Arc<World>,
    pub pod: PodKey,
    pub port: u16,
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the process is gone")]
struct Cut;

/// Serves one connection.
pub async fn serve<S>(endpoint: Endpoint, stream: S, tls: Option<Arc<ServerConfig>>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let served = async {
        let (mut read, write) = tokio::io::split(stream);
        let Ok(first) = read.read_u8().await else { return };
        let hello = first == HANDSHAKE;
        let stream = tokio::io::join(std::io::Cursor::new([first]).chain(read), write);
        match tls {
            // Measured: PD closes both without a byte; a plain etcd answers a hello on the peer port with an HTTP error.
            None if hello && endpoint.port == CLIENT_PORT => {}
            Some(_) if !hello => {}
            None => connection(endpoint, stream).await,
            Some(config) => {
                // A client without a certificate gets the alert that rustls sends; there is nothing to add.
                if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                    connection(endpoint, stream).await;
                }
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = stop.cancelled() => {}
    }
}

async fn connection<S>(endpoint: Endpoint, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| respond(endpoint.clone(), request));
    // A broken connection concerns only its client.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(endpoint: Endpoint, request: http::Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Err(Cut),
    };
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        content_type: header("content-type"),
        local: header("pd-allow-follower-handle") == Some("true"),
        body: &body,
    };
    let log = |status: u16| {
        endpoint.world.log.pd(PdRequest {
            kube_cluster: endpoint.world.kubes[endpoint.pod.kube].name.clone(),
            pod: endpoint.pod.name.clone(),
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            status,
            agent: header("user-agent").unwrap_or_default().to_owned(),
        });
    };
    let reply = match decide(&endpoint, &request) {
        Answer::Now(reply) => reply,
        Answer::After(wait_ms, reply) => {
            tokio::time::sleep(endpoint.world.real(wait_ms)).await;
            reply
        }
        Answer::WhenApplied(applied) => {
            if applied.await.is_err() {
                // Logged although nobody hears of it: the request did arrive.
                log(0);
                return never(future::pending().await);
            }
            let state = endpoint.world.state();
            let found =
                state.databases.iter().find_map(|database| Some((database, database.member_at(&endpoint.pod)?)));
            found.map_or_else(Reply::not_found, |(database, id)| etcd_v3::list(database, id))
        }
        Answer::Hang => {
            log(0);
            return never(future::pending().await);
        }
        Answer::Cut => {
            log(0);
            return Err(Cut);
        }
    };
    log(reply.status);
    Ok(response(reply, endpoint.port))
}

fn never<T>(nothing: Infallible) -> T {
    match nothing {}
}

/// Go's server sends up to this much with its length, and what is longer in pieces.
const BUFFER: usize = 2_048;

/// What every answer on the client port carries.
const CORS: [(&str, &str); 3] = [
    ("access-control-allow-headers", "accept, content-type, authorization"),
    ("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"),
    ("access-control-allow-origin", "*"),
];

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn response(reply: Reply, port: u16) -> Response<Body> {
    let body = Bytes::from(reply.body);
    let body = match body.len() {
        0..=BUFFER => Full::new(body).boxed_unsync(),
        _ => {
            let pieces: Vec<_> =
                body.chunks(BUFFER).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
            StreamBody::new(futures::stream::iter(pieces)).boxed_unsync()
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in CORS.into_iter().filter(|_| port == CLIENT_PORT) {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    if !reply.content_type.is_empty() {
        response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(reply.content_type));
    }
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name.as_bytes()), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(in crate::sim) fn decide(endpoint: &Endpoint, request: &Request<'_>) -> Answer {
    let world = &endpoint.world;
    let mut state = world.state();
    let now_ms = state.now_ms;
    let found = state.databases.iter().position(|database| database.member_at(&endpoint.pod).is_some());
    let Some(database) = found.and_then(|index| state.databases.get_mut(index)) else { return Answer::Cut };
    let Some(id) = database.member_at(&endpoint.pod) else { return Answer::Cut };
    if endpoint.port == PEER_PORT && database.frozen.contains(&id) {
        return Answer::Hang;
    }
    if endpoint.port == PEER_PORT {
        return etcd_http::peer_port(database, id, request);
    }
    if !database.answers(id) {
        return Answer::Hang;
    }
    if let Some(answer) = etcd_http::client_port(database, id, request, now_ms) {
        // Whoever is about to die of what was just committed says nothing any more.
        return if database.panicked.contains(&id) { Answer::Cut } else { answer };
    }
    if request.path == "/pd" || request.path.starts_with("/pd/") {
        let resolves = |from: &PodKey, host: &str| dns::pod(world, from.kube, &from.namespace, host);
        let around = Surroundings { now_s: kubelet::now_s(), now_ms, speed: world.speed, resolves: &resolves };
        return api::handle(database, id, request, &around);
    }
    Answer::Now(Reply::not_found())
}
