//! get and list: selectors, paging, and the three shapes an object is shown in.
//!
//! Watches are in `watch`; the columns of tables in `table`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::request::Shape;
use super::router::Call;
use super::selectors::Selectors;
use super::status::Refusal;
use super::table;
use crate::sim::object_store::identity;

/// A list as it goes over the wire, without copying its objects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: String,
    api_version: String,
    metadata: Value,
    items: Vec<&'a Value>,
}

pub(super) fn get(call: &Call) -> Result<Reply, Refusal> {
    let kind = call.target.kind;
    let object = call
        .store()
        .find(kind.plural, call.namespace(), call.name())
        .ok_or_else(|| Refusal::not_found(kind, call.name()))?;
    Ok(show(call, 200, &object))
}

/// One object in the shape the client accepts.
pub(super) fn show(call: &Call, status: u16, object: &Value) -> Reply {
    match Shape::of(call.header(http::header::ACCEPT)) {
        Shape::Whole => reply::json(status, object),
        Shape::Metadata => reply::json(status, &metadata_only(object)),
        Shape::Table => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            reply::json(status, &table::of(call.target.kind, &[object], metadata, include(call), true))
        }
    }
}

pub(super) fn list(call: &Call) -> Result<Reply, Refusal> {
    let kind = call.target.kind;
    let selectors = Selectors::parse(kind, call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let (current, objects) = call.store().snapshot(kind.plural, call.target.namespace.as_deref());
    if let Some(asked) = call.query.number("resourceVersion").filter(|asked| *asked > current) {
        return Err(Refusal::too_large_version(asked, current));
    }
    let mut page: Vec<Arc<Value>> = objects.into_iter().filter(|object| selectors.matches(object)).collect();
    let mut version = current;
    if let Some(token) = call.query.get("continue") {
        let start = Continue::parse(token).ok_or_else(|| Refusal::bad_request("continue key is not valid"))?;
        if call.store().events_since(kind.plural, start.version).is_err() {
            return Err(Refusal::expired(
                "The provided continue parameter is too old to display a consistent list result. You must start a new \
                 list without the continue parameter.",
            ));
        }
        // The objects are today's, the version is the first page's: a watch from there brings the difference.
        version = start.version;
        page.retain(|object| identity(object) > start.after);
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let limit = call.query.number("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    if let Some(limit) = limit.filter(|limit| page.len() > *limit) {
        let remaining = page.len() - limit;
        page.truncate(limit);
        let after = page.last().map(|object| identity(object)).unwrap_or_default();
        metadata["continue"] = json!(Continue { version, after }.token());
        if selectors.is_empty() {
            metadata["remainingItemCount"] = json!(remaining);
        }
    }
    let items: Vec<&Value> = page.iter().map(|object| &**object).collect();
    Ok(match Shape::of(call.header(http::header::ACCEPT)) {
        Shape::Table => reply::json(200, &table::of(kind, &items, metadata, include(call), true)),
        Shape::Whole => {
            let list = List { kind: format!("{}List", kind.kind), api_version: kind.api_version(), metadata, items };
            reply::json(200, &list)
        }
        Shape::Metadata => {
            let items: Vec<Value> = items.into_iter().map(metadata_only).collect();
            let list = List {
                kind: "PartialObjectMetadataList".into(),
                api_version: "meta.k8s.io/v1".into(),
                metadata,
                items: items.iter().collect(),
            };
            reply::json(200, &list)
        }
    })
}

/// The `scale` subresource of workloads.
pub(super) fn scale(call: &Call) -> Result<Reply, Refusal> {
    let kind = call.target.kind;
    let object = call.store().find(kind.plural, call.namespace(), call.name());
    let object = object.ok_or_else(|| Refusal::not_found(kind, call.name()))?;
    Ok(reply::json(200, &scale_of(&object)))
}

pub(super) fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": selector.join(",")},
    })
}

/// An object without spec and status.
pub(super) fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// What a table row carries beside its cells.
pub(super) fn include(call: &Call) -> &str {
    call.query.get("includeObject").unwrap_or("Metadata")
}

struct Continue {
    version: u64,
    after: (String, String),
}

impl Continue {
    fn token(&self) -> String {
        let text = format!("{}/{}/{}", self.version, self.after.0, self.after.1);
        hex::encode(text)
    }

    fn parse(token: &str) -> Option<Continue> {
        let bytes: Option<Vec<u8>> =
            (0..token.len()).step_by(2).map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok()).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.splitn(3, '/');
        let version = parts.next()?.parse().ok()?;
        let after = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Continue { version, after })
    }
}
