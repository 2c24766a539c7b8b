//! PD between two leaders, as real PD 8.5 and 7.5 answer in that time: 11 s without one after a crash, and stores that the
//! new one has not heard of yet. Nothing of it is a lost quorum, and nothing is refused or advised on it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{database, no_drift};
use crate::lifecycle::bed::Bed;
use crate::lifecycle::repair::STALE;

/// Slow enough for the product to meet each state, fast enough to wait for the end.
const SPEED: f64 = 4.0;
const LONG: Duration = Duration::from_secs(40);

fn kill_the_leader(bed: &Bed, name: &str, namespace: &str) -> String {
    let (context, pod) = bed.sim.pd_leader_pod(name).expect("PD has a leader");
    assert!(bed.sim.kill_process(&context, namespace, &pod).expect("a context"));
    pod
}

fn problems(database: &Value) -> Vec<String> {
    let all = database["problems"].as_array().expect("a list");
    all.iter().map(|problem| problem.as_str().expect("a sentence").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_no_lost_quorum() {
    let bed = Bed::at_speed("default", &[], SPEED).await;
    for (name, shown, namespace) in [("prod", "prod-east", "prod"), ("basic", "basic", "pingcap")] {
        let pod = kill_the_leader(&bed, name, namespace);
        let (start, mut seen) = (Instant::now(), BTreeSet::new());
        loop {
            let ran = bed.tool(&["status", "-o", "json"]).await;
            let over = bed.sim.pd_leader_pod(name).is_some();
            let status = ran.json();
            let found = problems(database(&status, shown));
            let leaderless = found.iter().any(|problem| problem.contains("PD has no leader at the moment"));
            assert!(!leaderless || ran.code == 2, "{found:?}");
            seen.extend(found);
            if over && !leaderless {
                break;
            }
            assert!(start.elapsed() < LONG, "{name} never got a leader again: {seen:?}");
        }
        let said = |what: &str| seen.iter().any(|problem| problem.contains(what));
        assert!(said("have etcd's majority"), "{name}, {pod} killed: {seen:?}");
        assert!(!said("lost its quorum"), "{name}, {pod} killed: {seen:?}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_advised_before_pd_had_time_to_elect() {
    let bed = Bed::at_speed("default", &[STALE], SPEED).await;
    kill_the_leader(&bed, "basic", "pingcap");
    let diagnosed = bed.tool(&["diagnose", "basic"]).await;
    assert!(!diagnosed.stdout.contains("no leader") && bed.sim.pd_leader_pod("basic").is_some(), "{}", diagnosed.all());
    kill_the_leader(&bed, "prod", "prod");
    let repaired = bed.run("repair-peer-urls", &["tidbCluster=west/prod/prod-west"], &[]).await.expect(0);
    assert!(!repaired.all().contains("pd-recover"), "{}", repaired.all());
    no_drift(database(&bed.status().await, "prod-east"), 3);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_new_leader_has_not_heard_of_is_looked_at_again() {
    let bed = Bed::at_speed("default", &[], SPEED).await;
    bed.sim.set_heartbeat("basic", 10_000);
    assert!(bed.sim.hand_over("basic"));
    // The next tick makes them silent.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = bed.status().await;
    let stores = database(&status, "basic")["stores"].as_array().expect("stores").clone();
    assert!(stores.iter().any(|store| store["state"] == "Disconnected"), "{stores:#?}");
    let inputs = ["tidbCluster=legacy/pingcap/basic", "component=tikv"];
    bed.run("restart-component", &inputs, &["basic"]).await.expect(0);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_costs_nothing_of_the_others() {
    // PD waits 3 s for it, of the 5 s that a pod is given.
    let bed = Bed::at_speed("default", &[], 1.0).await;
    let (_, leader) = bed.sim.pd_leader_pod("basic").expect("a leader");
    let frozen = (0..3).map(|i| format!("basic-pd-{i}")).find(|pod| *pod != leader).expect("a follower");
    assert!(bed.sim.freeze_pd("legacy", "pingcap", &frozen, true).expect("a context"));
    let until = bed.log_length();
    let status = bed.tool(&["status", "-o", "json", "--context", "legacy"]).await.json();
    let basic = database(&status, "basic");
    let unseen: Vec<&str> = basic["unseen"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(unseen.iter().all(|sentence| sentence.contains(&frozen)), "{unseen:?}");
    assert_eq!(basic["quorum"]["healthy"], 2);
    assert_eq!(basic["stores"].as_array().map(Vec::len), Some(3));
    assert!(problems(basic).iter().any(|problem| problem.contains(&format!("{frozen} is not healthy"))), "{basic:#}");
    let log = bed.sim.log().lines();
    let asked = log[until..].iter().filter(|line| line["path"] == "/pd/api/v1/health").count();
    assert_eq!(asked, 1, "PD's health is asked of one pod");
    bed.end().await;
}
