//! A bed for runs of any runbook on the simulated world without sockets: look, write, let time pass, die, go on.
//!
//! The loop is the product's own (`app::driver::run_loop`); between it and `sim::in_memory` stands what the client is between it
//! and real clusters: [`look`] makes an observation, [`send`] makes requests of an action. Time moves only when a run looks or waits, so a
//! case takes milliseconds. Not here: which runs there are and what has to come out of them (the tests say that).
//! `model` is the other bed: hand-made, for one TidbCluster, with somebody else who acts.

pub mod look;
pub mod scenarios;
pub mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidepilot::app::driver::GateAnswer;
use tidepilot::app::driver::run_journal::Unwritten;
use tidepilot::app::driver::run_loop::{self, Ending, Hands, Taken};
use tidepilot::app::message::RunMessage;
use tidepilot::client::kube::snapshot::Depth;
use tidepilot::fleet::Fleet;
use tidepilot::fleet::object_kind::ObjectId;
use tidepilot::runbook::Observation;
use tidepilot::runbook::action_types::{Answer, ProbeLine, Reversibility};
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::NetProbe;
use tidepilot::runbook::actions::network_probe_result::RouteProbe;
use tidepilot::runbook::language::document::Runbook;
use tidepilot::runbook::language::given_inputs;
use tidepilot::runbook::plan::{Gate, Plan};
use tidepilot::runbook::plan::{bind, reads_for_facts};
use tidepilot::runbook::run::approval_validity::{Approval, Wanted};
use tidepilot::runbook::run::engine::{Input, Run};
use tidepilot::runbook::run::journal_lines::decode;
use tidepilot::runbook::run::pause_choices::Resolution;
use tidepilot::runbook::run::record::{Event, How, Record};
use tidepilot::sim::in_memory::Bare;

use crate::model::{Disk, Ended, Fate};
use look::Cache;
use send::Sent;

/// Id of every run; its writes carry it.
pub const RUN: &str = "matrix";
/// Simulated seconds from one look to the next while a run waits.
const WAIT_S: u64 = 5;
/// Simulated seconds after which a late write arrives: less than the engine waits for it.
const LATE_S: u64 = 8;

/// A fleet with a run on it.
pub struct Bed {
    pub disk: Disk,
    pub bare: Bare,
    began: Timestamp,
    cache: Cache,
    /// Writes that arrive later, with the simulated time at which they do.
    late: Vec<(u64, Sent)>,
    /// Our writes that changed something, in order.
    pub effects: Vec<Effected>,
}

/// A write that changed something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effected {
    /// The action as JSON.
    pub action: String,
    pub irreversible: bool,
}

impl Bed {
    #[allow(clippy::disallowed_methods, reason = "objects of the simulation carry real times, so the bed begins there")]
    pub fn new(bare: Bare) -> Self {
        let began = Timestamp::now();
        Self { disk: Disk::default(), bare, began, cache: Cache::default(), late: Vec::new(), effects: Vec::new() }
    }

    pub fn fork(&self) -> Self {
        Self {
            disk: self.disk.clone(),
            bare: self.bare.fork(),
            began: self.began,
            cache: self.cache.clone(),
            late: self.late.clone(),
            effects: self.effects.clone(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.began + SignedDuration::from_millis(i64::try_from(self.bare.now_ms()).expect("a short time"))
    }

    /// Lets time pass; late writes arrive when they are due.
    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.bare.pass(1);
            let now_ms = self.bare.now_ms();
            for (due_ms, sent) in std::mem::take(&mut self.late) {
                match due_ms <= now_ms {
                    true => drop(self.deliver(&sent)),
                    false => self.late.push((due_ms, sent)),
                }
            }
        }
    }

    /// One look at these contexts (`None`: all) and at the objects that a run names.
    fn look(&mut self, contexts: Option<&[String]>, run: Option<&Run>, more: &[Action]) -> Observation {
        let wanted = more.iter().flat_map(Action::objects).collect();
        let now = self.now();
        let fleet = look::look(&self.bare, &mut self.cache, now, contexts, &wanted);
        let mut seen = Observation { at: now, fleet, denied: None };
        if let Some(run) = run {
            let wanted = run.objects(&seen);
            look::objects(&self.bare, now, &mut seen.fleet, &wanted);
        }
        seen
    }

    /// The objects that the facts of a runbook are answered from now.
    pub fn reads(&mut self, runbook: &Runbook, inputs: &BTreeMap<String, Value>) -> BTreeSet<ObjectId> {
        let seen = self.look(None, None, &[]);
        reads_for_facts::objects_of_facts(runbook, inputs, &seen)
    }

    /// Makes a plan as the driver does: a draft, then once more with the objects that it names.
    pub fn plan(&mut self, runbook: &Runbook, inputs: &BTreeMap<String, String>) -> Result<Plan, String> {
        let seen = self.observe(runbook, inputs)?;
        bind::bind(runbook, inputs, &seen).map_err(|error| error.to_string())
    }

    /// Everything that a plan is made from.
    pub fn observe(&mut self, runbook: &Runbook, inputs: &BTreeMap<String, String>) -> Result<Observation, String> {
        let given = given_inputs::read(runbook, inputs).map_err(|error| error.to_string())?;
        let fleet = self.look(None, None, &[]).fleet;
        let mut seen = Observation { at: self.now(), fleet, denied: Some(Vec::new()) };
        let reads = reads_for_facts::objects_of_facts(runbook, &given.values, &seen);
        look::objects(&self.bare, self.now(), &mut seen.fleet, &reads);
        let draft = bind::bind(runbook, inputs, &seen).map_err(|error| error.to_string())?;
        let named = draft.steps.iter().flat_map(|step| step.action.objects()).collect();
        look::objects(&self.bare, self.now(), &mut seen.fleet, &named);
        Ok(seen)
    }

    /// Opens a run of a runbook; every check has to pass.
    pub fn open(&mut self, runbook: &Runbook, inputs: &BTreeMap<String, String>) -> Result<(), String> {
        let plan = self.plan(runbook, inputs)?;
        let refused: Vec<String> = plan.refusals().map(|check| format!("{}: {}", check.id, check.sentence)).collect();
        if !refused.is_empty() {
            return Err(refused.join("\n"));
        }
        let now = self.now();
        self.disk.append(now, Event::RunOpened { run: RUN.into(), tool: "test".into(), plan: Box::new(plan) });
        Ok(())
    }

    /// Chooses as `runs undo` does: two records.
    pub fn choose(&mut self, runbook: &Runbook, wish: &Resolution) -> Result<(), String> {
        let records = decode(&self.disk.0).map_err(|error| error.to_string())?.records;
        let run = Run::replay(runbook.clone(), &records).map_err(|error| error.to_string())?;
        let event = run.choose(wish, self.now()).map_err(|why| why.to_string())?;
        let now = self.now();
        self.disk.append(now, Event::Resumed { tool: "test".into(), moves: None });
        self.disk.append(now, event);
        Ok(())
    }

    /// Brings one request to its server; notes when it changed something.
    fn deliver(&mut self, sent: &Sent) -> Answer {
        let before = sent.place(&self.bare);
        let answer = sent.deliver(&self.bare);
        if before != sent.place(&self.bare) {
            self.effects.push(sent.effected.clone());
        }
        answer
    }

    /// Sends an action under a fate.
    pub fn send(&mut self, action: &Action, seen: &Fleet, fate: Fate) -> Answer {
        let sent = match send::prepare(&self.bare, action, seen) {
            Ok(sent) => sent,
            Err(reason) => return Answer::Refused { reason },
        };
        let lost = |reason: &str| Answer::Unknown { reason: reason.into() };
        let due_ms = self.bare.now_ms() + LATE_S * 1_000;
        match fate {
            Fate::Answered => self.deliver(&sent),
            Fate::AnswerLost => {
                self.deliver(&sent);
                lost("cut off")
            }
            Fate::RequestLost => lost("cut off"),
            Fate::AppliedLate => {
                self.late.push((due_ms, sent));
                lost("timed out")
            }
            Fate::Twice => {
                let answer = self.deliver(&sent);
                self.late.push((due_ms, sent));
                answer
            }
        }
    }
}

/// A place of a drive at which a process can die, with everything as it stood.
pub enum Point {
    /// This record had just become durable.
    Record(Bed),
    /// This write was about to reach the server.
    Write { bed: Bed, run: Run, action: Action, seen: Fleet },
}

/// What a test does to a drive.
#[derive(Default)]
pub struct Course<'a> {
    /// Collects the points.
    pub points: Option<&'a mut Vec<Point>>,
    /// Goes no further than so many completed steps.
    pub steps: Option<usize>,
}

/// Goes on with the journal as a new process does, until the engine stops.
pub fn drive(bed: &mut Bed, runbook: &Runbook, course: Course<'_>) -> Ended {
    let parsed = decode(&bed.disk.0).expect("readable");
    if parsed.torn {
        bed.disk.0.truncate(parsed.whole_bytes);
    }
    let mut run = Run::replay(runbook.clone(), &parsed.records).expect("replays");
    if parsed.records.len() > 1 && run.outcome().is_none() {
        let record = bed.disk.append(bed.now(), Event::Resumed { tool: "test".into(), moves: None });
        run.apply(&record);
    }
    go_on(bed, run, Input::Go, course)
}

/// Goes on as the process that sent something and now has this answer.
pub fn live_on(bed: &mut Bed, run: Run, answer: Answer, course: Course<'_>) -> Ended {
    go_on(bed, run, Input::Performed(answer), course)
}

fn go_on(bed: &mut Bed, mut run: Run, first: Input<'static>, course: Course<'_>) -> Ended {
    let mut hands = BareHands { bed, course, completed: 0, looks: 0, sent_on: None };
    let ending = run_loop::drive(&mut run, &mut hands, first).now_or_never().expect("hands in memory never wait");
    match ending {
        Ending::Stopped(stop) => Ended::Stopped(stop),
        Ending::Taken(_) => Ended::Crashed,
        Ending::Unwritten(why) => panic!("everything can be written: {why:?}"),
        Ending::Declined => panic!("nobody says no"),
    }
}

/// The loop's hands on the simulated world.
struct BareHands<'b, 'c> {
    bed: &'b mut Bed,
    course: Course<'c>,
    completed: usize,
    looks: usize,
    /// How closely was looked last, until anything but a record came of it.
    sent_on: Option<Depth>,
}

impl Hands for BareHands<'_, '_> {
    fn now(&self) -> Timestamp {
        self.bed.now()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.bed.bare.now_ms())
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
        self.course.steps.is_some_and(|steps| self.completed >= steps).then(|| Taken("far enough".into()))
    }

    async fn append(&mut self, event: Event) -> Result<Record, Unwritten> {
        self.completed += usize::from(matches!(event, Event::Completed { .. }));
        let record = self.bed.disk.append(self.bed.now(), event);
        if let Some(points) = &mut self.course.points {
            points.push(Point::Record(self.bed.fork()));
        }
        Ok(record)
    }

    async fn observe(&mut self, run: &Run, depth: Depth) -> Option<Observation> {
        self.sent_on = Some(depth);
        self.looks += 1;
        assert!(self.looks < 2_000, "the run goes round in circles:\n{}", self.bed.disk.0);
        self.bed.pass(1);
        Some(self.bed.look(Some(&run.plan.contexts), Some(run), &[]))
    }

    async fn probe(&mut self, action: &Action, seen: &Observation) -> Option<Vec<ProbeLine>> {
        self.sent_on = None;
        Some(look::probe(&self.bed.bare, action, &seen.fleet))
    }

    async fn cross(&mut self, action: &Action, _: &Observation) -> Option<Vec<RouteProbe>> {
        let Action::NetProbe(NetProbe { places, ports, .. }) = action else { panic!("no way between: {action:?}") };
        Some(look::cross(places, ports))
    }

    async fn perform(&mut self, run: &Run, action: &Action, seen: &Observation) -> Answer {
        assert_eq!(self.sent_on.take(), Some(Depth::Whole), "a write leaves on a whole look of its own");
        if let Some(points) = &mut self.course.points {
            let (run, action, seen) = (run.clone(), action.clone(), seen.fleet.clone());
            points.push(Point::Write { bed: self.bed.fork(), run, action, seen });
        }
        self.bed.send(action, &seen.fleet, Fate::Answered)
    }

    async fn ask(&mut self, gate: &Gate) -> Result<GateAnswer, Taken> {
        self.sent_on = None;
        // Nobody says "overwrite" without having looked.
        let silent = gate.id.starts_with("overwrite/");
        Ok(if silent { GateAnswer::NotYet } else { GateAnswer::Text(gate.text.clone().unwrap_or_default()) })
    }

    async fn approvals(&mut self, _: &Run, _: &Wanted) -> Result<Vec<Approval>, Taken> {
        Ok(Vec::new())
    }

    async fn look_around(&mut self, _: &Run, _: &Observation) -> String {
        String::new()
    }

    async fn wait(&mut self, _: &Run, _: Duration) {
        self.sent_on = None;
        self.bed.pass(WAIT_S);
    }

    async fn tell(&mut self, _: RunMessage) {}
}

/// Every effect has its Intent, none of them is called somebody else's, and none without a rollback was had twice.
pub fn accounted(bed: &Bed) -> Result<(), String> {
    let events = bed.disk.events();
    let mut intents: BTreeMap<String, String> = BTreeMap::new();
    for event in &events {
        if let Event::Intent { step, action, .. } = event {
            intents.insert(send::action_text(action), step.clone());
        }
    }
    for effect in &bed.effects {
        let Some(step) = intents.get(&effect.action) else {
            return Err(format!("{} was sent without an Intent", effect.action));
        };
        let disowned =
            |event: &Event| matches!(event, Event::Completed { step: of, how: How::AlreadySo, .. } if of == step);
        if events.iter().any(disowned) {
            return Err(format!("{step} was sent, and the journal calls it already so"));
        }
        if effect.irreversible && bed.effects.iter().filter(|other| *other == effect).count() > 1 {
            return Err(format!("{step} has no rollback and was done twice"));
        }
    }
    Ok(())
}

/// What is left of the world when a run is over: specs and members, without versions, uids and times.
pub fn world(bed: &Bed) -> BTreeMap<String, Value> {
    look::remains(&bed.bare)
}

pub fn effected(action: &Action) -> Effected {
    Effected { action: send::action_text(action), irreversible: action.reversibility() == Reversibility::Irreversible }
}
