//! Every reason for which a run stops: provoked, the line that it prints followed as it stands, and the run goes on or ends.
//!
//! The reasons come from the types: [`case`] matches every [`Cause`], so a new one without a case does not compile. Most are
//! provoked on the simulated fleet with the real binary, and what is printed is given to `sh`; those that no fleet can be
//! brought to are provoked on the model world ([`pure`]). Not here: what holds an effect back (`tests/engine/guards.rs`), what
//! a person may choose (`tests/engine/choices.rs`).

mod fleet;
mod proven;
mod pure;

use std::time::Duration;

use fleet::{Fleet, ways};
use serde_json::{Value, json};
use tidepilot::runbook::run::record::Cause;

/// How a cause is provoked, and what has to be said of it.
async fn case(cause: Cause) {
    match cause {
        Cause::Asked => asked().await,
        Cause::Foreign => somebody_else().await,
        Cause::Invariant => paused_by_somebody().await,
        Cause::Away => api_server_away().await,
        Cause::StoodStill => stood_still().await,
        Cause::TookTooLong => took_too_long().await,
        Cause::Hopeless => hopeless().await,
        Cause::OtherObject => made_anew().await,
        Cause::OtherCluster => another_cluster().await,
        // No fleet can be brought to these at a moment of our choosing.
        Cause::OtherDatabase
        | Cause::NotTaken
        | Cause::Exhausted
        | Cause::NotByHand
        | Cause::NotRecorded
        | Cause::LeaseUnsure => pure::case(cause),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stop_names_a_way_on_that_goes_on() {
    let all: Vec<Cause> = Cause::all().collect();
    assert_eq!(all.len(), 15);
    // Each has a fleet of its own; a few at a time, so that a slow machine does not run into the limits.
    for some in all.chunks(3) {
        futures::future::join_all(some.iter().map(|cause| case(*cause))).await;
    }
}

/// The run as its journal's last record leaves it.
#[track_caller]
fn cause(fleet: &Fleet, run: &str) -> Value {
    let records = fleet.room.records(run);
    let paused = records.iter().rev().find(|record| record["record"] == "paused").expect("a pause");
    paused["cause"].clone()
}

async fn asked() {
    let fleet = Fleet::standing(&[]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    fleet::terminate(&child);
    let ran = fleet::ended(child.take()).await;
    assert!(ran.took < Duration::from_secs(60), "{:?}", ran.took);
    let ran = ran.expect(5);
    assert_eq!(cause(&fleet, &run), json!("asked"));
    let said = ran.stderr.clone();
    assert!(
        said.contains(r#"at "Wait for the real end of the rolling restart" (wait-rollout)"#)
            && !said.contains("nothing has moved"),
        "{said}"
    );
    assert!(fleet.tool(&["runs", "list"]).await.stdout.contains("paused as asked"));
    fleet.heal();
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

async fn somebody_else() {
    let fleet = Fleet::of(&[]).await;
    let ran = fleet.run(&["--yes"]).await.expect(3);
    let run = fleet.only_run();
    // The gate's own way on would send it; somebody is quicker.
    fleet
        .sh("kubectl --context legacy -n pingcap patch tidbcluster basic --type merge -p '{\"spec\":{\"clusterDomain\":\"other.example\"}}'")
        .await
        .expect(0);
    let gate = ways(&ran)
        .into_iter()
        .find(|way| way.contains("--confirm legacy/pingcap/basic"))
        .expect("how the gate is answered");
    let ran = fleet.sh(&gate).await.expect(7);
    assert_eq!(cause(&fleet, &run), json!("foreign"));
    let said = ran.stderr.clone();
    for wanted in [
        "somebody else changed TidbCluster legacy/pingcap/basic meanwhile",
        "spec.clusterDomain was not set, this run sets cluster1.com, and now it is other.example",
        "(set by kubectl-patch at 20",
        "before  {",
        "ours    {",
        "theirs  {",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is missing:\n{said}");
    }
    // To go on without anything having changed is said to be useless, and not offered first.
    let again = fleet.tool(&["runs", "resume", &run]).await.expect(7);
    assert!(again.stderr.contains("so going on alone changes nothing"), "{}", again.stderr);
    for shown in [fleet.tool(&["runs", "show", &run]).await, fleet.tool(&["runs", "report", &run]).await] {
        let text = shown.expect(0).stdout;
        for wanted in ["before", "ours", "theirs", "other.example", "cluster1.com"] {
            assert!(text.contains(wanted), "{wanted:?} is missing:\n{text}");
        }
    }
    let first = ways(&again).remove(0);
    assert!(first.starts_with("kubectl --kubeconfig "), "{first}");
    assert!(first.contains(" --context legacy -n pingcap patch tidbcluster basic"), "{first}");
    fleet.sh(&first).await.expect(0);
    fleet.go_on(again).await.expect(0);
    fleet.end().await;
}

async fn paused_by_somebody() {
    let fleet = Fleet::standing(&[("stalledS: 1800", "stalledS: 3")]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    fleet
        .sh("kubectl --context legacy -n pingcap patch tidbcluster basic --type merge -p '{\"spec\":{\"paused\":true}}'")
        .await
        .expect(0);
    let ran = fleet::ended(child.take()).await.expect(5);
    assert_eq!(cause(&fleet, &run), json!("invariant"));
    let said = ran.stderr.clone();
    for wanted in ["TidbCluster legacy/pingcap/basic is paused", "spec.paused is true", "(set by kubectl-patch at 20"] {
        assert!(said.contains(wanted), "{wanted:?} is missing:\n{said}");
    }
    assert!(!ran.all().contains("has(tc.spec.paused)"), "an expression is no message:\n{}", ran.all());
    let first = ways(&ran).remove(0);
    assert!(first.contains("\"paused\":false"), "{first}");
    fleet.sh(&first).await.expect(0);
    fleet.heal();
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

async fn api_server_away() {
    let mut fleet = Fleet::standing(&[("stalledS: 1800", "stalledS: 3")]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    fleet.sim.stop_cluster("legacy").await.expect("a context");
    let ran = fleet::ended(child.take()).await.expect(5);
    assert_eq!(cause(&fleet, &run), json!("away"));
    let all = ran.all();
    assert!(all.contains("legacy does not answer: https://127.0.0.1:") && all.contains("refuses connections"), "{all}");
    assert!(!all.contains("does not tell which Kubernetes cluster it is"), "{all}");
    let first = ways(&ran).remove(0);
    assert_ne!(fleet.sh(&first).await.code, 0, "it does not answer yet");
    fleet.sim.restart_cluster("legacy").await.expect("a context");
    fleet.heal();
    fleet.sh(&first).await.expect(0);
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

async fn stood_still() {
    let fleet = Fleet::standing(&[("stalledS: 1800", "stalledS: 6")]).await;
    let ran = fleet.run(&["--yes", "--confirm", "basic"]).await.expect(5);
    let run = fleet.only_run();
    assert_eq!(cause(&fleet, &run), json!("stood-still"));
    let all = ran.all();
    for wanted in [
        "TiKV is rolling: 0 of 3 pods on the new revision",
        "nothing has moved for ",
        "have no StorageClass",
        "logs deploy/tidb-controller-manager",
    ] {
        assert!(all.contains(wanted), "{wanted:?} is missing:\n{all}");
    }
    // Each of the lines about waiting says when it was.
    let waits: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("  … ")).collect();
    let timed = |line: &&str| line.len() > 8 && line.as_bytes()[2] == b':' && line.as_bytes()[5] == b':';
    assert!(!waits.is_empty() && waits.iter().all(timed), "{waits:?}");
    // `status` sees it as well, with the time of the last thing that moved.
    let status = fleet.tool(&["status"]).await.expect(2).stdout;
    assert!(status.contains("TiKV is rolling: 0 of 3") && status.contains("has moved since"), "{status}");
    fleet.heal();
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

async fn took_too_long() {
    let fleet = Fleet::standing(&[("totalS: 14400, stalledS: 1800", "totalS: 2, stalledS: 1000")]).await;
    let ran = fleet.run(&["--yes", "--confirm", "basic"]).await.expect(5);
    let run = fleet.only_run();
    assert_eq!(cause(&fleet, &run), json!("took-too-long"));
    assert!(ran.stderr.contains("wait-rollout took longer than 2 s; last seen: TiKV is rolling"), "{}", ran.stderr);
    fleet.heal();
    // Each time that a person goes on it may take as long once more.
    let mut ran = ran;
    for _ in 0..20 {
        ran = fleet.go_on(ran).await;
        if ran.code != 5 {
            break;
        }
    }
    ran.expect(0);
    fleet.end().await;
}

async fn hopeless() {
    // Without its invariant the wait itself finds that nothing can come any more.
    let invariant = "      - check: \"!has(tc.spec.paused) || !tc.spec.paused\"\n        say:";
    let fleet = Fleet::standing(&[(invariant, "      - check: \"pd.size > 0\"\n        say:")]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    fleet.edit_basic(|tc| tc["spec"]["paused"] = json!(true));
    let ran = fleet::ended(child.take()).await.expect(5);
    assert_eq!(cause(&fleet, &run), json!("hopeless"));
    assert!(ran.stderr.contains("TidbCluster legacy/pingcap/basic is paused"), "{}", ran.stderr);
    fleet.sh(&ways(&ran).remove(0)).await.expect(0);
    fleet.heal();
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

async fn made_anew() {
    let fleet = Fleet::standing(&[]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    fleet.edit_basic(|tc| tc["metadata"]["uid"] = json!("another-uid"));
    let ran = fleet::ended(child.take()).await.expect(5);
    assert_eq!(cause(&fleet, &run), json!("other-object"));
    assert!(ran.stderr.contains("is not the one of the plan: expected uid "), "{}", ran.stderr);
    fleet.ends(&run, &ran).await;
    let anew =
        ways(&ran).into_iter().find(|way| way.starts_with("tidepilot plan migrate-cluster-domain")).expect("anew");
    let plan = fleet.sh(&anew).await;
    assert!(plan.all().contains("legacy/pingcap/basic"), "{}", plan.all());
    fleet.end().await;
}

async fn another_cluster() {
    let fleet = Fleet::standing(&[]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    let store = fleet.sim.store("legacy").expect("a context");
    store.edit("namespaces", "", "kube-system", |space| space["metadata"]["uid"] = json!("another")).expect("there");
    let ran = fleet::ended(child.take()).await.expect(5);
    assert_eq!(cause(&fleet, &run), json!("other-cluster"));
    assert!(ran.stderr.contains("context legacy is another Kubernetes cluster now"), "{}", ran.stderr);
    fleet.ends(&run, &ran).await;
    fleet.end().await;
}

/// A gate is a stop too: its line answers it, each in its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_says_how_it_is_answered() {
    let fleet = Fleet::of(&[]).await;
    let ran = fleet.run(&[]).await.expect(3);
    assert!(ran.stderr.contains("needs --confirm legacy/pingcap/basic"), "{}", ran.stderr);
    let ran = fleet.sh(&ways(&ran).remove(0)).await.expect(3);
    assert!(ran.stderr.contains("needs --yes"), "{}", ran.stderr);
    fleet.sh(&ways(&ran).remove(0)).await.expect(0);
    fleet.end().await;
}

/// An API server that takes everything and answers nothing: the run still stops when it is asked to.
#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_stop_is_heard_while_nothing_answers() {
    let fleet = Fleet::standing(&[]).await;
    let mut child = fleet.begin();
    fleet.after("set-domain").await;
    fleet.sim.faults("legacy").expect("a context").set_hang(true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = std::time::Instant::now();
    fleet::terminate(&child);
    let ran = fleet::ended(child.take()).await.expect(5);
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    assert!(ran.stderr.contains("paused as you asked"), "{}", ran.stderr);
    fleet.sim.faults("legacy").expect("a context").set_hang(false);
    fleet.heal();
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

/// Somebody else moves a peerURL: all three values are said everywhere, and what was skipped is named by what waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_url_of_somebody_else_and_what_was_skipped() {
    let fleet = Fleet::of(&[("timeout: {totalS: 600, stalledS: 300}", "timeout: {totalS: 600, stalledS: 3}")]).await;
    let ran = fleet.run(&["--confirm", "basic"]).await.expect(3);
    let theirs = "http://10.9.9.9:2380";
    let member = fleet.sim.database("basic").expect("there").remove(0);
    fleet.sim.set_peer_url("basic", member.id, theirs).expect("a leader");
    let ran = fleet.sh(&ways(&ran).remove(0)).await.expect(7);
    for wanted in [theirs, ".svc:2380", ".svc.cluster1.com:2380", "PD keeps no record of who changed it"] {
        assert!(ran.stderr.contains(wanted), "{wanted:?} is missing:\n{}", ran.stderr);
    }
    let skip = ways(&ran).into_iter().find(|way| way.contains("--skip")).expect("it may be left out");
    let step = skip.split("--skip ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a step").trim_matches('\'');
    let ran = fleet.sh(&format!("{skip} --yes")).await.expect(5);
    let said = ran.stderr.clone();
    assert!(said.contains(theirs) && said.contains(step) && said.contains("was skipped"), "{said}");
    assert!(said.contains("waits for what an earlier step would have made"), "{said}");
    // By hand, as the line for the skipped step would: then it goes on to its end.
    let ours = ran.stderr.split("expected ").nth(1).and_then(|rest| rest.split([' ', ';', ',']).next()).expect("a URL");
    let member = fleet.sim.database("basic").expect("there");
    let moved = member.iter().find(|member| member.peer_urls == [theirs]).expect("it is still so");
    fleet.sim.set_peer_url("basic", moved.id, ours).expect("a leader");
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}
