//! exec, port-forward and logs as kube-rs uses them.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, LogParams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::sim_api::bed::Bed;

async fn pods(bed: &Bed, token: &str) -> Api<Pod> {
    Api::namespaced(bed.client(token).await, "pingcap")
}

#[tokio::test]
async fn port_forward_moves_bytes() {
    let bed = Bed::start().await;
    let pods = pods(&bed, "admin").await;
    let mut forward = pods.portforward("basic-pd-0", &[2379, 7]).await.expect("a forward");
    let mut http = forward.take_stream(2379).expect("port 2379");
    let mut echo = forward.take_stream(7).expect("port 7");
    http.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("open");
    let mut answer = Vec::new();
    // The far side closes; the other port of the same WebSocket goes on.
    while answer.len() < 100_000 {
        assert!(http.read_buf(&mut answer).await.expect("open") > 0);
    }
    assert!(String::from_utf8_lossy(&answer).contains("basic-pd-0\nxxx"));
    let sent = vec![b'e'; 300_000];
    let (mut read, mut write) = tokio::io::split(echo);
    let mut back = vec![0; sent.len()];
    let (wrote, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut back));
    assert!(wrote.is_ok() && got.is_ok() && back == sent);
    echo = read.unsplit(write);
    drop((http, echo));
    forward.join().await.expect("our side closed first");

    let mut refused = pods.portforward("basic-pd-0", &[81]).await.expect("the upgrade itself works");
    let words = refused.take_error(81).expect("an error channel").await.expect("words");
    assert_eq!(words, "error forwarding port 81 to pod pingcap/basic-pd-0: connection refused");
    let mut dead = pods.portforward("stuck", &[2379]).await.expect("the upgrade itself works");
    assert!(dead.take_error(2379).expect("an error channel").await.expect("words").contains("pod not found"));
    let unknown = pods.portforward("nope", &[2379]).await.err().expect("no such pod").to_string();
    assert!(unknown.contains("pods \"nope\" not found"), "{unknown}");
    assert!(bed.log.lines().iter().any(|line| line["status"] == 101));
}

#[tokio::test]
async fn the_far_side_may_close_first() {
    let bed = Bed::start().await;
    let pods = pods(&bed, "admin").await;
    for _ in 0..10 {
        let mut forward = pods.portforward("basic-pd-0", &[2379]).await.expect("a forward");
        let mut http = forward.take_stream(2379).expect("port 2379");
        http.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("open");
        let mut answer = String::new();
        http.read_to_string(&mut answer).await.expect("whole");
        assert!(answer.ends_with("xxx") && answer.len() > 100_000);
        drop(http);
        // As measured: kube-rs answers a close that it has answered already, and calls that an error.
        let outcome = tokio::time::timeout(std::time::Duration::from_secs(2), forward.join()).await.expect("in time");
        let words = outcome.err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(words.contains("SendAfterClosing"), "{words:?}");
    }
}

#[tokio::test]
async fn upgrades_need_rights_by_version() {
    for (version, token, allowed) in [
        ("v1.33.4", "forward-get", true),
        ("v1.33.4", "forward-create", false),
        ("v1.36.2", "forward-get", false),
        ("v1.36.2", "forward-create", false),
        ("v1.36.2", "forward-both", true),
    ] {
        let bed = Bed::start_version(version).await;
        let outcome = pods(&bed, token).await.portforward("basic-pd-0", &[2379]).await;
        assert_eq!(outcome.is_ok(), allowed, "{version} {token}");
        let words = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(allowed || words.contains("forbidden"), "{words}");
    }
}

#[tokio::test]
async fn exec_and_logs() {
    let bed = Bed::start().await;
    let pods = pods(&bed, "admin").await;
    for (argv, stdout, code) in
        [(["echo", "a b"], "basic-pd-0 pd echo a b\n", 0), (["false", "x"], "basic-pd-0 pd false x\n", 3)]
    {
        let mut process = pods.exec("basic-pd-0", argv, &AttachParams::default().container("pd")).await.expect("exec");
        let mut output = String::new();
        let mut stream = process.stdout().expect("asked for");
        let status = process.take_status().expect("not taken yet");
        stream.read_to_string(&mut output).await.expect("text");
        let status = status.await.expect("a status");
        assert_eq!(output, stdout);
        let exit_code = status.details.and_then(|details| details.causes).map(|causes| causes[0].message.clone());
        assert_eq!(exit_code.flatten(), (code != 0).then(|| code.to_string()));
        process.join().await.expect("a normal close");
    }
    assert!(pods.exec("basic-pd-0", ["x"], &AttachParams::default().container("nope")).await.is_err());
    assert_eq!(pods.logs("basic-pd-0", &LogParams::default()).await.expect("a log"), "one\ntwo\n");
    assert_eq!(
        pods.logs("basic-pd-0", &LogParams { tail_lines: Some(1), ..Default::default() }).await.expect("a log"),
        "two\n"
    );
}
