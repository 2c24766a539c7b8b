//! A row for every way through every shipped runbook.

use crate::bare::scenarios::{alone, empty, half_repaired, opened, spanning, with_cert_manager};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tidepilot::client::certificates::signing::{self, Ask};
use tidepilot::sim::in_memory::Bare;
use tidepilot::sim::scenario::Scenario;

/// One journey: a runbook with inputs on a scenario.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) scenario: fn(bool) -> Scenario,
    pub(super) tls: bool,
    /// What is done to the world before.
    pub(super) prepare: fn(&Bare),
    pub(super) runbook: &'static str,
    pub(super) inputs: &'static [(&'static str, &'static str)],
    /// A long one: most of its cases go on for so many completed steps only, and one in so many to the end.
    pub(super) far: Option<usize>,
    /// Also its rollback is walked, from its end.
    pub(super) undo: bool,
    /// What has to be so in the end, in words of the world that is left.
    pub(super) ends: fn(&BTreeMap<String, Value>) -> bool,
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "deploy",
        scenario: empty,
        tls: false,
        prepare: |bare| namespace(bare, "east"),
        runbook: "deploy-initial-cluster",
        inputs: &[
            ("tidbCluster", "east/prod/prod-east"),
            ("clusterDomain", "east.local"),
            ("version", "v8.5.7"),
            ("tikvReplicas", "1"),
            ("tidbReplicas", "1"),
        ],
        far: None,
        undo: true,
        ends: |world| world["east/tidbclusters/prod/prod-east"]["spec"]["acrossK8s"] == true,
    },
    Row {
        name: "issue a CA, built in, with a copy",
        scenario: empty,
        tls: false,
        prepare: |bare| ["east", "west"].iter().for_each(|context| namespace(bare, context)),
        runbook: "issue-ca",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("copyTo", "west/prod/prod-west")],
        far: None,
        undo: true,
        ends: |world| world.contains_key("west/secrets/prod/prod-west-ca-secret"),
    },
    Row {
        name: "issue a CA with cert-manager",
        scenario: with_cert_manager,
        tls: false,
        prepare: |bare| namespace(bare, "east"),
        runbook: "issue-ca",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("method", "cert-manager")],
        far: None,
        undo: false,
        ends: |world| world.contains_key("east/secrets/prod/prod-east-ca-secret"),
    },
    Row {
        name: "issue certificates, built in",
        scenario: empty,
        tls: false,
        prepare: authority,
        runbook: "issue-certificates",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("clusterDomain", "east.local"), ("components", "pd,tikv")],
        far: Some(2),
        undo: true,
        ends: |world| world.contains_key("east/secrets/prod/prod-east-pd-cluster-secret"),
    },
    Row {
        name: "issue certificates with cert-manager",
        scenario: with_cert_manager,
        tls: false,
        prepare: authority,
        runbook: "issue-certificates",
        inputs: &[
            ("tidbCluster", "east/prod/prod-east"),
            ("clusterDomain", "east.local"),
            ("components", "pd,tikv"),
            ("method", "cert-manager"),
        ],
        far: Some(2),
        undo: false,
        ends: |world| world.contains_key("east/secrets/prod/prod-east-pd-cluster-secret"),
    },
    Row {
        name: "renew certificates",
        scenario: opened,
        tls: true,
        prepare: nameless_certificates,
        runbook: "renew-certificates",
        inputs: &[("tidbCluster", "east/prod/prod-east")],
        far: Some(2),
        undo: false,
        ends: |world| world.contains_key("east/secrets/prod/prod-east-pd-cluster-secret"),
    },
    Row {
        name: "join",
        scenario: opened,
        tls: false,
        prepare: |bare| namespace(bare, "west"),
        runbook: "join-cluster",
        inputs: &[
            ("join", "east/prod/prod-east"),
            ("tidbCluster", "west/prod/prod-west"),
            ("clusterDomain", "west.local"),
            ("tikvReplicas", "1"),
            ("tidbReplicas", "1"),
        ],
        far: None,
        undo: false,
        ends: |world| world["database prod"].as_object().is_some_and(|members| members.len() == 4),
    },
    Row {
        name: "enable acrossK8s",
        scenario: alone,
        tls: false,
        prepare: |_| {},
        runbook: "enable-across-k8s",
        inputs: &[("tidbCluster", "legacy/pingcap/basic")],
        far: None,
        undo: false,
        ends: |world| world["legacy/tidbclusters/pingcap/basic"]["spec"]["acrossK8s"] == true,
    },
    Row {
        name: "repair peerURLs",
        scenario: half_repaired,
        tls: true,
        prepare: |_| {},
        runbook: "repair-peer-urls",
        inputs: &[("tidbCluster", "east/prod/prod-east")],
        far: None,
        undo: false,
        ends: |world| world["database prod"].to_string().matches(".local:2380").count() == 3,
    },
    Row {
        name: "monitor",
        scenario: spanning,
        tls: false,
        prepare: |_| {},
        runbook: "monitor-across-clusters",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("storage", "10Gi")],
        far: Some(2),
        undo: true,
        ends: |world| {
            let query = &world["east/deployments/prod/prod-east-thanos-query"]["spec"];
            let labels = |place: &str| world[place]["spec"]["externalLabels"]["k8s_cluster"].clone();
            query.to_string().contains("--store=prod-west-prometheus.prod.svc.west.local:10901")
                && labels("east/tidbmonitors/prod/prod-east") != labels("west/tidbmonitors/prod/prod-west")
        },
    },
    Row {
        name: "monitor with object storage and Grafana",
        scenario: spanning,
        tls: false,
        prepare: |bare| {
            ["east", "west"].iter().for_each(|at| secret(bare, at, "bucket", &["objectstorage.yaml"]));
            secret(bare, "east", "grafana", &["username", "password"]);
        },
        runbook: "monitor-across-clusters",
        inputs: &[
            ("tidbCluster", "east/prod/prod-east"),
            ("objectStorageSecret", "bucket"),
            ("globalGrafanaSecret", "grafana"),
        ],
        far: Some(2),
        undo: false,
        ends: |world| {
            let (query, grafana) = (
                world["east/deployments/prod/prod-east-thanos-query"].to_string(),
                world["east/deployments/prod/prod-east-global-grafana"].to_string(),
            );
            query.contains("--store=prod-east-thanos-store:10901")
                && world["east/tidbmonitors/prod/prod-east"]["spec"]["thanos"]["objectStorageConfig"]["name"]
                    == "bucket"
                && grafana.contains("http://prod-east-thanos-query:9090")
        },
    },
    Row {
        name: "monitor by remote write",
        scenario: spanning,
        tls: false,
        prepare: |bare| ["east", "west"].iter().for_each(|at| secret(bare, at, "push", &["username", "password"])),
        runbook: "monitor-across-clusters",
        inputs: &[
            ("tidbCluster", "east/prod/prod-east"),
            ("method", "remote-write"),
            ("remoteWriteUrl", "http://thanos-receiver:19291/api/v1/receive"),
            ("remoteWriteSecret", "push"),
        ],
        far: Some(2),
        undo: false,
        ends: |world| {
            let pushed = |place: &str| {
                let prometheus = &world[place]["spec"]["prometheus"];
                prometheus["remoteWrite"][0]["url"] == "http://thanos-receiver:19291/api/v1/receive"
                    && prometheus["remoteWrite"][0]["basicAuth"]["password"]["name"] == "push"
                    && prometheus["retentionTime"] == "2h"
                    && world[place]["spec"]["thanos"].is_null()
            };
            pushed("east/tidbmonitors/prod/prod-east") && pushed("west/tidbmonitors/prod/prod-west")
        },
    },
    Row {
        name: "monitor by federation",
        scenario: spanning,
        tls: false,
        prepare: |bare| secret(bare, "east", "grafana", &["username", "password"]),
        runbook: "monitor-across-clusters",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("method", "federation"), ("globalGrafanaSecret", "grafana")],
        far: Some(2),
        undo: true,
        ends: |world| {
            let both = "prod-east-prometheus.prod.svc.east.local:9090,prod-west-prometheus.prod.svc.west.local:9090";
            world["east/deployments/prod/prod-east-federation"].to_string().contains(both)
                && world["east/deployments/prod/prod-east-global-grafana"].to_string().contains("-federation:9090")
        },
    },
    Row {
        name: "migrate with a domain",
        scenario: alone,
        tls: false,
        prepare: |_| {},
        runbook: "migrate-cluster-domain",
        inputs: &[("tidbCluster", "legacy/pingcap/basic"), ("clusterDomain", "cluster1.com")],
        far: None,
        undo: false,
        ends: |world| {
            world["legacy/tidbclusters/pingcap/basic"]["spec"]["clusterDomain"] == "cluster1.com"
                && world["database basic"].to_string().matches(".svc.cluster1.com:2380").count() == 3
        },
    },
    Row {
        name: "migrate with acrossK8s only",
        scenario: alone,
        tls: false,
        prepare: |_| {},
        runbook: "migrate-cluster-domain",
        inputs: &[("tidbCluster", "legacy/pingcap/basic")],
        far: None,
        undo: true,
        ends: |world| world["legacy/tidbclusters/pingcap/basic"]["spec"]["acrossK8s"] == true,
    },
    Row {
        name: "migrate under TLS",
        scenario: alone,
        tls: true,
        prepare: |_| {},
        runbook: "migrate-cluster-domain",
        inputs: &[("tidbCluster", "legacy/pingcap/basic"), ("clusterDomain", "cluster1.com")],
        far: None,
        undo: false,
        ends: |world| world["database basic"].to_string().matches("https://").count() == 3,
    },
    Row {
        name: "upgrade",
        scenario: spanning,
        tls: false,
        prepare: |_| {},
        runbook: "upgrade-cluster",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("version", "v8.5.7")],
        far: Some(2),
        undo: false,
        ends: |world| {
            ["east/tidbclusters/prod/prod-east", "west/tidbclusters/prod/prod-west"].iter().all(|place| {
                let spec = &world[*place]["spec"];
                ["pd", "tikv", "tidb"].iter().all(|component| spec[component]["version"] == "v8.5.7")
            })
        },
    },
    Row {
        name: "leave, with the claims",
        scenario: spanning,
        tls: true,
        prepare: |_| {},
        runbook: "leave-cluster",
        inputs: &[("tidbCluster", "west/prod/prod-west"), ("deletePvcs", "true")],
        far: None,
        undo: false,
        ends: |world| {
            let gone = ["west/tidbclusters/", "west/statefulsets/", "west/persistentvolumeclaims/"];
            !world.keys().any(|place| gone.iter().any(|gone| place.starts_with(gone)))
                && world["database prod"].as_object().is_some_and(|members| members.len() == 2)
        },
    },
    Row {
        name: "restart TiKV",
        scenario: alone,
        tls: false,
        prepare: |_| {},
        runbook: "restart-component",
        inputs: &[
            ("tidbCluster", "legacy/pingcap/basic"),
            ("component", "tikv"),
            ("restartedAt", "2026-01-01T00:00:00Z"),
        ],
        far: None,
        undo: false,
        ends: |world| {
            let spec = &world["legacy/tidbclusters/pingcap/basic"]["spec"];
            spec["tikv"]["annotations"]["tidb.pingcap.com/restartedAt"] == "2026-01-01T00:00:00Z"
        },
    },
    Row {
        name: "suspend",
        scenario: alone,
        tls: false,
        prepare: |_| {},
        runbook: "suspend-cluster",
        inputs: &[("tidbCluster", "legacy/pingcap/basic"), ("stopDatabase", "true")],
        far: None,
        undo: true,
        ends: |world| !world.contains_key("legacy/statefulsets/pingcap/basic-pd"),
    },
    Row {
        name: "resume",
        scenario: alone,
        tls: false,
        prepare: suspend,
        runbook: "resume-cluster",
        inputs: &[("tidbCluster", "legacy/pingcap/basic")],
        far: None,
        undo: false,
        ends: |world| world["database basic"].as_object().is_some_and(|members| members.len() == 3),
    },
    Row {
        name: "transfer the lead",
        scenario: spanning,
        tls: false,
        prepare: |_| {},
        runbook: "transfer-pd-leader",
        inputs: &[("tidbCluster", "east/prod/prod-east"), ("pod", "prod-west-pd-0")],
        far: None,
        undo: false,
        ends: |_| true,
    },
    Row {
        name: "verify the network",
        scenario: spanning,
        tls: false,
        prepare: |_| {},
        runbook: "verify-network",
        inputs: &[("first", "east/prod/prod-east"), ("second", "west/prod/prod-west")],
        far: Some(3),
        undo: true,
        ends: |world| !world.keys().any(|place| place.ends_with("-tidepilot-probe")),
    },
];

pub(super) fn namespace(bare: &Bare, context: &str) {
    let body = br#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}}"#;
    assert_eq!(bare.ask(context, "POST", "/api/v1/namespaces", "application/json", body).0, 201);
}

/// A Secret that somebody else has made.
fn secret(bare: &Bare, context: &str, name: &str, keys: &[&str]) {
    let data: BTreeMap<&str, &str> = keys.iter().map(|key| (*key, "eA==")).collect();
    let body =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "prod", "name": name}, "data": data});
    let path = "/api/v1/namespaces/prod/secrets";
    assert_eq!(bare.ask(context, "POST", path, "application/json", body.to_string().as_bytes()).0, 201);
}

/// The CA that signs in these rows.
pub(super) fn authority(bare: &Bare) {
    namespace(bare, "east");
    let ask = Ask { common_name: "TiDB", organization: None, hosts: &[], usages: BTreeSet::new(), days: 3_650 };
    #[allow(clippy::disallowed_methods, reason = "a certificate is valid from now on, by the clock of the bed")]
    let made = signing::authority(&ask, jiff::Timestamp::now()).expect("a CA");
    let metadata = json!({"namespace": "prod", "name": "prod-east-ca-secret"});
    let secret = json!({"metadata": metadata, "type": "Opaque", "data": made.data()});
    bare.store("east").expect("a context").put("secrets", secret);
}

/// PD, TiKV and TiDB hold the certificate of a client: no names, and not for a server.
pub(super) fn nameless_certificates(bare: &Bare) {
    let store = bare.store("east").expect("a context");
    let client = store.get("secrets", "prod", "prod-east-cluster-client-secret").expect("it is there");
    for component in ["pd", "tikv", "tidb"] {
        let name = format!("prod-east-{component}-cluster-secret");
        store.edit("secrets", "prod", &name, |secret| secret["data"] = client["data"].clone()).expect("it is there");
    }
}

pub(super) fn suspend(bare: &Bare) {
    let patch = br#"{"spec": {"suspendAction": {"suspendStatefulSet": true}}}"#;
    let path = "/apis/pingcap.com/v1alpha1/namespaces/pingcap/tidbclusters/basic";
    assert_eq!(bare.ask("legacy", "PATCH", path, "application/merge-patch+json", patch).0, 200);
    bare.pass(120);
}
