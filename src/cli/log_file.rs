//! `--log-file`: what this process asks of clusters, how watches and leases fare, and which records a run writes. It goes
//! to a file and never to the screen.
//!
//! `TIDEPILOT_LOG` is the level: error, warn, info (the default), debug (every request) or trace. Only our own lines: those
//! of libraries are left out.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Begins to log at the end of this file, which only its owner may read. `Err`: one sentence.
pub fn begin(file: &Path) -> Result<(), String> {
    let level = level(std::env::var("TIDEPILOT_LOG").ok().as_deref())?;
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    let opened = crate::files::open_plain(file, &mut options);
    let opened = opened
        .map_err(|why| format!("the log {} cannot be written: {}", file.display(), crate::files::io_words(&why)))?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(opened));
    let ours = Targets::new().with_target("tidepilot", level);
    // A second one in the same process (tests) goes on with the first.
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "started");
    Ok(())
}

fn level(asked: Option<&str>) -> Result<LevelFilter, String> {
    match asked.map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(LevelFilter::INFO),
        Some(text) => {
            text.parse().map_err(|_| format!("TIDEPILOT_LOG is error, warn, info, debug or trace; found {text:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        assert_eq!(level(None), Ok(LevelFilter::INFO));
        assert_eq!(level(Some("debug")), Ok(LevelFilter::DEBUG));
        assert!(level(Some("loud")).is_err_and(|why| why.contains("found \"loud\"")));
    }
}
