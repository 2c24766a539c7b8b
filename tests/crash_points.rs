//! The migration × every journal boundary × {killed, torn last line, answer lost, delivered late}, on a model world.
//!
//! The engine is pure, so this drives it as the driver does — append, then act — against a small world that keeps
//! count of what really changed. A "crash" drops everything but the journal's bytes; the run is then read back and
//! driven to its end. `tests/migration.rs` does the same with the real binary and kill -9.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidepilot::fleet::database::databases;
use tidepilot::fleet::pd::{EtcdMember, MemberId, MembershipApi, PdAnswer, PdView};
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, ObjectRef, What};
use tidepilot::runbook::Observation;
use tidepilot::runbook::action::{Action, Answer, ProbeLine};
use tidepilot::runbook::bind::bind;
use tidepilot::runbook::definition::Runbook;
use tidepilot::runbook::engine::{Effect, Input, Run, Stop};
use tidepilot::runbook::plan::Plan;
use tidepilot::runbook::record::{Event, Outcome, PauseReason, Record, decode, encode, line_hash};

const PODS: usize = 3;

/// One TidbCluster with three PDs, its operator reduced to "after some looks everything has rolled".
#[derive(Clone)]
struct World {
    patched: bool,
    looks_since_patch: u32,
    peer_urls: Vec<String>,
    leader: usize,
    now: Timestamp,
    /// Writes that changed something, in order.
    effects: Vec<String>,
    /// A write which the server applies at a later look.
    late: Option<Action>,
}

impl World {
    fn new() -> Self {
        Self {
            patched: false,
            looks_since_patch: 0,
            peer_urls: (0..PODS).map(|i| format!("http://basic-pd-{i}.basic-pd-peer.db.svc:2380")).collect(),
            leader: 0,
            now: Timestamp::UNIX_EPOCH,
            effects: Vec::new(),
            late: None,
        }
    }

    fn rolled(&self) -> bool {
        self.patched && self.looks_since_patch > 3
    }

    /// Does to the world what the server would do.
    fn apply(&mut self, action: &Action) {
        match action {
            Action::PatchTidbCluster { .. } if !self.patched => {
                self.patched = true;
                self.looks_since_patch = 0;
                self.effects.push("patch".into());
            }
            Action::UpdatePeerUrl { pod, to, .. } => {
                let index: usize = pod.rsplit('-').next().and_then(|n| n.parse().ok()).expect("a pod ordinal");
                if self.peer_urls[index] != to[0] {
                    self.peer_urls[index] = to[0].clone();
                    self.effects.push(format!("update {pod}{}", if index == self.leader { " (leader)" } else { "" }));
                }
            }
            Action::PatchTidbCluster { .. } | Action::WaitRollout { .. } | Action::ProbePeerUrl { .. } => {}
        }
    }

    fn look(&mut self) -> Observation {
        self.now += SignedDuration::from_secs(2);
        if let Some(action) = self.late.take() {
            self.apply(&action);
        }
        if self.patched {
            self.looks_since_patch += 1;
            if self.looks_since_patch == 4 {
                // A rolling restart moves the leader.
                self.leader = 1;
            }
        }
        let revision = if self.rolled() { "r2" } else { "r1" };
        let target_revision = if self.patched { "r2" } else { "r1" };
        let name = |i: usize| {
            if self.rolled() { format!("basic-pd-{i}.basic-pd-peer.db.svc.a.com") } else { format!("basic-pd-{i}") }
        };
        let mut spec = json!({"version": "v7.5.0", "configUpdateStrategy": "RollingUpdate",
            "pd": {"replicas": PODS, "config": {}, "maxFailoverCount": 0}});
        if self.patched {
            spec["clusterDomain"] = json!("a.com");
            spec["acrossK8s"] = json!(true);
        }
        let members: BTreeMap<String, Value> =
            (0..PODS).map(|i| (name(i), json!({"name": name(i), "health": true}))).collect();
        let tc = json!({"metadata": {"name": "basic", "namespace": "db", "uid": "tc-uid", "resourceVersion": "7"},
            "spec": spec,
            "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True"}],
                "pd": {"synced": true, "phase": if self.patched && !self.rolled() {"Upgrade"} else {"Normal"},
                    "image": "pingcap/pd:v7.5.0", "members": members}}});
        let set = json!({"metadata": {"name": "basic-pd", "namespace": "db", "generation": 1}, "spec": {"replicas": PODS},
            "status": {"observedGeneration": 1, "replicas": PODS, "readyReplicas": PODS, "updatedReplicas": PODS,
                "currentRevision": revision, "updateRevision": target_revision}});
        let pods: Vec<Value> = (0..PODS)
            .map(|i| {
                json!({"metadata": {"name": format!("basic-pd-{i}"), "namespace": "db", "labels": {
                    "app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "pd",
                    "controller-revision-hash": revision}},
                "status": {"phase": "Running", "podIP": format!("10.0.0.{i}"),
                    "conditions": [{"type": "Ready", "status": "True"}]}})
            })
            .collect();
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "one".into(), at: self.now, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::Identity { uid: Some("kube-uid".into()), version: Some("v1.33.4".into()) });
        say(What::Crd(Crd::Served { across_k8s: Some(true) }));
        say(What::Operator { version: Some("v1.6.6".into()) });
        say(What::ClusterDomain("a.com".into()));
        say(What::TidbClusters(vec![serde_json::from_value(tc).expect("shape")]));
        say(What::StatefulSets(vec![serde_json::from_value(set).expect("shape")]));
        say(What::Pods(pods.into_iter().map(|p| serde_json::from_value(p).expect("shape")).collect()));
        let listed: Vec<EtcdMember> = (0..PODS)
            .map(|i| EtcdMember {
                id: MemberId(i as u64 + 1),
                name: name(i),
                peer_urls: vec![self.peer_urls[i].clone()],
                client_urls: vec![format!("http://{}:2379", name(i))],
            })
            .collect();
        for i in 0..PODS {
            let answer = PdAnswer {
                api: Some(MembershipApi::V2),
                cluster_id: Some(42),
                self_id: Some(MemberId(i as u64 + 1)),
                members: listed.clone(),
                leader: Some(MemberId(self.leader as u64 + 1)),
                healthy: Some(true),
                ..PdAnswer::default()
            };
            let view = PdView { at: self.now, answer: Ok(answer) };
            say(What::Pd { pod: ObjectKey::new("db", format!("basic-pd-{i}")), view: Box::new(view) });
        }
        Observation { at: self.now, fleet, denied: Some(Vec::new()) }
    }
}

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// Applied, but the answer is lost.
    AnswerLost,
    /// Not applied, and no answer.
    RequestLost,
    /// Applied only after the next look, and no answer.
    AppliedLate,
}

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crash {
    Never,
    /// Right after record number `n` became durable.
    After(usize),
    /// In the middle of writing record number `n`.
    Torn(usize),
    /// After the write that follows record `n` reached the server.
    AfterWrite(usize),
}

fn runbook() -> Runbook {
    static ONCE: OnceLock<Runbook> = OnceLock::new();
    ONCE.get_or_init(|| Runbook::shipped("migrate-cluster-domain").expect("ships")).clone()
}

fn plan(world: &mut World) -> Plan {
    let inputs = [("tidbCluster", "one/db/basic"), ("clusterDomain", "a.com")];
    let inputs = inputs.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
    let plan = bind(&runbook(), &inputs, &world.look()).expect("binds");
    let refused: Vec<_> = plan.refusals().collect();
    assert!(refused.is_empty(), "{refused:?}");
    plan
}

/// The journal as bytes, and a way to write into it.
#[derive(Clone, Default)]
struct Disk(String);

impl Disk {
    fn append(&mut self, at: Timestamp, event: Event) -> Record {
        let prev = self.0.lines().last().map_or_else(String::new, line_hash);
        let record = Record { seq: self.lines() as u64, at, prev, event };
        self.0.push_str(&encode(&record).expect("encodes"));
        record
    }

    fn lines(&self) -> usize {
        self.0.lines().count()
    }
}

enum Ended {
    Stopped(Stop),
    Crashed,
}

/// Drives as `app::driver` does, until the engine stops or the process "dies".
fn drive(disk: &mut Disk, world: &mut World, crash: Crash, mut fate: impl FnMut(usize) -> Fate) -> Ended {
    let parsed = decode(&disk.0).expect("readable");
    if parsed.torn {
        disk.0.truncate(parsed.whole_bytes);
    }
    let mut run = Run::replay(runbook(), &parsed.records).expect("replays");
    if parsed.records.len() > 1 {
        let record = disk.append(world.now, Event::Resumed { tool: "test".into() });
        run.apply(&record);
    }
    let mut seen = Observation::default();
    let mut input: Option<Input<'static>> = None;
    let mut observed = false;
    for _ in 0..400 {
        let effects = match (observed, input.take()) {
            (_, Some(input)) => run.advance(input, false, world.now),
            (true, None) => run.advance(Input::Observed(&seen), false, world.now),
            (false, None) => run.advance(Input::Go, false, world.now),
        };
        observed = false;
        for effect in effects {
            match effect {
                Effect::Append(event) => {
                    if crash == Crash::Torn(disk.lines()) {
                        disk.append(world.now, event);
                        let cut = disk.0.len() - 7;
                        disk.0.truncate(cut);
                        return Ended::Crashed;
                    }
                    let record = disk.append(world.now, event);
                    run.apply(&record);
                    if crash == Crash::After(record.seq as usize) {
                        return Ended::Crashed;
                    }
                }
                Effect::Observe => {
                    seen = world.look();
                    observed = true;
                }
                Effect::Probe { step, action } => {
                    let Action::ProbePeerUrl { url, pod, .. } = &action else { panic!("not a probe: {action:?}") };
                    let ip = Some(format!("10.0.0.{}", pod.rsplit('-').next().expect("ordinal")));
                    let line = ProbeLine {
                        from: ObjectRef::new("one", "db", "basic-pd-x"),
                        resolved: ip.clone().into_iter().collect(),
                        expected_ip: ip,
                        reached: true,
                        detail: url.clone(),
                    };
                    input = Some(Input::Probed { step, lines: vec![line] });
                }
                Effect::Perform(action) => {
                    let last = disk.lines() - 1;
                    let answer = match fate(last) {
                        Fate::Answered => {
                            world.apply(&action);
                            Answer::Accepted { status: 200, detail: String::new() }
                        }
                        Fate::AnswerLost => {
                            world.apply(&action);
                            Answer::Unknown { reason: "cut off".into() }
                        }
                        Fate::RequestLost => Answer::Unknown { reason: "cut off".into() },
                        Fate::AppliedLate => {
                            world.late = Some(action);
                            Answer::Unknown { reason: "timed out".into() }
                        }
                    };
                    if crash == Crash::AfterWrite(last) {
                        return Ended::Crashed;
                    }
                    input = Some(Input::Performed(answer));
                }
                Effect::Ask(gate) => {
                    let text = gate.text.clone().or(Some(String::new()));
                    input = Some(Input::Answered { gate, text });
                }
                Effect::Wait { .. } => {}
                Effect::Stop(stop) => return Ended::Stopped(stop),
            }
        }
    }
    panic!("the run goes round in circles:\n{}", disk.0);
}

fn opened() -> (Disk, World) {
    let mut world = World::new();
    let plan = plan(&mut world);
    let mut disk = Disk::default();
    disk.append(world.now, Event::RunOpened { run: "r".into(), tool: "test".into(), plan: Box::new(plan) });
    (disk, world)
}

fn check_end(case: &str, ended: &Ended, world: &World) {
    assert!(matches!(ended, Ended::Stopped(Stop::Finished(Outcome::Done))), "{case}: did not finish");
    // The plan put the leader of its time (pd-0) last; the restart moved the lead to pd-1, and so pd-1 is last now.
    let expected = ["patch", "update basic-pd-2", "update basic-pd-0", "update basic-pd-1 (leader)"];
    assert_eq!(world.effects, expected, "{case}");
    let fleet = world.clone().look().fleet;
    assert!(databases(&fleet)[0].members.iter().all(|m| !m.drift), "{case}: drift is left");
}

#[test]
fn the_whole_run_without_a_crash() {
    let (mut disk, mut world) = opened();
    let ended = drive(&mut disk, &mut world, Crash::Never, |_| Fate::Answered);
    check_end("no crash", &ended, &world);
    // Again: nothing to do, and the plan says so.
    let again = plan(&mut world);
    assert_eq!(again.changes(), 0);
    assert!(again.steps.iter().all(|step| step.already_so), "{:?}", again.steps);
}

#[test]
fn every_boundary_and_every_fate() {
    let (mut disk, mut world) = opened();
    drive(&mut disk, &mut world, Crash::Never, |_| Fate::Answered);
    let records = disk.lines();
    let mut cases = 0;
    for n in 0..records {
        for crash in [Crash::After(n), Crash::Torn(n), Crash::AfterWrite(n)] {
            for at in [Fate::Answered, Fate::AnswerLost, Fate::RequestLost, Fate::AppliedLate] {
                let (mut disk, mut world) = opened();
                let first = drive(&mut disk, &mut world, crash, |last| if last == n { at } else { Fate::Answered });
                let ended = match first {
                    Ended::Crashed => drive(&mut disk, &mut world, Crash::Never, |_| Fate::Answered),
                    stopped @ Ended::Stopped(_) => stopped,
                };
                check_end(&format!("{crash:?} {at:?}"), &ended, &world);
                cases += 1;
            }
        }
    }
    // Pairs of crashes.
    for a in 1..records {
        for b in a..records + 2 {
            let (mut disk, mut world) = opened();
            let mut ended = drive(&mut disk, &mut world, Crash::After(a), |_| Fate::AnswerLost);
            if matches!(ended, Ended::Crashed) {
                ended = drive(&mut disk, &mut world, Crash::AfterWrite(b), |_| Fate::Answered);
            }
            if matches!(ended, Ended::Crashed) {
                ended = drive(&mut disk, &mut world, Crash::Never, |_| Fate::Answered);
            }
            check_end(&format!("pair {a} {b}"), &ended, &world);
            cases += 1;
        }
    }
    println!("{cases} crash cases over {records} records");
    assert!(cases > 300, "only {cases} cases ran");
}

#[test]
fn somebody_elses_change_stops_the_run_and_is_not_overwritten() {
    let (mut disk, mut world) = opened();
    // Die with the Intent of the first update open, then let another person set something else.
    let intent = |disk: &Disk| {
        decode(&disk.0)
            .expect("readable")
            .records
            .iter()
            .any(|r| matches!(&r.event, Event::Intent { step, .. } if step.starts_with("update")))
    };
    let mut n = 1;
    loop {
        let (mut d, mut w) = (disk.clone(), world.clone());
        drive(&mut d, &mut w, Crash::After(n), |_| Fate::Answered);
        if intent(&d) {
            (disk, world) = (d, w);
            break;
        }
        n += 1;
    }
    world.peer_urls[0] = "http://somebody-else:2380".into();
    let ended = drive(&mut disk, &mut world, Crash::Never, |_| Fate::Answered);
    let Ended::Stopped(Stop::Paused(PauseReason::Foreign { theirs, .. })) = ended else { panic!("did not stop") };
    assert_eq!(theirs, json!({"peerUrls": ["http://somebody-else:2380"]}));
    assert_eq!(world.peer_urls[0], "http://somebody-else:2380", "overwritten");
}

#[test]
fn a_tampered_journal_is_refused() {
    let (mut disk, mut world) = opened();
    drive(&mut disk, &mut world, Crash::Never, |_| Fate::Answered);
    let lines: Vec<&str> = disk.0.lines().collect();
    let without_one =
        lines.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, l)| format!("{l}\n")).collect::<String>();
    assert!(decode(&without_one).is_err(), "a removed line");
    let edited = disk.0.replacen("\"attempt\":1", "\"attempt\":2", 1);
    assert!(edited != disk.0 && decode(&edited).is_err(), "an edited line");
    assert!(decode("{\"hello\": 1}\n").is_err(), "a foreign file");
    assert!(decode("").is_err(), "an empty file");
}
