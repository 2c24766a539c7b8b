//! What is known of a port on this machine that leads to a pod: where it listens, and what went through it.
//!
//! Counted where the bytes pass (`client::wire::local_port_forward`), shown by the console. Not here: opening one.

/// What went through a local port since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that are open now.
    pub open: u64,
    /// And all there were.
    pub connections: u64,
    pub to_pod: u64,
    pub from_pod: u64,
    /// Why the last connection that failed did; a later one that worked takes it away.
    pub trouble: Option<String>,
}

/// News of one local port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardNews {
    /// It listens at this address.
    Listens(String),
    Traffic(Traffic),
    /// It could not be opened, or is open no more; one sentence.
    Over(String),
}
