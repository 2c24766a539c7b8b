//! Troubles a test can switch on in a running API server.
//!
//! A shared handle of plain settings; the connection loop and the router look at it for every request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, Default)]
struct Settings {
    latency: Option<Duration>,
    refuse: Option<u16>,
    drop_connections: bool,
    hang: bool,
}

/// The faults of one API server; none by default. Clones share the settings.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Settings>>);

impl Faults {
    /// Waits this long before each answer.
    pub fn set_latency(&self, latency: Option<Duration>) {
        self.change(|settings| settings.latency = latency);
    }

    /// Answers every request with this status (429, 500, 503, ...).
    pub fn set_refuse(&self, status: Option<u16>) {
        self.change(|settings| settings.refuse = status);
    }

    /// Cuts every connection at its next request, also running watches and streams at their next event.
    pub fn set_drop_connections(&self, drop: bool) {
        self.change(|settings| settings.drop_connections = drop);
    }

    /// Accepts requests and never answers.
    pub fn set_hang(&self, hang: bool) {
        self.change(|settings| settings.hang = hang);
    }

    pub fn latency(&self) -> Option<Duration> {
        self.read(|settings| settings.latency)
    }

    pub fn refuse(&self) -> Option<u16> {
        self.read(|settings| settings.refuse)
    }

    pub fn drop_connections(&self) -> bool {
        self.read(|settings| settings.drop_connections)
    }

    pub fn hang(&self) -> bool {
        self.read(|settings| settings.hang)
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read<T>(&self, read: impl FnOnce(&Settings) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
