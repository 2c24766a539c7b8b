//! The signals that ask a command to end: registered once, so that one that comes while something else is being done is
//! heard afterwards.
//!
//! (A `ctrl_c()` made anew for each wait hears nothing of what came between two waits.)

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGINT: a person at the terminal.
    Interrupt,
    /// SIGTERM, or a terminal that went away (SIGHUP).
    End,
}

/// From here on the signals end nothing by themselves.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Errors: the system gives no handler.
    pub fn register() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one; one that came since the last call is given at once. Cancel safe.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::End,
        }
    }
}

/// The next one, where they are registered; never, where they are not.
pub async fn asked(signals: &mut Option<Signals>) -> Asked {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}
