//! Who we are to a cluster: its own answer to a SelfSubjectReview, else the user's name in the kubeconfig.
//!
//! Never the login name of this machine: anybody can set that. Who gave the name is told with it: where two people are
//! demanded only the server's word counts (`runbook::run::who_counts_as_person`). Not here: what one may do ([`crate::client::kube::rights`]).

use serde_json::{Value, json};

use crate::client::plain;
use crate::client::wire::link::Link;
use crate::runbook::run::who_counts_as_person::{NamedBy, no_person};

/// A person (or a robot) as others should see them in a lease and in a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    /// Name of the machine, only to find the right terminal; empty where it is not known.
    pub host: String,
}

/// A name with who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub who: Identity,
    pub by: NamedBy,
    /// Why the server did not give it; empty where it did.
    pub why: String,
}

impl Named {
    /// Why this is nobody where two people are demanded; one sentence with what to do.
    pub fn refusal(&self) -> Option<String> {
        let why = no_person(&self.who.user, Some(self.by))?;
        let asked = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        let cure = match self.by {
            NamedBy::Impersonation => "take `as:` out of the kubeconfig and log in as yourself",
            NamedBy::Kubeconfig => "log in so that the server answers, and try again",
            NamedBy::Server => "log in as yourself",
        };
        Some(format!("{} {why}{asked}; {cure}", self.who.user))
    }
}

impl Identity {
    /// Asks the cluster; a server that does not know the question (before 1.28) costs only the better name.
    pub async fn ask(link: &Link) -> Self {
        Self::ask_named(link).await.who
    }

    /// The same, with who gave the name.
    pub async fn ask_named(link: &Link) -> Named {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (user, by, why) = match review(link).await {
            Ok(user) if link.impersonates().is_some() => (user, NamedBy::Impersonation, String::new()),
            Ok(user) => (user, NamedBy::Server, String::new()),
            Err(why) => {
                let user = link.entry().context.user.clone().unwrap_or_else(|| "unknown user".to_owned());
                (user, NamedBy::Kubeconfig, plain(&why))
            }
        };
        Named { who: Self { user: plain(&user), host: plain(&host) }, by, why }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.as_str() {
            "" => write!(f, "{}", self.user),
            host => write!(f, "{}{ON}{host}", self.user),
        }
    }
}

/// Between the name of somebody and that of their machine.
const ON: &str = " on ";

/// Whether what a record says of who drives a run ([`Identity`] as it is printed) is said of this machine, whoever it was. A
/// record has the two in one text: the machine is known, so it is compared and never cut out of there.
pub fn is_at(by: &str, host: &str) -> bool {
    by.strip_suffix(host).is_some_and(|user| user.ends_with(ON))
}

async fn review(link: &Link) -> Result<String, String> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    let reply = link.call(request, link.limits().request).await.map_err(|trouble| trouble.sentence)?;
    let answer: Value = link.decode(&reply).map_err(|trouble| trouble.sentence)?;
    let user = answer.pointer("/status/userInfo/username").and_then(Value::as_str).unwrap_or_default();
    if user.is_empty() { Err("the server's answer names no user".to_owned()) } else { Ok(user.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_behind_whoever_drives() {
        let by = |user: &str, host: &str| Identity { user: user.into(), host: host.into() }.to_string();
        for (by, ours) in [
            (by("ann", "Job east/ops/x"), true),
            (by("ann on call", "Job east/ops/x"), true),
            (by("ann", "laptop"), false),
            (by("ann", "my Job east/ops/x"), false),
            (by("Job east/ops/x", ""), false),
            (String::new(), false),
        ] {
            assert_eq!(is_at(&by, "Job east/ops/x"), ours, "{by}");
        }
    }
}
