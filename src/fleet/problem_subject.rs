//! What a problem or a finding is about: one object, said so that it cannot be mistaken for another.

use serde::{Serialize, Serializer};

use super::ObjectRef;

/// What kind of thing it is; the order is that of the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    Certificate,
    Database,
    Issuer,
    KubeCluster,
    Claim,
    Pod,
    Secret,
    TidbCluster,
    Command,
    Document,
    Key,
    Member,
    Store,
    Variable,
}

impl SubjectKind {
    pub fn word(self) -> &'static str {
        match self {
            SubjectKind::Certificate => "Certificate",
            SubjectKind::Database => "Database",
            SubjectKind::Issuer => "Issuer",
            SubjectKind::KubeCluster => "KubeCluster",
            SubjectKind::Claim => "PersistentVolumeClaim",
            SubjectKind::Pod => "Pod",
            SubjectKind::Secret => "Secret",
            SubjectKind::TidbCluster => "TidbCluster",
            SubjectKind::Command => "command",
            SubjectKind::Document => "document",
            SubjectKind::Key => "key",
            SubjectKind::Member => "member",
            SubjectKind::Store => "store",
            SubjectKind::Variable => "variable",
        }
    }
}

impl Serialize for SubjectKind {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.word())
    }
}

/// What a finding is about. A KubeCluster has no namespace; a member or store none either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub kind: SubjectKind,
    pub context: String,
    pub namespace: String,
    pub name: String,
}

impl Subject {
    pub fn object(kind: SubjectKind, at: &ObjectRef) -> Self {
        Self { kind, context: at.context.clone(), namespace: at.namespace.clone(), name: at.name.clone() }
    }

    pub fn tidb_cluster(at: &ObjectRef) -> Self {
        Self::object(SubjectKind::TidbCluster, at)
    }

    pub fn cluster(context: &str) -> Self {
        Self {
            kind: SubjectKind::KubeCluster,
            context: context.to_owned(),
            namespace: String::new(),
            name: String::new(),
        }
    }

    /// A member, a store or a whole Database: things of PD, in no single KubeCluster.
    pub fn of_pd(kind: SubjectKind, name: impl Into<String>) -> Self {
        Self { kind, context: String::new(), namespace: String::new(), name: name.into() }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.context, &self.namespace, &self.name].into_iter().filter(|part| !part.is_empty());
        write!(f, "{} {}", self.kind.word(), parts.map(String::as_str).collect::<Vec<_>>().join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Findings of one severity stand in the order of their subjects.
    #[test]
    fn kinds_stand_in_the_order_of_their_words() {
        let all = [
            SubjectKind::Certificate,
            SubjectKind::Database,
            SubjectKind::Issuer,
            SubjectKind::KubeCluster,
            SubjectKind::Claim,
            SubjectKind::Pod,
            SubjectKind::Secret,
            SubjectKind::TidbCluster,
            SubjectKind::Command,
            SubjectKind::Document,
            SubjectKind::Key,
            SubjectKind::Member,
            SubjectKind::Store,
            SubjectKind::Variable,
        ];
        assert!(all.is_sorted() && all.map(SubjectKind::word).is_sorted());
    }
}
