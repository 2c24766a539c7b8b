//! A run's journal in both places, the file and the cluster, and the lease under which it is written.
//!
//! The file comes first and has everything; an Intent counts only once it is in the cluster too. Whoever has lost the
//! lease to somebody else appends nothing any more, so that the two copies stay one chain. Not here: what is written
//! (`runbook::run::engine`), how (`client::{journal, share}`), and when to take the lease ([`super::acquire_lease`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::stop_grace::Haste;

use crate::client::journal::{Journal, LedgerError};
use crate::client::share::lease::{Lease, Lost};
use crate::client::share::run_record_configmaps::{NotShared, OpenRun};
use crate::pluralize::counted;
use crate::runbook::run::journal_lines::encode;
use crate::runbook::run::record::{Event, Record};

/// The journal of the run under way.
pub(super) struct RunJournal {
    journal: Journal,
    /// `None` with `--local-only`.
    shared: Option<Shared>,
    /// A cluster that does not answer must not hold up a person who waits for the end.
    haste: Haste,
    /// Somebody else writes the run's record now.
    taken: Option<String>,
    /// When the cluster did not store what was not an Intent.
    refused: Option<Instant>,
}

/// A record after which nothing is sent is preceded by a confirmation of the lease that is at most this old. Nobody can have
/// taken one over in that time: a lease is watched for its whole duration first.
const CONFIRMED_LATELY: Duration = Duration::from_secs(2);
/// Longest time that a record is only in the file while a look is under way.
const LATE: Duration = Duration::from_secs(1);
/// Where the cluster does not store it, it is not asked with each wait.
const AGAIN: Duration = Duration::from_secs(10);

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
        Self { journal, shared, haste, taken: None, refused: None }
    }

    pub fn lease(&self) -> Option<&Arc<Lease>> {
        self.shared.as_ref().map(|shared| &shared.lease)
    }

    /// Whether our own renewals have found that somebody else has the lease, or our own writing that the record is theirs.
    pub fn taken(&self) -> Option<String> {
        if let Some(why) = &self.taken {
            return Some(why.clone());
        }
        match self.lease()?.ready() {
            Err(lost @ Lost::Taken { .. }) => Some(lost.to_string()),
            Err(Lost::Unsure { .. }) | Ok(()) => None,
        }
    }

    /// Appends one event; it is on this machine's disk when this returns, and an Intent in the cluster as well. Whatever else
    /// there is goes there with the next Intent, or as soon as the run does anything but look ([`RunJournal::store`]): of
    /// a loss in between a look says as much as of a lost answer.
    pub async fn append(&mut self, at: Timestamp, event: Event) -> Result<Record, Unwritten> {
        let effect = matches!(event, Event::Intent { .. });
        let last = matches!(event, Event::Closed { .. });
        if let Some(shared) = &self.shared {
            let lease = &shared.lease;
            let confirmed = async {
                match effect {
                    true => lease.confirm().await,
                    false => lease.confirm_lately(CONFIRMED_LATELY).await,
                }
            };
            match self.haste.leaving(confirmed).await.unwrap_or_else(|| Err(no_time())) {
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
        if !effect {
            return Ok(record);
        }
        match self.haste.leaving(shared.record.flush()).await.unwrap_or_else(|| Err(late())) {
            Ok(()) => Ok(record),
            Err(NotShared::Taken(why)) => Err(Unwritten::Taken(why)),
            Err(NotShared::Failed(why)) => Err(Unwritten::NotShared(Box::new(record), why)),
        }
    }

    /// Stores in the cluster what is only in the file yet. What could not be stored is stored with what comes next; that
    /// somebody else writes it now is told by [`RunJournal::taken`].
    pub async fn store(&mut self) {
        let Some(shared) = self.shared.as_mut().filter(|shared| shared.record.pending() > 0) else { return };
        if self.refused.is_some_and(|refused| refused.elapsed() < AGAIN) {
            return;
        }
        let stored = self.haste.leaving(shared.record.flush()).await.unwrap_or_else(|| Err(late()));
        self.refused = stored.is_err().then(Instant::now);
        if let Err(NotShared::Taken(why)) = stored {
            self.taken = Some(why);
        }
    }

    /// Comes back once a look has taken so long that others would wait for what is only in the file.
    pub async fn is_late(&self) {
        if self.shared.as_ref().is_none_or(|shared| shared.record.pending() == 0) {
            std::future::pending().await
        }
        tokio::time::sleep(LATE).await;
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
