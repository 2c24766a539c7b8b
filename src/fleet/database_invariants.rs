//! Is this really one cluster? The seven invariants of `domain.md` §5.5, each with its answer in one sentence.
//!
//! Holds, broken, or unknown: what cannot be seen is unknown, and never holds. Pure; for the console's panel and
//! `check`. Not here: what to do about a broken one ([`crate::hazards`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::database::{Database, answers, cluster_id, referenced};
use super::pd::PdAnswer;
use super::tidbcluster::{Component, TidbCluster};
use super::{Fleet, KubeCluster, ObjectRef};
use crate::pluralize::counted;

/// How one of them stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "sentence", rename_all = "kebab-case")]
pub enum Holding {
    Holds,
    Broken(String),
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invariant {
    pub number: u8,
    /// What has to hold, in few words.
    pub title: &'static str,
    #[serde(flatten)]
    pub holding: Holding,
}

impl Invariant {
    /// Its title in one word.
    pub fn word(&self) -> &'static str {
        const WORDS: [&str; 7] = ["id", "members", "pump", "names", "strangers", "stores", "leader"];
        usize::from(self.number).checked_sub(1).and_then(|at| WORDS.get(at)).copied().unwrap_or("?")
    }
}

const TITLES: [&str; 7] = [
    "one PD cluster id in all TidbClusters",
    "each TidbCluster knows the others' members and stores",
    "each TidbCluster lists all Pump nodes",
    "each PD member has the name that its TidbCluster gives it",
    "no member beside those of the TidbClusters",
    "each store belongs to exactly one TidbCluster",
    "one PD leader, in one of the TidbClusters",
];

struct Part<'a> {
    of: &'a ObjectRef,
    cluster: &'a KubeCluster,
    tc: &'a TidbCluster,
}

/// The seven, in order.
pub fn invariants(fleet: &Fleet, database: &Database) -> Vec<Invariant> {
    let parts: Vec<Part<'_>> = database
        .tidb_clusters
        .iter()
        .filter_map(|of| Some(Part { of, cluster: fleet.clusters.get(&of.context)?, tc: fleet.tidb_cluster(of)? }))
        .collect();
    let told: Vec<&PdAnswer> = parts.iter().flat_map(|part| answers(part.cluster, part.tc)).map(|(_, a)| a).collect();
    // A part that is dark may have changed since: what holds without it is not known to hold with it.
    let stale = parts.iter().filter(|part| !part.cluster.freshness.is_live());
    let stale = stale.map(|part| format!("KubeCluster {} is {}", part.of.context, part.cluster.freshness.word()));
    // So has one of which only PD tells.
    let away = database.members.iter().filter(|member| !member.place.is_known() && !member.name.is_empty());
    let away = away.map(|member| format!("PD member {} is in no cluster that was looked at", member.name));
    let strange = database.stores.iter().filter(|row| !row.place.is_known() && !row.store.is_gone());
    let strange = strange.map(|row| format!("store {} is in no cluster that was looked at", row.store.id));
    let refers = parts.iter().filter(|part| part.tc.spec.cluster.is_some());
    let refers = refers.filter(|part| !database.joined_for_certain(part.of));
    let refers = refers.filter(|part| referenced(fleet, part.of, part.tc).is_none());
    let refers = refers.map(|part| format!("what {} joined is not seen", part.of));
    let dark: Vec<String> = stale.chain(away).chain(refers).chain(strange).collect();
    let all = [
        one_id(fleet, &parts),
        peers(&parts),
        pump(&parts),
        names(database, &parts),
        no_strangers(database, &parts),
        stores(database, &told),
        one_leader(database, &told),
    ];
    let lit = |holding: Holding| match (holding, dark.first()) {
        (Holding::Holds, Some(why)) => Holding::Unknown(why.clone()),
        (other, _) => other,
    };
    all.into_iter()
        .zip(TITLES)
        .zip(1..)
        .map(|((holding, title), number)| Invariant { number, title, holding: lit(holding) })
        .collect()
}

fn one_id(fleet: &Fleet, parts: &[Part<'_>]) -> Holding {
    let ids: BTreeMap<&ObjectRef, Option<String>> =
        parts.iter().map(|part| (part.of, cluster_id(fleet, part.of, part.tc))).collect();
    let known: BTreeSet<&String> = ids.values().flatten().collect();
    if known.len() > 1 {
        let said: Vec<String> = ids.iter().filter_map(|(of, id)| Some(format!("{of}: {}", id.as_ref()?))).collect();
        return Holding::Broken(format!("several ids: {}", said.join(", ")));
    }
    match ids.iter().find(|(_, id)| id.is_none()) {
        Some((of, _)) => Holding::Unknown(format!("{of} has no PD cluster id yet")),
        None if ids.is_empty() => Holding::Unknown("no TidbCluster was seen".into()),
        None => Holding::Holds,
    }
}

/// What the operator lists of a TidbCluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Member,
    Store,
}

/// Names of own members and stores as the operator of a TidbCluster sees them.
fn own(tc: &TidbCluster) -> BTreeMap<String, Listed> {
    let members = tc.status.pd.members.keys().map(|name| (name.clone(), Listed::Member));
    let stores = [&tc.status.tikv, &tc.status.tiflash].into_iter().flat_map(|c| c.stores.keys());
    members.chain(stores.map(|id| (format!("store {id}"), Listed::Store))).collect()
}

fn foreign(tc: &TidbCluster) -> BTreeSet<String> {
    let members = tc.status.pd.peer_members.keys().cloned();
    let stores = [&tc.status.tikv, &tc.status.tiflash].into_iter().flat_map(|c| c.peer_stores.keys());
    members.chain(stores.map(|id| format!("store {id}"))).collect()
}

fn peers(parts: &[Part<'_>]) -> Holding {
    for part in parts {
        let wants = |c: Component| part.tc.component(c).is_some_and(|spec| spec.replicas > 0);
        // Only what runs such a component keeps status of it.
        let (pd, tikv) = (wants(Component::Pd), wants(Component::Tikv) || wants(Component::Tiflash));
        let seen = foreign(part.tc);
        for other in parts.iter().filter(|other| other.of != part.of) {
            let listed = |what: Listed| match what {
                Listed::Member => pd,
                Listed::Store => tikv,
            };
            let missing = own(other.tc).into_iter().find(|(name, what)| !seen.contains(name) && listed(*what));
            if let Some((name, _)) = missing {
                return Holding::Broken(format!("{} does not list {name} of {} as a peer", part.of, other.of));
            }
        }
    }
    match parts.iter().find(|part| own(part.tc).is_empty() && part.tc.components().any(|(_, spec)| spec.replicas > 0)) {
        Some(part) => Holding::Unknown(format!("the operator of {} has written no members or stores", part.of)),
        None => Holding::Holds,
    }
}

fn pump(parts: &[Part<'_>]) -> Holding {
    let with: Vec<&Part<'_>> =
        parts.iter().filter(|part| part.tc.spec.pump.as_ref().is_some_and(|pump| pump.replicas > 0)).collect();
    if with.is_empty() {
        return Holding::Holds;
    }
    let lists: Vec<(&ObjectRef, BTreeSet<&String>)> =
        with.iter().map(|part| (part.of, part.tc.status.pump.members.keys().collect())).collect();
    if let Some((of, _)) = lists.iter().find(|(_, nodes)| nodes.is_empty()) {
        return Holding::Unknown(format!("{of} lists no Pump nodes yet"));
    }
    let all: BTreeSet<&String> = lists.iter().flat_map(|(_, nodes)| nodes.iter().copied()).collect();
    for (of, nodes) in &lists {
        if let Some(missing) = all.iter().find(|node| !nodes.contains(*node)) {
            return Holding::Broken(format!("{of} does not list the Pump node {missing}"));
        }
    }
    Holding::Holds
}

fn names(database: &Database, parts: &[Part<'_>]) -> Holding {
    if database.members.is_empty() {
        return Holding::Unknown("PD did not answer".into());
    }
    for member in &database.members {
        let part = parts.iter().find(|part| member.place.of() == Some(part.of));
        let (Some(part), Some(pod)) = (part, member.place.pod()) else { continue };
        let expected = part.tc.pd_name(pod);
        if member.name != expected {
            return Holding::Broken(format!("member {} is called {}, expected {expected}", member.id, member.name));
        }
    }
    Holding::Holds
}

fn no_strangers(database: &Database, parts: &[Part<'_>]) -> Holding {
    if database.members.is_empty() {
        return Holding::Unknown("PD did not answer".into());
    }
    if let Some(member) = database.members.iter().find(|member| member.name.is_empty()) {
        return Holding::Broken(format!("member {} never started", member.id));
    }
    if let Some(member) = database.members.iter().find(|member| !member.place.is_known()) {
        return Holding::Unknown(format!("member {} is in no connected context", member.name));
    }
    if let Some(part) = parts.iter().find(|part| part.tc.spec.pd.is_some() && part.tc.status.pd.members.is_empty()) {
        return Holding::Unknown(format!("the operator of {} has written no PD members", part.of));
    }
    let listed: usize = parts.iter().map(|part| part.tc.status.pd.members.len()).sum();
    match listed == database.members.len() {
        true => Holding::Holds,
        false => Holding::Broken(format!(
            "PD lists {}, and the TidbClusters' status {listed}",
            counted(database.members.len(), "member")
        )),
    }
}

fn stores(database: &Database, told: &[&PdAnswer]) -> Holding {
    if told.is_empty() {
        return Holding::Unknown("PD did not answer".into());
    }
    match database.stores.iter().find(|row| !row.place.is_known() && !row.store.is_gone()) {
        Some(row) => Holding::Unknown(format!(
            "store {} ({}) belongs to no TidbCluster of a connected context, or to several",
            row.store.id, row.store.address
        )),
        None => Holding::Holds,
    }
}

fn one_leader(database: &Database, told: &[&PdAnswer]) -> Holding {
    let named: BTreeSet<_> = told.iter().filter_map(|answer| answer.leader).collect();
    let mut named = named.into_iter();
    match (named.next(), named.next()) {
        (None, _) if told.is_empty() => Holding::Unknown("PD did not answer".into()),
        (None, _) => Holding::Broken("no PD pod names a leader".into()),
        (Some(one), Some(other)) => Holding::Broken(format!("PD pods name different leaders: {one} and {other}")),
        (Some(id), None) => match database.member(id).filter(|member| member.place.is_known()) {
            Some(_) => Holding::Holds,
            None => Holding::Unknown(format!("the leader {id} is in no connected context")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Freshness;
    use crate::fleet::database::databases;
    use crate::hazards::test_fleet::Bed;
    use serde_json::json;

    /// The bed with the peers written as the operators would.
    fn whole() -> Bed {
        let mut bed = Bed::healthy();
        let members = |context: &str, count: u64| -> serde_json::Map<String, serde_json::Value> {
            (0..count)
                .map(|i| {
                    (
                        format!("prod-{context}-pd-{i}.prod-{context}-pd-peer.db.svc.{context}.local"),
                        json!({"health": true}),
                    )
                })
                .collect()
        };
        for (side, own, peers, stores, peer_stores) in [
            (&mut bed.east, ("east", 2), ("west", 1), json!({"1": {}, "2": {}}), json!({"4": {}, "5": {}})),
            (&mut bed.west, ("west", 1), ("east", 2), json!({"4": {}, "5": {}}), json!({"1": {}, "2": {}})),
        ] {
            side.tc["status"]["pd"]["members"] = json!(members(own.0, own.1));
            side.tc["status"]["pd"]["peerMembers"] = json!(members(peers.0, peers.1));
            side.tc["status"]["tikv"]["stores"] = stores;
            side.tc["status"]["tikv"]["peerStores"] = peer_stores;
        }
        bed
    }

    /// Numbers of those which do not hold: negative where unknown.
    fn broken(change: fn(&mut Bed)) -> Vec<i8> {
        let mut bed = whole();
        change(&mut bed);
        let fleet = bed.fleet();
        let all = databases(&fleet);
        let found = invariants(&fleet, &all[0]);
        assert_eq!(found.len(), 7);
        found
            .iter()
            .filter_map(|one| match one.holding {
                Holding::Holds => None,
                Holding::Broken(_) => i8::try_from(one.number).ok(),
                Holding::Unknown(_) => i8::try_from(one.number).ok().map(|number| -number),
            })
            .collect()
    }

    #[test]
    fn each_one_can_break() {
        type Change = fn(&mut Bed);
        let cases: [(Change, &[i8]); 13] = [
            (|_| {}, &[]),
            (|bed| bed.west.tc["status"]["pd"]["peerMembers"] = json!({}), &[2]),
            (|bed| bed.east.tc["status"]["tikv"]["peerStores"] = json!({"4": {}}), &[2]),
            (
                |bed| {
                    for (side, nodes) in [
                        (&mut bed.east, json!([{"nodeId": "a"}, {"nodeId": "b"}])),
                        (&mut bed.west, json!([{"nodeId": "b"}])),
                    ] {
                        side.tc["spec"]["pump"] = json!({"replicas": 1});
                        side.tc["status"]["pump"] = json!({"members": nodes});
                    }
                },
                &[3],
            ),
            (|bed| bed.members[0].name = "prod-east-pd-0".into(), &[4]),
            (|bed| bed.east.tc["status"]["pd"]["members"] = json!({}), &[-5]),
            (|bed| bed.east.tc["status"]["pd"]["members"] = json!({"one": {"health": true}}), &[2, 5]),
            (
                |bed| bed.stores[0].address = "x-tikv-0.x-tikv-peer.db.svc.far:20160".into(),
                &[-1, -2, -3, -4, -5, -6, -7],
            ),
            (|bed| bed.leader = None, &[7]),
            (|bed| bed.west.freshness = Freshness::Unreachable, &[-1, -2, -3, -4, -5, -6, -7]),
            // A member of which only PD tells: nothing that holds without it is known to hold.
            (
                |bed| {
                    bed.members.push(crate::fleet::pd::EtcdMember {
                        id: crate::fleet::pd::MemberId(9),
                        name: "far-pd-0.far-pd-peer.db.svc.far".into(),
                        peer_urls: vec!["http://far-pd-0.far-pd-peer.db.svc.far:2380".into()],
                        client_urls: Vec::new(),
                    });
                },
                &[-1, -2, -3, -4, -5, -6, -7],
            ),
            (|bed| bed.west.tc["status"]["clusterID"] = json!(""), &[]),
            (
                |bed| {
                    bed.members[2].name = "away-pd-0.away-pd-peer.z.svc.far".into();
                    bed.members.push(crate::fleet::pd::EtcdMember {
                        id: crate::fleet::pd::MemberId(9),
                        name: String::new(),
                        peer_urls: Vec::new(),
                        client_urls: Vec::new(),
                    });
                },
                &[4, 5],
            ),
        ];
        for (index, (change, expected)) in cases.into_iter().enumerate() {
            assert_eq!(broken(change), expected, "case {index}");
        }
    }

    #[test]
    fn two_ids_break_the_first() {
        let bed = whole();
        let fleet = bed.fleet();
        let mut database = databases(&fleet).remove(0);
        let mut other = bed;
        other.other_id = Some(43);
        let fleet = other.fleet();
        // Grouping keeps them apart; a Database that was put together by hand says so.
        database.tidb_clusters = fleet.tidb_clusters().map(|(of, _)| of).collect();
        assert!(matches!(&invariants(&fleet, &database)[0].holding, Holding::Broken(why) if why.contains("43")));
    }

    #[test]
    fn a_wrong_spec_hides_nothing_that_is_seen() {
        type Plant = fn(&mut Bed);
        let cases: [(&str, Plant); 4] = [
            ("a misspelt reference", |bed| bed.west.tc["spec"]["cluster"]["name"] = json!("prod-eats")),
            ("a reference to itself", |bed| bed.west.tc["spec"]["cluster"] = json!({"name": "prod-west"})),
            ("another domain", |bed| bed.west.tc["spec"]["clusterDomain"] = json!("wst.local")),
            ("another's domain", |bed| bed.west.tc["spec"]["clusterDomain"] = json!("east.local")),
        ];
        for (what, plant) in cases {
            for silent in [vec![], vec!["west"]] {
                let mut bed = whole();
                plant(&mut bed);
                bed.silent = silent;
                let fleet = bed.fleet();
                let all = databases(&fleet);
                let database = all.iter().find(|one| one.name == "prod-east").expect("it is there");
                assert_eq!(database.away(), Vec::new(), "{what}");
                let said = database.unseen.iter().any(|one| one.contains("no connected context"));
                assert!(!said, "{what}: {:?}", database.unseen);
                let unknown: Vec<_> = invariants(&fleet, database)
                    .into_iter()
                    .filter(|one| matches!(one.holding, Holding::Unknown(_)))
                    .collect();
                assert!(unknown.is_empty(), "{what}: {unknown:#?}");
            }
        }
    }
}
