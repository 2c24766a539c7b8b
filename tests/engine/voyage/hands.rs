//! The hands of one of two operators: a lease that is renewed and lost, a record in the cluster, requests in flight.

use super::*;
use crate::model::{Disk, Patience, Seen, probe_line, runbook};
use jiff::Timestamp;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tidepilot::app::driver::GateAnswer;
use tidepilot::app::driver::run_journal::Unwritten;
use tidepilot::app::driver::run_loop::{self, Ending, Hands, Taken};
use tidepilot::app::message::RunMessage;
use tidepilot::client::kube::snapshot::Depth;
use tidepilot::runbook::Observation;
use tidepilot::runbook::action_types::{Answer, ProbeLine};
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::network_probe_result::RouteProbe;
use tidepilot::runbook::actions::{ProbePeerUrl, UpdatePeerUrl};
use tidepilot::runbook::plan::Gate;
use tidepilot::runbook::run::approval_validity::{Approval, Wanted};
use tidepilot::runbook::run::engine::{Input, Run, Stop};
use tidepilot::runbook::run::journal_lines::decode;
use tidepilot::runbook::run::record::{Event, Record};

/// Comes back at this time.
pub(super) struct Until<'s> {
    sea: &'s Shared,
    at_ms: u64,
    wake: &'s Arc<Mutex<u64>>,
}

impl Future for Until<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if lock(self.sea).now_ms >= self.at_ms {
            return Poll::Ready(());
        }
        *self.wake.lock().expect("one thread") = self.at_ms;
        Poll::Pending
    }
}

/// One process's way to the world.
pub(super) struct SeaHands {
    pub(super) sea: Shared,
    pub(super) who: usize,
    pub(super) wake: Arc<Mutex<u64>>,
    pub(super) looked_ms: u64,
    pub(super) known: Seen,
    pub(super) patience: Patience,
}

impl SeaHands {
    async fn pause(&self, ms: u64) {
        let at_ms = lock(&self.sea).now_ms + ms;
        Until { sea: &self.sea, at_ms, wake: &self.wake }.await;
    }

    async fn latency(&self) {
        let ms = 5 + lock(&self.sea).dice.roll(400);
        self.pause(ms).await;
    }

    /// As `Lease::confirm`: asks the cluster, and takes an old renewal for none. `Err(None)`: not known.
    async fn confirm(&self) -> Result<(), Option<Taken>> {
        self.latency().await;
        let mut sea = lock(&self.sea);
        if sea.fence_off {
            return Ok(());
        }
        let own = sea.own_ms(self.who);
        let cut_off = sea.cut_off(self.who);
        let (holder, fence) = (sea.lease.holder, sea.lease.fence);
        let operator = &mut sea.operators[self.who];
        let Some((mine, renewed)) = operator.mine else { return Err(Some(Taken("never had".into()))) };
        if operator.lost || (!cut_off && (holder != Some(self.who) || fence != mine)) {
            operator.lost = true;
            return Err(Some(Taken("the other has it".into())));
        }
        if cut_off || own.saturating_sub(renewed) > GOOD_MS { Err(None) } else { Ok(()) }
    }

    /// Waits until the lease is free or has lapsed before its own eyes, and takes it.
    async fn acquire(&self) {
        let mut watched: Option<(u64, u64)> = None;
        loop {
            self.latency().await;
            if self.grab(&mut watched) {
                return;
            }
            self.pause(1_000).await;
        }
    }

    /// One try. `watched`: the beats that were seen, and since when.
    fn grab(&self, watched: &mut Option<(u64, u64)>) -> bool {
        let mut sea = lock(&self.sea);
        let own = sea.own_ms(self.who);
        let (fence, beats) = (sea.lease.fence, sea.lease.beats);
        let lapsed = match *watched {
            Some((seen, since)) if seen == beats => own.saturating_sub(since) >= LEASE_MS,
            _ => {
                *watched = Some((beats, own));
                false
            }
        };
        let free = !sea.cut_off(self.who) && (sea.lease.holder.is_none() || lapsed);
        if free {
            sea.lease = Lease { holder: Some(self.who), fence: fence + 1, beats: beats + 1 };
            sea.operators[self.who].mine = Some((fence + 1, own));
            sea.operators[self.who].lost = false;
            sea.note(&format!("operator {} has the lease (fence {})", self.who, fence + 1));
        }
        free
    }

    /// Gives the lease back, where it can; `over`: the run has an outcome.
    fn leave(&self, over: bool) {
        let mut sea = lock(&self.sea);
        sea.operators[self.who].over = over;
        let mine = sea.operators[self.who].mine.take();
        if mine.is_some_and(|(fence, _)| sea.lease.fence == fence) && !sea.cut_off(self.who) {
            sea.lease.holder = None;
        }
    }

    /// Renews for as long as the process lives.
    pub(super) async fn renew(self) {
        loop {
            self.pause(RENEW_MS).await;
            let begun = lock(&self.sea).own_ms(self.who);
            self.latency().await;
            let mut sea = lock(&self.sea);
            let Some((mine, _)) = sea.operators[self.who].mine else { continue };
            if sea.cut_off(self.who) {
                continue;
            }
            if sea.lease.holder == Some(self.who) && sea.lease.fence == mine {
                sea.lease.beats += 1;
                sea.operators[self.who].mine = Some((mine, begun));
            } else {
                sea.operators[self.who].lost = true;
            }
        }
    }

    /// Takes the run up, from its own journal where that has more than the cluster, and drives it until it is over.
    pub(super) async fn process(mut self) {
        loop {
            self.acquire().await;
            let (mut run, first) = {
                let mut sea = lock(&self.sea);
                let there = sea.record.0.clone();
                if !sea.operators[self.who].disk.0.starts_with(&there) {
                    sea.operators[self.who].disk = Disk(there);
                }
                let records = decode(&sea.operators[self.who].disk.0).expect("readable").records;
                let (tool, by, from) = ("test".to_owned(), self.who.to_string(), "the other".to_owned());
                let first = Event::TakenOver { tool, by, from, moves: None };
                (Run::replay(runbook(), &records).expect("replays"), first)
            };
            if run.outcome().is_none()
                && let Ok(record) = self.append(first).await
            {
                run.apply(&record);
                let ending = run_loop::drive(&mut run, &mut self, Input::Go).await;
                lock(&self.sea).note(&format!("operator {}: {}", self.who, of(&ending)));
            }
            let over = run.outcome().is_some();
            self.leave(over);
            if over {
                return;
            }
            self.pause(5_000).await;
        }
    }
}

pub(super) fn of(ending: &Ending) -> String {
    match ending {
        Ending::Stopped(Stop::Finished(outcome)) => outcome.word().to_owned(),
        Ending::Stopped(Stop::Paused(reason)) => format!("paused: {}", reason.sentence()),
        other => format!("{other:?}").chars().take(120).collect(),
    }
}

impl Hands for SeaHands {
    fn now(&self) -> Timestamp {
        lock(&self.sea).wall(self.who)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(lock(&self.sea).own_ms(self.who))
    }

    fn age_of_look(&self) -> Duration {
        Duration::from_millis(lock(&self.sea).own_ms(self.who).saturating_sub(self.looked_ms))
    }

    fn stop_asked(&self) -> bool {
        false
    }

    fn hurried(&mut self) -> bool {
        false
    }

    fn taken(&self) -> Option<Taken> {
        lock(&self.sea).operators[self.who].lost.then(|| Taken("the other has it".into()))
    }

    /// As `RunJournal::append`: the lease first, then the file, then the cluster's copy.
    async fn append(&mut self, event: Event) -> Result<Record, Unwritten> {
        let effect = matches!(event, Event::Intent { .. });
        match self.confirm().await {
            Err(Some(Taken(why))) => return Err(Unwritten::Taken(why)),
            Err(None) if effect => return Err(Unwritten::Unsure("it was not renewed".into())),
            Err(None) | Ok(()) => {}
        }
        let record = {
            let mut sea = lock(&self.sea);
            let now = sea.wall(self.who);
            sea.operators[self.who].disk.append(now, event)
        };
        self.latency().await;
        let mut sea = lock(&self.sea);
        let whole = sea.operators[self.who].disk.0.clone();
        if sea.cut_off(self.who) {
            let why = "no answer in the time that there was".to_owned();
            return if effect { Err(Unwritten::NotShared(Box::new(record), why)) } else { Ok(record) };
        }
        // The record is stored under the resourceVersion that this process knows: whoever went on from it is kept.
        if !whole.starts_with(&sea.record.0) {
            return Err(Unwritten::Taken("the record was continued by the other".into()));
        }
        sea.record.0 = whole;
        if effect {
            sea.intents += 1;
            sea.at(self.who, Place::Written);
        }
        Ok(record)
    }

    async fn observe(&mut self, _: &Run, _: Depth) -> Option<Observation> {
        self.looked_ms = lock(&self.sea).own_ms(self.who);
        self.latency().await;
        self.patience.look(4_000);
        let mut sea = lock(&self.sea);
        let now = sea.wall(self.who);
        sea.world.now = now;
        let mut fresh = sea.world.look();
        fresh.denied = None;
        let old = sea.now_ms < sea.old_looks_until;
        let seen = match sea.before.replace(fresh.clone()) {
            Some(before) if old => before,
            _ => fresh,
        };
        self.known = Seen::of(&sea.world);
        Some(seen)
    }

    async fn probe(&mut self, action: &Action, _: &Observation) -> Option<Vec<ProbeLine>> {
        self.latency().await;
        let Action::ProbePeerUrl(probe @ ProbePeerUrl { .. }) = action else { panic!("not a probe: {action:?}") };
        Some(vec![probe_line(probe)])
    }

    async fn cross(&mut self, action: &Action, _: &Observation) -> Option<Vec<RouteProbe>> {
        panic!("there is one KubeCluster: {action:?}")
    }

    async fn perform(&mut self, _: &Run, action: &Action, _: &Observation) -> Answer {
        let refused = |why: &str| Answer::Refused { reason: why.into() };
        match self.confirm().await {
            Ok(()) => {}
            Err(Some(Taken(why))) => return refused(&why),
            Err(None) => return refused("the lease could not be confirmed"),
        }
        lock(&self.sea).at(self.who, Place::Confirmed);
        // Connecting takes its time; the clock is asked once more when the first byte leaves.
        self.latency().await;
        let answer = Arc::new(Mutex::new(None));
        let limit = {
            let mut sea = lock(&self.sea);
            let own = sea.own_ms(self.who);
            let Some((fence, renewed)) = sea.operators[self.who].mine else { return refused("no lease") };
            let left = LEFT_MS.saturating_sub(own.saturating_sub(renewed));
            if left == 0 && !sea.fence_off {
                return refused("too late to leave");
            }
            let (until, status) = sea.weather;
            let stormy = sea.now_ms < until && sea.dice.roll(2) == 0;
            let luck = if stormy { sea.dice.roll(3) } else { 0 };
            let due_ms = sea.now_ms + 5 + sea.dice.roll(WIRE_MS);
            if luck != 1 {
                let (action, seen, answer) = (action.clone(), self.known.clone(), Arc::clone(&answer));
                let status = if stormy { status } else { 0 };
                // A server that refuses does so of a PATCH; PD says 5xx at most.
                let status = if matches!(action, Action::UpdatePeerUrl(UpdatePeerUrl { .. })) && status != 0 {
                    500
                } else {
                    status
                };
                sea.flights.push(Flight {
                    due_ms,
                    by: self.who,
                    fence,
                    action,
                    seen,
                    status,
                    answer,
                    answer_lost: luck == 2,
                });
            }
            REQUEST_MS.min(left.max(WIRE_MS))
        };
        let until = lock(&self.sea).now_ms + limit;
        loop {
            self.pause(50).await;
            if let Some(answer) = answer.lock().expect("one thread").take() {
                return answer;
            }
            if lock(&self.sea).now_ms >= until {
                return Answer::Unknown { reason: "timed out".into() };
            }
        }
    }

    async fn ask(&mut self, gate: &Gate) -> Result<GateAnswer, Taken> {
        let silent = gate.id.starts_with("overwrite/");
        Ok(if silent { GateAnswer::NotYet } else { GateAnswer::Text(gate.text.clone().unwrap_or_default()) })
    }

    async fn approvals(&mut self, _: &Run, _: &Wanted) -> Result<Vec<Approval>, Taken> {
        Ok(Vec::new())
    }

    async fn look_around(&mut self, _: &Run, _: &Observation) -> String {
        String::new()
    }

    async fn wait(&mut self, _: &Run, time: Duration) {
        self.pause(u64::try_from(time.as_millis()).expect("a short time")).await;
    }

    async fn tell(&mut self, _: RunMessage) {}
}
