//! The objects behind the approvals that a journal records, looked at for those who read it afterwards. Reads only.
//!
//! Not here: what follows from them (`report::approval_audit`), which approval lets a step through (`runbook::run::approval_validity`).

use jiff::Timestamp;

use super::Driver;
use crate::client::share::approval;
use crate::runbook::plan::digest::digest;
use crate::runbook::run::approval_validity::{Approval, IdentityProof};
use crate::runbook::run::engine::Run;
use crate::runbook::run::record::{Event, Record};

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// One sentence.
    NotLooked(String),
    Absent,
    There(Box<Approval>),
}

/// A name, what an object has to say of it, and where it says so.
pub type Expected = (&'static str, String, fn(&Approval) -> String);

/// One recorded approval, and what was found of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Of the record.
    pub seq: u64,
    pub object: String,
    pub by: String,
    /// Step and attempt, in words.
    pub what: String,
    pub vouched: IdentityProof,
    pub expected: Vec<Expected>,
    pub found: Found,
    /// Since when the cluster's admission policy stands as it does.
    pub policy_since: Option<Timestamp>,
}

/// The recorded approvals, not looked at.
pub fn recorded(run: &Run, records: &[Record], why: &str) -> Vec<Seen> {
    let mut question = None;
    let mut all = Vec::new();
    for record in records {
        match &record.event {
            Event::AwaitsApproval { .. } => question = Some(record.prev.clone()),
            Event::Approved { gate, step, attempt, by, object, vouched, .. } => {
                let mut expected: Vec<Expected> = vec![
                    ("run", run.id.clone(), |found| found.run.clone()),
                    ("gate", gate.clone(), |found| found.gate.clone()),
                    ("attempt", attempt.to_string(), |found| found.attempt.to_string()),
                ];
                // One of an earlier tidepilot says neither, and its plan had another digest.
                if let Some(step) = step {
                    expected.push(("step", step.clone(), |found| found.step.clone().unwrap_or_default()));
                    expected.push(("plan", digest(&run.plan), |found| found.plan.clone()));
                    let question = question.clone().unwrap_or_default();
                    expected.push(("question", question, |found| found.question.clone().unwrap_or_default()));
                }
                all.push(Seen {
                    seq: record.seq,
                    object: object.clone(),
                    by: by.clone(),
                    what: format!("{} (attempt {attempt})", step.as_ref().unwrap_or(gate)),
                    vouched: *vouched,
                    expected,
                    found: Found::NotLooked(why.to_owned()),
                    policy_since: None,
                });
            }
            _ => {}
        }
    }
    all
}

impl Driver {
    /// Looks for the object of each recorded approval.
    pub async fn approved(&self, run: &Run, records: &[Record]) -> Vec<Seen> {
        let target = &run.plan.target;
        let mut all = recorded(run, records, &format!("no context is called {:?} here", target.context));
        let Some(link) = self.links.get(&target.context).filter(|_| !all.is_empty()) else { return all };
        let since = approval::policy_since(link).await;
        for seen in &mut all {
            seen.policy_since = since;
            seen.found = match approval::look(link, &target.namespace, &seen.object).await {
                Ok(Some(found)) => Found::There(Box::new(found)),
                Ok(None) => Found::Absent,
                Err(trouble) => Found::NotLooked(trouble.sentence),
            };
        }
        all
    }
}
