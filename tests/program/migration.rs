//! The migration from end to end: the real binary against the simulated fleet, judged by the fleet's request log and
//! by `status`, never by what the run says about itself.
//!
//! Not here: a real etcd behind the pods, every boundary with every kind of crash (`crash_points.rs`, in memory).

use crate::common;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Demo, Ran, Room, database, dry_patches, effects, finish, members, membership_writes, no_drift};
use crate::common::{real_patches, short};
use serde_json::Value;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
const DOMAIN: &str = "clusterDomain=cluster1.com";
const RUN: [&str; 6] = ["run", "migrate-cluster-domain", "--set", BASIC, "--set", DOMAIN];
const FAST: u32 = 50;

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    first.iter().chain(more).copied().collect()
}

fn migrate(demo: &Demo) -> Ran {
    demo.run(&with(&RUN, &["--yes", "--confirm", "basic"]))
}

fn leader(database: &Value) -> String {
    let leaders: Vec<&Value> = members(database).iter().filter(|member| member["leader"] == true).collect();
    assert_eq!(leaders.len(), 1, "{database:#}");
    leaders[0]["id"].as_str().expect("an id").to_owned()
}

/// Every member was written exactly once, the leader last; one patch was stored, beside those that only made a late one void.
fn each_once(log: &[Value], basic: &Value, moved: usize) {
    let writes = membership_writes(log);
    let ids: BTreeSet<&str> = members(basic).iter().filter_map(|member| member["id"].as_str()).collect();
    assert_eq!(writes.len(), 3, "{writes:?}");
    assert_eq!(writes.iter().map(String::as_str).collect::<BTreeSet<_>>(), ids);
    // A peerURL update does not move the leader, so who leads now led when the last write was sent.
    assert_eq!(writes.last(), Some(&leader(basic)), "the leader is not the last of {writes:?}");
    assert_eq!(real_patches(log), 1 + moved, "{:?}", effects(log));
}

/// Of a migration that nothing disturbs, with room for two or three waits more than there usually are.
const MOST_LOOKS: usize = 18;
const MOST_REQUESTS: usize = 430;

/// One look asks each PD pod what only that one knows (membership, status, health), and one of them what they share. How
/// many looks there are is a matter of how long is waited.
fn asks_no_more_than_it_must(log: &[Value]) {
    let asked = |path: &str, pod: bool| {
        let here = |line: &&Value| line["kubeCluster"] == "legacy" && line["pod"].is_string() == pod;
        let opens_watch = |line: &&Value| line["query"].as_str().is_some_and(|query| query.contains("watch=true"));
        log.iter().filter(here).filter(|line| line["path"] == path && !opens_watch(line)).count()
    };
    let looks = asked("/apis/pingcap.com/v1alpha1/tidbclusters", false);
    assert!((8..=MOST_LOOKS).contains(&looks), "{looks} looks");
    assert!(log.len() <= MOST_REQUESTS, "{} requests", log.len());
    // What a cluster is, is asked where the next thing is to send, and otherwise four times a minute.
    for path in ["/version", "/api/v1/namespaces/kube-system", "/apis/apps/v1/deployments"] {
        assert!(asked(path, false) <= looks / 2 + 2, "{path}: {} times in {looks} looks", asked(path, false));
    }
    // Before each write to the clusters, once: also of what records say.
    let lease =
        |line: &&Value| line["method"] == "GET" && line["path"].as_str().is_some_and(|path| path.contains("/leases/"));
    let confirmed = log.iter().filter(lease).count();
    let writes = |line: &&Value| {
        let stored =
            ["/configmaps", "/leases"].iter().any(|kind| line["path"].as_str().unwrap_or_default().contains(kind));
        common::effect(line) || stored && line["method"] != "GET"
    };
    let writes = log.iter().filter(writes).count();
    assert!(confirmed <= writes + 3, "the lease was asked for {confirmed} times for {writes} writes");
    for (path, most) in [
        ("/v2/members", 3 * looks + 20),
        ("/v3/maintenance/status", 3 * looks),
        ("/health", 3 * looks + 10),
        ("/pd/api/v1/stores", looks + 5),
        ("/pd/api/v1/config/replicate", looks + 5),
        ("/pd/api/v1/health", looks),
        // Once for each connection: three at first, and three to the pods that were made anew.
        ("/pd/api/v1/cluster", 20),
    ] {
        assert!(asked(path, true) <= most, "{path}: {} times in {looks} looks", asked(path, true));
    }
}

#[test]
fn the_default_fleet() {
    let demo = Demo::start("default", FAST);
    let before = demo.status();
    let basic = database(&before, "basic");
    assert!(members(basic).iter().all(|member| member["peerUrls"].to_string().contains(".svc:2380")), "{basic:#}");

    let begun = demo.log().len();
    let ran = migrate(&demo).expect(0);
    let ended = demo.log().len();
    assert!(ran.all().contains("done: 9 steps, each verified"), "{}", ran.all());
    let after = demo.run(&["status", "-o", "json"]).expect(0).json();
    let basic = database(&after, "basic");
    no_drift(basic, 3);
    assert!(members(basic).iter().all(|member| member["peerUrls"].to_string().contains(".svc.cluster1.com:2380")));
    let log = demo.log();
    each_once(&log, basic, 0);
    assert_eq!(dry_patches(&log), 1);
    let patch = log.iter().position(|line| line["method"] == "PATCH" && line["dryRun"] == false);
    let membership = |line: &Value| line["method"] == "PUT" && line["pod"].is_string();
    let first = log.iter().position(membership);
    assert!(patch < first, "a peerURL was written before the patch");
    let query = log[patch.expect("counted above")]["query"].as_str().unwrap_or_default();
    assert!(query.contains("fieldValidation=Strict") && query.contains("fieldManager=tidepilot"), "{query}");
    // Nothing else was touched: every effect is in the TidbCluster's own KubeCluster.
    for line in log.iter().filter(|line| common::effect(line)) {
        assert_eq!(line["kubeCluster"], "legacy", "{}", short(line));
    }

    asks_no_more_than_it_must(&log[begun..ended]);

    let until = log.len();
    let again = migrate(&demo).expect(0);
    assert!(again.all().to_lowercase().contains("nothing to do"), "{}", again.all());
    let later = demo.log().split_off(until);
    let writes: Vec<String> = effects(&later).into_iter().filter(|line| !line.contains("/exec")).collect();
    assert!(writes.is_empty() && !later.is_empty(), "{writes:?}");
}

#[test]
fn half_migrated_is_one_write() {
    let demo = Demo::start("half-migrated", FAST);
    let drifting = |status: &Value| -> Vec<String> {
        let all = members(database(status, "basic")).iter().filter(|member| member["drift"] == true);
        all.map(|member| member["id"].as_str().expect("an id").to_owned()).collect()
    };
    let before = demo.run(&["status", "-o", "json"]).expect(2).json();
    let stale = drifting(&before);
    assert_eq!(stale.len(), 1, "{before:#}");
    // Nothing irreversible is left, so nothing has to be typed.
    demo.run(&with(&RUN, &["--yes"])).expect(0);
    let log = demo.log();
    assert_eq!(membership_writes(&log), stale);
    assert_eq!((real_patches(&log), dry_patches(&log)), (0, 0), "{:?}", effects(&log));
    let after = demo.run(&["status", "-o", "json"]).expect(0).json();
    no_drift(database(&after, "basic"), 3);
}

#[test]
fn one_domain_for_all_needs_only_across_k8s() {
    let demo = Demo::start("default", FAST);
    // Beside the others, which serve other domains, it would be refused.
    let run = ["run", "migrate-cluster-domain", "--context", "legacy", "--set", BASIC];
    let ran = demo.run(&with(&run, &["--yes", "--confirm", "basic"])).expect(0);
    assert!(ran.stderr.contains("spec.acrossK8s: (not set) → true"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("spec.clusterDomain:"), "{}", ran.stderr);
    let log = demo.log();
    assert_eq!((real_patches(&log), dry_patches(&log)), (1, 1));
    assert!(membership_writes(&log).is_empty(), "the URLs are right already: {:?}", membership_writes(&log));
    let after = demo.run(&["status", "-o", "json"]).expect(0).json();
    let basic = database(&after, "basic");
    no_drift(basic, 3);
    for member in members(basic) {
        let (name, pod) = (member["name"].as_str().unwrap_or_default(), member["pod"].as_str().unwrap_or_default());
        assert_eq!(name, format!("{pod}.basic-pd-peer.pingcap.svc"), "not restarted");
    }
}

#[test]
fn a_database_that_spans_clusters_already_has_nothing_to_do() {
    let demo = Demo::start("default", FAST);
    let east = ["--set", "tidbCluster=east/prod/prod-east", "--set", "clusterDomain=east.local"];
    let ran = demo.run(&with(&["plan", "migrate-cluster-domain"], &east)).expect(0);
    assert!(ran.stdout.contains("Nothing to do"), "{}", ran.stdout);
    let log = demo.log();
    // PD 8.5 has no v2 members any more: this was found by asking.
    let asked = |path: &str, status: u64| {
        log.iter().any(|line| line["kubeCluster"] == "east" && line["path"] == path && line["status"] == status)
    };
    assert!(asked("/v2/members", 404) && asked("/v3/cluster/member/list", 200));
    assert_eq!(real_patches(&log), 0);
    assert!(membership_writes(&log).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_member_of_a_newer_pd_is_written_through_v3() {
    let text = include_str!("../../assets/scenarios/half-migrated.yaml");
    let text = text.replace("version: v7.5.4", "version: v8.5.7");
    let scenario = Scenario::parse("half-migrated on 8.5", &text).expect("a scenario");
    let sim = Sim::start_scenario(scenario, SimOptions { speed: 50.0, ..SimOptions::default() }).await;
    let sim = sim.expect("it starts");
    let room = Room::new();
    let ran = tool(&sim, &room, &with(&RUN, &["--yes"])).await.expect(0);
    let log = sim.log().lines();
    assert_eq!(membership_writes(&log), ["/v3/cluster/member/update"], "{}", ran.all());
    let status = tool(&sim, &room, &["status", "-o", "json"]).await.expect(0).json();
    no_drift(database(&status, "basic"), 3);
    sim.shutdown().await;
}

/// Runs the binary beside a fleet that lives in this process.
async fn tool(sim: &Sim, room: &Room, arguments: &[&str]) -> Ran {
    let file = room.path("fleet.yaml");
    sim.write_kubeconfig(&file).expect("a writable room");
    let child = room.command(arguments).arg("--kubeconfig").arg(&file).spawn().expect("the binary starts");
    tokio::task::spawn_blocking(move || finish(child, common::LONG)).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stopped_server_leaves_the_others_live() {
    for (stopped, others) in [("legacy", ["east", "west"]), ("west", ["east", "legacy"])] {
        let mut sim = Sim::start(SimOptions { speed: 20.0, ..SimOptions::default() }).await.expect("it starts");
        let room = Room::new();
        tool(&sim, &room, &["status"]).await.expect(0);
        sim.stop_cluster(stopped).await.expect("a context");
        let ran = tool(&sim, &room, &["status", "-o", "json"]).await.expect(3);
        let status = ran.json();
        for cluster in status["kubeClusters"].as_array().expect("an array") {
            let name = cluster["context"].as_str().expect("a name");
            assert_eq!(cluster["freshness"] == "live", others.contains(&name), "{cluster:#}");
            assert_eq!(cluster["message"].is_string(), name == stopped, "{cluster:#}");
        }
        assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
        // A run that could not judge the whole Database is refused; one on another Database goes its way.
        let east = ["--set", "tidbCluster=east/prod/prod-east", "--set", "clusterDomain=east.local"];
        let planned = tool(&sim, &room, &with(&["plan", "migrate-cluster-domain"], &east)).await;
        assert_eq!(planned.code, if stopped == "west" { 4 } else { 0 }, "{}", planned.all());
        sim.restart_cluster(stopped).await.expect("a context");
        tool(&sim, &room, &["status"]).await.expect(0);
        sim.shutdown().await;
    }
}

#[test]
fn dead_and_hanging_servers_are_sentences() {
    let demo = Demo::start("unreachable", FAST);
    let ran = demo.run(&["status", "-o", "json"]).expect(3);
    assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
    let status = ran.json();
    let said: Vec<(&str, &str, bool)> = status["kubeClusters"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            (text("context"), text("freshness"), one["message"].is_string())
        })
        .collect();
    assert_eq!(said, [("east", "live", false), ("legacy", "unreachable", true), ("west", "unreachable", true)]);
    assert!(!database(&status, "prod-east")["unseen"].as_array().expect("an array").is_empty());
}

#[test]
fn refusals_send_nothing() {
    let demo = Demo::start("default", FAST);
    let run = |target: &str, domain: Option<&str>| {
        let mut arguments = vec!["run", "migrate-cluster-domain", "--yes", "--confirm", "basic", "--set", target];
        arguments.extend(domain.iter().flat_map(|domain| ["--set", domain]));
        demo.run(&arguments).expect(4)
    };
    for (target, domain, said) in [
        (BASIC, "clusterDomain=cluster.local", "its pods resolve under cluster1.com"),
        (BASIC, "clusterDomain=", "found nothing"),
        (BASIC, "clusterDomain=Not_A_Domain", "Not_A_Domain"),
        (BASIC, "clusterDomain=cluster1.com:2380", "cluster1.com:2380"),
        (BASIC, "clusterdomain=cluster1.com", "no input \"clusterdomain\""),
        ("tidbCluster=nowhere/pingcap/basic", DOMAIN, "no context is called \"nowhere\""),
        ("tidbCluster=legacy/pingcap/nobody", DOMAIN, "no TidbCluster legacy/pingcap/nobody"),
        ("tidbCluster=legacy/basic", DOMAIN, "CONTEXT/NAMESPACE/NAME"),
    ] {
        let ran = run(target, Some(domain));
        assert!(ran.all().contains(said), "{target} {domain}: expected {said:?}\n{}", ran.all());
    }
    let ran = demo.run(&["run", "migrate-cluster-domain", "--set", BASIC, "--set", BASIC]).expect(64);
    assert!(ran.stderr.contains("given twice"), "{}", ran.stderr);
    let ran = demo.run(&["run", "no-such-runbook", "--set", BASIC]).expect(4);
    assert!(ran.stderr.contains("migrate-cluster-domain"), "the known ones are not named: {}", ran.stderr);
    let log = demo.log();
    assert_eq!(real_patches(&log), 0);
    assert!(membership_writes(&log).is_empty());
    assert!(demo.room.journals().is_empty(), "{:?}", demo.room.journals());
    no_drift(database(&demo.status(), "basic"), 3);
}

#[test]
fn gates_want_their_own_words() {
    let demo = Demo::start("default", FAST);
    // --yes alone does not answer what has no rollback, and neither does a mistyped name.
    let ran = demo.run(&with(&RUN, &["--yes"])).expect(3);
    assert!(
        ran.stderr.contains("--confirm legacy/pingcap/basic") && ran.stderr.contains("runs resume"),
        "{}",
        ran.stderr
    );
    let told = "it will stop before set-domain and wait for a person (--confirm legacy/pingcap/basic answers now)";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let first = demo.room.journals();
    assert_eq!(first.len(), 1);
    // The run that is open at its gate keeps a second one out, and is the one to go on with.
    demo.run(&with(&RUN, &["--yes", "--confirm", "basic"])).expect(6);
    let ran = demo.run(&["runs", "resume", &first[0], "--yes", "--confirm", "Basic"]).expect(3);
    assert!(ran.stderr.contains("warning: --confirm Basic answered no gate"), "{}", ran.stderr);
    assert_eq!(real_patches(&demo.log()), 0, "{:?}", effects(&demo.log()));

    // The patch is confirmed now, the peerURLs are not: it stops there, and the next resume finishes.
    let ran = demo.run(&["runs", "resume", &first[0], "--confirm", "basic"]).expect(3);
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    assert_eq!(real_patches(&demo.log()), 1);
    assert!(membership_writes(&demo.log()).is_empty());
    let ran = demo.run(&["runs", "resume", &first[0], "--yes", "--confirm", "superfluous"]).expect(0);
    assert!(ran.stderr.contains("warning: --confirm superfluous answered no gate"), "{}", ran.stderr);
    let status = demo.run(&["status", "-o", "json"]).expect(0).json();
    no_drift(database(&status, "basic"), 3);
    each_once(&demo.log(), database(&status, "basic"), 0);
    // A closed run is over: nothing happens when it is resumed.
    let until = demo.log().len();
    demo.run(&["runs", "resume", &first[0], "--yes", "--confirm", "basic"]).expect(0);
    assert!(effects(&demo.log()[until..]).is_empty());
}

#[test]
fn a_dry_run_is_only_a_plan() {
    let demo = Demo::start("default", FAST);
    for arguments in [with(&RUN, &["--dry-run"]), with(&["plan"], &RUN[1..])] {
        let until = demo.log().len();
        let ran = demo.run(&arguments).expect(2);
        assert!(ran.stdout.contains("4 changes to make. Nothing has been sent yet."), "{}", ran.stdout);
        let log = demo.log().split_off(until);
        assert_eq!((dry_patches(&log), real_patches(&log)), (1, 0), "{:?}", effects(&log));
        assert!(membership_writes(&log).is_empty());
    }
    assert!(demo.room.journals().is_empty());
    assert!(database(&demo.status(), "basic")["members"].to_string().contains(".svc:2380"));
}

/// How far a killed run had come: the number of whole lines of its journal and the last of them.
struct Killed {
    run: String,
    lines: usize,
    last: String,
}

/// Starts the migration and kills it as soon as its journal has so many records.
fn kill_at(demo: &Demo, wanted: usize) -> Killed {
    let mut child = demo.command(&with(&RUN, &["--yes", "--confirm", "basic"])).spawn().expect("the binary starts");
    let began = Instant::now();
    let folder = demo.room.runs();
    let mut journal = None;
    let mut size = 0;
    loop {
        if began.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            let ran = finish(child, Duration::from_secs(10));
            panic!("record {wanted} was never written\n{}", ran.all());
        }
        let Some(file) = &journal else {
            journal = demo.room.journals().pop().map(|run| folder.join(format!("{run}.jsonl")));
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        // Looking often has to be cheap: the file is read only when it has grown.
        let grown = std::fs::metadata(file).map_or(0, |data| data.len());
        if grown != size {
            size = grown;
            let bytes = std::fs::read(file).unwrap_or_default();
            if bytes.iter().filter(|byte| **byte == b'\n').count() >= wanted {
                break;
            }
        }
        thread::sleep(Duration::from_micros(300));
    }
    // SIGKILL. It may have ended by itself at the last record.
    let _ = child.kill();
    finish(child, Duration::from_secs(10));
    let run = demo.room.journals().pop().expect("a journal");
    let records = demo.room.records(&run);
    let last = records.last().and_then(|record| record["record"].as_str()).unwrap_or_default().to_owned();
    Killed { run, lines: records.len(), last }
}

fn killed_and_resumed(wanted: usize) -> Killed {
    let demo = Demo::start("default", FAST);
    let killed = kill_at(&demo, wanted);
    let ran = demo.run(&["runs", "resume", &killed.run, "--yes", "--confirm", "basic"]);
    assert_eq!(ran.code, 0, "killed at {} ({}): {}", killed.lines, killed.last, ran.all());
    let status = demo.run(&["status", "-o", "json"]).expect(0).json();
    no_drift(database(&status, "basic"), 3);
    // Exactly once even where the Intent was the last record: either it had left and is adopted, or it had not.
    let records = demo.room.records(&killed.run);
    let moved = records.iter().filter(|record| record.get("moves").is_some()).count();
    each_once(&demo.log(), database(&status, "basic"), moved);
    assert_eq!(records.last().map(|record| &record["record"]), Some(&Value::from("closed")));
    assert_eq!(records.iter().filter(|record| record["record"] == "run-opened").count(), 1);
    killed
}

#[test]
fn killed_at_every_record_and_resumed() {
    // How many records a run has that nobody disturbs.
    let demo = Demo::start("default", FAST);
    migrate(&demo).expect(0);
    let whole = demo.room.records(&demo.room.journals()[0]).len();
    assert!(whole >= 15, "{whole} records are too few for this migration");
    drop(demo);

    let next = AtomicUsize::new(1);
    let met = Mutex::new(BTreeSet::new());
    let kinds = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let wanted = next.fetch_add(1, Ordering::SeqCst);
                    if wanted > whole {
                        break;
                    }
                    let killed = killed_and_resumed(wanted);
                    met.lock().expect("no panic").insert(killed.lines);
                    kinds.lock().expect("no panic").insert(killed.last);
                }
            });
        }
    });
    // Records can follow each other within milliseconds, so on a busy machine a kill comes one too late now and then.
    let met = met.into_inner().expect("no panic");
    assert!(met.len() * 4 >= whole * 3, "only {met:?} of {whole} boundaries were met");
    let kinds = kinds.into_inner().expect("no panic");
    for kind in ["run-opened", "confirmed", "intent", "returned", "completed", "closed"] {
        assert!(kinds.contains(kind), "no run was killed right after a record {kind}: {kinds:?}");
    }
}
