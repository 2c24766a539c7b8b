//! A right, what it is for, and what is known beside an action when it is asked which ones it needs.
//!
//! Pure. Not here: the rights of a whole plan ([`crate::runbook::plan::required_rights`]).

use std::collections::BTreeSet;

use crate::fleet::ObjectRef;
use crate::fleet::closer_look::Extras;
use crate::fleet::object_kind::{ObjectId, ObjectKind};

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

/// What was made is deleted by an undo.
const BACK: &str = "rollback: what this run made is deleted again; without it `runs undo` is refused here";

/// An upgrade of a request to a pod.
pub(in crate::runbook) fn upgrade(of: &ObjectRef, verb: &str, subresource: &str) -> Right {
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
