//! The objects of one simulated KubeCluster, with the bookkeeping an API server does on every write.
//!
//! It knows resource versions, uids, generations and a bounded history for watches. It is *not* the API: no paths, no
//! rights, no schemas (those are in `api_server`), and it never decides what a controller would do (`operator`).
//! The API server and the controllers share one `Store`, and both see each other's writes in one order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

mod metadata;
mod resources;

use metadata::{complete, lost_last_finalizer};
pub use metadata::{identity, now};
pub use resources::{RESOURCES, Resource, find, resource};

/// How many events a watch can replay before it gets 410 Expired.
pub const HISTORY_LIMIT: usize = 10_000;
/// What the objects of these events may weigh together: under churn the number alone is some hundred megabytes.
const HISTORY_BYTES: usize = 16 * 1024 * 1024;

/// The first version handed out: high enough that small made-up versions count as long expired.
const FIRST_VERSION: u64 = 1_000;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// One line of the history.
#[derive(Clone, Debug)]
pub struct Event {
    pub version: u64,
    pub kind: EventKind,
    pub plural: &'static str,
    pub object: Arc<Value>,
    /// The object before this event: a watch with a selector must notice that an object left it.
    pub before: Option<Arc<Value>>,
}

/// What a transaction wants done.
#[derive(Debug)]
pub enum Write {
    Keep,
    Put(Value),
    Remove,
}

/// The history does not reach back to the version asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    pub asked: u64,
    pub oldest: u64,
}

type Key = (String, String);

#[derive(Debug)]
struct State {
    version: u64,
    /// Events up to and including this version are gone.
    compacted: u64,
    objects: BTreeMap<&'static str, BTreeMap<Key, Arc<Value>>>,
    /// Namespaces that were deleted: what a controller still has to say of them does not bring them back.
    gone: BTreeSet<String>,
    history: VecDeque<(Arc<Event>, usize)>,
    /// What the history weighs.
    history_bytes: usize,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

/// Objects of ONE simulated KubeCluster. Clones share them.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// A cluster with nothing but the namespaces every cluster is born with.
    pub fn new() -> Store {
        let state = State {
            version: FIRST_VERSION,
            compacted: FIRST_VERSION,
            objects: BTreeMap::new(),
            gone: BTreeSet::new(),
            history: VecDeque::new(),
            history_bytes: 0,
        };
        let (version, _) = watch::channel(FIRST_VERSION);
        let store = Store(Arc::new(Inner { state: Mutex::new(state), version }));
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            store.put("namespaces", namespace(name));
        }
        store
    }

    /// The same objects in a store of their own; what happened before is not in its history.
    pub fn fork(&self) -> Store {
        let state = self.lock();
        let forked = State {
            version: state.version,
            compacted: state.version,
            objects: state.objects.clone(),
            gone: state.gone.clone(),
            history: VecDeque::new(),
            history_bytes: 0,
        };
        let (version, _) = watch::channel(state.version);
        Store(Arc::new(Inner { state: Mutex::new(forked), version }))
    }

    /// One object; `namespace` is empty for cluster scope.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.find(plural, namespace, name).map(Arc::unwrap_or_clone)
    }

    /// Like [`Store::get`] without copying.
    pub fn find(&self, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let state = self.lock();
        state.objects.get(plural)?.get(&key(namespace, name)).cloned()
    }

    /// All objects of a kind, of one namespace or of all, ordered by namespace and name.
    pub fn list(&self, plural: &str, namespace: Option<&str>) -> Vec<Value> {
        self.snapshot(plural, namespace).1.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Like [`Store::list`] without copying, with the version at which it is true.
    pub fn snapshot(&self, plural: &str, namespace: Option<&str>) -> (u64, Vec<Arc<Value>>) {
        let state = self.lock();
        let objects = state.objects.get(plural);
        let chosen: Vec<_> = match namespace {
            None => objects.into_iter().flatten().map(|(_, object)| object.clone()).collect(),
            Some(wanted) => {
                let from = objects.map(|objects| objects.range(key(wanted, "")..));
                let own = from.into_iter().flatten().take_while(|((ns, _), _)| ns == wanted);
                own.map(|(_, object)| object.clone()).collect()
            }
        };
        (state.version, chosen)
    }

    /// Creates or replaces by `metadata.namespace`/`name`, as a controller that owns the object would.
    ///
    /// Nothing happens when only `resourceVersion` differs, nor in a namespace that was deleted. One that never was is made as well, and managedFields
    /// that the new object does not bring along are kept. Gives the object as stored.
    pub fn put(&self, plural: &str, mut object: Value) -> Value {
        let (namespace, name) = identity(&object);
        if resource(plural).namespaced && self.find("namespaces", "", &namespace).is_none() {
            if self.lock().gone.contains(&namespace) {
                return object;
            }
            self.put("namespaces", self::namespace(&namespace));
        }
        let outcome = self.transact(plural, &namespace, &name, false, |before| {
            let kept = before.and_then(|before| before.pointer("/metadata/managedFields"));
            if let Some(kept) = kept.filter(|_| object.pointer("/metadata/managedFields").is_none()) {
                object["metadata"]["managedFields"] = kept.clone();
            }
            Ok::<_, std::convert::Infallible>(Write::Put(object))
        });
        match outcome {
            Ok(stored) => stored.unwrap_or(Value::Null),
            Err(never) => match never {},
        }
    }

    /// Atomic read-modify-write; `None` when there is no such object.
    pub fn edit(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> Option<Value> {
        let outcome = self.transact(plural, namespace, name, false, |current| {
            Ok::<_, std::convert::Infallible>(match current {
                None => Write::Keep,
                Some(current) => {
                    let mut object = current.clone();
                    change(&mut object);
                    Write::Put(object)
                }
            })
        });
        match outcome {
            Ok(stored) => stored,
            Err(never) => match never {},
        }
    }

    /// Removes one object at once (no finalizers, no garbage collection) and gives its last state.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let outcome =
            self.transact(plural, namespace, name, false, |_| Ok::<_, std::convert::Infallible>(Write::Remove));
        match outcome {
            Ok(last) => last,
            Err(never) => match never {},
        }
    }

    /// Removes every object whose ownerReferences name `uid`, and theirs in turn: background garbage collection.
    pub fn collect_dependents(&self, uid: &str) {
        let mut owners = vec![uid.to_owned()];
        while let Some(owner) = owners.pop() {
            for known in RESOURCES {
                for object in self.snapshot(known.plural, None).1 {
                    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
                    if references.into_iter().flatten().any(|reference| reference["uid"] == *owner) {
                        let (namespace, name) = identity(&object);
                        self.remove(known.plural, &namespace, &name);
                        owners.extend(object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned));
                    }
                }
            }
        }
    }

    /// Ticks with each new resourceVersion: wakes watches and controllers.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// The newest resourceVersion.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// The events after `version`, oldest first, of one kind.
    pub fn events_since(&self, plural: &str, version: u64) -> Result<(u64, Vec<Arc<Event>>), Expired> {
        let state = self.lock();
        if version < state.compacted {
            return Err(Expired { asked: version, oldest: state.compacted });
        }
        let from = state.history.partition_point(|(event, _)| event.version <= version);
        let events = state.history.range(from..).map(|(event, _)| event).filter(|event| event.plural == plural);
        Ok((state.version, events.cloned().collect()))
    }

    /// Forgets the history, as etcd compaction does: watches from before get 410.
    pub fn compact(&self) {
        let mut state = self.lock();
        state.compacted = state.version;
        state.history.clear();
        state.history_bytes = 0;
    }

    /// Reads one object, decides, and writes, with nobody in between.
    ///
    /// With `dry_run` the result is computed and nothing is stored. Gives the object as (it would be) stored, or its
    /// last state when removed.
    pub fn transact<E>(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        dry_run: bool,
        decide: impl FnOnce(Option<&Value>) -> Result<Write, E>,
    ) -> Result<Option<Value>, E> {
        let kind = resource(plural);
        let key = key(if kind.namespaced { namespace } else { "" }, name);
        let mut state = self.lock();
        let before = state.objects.get(kind.plural).and_then(|objects| objects.get(&key)).cloned();
        let write = match decide(before.as_deref())? {
            Write::Put(object) if lost_last_finalizer(before.as_deref(), &object) => Write::Remove,
            other => other,
        };
        let result = match write {
            Write::Keep => before.map(|object| (*object).clone()),
            Write::Put(mut object) => {
                complete(kind, before.as_deref(), &mut object);
                if before.as_deref().is_some_and(|before| *before == object) || dry_run {
                    return Ok(Some(object));
                }
                let event = if before.is_some() { EventKind::Modified } else { EventKind::Added };
                Some(state.record(kind.plural, key, event, object, before))
            }
            Write::Remove => match before {
                None => None,
                Some(before) if dry_run => Some((*before).clone()),
                Some(before) => {
                    Some(state.record(kind.plural, key, EventKind::Deleted, (*before).clone(), Some(before)))
                }
            },
        };
        // Sent under the lock, so that the numbers only rise.
        let version = state.version;
        self.0.version.send_if_modified(|seen| std::mem::replace(seen, version) != version);
        drop(state);
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn record(
        &mut self,
        plural: &'static str,
        key: Key,
        kind: EventKind,
        mut object: Value,
        before: Option<Arc<Value>>,
    ) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        match kind {
            EventKind::Deleted if plural == "namespaces" => drop(self.gone.insert(key.1.clone())),
            EventKind::Added if plural == "namespaces" => drop(self.gone.remove(&key.1)),
            EventKind::Deleted | EventKind::Added | EventKind::Modified => {}
        }
        let objects = self.objects.entry(plural).or_default();
        match kind {
            EventKind::Deleted => objects.remove(&key),
            EventKind::Added | EventKind::Modified => objects.insert(key, object.clone()),
        };
        let bytes = weight(&object);
        self.history_bytes += bytes;
        let event = Event { version: self.version, kind, plural, object: object.clone(), before };
        self.history.push_back((Arc::new(event), bytes));
        while self.history.len() > HISTORY_LIMIT || self.history_bytes > HISTORY_BYTES {
            let Some((dropped, bytes)) = self.history.pop_front() else { break };
            self.compacted = dropped.version;
            self.history_bytes -= bytes;
        }
        (*object).clone()
    }
}

/// About how much memory a value takes: what stands in it, and the maps and lists around.
fn weight(value: &Value) -> usize {
    const ENTRY: usize = 112;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(|one| size_of::<Value>() + weight(one)).sum(),
        Value::Object(all) => all.iter().map(|(key, one)| ENTRY + key.len() + weight(one)).sum(),
    }
}

fn key(namespace: &str, name: &str) -> Key {
    (namespace.to_owned(), name.to_owned())
}

fn namespace(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(object: &Value) -> i64 {
        object["metadata"]["generation"].as_i64().expect("a generation")
    }

    #[test]
    fn put_counts_generations_by_kind() {
        let store = Store::new();
        let tc = json!({"metadata": {"namespace": "a", "name": "x"}, "spec": {"version": "1"}});
        let first = store.put("tidbclusters", tc);
        assert_eq!(generation(&first), 1);
        let same = store.put("tidbclusters", first.clone());
        assert_eq!(same, first, "a no-op keeps even the resourceVersion");
        let status =
            store.edit("tidbclusters", "a", "x", |tc| tc["status"] = json!({"clusterID": "1"})).expect("exists");
        assert_eq!(generation(&status), 2, "status counts where there is no status subresource");
        let labelled = store.edit("tidbclusters", "a", "x", |tc| tc["metadata"]["labels"] = json!({"a": "b"}));
        assert_eq!(generation(&labelled.expect("exists")), 2, "metadata never counts");

        let sts =
            store.put("statefulsets", json!({"metadata": {"namespace": "a", "name": "s"}, "spec": {"replicas": 1}}));
        let sts = store.edit("statefulsets", "a", &identity(&sts).1, |sts| sts["status"] = json!({"replicas": 1}));
        assert_eq!(generation(&sts.expect("exists")), 1);
    }

    #[test]
    fn history_is_bounded_and_ordered() {
        let store = Store::new();
        let start = store.version();
        store.put("secrets", json!({"metadata": {"namespace": "a", "name": "x"}}));
        store.remove("secrets", "a", "x");
        let (_, events) = store.events_since("secrets", start).expect("still there");
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Added, EventKind::Deleted]);
        assert!(store.events_since("secrets", 1).is_err());
        store.compact();
        assert!(store.events_since("secrets", start).is_err());
    }

    #[test]
    fn churn_does_not_grow_the_history() {
        let store = Store::new();
        let text = "x".repeat(64 * 1024);
        let start = store.put("configmaps", json!({"metadata": {"namespace": "a", "name": "x"}, "data": {"n": "0"}}));
        let version =
            |object: &Value| object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok());
        let start: u64 = version(&start).expect("a version");
        let mut last = start;
        for n in 0..2_000 {
            let put = store.edit("configmaps", "a", "x", |map| map["data"] = json!({"n": n.to_string(), "text": text}));
            last = version(&put.expect("exists")).expect("a version");
        }
        let state = store.lock();
        assert!(state.history_bytes <= HISTORY_BYTES && state.history.len() > 100, "{}", state.history_bytes);
        let sum: usize = state.history.iter().map(|(event, _)| weight(&event.object)).sum();
        assert_eq!(state.history_bytes, sum);
        drop(state);
        // As at an API server: who was away for too long lists anew, who was not is told what happened.
        assert!(store.events_since("configmaps", start).is_err(), "the first version is long gone");
        assert_eq!(store.events_since("configmaps", last - 5).expect("still there").1.len(), 5);
    }

    #[test]
    fn garbage_collection_follows_owners() {
        let store = Store::new();
        let owner = store.put("statefulsets", json!({"metadata": {"namespace": "a", "name": "s"}}));
        let uid = owner["metadata"]["uid"].as_str().expect("a uid").to_owned();
        store.put("pods", json!({"metadata": {"namespace": "a", "name": "s-0", "ownerReferences": [{"uid": uid}]}}));
        store.put("pods", json!({"metadata": {"namespace": "a", "name": "other"}}));
        store.collect_dependents(&uid);
        assert_eq!(store.snapshot("pods", Some("a")).1.len(), 1);
    }
}
