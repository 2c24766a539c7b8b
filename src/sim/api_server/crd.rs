//! CustomResourceDefinition objects: small ones to put into a store, and whether a store has the one of a kind.
//!
//! A kind behind a CRD is served, and shown by discovery, only while its CRD object exists. Which fields a TidbCluster
//! may have is in `schema`; the objects made here carry just enough of it for a client that looks.

use serde_json::{Value, json};

use super::schema;
use crate::sim::object_store::{Resource, Store, resource};

/// Whether requests for this kind find anything at all.
pub(super) fn served(store: &Store, kind: &Resource) -> bool {
    !kind.custom() || store.find("customresourcedefinitions", "", &kind.qualified()).is_some()
}

/// `tidbclusters.pingcap.com` of TiDB Operator v1, with or without `spec.acrossK8s` (first in v1.3.0).
pub fn tidbclusters(across_k8s: bool) -> Value {
    let columns: Vec<Value> = super::table::TIDBCLUSTER_COLUMNS
        .iter()
        .map(|(name, kind, path, priority)| json!({"name": name, "type": kind, "jsonPath": path, "priority": priority}))
        .collect();
    let properties = json!({
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": schema::open_api(across_k8s),
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    });
    let schema = json!({"type": "object", "required": ["metadata", "spec"], "properties": properties});
    let mut definition = definition("tidbclusters", schema);
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!(columns);
    definition
}

/// `clusters.core.pingcap.com` of TiDB Operator v2: another product as far as we are concerned.
pub fn operator_v2() -> Value {
    custom("clusters")
}

/// The definition of any other custom kind in the table, schema left open.
pub fn custom(plural: &str) -> Value {
    definition(plural, json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
}

fn definition(plural: &str, schema: Value) -> Value {
    let kind = resource(plural);
    let singular = kind.kind.to_lowercase();
    let list = format!("{}List", kind.kind);
    let mut names = json!({"plural": kind.plural, "singular": singular, "kind": kind.kind, "listKind": list});
    if !kind.short.is_empty() {
        names["shortNames"] = json!(kind.short);
    }
    let subresources = if kind.has_status() { json!({"status": {}}) } else { json!({}) };
    let established = |condition: &str, reason: &str| {
        json!({
            "type": condition, "status": "True", "reason": reason, "message": "",
            "lastTransitionTime": crate::sim::object_store::now(),
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.qualified()},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
            "conversion": {"strategy": "None"},
            "versions": [{
                "name": kind.version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema},
                "subresources": subresources,
            }],
        },
        "status": {
            "acceptedNames": names,
            "conditions": [established("NamesAccepted", "NoConflicts"), established("Established", "InitialNamesAccepted")],
            "storedVersions": [kind.version],
        },
    })
}
