//! A person wants to stop (Ctrl-C): how long what is under way is still waited for, and how long leaving may take.
//!
//! Not here: which signals there are (`cli::signals`), how a run ends ([`super::run_end`]).

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// From a wish to stop until what is under way is not waited for any more, and until the run has to be left.
const GRACE: Duration = Duration::from_millis(1000);
const LEAVE: Duration = Duration::from_millis(2000);
/// What one answer of a cluster may take at least then, and at most while nobody wants to stop.
const MOMENT: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(40);

/// A person's wish to stop, and how long what is under way may still take after it.
pub(super) struct Haste {
    stop: watch::Receiver<bool>,
    since: Option<Instant>,
}

impl Haste {
    pub fn new(stop: watch::Receiver<bool>) -> Self {
        Self { stop, since: None }
    }

    pub fn is_over(&mut self) -> bool {
        if *self.stop.borrow() {
            self.since.get_or_insert_with(Instant::now);
        }
        self.since.is_some_and(|since| since.elapsed() >= GRACE)
    }

    /// Waits for something, but not much longer than a person wants to.
    pub async fn bound<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = what => Some(done),
            () = self.over(GRACE, Duration::ZERO) => None,
        }
    }

    /// The same of what belongs to leaving: the journal's copy in the cluster, the lease. The file has everything.
    pub async fn leaving<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = what => Some(done),
            () = self.over(LEAVE, MOMENT) => None,
            () = tokio::time::sleep(PATIENCE) => None,
        }
    }

    async fn over(&mut self, grace: Duration, least: Duration) {
        if self.stop.wait_for(|stop| *stop).await.is_err() {
            // Nobody is there who could want to stop.
            std::future::pending::<()>().await;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        tokio::time::sleep(grace.saturating_sub(since.elapsed()).max(least)).await;
    }
}
