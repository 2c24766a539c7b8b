//! The people of a run, as its records name them: who drives, who confirmed, who approved. Pure.
//!
//! Where a second person is demanded, a name counts only if the API server itself gave it and it is a person's. Not
//! here: which approval counts ([`crate::runbook::run::approval_validity`]), asking for a name (`client::kube::identity`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use crate::runbook::run::identity_source::NamedBy;
use crate::runbook::run::record::{Event, Record};

/// Why a name is nobody's where two people are demanded, as the end of "NAME …"; `None`: it counts. `named_by` is
/// missing in records before 0.2, which did not note it.
pub fn no_person(user: &str, named_by: Option<NamedBy>) -> Option<&'static str> {
    let kind = if user.starts_with("system:serviceaccount:") {
        Some("is a service account and no person: anyone with permission to create its token acts in its name")
    } else if user.is_empty() || user.starts_with("system:") {
        Some("is an account of the cluster itself and no person")
    } else {
        None
    };
    kind.or(match named_by {
        Some(NamedBy::Server) => None,
        Some(NamedBy::Impersonation) => {
            Some("is impersonated (`as:` in the kubeconfig): anyone with permission to impersonate can act as any user")
        }
        Some(NamedBy::Kubeconfig) => Some(
            "is what a kubeconfig says and not the API server's own answer (SelfSubjectReview, Kubernetes 1.28 and later)",
        ),
        None => Some("was recorded by an earlier tidepilot, without who gave the name"),
    })
}

/// What a run was last seen to wait for a second person with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub gate: String,
    pub step: String,
    pub attempt: u32,
    /// Who confirmed the gate.
    pub by: String,
    /// By the clock of whoever drove it.
    pub since: Timestamp,
    /// Hash of the line before: nobody knew it before this very question was asked.
    pub question: String,
}

/// The part of a run's state that is about people.
#[derive(Clone, Debug, Default)]
pub(in crate::runbook) struct People {
    /// Who drives it, as the cluster knows them.
    driver: Option<(String, Option<NamedBy>)>,
    /// By gate, with when they did.
    confirmed_by: BTreeMap<String, String>,
    /// Step (with its item) and attempt: another of either needs an approval of its own.
    approved: BTreeSet<(String, u32)>,
    awaited: Option<Awaited>,
}

impl People {
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::Leased { user, named_by, .. } => self.driver = user.clone().map(|user| (user, *named_by)),
            Event::Confirmed { gate, .. } => {
                match self.person() {
                    Some(user) => drop(self.confirmed_by.insert(gate.clone(), user.to_owned())),
                    None => drop(self.confirmed_by.remove(gate)),
                };
            }
            Event::AwaitsApproval { gate, step, attempt, by } => {
                self.awaited = Some(Awaited {
                    gate: gate.clone(),
                    step: step.clone(),
                    attempt: *attempt,
                    by: by.clone(),
                    since: record.at,
                    question: record.prev.clone(),
                });
            }
            // One of an earlier tidepilot does not say which item it was for.
            Event::Approved { step: Some(step), attempt, .. } => drop(self.approved.insert((step.clone(), *attempt))),
            Event::Approved { step: None, .. } => {}
            // Without a lease nobody has been asked who they are.
            Event::Resumed { .. } => self.driver = None,
            Event::RunOpened { .. }
            | Event::TakenOver { .. }
            | Event::Intent { .. }
            | Event::Returned { .. }
            | Event::Chosen { .. }
            | Event::Completed { .. }
            | Event::Paused { .. }
            | Event::Closed { .. } => {}
        }
    }

    /// Who drives it, where that is a person whom the server named.
    fn person(&self) -> Option<&str> {
        let (user, named_by) = self.driver.as_ref()?;
        no_person(user, *named_by).is_none().then_some(user.as_str())
    }

    pub fn first(&self, gate: &str) -> Option<&String> {
        self.confirmed_by.get(gate)
    }

    /// Why nobody is known to have confirmed, as far as it is the driver's name.
    pub fn why_nobody(&self) -> String {
        match &self.driver {
            None => "without a lease (--local-only) no other user can see the run".to_owned(),
            Some((user, named_by)) => no_person(user, *named_by).map_or_else(
                || "the gate was answered before it was asked who drives".into(),
                |why| format!("{user} {why}"),
            ),
        }
    }

    /// It was confirmed by somebody whom nobody knows, and whoever drives now is known.
    pub fn ask_again(&self, gate: &str) -> bool {
        self.person().is_some() && !self.confirmed_by.contains_key(gate)
    }

    pub fn is_approved(&self, step: &str, attempt: u32) -> bool {
        self.approved.contains(&(step.to_owned(), attempt))
    }

    pub fn awaited(&self) -> Option<&Awaited> {
        self.awaited.as_ref()
    }

    /// Leave that was given once: the next attempt is confirmed anew.
    pub fn use_up(&mut self, gate: &str) {
        self.confirmed_by.remove(gate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_whom_the_server_named_counts() {
        let server = Some(NamedBy::Server);
        assert_eq!(no_person("ann", server), None);
        for (user, named_by, word) in [
            ("ann", Some(NamedBy::Impersonation), "impersonated"),
            ("ann", Some(NamedBy::Kubeconfig), "SelfSubjectReview"),
            ("ann", None, "earlier tidepilot"),
            ("system:serviceaccount:db:default", server, "service account"),
            ("system:anonymous", server, "account of the cluster"),
            ("system:admin", server, "account of the cluster"),
            ("", server, "account of the cluster"),
        ] {
            let why = no_person(user, named_by).unwrap_or_default();
            assert!(why.contains(word), "{user} {named_by:?}: {why}");
        }
    }
}
