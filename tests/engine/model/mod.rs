//! A model world and a driver for the engine's tests: no sockets, no clock, every write counted.
//!
//! One TidbCluster with three PDs, whose operator is "after some looks everything has rolled". [`drive`] is the
//! product's own loop (`app::driver::drive`) on hands and a journal in memory, so that a test can stop it anywhere,
//! lose or delay an answer, or let somebody else change the world. Not here: what has to come out (the tests say that).

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidepilot::app::driver::GateAnswer;
use tidepilot::app::driver::drive::{self, Ending, Hands, Taken};
use tidepilot::app::driver::run_journal::Unwritten;
use tidepilot::app::message::RunMessage;
use tidepilot::client::kube::look::Depth;
use tidepilot::fleet::pd::{EtcdMember, MemberId, MembershipApi, PdAnswer, PdView};
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, ObjectRef, What};
use tidepilot::runbook::Observation;
use tidepilot::runbook::action::{Answer, ProbeLine};
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::network::RouteProbe;
use tidepilot::runbook::actions::{PatchTidbCluster, ProbePeerUrl, UpdatePeerUrl};
use tidepilot::runbook::language::definition::Runbook;
use tidepilot::runbook::plan::bind::bind;
use tidepilot::runbook::plan::{Gate, Plan};
use tidepilot::runbook::run::approval::{Approval, Wanted};
use tidepilot::runbook::run::choices::{BadChoice, Resolution};
use tidepilot::runbook::run::engine::{Input, Run, Stop};
use tidepilot::runbook::run::lines::{decode, encode, line_hash};
use tidepilot::runbook::run::record::{Event, How, Record};

pub const PODS: usize = 3;
/// Seconds from one look to the next.
const LOOK_S: i64 = 5;

/// One PD member.
#[derive(Clone, Debug, PartialEq)]
pub struct Pd {
    pub id: u64,
    pub urls: Vec<String>,
    /// Still in the membership.
    pub listed: bool,
}

#[derive(Clone, Debug)]
pub struct World {
    pub uid: &'static str,
    /// Empty: it may not be read.
    pub kube_uid: &'static str,
    /// PD's cluster id.
    pub database: u64,
    pub exists: bool,
    pub domain: Option<String>,
    pub across: Option<bool>,
    pub paused: Option<bool>,
    /// Of the TidbCluster: moves with each change of its spec.
    version: u64,
    /// Template revisions of PD: wanted, and carried by every pod.
    wanted: u32,
    carried: u32,
    looks_since: u32,
    /// The spec that the pods were started with: it makes their names.
    started: (Option<String>, bool),
    pub pds: Vec<Pd>,
    pub leader: usize,
    /// So many PDs, the last ones, say that they are not healthy.
    pub ill: usize,
    pub now: Timestamp,
    /// Our writes that changed something, in order.
    pub effects: Vec<String>,
    /// How often ours set the domain: there is no way back from that.
    pub irreversible: u32,
    /// Fields that somebody else set last.
    theirs: BTreeSet<String>,
    /// What ours put over a value of somebody else.
    pub overwritten: Vec<String>,
    /// Writes which the server applies some looks later, with the version they were sent under.
    late: Vec<(u32, u64, Action)>,
}

impl World {
    fn new() -> Self {
        let url = |i: usize| format!("http://basic-pd-{i}.basic-pd-peer.db.svc:2380");
        Self {
            uid: "tc-uid",
            kube_uid: "kube-uid",
            database: 42,
            exists: true,
            domain: None,
            across: None,
            paused: None,
            version: 7,
            wanted: 1,
            carried: 1,
            looks_since: 0,
            started: (None, false),
            pds: (0..PODS).map(|i| Pd { id: i as u64 + 1, urls: vec![url(i)], listed: true }).collect(),
            leader: 0,
            ill: 0,
            now: Timestamp::UNIX_EPOCH,
            effects: Vec::new(),
            irreversible: 0,
            theirs: BTreeSet::new(),
            overwritten: Vec::new(),
            late: Vec::new(),
        }
    }

    /// The pods begin to restart.
    pub fn roll(&mut self) {
        self.version += 1;
        self.wanted += 1;
        self.looks_since = 0;
    }

    /// Somebody else's change to the spec. To set what is set already is no change.
    pub fn their_spec(&mut self, field: &str, change: impl FnOnce(&mut Self)) {
        let before = (self.fields(), self.paused);
        change(self);
        if before != (self.fields(), self.paused) {
            self.theirs.insert(field.to_owned());
            self.roll();
        }
    }

    /// Somebody else's changes count as nobody's from here on.
    pub fn forget_theirs(&mut self) {
        self.theirs.clear();
    }

    /// Somebody else removes a member; the lead moves on if it had it.
    pub fn remove(&mut self, index: usize) {
        self.pds[index].listed = false;
        while !self.pds[self.leader].listed {
            self.leader = (self.leader + 1) % PODS;
        }
    }

    /// Somebody else's change to a member's peerURL.
    pub fn their_url(&mut self, index: usize, url: &str) {
        if self.pds[index].urls != [url] {
            self.pds[index].urls = vec![url.to_owned()];
            self.theirs.insert(format!("url {index}"));
        }
    }

    /// The image which a write of ours is conditional on: what the sender reads just before it sends.
    fn fields(&self) -> (Option<String>, Option<bool>) {
        (self.domain.clone(), self.across)
    }

    /// What our client and the server make of an action. `seen`: the look which it was decided on.
    pub fn send(&mut self, action: &Action, seen: &Seen) -> Answer {
        let refused = |reason: &str| Answer::Refused { reason: reason.into() };
        match action {
            Action::PatchTidbCluster(PatchTidbCluster { uid, .. }) => {
                if !self.exists || uid != self.uid {
                    return refused("another object");
                }
                if seen.fields != self.fields() {
                    return refused("somebody else changed the same fields");
                }
            }
            Action::UpdatePeerUrl(UpdatePeerUrl { id, from, .. }) => {
                match self.pds.iter().find(|pd| pd.id == id.0 && pd.listed) {
                    Some(pd) if pd.urls == *from => {}
                    Some(_) => return refused("the member has other peerURLs"),
                    None => return refused("no such member"),
                }
            }
            _ => panic!("this is not sent in the model world: {action:?}"),
        }
        self.apply(action);
        Answer::Accepted { status: 200, detail: String::new() }
    }

    /// Does to the world what the server would do; counts what changed.
    fn apply(&mut self, action: &Action) {
        match action {
            Action::PatchTidbCluster(PatchTidbCluster { merge, .. }) => {
                let before = self.fields();
                if let Some(domain) = merge.pointer("/spec/clusterDomain") {
                    self.domain = domain.as_str().map(str::to_owned);
                }
                if let Some(across) = merge.pointer("/spec/acrossK8s") {
                    self.across = across.as_bool();
                }
                if before == self.fields() {
                    return;
                }
                if before.0 != self.domain {
                    self.irreversible += 1;
                }
                for (field, changed) in [("domain", before.0 != self.domain), ("across", before.1 != self.across)] {
                    if changed && self.theirs.contains(field) {
                        self.overwritten.push(field.into());
                    }
                }
                self.effects.push(if self.across.is_some() { "patch" } else { "patch back" }.into());
                self.roll();
            }
            Action::UpdatePeerUrl(UpdatePeerUrl { id, pod, to, restores, .. }) => {
                let Some(index) = self.pds.iter().position(|pd| pd.id == id.0 && pd.listed) else { return };
                if self.pds[index].urls == *to {
                    return;
                }
                if self.theirs.contains(&format!("url {index}")) {
                    self.overwritten.push(format!("url {index}"));
                }
                self.pds[index].urls.clone_from(to);
                let verb = if *restores { "restore" } else { "update" };
                self.effects.push(format!("{verb} {pod}{}", if index == self.leader { " (leader)" } else { "" }));
            }
            _ => {}
        }
    }

    fn name(&self, i: usize) -> String {
        match &self.started {
            (Some(domain), _) => format!("basic-pd-{i}.basic-pd-peer.db.svc.{domain}"),
            (None, true) => format!("basic-pd-{i}.basic-pd-peer.db.svc"),
            (None, false) => format!("basic-pd-{i}"),
        }
    }

    fn pass(&mut self) {
        self.now += SignedDuration::from_secs(LOOK_S);
        for (looks, version, action) in std::mem::take(&mut self.late) {
            if looks > 0 {
                self.late.push((looks - 1, version, action));
            } else if matches!(action, Action::UpdatePeerUrl(_)) || version == self.version {
                // The API server refuses a patch under an old resourceVersion; etcd takes whatever comes.
                self.apply(&action);
            }
        }
        if self.wanted != self.carried {
            self.looks_since += 1;
            if self.looks_since == 4 && self.paused != Some(true) {
                self.carried = self.wanted;
                self.started = (self.domain.clone(), self.across.unwrap_or(false));
                // A rolling restart moves the leader.
                self.leader = (self.leader + 1) % PODS;
                while !self.pds[self.leader].listed {
                    self.leader = (self.leader + 1) % PODS;
                }
            }
        }
    }

    pub fn look(&mut self) -> Observation {
        self.pass();
        let rolling = self.wanted != self.carried;
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "one".into(), at: self.now, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::Identity {
            uid: Some(self.kube_uid.to_owned()).filter(|uid| !uid.is_empty()),
            version: Some("v1.33.4".into()),
        });
        say(What::Crd(Crd::Served { across_k8s: Some(true) }));
        say(What::Operator { version: Some("v1.6.6".into()) });
        say(What::Dns(tidepilot::fleet::dns::Dns::of("a.com")));
        if self.exists {
            let mut spec = json!({"version": "v7.5.0", "configUpdateStrategy": "RollingUpdate",
                "pd": {"replicas": PODS, "config": {}, "maxFailoverCount": 0}});
            for (key, value) in [
                ("clusterDomain", self.domain.as_ref().map(|domain| json!(domain))),
                ("acrossK8s", self.across.map(|across| json!(across))),
                ("paused", self.paused.map(|paused| json!(paused))),
            ] {
                if let Some(value) = value {
                    spec[key] = value;
                }
            }
            let members: BTreeMap<String, Value> = (0..PODS)
                .filter(|i| self.pds[*i].listed)
                .map(|i| (self.name(i), json!({"name": self.name(i), "health": true})))
                .collect();
            let tc = json!({"metadata": {"name": "basic", "namespace": "db", "uid": self.uid,
                    "resourceVersion": self.version.to_string()},
                "spec": spec,
                "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True"}],
                    "pd": {"synced": true, "phase": if rolling {"Upgrade"} else {"Normal"},
                        "image": "pingcap/pd:v7.5.0", "members": members}}});
            say(What::TidbClusters(vec![serde_json::from_value(tc).expect("shape")]));
            let set = json!({"metadata": {"name": "basic-pd", "namespace": "db", "generation": 1},
                "spec": {"replicas": PODS},
                "status": {"observedGeneration": 1, "replicas": PODS, "readyReplicas": PODS, "updatedReplicas": PODS,
                    "currentRevision": format!("r{}", self.carried), "updateRevision": format!("r{}", self.wanted)}});
            say(What::StatefulSets(vec![serde_json::from_value(set).expect("shape")]));
            let pods = (0..PODS).map(|i| {
                let pod = json!({"metadata": {"name": format!("basic-pd-{i}"), "namespace": "db", "labels": {
                        "app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "pd",
                        "controller-revision-hash": format!("r{}", self.carried)}},
                    "status": {"phase": "Running", "podIP": format!("10.0.0.{i}"),
                        "conditions": [{"type": "Ready", "status": "True"}]}});
                serde_json::from_value(pod).expect("shape")
            });
            say(What::Pods(pods.collect()));
        } else {
            say(What::TidbClusters(Vec::new()));
        }
        let listed: Vec<EtcdMember> = (0..PODS)
            .filter(|i| self.pds[*i].listed)
            .map(|i| EtcdMember {
                id: MemberId(self.pds[i].id),
                name: self.name(i),
                peer_urls: self.pds[i].urls.clone(),
                client_urls: vec![format!("http://{}:2379", self.name(i))],
            })
            .collect();
        for i in (0..PODS).filter(|i| self.exists && self.pds[*i].listed) {
            let answer = PdAnswer {
                api: Some(MembershipApi::V2),
                cluster_id: Some(self.database),
                self_id: Some(MemberId(self.pds[i].id)),
                members: listed.clone(),
                leader: Some(MemberId(self.pds[self.leader].id)),
                healthy: Some(i + self.ill < PODS),
                ..PdAnswer::default()
            };
            let view = PdView { at: self.now, answer: Ok(answer) };
            say(What::Pd { pod: ObjectKey::new("db", format!("basic-pd-{i}")), view: Box::new(view) });
        }
        Observation { at: self.now, fleet, denied: Some(Vec::new()) }
    }
}

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
    /// With clusterDomain: the patch has no way back.
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
        patience: Patience::default(),
        stolen: false,
    };
    let mut driving = std::pin::pin!(drive::drive(&mut run, &mut hands, Input::Go));
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

struct MemoryHands<'b, 'c> {
    bed: &'b mut Bed,
    course: Course<'c>,
    known: Seen,
    /// How closely was looked last, until anything but a record came of it.
    sent_on: Option<Depth>,
    patience: Patience,
    stolen: bool,
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
        if self.is_stolen() {
            return Err(Unwritten::Taken("by bob".into()));
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

    async fn observe(&mut self, _: &Run, depth: Depth) -> Option<Observation> {
        self.sent_on = Some(depth);
        self.patience.look(600);
        self.breathe().await;
        let mut seen = self.bed.world.look();
        // A run asks for its rights once, when it is planned.
        seen.denied = None;
        self.known = Seen::of(&self.bed.world);
        Some(seen)
    }

    async fn probe(&mut self, action: &Action, _: &Observation) -> Option<Vec<ProbeLine>> {
        self.sent_on = None;
        let Action::ProbePeerUrl(probe) = action else { panic!("not a probe: {action:?}") };
        Some(vec![probe_line(probe)])
    }

    async fn cross(&mut self, action: &Action, _: &Observation) -> Option<Vec<RouteProbe>> {
        panic!("there is one KubeCluster: {action:?}")
    }

    async fn perform(&mut self, _: &Run, action: &Action, _: &Observation) -> Answer {
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
        self.sent_on = None;
        self.breathe().await;
        // Nobody says "overwrite" without having looked.
        let silent = self.course.silent || (gate.id.starts_with("overwrite/") && !self.course.overwrites);
        Ok(if silent { GateAnswer::NotYet } else { GateAnswer::Text(gate.text.clone().unwrap_or_default()) })
    }

    async fn approvals(&mut self, _: &Run, _: &Wanted) -> Result<Vec<Approval>, Taken> {
        Ok(Vec::new())
    }

    async fn look_around(&mut self, _: &Run, _: &Observation) -> String {
        String::new()
    }

    async fn wait(&mut self, _: &Run, time: Duration) {
        self.sent_on = None;
        self.patience.wait(time);
    }

    async fn tell(&mut self, _: RunMessage) {}
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
