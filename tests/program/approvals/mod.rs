//! The second person: `approvers: 2`, the real binary as several users of one simulated fleet, on real wires.
//!
//! A fork of a shipped runbook asks for a second person before a step. Here the plain way; beside it [`attacks`] (what
//! must not count), [`faces`] (who is told that somebody is waited for), [`records`] (the policy for run records) and
//! [`marks`] (whose runbook it is). Not here: which approval counts (a table in `runbook::run::approval_validity`), the lease
//! (`tests/program/two_people`).

mod attacks;
mod console;
mod faces;
mod marks;
mod records;
mod rehearsal;
mod world;

use crate::common;
use std::time::Duration;

use crate::common::finish;
use serde_json::{Value, json};
use world::{LONG, RUN, World, resume};

#[test]
fn an_irreversible_step_waits_for_another_user_of_the_cluster() {
    let world = World::start();

    // Where nobody else could see it, nothing begins.
    let local: Vec<&str> = RUN.into_iter().chain(["--local-only"]).collect();
    let ran = world.run("ann", &local).expect(4);
    assert!(ran.all().contains("second-person") && ran.all().contains("with --local-only"), "{}", ran.all());
    assert_eq!(world.patches(), 0);

    // Ann's own word is not enough: her run stops at the second gate, having sent nothing.
    let ran = world.run("ann", &RUN).expect(3);
    assert!(ran.all().contains("then a second person approves"), "the plan says so\n{}", ran.all());
    let run = world.run_of("ann");
    let ask = format!("tidepilot runs approve {run} -n pingcap --confirm legacy/pingcap/basic");
    assert!(ran.all().contains(&ask) && ran.all().contains("confirmed by ann"), "{}", ran.all());
    assert_eq!(world.patches(), 0);

    // It does not count twice, whatever the machine calls her, and leaves nothing behind.
    let approve = ["runs", "approve", &run, "--confirm", "basic"];
    let ran = world.run("ann", &approve).expect(4);
    assert!(ran.stderr.contains("is ann, who confirmed set-domain already"), "{}", ran.all());
    // Neither does one that she leaves by hand in her own name.
    let shown = world.run("bob", &["runs", "approve", &run]).expect(3);
    assert!(shown.stderr.contains("it needs --confirm legacy/pingcap/basic"), "{}", shown.all());
    assert!(shown.stdout.contains("spec.clusterDomain: (not set) → \"cluster1.com\""), "{}", shown.stdout);
    assert!(shown.stdout.contains("NO ROLLBACK") && shown.stdout.contains("You are bob"), "{}", shown.stdout);
    let store = world.store();
    store.put("configmaps", world.forged(&run, "ann", "by-ann"));
    let resume = resume(&run);
    let ran = world.run("ann", &resume).expect(3);
    assert!(ran.stderr.contains("does not count twice"), "{}", ran.all());
    assert_eq!(world.patches(), 0);
    store.remove("configmaps", "pingcap", "by-ann");

    // A wrong text approves nothing; nor does somebody who may not write.
    world.run("bob", &["runs", "approve", &run, "--confirm", "other"]).expect(3);
    let ran = world.run("eve", &approve).expect(4);
    assert!(ran.stderr.contains("forbids it"), "{}", ran.all());
    let ran = world.run("bob", &["--read-only", "runs", "approve", &run, "--confirm", "basic"]).expect(4);
    assert!(ran.stderr.contains("read-only"), "{}", ran.all());
    assert_eq!(world.approvals(), Vec::<Value>::new());

    // Bob does while Ann's process waits under its lease: his word needs no lease, and she goes on by herself.
    let waiting: Vec<&str> = resume.into_iter().chain(["--await-approval", "50"]).collect();
    let ann = world.command("ann", &waiting).spawn().expect("the binary starts");
    let held = || {
        let leases = store.list("leases", Some("pingcap"));
        leases.iter().any(|lease| lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()))
    };
    common::eventually("Ann drives", LONG, || held().then_some(()));
    let ran = world.run("bob", &approve).expect(0);
    assert!(ran.stdout.contains("approved set-domain for attempt 1 as bob"), "{}", ran.all());
    let again = world.run("bob", &approve);
    assert!(again.code == 0 || again.stderr.contains("waits for no approval"), "{}", again.all());
    finish(ann, LONG).expect(0);
    assert_eq!(world.patches(), 1);

    // The journal, its copy in the cluster and the report tell who.
    let journal = std::fs::read_to_string(world.state("ann").join("runs").join(format!("{run}.jsonl"))).expect("read");
    let approved: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|record| record["record"] == "approved")
        .collect();
    assert_eq!(approved.len(), 1, "{journal}");
    assert_eq!((&approved[0]["by"], &approved[0]["vouched"]), (&json!("bob"), &json!("review")));
    let copies = store.list("configmaps", Some("pingcap"));
    assert!(
        copies.iter().any(|copy| copy["data"]["journal.jsonl"].as_str().is_some_and(|l| l.contains("\"approved\"")))
    );
    let report = world.run("ann", &["runs", "report", &run]).expect(0);
    assert!(report.stdout.contains("approved by bob"), "{}", report.stdout);
    world.run("ann", &["runs", "verify", &run]).expect(0);
    assert!(!journal.contains("carol"), "the login name of the machine is nobody");

    // What is over needs no approval.
    let ran = world.run("bob", &approve).expect(4);
    assert!(ran.stderr.contains("is over (done)"), "{}", ran.all());
}

#[test]
fn with_the_admission_policy_the_server_vouches_for_the_second_person() {
    let world = World::start();
    world.apply_policy();
    // The server's times are whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let run = world.begun();
    world.run("bob", &["runs", "approve", &run, "--confirm", "basic"]).expect(0);
    assert_eq!(world.approvals().len(), 1);
    // Bob may as well take over: two people have agreed, and he is the second of them.
    let ran = world.run("bob", &["runs", "take-over", &run, "--yes", "--confirm", "basic"]).expect(0);
    assert!(ran.all().contains("approved by bob (the API server vouches for the name)"), "{}", ran.all());
    assert_eq!(world.patches(), 1);
    assert_eq!(world.approvals().len(), 1, "the rehearsals in made-up names stored nothing");
    let report = world.run("bob", &["runs", "report", &run]).expect(0);
    assert!(report.stdout.contains("seen there; the API server vouches for the name"), "{}", report.stdout);
}
