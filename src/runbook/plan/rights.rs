//! Which rights a plan needs, derived from its actions and from the reads that every decision stands on.
//!
//! One source for two uses: the preflight asks for each of them (`client::kube::rights`), and `tidepilot rbac` prints them
//! as Roles. Pure. Not here: asking, printing.

use std::collections::BTreeMap;

use crate::fleet::ObjectRef;
use crate::fleet::extras::Extra;
use crate::runbook::actions::Action;
use crate::runbook::actions::rights::{Need, Reach, Right, of_object, upgrade};

/// Name of the admission policy of approvals and of its binding, as `assets/rbac/approvals-policy.yaml` has them.
pub const APPROVALS_POLICY: &str = "tidepilot-approvals";

/// Every right, once, in order. A WebSocket upgrade needs get and, from Kubernetes 1.35 on, create too
/// (`facts-kubernetes.md`), so both are asked for.
pub fn needs<'a>(
    contexts: impl IntoIterator<Item = &'a String>,
    actions: impl IntoIterator<Item = &'a Action>,
    reach: &Reach,
) -> Vec<Need> {
    let mut all: BTreeMap<Right, Need> = BTreeMap::new();
    let mut add = |required: bool, why: &'static str, right: Right| {
        let known = all.entry(right.clone()).or_insert(Need { right, required, why });
        known.required |= required;
    };
    for context in contexts {
        let at = |verb: &str, group: &str, resource: &str| Right {
            context: context.clone(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            ..Right::default()
        };
        let uid = Right { name: "kube-system".into(), ..at("get", "", "namespaces") };
        add(true, "which cluster this is: the run is bound to its uid", uid);
        let crd = at("get", "apiextensions.k8s.io", "customresourcedefinitions");
        let crd = Right { name: "tidbclusters.pingcap.com".into(), ..crd };
        add(false, "whether the CRD knows acrossK8s; without it a warning", crd);
        add(false, "the version of TiDB Operator; without it a warning", at("list", "apps", "deployments"));
        let dns = Right { namespace: "kube-system".into(), name: "coredns".into(), ..at("get", "", "configmaps") };
        add(false, "which DNS domain the cluster really has; without it pods are asked, or it stays open", dns);
        for (group, resource) in [("pingcap.com", "tidbclusters"), ("", "pods"), ("apps", "statefulsets")] {
            let namespace = reach.namespace.clone().unwrap_or_default();
            let within = |verb| Right { namespace: namespace.clone(), ..at(verb, group, resource) };
            add(true, "what every decision stands on", within("list"));
            add(false, "a run that waits is woken by it; without it it looks every 2 s", within("watch"));
        }
        if reach.extras.has(Extra::Claims) {
            let why = "which volumes are there, and what becomes of them; without it they stay unseen";
            let namespace = reach.namespace.clone().unwrap_or_default();
            add(false, why, Right { namespace, ..at("list", "", "persistentvolumeclaims") });
            add(false, why, at("list", "", "persistentvolumes"));
        }
        if reach.claims_in.contains(context) {
            let namespace = reach.namespace.clone().unwrap_or_default();
            let claims = Right { namespace, ..at("list", "", "persistentvolumeclaims") };
            add(true, "which volumes stay behind", claims);
        }
    }
    for of in &reach.later {
        for verb in ["get", "create"] {
            add(true, "PD is asked through its own pod", upgrade(of, verb, "portforward"));
        }
    }
    for (of, tls) in reach.tidb_clusters.iter().filter(|(of, _)| !reach.without_pd.contains(of)) {
        for verb in ["get", "create"] {
            add(true, "PD is asked through its own pod", upgrade(of, verb, "portforward"));
        }
        if *tls && !reach.own_certificate {
            let secret = Right {
                context: of.context.clone(),
                verb: "get".into(),
                resource: "secrets".into(),
                namespace: of.namespace.clone(),
                name: format!("{}-cluster-client-secret", of.name),
                ..Right::default()
            };
            add(true, "the certificate for PD; or give --pd-ca, --pd-cert and --pd-key", secret);
        }
    }
    if reach.extras.has(Extra::Events) {
        let places = reach.tidb_clusters.iter().map(|(of, _)| of).chain(&reach.later);
        for of in places {
            let events = Right {
                context: of.context.clone(),
                verb: "list".into(),
                resource: "events".into(),
                namespace: of.namespace.clone(),
                ..Right::default()
            };
            add(false, "what the operator complains of; without it a refusal is only waited out", events);
        }
    }
    for read in &reach.reads {
        let at = ObjectRef::new(&read.context, &read.namespace, &read.name);
        add(true, "a check is told from it", of_object(read.kind, &at, "get"));
    }
    if let Some(target) = &reach.journal_in {
        let at = |of: &ObjectRef, verb: &str, group: &str, resource: &str| Right {
            context: of.context.clone(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            namespace: of.namespace.clone(),
            ..Right::default()
        };
        for of in reach.tidb_clusters.iter().map(|(of, _)| of).chain(&reach.made) {
            for verb in ["get", "create", "update"] {
                add(true, "only one run at a time drives a Database", at(of, verb, "coordination.k8s.io", "leases"));
            }
            add(true, "whether another run is open", at(of, "list", "", "configmaps"));
        }
        for verb in ["get", "create", "update"] {
            add(true, "the run's record, so that another person can take over", at(target, verb, "", "configmaps"));
        }
    }
    if let Some(context) = &reach.second_person_in {
        for resource in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
            let right = Right {
                context: context.clone(),
                verb: "get".into(),
                group: "admissionregistration.k8s.io".into(),
                resource: resource.into(),
                name: APPROVALS_POLICY.into(),
                ..Right::default()
            };
            let why =
                "whether the API server vouches for the second person's name; without it only their own tidepilot does";
            add(false, why, right);
        }
    }
    for need in actions.into_iter().flat_map(|action| action.kind().rights(reach)) {
        add(need.required, need.why, need.right);
    }
    all.into_values().collect()
}
