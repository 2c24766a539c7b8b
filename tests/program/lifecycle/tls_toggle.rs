//! TLS switched on or off in a running TidbCluster (hazard 25): the world does as the real operator and PD were seen to do, it is
//! said from the objects before anything is lost, nothing leads deeper, and the advice, followed word by word, heals.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Ran, database};
use crate::lifecycle::bed::Bed;

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
const FORCE: &str = "tidb.pingcap.com/force-upgrade";

fn tc(bed: &Bed) -> Value {
    bed.object("legacy", "tidbclusters", "pingcap", "basic").expect("it is there")
}

fn switch(bed: &Bed, enabled: bool) {
    bed.edit("legacy", "tidbclusters", "pingcap", "basic", |tc| tc["spec"]["tlsCluster"] = json!({"enabled": enabled}));
}

fn force(bed: &Bed, set: bool) {
    bed.edit("legacy", "tidbclusters", "pingcap", "basic", |tc| match set {
        true => tc["metadata"]["annotations"][FORCE] = json!("true"),
        false => tc["metadata"]["annotations"] = json!({}),
    });
}

/// Pods of the TidbCluster by name, with the uid of each.
fn pods(bed: &Bed) -> BTreeMap<String, String> {
    let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
    let all = bed.store("legacy").list("pods", Some("pingcap"));
    all.iter().map(|pod| (text(pod, "name"), text(pod, "uid"))).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Long enough for the operator to have looked many times.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

fn findings(checked: &Ran) -> Vec<Value> {
    checked.json()["findings"].as_array().cloned().expect("a list")
}

fn ids(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter_map(|finding| finding["id"].as_str()).collect()
}

/// All that is said while nothing is lost yet.
async fn said_and_nothing_lost(bed: &Bed, enabled: bool) {
    let before = pods(bed);
    let (switched, back) = (if enabled { "on" } else { "off" }, format!("\"enabled\":{}", !enabled));
    switch(bed, enabled);
    until("the operator's blindness", || tc(bed)["status"]["pd"]["synced"] == false).await;
    a_while().await;
    // As measured: no pod but discovery's is touched, and Ready stays.
    let data = |all: &BTreeMap<String, String>| {
        let own = all.iter().filter(|(name, _)| !name.contains("-discovery-"));
        own.map(|(name, uid)| (name.clone(), uid.clone())).collect::<Vec<_>>()
    };
    let after = pods(bed);
    assert_eq!(data(&before), data(&after));
    assert_ne!(before, after, "discovery's is replaced");
    assert_eq!(tc(bed)["status"]["conditions"][0]["status"], "True");

    let status = bed.tool(&["status", "-o", "json"]).await.expect(2).json();
    let basic = database(&status, "basic");
    assert_eq!(basic["quorum"]["healthy"], 3, "PD is asked as it runs: {basic:#}");
    assert!(basic["members"].as_array().expect("a list").iter().all(|member| member["drift"] == false), "{basic:#}");
    let problem = basic["problems"][0].as_str().expect("a problem");
    assert!(problem.contains(&format!("tlsCluster was switched {switched}")), "{problem}");
    assert!(problem.contains(&format!("put spec.tlsCluster.enabled back to {}", !enabled)), "{problem}");

    let checked = bed.tool(&["check", "basic", "-o", "json"]).await.expect(2);
    let found = findings(&checked);
    assert_eq!((&found[0]["id"], &found[0]["severity"]), (&json!("tls-toggled"), &json!("high")), "{found:#?}");
    assert!(found[0]["whatToDo"].as_str().is_some_and(|cure| cure.contains(&back)), "{:#}", found[0]);
    let others = ids(&found);
    for deeper in ["tls-secret-missing", "discovery-unavailable", "peer-url-wrong-scheme", "peer-urls-half-updated"] {
        assert!(!others.contains(&deeper), "{others:?}");
    }
    assert!(found.iter().all(|one| one["whatToDo"].as_str().is_some_and(|cure| cure.contains(&back))), "{found:#?}");
    let diagnosed = bed.tool(&["diagnose", "-o", "json"]).await;
    assert!(diagnosed.all().contains("tls-toggled") && diagnosed.all().contains("put it back"), "{}", diagnosed.all());

    let sent = bed.log_length();
    for (runbook, inputs) in [
        ("issue-ca", vec![BASIC]),
        ("issue-certificates", vec![BASIC]),
        ("renew-certificates", vec![BASIC]),
        ("repair-peer-urls", vec![BASIC]),
        ("migrate-cluster-domain", vec![BASIC, "clusterDomain=cluster1.com"]),
        ("restart-component", vec![BASIC, "component=pd"]),
        ("suspend-cluster", vec![BASIC, "stopDatabase=true"]),
    ] {
        let ran = bed.run(runbook, &inputs, &["basic"]).await.expect(4);
        let said = ran.all();
        assert!(said.contains("put spec.tlsCluster.enabled back to"), "{runbook}: {said}");
        assert!(!said.contains("pd-recover") && !said.contains("What helps is DNS"), "{runbook}: {said}");
    }
    assert_eq!(bed.writes_since(sent), Vec::<String>::new());

    switch(bed, !enabled);
    until("the operator's sight", || tc(bed)["status"]["pd"]["synced"] == true).await;
    a_while().await;
    assert_eq!(data(&before), data(&pods(bed)), "nothing restarts for it");
    let checked = bed.tool(&["check", "basic", "-o", "json"]).await;
    assert!(!ids(&findings(&checked)).contains(&"tls-toggled"), "{}", checked.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_on_it_is_said_before_anything_is_lost() {
    let bed = Bed::of("default", &[]).await;
    said_and_nothing_lost(&bed, true).await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_said_before_anything_is_lost() {
    let bed = Bed::of("tls", &[]).await;
    said_and_nothing_lost(&bed, false).await;
    bed.end().await;
}

/// Whether PD of `basic` serves, as its Service's side sees it: the operator's word comes late.
async fn healthy(bed: &Bed) -> u64 {
    database(&bed.status().await, "basic")["quorum"]["healthy"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_force_upgrade_the_order_of_the_cures_decides() {
    let bed = Bed::of("default", &[]).await;
    // With certificates in place beforehand: that alone is harmless.
    bed.run("issue-ca", &[BASIC], &[]).await.expect(0);
    bed.run("issue-certificates", &[BASIC], &[]).await.expect(0);
    let before = pods(&bed);
    let pd = |all: &BTreeMap<String, String>| {
        all.iter().filter(|(name, _)| name.contains("-pd-")).map(|(_, uid)| uid.clone()).collect::<Vec<_>>()
    };
    switch(&bed, true);
    force(&bed, true);
    until("three new PD pods", || {
        let (old, new) = (pd(&before), pd(&pods(&bed)));
        new.len() == 3 && new.iter().all(|uid| !old.contains(uid))
    })
    .await;
    a_while().await;
    assert_eq!(healthy(&bed).await, 0, "they listen with TLS and dial http");

    let first = async |bed: &Bed| {
        let checked = bed.tool(&["check", "basic", "-o", "json"]).await.expect(2);
        let found = findings(&checked);
        assert_eq!(found[0]["id"], "tls-toggled", "{found:#?}");
        for one in &found {
            let cure = one["whatToDo"].as_str().unwrap_or_default();
            if let Some(away) = cure.find(&format!("{FORCE}-")) {
                let wait = cure.find("wait until every PD member is healthy");
                assert!(wait.is_some_and(|wait| wait < away), "{one:#}");
            }
        }
        found[0]["whatToDo"].as_str().expect("a cure").to_owned()
    };
    let cure = first(&bed).await;
    let (back, away) = (cure.find("\"enabled\":false"), cure.find(&format!("{FORCE}-")));
    assert!(back.is_some() && back < away && !cure.contains(&format!("{FORCE}=true")), "{cure}");
    let ran = bed.run("repair-peer-urls", &[BASIC], &[]).await.expect(4);
    assert!(ran.all().contains("put spec.tlsCluster.enabled back"), "{}", ran.all());
    assert!(!ran.all().contains("pd-recover"), "{}", ran.all());

    // The deadly order, as people do it: PD stays dead, and that is still said, with the one way out.
    force(&bed, false);
    a_while().await;
    switch(&bed, false);
    a_while().await;
    a_while().await;
    let status = bed.tool(&["status", "-o", "json"]).await.expect(2).json();
    assert_eq!(database(&status, "basic")["quorum"]["healthy"], 0);
    let problem = database(&status, "basic")["problems"][0].as_str().expect("a problem").to_owned();
    assert!(problem.contains("tlsCluster was put back, but"), "{problem}");
    let cure = first(&bed).await;
    assert!(cure.contains(&format!("{FORCE}=true")) && !cure.contains("\"enabled\""), "{cure}");
    force(&bed, true);
    until("the operator's sight", || tc(&bed)["status"]["pd"]["synced"] == true).await;
    a_while().await;
    assert_eq!(healthy(&bed).await, 3);
    force(&bed, false);

    // And the right order, at once.
    switch(&bed, true);
    force(&bed, true);
    until("blindness", || tc(&bed)["status"]["pd"]["synced"] == false).await;
    a_while().await;
    switch(&bed, false);
    until("sight", || tc(&bed)["status"]["pd"]["synced"] == true).await;
    a_while().await;
    assert_eq!(healthy(&bed).await, 3);
    bed.end().await;
}
