//! What one record changes in a run.

use jiff::Timestamp;

use super::{Pause, Run, StepState, undo};
use crate::runbook::action_types::{Answer, Reversibility};
use crate::runbook::actions::network_probe_result;
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::Confirm;
use crate::runbook::run::confirmation_gates::overwrite_gate;
use crate::runbook::run::record::{Cause, Choice, Event, Record};

impl Run {
    /// The only state change, live and on replay.
    pub fn apply(&mut self, record: &Record) {
        self.people.apply(record);
        self.note(record);
        match &record.event {
            Event::RunOpened { .. } | Event::Leased { .. } | Event::AwaitsApproval { .. } => {}
            Event::Resumed { .. } => self.resumed(record.at),
            Event::TakenOver { .. } => {
                self.ask_anew();
                self.resumed(record.at);
            }
            Event::Chosen { choice } => self.chosen(choice, record.at),
            Event::Confirmed { gate, .. } => {
                self.confirmed.insert(gate.clone());
                self.progress = record.at;
            }
            Event::Approved { .. } => self.progress = record.at,
            Event::Intent { step, attempt, before, .. } => self.begun_attempt(step, *attempt, before, record.at),
            Event::Returned { step, answer, .. } => {
                if matches!(answer, Answer::Refused { .. }) {
                    self.not_taken(step);
                }
                if let Some(StepState::Open { answer: slot, since, .. }) = self.states.get_mut(step) {
                    *slot = Some(answer.clone());
                    // A lost answer may have been waited for a good while; a late write is late from here.
                    *since = record.at;
                }
            }
            Event::Completed { step, how, evidence } => {
                self.begin_item(step);
                let ways = network_probe_result::ways(evidence);
                if !ways.is_empty() {
                    self.crossed.insert(step.clone(), ways);
                }
                self.states.insert(step.clone(), StepState::Completed(how.clone()));
                self.by_hand.remove(step);
                self.probed_at.insert(step.clone(), record.at);
                self.progress = record.at;
            }
            Event::Paused { step, reason, cause } => {
                let cause = cause.unwrap_or_else(|| Cause::of(reason));
                let (step, reason) = (step.clone(), reason.clone());
                self.paused = Some(Pause { step, reason, cause, at: record.at });
                self.by_hand.clear();
            }
            Event::Closed { outcome } => self.outcome = Some(*outcome),
        }
    }

    /// A person who resumes grants a fresh set of attempts, also of what was refused.
    fn resumed(&mut self, at: Timestamp) {
        let pause = self.paused.take();
        let was_paused = pause.is_some();
        self.paused_before = pause.or(self.paused_before.take());
        self.progress = at;
        self.attempts.clear();
        for (step, state) in &mut self.states {
            match state {
                StepState::Open { answer: Some(Answer::Refused { .. }), .. } => *state = StepState::Pending,
                // Accepted, not seen until the run paused: lost or put back by somebody. It is planned again,
                // past every check and a gate of its own, and adopted if it is there after all.
                StepState::Open { answer: Some(Answer::Accepted { .. }), .. } if was_paused => {
                    *state = StepState::Pending;
                    self.put_back.insert(step.clone());
                }
                // Until when the process before us could still send is not known; from here on it cannot.
                StepState::Open { since, .. } => *since = at,
                StepState::Pending | StepState::Completed(_) => {}
            }
        }
    }

    fn chosen(&mut self, choice: &Choice, at: Timestamp) {
        self.progress = at;
        match choice {
            Choice::ByHand { step } => drop(self.by_hand.insert(step.clone())),
            Choice::Undo { .. } => {
                self.undo = Some(undo::undo(&self.id, &self.plan, &self.sent, &self.images));
                self.outcome = None;
                self.abandoned = false;
            }
            Choice::Abandon { .. } => self.abandoned = true,
        }
    }

    fn begun_attempt(&mut self, step: &str, attempt: u32, before: &Image, at: Timestamp) {
        self.begin_item(step);
        *self.attempts.entry(step.to_owned()).or_insert(0) += 1;
        *self.taken.entry(step.to_owned()).or_insert(0) += 1;
        self.numbered.insert(step.to_owned(), attempt);
        self.images.entry(step.to_owned()).or_insert_with(|| before.clone());
        if self.plan.step(step).is_some() && !self.sent.iter().any(|sent| sent == step) {
            self.sent.push(step.to_owned());
        }
        self.use_up_gate(step);
        if self.put_back.remove(step) {
            self.confirmed.remove(&overwrite_gate(step));
        }
        let open = StepState::Open { attempt, since: at, before: before.clone(), answer: None };
        self.states.insert(step.to_owned(), open);
        self.writes += 1;
    }

    /// What is kept of a step for those who look at the run.
    fn note(&mut self, record: &Record) {
        let step = match &record.event {
            Event::Intent { step, .. } => step,
            Event::Completed { step, evidence, .. } => {
                self.evidence.insert(step.clone(), evidence.clone());
                step
            }
            Event::Returned { step, .. } | Event::Paused { step, .. } => {
                self.changed.insert(step.clone(), record.at);
                return;
            }
            Event::RunOpened { .. }
            | Event::Resumed { .. }
            | Event::Leased { .. }
            | Event::TakenOver { .. }
            | Event::Confirmed { .. }
            | Event::AwaitsApproval { .. }
            | Event::Approved { .. }
            | Event::Chosen { .. }
            | Event::Closed { .. } => return,
        };
        self.changed.insert(step.clone(), record.at);
        if !self.order.contains(step) {
            self.order.push(step.clone());
        }
    }

    /// An attempt was refused, so nothing of it left or nothing came of it: a step all of whose attempts were refused counts as
    /// never sent.
    fn not_taken(&mut self, step: &str) {
        self.writes = self.writes.saturating_sub(1);
        let left = self.taken.entry(step.to_owned()).or_insert(0);
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.sent.retain(|sent| sent != step);
        }
    }

    pub(super) fn begin_item(&mut self, step: &str) {
        if let Some(item) = self.plan.step(step).and_then(|planned| planned.item.clone()) {
            self.begun.insert(item);
        }
    }

    /// Leave to do something that has no rollback is leave to do it once: a second attempt asks again.
    pub(super) fn use_up_gate(&mut self, step: &str) {
        let gate = self.step(step).filter(|step| step.reversibility == Reversibility::Irreversible);
        if let Some(Confirm::Typed { gate, .. } | Confirm::Plain { gate }) = gate.map(|step| step.confirm.clone()) {
            self.confirmed.remove(&gate);
            self.people.use_up(&gate);
        }
    }
}
