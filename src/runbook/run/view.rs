//! One run as every face shows it: the one fold of its records, the steps in the order in which they are carried out.
//!
//! Made from a [`Run`] and nothing else, so that the console, `runs list`, `runs report` and the engine cannot differ.
//! Whether a process drives it, and whether the gate is being asked at this moment, are not in the records: who shows a
//! run knows that beside (`app::run_view`, [`crate::runbook::run::open_run_status`]). Not here: what to do next
//! ([`crate::runbook::run::engine`]), what a choice does ([`crate::runbook::run::pause_choices`]).

use jiff::Timestamp;
use serde_json::Value;

use super::{BadRun, Run, StepState};
use crate::fleet::ObjectRef;
use crate::pluralize::counted;
use crate::runbook::action_types::Answer;
use crate::runbook::language::document::Runbook;
use crate::runbook::plan::{Gate, PlannedStep};
use crate::runbook::run::pause_choices::Resolution;
use crate::runbook::run::record::{Choice, Event, How, Outcome, PauseReason, Record};
use crate::runbook::run::undo::{undo_id, undone};

/// Which way a run goes, or a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    /// What was sent is put back.
    Undo,
}

/// Where one step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Pending,
    /// It is its turn, and nothing of this attempt was sent.
    Current,
    /// It is its turn, and the run waits for a person. Only who drives the run knows that it asks now.
    WaitingForYou,
    /// It is about to leave, or has left; no answer is known.
    Sent,
    /// Answered, and to be seen in the world.
    Verifying,
    Refused,
    Done(How),
    /// It was done, and the undo has put it back.
    PutBack,
    Paused,
}

impl Progress {
    /// A few words for a list.
    pub fn word(&self) -> &'static str {
        match self {
            Progress::Pending => "pending",
            Progress::Current => "looking",
            Progress::WaitingForYou => "waits for you",
            Progress::Sent => "sent",
            Progress::Verifying => "verifying",
            Progress::Refused => "refused",
            Progress::Done(how) => how.word(),
            Progress::PutBack => "put back",
            Progress::Paused => "paused",
        }
    }

    /// Nothing of it is left to do.
    pub fn over(&self) -> bool {
        matches!(self, Progress::Done(_) | Progress::PutBack)
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLine {
    pub id: String,
    pub title: String,
    pub direction: Direction,
    pub progress: Progress,
    /// How often it was sent; 0: never.
    pub attempts: u32,
    /// When it came to be as it is; `None` where nothing was recorded of it.
    pub since: Option<Timestamp>,
    /// What was seen when it was completed.
    pub evidence: Value,
}

/// What a person may choose once nobody drives the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolutionOffer {
    Retry,
    ByHand { step: String },
    Skip { step: String },
    Undo,
    Abandon,
    Leave,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub direction: Direction,
    /// In the order in which they are carried out: what was begun, in the order in which it was, then what is to come.
    /// An undo shows what it puts back, and then its own steps.
    pub steps: Vec<StepLine>,
    /// Index of the step whose turn it is; `None` once the run is over.
    pub current: Option<usize>,
    /// The question which stands before the current step and is not answered.
    pub gate: Option<Gate>,
    pub offers: Vec<ResolutionOffer>,
    pub outcome: Option<Outcome>,
    pub paused: Option<PauseReason>,
}

impl View {
    /// Completed steps and all steps, of the way that the run goes.
    pub fn count(&self) -> (usize, usize) {
        let own = || self.steps.iter().filter(|line| line.direction == self.direction);
        (own().filter(|line| line.progress.over()).count(), own().count())
    }

    /// The step whose turn it is.
    pub fn step(&self) -> Option<&StepLine> {
        self.steps.get(self.current?)
    }

    /// A few words for a list of runs.
    pub fn state(&self) -> String {
        match (self.outcome, &self.paused, self.direction) {
            (Some(outcome), _, _) => outcome.word().to_owned(),
            (None, Some(PauseReason::Asked), _) => "paused as asked".to_owned(),
            (None, Some(reason), _) => format!("paused: {}", reason.sentence()),
            (None, None, Direction::Forward) => "open".to_owned(),
            (None, None, Direction::Undo) => "open, being undone".to_owned(),
        }
    }
}

impl Run {
    /// The run as every face shows it.
    pub fn view(&self) -> View {
        let direction = if self.undo.is_some() { Direction::Undo } else { Direction::Forward };
        let turn = self.turn().map(|step| step.id.clone());
        let mut steps: Vec<StepLine> = Vec::new();
        let forward = self.in_order(&self.plan.steps);
        // What the way forth never came to is not carried out any more once the run goes back.
        let shown = |step: &&PlannedStep| direction == Direction::Forward || self.begun_at(&step.id).is_some();
        steps
            .extend(forward.into_iter().filter(shown).map(|step| self.line(step, Direction::Forward, turn.as_deref())));
        if let Some(way) = &self.undo {
            let back = way.steps.iter().map(|step| self.line(step, Direction::Undo, turn.as_deref()));
            steps.extend(back);
        }
        let current = turn.as_ref().and_then(|turn| steps.iter().position(|line| line.id == *turn));
        View {
            direction,
            steps,
            current,
            gate: self.turn().filter(|_| self.paused.is_none()).and_then(|step| self.gate_ahead(step)),
            offers: self.offers(),
            outcome: self.outcome,
            paused: self.paused.as_ref().map(|pause| pause.reason.clone()),
        }
    }

    /// The step that nobody has completed and whose turn it is, as far as the records tell: which member comes last is
    /// only seen in the world.
    fn turn(&self) -> Option<&PlannedStep> {
        if self.outcome.is_some() || self.abandoned {
            return None;
        }
        let left = |step: &&PlannedStep| !matches!(self.state(&step.id), StepState::Completed(_));
        let open = |step: &&PlannedStep| matches!(self.state(&step.id), StepState::Open { .. });
        let steps = || self.steps().iter().filter(left);
        let claimed = |step: &&PlannedStep| self.by_hand.contains(&step.id);
        let paused = |step: &&PlannedStep| self.paused.as_ref().is_some_and(|pause| pause.step == step.id);
        let first = steps().next()?;
        let begun = |step: &&PlannedStep| {
            step.phase == first.phase && step.item.as_ref().is_some_and(|item| self.begun.contains(item))
        };
        steps()
            .find(open)
            .or_else(|| steps().find(paused))
            .or_else(|| steps().find(claimed))
            .or_else(|| steps().find(begun))
            .or(Some(first))
    }

    /// The first gate that the step would ask, where there is one and nothing of it is under way.
    fn gate_ahead(&self, step: &PlannedStep) -> Option<Gate> {
        match self.state(&step.id) {
            StepState::Pending => self.open_gate(step),
            StepState::Open { .. } | StepState::Completed(_) => None,
        }
    }

    /// The question that the rollback asks first, if it were chosen now. `None`: it asks nothing, or there is none.
    pub fn gate_of_undo(&self) -> Option<Gate> {
        self.undo.as_ref()?.steps.iter().find_map(|step| self.open_gate(step))
    }

    /// What was begun, in the order of its first record; then the rest as planned.
    fn in_order<'a>(&self, steps: &'a [PlannedStep]) -> Vec<&'a PlannedStep> {
        let mut all: Vec<&PlannedStep> = steps.iter().collect();
        let turn = self.turn().map(|step| step.id.as_str());
        all.sort_by_key(|step| match self.begun_at(&step.id) {
            Some(at) => (0, at),
            None if Some(step.id.as_str()) == turn => (1, 0),
            None => (2, 0),
        });
        all
    }

    fn begun_at(&self, step: &str) -> Option<usize> {
        self.order.iter().position(|begun| begun == step)
    }

    fn line(&self, step: &PlannedStep, direction: Direction, turn: Option<&str>) -> StepLine {
        StepLine {
            id: step.id.clone(),
            title: step.title.clone(),
            direction,
            progress: self.progress_of(step, turn),
            attempts: self.numbered.get(&step.id).copied().unwrap_or(0),
            since: self.changed.get(&step.id).copied(),
            evidence: self.evidence.get(&step.id).cloned().unwrap_or(Value::Null),
        }
    }

    fn progress_of(&self, step: &PlannedStep, turn: Option<&str>) -> Progress {
        let back = || matches!(self.state(&undo_id(&step.id)), StepState::Completed(how) if !matches!(how, How::Skipped { .. }));
        if undone(&step.id).is_none() && self.undo.is_some() && back() {
            return Progress::PutBack;
        }
        let own = turn == Some(step.id.as_str());
        match self.state(&step.id) {
            StepState::Completed(how) => Progress::Done(how.clone()),
            StepState::Pending | StepState::Open { .. } if own && self.paused.is_some() => Progress::Paused,
            StepState::Pending if own => Progress::Current,
            StepState::Pending => Progress::Pending,
            StepState::Open { answer: None | Some(Answer::Unknown { .. }), .. } => Progress::Sent,
            StepState::Open { answer: Some(Answer::Accepted { .. }), .. } => Progress::Verifying,
            StepState::Open { answer: Some(Answer::Refused { .. }), .. } => Progress::Refused,
        }
    }

    /// What can be chosen once no process drives it, and would be taken. What may still be in doubt for some seconds is
    /// offered: it is refused with the seconds that are left.
    fn offers(&self) -> Vec<ResolutionOffer> {
        let taken = |wish: Resolution| self.choose(&wish, Timestamp::MAX).is_ok();
        let mut offers = Vec::new();
        if self.outcome.is_none() {
            offers.push(ResolutionOffer::Retry);
            if let Some(step) = self.turn().map(|step| step.id.clone()) {
                offers.push(ResolutionOffer::ByHand { step: step.clone() });
                if taken(Resolution::Skip { step: step.clone(), reason: "asked".into() }) {
                    offers.push(ResolutionOffer::Skip { step });
                }
            }
        }
        if taken(Resolution::Undo) {
            offers.push(ResolutionOffer::Undo);
        }
        if self.outcome.is_none() {
            offers.push(ResolutionOffer::Abandon);
        }
        if !offers.is_empty() {
            offers.push(ResolutionOffer::Leave);
        }
        offers
    }
}

/// A run that is only shown: of a journal whose runbook is not at hand, or is another version now, as well.
#[derive(Clone, Debug)]
pub struct Shown(Run);

impl Shown {
    /// `Err` where the records do not begin with a plan.
    pub fn of(records: &[Record]) -> Result<Self, BadRun> {
        let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event) else {
            return Err(BadRun::NotOpened);
        };
        // Nothing of a view is the document's: the plan has it all.
        Run::replay(Runbook::named(&plan.runbook, &plan.runbook_digest), records).map(Self)
    }

    pub fn apply(&mut self, record: &Record) {
        self.0.apply(record);
    }

    pub fn view(&self) -> View {
        self.0.view()
    }

    pub fn run(&self) -> &Run {
        &self.0
    }
}

fn moved(target: Option<&ObjectRef>) -> String {
    let moved =
        |of: &ObjectRef| format!("; the resourceVersion of {of} is moved, so that a late patch of it is refused");
    target.map_or_else(String::new, moved)
}

/// One record as one sentence; steps by their ids, as commands take them.
pub fn sentence(record: &Record) -> String {
    sentence_naming(record, &str::to_owned)
}

/// The same, with another name of each step.
pub fn sentence_naming(record: &Record, name: &dyn Fn(&str) -> String) -> String {
    match words(&record.event, name) {
        (Some(step), what) => format!("{}: {what}", name(step)),
        (None, what) => what,
    }
}

/// The step that an event is about, where it is about one, and what became of it or of the run.
fn words<'a>(event: &'a Event, name: &dyn Fn(&str) -> String) -> (Option<&'a str>, String) {
    let steps = |all: &[String]| all.iter().map(|step| name(step)).collect::<Vec<_>>().join(", ");
    let of_run = match event {
        Event::AwaitsApproval { step, attempt, by, .. } => {
            return (Some(step), format!("waits for a second person (attempt {attempt}, confirmed by {by})"));
        }
        Event::Intent { step, attempt, .. } => return (Some(step), format!("sending (attempt {attempt})")),
        Event::Returned { step, answer, .. } => return (Some(step), answered(answer)),
        Event::Completed { step, how, .. } => return (Some(step), completed(how)),
        Event::Paused { step, reason: PauseReason::Asked, .. } => return (Some(step), "paused as asked".to_owned()),
        Event::Paused { step, reason, .. } => return (Some(step), format!("paused: {}", reason.sentence())),
        Event::Chosen { choice: Choice::ByHand { step } } => {
            return (Some(step), "said to be done by hand; looking".to_owned());
        }
        Event::RunOpened { run, plan, .. } => {
            let overruled = plan.accepted().map(|(check, reason)| format!("; check {} overruled: {reason}", check.id));
            format!("run {run} opened: {} on {}{}", plan.runbook, plan.target, overruled.collect::<String>())
        }
        Event::Resumed { tool, moves } => format!("taken up again by {tool}{}", moved(moves.as_ref())),
        Event::Leased { by, fences, .. } => {
            let places: Vec<String> =
                fences.iter().map(|f| format!("{} (fencing token {})", f.context, f.fence)).collect();
            format!("lease taken by {by} in {}", places.join(", "))
        }
        Event::TakenOver { by, from, moves, .. } => format!("taken over from {from} by {by}{}", moved(moves.as_ref())),
        Event::Confirmed { gate, text: Some(text), option: None } => format!("confirmed {gate} by typing {text}"),
        Event::Confirmed { gate, text: Some(text), option: Some(option) } => {
            format!("confirmed {gate} by the option {option} {text}")
        }
        Event::Confirmed { gate, text: None, option: None } => format!("confirmed {gate}"),
        Event::Confirmed { gate, text: None, option: Some(option) } => {
            format!("confirmed {gate} by the option {option}")
        }
        Event::Approved { gate, step, attempt, by, vouched, .. } => {
            let what = step.as_ref().map_or_else(|| gate.clone(), |step| format!("{} (attempt {attempt})", name(step)));
            format!("{what} approved by {by} ({})", vouched.words())
        }
        Event::Chosen { choice: Choice::Undo { steps: all, ends_at } } => {
            let end = ends_at
                .as_ref()
                .map_or_else(String::new, |end| format!("; {} and what came before it stay", name(end)));
            format!("undo of {}: {}{end}", counted(all.len(), "step"), steps(all))
        }
        Event::Chosen { choice: Choice::Abandon { reason, left } } => {
            format!("given up: {reason}; {}", left.join("; "))
        }
        Event::Closed { outcome } => outcome.word().to_owned(),
    };
    (None, of_run)
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Accepted { status, detail } if detail.is_empty() => format!("answered {status}; verifying"),
        Answer::Accepted { status, detail } => format!("answered {status} ({detail}); verifying"),
        Answer::Refused { reason } => format!("refused: {reason}"),
        Answer::Unknown { reason } => format!("no answer ({reason}); looking"),
    }
}

fn completed(how: &How) -> String {
    match how {
        How::AlreadySo => "already so".to_owned(),
        How::Performed => "done and verified".to_owned(),
        How::Adopted => "found done, adopted".to_owned(),
        How::Observed => "seen".to_owned(),
        How::ByHand => "done by hand, and verified".to_owned(),
        How::Asserted => "asserted by whoever answered; nothing here can verify it".to_owned(),
        How::Skipped { reason } => format!("skipped: {reason}"),
    }
}
