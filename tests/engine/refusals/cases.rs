//! The table: which alteration makes which check fail, on which bases, and a word of its sentence.
//!
//! Checks of one name mean one thing, so a case often serves several runbooks. Not here: certificates and monitoring
//! ([`super::certificate_and_monitoring_cases`]), how the world is altered
//! ([`super::worlds`]), what is asserted (`main.rs`).

use serde_json::json;
use tidepilot::fleet::Crd;
use tidepilot::fleet::corefile;
use tidepilot::fleet::dns::Dns;
use tidepilot::fleet::region_health_counts::RegionCheck;
use tidepilot::fleet::tidbcluster::{ComponentSpec, FieldManager, MemberStatus};

use super::case::{
    ALL, CA, CA_AGAIN, CERTIFICATES, Case, DEPLOY, ENABLE, FLASH, FORCE, JOIN, JOINED, LEAVE, LEAVE_ALL, MIGRATE,
    NETWORK, NO_DOMAIN, OF_A_DATABASE, ONE_POD, OPENING, RENEW, REPAIR, RESTART, RESTART_TIKV, RESUME, SUSPEND,
    SUSPEND_ALL, TRANSFER, UNUSED, UPGRADE, case, given,
};
use super::worlds::World;

/// Alterations that are no fault for a check; `says` is what they are.
pub const FITTING: &[Case] = &[
    // Their start script lies in the container's command, and TiFlash's ConfigMap is always made.
    case(&[ENABLE, MIGRATE, UPGRADE], "restart-will-happen", "TiFlash, TiCDC and Pump without config", |w| {
        let bare = || Some(ComponentSpec { replicas: 1, max_failover_count: Some(0), ..Default::default() });
        let spec = &mut w.tc().spec;
        (spec.tiflash, spec.ticdc, spec.pump) = (bare(), bare(), bare());
    }),
    case(&[ENABLE, MIGRATE, UPGRADE], "restart-will-happen", "TiCDC and Pump InPlace", |w| {
        let in_place = || {
            let config_update_strategy = Some("InPlace".to_owned());
            Some(ComponentSpec { replicas: 1, config_update_strategy, ..Default::default() })
        };
        let spec = &mut w.tc().spec;
        (spec.ticdc, spec.pump) = (in_place(), in_place());
    }),
    case(OPENING, "restart-will-happen", "TiFlash InPlace, not opened before", |w| {
        let spec = &mut w.tc().spec;
        spec.across_k8s = None;
        let config_update_strategy = Some("InPlace".to_owned());
        spec.tiflash = Some(ComponentSpec { replicas: 1, config_update_strategy, ..Default::default() });
    }),
    // Suspended is settled: nothing is under way, and what needs it says so by itself.
    case(&[ENABLE, MIGRATE, LEAVE, SUSPEND], "settled", "TiDB suspended here", |w| w.suspends_tidb()),
    case(&[RESTART, RESTART_TIKV, JOIN], "nothing-rolling", "TiDB suspended somewhere", |w| w.suspends_tidb()),
    case(&[RESTART_TIKV], "not-suspended", "TiDB suspended, and TiKV is restarted", |w| w.suspends_tidb()),
    case(&[ENABLE, JOIN, MIGRATE, RESTART, LEAVE], "storage-not-suspended", "TiDB suspended", |w| w.suspends_tidb()),
    case(&[RESTART_TIKV, UPGRADE], "not-suspended", "its own suspendAction says no", |w| {
        w.tc().spec.suspend_action = Some([("suspendStatefulSet".to_owned(), true)].into());
        let no = || Some([("suspendStatefulSet".to_owned(), false)].into());
        let spec = &mut w.tc().spec;
        for component in [&mut spec.pd, &mut spec.tikv, &mut spec.tidb, &mut spec.tiflash].into_iter().flatten() {
            component.suspend_action = no();
        }
    }),
];

pub const CASES: &[Case] = &[
    // What is seen, and by whom.
    case(ALL, "rights", "may not patch", |w| w.seen.denied = Some(vec!["may not patch tidbclusters in prod".into()])),
    case(OF_A_DATABASE, "every-cluster-seen", "north", World::lost),
    case(&[DEPLOY, ENABLE, JOIN, MIGRATE], "other-clusters-seen", "north", World::stranger),
    case(&[LEAVE], "every-cluster-seen", "north", World::stranger),
    case(&[DEPLOY, ENABLE, JOIN, MIGRATE], "one-context-per-cluster", "zz-again", World::again),
    case(&[LEAVE, UPGRADE], "nothing-unseen", "no stores", World::no_stores_told),
    case(&[DEPLOY, CA, CERTIFICATES, JOIN], "namespace-there", "namespace prod in west", |w| w.no_namespace("west")),
    case(
        &[ENABLE, JOIN, LEAVE, MIGRATE, RENEW, REPAIR, RESTART, RESUME, SUSPEND, UPGRADE, CA_AGAIN],
        "tls-as-pd-runs",
        "put spec.tlsCluster.enabled back to",
        World::toggled,
    ),
    case(&[CERTIFICATES], "tls-as-pd-runs", "put spec.tlsCluster.enabled back to", World::toggled).with(&[
        ("tidbCluster", "east/prod/prod-east"),
        ("clusterDomain", "east.local"),
        ("caOf", ""),
    ]),
    // Names and domains.
    case(&[DEPLOY, ENABLE, JOIN, MIGRATE], "triple-is-unique", "north/prod/prod-west", World::twin),
    case(&[DEPLOY], "domain-given", "No clusterDomain", |w| w.kube().dns = Dns::default()).with(NO_DOMAIN),
    given(&[DEPLOY, JOIN], "domain-needed", "clusterDomain=west.local", NO_DOMAIN),
    case(&[ENABLE], "domain-needed", "clusterDomain=west.local", |w| w.tc().spec.cluster_domain = None),
    case(&[MIGRATE], "domain-needed", "clusterDomain=west.local", |w| w.tc().spec.cluster_domain = None)
        .with(NO_DOMAIN),
    case(&[JOIN], "domains-known", "east.local", |w| w.kube().dns = Dns::default()).with(NO_DOMAIN),
    case(&[ENABLE], "domains-known", "east.local", World::no_domain_and_no_dns),
    case(&[MIGRATE], "domains-known", "east.local", World::no_domain_and_no_dns).with(NO_DOMAIN),
    case(
        &[ENABLE, JOINED, MIGRATE, RENEW, REPAIR, RESTART, SUSPEND, UPGRADE],
        "domain-witnessed",
        "has been removed",
        |w| {
            w.tc().spec.cluster_domain = None;
        },
    ),
    given(&[CERTIFICATES], "domain-given", "Without a cluster domain", NO_DOMAIN),
    case(&[DEPLOY, JOIN, MIGRATE], "domain-readable", "DNS of west", |w| w.kube().dns = Dns::default()),
    case(&[DEPLOY, JOIN, MIGRATE], "domain-readable", "rewrite name suffix .west.local", |w| {
        let rewritten = "rewrite name suffix .west.local .real.local";
        w.kube().dns = corefile::read(&format!(". {{\n kubernetes real.local\n {rewritten}\n}}"));
    }),
    case(&[DEPLOY, JOIN, MIGRATE], "domain-is-the-real-one", "real.local", |w| w.kube().dns = Dns::of("real.local")),
    case(&[CERTIFICATES, RENEW], "domain-is-real", "real.local", |w| w.kube().dns = Dns::of("real.local")),
    case(&[CERTIFICATES], "domain-as-in-spec", "spec.local", |w| {
        w.add("west", World::made("prod-west", json!({"clusterDomain": "spec.local"})));
    }),
    given(&[MIGRATE], "domain-unchanged", "west.local", &[("clusterDomain", "new.local")]),
    given(&[JOIN], "domains-fit", "prod-east", NO_DOMAIN),
    case(&[JOIN], "names-are-unique", "prod-west-pd-0.prod", |w| {
        w.more("prod-west-pd-0.prod-west-pd-peer.prod.svc.west.local");
    }),
    // The operator and the CRD.
    given(
        &[DEPLOY, UPGRADE],
        "known-release",
        "v99.0.0 is no release of TiDB that this tidepilot knows",
        &[("version", "v99.0.0")],
    ),
    case(&[DEPLOY, JOIN], "operator-v1", "missing", |w| w.kube().crd = Crd::Missing),
    case(&[DEPLOY, ENABLE, MIGRATE], "operator-known", "could not be read", |w| w.kube().operator_version = None),
    case(&[DEPLOY], "operator-fits-version", "v1.4.7", |w| w.operator("v1.4.7")),
    case(&[DEPLOY, JOIN], "tiflash-keeps-its-data", "v1.3.0", |w| w.operator("v1.3.0")).with(FLASH),
    case(&[DEPLOY, JOIN], "operator-for-no-domain", "v1.3.8", |w| w.operator("v1.3.8")).with(NO_DOMAIN),
    case(&[DEPLOY, JOIN], "across-k8s-known", "CRD in west", |w| w.crd(Some(false))),
    case(OPENING, "operator-new-enough", "v1.2.4", |w| w.operator("v1.2.4")),
    case(&[ENABLE], "operator-names-pd-rightly", "v1.3.8", World::no_domain_under_1_3_8),
    case(&[MIGRATE], "operator-names-pd-rightly", "v1.3.8", World::no_domain_under_1_3_8).with(NO_DOMAIN),
    case(OPENING, "crd-known", "could not be read", |w| w.crd(None)),
    case(OPENING, "crd-has-across-k8s", "no spec.acrossK8s", |w| w.crd(Some(false))),
    case(&[ENABLE, JOIN, MIGRATE, UPGRADE], "same-operator-everywhere", "v1.6.1", |w| w.operator("v1.6.1")),
    case(OPENING, "not-built-before-across-k8s", "1.3.0-beta.1", |w| {
        w.tc().spec.across_k8s = None;
        w.tc().status.pd.peer_members = [("pd-9".to_owned(), MemberStatus::default())].into();
    }),
    case(&[SUSPEND], "operator-suspends", "v1.3.6", |w| w.operator("v1.3.6")),
    case(&[UPGRADE], "operator-carries-it", "v1.4.7", |w| w.operator("v1.4.7")),
    case(&[UPGRADE], "tiflash-keeps-its-metadata", "v1.3.0", |w| {
        w.operator("v1.3.0");
        w.tc().spec.tiflash = Some(Default::default());
    }),
    case(&[UPGRADE], "operator-names-pd-rightly", "v1.3.8", |w| {
        w.operator("v1.3.8");
        w.other().spec.cluster_domain = None;
    }),
    // What the TidbCluster says.
    case(OPENING, "restart-will-happen", "TiKV (without config)", |w| w.tikv().config = None),
    case(OPENING, "restart-will-happen", "TiFlash (InPlace)", |w| {
        let config_update_strategy = Some("InPlace".to_owned());
        w.tc().spec.tiflash = Some(ComponentSpec { replicas: 1, config_update_strategy, ..Default::default() });
    }),
    case(&[UPGRADE], "restart-will-happen", "tikv@east", |w| w.tikv().config_update_strategy = Some("InPlace".into())),
    case(&[ENABLE, JOIN, LEAVE, MIGRATE, SUSPEND], "no-tiproxy", "TiProxy", |w| {
        w.tc().spec.tiproxy = Some(Default::default());
    }),
    case(&[RESTART_TIKV, UPGRADE], "no-tiproxy-across", "TiProxy", |w| w.tc().spec.tiproxy = Some(Default::default())),
    case(&[UPGRADE], "tiproxy-stays", "TiProxy", |w| {
        w.tc().spec.tiproxy = Some(Default::default());
        w.tc().spec.across_k8s = None;
    }),
    case(&[ENABLE, LEAVE, MIGRATE, UPGRADE], "no-microservices", "microservices", |w| {
        w.tc().spec.pd.as_mut().expect("PD").mode = Some("ms".into());
    }),
    case(&[ENABLE, JOIN, LEAVE, MIGRATE], "failover-off", "TiKV", |w| w.tikv().max_failover_count = None),
    case(&[ENABLE, JOIN, LEAVE, MIGRATE, RESTART, RESUME, SUSPEND, UPGRADE], "not-paused", "is true", |w| {
        w.tc().spec.paused = Some(true);
    }),
    case(&[ENABLE, MIGRATE, RESTART, UPGRADE], "no-force-upgrade", FORCE, |w| {
        w.tc().metadata.annotations.insert(FORCE.into(), "true".into());
    }),
    case(&[ENABLE, MIGRATE, RESTART, UPGRADE], "operator-reaches-pd", "synced is false", |w| {
        w.tc().status.pd.synced = Some(false);
    }),
    case(OPENING, "not-owned-by-gitops", "argocd-controller", |w| {
        let manager = FieldManager { manager: "argocd-controller".into(), paths: Vec::new(), time: None };
        w.tc().metadata.managed_fields.push(manager);
    }),
    case(&[RESTART_TIKV, UPGRADE], "not-suspended", "tikv", |w| {
        w.tikv().suspend_action = Some([("suspendStatefulSet".to_owned(), true)].into());
    }),
    case(&[ENABLE, JOIN, MIGRATE, RESTART, LEAVE], "storage-not-suspended", "(TiKV)", |w| {
        w.tikv().suspend_action = Some([("suspendStatefulSet".to_owned(), true)].into());
    }),
    case(&[SUSPEND], "others-not-suspended", "(TiKV)", |w| {
        let of = &mut w.other().spec;
        of.tikv.as_mut().expect("TiKV").suspend_action = Some([("suspendStatefulSet".to_owned(), true)].into());
    }),
    case(&[UPGRADE], "own-versions", "tikv@east", |w| w.tikv().version = None),
    given(&[UPGRADE], "no-downgrade", "v8.5.4", &[("version", "v8.5.3")]),
    given(&[RESTART], "component-there", "tiflash", &[("component", "tiflash")]),
    given(&[RESTART], "pod-there", "has no pod prod-west-pd-0 of pd", &[("pod", "prod-west-pd-0")]),
    case(&[RESTART], "others-well", "prod-east-pd-2 of east", |w| w.unready("prod-east-pd-2")).with(ONE_POD),
    case(&[RESTART], "pod-does-not-lead", "leads PD", |w| w.led_by("prod-east-pd-0")).with(ONE_POD),
    case(&[RESTART_TIKV], "copies-elsewhere", "only 0 TiKV", |w| {
        w.answers(|answer| answer.stores.iter_mut().for_each(|store| store.state = "Down".into()));
    })
    .with(&[("pod", "prod-east-tikv-0")]),
    case(&[RESTART_TIKV], "copies-elsewhere", "keeps 1 of each region", |w| {
        w.answers(|answer| answer.max_replicas = Some(1));
    })
    .with(&[("pod", "prod-east-tikv-0")]),
    case(&[RESTART_TIKV], "copies-elsewhere", "keeps 9 of each region", |w| {
        w.answers(|answer| answer.max_replicas = Some(9));
    })
    .with(&[("pod", "prod-east-tikv-0")]),
    case(&[RESTART_TIKV], "copies-elsewhere", "how many copies PD keeps of each region is not known", |w| {
        w.answers(|answer| answer.max_replicas = None);
    })
    .with(&[("pod", "prod-east-tikv-0")]),
    case(&[RESTART], "others-serve", "the only pod of tidb", |w| w.no_tidb_but("prod-east-tidb-0"))
        .with(&[("component", "tidb"), ("pod", "prod-east-tidb-0")]),
    case(&[RESTART], "nothing-else-moving", "TiKV is in phase Upgrade", |w| World::rolls(w.tc())).with(ONE_POD),
    case(&[RESTART], "majority-without-the-pod", "only 2 of 4", |w| w.sick(2)).with(ONE_POD),
    case(&[JOIN], "target-is-open", "prod-east", |w| w.tc().spec.across_k8s = None),
    case(&[JOIN], "one-version", "v8.1.0", |w| w.tikv().version = Some("v8.1.0".into())),
    case(&[REPAIR], "spans", "prod-west", |w| {
        let spec = &mut w.other().spec;
        (spec.across_k8s, spec.cluster_domain) = (None, None);
    }),
    case(&[JOIN], "every-part-is-open", "prod-north", |w| w.refers(1)),
    case(&[UPGRADE], "versions-in-spec", "tikv@east", |w| {
        w.tikv().base_image = Some("registry.corp/tikv:v8.5.4".into())
    }),
    case(&[LEAVE], "not-the-last-pump", "Pumps", |w| {
        w.tc().spec.pump = Some(ComponentSpec { replicas: 1, ..Default::default() });
    }),
    case(&[LEAVE], "not-the-last-server", "The only TiDB", |w| w.other().spec.tidb = None),
    case(&[SUSPEND], "servers-go-on", "The only TiDB", |w| w.other().spec.tidb = None),
    // What is under way.
    case(&[ENABLE, LEAVE, MIGRATE, SUSPEND, TRANSFER], "nothing-else-rolling", "TiKV is in phase Upgrade", |w| {
        World::rolls(w.other());
    }),
    case(&[ENABLE, LEAVE, MIGRATE, SUSPEND], "settled", "TiKV is in phase Upgrade", |w| World::rolls(w.tc())),
    case(&[JOIN, RESTART, UPGRADE], "nothing-rolling", "TiKV is in phase Upgrade", |w| World::rolls(w.tc())),
    case(&[REPAIR], "no-roll", "prod-east", |w| w.tc().status.pd.phase = Some("Upgrade".into())),
    // PD.
    case(&[ENABLE, LEAVE, MIGRATE, UPGRADE], "pd-all-answer", "3 of 4", |w| w.silent("prod-east-pd-1")),
    case(&[LEAVE, UPGRADE], "pd-all-answer", "left something out: no stores", World::no_stores_told),
    case(&[JOIN], "pd-all-answer", "2 of 3", |w| w.silent("prod-east-pd-1")),
    case(&[JOINED], "pd-all-answer", "do not list the same", |w| w.disagree("prod-west-pd-0")),
    case(OPENING, "pd-tells-everything", "no stores", World::no_stores_told),
    case(&[ENABLE, LEAVE, MIGRATE, REPAIR], "pd-agrees", "PD", |w| w.disagree("prod-west-pd-0")),
    case(&[LEAVE], "pd-agrees", "3 of 4 members", |w| w.sick(1)),
    case(&[LEAVE], "own-pd-goes-on", "Only 2 of 4 PD members are healthy", |w| {
        w.unhealthy(&["prod-west", "prod-east-pd-0"]);
    }),
    case(&[LEAVE], "quorum-on-the-way", "of the PD members that leave", |w| {
        w.unhealthy(&["prod-west", "prod-east-pd-0"]);
    }),
    case(&[LEAVE], "ill-ones-leave-too", "prod-west-tidb-0", |w| w.loops("prod-west-tidb-0")),
    case(&[ENABLE, JOINED, MIGRATE, RESTART, UPGRADE], "pd-healthy", "3 of 4", |w| w.sick(1)),
    case(&[ENABLE, JOIN, MIGRATE], "pd-healthy", "no leader", |w| w.answers(|answer| answer.leader = None)),
    case(&[RESTART, UPGRADE], "pd-healthy", "a leader: false", |w| w.answers(|answer| answer.leader = None)),
    case(&[ENABLE, JOIN, MIGRATE], "pd-all-started", "beef", |w| w.more("")),
    case(&[ENABLE, JOIN, MIGRATE, REPAIR, RESTART, SUSPEND, TRANSFER], "pd-all-placed", "elsewhere", |w| {
        w.more("elsewhere")
    }),
    case(&[LEAVE, UPGRADE], "pd-members-all-known", "elsewhere", |w| w.more("elsewhere")),
    case(&[ENABLE, MIGRATE, RESTART, UPGRADE], "pd-spare", "2 PD member", |w| w.few(2)),
    case(&[JOIN], "quorum-survives-a-failed-join", "1 PD member", |w| w.few(1)),
    given(&[JOIN], "odd-pd", "4 PD members", &[("pdReplicas", "1")]),
    case(&[ENABLE], "urls-as-they-should-be", "prod-west-pd-0.", |w| {
        w.member("prod-west-pd-0", |member| member.peer_urls = vec!["https://old:2380".into()]);
    }),
    case(&[JOINED], "peer-urls-proper", "prod-west-pd-0.", |w| {
        w.member("prod-west-pd-0", |member| member.peer_urls = vec!["https://old:2380".into()]);
    }),
    case(&[RESTART, UPGRADE], "pd-urls-right", "prod-west-pd-0.", |w| {
        w.member("prod-west-pd-0", |member| member.peer_urls = vec!["https://old:2380".into()]);
    }),
    case(&[MIGRATE], "pd-scheme", "http://old:2380", |w| {
        w.member("prod-west-pd-0", |member| member.peer_urls = vec!["http://old:2380".into()]);
    }),
    case(&[LEAVE], "pd-names-as-expected", "old-name", |w| w.member("prod-west-pd-0", |m| m.name = "old-name".into())),
    case(&[REPAIR], "names-are-new", "old-name", |w| w.member("prod-west-pd-0", |m| m.name = "old-name".into())),
    case(&[REPAIR], "quorum-stands", "1 of 4", |w| w.sick(3)),
    case(&[REPAIR], "quorum-stands", "a leader: false", |w| w.answers(|answer| answer.leader = None)),
    case(&[REPAIR], "pd-whole", "3 of 4", |w| w.sick(1)),
    given(&[REPAIR], "lost-members-known", "nonsense", &[("lostMembers", "nonsense")]),
    case(&[REPAIR], "unused-stay", "beef", |w| w.more("")),
    case(&[REPAIR], "nobody-is-joining", "west/prod-west-pd-0", |w| {
        w.members(|all| all.retain(|member| !member.name.starts_with("prod-west")));
        w.silent("prod-west-pd-0");
        w.more("");
    })
    .with(UNUSED),
    case(&[REPAIR], "quorum-without-the-unused", "4 members with 2 healthy", |w| {
        w.sick(2);
        w.more("");
    })
    .with(UNUSED),
    given(&[TRANSFER], "one-member-of-that-pod", "prod-south-pd-0", &[("pod", "prod-south-pd-0")]),
    case(&[TRANSFER], "that-member-is-healthy", "prod-west-pd-0", |w| w.sick(4)),
    case(&[TRANSFER], "pd-has-leader", "no leader", |w| w.answers(|answer| answer.leader = None)),
    // Stores, regions, volumes.
    case(&[ENABLE, JOIN, MIGRATE, RESTART, UPGRADE], "stores-up", "4711", |w| {
        w.stores(|all| (all[0].id, all[0].state) = (4711, "Down".into()));
    }),
    // Its own may be down; one that is leaving already has to end that first.
    case(&[LEAVE], "stores-up", "4711", |w| {
        w.stores(|all| (all[0].id, all[0].state) = (4711, "Offline".into()));
    }),
    case(&[LEAVE, RESTART, SUSPEND, UPGRADE], "regions-whole", "miss-peer", |w| {
        w.details(|details| details.regions.extend([(RegionCheck::MissPeer, 3)]));
    }),
    case(&[LEAVE], "rules-known", "placement rules", |w| {
        w.details(|details| (details.rules, details.gaps) = (None, vec!["no rules: 503".into()]));
    }),
    case(&[LEAVE], "stores-enough", "2 TiKV stores left, all Up", |w| {
        w.stores(|all| all.retain(|store| !store.address.starts_with("prod-east-tikv-0.")));
    }),
    case(&[LEAVE], "stores-all-known", "stranger:20160", |w| w.stores(|all| all[0].address = "stranger:20160".into())),
    case(&[DEPLOY, JOIN], "no-old-claims", "pd-prod-west-pd-0", World::old_claim),
    case(&[LEAVE], "volumes-known", "persistentvolumeclaims", |w| w.kube().more.claims = None),
    given(&[LEAVE_ALL], "volumes-stay", "pd-prod-west-pd-0", &[("deletePvcs", "")]),
    given(&[LEAVE], "what-becomes-of-the-disks", "pd-prod-west-pd-0 Retain", &[("deletePvcs", "true")]),
    case(&[LEAVE], "operator-reclaims-itself", "enablePVReclaim", |w| w.tc().spec.enable_pv_reclaim = Some(true)),
    case(&[RESUME], "volumes-still-there", "found: ", |w| {
        w.tc().spec.suspend_action = Some([("suspendStatefulSet".to_owned(), true)].into());
        w.kube().more.claims.as_mut().expect("listed").retain(|key, _| !key.name.starts_with("pd-"));
    }),
    // What only one runbook asks.
    given(&[DEPLOY], "enough-pd", "1 PD", &[("pdReplicas", "1")]),
    given(&[DEPLOY], "odd-pd", "2 PD", &[("pdReplicas", "2")]),
    given(&[DEPLOY], "enough-tikv", "1 TiKV", &[("tikvReplicas", "1")]),
    case(&[JOIN], "no-second-database", "id 42", |w| {
        let mut tc = World::made("prod-west", json!({"clusterDomain": "west.local"}));
        tc.status.cluster_id = Some("42".into());
        w.add("west", tc);
    }),
    case(&[JOINED], "network-proven", "west", |w| w.kube().tidb_clusters.clear()),
    case(&[LEAVE], "still-there", "prod-west", |w| w.kube().tidb_clusters.clear()),
    case(&[LEAVE], "not-the-last", "prod-west", |w| w.cluster("east").tidb_clusters.clear()),
    case(&[LEAVE, SUSPEND], "nobody-lives-on-it", "prod-north", |w| w.refers(0)),
    case(&[LEAVE], "nobody-refers-to-it", "prod-north", |w| w.refers(1)),
    case(&[LEAVE], "majority-without-it", "1 of them", |w| w.sick(2)),
    case(&[LEAVE], "spare-pd-left", "2 PD", |w| {
        w.members(|all| all.retain(|member| !member.name.starts_with("prod-east-pd-0.")));
    }),
    case(&[MIGRATE], "nobody-joined-yet", "prod-north", |w| w.refers(1)),
    case(&[RESUME], "only-as-a-whole", "tikv", |w| {
        w.tikv().suspend_action = Some([("suspendStatefulSet".to_owned(), true)].into());
    }),
    case(&[SUSPEND], "pd-goes-on", "Of 4 PD members 1", |w| w.sick(2)),
    case(&[SUSPEND], "replicas-go-on", "1 of its replicas", |w| {
        w.answers(|answer| answer.max_replicas = Some(2));
        w.details(|details| details.rules = Some(Vec::new()));
    }),
    given(&[SUSPEND], "whole-database", "2 TidbClusters", &[("stopDatabase", "true")]),
    given(&[SUSPEND_ALL], "not-longer-than-a-store-may-be-away", "30 minutes", &[("stopDatabase", "")]),
    given(&[NETWORK], "different-clusters", "one Kubernetes cluster", &[("second", "east/prod/second")]),
    case(&[NETWORK], "domains-differ", "east.local", |w| w.cluster("west").dns = Dns::of("east.local")),
    case(&[NETWORK], "domains-differ", "north (prod, west.local)", |w| w.cluster("north").dns = Dns::of("west.local")),
    case(&[NETWORK], "namespaces-there", "east/prod", |w| w.no_namespace("east")),
    case(&[NETWORK], "namespaces-there", "north/prod", |w| w.no_namespace("north")),
    case(&[NETWORK], "no-leftovers", "made by run r1", |w| w.left("east/prod/prod-east-tidepilot-probe")),
    case(&[NETWORK], "no-leftovers", "made by run r1", |w| w.left("north/prod/prod-north-tidepilot-probe")),
];
