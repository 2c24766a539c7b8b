//! delete: preconditions, finalizers, and what goes along with an object.
//!
//! Garbage collection happens at once, where a real cluster takes moments; `Foreground` waits for nothing here.

use serde_json::{Value, json};

use super::patch::decode_object;
use super::read::show;
use super::reply::{self, Reply};
use super::router::Call;
use super::selectors::Selectors;
use super::status::Refusal;
use crate::sim::object_store::{RESOURCES, Resource, Write, identity, now};

/// DeleteOptions from body and query.
struct Options {
    dry_run: bool,
    orphan: bool,
    uid: Option<String>,
    version: Option<String>,
}

impl Options {
    fn of(call: &Call, body: &Value) -> Options {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let policy =
            text(&body["propagationPolicy"]).or_else(|| call.query.get("propagationPolicy").map(str::to_owned));
        Options {
            dry_run: call.query.dry_run() || says_dry_run(body),
            orphan: policy.as_deref() == Some("Orphan") || body["orphanDependents"] == true,
            uid: text(&body["preconditions"]["uid"]),
            version: text(&body["preconditions"]["resourceVersion"]),
        }
    }
}

/// Whether a request stores nothing: asked in the query, or in the body of a delete.
pub(super) fn dry_run(call: &Call) -> bool {
    call.query.dry_run()
        || decode_object(&call.body).is_ok_and(|body| body["kind"] == "DeleteOptions" && says_dry_run(&body))
}

fn says_dry_run(body: &Value) -> bool {
    body["dryRun"].as_array().is_some_and(|values| values.iter().any(|value| value == "All"))
}

pub(super) fn delete(call: &Call) -> Result<Reply, Refusal> {
    let body = if call.body.is_empty() { Value::Null } else { decode_object(&call.body)? };
    let (object, gone) = remove(call, call.name(), call.namespace(), &Options::of(call, &body))?;
    if !gone || call.target.kind.plural == "pods" {
        return Ok(show(call, 200, &object));
    }
    Ok(success(200, call.target.kind, &object))
}

pub(super) fn delete_collection(call: &Call) -> Result<Reply, Refusal> {
    let kind = call.target.kind;
    if kind.namespaced && call.target.namespace.is_none() {
        return Err(Refusal::method_not_allowed());
    }
    let body = if call.body.is_empty() { Value::Null } else { decode_object(&call.body)? };
    let options = Options::of(call, &body);
    let selectors = Selectors::parse(kind, call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let (version, objects) = call.store().snapshot(kind.plural, call.target.namespace.as_deref());
    let mut items = Vec::new();
    for object in objects.iter().filter(|object| selectors.matches(object)) {
        let (namespace, name) = identity(object);
        match remove(call, &name, &namespace, &options) {
            Ok((object, _)) => items.push(object),
            Err(refusal) if refusal.code == 404 => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let list = json!({
        "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": version.to_string()}, "items": items,
    });
    Ok(reply::json(200, &list))
}

/// `pods/eviction`: a delete by another name; disruption budgets are not kept.
pub(super) fn evict(call: &Call) -> Result<Reply, Refusal> {
    let body = decode_object(&call.body)?;
    let (object, _) = remove(call, call.name(), call.namespace(), &Options::of(call, &body["deleteOptions"]))?;
    Ok(success(201, call.target.kind, &object))
}

fn success(status: u16, kind: &Resource, object: &Value) -> Reply {
    let metadata = &object["metadata"];
    let mut details = json!({"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]});
    if !kind.group.is_empty() {
        details["group"] = json!(kind.group);
    }
    let value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    reply::json(status, &value)
}

/// Gives the object and whether it is gone (with finalizers it only begins to go).
fn remove(call: &Call, name: &str, namespace: &str, options: &Options) -> Result<(Value, bool), Refusal> {
    let kind = call.target.kind;
    let mut gone = true;
    let removed = call.store().transact(kind.plural, namespace, name, options.dry_run, |before| {
        let before = before.ok_or_else(|| Refusal::not_found(kind, name))?;
        for (wanted, field, word) in
            [(&options.uid, "uid", "UID"), (&options.version, "resourceVersion", "ResourceVersion")]
        {
            let found = before["metadata"][field].as_str().unwrap_or_default();
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
                let why =
                    format!("Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {found}");
                return Err(Refusal::conflict(kind, name, &why));
            }
        }
        let held =
            before.pointer("/metadata/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        if !held {
            return Ok(Write::Remove);
        }
        gone = false;
        let mut object = before.clone();
        if !object["metadata"]["deletionTimestamp"].is_string() {
            object["metadata"]["deletionTimestamp"] = json!(now());
            object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
        }
        Ok(Write::Put(object))
    })?;
    let object = removed.unwrap_or(Value::Null);
    if gone && !options.dry_run {
        follow(call, &object, options.orphan);
    }
    Ok((object, gone))
}

/// Removes (or sets free) what belonged to an object that is gone.
fn follow(call: &Call, object: &Value, orphan: bool) {
    let store = call.store();
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if orphan {
        for kind in RESOURCES {
            for dependent in store.snapshot(kind.plural, None).1 {
                let references = dependent.pointer("/metadata/ownerReferences").and_then(Value::as_array);
                if references.into_iter().flatten().any(|reference| reference["uid"] == uid) {
                    let (namespace, name) = identity(&dependent);
                    store.edit(kind.plural, &namespace, &name, |object| {
                        if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
                            references.retain(|reference| reference["uid"] != uid);
                        }
                    });
                }
            }
        }
    } else {
        store.collect_dependents(uid);
    }
    match call.target.kind.plural {
        "namespaces" => {
            for kind in RESOURCES.iter().filter(|kind| kind.namespaced) {
                for object in store.snapshot(kind.plural, Some(name)).1 {
                    store.remove(kind.plural, name, &identity(&object).1);
                }
            }
        }
        "customresourcedefinitions" => {
            for kind in RESOURCES.iter().filter(|kind| kind.custom() && kind.qualified() == name) {
                for object in store.snapshot(kind.plural, None).1 {
                    let (namespace, name) = identity(&object);
                    store.remove(kind.plural, &namespace, &name);
                }
            }
        }
        _ => {}
    }
}
