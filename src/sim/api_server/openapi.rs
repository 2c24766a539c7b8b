//! OpenAPI v3 as far as kubectl reads it before it writes: which query parameters a PATCH of a kind takes.
//!
//! With `fieldValidation` listed there, kubectl leaves validation to the server. No field schemas are published, and
//! `/openapi/v2` does not exist, so `kubectl explain` has nothing to explain.

use serde_json::{Map, Value, json};

use super::reply::{self, Reply};
use super::{ApiServerConfig, crd, discovery};
use crate::sim::object_store::{RESOURCES, Resource};

pub(super) fn answer(config: &ApiServerConfig, path: &str) -> Option<Reply> {
    let rest = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    let mut versions = vec![("", "v1")];
    versions.extend(discovery::groups(&config.store));
    let name = |group: &str, version: &str| {
        if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
    };
    if rest.is_empty() {
        let paths: Map<String, Value> = versions
            .iter()
            .map(|(group, version)| {
                let name = name(group, version);
                let url = format!("/openapi/v3/{name}?hash=simulated");
                (name, json!({"serverRelativeURL": url}))
            })
            .collect();
        return Some(reply::json(200, &json!({"paths": paths})));
    }
    let (group, version) = versions.into_iter().find(|(group, version)| name(group, version) == rest)?;
    let here = |kind: &&Resource| kind.group == group && kind.version == version && crd::served(&config.store, kind);
    let paths: Map<String, Value> = RESOURCES.iter().filter(here).map(operations).collect();
    let document = json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": config.version}, "paths": paths,
        "components": {"schemas": {}},
    });
    Some(reply::json(200, &document))
}

fn operations(kind: &Resource) -> (String, Value) {
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let place = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    let path = format!("{root}/{}/{place}{}/{{name}}", kind.version, kind.plural);
    let parameter = |name: &str, schema: &str| json!({"name": name, "in": "query", "schema": {"type": schema}});
    let writing = [
        parameter("dryRun", "string"),
        parameter("fieldManager", "string"),
        parameter("fieldValidation", "string"),
        parameter("force", "boolean"),
    ];
    let operation = |verb: &str, parameters: &[Value]| {
        json!({
            "operationId": format!("{verb}{}", kind.kind),
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": verb,
            "x-kubernetes-group-version-kind": {"group": kind.group, "kind": kind.kind, "version": kind.version},
        })
    };
    let operations = json!({
        "get": operation("get", &[]), "patch": operation("patch", &writing), "put": operation("put", &writing[..3]),
        "delete": operation("delete", &writing[..1]),
    });
    (path, operations)
}
