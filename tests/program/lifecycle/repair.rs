//! `repair-peer-urls` over all TidbClusters of a Database, its removal of members that nobody runs, and `enable-across-k8s`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::{self, database, members, no_drift};
use crate::lifecycle::bed::Bed;

const WEST: &str = "tidbCluster=west/prod/prod-west";
const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
/// Both PDs of east and west have what they would have had before the domain was set.
pub const STALE: (&str, &str) = (
    "    tidbClusters: [east/prod/prod-east, west/prod/prod-west]",
    "    tidbClusters: [east/prod/prod-east, west/prod/prod-west]\n    stalePeerUrls:\n      prod-east-pd-1: http://prod-east-pd-1.prod-east-pd-peer.prod.svc:2380\n      prod-west-pd-0: http://prod-west-pd-0.prod-west-pd-peer.prod.svc:2380",
);

/// Membership writes that PD took, with the KubeCluster through which each one went.
fn updates(bed: &Bed) -> Vec<String> {
    let log = bed.sim.log().lines();
    let taken = log.iter().filter(|line| line.get("pod").is_some() && common::effect(line));
    taken
        .map(|line| {
            format!(
                "{} {}",
                line["kubeCluster"].as_str().unwrap_or_default(),
                line["path"].as_str().unwrap_or_default()
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_every_tidb_cluster_are_repaired_from_any() {
    let bed = Bed::of("default", &[STALE]).await;
    bed.run("repair-peer-urls", &[WEST], &[]).await.expect(0);
    no_drift(database(&bed.status().await, "prod-east"), 3);
    let found: BTreeSet<String> = updates(&bed).into_iter().collect();
    let expected = ["east /v3/cluster/member/update", "west /v3/cluster/member/update"].map(str::to_owned);
    assert_eq!((updates(&bed).len(), found), (2, BTreeSet::from(expected)));
    // The new names were tried from both sides: that is what nobody's health can show.
    let log = bed.sim.log().lines();
    let exec = |context: &str| {
        log.iter().any(|line| {
            line["kubeCluster"] == context && line["path"].as_str().is_some_and(|path| path.ends_with("/exec"))
        })
    };
    assert!(exec("east") && exec("west"));
    let until = bed.log_length();
    let again = bed.run("repair-peer-urls", &[WEST], &[]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    // One that is alone and not opened has peerURLs too.
    let other = bed.run("repair-peer-urls", &[BASIC], &[]).await.expect(0);
    assert!(other.all().contains("nothing to do"), "{}", other.all());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_was_killed_goes_on() {
    let killed = async |records: usize| {
        let bed = Bed::of("default", &[STALE]).await;
        let (run, _) = bed.killed("repair-peer-urls", &[WEST], &[], records).await;
        bed.tool(&["runs", "resume", &run, "--yes"]).await.expect(0);
        no_drift(database(&bed.status().await, "prod-east"), 3);
        assert_eq!(updates(&bed).len(), 2, "killed at record {records}");
        bed.end().await;
    };
    futures::join!(killed(5), killed(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_nobody_runs_go_only_when_asked_for_and_not_with_the_quorum() {
    let bed = Bed::of("default", &[]).await;
    bed.sim
        .add_member("prod", "", "http://prod-west-pd-1.prod-west-pd-peer.prod.svc.west.local:2380")
        .expect("a leader");
    let left = bed.run("repair-peer-urls", &[WEST], &["prod-west"]).await.expect(0);
    assert!(left.all().contains("removeUnused=true takes them out"), "{}", left.all());
    assert_eq!(updates(&bed), Vec::<String>::new());
    let asked = [WEST, "removeUnused=true"];
    bed.run("repair-peer-urls", &asked, &["prod-west"]).await.expect(0);
    assert_eq!(updates(&bed).len(), 1, "{:?}", updates(&bed));
    // One that was left behind by a scale-in: with a name, and no pod that anybody wants.
    let host = "prod-east-pd-5.prod-east-pd-peer.prod.svc.east.local";
    bed.sim.add_member("prod", host, &format!("http://{host}:2380")).expect("a leader");
    let refused = bed.run("leave-cluster", &[WEST], &["prod-west"]).await.expect(4);
    assert!(refused.all().contains("count in every majority"), "{}", refused.all());
    bed.run("repair-peer-urls", &asked, &["prod-west"]).await.expect(0);
    assert_eq!(members(database(&bed.status().await, "prod-east")).len(), 3);
    let until = bed.log_length();
    let again = bed.run("repair-peer-urls", &asked, &["prod-west"]).await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());

    // Two of three are away: nothing can be repaired, and what can help is said.
    bed.crash_loops("east", "prod", &["prod-east-pd-0", "prod-east-pd-1"]).await;
    let began = std::time::Instant::now();
    loop {
        let status = bed.status().await;
        let problems = database(&status, "prod-east")["problems"].to_string();
        if problems.contains("no leader") || problems.contains("lost its quorum") {
            break;
        }
        assert!(began.elapsed() < crate::common::LONG, "{status:#}");
    }
    let lost = bed.run("repair-peer-urls", &[WEST], &[]).await.expect(4);
    assert!(lost.all().contains("What helps is DNS"), "{}", lost.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    bed.end().await;
}

/// clusterDomain is taken away behind everybody's back, and the pods restart without it: the peerURLs are right, and the
/// field is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_was_taken_away_is_what_is_wrong() {
    let bed = Bed::of("default", &[]).await;
    let domain = |value: Value| {
        bed.edit("west", "tidbclusters", "prod", "prod-west", |tc| tc["spec"]["clusterDomain"] = value);
    };
    let west = |status: &Value| {
        let all = members(database(status, "prod-east"));
        all.iter().find(|one| one["pod"] == "prod-west-pd-0").cloned().unwrap_or_default()
    };
    domain(Value::Null);
    let mut status = bed.status().await;
    for _ in 0..40 {
        assert!(!status.to_string().contains("expected http"), "{status:#}");
        if west(&status)["name"].as_str().is_some_and(|name| name.ends_with(".svc")) {
            break;
        }
        status = bed.status().await;
    }
    let member = west(&status);
    assert!(member["name"].as_str().is_some_and(|name| name.ends_with(".svc")), "it never restarted: {member:#}");
    assert_eq!((&member["drift"], &member["expectedPeerUrl"]), (&Value::Bool(false), &Value::Null), "{member:#}");
    let shown = bed.tool(&["status"]).await.expect(2);
    assert!(!shown.stdout.contains("DRIFT") && shown.stdout.contains("has been removed"), "{}", shown.stdout);
    let found = bed.tool(&["check", "-o", "json"]).await.expect(2).json();
    let all = found["findings"].as_array().cloned().unwrap_or_default();
    let ids: BTreeSet<&str> = all.iter().filter_map(|one| one["id"].as_str()).collect();
    assert!(ids.contains("cluster-domain-changed") && !ids.contains("peer-urls-half-updated"), "{ids:?}");
    let lost = all.iter().find(|one| one["id"] == "cluster-domain-changed").expect("just seen");
    assert_eq!((&lost["severity"], &lost["subjects"][0]["name"]), (&"high".into(), &"prod-west".into()), "{lost:#}");
    let back = "--context west -n prod patch tidbcluster prod-west --type merge -p '{\"spec\":{\"clusterDomain\":\"west.local\"}}'";
    assert!(lost["whatToDo"].as_str().is_some_and(|text| text.contains(back)), "{lost:#}");
    for (runbook, inputs) in [
        ("repair-peer-urls", vec![WEST]),
        ("migrate-cluster-domain", vec![WEST, "clusterDomain=west.local"]),
        ("enable-across-k8s", vec![WEST]),
        ("restart-component", vec!["tidbCluster=east/prod/prod-east", "component=tidb"]),
    ] {
        let refused = bed.run(runbook, &inputs, &["prod-west", "prod-east"]).await.expect(4);
        let text = refused.all();
        assert!(text.contains("domain-witnessed") && text.contains(back), "{runbook}: {text}");
    }
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    domain("west.local".into());
    for _ in 0..40 {
        status = bed.status().await;
        if database(&status, "prod-east")["problems"] == serde_json::json!([]) {
            break;
        }
    }
    no_drift(database(&status, "prod-east"), 3);
    bed.end().await;
}

/// What has no rollback stays, so what is put back before it does not fit: the gate says so, and `check` agrees.
#[tokio::test(flavor = "multi_thread")]
async fn the_undo_of_a_finished_migration_says_what_it_ends_in() {
    let bed = Bed::of("default", &[]).await;
    bed.run("migrate-cluster-domain", &[BASIC, "clusterDomain=cluster1.com"], &["basic"]).await.expect(0);
    bed.tool(&["check"]).await.expect(0);
    let run = bed.room.journals().pop().expect("a journal");
    let asked = bed.tool(&["runs", "undo", &run]).await;
    assert!(asked.all().contains("go on?") && asked.all().contains("peer-urls-half-updated"), "{}", asked.all());
    bed.tool(&["runs", "undo", &run, "--yes", "--confirm", "basic"]).await.expect(8);
    let found = bed.tool(&["check", "-o", "json"]).await.json();
    assert!(found["findings"].to_string().contains("peer-urls-half-updated"), "{found:#}");
    let known = bed.room.journals();
    bed.run("repair-peer-urls", &[BASIC], &[]).await.expect(0);
    bed.tool(&["check"]).await.expect(0);
    // To put a repair back is to bring the drift back.
    let repair = bed.room.journals().into_iter().find(|id| !known.contains(id)).expect("a journal");
    let asked = bed.tool(&["runs", "undo", &repair]).await.all();
    assert!(repair != run && asked.contains("they are drift again"), "{asked}");
    bed.end().await;
}

/// A domain that CoreDNS serves beside the kubelets' own, in one way or another, is not refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_refused_only_where_nothing_serves_it() {
    let bed = Bed::of("default", &[]).await;
    let corefile = |text: &str| {
        bed.edit("east", "configmaps", "kube-system", "coredns", |map| map["data"]["Corefile"] = text.into());
    };
    let plan = async |domain: &str| {
        let domain = format!("clusterDomain={domain}");
        let sets = ["--set", "tidbCluster=east/prod/new", "--set", "version=v8.5.4", "--set", &domain];
        bed.tool(&[&["plan", "deploy-initial-cluster"], sets.as_slice()].concat()).await
    };
    let two = ".:53 {\n kubernetes east.local eu.example in-addr.arpa ip6.arpa {\n pods insecure\n }\n cache 30\n}\n";
    let rewritten =
        ".:53 {\n rewrite stop {\n name suffix .eu.example .east.local answer auto\n }\n kubernetes east.local\n}\n";
    for text in [two, rewritten] {
        corefile(text);
        let ran = plan("eu.example").await.expect(2);
        assert!(
            !ran.stdout.contains("domain-is-the-real-one") && !ran.stdout.contains("domain-readable"),
            "{}",
            ran.stdout
        );
        let wrong = plan("us.example").await.expect(4);
        assert!(wrong.stdout.contains("REFUSED  domain-is-the-real-one"), "{}", wrong.stdout);
        assert!(wrong.stdout.contains("clusterDomain=east.local"), "{}", wrong.stdout);
    }
    // What cannot be understood is asked of a pod, which resolves it or does not.
    corefile(".:53 {\n import custom/*.override\n kubernetes east.local\n}\n");
    plan("eu.example").await.expect(4);
    bed.edit("east", "configmaps", "kube-system", "coredns", |map| map["data"] = serde_json::json!({}));
    plan("eu.example").await.expect(4);
    plan("east.local").await.expect(2);
    // Without exec nobody can be asked: a person reads it.
    let ran = bed
        .tool(&[
            "plan",
            "deploy-initial-cluster",
            "--read-only",
            "--set",
            "tidbCluster=east/prod/new",
            "--set",
            "version=v8.5.4",
            "--set",
            "clusterDomain=eu.example",
        ])
        .await
        .expect(2);
    assert!(ran.stdout.contains("domain-readable"), "{}", ran.stdout);
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_domain_for_all() {
    let bed = Bed::of("default", &[]).await;
    bed.enable_alone().await.expect(0);
    // Beside clusters that serve other domains it would be of no use.
    let other = Bed::of("default", &[]).await;
    let refused = other.run("enable-across-k8s", &[BASIC], &["basic"]).await.expect(4);
    assert!(refused.all().contains("domain-needed") && refused.all().contains("cluster1.com"), "{}", refused.all());
    assert_eq!(other.writes_since(0), Vec::<String>::new());
    other.end().await;
    let tc = bed.object("legacy", "tidbclusters", "pingcap", "basic").expect("it is there");
    assert_eq!((&tc["spec"]["acrossK8s"], &tc["spec"]["clusterDomain"]), (&Value::Bool(true), &Value::Null));
    let status = bed.status().await;
    no_drift(database(&status, "basic"), 3);
    for member in members(database(&status, "basic")) {
        let (name, pod) = (member["name"].as_str().unwrap_or_default(), member["pod"].as_str().unwrap_or_default());
        assert_eq!(name, format!("{pod}.basic-pd-peer.pingcap.svc"));
    }
    let until = bed.log_length();
    let again = bed.enable_alone().await.expect(0);
    assert!(again.all().contains("nothing to do"), "{}", again.all());
    // What it cannot put right it does not touch.
    let bed2 = Bed::of("default", &[STALE]).await;
    let refused = bed2.run("enable-across-k8s", &["tidbCluster=east/prod/prod-east"], &["prod-east"]).await.expect(4);
    assert!(refused.all().contains("repair-peer-urls"), "{}", refused.all());
    assert_eq!(bed.writes_since(until), Vec::<String>::new());
    assert_eq!(bed2.writes_since(0), Vec::<String>::new());
    bed.end().await;
    bed2.end().await;
}

/// PD's image of `basic` without any program to look with.
const BARE: (&str, &str) = (
    "      pd: { replicas: 3, maxFailoverCount: 0, config: {}, requests: { storage: 10Gi } }",
    "      pd: { replicas: 3, maxFailoverCount: 0, config: {}, requests: { storage: 10Gi }, baseImage: example/pd-distroless }",
);

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_look_afterwards_does_not_begin() {
    let bed = Bed::of("default", &[BARE]).await;
    let inputs = [BASIC, "clusterDomain=cluster1.com"];
    let refused = bed.run("migrate-cluster-domain", &inputs, &["basic"]).await.expect(4);
    assert!(refused.all().contains("executable file not found"), "{}", refused.all());
    assert_eq!(bed.writes_since(0), Vec::<String>::new());
    // Without a domain nothing is probed, so nothing is missed.
    bed.enable_alone().await.expect(0);
    bed.end().await;
}
