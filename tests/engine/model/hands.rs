//! Hands of the product's loop in memory: a disk that may be full, a wire that loses answers, a clock that is turned.

use super::*;
use jiff::Timestamp;
use std::task::Poll;
use std::time::Duration;
use tidepilot::app::driver::GateAnswer;
use tidepilot::app::driver::run_journal::Unwritten;
use tidepilot::app::driver::run_loop::{Hands, Taken};
use tidepilot::app::message::RunMessage;
use tidepilot::client::kube::snapshot::Depth;
use tidepilot::runbook::Observation;
use tidepilot::runbook::action_types::{Answer, ProbeLine};
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::network_probe_result::RouteProbe;
use tidepilot::runbook::plan::Gate;
use tidepilot::runbook::run::approval_validity::{Approval, Wanted};
use tidepilot::runbook::run::engine::{Run, StepState};
use tidepilot::runbook::run::record::{Cause, Event, Record};

pub(super) struct MemoryHands<'b, 'c> {
    pub(super) bed: &'b mut Bed,
    pub(super) course: Course<'c>,
    pub(super) known: Seen,
    /// How closely was looked last, until anything but a record came of it.
    pub(super) sent_on: Option<Depth>,
    /// How closely was looked last, whatever came of it.
    pub(super) looked: Option<Depth>,
    /// Nothing has come of the last look yet.
    pub(super) idle: bool,
    pub(super) patience: Patience,
    pub(super) stolen: bool,
}

impl MemoryHands<'_, '_> {
    /// A place at which the loop can be left behind.
    async fn breathe(&self) {
        let mut waited = self.course.polls.is_none();
        std::future::poll_fn(|_| match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// Whether somebody else has the lease since the last record.
    fn is_stolen(&self) -> bool {
        self.course.stolen.is_some_and(|(at, _)| self.bed.disk.lines() > at)
    }
}

impl Hands for MemoryHands<'_, '_> {
    fn now(&self) -> Timestamp {
        self.bed.world.now
    }

    fn elapsed(&self) -> Duration {
        self.patience.elapsed()
    }

    fn age_of_look(&self) -> Duration {
        Duration::ZERO
    }

    fn stop_asked(&self) -> bool {
        false
    }

    fn hurried(&mut self) -> bool {
        false
    }

    fn taken(&self) -> Option<Taken> {
        self.stolen.then(|| Taken("by bob".into()))
    }

    async fn append(&mut self, event: Event) -> Result<Record, Unwritten> {
        self.idle = false;
        if self.is_stolen() {
            return Err(Unwritten::Taken("by bob".into()));
        }
        if let Event::Paused { cause: Some(Cause::Invariant | Cause::StoodStill), .. } = &event {
            assert_ne!(self.looked, Some(Depth::Glance), "a stop is decided on a look that is more than a glance");
        }
        self.breathe().await;
        let record = self.bed.disk.append(self.bed.world.now, event);
        self.patience.moved();
        if let Some(points) = &mut self.course.points {
            points.push(Point::Record(self.bed.clone()));
        }
        if let Some(after) = self.course.after {
            after(self.bed.disk.lines() - 1, &mut self.bed.world);
        }
        self.breathe().await;
        Ok(record)
    }

    async fn observe(&mut self, run: &Run, depth: Depth) -> Option<Observation> {
        // What comes of a crash, or of somebody else, is looked at once more before anything is sent.
        let open = run.plan.steps.iter().any(|step| matches!(run.state(&step.id), StepState::Open { .. }));
        let alone = self.course.fate.is_none() && self.course.after.is_none();
        let settled = alone && !open && !self.bed.disk.0.contains(r#""record":"resumed""#);
        let twice = self.idle && self.looked != Some(Depth::Glance) && settled;
        assert!(!twice, "looked twice for one decision: {:?}, then {depth:?}", self.looked);
        self.idle = true;
        (self.sent_on, self.looked) = (Some(depth), Some(depth));
        self.patience.look(600);
        self.breathe().await;
        let mut seen = self.bed.world.look();
        // A run asks for its rights once, when it is planned.
        seen.denied = None;
        self.known = Seen::of(&self.bed.world);
        Some(seen)
    }

    async fn probe(&mut self, action: &Action, _: &Observation) -> Option<Vec<ProbeLine>> {
        self.idle = false;
        self.sent_on = None;
        let Action::ProbePeerUrl(probe) = action else { panic!("not a probe: {action:?}") };
        Some(vec![probe_line(probe)])
    }

    async fn cross(&mut self, action: &Action, _: &Observation) -> Option<Vec<RouteProbe>> {
        panic!("there is one KubeCluster: {action:?}")
    }

    async fn perform(&mut self, _: &Run, action: &Action, _: &Observation) -> Answer {
        self.idle = false;
        assert_eq!(self.sent_on.take(), Some(Depth::Whole), "a write leaves on a whole look of its own");
        if self.is_stolen() {
            let slips = self.course.stolen.is_some_and(|(_, slips)| slips);
            if slips && matches!(action, Action::UpdatePeerUrl(_)) {
                self.known.send(self.bed, action, Fate::AppliedLate);
            }
            self.stolen = true;
            return Answer::Refused { reason: "the lease is bob's".into() };
        }
        if let Some(points) = &mut self.course.points {
            let (bed, action, seen) = (self.bed.clone(), action.clone(), self.known.clone());
            points.push(Point::Write { bed, action, seen });
        }
        let fate = self.course.fate.map_or(Fate::Answered, |fate| fate(self.bed.disk.lines() - 1));
        self.breathe().await;
        let answer = self.known.send(self.bed, action, fate);
        self.breathe().await;
        answer
    }

    async fn ask(&mut self, gate: &Gate) -> Result<GateAnswer, Taken> {
        self.idle = false;
        self.sent_on = None;
        self.breathe().await;
        // Nobody says "overwrite" without having looked.
        let silent = self.course.silent || (gate.id.starts_with("overwrite/") && !self.course.overwrites);
        Ok(if silent { GateAnswer::NotYet } else { GateAnswer::Text(gate.text.clone().unwrap_or_default()) })
    }

    async fn approvals(&mut self, _: &Run, _: &Wanted) -> Result<Vec<Approval>, Taken> {
        self.idle = false;
        Ok(Vec::new())
    }

    async fn look_around(&mut self, _: &Run, _: &Observation) -> String {
        String::new()
    }

    async fn wait(&mut self, _: &Run, time: Duration) {
        self.idle = false;
        self.sent_on = None;
        self.patience.wait(time);
    }

    async fn tell(&mut self, _: RunMessage) {}
}
