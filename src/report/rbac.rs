//! Rights as Roles and RoleBindings in YAML, one set per KubeCluster.
//!
//! Pure. Which rights: `runbook::plan::required_rights`. Rights inside a namespace become a Role there; the rest a ClusterRole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use crate::runbook::actions::right_types::Need;

/// Who gets the roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `User`, `Group` or `ServiceAccount`
    pub kind: &'static str,
    pub name: String,
    /// Of a ServiceAccount.
    pub namespace: Option<String>,
}

/// What is the same for several verbs: API group, resource with subresource, name.
type Object<'a> = (&'a str, String, &'a str);

/// Verbs and what they are for.
type Rule<'a> = (BTreeSet<&'a str>, &'a str);

/// YAML documents for one context. `name`: of every role and binding.
pub fn yaml(context: &str, name: &str, needs: &[Need], subject: &Subject) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# KubeCluster {}", super::plain(context));
    account(&mut out, subject);
    // What can be left out stands by itself, so that it can be.
    let mut places: BTreeMap<&str, BTreeMap<(Object<'_>, bool), Rule<'_>>> = BTreeMap::new();
    for need in needs.iter().filter(|need| need.right.context == context) {
        let right = &need.right;
        let resource = match right.subresource.as_str() {
            "" => right.resource.clone(),
            subresource => format!("{}/{subresource}", right.resource),
        };
        let rules = places.entry(&right.namespace).or_default();
        let object = (right.group.as_str(), resource, right.name.as_str());
        let rule = rules.entry((object, !need.required)).or_insert((BTreeSet::new(), need.why));
        rule.0.insert(&right.verb);
    }
    for (namespace, rules) in places {
        let prefix = if namespace.is_empty() { "Cluster" } else { "" };
        let metadata = |out: &mut String| {
            let _ = writeln!(out, "metadata:\n  name: {}", json!(name));
            if !namespace.is_empty() {
                let _ = writeln!(out, "  namespace: {}", json!(namespace));
            }
        };
        let _ = writeln!(out, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {prefix}Role");
        metadata(&mut out);
        out.push_str("rules:\n");
        for (((group, resource, object), optional), (verbs, why)) in rules {
            let _ = writeln!(out, "  # {}{why}", if optional { "(can be left out) " } else { "" });
            let _ = writeln!(out, "  - apiGroups: [{}]\n    resources: [{}]", json!(group), json!(resource));
            if !object.is_empty() {
                let _ = writeln!(out, "    resourceNames: [{}]", json!(object));
            }
            let _ = writeln!(out, "    verbs: {}", json!(verbs));
        }
        let _ = writeln!(out, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {prefix}RoleBinding");
        metadata(&mut out);
        bound(&mut out, &format!("{prefix}Role"), name, subject);
    }
    out
}

fn bound(out: &mut String, kind: &str, name: &str, subject: &Subject) {
    let whose = match &subject.namespace {
        Some(namespace) => format!("namespace: {}", json!(namespace)),
        None => "apiGroup: rbac.authorization.k8s.io".to_owned(),
    };
    let _ = writeln!(
        out,
        "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {kind}\n  name: {}\nsubjects:\n  - {whose}\n    kind: {}\n    name: {}",
        json!(name),
        subject.kind,
        json!(subject.name)
    );
}

fn account(out: &mut String, subject: &Subject) {
    if let Some(namespace) = &subject.namespace {
        let _ = writeln!(
            out,
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {}\n  namespace: {}\nautomountServiceAccountToken: false",
            json!(subject.name),
            json!(namespace)
        );
    }
}

/// The ClusterRoles of `assets/rbac/read-only.yaml`: where each is bound, and what whoever leaves it out does not see.
const LOOKING: [(&str, bool, &str); 4] = [
    ("tidepilot-read-only", true, "what everything else rests on"),
    ("tidepilot-see-runs", true, "open runs; it reads every ConfigMap and Lease, can be left out"),
    (
        "tidepilot-ask-pd",
        false,
        "members, stores, quorum. PD has no users: whoever has this can change PD with other programs, and reads Secrets. Can be left out",
    ),
    ("tidepilot-see-changes", false, "earlier templates in :changes, can be left out"),
];

/// Bindings of the roles of whoever only looks, for one context. `namespaces`: those with TidbClusters.
pub fn looking(context: &str, namespaces: &BTreeSet<&str>, name: &str, subject: &Subject) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# KubeCluster {}", super::plain(context));
    account(&mut out, subject);
    for (role, everywhere, sees) in LOOKING {
        let places: Vec<Option<&str>> =
            if everywhere { vec![None] } else { namespaces.iter().map(|one| Some(*one)).collect() };
        for place in places {
            let prefix = if place.is_none() { "Cluster" } else { "" };
            let _ = writeln!(
                out,
                "---\n# {sees}\napiVersion: rbac.authorization.k8s.io/v1\nkind: {prefix}RoleBinding\nmetadata:\n  name: {}",
                json!(format!("{role}-{name}"))
            );
            if let Some(namespace) = place {
                let _ = writeln!(out, "  namespace: {}", json!(namespace));
            }
            bound(&mut out, "ClusterRole", role, subject);
        }
    }
    out
}
