//! Who is told that a run waits for a second person, and what else a second person reads.

use serde_json::json;

use super::world::{LONG, World, resume};
use crate::common;

#[test]
fn every_list_says_who_is_waited_for_since_when_and_the_command_that_answers() {
    let world = World::start();
    let run = world.begun();
    let approve = format!("tidepilot runs approve {run} -n pingcap --confirm legacy/pingcap/basic");
    for person in ["ann", "bob"] {
        let ran = world.run(person, &["runs", "list"]).expect(0);
        assert!(ran.stdout.contains("waits for a second person at set-domain"), "{}", ran.all());
        assert!(ran.stdout.contains("confirmed by ann") && ran.stdout.contains(" since 20"), "{}", ran.all());
    }
    let ran = world.run("bob", &["runs", "list"]).expect(0);
    assert!(ran.stdout.contains(&approve), "{}", ran.all());
    let listed = world.run("bob", &["runs", "list", "-o", "json"]).expect(0).json()["runs"].take();
    let waiting = &listed[0]["approval"];
    assert_eq!((&waiting["step"], &waiting["attempt"]), (&json!("set-domain"), &json!(1)));
    assert_eq!(waiting["approve"], json!(approve));
    // Printed with the options that it was asked with.
    let answers = approve.strip_prefix("tidepilot ").expect("a command of ours");
    let ran = world.run("bob", &["diagnose"]).expect(2);
    assert!(
        ran.stdout.contains("waits for a second person at set-domain") && ran.stdout.contains(answers),
        "{}",
        ran.all()
    );
    // On the approver's machine there is no journal: the plan comes from the record, inputs and all.
    let shown = world.run("bob", &["runs", "show", &run]).expect(0).stdout;
    for part in [
        "as recorded by ann",
        "input   clusterDomain = \"cluster1.com\"",
        "Plan: ",
        "Records:",
        "waits for a second person",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    // What is left, by hand, is not ready to be sent.
    let script = world.run("ann", &["runs", "remaining", &run]).expect(0).stdout;
    assert!(script.contains("# A second person has to approve it first"), "{script}");
    assert!(
        script.contains("\n#: kubectl ") && !script.contains("\nkubectl --context legacy -n pingcap patch"),
        "{script}"
    );
    // Approved, it is.
    world.run("bob", &["runs", "approve", &run, "--confirm", "basic"]).expect(0);
    world.run("ann", &resume(&run)).expect(0);
    let ran = world.run("bob", &["runs", "list"]).expect(0);
    assert!(!ran.stdout.contains("second person"), "{}", ran.all());
}

#[test]
fn nothing_is_printed_where_there_is_no_body() {
    let shipped = include_str!("../../../runbooks/transfer-pd-leader.yaml");
    let forked = shipped.replacen(
        "action: pd.transfer-leader",
        "action: pd.transfer-leader\n        confirm: once\n        approvers: 2",
        1,
    );
    let world = World::with("transfer-pd-leader", &forked);
    let leader = |world: &World| {
        let status = world.run("ann", &["status", "-o", "json"]).json().to_string();
        (0..3).map(|n| format!("basic-pd-{n}")).find(|pod| !status.contains(&format!("\"leader\":\"{pod}\"")))
    };
    let pod = common::eventually("a member that does not lead", LONG, || leader(&world));
    let to = format!("pod={pod}");
    let run = ["run", "transfer-pd-leader", "--set", "tidbCluster=legacy/pingcap/basic", "--set", &to, "--yes"];
    let ran = world.run("ann", &run);
    // The one that leads already needs no transfer.
    let other = format!("pod={}", if pod == "basic-pd-0" { "basic-pd-1" } else { "basic-pd-0" });
    if ran.code == 0 {
        world
            .run(
                "ann",
                &["run", "transfer-pd-leader", "--set", "tidbCluster=legacy/pingcap/basic", "--set", &other, "--yes"],
            )
            .expect(3);
    }
    let id = world.run_of("ann");
    let shown = world.run("bob", &["runs", "approve", &id]).expect(3).stdout;
    assert!(shown.contains("POST /pd/api/v1/leader/transfer/") && !shown.contains("null"), "{shown}");
    // A run whose only step is left out has not found it so.
    let ran = world.run("ann", &["runs", "resume", &id, "--skip", "transfer", "--reason", "no bob"]).expect(0);
    assert!(ran.all().contains("transfer was left out") && !ran.all().contains("already so"), "{}", ran.all());
    let ran = world.run("ann", &["runs", "list"]).expect(0);
    assert!(ran.stdout.contains("steps left out"), "{}", ran.all());
}
