//! Which rights a plan needs, derived from its actions and from the reads that every decision stands on.
//!
//! One source for two uses: the preflight asks for each of them (`client::kube::rights`), and `tidepilot rbac` prints them
//! as Roles. Pure. Not here: asking, printing.

use std::collections::BTreeMap;

use crate::fleet::ObjectRef;
use crate::fleet::closer_look::Extra;
use crate::runbook::actions::Action;
use crate::runbook::actions::right_types::{Need, Reach, Right, of_object, upgrade};

/// Name of the admission policy of approvals and of its binding, as `assets/rbac/approvals-policy.yaml` has them.
pub const APPROVALS_POLICY: &str = "tidepilot-approvals";

/// Every right, once, in order. A WebSocket upgrade needs get and, from Kubernetes 1.35 on, create too
/// (`facts-kubernetes.md`), so both are asked for.
pub fn needs<'a>(
    contexts: impl IntoIterator<Item = &'a String>,
    actions: impl IntoIterator<Item = &'a Action>,
    reach: &Reach,
) -> Vec<Need> {
    let mut needs = Needs::default();
    for context in contexts {
        needs.of_a_look(context, reach);
    }
    needs.of_pd(reach);
    needs.of_events(reach);
    for read in &reach.reads {
        let at = ObjectRef::new(&read.context, &read.namespace, &read.name);
        needs.add(true, "a check is told from it", of_object(read.kind, &at, "get"));
    }
    if let Some(target) = &reach.journal_in {
        needs.of_the_record(target, reach);
    }
    if let Some(context) = &reach.second_person_in {
        needs.of_approvals(context);
    }
    for need in actions.into_iter().flat_map(|action| action.kind().rights(reach)) {
        needs.add(need.required, need.why, need.right);
    }
    needs.0.into_values().collect()
}

fn cluster_wide(context: &str, verb: &str, group: &str, resource: &str) -> Right {
    Right {
        context: context.to_owned(),
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        ..Right::default()
    }
}

/// In the namespace of `of`, whatever the name.
fn within(of: &ObjectRef, verb: &str, group: &str, resource: &str) -> Right {
    Right { namespace: of.namespace.clone(), ..cluster_wide(&of.context, verb, group, resource) }
}

/// Each right with what it is needed for; one that is needed twice is required if it is so once.
#[derive(Default)]
struct Needs(BTreeMap<Right, Need>);

impl Needs {
    fn add(&mut self, required: bool, why: &'static str, right: Right) {
        let known = self.0.entry(right.clone()).or_insert(Need { right, required, why });
        known.required |= required;
    }

    /// What a cluster is, and the objects in it.
    fn of_a_look(&mut self, context: &str, reach: &Reach) {
        let at = |verb: &str, group: &str, resource: &str| cluster_wide(context, verb, group, resource);
        let uid = Right { name: "kube-system".into(), ..at("get", "", "namespaces") };
        self.add(true, "which cluster this is: the run is bound to its uid", uid);
        let crd = at("get", "apiextensions.k8s.io", "customresourcedefinitions");
        let crd = Right { name: "tidbclusters.pingcap.com".into(), ..crd };
        self.add(false, "whether the CRD knows acrossK8s; without it a warning", crd);
        self.add(false, "the version of TiDB Operator; without it a warning", at("list", "apps", "deployments"));
        let dns = Right { namespace: "kube-system".into(), name: "coredns".into(), ..at("get", "", "configmaps") };
        self.add(false, "which DNS domain the cluster really has; without it pods are asked, or it stays open", dns);
        let namespace = reach.namespace.clone().unwrap_or_default();
        for (group, resource) in [("pingcap.com", "tidbclusters"), ("", "pods"), ("apps", "statefulsets")] {
            let within = |verb| Right { namespace: namespace.clone(), ..at(verb, group, resource) };
            self.add(true, "what every decision stands on", within("list"));
            self.add(false, "a run that waits is woken by it; without it it looks every 2 s", within("watch"));
        }
        let claims = Right { namespace, ..at("list", "", "persistentvolumeclaims") };
        if reach.extras.has(Extra::Claims) {
            let why = "which volumes are there, and what becomes of them; without it they stay unseen";
            self.add(false, why, claims.clone());
            self.add(false, why, at("list", "", "persistentvolumes"));
        }
        if reach.claims_in.contains(context) {
            self.add(true, "which volumes stay behind", claims);
        }
    }

    /// The way to PD, and its certificate.
    fn of_pd(&mut self, reach: &Reach) {
        let with_pd = || reach.tidb_clusters.iter().filter(|(of, _)| !reach.without_pd.contains(of));
        for of in reach.later.iter().chain(with_pd().map(|(of, _)| of)) {
            for verb in ["get", "create"] {
                self.add(true, "PD is asked through its own pod", upgrade(of, verb, "portforward"));
            }
        }
        for (of, _) in with_pd().filter(|(_, tls)| *tls && !reach.own_certificate) {
            let name = format!("{}-cluster-client-secret", of.name);
            let secret = Right { name, ..within(of, "get", "", "secrets") };
            self.add(true, "the certificate for PD; or give --pd-ca, --pd-cert and --pd-key", secret);
        }
    }

    fn of_events(&mut self, reach: &Reach) {
        if reach.extras.has(Extra::Events) {
            for of in reach.tidb_clusters.iter().map(|(of, _)| of).chain(&reach.later) {
                let why = "what the operator complains of; without it a refusal is only waited out";
                self.add(false, why, within(of, "list", "", "events"));
            }
        }
    }

    /// The lease, the run's record, and those of others.
    fn of_the_record(&mut self, target: &ObjectRef, reach: &Reach) {
        for of in reach.tidb_clusters.iter().map(|(of, _)| of).chain(&reach.made) {
            for verb in ["get", "create", "update"] {
                let lease = within(of, verb, "coordination.k8s.io", "leases");
                self.add(true, "only one run at a time drives a Database", lease);
            }
            self.add(true, "whether another run is open", within(of, "list", "", "configmaps"));
        }
        for verb in ["get", "create", "update"] {
            let record = within(target, verb, "", "configmaps");
            self.add(true, "the run's record, so that another person can take over", record);
        }
    }

    /// Whether names of second persons are vouched for.
    fn of_approvals(&mut self, context: &str) {
        let why =
            "whether the API server vouches for the second person's name; without it only their own tidepilot does";
        for resource in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
            let policy = cluster_wide(context, "get", "admissionregistration.k8s.io", resource);
            self.add(false, why, Right { name: APPROVALS_POLICY.into(), ..policy });
        }
    }
}
