//! A Kubernetes API server that means ill: it answers the questions that make a cluster live, and one of them as it likes.
//!
//! Written against sockets, so that nothing well-behaved stands between. Not here: what is expected of the product.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is done with a request.
#[derive(Clone)]
pub enum Answer {
    /// A whole answer with this status and these further headers.
    Whole(u16, &'static str, Arc<str>),
    /// Nothing, for ever.
    Silence,
    /// A body without end: this first, then this over and over.
    Endless { first: Arc<str>, then: Arc<str> },
    /// A WebSocket, and then these bytes over and over.
    Frames(Arc<[u8]>),
    /// A WebSocket, and then nothing.
    Quiet,
}

pub fn good(body: &Value) -> Answer {
    Answer::Whole(200, "", body.to_string().into())
}

type Router = dyn Fn(&str) -> Option<Answer> + Send + Sync;

/// What arrived.
#[derive(Default)]
pub struct Counts {
    pub requests: AtomicUsize,
    pub upgrades: AtomicUsize,
    pub open_upgrades: AtomicUsize,
    pub most_open_upgrades: AtomicUsize,
    pub lists: AtomicUsize,
    pub sent_bytes: AtomicUsize,
}

pub struct Hostile {
    pub address: String,
    pub counts: Arc<Counts>,
}

impl Hostile {
    /// Starts one; what `route` does not answer (path with its query) is answered as a cluster without anything would.
    pub async fn start(route: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let counts = Arc::new(Counts::default());
        let route: Arc<Router> = Arc::new(route);
        let shared = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (route, counts) = (Arc::clone(&route), Arc::clone(&shared));
                tokio::spawn(async move {
                    // Whoever goes away early is no fault of the test.
                    let _ = serve(stream, &route, &counts).await;
                });
            }
        });
        Self { address, counts }
    }

    /// Adds this server to a kubeconfig, as the context `name`.
    pub fn join(&self, kubeconfig: &mut Value, name: &str) {
        let mut add = |list: &str, entry: Value| {
            kubeconfig[list].as_array_mut().expect("a kubeconfig").push(entry);
        };
        add("clusters", json!({"name": name, "cluster": {"server": format!("http://{}", self.address)}}));
        add("users", json!({"name": name, "user": {"token": "x"}}));
        add("contexts", json!({"name": name, "context": {"cluster": name, "user": name}}));
    }

    pub fn kubeconfig(&self) -> Value {
        let mut alone = json!({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []});
        self.join(&mut alone, "ill");
        alone
    }
}

/// A running PD pod, as a list or a watch shows it.
pub fn pd_pod(number: usize) -> Value {
    json!({
        "metadata": {
            "namespace": "ill", "name": format!("pd-{number}"), "uid": format!("u{number}"), "resourceVersion": "1",
            "labels": {
                "app.kubernetes.io/component": "pd", "app.kubernetes.io/instance": "ill",
                "app.kubernetes.io/managed-by": "tidb-operator",
            },
        },
        "spec": {"containers": [{"name": "pd", "image": "pingcap/pd:v8.5.0"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"},
    })
}

pub fn list(items: &[Value]) -> Value {
    json!({"metadata": {"resourceVersion": "1"}, "items": items})
}

fn ordinary(path: &str) -> Answer {
    let bare = path.split('?').next().unwrap_or(path);
    if path.contains("watch=true") {
        return Answer::Silence;
    }
    match bare {
        "/version" => good(&json!({"gitVersion": "v1.33.4"})),
        "/api/v1/namespaces/kube-system" => good(&json!({"metadata": {"name": "kube-system", "uid": "ill-uid"}})),
        _ if bare.contains("/customresourcedefinitions/tidbclusters") => {
            good(&json!({"spec": {"versions": [{"name": "v1alpha1"}]}}))
        }
        _ if ["/pods", "/statefulsets", "/tidbclusters", "/deployments"].iter().any(|end| bare.ends_with(end)) => {
            good(&list(&[]))
        }
        _ => Answer::Whole(404, "", r#"{"kind":"Status","message":"not found"}"#.into()),
    }
}

async fn serve(mut stream: TcpStream, route: &Arc<Router>, counts: &Counts) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if path.contains("limit=") {
            counts.lists.fetch_add(1, Ordering::SeqCst);
        }
        match route(&path).unwrap_or_else(|| ordinary(&path)) {
            Answer::Whole(status, headers, body) => {
                if path.contains("portforward") {
                    counts.upgrades.fetch_add(1, Ordering::SeqCst);
                }
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
            }
            Answer::Silence => return wait_for_the_end(&mut stream).await,
            Answer::Endless { first, then } => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(first.as_bytes()).await?;
                loop {
                    stream.write_all(then.as_bytes()).await?;
                    counts.sent_bytes.fetch_add(then.len(), Ordering::SeqCst);
                }
            }
            Answer::Frames(frames) => {
                let _open = upgrade(&mut stream, &head, counts).await?;
                let (mut reader, mut writer) = stream.into_split();
                // What comes back is read, so that only the other side's own queue can fill.
                let swallow = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
                loop {
                    if let Err(error) = writer.write_all(&frames).await {
                        swallow.abort();
                        return Err(error);
                    }
                    counts.sent_bytes.fetch_add(frames.len(), Ordering::SeqCst);
                }
            }
            Answer::Quiet => {
                let _open = upgrade(&mut stream, &head, counts).await?;
                return wait_for_the_end(&mut stream).await;
            }
        }
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

async fn wait_for_the_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Counts while it lives.
struct Open<'a>(&'a Counts);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open_upgrades.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn upgrade<'a>(stream: &mut TcpStream, head: &str, counts: &'a Counts) -> io::Result<Open<'a>> {
    counts.upgrades.fetch_add(1, Ordering::SeqCst);
    let open = counts.open_upgrades.fetch_add(1, Ordering::SeqCst) + 1;
    counts.most_open_upgrades.fetch_max(open, Ordering::SeqCst);
    let guard = Open(counts);
    let key = header(head, "sec-websocket-key").unwrap_or_default();
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(guard)
}

/// Waits, and gives the most memory that a process has had meanwhile, in MB.
pub async fn peak_mb(id: u32, time: Duration) -> u64 {
    let end = tokio::time::Instant::now() + time;
    let mut most = 0;
    while tokio::time::Instant::now() < end {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { break };
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb: Option<u64> = line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(kb.unwrap_or(0) / 1024);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    most
}
