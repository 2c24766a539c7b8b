//! The engine and its rules over worlds in memory: every runbook, every crash, every refusal. No process, no socket.

#![allow(clippy::too_many_lines, reason = "a test tells one story")]

mod bare;
mod choices;
mod crash_points;
mod every_runbook;
mod faces;
mod guards;
mod model;
mod protocol;
mod refusals;
mod voyage;
mod world_moves;
