//! The engine: a [`Run`] is the fold of its records; [`Run::advance`] says what to do next.
//!
//! Level-triggered: every decision is made from the records and one fresh [`Observation`], so a live run, a resumed
//! one and a replayed one take the same path. [`Run::apply`] is the only thing that changes a run. Nothing here has a
//! clock or does I/O; the loop (`app::driver::run_loop`) carries the effects out in their order.
//!
//! The rules: an Intent is appended before its action leaves; an answer never completes a step, only an observation
//! does; what cannot be decided by looking waits or stops, it is never retried blindly.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::runbook::Observation;
use crate::runbook::action_types::Answer;
use crate::runbook::actions::Action;
use crate::runbook::actions::WaitRollout;
use crate::runbook::actions::judge_types::{Judged, judge};
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::PlannedStep;
use crate::runbook::plan::fact_evaluation::Facts;
use crate::runbook::plan::preflight;
use crate::runbook::run::approval_request;
use crate::runbook::run::confirmation_gates::answered;
pub use crate::runbook::run::engine_effects::{About, Effect, Input, Stop};
use crate::runbook::run::record::{Cause, Event, How, Outcome, PauseReason};
use crate::runbook::run::undo::undone;
pub use crate::runbook::run::{BadRun, Pause, Run, StepState};

/// Attempts of one step before the run pauses.
const MAX_ATTEMPTS: u32 = 3;
/// A membership write whose answer was lost may be applied up to 11 s later (`facts-etcd.md`); nothing is sent again
/// before this long after the Intent.
pub const LATE_WRITE_S: i64 = 15;
/// How often the world is looked at while waiting; seconds.
pub(in crate::runbook) const POLL_S: u64 = 2;

impl Run {
    /// What to do next. `stop_asked`: pause as soon as nothing is in doubt.
    pub fn advance(&self, input: Input<'_>, stop_asked: bool, now: Timestamp) -> Vec<Effect> {
        if let Some(outcome) = self.outcome {
            return vec![Effect::Stop(Stop::Finished(outcome))];
        }
        if self.abandoned {
            let outcome = Outcome::Abandoned;
            return vec![Effect::Append(Event::Closed { outcome }), Effect::Stop(Stop::Finished(outcome))];
        }
        if let Some(reason) = &self.paused {
            return vec![Effect::Stop(Stop::Paused(reason.reason.clone()))];
        }
        match input {
            // Where nothing is under way a stop needs no look: a cluster that does not answer must not hold it up.
            Input::Go if stop_asked && self.open_step().is_none() => self.hurried(),
            Input::Hurried => self.hurried(),
            Input::Go => vec![Effect::Observe],
            Input::Observed(seen) => self.look(seen, stop_asked, now),
            Input::Performed(answer) => self.performed(answer),
            Input::Probed { step, lines } => self.probed(&step, &lines, stop_asked, now),
            Input::Crossed { step, ways } => self.crossed(&step, &ways, stop_asked, now),
            Input::Answered { gate, text, option } => answered(gate, text, option),
            Input::Approvals { wanted, found } => approval_request::found(&wanted, &found),
            Input::Stalled { about, sentence, since } => {
                let since = since.map_or_else(String::new, |at| format!(" (since {} UTC)", at.strftime("%H:%M:%S")));
                let (cause, sentence) = match about {
                    About::Step => (Cause::StoodStill, format!("nothing has moved for too long{since}: {sentence}")),
                    About::Connection => {
                        (Cause::Away, format!("nothing could be seen for too long{since}: {sentence}"))
                    }
                    About::Invariant => (Cause::Invariant, format!("it stayed so for too long{since}: {sentence}")),
                };
                pause(&self.at(), cause, PauseReason::TimedOut { sentence })
            }
        }
    }

    /// The step that the run is at, as far as can be said without looking.
    fn at(&self) -> String {
        self.under_way().map_or_else(String::new, |step| step.id.clone())
    }

    /// The same as a step.
    pub fn under_way(&self) -> Option<&PlannedStep> {
        self.open_step().or_else(|| self.first_pending())
    }

    /// Whether the next look may be one on which something is sent. One that is open is only looked at: where it has to be
    /// sent again, that is decided on a look of its own; and a question that is not answered yet comes before it is sent.
    pub fn is_to_send(&self) -> bool {
        let open = self.open_step().is_some();
        !open && self.next_ones().any(|step| step.action.writes() && self.open_gate(step).is_none())
    }

    /// The steps of which the next look decides which one comes next ([`Run::current`]): where the order of the items is
    /// settled only then, the first one of each that is left.
    fn next_ones(&self) -> impl Iterator<Item = &PlannedStep> {
        let first = self.first_pending();
        let settled = first.is_some_and(|first| first.item.as_ref().is_none_or(|item| self.begun.contains(item)));
        let mut items = BTreeSet::new();
        let all = self.steps().iter().filter(|step| *self.state(&step.id) == StepState::Pending);
        all.filter(move |step| match first {
            Some(first) if settled => step.id == first.id,
            Some(first) => step.phase == first.phase && step.item.as_ref().is_some_and(|item| items.insert(item)),
            None => false,
        })
    }

    /// Stops at once. An Intent that is open stays so: whoever goes on looks first.
    fn hurried(&self) -> Vec<Effect> {
        match self.at() {
            // Every step is completed: the next look closes the run.
            at if at.is_empty() => vec![Effect::Observe],
            at => pause(&at, Cause::Asked, PauseReason::Asked),
        }
    }

    fn open_step(&self) -> Option<&PlannedStep> {
        self.steps().iter().find(|step| matches!(self.state(&step.id), StepState::Open { .. }))
    }

    fn first_pending(&self) -> Option<&PlannedStep> {
        self.steps().iter().find(|step| *self.state(&step.id) == StepState::Pending)
    }

    /// The step to work on: one that is open, else one that is said to be done by hand, else the first pending one,
    /// where an item whose `last` holds now waits for the other items of its phase.
    fn current(&self, facts: &Facts<'_>) -> Result<Option<&PlannedStep>, String> {
        if let Some(open) = self.open_step() {
            return Ok(Some(open));
        }
        let pending = |step: &&PlannedStep| *self.state(&step.id) == StepState::Pending;
        if let Some(claimed) = self.steps().iter().filter(pending).find(|step| self.by_hand.contains(&step.id)) {
            return Ok(Some(claimed));
        }
        let Some(first) = self.first_pending() else { return Ok(None) };
        if first.item.as_ref().is_none_or(|item| self.begun.contains(item)) {
            return Ok(Some(first));
        }
        let rivals = self.steps().iter().filter(|step| {
            step.phase == first.phase && step.item.is_some() && *self.state(&step.id) == StepState::Pending
        });
        for step in rivals {
            let waits = match &step.last {
                Some(last) => facts.check(last, &step.env)?,
                None => false,
            };
            if !waits {
                return Ok(Some(step));
            }
        }
        Ok(Some(first))
    }

    fn look(&self, seen: &Observation, stop_asked: bool, now: Timestamp) -> Vec<Effect> {
        let facts = Facts::new(&self.runbook, &self.plan.inputs, seen);
        let step = match self.current(&facts) {
            Ok(Some(step)) => step,
            Ok(None) => {
                let outcome = match (self.undo.is_some(), self.has_written()) {
                    (true, _) => Outcome::Undone,
                    (false, true) => Outcome::Done,
                    (false, false) if self.skipped() > 0 => Outcome::LeftOut,
                    (false, false) => Outcome::NothingToDo,
                };
                return vec![Effect::Append(Event::Closed { outcome }), Effect::Stop(Stop::Finished(outcome))];
            }
            Err(why) => match self.first_pending() {
                Some(step) => return self.wait(step, format!("cannot tell which member comes next: {why}"), now),
                None => {
                    let about = About::Step;
                    return vec![Effect::Wait { seconds: POLL_S, sentence: why, stalled_s: 60, about }];
                }
            },
        };
        let moved = self.moved_cluster(seen).map(|sentence| (Cause::OtherCluster, sentence));
        let moved = moved.or_else(|| Some((Cause::OtherObject, self.other_object(seen)?)));
        if let Some((cause, sentence)) = moved.or_else(|| Some((Cause::OtherDatabase, self.other_database(seen)?))) {
            return pause(&step.id, cause, PauseReason::Refused { sentence });
        }
        if let Some(sentence) = self.vanished(seen) {
            return pause(&step.id, Cause::OtherObject, PauseReason::Refused { sentence });
        }
        if let Some(found) = self.overtaken(step, seen) {
            return self.foreign(found.step, found.sentence, found.before, found.ours, found.theirs);
        }
        if stop_asked && *self.state(&step.id) == StepState::Pending {
            return pause(&step.id, Cause::Asked, PauseReason::Asked);
        }
        if let Some(effects) = self.unknown_cluster(step, seen, now) {
            return effects;
        }
        match self.state(&step.id) {
            StepState::Pending => self.pending(step, &facts, now),
            StepState::Open { attempt, since, before, answer } => {
                self.in_doubt(step, *attempt, *since, before, answer.as_ref(), &facts, stop_asked, now)
            }
            // `current` never gives a completed step.
            StepState::Completed(_) => vec![Effect::Observe],
        }
    }

    fn started(&self, step: &PlannedStep) -> Option<&Image> {
        let Action::WaitRollout(WaitRollout { since, .. }) = &step.action else { return None };
        since.as_ref().and_then(|id| self.images.get(id))
    }

    fn pending(&self, step: &PlannedStep, facts: &Facts<'_>, now: Timestamp) -> Vec<Effect> {
        if let Some(stop) = self.breach(step, facts, now) {
            return stop;
        }
        // An attempt of the step forth that may still be applied has to be decided before the step back.
        if let Some(of) = undone(&step.id)
            && self.may_still_apply(of, now).is_some()
        {
            return self.wait(
                step,
                format!("an attempt of {of} may still be applied, so it is only watched for now"),
                now,
            );
        }
        let claimed = self.by_hand.contains(&step.id);
        if step.action.awaits() {
            return self.awaiting(step, claimed, facts, now);
        }
        match judge(&step.action, Some(&step.before), self.started(step), &self.id, facts.seen) {
            Judged::Done { evidence } => {
                let how = match (claimed, step.action.writes()) {
                    (true, _) => How::ByHand,
                    (false, true) => How::AlreadySo,
                    (false, false) => How::Observed,
                };
                self.complete(step, how, evidence, facts, now)
            }
            Judged::Waiting(sentence) => self.wait(step, sentence, now),
            Judged::Refuse(sentence) => pause(&step.id, Cause::Hopeless, PauseReason::Refused { sentence }),
            Judged::Foreign { sentence, before, ours, theirs } => self.foreign(step, sentence, before, ours, theirs),
            Judged::NotDone { before, .. } if claimed => not_by_hand(step, &before),
            Judged::NotDone { before, after } => {
                if let Some(hold) = self.hold(step, facts, now) {
                    return hold;
                }
                if !step.action.writes() {
                    return vec![Effect::Probe { step: step.id.clone(), action: step.action.clone() }];
                }
                self.send(step, before, after)
            }
        }
    }

    /// Somebody else has been here. Whoever goes on without anything having changed is told that.
    fn foreign(&self, step: &PlannedStep, sentence: String, before: Image, ours: Image, theirs: Image) -> Vec<Effect> {
        let again = self.paused_before.as_ref().filter(|pause| {
            pause.step == step.id
                && matches!(&pause.reason, PauseReason::Foreign { theirs: then, .. } if *then == theirs)
        });
        let sentence = match again {
            Some(pause) => {
                let at = pause.at.strftime("%H:%M:%S");
                format!(
                    "{sentence}. It is as it was when the run stopped at {at} UTC, so going on alone changes nothing"
                )
            }
            None => sentence,
        };
        pause(&step.id, Cause::Foreign, PauseReason::Foreign { sentence, before, ours, theirs })
    }

    /// What still stands between this step and its next attempt, the first as well as any later one: invariants,
    /// `between`, the preflight (a plan may be hours old when its gate is answered), the step's own conditions, a
    /// proof of reachability that is still fresh, and the gate, in this order.
    fn hold(&self, step: &PlannedStep, facts: &Facts<'_>, now: Timestamp) -> Option<Vec<Effect>> {
        if let Some(stop) = self.breach(step, facts, now) {
            return Some(stop);
        }
        if let Some(sentence) = self.not_between(step, facts) {
            return Some(self.wait(step, sentence, now));
        }
        // The rollback must stay open when the way forth would be refused.
        if step.action.writes()
            && self.plan.step(&step.id).is_some()
            && let Some(refused) = preflight::first_refusal(facts, self.has_written(), &self.plan.checks)
        {
            let sentence = format!("not ready for {:?}: check {}: {}", step.id, refused.id, refused.sentence);
            return Some(self.wait(step, sentence, now));
        }
        for pre in &step.pre {
            match facts.check(&pre.check, &step.env) {
                Ok(true) => {}
                Ok(false) => {
                    let told = facts.told(pre, &step.env);
                    return Some(self.wait(step, format!("not ready for {:?}: {told}", step.id), now));
                }
                Err(why) => return Some(self.wait(step, format!("not ready for {:?}: {why}", step.id), now)),
            }
        }
        if let Some(stop) = self.exhausted(step) {
            return Some(stop);
        }
        if let Some(gate) = self.open_gate(step) {
            return Some(vec![Effect::Ask(gate)]);
        }
        if let Some(ask) = self.ask_second(step) {
            return Some(ask);
        }
        self.stale_probe(step, now)
            .map(|probe| vec![Effect::Probe { step: probe.id.clone(), action: probe.action.clone() }])
    }

    /// A step that was sent often enough; nobody is asked for leave to an attempt that will not be made.
    fn exhausted(&self, step: &PlannedStep) -> Option<Vec<Effect>> {
        let attempts = self.attempts.get(&step.id).copied().unwrap_or(0);
        (attempts >= MAX_ATTEMPTS).then(|| {
            let sentence = format!("{} was sent {MAX_ATTEMPTS} times and is still not so", step.id);
            pause(&step.id, Cause::Exhausted, PauseReason::TimedOut { sentence })
        })
    }

    fn send(&self, step: &PlannedStep, before: Image, after: Image) -> Vec<Effect> {
        if !self.is_recorded(step) {
            let sentence = format!("{} would set something else than this run recorded", step.id);
            return pause(&step.id, Cause::NotRecorded, PauseReason::Refused { sentence });
        }
        let attempt = self.next_attempt(&step.id);
        let action = step.action.clone();
        let intent = Event::Intent { step: step.id.clone(), attempt, action: action.clone(), before, after };
        vec![Effect::Append(intent), Effect::Perform(action)]
    }

    fn performed(&self, answer: Answer) -> Vec<Effect> {
        let open = self.steps().iter().find_map(|step| match self.state(&step.id) {
            StepState::Open { attempt, .. } => Some((step.id.clone(), *attempt)),
            StepState::Pending | StepState::Completed(_) => None,
        });
        match open {
            Some((step, attempt)) => {
                vec![Effect::Append(Event::Returned { step, attempt, answer }), Effect::Observe]
            }
            None => vec![Effect::Observe],
        }
    }

    /// An Intent is open. Live, after a crash and after a lost answer alike: look, and decide by what is seen.
    #[expect(clippy::too_many_arguments, reason = "the fields of one open Intent")]
    fn in_doubt(
        &self,
        step: &PlannedStep,
        attempt: u32,
        since: Timestamp,
        before: &Image,
        answer: Option<&Answer>,
        facts: &Facts<'_>,
        stop_asked: bool,
        now: Timestamp,
    ) -> Vec<Effect> {
        match judge(&step.action, Some(before), None, &self.id, facts.seen) {
            Judged::Done { evidence } => {
                let how = match answer {
                    _ if self.by_hand.contains(&step.id) => How::ByHand,
                    Some(Answer::Accepted { .. }) => How::Performed,
                    Some(Answer::Refused { .. } | Answer::Unknown { .. }) | None => How::Adopted,
                };
                self.complete(step, how, evidence, facts, now)
            }
            Judged::Foreign { sentence, before, ours, theirs } => self.foreign(step, sentence, before, ours, theirs),
            Judged::Refuse(sentence) => pause(&step.id, Cause::Hopeless, PauseReason::Refused { sentence }),
            Judged::Waiting(sentence) => self.wait(step, sentence, now),
            Judged::NotDone { before, .. } if self.by_hand.contains(&step.id) => not_by_hand(step, &before),
            Judged::NotDone { before, after } => match answer {
                Some(Answer::Refused { reason }) => {
                    let sentence = format!("{} was refused: {reason}", step.id);
                    pause(&step.id, Cause::NotTaken, PauseReason::Refused { sentence })
                }
                Some(Answer::Accepted { .. }) => {
                    self.wait(step, format!("{} was accepted and is not visible yet", step.id), now)
                }
                Some(Answer::Unknown { .. }) | None => {
                    let age = now.duration_since(since).as_secs();
                    if age < LATE_WRITE_S {
                        let sentence = format!(
                            "no answer is known for attempt {attempt} of {}; it may still be applied, so it is only watched for now",
                            step.id
                        );
                        self.wait(step, sentence, now)
                    } else if stop_asked {
                        pause(&step.id, Cause::Asked, PauseReason::Asked)
                    } else if let Some(hold) = self.hold(step, facts, now) {
                        hold
                    } else {
                        self.send(step, before, after)
                    }
                }
            },
        }
    }

    pub(super) fn complete(
        &self,
        step: &PlannedStep,
        how: How,
        evidence: Value,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Vec<Effect> {
        for post in &step.post {
            match facts.check(&post.check, &step.env) {
                Ok(true) => {}
                Ok(false) => {
                    let told = facts.told(post, &step.env);
                    return self.wait(step, format!("done, but not yet good: {told}"), now);
                }
                Err(why) => return self.wait(step, format!("done, but not yet seen to be good: {why}"), now),
            }
        }
        let event = Event::Completed { step: step.id.clone(), how, evidence };
        vec![Effect::Append(event), Effect::Observe]
    }
}

fn not_by_hand(step: &PlannedStep, found: &Image) -> Vec<Effect> {
    let (found, wanted) = (found.subject(), step.after.subject());
    let sentence = format!(
        "{} was said to be done by hand, and the world does not show it: found {found}, wanted {wanted}",
        step.id
    );
    pause(&step.id, Cause::NotByHand, PauseReason::NotReady { sentence })
}

pub(in crate::runbook) fn pause(step: &str, cause: Cause, reason: PauseReason) -> Vec<Effect> {
    vec![
        Effect::Append(Event::Paused { step: step.to_owned(), reason: reason.clone(), cause: Some(cause) }),
        Effect::Stop(Stop::Paused(reason)),
    ]
}
