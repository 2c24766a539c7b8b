//! Troubles a test can switch on in a running API server.
//!
//! A shared handle of plain settings. The router looks at it for every request; connections and streams also wake up
//! when it changes, so that a cut cuts at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

#[derive(Clone, Debug, Default)]
struct Settings {
    latency: Option<Duration>,
    refuse: Option<u16>,
    drop_connections: bool,
    hang: bool,
    refuse_review: Option<u16>,
}

/// The faults of one API server; none by default. Clones share the settings.
#[derive(Clone, Debug)]
pub struct Faults(Arc<watch::Sender<Settings>>);

impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(watch::channel(Settings::default()).0))
    }
}

impl Faults {
    /// Waits this long before each answer.
    pub fn set_latency(&self, latency: Option<Duration>) {
        self.0.send_modify(|settings| settings.latency = latency);
    }

    /// Answers every request with this status (429, 500, 503, ...).
    pub fn set_refuse(&self, status: Option<u16>) {
        self.0.send_modify(|settings| settings.refuse = status);
    }

    /// Cuts every open connection now (watches and tunnels too), and each new one right after it was accepted.
    pub fn set_drop_connections(&self, drop: bool) {
        self.0.send_modify(|settings| settings.drop_connections = drop);
    }

    /// Takes requests and does not answer; running watches fall silent. Switched off, what was asked is answered.
    pub fn set_hang(&self, hang: bool) {
        self.0.send_modify(|settings| settings.hang = hang);
    }

    /// Answers every SelfSubjectReview with this status; 404 is what servers before 1.28 say.
    pub fn set_refuse_review(&self, status: Option<u16>) {
        self.0.send_modify(|settings| settings.refuse_review = status);
    }

    pub(super) fn refuse_review(&self) -> Option<u16> {
        self.0.borrow().refuse_review
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.0.borrow().latency
    }

    pub(super) fn refuse(&self) -> Option<u16> {
        self.0.borrow().refuse
    }

    /// Comes back once connections are to be cut.
    pub(super) async fn dropped(&self) {
        self.until(|settings| settings.drop_connections).await;
    }

    /// Comes back once (or if) nothing hangs.
    pub(super) async fn answering(&self) {
        self.until(|settings| !settings.hang).await;
    }

    async fn until(&self, reached: impl FnMut(&Settings) -> bool) {
        // The sender is held by `self`, so the wait cannot end for want of one.
        let _ = self.0.subscribe().wait_for(reached).await;
    }
}
