//! What is asked of Kubernetes API servers: kubeconfig and credentials, one look and a long one (watch), rights, probe pods.
//! Not here: connecting and sending ([`crate::client::wire::link`]), writing ([`crate::client::write`]), PD behind its pods ([`crate::client::pd`]).

mod awaited;
pub mod closeup;
pub(super) mod connect_error;
pub(super) mod credentials;
pub(super) mod gaps;
pub mod identity;
pub(super) mod kept;
pub(super) mod kubeconfig;
pub mod leftovers;
pub(super) mod login;
pub mod look;
pub mod look_closer;
pub mod network;
pub mod objects;
pub(super) mod pages;
pub mod pod_probe;
pub(super) mod resources;
pub mod rights;
pub mod targets;
pub(super) mod unfit;
pub mod wake;
pub mod watch;
