//! Leave to write, and to run programs in pods: for one run, in the contexts that it was asked for.
//!
//! Not here: the gate that every request passes ([`super::read_only_gate`]); who is given a permit (`app::driver`); the leases that
//! answer whether a run is still ours (`client::share::lease`).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::client::wire::lease_timing::Until;
use crate::client::wire::link::Links;

/// Why a lease cannot be relied on (any more).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another process has it: it is over for this one.
    #[error("the lease in {context} is not ours any more: {now}")]
    Taken { context: String, now: String },
    /// It may still be ours, but that could not be seen in time.
    #[error("the lease in {context} could not be confirmed: {why}")]
    Unsure { context: String, why: String },
}

/// Asked immediately before each write of a run.
pub trait Fence: fmt::Debug + Send + Sync {
    /// Until when a write may leave. `Err`: none may.
    fn leave(&self) -> BoxFuture<'_, Result<Until, Lost>>;
}

/// Leave to write, for one run in the contexts it was asked for. There is none for a read-only context.
#[derive(Clone, Debug)]
pub struct WritePermit {
    run: String,
    contexts: BTreeSet<String>,
    /// Each write first makes sure that this is still ours.
    fence: Option<Arc<dyn Fence>>,
}

impl WritePermit {
    /// `Err`: one sentence; a context is read-only or unknown.
    pub fn for_run<S: AsRef<str>>(
        links: &Links,
        run: &str,
        contexts: impl IntoIterator<Item = S>,
    ) -> Result<Self, String> {
        Ok(Self { run: run.to_owned(), contexts: writable(links, contexts)?, fence: None })
    }

    /// The same leave, good only for as long as the fence lets writes leave.
    pub fn under(self, fence: Arc<impl Fence + 'static>) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// Asked immediately before each write, which takes the answer along. Without a lease (`--local-only`) there is
    /// nothing to ask.
    pub(in crate::client) async fn still_ours(&self) -> Result<Until, Lost> {
        match &self.fence {
            Some(fence) => fence.leave().await,
            None => Ok(Until::default()),
        }
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    pub(in crate::client) fn covers(&self, context: &str) -> Result<(), String> {
        covered(&self.contexts, context, "write to")
    }
}

/// Leave to run the fixed programs of [`crate::client::kube::pod_probe`] inside pods.
#[derive(Debug)]
pub struct ProbePermit {
    contexts: BTreeSet<String>,
}

impl ProbePermit {
    /// `Err`: one sentence; a context is read-only or unknown.
    pub fn for_contexts<S: AsRef<str>>(links: &Links, contexts: impl IntoIterator<Item = S>) -> Result<Self, String> {
        Ok(Self { contexts: writable(links, contexts)? })
    }

    pub(in crate::client) fn covers(&self, context: &str) -> Result<(), String> {
        covered(&self.contexts, context, "run programs in")
    }
}

/// Leave for what a person does by hand in one context: a port on this machine that leads into a pod, a shell.
///
/// It is no leave to write: [`crate::client::write`] takes none of it. It is made for one thing that somebody asked for on
/// the console, and never by a run.
#[derive(Debug)]
pub struct HandPermit {
    contexts: BTreeSet<String>,
}

impl HandPermit {
    /// `Err`: one sentence; the context is read-only or unknown.
    pub fn for_context(links: &Links, context: &str) -> Result<Self, String> {
        Ok(Self { contexts: writable(links, [context])? })
    }

    pub(in crate::client) fn covers(&self, context: &str) -> Result<(), String> {
        covered(&self.contexts, context, "reach into pods of")
    }
}

fn writable<S: AsRef<str>>(links: &Links, contexts: impl IntoIterator<Item = S>) -> Result<BTreeSet<String>, String> {
    let mut set = BTreeSet::new();
    for context in contexts {
        let context = context.as_ref();
        let Some(link) = links.get(context) else { return Err(format!("no context is called {context:?}")) };
        if link.read_only() {
            return Err(format!("context {context:?} is read-only: nothing is sent to it that could change anything"));
        }
        set.insert(context.to_owned());
    }
    Ok(set)
}

fn covered(contexts: &BTreeSet<String>, context: &str, verb: &str) -> Result<(), String> {
    match contexts.contains(context) {
        true => Ok(()),
        false => Err(format!("there is no leave to {verb} context {context:?}; the run was allowed {contexts:?}")),
    }
}
