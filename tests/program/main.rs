//! The real binary from end to end on the simulated fleet: every command, its words, its exit code and what it sent.

#![allow(clippy::too_many_lines, reason = "a test tells one story")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../engine/model/mod.rs"]
mod model;

mod approvals;
mod audit;
mod by_hand;
mod check;
mod dist;
mod documents;
mod headless;
mod hostile;
mod in_job;
mod issuing;
mod journal_files;
mod languages;
mod lifecycle;
mod log_file;
mod migration;
mod monitor;
mod network;
mod notify;
mod openssl_speaks;
mod pictures;
mod planted;
mod planted_world;
mod practice;
mod rights;
mod schemas;
mod signals;
mod spanning;
mod stops;
mod two_people;
mod words;
