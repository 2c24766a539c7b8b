//! Faults that are switched on, limits, and a server that stops.

use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, WatchParams};
use serde_json::{Value, json};

use crate::sim_api::bed::Bed;
use crate::sim_api::{JSON, refused, send};

#[tokio::test]
async fn faults_can_be_switched() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let pods: Api<Pod> = Api::all(client.clone());
    let faults = bed.server.faults().clone();
    for (status, reason) in [(429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")] {
        faults.set_refuse(Some(status));
        refused(&client, "GET /api/v1/pods", JSON, Value::Null, (status, reason, "")).await;
    }
    faults.set_refuse(None);
    faults.set_latency(Some(Duration::from_millis(150)));
    let start = Instant::now();
    pods.list(&ListParams::default()).await.expect("late, but well");
    assert!(start.elapsed() >= Duration::from_millis(150));
    faults.set_latency(None);

    faults.set_hang(true);
    let hanging = tokio::time::timeout(Duration::from_millis(200), pods.list(&ListParams::default())).await;
    assert!(hanging.is_err(), "no answer is to come");
    faults.set_hang(false);

    let mut watch = pods.watch(&WatchParams::default(), "0").await.expect("a watch").boxed();
    assert!(watch.next().await.is_some_and(|event| event.is_ok()));
    faults.set_drop_connections(true);
    let rest = tokio::time::timeout(Duration::from_secs(2), watch.collect::<Vec<_>>()).await.expect("cut at once");
    assert!(rest.last().is_none_or(|event| event.is_err() || rest.len() <= 4));
    assert!(pods.list(&ListParams::default()).await.is_err());
    faults.set_drop_connections(false);
    pods.list(&ListParams::default()).await.expect("over");
}

#[tokio::test]
async fn bodies_are_bounded_and_dry_runs_logged() {
    let bed = Bed::start().await;
    let client = bed.client("admin").await;
    let path = "/api/v1/namespaces/pingcap/configmaps";
    let large = json!({"metadata": {"name": "large"}, "data": {"a": "x".repeat(3 * 1024 * 1024)}});
    let (code, _, _) = send(&client, &format!("POST {path}"), JSON, &large).await;
    assert_eq!(code, 413);
    let small = json!({"metadata": {"name": "small"}, "data": {"a": "x"}});
    assert_eq!(send(&client, &format!("POST {path}?dryRun=All"), JSON, &small).await.0, 201);
    assert!(bed.store.get("configmaps", "pingcap", "small").is_none());
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]});
    assert_eq!(send(&client, &format!("DELETE {path}/settings"), JSON, &options).await.0, 200);
    let lines = bed.log.lines();
    let dry: Vec<&str> =
        lines.iter().filter(|line| line["dryRun"] == true).filter_map(|line| line["method"].as_str()).collect();
    assert_eq!(dry, ["POST", "DELETE"]);
    assert_eq!(lines[0]["kubeCluster"], "east");
}

#[tokio::test]
async fn a_stopped_server_cuts_everything() {
    let bed = Bed::start().await;
    let pods: Api<Pod> = Api::namespaced(bed.client("admin").await, "pingcap");
    let mut forward = pods.portforward("basic-pd-0", &[7]).await.expect("a forward");
    let mut stream = forward.take_stream(7).expect("port 7");
    let watch = pods.watch(&WatchParams::default(), "0").await.expect("a watch").boxed();
    bed.server.stop().await;
    let ended = Duration::from_secs(2);
    let mut buffer = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer);
    assert_eq!(tokio::time::timeout(ended, read).await.expect("cut").unwrap_or(0), 0);
    tokio::time::timeout(ended, watch.collect::<Vec<_>>()).await.expect("cut");
    assert!(pods.get("basic-pd-0").await.is_err());
}
