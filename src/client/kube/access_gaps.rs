//! What is known of a cluster itself, and what it does not let us see. Asking is [`crate::client::kube::snapshot`]'s.

use std::collections::BTreeSet;

use crate::fleet::{Crd, Freshness, What};

/// What is learned about a cluster itself, and what could not be.
#[derive(Clone)]
pub(in crate::client) struct Facts {
    pub changes: Vec<What>,
    pub gaps: Gaps,
    pub crd: Crd,
}

/// What a cluster does not let us see, as one sentence.
#[derive(Clone, Debug, Default)]
pub(in crate::client) struct Gaps {
    notes: Vec<&'static str>,
    lacking: Vec<&'static str>,
    forbidden: BTreeSet<&'static str>,
    /// Kinds that may be listed and not watched: what is shown of them is as old as the last list.
    unwatched: BTreeSet<&'static str>,
}

impl Gaps {
    pub fn note(&mut self, note: &'static str) {
        self.notes.push(note);
    }

    pub fn lacking(&mut self, what: &'static str) {
        self.lacking.push(what);
    }

    /// Something without which the picture is not whole.
    pub fn forbidden(&mut self, plural: &'static str) {
        self.forbidden.insert(plural);
    }

    /// Takes in what was learned of the cluster itself, beside what lists and watches have found.
    pub fn learn(&mut self, of: Gaps) {
        (self.notes, self.lacking) = (of.notes, of.lacking);
        self.forbidden.extend(of.forbidden);
    }

    pub fn allowed(&mut self, plural: &'static str) {
        self.forbidden.remove(plural);
    }

    pub fn unwatched(&mut self, plural: &'static str) {
        self.unwatched.insert(plural);
    }

    pub fn watched(&mut self, plural: &'static str) {
        self.unwatched.remove(plural);
    }

    pub fn verdict(&self) -> (Freshness, Option<String>) {
        let mut said: Vec<String> = self.notes.iter().map(|note| (*note).to_owned()).collect();
        if !self.forbidden.is_empty() {
            let plurals: Vec<&str> = self.forbidden.iter().copied().collect();
            let what = plurals.join(", ");
            said.push(format!("may not list {what} (needs get, list, watch; or name a namespace with -n)"));
        }
        if !self.lacking.is_empty() {
            said.push(format!("may not read {}", self.lacking.join(", ")));
        }
        if !self.unwatched.is_empty() {
            let plurals: Vec<&str> = self.unwatched.iter().copied().collect();
            said.push(format!("may not watch {}: what is shown is as old as the last list", plurals.join(", ")));
        }
        let whole = self.forbidden.is_empty() && self.unwatched.is_empty();
        let freshness = if whole { Freshness::Live } else { Freshness::Forbidden };
        (freshness, (!said.is_empty()).then(|| said.join("; ")))
    }
}
