//! Sample fleets for linting: one small Database before and after the migration, without and with TLS, and one that spans.
//!
//! Only shapes matter here: the facts made from them have every field that facts can have. Not a simulation
//! (`sim`), not a fixture of the console's tests.

use serde_json::{Value, json};

use crate::fleet::dns::Dns;
use crate::fleet::object_kind::{Lookup, ObjectKind};
use crate::fleet::pd::{EtcdMember, MemberId, MembershipApi, PdAnswer, PdView, Store};
use crate::fleet::pd_details::{PdDetails, PlacementRule, Removal};
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::tidbcluster::MemberStatus;
use crate::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, ObjectRef, What};
use crate::runbook::Observation;
use crate::runbook::facts::{Query, objects};

/// The TidbCluster in the samples.
pub const TARGET: &str = "sample/db/basic";
/// One that is not there yet, in the same Kubernetes cluster.
pub const NEW: &str = "sample/new/fresh";
/// One that has joined the sample Database, in a Kubernetes cluster of its own.
pub const FAR: &str = "far/db/far";
pub const CONTEXT: &str = "sample";
/// A later version than that of the sample Database.
pub const VERSION: &str = "v8.5.7";
/// The real domain of its Kubernetes cluster.
pub const DOMAIN: &str = "sample.test";

const PODS: u64 = 3;

/// One observation for each sample.
pub fn observations() -> Vec<Observation> {
    let mut all = [(false, false), (true, false), (true, true), (false, true)]
        .map(|(moved, tls)| observation(moved, tls))
        .to_vec();
    let mut spanning = observation(true, false);
    join(&mut spanning.fleet);
    all.push(spanning);
    all
}

#[expect(clippy::too_many_lines, reason = "one sample fleet")]
fn observation(moved: bool, tls: bool) -> Observation {
    let mut fleet = Fleet::default();
    let mut say = |what| {
        fleet.apply(Change { context: "sample".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
    };
    say(What::Connection { freshness: Freshness::Live, message: None });
    say(What::Identity { uid: Some("sample-uid".into()), version: Some("v1.33.4".into()) });
    say(What::Crd(Crd::Served { across_k8s: Some(true) }));
    say(What::Operator { version: Some("v1.6.6".into()) });
    say(What::Dns(Dns::of(DOMAIN)));
    let suffix = if moved { format!(".{DOMAIN}") } else { String::new() };
    let host = |i: u64| format!("basic-pd-{i}.basic-pd-peer.db.svc{suffix}");
    let name = |i: u64| if moved { host(i) } else { format!("basic-pd-{i}") };
    let scheme = if tls { "https" } else { "http" };
    let replicas = |n: u64| json!({"replicas": n, "config": {}, "maxFailoverCount": 0, "mode": ""});
    let mut spec = json!({"version": "v8.5.4", "configUpdateStrategy": "RollingUpdate", "pd": replicas(PODS), "tikv": replicas(3), "tidb": replicas(2)});
    if moved {
        spec["acrossK8s"] = json!(true);
        spec["clusterDomain"] = json!(DOMAIN);
        spec["paused"] = json!(false);
    }
    if tls {
        spec["tlsCluster"] = json!({"enabled": true});
    }
    let members: serde_json::Map<String, Value> =
        (0..PODS).map(|i| (name(i), json!({"name": name(i), "health": true}))).collect();
    let part = json!({"synced": true, "phase": "Normal", "image": "pingcap/pd:v8.5.4"});
    let mut pd = part.clone();
    pd["members"] = json!(members);
    if moved {
        pd["peerMembers"] = json!({});
    }
    let tc = json!({"metadata": {"name": "basic", "namespace": "db", "uid": "tc-uid", "resourceVersion": "7",
            "annotations": {}, "managedFields": []},
        "spec": spec, "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True"}],
            "pd": pd, "tikv": part, "tidb": {"phase": "Normal"}}});
    say(What::TidbClusters(read([tc])));
    let components = [("pd", PODS), ("tikv", 3), ("tidb", 2)];
    say(What::StatefulSets(read(components.map(|(component, n)| {
        json!({"metadata": {"name": format!("basic-{component}"), "namespace": "db", "generation": 1}, "spec": {"replicas": n},
            "status": {"observedGeneration": 1, "replicas": n, "readyReplicas": n, "updatedReplicas": n, "currentRevision": "r", "updateRevision": "r"}})
    }))));
    let pods = components.iter().flat_map(|(component, n)| {
        (0..*n).map(move |i| {
            json!({"metadata": {"name": format!("basic-{component}-{i}"), "namespace": "db", "labels": {
                    "app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": component, "controller-revision-hash": "r"}},
                "status": {"phase": "Running", "podIP": format!("10.0.0.{i}"), "conditions": [{"type": "Ready", "status": "True"}]}})
        })
    });
    say(What::Pods(read(pods)));
    say(What::Claims(read([json!({"metadata": {"name": "pd-basic-pd-0", "namespace": "db", "labels": {
            "app.kubernetes.io/instance": "basic", "app.kubernetes.io/component": "pd"}},
        "spec": {"volumeName": "pvc-0"}, "status": {"phase": "Bound"}})])));
    // One stale peerURL: a for-each over drifted members finds something as well.
    let peer = |i: u64| if moved && i == 1 { "basic-pd-1.basic-pd-peer.db.svc".to_owned() } else { host(i) };
    let listed: Vec<EtcdMember> = (0..PODS)
        .map(|i| EtcdMember {
            id: MemberId(i + 1),
            name: name(i),
            peer_urls: vec![format!("{scheme}://{}:2380", peer(i))],
            client_urls: vec![format!("{scheme}://{}:2379", host(i))],
        })
        .collect();
    for i in 0..PODS {
        let store =
            |id: u64| Store { id, address: format!("basic-tikv-{id}:20160"), state: "Up".into(), ..Store::default() };
        let answer = PdAnswer {
            api: Some(MembershipApi::V3),
            cluster_id: Some(42),
            term: Some(2),
            self_id: Some(MemberId(i + 1)),
            members: listed.clone(),
            leader: Some(MemberId(1)),
            healthy: Some(true),
            pd_leads: Some(true),
            health: (1..=PODS).map(|id| (MemberId(id), true)).collect(),
            version: Some("v8.5.4".into()),
            stores: (1..=3).map(store).collect(),
            max_replicas: Some(3),
            location_labels: vec!["zone".into()],
            ..PdAnswer::default()
        };
        let view = Box::new(PdView { at: jiff::Timestamp::UNIX_EPOCH, answer: Ok(answer) });
        say(What::Pd { pod: ObjectKey::new("db", format!("basic-pd-{i}")), view });
    }
    say(What::PdDetails { pod: ObjectKey::new("db", "basic-pd-0"), details: Box::new(details()) });
    say(What::Events(Vec::new()));
    say(What::CertManager(vec!["v1".into()]));
    places(&mut fleet, &ObjectRef::new("sample", "new", "fresh"));
    places(&mut fleet, &ObjectRef::new("sample", "db", "basic"));
    Observation { at: jiff::Timestamp::UNIX_EPOCH, fleet, denied: Some(Vec::new()) }
}

/// A second TidbCluster in a Kubernetes cluster of its own: its PD is a fourth member that everybody lists.
fn join(fleet: &mut Fleet) {
    let host = "far-pd-0.far-pd-peer.db.svc.far.test";
    let member = EtcdMember {
        id: MemberId(9),
        name: host.into(),
        peer_urls: vec![format!("http://{host}:2380")],
        client_urls: vec![format!("http://{host}:2379")],
    };
    let near = fleet.clusters.get_mut("sample").expect("it was made just before");
    let mut answers = near.pd.values_mut().filter_map(|view| view.answer.as_mut().ok());
    answers.by_ref().for_each(|answer| {
        answer.members.push(member.clone());
        answer.health.insert(member.id, true);
    });
    let names: Vec<String> = (0..PODS).map(|i| format!("basic-pd-{i}.basic-pd-peer.db.svc.{DOMAIN}")).collect();
    for tc in near.tidb_clusters.values_mut() {
        tc.status.pd.peer_members.insert(host.into(), MemberStatus::default());
    }
    let first = near.pd.values().find_map(|view| view.answer.clone().ok()).unwrap_or_default();
    let mut say = |what| fleet.apply(Change { context: "far".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
    say(What::Connection { freshness: Freshness::Live, message: None });
    say(What::Identity { uid: Some("far-uid".into()), version: Some("v1.33.4".into()) });
    let status = json!({"synced": true, "phase": "Normal", "image": "pingcap/pd:v8.5.4",
        "members": {host: {"name": host, "health": true}},
        "peerMembers": names.iter().map(|name| (name.clone(), json!({"name": name, "health": true}))).collect::<serde_json::Map<_, _>>()});
    say(What::TidbClusters(read([
        json!({"metadata": {"name": "far", "namespace": "db", "uid": "far-tc", "resourceVersion": "9",
            "annotations": {}, "managedFields": []},
        "spec": {"version": "v8.5.4", "acrossK8s": true, "clusterDomain": "far.test", "configUpdateStrategy": "RollingUpdate",
            "cluster": {"name": "basic", "namespace": "db", "clusterDomain": DOMAIN},
            "pd": {"replicas": 1, "config": {}, "maxFailoverCount": 0}},
        "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True"}], "pd": status}}),
    ])));
    say(What::StatefulSets(read([
        json!({"metadata": {"name": "far-pd", "namespace": "db", "generation": 1}, "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "currentRevision": "r", "updateRevision": "r"}}),
    ])));
    say(What::Pods(read([json!({"metadata": {"name": "far-pd-0", "namespace": "db", "labels": {
            "app.kubernetes.io/instance": "far", "app.kubernetes.io/component": "pd", "controller-revision-hash": "r"}},
        "status": {"phase": "Running", "podIP": "10.1.0.1", "conditions": [{"type": "Ready", "status": "True"}]}})])));
    let answer = PdAnswer { self_id: Some(member.id), ..first };
    let view = Box::new(PdView { at: jiff::Timestamp::UNIX_EPOCH, answer: Ok(answer) });
    say(What::Pd { pod: ObjectKey::new("db", "far-pd-0"), view });
    say(What::Crd(Crd::Served { across_k8s: Some(true) }));
    say(What::Operator { version: Some("v1.6.6".into()) });
    say(What::Dns(Dns::of("far.test")));
    say(What::Claims(Vec::new()));
    say(What::Events(Vec::new()));
    say(What::CertManager(vec!["v1".into()]));
    places(fleet, &ObjectRef::new("far", "db", "far"));
}

/// The namespace is there, the Secrets are not.
fn places(fleet: &mut Fleet, of: &ObjectRef) {
    for query in [Query::Place, Query::Certificates, Query::Trust, Query::Monitoring, Query::ProbePod] {
        for id in objects(query, of, fleet) {
            let sight = match id.kind {
                ObjectKind::Namespace => Lookup::Present(json!({"metadata": {"name": id.name, "uid": "ns"}})),
                _ => Lookup::Absent,
            };
            let (kind, key) = id.key();
            let what = What::Object { kind, key, sight: Box::new(sight) };
            fleet.apply(Change { context: of.context.clone(), at: jiff::Timestamp::UNIX_EPOCH, what });
        }
    }
}

fn details() -> PdDetails {
    let rule = PlacementRule {
        group_id: "pd".into(),
        id: "default".into(),
        role: "voter".into(),
        count: 3,
        ..Default::default()
    };
    PdDetails {
        rules: Some(vec![rule]),
        regions: RegionCheck::ALL.map(|check| (check, 0)).into(),
        removing: Some(vec![Removal { progress: 0.5, left_seconds: Some(60.0), ..Removal::default() }]),
        ..PdDetails::default()
    }
}

fn read<T: serde::de::DeserializeOwned>(all: impl IntoIterator<Item = Value>) -> Vec<T> {
    all.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect()
}
