//! The console: scenes as text, keys as one-liners, and the real binary in a pseudo terminal.

#![allow(clippy::too_many_lines, reason = "a test tells one story")]

#[path = "../common/mod.rs"]
mod common;

mod by_hand;
mod counted;
mod edits;
mod first_contact;
mod first_look;
mod fixture;
mod folds;
mod forms;
mod jobs;
mod kept_apart;
mod keys;
mod lists;
mod objects;
mod on_call;
mod other_words;
mod questions;
mod random_keys;
mod read_only;
mod regions;
mod run_keys;
mod run_page;
mod screens;
mod search;
mod situations;
mod terminal;
mod typable;
mod weather;
mod wizard;
