//! A crate of its own around the simulated fleet: see [`sim`].

#![cfg_attr(test, allow(clippy::too_many_lines, reason = "a test tells one story"))]

#[path = "mod.rs"]
pub mod sim;
