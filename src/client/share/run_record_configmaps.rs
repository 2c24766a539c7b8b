//! The durable record of an open run: its journal, line by line, in ConfigMaps beside the lease.
//!
//! Segments `tidepilot-run-<id>-<n>`; the first one (the head) says whose run it is and whether it is still open. Each
//! write replaces the version that we know (compare-and-swap) and goes out only while the lease is ours, so that of
//! two processes one is refused. A closed run's record stays as a copy for the audit. It holds what the journal
//! holds: plans, requests, answers; never a credential. Not here: the file ([`crate::client::journal`]), the lock
//! ([`crate::client::share::lease`]), what the lines mean (`runbook::run::record`).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::client::kube::identity::Identity;
use crate::client::share::lease::{HOST, Lost, RUN, USER};
use crate::client::wire::link::{Link, Links};
use crate::client::wire::permit::WritePermit;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::write::store_object::{ManagedKind, NotStored, rehearse_store, store};
use crate::runbook::action_types::field_manager;

/// A segment takes no further line once it would pass this; one line alone may be longer.
const SEGMENT: usize = 96 * 1024;
/// Longest single line: with its neighbours in an object it stays far below what etcd takes.
const LONGEST_LINE: usize = 384 * 1024;
const MOST_SEGMENTS: usize = 100;

pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// On heads only: `open` or `closed`.
pub(super) const STATE: &str = "tidepilot/state";
pub(super) const DATABASE: &str = "tidepilot/database";
pub(super) const RUNBOOK: &str = "tidepilot/runbook";
pub(super) const TARGET: &str = "tidepilot/target";
pub(super) const OPENED: &str = "tidepilot/opened";
pub(super) const OPENER: &str = "tidepilot/opener";
/// New for each process that writes it: even an otherwise equal object then gets a new version.
const DRIVER: &str = "tidepilot/driver";
const LINES: &str = "journal.jsonl";

/// Why a line is not in the cluster.
#[derive(Debug, thiserror::Error)]
pub enum NotShared {
    /// Another process writes this run's record now: it is over for this one.
    #[error("{0}")]
    Taken(String),
    #[error("the run's record in the cluster cannot be written: {0}")]
    Failed(String),
}

/// What the head says for a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    pub run: String,
    pub runbook: String,
    /// `CONTEXT/NAMESPACE/NAME`, by the name that the opener has for the context.
    pub target: String,
    pub database: String,
    /// Who drives it, or was the last to.
    pub user: String,
    pub host: String,
    /// When it was opened, RFC 3339.
    pub opened: String,
    pub open: bool,
    /// Where the record is.
    pub context: String,
    pub namespace: String,
    /// Who opened it, as the record says; empty where it does not. With the admission policy of `assets/rbac` the API server
    /// vouches for it.
    pub opener: String,
    /// What the API server noted of the last write; `None` where it keeps no such notes.
    pub written: Option<Written>,
    /// Name of the ConfigMap; as tidepilot names it, unless somebody else made it.
    pub object: String,
}

/// The last write of an object as the API server noted it: the name of a program, and not of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// `tidepilot/RUN`, `kubectl-create`
    pub manager: String,
    /// RFC 3339.
    pub at: String,
}

impl Head {
    /// Name of the TidbCluster that it is about; its namespace is that of the record.
    pub fn name(&self) -> &str {
        self.target.rsplit('/').next().unwrap_or_default()
    }

    pub fn who(&self) -> Identity {
        Identity { user: self.user.clone(), host: self.host.clone() }
    }

    /// Where the record is and who wrote it, as far as the API server knows.
    pub fn provenance(&self) -> String {
        format!("{}/{}: {}", self.context, self.namespace, self.writer())
    }

    /// Who opened it, as it says, and what wrote it last, as the API server noted.
    pub fn writer(&self) -> String {
        let opener = match self.opener.as_str() {
            "" => "its opener is not noted".to_owned(),
            opener => format!("opened by {opener}"),
        };
        let written = match &self.written {
            None => "the API server notes no writer".to_owned(),
            Some(Written { manager, at }) if *manager == field_manager(&self.run) => {
                format!("last written {at} by tidepilot")
            }
            Some(Written { manager, at }) => format!("last written {at} by {manager}, WHICH IS NOT TIDEPILOT"),
        };
        format!("{opener}, {written}")
    }
}

#[derive(Debug)]
struct Segment {
    object: Value,
    text: String,
}

/// The record of one run, as it is in the cluster, and what is yet to be added to it.
pub struct OpenRun {
    links: Links,
    permit: WritePermit,
    head: Head,
    driver: String,
    segments: Vec<Segment>,
    pending: Vec<String>,
    /// A segment was sent, and it is not known what became of it.
    in_doubt: bool,
}

impl OpenRun {
    /// Reads what there is of the run. With nothing there it starts empty; the first [`OpenRun::flush`] creates it.
    pub async fn open(links: &Links, permit: WritePermit, head: Head) -> Result<Self, NotShared> {
        let failed = |trouble: RequestError| NotShared::Failed(trouble.sentence);
        let link = links.need(&head.context).map_err(NotShared::Failed)?;
        let segments = segments(link, &head.namespace, &head.run).await.map_err(failed)?;
        let driver = format!("{:016x}", rand::random::<u64>());
        Ok(Self { links: links.clone(), permit, head, driver, segments, pending: Vec::new(), in_doubt: false })
    }

    /// Writes our name into what is there: whoever wrote it before is refused from here on.
    pub async fn seal(&mut self) -> Result<(), NotShared> {
        // The tail is what another process would append to; the head is where a list looks.
        let ends = BTreeSet::from([self.segments.len().saturating_sub(1), 0]);
        for at in ends.into_iter().rev() {
            if let Some(text) = self.segments.get(at).map(|segment| segment.text.clone()) {
                self.write(at, text).await?;
            }
        }
        Ok(())
    }

    /// Every line that is in the cluster.
    pub fn text(&self) -> String {
        self.segments.iter().map(|segment| segment.text.as_str()).collect()
    }

    /// Lines to be stored by the next flush, each with its newline.
    pub fn add(&mut self, lines: &str) {
        self.pending.extend(lines.split_inclusive('\n').map(ToOwned::to_owned));
    }

    /// Lines that are only in the file yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether anything of it is in the cluster, or may be.
    pub fn may_be_there(&self) -> bool {
        self.in_doubt || !self.segments.is_empty()
    }

    /// The run is over: the next flush says so in the head.
    pub fn close(&mut self) {
        self.head.open = false;
    }

    /// Stores what is pending. After an error everything that was not stored is still pending.
    pub async fn flush(&mut self) -> Result<(), NotShared> {
        while !self.pending.is_empty() {
            if let Some(long) = self.pending.iter().find(|line| line.len() > LONGEST_LINE) {
                return Err(NotShared::Failed(format!("one record has {} bytes, which is too long", long.len())));
            }
            let (at, mut text) = match self.segments.last() {
                Some(last) if last.text.len() + self.pending[0].len() <= SEGMENT => {
                    (self.segments.len() - 1, last.text.clone())
                }
                _ => (self.segments.len(), String::new()),
            };
            if at >= MOST_SEGMENTS {
                return Err(NotShared::Failed(format!("it has {MOST_SEGMENTS} segments already")));
            }
            let mut taken = 0;
            for line in &self.pending {
                if taken > 0 && text.len() + line.len() > SEGMENT {
                    break;
                }
                text.push_str(line);
                taken += 1;
            }
            let before = self.length(at);
            match self.write(at, text).await {
                Ok(()) => drop(self.pending.drain(..taken)),
                // An earlier write of ours, which nobody heard of, has come: what it brought is not sent again.
                Err(NotShared::Failed(_)) if self.length(at) > before => {
                    let mut there = self.length(at) - before;
                    while let Some(line) = self.pending.first().filter(|line| there >= line.len()) {
                        there -= line.len();
                        self.pending.remove(0);
                    }
                }
                Err(other) => return Err(other),
            }
        }
        let said = self.segments.first().map(|head| head.object["metadata"]["labels"][STATE] == "open");
        if said == Some(true) && !self.head.open {
            let text = self.segments[0].text.clone();
            self.write(0, text).await?;
        }
        Ok(())
    }

    /// Bytes of a segment, as far as is known.
    fn length(&self, at: usize) -> usize {
        self.segments.get(at).map_or(0, |segment| segment.text.len())
    }

    /// Creates or replaces one segment. Whoever drops it on its way leaves it in doubt, as a lost answer does.
    async fn write(&mut self, at: usize, text: String) -> Result<(), NotShared> {
        let link = Arc::clone(self.links.need(&self.head.context).map_err(NotShared::Failed)?);
        let mut object = match self.segments.get(at) {
            Some(segment) => segment.object.clone(),
            None => json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": segment_name(&self.head.run, at), "namespace": self.head.namespace},
            }),
        };
        let metadata = &mut object["metadata"];
        metadata["labels"][MANAGED_BY] = json!("tidepilot");
        metadata["labels"][RUN] = json!(self.head.run);
        for (name, value) in [(USER, &self.head.user), (HOST, &self.head.host), (DRIVER, &self.driver)] {
            metadata["annotations"][name] = json!(value);
        }
        if at == 0 {
            // Whoever makes the record has opened the run; it stays so, whoever writes to it later.
            if self.segments.is_empty() {
                metadata["annotations"][OPENER] = json!(self.head.user);
            }
            metadata["labels"][STATE] = json!(if self.head.open { "open" } else { "closed" });
            for (name, value) in [
                (DATABASE, &self.head.database),
                (RUNBOOK, &self.head.runbook),
                (TARGET, &self.head.target),
                (OPENED, &self.head.opened),
            ] {
                metadata["annotations"][name] = json!(value);
            }
        }
        object["data"] = json!({LINES: text});
        let mut again = true;
        loop {
            let earlier = std::mem::replace(&mut self.in_doubt, true);
            let stored = store(&link, &self.permit, ManagedKind::ConfigMap, &object, link.limits().request).await;
            self.in_doubt = earlier;
            let not_stored = match stored {
                Ok(object) => {
                    self.keep(at, Segment { object, text });
                    return Ok(());
                }
                Err(NotStored::Lost(lost @ Lost::Taken { .. })) => return Err(NotShared::Taken(lost.to_string())),
                Err(NotStored::Lost(lost @ Lost::Unsure { .. })) => return Err(NotShared::Failed(lost.to_string())),
                Err(not_stored) => not_stored,
            };
            let in_doubt = not_stored.in_doubt();
            self.in_doubt |= in_doubt;
            match self.after_all(at, &text, &object, not_stored).await {
                // It was looked at, and it is not there: the same is sent once more, on the same version. Should the first
                // one still come, one of the two is refused.
                Err(NotShared::Failed(_)) if in_doubt && std::mem::take(&mut again) => {}
                other => return other,
            }
        }
    }

    fn keep(&mut self, at: usize, segment: Segment) {
        match self.segments.get_mut(at) {
            Some(old) => *old = segment,
            None => self.segments.push(segment),
        }
    }

    /// An answer that was lost, or a version that moved: look. What we wanted to write may be there, or somebody only
    /// touched the object; other *lines* mean another writer.
    async fn after_all(
        &mut self,
        at: usize,
        text: &str,
        wanted: &Value,
        not_stored: NotStored,
    ) -> Result<(), NotShared> {
        let NotStored::RequestError(trouble) = not_stored else {
            return Err(NotShared::Failed("the lease was not confirmed".into()));
        };
        let failed = |why: &RequestError| NotShared::Failed(why.sentence.clone());
        if !trouble.sent || matches!(trouble.kind, RequestErrorKind::Forbidden | RequestErrorKind::AuthNeeded) {
            return Err(failed(&trouble));
        }
        let link = self.links.need(&self.head.context).map_err(NotShared::Failed)?;
        let found = segment(link, &self.head.namespace, &self.head.run, at).await.map_err(|t| failed(&t))?;
        let known = self.segments.get(at).map(|segment| segment.text.as_str());
        let begun = known.unwrap_or_default();
        match found {
            // The lines alone may be the same before and after: sealing and closing change nothing else.
            Some(found) if found.text == text && alike(&found.object, wanted) => self.keep(at, found),
            Some(found) if Some(found.text.as_str()) == known && same_writer(&found, self.segments.get(at)) => {
                // The next flush tries again on the version that is there now.
                self.keep(at, found);
                return Err(failed(&trouble));
            }
            // A part of it, by our own hand: an earlier write was dropped on its way, and came.
            Some(found)
                if found.object["metadata"]["annotations"][DRIVER] == *self.driver
                    && found.text.len() > begun.len()
                    && found.text.starts_with(begun)
                    && text.starts_with(&found.text) =>
            {
                self.keep(at, found);
                return Err(failed(&trouble));
            }
            None if known.is_none() => return Err(failed(&trouble)),
            _ => {
                let sentence = format!(
                    "the record of run {} in {} was changed or removed by somebody else; nothing more is sent from here",
                    self.head.run, self.head.context
                );
                return Err(NotShared::Taken(sentence));
            }
        }
        Ok(())
    }
}

fn alike(found: &Value, wanted: &Value) -> bool {
    let (found, wanted) = (&found["metadata"], &wanted["metadata"]);
    found["annotations"][DRIVER] == wanted["annotations"][DRIVER] && found["labels"][STATE] == wanted["labels"][STATE]
}

fn same_writer(found: &Segment, known: Option<&Segment>) -> bool {
    let driver = |segment: &Segment| segment.object["metadata"]["annotations"][DRIVER].clone();
    known.is_some_and(|known| driver(found) == driver(known))
}

/// Name of the object that is the head of a run's record.
pub fn head_name(run: &str) -> String {
    segment_name(run, 0)
}

fn segment_name(run: &str, at: usize) -> String {
    format!("tidepilot-run-{}-{at}", run.to_ascii_lowercase().replace('_', "-"))
}

async fn segment(link: &Link, namespace: &str, run: &str, at: usize) -> Result<Option<Segment>, RequestError> {
    let path = format!("{}/{}", ManagedKind::ConfigMap.path(namespace), segment_name(run, at));
    match link.get::<Value>(&path).await {
        Ok(mut object) => {
            let text = object["data"][LINES].as_str().unwrap_or_default().to_owned();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.shift_remove("managedFields");
            }
            Ok(Some(Segment { object, text }))
        }
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn segments(link: &Link, namespace: &str, run: &str) -> Result<Vec<Segment>, RequestError> {
    let mut all = Vec::new();
    while all.len() < MOST_SEGMENTS {
        match segment(link, namespace, run, all.len()).await? {
            Some(found) => all.push(found),
            None => break,
        }
    }
    Ok(all)
}

/// The lines of a run's record.
pub async fn read(links: &Links, head: &Head) -> Result<String, String> {
    let link = links.need(&head.context)?;
    let segments = segments(link, &head.namespace, &head.run).await.map_err(|trouble| trouble.sentence)?;
    Ok(segments.into_iter().map(|segment| segment.text).collect())
}

/// Whether the server takes a run's record only from the user whom it names. Two rehearsals: one in a made-up name, which
/// has to be refused, and one in our own, which has to be taken (else something else refuses).
pub async fn names_are_checked(link: &Link, permit: &WritePermit, namespace: &str, who: &Identity) -> bool {
    let rehearsed = async |user: &str| {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": segment_name(&format!("rehearsal-{:08x}", rand::random::<u32>()), 0), "namespace": namespace,
                "labels": {MANAGED_BY: "tidepilot", RUN: "rehearsal"},
                "annotations": {USER: user, OPENER: user},
            },
            "data": {LINES: ""},
        });
        rehearse_store(link, permit, ManagedKind::ConfigMap, &object).await
    };
    let refused = matches!(
        rehearsed(&format!("not {}", who.user)).await,
        Err(RequestError { kind: RequestErrorKind::Forbidden | RequestErrorKind::Refused, sent: true, .. })
    );
    refused && rehearsed(&who.user).await.is_ok()
}
