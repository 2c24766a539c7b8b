//! What one look proves while a run waits: what it set was changed by somebody else, or what it works on is gone. It stops at
//! once, live and when it is resumed, and every list names the way out.

use serde_json::json;

use crate::stops::cause;
use crate::stops::fleet::{Fleet, ended, terminate, ways};

const DELETE: &str = "kubectl --context legacy -n pingcap delete tidbcluster basic --wait=false";

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_run_set_is_changed_while_it_waits() {
    let fleet = Fleet::standing(&[]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    terminate(&child);
    ended(child.take()).await.expect(5);
    fleet
        .sh("kubectl --context legacy -n pingcap patch tidbcluster basic --type merge -p '{\"spec\":{\"clusterDomain\":\"foreign.example\"}}'")
        .await
        .expect(0);
    let ran = fleet.tool(&["runs", "resume", &run]).await.expect(7);
    assert_eq!(cause(&fleet, &run), json!("foreign"));
    for wanted in [
        "somebody else changed TidbCluster legacy/pingcap/basic after set-domain had set it",
        "spec.clusterDomain was not set, this run set cluster1.com, and now it is foreign.example",
        "(set by kubectl-patch at 20",
        "before  {",
        "ours    {",
        "theirs  {",
    ] {
        assert!(ran.stderr.contains(wanted), "{wanted:?} is missing:\n{}", ran.stderr);
    }
    assert!(!ran.all().contains("renew-certificates"), "{}", ran.all());
    // What it had set is set again by the printed line; then it goes on.
    let first = ways(&ran).remove(0);
    fleet.sh(&first).await.expect(0);
    fleet.heal();
    fleet.go_on(ran).await.expect(0);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tidb_cluster_is_deleted_while_the_run_waits() {
    let fleet = Fleet::standing(&[]).await;
    let mut child = fleet.begin();
    let run = fleet.after("set-domain").await;
    fleet.sh(DELETE).await.expect(0);
    let ran = ended(child.take()).await.expect(5);
    assert_eq!(cause(&fleet, &run), json!("other-object"));
    assert!(ran.stderr.contains("TidbCluster legacy/pingcap/basic is gone: it was deleted"), "{}", ran.stderr);
    let all = ways(&ran);
    assert!(
        all[0].starts_with("tidepilot runs abandon ") && !all.iter().any(|way| way.contains("runs resume")),
        "{all:?}"
    );
    named_everywhere(&fleet, &run).await;
    fleet.ends(&run, &ran).await;
    fleet.end().await;
}

/// Of a killed process nothing is noted: what is seen tells it.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_deleted_with_its_namespace_after_the_process_was_killed() {
    let fleet = Fleet::standing(&[]).await;
    let child = fleet.begin();
    let run = fleet.after("set-domain").await;
    drop(child);
    fleet.sh("kubectl --context legacy delete namespace pingcap --wait=false").await.expect(0);
    let store = fleet.sim.store("legacy").expect("a context");
    for _ in 0..200 {
        if store.get("namespaces", "", "pingcap").is_none() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    named_everywhere(&fleet, &run).await;
    let ran = fleet.tool(&["runs", "resume", &run]).await.expect(5);
    assert!(ran.stderr.contains("is gone: it was deleted, and so is its namespace pingcap"), "{}", ran.stderr);
    assert!(ran.took < std::time::Duration::from_secs(30), "{:?}", ran.took);
    fleet.ends(&run, &ran).await;
    fleet.end().await;
}

async fn named_everywhere(fleet: &Fleet, run: &str) {
    for face in [&["status"][..], &["diagnose"], &["runs", "list"]] {
        let ran = fleet.tool(face).await;
        let all = ran.all();
        assert!(!all.contains(&format!("runs resume {run}")), "{face:?}:\n{all}");
        // With what it was asked with, so that it can be typed as it stands.
        let typed = |line: &str| line.contains(&format!("runs abandon {run}")) && line.contains("--kubeconfig ");
        assert!(all.lines().any(typed), "{face:?}:\n{all}");
    }
    let checked = fleet.tool(&["check"]).await.all();
    assert!(!checked.contains(&format!("runs resume {run}")), "{checked}");
}
