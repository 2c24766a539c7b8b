//! A front before one simulated API server, through which one person works while the other goes there directly: it holds
//! requests back, loses answers, says things of its own, and makes connecting slow.
//!
//! It ends TLS itself, so that a rule sees each request; upgrades (tunnels, programs) pass through untouched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tidepilot::sim::certificate_authority::Authority;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What becomes of one request.
#[derive(Clone, Debug)]
#[allow(dead_code)]
pub enum Fate {
    Pass,
    /// It arrives so much later; the front goes on with it even if the client has gone.
    Late(Duration),
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It does not arrive, and there is no answer.
    Lost,
    /// It does not arrive, and the front answers.
    Says(u16, Value),
    /// It arrives, and the front answers something else.
    Instead(u16, Value),
    /// It does not arrive, and the front answers this with `Retry-After`, in seconds.
    Busy(u16, u64),
    /// It arrives, and the front answers so all the same.
    BusyAfter(u16, u64),
    /// It arrives, its answer too; then the connection is closed and the next handshake takes so long.
    LastOfItsConnection(Duration),
}

type Rule = Box<dyn FnMut(&str, &str) -> Fate + Send>;

struct Shared {
    rule: Mutex<Rule>,
    /// Milliseconds before the next handshake is answered.
    handshake_ms: AtomicU64,
    /// `METHOD path` and when it came to the front, which is when it had left the client.
    seen: Mutex<Vec<(String, Instant)>>,
    server: String,
    trust: Arc<rustls::ClientConfig>,
}

pub struct Front {
    shared: Arc<Shared>,
    address: String,
    authority: String,
}

impl Front {
    /// Before the server of `context` in this kubeconfig.
    pub async fn before(kubeconfig: &Value, context: &str) -> Self {
        let cluster = cluster(kubeconfig, context);
        let server = kubeconfig["clusters"][cluster]["cluster"]["server"].as_str().expect("a server");
        let authority = Authority::new("front");
        let identity = authority.server(&["127.0.0.1", "localhost"]);
        let acceptor = TlsAcceptor::from(identity.server_config().expect("a good identity"));
        let shared = Arc::new(Shared {
            rule: Mutex::new(Box::new(|_, _| Fate::Pass)),
            handshake_ms: AtomicU64::new(0),
            seen: Mutex::default(),
            server: server.trim_start_matches("https://").to_owned(),
            trust: trust(&kubeconfig["clusters"][cluster]["cluster"]["certificate-authority-data"]),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(accept(listener, acceptor, Arc::clone(&shared)));
        Self { shared, address, authority: authority.pem() }
    }

    /// The same kubeconfig with the front in the place of its server.
    pub fn kubeconfig(&self, kubeconfig: &Value, context: &str) -> Value {
        let mut changed = kubeconfig.clone();
        let at = cluster(kubeconfig, context);
        let cluster = &mut changed["clusters"][at]["cluster"];
        cluster["server"] = json!(format!("https://{}", self.address));
        cluster["certificate-authority-data"] = json!(encode(self.authority.as_bytes()));
        changed
    }

    /// From now on; `METHOD`, path.
    pub fn rule(&self, rule: impl FnMut(&str, &str) -> Fate + Send + 'static) {
        *self.shared.rule.lock().expect("not poisoned") = Box::new(rule);
    }

    /// All that came, `METHOD path`.
    pub fn all(&self) -> Vec<(String, Instant)> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    /// When requests whose `METHOD path` begins so had left the client.
    pub fn seen(&self, start: &str) -> Vec<Instant> {
        let seen = self.shared.seen.lock().expect("not poisoned");
        seen.iter().filter(|(line, _)| line.starts_with(start)).map(|(_, at)| *at).collect()
    }
}

fn cluster(kubeconfig: &Value, context: &str) -> usize {
    let all = kubeconfig["clusters"].as_array().expect("clusters");
    all.iter().position(|cluster| cluster["name"] == context).expect("there")
}

fn trust(authority: &Value) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let pem = decode(authority.as_str().expect("base64"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("a root");
    Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let wait = Duration::from_millis(shared.handshake_ms.swap(0, Ordering::SeqCst));
            tokio::time::sleep(wait).await;
            let _ = stream.set_nodelay(true);
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = serving.with_upgrades().await;
        });
    }
}

type Answer = Response<http_body_util::Either<Incoming, Full<Bytes>>>;

#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    shared.seen.lock().expect("not poisoned").push((format!("{method} {path}"), Instant::now()));
    let fate = (shared.rule.lock().expect("not poisoned"))(&method, &path);
    let passed = |request| {
        let shared = Arc::clone(&shared);
        // On a task of its own: what has left the client arrives, whatever becomes of the client.
        async move { tokio::spawn(pass(shared, request)).await.map_err(|_| Cut)? }
    };
    match fate {
        Fate::Pass => passed(request).await,
        Fate::Late(wait) => {
            let whole = whole(request).await?;
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                pass(shared, whole).await
            })
            .await
            .map_err(|_| Cut)?
        }
        Fate::AnswerLost => {
            passed(request).await?;
            Err(Cut)
        }
        Fate::Lost => Err(Cut),
        Fate::Busy(status, seconds) => Ok(busy(status, seconds)),
        Fate::BusyAfter(status, seconds) => {
            passed(request).await?;
            Ok(busy(status, seconds))
        }
        Fate::Says(status, body) => Ok(said(status, &body)),
        Fate::Instead(status, body) => {
            passed(request).await?;
            Ok(said(status, &body))
        }
        Fate::LastOfItsConnection(wait) => {
            let mut answer = passed(request).await?;
            shared.handshake_ms.store(u64::try_from(wait.as_millis()).expect("small"), Ordering::SeqCst);
            answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            Ok(answer)
        }
    }
}

fn said(status: u16, body: &Value) -> Answer {
    let mut answer = Response::new(http_body_util::Either::Right(Full::from(body.to_string())));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

fn busy(status: u16, seconds: u64) -> Answer {
    let mut answer = said(status, &json!({"kind": "Status", "message": "the server is busy", "code": status}));
    answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    answer
}

/// The request with its body read: nothing of it depends on the client any more.
async fn whole(request: Request<Incoming>) -> Result<Request<Full<Bytes>>, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    Ok(Request::from_parts(parts, Full::new(body)))
}

async fn pass<B>(shared: Arc<Shared>, mut request: Request<B>) -> Result<Answer, Cut>
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let stream = TcpStream::connect(&shared.server).await.map_err(|_| Cut)?;
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let stream = TlsConnector::from(Arc::clone(&shared.trust)).connect(name, stream).await.map_err(|_| Cut)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Cut)?;
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let client = upgrade.then(|| hyper::upgrade::on(&mut request));
    let mut answer = sender.send_request(request).await.map_err(|_| Cut)?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(client)) = (answer.status(), client) {
        let server = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            let (Ok(client), Ok(server)) = tokio::join!(client, server) else { return };
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
        });
    }
    Ok::<_, Cut>(answer.map(http_body_util::Either::Left))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = ALPHABET[(n >> (18 - 6 * at) & 63) as usize];
            out.push(if at > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

fn decode(text: &str) -> Vec<u8> {
    let value = |letter: u8| ALPHABET.iter().position(|known| *known == letter).expect("base64") as u32;
    let mut out = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let n = chunk.iter().fold(0u32, |n, letter| n << 6 | value(*letter)) << (6 * (4 - chunk.len()));
        out.extend(n.to_be_bytes()[1..chunk.len()].iter());
    }
    out
}
