//! kubectl, a client written by others. What it cannot do here is a bug of the simulator.
//!
//! Skipped with a word where kubectl is missing, unless `CI=true`.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::sim_api::bed::{Bed, tidb_cluster};

/// A bed, when there is a kubectl to try it with.
async fn bed() -> Option<Bed> {
    if Bed::kubectl_program().is_none() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: there is no kubectl in PATH");
        return None;
    }
    Some(Bed::start().await)
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn it_reads() {
    let Some(bed) = bed().await else { return };
    let all = bed.ok("get tc,sts,pods,svc,events,configmaps,secrets,ns,deployments,crds,pvc,nodes,leases -A").await;
    has(&all, &["tidbcluster.pingcap.com/basic", "statefulset.apps/basic-pd", "3/3", "2379/TCP", "made a StatefulSet"]);
    has(&bed.ok("get tc -n pingcap -o wide").await, &["STATUS", "all good"]);
    has(&bed.ok("get pods -A --chunk-size=2 -l app=pd --field-selector status.phase=Running").await, &["basic-pd-2"]);
    has(&bed.ok("-n pingcap describe tc basic").await, &["Cluster", "SuccessfulCreate", "made a StatefulSet"]);
    has(&bed.ok("-n pingcap describe sts basic-pd").await, &["3 Running"]);
    has(&bed.ok("-n pingcap describe pod basic-pd-0").await, &["10.0.0.0", "Ready"]);
    has(&bed.ok("-n pingcap logs basic-pd-0").await, &["one\ntwo\n"]);
    has(&bed.ok("version").await, &["Server Version: v1.33.4"]);
    has(&bed.ok("auth whoami").await, &["admin"]);
    has(&bed.ok("auth can-i patch tc -n pingcap").await, &["yes"]);
    assert_eq!(bed.run("--context reader auth can-i delete tc", "").await.0, 1);
    let (code, _, words) = bed.run("--context nobody get tc -A", "").await;
    assert_eq!(code, 1);
    has(&words, &["(Forbidden)", "cannot list resource"]);
    // kubectl before 1.34 may lose what comes before its streams are open (kubernetes#131203); on a busy machine it does.
    let mut said = String::new();
    for _ in 0..5 {
        said = bed.ok("-n pingcap exec basic-pd-0 -- echo hi").await;
        if !said.is_empty() {
            break;
        }
    }
    assert_eq!(said, "basic-pd-0 pd echo hi\n");
    assert_eq!(bed.run("-n pingcap exec basic-pd-0 -- false", "").await.0, 3);
}

#[tokio::test]
async fn it_writes() {
    let Some(bed) = bed().await else { return };
    let merge = r#"-n pingcap patch tc basic --type merge -p {"spec":{"clusterDomain":"a.com"}}"#;
    assert_eq!(bed.ok(&format!("{merge} --dry-run=server -o jsonpath={{.spec.clusterDomain}}")).await, "a.com");
    has(&bed.ok(merge).await, &["patched"]);
    has(&bed.ok(merge).await, &["patched (no change)"]);
    has(&bed.ok(r#"-n pingcap patch pod basic-pd-0 -p {"metadata":{"labels":{"a":"b"}}}"#).await, &["patched"]);
    has(&bed.ok("-n pingcap label tc basic x=y").await, &["labeled"]);
    has(&bed.ok("-n pingcap scale sts basic-pd --replicas=4").await, &["scaled"]);

    let cluster = tidb_cluster("second").to_string();
    let misspelt = cluster.replace("\"version\"", "\"versoin\"");
    for arguments in ["apply --dry-run=server --validate=strict -f -", "apply -f -", "apply --server-side -f -"] {
        let (code, _, words) = bed.run(arguments, &misspelt).await;
        assert_eq!(code, 1, "{arguments}");
        has(&words, &["spec.versoin"]);
        let (code, output, words) = bed.run(arguments, &cluster).await;
        assert_eq!(code, 0, "{arguments}: {words}");
        has(&output, &["tidbcluster.pingcap.com/second"]);
    }
    let changed = cluster.replace("v8.5.7", "v8.5.8");
    let (code, _, words) = bed.run("apply --server-side --field-manager other -f -", &changed).await;
    assert_eq!(code, 1);
    has(&words, &["Apply failed with", ".spec.version"]);
    has(
        &bed.run("apply --server-side --force-conflicts --field-manager other -f -", &changed).await.1,
        &["serverside-applied"],
    );
    has(&bed.ok("-n pingcap delete tc second").await, &["deleted"]);

    has(&bed.ok("create namespace fresh").await, &["created"]);
    has(&bed.ok("-n fresh create secret generic s --from-literal=key=abc").await, &["created"]);
    assert_eq!(bed.ok("-n fresh get secret s -o jsonpath={.data.key}").await, "YWJj");
    let settings = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "fresh"}, "data": {"a": "1"}}"#;
    has(&bed.run("apply -f -", settings).await.1, &["created"]);
    has(&bed.run("apply -f -", &settings.replace("\"1\"", "\"2\"")).await.1, &["configured"]);
    has(&bed.ok("delete namespace fresh").await, &["deleted"]);
    assert_eq!(bed.run("-n fresh get configmap c", "").await.0, 1);
}

#[tokio::test]
async fn it_watches() {
    let Some(bed) = bed().await else { return };
    let mut child = bed.kubectl("get pods -n pingcap -w").expect("kubectl").spawn().expect("kubectl starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await.expect("in time");
        line.expect("readable").expect("kubectl goes on")
    };
    for _ in 0..5 {
        next().await;
    }
    bed.store
        .edit("pods", "pingcap", "basic-pd-1", |pod| pod["status"]["containerStatuses"][0]["ready"] = false.into());
    let line = next().await;
    has(&line, &["basic-pd-1", "0/1", "Running"]);
    child.kill().await.expect("ours to end");
}

#[tokio::test]
async fn it_forwards_ports() {
    let Some(bed) = bed().await else { return };
    // With `create` alone the WebSocket is refused, and kubectl falls back to SPDY over POST.
    for token in ["admin", "forward-create"] {
        let arguments =
            format!("--context {token} -n pingcap port-forward --address 127.0.0.1 pod/basic-pd-0 :2379 :7 :81");
        let mut child = bed.kubectl(&arguments).expect("kubectl").spawn().expect("kubectl starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut ports = Vec::new();
        while ports.len() < 3 {
            let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await.expect("in time");
            let line = line.expect("readable").expect("kubectl goes on");
            let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
            ports.extend(port.and_then(|port| port.parse::<u16>().ok()));
        }
        for _ in 0..3 {
            let mut http = TcpStream::connect(("127.0.0.1", ports[0])).await.expect("kubectl listens");
            http.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("open");
            let mut answer = String::new();
            http.read_to_string(&mut answer).await.expect("text");
            assert!(answer.len() > 100_000 && answer.contains("basic-pd-0"), "{token}: {} bytes", answer.len());
        }
        let mut echo = TcpStream::connect(("127.0.0.1", ports[1])).await.expect("kubectl listens");
        let sent = vec![b'e'; 500_000];
        let mut back = vec![0; sent.len()];
        let (mut read, mut write) = echo.split();
        let (wrote, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut back));
        assert!(wrote.is_ok() && got.is_ok() && back == sent, "{token}");
        let mut closed = TcpStream::connect(("127.0.0.1", ports[2])).await.expect("kubectl listens");
        let mut nothing = Vec::new();
        // Ended or reset: nothing came.
        let _ = closed.read_to_end(&mut nothing).await;
        assert!(nothing.is_empty());
        let mut errors = String::new();
        let mut stderr = child.stderr.take().expect("a pipe");
        // kubectl gives up after such an error by itself.
        tokio::time::timeout(Duration::from_secs(10), stderr.read_to_string(&mut errors))
            .await
            .expect("in time")
            .expect("text");
        has(&errors, &["error forwarding port 81 to pod pingcap/basic-pd-0: connection refused"]);
    }
    let statuses: Vec<_> = bed
        .log
        .lines()
        .into_iter()
        .filter(|line| line["path"].as_str().is_some_and(|path| path.ends_with("/portforward")))
        .collect();
    let methods: Vec<String> =
        statuses.iter().map(|line| format!("{} {}", line["method"].as_str().unwrap_or("-"), line["status"])).collect();
    assert_eq!(methods, ["GET 101", "GET 403", "POST 101"]);
}
