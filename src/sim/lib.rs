//! A crate of its own around the simulated fleet: see [`sim`].

#[path = "mod.rs"]
pub mod sim;
