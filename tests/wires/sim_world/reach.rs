//! What can be reached and how: TLS, names and programs, dead and hanging servers, tunnels, kubectl.

use std::time::Duration;

use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Client;
use kube::api::{Api, AttachParams};
use tidepilot::sim::{Sim, SimOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::sim_world::wires::*;

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
