//! What this session saw change: TidbClusters and StatefulSets, with the values before and after.
//!
//! Bounded. A look that begins a session is no change; one after a lost connection is compared with what was known before it.
//! Not here: what objects tell of the time before (`fleet::managed_fields`, `fleet::controller_revision`), the list (`views::changes`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use crate::fleet::object_diff::{Edited, Moved, moved};
use crate::fleet::{Change, Fleet, Keyed, KubeCluster, ObjectKey, ObjectRef, WatchEvent, What};

/// So many are kept; the oldest go first.
const MOST: usize = 500;

/// Kinds whose changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    TidbCluster,
    StatefulSet,
}

impl Kind {
    /// As kubectl takes it.
    pub fn short(self) -> &'static str {
        match self {
            Kind::TidbCluster => "tc",
            Kind::StatefulSet => "sts",
        }
    }
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    New,
    Gone,
    Other(Moved),
}

/// One change that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Counts up over the session.
    pub number: u64,
    pub kind: Kind,
    pub of: ObjectRef,
    /// When it came in; the object itself may tell an earlier time of its writer.
    pub at: Timestamp,
    pub became: Became,
}

impl Seen {
    /// When it was written, as far as that is told.
    pub fn written(&self) -> Timestamp {
        let told = match &self.became {
            Became::Other(moved) => moved.by.iter().filter_map(|(_, at)| *at).max(),
            Became::New | Became::Gone => None,
        };
        told.unwrap_or(self.at)
    }
}

/// The changes of a session, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    all: VecDeque<Seen>,
    count: u64,
    /// Since when objects are compared; `None`: nothing has come in yet.
    pub since: Option<Timestamp>,
    /// Those that began with a list, by context: what is new after it is new.
    listed: BTreeSet<(String, Kind)>,
}

impl History {
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Seen> {
        self.all.iter()
    }

    /// Compares what comes in with what is known; to be called before the fleet takes it.
    pub fn note(&mut self, fleet: &Fleet, change: &Change) {
        let none = KubeCluster::default();
        let cluster = fleet.clusters.get(&change.context).unwrap_or(&none);
        match &change.what {
            What::TidbCluster(event) => self.event(Kind::TidbCluster, change, &cluster.tidb_clusters, event),
            What::StatefulSet(event) => self.event(Kind::StatefulSet, change, &cluster.stateful_sets, event),
            What::TidbClusters(all) => self.list(Kind::TidbCluster, change, &cluster.tidb_clusters, all),
            What::StatefulSets(all) => self.list(Kind::StatefulSet, change, &cluster.stateful_sets, all),
            _ => {}
        }
    }

    fn event<T>(&mut self, kind: Kind, change: &Change, known: &BTreeMap<ObjectKey, T>, event: &WatchEvent<T>)
    where
        T: Edited + Keyed,
    {
        match event {
            WatchEvent::Set(after) => self.set(kind, change, known.get(&after.key()), after),
            WatchEvent::Gone(key) if known.contains_key(key) => self.put(kind, change, key, Became::Gone),
            WatchEvent::Gone(_) => {}
        }
    }

    fn list<T: Edited + Keyed>(&mut self, kind: Kind, change: &Change, known: &BTreeMap<ObjectKey, T>, all: &[T]) {
        self.since.get_or_insert(change.at);
        if self.listed.insert((change.context.clone(), kind)) {
            return;
        }
        all.iter().for_each(|after| self.set(kind, change, known.get(&after.key()), after));
        let there: BTreeSet<ObjectKey> = all.iter().map(Keyed::key).collect();
        let gone = known.keys().filter(|key| !there.contains(key));
        gone.for_each(|key| self.put(kind, change, key, Became::Gone));
    }

    fn set<T: Edited + Keyed>(&mut self, kind: Kind, change: &Change, before: Option<&T>, after: &T) {
        let became = match before {
            Some(before) => moved(before, after).map(Became::Other),
            None => Some(Became::New),
        };
        if let Some(became) = became {
            self.put(kind, change, &after.key(), became);
        }
    }

    fn put(&mut self, kind: Kind, change: &Change, key: &ObjectKey, became: Became) {
        self.count += 1;
        let of = ObjectRef::new(&change.context, &key.namespace, &key.name);
        self.all.push_back(Seen { number: self.count, kind, of, at: change.at, became });
        if self.all.len() > MOST {
            self.all.pop_front();
        }
    }
}
