//! One isolated connection per context: what may leave at all, limits and clocks, retries, tunnels to pods, and what a
//! failed request is called. Nothing here knows what is asked.

pub(super) mod deadline;
mod http_stack;
pub mod lease_timing;
pub mod link;
pub mod local_port_forward;
pub(super) mod open_tunnel;
pub(super) mod pd_tls;
pub mod permit;
pub(super) mod proxy;
pub mod read_only_gate;
pub(super) mod reply;
pub(super) mod request_error;
mod request_log;
pub mod request_stats;
pub(super) mod retry;
pub mod shell;
pub mod suspend_aware_clock;
pub mod timeouts;
pub(super) mod tls_errors;
pub(super) mod tunnel;
pub(super) mod tunnel_pool;
pub(super) mod unreachable_pods;
pub mod user_agent;
pub(super) mod watch_throttle;
pub(super) mod websocket_channels;
pub(super) mod websocket_upgrade;
