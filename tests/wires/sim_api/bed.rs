//! One simulated API server with a few objects and a double behind its pods, and clients for it.
//!
//! It asserts nothing; the tests do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tidepilot::sim::api_server::{
    ApiServer, ApiServerConfig, ExecOutput, Faults, Pods, Rule, Rules, Stream, User, crd, serve,
};
use tidepilot::sim::certificate_authority::Authority;
use tidepilot::sim::object_store::Store;
use tidepilot::sim::request_log::RequestLog;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Behind every pod: port 7 echoes, port 2379 speaks HTTP, everything else refuses.
struct Double;

impl Pods for Double {
    fn dial(&self, namespace: &str, pod: &str, port: u16) -> Result<Box<dyn Stream>, String> {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        match port {
            7 => {
                tokio::spawn(async move {
                    let mut buffer = vec![0; 8192];
                    while let Ok(count @ 1..) = far.read(&mut buffer).await {
                        if far.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                });
            }
            2379 => {
                let name = pod.to_owned();
                tokio::spawn(async move { http_once(far, &name).await });
            }
            _ => return Err(format!("error forwarding port {port} to pod {namespace}/{pod}: connection refused")),
        }
        Ok(Box::new(near))
    }

    fn exec<'a>(
        &'a self,
        _namespace: &'a str,
        pod: &'a str,
        container: Option<&'a str>,
        argv: &'a [String],
    ) -> BoxFuture<'a, ExecOutput> {
        Box::pin(async move {
            let failed = argv.first().is_some_and(|program| program == "false");
            ExecOutput {
                stdout: format!("{pod} {} {}\n", container.unwrap_or("-"), argv.join(" ")).into_bytes(),
                stderr: if failed { b"no\n".to_vec() } else { Vec::new() },
                exit_code: if failed { 3 } else { 0 },
            }
        })
    }
}

/// Answers one request with 100 kB and closes, as PD does when asked for `Connection: close`.
async fn http_once(mut stream: tokio::io::DuplexStream, pod: &str) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let body = format!("{pod}\n{}", "x".repeat(100_000));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

pub struct Bed {
    pub store: Store,
    pub log: RequestLog,
    pub server: ApiServer,
    authority: Authority,
    directory: tempfile::TempDir,
}

impl Bed {
    pub async fn start() -> Bed {
        Bed::start_version("v1.33.4").await
    }

    pub async fn start_version(version: &str) -> Bed {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = Store::new();
        fill(&store);
        let log = RequestLog::new(None).expect("a log in memory");
        let authority = Authority::new("test");
        let server = serve(ApiServerConfig {
            name: "east".into(),
            version: version.into(),
            tokens: users(),
            store: store.clone(),
            pods: Arc::new(Double),
            log: log.clone(),
            latency: None,
            faults: Faults::default(),
            identity: authority.server(&["127.0.0.1", "localhost"]),
            hang: false,
        })
        .await
        .expect("a free port on loopback");
        let directory = tempfile::tempdir().expect("a temporary directory");
        Bed { store, log, server, authority, directory }
    }

    pub fn kubeconfig(&self) -> Value {
        let contexts: Vec<Value> =
            users().keys().map(|token| json!({"name": token, "context": {"cluster": "east", "user": token}})).collect();
        let users: Vec<Value> = users().keys().map(|token| json!({"name": token, "user": {"token": token}})).collect();
        let ca = self.directory.path().join("ca.pem");
        std::fs::write(&ca, self.authority.pem()).expect("a writable directory");
        let server = format!("https://{}", self.server.address());
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "admin", "contexts": contexts, "users": users,
            "clusters": [{"name": "east", "cluster": {"server": server, "certificate-authority": ca}}],
        })
    }

    /// A client with this token.
    pub async fn client(&self, token: &str) -> kube::Client {
        let kubeconfig = serde_json::from_value(self.kubeconfig()).expect("a kubeconfig");
        let options = kube::config::KubeConfigOptions { context: Some(token.into()), ..Default::default() };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a usable kubeconfig");
        config.default_retry = false;
        kube::Client::try_from(config).expect("a usable configuration")
    }

    /// Where kubectl is, unless it is missing and may be.
    pub fn kubectl_program() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|directory| directory.join("kubectl")).find(|path| path.is_file());
        assert!(found.is_some() || std::env::var("CI").as_deref() != Ok("true"), "kubectl has to be there in CI");
        found
    }

    /// kubectl with arguments in shell words, its home in a private directory.
    pub fn kubectl(&self, arguments: &str) -> Option<tokio::process::Command> {
        let program = Self::kubectl_program()?;
        let config = self.directory.path().join("config");
        if !config.exists() {
            std::fs::write(&config, self.kubeconfig().to_string()).expect("a writable directory");
        }
        let mut command = tokio::process::Command::new(program);
        command.env_clear().env("HOME", self.directory.path()).env("KUBECONFIG", config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.args(arguments.split_whitespace());
        Some(command)
    }

    /// Exit code, output and errors of one kubectl call with `input` on its stdin.
    pub async fn run(&self, arguments: &str, input: &str) -> (i32, String, String) {
        let mut command = self.kubectl(arguments).expect("the caller looked for kubectl");
        let mut child = command.stdin(Stdio::piped()).spawn().expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // kubectl may not read it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.expect("kubectl ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// The output of a kubectl call that has to succeed.
    pub async fn ok(&self, arguments: &str) -> String {
        let (code, output, errors) = self.run(arguments, "").await;
        assert_eq!(code, 0, "kubectl {arguments}: {output}{errors}");
        output
    }
}

fn users() -> BTreeMap<String, User> {
    let user = |name: &str, rules: Rules| (name.to_owned(), User { name: name.to_owned(), groups: vec![], rules });
    let forward = |verbs: &[&str]| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let rule = |verbs: &[&str], resource: &str| Rule {
            verbs: words(verbs),
            groups: words(&[""]),
            resources: words(&[resource]),
            ..Rule::default()
        };
        Rules::Only(vec![rule(&["get"], "pods"), rule(verbs, "pods/portforward")])
    };
    BTreeMap::from([
        user("admin", Rules::AllowAll),
        user("reader", Rules::ReadOnly),
        user("nobody", Rules::Only(Vec::new())),
        user("bound", Rules::Bound),
        user("forward-get", forward(&["get"])),
        user("forward-create", forward(&["create"])),
        user("forward-both", forward(&["get", "create"])),
    ])
}

pub fn tidb_cluster(name: &str) -> Value {
    json!({
        "apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster",
        "metadata": {"name": name, "namespace": "pingcap", "labels": {"app": "tidb"}},
        "spec": {
            "version": "v8.5.7", "configUpdateStrategy": "RollingUpdate",
            "pd": {"replicas": 3, "baseImage": "pingcap/pd", "requests": {"storage": "10Gi"}, "config": {}},
        },
    })
}

fn fill(store: &Store) {
    store.put("customresourcedefinitions", crd::tidbclusters(true));
    let mut tc = tidb_cluster("basic");
    tc["status"] = json!({
        "conditions": [{"type": "Ready", "status": "True", "message": "all good"}],
        "pd": {"image": "pingcap/pd:v8.5.7", "statefulSet": {"readyReplicas": 3}},
    });
    let uid = store.put("tidbclusters", tc)["metadata"]["uid"].clone();
    let uid_of_set = "00000000-0000-4000-8000-000000000001";
    let template = json!({
        "metadata": {"labels": {"app": "pd"}},
        "spec": {"containers": [{"name": "pd", "image": "pingcap/pd:v8.5.7"}]},
    });
    store.put("statefulsets", json!({
        "metadata": {"namespace": "pingcap", "name": "basic-pd", "uid": uid_of_set, "ownerReferences": [{
            "apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster", "name": "basic", "uid": uid, "controller": true,
        }]},
        "spec": {
            "replicas": 3, "serviceName": "basic-pd-peer", "selector": {"matchLabels": {"app": "pd"}}, "template": template,
        },
        "status": {"replicas": 3, "readyReplicas": 3},
    }));
    for ordinal in 0..3 {
        store.put(
            "pods",
            json!({
                "metadata": {
                    "namespace": "pingcap", "name": format!("basic-pd-{ordinal}"), "labels": {"app": "pd"},
                    "ownerReferences": [{
                        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "basic-pd", "uid": uid_of_set, "controller": true,
                    }],
                    "annotations": {"demo.tidepilot/log": "one\ntwo\n"},
                },
                "spec": {"nodeName": "node-1", "containers": [{"name": "pd", "image": "pingcap/pd:v8.5.7"}]},
                "status": {
                    "phase": "Running", "podIP": format!("10.0.0.{ordinal}"),
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{
                        "name": "pd", "ready": true, "restartCount": 0, "image": "pingcap/pd:v8.5.7", "imageID": "",
                        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                    }],
                },
            }),
        );
    }
    store.put(
        "pods",
        json!({
            "metadata": {"namespace": "pingcap", "name": "stuck"},
            "spec": {"nodeName": "node-1", "containers": [{"name": "pd", "image": "x"}]},
            "status": {"phase": "Failed"},
        }),
    );
    store.put(
        "services",
        json!({
            "metadata": {"namespace": "pingcap", "name": "basic-pd"},
            "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [{"name": "client", "port": 2379}]},
        }),
    );
    store.put(
        "configmaps",
        json!({"metadata": {"namespace": "pingcap", "name": "settings"}, "data": {"a": "1", "b": "2"}}),
    );
    store.put(
        "events",
        json!({
            "metadata": {"namespace": "pingcap", "name": "basic.1"},
            "involvedObject": {"kind": "TidbCluster", "namespace": "pingcap", "name": "basic", "uid": uid},
            "type": "Normal", "reason": "SuccessfulCreate", "message": "made a StatefulSet", "count": 2,
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
            "source": {"component": "tidb-controller-manager"},
        }),
    );
}
