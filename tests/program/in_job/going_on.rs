//! Whose run it is after an eviction, a take-over or an answer; what a Job goes on with, and what it leaves to a person.

use std::process::Command;

use serde_json::{Value, json};

use super::{ANSWERED, IN, RUN, World, broken, middle, with};
use crate::common::pty::Terminal;
use crate::common::{LONG, Ran, finish};

/// Arguments of the pod of the last Job.
fn arguments(world: &World) -> Vec<String> {
    let jobs = world.store("east").list("jobs", Some("ops"));
    let last = jobs.iter().max_by_key(|job| job["metadata"]["name"].as_str().map(|name| (name.len(), name.to_owned())));
    let all = &last.expect("a Job")["spec"]["template"]["spec"]["containers"][0]["args"];
    all.as_array().into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
}

#[track_caller]
fn interrupt(id: u32) {
    let sent = Command::new("kill").args(["-INT", &id.to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

/// Waits for the Job of a laptop that nobody serves yet.
#[track_caller]
fn submitted(world: &World) {
    world.until("the Job's plan is owned", || {
        let maps = world.store("east").list("configmaps", Some("ops"));
        maps.iter().any(|map| map["metadata"]["ownerReferences"].is_array())
    });
}

/// A run that stands open at its first gate, with its Job over.
#[track_caller]
fn at_its_gate(world: &World) -> String {
    let ran = world.laptop(&with(&[&RUN, &["--yes"], &IN]));
    assert_eq!(ran.code, 3, "{}\n{}", ran.all(), world.logs());
    world.run_id()
}

#[track_caller]
fn goes_on(world: &World, id: &str, more: &[&str]) -> Ran {
    world.laptop(&with(&[&["runs", "resume", id], &ANSWERED, &IN, more]))
}

#[test]
fn a_plan_that_differs_in_what_does_not_count_is_gone_on_with_after_a_kill() {
    let mut world = World::bare(50.0);
    world.grant();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    submitted(&world);
    let digest = |name: &str| {
        let file = world.room.path(name);
        let plan = with(&[&["plan"], &RUN[1..], &["--out", file.to_str().expect("a path")]]);
        assert_eq!(world.laptop(&plan).code, 2);
        let plan: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("written")).expect("JSON");
        plan["digest"].clone()
    };
    let before = digest("before.json");
    assert!(world.sim().hand_over("basic"));
    assert_ne!(before, digest("after.json"), "who leads is told by the plan");
    world.serve();
    middle(&world);
    assert_eq!(world.node().signal("KILL"), 1);
    world.until("a second pod", || world.node().pods().len() == 2);
    broken(&world, false);
    let ran = finish(laptop, LONG);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    world.sent_once();
}

#[test]
fn a_pod_that_watched_the_lease_while_a_person_had_the_run_leaves_it_to_them() {
    let world = World::start();
    let mut laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    laptop.kill().expect("it was running");
    laptop.wait().expect("ended");
    assert_eq!(world.node().signal("KILL"), 1);
    // The next pod has read the record and watches the lease; then its node stands still.
    world.until("the second pod watches", || world.logs().contains("watching for"));
    assert_eq!(world.node().signal("STOP"), 1);
    let person = world.spawned(&with(&[&["runs", "take-over", &world.run_id()], &ANSWERED]));
    world.until("the take-over", || world.records().contains("taken-over"));
    interrupt(person.id());
    assert_eq!(finish(person, LONG).code, 5);
    let records = world.records();
    world.node().signal("CONT");
    world.until("the Job gives up", || world.node().jobs()[0]["status"]["conditions"][0]["type"] == "Failed");
    assert!(world.logs().contains("was gone on with by"), "{}", world.logs());
    broken(&world, false);
    assert_eq!(world.records(), records, "it wrote nothing into the record");
}

#[test]
fn a_run_of_a_context_that_is_read_only_here_is_handed_to_no_job() {
    let world = World::start();
    let id = at_its_gate(&world);
    let config = world.room.path("config").join("tidepilot");
    std::fs::create_dir_all(&config).expect("our own");
    std::fs::write(config.join("config.yaml"), "contexts:\n  legacy:\n    readOnly: true\n").expect("our own");
    let ran = goes_on(&world, &id, &[]);
    assert!(ran.code == 4 && ran.all().contains("read-only"), "{} {}", ran.code, ran.all());
    let all = world.laptop(&with(&[&["--read-only", "runs", "resume", &id], &ANSWERED, &IN]));
    assert!(all.code == 4 && all.all().contains("read-only"), "{} {}", all.code, all.all());
    assert_eq!(world.node().jobs().len(), 1);
}

#[test]
fn a_name_that_a_job_without_a_record_has_used_up_is_followed_by_the_next() {
    let world = World::start();
    let id = at_its_gate(&world);
    let mut nobody = world.sim().kubeconfig();
    for user in nobody["users"].as_array_mut().expect("a list") {
        user["user"] = json!({"token": "nobody"});
    }
    world.secret("nobody", &nobody.to_string());
    for _ in 0..2 {
        let barred = goes_on(&world, &id, &["--kubeconfig-secret", "nobody"]);
        assert!(barred.code == 4 && !barred.all().contains("already exists"), "{} {}", barred.code, barred.all());
    }
    let ran = goes_on(&world, &id, &[]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    assert_eq!(world.node().jobs().len(), 4);
    world.sent_once();
}

#[test]
fn a_run_is_gone_on_with_in_another_language() {
    let world = World::start();
    let id = at_its_gate(&world);
    let ran = goes_on(&world, &id, &["--lang", "zh"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    world.sent_once();
}

#[test]
fn a_pod_has_the_contexts_of_its_kubeconfig_and_waits_for_an_api_server_that_is_away() {
    let mut world = World::bare(50.0);
    world.secret("whole", &world.sim().kubeconfig().to_string());
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN, &["--kubeconfig-secret", "whole"]]));
    submitted(&world);
    let arguments = arguments(&world);
    for context in ["east", "west", "legacy"] {
        assert!(arguments.contains(&format!("--context={context}")), "{arguments:?}");
    }
    // A check looks at it, so that it not being there looks like something that has moved.
    let turn = |world: &mut World, up: bool| {
        let World { sim, runtime, .. } = world;
        let sim = sim.as_mut().expect("it runs");
        runtime.block_on(async {
            match up {
                true => sim.restart_cluster("west").await.expect("there"),
                false => sim.stop_cluster("west").await.expect("there"),
            }
        });
    };
    turn(&mut world, false);
    world.serve();
    world.until("it waits", || world.logs().contains("it is looked at again"));
    turn(&mut world, true);
    let ran = finish(laptop, LONG);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    assert_eq!(world.node().pods().len(), 1, "the same pod went on");
    world.sent_once();
}

#[test]
fn who_interrupts_the_question_submits_nothing() {
    let world = World::start();
    let kubeconfig = world.room.path("kubeconfig").display().to_string();
    let arguments = with(&[&["--kubeconfig", &kubeconfig], &RUN, &IN]);
    let mut terminal = Terminal::start(&world.room, &arguments, &[], 50, 160);
    terminal.shows(&["Submit it as Job tidepilot-"]);
    terminal.keys("\x03");
    assert_eq!(terminal.ended(), 3);
    assert!(terminal.text().contains("nothing was submitted"), "{}", terminal.text());
    // Also at the question of a gate, where the Job has ended.
    let mut terminal = Terminal::start(&world.room, &arguments, &[], 50, 160);
    terminal.shows(&["Submit it as Job tidepilot-"]);
    terminal.keys("y\r");
    terminal.shows(&["Type legacy/pingcap/basic to go on."]);
    terminal.signal("TERM");
    assert_eq!(terminal.ended(), 3);
    assert_eq!(world.node().jobs().len(), 1);
}

#[test]
fn a_pause_names_the_command_that_has_a_job_go_on() {
    let world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    assert_eq!(world.node().signal("TERM"), 1);
    let ran = finish(laptop, LONG);
    broken(&world, false);
    let id = world.run_id();
    assert_eq!(ran.code, 5, "{}", ran.all());
    assert!(ran.stderr.contains(&format!("`tidepilot runs resume {id} --in east/ops")), "{}", ran.all());
    assert!(!ran.all().contains(&format!("runs resume {id}`")), "{}", ran.all());
}

#[test]
fn a_gate_that_waits_is_told_to_whom_it_concerns() {
    let world = World::start();
    let ran = world.laptop(&with(&[&RUN, &["--yes", "--notify", "tee -a told.jsonl"], &IN]));
    assert_eq!(ran.code, 3, "{}\n{}", ran.all(), world.logs());
    let told = std::fs::read_to_string(world.room.path("told.jsonl")).unwrap_or_default();
    let kinds: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["news"][0]["kind"].clone())
        .collect();
    assert_eq!(kinds, ["gate-waits", "run-ended"], "{told}");
}

#[test]
fn a_record_that_is_deleted_is_followed_no_longer() {
    let world = World::start();
    let id = at_its_gate(&world);
    let follower = world.spawned(&["runs", "show", &id, "--follow"]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    for map in world.store("legacy").list("configmaps", Some("pingcap")) {
        if map["metadata"]["labels"]["tidepilot/run"] == id.as_str() {
            world.store("legacy").remove("configmaps", "pingcap", map["metadata"]["name"].as_str().expect("a name"));
        }
    }
    let ran = finish(follower, LONG);
    assert!(ran.code == 4 && ran.all().contains("was deleted from legacy/pingcap"), "{} {}", ran.code, ran.all());
}
