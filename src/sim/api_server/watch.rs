//! watch: replay from the history, then events as they come, bookmarks, and the ways a watch ends.
//!
//! Each watch is a small state machine polled by its connection; nothing runs when nobody reads.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::connection::Server;
use super::read::{include, metadata_only};
use super::reply::{self, Reply};
use super::request::Shape;
use super::router::Call;
use super::selectors::Selectors;
use super::status::Refusal;
use super::table;
use crate::sim::object_store::{Event, EventKind, Resource, identity};

const BOOKMARK_EVERY: Duration = Duration::from_secs(5);
/// What a server picks for a client which names no time-out.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);

struct Watch {
    server: Arc<Server>,
    kind: &'static Resource,
    namespace: Option<String>,
    name: Option<String>,
    selectors: Selectors,
    shape: Shape,
    include: String,
    bookmarks: bool,
    columns_sent: bool,
    /// Everything up to this version was sent.
    seen: u64,
    queue: VecDeque<Bytes>,
    changed: tokio::sync::watch::Receiver<u64>,
    next_bookmark: Instant,
    deadline: Instant,
    ended: bool,
}

pub(super) fn watch(call: &Call) -> Result<Reply, Refusal> {
    let kind = call.target.kind;
    let selectors = Selectors::parse(kind, call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let initial = call.query.flag("sendInitialEvents");
    if initial && call.query.get("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(Refusal::bad_request(
            "sendInitialEvents is forbidden for watch unless resourceVersionMatch is set to NotOlderThan",
        ));
    }
    let timeout = call.query.number("timeoutSeconds").filter(|seconds| *seconds > 0);
    let now = Instant::now();
    let mut watch = Watch {
        changed: call.store().changed(),
        server: call.server.clone(),
        kind,
        namespace: call.target.namespace.clone(),
        name: call.target.name.clone(),
        selectors,
        shape: Shape::of(call.header(http::header::ACCEPT)),
        include: include(call).to_owned(),
        bookmarks: call.query.flag("allowWatchBookmarks"),
        columns_sent: false,
        seen: 0,
        queue: VecDeque::new(),
        next_bookmark: now + BOOKMARK_EVERY,
        deadline: now + timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
        ended: false,
    };
    match call.query.get("resourceVersion") {
        _ if initial => watch.begin_with_everything(true),
        None | Some("0") => watch.begin_with_everything(false),
        Some(version) => {
            let parsed = version.parse();
            watch.seen = parsed.map_err(|_| Refusal::bad_request(format!("invalid resource version {version:?}")))?;
        }
    }
    Ok(reply::stream(futures::stream::unfold(watch, Watch::next)))
}

impl Watch {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Watch)> {
        loop {
            self.server.config.faults.answering().await;
            if let Some(line) = self.queue.pop_front() {
                return Some((Ok(line), self));
            }
            if self.ended {
                return None;
            }
            // Marked before reading, so that no change falls between the two.
            self.changed.mark_unchanged();
            self.collect();
            if !self.queue.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.changed.changed() => self.ended |= changed.is_err(),
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    self.bookmark(false);
                }
                () = tokio::time::sleep_until(self.deadline) => {
                    self.ended = true;
                    if self.bookmarks {
                        self.bookmark(false);
                    }
                }
            }
        }
    }

    fn collect(&mut self) {
        match self.server.config.store.events_since(self.kind.plural, self.seen) {
            Ok((version, events)) => {
                // A version from the future stays as it is: events come once the store gets there.
                self.seen = self.seen.max(version);
                for event in events {
                    if let Some((word, object)) = self.judge(&event) {
                        self.send(word, &object);
                    }
                }
            }
            Err(expired) => {
                self.push("ERROR", Refusal::expired(expired.to_string()).value());
                self.ended = true;
            }
        }
    }

    /// What an event means to this watch: an object can enter and leave a selection without being made or deleted.
    fn judge(&self, event: &Event) -> Option<(&'static str, Arc<Value>)> {
        let chosen = |object: &Arc<Value>| self.chooses(object);
        let before = event.before.as_ref().is_some_and(chosen);
        let after = event.kind != EventKind::Deleted && chosen(&event.object);
        let word = match (before, after) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        // Who leaves a selection is shown as last seen in it, at the version of leaving.
        if let (EventKind::Modified, "DELETED", Some(before)) = (event.kind, word, &event.before) {
            let mut last = (**before).clone();
            last["metadata"]["resourceVersion"] = json!(event.version.to_string());
            return Some((word, Arc::new(last)));
        }
        Some((word, event.object.clone()))
    }

    fn chooses(&self, object: &Value) -> bool {
        let (namespace, name) = identity(object);
        self.namespace.as_ref().is_none_or(|wanted| *wanted == namespace)
            && self.name.as_ref().is_none_or(|wanted| *wanted == name)
            && self.selectors.matches(object)
    }

    fn begin_with_everything(&mut self, marked: bool) {
        let (version, objects) = self.server.config.store.snapshot(self.kind.plural, self.namespace.as_deref());
        self.seen = version;
        for object in objects {
            if self.chooses(&object) {
                self.send("ADDED", &object);
            }
        }
        if marked {
            self.bookmark(true);
        }
    }

    fn bookmark(&mut self, initial_events_end: bool) {
        let mut metadata = json!({"resourceVersion": self.seen.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        let object = match self.shape {
            Shape::Whole => object,
            Shape::Metadata => metadata_only(&object),
            // Rows of a table bookmark have no cells worth reading; only the version counts.
            Shape::Table => self.table(&object),
        };
        self.push("BOOKMARK", object);
    }

    fn send(&mut self, word: &'static str, object: &Value) {
        let shown = match self.shape {
            Shape::Whole => return self.push(word, object),
            Shape::Metadata => metadata_only(object),
            Shape::Table => self.table(object),
        };
        self.push(word, shown);
    }

    fn table(&mut self, object: &Value) -> Value {
        let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
        let with_columns = !std::mem::replace(&mut self.columns_sent, true);
        table::of(self.kind, &[object], metadata, &self.include, with_columns)
    }

    fn push(&mut self, word: &str, object: impl serde::Serialize) {
        #[derive(serde::Serialize)]
        struct Line<'a, T> {
            r#type: &'a str,
            object: T,
        }
        let mut line = serde_json::to_vec(&Line { r#type: word, object }).expect("objects have string keys");
        line.push(b'\n');
        self.queue.push_back(line.into());
    }
}
