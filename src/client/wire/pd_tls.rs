//! What a tunnel needs to speak TLS with one pod. Not here: where it is read from ([`crate::client::pd::tls`]).

use std::sync::Arc;

use rustls::ClientConfig;

/// What a tunnel needs to speak TLS with one pod.
#[derive(Clone)]
pub(in crate::client) struct PdTls {
    pub config: Arc<ClientConfig>,
    /// Names to accept, the likeliest first.
    pub hosts: Vec<String>,
    /// What is wrong with the certificate that is shown to PD, where its time alone tells.
    pub doubt: Option<String>,
    /// Of the TidbCluster's own Secret, not of files that a person gave.
    pub own: bool,
}
