//! How long until a lost cluster, a list that failed or a watch that broke is tried again.
//!
//! Not here: when a server counts as lost ([`super::heartbeat`]), how long a busy one wants us away
//! ([`crate::client::wire::retry`]), how often PD is asked ([`super::pd_poll_schedule`]).

use std::time::Duration;

/// A watch that went on for this long was no fault.
pub(super) const LASTED: Duration = Duration::from_secs(20);
/// Before a kind that the server does not know is listed again; the backoff comes on top of it.
pub(super) const AFTER_MISSING: Duration = Duration::from_secs(15);
/// The same of a kind that may not be listed.
pub(super) const AFTER_FORBIDDEN: Duration = Duration::from_secs(30);
/// Before everything of one context begins anew after a fault of our own.
pub(super) const AFTER_FAULT: Duration = Duration::from_secs(5);
/// Before a watch is opened again, where it broke or ended sooner than this.
pub(super) const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// So many failures of a watch in a row, and only a new list helps.
pub(super) const REOPENINGS: u32 = 3;

/// 1 s to 30 s, doubling, with some disorder so that many contexts do not come back at once.
#[derive(Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let base = Duration::from_secs(1 << self.0.min(5)).min(Duration::from_secs(30));
        self.0 += 1;
        base.mul_f64(rand::random_range(0.8..1.2))
    }

    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}
