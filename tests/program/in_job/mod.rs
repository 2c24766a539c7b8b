//! `run --in`: a Kubernetes Job drives the run. The real binary on both sides: a laptop that submits, and the pod of the
//! Job, which [`node`] starts from its template as a kubelet would, with the least rights that `rbac` prints.

mod going_on;
mod node;
mod refused;
mod world;

use crate::in_job::world::World;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::pty::Terminal;
use crate::common::{self, LONG, finish};

const RUN: [&str; 6] = [
    "run",
    "migrate-cluster-domain",
    "--set",
    "tidbCluster=legacy/pingcap/basic",
    "--set",
    "clusterDomain=cluster1.com",
];
const ANSWERED: [&str; 3] = ["--yes", "--confirm", "basic"];
const IN: [&str; 2] = ["--in", "east/ops"];
const ACCOUNT: &str = "ops/tidepilot";

fn with<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    parts.concat()
}

#[test]
fn a_job_drives_the_run_to_its_end_and_the_laptop_follows_it() {
    let world = World::start();
    let ran = world.laptop(&with(&[&RUN, &ANSWERED, &IN]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    assert!(ran.stderr.contains("was submitted to east/ops as Job tidepilot-"), "{}", ran.all());
    assert!(ran.stderr.contains("set-domain") && ran.stdout.contains("done: "), "{}", ran.all());
    world.sent_once();
    // Nobody but the Job's account has written to the Database, and the record says who drove it and where.
    assert!(
        world.records().contains("system:serviceaccount:ops:tidepilot on Job east/ops/tidepilot-"),
        "{}",
        world.records()
    );
    assert_eq!(world.room.journals(), Vec::<String>::new(), "the laptop has no journal of it");
    let forbidden: Vec<String> =
        world.sim().log().lines().iter().filter(|line| line["status"] == 403).map(common::short).collect();
    assert_eq!(forbidden, Vec::<String>::new(), "the printed rights are enough");
    // The plan's ConfigMap goes with the Job.
    let jobs = world.node().jobs();
    let plan = world.store("east").list("configmaps", Some("ops"));
    assert_eq!(jobs.len(), 1);
    assert!(
        plan.iter().any(|map| map["metadata"]["ownerReferences"][0]["uid"] == jobs[0]["metadata"]["uid"]),
        "{plan:#?}"
    );
}

/// Waits until the run is in its middle and keeps it there.
#[track_caller]
fn middle(world: &World) {
    world.until("the middle", || world.records().contains(IN_THE_MIDDLE));
    broken(world, true);
}

/// The rolling restart cannot end while this pod is broken: however busy the machine is, the run stays in the middle.
fn broken(world: &World, broken: bool) {
    world.sim().break_pod("legacy", "pingcap", "basic-pd-0", broken).expect("there");
}

const IN_THE_MIDDLE: &str = r#""record":"completed","step":"set-domain""#;

#[test]
fn a_pod_that_is_killed_is_started_anew_and_everything_is_sent_once() {
    let world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    assert_eq!(world.node().signal("KILL"), 1);
    world.until("a second pod", || world.node().pods().len() == 2);
    broken(&world, false);
    let ran = finish(laptop, LONG);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    world.sent_once();
    let records = world.records();
    assert_eq!(records.matches(r#""record":"run-opened""#).count(), 1, "{records}");
    assert_eq!(records.matches(r#""record":"taken-over""#).count(), 1, "{records}");
    assert_eq!(records.matches(r#""record":"closed""#).count(), 1, "{records}");
    assert_eq!(world.node().jobs()[0]["status"]["conditions"][0]["type"], "Complete");
}

#[test]
fn a_pod_that_is_evicted_comes_to_a_safe_stop_and_the_next_one_goes_on() {
    let world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    world.node().evict();
    world.until("a second pod", || world.node().pods().len() == 2);
    broken(&world, false);
    let ran = finish(laptop, LONG);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    world.sent_once();
    // An eviction is no failure of the Job.
    assert_eq!(world.node().jobs()[0]["status"]["failed"], Value::Null);
}

#[test]
fn a_new_token_in_the_secret_is_taken_up_by_a_running_pod() {
    let mut world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    // A server that starts anew knows none of the tokens that it gave out, as if they had ended.
    let World { sim, runtime, .. } = &mut world;
    let sim = sim.as_mut().expect("it runs");
    runtime.block_on(async {
        sim.stop_cluster("legacy").await.expect("there");
        sim.restart_cluster("legacy").await.expect("there");
    });
    world.until("refused tokens", || {
        world.sim().log().lines().iter().any(|line| line["kubeCluster"] == "legacy" && line["status"] == 401)
    });
    world.grant();
    world.node().refresh("tidepilot-access");
    broken(&world, false);
    let ran = finish(laptop, LONG);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    assert_eq!(world.node().pods().len(), 1, "the same pod went on");
    world.sent_once();
}

#[test]
fn the_run_goes_on_when_the_laptop_does_not() {
    let world = World::start();
    let mut laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    laptop.kill().expect("it was running");
    laptop.wait().expect("ended");
    broken(&world, false);
    world.until("its end", || world.records().contains(r#""record":"closed""#));
    world.sent_once();
    let shown = world.laptop(&["runs", "show", &world.run_id()]);
    assert!(shown.code == 0 && shown.all().contains("Job east/ops/tidepilot-"), "{}", shown.all());
}

#[test]
fn who_leaves_is_told_where_the_run_goes_on_and_how_it_is_stopped() {
    let world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    let sent = Command::new("kill").args(["-INT", &laptop.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    let ran = finish(laptop, LONG);
    assert!(
        ran.code == 5 && ran.stderr.contains("goes on in east/ops as Job tidepilot-"),
        "{} {}",
        ran.code,
        ran.all()
    );
    // Everybody sees where it is driven.
    let list = world.laptop(&["runs", "list"]);
    assert!(list.all().contains("on Job east/ops/tidepilot-"), "{}", list.all());
    // While it is driven nobody else has a Job go on with it.
    let id = world.run_id();
    let second = world.laptop(&with(&[&["runs", "resume", &id], &ANSWERED, &IN]));
    assert!(second.code == 6 && second.all().contains("drives it now"), "{} {}", second.code, second.all());
    // From anywhere it is followed to its end.
    let follower = world.spawned(&["runs", "show", &id, "--follow"]);
    // The printed line stops it: the Job's pod comes to a safe stop and gives its lease back.
    let job = world.node().jobs()[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    assert!(ran.stderr.contains(&format!("-n ops delete job {job}")), "{}", ran.all());
    world.store("east").remove("jobs", "ops", &job);
    world.until("a safe stop", || world.records().contains(r#""record":"paused""#));
    broken(&world, false);
    world.until("its pod is gone", || world.node().signal("0") == 0);
    // And a person goes on with it here.
    let taken = world.laptop(&with(&[&["runs", "take-over", &id], &ANSWERED]));
    assert_eq!(taken.code, 0, "{}", taken.all());
    world.sent_once();
    let followed = finish(follower, LONG);
    assert!(followed.code == 0 && followed.stdout.contains("taken over from"), "{}", followed.all());
}

#[test]
fn a_gate_that_nothing_answers_ends_the_job_and_the_next_job_has_the_answer() {
    let world = World::start();
    let ran = world.laptop(&with(&[&RUN, &["--yes"], &IN]));
    assert_eq!(ran.code, 3, "{}\n{}", ran.all(), world.logs());
    assert!(ran.stderr.contains("it will stop before set-domain and wait for a person"), "{}", ran.all());
    let id = world.run_id();
    assert!(ran.stderr.contains(&format!("runs resume {id} --in east/ops")), "{}", ran.all());
    let condition = &world.node().jobs()[0]["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Failed"), &json!("PodFailurePolicy")));
    let sent = |line: &&Value| line["method"] == "PATCH" && line["dryRun"] != true;
    assert_eq!(world.sim().log().lines().iter().filter(sent).count(), 0, "nothing was sent before the gate");
    // The pod's own paths lead nowhere elsewhere.
    let log = world.logs();
    assert!(log.contains("what helps:") && !log.contains("--kubeconfig") && !log.contains("--state"), "{log}");
    // Without the answer nothing is submitted.
    let none = world.laptop(&["runs", "resume", &id, "--yes", "--in", "east/ops"]);
    assert!(none.code == 3 && none.all().contains("nothing was submitted"), "{} {}", none.code, none.all());
    let bare =
        world.laptop(&["runs", "resume", &id, "--confirm", "legacy/pingcap/basic", "--in", "east/ops"]).expect(3);
    assert!(
        bare.stderr.contains("nothing was taken over and nothing sent") && bare.stderr.contains("(needs --yes)"),
        "{}",
        bare.all()
    );
    let next = world.laptop(&with(&[&["runs", "resume", &id], &["--yes", "--confirm", "legacy/pingcap/basic"], &IN]));
    assert_eq!(next.code, 0, "{}\n{}", next.all(), world.logs());
    assert!(!next.stderr.contains("answered no gate"), "it answered one in the Job: {}", next.all());
    let records = world.records();
    assert!(records.contains(r#""option":"--confirm""#), "an option answered, and no person: {records}");
    world.sent_once();
    assert_eq!(world.node().jobs().len(), 2);
}

/// What Kubernetes avoids and cannot exclude: a pod whose node was cut off is alive when the next one starts.
#[test]
fn of_two_pods_of_one_job_the_second_waits_for_the_first() {
    let world = World::start();
    let laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    world.node().double();
    world.until("the second pod waits", || world.logs().contains("an earlier pod of this Job still holds the lease"));
    broken(&world, false);
    let ran = finish(laptop, LONG);
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    world.sent_once();
    let records = world.records();
    assert_eq!(records.matches(r#""record":"taken-over""#).count(), 0, "{records}");
    // It sees that there is nothing left to do.
    world.until("both have ended", || world.node().signal("0") == 0);
    assert!(world.logs().contains("is over: done"), "{}", world.logs());
}

#[test]
fn at_a_terminal_the_gate_is_asked_and_the_next_job_has_that_one_answer() {
    let world = World::start();
    let kubeconfig = world.room.path("kubeconfig").display().to_string();
    let arguments = with(&[&["--kubeconfig", &kubeconfig], &RUN, &IN]);
    let mut terminal = Terminal::start(&world.room, &arguments, &[], 50, 160);
    terminal.shows(&["Submit it as Job tidepilot-"]);
    terminal.keys("y\r");
    terminal.shows(&["Type legacy/pingcap/basic to go on."]);
    assert_eq!(world.node().jobs().len(), 1);
    terminal.keys("legacy/pingcap/basic\r");
    world.until("the second Job", || world.node().jobs().len() == 2);
    let arguments = world.node().jobs()[1]["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(arguments.contains("--answer=") && !arguments.contains("--confirm"), "{arguments}");
    // The leader is last, so the next question is of another member than the plan has first.
    terminal.shows(&["2 more like it — go on?"]);
    terminal.keys("y\r");
    world.until("the third Job", || world.node().jobs().len() == 3);
    let third = world.node().jobs()[2]["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert_eq!(third.matches("--answer=").count(), 1, "an answer goes with one Job: {third}");
    world.until("its end", || world.records().contains(r#""record":"closed""#));
    assert_eq!(terminal.ended(), 0);
    world.sent_once();
}

#[test]
fn of_two_who_submit_one_plan_one_drives_and_the_other_is_told() {
    let world = World::start();
    let file = world.room.path("plan.json");
    let file = file.to_str().expect("a path");
    let plan = world.laptop(&with(&[&["plan"], &RUN[1..], &["--out", file]]));
    assert_eq!(plan.code, 2, "{}", plan.all());
    let submit = with(&[&["run", "--plan", file], &ANSWERED, &IN]);
    let (first, second) = (world.spawned(&submit), world.spawned(&submit));
    middle(&world);
    broken(&world, false);
    let (first, second) = (finish(first, LONG), finish(second, LONG));
    let codes = [first.code, second.code];
    // Who comes much later sees a plan that has moved.
    assert!(
        codes.contains(&0) && (codes.contains(&6) || codes.contains(&4)),
        "{}\n{}\n{}",
        first.all(),
        second.all(),
        world.logs()
    );
    world.sent_once();
}

#[test]
fn a_run_that_a_person_has_taken_over_is_not_taken_back_by_the_job() {
    let world = World::start();
    let mut laptop = world.spawned(&with(&[&RUN, &ANSWERED, &IN]));
    middle(&world);
    laptop.kill().expect("it was running");
    laptop.wait().expect("ended");
    // The pod stands still, as on a node that is cut off; a person watches its lease lapse, goes on, and leaves.
    world.node().signal("STOP");
    let id = world.run_id();
    let person = world.spawned(&with(&[&["runs", "take-over", &id], &ANSWERED]));
    world.until("the take-over", || world.records().contains("taken-over"));
    let sent = Command::new("kill").args(["-INT", &person.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    assert_eq!(finish(person, LONG).code, 5);
    world.node().signal("CONT");
    world.until("the Job gives up", || world.node().jobs()[0]["status"]["conditions"][0]["type"] == "Failed");
    broken(&world, false);
    let records = world.records();
    assert_eq!(records.matches("taken-over").count(), 1, "{records}");
    assert!(!records.contains(r#""record":"closed""#), "{records}");
}
