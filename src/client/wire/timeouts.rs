//! How long a connection, a request, a look, a write or a heartbeat may take, and how often PD and a silent server are asked.
//!
//! Not here: counting a limit down ([`crate::client::wire::deadline`]), until when a write may leave under its lease
//! ([`crate::client::wire::lease_timing`]), what is sent again ([`crate::client::wire::retry`]).

use std::time::Duration;

/// How long anything may take. Tests shorten them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// TCP connect.
    pub connect: Duration,
    /// One Kubernetes request with its answer (watches aside).
    pub request: Duration,
    /// One look at one context, PD not counted.
    pub look: Duration,
    /// One exec credential plugin.
    pub plugin: Duration,
    /// Everything asked of one PD pod in one round.
    pub pd: Duration,
    /// PD without a leader is asked again for this long before anything is advised on it: etcd elects within 3.4 s, PD
    /// within 11.4 s (measured).
    pub election: Duration,
    /// A store that is `Disconnected` is looked at again for this long: a new leader of PD hears of it with its next
    /// heartbeat, which each store sends every 10 s.
    pub store_heartbeat: Duration,
    /// One write.
    pub write: Duration,
    /// One program in a pod.
    pub probe: Duration,
    /// One heartbeat.
    pub heartbeat: Duration,
    /// For so long a server may be silent before it is asked whether it lives.
    pub heartbeat_every: Duration,
    /// Between rounds of asking PD.
    pub pd_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(4),
            request: Duration::from_secs(5),
            look: Duration::from_secs(8),
            plugin: Duration::from_secs(15),
            pd: Duration::from_secs(5),
            election: Duration::from_secs(15),
            store_heartbeat: Duration::from_secs(11),
            write: Duration::from_secs(15),
            probe: Duration::from_secs(10),
            heartbeat: Duration::from_secs(3),
            heartbeat_every: Duration::from_secs(30),
            pd_every: Duration::from_secs(3),
        }
    }
}
