//! What is asked of Kubernetes API servers: kubeconfig and credentials, one look and a long one (watch), rights, probe pods.
//! Not here: connecting and sending ([`crate::client::wire::link`]), writing ([`crate::client::write`]), PD behind its pods ([`crate::client::pd`]).

pub(super) mod access_gaps;
pub(super) mod connect_error;
pub mod context_selection;
pub mod cross_cluster_probe;
pub(super) mod exec_plugin;
pub mod identity;
pub(super) mod kubeconfig;
pub(super) mod kubeconfig_validation;
pub mod leftover_probe_pods;
pub(super) mod list_pagination;
pub mod logs_and_events;
pub mod objects;
mod pending_clusters_notice;
pub mod pod_probe;
pub(super) mod resources;
pub mod rights;
pub mod snapshot;
pub(super) mod snapshot_cache;
pub mod snapshot_extras;
pub(super) mod token_files;
pub mod watch;
pub mod watch_wakeup;
