//! One isolated connection per context: what may leave at all, limits and clocks, retries, tunnels to pods, and what a
//! failed request is called. Nothing here knows what is asked.

pub mod agent;
pub(super) mod channels;
pub mod clock;
pub(super) mod forward;
pub(super) mod frames;
pub(super) mod indirect;
pub mod link;
pub mod local_port;
pub(super) mod pd_tls;
pub mod permit;
pub mod read_only_gate;
pub(super) mod reply;
pub(super) mod request_error;
mod request_log;
pub(super) mod retry_after;
pub mod shell;
pub(super) mod slots;
mod stack;
pub mod timing;
pub(super) mod tls_words;
pub mod traffic;
pub(super) mod tunnel;
pub(super) mod upgrade;
pub(super) mod within;
