//! `tidepilot check` over simulated fleets: each scenario names exactly what it plants, and a healthy one nothing. And
//! the docs lint over the two source procedures, which are read from beside the repository and never copied into it.
//!
//! Not here: each hazard by itself (`hazards::tests`), the rules of the lint one by one (`…::lint::tests`).

mod faces;
mod hidden;
mod witness;

use crate::common;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::{Demo, Room};
use serde_json::{Value, json};
use tidepilot::client::{ConnectOptions, Limits, Links, assemble, targets};
use tidepilot::fleet::extras::Extras;
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, What};
use tidepilot::hazards::lint::{Text, lint};
use tidepilot::hazards::{Checked, check};
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

/// `id database`, sorted, without what is only unknown.
fn named(checked: &Checked) -> Vec<String> {
    let known = checked.findings.iter().filter(|finding| !finding.unknown);
    let mut named: Vec<String> =
        known.map(|finding| format!("{} {}", finding.id(), finding.database.as_deref().unwrap_or("-"))).collect();
    named.sort();
    named.dedup();
    named
}

#[expect(clippy::disallowed_methods, reason = "the certificates of the simulated fleet are made now")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

struct World {
    sim: Sim,
    links: Links,
    /// Certificates are judged by it.
    now: jiff::Timestamp,
    _dir: tempfile::TempDir,
}

impl World {
    /// The default fleet, with its text changed.
    async fn start(changes: &[(&str, &str)]) -> Self {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/scenarios/default.yaml");
        let mut text = std::fs::read_to_string(file).expect("a scenario of ours");
        for (from, to) in changes {
            assert!(text.contains(from), "the scenario has no {from:?}");
            text = text.replacen(from, to, 1);
        }
        Self::of(Scenario::parse("changed", &text).expect("still a scenario")).await
    }

    async fn of(scenario: Scenario) -> Self {
        let options = SimOptions { speed: 200.0, ..SimOptions::default() };
        let sim = Sim::start_scenario(scenario, options).await.expect("the simulated fleet starts");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kubeconfig = dir.path().join("config");
        sim.write_kubeconfig(&kubeconfig).expect("written");
        let limits = Limits { request: Duration::from_secs(2), look: Duration::from_secs(3), ..Limits::default() };
        let options = ConnectOptions { kubeconfig: vec![kubeconfig], limits, ..ConnectOptions::default() };
        let links = Links::new(targets(&options).expect("a good kubeconfig"), options);
        Self { sim, links, now: now(), _dir: dir }
    }

    async fn check(&self) -> Checked {
        check(&assemble(self.links.look_closer(None, &Extras::all()).await), None, self.now)
    }

    /// Looks until exactly this is found: the simulated operator takes a moment to see what was planted.
    async fn names(&self, expected: &[&str]) -> Checked {
        let mut last = Checked::default();
        for _ in 0..40 {
            last = self.check().await;
            if named(&last) == expected {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        panic!("expected {expected:?}, found {:?}\n{last:#?}", named(&last));
    }
}

/// PD answers 500 `ErrNotBootstrapped` to all that is about TiKV until the first one has come: that is an answer, no gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_a_tikv_hides_nothing() {
    let text = "
description: PD alone
kubeClusters: [{name: east, version: v1.33.4, domain: east.local, operator: v1.6.6}]
tidbClusters:
  - kubeCluster: east
    namespace: prod
    name: basic
    spec:
      version: v8.5.4
      configUpdateStrategy: RollingUpdate
      enableDynamicConfiguration: true
      timezone: UTC
      pd: { replicas: 3, maxFailoverCount: 0, config: {}, requests: { storage: 10Gi } }
databases: [{name: basic, clusterId: 7392618453027716404, tidbClusters: [east/prod/basic]}]
";
    let world = World::of(Scenario::parse("alone", text).expect("a scenario")).await;
    let checked = world.names(&[]).await;
    assert!(checked.unseen.is_empty(), "{:?}", checked.unseen);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scenario_names_what_it_plants() {
    let cases: [(&str, &[&str], bool); 6] = [
        ("default", &[], false),
        ("tls", &[], false),
        ("half-migrated", &["peer-urls-half-updated basic"], false),
        (
            "quorum-at-risk",
            &["not-ready basic", "not-ready prod-east", "pd-member-unhealthy basic", "pd-member-unhealthy prod-east"],
            true,
        ),
        ("unreachable", &[], true),
        ("empty", &[], true),
    ];
    for (name, expected, dark) in cases {
        let world = World::of(Scenario::named(name).expect("embedded")).await;
        let checked = world.names(expected).await;
        assert_eq!(checked.dark(), dark, "{name}: {:?}", checked.unseen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_spec_says_wrongly_is_found() {
    let world = World::start(&[
        ("    operator: v1.6.6\n    reaches: [east, legacy]", "    operator: v1.5.3\n    reaches: [east, legacy]"),
        ("tikv: { replicas: 3, maxFailoverCount: 0,", "tikv: { replicas: 3, maxFailoverCount: 3,"),
        (
            "      cluster: { name: prod-east, namespace: prod, clusterDomain: east.local }\n",
            "      cluster: { name: prod-east, namespace: prod, clusterDomain: east.local }\n      pvReclaimPolicy: Delete\n",
        ),
    ])
    .await;
    world
        .names(&["failover-on prod-east", "operator-versions-differ prod-east", "reclaim-policy-delete prod-east"])
        .await;
    world.sim.store("west").expect("west").edit("tidbclusters", "prod", "prod-west", |tc| {
        tc["spec"]["paused"] = json!(true);
        tc["spec"]["tiproxy"] = json!({"replicas": 0, "config": {}});
    });
    let checked = world
        .names(&[
            "failover-on prod-east",
            "operator-versions-differ prod-east",
            "paused prod-east",
            "reclaim-policy-delete prod-east",
            "tiproxy-with-across-k8s prod-east",
        ])
        .await;
    let paused = checked.findings.iter().find(|finding| finding.id() == "paused").expect("just seen");
    assert!(paused.what_to_do.starts_with("kubectl --context west -n prod patch tidbcluster prod-west"), "{paused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_fleet_is_found() {
    let world = World::start(&[]).await;
    world.names(&[]).await;
    let (east, west) = (world.sim.store("east").expect("east").clone(), world.sim.store("west").expect("west").clone());

    let id = world.sim.add_member("prod", "", "http://prod-west-pd-1.prod-west-pd-peer.prod.svc.west.local:2380");
    assert!(id.is_some());
    world.names(&["nameless-member prod-east"]).await;

    east.edit("tidbclusters", "prod", "prod-east", |tc| {
        tc["metadata"]["annotations"]["tidb.pingcap.com/force-upgrade"] = json!("true");
    });
    let managers: Vec<Value> = west
        .list("deployments", None)
        .into_iter()
        .filter(|one| one["metadata"]["name"] == "tidb-controller-manager")
        .collect();
    for one in &managers {
        let (namespace, name) = (one["metadata"]["namespace"].as_str(), one["metadata"]["name"].as_str());
        west.edit("deployments", namespace.expect("namespaced"), name.expect("named"), |one| {
            one["status"]["availableReplicas"] = json!(0);
        });
    }
    assert_eq!(managers.len(), 1);
    let left = |name: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": format!("pd-{name}-pd-0"),
            "namespace": "prod", "labels": {"app.kubernetes.io/managed-by": "tidb-operator",
            "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "pd"}}, "status": {"phase": "Bound"}})
    };
    west.put("persistentvolumeclaims", left("gone"));
    west.put("persistentvolumeclaims", left("prod-west"));
    world
        .names(&["force-upgrade-left prod-east", "nameless-member prod-east", "old-claims -", "operator-down -"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tls_lacks_is_found() {
    let world = World::of(Scenario::named("tls").expect("embedded")).await;
    world.names(&[]).await;
    world.sim.store("west").expect("west").remove("secrets", "prod", "prod-west-tikv-cluster-secret");
    world.names(&["tls-secret-missing prod-east"]).await;
    // Some years later.
    let later = world.now.checked_add(jiff::SignedDuration::from_hours(24 * 365 * 30)).expect("in range");
    let old = World { now: later, ..world };
    old.names(&["certificate-expiry basic", "certificate-expiry prod-east", "tls-secret-missing prod-east"]).await;
}

#[test]
fn the_command_and_its_exit_codes() {
    let demo = Demo::start("half-migrated", 50);
    let found = demo.run(&["check", "-o", "json"]).expect(2).json();
    assert_eq!(found["findings"].as_array().map(Vec::len), Some(1), "{found:#}");
    let finding = &found["findings"][0];
    for field in
        ["id", "hazard", "severity", "database", "subjects", "sentence", "evidence", "why", "whatToDo", "unknown"]
    {
        assert!(finding.get(field).is_some(), "no {field}: {finding:#}");
    }
    assert_eq!((&finding["id"], &finding["hazard"]), (&json!("peer-urls-half-updated"), &json!(37)));
    assert!(finding["evidence"][0]["seen"].is_string(), "{finding:#}");
    let invariants = found["databases"][0]["invariants"].as_array().expect("the seven");
    assert!(invariants.len() == 7 && invariants.iter().all(|one| one["state"].is_string()), "{found:#}");

    demo.run(&["check", "--severity", "high"]).expect(0);
    demo.run(&["check", "prod-east"]).expect(0);
    let text = demo.run(&["check", "basic"]).expect(2).stdout;
    assert!(text.starts_with("MEDIUM  peer-urls-half-updated (37)  basic\n"), "{text}");
    let sarif = demo.run(&["check", "-o", "sarif"]).expect(2).json();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "peer-urls-half-updated");
    demo.run(&["check", "nobody"]).expect(64);
    assert!(common::effects(&demo.log()).is_empty(), "only reads: {:?}", common::effects(&demo.log()));
}

#[test]
fn the_lint_needs_no_cluster() {
    let room = Room::new();
    let file = room.path("tc.yaml");
    std::fs::write(
        &file,
        "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {name: a}\nspec:\n  clusterDomain: \"\"\n",
    )
    .expect("written");
    let path = file.display().to_string();
    let found = room.run(&["check", "--file", &path, "-o", "json"]).expect(2).json();
    let empty = found["findings"].as_array().expect("a list").iter().find(|one| one["id"] == "unreplaced-variable");
    assert_eq!(empty.expect("found")["location"], json!({"file": path, "line": 5}));
    // What people read is Chinese where they ask for it; names, values and the JSON stay.
    let zh = room.run(&["check", "--file", &path, "--lang", "zh"]).expect(2).stdout;
    assert!(zh.contains("变量或占位符没有被替换") && zh.contains("处理  写入实际的值"), "{zh}");
    assert!(zh.contains("unreplaced-variable (12)") && !zh.contains("  why   "), "{zh}");
    let json = room.run(&["check", "--file", &path, "-o", "json", "--lang", "zh"]).expect(2).json();
    assert_eq!(json["findings"], found["findings"]);
    room.run(&["check", "--file", "/nowhere.yaml"]).expect(64);
    room.run(&["check", "--file", &path, "some-database"]).expect(64);

    let mut command = room.command(["check", "--file", "-"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("the binary starts");
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n").expect("written");
    drop(input);
    // A Secret alone is nothing that is judged.
    common::finish(child, common::LONG).expect(3);

    let catalogue = room.run(&["check", "--catalogue", "-o", "json"]).expect(0).json();
    let numbers: Vec<u64> =
        catalogue["hazards"].as_array().expect("a list").iter().filter_map(|one| one["number"].as_u64()).collect();
    assert_eq!(numbers, (1..=82).collect::<Vec<u64>>());
    assert!(room.run(&["check", "--catalogue"]).expect(0).stdout.contains("not from outside"));
}

/// The source procedures beside the repository; `None` (said aloud) where they are not, which CI does not allow.
fn seeds() -> Option<[String; 2]> {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let folder = PathBuf::from(root).join("../shared/seeds");
    let mut texts: Vec<(String, String)> = std::fs::read_dir(&folder)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "txt"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(entry.path()).expect("readable"))
        })
        .collect();
    texts.sort();
    let [old, new] = <[(String, String); 2]>::try_from(texts).ok()?;
    Some([old.1, new.1])
}

/// What the document tells the reader to set, as the shell would replace it. Single quotes keep their text.
fn substituted(text: &str, set: &[(&str, &str)]) -> String {
    text.lines()
        .map(|line| {
            let quoted = line.contains("'{\"peerURLs\"");
            let replaced =
                set.iter().fold(line.to_owned(), |line, (name, value)| line.replace(&format!("${{{name}}}"), value));
            (if quoted { line.to_owned() } else { replaced }) + "\n"
        })
        .collect()
}

fn ids(text: &str) -> Vec<(String, String)> {
    let checked = lint(&[Text { file: "procedure".into(), text: text.to_owned() }]);
    checked
        .findings
        .iter()
        .map(|finding| {
            let line = finding.location.as_ref().map_or(0, |at| at.line);
            let text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().to_owned();
            (finding.id().to_owned(), text)
        })
        .collect()
}

#[track_caller]
fn finds(found: &[(String, String)], id: &str, at: &str) {
    assert!(found.iter().any(|(found, line)| found == id && line.contains(at)), "{id} at {at:?}: {found:#?}");
}

#[test]
fn the_known_defects_of_the_procedures_are_found() {
    let Some([old, new]) = seeds() else {
        assert!(std::env::var("CI").is_err(), "CI needs the source procedures beside the repository");
        eprintln!("left out: the source procedures are not beside the repository");
        return;
    };
    let old_set = [
        ("cluster1_name", "cluster1"),
        ("cluster1_cluster_domain", "cluster1.com"),
        ("cluster1_namespace", "pingcap"),
        ("cluster2_name", "cluster2"),
        ("cluster2_cluster_domain", "cluster2.com"),
        ("cluster2_namespace", "pingcap"),
        // A shell puts nothing in the place of what was never set.
        ("cluster1_clusterdomain", ""),
    ];
    // As it stands (the lint reads the assignments itself), and as a shell would have it.
    for text in [old.clone(), substituted(&old, &old_set)] {
        let found = ids(&text);
        finds(&found, "literal-variable-in-peer-url", "curl http://127.0.0.1:2379/v2/members/");
        finds(&found, "unreplaced-variable", "clusterDomain:");
        finds(&found, "wrong-cluster-reference", "cluster:");
        finds(&found, "wrong-context", "kubectl patch tc cluster2");
        finds(&found, "wrong-context", "kubectl delete tc cluster2");
        finds(&found, "wrong-context", "kubectl patch tidbcluster cluster1");
        finds(&found, "reclaim-policy-delete", "pvReclaimPolicy: Delete");
        finds(&found, "cert-manager-v1alpha2", "apiVersion: cert-manager.io/v1alpha2");
    }
    let new_set = [
        ("tc_name_1", "cluster1"),
        ("tc_name_2", "cluster2"),
        ("namespace_1", "one"),
        ("namespace_2", "two"),
        ("namespace", "pingcap"),
        ("cluster_domain_1", "cluster1.com"),
        ("cluster_domain_2", "cluster2.com"),
    ];
    for text in [new.clone(), substituted(&new, &new_set)] {
        let found = ids(&text);
        finds(&found, "literal-variable-in-peer-url", "curl http://127.0.0.1:2379/v2/members/");
        finds(&found, "wrong-context", "kubectl patch tidbcluster cluster1");
        finds(&found, "reclaim-policy-delete", "pvReclaimPolicy: Delete");
        // The Certificate of the CA, whose Issuer is in another namespace.
        finds(&found, "tls-secret-missing", "-selfsigned-ca-issuer");
        assert!(!found.iter().any(|(id, _)| matches!(id.as_str(), "failover-on" | "across-k8s-missing")), "{found:#?}");
        assert!(!found.iter().any(|(id, line)| id == "tls-secret-missing" && line.contains("ca-secret")), "{found:#?}");
    }
    // Exported and imported as it is: the Secret keeps the first cluster's name, and the second Issuer looks for its own.
    let text = substituted(&new, &new_set);
    let kept = text.replace("      name: cluster2-ca-secret\n    type:", "      name: cluster1-ca-secret\n    type:");
    assert_ne!(text, kept, "the exported Secret is in the text");
    finds(&ids(&kept), "tls-secret-missing", "secretName: cluster2-ca-secret");
}

/// 50 TidbClusters in 20 KubeClusters, all healthy, in Databases of up to three.
fn large() -> Fleet {
    let mut fleet = Fleet::default();
    for index in 0..20 {
        let context = format!("c{index:02}");
        let mut say = |what| fleet.apply(Change { context: context.clone(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::Identity { uid: Some(format!("uid-{index}")), version: Some("v1.33.4".into()) });
        say(What::Crd(Crd::Served { across_k8s: Some(true) }));
        say(What::Operator { version: Some("v1.6.6".into()) });
        say(What::Dns(tidepilot::fleet::dns::Dns::of(&format!("{context}.local"))));
        say(What::Claims(Vec::new()));
        say(What::Events(Vec::new()));
        let own = (0..50).filter(|tc| tc % 20 == index);
        let (mut tcs, mut pods) = (Vec::new(), Vec::new());
        for tc in own {
            let name = format!("db{tc:02}");
            let component = json!({"replicas": 3, "maxFailoverCount": 0, "config": {}});
            tcs.push(serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "db"},
                "spec": {"version": "v8.5.7", "acrossK8s": true, "clusterDomain": format!("{context}.local"),
                    "configUpdateStrategy": "RollingUpdate", "pd": component, "tikv": component, "tidb": component},
                "status": {"clusterID": (1000 + tc % 17).to_string(), "conditions": [{"type": "Ready", "status": "True"}]}
            }))
            .expect("the shape of the API"));
            for (key, count) in [("pd", 3), ("tikv", 3), ("tidb", 3), ("discovery", 1)] {
                pods.extend((0..count).map(|ordinal| {
                    serde_json::from_value(json!({
                        "metadata": {"name": format!("{name}-{key}-{ordinal}"), "namespace": "db", "labels": {
                            "app.kubernetes.io/instance": name, "app.kubernetes.io/component": key}},
                        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                    }))
                    .expect("the shape of the API")
                }));
            }
        }
        say(What::TidbClusters(tcs));
        say(What::Pods(pods));
    }
    // Every PD lists the members of all TidbClusters of its Database.
    let all: Vec<(String, usize)> = (0..50).map(|tc| (format!("c{:02}", tc % 20), tc)).collect();
    for (context, tc) in &all {
        let mates = all.iter().filter(|(_, other)| other % 17 == tc % 17);
        let members = mates.flat_map(|(context, tc)| {
            (0..3).map(move |ordinal| {
                let host = format!("db{tc:02}-pd-{ordinal}.db{tc:02}-pd-peer.db.svc.{context}.local");
                tidepilot::fleet::pd::EtcdMember {
                    id: tidepilot::fleet::pd::MemberId((tc * 10 + ordinal + 1) as u64),
                    peer_urls: vec![format!("http://{host}:2380")],
                    client_urls: vec![format!("http://{host}:2379")],
                    name: host,
                }
            })
        });
        let members: Vec<_> = members.collect();
        for ordinal in 0..3 {
            let answer = tidepilot::fleet::pd::PdAnswer {
                cluster_id: Some(1000 + (tc % 17) as u64),
                self_id: Some(tidepilot::fleet::pd::MemberId((tc * 10 + ordinal + 1) as u64)),
                health: members.iter().map(|member| (member.id, true)).collect(),
                leader: members.first().map(|member| member.id),
                members: members.clone(),
                ..Default::default()
            };
            let view = tidepilot::fleet::pd::PdView { at: jiff::Timestamp::UNIX_EPOCH, answer: Ok(answer) };
            let pod = ObjectKey::new("db", format!("db{tc:02}-pd-{ordinal}"));
            let what = What::Pd { pod, view: Box::new(view) };
            fleet.apply(Change { context: context.clone(), at: jiff::Timestamp::UNIX_EPOCH, what });
        }
    }
    fleet
}

/// The bound of `benches/check.rs`, which an unoptimised build keeps too: about 20 ms on a quiet machine. The best of ten
/// rounds counts, since the machine is shared with other tests.
#[test]
fn a_large_fleet_is_judged_at_once() {
    let fleet = large();
    assert_eq!((fleet.clusters.len(), fleet.tidb_clusters().count()), (20, 50));
    let best = (0..10)
        .map(|_| {
            let begun = std::time::Instant::now();
            let checked = check(&fleet, None, jiff::Timestamp::UNIX_EPOCH);
            assert_eq!(checked.databases.len(), 17);
            begun.elapsed()
        })
        .min()
        .expect("ten rounds");
    eprintln!("check: {best:?}");
    assert!(best < Duration::from_millis(100), "check took {best:?}");
}
