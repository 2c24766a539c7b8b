//! What a problem or a finding is about: one object, said so that it cannot be mistaken for another.

use serde::Serialize;

use super::ObjectRef;

/// What a finding is about. A KubeCluster has no namespace; a member or store none either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `TidbCluster`, `KubeCluster`, `Pod`, `Secret`, `PersistentVolumeClaim`, `member`, `store`, `Database`
    pub kind: &'static str,
    pub context: String,
    pub namespace: String,
    pub name: String,
}

impl Subject {
    pub fn object(kind: &'static str, at: &ObjectRef) -> Self {
        Self { kind, context: at.context.clone(), namespace: at.namespace.clone(), name: at.name.clone() }
    }

    pub fn tidb_cluster(at: &ObjectRef) -> Self {
        Self::object("TidbCluster", at)
    }

    pub fn cluster(context: &str) -> Self {
        Self { kind: "KubeCluster", context: context.to_owned(), namespace: String::new(), name: String::new() }
    }

    /// A member, a store or a whole Database: things of PD, in no single KubeCluster.
    pub fn of_pd(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, context: String::new(), namespace: String::new(), name: name.into() }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.context, &self.namespace, &self.name].into_iter().filter(|part| !part.is_empty());
        write!(f, "{} {}", self.kind, parts.map(String::as_str).collect::<Vec<_>>().join("/"))
    }
}
