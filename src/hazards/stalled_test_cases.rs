//! The third part of the cases of [`crate::hazards::tests`]: what waits for ever, copies that are not spread, references that lead nowhere,
//! names that are written otherwise and mean the same.

use serde_json::{Value, json};

use crate::fleet::pd::{EtcdMember, MemberId, NoAnswer, Store};
use crate::fleet::problem::ProblemKind;
use crate::fleet::{Freshness, ObjectKey};
use crate::hazards::Severity;
use crate::hazards::check;
use crate::hazards::fault_injection::{Plant, ids, member, stray};
use crate::hazards::test_fleet::{Bed, Side, when};

/// Before it has begun: no id, no pods, and nothing in PD.
fn fresh(side: &mut Side) {
    side.tc["status"] = json!({});
    side.pods.clear();
    side.sets.clear();
}

/// West has not joined yet, and refers to this.
fn joins(bed: &mut Bed, reference: Value) {
    fresh(&mut bed.west);
    bed.silent = vec!["west"];
    bed.members.truncate(2);
    bed.stores.retain(|store| store.id < 4);
    bed.stores.push(Store { id: 3, address: "tikv-0.away.z.svc.far.local:20160".into(), ..bed.stores[0].clone() });
    bed.west.tc["spec"]["cluster"] = reference;
}

fn tikv_pod<'a>(side: &'a mut Side, name: &str) -> &'a mut Value {
    side.pods.iter_mut().find(|pod| pod["metadata"]["name"] == name).expect("a pod of the bed")
}

fn loops(side: &mut Side) {
    for pod in
        side.pods.iter_mut().filter(|pod| pod["metadata"]["name"].as_str().is_some_and(|name| name.contains("tikv")))
    {
        pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [{"name": "tikv", "ready": false, "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
    }
}

/// TiKV of west never came to PD.
fn without_stores(bed: &mut Bed) {
    loops(&mut bed.west);
    bed.stores.retain(|store| store.id < 4);
    bed.stores.push(Store { id: 3, address: "tikv-0.away.z.svc.far.local:20160".into(), ..bed.stores[0].clone() });
}

fn scaled_in(bed: &mut Bed) {
    bed.west.tc["spec"]["tikv"]["replicas"] = json!(1);
    tikv_pod(&mut bed.west, "prod-west-tikv-1")["metadata"]["labels"]["tidb.pingcap.com/store-id"] = json!("");
    bed.stores.extend([6, 7].map(|id| Store {
        id,
        address: bed.stores[0].address.replace("tikv-0", &format!("tikv-{id}")),
        ..bed.stores[0].clone()
    }));
}

pub(super) const STUCK: &[(&str, Plant, &[&str])] = &[
    (
        "failover of TiKV left over",
        |bed| bed.east.tc["status"]["tikv"]["failureStores"] = json!({"9": {"podName": "prod-east-tikv-1"}}),
        &["failover-left-over"],
    ),
    (
        "failover of PD left over",
        |bed| bed.west.tc["status"]["pd"]["failureMembers"] = json!({"prod-west-pd-0": {}}),
        &["failover-left-over"],
    ),
    ("no failover", |bed| bed.west.tc["status"]["pd"]["failureMembers"] = json!({}), &[]),
    (
        "an eviction that PD does not know of",
        |bed| {
            tikv_pod(&mut bed.east, "prod-east-tikv-1")["metadata"]["annotations"]["evictLeaderBeginTime"] =
                json!("2026-11-20T11:00:00Z");
        },
        &["eviction-unknown-to-pd"],
    ),
    (
        "an eviction that PD knows of",
        |bed| {
            tikv_pod(&mut bed.east, "prod-east-tikv-1")["metadata"]["annotations"]["evictLeaderBeginTime"] =
                json!("2026-11-20T11:00:00Z");
            bed.details.schedulers = Some(vec!["evict-leader-scheduler".into()]);
        },
        &["silent-eviction"],
    ),
    (
        "an eviction, and nobody told the schedulers",
        |bed| {
            tikv_pod(&mut bed.east, "prod-east-tikv-1")["metadata"]["annotations"]["evictLeaderBeginTime"] =
                json!("2026-11-20T11:00:00Z");
            bed.details.schedulers = None;
        },
        &[],
    ),
    ("scaled in without a store id", scaled_in, &["ready-too-early", "scale-in-without-store-id"]),
    (
        "scaled in with its store id",
        |bed| {
            scaled_in(bed);
            tikv_pod(&mut bed.west, "prod-west-tikv-1")["metadata"]["labels"]["tidb.pingcap.com/store-id"] = json!("5");
        },
        &["ready-too-early"],
    ),
    (
        "scaled in, and its store is gone",
        |bed| {
            scaled_in(bed);
            bed.stores.retain(|store| store.id != 5);
        },
        &["ready-too-early"],
    ),
    ("no store ever came", without_stores, &["ready-too-early", "resolver-differs"]),
    (
        "no store ever came, and the resolver is the same",
        |bed| {
            without_stores(bed);
            bed.west.tc["spec"]["tikv"]["env"] = json!([{"name": "GRPC_DNS_RESOLVER", "value": "native"}]);
        },
        &["ready-too-early"],
    ),
    ("stores that came once loop for another reason", |bed| loops(&mut bed.west), &["ready-too-early"]),
    (
        "PD has no leader: nothing is known of the resolver",
        |bed| {
            without_stores(bed);
            bed.leader = None;
        },
        &["pd-no-leader", "ready-too-early"],
    ),
    (
        "a PD pod that starts and ends again",
        |bed| {
            bed.unhealthy.push(("", 2));
            let pod = tikv_pod(&mut bed.east, "prod-east-pd-1");
            pod["metadata"]["uid"] = json!("uid-of-the-pod");
            pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{"name": "pd", "ready": false, "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
        },
        &["pd-member-unhealthy", "ready-too-early"],
    ),
    ("no location labels", |bed| bed.location_labels.clear(), &["copies-not-spread"]),
    (
        "labels that do not tell them apart",
        |bed| {
            bed.location_labels = vec!["zone".into(), "host".into()];
            bed.stores.iter_mut().for_each(|store| drop(store.labels.insert("zone".into(), "a".into())));
        },
        &["copies-not-spread"],
    ),
    ("a store without the label", |bed| bed.stores[0].labels.clear(), &["copies-not-spread"]),
    (
        "the second label tells them apart",
        |bed| {
            bed.location_labels = vec!["region".into(), "zone".into()];
            bed.stores.iter_mut().for_each(|store| drop(store.labels.insert("region".into(), "r".into())));
        },
        &[],
    ),
    (
        "a joiner of itself",
        |bed| joins(bed, json!({"name": "prod-west", "namespace": "db", "clusterDomain": "west.local"})),
        &["uneven-pd-spread", "wrong-cluster-reference"],
    ),
    (
        "a joiner of itself, without namespace and domain",
        |bed| joins(bed, json!({"name": "prod-west"})),
        &["uneven-pd-spread", "wrong-cluster-reference"],
    ),
    (
        "one letter wrong, in a domain that is served",
        |bed| joins(bed, json!({"name": "prod-eats", "namespace": "db", "clusterDomain": "east.local"})),
        &["uneven-pd-spread", "wrong-cluster-reference"],
    ),
    (
        "a domain that nobody has",
        |bed| joins(bed, json!({"name": "prod-eats", "namespace": "db", "clusterDomain": "eats.local"})),
        &["uneven-pd-spread", "wrong-cluster-reference"],
    ),
    (
        "one letter wrong, and one cluster is dark",
        |bed| {
            joins(bed, json!({"name": "prod-eats", "namespace": "db", "clusterDomain": "north.local"}));
            bed.east.freshness = Freshness::Unreachable;
        },
        &["uneven-pd-spread"],
    ),
    (
        "a right reference that waits",
        |bed| joins(bed, json!({"name": "prod-east", "namespace": "db", "clusterDomain": "east.local"})),
        &["uneven-pd-spread"],
    ),
    (
        "two that name each other",
        |bed| {
            joins(bed, json!({"name": "prod-east", "namespace": "db", "clusterDomain": "east.local"}));
            fresh(&mut bed.east);
            bed.silent.push("east");
            bed.members.clear();
            bed.stores.clear();
            bed.east.tc["spec"]["cluster"] =
                json!({"name": "prod-west", "namespace": "db", "clusterDomain": "west.local"});
        },
        &["wrong-cluster-reference"],
    ),
    (
        "a URL for a domain",
        |bed| bed.west.tc["spec"]["cluster"]["clusterDomain"] = json!("http://east.local"),
        &["no-dns-name", "wrong-cluster-reference"],
    ),
    ("the domain in capitals", |bed| bed.west.tc["spec"]["clusterDomain"] = json!("WEST.LOCAL"), &["no-dns-name"]),
    (
        "a dot at the end of the domain, and PD that was started with it",
        |bed| {
            bed.west.tc["spec"]["clusterDomain"] = json!("west.local.");
            bed.members[2] = member(3, "prod-west-pd-0.prod-west-pd-peer.db.svc.west.local.");
        },
        &["no-dns-name"],
    ),
    (
        "a reference in capitals",
        |bed| bed.west.tc["spec"]["cluster"]["clusterDomain"] = json!("East.local"),
        &["no-dns-name"],
    ),
    (
        "peerURLs that are the right ones to etcd and DNS",
        |bed| {
            bed.members[0].peer_urls[0] = bed.members[0].peer_urls[0].replace("http", "HTTP");
            bed.members[1].peer_urls[0] = bed.members[1].peer_urls[0].replace("prod", "Prod");
            bed.members[2].peer_urls[0] = bed.members[2].peer_urls[0].replace(":2380", ".:2380");
        },
        &[],
    ),
    (
        "an IPv6 address for a peerURL",
        |bed| bed.members[2].peer_urls = vec!["http://[fd00::7]:2380".into()],
        &["peer-urls-half-updated"],
    ),
    (
        "it has joined, and its target is called otherwise or has left since",
        |bed| bed.west.tc["spec"]["cluster"]["name"] = json!("gone"),
        &["wrong-cluster-reference"],
    ),
    (
        "it has joined, and names itself",
        |bed| bed.west.tc["spec"]["cluster"] = json!({"name": "prod-west", "clusterDomain": "west.local"}),
        &["wrong-cluster-reference"],
    ),
    (
        "it has joined, and its reference was taken away",
        |bed| drop(bed.west.tc["spec"].as_object_mut().expect("spec").remove("cluster")),
        &["wrong-cluster-reference"],
    ),
];

#[test]
fn a_component_that_nobody_knows_is_unseen() {
    let mut bed = Bed::healthy();
    bed.east.tc["spec"]["tici"] = json!({"replicas": 2, "limits": {"cpu": "1"}});
    bed.east.tc["spec"]["discovery"] = json!({"limits": {"cpu": "1"}});
    let checked = bed.checked();
    let [finding] = checked.findings.as_slice() else { panic!("{checked:#?}") };
    assert!(finding.id() == "unknown-component" && finding.unknown && checked.dark(), "{finding:#?}");
    let database = &crate::fleet::database::databases(&bed.fleet())[0];
    assert!(database.unseen.iter().any(|one| one.contains("spec.tici")), "status: {:?}", database.unseen);
    bed.east.tc["spec"]["tici"] = json!({"replicas": 0});
    assert!(!bed.checked().dark());
}

/// What stands half done is worse than what merely rests.
#[test]
fn paused_in_the_midst_of_a_change() {
    let mut bed = Bed::healthy();
    bed.west.tc["spec"]["paused"] = json!(true);
    let severity = |bed: &Bed| {
        let found = bed.checked().findings;
        found.iter().find(|finding| finding.id() == "paused").map(|finding| finding.severity)
    };
    assert_eq!(severity(&bed), Some(Severity::Low));
    bed.west.rolling("tikv");
    assert_eq!(severity(&bed), Some(Severity::Medium));
}

/// One of two always has the majority: no alarm, and no silence either.
#[test]
fn the_majority_of_two_is_a_note() {
    let checked = Bed::healthy().checked();
    assert!(checked.findings.is_empty() && !checked.dark(), "{checked:#?}");
    assert!(
        checked.notes.len() == 1 && checked.notes[0].contains("2 of 3 PD members are in east"),
        "{:?}",
        checked.notes
    );
    let mut bed = Bed::healthy();
    bed.members.push(EtcdMember { id: MemberId(9), ..stray("third") });
    assert!(bed.checked().notes.is_empty(), "an even number is a finding");
}

/// What two KubeClusters cannot bear is nobody's fault; three of them could.
#[test]
fn three_places_hold_one_copy_each() {
    let mut bed = Bed::healthy();
    let at = |id: u64, zone: &str, bed: &Bed| Store {
        id,
        labels: [("zone".to_owned(), zone.to_owned())].into(),
        ..bed.stores[0].clone()
    };
    assert!(ids_of(&bed).is_empty());
    // East has two zones of its own: two copies may lie there; it is one of two, so that is no finding.
    bed.stores[1] = Store { address: bed.stores[1].address.clone(), ..at(2, "east-2", &bed) };
    assert!(ids_of(&bed).is_empty());
}

fn ids_of(bed: &Bed) -> Vec<&'static str> {
    check(&bed.fleet(), None, when()).findings.iter().map(crate::hazards::Finding::id).collect()
}

/// Nothing is sent to a PD that has no majority, and nobody is taken out of one of which only a part is seen.
#[test]
fn a_cure_is_one_that_is_possible() {
    let mut bed = Bed::healthy();
    bed.members[2].peer_urls = vec!["http://h:2380/".into()];
    let cure = |bed: &Bed, id: &str| {
        let found = bed.checked().findings.into_iter().find(|finding| finding.id() == id);
        found.unwrap_or_else(|| panic!("{id} is not found")).what_to_do
    };
    assert!(cure(&bed, "malformed-peer-url").contains("run repair-peer-urls --set tidbCluster=west/db/prod-west"));
    let mut fleet = bed.fleet();
    for (context, pod, healthy) in
        [("east", "prod-east-pd-0", None), ("east", "prod-east-pd-1", None), ("west", "prod-west-pd-0", Some(false))]
    {
        let view =
            fleet.clusters.get_mut(context).and_then(|one| one.pd.get_mut(&ObjectKey::new("db", pod))).expect("there");
        match (healthy, view.answer.as_mut()) {
            (Some(_), Ok(answer)) => {
                (answer.healthy, answer.leader, answer.health) = (healthy, None, Default::default())
            }
            _ => view.answer = Err("connection refused".into()),
        }
    }
    let found = check(&fleet, None, when()).findings;
    let lost = found.iter().find(|finding| finding.id() == "malformed-peer-url").expect("it is still there");
    assert!(
        lost.what_to_do.contains("pd-recover") && !lost.what_to_do.contains("tidepilot run"),
        "{}",
        lost.what_to_do
    );

    let mut bed = Bed::healthy();
    bed.members.push(EtcdMember { name: String::new(), ..stray("x") });
    assert!(cure(&bed, "nameless-member").contains("removeUnused=true"));
    bed.members.push(EtcdMember { id: MemberId(10), ..stray("elsewhere") });
    let said = cure(&bed, "nameless-member");
    assert!(!said.contains("removeUnused") && said.contains("elsewhere"), "{said}");
}

/// `status` counts problems and `check` findings: a PD that shows a certificate which its own CA does not accept is one in both.
#[test]
fn a_pd_certificate_that_is_not_accepted_is_wrong_in_every_face() {
    let mut fleet = Bed::healthy().fleet();
    let mut judged = |answer: NoAnswer| {
        let views = fleet.clusters.get_mut("west").map(|cluster| &mut cluster.pd).expect("a cluster");
        views.get_mut(&ObjectKey::new("db", "prod-west-pd-0")).expect("a PD pod").answer = Err(answer);
        let databases = crate::fleet::database::databases(&fleet);
        let problem = databases.iter().flat_map(|database| &database.problems);
        let problem = problem.filter(|problem| problem.kind == ProblemKind::PdCertificate).count();
        let known =
            |finding: &&crate::hazards::Finding| ProblemKind::PdCertificate.hazards().contains(&finding.hazard.id);
        let findings = check(&fleet, None, when()).findings;
        let found: Vec<String> = findings.iter().filter(known).map(|finding| finding.sentence.clone()).collect();
        (problem, found)
    };
    let why = "TLS with pod db/prod-west-pd-0 failed: its certificate has expired";
    let (problem, found) = judged(NoAnswer { sentence: why.into(), certificate: true });
    assert!(problem == 1 && found.iter().any(|sentence| sentence.contains(why)), "{problem} {found:?}");
    assert_eq!(judged("connection refused".into()), (0, Vec::new()));
}

/// What a person copies into a shell names the pod, the label and the store.
#[test]
fn the_cures_name_what_they_touch() {
    let cases: &[(Plant, &str, &str)] = &[
        (
            scaled_in,
            "scale-in-without-store-id",
            "kubectl --context west -n db label pod prod-west-tikv-1 tidb.pingcap.com/store-id=5",
        ),
        (
            without_stores,
            "resolver-differs",
            r#"{"spec":{"tikv":{"env":[{"name":"GRPC_DNS_RESOLVER","value":"native"}]}}}"#,
        ),
        (
            |bed| {
                without_stores(bed);
                bed.west.tc["spec"]["tikv"]["env"] = json!([{"name": "TZ", "value": "UTC"}]);
            },
            "resolver-differs",
            "edit tidbcluster prod-west",
        ),
        (
            |bed| bed.east.tc["status"]["tikv"]["failureStores"] = json!({"9": {}}),
            "failover-left-over",
            r#"{"spec":{"tikv":{"recoverFailover":true}}}"#,
        ),
    ];
    for (plant, id, cure) in cases {
        let mut bed = Bed::healthy();
        plant(&mut bed);
        let checked = bed.checked();
        let found =
            checked.findings.iter().find(|finding| finding.id() == *id).unwrap_or_else(|| panic!("{id}: {checked:#?}"));
        assert!(found.what_to_do.contains(cure) && found.severity == Severity::Medium, "{id}: {}", found.what_to_do);
    }
    assert!(ids(|_| {}).is_empty());
}
