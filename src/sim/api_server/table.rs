//! Objects as rows: the server-side tables which `kubectl get` prints.
//!
//! Columns per kind, with NAME and AGE for the rest. Cells are made here from the objects; nothing else reads them.

use serde_json::{Value, json};

use super::read::metadata_only;
use crate::sim::object_store::Resource;

/// Printer columns of TidbCluster (domain.md §1.1): name, type, JSON path, priority. Names do repeat.
pub(super) const TIDBCLUSTER_COLUMNS: &[(&str, &str, &str, i32)] = &[
    ("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#, 0),
    ("PD", "string", ".status.pd.image", 0),
    ("Storage", "string", ".spec.pd.requests.storage", 0),
    ("Ready", "integer", ".status.pd.statefulSet.readyReplicas", 0),
    ("Desire", "integer", ".spec.pd.replicas", 0),
    ("TiKV", "string", ".status.tikv.image", 0),
    ("Storage", "string", ".spec.tikv.requests.storage", 0),
    ("Ready", "integer", ".status.tikv.statefulSet.readyReplicas", 0),
    ("Desire", "integer", ".spec.tikv.replicas", 0),
    ("TiDB", "string", ".status.tidb.image", 0),
    ("Ready", "integer", ".status.tidb.statefulSet.readyReplicas", 0),
    ("Desire", "integer", ".spec.tidb.replicas", 0),
    ("Status", "string", r#".status.conditions[?(@.type=="Ready")].message"#, 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
];

const NAME: (&str, i32) = ("Name", 0);
const AGE: (&str, i32) = ("Age", 0);

/// A `Table` of these objects; `include` is the client's `includeObject`.
pub(super) fn of(kind: &Resource, objects: &[&Value], metadata: Value, include: &str, with_columns: bool) -> Value {
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut row = json!({"cells": cells(kind, object)});
            match include {
                "None" => {}
                "Object" => row["object"] = (*object).clone(),
                _ => row["object"] = metadata_only(object),
            }
            row
        })
        .collect();
    let columns = if with_columns { columns(kind) } else { Vec::new() };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns, "rows": rows,
    })
}

fn columns(kind: &Resource) -> Vec<Value> {
    let column = |name: &str, kind: &str, priority: i32| {
        let format = if name == "Name" { "name" } else { "" };
        json!({"name": name, "type": kind, "format": format, "description": name, "priority": priority})
    };
    if kind.plural == "tidbclusters" {
        let printed = TIDBCLUSTER_COLUMNS.iter().map(|(name, kind, _, priority)| column(name, kind, *priority));
        return std::iter::once(column("Name", "string", 0)).chain(printed).collect();
    }
    names(kind).iter().map(|(name, priority)| column(name, "string", *priority)).collect()
}

fn names(kind: &Resource) -> &'static [(&'static str, i32)] {
    match kind.plural {
        "pods" => &[
            NAME,
            ("Ready", 0),
            ("Status", 0),
            ("Restarts", 0),
            AGE,
            ("IP", 1),
            ("Node", 1),
            ("Nominated Node", 1),
            ("Readiness Gates", 1),
        ],
        "statefulsets" => &[NAME, ("Ready", 0), AGE, ("Containers", 1), ("Images", 1)],
        "deployments" => &[
            NAME,
            ("Ready", 0),
            ("Up-to-date", 0),
            ("Available", 0),
            AGE,
            ("Containers", 1),
            ("Images", 1),
            ("Selector", 1),
        ],
        "services" => &[NAME, ("Type", 0), ("Cluster-IP", 0), ("External-IP", 0), ("Port(s)", 0), AGE, ("Selector", 1)],
        "events" => &[
            ("Last Seen", 0),
            ("Type", 0),
            ("Reason", 0),
            ("Object", 0),
            ("Source", 1),
            ("Message", 0),
            ("Count", 1),
            ("Name", 1),
        ],
        "configmaps" => &[NAME, ("Data", 0), AGE],
        "secrets" => &[NAME, ("Type", 0), ("Data", 0), AGE],
        "namespaces" => &[NAME, ("Status", 0), AGE],
        "nodes" => &[NAME, ("Status", 0), ("Roles", 0), AGE, ("Version", 0)],
        "persistentvolumeclaims" => {
            &[NAME, ("Status", 0), ("Volume", 0), ("Capacity", 0), ("Access Modes", 0), ("StorageClass", 0), AGE]
        }
        "persistentvolumes" => {
            &[NAME, ("Capacity", 0), ("Access Modes", 0), ("Reclaim Policy", 0), ("Status", 0), ("Claim", 0), AGE]
        }
        "customresourcedefinitions" => &[NAME, ("Created At", 0)],
        "leases" => &[NAME, ("Holder", 0), AGE],
        "certificates" => &[NAME, ("Ready", 0), ("Secret", 0), AGE],
        _ => &[NAME, AGE],
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind")]
fn cells(kind: &Resource, object: &Value) -> Vec<Value> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let or_none = |text: String| if text.is_empty() { "<none>".to_owned() } else { text };
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let count = |path: &str| object.pointer(path).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let name = text("/metadata/name");
    let age = age(&text("/metadata/creationTimestamp"));
    let cells: Vec<String> = match kind.plural {
        "tidbclusters" => {
            let printed = TIDBCLUSTER_COLUMNS.iter().map(|(_, kind, path, _)| match *kind {
                "date" => json!(age),
                _ => by_path(object, path),
            });
            return std::iter::once(json!(name)).chain(printed).collect();
        }
        "pods" => {
            let (ready, status, restarts) = pod(object);
            vec![
                name,
                ready,
                status,
                restarts.to_string(),
                age,
                or_none(text("/status/podIP")),
                or_none(text("/spec/nodeName")),
                "<none>".into(),
                "<none>".into(),
            ]
        }
        "statefulsets" => {
            let (containers, images) = containers(object);
            let ready = format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas"));
            vec![name, ready, age, containers, images]
        }
        "deployments" => {
            let (containers, images) = containers(object);
            let ready = format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas"));
            let (updated, available) = (number("/status/updatedReplicas"), number("/status/availableReplicas"));
            let selector = or_none(pairs(&object["spec"]["selector"]["matchLabels"]));
            vec![name, ready, updated.to_string(), available.to_string(), age, containers, images, selector]
        }
        "services" => {
            let kind = text("/spec/type");
            let kind = if kind.is_empty() { "ClusterIP".to_owned() } else { kind };
            let ip = or_none(text("/spec/clusterIP"));
            let external = or_none(text("/status/loadBalancer/ingress/0/ip"));
            let ports = object.pointer("/spec/ports").and_then(Value::as_array);
            let ports: Vec<String> = ports
                .into_iter()
                .flatten()
                .map(|port| {
                    let protocol = port["protocol"].as_str().unwrap_or("TCP");
                    match port["nodePort"].as_i64() {
                        Some(node) => format!("{}:{node}/{protocol}", port["port"]),
                        None => format!("{}/{protocol}", port["port"]),
                    }
                })
                .collect();
            vec![name, kind, ip, external, or_none(ports.join(",")), age, or_none(pairs(&object["spec"]["selector"]))]
        }
        "events" => {
            let last = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/firstTimestamp"];
            let last = last.iter().map(|path| text(path)).find(|time| !time.is_empty()).unwrap_or_default();
            let about = &object["involvedObject"];
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            vec![
                self::age(&last),
                text("/type"),
                text("/reason"),
                format!("{}/{}", word(&about["kind"]).to_lowercase(), word(&about["name"])),
                text("/source/component"),
                text("/message").trim().to_owned(),
                number("/count").max(1).to_string(),
                name,
            ]
        }
        "configmaps" => vec![name, (count("/data") + count("/binaryData")).to_string(), age],
        "secrets" => vec![name, text("/type"), count("/data").to_string(), age],
        "namespaces" => vec![name, text("/status/phase"), age],
        "nodes" => {
            let ready = condition(object, "Ready", "status");
            let ready = match ready.as_str() {
                Some("True") => "Ready",
                Some("False") => "NotReady",
                _ => "Unknown",
            };
            let cordoned = object["spec"]["unschedulable"] == true;
            let status = if cordoned { format!("{ready},SchedulingDisabled") } else { ready.to_owned() };
            let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
            let roles =
                labels.into_iter().flatten().filter_map(|(name, _)| name.strip_prefix("node-role.kubernetes.io/"));
            let roles: Vec<&str> = roles.collect();
            vec![name, status, or_none(roles.join(",")), age, text("/status/nodeInfo/kubeletVersion")]
        }
        "persistentvolumeclaims" => vec![
            name,
            text("/status/phase"),
            text("/spec/volumeName"),
            text("/status/capacity/storage"),
            access_modes(&object["spec"]["accessModes"]),
            text("/spec/storageClassName"),
            age,
        ],
        "persistentvolumes" => vec![
            name,
            text("/spec/capacity/storage"),
            access_modes(&object["spec"]["accessModes"]),
            text("/spec/persistentVolumeReclaimPolicy"),
            text("/status/phase"),
            format!("{}/{}", text("/spec/claimRef/namespace"), text("/spec/claimRef/name")),
            age,
        ],
        "customresourcedefinitions" => vec![name, text("/metadata/creationTimestamp")],
        "leases" => vec![name, text("/spec/holderIdentity"), age],
        "certificates" => {
            let ready = condition(object, "Ready", "status");
            vec![name, ready.as_str().unwrap_or_default().to_owned(), text("/spec/secretName"), age]
        }
        _ => vec![name, age],
    };
    cells.into_iter().map(Value::from).collect()
}

/// Ready, status and restarts of a pod, as the pod printer sums them up.
fn pod(object: &Value) -> (String, String, i64) {
    let wanted = object.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    let statuses =
        object.pointer("/status/containerStatuses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ready = statuses.iter().filter(|status| status["ready"] == true).count();
    let restarts = statuses.iter().filter_map(|status| status["restartCount"].as_i64()).sum();
    let reason = statuses.iter().rev().find_map(|status| {
        let state = &status["state"];
        state["waiting"]["reason"].as_str().or_else(|| state["terminated"]["reason"].as_str())
    });
    let phase = object.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Unknown");
    let status = if object["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else {
        reason.or(object["status"]["reason"].as_str()).unwrap_or(phase)
    };
    (format!("{ready}/{wanted}"), status.to_owned(), restarts)
}

fn containers(object: &Value) -> (String, String) {
    let list = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let all = |field: &str| {
        let values = list.into_iter().flatten().filter_map(|container| container[field].as_str());
        values.collect::<Vec<_>>().join(",")
    };
    (all("name"), all("image"))
}

fn pairs(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}

fn access_modes(modes: &Value) -> String {
    let short = modes.as_array().into_iter().flatten().filter_map(Value::as_str).map(|mode| match mode {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    });
    short.collect::<Vec<_>>().join(",")
}

fn condition(object: &Value, wanted: &str, field: &str) -> Value {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions.into_iter().flatten().find(|condition| condition["type"] == wanted);
    found.map_or(Value::Null, |condition| condition[field].clone())
}

/// The two forms of JSON path that TidbCluster's columns use.
fn by_path(object: &Value, path: &str) -> Value {
    if let Some(field) = path.strip_prefix(r#".status.conditions[?(@.type=="Ready")]."#) {
        return condition(object, "Ready", field);
    }
    object.pointer(&path.replace('.', "/")).cloned().unwrap_or(Value::Null)
}

#[allow(clippy::disallowed_methods, reason = "ages are told by the server's own clock")]
fn age(timestamp: &str) -> String {
    match timestamp.parse::<jiff::Timestamp>() {
        Ok(then) => duration(jiff::Timestamp::now().as_second() - then.as_second()),
        Err(_) => "<unknown>".into(),
    }
}

/// A span in the server's short style: two units while they matter, then one.
fn duration(seconds: i64) -> String {
    let (minute, hour, day, year) = (60, 3_600, 86_400, 365 * 86_400);
    let two = |big: i64, big_unit: char, small: i64, small_unit: char| {
        let rest = seconds % big / small;
        if rest == 0 {
            format!("{}{big_unit}", seconds / big)
        } else {
            format!("{}{big_unit}{rest}{small_unit}", seconds / big)
        }
    };
    match seconds {
        ..0 => "0s".into(),
        s if s < 2 * minute => format!("{s}s"),
        s if s < 10 * minute => two(minute, 'm', 1, 's'),
        s if s < 3 * hour => format!("{}m", s / minute),
        s if s < 8 * hour => two(hour, 'h', minute, 'm'),
        s if s < 2 * day => format!("{}h", s / hour),
        s if s < 8 * day => two(day, 'd', hour, 'h'),
        s if s < 2 * year => format!("{}d", s / day),
        s if s < 8 * year => two(year, 'y', day, 'd'),
        s => format!("{}y", s / year),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::object_store::RESOURCES;

    #[test]
    fn every_kind_has_as_many_cells_as_columns() {
        for kind in RESOURCES {
            let object = json!({"metadata": {"name": "x"}});
            assert_eq!(columns(kind).len(), cells(kind, &object).len(), "{}", kind.plural);
        }
    }

    #[test]
    fn durations() {
        let check = |seconds: i64, expected: &str| assert_eq!(duration(seconds), expected);
        check(119, "119s");
        check(125, "2m5s");
        check(660, "11m");
        check(4 * 3_600 + 300, "4h5m");
        check(30 * 3_600, "30h");
        check(3 * 86_400, "3d");
    }
}
