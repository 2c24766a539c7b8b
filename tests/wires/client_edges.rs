//! The client room at its edges: odd clusters, logins, proxies, servers that ask for time, and who else wrote.
//!
//! Beside `tests/wires/client.rs`, which has the straight paths. Not here: membership writes (`membership_writes.rs`).

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidepilot::client::kube::rights::{Right, denied};
use tidepilot::client::write::perform;
use tidepilot::client::{ConnectOptions, Limits, Links, WritePermit, assemble, targets};
use tidepilot::fleet::{Crd, Fleet, Freshness, ObjectKey, ObjectRef};
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::PatchTidbCluster;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub const RUN: &str = "r-1";

pub fn links(dir: &Path, kubeconfig: &Value) -> Links {
    let file = dir.join("config");
    std::fs::write(&file, kubeconfig.to_string()).expect("written");
    let limits = Limits {
        request: Duration::from_secs(2),
        look: Duration::from_secs(4),
        write: Duration::from_secs(1),
        ..Limits::default()
    };
    let options = ConnectOptions { kubeconfig: vec![file], limits, ..ConnectOptions::default() };
    Links::new(targets(&options).expect("a good kubeconfig"), options)
}

pub async fn fleet_of(links: &Links) -> Fleet {
    assemble(links.look(None).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_clusters_are_sentences_in_their_own_column() {
    let text = "
description: clusters without what we need
kubeClusters:
  - { name: bare, version: v1.33.4, domain: a.com, operator: v1.6.6, crd: { installed: false } }
  - { name: two, version: v1.33.4, domain: b.com, operator: v1.6.6, crd: { installed: false, operatorV2: true } }
  - { name: old, version: v1.25.0, domain: c.com, operator: v1.3.0, crd: { acrossK8s: false } }
  - { name: seen, version: v1.35.0, domain: d.com, operator: v1.6.6, users: [{ name: viewer, access: readOnly }] }
tidbClusters:
  - kubeCluster: seen
    namespace: db
    name: basic
    spec:
      version: v8.5.7
      configUpdateStrategy: RollingUpdate
      enableDynamicConfiguration: true
      timezone: UTC
      pd: { replicas: 1, maxFailoverCount: 0, config: {}, requests: { storage: 10Gi } }
      tikv: { replicas: 1, maxFailoverCount: 0, config: {}, requests: { storage: 100Gi } }
databases:
  - { name: basic, clusterId: 7, tidbClusters: [seen/db/basic] }
";
    let scenario = Scenario::parse("odd", text).expect("a good scenario");
    let sim = Sim::start_scenario(scenario, SimOptions::default()).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let links = links(dir.path(), &sim.kubeconfig());
    let fleet = fleet_of(&links).await;
    let crd = |context: &str| fleet.clusters[context].crd.clone();
    let message = |context: &str| fleet.clusters[context].message.clone().unwrap_or_default();
    assert_eq!((crd("bare"), crd("two")), (Crd::Missing, Crd::OperatorV2Only));
    assert_eq!(crd("old"), Crd::Served { across_k8s: Some(false) });
    assert!(message("bare").contains("no TidbCluster CRD"), "{}", message("bare"));
    assert!(message("two").contains("only TiDB Operator v2"), "{}", message("two"));
    assert!(fleet.clusters.values().all(|cluster| cluster.freshness.is_live()), "{fleet:?}");
    let view = &fleet.clusters["seen"].pd[&ObjectKey::new("db", "basic-pd-0")];
    let why = view.answer.as_ref().expect_err("Kubernetes 1.35 wants create as well");
    assert!(why.contains("needs get and create on pods/portforward"), "{why}");
    let right = Right {
        context: "seen".into(),
        verb: "patch".into(),
        group: "pingcap.com".into(),
        resource: "tidbclusters".into(),
        subresource: String::new(),
        namespace: "db".into(),
        name: String::new(),
    };
    let told = denied(&links, &[right]).await;
    assert!(told.len() == 1 && told[0].contains("seen: you may not patch tidbclusters.pingcap.com"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_serves_two_contexts_of_one_user() {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let count = dir.path().join("count");
    let mut kubeconfig = sim.kubeconfig();
    let context = kubeconfig["contexts"][0].clone();
    let user = context["context"]["user"].clone();
    for entry in kubeconfig["users"].as_array_mut().expect("users") {
        if entry["name"] == user {
            let token = entry["user"]["token"].as_str().expect("a token").to_owned();
            let script = format!("echo x >> {}; echo '{{\"status\":{{\"token\":\"{token}\"}}}}'", count.display());
            entry["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
                "args": ["-c", script], "interactiveMode": "Never"}});
        }
    }
    let mut twin = context.clone();
    twin["name"] = json!("twin");
    kubeconfig["contexts"].as_array_mut().expect("contexts").push(twin);
    let links = links(dir.path(), &kubeconfig);
    let fleet = fleet_of(&links).await;
    fleet_of(&links).await;
    assert!(fleet.clusters.values().all(|cluster| cluster.freshness.is_live()), "{fleet:?}");
    let name = context["name"].as_str().expect("a name");
    assert_eq!(fleet.same_cluster_as("twin").or(fleet.same_cluster_as(name)), Some(name.min("twin")));
    assert_eq!(std::fs::read_to_string(count).expect("counted").lines().count(), 1, "the plugin ran once");
}

/// Each way in which one user's entry can be ill, beside two good contexts: one sentence, and the others live.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ill_kubeconfig_entries_are_sentences_of_their_own() {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    for name in ["fifo-a", "fifo-b"] {
        assert!(Command::new("mkfifo").arg(at(name)).status().expect("mkfifo runs").success());
    }
    let mut kubeconfig = sim.kubeconfig();
    let good = kubeconfig["contexts"][0]["context"].clone();
    let user = kubeconfig["users"].as_array().expect("users").iter().find(|entry| entry["name"] == good["user"]);
    let token = user.expect("its user")["user"]["token"].as_str().expect("a token").to_owned();
    std::fs::write(at("token-lf"), format!("{token}\r\n")).expect("written");
    std::fs::write(at("empty"), "\n").expect("written");
    let ill = [
        ("fifo", json!({"tokenFile": at("fifo-a")}), "is a pipe; expected a plain file"),
        ("fifo-two", json!({"client-certificate": at("fifo-b"), "client-key": at("fifo-a")}), "is a pipe"),
        ("zero", json!({"tokenFile": "/dev/zero"}), "a device or a socket"),
        ("folder", json!({"tokenFile": at("")}), "a directory"),
        ("gone", json!({"tokenFile": at("nothing")}), "there is no such file"),
        ("nothing", json!({"tokenFile": at("empty")}), "is empty"),
        ("newline", json!({"token": format!("{token}\n")}), "has a line end or another control character"),
        ("odd-token", json!({"token": "a\u{1}b"}), "has a line end or another control character"),
    ];
    let mut add = |name: &str, entry: &Value| {
        kubeconfig["users"].as_array_mut().expect("users").push(json!({"name": name, "user": entry}));
        let context = json!({"cluster": good["cluster"], "user": name});
        kubeconfig["contexts"].as_array_mut().expect("contexts").push(json!({"name": name, "context": context}));
    };
    for (name, entry, _) in &ill {
        add(name, entry);
    }
    // As with kubectl: the white space around the token is not part of it.
    add("token-file", &json!({"tokenFile": "token-lf"}));
    let links = links(dir.path(), &kubeconfig);
    let begun = Instant::now();
    let fleet = fleet_of(&links).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    for (name, _, text) in ill {
        let cluster = &fleet.clusters[name];
        let message = cluster.message.clone().unwrap_or_default();
        assert!(!cluster.freshness.is_live() && message.contains(text), "{name}: {message}");
        assert!(!message.contains(&token), "{name}: {message}");
    }
    for (name, cluster) in &fleet.clusters {
        if !ill_names().contains(&name.as_str()) {
            assert!(cluster.freshness.is_live(), "{name}: {:?}", cluster.message);
        }
    }
}

fn ill_names() -> [&'static str; 8] {
    ["fifo", "fifo-two", "zero", "folder", "gone", "nothing", "newline", "odd-token"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_proxy_is_not_called_a_dead_server() {
    let sim = Sim::start(SimOptions::default()).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address").port();
    let mut kubeconfig = sim.kubeconfig();
    for (at, scheme) in [(0, "http"), (1, "socks5")] {
        kubeconfig["clusters"][at]["cluster"]["proxy-url"] = json!(format!("{scheme}://127.0.0.1:{free}"));
    }
    let links = links(dir.path(), &kubeconfig);
    let fleet = fleet_of(&links).await;
    for (at, scheme) in [(0, "http"), (1, "socks5")] {
        let cluster = kubeconfig["clusters"][at]["name"].clone();
        let contexts = kubeconfig["contexts"].as_array().expect("contexts");
        let context = contexts.iter().find(|entry| entry["context"]["cluster"] == cluster).expect("its context");
        let message = fleet.clusters[context["name"].as_str().expect("text")].message.clone().unwrap_or_default();
        assert!(message.contains(&format!("the proxy {scheme}://127.0.0.1:{free} (proxy-url")), "{message}");
        assert!(!message.contains("is it running?") || message.contains("the proxy"), "{message}");
    }
}

/// Somebody logs in again while a session runs: the new token in the kubeconfig is found without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_renewed_in_the_kubeconfig_is_found() {
    let sim = Sim::start(SimOptions::default()).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let good = sim.kubeconfig();
    let mut stale = good.clone();
    for entry in stale["users"].as_array_mut().expect("users") {
        entry["user"]["token"] = json!("expired");
    }
    let links = links(dir.path(), &stale);
    let fleet = fleet_of(&links).await;
    assert!(fleet.clusters.values().all(|cluster| cluster.freshness == Freshness::AuthNeeded), "{fleet:?}");
    std::fs::write(dir.path().join("config"), good.to_string()).expect("written");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    fleet_of(&links).await;
    let fleet = fleet_of(&links).await;
    assert!(fleet.clusters.values().all(|cluster| cluster.freshness.is_live()), "{fleet:?}");
}

/// Many contexts: what is read is read once, and each link copies only its own entry.
#[tokio::test(flavor = "multi_thread")]
async fn many_contexts_take_time_in_proportion() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let config = |count: usize| {
        let name = |kind: &str, at: usize| format!("{kind}-{at:05}");
        json!({
            "clusters": (0..count).map(|at| json!({"name": name("c", at), "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}})).collect::<Vec<_>>(),
            "users": (0..count).map(|at| json!({"name": name("u", at), "user": {"token": "x".repeat(900)}})).collect::<Vec<_>>(),
            "contexts": (0..count).map(|at| json!({"name": name("x", at), "context": {"cluster": name("c", at), "user": name("u", at)}})).collect::<Vec<_>>(),
        })
    };
    let mut took = Vec::new();
    for count in [50, 400] {
        let links = links(dir.path(), &config(count));
        let begun = Instant::now();
        assert_eq!(fleet_of(&links).await.clusters.len(), count);
        took.push(begun.elapsed());
    }
    // Eight times as many: in proportion is 8, anew for each is 64.
    assert!(took[1] < took[0].max(Duration::from_millis(50)) * 24, "{took:?} for 50 and 400 contexts");
}

/// An API server of a few lines: what it answers to a path, and what it was asked.
struct Tiny {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tiny {
    async fn serve(answer: fn(&str, usize) -> (u16, &'static str, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    let mut buffer = Vec::new();
                    let mut chunk = [0_u8; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                        buffer.extend_from_slice(&chunk[..length]);
                        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
                        buffer.drain(..end + 4);
                        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                        let before = {
                            let mut log = log.lock().expect("no panic holds it");
                            log.push(path.clone());
                            log.iter().filter(|known| **known == path).count()
                        };
                        let (status, headers, body) = answer(&path, before);
                        let text = format!(
                            "HTTP/1.1 {status} X\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        if stream.write_all(text.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    fn kubeconfig(&self) -> Value {
        json!({
            "clusters": [{"name": "tiny", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": "t"}}],
            "contexts": [{"name": "tiny", "context": {"cluster": "tiny", "user": "me"}}],
        })
    }

    fn count(&self, part: &str) -> usize {
        self.asked.lock().expect("no panic holds it").iter().filter(|path| path.contains(part)).count()
    }
}

fn usual(path: &str) -> (u16, &'static str, String) {
    let list = r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#;
    match path {
        "/version" => (200, "", r#"{"gitVersion":"v1.33.4"}"#.into()),
        path if path.contains("kube-system") && !path.contains("coredns") => {
            (200, "", r#"{"metadata":{"uid":"u"}}"#.into())
        }
        path if path.contains("limit=") => (200, "", list.into()),
        _ => (404, "", r#"{"message":"not found"}"#.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_time_gets_it() {
    let tiny = Tiny::serve(|path, before| match (path, before) {
        ("/version", 1) => (429, "retry-after: 1\r\n", r#"{"message":"too many requests"}"#.into()),
        _ => usual(path),
    })
    .await;
    let dir = tempfile::tempdir().expect("temporary directory");
    let links = links(dir.path(), &tiny.kubeconfig());
    let begun = Instant::now();
    let fleet = fleet_of(&links).await;
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
    assert_eq!(fleet.clusters["tiny"].version.as_deref(), Some("v1.33.4"), "{:?}", fleet.clusters["tiny"].message);
    assert_eq!(tiny.count("/version"), 2);
}

/// Lists that work and watches that do not: each was listed and watched again every second for ever.
#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_refused_are_not_hammered() {
    let look = async |status: u16, headers: &'static str| {
        // The answer cannot capture: one function for each status.
        let answer: fn(&str, usize) -> (u16, &'static str, String) = match status {
            410 => |path, _| if path.contains("watch=true") { (410, "", "{}".into()) } else { usual(path) },
            500 => |path, _| if path.contains("watch=true") { (500, "", "{}".into()) } else { usual(path) },
            401 => |path, _| if path.contains("watch=true") { (401, "", "{}".into()) } else { usual(path) },
            403 => |path, _| if path.contains("watch=true") { (403, "", "{}".into()) } else { usual(path) },
            _ => |path, _| {
                if path.contains("watch=true") { (429, "retry-after: 30\r\n", "{}".into()) } else { usual(path) }
            },
        };
        let tiny = Tiny::serve(answer).await;
        let dir = tempfile::tempdir().expect("temporary directory");
        let links = links(dir.path(), &tiny.kubeconfig());
        let (sender, mut changes) = tokio::sync::mpsc::channel(1_000);
        let handle = tidepilot::client::watch(&links, sender);
        let mut fleet = Fleet::default();
        let end = tokio::time::Instant::now() + Duration::from_secs(6);
        while let Ok(Some(change)) = tokio::time::timeout_at(end, changes.recv()).await {
            fleet.apply(change);
        }
        drop(handle);
        // Of each of three kinds: at 0, 1, 3 and 7 s, with some disorder; it was six of each.
        let lists = tiny.count("limit=200");
        assert!(lists <= if headers.is_empty() { 12 } else { 3 }, "{status}: {lists} lists in 6 s");
        let cluster = &fleet.clusters["tiny"];
        if matches!(status, 401 | 403) {
            let message = cluster.message.clone().unwrap_or_default();
            assert!(!cluster.freshness.is_live() && message.contains("may not watch"), "{status}: {message}");
        }
    };
    tokio::join!(look(410, ""), look(500, ""), look(401, ""), look(403, ""), look(429, "retry-after: 30\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_sent_again_only_if_nobody_touched_the_same_fields() {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("started");
    let dir = tempfile::tempdir().expect("temporary directory");
    let links = links(dir.path(), &sim.kubeconfig());
    let permit = WritePermit::for_run(&links, RUN, ["legacy"]).expect("armed");
    let target = ObjectRef::new("legacy", "pingcap", "basic");
    let fleet = fleet_of(&links).await;
    let uid = fleet.tidb_cluster(&target).expect("seen").metadata.uid.clone();
    let action =
        Action::PatchTidbCluster(PatchTidbCluster { target, uid, merge: json!({"spec": {"acrossK8s": true}}) });
    let lines = |method: &str| -> Vec<Value> {
        let all = sim.log().lines().into_iter();
        let ours = |line: &Value| line["path"].as_str().is_some_and(|path| path.ends_with("/tidbclusters/basic"));
        all.filter(|line| line["method"] == method && ours(line)).map(|line| line["status"].clone()).collect()
    };
    sim.faults("legacy").expect("known").set_latency(Some(Duration::from_millis(400)));
    let store = sim.store("legacy").expect("known");
    type Edit = fn(&mut Value);
    let edits: [(Edit, &str, usize); 2] = [
        (|tc| tc["metadata"]["labels"]["x"] = json!("y"), "accepted", 2),
        (|tc| tc["spec"]["acrossK8s"] = json!(false), "changed by somebody else", 1),
    ];
    for (edit, expected, patches) in edits {
        let fleet = fleet_of(&links).await;
        let (read, sent) = (lines("GET").len(), lines("PATCH").len());
        let performing = perform(&links, &permit, RUN, &action, &fleet);
        let meddling = async {
            // The object was read, and the PATCH is on its slow way.
            while lines("GET").len() == read {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            store.edit("tidbclusters", "pingcap", "basic", edit).expect("there");
        };
        let (answer, ()) = futures::join!(performing, meddling);
        let said = match &answer {
            Answer::Accepted { .. } => "accepted".to_owned(),
            Answer::Refused { reason } | Answer::Unknown { reason } => reason.clone(),
        };
        assert!(said.contains(expected), "{answer:?}");
        assert_eq!(lines("PATCH").len() - sent, patches, "{:?}", lines("PATCH"));
    }
}
