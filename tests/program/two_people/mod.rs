//! Two people, one Database: the lease, its fence, and the run's record in the cluster, on real wires.
//!
//! With the real binary twice on one simulated fleet, and with the client room alone where a moment has to be hit
//! exactly. Not here: what a run does (`tests/engine/crash_points.rs`).

mod bed;

mod apart;
mod busy;
mod fence;
mod front;
mod joining;
mod late;
mod leases;
mod lost;
mod pairs;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::bed::{BASIC, PATIENCE, Process, RUN, World, code, text, until_journal_has};
use self::leases::{head, one, place, take, wanted};
use serde_json::{Value, json};
use tidepilot::client::kube::identity::Identity;
use tidepilot::client::share::find_run_records::find;
use tidepilot::client::share::lease::{NotTaken, Wanted};
use tidepilot::client::share::run_record_configmaps::{Head, OpenRun, read};
use tidepilot::client::wire::suspend_aware_clock::{Clock, Moment};
use tidepilot::client::write::perform;
use tidepilot::client::{ConnectOptions, Links, targets};
use tidepilot::runbook::action_types::Answer;

#[test]
fn the_second_one_waits_takes_over_and_the_first_is_refused() {
    let world = World::start();
    let first = Process::start(world.tidepilot("ann", 4, &RUN));
    let run = until_journal_has(&world.state("ann"), r#""record":"completed","step":"set-domain""#);
    // The rolling restart cannot end before this pod starts: however busy the machine is, Ann stays in the middle.
    let broken = |broken| world.sim().break_pod("legacy", "pingcap", "basic-pd-0", broken).expect("there");
    broken(true);

    // While Ann drives, Bob is told who does, and leaves no trace.
    let (exit_code, said) = code(&world.tidepilot("bob", 4, &RUN).output().expect("ran"));
    assert!(exit_code == 6 && said.contains("admin") && said.contains(&run), "{exit_code} {said}");
    let again = ["runs", "take-over", &run, "--yes", "--confirm", "basic"];
    let (exit_code, said) = code(&world.tidepilot("bob", 4, &again).output().expect("ran"));
    assert!(exit_code == 6 && said.contains("renews it"), "{exit_code} {said}");
    assert_eq!(fs::read_dir(world.state("bob").join("runs")).map_or(0, Iterator::count), 0);
    let list = world.tidepilot("bob", 4, &["runs", "list", "-o", "json"]).output().expect("ran");
    let list: Value = serde_json::from_slice::<Value>(&list.stdout).expect("JSON")["runs"].take();
    assert_eq!((&list[0]["run"], &list[0]["inCluster"]["user"]), (&json!(run), &json!("admin")), "{list}");
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &["runs", "resume", &run]).output().expect("ran"));
    assert!(exit_code == 6 && said.contains("driven by admin"), "{exit_code} {said}");

    first.signal("STOP");
    broken(false);
    let taken = world.tidepilot("bob", 4, &again).output().expect("ran");
    let (exit_code, _) = code(&taken);
    let lines = text(&taken);
    assert_eq!(exit_code, 0, "{lines}");
    assert!(lines.contains("opened") && lines.contains("Intent") && lines.contains("taken over from admin"), "{lines}");
    // It has sent something, and nothing says otherwise.
    assert!(!lines.contains("Nothing has been sent yet") && lines.contains("something was sent"), "{lines}");

    // Ann comes back: she finds out before she writes anything.
    let from = world.sim().log().lines().len();
    first.signal("CONT");
    let (exit_code, said) = first.end();
    assert_eq!(exit_code, Some(6), "{said}");
    assert!(said.contains("not ours any more"), "{said}");
    let late: Vec<String> = world.writes(from).into_iter().filter(|line| !line.ends_with(" 409")).collect();
    assert_eq!(late, Vec::<String>::new());

    // Between the two of them everything was sent once.
    let all = world.writes(0);
    let count = |start: &str, end: &str| all.iter().filter(|l| l.starts_with(start) && l.ends_with(end)).count();
    assert_eq!(count("PATCH /apis/pingcap.com", " 200"), 1, "{all:#?}");
    assert_eq!(count("PUT /v2/members/", " 204"), 3, "{all:#?}");
    let lease = world.sim().store("legacy").expect("there").get("leases", "pingcap", &format!("tidepilot-{BASIC}"));
    let lease = lease.expect("it stays, free");
    assert_eq!((&lease["spec"]["leaseTransitions"], &lease["spec"]["holderIdentity"]), (&json!(2), &Value::Null));
    let list = world.tidepilot("ann", 4, &["runs", "list"]).output().expect("ran");
    assert!(!String::from_utf8_lossy(&list.stdout).contains("open in the clusters"));
}

#[test]
fn a_killed_run_goes_on_at_once_from_its_own_journal() {
    let world = World::start();
    let first = Process::start(world.tidepilot("ann", 30, &RUN));
    let run = until_journal_has(&world.state("ann"), r#""record":"completed","step":"set-domain""#);
    first.signal("KILL");
    let (exit_code, _) = first.end();
    assert_eq!(exit_code, None);
    // The lease lives for 30 s more; the lock on the very file shows that its process is dead.
    let begun = Instant::now();
    let resume = ["runs", "resume", &run, "--yes", "--confirm", "basic"];
    let output = world.tidepilot("ann", 30, &resume).output().expect("ran");
    assert_eq!(code(&output).0, 0, "{}", code(&output).1);
    assert!(begun.elapsed() < Duration::from_secs(25), "it waited for the lease: {:?}", begun.elapsed());
    assert!(world.writes(0).iter().all(|line| !line.contains("DELETE")));
}

/// One source for "is something half done here": every face names the run and the line that goes on with it, and none
/// proposes another command for its Database.
#[test]
fn a_killed_run_is_told_by_every_face_and_to_everybody() {
    let world = World::start();
    let first = Process::start(world.tidepilot("ann", 4, &RUN));
    let run = until_journal_has(&world.state("ann"), r#""record":"completed","step":"set-domain""#);
    let broken = |broken| world.sim().break_pod("legacy", "pingcap", "basic-pd-0", broken).expect("there");
    broken(true);
    // While it is driven, what it restarts is to be expected: nobody is alarmed, and it stays to be seen.
    let driven = world.tidepilot("bob", 4, &["status"]).output().expect("ran");
    assert!(text(&driven).contains(&format!("RUN     run {run}: migrate-cluster-domain")), "{}", text(&driven));
    let settled = Instant::now();
    loop {
        let status = world.tidepilot("bob", 4, &["status"]).output().expect("ran");
        let said = text(&status);
        if said.contains(&format!("(expected: run {run} is restarting legacy/pingcap/basic)"))
            && !said.contains("WRONG")
        {
            break;
        }
        assert!(settled.elapsed() < PATIENCE, "{said}");
    }
    first.signal("KILL");
    first.end();
    for (person, go_on) in [("ann", "resume"), ("bob", "take-over")] {
        let next = format!("tidepilot runs {go_on} {run}");
        for arguments in [&["diagnose"][..], &["status"], &["check"], &["runs", "list"]] {
            let output = world.tidepilot(person, 4, arguments).output().expect("ran");
            let said = text(&output);
            assert!(said.contains(&next), "{person} {arguments:?}:\n{said}");
            assert!(!said.contains("tidepilot run migrate"), "{person} {arguments:?}:\n{said}");
            assert!(!said.contains("no interrupted work"), "{said}");
            // Whether a lease is renewed still is not seen in one look: only `diagnose` watches it.
            if arguments[0] == "diagnose" || (person == "ann" && arguments[0] != "runs") {
                assert_eq!(output.status.code(), Some(2), "{person} {arguments:?}:\n{said}");
            }
        }
        let (exit_code, said) = code(&world.tidepilot(person, 4, &RUN).output().expect("ran"));
        assert!(exit_code == 6 && said.contains(&next), "{person}: {exit_code} {said}");
        // A plan says so before anybody has read it and answered its questions; what is printed for programs stays a plan.
        let other = ["plan", "transfer-pd-leader", "--set", "tidbCluster=legacy/pingcap/basic", "-o", "json"];
        let planned = world.tidepilot(person, 4, &[&other[..], &["--set", "pod=basic-pd-1"]].concat());
        let planned = { planned }.output().expect("ran");
        assert!(serde_json::from_slice::<Value>(&planned.stdout).is_ok_and(|plan| plan["digest"].is_string()));
        let warned = String::from_utf8_lossy(&planned.stderr);
        let next = format!(" runs {go_on} {run}");
        assert!(warned.contains("this plan cannot be carried out yet") && warned.contains(&next), "{warned}");
    }
    // Its process is gone: nobody is said to drive it.
    let list = world.tidepilot("ann", 4, &["runs", "list", "-o", "json"]).output().expect("ran");
    let list: Value = serde_json::from_slice::<Value>(&list.stdout).expect("JSON")["runs"].take();
    assert!(matches!(list[0]["drives"]["is"].as_str(), Some("gone" | "nobody")), "{list:#}");
    broken(false);
    // And the line that was printed goes on with it.
    let resume = ["runs", "resume", &run, "--yes", "--confirm", "basic"];
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &resume).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
    let after = world.tidepilot("bob", 4, &["diagnose"]).output().expect("ran");
    assert!(after.status.code() == Some(0) && !text(&after).contains(&run), "{}", text(&after));
}

/// Patches that were no rehearsal.
fn sent_patches(world: &World) -> usize {
    world.writes(0).iter().filter(|line| line.starts_with("PATCH") && !line.ends_with(" dry")).count()
}

#[test]
fn a_run_at_its_gate_keeps_the_same_runbook_out() {
    let world = World::start();
    let asks = &RUN[..6];
    let (exit_code, said) = code(&world.tidepilot("ann", 4, asks).output().expect("ran"));
    let run = until_journal_has(&world.state("ann"), r#""record":"leased""#);
    assert!(
        exit_code == 3
            && said.contains(&format!("`tidepilot runs resume {run} --confirm legacy/pingcap/basic` continues it")),
        "{exit_code} {said}"
    );
    for (person, go_on) in [("ann", "resume"), ("bob", "take-over")] {
        let (exit_code, said) = code(&world.tidepilot(person, 4, &RUN).output().expect("ran"));
        let next = format!("`tidepilot runs {go_on} {run} --confirm legacy/pingcap/basic`");
        assert!(exit_code == 6 && said.contains(&next), "{person}: {exit_code} {said}");
        assert!(said.contains("has sent nothing yet") && said.contains("waits at the gate"), "{said}");
        let diagnosed = world.tidepilot(person, 4, &["diagnose"]).output().expect("ran");
        assert!(diagnosed.status.code() == Some(2) && text(&diagnosed).contains("[open-run]"), "{}", text(&diagnosed));
    }
    assert_eq!(sent_patches(&world), 0);
    let end = ["runs", "abandon", &run, "--reason", "not now"];
    assert_eq!(code(&world.tidepilot("ann", 4, &end).output().expect("ran")).0, 0);
    let list = world.tidepilot("bob", 4, &["runs", "list"]).output().expect("ran");
    assert!(!text(&list).contains(&run), "{}", text(&list));
}

/// A whole run, who it says it is, and an undo that nobody confirms.
#[test]
fn an_undo_without_yes_leaves_nothing_open_and_every_request_says_whose_it_is() {
    let world = World::start();
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &RUN).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
    let run = until_journal_has(&world.state("ann"), r#""record":"closed""#);
    let ours = format!("tidepilot/{} (migrate-cluster-domain {run})", env!("CARGO_PKG_VERSION"));
    let lines = world.sim().log().lines();
    let ours_too = |line: &Value| line["agent"] == ours.as_str();
    let bare = format!("tidepilot/{}", env!("CARGO_PKG_VERSION"));
    // A program in a pod is the pod's own.
    let known = |line: &Value| ours_too(line) || line["agent"] == bare.as_str() || line["agent"] == "Wget";
    let foreign: Vec<&Value> = lines.iter().filter(|line| !known(line)).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    // Reads and writes, upgrades, and what goes through a tunnel to PD.
    for (what, fits) in [
        ("a look", Box::new(|line: &Value| line["method"] == "GET") as Box<dyn Fn(&Value) -> bool>),
        ("a tunnel", Box::new(|line| line["path"].as_str().is_some_and(|path| path.ends_with("/portforward")))),
        ("a program", Box::new(|line| line["path"].as_str().is_some_and(|path| path.ends_with("/exec")))),
        ("PD", Box::new(|line| line.get("pod").is_some() && line["method"] == "GET")),
        ("a peerURL", Box::new(|line| line["method"] == "PUT" && line.get("pod").is_some())),
        ("a lease", Box::new(|line| line["path"].as_str().is_some_and(|path| path.contains("/leases")))),
    ] {
        assert!(lines.iter().any(|line| fits(line) && ours_too(line)), "no request of the run: {what}");
    }
    let writes =
        |line: &&Value| !matches!(line["method"].as_str(), Some("GET" | "HEAD" | "POST")) && line["dryRun"] != true;
    let nameless: Vec<&Value> = lines.iter().filter(writes).filter(|line| !ours_too(line)).collect();
    assert!(nameless.is_empty(), "{nameless:#?}");

    let (exit_code, said) = code(&world.tidepilot("ann", 4, &["runs", "undo", &run]).output().expect("ran"));
    let line = format!("`tidepilot runs undo {run} --yes`");
    assert!(exit_code == 3 && said.contains("nothing was put back") && said.contains(&line), "{exit_code} {said}");
    let list = world.tidepilot("ann", 4, &["runs", "list", "-o", "json"]).output().expect("ran");
    let list: Value = serde_json::from_slice::<Value>(&list.stdout).expect("JSON")["runs"].take();
    assert_eq!((&list[0]["state"], &list[0]["open"]), (&json!("done"), &json!(false)), "{list:#}");
    let diagnosed = world.tidepilot("ann", 4, &["diagnose"]).output().expect("ran");
    assert_eq!(diagnosed.status.code(), Some(0), "{}", text(&diagnosed));
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &["runs", "undo", &run, "--yes"]).output().expect("ran"));
    assert_eq!(exit_code, 8, "{said}");
}

/// The first one began before PD had an id, under another name; and many other runs are open.
#[test]
fn a_run_that_began_before_the_database_had_an_id_is_seen() {
    let world = World::start();
    let store = world.sim().store("legacy").expect("there");
    for number in 0..230 {
        store.put(
            "configmaps",
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {
                    "name": format!("tidepilot-run-20250101-000000-{number:04}-0"), "namespace": "pingcap",
                    "labels": {"app.kubernetes.io/managed-by": "tidepilot", "tidepilot/state": "open",
                        "tidepilot/run": format!("20250101-000000-{number:04}")},
                    "annotations": {"tidepilot/database": "99", "tidepilot/target": "legacy/pingcap/other"},
                },
                "data": {"journal.jsonl": ""},
            }),
        );
    }
    let runtime = one();
    let (links, here) = (world.links(), place("legacy", "pingcap", "u"));
    let unborn = Wanted { database: "new-pingcap-basic".into(), ..wanted("zz-deploy", vec![here.clone()], 4) };
    let lease = runtime.block_on(async {
        let (permit, lease) = take(&links, &unborn).await.expect("free");
        let head = Head { database: unborn.database.clone(), ..head("zz-deploy") };
        let mut record = OpenRun::open(&links, permit, head).await.expect("opened");
        record.add("what cannot be read may have sent something\n");
        record.flush().await.expect("stored");
        assert_eq!(find(&links, None).await.heads.len(), 231, "every page is read");
        lease
    });
    // Held and renewed: whoever comes with PD's id waits for it all the same.
    let renewing = std::thread::scope(|scope| {
        let second = scope.spawn(|| world.tidepilot("bob", 4, &RUN).output().expect("ran"));
        while !second.is_finished() {
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
        }
        second.join().expect("ended")
    });
    let (exit_code, said) = code(&renewing);
    assert!(exit_code == 6 && said.contains("zz-deploy"), "{exit_code} {said}");
    // Given back, and the run is open still: its record is found by the TidbCluster, behind 230 others.
    runtime.block_on(lease.release());
    let (exit_code, said) = code(&world.tidepilot("bob", 4, &RUN).output().expect("ran"));
    // It cannot be read, and whether anything was sent under it is not known: it is named, with what removes it.
    let removal = "kubectl --context legacy -n pingcap delete configmap -l app.kubernetes.io/managed-by=tidepilot,tidepilot/run=zz-deploy";
    assert!(exit_code == 6 && said.contains(removal), "{exit_code} {said}");
    assert_eq!(sent_patches(&world), 0);
    // The other way round: the one that goes on under the old name sees whoever has PD's id.
    runtime.block_on(async {
        let (_, theirs) = take(&links, &wanted("b", vec![here.clone()], 4)).await.expect("free");
        let again = Wanted { beside: vec![(here.clone(), BASIC.into())], ..unborn.clone() };
        let refused = take(&links, &again).await.expect_err("held");
        assert!(matches!(&refused, NotTaken::Held { holder, .. } if holder.run == "b"), "{refused}");
        theirs.release().await;
        assert!(take(&links, &again).await.is_ok());
    });
}

#[test]
fn alone_means_no_lease_and_no_record() {
    let world = World::start();
    let mut alone = RUN.to_vec();
    alone.push("--local-only");
    let (exit_code, said) = code(&world.tidepilot("ann", 30, &alone).output().expect("ran"));
    assert!(exit_code == 0 && said.contains("no lease keeps a second operator out"), "{exit_code} {said}");
    assert!(world.writes(0).iter().all(|line| !line.contains("lease") && !line.contains("configmaps")));
}

// ---- the client room, to the moment ----
