//! The simulated world over its real wires: what an operator's roll, a membership write, or a wrong input does to it.
//!
//! Every test starts a fleet of its own at high speed and talks to it with kube-rs and with HTTP through port-forward. The
//! API server's own manners are tested in `sim_api.rs`.

#![allow(clippy::disallowed_methods, reason = "a test is the person at the keyboard: it writes directly")]

mod golden;
mod logs;
mod membership;
mod reach;
mod rolling;
mod wires;
