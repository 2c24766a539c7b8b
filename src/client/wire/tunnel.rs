//! A private HTTP/1.1 connection to one pod's port, through the API server's port-forward or to the pod's own address. No socket listens here.
//!
//! Always to the *pod*, never a Service: every answer of PD is local to the member asked. A [`Tunnel`] is one
//! forward, kept open and reused. Nothing is retried here. Neighbours: [`super::open_tunnel`] (how one is opened), [`super::tunnel_pool`] (one per
//! pod is kept), [`super::websocket_channels`] (framing), [`crate::client::pd`] (what may be asked).

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::plain;
use crate::client::wire::deadline::Within;
use crate::client::wire::lease_timing::{TooLate, Until};
use crate::client::wire::reply::Reply;
use crate::client::wire::tls_errors;
use crate::client::wire::websocket_channels::{Fault, Owned};
use crate::fleet::ObjectKey;
use crate::fleet::closer_look::Served;
use crate::fleet::pd::{MembershipApi, PdWay};

/// PD's client port.
pub(in crate::client) const PD_PORT: u16 = 2379;
/// Largest answer of PD that is read.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// Why nothing came out of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub(in crate::client) struct Broken {
    pub sentence: String,
    /// Whether the request may have reached the pod.
    pub sent: bool,
}

/// What of a PD is the same for as long as its process runs.
#[derive(Clone, Debug)]
pub(in crate::client) struct Process {
    pub cluster_id: u64,
    /// `v8.5.7`
    pub version: Option<String>,
}

/// One open forward to one pod.
pub(in crate::client) struct Tunnel {
    pod: ObjectKey,
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    fault: Fault,
    /// Why the pod may refuse us, known before it does.
    doubt: Option<String>,
    /// Found by asking, once per connection: a PD of another version is another process.
    pub api: Option<MembershipApi>,
    /// The same.
    pub process: Option<Process>,
    /// What the server showed at the handshake; a certificate that was replaced since shows at the next one.
    pub served: Option<Served>,
    /// How the pod is reached.
    pub way: PdWay,
    _connection: Owned,
    _pump: Option<Owned>,
}

impl Tunnel {
    /// Over a stream that is open.
    pub(super) async fn over<S>(
        stream: S,
        pod: &ObjectKey,
        fault: Fault,
        pump: Option<Owned>,
        authority: String,
        doubt: Option<String>,
    ) -> Result<Self, String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("no HTTP with pod {pod}: {}", plain(&error.to_string())))?;
        // Its error reaches whoever waits for an answer.
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        let pod = pod.clone();
        Ok(Self {
            pod,
            sender,
            authority,
            fault,
            doubt,
            api: None,
            process: None,
            served: None,
            way: PdWay::default(),
            _connection: Owned(task),
            _pump: pump,
        })
    }

    pub fn usable(&self) -> bool {
        !self.sender.is_closed() && self.fault.get().is_none()
    }

    /// Sends one request and reads its whole answer. After an error the tunnel is of no further use.
    pub async fn call(&mut self, request: Request<Full<Bytes>>, within: Within) -> Result<Reply, Broken> {
        self.exchange(request, within, &Until::default()).await
    }

    /// The same, of what must not leave any more once it is too late.
    pub async fn call_until(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
        until: &Until,
    ) -> Result<Reply, Broken> {
        self.exchange(request, until.within(limit).into(), until).await
    }

    async fn exchange(
        &mut self,
        mut request: Request<Full<Bytes>>,
        within: Within,
        until: &Until,
    ) -> Result<Reply, Broken> {
        let host = http::HeaderValue::from_str(&self.authority)
            .map_err(|_| Broken { sentence: format!("{:?} is not a host", self.authority), sent: false })?;
        request.headers_mut().insert(http::header::HOST, host);
        request.headers_mut().insert(http::header::USER_AGENT, crate::client::wire::user_agent::current());
        let what = format!("{} {}", request.method(), request.uri().path());
        let exchange = async {
            self.sender.ready().await.map_err(|error| (cause(&error), false))?;
            if until.is_over() {
                return Err((TooLate.to_string(), false));
            }
            let response =
                self.sender.send_request(request).await.map_err(|error| (cause(&error), !error.is_canceled()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(|error| (unread(&*error), true))?;
            Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes() })
        };
        match tokio::time::timeout_at(within.ends(), exchange).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err((why, sent))) => {
                let why = said_by_the_node(&self.fault).await.unwrap_or_else(|| plain(&why));
                let sentence = format!("pod {}: {what}: {why}", self.pod);
                Err(Broken { sentence: doubted(sentence, self.doubt.as_deref()), sent })
            }
            Err(_) => {
                let sentence = format!("pod {}: {what}: no answer within {within}", self.pod);
                Err(Broken { sentence, sent: true })
            }
        }
    }
}

/// The node's reason travels on its own channel and may come a moment later.
pub(super) async fn said_by_the_node(fault: &Fault) -> Option<String> {
    for _ in 0..10 {
        if let Some(why) = fault.get() {
            return Some(why);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fault.get()
}

pub(super) fn doubted(sentence: String, doubt: Option<&str>) -> String {
    match doubt {
        Some(doubt) => format!("{sentence}; {doubt}"),
        None => sentence,
    }
}

/// In the sentence about an answer that is longer than is read.
pub(in crate::client) const TOO_LONG: &str = "too long to read";

/// Why a body was not read to its end.
fn unread(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    match error.is::<LengthLimitError>() {
        true => format!("the answer is longer than {} MiB: {TOO_LONG}", ANSWER_LIMIT >> 20),
        false => error.to_string(),
    }
}

/// What hyper only calls a connection error: the words of TLS, else the deepest cause.
fn cause(error: &hyper::Error) -> String {
    if let Some(tls) = tls_errors::inside(error) {
        return tls_errors::words(tls, "ca.crt of the client's Secret");
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}
