//! PD's answers as real PD 8.5.4 and 7.5.7 gave them behind TiDB Operator 1.6.6, line by line against the simulated ones:
//! status, headers, content type, how the body is written, its fields and their types.
//!
//! `golden.json` holds what was recorded (ids and URLs of the recorded cluster are placeholders in the requests). Errors and
//! other texts are compared letter by letter, objects by their shape: their values are those of another cluster.

use std::collections::BTreeMap;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use serde::Deserialize;
use serde_json::Value;
use tidepilot::sim::{Sim, SimOptions};

use crate::sim_world::wires::*;

#[derive(Debug, Deserialize)]
struct Recorded {
    name: String,
    version: String,
    state: String,
    method: String,
    path: String,
    request: String,
    /// The request asks the very member.
    local: bool,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

struct Said {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn recorded(version: &str, states: &[&str]) -> Vec<Recorded> {
    let all: Vec<Recorded> = serde_json::from_str(include_str!("golden.json")).expect("what was recorded");
    all.into_iter().filter(|one| one.version == version && states.contains(&one.state.as_str())).collect()
}

async fn ask(client: &Client, namespace: &str, pod: &str, one: &Recorded, put: &dyn Fn(&str) -> String) -> Said {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods.portforward(pod, &[2379]).await.expect("a forward");
    let stream = forward.take_stream(2379).expect("a stream");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    let driver = tokio::spawn(connection);
    let method = Method::from_bytes(one.method.as_bytes()).expect("a method");
    let mut request = Request::builder().method(method).uri(put(&one.path)).header("Host", "pd");
    if !one.request.is_empty() {
        request = request.header("Content-Type", "application/json");
    }
    if one.local {
        request = request.header("PD-Allow-follower-handle", "true");
    }
    let request = request.body(Full::new(Bytes::from(put(&one.request)))).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let status = response.status().as_u16();
    let mut headers: BTreeMap<String, String> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    for cors in ["headers", "methods", "origin"] {
        let value = headers.remove(&format!("access-control-allow-{cors}"));
        assert!(value.is_some(), "{}: no access-control-allow-{cors}", one.name);
    }
    for varying in ["content-length", "date", "transfer-encoding", "x-etcd-cluster-id"] {
        headers.remove(varying);
    }
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    driver.abort();
    Said { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// Fields that the recorded stand-in of TiKV does not send, or that follow from PD's settings.
const MAY_BE_MORE: [&str; 4] = ["labels", "location_labels", "slow_score", "errors"];

/// Where the shape of `found` is not that of `wanted`.
fn misshapen(at: &str, wanted: &Value, found: &Value, out: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let keys = |all: &serde_json::Map<String, Value>| -> Vec<String> {
                all.keys().filter(|key| !MAY_BE_MORE.contains(&key.as_str())).cloned().collect()
            };
            if keys(wanted) != keys(found) {
                out.push(format!("{at}: fields {:?}, found {:?}", keys(wanted), keys(found)));
            }
            for (key, value) in wanted {
                if let Some(found) = found.get(key) {
                    misshapen(&format!("{at}.{key}"), value, found, out);
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if let (Some(wanted), Some(found)) = (wanted.first(), found.first()) {
                misshapen(&format!("{at}[]"), wanted, found, out);
            }
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => {}
        (Value::Number(wanted), Value::Number(found)) if wanted.is_f64() == found.is_f64() => {}
        // Go writes a float without a fraction as an integer.
        (Value::Number(_), Value::Number(_))
            if ["progress", "_seconds", "_speed"].iter().any(|end| at.ends_with(end)) => {}
        (wanted, found) => out.push(format!("{at}: like {wanted}, found {found}")),
    }
}

fn compare(one: &Recorded, said: &Said, out: &mut Vec<String>) {
    let mut bad = Vec::new();
    if said.status != one.status {
        bad.push(format!("status {}, found {}", one.status, said.status));
    }
    if said.headers != one.headers {
        bad.push(format!("headers {:?}, found {:?}", one.headers, said.headers));
    }
    let tree = |body: &str| serde_json::from_str::<Value>(body).ok().filter(|json| json.is_object() || json.is_array());
    match (tree(&one.body), tree(&said.body)) {
        (Some(wanted), Some(found)) if one.status == 200 => {
            misshapen("", &wanted, &found, &mut bad);
            let manner = |body: &str| (body.ends_with('\n'), body.contains("\n  \""));
            if manner(&one.body) != manner(&said.body) && !wanted.as_array().is_some_and(Vec::is_empty) {
                bad.push(format!("written otherwise: {:?}, found {:?}", one.body, said.body));
            }
        }
        _ if one.body == said.body => {}
        _ => bad.push(format!("{:?}, found {:?}", one.body, said.body)),
    }
    out.extend(bad.into_iter().map(|bad| format!("{}: {} {}: {bad}", one.name, one.method, one.path)));
}

async fn differences(namespace: &str, database: &str, version: &str) -> Vec<String> {
    let sim = start("default").await;
    let (context, leader) = sim.pd_leader_pod(database).expect("a leader");
    let client = client(&sim, &context).await;
    let members = sim.database(database).expect("the Database");
    let leads = sim.leader(database).expect("a leader");
    let own = members.iter().find(|member| member.id != leads).expect("a follower").clone();
    let other = members.iter().find(|member| member.id == leads).expect("the leader").clone();
    let put = |text: &str| {
        text.replace("{own}", &own.id.to_string())
            .replace("{ownHex}", &format!("{:x}", own.id))
            .replace("{ownUrl}", &own.peer_urls[0])
            .replace("{otherUrl}", &other.peer_urls[0])
            .replace("{leaderName}", &other.name)
    };
    let mut out = Vec::new();
    for one in recorded(version, &["healthy", "writes"]) {
        let said = ask(&client, namespace, &leader, &one, &put).await;
        compare(&one, &said, &mut out);
    }
    sim.shutdown().await;
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn pd_8_5_answers_as_the_real_one() {
    let found = differences("prod", "prod", "8.5.4").await;
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pd_7_5_answers_as_the_real_one() {
    let found = differences("pingcap", "basic", "7.5.7").await;
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

/// The answers of the seconds in which etcd has a leader again and PD none.
#[tokio::test(flavor = "multi_thread")]
async fn pd_8_5_without_its_leader_answers_as_the_real_one() {
    // Slowly: what is asked lasts 8 simulated seconds.
    let options = SimOptions { scenario: "default".to_owned(), speed: 3.0, ..SimOptions::default() };
    let sim = Sim::start(options).await.expect("the scenario starts");
    let (context, pod) = sim.pd_leader_pod("prod").expect("a leader");
    assert!(sim.kill_process(&context, "prod", &pod).expect("a context"));
    eventually("etcd elects", || async { sim.leader("prod") }).await;
    let (left, named) = if pod == "prod-west-pd-0" { ("east", "prod-east-pd-0") } else { ("west", "prod-west-pd-0") };
    let client = client(&sim, left).await;
    let mut out = Vec::new();
    for one in recorded("8.5.4", &["leader-killed"]) {
        assert_eq!(sim.pd_leader_pod("prod"), None, "PD's leader came before everything was asked");
        let said = ask(&client, "prod", named, &one, &|text| text.to_owned()).await;
        compare(&one, &said, &mut out);
        if one.path == "/pd/api/v1/health" {
            assert!(!said.body.contains("true"), "nobody is well without a leader: {}", said.body);
        }
    }
    assert!(out.is_empty(), "{}", out.join("\n"));
    sim.shutdown().await;
}

/// What a removal looks like: nothing is known of its end at first, and a tombstone is listed only when asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_reads_as_the_real_one() {
    let sim = start("default").await;
    let west = client(&sim, "west").await;
    let (context, leader) = sim.pd_leader_pod("prod").expect("a leader");
    let at = client(&sim, &context).await;
    let list = get_json(&at, "prod", &leader, "/pd/api/v1/stores").await;
    let mut ids: Vec<u64> =
        list["stores"].as_array().expect("stores").iter().filter_map(|s| s["store"]["id"].as_u64()).collect();
    ids.sort_unstable();
    let path = format!("/pd/api/v1/store/{}", ids.last().expect("a store"));
    let (status, _) = pd(&west, "prod", "prod-west-pd-0", Method::DELETE, &path, "").await.expect("an answer");
    assert_eq!(status, 200);
    for one in recorded("8.5.4", &["leaving"]).iter().filter(|one| one.path.contains("progress")) {
        let mut out = Vec::new();
        let said = ask(&at, "prod", &leader, one, &|text| text.to_owned()).await;
        compare(one, &said, &mut out);
        assert!(out.is_empty(), "{}", out.join("\n"));
    }
    sim.shutdown().await;
}
