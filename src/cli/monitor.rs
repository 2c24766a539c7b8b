//! `tidepilot monitor`: looks over the fleet again and again and serves what it saw as Prometheus metrics, with `/healthz`.
//!
//! Read-only whatever the configuration says. Plain HTTP on loopback; elsewhere it wants a token, and TLS is the business
//! of whoever stands in front of it. Not here: what the metrics are (`report::metrics`).

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::notify::{NotifyArgs, Told, dark};
use super::shared_options::Connect;
use super::signals::Signals;
use super::{USAGE, complain, fail, print};
use crate::client::{self, Links};
use crate::files::{self, Allowed};
use crate::fleet::closer_look::Extras;
use crate::fleet::database::databases;
use crate::hazards::{Finding, check};
use crate::report::metrics;
use crate::runbook::run::open_run_status;

/// Connections that are held at once; the one that is longest there makes room for one more.
const CONNECTIONS: usize = 32;
/// Longest token that is read.
const LONGEST_TOKEN: u64 = 4096;
/// Looks that may be missed before `/healthz` says so, and what a slow look may take beside them.
const MISSED: u32 = 3;
const SLOW: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
pub struct MonitorArgs {
    /// Address to serve on; beyond loopback --token-file is needed
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9487")]
    listen: SocketAddr,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// File with the token that a client has to send as `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the metrics of one look and end, for a textfile collector
    #[arg(long, conflicts_with_all = ["listen", "every", "token_file"])]
    once: bool,
    #[command(flatten)]
    notify: NotifyArgs,
}

/// What is served: the text of the latest look, and when it was.
struct Served {
    text: Option<String>,
    at: Instant,
    every: Duration,
    token: Option<[u8; 32]>,
}

pub async fn run(args: &MonitorArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let connect = Connect { read_only: true, ..connect.clone() };
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    if args.once {
        print(&look(&links, &connect).await.text);
        return Ok(ExitCode::SUCCESS);
    }
    let notifier = match args.notify.notifier() {
        Ok(notifier) => notifier,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let token = match args.token_file.as_deref().map(token).transpose() {
        Ok(token) => token,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    if token.is_none() && !args.listen.ip().is_loopback() {
        let sentence = format!("{} is not loopback, so --token-file FILE is needed", args.listen);
        return Ok(fail(&sentence, USAGE));
    }
    let listener = match TcpListener::bind(args.listen).await {
        Ok(listener) => listener,
        Err(why) => return Ok(fail(&format!("{} cannot be served on: {}", args.listen, files::io_words(&why)), 1)),
    };
    complain(&format!("metrics on http://{}/metrics", listener.local_addr()?));
    let every = Duration::from_secs(args.every);
    let served = Arc::new(Mutex::new(Served { text: None, at: Instant::now(), every, token }));
    let mut signals = Signals::register()?;
    let looking = async {
        let mut told = Told::default();
        loop {
            let Looked { text, findings, dark, at } = look(&links, &connect).await;
            notifier.tell(&told.news(&findings, &dark, at));
            {
                let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
                served.text = Some(text);
                served.at = Instant::now();
            }
            tokio::time::sleep(every).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = serve(listener, Arc::clone(&served)) => {}
        _ = signals.next() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The hash of the token: what is compared tells nothing of how much of it was right.
fn token(file: &Path) -> Result<[u8; 32], String> {
    let text = files::read_text(file, Allowed::PlainOrPipe, LONGEST_TOKEN).map_err(|error| error.to_string())?;
    match text.trim() {
        "" => Err(format!("{} holds no token", file.display())),
        token => Ok(Sha256::digest(token.as_bytes()).into()),
    }
}

/// What one look gives.
struct Looked {
    text: String,
    findings: Vec<Finding>,
    dark: BTreeSet<String>,
    at: Timestamp,
}

async fn look(links: &Links, connect: &Connect) -> Looked {
    let began = Instant::now();
    let fleet = client::assemble(links.look_closer(None, &Extras::all()).await);
    let now = client::now();
    let mut checked = check(&fleet, None, now);
    let work = connect.open_work(links, &fleet).await;
    let open = work.open();
    // What an open run accounts for is marked first: no alert fires for it.
    open_run_status::into_findings(&open, &databases(&fleet), &mut checked.findings);
    let text = metrics::text(&fleet, &checked, (&open, work.is_whole()), now, began.elapsed());
    Looked { text, findings: checked.findings, dark: dark(&fleet), at: now }
}

/// Whoever has been connected longest makes room for whoever comes: an answer takes milliseconds, and those who only sit
/// there keep nobody out.
async fn serve(listener: TcpListener, served: Arc<Mutex<Served>>) {
    let mut connections: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: wait for some to come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= CONNECTIONS
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        let served = Arc::clone(&served);
        connections.push_back(tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(&served, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            // How a client ends its connection is its own affair.
            let _ = connection.await;
        }));
    }
}

fn answer<B>(served: &Mutex<Served>, request: &Request<B>) -> Response<String> {
    let served = served.lock().unwrap_or_else(PoisonError::into_inner);
    let reply = |status: StatusCode, text: String| {
        let mut response = Response::new(text);
        *response.status_mut() = status;
        let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        response
    };
    if !matches!(request.method(), &http::Method::GET | &http::Method::HEAD) {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
    }
    let age = served.at.elapsed();
    match request.uri().path() {
        // Whether the process works is no secret, and a kubelet has no token.
        "/healthz" if age <= served.every * MISSED + SLOW => {
            reply(StatusCode::OK, format!("ok: looked {} s ago\n", age.as_secs()))
        }
        "/healthz" => reply(StatusCode::SERVICE_UNAVAILABLE, format!("no look has ended for {} s\n", age.as_secs())),
        "/metrics" => match (&served.token, &served.text) {
            (Some(token), _) if given(request) != Some(*token) => {
                reply(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN\n".into())
            }
            (_, Some(text)) => reply(StatusCode::OK, text.clone()),
            (_, None) => reply(StatusCode::SERVICE_UNAVAILABLE, "the first look has not ended yet\n".into()),
        },
        _ => reply(StatusCode::NOT_FOUND, "there are /metrics and /healthz\n".into()),
    }
}

fn given<B>(request: &Request<B>) -> Option<[u8; 32]> {
    let sent = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(Sha256::digest(sent.strip_prefix("Bearer ")?.trim().as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(served: Served, path: &str, sent: Option<&str>) -> u16 {
        let mut request = Request::get(path);
        if let Some(sent) = sent {
            request = request.header("Authorization", sent);
        }
        answer(&Mutex::new(served), &request.body(()).expect("a request")).status().as_u16()
    }

    fn served(text: bool, token: Option<&str>) -> Served {
        Served {
            text: text.then(|| "x 1\n".to_owned()),
            at: Instant::now(),
            every: Duration::from_secs(30),
            token: token.map(|token| Sha256::digest(token.as_bytes()).into()),
        }
    }

    #[test]
    fn what_is_answered() {
        let cases = [
            ("/metrics", true, None, None, 200),
            ("/metrics", false, None, None, 503),
            ("/metrics", true, Some("secret"), None, 401),
            ("/metrics", true, Some("secret"), Some("Bearer wrong"), 401),
            ("/metrics", true, Some("secret"), Some("secret"), 401),
            ("/metrics", true, Some("secret"), Some("Bearer secret"), 200),
            ("/healthz", false, Some("secret"), None, 200),
            ("/", true, None, None, 404),
        ];
        for (path, text, token, sent, wanted) in cases {
            assert_eq!(asked(served(text, token), path, sent), wanted, "{path} {token:?} {sent:?}");
        }
    }

    #[test]
    fn a_look_that_does_not_end_is_no_health() {
        let mut late = served(true, None);
        late.every = Duration::ZERO;
        late.at = Instant::now().checked_sub(SLOW + Duration::from_secs(1)).expect("the machine is up for a minute");
        assert_eq!(asked(late, "/healthz", None), 503);
    }
}
