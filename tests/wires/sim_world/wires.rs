//! What the tests of the simulated world share: a fleet at high speed, clients on its wires, and looks at its objects.

use std::future::Future;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tidepilot::sim::{Sim, SimOptions};
use tokio::io::{AsyncRead, AsyncWrite};

pub const SPEED: f64 = 60.0;
pub const LIMIT: Duration = Duration::from_secs(20);

pub async fn start(scenario: &str) -> Sim {
    let options = SimOptions { scenario: scenario.to_owned(), speed: SPEED, ..SimOptions::default() };
    Sim::start(options).await.expect("the scenario starts")
}

pub async fn client(sim: &Sim, context: &str) -> Client {
    let kubeconfig: Kubeconfig = serde_json::from_value(sim.kubeconfig()).expect("a kubeconfig");
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("the context exists");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

pub fn tidb_clusters(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = kube::core::GroupVersionKind::gvk("pingcap.com", "v1alpha1", "TidbCluster");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, "tidbclusters"))
}

pub async fn patch(client: &Client, namespace: &str, name: &str, spec: Value) {
    let body = json!({"spec": spec});
    let api = tidb_clusters(client, namespace);
    api.patch(name, &PatchParams::default(), &Patch::Merge(&body)).await.expect("the patch is taken");
}

/// An answer of PD, or `None` when the connection ended without one.
pub type Answer = Option<(StatusCode, String)>;

pub async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    method: Method,
    path: &str,
    body: &str,
) -> Answer {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", "pd")
        .header("Content-Type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .expect("a request");
    let response = sender.send_request(request).await.ok()?;
    let status = response.status();
    let bytes = response.into_body().collect().await.ok()?.to_bytes();
    driver.abort();
    Some((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// One request to a PD pod through port-forward.
pub async fn pd(client: &Client, namespace: &str, pod: &str, method: Method, path: &str, body: &str) -> Answer {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods.portforward(pod, &[2379]).await.ok()?;
    let stream = forward.take_stream(2379)?;
    exchange(stream, method, path, body).await
}

pub async fn get_json(client: &Client, namespace: &str, pod: &str, path: &str) -> Value {
    let (status, body) = pd(client, namespace, pod, Method::GET, path, "").await.expect("an answer");
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Asks again until there is something, with a limit.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begin.elapsed() < LIMIT, "waited too long for: {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// Simulated seconds.
pub async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds / SPEED)).await;
}

pub fn tc(sim: &Sim) -> Value {
    sim.store("legacy").expect("a context").get("tidbclusters", "pingcap", "basic").expect("the TidbCluster")
}

pub fn pod(sim: &Sim, name: &str) -> Value {
    sim.store("legacy").expect("a context").get("pods", "pingcap", name).unwrap_or_default()
}

pub fn ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

pub fn crash_loops(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
}

/// Uids of the three PD pods: they tell whether anything was restarted.
pub fn pd_uids(sim: &Sim) -> Vec<Value> {
    (0..3).map(|ordinal| pod(sim, &format!("basic-pd-{ordinal}"))["metadata"]["uid"].clone()).collect()
}

/// Nothing rolls any more, judged by revisions and readiness of all three StatefulSets.
pub fn rolled(sim: &Sim) -> bool {
    let store = sim.store("legacy").expect("a context");
    let sets = store.list("statefulsets", Some("pingcap"));
    let quiet = |set: &Value| {
        let status = &set["status"];
        status["observedGeneration"] == set["metadata"]["generation"]
            && status["currentRevision"] == status["updateRevision"]
            && status["updatedReplicas"] == set["spec"]["replicas"]
            && status["readyReplicas"] == set["spec"]["replicas"]
    };
    let tc = tc(sim);
    sets.iter().all(quiet) && ["pd", "tikv", "tidb"].iter().all(|key| tc["status"][key]["phase"] == "Normal")
}

pub fn old_url(ordinal: u32) -> String {
    format!("http://basic-pd-{ordinal}.basic-pd-peer.pingcap.svc:2380")
}

pub fn new_url(ordinal: u32) -> String {
    format!("http://basic-pd-{ordinal}.basic-pd-peer.pingcap.svc.cluster1.com:2380")
}
