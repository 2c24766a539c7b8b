//! The everyday runbooks from end to end: leave, upgrade, restart, suspend and resume, repair.
//!
//! The real binary against the simulated fleet, judged by what is in the fleet afterwards and by its request log, never
//! by what the run says of itself. Not here: the migration (`tests/program/migration.rs`), crash boundaries in memory
//! (`tests/engine/crash_points.rs`).

pub mod bed;
mod everyday;
mod leader;
mod leave;
mod monitor;
mod repair;
mod tls;
mod tls_faults;
mod tls_toggle;
mod upgrade;
