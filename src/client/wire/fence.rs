//! What a write asks before it leaves: is the run still ours, and until when may it go?
//!
//! Not here: the leases that answer it ([`crate::client::share::lease`]).

use std::fmt;

use futures::future::BoxFuture;

use crate::client::wire::timing::Until;

/// Why a lease cannot be relied on (any more).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another process has it: it is over for this one.
    #[error("the lease in {context} is not ours any more: {now}")]
    Taken { context: String, now: String },
    /// It may still be ours, but that could not be seen in time.
    #[error("the lease in {context} could not be confirmed: {why}")]
    Unsure { context: String, why: String },
}

/// Asked immediately before each write of a run.
pub trait Fence: fmt::Debug + Send + Sync {
    /// Until when a write may leave. `Err`: none may.
    fn leave(&self) -> BoxFuture<'_, Result<Until, Lost>>;
}
