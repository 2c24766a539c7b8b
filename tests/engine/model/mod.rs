//! A model world and a driver for the engine's tests: no sockets, no clock, every write counted.
//!
//! One TidbCluster with three PDs, whose operator is "after some looks everything has rolled". [`drive`] is the
//! product's own loop (`app::driver::run_loop`) on hands and a journal in memory, so that a test can stop it anywhere,
//! lose or delay an answer, or let somebody else change the world. Not here: what has to come out (the tests say that).

#![allow(dead_code, reason = "each test binary uses its own part")]

mod hands;
mod world;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use self::hands::MemoryHands;
pub use self::world::World;
use jiff::Timestamp;
use tidepilot::app::driver::run_loop::{self, Ending};
use tidepilot::fleet::ObjectRef;
use tidepilot::runbook::action_types::{Answer, ProbeLine};
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::ProbePeerUrl;
use tidepilot::runbook::language::document::Runbook;
use tidepilot::runbook::plan::Plan;
use tidepilot::runbook::plan::bind::bind;
use tidepilot::runbook::run::engine::{Input, Run, Stop};
use tidepilot::runbook::run::journal_lines::{decode, encode, line_hash};
use tidepilot::runbook::run::pause_choices::{BadChoice, Resolution};
use tidepilot::runbook::run::record::{Event, How, Record};

pub const PODS: usize = 3;
/// Seconds from one look to the next.
const LOOK_S: i64 = 5;

/// What the sender of a write knows from the look before.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    fields: (Option<String>, Option<bool>),
}

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// Applied, but the answer is lost.
    AnswerLost,
    /// Not applied, and no answer.
    RequestLost,
    /// Applied only some looks later, and no answer.
    AppliedLate,
    /// Applied, answered, and delivered again some looks later.
    Twice,
}

pub const FATES: [Fate; 5] = [Fate::Answered, Fate::AnswerLost, Fate::RequestLost, Fate::AppliedLate, Fate::Twice];

/// Which of the two branches of the procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// With clusterDomain: the patch has no rollback.
    Domain,
    /// Only acrossK8s: the patch can be put back.
    SameDomain,
}

pub fn runbook() -> Runbook {
    static ONCE: OnceLock<Runbook> = OnceLock::new();
    ONCE.get_or_init(|| Runbook::shipped("migrate-cluster-domain").expect("ships")).clone()
}

pub fn plan(world: &mut World, branch: Branch) -> Plan {
    let mut inputs = BTreeMap::from([("tidbCluster".to_owned(), "one/db/basic".to_owned())]);
    if branch == Branch::Domain {
        inputs.insert("clusterDomain".into(), "a.com".into());
    }
    let plan = bind(&runbook(), &inputs, &world.look()).expect("binds");
    let refused: Vec<_> = plan.refusals().collect();
    assert!(refused.is_empty(), "{refused:?}");
    plan
}

/// The journal as bytes, and a way to write into it.
#[derive(Clone, Debug, Default)]
pub struct Disk(pub String);

impl Disk {
    pub fn append(&mut self, at: Timestamp, event: Event) -> Record {
        let prev = self.0.lines().last().map_or_else(String::new, line_hash);
        let record = Record { seq: self.lines() as u64, at, prev, event };
        self.0.push_str(&encode(&record).expect("encodes"));
        record
    }

    pub fn lines(&self) -> usize {
        self.0.lines().count()
    }

    pub fn events(&self) -> Vec<Event> {
        decode(&self.0).expect("readable").records.into_iter().map(|record| record.event).collect()
    }
}

/// One run on one world.
#[derive(Clone, Debug)]
pub struct Bed {
    pub disk: Disk,
    pub world: World,
}

/// A run that has just been opened.
pub fn opened(branch: Branch) -> Bed {
    static ONCE: [OnceLock<Bed>; 2] = [OnceLock::new(), OnceLock::new()];
    let make = || {
        let mut world = World::new();
        let plan = plan(&mut world, branch);
        let mut disk = Disk::default();
        disk.append(world.now, Event::RunOpened { run: "r".into(), tool: "test".into(), plan: Box::new(plan) });
        Bed { disk, world }
    };
    ONCE[branch as usize].get_or_init(make).clone()
}

/// How a drive ended.
#[derive(Clone, Debug)]
pub enum Ended {
    Stopped(Stop),
    /// The process died.
    Crashed,
}

/// A place of a drive at which a process can die, with everything as it stood.
#[derive(Clone)]
pub enum Point {
    /// This record had just become durable.
    Record(Bed),
    /// This write was about to reach the server.
    Write { bed: Bed, action: Action, seen: Seen },
}

impl Seen {
    pub fn of(world: &World) -> Self {
        Self { fields: world.fields() }
    }

    /// Sends an action; its fate decides what becomes of it and of the answer.
    pub fn send(&self, bed: &mut Bed, action: &Action, fate: Fate) -> Answer {
        let lost = |reason: &str| Answer::Unknown { reason: reason.into() };
        let version = bed.world.version;
        match fate {
            Fate::Answered => bed.world.send(action, self),
            Fate::AnswerLost => {
                bed.world.send(action, self);
                lost("cut off")
            }
            Fate::RequestLost => lost("cut off"),
            Fate::AppliedLate => {
                bed.world.late.push((1, version, action.clone()));
                lost("timed out")
            }
            Fate::Twice => {
                let answer = bed.world.send(action, self);
                bed.world.late.push((1, version, action.clone()));
                answer
            }
        }
    }
}

/// The step that an effect belongs to.
pub fn step_of(effect: &str) -> String {
    let pod = |rest: &str| rest.trim_end_matches(" (leader)").to_owned();
    match effect.split_once(' ') {
        Some(("update", rest)) => format!("update[{}]", pod(rest)),
        Some(("restore", rest)) => format!("undo:update[{}]", pod(rest)),
        Some(("patch", "back")) => "undo:set-across-k8s".into(),
        _ => "set-".into(),
    }
}

/// Every effect has its Intent; with `ours`, none of them is called somebody else's.
pub fn accounted(bed: &Bed, ours: bool) -> Result<(), String> {
    let events = bed.disk.events();
    for effect in &bed.world.effects {
        let wanted = step_of(effect);
        let is = |step: &String| *step == wanted || (wanted == "set-" && step.starts_with("set-"));
        if !events.iter().any(|event| matches!(event, Event::Intent { step, .. } if is(step))) {
            return Err(format!("{effect} was sent without an Intent"));
        }
        let disowned = |event: &Event| matches!(event, Event::Completed { step, how: How::AlreadySo, .. } if is(step));
        if ours && events.iter().any(disowned) {
            return Err(format!("{effect} was sent, and the journal calls it already so"));
        }
    }
    Ok(())
}

/// What somebody else does right behind a record, by its number.
pub type Meddler<'a> = &'a (dyn Fn(usize, &mut World) + Sync);

/// What a test does to a drive while it goes on.
#[derive(Default)]
pub struct Course<'a> {
    /// What becomes of each write; the number is that of the last record.
    pub fate: Option<&'a (dyn Fn(usize) -> Fate + Sync)>,
    /// Called when a record is durable, before anything that follows.
    pub after: Option<Meddler<'a>>,
    /// Collects the points.
    pub points: Option<&'a mut Vec<Point>>,
    /// Gates are not answered.
    pub silent: bool,
    /// Also what asks for leave to overwrite is answered.
    pub overwrites: bool,
    /// Somebody else takes the lease over right behind this record: the journal takes no further record of this
    /// process, and the fence lets nothing leave — or, with the second field, one write slips through late (PD's API
    /// takes no condition, so a process that is frozen between the fence and the request can do that).
    pub stolen: Option<(usize, bool)>,
    /// This process is the one that took over.
    pub taken_over: bool,
    /// The loop is left behind for good after so many awaits: before and behind each look, record, write and answer.
    pub polls: Option<usize>,
}

/// Makes a choice as `runs resume|undo|abandon` does: checked first, then two records.
pub fn choose(bed: &mut Bed, wish: &Resolution) -> Result<(), BadChoice> {
    let parsed = decode(&bed.disk.0).expect("readable");
    let run = Run::replay(runbook(), &parsed.records).expect("replays");
    let event = run.choose(wish, bed.world.now)?;
    bed.disk.append(bed.world.now, Event::Resumed { tool: "test".into(), moves: None });
    bed.disk.append(bed.world.now, event);
    Ok(())
}

/// Goes on with the journal as a new process does, until the engine stops: the product's own loop on hands in memory.
pub fn drive(bed: &mut Bed, course: Course<'_>) -> Ended {
    let parsed = decode(&bed.disk.0).expect("readable");
    if parsed.torn {
        bed.disk.0.truncate(parsed.whole_bytes);
    }
    let mut run = Run::replay(runbook(), &parsed.records).expect("replays");
    if parsed.records.len() > 1 && run.outcome().is_none() {
        let (tool, by, from) = ("test".to_owned(), "bob".to_owned(), "ann".to_owned());
        let first = if course.taken_over {
            Event::TakenOver { tool, by, from, moves: None }
        } else {
            Event::Resumed { tool, moves: None }
        };
        let record = bed.disk.append(bed.world.now, first);
        run.apply(&record);
    }
    let polls = course.polls;
    let mut hands = MemoryHands {
        bed,
        course,
        known: Seen::default(),
        sent_on: None,
        looked: None,
        idle: false,
        patience: Patience::default(),
        stolen: false,
    };
    let mut driving = std::pin::pin!(run_loop::drive(&mut run, &mut hands, Input::Go));
    let mut context = Context::from_waker(Waker::noop());
    let mut left = polls.unwrap_or(usize::MAX);
    let ending = loop {
        match driving.as_mut().poll(&mut context) {
            Poll::Ready(ending) => break ending,
            Poll::Pending if left == 0 => return Ended::Crashed,
            Poll::Pending => left -= 1,
        }
    };
    match ending {
        Ending::Stopped(stop) => Ended::Stopped(stop),
        Ending::Taken(_) | Ending::Unwritten(_) => Ended::Crashed,
        Ending::Declined => panic!("nobody says no"),
    }
}

/// A clock for waits that nothing moves in: each lasts twice as long as the one before it, so that a stand-still of hours
/// takes few looks.
#[derive(Debug, Default)]
pub struct Patience {
    elapsed: Duration,
    waits: u32,
    looks: u32,
}

impl Patience {
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Something moved.
    pub fn moved(&mut self) {
        self.waits = 0;
    }

    pub fn wait(&mut self, time: Duration) {
        self.elapsed += time * 2_u32.pow(self.waits.min(20));
        self.waits += 1;
    }

    /// A run that never ends is a failure and no endless test.
    pub fn look(&mut self, most: u32) {
        self.looks += 1;
        assert!(self.looks < most, "the run goes round in circles");
    }
}

/// What a probe of a peerURL sees here: the pod that is meant.
pub fn probe_line(ProbePeerUrl { url, pod, .. }: &ProbePeerUrl) -> ProbeLine {
    let ip = Some(format!("10.0.0.{}", pod.rsplit('-').next().expect("ordinal")));
    ProbeLine {
        from: ObjectRef::new("one", "db", "basic-pd-x"),
        resolved: ip.clone().into_iter().collect(),
        expected: ip.into_iter().collect(),
        reached: true,
        detail: url.clone(),
    }
}

/// A process that died at this point, in each way it can die there: the bed that it leaves, and what to call it.
pub fn deaths(point: &Point) -> Vec<(String, Bed)> {
    match point {
        Point::Record(bed) => {
            let number = bed.disk.lines() - 1;
            let mut torn = bed.clone();
            let cut = torn.disk.0.len() - 7;
            torn.disk.0.truncate(cut);
            vec![(format!("killed after record {number}"), bed.clone()), (format!("record {number} torn"), torn)]
        }
        Point::Write { bed, action, seen } => FATES
            .into_iter()
            .map(|fate| {
                let mut bed = bed.clone();
                seen.send(&mut bed, action, fate);
                (format!("killed after the write behind record {}, {fate:?}", bed.disk.lines() - 1), bed)
            })
            .collect(),
    }
}

/// Drives once without trouble and gives every point.
pub fn points(bed: &Bed) -> Vec<Point> {
    let mut bed = bed.clone();
    let mut points = Vec::new();
    drive(&mut bed, Course { points: Some(&mut points), ..Course::default() });
    points
}

/// Runs cases on two threads; gives the sentences of those that failed.
pub fn all_of<T: Sync>(cases: &[T], check: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let (left, right) = cases.split_at(cases.len() / 2);
    let run = |half: &[T]| half.iter().filter_map(|case| check(case).err()).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(right));
        let mut failed = run(left);
        failed.extend(other.join().expect("the other half ran to its end"));
        failed
    })
}
