//! What a person answered where a Job was submitted, for its pods: each answer is good for one attempt of a step.
//!
//! An answer is to a question that a person has seen. Once the step behind it was sent, the same gate asks something else
//! ("once more: it was sent, and is not so"), and only a person answers that. Not here: `--yes` and `--confirm`, which
//! are meant to stand (`cli::gate_prompts`); the pod itself ([`super::job_pod`]).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::client::kube::identity::is_at;
use crate::runbook::plan::Gate;
use crate::runbook::run::record::{Event, Record};

/// The answers, and the steps that were sent since they were given.
pub(super) struct Answers<'a> {
    given: &'a [(String, String)],
    sent: Mutex<BTreeSet<String>>,
}

impl<'a> Answers<'a> {
    pub fn new(given: &'a [(String, String)]) -> Self {
        Self { given, sent: Mutex::default() }
    }

    /// The answer to this gate, where it was given and is not used up.
    pub fn to(&self, gate: &Gate) -> Option<String> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.contains(&gate.step) {
            return None;
        }
        let wanted = gate.text.as_deref().unwrap_or_default();
        let (_, text) = self.given.iter().find(|(id, text)| *id == gate.id && text == wanted)?;
        Some(text.clone())
    }

    /// Notes what was sent by one record.
    pub fn spend(&self, record: &Record) {
        if let Event::Intent { step, .. } = &record.event {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(step.clone());
        }
    }

    /// Notes what earlier pods of the same Job have sent; what was sent before was known to whoever answered. `host`: what
    /// stands in the place of their machine.
    pub fn spend_on(&self, records: &[Record], host: &str) {
        let own = |record: &&Record| matches!(&record.event, Event::Leased { by, .. } if is_at(by, host));
        records.iter().skip_while(|record| !own(record)).for_each(|record| self.spend(record));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::fleet::ObjectRef;
    use crate::runbook::actions::{Action, Manual};
    use crate::runbook::before_after_image::Image;

    fn record(event: Event) -> Record {
        Record { seq: 0, at: Timestamp::UNIX_EPOCH, prev: String::new(), event }
    }

    fn intent(step: &str) -> Record {
        let action = Action::Manual(Manual { target: ObjectRef::new("c", "n", "t"), command: "x".into() });
        let (before, after) = (Image::default(), Image::default());
        record(Event::Intent { step: step.into(), attempt: 1, action, before, after })
    }

    fn leased(host: &str) -> Record {
        let (by, database) = (format!("ann on {host}"), "1".to_owned());
        record(Event::Leased { database, by, user: None, named_by: None, fences: Vec::new() })
    }

    fn gate(step: &str) -> Gate {
        Gate { id: "g".into(), step: step.into(), question: "?".into(), text: Some("basic".into()), short: None }
    }

    #[test]
    fn an_answer_is_used_up_once_its_step_was_sent() {
        let given = [("g".to_owned(), "basic".to_owned())];
        let answers = Answers::new(&given);
        assert_eq!(answers.to(&gate("a")).as_deref(), Some("basic"));
        answers.spend(&intent("a"));
        assert_eq!(answers.to(&gate("a")), None, "a second attempt asks anew");
        assert_eq!(answers.to(&gate("b")).as_deref(), Some("basic"), "the next item of the same gate was agreed to");
    }

    #[test]
    fn what_an_earlier_pod_of_the_job_sent_counts_and_what_was_sent_before_the_answer_does_not() {
        let given = [("g".to_owned(), "basic".to_owned())];
        let records = [leased("laptop"), intent("a"), leased("Job east/ops/x-1"), intent("b")];
        let answers = Answers::new(&given);
        answers.spend_on(&records, "Job east/ops/x-1");
        assert_eq!(answers.to(&gate("a")).as_deref(), Some("basic"), "whoever answered knew that it had been sent");
        assert_eq!(answers.to(&gate("b")), None);
    }
}
