//! One isolated connection per context: its own client, credential, deadlines and tunnels.
//!
//! The stack is ours (gate, base URI, token, impersonation, HTTP/1.1 with TCP_NODELAY) because kube's default one
//! replays mutations, leaves Nagle on and runs exec plugins inline. Built when first needed, never on the UI's
//! thread, and rebuilt when a credential expires or is not accepted. A write is repeated only where the server said that it took none (429). Not here: what is
//! asked ([`crate::client::kube::look`], [`crate::client::pd`], …) and what may leave ([`crate::client::wire::read_only_gate`]).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use kube::client::Body;
use kube::config::{AuthInfo, ExecConfig, KubeConfigOptions};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client::kube::credentials::{Plugins, command_line};
use crate::client::kube::kept::{KeptFacts, KeptViews};
use crate::client::kube::kubeconfig::Entry;
use crate::client::kube::login::{Login, Proxy, base64, inlined, login_of, proxy_for, token_in};
use crate::client::kube::targets::{ConnectOptions, Limits, PdAccess, Target};
use crate::client::kube::unfit::unfit;
use crate::client::wire::indirect::Indirect;
use crate::client::wire::pd_tls::PdTls;
use crate::client::wire::read_only_gate::{Gate, Mark, ReadOnly};
use crate::client::wire::reply::Reply;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::request_log::Call;
use crate::client::wire::retry_after::{asked_to_wait, retry_after};
use crate::client::wire::slots::Slots;
use crate::client::wire::stack::client;
use crate::client::wire::timing::{Departure, TooLate, Until};
use crate::client::wire::tls_words;
use crate::client::wire::traffic::{Traffic, credential};
use crate::client::wire::upgrade::{self, Socket};
use crate::client::wire::within::{Within, seconds};
use crate::client::{now, plain};
use crate::fleet::ObjectKey;

/// Largest answer that is read: a page of 200 objects stays far below it.
const ANSWER_LIMIT: usize = 48 * 1024 * 1024;

/// Most streams to pods (port-forwards, programs) that one cluster keeps open at once; who comes later waits for his turn.
const STREAMS: usize = 64;
/// Tunnels that nobody uses are kept only while so many more could be opened.
const SPARE_STREAMS: usize = 8;

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
        Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
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
        let reading = request.method() == http::Method::GET;
        let mut tries = 0;
        let reply = loop {
            tries += 1;
            let left = limit.saturating_sub(begun.elapsed());
            let writes = request.extensions().get::<Mark>() == Some(&Mark::Write) && !request.body().is_empty();
            let departure = writes.then(|| Departure::by(until.clone()));
            let exchange = self.exchange(&built, again(&request), departure.clone());
            let reply = tokio::time::timeout(left, exchange).await;
            let reply = reply.unwrap_or_else(|_| Err(self.too_late(limit, true)));
            let reply = reply.map_err(|trouble| {
                let kept = departure.is_some_and(|departure| departure.keep());
                RequestError { sent: trouble.sent && !kept, ..trouble }
            })?;
            // The server says when to come again; nobody else's time is spent on waiting longer.
            match retry_after(&reply) {
                Some(wait) if tries < 4 && wait < limit.saturating_sub(begun.elapsed()) => {
                    self.traffic.busy();
                    tokio::time::sleep(wait).await;
                    // Of a 503 it is not known whether it was taken: whoever wrote looks, and only then sends it again.
                    if reply.status != StatusCode::TOO_MANY_REQUESTS && !reading {
                        break reply;
                    }
                }
                Some(_) | None => break reply,
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
        let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(|error| {
            RequestError::cut(crate::client::wire::request_error::transport(self.server(), error.as_ref()))
        })?;
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
            Err(trouble) if begun.elapsed() < Duration::from_secs(1) && worth_asking_again(&trouble) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
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

    /// Opens a watch: the answer's head within the deadline, its body as it comes.
    pub(in crate::client) async fn stream(&self, path: &str) -> Result<http::Response<Body>, RequestError> {
        let built = self.built().await?;
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|error| RequestError::unsent(RequestErrorKind::Refused, error.to_string()))?;
        let limit = self.limits().request;
        let log = Call::of(self.context(), &self.traffic, &request);
        let sent = built.client.send(with_bearer(request, &built).map(Body::from));
        let response = tokio::time::timeout(limit, sent).await.map_err(|_| self.too_late(limit, true));
        let response = response.and_then(|response| response.map_err(|error| self.failed(&built, &error)));
        log.ended(response.as_ref().map(|head| (head.status(), head.headers())).map_err(|error| error.kind));
        let response = response?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(&built, response, limit).await)
    }

    /// Whether a tunnel that nobody uses now may stay open for the next time.
    pub(in crate::client) fn has_spare_streams(&self) -> bool {
        self.streams.available_permits() >= SPARE_STREAMS
    }

    /// A place for one more stream to a pod. Tunnels that only wait for their next use make room.
    async fn place(&self, within: Within) -> Result<OwnedSemaphorePermit, RequestError> {
        if let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() {
            return Ok(place);
        }
        self.slots.let_go();
        match tokio::time::timeout_at(within.ends(), Arc::clone(&self.streams).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => {
                let sentence = format!(
                    "{STREAMS} streams to pods of {} are open already, and none ended within {within}",
                    self.server()
                );
                Err(RequestError::unsent(RequestErrorKind::Unreachable, sentence))
            }
        }
    }

    /// Opens a WebSocket to a pod's subresource, under a mark.
    pub(in crate::client) async fn socket(
        &self,
        path: &str,
        mark: Mark,
        within: Within,
    ) -> Result<Socket, RequestError> {
        self.rested()?;
        let built = self.built().await?;
        let place = self.place(within).await?;
        let request = Request::get(path).extension(mark).body(Vec::new());
        let request = request.map_err(|error| RequestError::unsent(RequestErrorKind::Refused, error.to_string()))?;
        let mut request = with_bearer(request, &built);
        let key = upgrade::ask(request.headers_mut());
        let log = Call::of(self.context(), &self.traffic, &request);
        let sent = tokio::time::timeout_at(within.ends(), built.client.send(request.map(Body::from))).await;
        let response = sent.map_err(|_| self.too_late(within.of(), true));
        let response = response.and_then(|response| response.map_err(|error| self.failed(&built, &error)));
        log.ended(response.as_ref().map(|head| (head.status(), head.headers())).map_err(|error| error.kind));
        let response = response?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let trouble = self.refused(&built, response, within.left()).await;
            self.rest(trouble.retry_after);
            return Err(trouble);
        }
        let odd =
            |why: String| RequestError::cut(format!("the connection to {} failed: {}", self.server(), plain(&why)));
        upgrade::agreed(response.status(), response.headers(), &key).map_err(|why| odd(why.to_owned()))?;
        let upgraded = tokio::time::timeout_at(within.ends(), hyper::upgrade::on(response)).await;
        let upgraded =
            upgraded.map_err(|_| self.too_late(within.of(), true))?.map_err(|error| odd(error.to_string()))?;
        Ok(Socket { stream: upgrade::stream(upgraded).await, place })
    }

    /// The trouble of an answer that is no success, read to its end.
    async fn refused(&self, built: &Built, response: http::Response<Body>, limit: Duration) -> RequestError {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            self.not_accepted(built).await;
        }
        let retry_after = asked_to_wait(status, response.headers());
        let body = tokio::time::timeout(limit, Limited::new(response.into_body(), ANSWER_LIMIT).collect()).await;
        let bytes = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        RequestError { retry_after, ..self.answered(status, &bytes) }
    }

    /// No stream is asked for until then: the server has said so to one of them.
    fn rest(&self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::time::Instant::now() + wait);
        }
    }

    fn rested(&self) -> Result<(), RequestError> {
        let until = *self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = until.map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            None => Ok(()),
            Some(wait) => {
                let sentence =
                    format!("{} is busy and wants no stream to a pod for {} s", self.server(), wait.as_secs() + 1);
                Err(RequestError {
                    retry_after: Some(wait),
                    ..RequestError::unsent(RequestErrorKind::Answered, sentence)
                })
            }
        }
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
            Some(proxy) if !trouble.sent && !trouble.is_tls() && trouble.kind == RequestErrorKind::Unreachable => {
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

    async fn built(&self) -> Result<Built, RequestError> {
        let mut slot = self.built.lock().await;
        let margin = jiff::SignedDuration::from_secs(10);
        let fresh = |built: &Built| built.expires.is_none_or(|expires| expires.duration_since(now()) > margin);
        if let Some(built) = slot.as_mut().filter(|built| fresh(built)) {
            if let Some((file, read)) = &mut built.token_file
                && now().duration_since(*read) > TOKEN_FILE_KEPT
            {
                // What cannot be read now may be there again in a moment; until then the last one counts, as in client-go.
                *read = now();
                if let Ok(token) = token_in(file).await {
                    built.bearer = Some(token);
                }
            }
            return Ok(built.clone());
        }
        let built = self.build().await?;
        *slot = Some(built.clone());
        Ok(built)
    }

    /// The user's entry to log in with: after a refusal, the one that the kubeconfig has now.
    async fn user(&self) -> Option<Arc<AuthInfo>> {
        let entry = &self.target.entry;
        let look = {
            let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            let due = renewed.looked.is_none_or(|looked| now().duration_since(looked) > RENEWED_EVERY);
            let look = std::mem::take(&mut renewed.wanted) && due;
            if look {
                renewed.looked = Some(now());
            }
            look
        };
        if look {
            let again = Arc::clone(entry);
            let user = tokio::task::spawn_blocking(move || again.user_now()).await.ok().flatten();
            if user.is_some() {
                self.renewed.lock().unwrap_or_else(PoisonError::into_inner).user = user;
            }
        }
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).user.clone();
        renewed.or_else(|| entry.user.clone())
    }

    async fn build(&self) -> Result<Built, RequestError> {
        let server = self.server();
        let cannot = |why: String| {
            let sentence = format!("the kubeconfig entry of {:?} cannot be used: {}", self.context(), plain(&why));
            RequestError::unsent(RequestErrorKind::Unreachable, sentence)
        };
        let login = |why: &str| RequestError::unsent(RequestErrorKind::AuthNeeded, format!("{server}: {why}"));
        if let Some(hidden) = &self.target.entry.hidden {
            return Err(RequestError::unsent(RequestErrorKind::Unreachable, plain(hidden)));
        }
        let user = self.user().await;
        let mut kubeconfig = self.target.entry.alone(user.as_deref());
        let Login { token, token_file } = login_of(&mut kubeconfig);
        inlined(&mut kubeconfig).await.map_err(cannot)?;
        if let Some(why) = unfit(&kubeconfig) {
            return Err(cannot(why));
        }
        let choice = KubeConfigOptions { context: Some(self.context().to_owned()), ..KubeConfigOptions::default() };
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|error| cannot(chain(&error)))?;
        let own_proxy = self.target.entry.cluster.as_ref().and_then(|cluster| cluster.proxy_url.clone());
        let proxy = proxy_for(own_proxy.as_deref(), &config.cluster_url, config.proxy_url.take());
        config.proxy_url = proxy.as_ref().map(|proxy| proxy.uri.clone());
        let exec = config.auth_info.exec.take();
        if config.auth_info.auth_provider.as_ref().is_some_and(|old| old.config.contains_key("cmd-path")) {
            return Err(login("its kubeconfig uses the retired auth-provider plugins; use an exec plugin instead"));
        }
        let (mut bearer, mut expires) = (None, None);
        if let Some(file) = &token_file {
            bearer = Some(token_in(file).await.map_err(|why| login(&why))?);
        } else if let Some(token) = token {
            bearer = Some(token.map_err(|why| login(&why))?);
        } else if let Some(exec) = &exec {
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(command_line(exec));
            let run = self.plugins.get(exec, self.limits().plugin).await;
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let credential = run.map_err(|why| login(&why))?;
            expires = credential.expires;
            if let Some(token) = &credential.token {
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value.map_err(|_| login("the credential plugin gave a token that is not text"))?;
                value.set_sensitive(true);
                bearer = Some(value);
            }
            if let Some((certificate, key)) = credential.certificate {
                config.auth_info.client_certificate_data = Some(base64(certificate.as_bytes()));
                config.auth_info.client_key_data = Some(base64(key.as_bytes()).into());
            }
        }
        let plugin = exec.as_ref().map(command_line);
        let plugin = plugin.as_deref().map(|command| (command, expires));
        let used = credential(&config.auth_info, bearer.is_some(), token_file.is_some(), plugin);
        self.traffic.logged_in(used);
        let gate = Gate { context: self.context().to_owned(), read_only: self.read_only.clone() };
        let client = client(&config, &gate, self.limits().connect).map_err(|error| cannot(in_words(error.as_ref())))?;
        let token_file = token_file.map(|file| (file, now()));
        Ok(Built { client, bearer, token_file, exec, expires, proxy })
    }
}

/// The same request once more, with its marks.
fn again(request: &Request<Vec<u8>>) -> Request<Vec<u8>> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

fn worth_asking_again(trouble: &RequestError) -> bool {
    match trouble.status {
        None => trouble.kind == RequestErrorKind::Unreachable && trouble.sent,
        // With a time to wait it was obeyed already.
        Some(status) => matches!(status, 429 | 503) && trouble.retry_after.is_none(),
    }
}

fn with_bearer(mut request: Request<Vec<u8>>, built: &Built) -> Request<Vec<u8>> {
    // Here and not at the gate: kube sends from a task of its own, which does not know for which run.
    request.headers_mut().insert(http::header::USER_AGENT, crate::client::wire::agent::current());
    if let Some(bearer) = &built.bearer {
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
    }
    request
}

/// Why no client is made of an entry.
fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    match tls_words::inside(error) {
        Some(rustls::Error::InconsistentKeys(_)) => {
            "the client-key of its user does not belong to its client-certificate".to_owned()
        }
        Some(_) | None => chain(error),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors carry their cause's words already.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
