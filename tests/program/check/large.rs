//! A large fleet is judged as quickly as a small one.

use serde_json::json;
use std::time::Duration;
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, What};
use tidepilot::hazards::check;

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

/// Processor time of this thread.
fn spent() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().expect("not negative"), now.tv_nsec.try_into().expect("nanoseconds"))
}

/// The bound of `benches/check.rs`, which an unoptimised build keeps too: about 20 ms of processor time. The best of ten rounds
/// counts, and of it the time of this thread: the machine is shared with other tests.
#[test]
fn a_large_fleet_is_judged_at_once() {
    let fleet = large();
    assert_eq!((fleet.clusters.len(), fleet.tidb_clusters().count()), (20, 50));
    let best = (0..10)
        .map(|_| {
            let begun = spent();
            let checked = check(&fleet, None, jiff::Timestamp::UNIX_EPOCH);
            assert_eq!(checked.databases.len(), 17);
            spent() - begun
        })
        .min()
        .expect("ten rounds");
    eprintln!("check: {best:?}");
    assert!(best < Duration::from_millis(100), "check took {best:?}");
}
