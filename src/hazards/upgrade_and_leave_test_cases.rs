//! The second half of the cases of [`crate::hazards::tests`]: what happens to a fleet while it is changed, left and copied.

use serde_json::{Value, json};

use crate::fleet::closer_look::{Policy, RecordGuard};
use crate::fleet::pd::Store;
use crate::fleet::pd_details::{PlacementRule, Removal};
use crate::fleet::region_health_counts::RegionCheck;
use crate::hazards::Severity;
use crate::hazards::fault_injection::{Plant, claim, member, stray, tls_but, without_domains};
use crate::hazards::test_fleet::Bed;

pub(super) const MORE: &[(&str, Plant, &[&str])] = &[
    (
        "it has peers to fall back on",
        |bed| {
            bed.west.tc["status"]["pd"]["synced"] = json!(false);
            bed.west.tc["status"]["pd"]["peerMembers"] = json!({"a": {"name": "a"}});
        },
        &["ready-too-early"],
    ),
    (
        "run records that anybody may write",
        |bed| bed.east.records = Some(RecordGuard { records: true, policy: Policy::Absent }),
        &["run-records-unguarded"],
    ),
    (
        "run records under the policy, and none without it",
        |bed| {
            bed.east.records = Some(RecordGuard { records: true, policy: Policy::InForce });
            bed.west.records = Some(RecordGuard { records: false, policy: Policy::Absent });
        },
        &[],
    ),
    ("no port", |bed| bed.members[0].peer_urls = vec!["http://prod-east-pd-0".into()], &["malformed-peer-url"]),
    ("a literal variable", |bed| bed.members[0].peer_urls = vec!["${member_peer_url}".into()], &["malformed-peer-url"]),
    (
        "a domainless peerURL",
        |bed| bed.members[1].peer_urls = vec!["http://prod-east-pd-1.prod-east-pd-peer.db.svc:2380".into()],
        &["peer-urls-half-updated"],
    ),
    (
        "a shared peerURL",
        |bed| bed.members[1].peer_urls = bed.members[0].peer_urls.clone(),
        &["peer-url-shared", "peer-urls-half-updated"],
    ),
    (
        "lists that differ",
        |bed| {
            let mut other = bed.members.clone();
            other[2].peer_urls.push("http://old:2380".into());
            bed.other_members = Some(other);
        },
        &["membership-in-doubt"],
    ),
    (
        "no discovery",
        |bed| bed.west.pods.retain(|pod| !pod["metadata"]["name"].as_str().expect("a name").contains("discovery")),
        &["discovery-unavailable"],
    ),
    (
        "seen down from one side",
        |bed| bed.unhealthy.push(("prod-west-pd-0", 2)),
        &["asymmetric-health", "pd-member-unhealthy"],
    ),
    ("seen down by all", |bed| bed.unhealthy.push(("", 2)), &["pd-member-unhealthy"]),
    ("no leader", |bed| bed.leader = None, &["pd-no-leader"]),
    (
        "Ready too early",
        |bed| {
            bed.east.rolling("tikv");
            bed.east.tc["status"]["conditions"][0] = json!({"type": "Ready", "status": "True"});
        },
        &["ready-too-early"],
    ),
    ("Pump is not in Ready", |bed| bed.east.tc["spec"]["pump"] = json!({"replicas": 1}), &["outside-ready"]),
    (
        "TiKV before PD",
        |bed| {
            bed.west.tc["spec"]["tikv"]["version"] = json!("v8.5.9");
            bed.west.tc["status"]["tikv"]["image"] = json!("pingcap/tikv:v8.5.9");
        },
        &["upgrade-out-of-order"],
    ),
    (
        "PD before TiKV",
        |bed| {
            for side in [&mut bed.east, &mut bed.west] {
                side.tc["spec"]["pd"]["version"] = json!("v8.5.9");
                side.tc["status"]["pd"]["image"] = json!("pingcap/pd:v8.5.9");
            }
        },
        &[],
    ),
    (
        "a way back",
        |bed| bed.east.tc["status"]["tidb"]["image"] = json!("pingcap/tidb:v8.5.8"),
        &["downgrade", "ready-too-early"],
    ),
    (
        "force-upgrade that is off",
        |bed| bed.east.tc["metadata"]["annotations"]["tidb.pingcap.com/force-upgrade"] = json!("false"),
        &[],
    ),
    (
        "force-upgrade",
        |bed| bed.east.tc["metadata"]["annotations"]["tidb.pingcap.com/force-upgrade"] = json!("true"),
        &["force-upgrade-left"],
    ),
    (
        "regions lack peers",
        |bed| *bed.details.regions.entry(RegionCheck::DownPeer).or_default() = 3,
        &["regions-unhealthy"],
    ),
    ("peers on their way", |bed| *bed.details.regions.entry(RegionCheck::PendingPeer).or_default() = 3, &[]),
    ("a store is away", |bed| bed.stores[0].state = "Disconnected".into(), &["regions-unhealthy", "store-not-up"]),
    (
        "TiFlash under 1.3.0",
        |bed| {
            for side in [&mut bed.east, &mut bed.west] {
                side.version = "v1.3.0".into();
            }
            bed.east.tc["spec"]["tiflash"] = json!({"replicas": 0, "maxFailoverCount": 0, "config": {}});
        },
        &["ready-too-early", "tiflash-metadata"],
    ),
    (
        "two stores of four to leave",
        |bed| bed.west.tc["spec"]["tikv"]["replicas"] = json!(0),
        &["ready-too-early", "too-few-tikv"],
    ),
    (
        "rules that need more",
        |bed| {
            bed.details.rules.as_mut().expect("rules").push(PlacementRule {
                role: "follower".into(),
                count: 2,
                ..PlacementRule::default()
            })
        },
        &["too-few-tikv"],
    ),
    ("one store of four to leave", |bed| bed.west.tc["spec"]["tikv"]["replicas"] = json!(1), &["ready-too-early"]),
    (
        "tables want TiFlash",
        |bed| {
            bed.details.rules.as_mut().expect("rules").push(PlacementRule {
                group_id: "tiflash".into(),
                count: 1,
                ..PlacementRule::default()
            })
        },
        &["tiflash-replicas-remain"],
    ),
    (
        "being deleted with its stores",
        |bed| bed.west.tc["metadata"]["deletionTimestamp"] = json!("2026-11-20T11:00:00Z"),
        &["deleted-too-early", "too-few-tikv"],
    ),
    (
        "gone with its stores",
        |bed| {
            let lost = |id, ordinal| Store {
                id,
                address: format!("gone-tikv-{ordinal}.gone-tikv-peer.db.svc.west.local:20160"),
                state: "Down".into(),
                ..Store::default()
            };
            bed.stores.extend([lost(8, 0), lost(9, 1)]);
        },
        &["deleted-too-early", "regions-unhealthy", "store-not-up"],
    ),
    (
        "a member of one that is gone",
        |bed| bed.members.extend([stray("gone"), member(10, "away-pd-0.away-pd-peer.z.svc.far.local")]),
        &["ghost-member"],
    ),
    ("another's key", |bed| tls_but(bed, "/keyMatches", json!(false)), &["certificate-unusable"]),
    (
        "called like its CA, without key ids",
        |bed| tls_but(bed, "/certificate/looksSelfSigned", json!(true)),
        &["certificate-looks-self-signed"],
    ),
    (
        "no certificate at all",
        |bed| tls_but(bed, "/unreadable", json!(["tls.crt holds no certificate in PEM"])),
        &["certificate-unusable"],
    ),
    ("another key id than its CA's", |bed| tls_but(bed, "/otherKeyId", json!(["aa", "bb"])), &["certificate-unusable"]),
    (
        "signed by what is no CA",
        |bed| tls_but(bed, "/authorities/0/mayNotSign", json!("is not that of a CA")),
        &["certificate-unusable"],
    ),
    ("a short key", |bed| tls_but(bed, "/certificate/rsaBits", json!(1024)), &["certificate-unusable"]),
    ("no key ids", |bed| tls_but(bed, "/certificate/subject", json!("CN=TiDB")), &["certificate-without-key-ids"]),
    (
        "a member whose pod is gone, and all is seen",
        |bed| bed.members.push(member(9, "prod-west-pd-1.prod-west-pd-peer.db.svc.west.local")),
        &["ghost-member", "pd-member-unhealthy", "uneven-pd-spread"],
    ),
    // Failover has asked for one more pod than the spec, and that pod is only away.
    (
        "a member whose pod failover wants",
        |bed| {
            bed.members.push(member(9, "prod-west-pd-1.prod-west-pd-peer.db.svc.west.local"));
            for set in bed.west.sets.iter_mut().filter(|set| set["metadata"]["name"] == "prod-west-pd") {
                set["spec"]["replicas"] = json!(2);
            }
        },
        &["pd-member-unhealthy", "uneven-pd-spread"],
    ),
    (
        "a member whose pod is wanted by delete-slots",
        |bed| {
            bed.members.push(member(9, "prod-west-pd-1.prod-west-pd-peer.db.svc.west.local"));
            bed.west.tc["metadata"]["annotations"]["pd.tidb.pingcap.com/delete-slots"] = json!("[0]");
        },
        &["paused", "pd-member-unhealthy", "uneven-pd-spread"],
    ),
    (
        "a member whose pod is gone",
        |bed| {
            bed.members.extend([
                member(9, "prod-west-pd-1.prod-west-pd-peer.db.svc.west.local"),
                member(10, "away-pd-0.away-pd-peer.z.svc.far.local"),
            ]);
        },
        // Whatever PD says of it: nothing of it runs.
        &["ghost-member", "pd-member-unhealthy"],
    ),
    (
        "the leader's side leaves",
        |bed| {
            bed.leader = Some(3);
            bed.west.tc["spec"]["pd"]["replicas"] = json!(0);
        },
        &["majority-in-leaving", "ready-too-early"],
    ),
    (
        "the only PD goes",
        |bed| {
            bed.west.tc["spec"]["pd"] = Value::Null;
            bed.east.tc["metadata"]["deletionTimestamp"] = json!("2026-11-20T11:00:00Z");
            bed.east.tc["spec"]["clusterDomain"] = json!("east.local");
        },
        &["deleted-too-early", "majority-in-leaving", "reference-deleted", "too-few-tikv"],
    ),
    ("claims left behind", |bed| bed.east.claims = Some(vec![claim("gone", "2025-01-01T00:00:00Z")]), &["old-claims"]),
    ("claims of its own", |bed| bed.east.claims = Some(vec![claim("prod-east", "2025-01-01T00:00:00Z")]), &[]),
    ("Delete", |bed| bed.east.tc["spec"]["pvReclaimPolicy"] = json!("Delete"), &["reclaim-policy-delete"]),
    (
        "evicting",
        |bed| bed.details.schedulers.as_mut().expect("a list").push("evict-leader-scheduler".into()),
        &["silent-eviction"],
    ),
    (
        "a store on its way out",
        |bed| bed.details.removing = Some(vec![Removal { store_id: Some(5), progress: 0.4, left_seconds: Some(60.0) }]),
        &["silent-eviction"],
    ),
    ("no operator pod", |bed| bed.west.operator.deployments[0].available = 0, &["operator-down"]),
    ("no operator", |bed| bed.west.operator.deployments.clear(), &["operator-down"]),
    (
        "one cluster twice",
        |bed| {
            bed.west.uid = bed.east.uid.clone();
            bed.east.tc["metadata"]["uid"] = json!("uid-of-the-tc");
            bed.west.others = vec![bed.east.tc.clone()];
        },
        &["wrong-context"],
    ),
    ("a copy of a cluster", |bed| bed.west.uid = bed.east.uid.clone(), &["one-uid-twice"]),
    (
        "a copied id",
        |bed| {
            bed.east.others = vec![
                json!({"metadata": {"name": "evil", "namespace": "tenant"}, "spec": {"paused": false},
                "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}}),
            ];
        },
        &["cluster-id-not-confirmed"],
    ),
    (
        "a peerURL that leads elsewhere, where nobody else has to reach it",
        |bed| {
            without_domains(bed);
            for side in [&mut bed.east, &mut bed.west] {
                side.tc["spec"]["acrossK8s"] = json!(false);
            }
            bed.members[1].peer_urls = vec!["http://gone.example:2380".into()];
        },
        &["across-k8s-missing", "cluster-domain-missing", "peer-url-unexpected"],
    ),
    (
        "Pump has not come, and Ready is False for something else",
        |bed| {
            bed.east.tc["spec"]["pump"] = json!({"replicas": 1, "config": {}});
            bed.east.tc["status"]["conditions"][0] =
                json!({"type": "Ready", "status": "False", "reason": "TiDBUnhealthy", "message": ""});
        },
        &["component-not-settled", "not-ready"],
    ),
    (
        "no domain, old operator",
        |bed| {
            without_domains(bed);
            for side in [&mut bed.east, &mut bed.west] {
                side.version = "v1.3.2".into();
                side.domain = Some("cluster.local".into());
            }
        },
        &["across-without-domain-old-operator"],
    ),
    (
        "scaled and rolled at once",
        |bed| {
            bed.east.rolling("tikv");
            bed.east.tc["spec"]["tikv"]["replicas"] = json!(3);
        },
        &["not-ready", "overlapping-changes"],
    ),
];

/// Everything deals with it: a word, and no alarm.
#[test]
fn one_cluster_under_two_contexts_is_a_word() {
    let mut bed = Bed::healthy();
    bed.west.uid = bed.east.uid.clone();
    bed.east.tc["metadata"]["uid"] = json!("uid-of-the-tc");
    bed.west.others = vec![bed.east.tc.clone()];
    let checked = bed.checked();
    let found = checked.findings.iter().find(|finding| finding.id() == "wrong-context").expect("it is named");
    assert_eq!(found.severity, Severity::Info);
}
