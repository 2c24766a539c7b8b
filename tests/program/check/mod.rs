//! `tidepilot check` over simulated fleets: each scenario names exactly what it plants, and a healthy one nothing. And
//! the docs lint over the two source procedures, which are read from beside the repository and never copied into it.
//!
//! Not here: each hazard by itself (`hazards::tests`), the rules of the lint one by one (`…::lint::tests`).

mod faces;
mod hidden;
mod large;
mod lint;
mod witness;

use crate::common;
use std::path::PathBuf;
use std::time::Duration;

use crate::common::Demo;
use serde_json::{Value, json};
use tidepilot::client::{ConnectOptions, Limits, Links, assemble, targets};
use tidepilot::fleet::closer_look::Extras;
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
    pub(super) sim: Sim,
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
