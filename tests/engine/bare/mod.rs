//! A bed for runs of any runbook on the simulated world without sockets: look, write, let time pass, die, go on.
//!
//! It stands between the engine and `sim::bare` as the driver and the client do between the engine and real clusters:
//! [`look`] makes an observation, [`send`] makes requests of an action. Time moves only when a run looks or waits, so a
//! case takes milliseconds. Not here: which runs there are and what has to come out of them (the tests say that).
//! `model` is the other bed: hand-made, for one TidbCluster, with somebody else who acts.

pub mod look;
pub mod scenarios;
pub mod send;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidepilot::fleet::Fleet;
use tidepilot::fleet::object::ObjectId;
use tidepilot::runbook::Observation;
use tidepilot::runbook::action::{Action, Answer, ProbeLine, Reversibility};
use tidepilot::runbook::actions::NetProbe;
use tidepilot::runbook::language::definition::Runbook;
use tidepilot::runbook::language::inputs;
use tidepilot::runbook::plan::Plan;
use tidepilot::runbook::plan::bind;
use tidepilot::runbook::run::choices::Resolution;
use tidepilot::runbook::run::engine::{Effect, Input, Run};
use tidepilot::runbook::run::record::{Event, How, decode};
use tidepilot::sim::bare::Bare;

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
        bind::objects_of_facts(runbook, inputs, &seen)
    }

    /// Makes a plan as the driver does: a draft, then once more with the objects that it names.
    pub fn plan(&mut self, runbook: &Runbook, inputs: &BTreeMap<String, String>) -> Result<Plan, String> {
        let seen = self.observe(runbook, inputs)?;
        bind::bind(runbook, inputs, &seen).map_err(|error| error.to_string())
    }

    /// Everything that a plan is made from.
    pub fn observe(&mut self, runbook: &Runbook, inputs: &BTreeMap<String, String>) -> Result<Observation, String> {
        let given = inputs::read(runbook, inputs).map_err(|error| error.to_string())?;
        let fleet = self.look(None, None, &[]).fleet;
        let mut seen = Observation { at: self.now(), fleet, denied: Some(Vec::new()) };
        let reads = bind::objects_of_facts(runbook, &given.values, &seen);
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

    fn probe(&self, action: &Action, seen: &Fleet) -> Vec<ProbeLine> {
        look::probe(&self.bare, action, seen)
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
    go_on(bed, run, None, course)
}

/// Goes on as the process that sent something and now has this answer.
pub fn live_on(bed: &mut Bed, run: Run, answer: Answer, course: Course<'_>) -> Ended {
    go_on(bed, run, Some(Input::Performed(answer)), course)
}

fn go_on(bed: &mut Bed, mut run: Run, mut input: Option<Input<'static>>, mut course: Course<'_>) -> Ended {
    let contexts = run.plan.contexts.clone();
    let mut seen = Observation::default();
    let mut observed = false;
    let mut completed = 0;
    let mut stall = (String::new(), bed.now());
    for _ in 0..2_000 {
        let effects = match (observed, input.take()) {
            (_, Some(input)) => run.advance(input, false, bed.now()),
            (true, None) => run.advance(Input::Observed(&seen), false, bed.now()),
            (false, None) => run.advance(Input::Go, false, bed.now()),
        };
        observed = false;
        if course.steps.is_some_and(|steps| completed >= steps) {
            return Ended::Crashed;
        }
        for effect in effects {
            match effect {
                Effect::Append(event) => {
                    completed += usize::from(matches!(event, Event::Completed { .. }));
                    let record = bed.disk.append(bed.now(), event);
                    run.apply(&record);
                    stall = (String::new(), bed.now());
                    if let Some(points) = &mut course.points {
                        points.push(Point::Record(bed.fork()));
                    }
                }
                Effect::Observe => {
                    bed.pass(1);
                    seen = bed.look(Some(&contexts), Some(&run), &[]);
                    observed = true;
                }
                Effect::Probe { step, action: Action::NetProbe(NetProbe { places, ports, .. }) } => {
                    input = Some(Input::Crossed { step, ways: look::cross(&places, &ports) });
                }
                Effect::Probe { step, action } => {
                    let lines = bed.probe(&action, &seen.fleet);
                    input = Some(Input::Probed { step, lines });
                }
                Effect::Perform(action) => {
                    if let Some(points) = &mut course.points {
                        let (run, action, seen) = (run.clone(), action.clone(), seen.fleet.clone());
                        points.push(Point::Write { bed: bed.fork(), run, action, seen });
                    }
                    input = Some(Input::Performed(bed.send(&action, &seen.fleet, Fate::Answered)));
                }
                Effect::Ask(gate) => {
                    // Nobody says "overwrite" without having looked.
                    let silent = gate.id.starts_with("overwrite/");
                    let text = if silent { None } else { gate.text.clone().or(Some(String::new())) };
                    input = Some(Input::Answered { gate, text });
                }
                Effect::FindApprovals(wanted) => input = Some(Input::Approvals { wanted, found: Vec::new() }),
                Effect::Wait { sentence, stalled_s, about, .. } => {
                    if stall.0 != sentence {
                        stall = (sentence.clone(), bed.now());
                    }
                    let same_s = bed.now().duration_since(stall.1).as_secs();
                    match u64::try_from(same_s).is_ok_and(|same_s| same_s > stalled_s) {
                        true => input = Some(Input::Stalled { about, sentence, since: None }),
                        false => bed.pass(WAIT_S),
                    }
                }
                Effect::Stop(stop) => return Ended::Stopped(stop),
            }
        }
    }
    panic!("the run goes round in circles:\n{}", bed.disk.0);
}

/// Every effect has its Intent, none of them is called somebody else's, and none without a way back was had twice.
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
            return Err(format!("{step} has no way back and was done twice"));
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
