//! Why there is nothing to connect to.

use std::path::PathBuf;

/// Why there is nothing to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "no kubeconfig found: looked for {looked}; give --kubeconfig FILE or set KUBECONFIG, or try `tidepilot demo`"
    )]
    NoFile { looked: String },
    #[error("the kubeconfig {} cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("the kubeconfig {looked} has no contexts; add one, or give another --kubeconfig FILE")]
    NoContexts { looked: String },
    #[error("no context is called {name:?}; the kubeconfig has: {known}")]
    UnknownContext { name: String, known: String },
    #[error("{found:?} is not a namespace: expected lower-case letters, digits and '-', at most 63")]
    BadNamespace { found: String },
}
