//! One isolated connection per context: its own client, credential, deadlines and tunnels.
//!
//! The stack is ours (gate, base URI, token, impersonation, HTTP/1.1 with TCP_NODELAY) because kube's default one
//! replays mutations, leaves Nagle on and runs exec plugins inline. Built when first needed, never on the UI's
//! thread, and rebuilt when a credential expires or is not accepted. Not here: what is
//! asked ([`crate::client::kube::snapshot`], [`crate::client::pd`], …), what may leave ([`crate::client::wire::read_only_gate`]),
//! how long it may take ([`crate::client::wire::timeouts`]) and what is sent again ([`crate::client::wire::retry`]).

mod client_builder;
pub(in crate::client) mod streams;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use kube::client::Body;
use kube::config::{AuthInfo, ExecConfig};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use self::client_builder::with_bearer;
use self::streams::STREAMS;
use crate::client::kube::context_selection::{ConnectOptions, PdAccess, Target};
use crate::client::kube::exec_plugin::Plugins;
use crate::client::kube::kubeconfig::Entry;
use crate::client::kube::snapshot_cache::{KeptFacts, KeptViews};
use crate::client::plain;
use crate::client::wire::deadline::seconds;
use crate::client::wire::lease_timing::{Departure, TooLate, Until};
use crate::client::wire::pd_tls::PdTls;
use crate::client::wire::proxy::Proxy;
use crate::client::wire::read_only_gate::{Mark, ReadOnly};
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::request_log::Call;
use crate::client::wire::request_stats::Traffic;
use crate::client::wire::retry::{self, retry_after};
use crate::client::wire::timeouts::Limits;
use crate::client::wire::tunnel_pool::Slots;
use crate::client::wire::unreachable_pods::Indirect;
use crate::fleet::ObjectKey;

/// Largest answer that is read: a page of 200 objects stays far below it.
const ANSWER_LIMIT: usize = 48 * 1024 * 1024;

/// Every connection, by context. Cheap to clone.
#[derive(Clone)]
pub struct Links(Arc<BTreeMap<String, Arc<Link>>>);

impl Links {
    /// No network yet: each link connects when it is first used.
    pub fn new(targets: Vec<Target>, options: ConnectOptions) -> Self {
        // A second provider in the process is fine; none at all would make rustls panic.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = Arc::new(options);
        let plugins = Plugins::default();
        let link = |target: Target| {
            let link = Link {
                read_only: ReadOnly::new(
                    target.read_only || options.read_only || options.read_only_contexts.contains(&target.context),
                ),
                target,
                options: Arc::clone(&options),
                plugins: plugins.clone(),
                built: tokio::sync::Mutex::default(),
                renewed: Mutex::default(),
                traffic: Traffic::default(),
                waiting: Mutex::default(),
                slots: Slots::default(),
                indirect: Indirect::default(),
                streams: Arc::new(Semaphore::new(STREAMS)),
                rests: Mutex::default(),
                pd_tls: Mutex::default(),
                across_k8s: Mutex::default(),
                facts: KeptFacts::default(),
                views: KeptViews::default(),
                listed: Mutex::default(),
            };
            (link.target.context.clone(), Arc::new(link))
        };
        Self(Arc::new(targets.into_iter().map(link).collect()))
    }

    /// Who is told what is waited for.
    pub(in crate::client) fn notice(&self) -> Option<fn(&str)> {
        self.0.values().next()?.options.notice
    }

    pub fn get(&self, context: &str) -> Option<&Arc<Link>> {
        self.0.get(context)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.0.values()
    }

    pub(crate) fn need(&self, context: &str) -> Result<&Arc<Link>, String> {
        self.get(context).ok_or_else(|| format!("no context is called {context:?} in this session"))
    }
}

/// The connection to one context.
pub struct Link {
    target: Target,
    options: Arc<ConnectOptions>,
    read_only: ReadOnly,
    plugins: Plugins,
    built: tokio::sync::Mutex<Option<Built>>,
    /// The user's entry as it was read after the server had refused the first one: a token may have been renewed.
    renewed: Mutex<Renewed>,
    /// What was asked, and how that fares.
    pub traffic: Traffic,
    /// The login command that is being waited for: explains a deadline that passes meanwhile.
    waiting: Mutex<Option<String>>,
    pub(in crate::client) slots: Slots,
    /// Pods that are asked by port-forward, since they could not be reached directly.
    pub(in crate::client) indirect: Indirect,
    streams: Arc<Semaphore>,
    /// Until when the server, being busy, wants no stream to a pod.
    rests: Mutex<Option<tokio::time::Instant>>,
    /// TLS material per TidbCluster, with the time at which it was read.
    pub(in crate::client) pd_tls: Mutex<BTreeMap<ObjectKey, (Arc<PdTls>, Timestamp)>>,
    /// Whether the CRD's schema has `spec.acrossK8s`: 1.3 MB to find out, so it is asked rarely.
    pub(in crate::client) across_k8s: Mutex<Option<(bool, Timestamp)>>,
    /// What the cluster is, for looks that nothing is sent on.
    pub(in crate::client) facts: KeptFacts,
    /// What PD answered, for looks that only ask whether a run still waits.
    pub(in crate::client) views: KeptViews,
    /// The version of the last list of each kind: a watch that begins there misses nothing that came after it.
    pub(in crate::client) listed: Mutex<BTreeMap<&'static str, String>>,
}

#[derive(Clone)]
struct Built {
    client: kube::Client,
    /// A token, from wherever it comes. Certificates and passwords live in the client.
    bearer: Option<HeaderValue>,
    /// The file that the token was read from, and when: it is read again while it is used.
    token_file: Option<(PathBuf, Timestamp)>,
    exec: Option<ExecConfig>,
    expires: Option<Timestamp>,
    proxy: Option<Proxy>,
}

#[derive(Default)]
struct Renewed {
    /// The server refused what we have: look into the kubeconfig once more before the next try.
    wanted: bool,
    looked: Option<Timestamp>,
    user: Option<Arc<AuthInfo>>,
}

/// How long a token from a file is used before the file is read again (client-go: one minute).
const TOKEN_FILE_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_secs(50);
/// How soon after a refused credential the kubeconfig is read once more.
const RENEWED_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

impl Link {
    pub fn context(&self) -> &str {
        &self.target.context
    }

    /// URL of the API server; for sentences, the context where there is none.
    pub fn server(&self) -> &str {
        if self.target.server.is_empty() { &self.target.context } else { &self.target.server }
    }

    /// Whether the API server is on this very machine.
    pub(in crate::client) fn is_local(&self) -> bool {
        let uri = self.target.server.parse::<http::Uri>().ok();
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    pub(in crate::client) fn configured_server(&self) -> &str {
        &self.target.server
    }

    /// Fingerprint of the certificate authority that the kubeconfig gives for the server, with what else may lead one address to
    /// several clusters (a proxy, the name asked for in TLS); a file goes by its path.
    pub(in crate::client) fn configured_trust(&self) -> Option<String> {
        let cluster = self.target.entry.cluster.as_ref()?;
        if cluster.insecure_skip_tls_verify == Some(true) {
            return None;
        }
        let inline =
            cluster.certificate_authority_data.as_ref().map(|data| data.split_whitespace().collect::<String>());
        let trust = inline.filter(|data| !data.is_empty()).or_else(|| cluster.certificate_authority.clone())?;
        let proxy = cluster.proxy_url.as_deref().unwrap_or_default();
        let name = cluster.tls_server_name.as_deref().unwrap_or_default();
        let digest = Sha256::digest(format!("{trust} {proxy} {name}").as_bytes());
        Some(hex::encode(digest))
    }

    /// What the kubeconfig says of this context.
    pub(in crate::client) fn entry(&self) -> &Entry {
        &self.target.entry
    }

    /// Whom the kubeconfig has us be instead of ourselves (`as:`); groups alone count as well.
    pub(in crate::client) fn impersonates(&self) -> Option<String> {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).user.clone();
        let user = renewed.or_else(|| self.target.entry.user.clone())?;
        let groups = user.impersonate_groups.as_ref().filter(|groups| !groups.is_empty());
        user.impersonate.clone().or_else(|| groups.map(|groups| groups.join(", ")))
    }

    pub fn read_only(&self) -> bool {
        self.read_only.holds()
    }

    /// Read-only from now on, for the rest of the session.
    pub fn seal(&self) {
        self.read_only.seal();
    }

    /// How PD is asked here.
    pub(in crate::client) fn pd_access(&self) -> PdAccess {
        self.options.pd_access_contexts.get(self.context()).copied().unwrap_or(self.options.pd_access)
    }

    pub fn limits(&self) -> &Limits {
        &self.options.limits
    }

    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    pub fn namespace(&self) -> Option<&str> {
        self.options.namespace.as_deref()
    }

    /// The trouble of a deadline that passed: names the login command where that is what took the time.
    pub(in crate::client) fn too_late(&self, limit: Duration, sent: bool) -> RequestError {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match waiting {
            Some(command) => RequestError::unsent(
                RequestErrorKind::AuthNeeded,
                format!("{}: the credential plugin is still running; run `{command}` to log in", self.server()),
            ),
            None => {
                let sentence = format!("{} did not answer within {}", self.server(), seconds(limit));
                RequestError { sent, ..RequestError::cut(sentence) }
            }
        }
    }

    /// Sends one request and reads the whole answer, whatever its status. Sent once, and again only where the server said that it took nothing (429); one with an [`Until`] leaves
    /// by then or not at all, and logging in and connecting count.
    pub(in crate::client) async fn call(
        &self,
        request: Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<Reply, RequestError> {
        let log = Call::of(self.context(), &self.traffic, &request);
        let reply = self.call_unlogged(request, limit).await;
        log.ended(reply.as_ref().map(|reply| (reply.status, &reply.headers)).map_err(|error| error.kind));
        reply
    }

    async fn call_unlogged(&self, request: Request<Vec<u8>>, limit: Duration) -> Result<Reply, RequestError> {
        let until = request.extensions().get::<Until>().cloned().unwrap_or_default();
        let patience = until.within(limit.max(self.limits().plugin));
        let built = match tokio::time::timeout(patience, self.built()).await {
            Ok(built) => built?,
            Err(_) => return Err(self.too_late(patience, false)),
        };
        let limit = until.within(limit);
        if limit.is_zero() {
            return Err(RequestError::unsent(RequestErrorKind::Refused, format!("{}: {TooLate}", self.server())));
        }
        let begun = tokio::time::Instant::now();
        let mut tries = 0;
        let reply = loop {
            tries += 1;
            let left = limit.saturating_sub(begun.elapsed());
            let writes = request.extensions().get::<Mark>() == Some(&Mark::Write) && !request.body().is_empty();
            let departure = writes.then(|| Departure::by(until.clone()));
            let exchange = self.exchange(&built, retry::copied(&request), departure.clone());
            let reply = tokio::time::timeout(left, exchange).await;
            let reply = reply.unwrap_or_else(|_| Err(self.too_late(limit, true)));
            let reply = reply.map_err(|trouble| {
                let kept = departure.is_some_and(|departure| departure.keep());
                RequestError { sent: trouble.sent && !kept, ..trouble }
            })?;
            let Some(wait) = retry::wait_of_busy(&reply, tries, limit.saturating_sub(begun.elapsed())) else {
                break reply;
            };
            self.traffic.busy();
            tokio::time::sleep(wait).await;
            if !retry::is_sent_again(request.method(), reply.status) {
                break reply;
            }
        };
        if reply.status == StatusCode::UNAUTHORIZED {
            self.not_accepted(&built).await;
        }
        Ok(reply)
    }

    async fn exchange(
        &self,
        built: &Built,
        mut request: Request<Vec<u8>>,
        departure: Option<Departure>,
    ) -> Result<Reply, RequestError> {
        if let Some(departure) = departure {
            request.extensions_mut().insert(departure);
        }
        let response = built.client.send(with_bearer(request, built).map(Body::from)).await;
        let response = response.map_err(|error| self.failed(built, &error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT)
            .collect()
            .await
            .map_err(|error| RequestError::broken(self.server(), error.as_ref()))?;
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }

    /// GET and decode; anything but 2xx is a [`RequestError`]. Asked once more where the first try was cut off at once (an
    /// idle connection that the server had closed) or the server was busy: reading twice changes nothing.
    pub(in crate::client) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RequestError> {
        self.get_sized(path).await.map(|(value, _)| value)
    }

    /// The same, with the length of the answer in bytes: a list is bounded as a whole.
    pub(in crate::client) async fn get_sized<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(T, usize), RequestError> {
        let begun = tokio::time::Instant::now();
        match self.get_once(path).await {
            Err(trouble) if retry::is_read_again(&trouble, begun.elapsed()) => {
                tokio::time::sleep(retry::READ_AGAIN_AFTER).await;
                self.get_once(path).await
            }
            other => other,
        }
    }

    async fn get_once<T: DeserializeOwned>(&self, path: &str) -> Result<(T, usize), RequestError> {
        let request = Request::get(path).header(http::header::ACCEPT, "application/json").body(Vec::new());
        let request = request.map_err(|error| RequestError::unsent(RequestErrorKind::Refused, error.to_string()))?;
        let reply = self.call(request, self.limits().request).await?;
        Ok((self.decode(&reply)?, reply.body.len()))
    }

    pub(in crate::client) fn decode<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, RequestError> {
        if !reply.status.is_success() {
            let trouble = self.answered(reply.status, &reply.body);
            return Err(RequestError { retry_after: retry_after(reply), ..trouble });
        }
        serde_json::from_slice(&reply.body).map_err(|error| {
            let sentence = format!("{} sent something unexpected: {}", self.server(), plain(&error.to_string()));
            RequestError { kind: RequestErrorKind::Answered, ..RequestError::cut(sentence) }
        })
    }

    /// An answer that is no success. Refused credentials name what may be behind them in the kubeconfig.
    fn answered(&self, status: StatusCode, body: &[u8]) -> RequestError {
        let mut trouble = RequestError::answered(self.server(), status, body);
        if let (RequestErrorKind::AuthNeeded, Some(mixed)) = (trouble.kind, &self.target.entry.mixed) {
            trouble.sentence = format!("{} does not accept our credentials (401): {}", self.server(), plain(mixed));
        }
        trouble
    }

    /// A request without an answer; a proxy that does not work is not a server that does not run.
    fn failed(&self, built: &Built, error: &kube::Error) -> RequestError {
        let trouble = RequestError::from_kube(self.server(), error);
        match &built.proxy {
            Some(proxy) if !trouble.sent && !trouble.tls && trouble.kind == RequestErrorKind::Unreachable => {
                RequestError::from_kube(&proxy.named(self.server()), error)
            }
            Some(_) | None => trouble,
        }
    }

    async fn not_accepted(&self, built: &Built) {
        if let Some(exec) = &built.exec {
            self.plugins.rejected(exec);
        }
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).wanted = true;
        *self.built.lock().await = None;
    }
}
