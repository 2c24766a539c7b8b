//! What a second person is shown before they approve.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::runbook::plan::{Plan, PlannedStep};
use crate::runbook::run::approval_validity::Wanted;

/// What a second person is asked to approve.
#[derive(Clone, Debug, PartialEq)]
pub struct ToApprove {
    pub wanted: Wanted,
    pub plan: Plan,
    pub step: PlannedStep,
    /// How many more items of the same step there are, each of which needs an approval of its own.
    pub alike: usize,
    /// Who opened or last drove the run.
    pub driver: String,
    /// Since when the record in the cluster has stood still.
    pub last: Timestamp,
    /// Whom the approval will name.
    pub who: String,
    /// What is to be known of the document that the plan says it is from, where it is not the shipped one.
    pub document: Option<String>,
    /// Ids of the plan's steps that are over.
    pub done: BTreeSet<String>,
}

impl ToApprove {
    /// What tells the question that was shown from any other.
    pub fn question(&self) -> &str {
        self.wanted.asked.as_ref().map_or("", |(_, question)| question)
    }
}
