//! What must not pass for the approval of a second person, one attack a test.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{LONG, ROBOT, RUN, TARGET, World, resume};
use crate::common::{self, finish};

fn approve(run: &str) -> [&str; 5] {
    ["runs", "approve", run, "--confirm", TARGET]
}

/// Whoever may write the record's ConfigMap changes, for the moment of the look, what the approver reads.
#[test]
fn the_approver_is_shown_what_is_sent_whatever_the_record_calls_it() {
    let world = World::start();
    let run = world.begun();
    let mut digest = String::new();
    let before = world.rewrite_record(&run, |records| {
        let steps = records[0]["plan"]["steps"].as_array_mut().expect("steps");
        let step = steps.iter_mut().find(|step| step["id"] == "set-domain").expect("the step");
        digest = step["action"]["merge"]["spec"]["clusterDomain"].as_str().expect("a domain").to_owned();
        step["title"] = json!("Put a note on a TidbCluster");
        step["why"] = json!("harmless");
        step["after"] = json!({"fields": {"metadata.annotations[note]": "hello"}});
        step["requests"][0]["body"] = json!({"metadata": {"annotations": {"note": "hello"}}});
        step["reversibility"] = json!("free");
    });
    let shown = world.run("bob", &["runs", "approve", &run]).expect(3).stdout;
    assert!(shown.contains("changes TidbCluster legacy/pingcap/basic"), "{shown}");
    assert!(shown.contains(&format!("→ {digest:?}")) && shown.contains("NO ROLLBACK"), "{shown}");
    let body = shown.lines().find(|line| line.contains("merge-patch")).expect("the request's body");
    assert!(body.contains("clusterDomain") && !body.contains("hello"), "{shown}");
    // And what he then approves is the record that he was shown, not the one that is put back.
    world.run("bob", &approve(&run)).expect(0);
    world.put_record_back(&run, &before);
    let ran = world.run("ann", &resume(&run)).expect(3);
    let told = ["another plan", "answers a question that was put before"].iter().any(|said| ran.stderr.contains(said));
    assert!(told, "{}", ran.all());
    assert_eq!(world.patches(), 0);
}

/// One approval, three peerURLs: each item and each attempt is somebody's own question.
#[test]
fn one_approval_lets_one_item_through() {
    let shipped = include_str!("../../../runbooks/migrate-cluster-domain.yaml");
    let forked = shipped.replacen("confirm: once-per-phase", "confirm: once\n        approvers: 2", 1);
    let world = World::with("migrate-cluster-domain", &forked);
    let run = world.begun();
    let mut items = Vec::new();
    for turn in 1..=3 {
        // The item that the run waits with is the one that is shown.
        let journal = world.journal("ann", &run);
        let asked = journal.iter().rfind(|record| record["record"] == "awaits-approval").expect("a question");
        let step = asked["step"].as_str().expect("a step").to_owned();
        let shown = world.run("bob", &["runs", "approve", &run, "--yes"]).expect(0).stdout;
        assert!(shown.contains(&format!("approved {step} for attempt 1 as bob")), "{step}\n{shown}");
        assert!(shown.contains(&format!("Step {step} (item ")), "{shown}");
        let more = format!("{} more like it follow; each needs an approval of its own", 3 - turn);
        assert!(turn == 3 || shown.contains(&more), "{shown}");
        items.push(step);
        let ran = world.run("ann", &resume(&run)).expect(if turn == 3 { 0 } else { 3 });
        assert!(turn == 3 || ran.stderr.contains("waits for a second person"), "{}", ran.all());
        let sent = world
            .journal("ann", &run)
            .iter()
            .filter(|r| r["record"] == "intent" && r["step"].as_str().is_some_and(|s| s.starts_with("update[")))
            .count();
        assert_eq!(sent, turn, "{items:?}");
    }
    items.dedup();
    assert_eq!(items.len(), 3, "{items:?}");
    assert_eq!(world.approvals().len(), 3);
}

/// A name that the server did not give is anybody's: Ann under another entry of her kubeconfig would approve herself.
#[test]
fn where_the_server_does_not_say_who_one_is_there_is_no_first_and_no_second_person() {
    let world = World::start();
    let faults = world.sim().faults("legacy").expect("there").clone();
    for status in [404, 500, 503] {
        faults.set_refuse_review(Some(status));
        let ran = world.run("ann", &RUN).expect(4);
        assert!(ran.stderr.contains("set-domain needs the approval of a second person"), "{}", ran.all());
        assert!(ran.stderr.contains("SelfSubjectReview") && ran.stderr.contains("log in"), "{}", ran.all());
    }
    assert!(
        !world.state("ann").join("runs").exists() || world.run("ann", &["runs", "list"]).stdout.contains("no runs")
    );
    faults.set_refuse_review(None);
    let run = world.begun();
    let journal = world.journal("ann", &run);
    let leased = journal.iter().find(|record| record["record"] == "leased").expect("a lease");
    assert_eq!((&leased["user"], &leased["namedBy"]), (&json!("ann"), &json!("server")));
    faults.set_refuse_review(Some(404));
    let ran = world.run("bob", &approve(&run)).expect(4);
    assert!(
        ran.stderr.contains("no second person in legacy") && ran.stderr.contains("nothing approved"),
        "{}",
        ran.all()
    );
    // Nor does a run go on whose driver is nobody; giving it up needs no name.
    let ran = world.run("ann", &resume(&run)).expect(4);
    assert!(ran.stderr.contains("who the first one is"), "{}", ran.all());
    world.run("ann", &["runs", "abandon", &run, "--reason", "no second person"]).expect(0);
    assert_eq!((world.approvals().len(), world.patches()), (0, 0));
}

/// Whoever may impersonate can be anybody, and whoever may make a token of a service account acts in its name.
#[test]
fn an_impersonated_user_and_a_service_account_are_no_people() {
    let world = World::start();
    for (who, word) in [("ann-as-bob", "impersonated"), (ROBOT, "service account")] {
        let ran = world.run(who, &RUN).expect(4);
        assert!(ran.stderr.contains(word) && ran.stderr.contains("nothing was sent"), "{}", ran.all());
    }
    let run = world.begun();
    for (who, word) in [("ann-as-bob", "impersonated"), (ROBOT, "service account")] {
        let ran = world.run(who, &approve(&run)).expect(4);
        assert!(ran.stderr.contains(word) && ran.stderr.contains("nothing approved"), "{}", ran.all());
    }
    // By hand neither: the driver looks at the name as well.
    world.store().put("configmaps", world.forged(&run, ROBOT, "by-robot"));
    let ran = world.run("ann", &resume(&run)).expect(3);
    assert!(ran.stderr.contains("service account"), "{}", ran.all());
    assert_eq!(world.patches(), 0);
}

/// A policy vouches for what was written under it, and an approval answers a question that was there before it.
#[test]
fn what_is_older_than_the_question_does_not_count_and_older_than_the_policy_is_not_vouched_for() {
    let world = World::start();
    let run = world.begun();
    let store = world.store();
    let mut old = world.forged(&run, "bob", "of-2020");
    old["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z");
    store.put("configmaps", old);
    let mut other = world.forged(&run, "bob", "another-question");
    other["data"]["question"] = json!("0000");
    store.put("configmaps", other);
    let mut released = world.forged(&run, "bob", "released");
    for key in ["step", "question"] {
        released["data"].as_object_mut().expect("data").shift_remove(key);
    }
    store.put("configmaps", released);
    let mut mutable = world.forged(&run, "bob", "mutable");
    mutable["immutable"] = json!(false);
    store.put("configmaps", mutable);
    let ran = world.run("ann", &resume(&run)).expect(3);
    for said in [
        "of-2020 is older (2020",
        "another-question answers a question that was put before",
        "released was made by an earlier",
        "not immutable",
    ] {
        assert!(ran.stderr.contains(said), "{said}\n{}", ran.all());
    }
    assert_eq!(world.patches(), 0);
    // In Bob's name, by whoever could before the policy was there.
    store.put("configmaps", world.forged(&run, "bob", "planted"));
    std::thread::sleep(Duration::from_millis(1100));
    world.apply_policy();
    let ran = world.run("ann", &resume(&run)).expect(0);
    assert!(ran.all().contains("approved by bob (named by their own tidepilot"), "{}", ran.all());
}

/// A hundred objects whose names sort first do not hide the one that counts.
#[test]
fn approvals_are_listed_to_the_end() {
    let world = World::start();
    let run = world.begun();
    let mut planted = world.forged(&run, "eve", "a");
    planted["data"]["plan"] = json!("another plan");
    for index in 0..600 {
        planted["metadata"]["name"] = json!(format!("a-{index:04}"));
        world.store().put("configmaps", planted.clone());
    }
    world.run("bob", &approve(&run)).expect(0);
    let again = world.run("bob", &approve(&run)).expect(0);
    assert!(again.stdout.contains("was approved already"), "{}", again.all());
    world.run("ann", &resume(&run)).expect(0);
}

/// Taken over and given up elsewhere, the process that waits ends with its next renewal.
#[test]
fn a_run_that_waits_ends_when_its_lease_is_gone() {
    let world = World::start();
    let run = world.begun();
    let arguments: Vec<&str> = resume(&run).into_iter().chain(["--await-approval", "60"]).collect();
    let ann = world.command("ann", &arguments).env("TIDEPILOT_LEASE_S", "3").spawn().expect("the binary starts");
    let store = world.store();
    let lease = || {
        let mut leases = store.list("leases", Some("pingcap")).into_iter();
        leases.find(|lease| lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()))
    };
    let waits = || (world.journal("ann", &run).iter().filter(|r| r["record"] == "leased").count() == 2).then_some(());
    common::eventually("Ann drives", LONG, waits);
    std::thread::sleep(Duration::from_secs(2));
    let mut taken = common::eventually("her lease", LONG, lease);
    taken["spec"]["holderIdentity"] = json!("bob");
    taken["spec"]["leaseTransitions"] = json!(taken["spec"]["leaseTransitions"].as_u64().unwrap_or(0) + 1);
    if let Some(metadata) = taken["metadata"].as_object_mut() {
        metadata.shift_remove("resourceVersion");
    }
    store.put("leases", taken);
    let begun = std::time::Instant::now();
    let ran = finish(ann, LONG).expect(6);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(ran.stderr.contains("not ours any more"), "{}", ran.all());
    assert_eq!(world.patches(), 0);
}

/// A line that says so is no approval: report and verify look for the object.
#[test]
fn a_forged_line_is_not_whole_and_not_vouched_for() {
    let world = World::start();
    let run = world.begun();
    let forge = |records: &mut Vec<Value>| {
        let asked = records.iter().rfind(|record| record["record"] == "awaits-approval").expect("a question").clone();
        let at = records.last().expect("a record")["at"].clone();
        records.push(json!({"seq": 0, "at": at, "prev": "", "record": "approved", "gate": asked["gate"],
            "step": asked["step"], "attempt": 1, "by": "carol the boss", "host": "", "given": at,
            "object": "tidepilot-approval-x", "vouched": "server"}));
    };
    let mut journal = world.journal("ann", &run);
    forge(&mut journal);
    world.write_journal("ann", &run, &journal);
    let ran = world.run("ann", &["runs", "verify", &run]).expect(2);
    assert!(
        ran.stdout.contains("NOT WHOLE") && ran.stdout.contains("tidepilot-approval-x) is not there"),
        "{}",
        ran.all()
    );
    let report = world.run("ann", &["runs", "report", &run]).expect(0).stdout;
    assert!(
        report.contains("NOT SO: the approval of set-domain") && !report.contains("vouches for the name"),
        "{report}"
    );
    // One that is there, and says something else or can be changed, neither.
    let mut other = world.forged(&run, "bob", "tidepilot-approval-x");
    other["immutable"] = json!(false);
    other["data"]["attempt"] = json!("2");
    world.store().put("configmaps", other);
    let ran = world.run("ann", &["runs", "verify", &run]).expect(2);
    for said in ["is of bob and not of carol the boss", "not immutable", "attempt \"2\" instead of \"1\""] {
        assert!(ran.stdout.contains(said), "{said}\n{}", ran.all());
    }
}

/// A record of a newer version may have a guard that this one does not know.
#[test]
fn a_record_of_a_newer_version_stops_both_people() {
    let world = World::start();
    let run = world.begun();
    let newer = |records: &mut Vec<Value>| {
        records[0]["tool"] = json!("tidepilot 9.9.9");
        records[0]["plan"]["steps"][0]["mustNotBefore"] = json!("2027-01-01T00:00:00Z");
    };
    world.rewrite_record(&run, newer);
    let mut journal = world.journal("ann", &run);
    newer(&mut journal);
    world.write_journal("ann", &run, &journal);
    for ran in [world.run("bob", &approve(&run)).expect(4), world.run("ann", &resume(&run)).expect(4)] {
        assert!(ran.stderr.contains("mustNotBefore") && ran.stderr.contains("9.9.9"), "{}", ran.all());
    }
    let more = |records: &mut Vec<Value>| {
        let steps = records[0]["plan"]["steps"].as_array_mut().expect("steps");
        steps[0].as_object_mut().expect("a step").shift_remove("mustNotBefore");
        steps.iter_mut().filter(|step| step["approvers"] == 2).for_each(|step| step["approvers"] = json!(3));
    };
    world.rewrite_record(&run, more);
    let ran = world.run("bob", &approve(&run)).expect(4);
    assert!(ran.stderr.contains("asks for 3 people"), "{}", ran.all());
    assert_eq!((world.approvals().len(), world.patches()), (0, 0));
}
