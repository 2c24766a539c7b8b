//! Which TidbClusters are one Database, on small fleets.

use super::*;
use crate::fleet::database::{Database, database_of, databases, parts_of};
use crate::fleet::pd::{EtcdMember, PdView};
use crate::fleet::problem::ProblemKind;
use crate::fleet::{Change, Freshness, What};
use crate::hazards::test_fleet::Bed;
use serde_json::json;
use std::collections::BTreeMap;

/// `context/name`, its domain, and the domain in its reference to `basic` (`-`: it refers to nobody).
fn fleet(all: &[(&str, &str, &str)]) -> Fleet {
    let mut fleet = Fleet::default();
    let mut by_context: BTreeMap<&str, Vec<TidbCluster>> = BTreeMap::new();
    for (place, domain, refers) in all {
        let (context, name) = place.split_once('/').expect("context/name");
        let mut spec = json!({"clusterDomain": domain});
        if *refers != "-" {
            spec["cluster"] = json!({"name": "basic", "clusterDomain": refers});
        } else {
            spec["pd"] = json!({"replicas": 1});
        }
        let tc = json!({"metadata": {"namespace": "db", "name": name}, "spec": spec});
        by_context.entry(context).or_default().push(serde_json::from_value(tc).expect("the API's shape"));
    }
    for (context, all) in by_context {
        let mut say = |what| fleet.apply(Change { context: context.into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        say(What::Identity { uid: Some(context.into()), version: None });
        say(What::TidbClusters(all));
    }
    fleet
}

#[test]
fn a_reference_leads_to_one_and_to_no_stranger() {
    type All = &'static [(&'static str, &'static str, &'static str)];
    let cases: &[(&str, All, Option<&str>)] = &[
        (
            "without a domain: the own KubeCluster",
            &[("a/basic", "", "-"), ("b/basic", "", "-"), ("b/x", "", "")],
            Some("b/db/basic"),
        ),
        (
            "and there whatever its domain is",
            &[("a/basic", "", "-"), ("b/basic", "b.com", "-"), ("b/x", "", "")],
            Some("b/db/basic"),
        ),
        ("else elsewhere, where domains are not used", &[("a/basic", "", "-"), ("b/x", "", "")], Some("a/db/basic")),
        ("but not to one that has a domain", &[("a/basic", "a.com", "-"), ("b/x", "", "")], None),
        ("nor to one of two", &[("a/basic", "", "-"), ("c/basic", "", "-"), ("b/x", "", "")], None),
        (
            "with a domain: by the domain",
            &[("a/basic", "a.com", "-"), ("b/basic", "b.com", "-"), ("b/x", "b.com", "a.com")],
            Some("a/db/basic"),
        ),
        (
            "one of the domain, or none",
            &[("a/basic", "a.com", "-"), ("c/basic", "a.com", "-"), ("b/x", "b.com", "a.com")],
            None,
        ),
    ];
    for (what, all, expected) in cases {
        let fleet = fleet(all);
        let of = ObjectRef::new("b", "db", "x");
        let tc = fleet.tidb_cluster(&of).expect("it is there");
        assert_eq!(referenced(&fleet, &of, tc).map(|of| of.to_string()).as_deref(), *expected, "{what}");
    }
}

#[test]
fn who_may_belong_to_it_is_said_to_be_unseen() {
    let fleet = fleet(&[("a/basic", "a.com", "-"), ("b/x", "", "")]);
    let database = database_of(&fleet, &ObjectRef::new("a", "db", "basic")).expect("a Database");
    assert_eq!(database.tidb_clusters.len(), 1);
    assert!(
        database.unseen.iter().any(|unseen| unseen.contains("b/db/x") && unseen.contains("may belong to a/db/basic")),
        "{:?}",
        database.unseen
    );
    assert!(database.unseen.iter().all(|one| one.database.as_deref() == Some("basic")), "{:?}", database.unseen);
}

/// The bed, with a KubeCluster `aaa` in which one PD tells this.
fn beside(answer: impl Fn(&PdAnswer) -> PdAnswer) -> Fleet {
    let mut fleet = Bed::healthy().fleet();
    let real = fleet.clusters["east"].pd.values().find_map(|view| view.answer.clone().ok()).expect("it answers");
    let tc = json!({"metadata": {"namespace": "ns", "name": "x"}, "spec": {"pd": {"replicas": 1}},
        "status": {"clusterID": "42", "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}});
    let pod = json!({"metadata": {"namespace": "ns", "name": "x-pd-0"}});
    for what in [
        What::Connection { freshness: Freshness::Live, message: None },
        What::Identity { uid: Some("of-aaa".into()), version: None },
        What::TidbClusters(vec![serde_json::from_value(tc).expect("the API's shape")]),
        What::Pods(vec![serde_json::from_value(pod).expect("the API's shape")]),
        What::Pd {
            pod: ObjectKey::new("ns", "x-pd-0"),
            view: Box::new(PdView { at: jiff::Timestamp::UNIX_EPOCH, answer: Ok(answer(&real)) }),
        },
    ] {
        fleet.apply(Change { context: "aaa".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
    }
    fleet
}

fn own_member() -> EtcdMember {
    EtcdMember {
        id: MemberId(99),
        name: "x-pd-0".into(),
        peer_urls: vec!["http://x-pd-0.x-pd-peer.ns.svc:2380".into()],
        client_urls: vec!["http://x-pd-0.x-pd-peer.ns.svc:2379".into()],
    }
}

/// The Database of the bed, and how many there are.
fn real(fleet: &Fleet) -> (Database, usize) {
    let all = databases(fleet);
    let count = all.len();
    (all.into_iter().find(|one| one.name == "prod-east").expect("it is there"), count)
}

#[test]
fn a_pd_with_a_copied_id_takes_nothing_over() {
    type Answer = fn(&PdAnswer) -> PdAnswer;
    let cases: [(&str, Answer); 3] = [
        ("itself alone", |real| PdAnswer {
            self_id: Some(MemberId(99)),
            leader: Some(MemberId(99)),
            members: vec![own_member()],
            health: [(MemberId(99), true)].into(),
            ..real.clone()
        }),
        ("with the others' list", |real| PdAnswer {
            self_id: Some(MemberId(99)),
            leader: Some(MemberId(99)),
            members: real.members.iter().cloned().chain([own_member()]).collect(),
            ..real.clone()
        }),
        ("under another's id", |real| PdAnswer { self_id: Some(MemberId(2)), healthy: Some(false), ..real.clone() }),
    ];
    for (what, answer) in cases {
        let (database, count) = real(&beside(answer));
        assert_eq!((count, database.tidb_clusters.len(), database.members.len()), (2, 2, 3), "{what}");
        assert_eq!(database.quorum.healthy, 3, "{what}");
        let said: Vec<_> = database.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(said, [ProblemKind::IdNotConfirmed], "{what}: it is said all the same");
    }
}

/// One Database alone is made as it is among all of them, claims included.
#[test]
fn one_is_what_it_is_among_all() {
    let mut claimed = Bed::healthy();
    claimed.east.others = vec![json!({"metadata": {"namespace": "tenant", "name": "evil"},
        "spec": {"tidb": {"replicas": 1}}, "status": {"clusterID": "42"}})];
    let copied = beside(|real| PdAnswer {
        self_id: Some(MemberId(99)),
        leader: Some(MemberId(99)),
        members: vec![own_member()],
        ..real.clone()
    });
    for fleet in [Bed::healthy().fleet(), claimed.fleet(), copied] {
        let all = databases(&fleet);
        for (of, _) in fleet.tidb_clusters() {
            let among = all.iter().find(|database| database.tidb_clusters.contains(&of)).expect("a Database");
            assert_eq!(database_of(&fleet, &of).as_ref(), Some(among), "{of}");
            assert_eq!(parts_of(&fleet, &of), among.tidb_clusters, "{of}");
        }
    }
}

#[test]
fn an_id_in_an_object_is_a_claim() {
    let evil = |cluster: serde_json::Value| {
        let mut bed = Bed::healthy();
        bed.east.others = vec![json!({"metadata": {"namespace": "tenant", "name": "evil"},
            "spec": {"cluster": cluster, "tidb": {"replicas": 1}}, "status": {"clusterID": "42"}})];
        bed.fleet()
    };
    let (database, count) = real(&evil(json!(null)));
    assert_eq!((count, database.tidb_clusters.len()), (2, 2));
    assert!(database.problems.is_empty() && database.unseen.is_empty(), "{database:#?}");
    let claims = database_of(&evil(json!(null)), &ObjectRef::new("east", "tenant", "evil")).expect("one of its own");
    assert_eq!(claims.id, None, "nothing goes by the id of another Database");
    // A reference is its own word as well: it is shown there, and keeps no lease.
    let joined = json!({"namespace": "db", "name": "prod-east", "clusterDomain": "east.local"});
    let (database, count) = real(&evil(joined));
    assert_eq!((count, database.tidb_clusters.len()), (1, 3));
    assert_eq!(database.unconfirmed, [ObjectRef::new("east", "tenant", "evil")]);
}

#[test]
fn what_pd_lists_belongs_to_it_whether_it_answers_or_not() {
    let without_reference = |bed: &mut Bed| drop(bed.west.tc["spec"].as_object_mut().expect("spec").remove("cluster"));
    let mut bed = Bed::healthy();
    without_reference(&mut bed);
    let mut fleet = bed.fleet();
    assert_eq!(real(&fleet).1, 1, "they list each other");
    let views = |fleet: &mut Fleet, context: &str| {
        let cluster = fleet.clusters.get_mut(context).expect("there");
        cluster.pd.values_mut().for_each(|view| view.answer = Err("no answer".into()));
    };
    views(&mut fleet, "west");
    assert_eq!(real(&fleet).1, 1, "east lists the member of west");
    assert!(real(&fleet).0.unconfirmed.is_empty());
    // Only stores, and no PD at all.
    without_reference(&mut bed);
    drop(bed.west.tc["spec"].as_object_mut().expect("spec").remove("pd"));
    bed.west.pods.retain(|pod| !pod["metadata"]["name"].as_str().is_some_and(|name| name.contains("-pd-")));
    bed.members.truncate(2);
    assert_eq!(real(&bed.fleet()).1, 1, "east's PD lists the stores of west");
    // Nobody answers: the reference is all there is.
    let mut fleet = Bed::healthy().fleet();
    views(&mut fleet, "east");
    views(&mut fleet, "west");
    assert_eq!(real(&fleet).1, 1, "by its reference");
    let mut bed = Bed::healthy();
    without_reference(&mut bed);
    let mut fleet = bed.fleet();
    views(&mut fleet, "east");
    views(&mut fleet, "west");
    assert_eq!(real(&fleet).1, 2, "by nothing but their word");
}
