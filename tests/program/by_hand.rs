//! The lines that a plan and a report print for a person's own hands: run by `sh`, they do what the run would.

use crate::audit::{Demo, code, have, migrate, only_run, said, strangers};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Every line that a plan offers for the hands is shell; so is the text that people copy it from.
#[test]
fn the_lines_by_hand_can_be_pasted() {
    let demo = Demo::start("half-migrated");
    let sets = |sets: &[&str]| -> Vec<String> {
        sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect()
    };
    let plans = [
        ("migrate-cluster-domain", sets(&["tidbCluster=legacy/pingcap/basic", "clusterDomain=cluster1.com"])),
        ("restart-component", sets(&["tidbCluster=east/prod/prod-east", "component=pd"])),
        ("transfer-pd-leader", sets(&["tidbCluster=east/prod/prod-east", "pod=prod-west-pd-0"])),
        ("monitor-across-clusters", sets(&["tidbCluster=east/prod/prod-east"])),
        ("verify-network", sets(&["first=east/prod/prod-east", "second=west/prod/prod-west"])),
        ("leave-cluster", sets(&["tidbCluster=west/prod/prod-west", "deletePvcs=true"])),
    ];
    let shell = |line: &str| Command::new("sh").args(["-n", "-c", line]).output().expect("sh runs");
    let mut tried = 0;
    for (runbook, sets) in &plans {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let json = demo.run(&[&["plan", runbook, "-o", "json"], sets.as_slice()].concat());
        let plan: Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|_| panic!("{}", said(&json)));
        let steps = plan["steps"].as_array().expect("steps");
        assert!(!steps.is_empty(), "{runbook}: {plan:#}");
        for line in steps.iter().filter_map(|step| step["command"].as_str()).filter(|line| !line.is_empty()) {
            assert!(shell(line).status.success(), "{runbook}: {line}");
            tried += 1;
        }
        let text = said(&demo.run(&[&["plan", runbook], sets.as_slice()].concat()));
        // What several call stands once, above them.
        let function = text.lines().map(str::trim).find(|line| line.starts_with("pd() ("));
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("by hand  ")) {
            assert!(!line.starts_with("pd ") || function.is_some(), "{runbook}: {line}");
            let line = format!("{}\n{line}", function.unwrap_or_default());
            assert!(shell(&line).status.success() && !line.contains("<<"), "{runbook}: {line}");
        }
    }
    assert!(tried > 25, "only {tried} lines");
}

/// A version moves one component: the script waits for that one's revision and for no other, which would never move.
#[test]
fn what_remains_waits_for_what_was_moved() {
    let demo = Demo::start("default");
    let upgrade = ["run", "upgrade-cluster", "--set", "tidbCluster=east/prod/prod-east", "--set", "version=v8.5.9"];
    // Up to the gate of the second TidbCluster: every name is asked for by itself.
    let first = ["--yes", "--confirm", "prod-east"];
    let stopped = code(&demo.run(&[&upgrade[..], &first[..]].concat()), 3);
    assert!(stopped.contains("--confirm west/prod/prod-west"), "{stopped}");
    let script = code(&demo.run(&["runs", "remaining", &only_run(&demo)]), 0);
    let waits: Vec<&str> = script.lines().filter(|line| line.starts_with("until test ")).collect();
    assert_eq!(waits.len(), 5, "PD of west, then TiKV and TiDB of both: {waits:#?}");
    for set in ["prod-west-pd", "prod-east-tikv", "prod-west-tikv", "prod-east-tidb", "prod-west-tidb"] {
        assert_eq!(waits.iter().filter(|line| line.contains(&format!(" {set} "))).count(), 1, "{set}: {waits:#?}");
    }
}

#[test]
fn what_remains_is_a_script_that_works() {
    what_remains_works_on("default");
}

#[test]
fn what_remains_is_a_script_that_works_with_tls() {
    what_remains_works_on("tls");
}

fn what_remains_works_on(scenario: &str) {
    if !have(&["kubectl", "curl"]) {
        return;
    }
    let demo = Demo::start(scenario);
    // No gate is answered: the run is open and nothing has been sent.
    code(&demo.run(&migrate("run", &["-o", "json"])), 3);
    let run = only_run(&demo);
    let script = demo.run(&["runs", "remaining", &run]);
    let text = code(&script, 0);
    assert!(demo.writes().is_empty(), "{scenario}");
    let file = demo.path("remaining.sh");
    std::fs::write(&file, &script.stdout).expect("written");
    by_hand(&demo, &file, &text);
    if scenario == "default" {
        // A second time it finds everything so.
        let before = demo.writes().len();
        by_hand(&demo, &file, &text);
        let members = |from: usize| demo.writes()[from..].iter().filter(|w| w["method"] == "PUT").count();
        assert_eq!((members(0), members(before)), (3, 0));
    }
    let status: Value = serde_json::from_slice(&demo.run(&["status", "-o", "json"]).stdout).expect("JSON");
    let drift =
        |database: &Value| database["members"].as_array().is_some_and(|all| all.iter().any(|m| m["drift"] == true));
    let databases = status["databases"].as_array().expect("databases");
    assert!(!databases.iter().any(drift), "{scenario}: {databases:#?}");
    let text = code(&demo.run(&["runs", "resume", &run, "--yes", "--confirm", "basic"]), 0);
    assert!(text.contains("nothing to do") || text.contains("done"), "{text}");
}

/// The lines that a plan prints for whoever would do it by hand, run as they stand.
#[test]
fn the_lines_by_hand_of_a_plan_reach_the_pod_that_they_name() {
    if !have(&["kubectl", "curl"]) {
        return;
    }
    let demo = Demo::start("half-migrated");
    let _strangers = strangers();
    let plan: Value = serde_json::from_slice(&demo.run(&migrate("plan", &["-o", "json"])).stdout).expect("JSON");
    let steps = plan["steps"].as_array().expect("steps").clone();
    let line = |step: &Value| step["command"].as_str().expect("a line").to_owned();
    let update = steps.iter().find(|step| step["action"]["kind"] == "update-peer-url" && step["alreadySo"] == false);
    let update = line(update.unwrap_or_else(|| panic!("one stale peerURL: {steps:#?}")));
    assert!(!update.contains("2379:2379") && !update.contains("sleep 2"), "{update}");
    // Where the operator's word and the pod's differ, nothing is sent.
    let real = code(
        &demo.kubectl(&[
            "--context",
            "legacy",
            "-n",
            "pingcap",
            "get",
            "tc",
            "basic",
            "-o",
            "jsonpath={.status.clusterID}",
        ]),
        0,
    );
    let wrong = update.replace(r#""$(kubectl --context legacy -n pingcap get tidbclusters.pingcap.com basic -o jsonpath='{.status.clusterID}')""#, "1");
    assert_ne!(wrong, update);
    let output = demo.command("sh").args(["-c", &wrong]).output().expect("sh runs");
    assert!(
        !output.status.success()
            && said(&output).contains(&format!("is of PD cluster {real}, expected 1; nothing was sent")),
        "{}",
        said(&output)
    );
    assert!(!demo.writes().iter().any(|write| write["method"] == "PUT"), "{:#?}", demo.writes());
    let output = demo.command("sh").args(["-c", &update]).output().expect("sh runs");
    assert!(output.status.success(), "{update}\n{}", said(&output));
    assert_eq!(demo.writes().iter().filter(|write| write["method"] == "PUT").count(), 1, "{:#?}", demo.writes());
    assert!(said(&demo.run(&["status"])).contains("http"), "PD answers still");
    // The lead is handed over in the same way.
    let inputs = [
        "plan",
        "transfer-pd-leader",
        "-o",
        "json",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "pod=basic-pd-1",
    ];
    let transfer: Value = serde_json::from_slice(&demo.run(&inputs).stdout).unwrap_or_default();
    for step in transfer["steps"].as_array().into_iter().flatten().filter(|step| step["alreadySo"] == false) {
        let line = line(step);
        assert!(!line.contains("2379:2379") && !line.contains("sleep 2"), "{line}");
    }
}

fn by_hand(demo: &Demo, file: &Path, text: &str) {
    // Whoever may listen where one would expect PD: the script has to pass them by.
    let _strangers = strangers();
    // The fleet's time is fast, so the script's waits may be short: a `sleep` of our own stands before the real one.
    let folder = demo.path("bin");
    std::fs::create_dir_all(&folder).expect("made");
    let shim = folder.join("sleep");
    std::fs::write(&shim, "#!/bin/sh\nexec /bin/sleep 0.2\n").expect("written");
    std::fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    // Whoever runs it says at its waits that they are over.
    let script = demo.command("sh").args(["-c", "yes '' | sh \"$0\""]).env("PATH", path).arg(file).output();
    let output = script.expect("sh runs");
    assert!(output.status.success(), "{}\n{text}", said(&output));
}
