//! Worlds that mean ill: servers, files and terminals. Nothing is without a bound, and nothing planted reaches a terminal.
//!
//! The table of attacks and bounds is `docs/hostile-worlds.md`; what takes long is in `benches/hostile.rs`.

mod faces;
mod files;
mod server;
mod terminal;
mod wires;
