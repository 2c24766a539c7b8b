//! Both ends of the wire: the client room on sockets, the simulated world asked by others, and a real etcd.

#![allow(clippy::too_many_lines, reason = "a test tells one story")]

mod client;
mod client_edges;
mod closeup;
mod direct;
mod etcd;
mod kept_databases;
mod membership_writes;
mod quiet;
mod sim_api;
mod sim_world;
mod watch;
