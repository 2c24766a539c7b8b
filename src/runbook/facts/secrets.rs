//! `k8s.secret`: is a Secret of that name there beside each TidbCluster of the Database, and which keys does it have?
//!
//! For Secrets that somebody else makes and a pod mounts: one that is not there keeps the pod waiting for ever. Only names
//! of keys get here, no value. Not here: the Secrets with certificates ([`super::tls`]).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::fleet::certificate_facts::SecretFacts;
use crate::fleet::database::database_of;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::{Fleet, ObjectRef};

/// One Secret that has to be there.
#[derive(Serialize, JsonSchema)]
pub(super) struct SecretFact {
    /// `CONTEXT/NAMESPACE/NAME`.
    #[serde(rename = "ref")]
    of: String,
    context: String,
    namespace: String,
    /// Absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
    /// Names of its keys; absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<BTreeSet<String>>,
}

/// The places of a Secret: where `of` says, and in the namespace of each other TidbCluster of the Databases that have one there.
fn places(of: &ObjectRef, fleet: &Fleet) -> BTreeSet<ObjectRef> {
    let here = |at: &ObjectRef| (&at.context, &at.namespace) == (&of.context, &of.namespace);
    let beside = fleet.tidb_clusters().map(|(at, _)| at).filter(here);
    let all = beside.filter_map(|at| database_of(fleet, &at)).flat_map(|database| database.tidb_clusters);
    all.map(|at| ObjectRef::new(&at.context, &at.namespace, &of.name)).chain([of.clone()]).collect()
}

pub(super) fn objects(of: &ObjectRef, fleet: &Fleet) -> Vec<ObjectId> {
    places(of, fleet).iter().map(|at| ObjectId::new(ObjectKind::Secret, at)).collect()
}

pub(super) fn secrets(of: &ObjectRef, fleet: &Fleet) -> Vec<SecretFact> {
    let fact = |at: ObjectRef| {
        let (exists, keys) = match fleet.sight(&ObjectId::new(ObjectKind::Secret, &at)) {
            Some(Lookup::Present(secret)) => {
                (Some(true), Some(SecretFacts::of(secret).map(|facts| facts.keys).unwrap_or_default()))
            }
            Some(Lookup::Absent) => (Some(false), Some(BTreeSet::new())),
            Some(Lookup::Unseen(_)) | None => (None, None),
        };
        SecretFact { of: at.to_string(), context: at.context, namespace: at.namespace, exists, keys }
    };
    places(of, fleet).into_iter().map(fact).collect()
}
