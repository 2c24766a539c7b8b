//! Only one namespace is shown, in all clusters at once: which there are, what lies in it, and how it is chosen.
//!
//! As the focus on one cluster it narrows what is listed, never what is judged: the header and the problems of a Database stay
//! whole. Not here: the list (`views::namespaces`).

use std::collections::{BTreeMap, BTreeSet};

use super::status_level::Level;
use super::views::{Item, Row};
use super::{App, View};
use crate::fleet::ObjectRef;

/// What lies in one namespace, over all clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    pub contexts: BTreeSet<String>,
    pub tidb_clusters: usize,
    pub pods: usize,
}

impl App {
    /// The namespaces with something of TiDB Operator, by name.
    pub fn namespaces(&self) -> BTreeMap<String, Namespace> {
        let mut all: BTreeMap<String, Namespace> = BTreeMap::new();
        for cluster in self.fleet.clusters.values().filter(|cluster| self.in_focus(Some(&cluster.context))) {
            for key in cluster.tidb_clusters.keys() {
                let one = all.entry(key.namespace.clone()).or_default();
                one.contexts.insert(cluster.context.clone());
                one.tidb_clusters += 1;
            }
            for key in cluster.pods.keys() {
                let one = all.entry(key.namespace.clone()).or_default();
                one.contexts.insert(cluster.context.clone());
                one.pods += 1;
            }
        }
        all
    }

    /// Whether something of this namespace may be shown; what belongs to none always is.
    pub fn in_namespace(&self, namespace: Option<&str>) -> bool {
        match (&self.namespace, namespace) {
            (Some(only), Some(namespace)) => only == namespace,
            _ => true,
        }
    }

    /// Whether a row may be shown, by what it stands for.
    pub(super) fn row_in_namespace(&self, row: &Row) -> bool {
        if self.namespace.is_none() {
            return true;
        }
        let of = |of: &ObjectRef| self.in_namespace(Some(&of.namespace));
        match &row.item {
            Item::Pod(one) | Item::TidbCluster(one) => of(one),
            Item::Member(index) => {
                let member = self.database().and_then(|database| database.members.get(*index));
                self.in_namespace(member.and_then(|member| member.place.namespace()))
            }
            Item::Store(index) => {
                let store = self.database().and_then(|database| database.stores.get(*index));
                self.in_namespace(store.and_then(|store| store.place.namespace()))
            }
            Item::Certificate(index) => self.certificates().get(*index).is_none_or(|one| of(&one.of)),
            Item::Database(index) => {
                self.databases().get(*index).is_none_or(|database| database.tidb_clusters.iter().any(of))
            }
            Item::Finding(index) => self.checked().findings.get(*index).is_none_or(|finding| {
                let mut named = finding.subjects.iter().filter(|one| !one.namespace.is_empty()).peekable();
                named.peek().is_none() || named.any(|one| self.in_namespace(Some(&one.namespace)))
            }),
            Item::Happened { about, .. } => self.in_namespace(about.as_ref().map(|about| about.namespace.as_str())),
            Item::Forward(index) => self.forwards.get(*index).is_none_or(|one| of(&one.pod)),
            Item::Run(index) => {
                self.runs.get(*index).is_none_or(|run| ObjectRef::parse(&run.target).map_or(true, |target| of(&target)))
            }
            Item::Instance(_)
            | Item::Cluster(_)
            | Item::Namespace(_)
            | Item::Problem(_)
            | Item::Runbook { .. }
            | Item::Line => true,
        }
    }

    /// Shows this namespace only, or all of them; where the Database in front has no part in it, one that has comes in front.
    pub(super) fn show_namespace(&mut self, namespace: Option<String>) {
        if let Some(name) = &namespace {
            if !self.namespaces().contains_key(name) {
                let text =
                    format!("nothing of TiDB Operator is seen in namespace {name:?}; :ns lists those that have some");
                return self.say(Level::Bad, text);
            }
            let here = |of: &ObjectRef| of.namespace == *name;
            let shown = self.database().is_some_and(|database| database.tidb_clusters.iter().any(here));
            let other = self.databases().iter().position(|database| database.tidb_clusters.iter().any(here));
            if let (false, Some(index)) = (shown, other) {
                self.choose_database(index);
            }
        }
        let text = match &namespace {
            Some(name) => {
                format!("only namespace {name}, in every cluster; 0 or :ns all shows every one")
            }
            None => "every namespace".to_owned(),
        };
        self.namespace = namespace;
        self.say(Level::Done, text);
    }

    /// From their list: the one under the cursor, in the views from then on.
    pub(super) fn open_namespace(&mut self, namespace: Option<String>) {
        self.show_namespace(namespace);
        self.switch(View::Overview);
    }

    /// What lists are narrowed to, in one text: rows that were computed under another are none of this.
    pub(super) fn narrowed(&self) -> Option<String> {
        match (&self.focus, &self.namespace) {
            (None, None) => None,
            (focus, namespace) => {
                Some(format!("{} {}", focus.as_deref().unwrap_or_default(), namespace.as_deref().unwrap_or_default()))
            }
        }
    }
}
