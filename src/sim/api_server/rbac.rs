//! RBAC in force: the rules that the Roles and ClusterRoles in the store give a user through their bindings.
//!
//! As a real server: a ClusterRole through a RoleBinding counts in the binding's namespace only. Aggregation is not
//! known here. Not here: asking whether a rule allows something ([`super::auth`]).

use serde_json::Value;

use super::auth::{Resolved, Rule, User};
use crate::sim::object_store::Store;

/// Every rule that is bound to the user or to one of the user's groups, and the roles that are bound and not there.
pub(super) fn rules(store: &Store, user: &User) -> Resolved {
    let mut all = Resolved::default();
    for (plural, within) in [("clusterrolebindings", false), ("rolebindings", true)] {
        for binding in store.snapshot(plural, None).1.iter().filter(|binding| names(binding, user)) {
            let namespace = binding["metadata"]["namespace"].as_str().unwrap_or_default();
            let name = binding["roleRef"]["name"].as_str().unwrap_or_default();
            let (kind, role) = match binding["roleRef"]["kind"].as_str() {
                Some("Role") => ("role", store.find("roles", namespace, name)),
                Some(_) | None => ("clusterrole", store.find("clusterroles", "", name)),
            };
            let namespaces: Vec<String> = within.then(|| namespace.to_owned()).into_iter().collect();
            let Some(role) = role else {
                let missing = format!("{kind}.rbac.authorization.k8s.io {name:?}");
                all.missing.push((namespaces.into_iter().next().unwrap_or_default(), missing));
                continue;
            };
            let rules = role["rules"].as_array().into_iter().flatten();
            all.rules.extend(rules.map(|rule| Rule {
                verbs: list(&rule["verbs"]),
                groups: list(&rule["apiGroups"]),
                resources: list(&rule["resources"]),
                names: list(&rule["resourceNames"]),
                namespaces: namespaces.clone(),
            }));
        }
    }
    all
}

fn names(binding: &Value, user: &User) -> bool {
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => name == user.name,
            Some("Group") => user.all_groups().iter().any(|group| group == name),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().unwrap_or_default();
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            Some(_) | None => false,
        }
    })
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}
