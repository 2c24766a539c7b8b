//! `check` over 50 TidbClusters in 20 KubeClusters, the data being there: less than 100 ms of CPU.
//!
//! A plain program: `cargo bench --bench check` prints the figure and fails where it is missed. The fleet is that of
//! `tests/program/check/`, made by hand here as there: nothing is simulated.

#![allow(clippy::too_many_lines, reason = "a benchmark tells one story")]

use std::time::{Duration, Instant};

use serde_json::json;
use tidepilot::fleet::database_invariants::invariants;
use tidepilot::fleet::pd::{EtcdMember, MemberId, PdAnswer, PdView, Store};
use tidepilot::fleet::{Change, Crd, Fleet, Freshness, ObjectKey, What, database};
use tidepilot::hazards::check;

const LIMIT: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 20;

#[expect(clippy::print_stdout, reason = "a benchmark says its figure")]
fn main() {
    let fleet = fleet();
    let begun = Instant::now();
    let mut found = 0;
    for _ in 0..ROUNDS {
        found += check(&fleet, None, jiff::Timestamp::UNIX_EPOCH).findings.len();
        found += database::databases(&fleet).iter().map(|db| invariants(&fleet, db).len()).sum::<usize>();
    }
    let each = begun.elapsed() / ROUNDS;
    println!("check: {each:?} for 50 TidbClusters in 20 KubeClusters ({} sentences)", found / ROUNDS as usize);
    assert!(each < LIMIT, "check took {each:?}, more than {LIMIT:?}");
}

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).expect("the shape of the API")
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    let mut say = |context: &str, what| {
        fleet.apply(Change { context: context.to_owned(), at: jiff::Timestamp::UNIX_EPOCH, what });
    };
    let context = |tc: u64| format!("c{:02}", tc % 20);
    for index in 0..20 {
        let name = context(index);
        say(&name, What::Connection { freshness: Freshness::Live, message: None });
        say(&name, What::Identity { uid: Some(format!("uid-{index}")), version: Some("v1.33.4".into()) });
        say(&name, What::Crd(Crd::Served { across_k8s: Some(true) }));
        say(&name, What::Operator { version: Some("v1.6.6".into()) });
        say(&name, What::Dns(tidepilot::fleet::dns::Dns::of(&format!("{name}.local"))));
        let own = || (0..50).filter(move |tc| tc % 20 == index);
        let component = json!({"replicas": 3, "maxFailoverCount": 0, "config": {}});
        let tcs = own().map(|tc| {
            from(json!({"metadata": {"name": format!("db{tc:02}"), "namespace": "db"},
                "spec": {"version": "v8.5.7", "acrossK8s": true, "clusterDomain": format!("{name}.local"),
                    "configUpdateStrategy": "RollingUpdate", "pd": component, "tikv": component, "tidb": component},
                "status": {"clusterID": (1000 + tc % 17).to_string(), "conditions": [{"type": "Ready", "status": "True"}]}}))
        });
        say(&name, What::TidbClusters(tcs.collect()));
        let pods = own().flat_map(|tc| {
            let all = [("pd", 3), ("tikv", 3), ("tidb", 3), ("discovery", 1)];
            all.into_iter().flat_map(move |(key, count)| (0..count).map(move |ordinal| (tc, key, ordinal)))
        });
        let pods = pods.map(|(tc, key, ordinal)| {
            from(json!({"metadata": {"name": format!("db{tc:02}-{key}-{ordinal}"), "namespace": "db", "labels": {
                    "app.kubernetes.io/instance": format!("db{tc:02}"), "app.kubernetes.io/component": key}},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}))
        });
        say(&name, What::Pods(pods.collect()));
    }
    for tc in 0..50 {
        let mates: Vec<u64> = (0..50).filter(|other| other % 17 == tc % 17).collect();
        let host = |tc: u64, key: &str, ordinal: u64| {
            format!("db{tc:02}-{key}-{ordinal}.db{tc:02}-{key}-peer.db.svc.{}.local", context(tc))
        };
        let members: Vec<EtcdMember> = mates
            .iter()
            .flat_map(|mate| (0..3).map(move |ordinal| (*mate, ordinal)))
            .map(|(mate, ordinal)| EtcdMember {
                id: MemberId(mate * 10 + ordinal + 1),
                name: host(mate, "pd", ordinal),
                peer_urls: vec![format!("http://{}:2380", host(mate, "pd", ordinal))],
                client_urls: vec![format!("http://{}:2379", host(mate, "pd", ordinal))],
            })
            .collect();
        let stores: Vec<Store> = mates
            .iter()
            .flat_map(|mate| (0..3).map(move |ordinal| (*mate, ordinal)))
            .map(|(mate, ordinal)| Store {
                id: mate * 10 + ordinal + 1,
                address: format!("{}:20160", host(mate, "tikv", ordinal)),
                state: "Up".into(),
                ..Store::default()
            })
            .collect();
        for ordinal in 0..3 {
            let answer = PdAnswer {
                cluster_id: Some(1000 + tc % 17),
                self_id: Some(MemberId(tc * 10 + ordinal + 1)),
                leader: members.first().map(|member| member.id),
                health: members.iter().map(|member| (member.id, true)).collect(),
                members: members.clone(),
                stores: stores.clone(),
                max_replicas: Some(3),
                ..PdAnswer::default()
            };
            let view = Box::new(PdView { at: jiff::Timestamp::UNIX_EPOCH, answer: Ok(answer) });
            say(&context(tc), What::Pd { pod: ObjectKey::new("db", format!("db{tc:02}-pd-{ordinal}")), view });
        }
    }
    fleet
}
