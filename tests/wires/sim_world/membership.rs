//! PD's membership over HTTP: v2 and v3, malformed URLs, no majority.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidepilot::sim::Sim;

use crate::sim_world::wires::*;

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
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
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
