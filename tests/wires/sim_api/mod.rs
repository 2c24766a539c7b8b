//! The simulated API server, driven by clients that know nothing of it: kube-rs and kubectl.
//!
//! `bed` starts one server with a few objects; each file below is about one side of the protocol.

#![allow(clippy::disallowed_methods, reason = "these tests are about what a server makes of writes")]

mod bed;
mod kubectl;
mod reads;
mod rights;
mod streams;
mod trouble;
mod writes;

use http_body_util::BodyExt;
use serde_json::Value;

/// A raw request through kube's client: status, body (JSON, or the text as a string) and warnings.
async fn send(client: &kube::Client, line: &str, content_type: &str, body: &Value) -> (u16, Value, Vec<String>) {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(kube::client::Body::from(bytes))
        .expect("a well-formed request");
    let reply = client.send(request).await.expect("an answer");
    let status = reply.status().as_u16();
    let warnings = reply.headers().get_all("warning").iter();
    let warnings = warnings.map(|value| value.to_str().expect("text").to_owned()).collect();
    let bytes = reply.into_body().collect().await.expect("a whole body").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)), warnings)
}

/// Asserts on the `Status` a request is answered with: code, reason, and words of the message.
async fn refused(
    client: &kube::Client,
    line: &str,
    content_type: &str,
    body: Value,
    expected: (u16, &str, &str),
) -> Value {
    let (code, status, _) = send(client, line, content_type, &body).await;
    let (wanted_code, reason, words) = expected;
    assert_eq!((code, &status["kind"]), (wanted_code, &Value::from("Status")), "{line}: {status}");
    assert_eq!(status["code"], wanted_code, "{line}: {status}");
    assert_eq!(status["reason"], reason, "{line}: {status}");
    let message = status["message"].as_str().expect("a message");
    assert!(message.contains(words), "{line}: {message:?} lacks {words:?}");
    status
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const TCS: &str = "/apis/pingcap.com/v1alpha1/namespaces/pingcap/tidbclusters";
