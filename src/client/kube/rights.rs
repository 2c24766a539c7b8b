//! Which rights the user lacks: SelfSubjectAccessReview, asked of every context in parallel.
//!
//! A review is a question, not a write, so the gate lets it through in read-only mode too. Not here: which rights a
//! plan needs (`runbook::plan::rights`). "Could not ask" is said as such: it is not a yes.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::client::wire::link::{Link, Links};
pub use crate::runbook::actions::rights::Right;

/// One sentence for each right that is denied or could not be asked about; empty when all are there.
pub async fn denied(links: &Links, rights: &[Right]) -> Vec<String> {
    let asked = rights.iter().map(|right| async move {
        let thing = describe(right);
        let Some(link) = links.get(&right.context) else { return Some(format!("{}: no such context", right.context)) };
        match review(link, right).await {
            Ok((true, _)) => None,
            Ok((false, why)) => Some(format!("{}: you may not {thing}{why}", right.context)),
            Err(why) => Some(format!("{}: could not ask whether you may {thing}: {why}", right.context)),
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn describe(right: &Right) -> String {
    let subresource = if right.subresource.is_empty() { String::new() } else { format!("/{}", right.subresource) };
    let group = if right.group.is_empty() { String::new() } else { format!(".{}", right.group) };
    let name = if right.name.is_empty() { String::new() } else { format!(" {}", right.name) };
    let place = match right.namespace.as_str() {
        "" => "in the whole cluster".to_owned(),
        namespace => format!("in namespace {namespace}"),
    };
    format!("{} {}{group}{subresource}{name} {place}", right.verb, right.resource)
}

async fn review(link: &Link, right: &Right) -> Result<(bool, String), String> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": right.verb, "group": right.group, "resource": right.resource,
            "subresource": right.subresource, "namespace": right.namespace, "name": right.name,
        }},
    });
    let request = http::Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    let reply = link.call(request, link.limits().request).await.map_err(|trouble| trouble.sentence)?;
    let answer: Value = link.decode(&reply).map_err(|trouble| trouble.sentence)?;
    // Only a plain true is a yes.
    let allowed = answer.pointer("/status/allowed").and_then(Value::as_bool) == Some(true);
    let reason = answer.pointer("/status/reason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
    Ok((allowed, reason.map(|reason| format!(" ({})", crate::client::plain(reason))).unwrap_or_default()))
}
