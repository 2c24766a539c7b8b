//! What could not be seen, with its kind and what it is about: `unseen[]` and `notSeen[]` of every document.
//!
//! A sentence may change its words from one release to the next; its id does not. Not here: what is wrong
//! ([`super::problem`]), who finds out what is not seen ([`super::database`], [`super::kube_cluster_problems`], [`crate::hazards`]).

use std::ops::Deref;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::problem_subject::Subject;

/// What kind of thing is not seen, or not known for want of being seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotSeenKind {
    /// A KubeCluster is stale, unreachable, forbidden, without a login, or was never seen.
    KubeClusterNotLive,
    /// Whether the API server serves TidbClusters at all.
    CustomResourceUnread,
    /// No TidbCluster was found anywhere.
    NoTidbCluster,
    /// The operator has written no Ready condition.
    ReadyConditionMissing,
    /// A component of another release, which is not known here.
    ComponentUnknown,
    PdPodSilent,
    /// A PD pod answered a part of what it was asked.
    PdAnswerPartial,
    /// No PD pod of the Database answers now.
    PdSilent,
    /// No PD pod that is seen reaches PD's leader.
    PdLeaderNotSeen,
    /// Placement rules, region counts and other things that are asked for seldom.
    PdDetailsUnread,
    SchedulersUnread,
    MemberNotConnected,
    MemberHealthUnknown,
    StoreNotConnected,
    /// PD counts no region leader at all: stores hold regions, and whether any is served is not known.
    RegionLeadersNotSeen,
    /// `spec.cluster` names a TidbCluster in no connected context.
    ReferenceNotConnected,
    /// `spec.cluster` fits several TidbClusters.
    ReferenceAmbiguous,
    /// A TidbCluster may belong to the Database, and nobody can tell.
    TidbClusterUnassigned,
    /// A TidbCluster says that it belongs to the Database, and PD tells nothing of it.
    TidbClusterUnconfirmed,
    TlsSecretsUnread,
    /// Claims, events or the operator's Deployment of a KubeCluster.
    ObjectsUnread,
    LeasesUnread,
    PodsUnread,
    RunsUnread,
    /// A file, or a part of one, that cannot be read as what it is.
    FileUnreadable,
    /// A file, or a part of one, that was read and not judged.
    FileNotJudged,
}

impl NotSeenKind {
    pub const ALL: [NotSeenKind; 26] = [
        NotSeenKind::KubeClusterNotLive,
        NotSeenKind::CustomResourceUnread,
        NotSeenKind::NoTidbCluster,
        NotSeenKind::ReadyConditionMissing,
        NotSeenKind::ComponentUnknown,
        NotSeenKind::PdPodSilent,
        NotSeenKind::PdAnswerPartial,
        NotSeenKind::PdSilent,
        NotSeenKind::PdLeaderNotSeen,
        NotSeenKind::PdDetailsUnread,
        NotSeenKind::SchedulersUnread,
        NotSeenKind::MemberNotConnected,
        NotSeenKind::MemberHealthUnknown,
        NotSeenKind::StoreNotConnected,
        NotSeenKind::RegionLeadersNotSeen,
        NotSeenKind::ReferenceNotConnected,
        NotSeenKind::ReferenceAmbiguous,
        NotSeenKind::TidbClusterUnassigned,
        NotSeenKind::TidbClusterUnconfirmed,
        NotSeenKind::TlsSecretsUnread,
        NotSeenKind::ObjectsUnread,
        NotSeenKind::LeasesUnread,
        NotSeenKind::PodsUnread,
        NotSeenKind::RunsUnread,
        NotSeenKind::FileUnreadable,
        NotSeenKind::FileNotJudged,
    ];

    /// As programs know it: no release gives it another meaning.
    pub fn id(self) -> &'static str {
        match self {
            NotSeenKind::KubeClusterNotLive => "kube-cluster-not-live",
            NotSeenKind::CustomResourceUnread => "custom-resource-unread",
            NotSeenKind::NoTidbCluster => "no-tidb-cluster",
            NotSeenKind::ReadyConditionMissing => "ready-condition-missing",
            NotSeenKind::ComponentUnknown => "component-unknown",
            NotSeenKind::PdPodSilent => "pd-pod-silent",
            NotSeenKind::PdAnswerPartial => "pd-answer-partial",
            NotSeenKind::PdSilent => "pd-silent",
            NotSeenKind::PdLeaderNotSeen => "pd-leader-not-seen",
            NotSeenKind::PdDetailsUnread => "pd-details-unread",
            NotSeenKind::SchedulersUnread => "schedulers-unread",
            NotSeenKind::MemberNotConnected => "member-not-connected",
            NotSeenKind::MemberHealthUnknown => "member-health-unknown",
            NotSeenKind::StoreNotConnected => "store-not-connected",
            NotSeenKind::RegionLeadersNotSeen => "region-leaders-not-seen",
            NotSeenKind::ReferenceNotConnected => "reference-not-connected",
            NotSeenKind::ReferenceAmbiguous => "reference-ambiguous",
            NotSeenKind::TidbClusterUnassigned => "tidb-cluster-unassigned",
            NotSeenKind::TidbClusterUnconfirmed => "tidb-cluster-unconfirmed",
            NotSeenKind::TlsSecretsUnread => "tls-secrets-unread",
            NotSeenKind::ObjectsUnread => "objects-unread",
            NotSeenKind::LeasesUnread => "leases-unread",
            NotSeenKind::PodsUnread => "pods-unread",
            NotSeenKind::RunsUnread => "runs-unread",
            NotSeenKind::FileUnreadable => "file-unreadable",
            NotSeenKind::FileNotJudged => "file-not-judged",
        }
    }
}

/// One thing that is not seen. It reads as its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSeen {
    pub kind: NotSeenKind,
    /// Name of the Database; `None` where it is about the fleet, or a file.
    pub database: Option<String>,
    /// The nearest first; empty where it is about no object.
    pub about: Vec<Subject>,
    pub sentence: String,
}

impl NotSeen {
    pub fn new(kind: NotSeenKind, about: impl IntoIterator<Item = Subject>, sentence: impl Into<String>) -> Self {
        Self { kind, database: None, about: about.into_iter().collect(), sentence: sentence.into() }
    }

    /// Of this Database, said so where Databases stand side by side.
    pub fn within(&self, database: &str) -> Self {
        let sentence = format!("{database}: {}", self.sentence);
        Self { database: Some(database.to_owned()), sentence, ..self.clone() }
    }

    /// Of this Database, in its own words.
    pub fn of(self, database: &str) -> Self {
        Self { database: Some(database.to_owned()), ..self }
    }
}

impl Deref for NotSeen {
    type Target = str;

    fn deref(&self) -> &str {
        &self.sentence
    }
}

impl std::fmt::Display for NotSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Serialize for NotSeen {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut fields = out.serialize_map(Some(5))?;
        fields.serialize_entry("id", self.kind.id())?;
        fields.serialize_entry("kind", "unseen")?;
        fields.serialize_entry("database", &self.database)?;
        fields.serialize_entry("subjects", &self.about)?;
        fields.serialize_entry("sentence", &self.sentence)?;
        fields.end()
    }
}

/// What is not seen of one thing. In a document it is two lists: `unseen`, the sentences, and `notSeen`, the same for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotSeenList(Vec<NotSeen>);

impl NotSeenList {
    pub fn push(&mut self, one: NotSeen) {
        self.0.push(one);
    }

    /// All of this Database, in their own words.
    pub fn of(self, database: &str) -> Self {
        Self(self.0.into_iter().map(|one| one.of(database)).collect())
    }

    pub fn extend(&mut self, more: impl IntoIterator<Item = NotSeen>) {
        self.0.extend(more);
    }
}

impl From<Vec<NotSeen>> for NotSeenList {
    fn from(all: Vec<NotSeen>) -> Self {
        Self(all)
    }
}

impl Deref for NotSeenList {
    type Target = [NotSeen];

    fn deref(&self) -> &[NotSeen] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a NotSeenList {
    type Item = &'a NotSeen;
    type IntoIter = std::slice::Iter<'a, NotSeen>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for NotSeenList {
    type Item = NotSeen;
    type IntoIter = std::vec::IntoIter<NotSeen>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for NotSeenList {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut lists = out.serialize_map(Some(2))?;
        lists.serialize_entry("unseen", &self.0.iter().map(|one| &one.sentence).collect::<Vec<_>>())?;
        lists.serialize_entry("notSeen", &self.0)?;
        lists.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words_and_each_stands_once() {
        let ids: std::collections::BTreeSet<&str> = NotSeenKind::ALL.iter().map(|kind| kind.id()).collect();
        assert_eq!(ids.len(), NotSeenKind::ALL.len());
        assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')), "{ids:?}");
    }

    /// What a program may meet stands on the page and in the schemas.
    #[test]
    fn every_id_is_documented() {
        let page = include_str!("../../docs/formats.md");
        let schemas = [
            include_str!("../../assets/schemas/status.json"),
            include_str!("../../assets/schemas/check.json"),
            include_str!("../../assets/schemas/diagnose.json"),
        ];
        for id in NotSeenKind::ALL.map(NotSeenKind::id) {
            assert!(page.contains(&format!("| `{id}` |")), "{id} is not in docs/formats.md");
            assert!(schemas.iter().all(|schema| schema.contains(&format!("\"{id}\""))), "{id} is not in the schemas");
        }
    }
}
