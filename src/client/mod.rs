//! How we **touch** the world: the only room with a Kubernetes client, sockets and the journal's file.
//!
//! Reading order: [`connect`] (kubeconfig → targets) → [`link`] (one isolated connection per context) →
//! [`access`] (what may leave at all) → [`tunnel`] and [`pd`] (PD through its pod) → [`look`] (one look), [`look_closer`] and
//! [`watch`] (a long one) → [`rights`], [`probe`], [`apply`] (a run's hands) → [`ledger`] (its journal) →
//! [`identity`], [`lease`] (over [`timing`] and [`clock`]), [`open_run`], [`approval`] (other people, their runs, their word). [`certificates`] reads what
//! Secrets say, [`signing`] and [`cfssl`] make what goes into them.
//!
//! Imports `fleet` and `runbook::{action, approval, merge, record, requests, rights}` only. Everything it learns leaves as [`crate::fleet::Change`];
//! everything it does enters as [`crate::runbook::action::Action`]. Judging either is not its business.

pub mod access;
pub mod agent;
pub mod apply;
pub mod approval;
pub mod certificates;
pub mod cfssl;
mod channels;
pub mod clock;
pub mod connect;
mod credentials;
mod frames;
#[cfg(test)]
mod fuzz;
pub mod identity;
mod kubeconfig;
pub mod lease;
pub mod leases;
pub mod ledger;
pub mod leftovers;
pub mod link;
mod login;
pub mod look;
pub mod look_closer;
pub mod network;
pub mod objects;
pub mod open_run;
mod pages;
mod pd;
mod pd_answers;
mod pd_details;
mod pd_tls;
pub mod probe;
mod resources;
mod retry;
pub mod rights;
mod settle;
pub mod signing;
pub mod timing;
mod tls_words;
mod trouble;
mod tunnel;
mod upgrade;
pub mod watch;
mod within;

pub use access::{ProbePermit, Refused, WritePermit};
pub use connect::{ConnectError, ConnectOptions, Limits, PdTlsFiles, Target, targets, unknown_contexts};
pub use credentials::end_all as end_credential_plugins;
pub use link::{Link, Links};
pub use look::fold;
pub use trouble::{Trouble, TroubleKind};
pub use watch::{WatchHandle, watch};

use jiff::Timestamp;

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

/// Percent-encodes one query value.
pub(crate) fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
