//! How we **touch** the world: the only room with a Kubernetes client, sockets and the journal's file.
//!
//! Reading order: [`kube::context_selection`] (kubeconfig → targets) → [`wire::link`] (one isolated connection per context) →
//! [`wire::read_only_gate`] (what may leave at all) → [`wire::tunnel`] and [`pd`] (PD through its pod) → [`kube::snapshot`] (one look),
//! [`kube::snapshot_extras`] and [`kube::watch`] (a long one) → [`kube::rights`], [`kube::pod_probe`], [`write`] (a run's hands) →
//! [`journal`] → [`share`] (leases, run records, approvals: other people). [`certificates`] reads what Secrets say and makes
//! what goes into them. [`notify`] tells people elsewhere, [`jobs`] has a run driven in a cluster.
//!
//! Of the rooms it imports `fleet` and `runbook`. Everything it learns leaves as [`crate::fleet::Change`]; everything it does enters
//! as an [`Action`](crate::runbook::actions::Action). Judging either is not its business.

pub mod certificates;
#[cfg(test)]
mod fuzz;
pub mod jobs;
pub mod journal;
pub mod kube;
pub mod notify;
mod pd;
pub mod share;
pub mod wire;
pub mod write;

pub use crate::client::kube::context_selection::{
    ConnectError, ConnectOptions, PdAccess, PdTlsFiles, Target, targets, unknown_contexts,
};
pub use crate::client::kube::exec_plugin::end_all as end_credential_plugins;
pub use crate::client::kube::snapshot::assemble;
pub use crate::client::kube::watch::{WatchHandle, watch};
pub use crate::client::wire::link::{Link, Links};
pub use crate::client::wire::permit::{HandPermit, ProbePermit, WritePermit};
pub use crate::client::wire::read_only_gate::Refused;
pub use crate::client::wire::request_error::{RequestError, RequestErrorKind};
pub use crate::client::wire::timeouts::Limits;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The wall clock of this room: dates what was heard and judges the expiry of credentials.
#[expect(clippy::disallowed_methods, reason = "the one place of the room that reads the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Text from a cluster or a plugin made fit for one line of a terminal: no control characters, bounded.
pub(crate) fn plain(text: &str) -> String {
    const LONGEST: usize = 400;
    let clean: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST + 1).collect();
    if clean.chars().count() > LONGEST { clean.chars().take(LONGEST).chain(['…']).collect() } else { clean }
}

/// What a query value keeps as it is (RFC 3986, unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one query value.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, UNRESERVED).to_string()
}
