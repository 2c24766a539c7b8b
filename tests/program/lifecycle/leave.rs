//! `leave-cluster`: to the end, again, killed on the way, and everything that it refuses.

use std::time::Duration;

use serde_json::json;

use crate::common::{database, members};
use crate::lifecycle::bed::Bed;

const WEST: &str = "tidbCluster=west/prod/prod-west";

fn claims(bed: &Bed) -> usize {
    bed.store("west").list("persistentvolumeclaims", Some("prod")).len()
}

/// West is gone, and east is as it was.
async fn left(bed: &Bed) {
    assert!(bed.object("west", "tidbclusters", "prod", "prod-west").is_none());
    let pods = bed.store("west").list("pods", Some("prod"));
    assert!(pods.is_empty(), "{pods:?}");
    let status = bed.status().await;
    let prod = database(&status, "prod-east");
    assert_eq!(members(prod).len(), 2, "{prod:#}");
    assert!(
        members(prod).iter().all(|member| member["healthy"] == true && member["kubeCluster"] == "east"),
        "{prod:#}"
    );
    let stores = prod["stores"].as_array().expect("stores");
    assert!(stores.len() == 3 && stores.iter().all(|store| store["state"] == "Up"), "{prod:#}");
    assert_eq!(prod["problems"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_keeps_its_volumes_and_gives_them_back_when_asked() {
    let bed = Bed::of("default", &[]).await;
    let ran = bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(0);
    assert!(ran.all().contains("volume claims stay behind"), "{}", ran.all());
    left(&bed).await;
    assert_eq!(claims(&bed), 4, "the claims of one PD and three TiKV stay");
    // Everything was sent to west alone: one patch, one delete.
    let writes = bed.writes_since(0);
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(writes[0].contains("west PATCH") && writes[1].contains("west DELETE"), "{writes:?}");

    let until = bed.log_length();
    let again = bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(0);
    assert!(again.all().contains("nothing to do") && again.all().contains("it has left already"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    let more = [WEST, "deletePvcs=true"];
    let ran = bed.run("leave-cluster", &more, &["prod-west"]).await.expect(0);
    assert!(ran.all().contains("pvReclaimPolicy"), "{}", ran.all());
    assert_eq!(claims(&bed), 0);
    assert_eq!(bed.writes_since(until).len(), 4, "{:?}", bed.writes_since(until));
    let until = bed.log_length();
    let again = bed.run("leave-cluster", &more, &["prod-west"]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_though_pods_of_its_own_only_start_and_end() {
    let bed = Bed::of("default", &[]).await;
    bed.crash_loops("west", "prod", &["prod-west-tidb-0"]).await;
    let ran = bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(0);
    assert!(!ran.all().contains("A change is under way"), "{}", ran.all());
    assert!(ran.all().contains("prod-west-tidb-0 ("), "{}", ran.all());
    left(&bed).await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pd_of_its_own_it_says_which_line_helps() {
    let bed = Bed::of("default", &[]).await;
    bed.crash_loops("west", "prod", &["prod-west-pd-0"]).await;
    let ran = bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(4);
    let all = ran.all();
    assert!(!all.contains("A change is under way") && all.contains("A part of the Database cannot be seen"), "{all}");
    let restart = [WEST, "component=pd", "pod=prod-west-pd-0"];
    for piece in restart {
        assert!(all.contains(&format!("--set {piece}")), "{all}");
    }
    // The line that was printed makes it anew; the reason is mended as soon as the old one goes, not before: a
    // kubelet that starts it by itself would leave nothing to restart.
    let from = bed.log_length();
    let mended = async {
        while !bed.writes_since(from).iter().any(|line| line.contains("DELETE") && line.contains("prod-west-pd-0")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bed.sim.break_pod("west", "prod", "prod-west-pd-0", false).expect("a context");
    };
    let restarted = async { bed.run("restart-component", &restart, &["prod-west-pd-0"]).await.expect(0) };
    let mended = tokio::time::timeout(Duration::from_secs(60), mended);
    tokio::join!(async { mended.await.expect("it was deleted") }, restarted);
    bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(0);
    left(&bed).await;
    bed.end().await;
}

/// A run that is killed at this record and resumed leaves as one that nobody disturbs. Gives whether it was met.
async fn killed_at(records: usize) -> bool {
    let bed = Bed::of("default", &[]).await;
    // The lead is in west at first.
    let status = bed.status().await;
    let west = members(database(&status, "prod-east")).iter().find(|member| member["kubeCluster"] == "west");
    let pod = west.and_then(|member| member["pod"].as_str()).expect("a member in west");
    bed.run("transfer-pd-leader", &["tidbCluster=east/prod/prod-east", &format!("pod={pod}")], &[]).await.expect(0);
    std::fs::remove_dir_all(bed.room.runs()).expect("the journal of that run");
    let until = bed.log_length();
    let inputs = [WEST, "deletePvcs=true"];
    let (run, killed) = bed.killed("leave-cluster", &inputs, &["prod-west"], records).await;
    let ran = bed.tool(&["runs", "resume", &run, "--yes", "--confirm", "prod-west"]).await;
    assert_eq!(ran.code, 0, "killed at record {records}: {}", ran.all());
    left(&bed).await;
    assert_eq!(claims(&bed), 0);
    // The lead, the patch, the object and four claims: each was sent once.
    let writes = bed.writes_since(until);
    assert_eq!(writes.len(), 7, "killed at record {records}: {writes:?}");
    assert!(writes[0].contains("/leader/transfer/"), "{writes:?}");
    bed.end().await;
    killed
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_the_lead_over_and_survives_being_killed() {
    // Behind the first Intent, in the long wait, behind the Intent of the delete, and among the claims.
    let met = futures::future::join_all([4, 11, 16, 22].map(killed_at)).await;
    assert!(met.iter().filter(|met| **met).count() >= 3, "the run was over before it could be killed: {met:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_would_cost_data_or_the_quorum() {
    let bed = Bed::of("default", &[]).await;
    let refused = async |inputs: &[&str], said: &str| {
        let ran = bed.run("leave-cluster", inputs, &["prod-west", "prod-east", "basic"]).await.expect(4);
        assert!(ran.all().contains(said), "expected {said:?}\n{}", ran.all());
    };
    refused(&["tidbCluster=legacy/pingcap/basic"], "the only TidbCluster of its Database").await;
    refused(&["tidbCluster=nowhere/prod/prod-west"], "no context is called").await;
    let tc = |change: fn(&mut serde_json::Value)| bed.edit("west", "tidbclusters", "prod", "prod-west", change);
    tc(|tc| tc["spec"]["paused"] = json!(true));
    refused(&[WEST], "spec.paused is true").await;
    tc(|tc| drop(tc["spec"].as_object_mut().expect("a spec").shift_remove("paused")));
    tc(|tc| tc["spec"]["pd"]["mode"] = json!("ms"));
    refused(&[WEST], "runs as microservices").await;
    tc(|tc| drop(tc["spec"]["pd"].as_object_mut().expect("a spec").shift_remove("mode")));
    bed.crash_loops("east", "prod", &["prod-east-tidb-1"]).await;
    refused(&[WEST], "is changing").await;
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    assert!(bed.object("west", "tidbclusters", "prod", "prod-west").is_some());
    bed.end().await;

    // East has too few stores to hold three replicas, and nobody but west has a PD.
    let bed = Bed::of(
        "default",
        &[
            ("tikv: { replicas: 3, maxFailoverCount: 0, config: {}, requests: { storage: 100Gi } }\n      tidb: { replicas: 2, maxFailoverCount: 0, config: {}, service: { type: ClusterIP } }\n  - kubeCluster: west",
             "tikv: { replicas: 2, maxFailoverCount: 0, config: {}, requests: { storage: 100Gi } }\n      tidb: { replicas: 2, maxFailoverCount: 0, config: {}, service: { type: ClusterIP } }\n  - kubeCluster: west"),
        ],
    )
    .await;
    let ran = bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(4);
    assert!(ran.all().contains("2 TiKV stores left, all Up, and 3 replicas wanted"), "{}", ran.all());
    // The initial one may leave too, but not while somebody lives on its PD alone.
    bed.edit("west", "tidbclusters", "prod", "prod-west", |tc| {
        drop(tc["spec"].as_object_mut().expect("a spec").shift_remove("pd"));
    });
    let ran = bed.run("leave-cluster", &["tidbCluster=east/prod/prod-east"], &["prod-east"]).await.expect(4);
    assert!(ran.all().contains("has no PD of its own"), "{}", ran.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    bed.end().await;
}
