//! The object under the cursor, and the keys that are about it: logs, events, YAML, description, difference.
//!
//! A key that does nothing for what is under the cursor says so; it never stays silent. Not here: what those views show.

use super::keymap::Command;
use super::message::Effect;
use super::rows::{Item, Row};
use super::words::Level;
use super::{App, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::database::{Member, StoreRow};
use crate::fleet::subject::Subject as Object;

impl App {
    /// The Kubernetes object that the view is about, or that the row under the cursor stands for: of a member and of a
    /// store its pod.
    pub fn object(&self) -> Option<Object> {
        match self.view() {
            View::Detail(subject) => self.object_of(subject),
            _ => self.object_of_row(&self.row()?),
        }
    }

    /// The objects that are marked, or the one under the cursor.
    pub fn objects(&self) -> Vec<Object> {
        let marks = &self.screen().marks;
        let marked: Vec<Object> = {
            let rows = self.rows();
            rows.iter().filter(|row| marks.contains(&row.key)).filter_map(|row| self.object_of_row(row)).collect()
        };
        if marked.is_empty() { self.object().into_iter().collect() } else { marked }
    }

    fn object_of_row(&self, row: &Row) -> Option<Object> {
        match &row.item {
            Item::Pod(of) => Some(Object::object("Pod", of)),
            Item::Finding(index) => self.checked().findings.get(*index)?.subjects.first().cloned(),
            _ => self.object_of(&self.subject(row)?),
        }
    }

    fn object_of(&self, subject: &Subject) -> Option<Object> {
        match subject {
            Subject::Pod(of) => Some(Object::object("Pod", of)),
            Subject::TidbCluster(of) => Some(Object::tidb_cluster(of)),
            Subject::Cluster(context) => Some(Object::cluster(context)),
            Subject::Member(id) => {
                let member = self.database()?.member(*id)?;
                Some(Object::object("Pod", &member_pod(member)?))
            }
            Subject::Store(id) => {
                let store = self.database()?.stores.iter().find(|row| row.store.id == *id)?;
                Some(Object::object("Pod", &store_pod(store)?))
            }
            Subject::Finding(key) => self.finding(key)?.subjects.first().cloned(),
            Subject::Certificate(key) => {
                let one = self.certificate(key)?;
                Some(Object::object("Secret", &ObjectRef::new(&one.of.context, &one.of.namespace, &one.secret)))
            }
            Subject::Sentence(_) => None,
        }
    }

    /// Carries out a key that is about the object under the cursor.
    pub(super) fn on_object(&mut self, command: Command, _effects: &mut Vec<Effect>) {
        if command == Command::Describe {
            if let Some(subject) = self.row().and_then(|row| self.subject(&row)) {
                self.go(View::Detail(subject));
            }
            return;
        }
        let sentence = nothing_here(command, self.object().as_ref());
        self.say(Level::Unknown, sentence);
    }
}

/// Why a key does nothing for what is under the cursor, and where it would.
pub fn nothing_here(command: Command, object: Option<&Object>) -> String {
    let (what, of) = match command {
        Command::Logs | Command::PreviousLogs => ("no logs", "a pod, a member or a store"),
        Command::Events => ("no events", "a pod, a member, a store or a TidbCluster"),
        Command::Yaml => ("no YAML", "a pod or a TidbCluster"),
        Command::Diff => ("nothing to compare", "a pod or a TidbCluster that has a namesake in another cluster"),
        _ => ("nothing", "a row"),
    };
    match object {
        Some(object) => format!("{what} here of {object}: put the cursor on {of}"),
        None => format!("{what} here: put the cursor on {of}"),
    }
}

/// The pod of a member.
pub fn member_pod(member: &Member) -> Option<ObjectRef> {
    Some(ObjectRef::new(member.kube_cluster.as_ref()?, member.namespace.as_ref()?, member.pod.as_ref()?))
}

/// The pod of a store.
pub fn store_pod(row: &StoreRow) -> Option<ObjectRef> {
    Some(ObjectRef::new(row.kube_cluster.as_ref()?, &row.of.as_ref()?.namespace, row.pod.as_ref()?))
}
