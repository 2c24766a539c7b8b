//! A private HTTP/1.1 connection to one pod's port, through the API server's port-forward. No socket listens here.
//!
//! Always to the *pod*, never a Service: every answer of PD is local to the member asked. A [`Tunnel`] is one
//! forward, kept open and reused; [`Slots`] keeps one per pod and drops it when the pod is another one of the same
//! name. Nothing is retried here. Neighbours: [`crate::client::wire::channels`] (framing), [`crate::client::pd`] (what may be asked).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::client::certificates::served;
use crate::client::pd::tls::PdTls;
use crate::client::wire::access::Mark;
use crate::client::wire::channels::{Fault, Owned, port_stream};
use crate::client::wire::link::{Link, Reply};
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::timing::{TooLate, Until};
use crate::client::wire::tls_words;
use crate::client::wire::within::Within;
use crate::client::{now, plain};
use crate::fleet::ObjectKey;
use crate::fleet::extras::Served;
use crate::fleet::pd::{MembershipApi, NoAnswer};

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
    /// What the server showed at the handshake; a certificate that was replaced since shows at the next one.
    pub served: Option<Served>,
    _connection: Owned,
    _pump: Owned,
}

impl Tunnel {
    /// Opens a forward to `pod`, with TLS where there is material for it.
    pub async fn open(link: &Link, pod: &ObjectKey, tls: Option<&PdTls>, within: Within) -> Result<Self, NoAnswer> {
        match tokio::time::timeout_at(within.ends(), Self::connect(link, pod, tls, within)).await {
            Ok(opened) => opened,
            Err(_) => Err(format!("no tunnel to pod {pod} within {within}").into()),
        }
    }

    async fn connect(link: &Link, pod: &ObjectKey, tls: Option<&PdTls>, within: Within) -> Result<Self, NoAnswer> {
        let Some(tls) = tls else {
            let (stream, fault, pump) = forward(link, pod, within).await?;
            return Ok(Self::over(stream, pod, fault, pump, format!("{}:{PD_PORT}", pod.name), None).await?);
        };
        // The likeliest name is the one to be told of.
        let mut first = None;
        for name in &tls.hosts {
            let server = ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is not a DNS name"))?;
            let (stream, fault, pump) = forward(link, pod, within).await?;
            match TlsConnector::from(Arc::clone(&tls.config)).connect(server, stream).await {
                Ok(stream) => {
                    let served = stream.get_ref().1.peer_certificates().and_then(|chain| served(chain.first()?));
                    let doubt = tls.doubt.clone();
                    let opened = Self::over(stream, pod, fault, pump, format!("{name}:{PD_PORT}"), doubt).await?;
                    return Ok(Self { served, ..opened });
                }
                Err(error) => {
                    // A port that nobody listens on is no matter of TLS.
                    if let Some(why) = said_by_the_node(&fault).await {
                        return Err(unreached(pod, &why).into());
                    }
                    let known = tls_words::inside(&error);
                    let why = match known {
                        Some(known) => tls_words::words(known, "ca.crt of the client's Secret"),
                        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                            "it closed the connection at the first word: it may run without TLS".to_owned()
                        }
                        None => error.to_string(),
                    };
                    let sentence = format!("TLS with pod {pod} as {name} failed: {}", plain(&why));
                    first.get_or_insert_with(|| NoAnswer {
                        sentence: doubted(sentence, tls.doubt.as_deref()),
                        certificate: tls.own && known.is_some_and(tls_words::not_accepted),
                    });
                    // Only a wrong name is worth trying the other name.
                    if !known.is_some_and(tls_words::another_name) {
                        break;
                    }
                }
            }
        }
        Err(first.unwrap_or_else(|| format!("no name is known by which pod {pod} could be asked").into()))
    }

    async fn over<S>(
        stream: S,
        pod: &ObjectKey,
        fault: Fault,
        pump: Owned,
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
            served: None,
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
        request.headers_mut().insert(http::header::USER_AGENT, crate::client::wire::agent::current());
        let what = format!("{} {}", request.method(), request.uri().path());
        let exchange = async {
            self.sender.ready().await.map_err(|error| (cause(&error), false))?;
            if until.is_over() {
                return Err((TooLate.to_string(), false));
            }
            let response =
                self.sender.send_request(request).await.map_err(|error| (cause(&error), !error.is_canceled()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(|error| (error.to_string(), true))?;
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
async fn said_by_the_node(fault: &Fault) -> Option<String> {
    for _ in 0..10 {
        if let Some(why) = fault.get() {
            return Some(why);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fault.get()
}

fn unreached(pod: &ObjectKey, why: &str) -> String {
    if why.to_ascii_lowercase().contains("refused") {
        return format!("pod {pod} refuses connections on port {PD_PORT}: {}", plain(why));
    }
    format!("no tunnel to pod {pod}: {}", plain(why))
}

fn doubted(sentence: String, doubt: Option<&str>) -> String {
    match doubt {
        Some(doubt) => format!("{sentence}; {doubt}"),
        None => sentence,
    }
}

/// What hyper only calls a connection error: the words of TLS, else the deepest cause.
fn cause(error: &hyper::Error) -> String {
    if let Some(tls) = tls_words::inside(error) {
        return tls_words::words(tls, "ca.crt of the client's Secret");
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}

async fn forward(
    link: &Link,
    pod: &ObjectKey,
    within: Within,
) -> Result<(tokio::io::DuplexStream, Fault, Owned), String> {
    let path = format!("/api/v1/namespaces/{}/pods/{}/portforward?ports={PD_PORT}", pod.namespace, pod.name);
    match link.socket(&path, Mark::Tunnel, within).await {
        Ok(socket) => Ok(port_stream(socket)),
        Err(trouble) => Err(refused(pod, &trouble)),
    }
}

fn refused(pod: &ObjectKey, trouble: &RequestError) -> String {
    let needs = match trouble.kind {
        RequestErrorKind::Forbidden => " (needs get and create on pods/portforward)",
        RequestErrorKind::Unreachable
        | RequestErrorKind::AuthNeeded
        | RequestErrorKind::Missing
        | RequestErrorKind::Expired
        | RequestErrorKind::Answered
        | RequestErrorKind::Refused => "",
    };
    format!("no tunnel to pod {pod}: {}{needs}", trouble.sentence)
}

/// The tunnels that are kept open for reading, one per pod.
#[derive(Default)]
pub(in crate::client) struct Slots(Mutex<BTreeMap<ObjectKey, Arc<tokio::sync::Mutex<Slot>>>>);

/// One pod's place: empty, or a tunnel to the pod with this uid.
#[derive(Default)]
pub(in crate::client) struct Slot {
    pub uid: String,
    pub tunnel: Option<Tunnel>,
    /// Last time anybody used it.
    used: Option<jiff::Timestamp>,
}

impl Slots {
    /// The slot of one pod; a new uid empties it. Slots of pods that nobody asks any more are dropped.
    pub async fn of(&self, pod: &ObjectKey, uid: &str) -> tokio::sync::OwnedMutexGuard<Slot> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slots.retain(|key, slot| key == pod || slot.try_lock().map_or(true, |slot| slot.recent()));
            Arc::clone(slots.entry(pod.clone()).or_default())
        };
        let mut slot = slot.lock_owned().await;
        slot.used = Some(now());
        if slot.uid != uid || !slot.tunnel.as_ref().is_some_and(Tunnel::usable) {
            slot.uid = uid.to_owned();
            slot.tunnel = None;
        }
        slot
    }
}

impl Slots {
    /// Closes the tunnels that nobody uses just now.
    pub fn let_go(&self) {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in slots.values() {
            if let Ok(mut slot) = slot.try_lock() {
                slot.tunnel = None;
            }
        }
    }
}

impl Slot {
    /// Keeps a tunnel for the next time, unless others wait for its place.
    pub fn keep(&mut self, link: &Link, tunnel: Tunnel) {
        self.tunnel = link.has_spare_streams().then_some(tunnel);
    }

    fn recent(&self) -> bool {
        let idle = jiff::SignedDuration::from_secs(60);
        self.used.is_none_or(|used| now().duration_since(used) < idle)
    }
}
