//! The two fleets in which nothing is refused, each looked at once: what [`super::worlds`] alters.

use super::worlds::{EAST, Fleet, WEST, base, runbook_of};
use crate::bare::Bed;
use crate::bare::scenarios::{opened, spanning};
use serde_json::json;
use std::collections::BTreeSet;
use tidepilot::client::certificates::signing::{self, Ask};
use tidepilot::fleet::ObjectRef;
use tidepilot::sim::in_memory::Bare;
use tidepilot::sim::scenario::Scenario;

/// A runbook with inputs on a fleet where nothing is refused.
pub struct Base {
    /// The runbook's id, and after a slash what is special.
    pub name: &'static str,
    pub fleet: Fleet,
    pub inputs: &'static [(&'static str, &'static str)],
}

pub const BASES: &[Base] = &[
    base(
        "deploy-initial-cluster",
        Fleet::Opened,
        &[("tidbCluster", WEST), ("clusterDomain", "west.local"), ("version", "v8.5.7")],
    ),
    base("enable-across-k8s", Fleet::Spanning, &[("tidbCluster", WEST)]),
    base("issue-ca", Fleet::Opened, &[("tidbCluster", WEST)]),
    base("issue-ca/again", Fleet::Opened, &[("tidbCluster", EAST)]),
    base(
        "issue-certificates",
        Fleet::Opened,
        &[("tidbCluster", WEST), ("clusterDomain", "west.local"), ("caOf", EAST)],
    ),
    base(
        "join-cluster",
        Fleet::Opened,
        &[("join", EAST), ("tidbCluster", WEST), ("clusterDomain", "west.local"), ("pdReplicas", "2")],
    ),
    base(
        "join-cluster/joined",
        Fleet::Spanning,
        &[
            ("join", EAST),
            ("tidbCluster", WEST),
            ("clusterDomain", "west.local"),
            ("tikvReplicas", "1"),
            ("tidbReplicas", "1"),
        ],
    ),
    base("leave-cluster", Fleet::Spanning, &[("tidbCluster", WEST)]),
    base("leave-cluster/all", Fleet::Spanning, &[("tidbCluster", WEST), ("deletePvcs", "true")]),
    base("migrate-cluster-domain", Fleet::Spanning, &[("tidbCluster", WEST), ("clusterDomain", "west.local")]),
    base("monitor-across-clusters", Fleet::Spanning, &[("tidbCluster", EAST), ("storage", "10Gi")]),
    base("renew-certificates", Fleet::Spanning, &[("tidbCluster", EAST), ("clusterDomain", "east.local")]),
    base("repair-peer-urls", Fleet::Spanning, &[("tidbCluster", EAST)]),
    base(
        "restart-component",
        Fleet::Spanning,
        &[("tidbCluster", EAST), ("component", "pd"), ("restartedAt", "2026-01-01T00:00:00Z")],
    ),
    base(
        "restart-component/tikv",
        Fleet::Spanning,
        &[("tidbCluster", EAST), ("component", "tikv"), ("restartedAt", "2026-01-01T00:00:00Z")],
    ),
    base("resume-cluster", Fleet::Spanning, &[("tidbCluster", EAST)]),
    base("suspend-cluster", Fleet::Spanning, &[("tidbCluster", WEST)]),
    base("suspend-cluster/all", Fleet::Spanning, &[("tidbCluster", WEST), ("stopDatabase", "true")]),
    base("transfer-pd-leader", Fleet::Spanning, &[("tidbCluster", EAST), ("pod", "prod-west-pd-0")]),
    base("upgrade-cluster", Fleet::Spanning, &[("tidbCluster", EAST), ("version", "v8.5.7")]),
    base("verify-network", Fleet::Opened, &[("first", EAST), ("second", WEST), ("more", "north/prod/prod-north")]),
];

impl Base {
    pub fn runbook(&self) -> &'static str {
        runbook_of(self.name)
    }

    fn named(&self, inputs: &[&str]) -> ObjectRef {
        let given = |name: &&str| self.inputs.iter().find(|(known, _)| known == name);
        let (_, text) = inputs.iter().find_map(given).expect("it names a TidbCluster");
        ObjectRef::parse(text).expect("context, namespace, name")
    }

    /// The TidbCluster of the Database that it is about.
    pub fn at(&self) -> ObjectRef {
        self.named(&["join", "tidbCluster", "first"])
    }

    /// Where it makes or changes something.
    pub fn place(&self) -> ObjectRef {
        self.named(&["tidbCluster", "first"])
    }
}

/// Both fleets; each is made once.
pub struct Beds {
    spanning: Bed,
    opened: Bed,
}

impl Default for Beds {
    fn default() -> Self {
        let mut spanning = spanning(true);
        // Four PD members, so that three are left without the fourth; every component with a version of its own.
        spanning.tidb_clusters[0].spec["pd"]["replicas"] = json!(3);
        for tc in &mut spanning.tidb_clusters {
            for component in ["pd", "tikv", "tidb"] {
                tc.spec[component]["version"] = json!("v8.5.4");
            }
        }
        // As join-cluster makes it.
        let joined = &mut spanning.tidb_clusters[1].spec;
        joined["tidb"]["service"] = json!({"type": "ClusterIP"});
        joined["tidb"]["config"] = json!({"security": {"cluster-verify-cn": ["TiDB"]}});
        for component in ["pd", "tikv"] {
            joined[component]["config"] = json!({"security": {"cert-allowed-cn": ["TiDB"]}});
            joined[component]["mountClusterClientSecret"] = json!(true);
        }
        let opened = bare(opened(false));
        ["west", "north"].iter().for_each(|context| namespace(&opened, context));
        authority(&opened);
        Self { spanning: Bed::new(bare(spanning)), opened: Bed::new(opened) }
    }
}

impl Beds {
    pub fn of(&mut self, base: &Base) -> &mut Bed {
        match base.fleet {
            Fleet::Spanning => &mut self.spanning,
            Fleet::Opened => &mut self.opened,
        }
    }
}

fn bare(mut scenario: Scenario) -> Bare {
    let mut north = scenario.kube_clusters[1].clone();
    (north.name, north.domain) = ("north".into(), "north.local".into());
    scenario.kube_clusters.push(north);
    Bare::new(&scenario, 1).expect("a scenario that becomes quiet")
}

fn namespace(bare: &Bare, context: &str) {
    let body = br#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}}"#;
    assert_eq!(bare.ask(context, "POST", "/api/v1/namespaces", "application/json", body).0, 201);
}

/// The CA that signs what `west` needs.
fn authority(bare: &Bare) {
    let ask = Ask { common_name: "TiDB", organization: None, hosts: &[], usages: BTreeSet::new(), days: 3_650 };
    #[allow(clippy::disallowed_methods, reason = "a certificate is valid from now on, by the clock of the bed")]
    let made = signing::authority(&ask, jiff::Timestamp::now()).expect("a CA");
    let metadata = json!({"namespace": "prod", "name": "prod-east-ca-secret"});
    let secret = json!({"metadata": metadata, "type": "Opaque", "data": made.data()});
    bare.store("east").expect("a context").put("secrets", secret);
}
