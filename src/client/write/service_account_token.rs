//! Tokens of a ServiceAccount (TokenRequest), for the kubeconfig of a run in a cluster.
//!
//! The server makes a token and stores nothing; it counts as a write all the same, since whoever has it acts as that
//! account. Not here: what the account may do (`tidepilot rbac`), where its kubeconfig is kept (a person puts it into a Secret).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::encode;
use crate::client::wire::link::Link;
use crate::client::wire::permit::WritePermit;
use crate::client::write::request::request;
use crate::client::write::{Verdict, judge};

/// Makes a kubeconfig with one context for each of these links, as this ServiceAccount, and says by context until when
/// each token lives. `Err`: one sentence; no file was made.
pub async fn kubeconfig(
    links: &[&Arc<Link>],
    permit: &WritePermit,
    namespace: &str,
    account: &str,
    seconds: u64,
) -> Result<(String, Vec<(String, Timestamp)>), String> {
    let (mut clusters, mut users, mut contexts, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for link in links {
        let (token, end) = ask(link, permit, namespace, account, seconds).await?;
        let name = link.context();
        clusters.push(json!({"name": name, "cluster": link.entry().cluster_alone()?}));
        users.push(json!({"name": name, "user": {"token": token}}));
        contexts.push(json!({"name": name, "context": {"cluster": name, "user": name}}));
        ends.push((name.to_owned(), end));
    }
    let file = json!({
        "apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts,
    });
    let text = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
    Ok((text + "\n", ends))
}

async fn ask(
    link: &Link,
    permit: &WritePermit,
    namespace: &str,
    account: &str,
    seconds: u64,
) -> Result<(String, Timestamp), String> {
    permit.covers(link.context())?;
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds},
    });
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", encode(namespace), encode(account));
    let request = request("POST", &path, "application/json", &body).map_err(|trouble| trouble.sentence)?;
    let reply = link.call(request, link.limits().request).await.map_err(|trouble| trouble.sentence)?;
    if let Verdict::Refused(why) | Verdict::Unknown(why) = judge(link, &reply) {
        return Err(format!("{}: no token for ServiceAccount {namespace}/{account}: {why}", link.context()));
    }
    let answer: Value = link.decode(&reply).map_err(|trouble| trouble.sentence)?;
    let token = answer["status"]["token"].as_str().filter(|token| !token.is_empty());
    let end = answer["status"]["expirationTimestamp"].as_str().and_then(|end| end.parse().ok());
    match token.zip(end) {
        Some((token, end)) => Ok((token.to_owned(), end)),
        None => Err(format!("{} answered without a token", link.server())),
    }
}
