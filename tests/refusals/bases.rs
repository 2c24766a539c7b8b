//! A healthy world for each runbook, and for each of its branches that looks at something else.
//!
//! Not here: what is altered in it ([`super::alterations`]).

use std::collections::BTreeSet;

use serde_json::json;
use tidepilot::client::signing::{self, Ask, Material};
use tidepilot::fleet::tidbcluster::Component;
use tidepilot::fleet::tls::{self, Asked};
use tidepilot::runbook::Observation;
use tidepilot::runbook::definition::Runbook;
use tidepilot::sim::bare::Bare;
use tidepilot::sim::scenario::Scenario;

use super::Inputs;
use super::bare::Bed;
use super::bare::scenarios::{alone, empty, opened, spanning, with_cert_manager};

pub struct Base {
    pub name: &'static str,
    scenario: fn(bool) -> Scenario,
    tls: bool,
    prepare: fn(&Bare),
    pub runbook: &'static str,
    inputs: &'static [(&'static str, &'static str)],
}

impl Base {
    pub fn observed(&self, runbook: &Runbook) -> (Observation, Inputs) {
        let bare = Bare::new(&(self.scenario)(self.tls), 1).expect("a scenario that becomes quiet");
        (self.prepare)(&bare);
        let inputs: Inputs =
            self.inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let seen = Bed::new(bare).observe(runbook, &inputs).unwrap_or_else(|why| panic!("{}: {why}", self.name));
        (seen, inputs)
    }
}

const fn base(
    name: &'static str,
    scenario: fn(bool) -> Scenario,
    tls: bool,
    prepare: fn(&Bare),
    runbook: &'static str,
    inputs: &'static [(&'static str, &'static str)],
) -> Base {
    Base { name, scenario, tls, prepare, runbook, inputs }
}

const BASIC: (&str, &str) = ("tidbCluster", "legacy/pingcap/basic");
const EAST: (&str, &str) = ("tidbCluster", "east/prod/prod-east");
const WEST: (&str, &str) = ("tidbCluster", "west/prod/prod-west");
const AT_EAST: (&str, &str) = ("clusterDomain", "east.local");
const AT_WEST: (&str, &str) = ("clusterDomain", "west.local");
const MARK: (&str, &str) = ("restartedAt", "2026-01-01T00:00:00Z");
const JOIN: (&str, &str) = ("join", "east/prod/prod-east");

/// The spanning one, and a KubeCluster more with nothing in it.
fn with_room(tls: bool) -> Scenario {
    let mut scenario = spanning(tls);
    let mut more = scenario.kube_clusters[1].clone();
    (more.name, more.domain) = ("more".into(), "more.local".into());
    scenario.kube_clusters.push(more);
    scenario
}

/// One Database across three KubeClusters, any of which the others can do without.
fn three(tls: bool) -> Scenario {
    let mut scenario = with_room(tls);
    let mut third = scenario.tidb_clusters[1].clone();
    (third.kube_cluster, third.name) = ("more".into(), "prod-more".into());
    third.spec["clusterDomain"] = json!("more.local");
    scenario.tidb_clusters.push(third);
    for tc in &mut scenario.tidb_clusters {
        tc.spec["pd"]["replicas"] = json!(1);
        tc.spec["tikv"]["replicas"] = json!(1);
    }
    scenario.databases[0].tidb_clusters.push("more/prod/prod-more".into());
    scenario
}

pub const BASES: &[Base] = &[
    base(
        "deploy",
        empty,
        false,
        both,
        "deploy-initial-cluster",
        &[EAST, AT_EAST, ("version", "v8.5.4"), ("storageClass", "fast")],
    ),
    base(
        "deploy with TLS",
        empty,
        true,
        signed_east,
        "deploy-initial-cluster",
        &[EAST, AT_EAST, ("version", "v8.5.4"), ("tls", "true"), ("tlsClient", "true"), ("tiflashReplicas", "2")],
    ),
    base(
        "join",
        opened,
        false,
        both,
        "join-cluster",
        &[JOIN, WEST, AT_WEST, ("pdReplicas", "2"), ("tiflashReplicas", "1")],
    ),
    base("join with TLS", opened, true, signed_west, "join-cluster", &[JOIN, WEST, AT_WEST, ("tlsClient", "true")]),
    base("migrate", alone, false, nothing, "migrate-cluster-domain", &[BASIC, ("clusterDomain", "cluster1.com")]),
    base("migrate without a domain", alone, false, nothing, "migrate-cluster-domain", &[BASIC]),
    base(
        "migrate with TLS",
        alone,
        true,
        nothing,
        "migrate-cluster-domain",
        &[BASIC, ("clusterDomain", "cluster1.com")],
    ),
    base("enable", alone, false, nothing, "enable-across-k8s", &[BASIC]),
    base("enable with TLS", alone, true, nothing, "enable-across-k8s", &[BASIC]),
    base("migrate one of two", spanning, false, nothing, "migrate-cluster-domain", &[EAST, AT_EAST]),
    base("enable one of two", spanning, false, nothing, "enable-across-k8s", &[EAST]),
    base(
        "join two",
        with_room,
        false,
        everywhere,
        "join-cluster",
        &[JOIN, ("tidbCluster", "more/prod/third"), ("clusterDomain", "more.local")],
    ),
    base("suspend one of three", three, false, nothing, "suspend-cluster", &[WEST]),
    base("resume one of three", three, false, nothing, "resume-cluster", &[WEST]),
    base("a CA that is there", empty, false, ca_east, "issue-ca", &[EAST]),
    base("a CA", empty, false, both, "issue-ca", &[EAST, ("copyTo", "west/prod/prod-west")]),
    base(
        "a CA by cert-manager",
        with_cert_manager,
        false,
        both,
        "issue-ca",
        &[EAST, ("copyTo", "west/prod/prod-west"), ("method", "cert-manager")],
    ),
    base("certificates", empty, false, ca_east, "issue-certificates", &[EAST, AT_EAST]),
    base(
        "certificates by cert-manager",
        with_cert_manager,
        false,
        ca_east,
        "issue-certificates",
        &[EAST, AT_EAST, ("method", "cert-manager")],
    ),
    base("certificates of one that is there", opened, true, nothing, "issue-certificates", &[EAST, AT_EAST]),
    base("renew", opened, true, nothing, "renew-certificates", &[EAST, AT_EAST]),
    base("leave", spanning, false, nothing, "leave-cluster", &[WEST]),
    base("leave with the claims", spanning, false, nothing, "leave-cluster", &[WEST, ("deletePvcs", "true")]),
    base("monitor", spanning, false, nothing, "monitor-across-clusters", &[EAST, ("storage", "10Gi")]),
    base("repair", spanning, false, nothing, "repair-peer-urls", &[EAST]),
    base("repair and remove", spanning, false, nothing, "repair-peer-urls", &[EAST, ("removeUnused", "true")]),
    base("restart PD", spanning, false, nothing, "restart-component", &[EAST, ("component", "pd"), MARK]),
    base("restart TiKV", spanning, false, nothing, "restart-component", &[EAST, ("component", "tikv"), MARK]),
    base("resume", alone, false, suspended, "resume-cluster", &[BASIC]),
    base("suspend all", alone, false, nothing, "suspend-cluster", &[BASIC, ("stopDatabase", "true")]),
    base("transfer", spanning, false, nothing, "transfer-pd-leader", &[EAST, ("pod", "prod-west-pd-0")]),
    base("upgrade", spanning, false, nothing, "upgrade-cluster", &[EAST, ("version", "v8.5.7")]),
    base(
        "look across",
        spanning,
        false,
        nothing,
        "verify-network",
        &[("first", "east/prod/prod-east"), ("second", "west/prod/prod-west")],
    ),
];

fn nothing(_: &Bare) {}

fn both(bare: &Bare) {
    namespaces(bare, &["east", "west"]);
}

fn everywhere(bare: &Bare) {
    namespaces(bare, &["east", "west", "more"]);
}

fn namespaces(bare: &Bare, contexts: &[&str]) {
    for context in contexts {
        if bare.store(context).expect("a context").get("namespaces", "", "prod").is_none() {
            bare.store(context).expect("a context").put("namespaces", json!({"metadata": {"name": "prod"}}));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a certificate is valid from now on, by the clock of the bed")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn put(bare: &Bare, context: &str, name: &str, made: &Material) {
    let metadata = json!({"namespace": "prod", "name": name});
    let secret = json!({"metadata": metadata, "type": "kubernetes.io/tls", "data": made.data()});
    bare.store(context).expect("a context").put("secrets", secret);
}

fn ca_east(bare: &Bare) {
    both(bare);
    let ask = Ask { common_name: "TiDB", organization: None, hosts: &[], usages: BTreeSet::new(), days: 3_650 };
    put(bare, "east", "prod-east-ca-secret", &signing::authority(&ask, now()).expect("a CA"));
}

/// Every certificate that a TidbCluster could need, signed by the CA in `prod-east-ca-secret`.
fn signed(bare: &Bare, context: &str, name: &str) {
    let ca = bare.store("east").expect("a context").get("secrets", "prod", "prod-east-ca-secret").expect("a CA");
    let ca = tidepilot::client::certificates::values(&ca);
    let domain = format!("{context}.local");
    let asked = Asked {
        name,
        namespace: "prod",
        domain: Some(&domain),
        common_name: None,
        components: Component::ALL.to_vec(),
        mysql: true,
    };
    for wanted in tls::wanted(&asked) {
        let hosts = wanted.hosts();
        let ask =
            Ask { common_name: "TiDB", organization: None, hosts: &hosts, usages: wanted.usages.clone(), days: 365 };
        let made = signing::certificate(&ask, "prod-east-ca-secret", &ca, now()).expect("a certificate");
        put(bare, context, &wanted.secret, &made);
    }
}

fn signed_east(bare: &Bare) {
    ca_east(bare);
    signed(bare, "east", "prod-east");
}

/// For the one that joins the Database in east, whose CA is there.
fn signed_west(bare: &Bare) {
    both(bare);
    signed(bare, "west", "prod-west");
}

fn suspended(bare: &Bare) {
    let patch = br#"{"spec": {"suspendAction": {"suspendStatefulSet": true}}}"#;
    let path = "/apis/pingcap.com/v1alpha1/namespaces/pingcap/tidbclusters/basic";
    assert_eq!(bare.ask("legacy", "PATCH", path, "application/merge-patch+json", patch).0, 200);
    bare.pass(120);
}
