//! Who we say that we are: the User-Agent of every request, to the API servers and to PD.
//!
//! `tidepilot/VERSION`; while a run is driven `tidepilot/VERSION (RUNBOOK RUN-ID)`, so that an audit log tells which run
//! wrote, and which one asked. The run belongs to the task that drives it, not to a connection: a console watches over
//! the same connections meanwhile. Not here: who a person is ([`crate::client::kube::identity`]).

use http::HeaderValue;

const AGENT: &str = concat!("tidepilot/", env!("CARGO_PKG_VERSION"));

tokio::task_local! {
    static DRIVEN: HeaderValue;
}

/// Whatever this future sends, it sends for a run.
pub async fn during<F: Future>(runbook: &str, run: &str, future: F) -> F::Output {
    // Ids of runbooks and runs are letters, digits and '-'; anything else is no part of a header.
    let plain = |text: &str| text.chars().filter(|c| c.is_ascii_graphic() && !"()\\".contains(*c)).collect::<String>();
    let agent = format!("{AGENT} ({} {})", plain(runbook), plain(run));
    let agent = HeaderValue::from_str(&agent).unwrap_or_else(|_| HeaderValue::from_static(AGENT));
    DRIVEN.scope(agent, future).await
}

/// The same for a task of its own, which does not inherit it.
pub(in crate::client) fn inherited<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let agent = current();
    DRIVEN.scope(agent, future)
}

/// The header of a request that leaves now.
pub(in crate::client) fn current() -> HeaderValue {
    DRIVEN.try_with(Clone::clone).unwrap_or_else(|_| HeaderValue::from_static(AGENT))
}
