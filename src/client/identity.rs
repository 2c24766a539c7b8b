//! Who we are to a cluster: its own answer to a SelfSubjectReview, else the user's name in the kubeconfig.
//!
//! Never the login name of this machine: anybody can set that. Not here: what one may do ([`super::rights`]).

use serde_json::{Value, json};

use super::link::Link;
use super::plain;

/// A person (or a robot) as others should see them in a lease and in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    /// Name of the machine, only to find the right terminal; empty where it is not known.
    pub host: String,
}

impl Identity {
    /// Asks the cluster; a server that does not know the question (before 1.28) costs only the better name.
    pub async fn ask(link: &Link) -> Self {
        Self::ask_source(link).await.0
    }

    /// The same, and whether the name is the cluster's own answer.
    pub async fn ask_source(link: &Link) -> (Self, bool) {
        let (user, answered) = match review(link).await {
            Some(user) => (user, true),
            None => (link.configured_user().unwrap_or_else(|| "unknown user".to_owned()), false),
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        (Self { user: plain(&user), host: plain(&host) }, answered)
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.as_str() {
            "" => write!(f, "{}", self.user),
            host => write!(f, "{} on {host}", self.user),
        }
    }
}

async fn review(link: &Link) -> Option<String> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .ok()?;
    let reply = link.call(request, link.limits().request).await.ok()?;
    let answer: Value = link.decode(&reply).ok()?;
    let user = answer.pointer("/status/userInfo/username")?.as_str()?;
    (!user.is_empty()).then(|| user.to_owned())
}
