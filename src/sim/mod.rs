//! (room: sim)

pub mod api_server;
pub mod request_log;
pub mod store;
pub mod tls;
