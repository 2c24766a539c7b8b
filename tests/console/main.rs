//! The console: scenes as text, keys as one-liners, and the real binary in a pseudo terminal.

#[path = "../common/mod.rs"]
mod common;

mod counted;
mod fixture;
mod keys;
mod questions;
mod read_only;
mod screens;
mod terminal;
