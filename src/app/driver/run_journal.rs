//! A run's journal in both places, the file and the cluster, and the lease under which it is written.
//!
//! The file comes first and has everything; an Intent counts only once it is in the cluster too. Whoever has lost the
//! lease to somebody else appends nothing any more, so that the two copies stay one chain. Not here: what is written
//! (`runbook::run::engine`), how (`client::{journal, share}`), and when to take the lease ([`super::guard`]).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::waiting::Haste;

use crate::client::journal::{Journal, LedgerError};
use crate::client::share::lease::{Lease, Lost};
use crate::client::share::open_run::{NotShared, OpenRun};
use crate::counted::counted;
use crate::runbook::run::lines::encode;
use crate::runbook::run::record::{Event, Record};

/// The journal of the run under way.
pub(super) struct RunJournal {
    journal: Journal,
    /// `None` with `--local-only`.
    shared: Option<Shared>,
    /// A cluster that does not answer must not hold up a person who waits for the end.
    haste: Haste,
}

fn no_time() -> Lost {
    Lost::Unsure { context: "its cluster".into(), why: "no answer in the time that there was".into() }
}

fn late() -> NotShared {
    NotShared::Failed("no answer in the time that there was".into())
}

/// The lease and the record beside it.
pub(super) struct Shared {
    pub lease: Arc<Lease>,
    pub record: OpenRun,
}

/// Why an event is not in the journal, or not in all of it.
#[derive(Debug)]
pub enum Unwritten {
    /// The file; what is on the disk is not known.
    File(LedgerError),
    /// Somebody else has the run now. Nothing was written.
    Taken(String),
    /// The lease could not be confirmed before an Intent. Nothing was written.
    Unsure(String),
    /// An Intent is in the file and not in the cluster: its action must not leave.
    NotShared(Box<Record>, String),
}

impl RunJournal {
    pub fn new(journal: Journal, shared: Option<Shared>, haste: Haste) -> Self {
        Self { journal, shared, haste }
    }

    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.shared.as_ref().map(|shared| &shared.lease)
    }

    /// Whether our own renewals have found that somebody else has the lease.
    pub fn taken(&self) -> Option<String> {
        match self.lease()?.ready() {
            Err(lost @ Lost::Taken { .. }) => Some(lost.to_string()),
            Err(Lost::Unsure { .. }) | Ok(()) => None,
        }
    }

    /// Appends one event; it is on this machine's disk when this returns, and an Intent in the cluster as well. What
    /// else could not be stored there is stored with the next one.
    pub async fn append(&mut self, at: Timestamp, event: Event) -> Result<Record, Unwritten> {
        let effect = matches!(event, Event::Intent { .. });
        let last = matches!(event, Event::Closed { .. });
        if let Some(shared) = &self.shared {
            match self.haste.leaving(shared.lease.confirm()).await.unwrap_or_else(|| Err(no_time())) {
                Err(lost @ Lost::Taken { .. }) => return Err(Unwritten::Taken(lost.to_string())),
                Err(lost @ Lost::Unsure { .. }) if effect => return Err(Unwritten::Unsure(lost.to_string())),
                Err(Lost::Unsure { .. }) | Ok(()) => {}
            }
        }
        let record = self.journal.append(at, event).map_err(Unwritten::File)?;
        let (kind, step) = record.event.kind();
        tracing::info!(seq = record.seq, kind, step, "run record");
        let Some(shared) = &mut self.shared else { return Ok(record) };
        shared.record.add(&encode(&record).map_err(|error| Unwritten::File(error.into()))?);
        if last {
            shared.record.close();
        }
        match self.haste.leaving(shared.record.flush()).await.unwrap_or_else(|| Err(late())) {
            Ok(()) => Ok(record),
            Err(NotShared::Taken(why)) => Err(Unwritten::Taken(why)),
            Err(NotShared::Failed(why)) if effect => Err(Unwritten::NotShared(Box::new(record), why)),
            Err(NotShared::Failed(_)) => Ok(record),
        }
    }

    /// Ends the driving: stores what is left and gives the lease back. `Err`: what the cluster's copy lacks.
    pub async fn leave(mut self) -> Result<(), String> {
        let Some(shared) = &mut self.shared else { return Ok(()) };
        let mut stored = Ok(());
        for pause in [0, 300, 1500] {
            if pause > 0 && self.haste.leaving(tokio::time::sleep(Duration::from_millis(pause))).await.is_none() {
                break;
            }
            stored = self.haste.leaving(shared.record.flush()).await.unwrap_or_else(|| Err(late()));
            if !matches!(stored, Err(NotShared::Failed(_))) {
                break;
            }
        }
        // What cannot be given back lapses by itself.
        let _ = self.haste.leaving(shared.lease.release()).await;
        match stored {
            // A copy that somebody else continues lacks nothing.
            Ok(()) | Err(NotShared::Taken(_)) => Ok(()),
            Err(NotShared::Failed(why)) => Err(format!(
                "the run's record in the cluster lacks its end, {} ({why}); `tidepilot runs resume` adds it",
                counted(shared.record.pending(), "line")
            )),
        }
    }
}
