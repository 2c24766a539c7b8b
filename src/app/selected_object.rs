//! The object under the cursor, and the keys that are about it: logs, events, YAML, description, difference.
//!
//! A key that does nothing for what is under the cursor says so; it never stays silent. Not here: what those views show.

use super::keymap::Command;
use super::message::Effect;
use super::status_level::Level;
use super::visible_rows::{Item, Row};
use super::{App, Screen, Subject, View};
use crate::fleet::ObjectRef;
use crate::fleet::database::{Database, Member, StoreRow};
use crate::fleet::logs_and_events::{Kind, Thing};
use crate::fleet::problem_subject::{Subject as Object, SubjectKind};
use crate::fleet::workload::Pod;
use crate::hazards::Finding;

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
            Item::Pod(of) => Some(Object::object(SubjectKind::Pod, of)),
            Item::Happened { about, .. } => about.clone(),
            Item::Finding(index) => self.object_of_finding(self.checked().findings.get(*index)?),
            _ => self.object_of(&self.subject(row)?),
        }
    }

    fn object_of(&self, subject: &Subject) -> Option<Object> {
        match subject {
            Subject::Pod(of) => Some(Object::object(SubjectKind::Pod, of)),
            Subject::TidbCluster(of) => Some(Object::tidb_cluster(of)),
            Subject::Cluster(context) => Some(Object::cluster(context)),
            Subject::Member(id) => {
                let member = self.database()?.member(*id)?;
                Some(Object::object(SubjectKind::Pod, &member_pod(member)?))
            }
            Subject::Store(id) => {
                let store = self.database()?.stores.iter().find(|row| row.store.id == *id)?;
                Some(Object::object(SubjectKind::Pod, &store_pod(store)?))
            }
            Subject::Finding(key) => self.object_of_finding(self.finding(key)?),
            Subject::Certificate(key) => {
                let one = self.certificate(key)?;
                Some(Object::object(
                    SubjectKind::Secret,
                    &ObjectRef::new(&one.of.context, &one.of.namespace, &one.secret),
                ))
            }
            Subject::Sentence(_) | Subject::Run(_) => None,
        }
    }

    /// What a finding is about first: of a member and of a store its pod, where that is seen.
    fn object_of_finding(&self, finding: &Finding) -> Option<Object> {
        let first = finding.subjects.first()?;
        let own = |database: &&Database| finding.database.as_ref() == Some(&database.name);
        let database = self.databases().iter().find(own).or_else(|| self.database());
        let pod = match (first.kind, database) {
            (SubjectKind::Store, Some(database)) => {
                database.stores.iter().find(|row| row.store.id.to_string() == first.name).and_then(store_pod)
            }
            (SubjectKind::Member, Some(database)) => {
                let named = |one: &&Member| one.id.hex() == first.name || one.name == first.name;
                database.members.iter().find(named).and_then(member_pod)
            }
            _ => None,
        };
        let there = |of: &ObjectRef| {
            self.fleet.clusters.get(&of.context).is_some_and(|cluster| cluster.pods.contains_key(&of.key()))
        };
        Some(pod.filter(there).map_or_else(|| first.clone(), |of| Object::object(SubjectKind::Pod, &of)))
    }

    /// The marked objects that can be looked at as they are served, or the one under the cursor or of the view.
    pub(super) fn things(&self) -> Vec<Thing> {
        if let View::Yaml(thing) | View::Events(Some(thing)) | View::Compare(thing, _) = self.view() {
            return vec![thing.clone()];
        }
        let thing = |object: &Object| {
            let kind = match object.kind {
                SubjectKind::Pod => Kind::Pod,
                SubjectKind::TidbCluster => Kind::TidbCluster,
                _ => return None,
            };
            Some(Thing { kind, of: ObjectRef::new(&object.context, &object.namespace, &object.name) })
        };
        self.objects().iter().filter_map(thing).collect()
    }

    /// The logs of the pods that are marked or under the cursor; of a TidbCluster those of all its pods.
    fn logs_in_sight(&self, previous: bool) -> Option<View> {
        let mut pods = Vec::new();
        for thing in self.things() {
            match thing.kind {
                Kind::Pod => pods.push(thing.of),
                Kind::TidbCluster => {
                    let cluster = self.fleet.clusters.get(&thing.of.context);
                    let Some((cluster, tc)) = cluster.zip(self.fleet.tidb_cluster(&thing.of)) else { continue };
                    let at = |pod: &Pod| ObjectRef::new(&thing.of.context, &thing.of.namespace, &pod.metadata.name);
                    pods.extend(cluster.pods_of(tc).map(at));
                }
            }
        }
        pods.dedup();
        let of: Vec<_> = pods.iter().map(|of| self.log_of(of)).collect();
        (!of.is_empty()).then_some(View::Logs { of, previous })
    }

    /// Two marked objects, or one and its namesake elsewhere; else the one that is its like in the same Database.
    fn to_compare(&self) -> Option<View> {
        let things = self.things();
        let first = things.first()?.clone();
        if let Some(second) = things.get(1).filter(|second| second.kind == first.kind) {
            return Some(View::Compare(first, second.clone()));
        }
        let of = &first.of;
        let others = self.fleet.clusters.values().filter(|cluster| cluster.context != of.context);
        let other = |at: ObjectRef| Thing { kind: first.kind, of: at };
        let mut like = None;
        for cluster in others {
            let at = ObjectRef::new(&cluster.context, &of.namespace, &of.name);
            let (namesake, alike) = match first.kind {
                Kind::TidbCluster => {
                    let own = self.databases().iter().find(|database| database.tidb_clusters.contains(of));
                    let mut own = own.into_iter().flat_map(|database| &database.tidb_clusters);
                    let alike = own.find(|one| one.context == cluster.context).cloned();
                    (cluster.tidb_clusters.contains_key(&of.key()), alike)
                }
                Kind::Pod => {
                    let pod = self.fleet.clusters.get(&of.context)?.pods.get(&of.key())?;
                    let same = |one: &&Pod| one.component() == pod.component() && one.ordinal() == pod.ordinal();
                    let alike = cluster
                        .pods
                        .values()
                        .find(same)
                        .map(|one| ObjectRef::new(&cluster.context, &one.metadata.namespace, &one.metadata.name));
                    (cluster.pods.contains_key(&of.key()), alike)
                }
            };
            if namesake {
                return Some(View::Compare(first.clone(), other(at)));
            }
            like = like.or(alike);
        }
        like.map(|at| View::Compare(first.clone(), other(at)))
    }

    /// From a finding to the page of what it is about.
    pub(super) fn open_object(&mut self) {
        let Some(object) = self.object() else {
            return self.say(Level::Unknown, "it is about no single object");
        };
        let of = ObjectRef::new(&object.context, &object.namespace, &object.name);
        let subject = match object.kind {
            SubjectKind::Pod => Some(Subject::Pod(of)),
            SubjectKind::TidbCluster => Some(Subject::TidbCluster(of)),
            SubjectKind::KubeCluster => Some(Subject::Cluster(object.context.clone())),
            SubjectKind::Store => object.name.parse().ok().map(Subject::Store),
            SubjectKind::Member => {
                let of_name = |one: &&Member| one.id.hex() == object.name || one.name == object.name;
                let member = self.database().and_then(|all| all.members.iter().find(of_name));
                member.map(|member| Subject::Member(member.id))
            }
            _ => None,
        };
        match subject {
            Some(subject) => self.go(View::Detail(subject)),
            None => self.say(Level::Unknown, format!("{object} has no page of its own")),
        }
    }

    /// Carries out a key that is about the object under the cursor.
    pub(super) fn on_object(&mut self, command: Command, _effects: &mut Vec<Effect>) {
        if let View::Logs { of, previous } = self.view() {
            if command == Command::PreviousLogs {
                let view = View::Logs { of: of.clone(), previous: !previous };
                *self.screen_mut() = Screen::new(view);
            }
            return;
        }
        if let Some(view) = self.led_to(command) {
            self.go(view);
        }
    }

    /// Whether a key about the object under the cursor does something.
    pub(super) fn reaches(&self, command: Command) -> bool {
        let logs = matches!(self.view(), View::Logs { .. });
        if logs { command == Command::PreviousLogs } else { self.led_to(command).is_some() }
    }

    /// Where a key about the object under the cursor leads.
    fn led_to(&self, command: Command) -> Option<View> {
        match command {
            Command::Logs | Command::PreviousLogs => self.logs_in_sight(command == Command::PreviousLogs),
            Command::Events => self.things().into_iter().next().map(|thing| View::Events(Some(thing))),
            Command::Yaml => self.things().into_iter().next().map(View::Yaml),
            Command::Diff => self.to_compare(),
            Command::Describe => match self.view() {
                View::Detail(_) => None,
                View::Yaml(thing) | View::Events(Some(thing)) => Some(View::Detail(page_of(thing))),
                _ => self.row().and_then(|row| self.subject(&row)).map(View::Detail),
            },
            _ => None,
        }
    }
}

/// Why a key does nothing for what is under the cursor, and where it would.
pub fn nothing_here(command: Command, object: Option<&Object>) -> String {
    let (what, of) = match command {
        Command::Logs | Command::PreviousLogs => ("no logs", "a pod, a member or a store"),
        Command::Events => ("no events", "a pod, a member, a store or a TidbCluster"),
        Command::Yaml => ("no YAML", "a pod or a TidbCluster"),
        Command::Diff => ("nothing to compare", "a pod or a TidbCluster that has a namesake in another cluster"),
        Command::Describe => ("nothing more to say", "another row"),
        _ => ("nothing", "a row"),
    };
    match object {
        Some(object) => format!("{what} here of {object}: put the cursor on {of}"),
        None => format!("{what} here: put the cursor on {of}"),
    }
}

/// The page of an object.
pub(super) fn page_of(thing: &Thing) -> Subject {
    match thing.kind {
        Kind::Pod => Subject::Pod(thing.of.clone()),
        Kind::TidbCluster => Subject::TidbCluster(thing.of.clone()),
    }
}

/// The pod of a member.
pub fn member_pod(member: &Member) -> Option<ObjectRef> {
    member.place.pod_there()
}

/// The pod of a store.
pub fn store_pod(row: &StoreRow) -> Option<ObjectRef> {
    row.place.pod_there()
}
