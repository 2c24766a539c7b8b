//! What the server says about itself: health, version, groups, versions and resources.
//!
//! Plain discovery only; a client that asks for the aggregated form gets this one and falls back to it, as from an
//! older server.

use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::{ApiServerConfig, crd};
use crate::sim::object_store::{RESOURCES, Resource, Store};

const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Health is told to everyone, also without a token.
pub(super) fn health(path: &str) -> Option<Reply> {
    matches!(path, "/healthz" | "/livez" | "/readyz").then(|| reply::text(200, "ok"))
}

/// Answers a discovery path; `None` when it is none.
pub(super) fn answer(config: &ApiServerConfig, path: &str) -> Option<Reply> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let value = match parts.as_slice() {
        ["version"] => version(&config.version),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let groups: Vec<Value> =
                groups(&config.store).into_iter().map(|(name, version)| group(name, version)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["api", "v1"] => resources(&config.store, "", "v1"),
        ["apis", name] => {
            let (name, version) = groups(&config.store).into_iter().find(|(known, _)| known == name)?;
            let mut value = group(name, version);
            value["kind"] = json!("APIGroup");
            value["apiVersion"] = json!("v1");
            value
        }
        ["apis", name, version] => {
            groups(&config.store).into_iter().find(|known| known == &(*name, *version))?;
            resources(&config.store, name, version)
        }
        _ => return None,
    };
    Some(reply::json(200, &value))
}

/// Every group with its one version, built-in groups first.
pub(super) fn groups(store: &Store) -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&'static str, &'static str)> = vec![(AUTHENTICATION, "v1"), (AUTHORIZATION, "v1")];
    for kind in RESOURCES.iter().filter(|kind| !kind.group.is_empty() && crd::served(store, kind)) {
        if !groups.contains(&(kind.group, kind.version)) {
            groups.push((kind.group, kind.version));
        }
    }
    groups
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(store: &Store, group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for (own, plural, kind) in [
        (AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview"),
        (AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
        (AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    ] {
        if own == group {
            let singular = kind.to_lowercase();
            resources.push(json!({
                "name": plural, "singularName": singular, "namespaced": false, "kind": kind, "verbs": ["create"],
            }));
        }
    }
    let here = |kind: &&Resource| kind.group == group && kind.version == version && crd::served(store, kind);
    for kind in RESOURCES.iter().filter(here) {
        resources.extend(entries(kind));
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
}

fn entries(kind: &Resource) -> Vec<Value> {
    let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let mut main = json!({
        "name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": verbs,
    });
    if !kind.short.is_empty() {
        main["shortNames"] = json!(kind.short);
    }
    let in_all = matches!(kind.plural, "pods" | "services" | "statefulsets" | "deployments" | "replicasets" | "jobs");
    if in_all {
        main["categories"] = json!(["all"]);
    }
    let sub = |name: &str, object: &str, verbs: &[&str]| {
        json!({
            "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": object,
            "verbs": verbs,
        })
    };
    let mut entries = vec![main];
    match kind.plural {
        "pods" => entries.extend([
            sub("eviction", "Eviction", &["create"]),
            sub("exec", "PodExecOptions", &["create", "get"]),
            sub("log", "Pod", &["get"]),
            sub("portforward", "PodPortForwardOptions", &["create", "get"]),
        ]),
        "statefulsets" | "deployments" | "replicasets" => {
            entries.push(sub("scale", "Scale", &["get", "patch", "update"]))
        }
        _ => {}
    }
    if kind.has_status() {
        entries.push(sub("status", kind.kind, &["get", "patch", "update"]));
    }
    entries
}

fn version(git_version: &str) -> Value {
    let numbers = git_version.trim_start_matches('v');
    let mut parts = numbers.split('.');
    let (major, minor) = (parts.next().unwrap_or("1"), parts.next().unwrap_or("33"));
    json!({
        "major": major, "minor": minor, "gitVersion": git_version, "gitCommit": "simulated", "gitTreeState": "clean",
        "buildDate": "2025-08-13T14:21:22Z", "goVersion": "simulated", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// The minor number of `v1.MINOR.x`; 0 when it cannot be read.
pub(super) fn minor(git_version: &str) -> u32 {
    git_version.trim_start_matches('v').split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}
