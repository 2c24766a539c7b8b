//! A [`Run`]: the fold of its records, and nothing else. Pure.
//!
//! [`Run::apply`] is the only thing that changes one, live and on replay. Not here: what to do next
//! ([`crate::runbook::run::engine`]), what a person may choose ([`crate::runbook::run::pause_choices`]), what faces show of it ([`view`]).

mod apply_record;
mod approval_request;
pub mod approval_validity;
pub mod concurrent_runs;
pub(super) mod condition_last_writer;
pub(super) mod confirmation_gates;
pub mod engine;
pub mod engine_effects;
pub mod gone_or_overwritten;
pub mod identity_source;
pub mod journal_lines;
pub mod journal_verify;
pub mod open_run_status;
pub mod pause_choices;
pub mod pause_reason;
mod probe_results;
mod reads_for_run;
pub mod record;
pub mod recovery_commands;
pub mod remaining_script;
pub mod stall_signs;
pub mod undo;
pub mod unknown_record_fields;
pub mod view;
mod wait_conditions;
pub mod who_counts_as_person;
pub(super) mod write_guards;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::action_types::Answer;
use super::actions::Action;
use super::actions::PatchTidbCluster;
use super::before_after_image::Image;
use super::plan::{Confirm, Plan, PlannedStep};
use crate::fleet::ObjectRef;
use crate::runbook::actions::network_probe_result::RouteProbe;
use crate::runbook::actions::untrusted_plan::told;
use crate::runbook::language::document::Runbook;
use crate::runbook::run::record::{Cause, Event, How, Outcome, PauseReason, Record};
use crate::runbook::run::undo::Undo;
use crate::runbook::run::who_counts_as_person::People;

/// Where a step is.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    Pending,
    /// An Intent is open: sent, perhaps sent, perhaps not.
    Open {
        attempt: u32,
        since: Timestamp,
        before: Image,
        answer: Option<Answer>,
    },
    Completed(How),
}

/// Where and why a run has stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    pub step: String,
    pub reason: PauseReason,
    pub cause: Cause,
    pub at: Timestamp,
}

/// One execution of a plan: the fold of its records.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: String,
    pub plan: Plan,
    pub(super) runbook: Runbook,
    pub(super) states: BTreeMap<String, StepState>,
    /// Before-image of the last Intent of each step.
    pub(super) images: BTreeMap<String, Image>,
    pub(super) attempts: BTreeMap<String, u32>,
    /// Every attempt of a step, also those before a person resumed: attempt numbers never start again.
    pub(super) numbered: BTreeMap<String, u32>,
    /// When a step was last completed; for probes, when its proof was taken.
    pub(super) probed_at: BTreeMap<String, Timestamp>,
    /// Attempts of a step that were not refused.
    pub(super) taken: BTreeMap<String, u32>,
    /// Steps with an Intent that was not refused, in the order of their first one.
    pub(super) sent: Vec<String>,
    pub(super) begun: BTreeSet<String>,
    pub(super) confirmed: BTreeSet<String>,
    /// Who drives, who confirmed, who approved.
    pub(super) people: People,
    /// Steps said to be done by hand, until the world was looked at.
    pub(super) by_hand: BTreeSet<String>,
    /// Steps whose write was accepted and was not to be seen when a person went on: lost, or put back by somebody.
    pub(super) put_back: BTreeSet<String>,
    /// The rollback, once a person chose it.
    pub(super) undo: Option<Undo>,
    pub(super) abandoned: bool,
    pub(super) paused: Option<Pause>,
    /// The pause before the one that a person has just ended.
    pub(super) paused_before: Option<Pause>,
    /// Steps of both ways, in the order of their first record.
    order: Vec<String>,
    /// When a step came to be as it is.
    changed: BTreeMap<String, Timestamp>,
    /// What was seen when a step was last completed.
    evidence: BTreeMap<String, Value>,
    pub(super) outcome: Option<Outcome>,
    /// When the current step became the current one.
    pub(super) progress: Timestamp,
    pub(super) writes: usize,
    /// What a look at the network saw, by step.
    pub(super) crossed: BTreeMap<String, Vec<RouteProbe>>,
    /// Titles told anew, where the record's own are not to be believed ([`crate::runbook::actions::untrusted_plan`]).
    retold: Option<BTreeMap<String, String>>,
}

/// The plan with the run's id where it was left open.
fn named(plan: &Plan, run: &str) -> Plan {
    let mut plan = plan.clone();
    plan.steps.iter_mut().for_each(|step| step.action.name_run(run));
    plan
}

/// Why records do not make a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRun {
    #[error("the journal does not begin with run-opened")]
    NotOpened,
    #[error("the journal was written for another version of runbook {0}; resume it with the tidepilot that began it")]
    OtherRunbook(String),
    #[error(
        "{step} asks for {approvers} people, and this version (tidepilot {}) knows of two; go on with the tidepilot that began it ({tool})",
        env!("CARGO_PKG_VERSION")
    )]
    MorePeople { step: String, approvers: u8, tool: String },
}

impl Run {
    /// Folds the records of a journal. `runbook` is the document named by the plan.
    pub fn replay(runbook: Runbook, records: &[Record]) -> Result<Self, BadRun> {
        let (first, rest) = records.split_first().ok_or(BadRun::NotOpened)?;
        let Event::RunOpened { run, tool, plan } = &first.event else { return Err(BadRun::NotOpened) };
        if plan.runbook != runbook.id || plan.runbook_digest != runbook.digest {
            return Err(BadRun::OtherRunbook(plan.runbook.clone()));
        }
        // What a newer version guards better must not pass on less.
        if let Some(step) = plan.steps.iter().find(|step| step.approvers > 2) {
            let (step, approvers) = (step.id.clone(), step.approvers);
            return Err(BadRun::MorePeople { step, approvers, tool: tool.clone() });
        }
        let mut replayed = Self {
            id: run.clone(),
            plan: named(plan, run),
            runbook,
            states: BTreeMap::new(),
            images: BTreeMap::new(),
            attempts: BTreeMap::new(),
            numbered: BTreeMap::new(),
            taken: BTreeMap::new(),
            probed_at: BTreeMap::new(),
            sent: Vec::new(),
            begun: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            people: People::default(),
            by_hand: BTreeSet::new(),
            put_back: BTreeSet::new(),
            undo: None,
            abandoned: false,
            paused: None,
            paused_before: None,
            order: Vec::new(),
            changed: BTreeMap::new(),
            evidence: BTreeMap::new(),
            outcome: None,
            progress: first.at,
            writes: 0,
            crossed: BTreeMap::new(),
            retold: None,
        };
        for record in rest {
            replayed.apply(record);
        }
        Ok(replayed)
    }

    /// Whoever takes a run over sends with their own rights, so they are asked themselves: what a record says of another
    /// person's yes is as good as the rights on ConfigMaps. Two people's yes has its own proof (`crate::runbook::run::approval_validity`).
    fn ask_anew(&mut self) {
        let of_two = |gate: &String| {
            let own = |step: &&PlannedStep| matches!(&step.confirm, Confirm::Plain { gate: own } | Confirm::Typed { gate: own, .. } if own == gate);
            self.plan.steps.iter().find(own).is_some_and(|step| step.approvers > 1)
        };
        let kept = self.confirmed.iter().filter(|gate| of_two(gate)).cloned().collect();
        self.confirmed = kept;
    }

    /// From here on gates ask by these titles, and by an action's own words where there is none.
    pub fn retell(&mut self, titles: BTreeMap<String, String>) {
        self.retold = Some(titles);
    }

    /// What a step is called where a person is asked.
    pub(super) fn title_of(&self, step: &PlannedStep) -> String {
        match &self.retold {
            None => step.title.clone(),
            Some(titles) => titles.get(&step.id).cloned().unwrap_or_else(|| told(&step.action)),
        }
    }

    /// The TidbCluster, with its uid, to which the last patch may still be on its way: sent, perhaps sent, and nobody
    /// knows what became of it.
    pub fn under_way_to(&self) -> Option<(&ObjectRef, &str)> {
        self.states.iter().find_map(|(step, state)| {
            let in_doubt = match state {
                StepState::Open { answer: None | Some(Answer::Unknown { .. }), .. } => true,
                // This one was refused; an earlier one need not have been.
                StepState::Open { answer: Some(Answer::Refused { .. }), attempt, .. } => *attempt > 1,
                StepState::Open { answer: Some(Answer::Accepted { .. }), .. }
                | StepState::Pending
                | StepState::Completed(_) => false,
            };
            match &self.step(step)?.action {
                Action::PatchTidbCluster(PatchTidbCluster { target, uid, .. }) if in_doubt => {
                    Some((target, uid.as_str()))
                }
                _ => None,
            }
        })
    }

    /// The number of the next attempt of a step.
    pub(super) fn next_attempt(&self, step: &str) -> u32 {
        self.numbered.get(step).copied().unwrap_or(0) + 1
    }

    pub(super) fn is_confirmed(&self, gate: &str) -> bool {
        self.confirmed.contains(gate)
    }

    /// The steps under way: the plan's, or the rollback.
    pub fn steps(&self) -> &[PlannedStep] {
        self.undo.as_ref().map_or(&self.plan.steps, |way| &way.steps)
    }

    /// A step of the plan or of the rollback.
    pub(super) fn step(&self, id: &str) -> Option<&PlannedStep> {
        self.plan.step(id).or_else(|| self.undo.as_ref()?.steps.iter().find(|step| step.id == id))
    }

    /// A step of the plan or of the rollback, by its id.
    pub fn any_step(&self, id: &str) -> Option<&PlannedStep> {
        self.step(id)
    }

    /// The rollback, once it was chosen.
    pub fn undoing(&self) -> Option<&Undo> {
        self.undo.as_ref()
    }

    /// The plan's steps with an Intent, in the order of their first one.
    pub(super) fn sent(&self) -> &[String] {
        &self.sent
    }

    pub(super) fn images(&self) -> &BTreeMap<String, Image> {
        &self.images
    }

    pub fn state(&self, step: &str) -> &StepState {
        self.states.get(step).unwrap_or(&StepState::Pending)
    }

    pub fn paused(&self) -> Option<&PauseReason> {
        self.paused.as_ref().map(|pause| &pause.reason)
    }

    /// The same with its step, cause and time.
    pub fn pause(&self) -> Option<&Pause> {
        self.paused.as_ref()
    }

    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether anything was, or may have been, sent.
    pub fn has_written(&self) -> bool {
        self.writes > 0
    }

    /// What looks at the network saw last.
    pub fn ways(&self) -> Vec<RouteProbe> {
        self.crossed.values().flatten().cloned().collect()
    }

    /// How many steps of the plan a person left out.
    pub fn skipped(&self) -> usize {
        self.left_out_steps().count()
    }

    /// Those, by id.
    pub fn left_out_steps(&self) -> impl Iterator<Item = &str> {
        let skipped = |step: &&PlannedStep| matches!(self.state(&step.id), StepState::Completed(How::Skipped { .. }));
        self.plan.steps.iter().filter(skipped).map(|step| step.id.as_str())
    }

    /// Steps that are done on somebody's word, by id.
    pub fn asserted_steps(&self) -> impl Iterator<Item = &str> {
        let asserted = |step: &&PlannedStep| matches!(self.state(&step.id), StepState::Completed(How::Asserted));
        self.plan.steps.iter().filter(asserted).map(|step| step.id.as_str())
    }

    /// Completed steps of the plan, those that were left out among them.
    pub fn completed(&self) -> usize {
        self.plan.steps.iter().filter(|step| matches!(self.state(&step.id), StepState::Completed(_))).count()
    }
}
