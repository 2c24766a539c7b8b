//! What all actions have in common, as data: requests, answers, how far one can go back.
//!
//! Not here: the actions themselves, one file each ([`super::actions`]), carrying them out (`client::write`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fleet::ObjectRef;

/// A certificate that is replaced, as the plan's look saw it. Its key is kept nowhere, so there is no rollback to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Of the Secret.
    pub uid: String,
    /// Of the certificate ([`crate::fleet::certificate_facts::CertificateFacts::fingerprint`]); empty where none could be read.
    pub fingerprint: String,
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Signer {
    Builtin,
    /// The user's own `cfssl`; its files are written to the folder.
    Cfssl {
        folder: String,
    },
}

/// What is left of a step when one wants it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversibility {
    /// Changes nothing.
    Free,
    /// Can be put back by a second action.
    Compensable,
    /// There is no rollback.
    Irreversible,
}

/// One request as it would go over the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub context: String,
    /// `pingcap/basic-pd-0` for requests through a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub content_type: String,
    pub body: Value,
}

impl Request {
    /// Goes to the API server itself, and not through a tunnel to a pod.
    pub fn to_api_server(&self) -> bool {
        self.pod.is_none()
    }
}

/// What came back when an action was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The server took it.
    Accepted { status: u16, detail: String },
    /// The server (or our own check) refused: nothing was changed by this.
    Refused { reason: String },
    /// Timed out or cut off: it may still be applied later.
    Unknown { reason: String },
}

/// What one PD pod saw of a peerURL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeLine {
    /// The pod that looked.
    pub from: ObjectRef,
    pub resolved: Vec<String>,
    /// The addresses of the pod; the name should resolve to them, or to some of them.
    pub expected: Vec<String>,
    /// It answered on the peer port.
    pub reached: bool,
    /// One sentence: what happened.
    pub detail: String,
}

impl ProbeLine {
    /// Resolves to the right pod and answers.
    pub fn good(&self) -> bool {
        self.reached && leads_to(&self.resolved, &self.expected)
    }
}

/// Whether a name that resolves so leads to the pod with these addresses, and nowhere else.
pub fn leads_to(resolved: &[String], pod: &[String]) -> bool {
    !resolved.is_empty() && resolved.iter().all(|address| pod.contains(address))
}

/// The program that a PD pod runs to see whether a PD answers at a peerURL, word by word. With TLS it shows the pod's own
/// certificate, from where the operator mounts it.
pub fn version_request(url: &str) -> Vec<String> {
    const CERTIFICATE: [&str; 3] = [
        "--ca-certificate=/var/lib/pd-tls/ca.crt",
        "--certificate=/var/lib/pd-tls/tls.crt",
        "--private-key=/var/lib/pd-tls/tls.key",
    ];
    let tls: &[&str] = if url.starts_with("https://") { &CERTIFICATE } else { &[] };
    let fixed = ["wget", "-qO-", "-T", "5"].iter().chain(tls).map(|word| (*word).to_owned());
    fixed.chain([format!("{url}/version")]).collect()
}

/// Begins the name under which tidepilot writes.
pub const OWN_HAND: &str = "tidepilot/";

/// Names the run that writes, in managedFields and in audit logs.
pub fn field_manager(run: &str) -> String {
    format!("{OWN_HAND}{run}")
}

/// Stands in a plan where the run's id will be: a label's value, and who made what is deleted.
pub const THIS_RUN: &str = "RUN";
/// Label of what a run makes only for itself: the run's id.
pub const RUN_LABEL: &str = "tidepilot/run";

/// The annotation of a component whose change restarts it (`domain.md` §2.9).
pub const RESTARTED_AT: &str = "tidb.pingcap.com/restartedAt";
