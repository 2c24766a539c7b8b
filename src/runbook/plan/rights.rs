//! Which rights a plan needs, derived from its actions and from the reads that every decision stands on.
//!
//! One source for two uses: the preflight asks for each of them (`client::kube::rights`), and `tidepilot rbac` prints them
//! as Roles. Pure. Not here: asking, printing.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::ObjectRef;
use crate::fleet::extras::{Extra, Extras};
use crate::fleet::object::{ObjectId, ObjectKind};
use crate::runbook::action::Action;

/// One right in one context.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub context: String,
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    pub resource: String,
    /// Empty: the object itself.
    pub subresource: String,
    /// Empty: at cluster scope, or in every namespace.
    pub namespace: String,
    /// Empty: whatever the name.
    pub name: String,
}

/// A right and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    pub right: Right,
    /// Without it the run is refused before its first step; else something is only not known, and said so.
    pub required: bool,
    pub why: &'static str,
}

/// What is known beside the plan.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The TidbClusters of the Database, and whether TLS is on.
    pub tidb_clusters: Vec<(ObjectRef, bool)>,
    /// Of these, the ones that are not there and whose PD nobody asks.
    pub without_pd: BTreeSet<ObjectRef>,
    /// TidbClusters that will be there, and whose PD will be asked then.
    pub later: BTreeSet<ObjectRef>,
    /// `-n`: only this namespace is listed.
    pub namespace: Option<String>,
    /// The TidbClusters that the run makes: the lease lies where they will be, too.
    pub made: Vec<ObjectRef>,
    /// PD's certificate comes from files, not from a Secret.
    pub own_certificate: bool,
    /// Where the run's record lies in a cluster: the TidbCluster whose namespace holds it. `None` with
    /// `--local-only`, which takes no lease either.
    pub journal_in: Option<ObjectRef>,
    /// Where a second person approves a step of the plan: their cluster.
    pub second_person_in: Option<String>,
    /// The contexts whose volume claims the runbook asks for.
    pub claims_in: BTreeSet<String>,
    /// What the runbook's facts have read on a closer look, wherever it may be.
    pub extras: Extras,
    /// The objects that the runbook's facts are answered from.
    pub reads: BTreeSet<ObjectId>,
}

/// Name of the admission policy of approvals and of its binding, as `assets/rbac/approvals-policy.yaml` has them.
pub const APPROVALS_POLICY: &str = "tidepilot-approvals";

/// What was made is deleted by an undo.
const BACK: &str = "rollback: what this run made is deleted again; without it `runs undo` is refused here";

/// An upgrade of a request to a pod.
fn upgrade(of: &ObjectRef, verb: &str, subresource: &str) -> Right {
    Right {
        context: of.context.clone(),
        verb: verb.into(),
        resource: "pods".into(),
        subresource: subresource.into(),
        namespace: of.namespace.clone(),
        ..Right::default()
    }
}

impl Need {
    pub(in crate::runbook) fn required(right: Right, why: &'static str) -> Self {
        Self { right, required: true, why }
    }

    /// What a WebSocket to the pods of a place needs: get and, from Kubernetes 1.35 on, create too.
    pub(in crate::runbook) fn upgrade(of: &ObjectRef, subresource: &str, why: &'static str) -> [Self; 2] {
        ["get", "create"].map(|verb| Self::required(upgrade(of, verb, subresource), why))
    }

    /// What asking PD needs.
    pub(in crate::runbook) fn pd(of: &ObjectRef) -> Vec<Self> {
        Self::upgrade(of, "portforward", "PD is asked through its own pod").into()
    }

    /// What making an object needs, and deleting it again.
    pub(in crate::runbook) fn made(kind: ObjectKind, at: &ObjectRef, why: &'static str) -> Vec<Self> {
        let mut needs: Vec<Self> = ["get", "create"].map(|verb| Self::required(of_object(kind, at, verb), why)).into();
        needs.push(Self { right: of_object(kind, at, "delete"), required: false, why: BACK });
        needs
    }
}

/// A right on one object; creating takes no name.
pub(in crate::runbook) fn of_object(kind: ObjectKind, at: &ObjectRef, verb: &str) -> Right {
    Right {
        context: at.context.clone(),
        verb: verb.into(),
        group: kind.group().into(),
        resource: kind.plural().into(),
        namespace: if kind.namespaced() { at.namespace.clone() } else { String::new() },
        name: if verb == "create" { String::new() } else { at.name.clone() },
        ..Right::default()
    }
}

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
            add(true, "what every decision stands on", Right { namespace, ..at("list", group, resource) });
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
