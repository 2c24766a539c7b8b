//! The simulated world over its real wires: what an operator's roll, a membership write, or a wrong input does to it.
//!
//! Every test starts a fleet of its own at high speed and talks to it with kube-rs and with HTTP through port-forward. The
//! API server's own manners are tested in `sim_api.rs`.

#![allow(clippy::disallowed_methods, reason = "a test is the person at the keyboard: it writes directly")]

use std::future::Future;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ApiResource, AttachParams, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const SPEED: f64 = 60.0;
const LIMIT: Duration = Duration::from_secs(20);

async fn start(scenario: &str) -> Sim {
    let options = SimOptions { scenario: scenario.to_owned(), speed: SPEED, ..SimOptions::default() };
    Sim::start(options).await.expect("the scenario starts")
}

async fn client(sim: &Sim, context: &str) -> Client {
    let kubeconfig: Kubeconfig = serde_json::from_value(sim.kubeconfig()).expect("a kubeconfig");
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("the context exists");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

fn tidb_clusters(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = kube::core::GroupVersionKind::gvk("pingcap.com", "v1alpha1", "TidbCluster");
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, "tidbclusters"))
}

async fn patch(client: &Client, namespace: &str, name: &str, spec: Value) {
    let body = json!({"spec": spec});
    let api = tidb_clusters(client, namespace);
    api.patch(name, &PatchParams::default(), &Patch::Merge(&body)).await.expect("the patch is taken");
}

/// An answer of PD, or `None` when the connection ended without one.
type Answer = Option<(StatusCode, String)>;

async fn exchange(
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
async fn pd(client: &Client, namespace: &str, pod: &str, method: Method, path: &str, body: &str) -> Answer {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods.portforward(pod, &[2379]).await.ok()?;
    let stream = forward.take_stream(2379)?;
    exchange(stream, method, path, body).await
}

async fn get_json(client: &Client, namespace: &str, pod: &str, path: &str) -> Value {
    let (status, body) = pd(client, namespace, pod, Method::GET, path, "").await.expect("an answer");
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Asks again until there is something, with a limit.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
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
async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds / SPEED)).await;
}

fn tc(sim: &Sim) -> Value {
    sim.store("legacy").expect("a context").get("tidbclusters", "pingcap", "basic").expect("the TidbCluster")
}

fn pod(sim: &Sim, name: &str) -> Value {
    sim.store("legacy").expect("a context").get("pods", "pingcap", name).unwrap_or_default()
}

fn ready(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["ready"] == true
}

fn crash_loops(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
}

/// Uids of the three PD pods: they tell whether anything was restarted.
fn pd_uids(sim: &Sim) -> Vec<Value> {
    (0..3).map(|ordinal| pod(sim, &format!("basic-pd-{ordinal}"))["metadata"]["uid"].clone()).collect()
}

/// Nothing rolls any more, judged by revisions and readiness of all three StatefulSets.
fn rolled(sim: &Sim) -> bool {
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

fn old_url(ordinal: u32) -> String {
    format!("http://basic-pd-{ordinal}.basic-pd-peer.pingcap.svc:2380")
}

fn new_url(ordinal: u32) -> String {
    format!("http://basic-pd-{ordinal}.basic-pd-peer.pingcap.svc.cluster1.com:2380")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_by_hand() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let before = tc(&sim);
    let store_1 = get_json(&client, "pingcap", "basic-pd-0", "/pd/api/v1/store/1").await;
    assert_eq!(store_1["store"]["address"], "basic-tikv-0.basic-tikv-peer.pingcap.svc:20160");

    patch(&client, "pingcap", "basic", json!({"clusterDomain": "cluster1.com", "acrossK8s": true})).await;
    assert_eq!(tc(&sim)["status"]["conditions"][0]["status"], "True", "Ready is stale right after the patch");

    // Names appear in etcd from the highest ordinal down, one pod at a time; peerURLs stay.
    let mut order = Vec::new();
    eventually("three renamed members", || {
        let members = sim.database("basic").expect("the Database");
        for member in members.iter().filter(|member| member.name.ends_with(".svc.cluster1.com")) {
            let pod = member.name.split('.').next().unwrap_or_default().to_owned();
            if !order.contains(&pod) {
                order.push(pod);
            }
        }
        let away = (0..3).filter(|ordinal| !ready(&pod(&sim, &format!("basic-pd-{ordinal}")))).count();
        assert!(away <= 1, "never two at once");
        let done = order.len() == 3;
        async move { done.then_some(()) }
    })
    .await;
    assert_eq!(order, ["basic-pd-2", "basic-pd-1", "basic-pd-0"]);
    eventually("the end of the roll", || async { rolled(&sim).then_some(()) }).await;
    let after = tc(&sim);
    assert_ne!(
        after["status"]["pd"]["statefulSet"]["updateRevision"],
        before["status"]["pd"]["statefulSet"]["updateRevision"]
    );
    assert!(after["metadata"]["generation"].as_u64() > before["metadata"]["generation"].as_u64().map(|old| old + 3));
    let name = "basic-pd-1.basic-pd-peer.pingcap.svc.cluster1.com";
    assert_eq!(after["status"]["pd"]["members"][name]["health"], true);

    let members = get_json(&client, "pingcap", "basic-pd-0", "/v2/members").await;
    for member in members["members"].as_array().expect("members") {
        let pod = member["name"].as_str().and_then(|name| name.split('.').next()).expect("a name").to_owned();
        let ordinal: u32 = pod[pod.len() - 1..].parse().expect("an ordinal");
        assert_eq!(member["peerURLs"], json!([old_url(ordinal)]), "peerURLs do not follow by themselves");
        assert_eq!(member["clientURLs"], json!([format!("http://{pod}.basic-pd-peer.pingcap.svc.cluster1.com:2379")]));
        let path = format!("/v2/members/{}", member["id"].as_str().expect("an id"));
        let body = json!({"peerURLs": [new_url(ordinal)]}).to_string();
        let answer = pd(&client, "pingcap", &pod, Method::PUT, &path, &body).await;
        assert_eq!(answer, Some((StatusCode::NO_CONTENT, String::new())));
    }
    let members = get_json(&client, "pingcap", "basic-pd-2", "/v2/members").await;
    let text = members.to_string();
    assert!((0..3).all(|ordinal| text.contains(&new_url(ordinal)) && !text.contains(&old_url(ordinal))), "{text}");
    let store_1 = get_json(&client, "pingcap", "basic-pd-0", "/pd/api/v1/store/1").await;
    assert_eq!(store_1["store"]["address"], "basic-tikv-0.basic-tikv-peer.pingcap.svc.cluster1.com:20160");

    let lines = sim.log().lines();
    let writes = lines.iter().filter(|line| line["method"] == "PUT" && line["pod"].is_string());
    assert_eq!(writes.count(), 3);
    let patches: Vec<&Value> = lines.iter().filter(|line| line["method"] == "PATCH").collect();
    assert_eq!(patches.len(), 1);
    assert_eq!(patches[0]["kubeCluster"], "legacy");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pd_8_5_has_only_v3() {
    let sim = start("default").await;
    let client = client(&sim, "west").await;
    let ask = |method: Method, path: &'static str, body: String| {
        let client = client.clone();
        async move { pd(&client, "prod", "prod-west-pd-0", method, path, &body).await.expect("an answer") }
    };
    let (status, body) = ask(Method::GET, "/v2/members", String::new()).await;
    assert_eq!((status, body.trim()), (StatusCode::NOT_FOUND, "404 page not found"));
    let (status, body) = ask(Method::POST, "/v3/cluster/member/list", "{}".to_owned()).await;
    assert_eq!(status, StatusCode::OK);
    let list: Value = serde_json::from_str(&body).expect("JSON");
    let members = list["members"].as_array().expect("members").clone();
    assert_eq!(members.len(), 3, "members of both KubeClusters");
    let (first, second) = (&members[0], &members[1]);
    assert!(first["ID"].as_str().and_then(|id| id.parse::<u64>().ok()).is_some(), "ids are decimal strings");

    let update = |id: &Value, urls: Value| json!({"ID": id, "peerURLs": urls}).to_string();
    let path = "/v3/cluster/member/update";
    let (status, _) = ask(Method::POST, path, update(&json!("7"), json!(["http://a:2380"]))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, body) = ask(Method::POST, path, update(&first["ID"], second["peerURLs"].clone())).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("Peer URLs already exists"), "{body}");
    let (status, body) = ask(Method::POST, path, update(&first["ID"], json!(["http://elsewhere:2380"]))).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("http://elsewhere:2380"), "the answer has the new list: {body}");
    let (status, body) = ask(Method::POST, "/v3/maintenance/status", "{}".to_owned()).await;
    assert_eq!(status, StatusCode::OK);
    let leader = sim.leader("prod").expect("a leader").to_string();
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON")["leader"], json!(leader));
    let (status, _) = ask(Method::GET, path, String::new()).await;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_url_is_refused_by_v2_and_deadly_through_v3() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let members = sim.database("basic").expect("the Database");
    let victim = members.iter().find(|member| member.name == "basic-pd-1").expect("a member");
    let url = format!("{}/", old_url(1));
    let path = format!("/v2/members/{:x}", victim.id);
    let body = json!({"peerURLs": [url]}).to_string();
    let (status, answer) = pd(&client, "pingcap", "basic-pd-0", Method::PUT, &path, &body).await.expect("an answer");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.contains("URL must not contain a path"), "{answer}");
    pass(5.0).await;
    assert!((0..3).all(|ordinal| ready(&pod(&sim, &format!("basic-pd-{ordinal}")))), "v2 changed nothing");

    let body = json!({"ID": victim.id.to_string(), "peerURLs": [url]}).to_string();
    let answer = pd(&client, "pingcap", "basic-pd-0", Method::POST, "/v3/cluster/member/update", &body).await;
    assert_eq!(answer, None, "the connection is cut");
    eventually("two crash loops", || {
        let both = crash_loops(&pod(&sim, "basic-pd-0")) && crash_loops(&pod(&sim, "basic-pd-2"));
        async move { both.then_some(()) }
    })
    .await;
    assert!(!crash_loops(&pod(&sim, "basic-pd-1")), "the member named does not panic");
    let again = || pod(&sim, "basic-pd-0")["status"]["containerStatuses"][0]["restartCount"].as_u64();
    eventually("another start that fails", || async { again().filter(|count| *count >= 2) }).await;
    assert_eq!(sim.leader("basic"), None);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tidb_cluster_joins_and_leaves() {
    let sim = start("half-migrated").await;
    let east = client(&sim, "east").await;
    let joining = |reference: Value| {
        json!({
            "apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster",
            "metadata": {"namespace": "pingcap", "name": "second"},
            "spec": {
                "version": "v7.5.4", "acrossK8s": true, "clusterDomain": "east.local", "cluster": reference,
                "configUpdateStrategy": "RollingUpdate",
                "pd": {"replicas": 1, "config": {}, "requests": {"storage": "1Gi"}},
                "tikv": {"replicas": 1, "config": {}, "requests": {"storage": "1Gi"}},
            },
        })
    };
    let reference = json!({"name": "basic", "namespace": "pingcap", "clusterDomain": "cluster1.com"});
    let api = tidb_clusters(&east, "pingcap");
    let apply = PatchParams::apply("test");
    api.patch("second", &apply, &Patch::Apply(joining(reference))).await.expect("applied");
    let second = || sim.store("east").expect("a context").get("tidbclusters", "pingcap", "second").unwrap_or_default();
    eventually("the join", || async { (second()["status"]["conditions"][0]["status"] == "True").then_some(()) }).await;
    assert_eq!(second()["status"]["clusterID"], tc(&sim)["status"]["clusterID"], "one Database");
    assert_eq!(sim.database("basic").map(|members| members.len()), Some(4));
    eventually("the peer in the first one's status", || async {
        tc(&sim)["status"]["pd"]["peerMembers"].as_object().filter(|peers| peers.len() == 1).map(|_| ())
    })
    .await;

    patch(&east, "pingcap", "second", json!({"pd": {"replicas": 0}, "tikv": {"replicas": 0}})).await;
    eventually("the member and the store gone", || async {
        let members = sim.database("basic").map_or(0, |members| members.len());
        let pods = sim.store("east").expect("a context").list("pods", Some("pingcap"));
        (members == 3 && pods.len() == 1).then_some(())
    })
    .await;
    let pods = sim.store("east").expect("a context").list("pods", Some("pingcap"));
    assert_eq!(pods[0]["metadata"]["labels"]["app.kubernetes.io/component"], "discovery", "which stays");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_blocks_a_new_operator() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let uids = pd_uids(&sim);
    patch(&client, "pingcap", "basic", json!({"clusterDomain": "wrong.com", "acrossK8s": true})).await;
    eventually("PD out of sync", || async { (tc(&sim)["status"]["pd"]["synced"] == false).then_some(()) }).await;
    pass(40.0).await;
    assert_eq!(pd_uids(&sim), uids, "nothing rolls");
    assert_eq!(tc(&sim)["status"]["conditions"][0]["status"], "True", "and Ready does not say so");
    patch(&client, "pingcap", "basic", json!({"clusterDomain": null, "acrossK8s": null})).await;
    eventually("PD in sync", || async { (tc(&sim)["status"]["pd"]["synced"] == true).then_some(()) }).await;
    assert_eq!(pd_uids(&sim), uids);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_with_an_old_operator_costs_one_pod_until_it_is_reverted() {
    let text = include_str!("../assets/scenarios/default.yaml").replace("operator: v1.6.6", "operator: v1.5.2");
    let scenario = Scenario::parse("old-operator", &text).expect("a scenario");
    let options = SimOptions { speed: SPEED, ..SimOptions::default() };
    let sim = Sim::start_scenario(scenario, options).await.expect("it starts");
    let client = client(&sim, "legacy").await;
    let uids = pd_uids(&sim);
    patch(&client, "pingcap", "basic", json!({"clusterDomain": "wrong.com", "acrossK8s": true})).await;
    eventually("a crash loop", || async { crash_loops(&pod(&sim, "basic-pd-2")).then_some(()) }).await;
    pass(20.0).await;
    assert_eq!(pd_uids(&sim)[..2], uids[..2], "the others are left alone");
    patch(&client, "pingcap", "basic", json!({"clusterDomain": null, "acrossK8s": null})).await;
    eventually("the pod back", || async { (ready(&pod(&sim, "basic-pd-2")) && rolled(&sim)).then_some(()) }).await;
    assert_eq!(pd_uids(&sim)[..2], uids[..2]);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_place_and_paused_restart_nothing() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let uids = pd_uids(&sim);
    patch(&client, "pingcap", "basic", json!({"paused": true, "acrossK8s": true})).await;
    let resource_version = tc(&sim)["metadata"]["resourceVersion"].clone();
    pass(15.0).await;
    assert_eq!(tc(&sim)["metadata"]["resourceVersion"], resource_version, "a paused TidbCluster is not looked at");
    let spec = json!({"paused": null, "configUpdateStrategy": "InPlace", "clusterDomain": "cluster1.com"});
    patch(&client, "pingcap", "basic", spec).await;
    pass(40.0).await;
    assert_eq!(pd_uids(&sim), uids);
    assert!(sim.database("basic").expect("the Database").iter().all(|member| !member.name.contains("cluster1.com")));
    let maps = sim.store("legacy").expect("a context").list("configmaps", Some("pingcap"));
    assert!(
        maps.iter().any(|map| map["data"]["startup-script"].as_str().is_some_and(|text| text.contains("cluster1.com")))
    );
    // The same change with RollingUpdate does roll: the test above can fail.
    patch(&client, "pingcap", "basic", json!({"configUpdateStrategy": "RollingUpdate"})).await;
    eventually("a roll", || async { (pd_uids(&sim) != uids).then_some(()) }).await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_reads_answer_and_writes_do_not() {
    let sim = start("default").await;
    let client = client(&sim, "legacy").await;
    let leader = sim.leader("basic").expect("a leader");
    let members = sim.database("basic").expect("the Database");
    let keeper = members.iter().find(|member| member.id == leader).expect("the leader's member").clone();
    for member in members.iter().filter(|member| member.id != leader) {
        sim.break_pod("legacy", "pingcap", &member.name, true).expect("a pod");
    }
    eventually("no leader", || async { sim.leader("basic").is_none().then_some(()) }).await;
    let read = get_json(&client, "pingcap", &keeper.name, "/v2/members").await;
    assert_eq!(read["members"].as_array().map(Vec::len), Some(3), "the member's own view");
    let (status, _) = pd(&client, "pingcap", &keeper.name, Method::GET, "/health", "").await.expect("an answer");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let begin = Instant::now();
    let path = format!("/v2/members/{leader:x}");
    let body = json!({"peerURLs": ["http://late:2380"]}).to_string();
    let (status, answer) = pd(&client, "pingcap", &keeper.name, Method::PUT, &path, &body).await.expect("an answer");
    assert_eq!(
        (status, answer.as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Internal Server Error"}"#)
    );
    assert!(begin.elapsed() >= Duration::from_secs_f64(10.0 / SPEED), "not before etcd's own timeout");
    let body = json!({"ID": leader.to_string(), "peerURLs": ["http://later:2380"]}).to_string();
    let v3 = pd(&client, "pingcap", &keeper.name, Method::POST, "/v3/cluster/member/update", &body);
    assert!(tokio::time::timeout(Duration::from_secs_f64(40.0 / SPEED), v3).await.is_err(), "v3 never answers");
    let url = |sim: &Sim| {
        let members = sim.database("basic").expect("the Database");
        members.iter().find(|member| member.id == leader).map(|member| member.peer_urls[0].clone())
    };
    assert_eq!(url(&sim), Some(keeper.peer_urls[0].clone()), "not applied");
    for member in members.iter().filter(|member| member.id != leader) {
        sim.break_pod("legacy", "pingcap", &member.name, false).expect("a pod");
    }
    eventually("the late writes", || async { (url(&sim).as_deref() == Some("http://later:2380")).then_some(()) }).await;
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_wants_a_client_certificate() {
    let sim = start("tls").await;
    let client = client(&sim, "legacy").await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "pingcap");
    let secret = secrets.get("basic-cluster-client-secret").await.expect("the Secret").data.expect("data");
    let authority = reqwest::Certificate::from_pem(&secret["ca.crt"].0);
    assert!(authority.is_ok(), "real PEM");
    for with_certificate in [false, true] {
        let pods: Api<Pod> = Api::namespaced(client.clone(), "pingcap");
        let mut forward = pods.portforward("basic-pd-0", &[2379]).await.expect("a tunnel");
        let stream = forward.take_stream(2379).expect("a stream");
        let config = tls_config(&secret, with_certificate);
        // The name with the domain that the TidbCluster does not have yet is in the certificate already.
        let host = "basic-pd-0.basic-pd-peer.pingcap.svc.cluster1.com".to_owned();
        let name = rustls::pki_types::ServerName::try_from(host).expect("a name");
        let answer = match tokio_rustls::TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => exchange(stream, Method::GET, "/v2/members", "").await,
            Err(_) => None,
        };
        match answer {
            Some((status, body)) => {
                assert!(with_certificate, "answered without a client certificate");
                assert_eq!(status, StatusCode::OK);
                assert!(body.contains("https://basic-pd-0.basic-pd-peer.pingcap.svc:2380"), "{body}");
            }
            None => assert!(!with_certificate, "refused in spite of a client certificate"),
        }
    }
    assert_eq!(
        pd(&client, "pingcap", "basic-pd-0", Method::GET, "/health", "").await,
        None,
        "plain HTTP gets no answer"
    );
    sim.shutdown().await;
}

fn tls_config(
    secret: &std::collections::BTreeMap<String, k8s_openapi::ByteString>,
    with_certificate: bool,
) -> std::sync::Arc<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = |name: &str| CertificateDer::from_pem_slice(&secret[name].0).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate("ca.crt")).expect("an authority");
    let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
    std::sync::Arc::new(if with_certificate {
        let key = PrivateKeyDer::from_pem_slice(&secret["tls.key"].0).expect("a key");
        builder.with_client_auth_cert(vec![certificate("tls.crt")], key).expect("an identity")
    } else {
        builder.with_no_client_auth()
    })
}

/// Runs a program in a PD pod and gives exit success and stdout.
async fn run(client: &Client, namespace: &str, pod: &str, argv: &[&str]) -> (bool, String) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = AttachParams::default().container("pd").stdout(true).stderr(true);
    let mut attached = pods.exec(pod, argv.to_vec(), &parameters).await.expect("exec");
    let status = attached.take_status().expect("a status");
    let mut text = String::new();
    attached.stdout().expect("stdout").read_to_string(&mut text).await.expect("text");
    let status = status.await.expect("an end");
    (status.status.as_deref() == Some("Success"), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_where_the_scenario_says() {
    let sim = start("default").await;
    let client = client(&sim, "east").await;
    let lookup = |host: &'static str| {
        let client = client.clone();
        async move { run(&client, "prod", "prod-east-pd-0", &["nslookup", host]).await.0 }
    };
    assert!(lookup("prod-west-pd-0.prod-west-pd-peer.prod.svc.west.local").await, "another KubeCluster by its domain");
    assert!(lookup("prod-east-pd-1.prod-east-pd-peer.prod.svc").await, "the own one without");
    assert!(!lookup("prod-west-pd-0.prod-west-pd-peer.prod.svc").await, "another one without its domain");
    assert!(!lookup("basic-pd-0.basic-pd-peer.pingcap.svc.wrong.com").await);
    assert!(lookup("kubernetes.default.svc.east.local").await);
    let (found, text) = run(&client, "prod", "prod-east-pd-0", &["cat", "/etc/resolv.conf"]).await;
    assert!(found && text.contains("search prod.svc.east.local svc.east.local east.local"), "{text}");
    let url = "http://prod-west-pd-0.prod-west-pd-peer.prod.svc.west.local:2380/version";
    let (found, text) = run(&client, "prod", "prod-east-pd-0", &["wget", "-qO-", "-T", "3", url]).await;
    assert!(found && text.contains("3.5.15"), "{text}");
    let (found, _) =
        run(&client, "prod", "prod-east-pd-0", &["wget", "-qO-", "-T", "3", "http://nowhere:2380/version"]).await;
    assert!(!found);
    assert!(!run(&client, "prod", "prod-east-pd-0", &["sh", "-c", "true"]).await.0, "there is no shell");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn troubled_scenarios_are_in_trouble() {
    let sim = start("unreachable").await;
    assert!(client(&sim, "east").await.apiserver_version().await.is_ok());
    assert!(client(&sim, "west").await.apiserver_version().await.is_err(), "dead: refused");
    let hanging = client(&sim, "legacy").await;
    let answer = tokio::time::timeout(Duration::from_millis(700), hanging.apiserver_version()).await;
    assert!(answer.is_err(), "hanging: no answer");
    sim.shutdown().await;

    let mut sim = start("half-migrated").await;
    let members = sim.database("basic").expect("the Database");
    let stale = |member: &&tidepilot::sim::Member| !member.peer_urls[0].contains("cluster1.com");
    assert_eq!(members.iter().filter(stale).count(), 1);
    assert!(members.iter().all(|member| member.name.ends_with("cluster1.com")));
    let client_east = client(&sim, "east").await;
    sim.stop_cluster("east").await.expect("a context");
    assert!(client_east.apiserver_version().await.is_err());
    sim.restart_cluster("east").await.expect("a context");
    assert!(client_east.apiserver_version().await.is_ok(), "on the old port with the old token");
    sim.shutdown().await;

    let sim = start("quorum-at-risk").await;
    assert!(crash_loops(&pod(&sim, "basic-pd-2")));
    assert_eq!(tc(&sim)["status"]["conditions"][0]["status"], "False");
    let client = client(&sim, "legacy").await;
    let health = get_json(&client, "pingcap", "basic-pd-0", "/pd/api/v1/health").await;
    let sick = health.as_array().expect("a list").iter().filter(|entry| entry["health"] == false);
    assert_eq!(sick.count(), 1);
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnelled_pod_is_the_real_process() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let real = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.expect("four bytes");
        bytes.reverse();
        stream.write_all(&bytes).await.expect("written");
    });
    let tunnel = format!("legacy:pingcap/basic-pd-1={address}").parse().expect("a tunnel");
    let options = SimOptions { speed: SPEED, pd: vec![tunnel], ..SimOptions::default() };
    let sim = Sim::start(options).await.expect("it starts");
    let client = client(&sim, "legacy").await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "pingcap");
    let mut forward = pods.portforward("basic-pd-1", &[2379]).await.expect("a tunnel");
    let mut stream = forward.take_stream(2379).expect("a stream");
    stream.write_all(b"\x16abc").await.expect("written");
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).await.expect("four bytes back");
    assert_eq!(&bytes, b"cba\x16");
    real.await.expect("the real process");
    sim.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_sees_the_same_pods() {
    let sim = start("default").await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kubeconfig");
    sim.write_kubeconfig(&path).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let command = tokio::process::Command::new("kubectl")
        .env("KUBECONFIG", &path)
        .args(["--context", "legacy", "-n", "pingcap", "get", "pods", "-o", "name"])
        .output()
        .await;
    let Ok(output) = command else {
        assert!(std::env::var_os("CI").is_none(), "kubectl has to be there in CI");
        return;
    };
    let seen = String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(seen, sim.store("legacy").expect("a context").list("pods", Some("pingcap")).len());
    sim.shutdown().await;
}
