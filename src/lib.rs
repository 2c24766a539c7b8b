//! tidepilot: one TiDB database across several Kubernetes clusters, watched and operated from one terminal.
//!
//! Modules in reading order; imports go one way only (`tests/house/tidy.rs` enforces it):
//!
//! * [`fleet`] — what **is**: pure data and arithmetic over everything we were told;
//! * [`hazards`] — what **goes wrong**: the catalogue, each check over a fleet and its cure; the lint of files;
//! * [`runbook`] — what **should** happen: documents, plans, the engine; pure;
//! * [`client`] — how we **touch** the world: Kubernetes, the tunnel to PD, the journal;
//! * [`app`] — the core: messages in, effects out, and the driver which carries the effects out;
//! * [`console`] and [`report`] — the two faces;
//! * [`cli`] — arguments to lib to exit code;
//! * [`pluralize`] and [`sanitize`] — small words that every room uses: numbers with their nouns, the door of printed text;
//! * `sim` — a simulated world that speaks only the wires and imports nothing of ours (a crate of its own, feature `demo`).

#![cfg_attr(
    test,
    allow(clippy::too_many_lines, reason = "a test tells one story; a table of cases is as long as it is")
)]

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
mod did_you_mean;
mod files;
pub mod fleet;
pub mod hazards;
pub mod invalid_value;
pub mod pluralize;
pub mod report;
pub mod runbook;
pub mod sanitize;
#[cfg(feature = "demo")]
pub use tidepilot_sim::sim;
