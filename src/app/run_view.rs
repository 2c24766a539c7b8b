//! A run as the screen shows it: the fold of its records, with the open gate and the latest sentence.
//!
//! Only records complete a step here, as in the engine. Not here: deciding anything (`runbook`).

use jiff::Timestamp;

use super::message::{RunEnd, RunMessage};
use super::words::Level;
use crate::runbook::action::Answer;
use crate::runbook::network::{self, Way};
use crate::runbook::plan::{Gate, Plan};
use crate::runbook::record::{Choice, Event, How, Outcome, PauseReason, Record};

/// Records kept for the log on the screen; the journal has them all.
const LOG: usize = 2000;

#[derive(Clone, Debug, Default)]
pub struct RunView {
    pub plan: Option<Box<Plan>>,
    pub records: Vec<Record>,
    pub gate: Option<Gate>,
    /// What the run waits for, and since when this very sentence stands.
    pub waiting: Option<(String, Timestamp)>,
    pub end: Option<RunEnd>,
    /// This process drives it now.
    pub driving: bool,
    name: String,
}

/// Where one step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    Pending,
    /// It is its turn, and the run waits for the world.
    Current,
    /// It is its turn, and the run waits for a person.
    WaitingForYou,
    Sent,
    Verifying,
    Done(How),
    Paused,
}

impl StepState {
    pub fn word(&self) -> &'static str {
        match self {
            StepState::Pending => "pending",
            StepState::Current => "looking",
            StepState::WaitingForYou => "waits for you",
            StepState::Sent => "sent",
            StepState::Verifying => "verifying",
            StepState::Done(how) => how.word(),
            StepState::Paused => "paused",
        }
    }
}

impl RunView {
    /// A run that is being started or resumed.
    pub fn driving(plan: Option<Box<Plan>>, run: &str) -> Self {
        Self { plan, driving: true, name: run.to_owned(), ..Self::default() }
    }

    /// The run's name, once its first record is there.
    pub fn id(&self) -> &str {
        if self.name.is_empty() { "(opening)" } else { &self.name }
    }

    pub fn apply(&mut self, message: RunMessage, now: Timestamp) {
        match message {
            RunMessage::Record(record) => self.record(*record),
            RunMessage::Gate(gate) => {
                self.gate = Some(gate);
                self.waiting = None;
            }
            RunMessage::Waiting(sentence) => {
                // The time is the step's: another sentence about the same wait does not make it shorter.
                let since = self.waiting.as_ref().map_or(now, |(_, since)| *since);
                self.waiting = Some((sentence, since));
            }
            RunMessage::Ended(end) => {
                self.driving = false;
                self.gate = None;
                self.waiting = None;
                self.end = Some(end);
            }
            // Plans belong to the plan view.
            RunMessage::Planned(_) | RunMessage::NoPlan(_) => {}
        }
    }

    fn record(&mut self, record: Record) {
        match &record.event {
            Event::RunOpened { run, plan, .. } => {
                self.records.clear();
                self.name.clone_from(run);
                self.plan = Some(plan.clone());
            }
            Event::Confirmed { gate, .. } => {
                if self.gate.as_ref().is_some_and(|open| open.id == *gate) {
                    self.gate = None;
                }
            }
            Event::Completed { .. } | Event::Intent { .. } => self.waiting = None,
            Event::Approved { .. } => self.waiting = None,
            Event::Resumed { .. }
            | Event::Chosen { .. }
            | Event::Leased { .. }
            | Event::TakenOver { .. }
            | Event::Returned { .. }
            | Event::Paused { .. }
            | Event::Closed { .. } => {}
        }
        self.records.push(record);
        if self.records.len() > LOG {
            self.records.remove(0);
        }
    }

    /// The state of every step of the plan, in order.
    pub fn steps(&self) -> Vec<StepState> {
        let Some(plan) = &self.plan else { return Vec::new() };
        let mut current = None;
        let mut states: Vec<StepState> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(index, step)| {
                let state = self.fold(&step.id);
                if current.is_none() && !matches!(state, StepState::Done(_)) {
                    current = Some(index);
                }
                state
            })
            .collect();
        if let Some(index) = current
            && states[index] == StepState::Pending
            && self.driving
        {
            states[index] = StepState::Current;
        }
        if let Some(gate) = &self.gate
            && let Some(index) = plan.steps.iter().position(|step| step.id == gate.step)
        {
            states[index] = StepState::WaitingForYou;
        }
        states
    }

    fn fold(&self, step: &str) -> StepState {
        let mut state = StepState::Pending;
        for record in &self.records {
            match &record.event {
                Event::Intent { step: of, .. } if of == step => state = StepState::Sent,
                Event::Returned { step: of, .. } if of == step => state = StepState::Verifying,
                Event::Completed { step: of, how, .. } if of == step => state = StepState::Done(how.clone()),
                Event::Paused { step: of, .. } if of == step => state = StepState::Paused,
                Event::Resumed { .. } | Event::TakenOver { .. } if state == StepState::Paused => {
                    state = StepState::Pending;
                }
                Event::RunOpened { .. }
                | Event::Resumed { .. }
                | Event::Chosen { .. }
                | Event::Leased { .. }
                | Event::TakenOver { .. }
                | Event::Confirmed { .. }
                | Event::Approved { .. }
                | Event::Intent { .. }
                | Event::Returned { .. }
                | Event::Completed { .. }
                | Event::Paused { .. }
                | Event::Closed { .. } => {}
            }
        }
        state
    }

    /// One sentence: what is going on now.
    pub fn sentence(&self, now: Timestamp) -> (Level, String) {
        if let Some(end) = &self.end {
            let level = match (end.code, end.asked) {
                (0, _) => Level::Good,
                // A pause that was asked for is no failure.
                (_, true) => Level::Done,
                (_, false) => Level::Bad,
            };
            return (level, end.sentence.clone());
        }
        if let Some(gate) = &self.gate {
            return (Level::Working, gate.question.clone());
        }
        if let Some((sentence, since)) = &self.waiting {
            return (Level::Working, format!("{sentence} ({})", super::words::age(*since, now)));
        }
        match self.records.last() {
            Some(record) => record_sentence(record),
            None => (Level::Unknown, "opening the journal".into()),
        }
    }
}

/// One line of the log.
pub fn record_sentence(record: &Record) -> (Level, String) {
    match &record.event {
        Event::RunOpened { run, .. } => (Level::Done, format!("run {run} opened")),
        Event::Resumed { .. } => (Level::Done, "resumed".into()),
        Event::Leased { by, fences, .. } => (Level::Done, format!("lease taken in {} places by {by}", fences.len())),
        Event::TakenOver { by, from, .. } => (Level::Working, format!("taken over from {from} by {by}")),
        Event::Confirmed { gate, text: None } => (Level::Good, format!("{gate}: confirmed")),
        Event::Confirmed { gate, text: Some(text) } => (Level::Good, format!("{gate}: confirmed by typing {text:?}")),
        Event::Approved { gate, by, vouched, .. } => {
            (Level::Good, format!("{gate}: approved by {by} ({})", vouched.words()))
        }
        Event::Intent { step, attempt: 1, .. } => (Level::Working, format!("{step}: about to send")),
        Event::Intent { step, attempt, .. } => (Level::Working, format!("{step}: about to send, attempt {attempt}")),
        Event::Returned { step, answer, .. } => match answer {
            Answer::Accepted { status, detail } if detail.is_empty() => {
                (Level::Working, format!("{step}: accepted ({status}), to be verified"))
            }
            Answer::Accepted { status, detail } => {
                (Level::Working, format!("{step}: accepted ({status}), to be verified: {detail}"))
            }
            Answer::Refused { reason } => (Level::Bad, format!("{step}: refused, nothing changed: {reason}")),
            Answer::Unknown { reason } => (Level::Unknown, format!("{step}: no answer, may still apply: {reason}")),
        },
        Event::Completed { step, evidence, .. } if !network::ways(evidence).is_empty() => {
            let ways = network::ways(evidence);
            let level = if ways.iter().all(Way::good) { Level::Good } else { Level::Bad };
            (level, format!("{step}: {}", network::verdict(&ways)))
        }
        Event::Completed { step, how, .. } => (Level::Good, format!("{step}: {}", how.word())),
        Event::Paused { step, reason: PauseReason::Asked, .. } => (Level::Done, format!("{step}: paused as asked")),
        Event::Paused { step, reason, .. } => (Level::Bad, format!("{step}: paused, {}", reason.sentence())),
        Event::Chosen { choice: Choice::ByHand { step } } => {
            (Level::Done, format!("{step}: said to be done by hand, to be verified"))
        }
        Event::Chosen { choice: Choice::Undo { steps, .. } } => {
            (Level::Working, format!("undo of {} step(s)", steps.len()))
        }
        Event::Chosen { choice: Choice::Abandon { reason, .. } } => (Level::Bad, format!("given up: {reason}")),
        Event::Closed { outcome: Outcome::Undone } => (Level::Good, "undone".into()),
        Event::Closed { outcome: Outcome::Abandoned } => (Level::Bad, "abandoned".into()),
        Event::Closed { outcome: Outcome::Done } => (Level::Good, "done".into()),
        Event::Closed { outcome: Outcome::NothingToDo } => (Level::Good, "nothing to do: all was so already".into()),
    }
}
