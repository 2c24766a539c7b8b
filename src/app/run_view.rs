//! A run as the screen shows it: its records, the open gate and the latest sentence of whoever drives it.
//!
//! What the records add up to is `runbook::run::view`'s, here as everywhere; beside it stands what no record has: that a
//! process drives it, that a gate is being asked, and for how long a wait has had the same words.

use std::borrow::Cow;

use jiff::Timestamp;

use super::exit_codes::Exit;
use super::message::{RunEnd, RunMessage};
use super::status_level::Level;
use crate::runbook::action_types::Answer;
use crate::runbook::actions::network_probe_result::{self, RouteProbe};
use crate::runbook::plan::steps::FIELD_MANAGER;
use crate::runbook::plan::{Gate, Plan, PlannedStep};
use crate::runbook::run::open_run_status::{Drives, Standing};
use crate::runbook::run::record::{Event, Outcome, PauseReason, Record};
use crate::runbook::run::undo::undone;
use crate::runbook::run::view::{self, Direction, Progress, ResolutionOffer, Shown, StepLine, View};

/// Records kept for the log on the screen; the journal has them all.
const LOG: usize = 2000;

#[derive(Clone, Debug, Default)]
pub struct RunView {
    pub plan: Option<Box<Plan>>,
    pub records: Vec<Record>,
    /// What the records add up to, once the first one is there.
    shown: Option<Shown>,
    pub gate: Option<Gate>,
    /// What the run waits for, and since when this very sentence stands.
    pub waiting: Option<(String, Timestamp)>,
    pub end: Option<RunEnd>,
    /// This process drives it now.
    pub driving: bool,
    name: String,
    /// When it was opened.
    begun: Option<Timestamp>,
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
                self.begun = Some(record.at);
                self.name.clone_from(run);
                self.plan = Some(plan.clone());
                self.shown = Shown::of(std::slice::from_ref(&record)).ok();
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
            | Event::AwaitsApproval { .. }
            | Event::TakenOver { .. }
            | Event::Returned { .. }
            | Event::Paused { .. }
            | Event::Closed { .. } => {}
        }
        if let Some(shown) = self.shown.as_mut().filter(|_| !matches!(record.event, Event::RunOpened { .. })) {
            shown.apply(&record);
        }
        self.records.push(record);
        if self.records.len() > LOG {
            self.records.remove(0);
        }
    }

    /// For how long it has been going on, all of it: `2m11s`; until its last record once nobody drives it.
    pub fn lasted(&self, now: Timestamp) -> Option<String> {
        let begun = self.begun?;
        let until = if self.driving { now } else { self.records.last()?.at };
        let seconds = until.duration_since(begun).as_secs().max(0);
        Some(match seconds {
            0..60 => format!("{seconds}s"),
            60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
            _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        })
    }

    /// How the run stands; `None` before its first record.
    pub fn view(&self) -> Option<View> {
        self.shown.as_ref().map(Shown::view)
    }

    /// A step of the plan or of the rollback, with its number in that one.
    pub fn step(&self, id: &str) -> Option<(usize, &PlannedStep)> {
        let plan = self.plan.iter().flat_map(|plan| plan.steps.iter().enumerate());
        let undo = self.shown.iter().filter_map(|shown| shown.run().undoing());
        plan.chain(undo.flat_map(|way| way.steps.iter().enumerate())).find(|(_, step)| step.id == id)
    }

    /// What a step does, in words; its id where it is not known.
    pub fn title_of(&self, id: &str) -> String {
        self.step(id).map_or(id, |(_, step)| &step.title).to_owned()
    }

    /// The step that a question is about, with its requests: of a rollback also before it is chosen, for its question comes before
    /// that is recorded.
    pub fn asked(&self, id: &str) -> Option<Cow<'_, PlannedStep>> {
        if undone(id).is_none() {
            return self.step(id).map(|(_, step)| Cow::Borrowed(step));
        }
        let run = self.shown.as_ref()?.run();
        let mut steps = run.undoing().map_or_else(|| run.way_ahead().steps, |way| way.steps.clone());
        let at = steps.iter().position(|step| step.id == id)?;
        let mut step = steps.swap_remove(at);
        // A rollback is made of the records alone, and those have the requests of the steps forth.
        let forth = undone(id).and_then(|forth| run.plan.step(forth));
        let api = forth.and_then(PlannedStep::membership_api);
        step.requests = step.action.requests(FIELD_MANAGER, "(read just before)", api);
        Some(Cow::Owned(step))
    }

    /// Whether it has come to its end: done, undone or given up.
    pub fn is_over(&self) -> bool {
        self.view().is_some_and(|view| view.outcome.is_some())
    }

    /// Whether anything may have left already.
    pub fn has_written(&self) -> bool {
        self.shown.as_ref().is_none_or(|shown| shown.run().has_written())
    }

    /// The step that waits for a second person.
    pub fn awaits(&self) -> Option<&str> {
        let (step, _) = self.shown.as_ref()?.run().awaits_approval()?;
        Some(&step.id)
    }

    /// As lists of runs show it, while this process drives it.
    pub fn listed(&self) -> Option<Standing> {
        let shown = self.shown.as_ref().filter(|_| self.driving)?;
        Some(Standing::shown(shown, &self.records, true, Drives::Here))
    }

    /// Every step in the order in which it is carried out, and the index of the one whose turn it is.
    pub fn lines(&self) -> (Vec<StepLine>, Option<usize>) {
        let planned = |step: &PlannedStep| StepLine {
            id: step.id.clone(),
            title: step.title.clone(),
            direction: Direction::Forward,
            progress: Progress::Pending,
            attempts: 0,
            since: None,
            evidence: serde_json::Value::Null,
        };
        let (mut steps, current) = match self.view() {
            Some(View { steps, current, .. }) => (steps, current),
            None => (self.plan.iter().flat_map(|plan| &plan.steps).map(planned).collect(), None),
        };
        let asked = self.gate.as_ref().map(|gate| gate.step.as_str());
        for line in &mut steps {
            match line.progress {
                Progress::Pending | Progress::Current if Some(line.id.as_str()) == asked => {
                    line.progress = Progress::WaitingForYou;
                }
                // Nobody looks while no process drives it.
                Progress::Current if !self.driving => line.progress = Progress::Pending,
                Progress::Pending
                | Progress::Current
                | Progress::WaitingForYou
                | Progress::Sent
                | Progress::Verifying
                | Progress::Refused
                | Progress::Done(_)
                | Progress::PutBack
                | Progress::Paused => {}
            }
        }
        let at = asked.and_then(|asked| steps.iter().position(|line| line.id == asked)).or(current);
        (steps, at)
    }

    /// Completed steps and all steps of the way that the run goes.
    pub fn count(&self) -> (usize, usize) {
        self.view().map_or((0, self.plan.as_ref().map_or(0, |plan| plan.steps.len())), |view| view.count())
    }

    /// What can be chosen now; empty while it is driven, or when nothing is left to choose.
    pub fn offers(&self) -> Vec<ResolutionOffer> {
        match self.view() {
            Some(view) if !self.driving => view.offers,
            Some(_) | None => Vec::new(),
        }
    }

    /// What enter does here, in a word.
    pub fn asks_for(&self) -> &'static str {
        match &self.end {
            _ if self.gate.is_some() => "answer",
            // Nothing else is left to choose.
            Some(end) if end.code == Exit::Done => "undo",
            Some(_) | None => "choose",
        }
    }

    /// How it stands, in a word: what was wished for is no failure.
    pub fn standing(&self) -> (Level, String) {
        let view = self.view();
        let code = self.end.as_ref().map_or(Exit::Done, |end| end.code);
        match view.as_ref().map(|view| (view.outcome, &view.paused)) {
            // One that is over may be put back, and asks before it does.
            _ if self.gate.is_some() => (Level::Working, "waits for you".to_owned()),
            Some((Some(Outcome::Done), _)) if code != Exit::Done => {
                (Level::Bad, format!("done, and not good (exit {})", code.code()))
            }
            Some((Some(outcome @ (Outcome::Done | Outcome::Undone | Outcome::NothingToDo)), _)) => {
                (Level::Good, outcome.word().to_owned())
            }
            Some((Some(outcome @ (Outcome::Abandoned | Outcome::LeftOut)), _)) => {
                (Level::Unknown, outcome.word().to_owned())
            }
            _ if self.driving => (Level::Working, "now".to_owned()),
            // A pause that was asked for is no failure.
            Some((None, Some(PauseReason::Asked))) => (Level::Done, "paused".to_owned()),
            _ if self.end.as_ref().is_some_and(|end| end.asked) => (Level::Done, "paused".to_owned()),
            Some((None, Some(_))) => (Level::Bad, "stopped".to_owned()),
            Some((None, None)) | None if code == Exit::Done => (Level::Good, "ended".to_owned()),
            // It has done what it can, and is over for nobody.
            Some((None, None)) if code == Exit::AtGate && self.awaits().is_some() => {
                (Level::Working, "waits for a second person".to_owned())
            }
            // Nobody answered the gate that it stands before.
            Some((None, None)) if code == Exit::AtGate => (Level::Working, "open".to_owned()),
            Some((None, None)) | None => (Level::Bad, format!("ended, exit {}", code.code())),
        }
    }

    /// One record as one sentence, with its step by what that does.
    pub fn told(&self, record: &Record) -> String {
        view::sentence_naming(record, &|id| self.title_of(id))
    }

    /// One sentence: what is going on now.
    pub fn sentence(&self, now: Timestamp) -> String {
        if let Some(end) = &self.end {
            return end.sentence.clone();
        }
        if let Some(gate) = &self.gate {
            return gate.question.clone();
        }
        if let Some((sentence, since)) = &self.waiting {
            return format!("{sentence} ({})", super::status_level::age(*since, now));
        }
        self.records.last().map_or_else(|| "opening the journal".into(), |record| self.told(record))
    }
}

/// One line of the log: how good the news is.
pub fn level(record: &Record) -> Level {
    match &record.event {
        Event::RunOpened { .. } | Event::Resumed { .. } | Event::Leased { .. } => Level::Done,
        Event::TakenOver { .. } | Event::AwaitsApproval { .. } | Event::Intent { .. } => Level::Working,
        Event::Confirmed { .. } | Event::Approved { .. } => Level::Good,
        Event::Returned { answer: Answer::Accepted { .. }, .. } => Level::Working,
        Event::Returned { answer: Answer::Refused { .. }, .. } => Level::Bad,
        Event::Returned { answer: Answer::Unknown { .. }, .. } => Level::Unknown,
        Event::Completed { evidence, .. } if !network_probe_result::ways(evidence).iter().all(RouteProbe::good) => {
            Level::Bad
        }
        Event::Completed { .. } => Level::Good,
        Event::Paused { reason: PauseReason::Asked, .. } => Level::Done,
        Event::Chosen { .. } => Level::Working,
        Event::Paused { .. } => Level::Bad,
        Event::Closed { outcome: Outcome::Abandoned } => Level::Unknown,
        Event::Closed { .. } => Level::Good,
    }
}
