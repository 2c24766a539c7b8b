//! What is left of a Database when one of its TidbClusters goes: stores, PD members, and who refers to it.
//!
//! The arithmetic of leaving and of suspending (`domain.md` §2.7, §2.9), over all KubeClusters. Pure; what could not be
//! seen is absent or a sentence, never zero. Not here: what a runbook makes of it, the order in which the operator
//! shrinks things.

use std::collections::{BTreeMap, BTreeSet};

use super::database::{Database, Member, StoreRow};
use super::extras::{Constraint, Placement, Rule};
use super::rollout::component_pods;
use super::tidbcluster::{Component, TidbCluster};
use super::{Fleet, ObjectRef};

/// One Database without one of its TidbClusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Without {
    /// Its stores that PD still counts (all but Tombstone). `None`: PD told no stores at all, which is no proof.
    pub stores_here: Option<Vec<u64>>,
    /// Up TiKV stores of the others.
    pub up_left: usize,
    /// Replicas that PD wants of a region: `max-replicas`, or the sum of the rules of one key range where that is more.
    pub needed: Option<u64>,
    /// What could not be kept without it, one sentence each. `None`: the rules are not known.
    pub short: Option<Vec<String>>,
    /// The most replicas that one region can have on its stores, and how many of them a region can lose.
    pub at_risk: Option<Risk>,
    /// Stores that belong to no TidbCluster that is seen.
    pub strangers: Vec<String>,
    pub members_here: Vec<Member>,
    pub members_left: usize,
    pub healthy_left: usize,
    /// TidbClusters whose `spec.cluster` names it and that have no PD of their own (hazard 59).
    pub dependents: Vec<ObjectRef>,
    /// Those that have.
    pub referrers: Vec<ObjectRef>,
    /// Its pods, the discovery pod left out (hazard 67).
    pub pods: usize,
    pub pd_pods: usize,
    /// Replicas that its StatefulSets still have.
    pub set_replicas: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    pub replicas: u64,
    pub tolerated: u64,
}

/// What PD's leader told of placement, where it was asked.
pub fn placement<'a>(fleet: &'a Fleet, database: &Database) -> Option<&'a Placement> {
    let contexts = database.tidb_clusters.iter().filter_map(|of| fleet.clusters.get(&of.context));
    contexts.flat_map(|cluster| cluster.pd.values()).find_map(|view| {
        let answer = view.answer.as_ref().ok()?;
        let ours = database.id.is_none() || answer.cluster_id.map(|id| id.to_string()) == database.id;
        answer.placement.as_ref().filter(|_| ours)
    })
}

/// The Database without this TidbCluster.
pub fn without(fleet: &Fleet, database: &Database, of: &ObjectRef, tc: &TidbCluster) -> Without {
    let counted = |row: &&StoreRow| row.store.state != "Tombstone";
    let (here, left): (Vec<&StoreRow>, Vec<&StoreRow>) =
        database.stores.iter().filter(counted).partition(|row| row.of.as_ref() == Some(of));
    let up_left: Vec<&StoreRow> = left.into_iter().filter(|row| row.store.state == "Up").collect();
    let tikv = |rows: &[&StoreRow]| rows.iter().filter(|row| !row.store.tiflash).count();
    let placement = placement(fleet, database);
    let rules = placement.and_then(|placement| placement.rules.as_ref());
    let needed = needed(database.max_replicas, rules);
    let (members_here, members_left): (Vec<&Member>, Vec<&Member>) =
        database.members.iter().partition(|member| member.of().as_ref() == Some(of));
    let names = |other: &TidbCluster| {
        super::database::referenced(fleet, other).as_ref() == Some(of)
    };
    let (mut dependents, mut referrers) = (Vec::new(), Vec::new());
    for (other, _) in fleet.tidb_clusters().filter(|(other, tc)| other != of && names(tc)) {
        let has_pd = fleet.tidb_cluster(&other).is_some_and(|tc| tc.spec.pd.as_ref().is_some_and(|pd| pd.replicas > 0));
        if has_pd { referrers.push(other) } else { dependents.push(other) }
    }
    let cluster = fleet.clusters.get(&of.context);
    let pods = |component| cluster.map_or(0, |cluster| component_pods(cluster, tc, component).len());
    let sets = cluster.into_iter().flat_map(|cluster| {
        Component::ALL.into_iter().filter_map(|component| super::rollout::stateful_set(cluster, tc, component))
    });
    Without {
        stores_here: (!database.stores.is_empty()).then(|| here.iter().map(|row| row.store.id).collect()),
        up_left: tikv(&up_left),
        needed,
        short: rules.zip(needed).map(|(rules, needed)| short(rules, needed, &here, &up_left)),
        at_risk: placement.zip(needed).map(|(placement, needed)| risk(placement, needed, &here, &up_left)),
        strangers: database
            .stores
            .iter()
            .filter(counted)
            .filter(|row| row.of.is_none())
            .map(|row| row.store.address.clone())
            .collect(),
        members_here: members_here.into_iter().cloned().collect(),
        members_left: members_left.len(),
        healthy_left: members_left.iter().filter(|member| member.healthy == Some(true)).count(),
        dependents,
        referrers,
        pods: Component::ALL.into_iter().map(pods).sum(),
        pd_pods: pods(Component::Pd),
        set_replicas: sets.map(|set| set.spec.replicas.max(set.status.replicas)).sum(),
    }
}

/// Whether a rule is for TiFlash: PD gives stores with an `engine` label only to rules that ask for it.
fn of_tiflash(rule: &Rule) -> bool {
    rule.label_constraints.iter().any(|c| c.key == "engine" && c.op == "in" && c.values.iter().any(|v| v == "tiflash"))
}

fn needed(max_replicas: Option<u64>, rules: Option<&Vec<Rule>>) -> Option<u64> {
    let mut ranges: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for rule in rules.into_iter().flatten().filter(|rule| !of_tiflash(rule)) {
        *ranges.entry((&rule.start_key, &rule.end_key)).or_default() += rule.count;
    }
    max_replicas.into_iter().chain(ranges.into_values()).max()
}

/// What the stores that are left could not hold. Rules of different key ranges that overlap are looked at one by one.
fn short(rules: &[Rule], needed: u64, here: &[&StoreRow], left: &[&StoreRow]) -> Vec<String> {
    let mut all = Vec::new();
    let tikv = |rows: &[&StoreRow]| rows.iter().filter(|row| !row.store.tiflash).count() as u64;
    if tikv(here) > 0 && tikv(left) < needed {
        all.push(format!("{} Up TiKV stores are left and {needed} replicas are wanted", tikv(left)));
    }
    for rule in rules.iter().filter(|rule| here.iter().any(|row| fits(rule, row))) {
        let fitting = left.iter().filter(|row| fits(rule, row)).count() as u64;
        if fitting < rule.count {
            let what = if of_tiflash(rule) { "TiFlash stores" } else { "stores that fit it" };
            all.push(format!(
                "placement rule {}/{} wants {} {}(s), and {fitting} {what} are left",
                rule.group_id, rule.id, rule.count, rule.role
            ));
        }
    }
    all
}

fn fits(rule: &Rule, row: &StoreRow) -> bool {
    let labels = &row.store.labels;
    let exclusive = row.store.tiflash && !of_tiflash(rule);
    !exclusive && rule.label_constraints.iter().all(|constraint| holds(constraint, labels))
}

fn holds(constraint: &Constraint, labels: &BTreeMap<String, String>) -> bool {
    let found = labels.get(&constraint.key);
    match constraint.op.as_str() {
        "in" => found.is_some_and(|found| constraint.values.contains(found)),
        "notIn" => found.is_none_or(|found| !constraint.values.contains(found)),
        "exists" => found.is_some(),
        "notExists" => found.is_none(),
        // What is not understood is not met.
        _ => false,
    }
}

/// PD keeps replicas apart by the widest location label as far as there are enough values of it; else any replicas of
/// a region can lie together.
fn risk(placement: &Placement, needed: u64, here: &[&StoreRow], left: &[&StoreRow]) -> Risk {
    let tikv = |rows: &[&StoreRow]| -> Vec<BTreeMap<String, String>> {
        rows.iter().filter(|row| !row.store.tiflash).map(|row| row.store.labels.clone()).collect()
    };
    let (here, left) = (tikv(here), tikv(left));
    let widest = placement.location_labels.as_ref().and_then(|labels| labels.first());
    let values = |rows: &[BTreeMap<String, String>]| -> Option<BTreeSet<String>> {
        rows.iter().map(|labels| labels.get(widest?).cloned()).collect()
    };
    let apart = match (values(&here), values(&left)) {
        (Some(here), Some(left)) if here.union(&left).count() as u64 >= needed => Some(here.len() as u64),
        (Some(_) | None, Some(_) | None) => None,
    };
    let together = needed.min(here.len() as u64);
    Risk { replicas: apart.unwrap_or(together).min(together), tolerated: needed.saturating_sub(1) / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::pd::Store;

    fn row(id: u64, of: &str, state: &str, labels: &[(&str, &str)]) -> StoreRow {
        let labels: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let tiflash = labels.get("engine").is_some_and(|engine| engine == "tiflash");
        let store = Store { id, state: state.into(), tiflash, labels, ..Store::default() };
        StoreRow { store, of: Some(ObjectRef::new(of, "db", of)), kube_cluster: None, tidb_cluster: None, pod: None }
    }

    fn rule(count: u64, constraints: &[(&str, &str, &str)]) -> Rule {
        let label_constraints = constraints
            .iter()
            .map(|(key, op, value)| Constraint { key: (*key).into(), op: (*op).into(), values: vec![(*value).into()] })
            .collect();
        Rule { group_id: "pd".into(), id: "r".into(), role: "voter".into(), count, label_constraints, ..Rule::default() }
    }

    fn shorts(rules: &[Rule], here: &[StoreRow], left: &[StoreRow]) -> Vec<String> {
        let needed = needed(Some(3), Some(&rules.to_vec())).expect("known");
        short(rules, needed, &here.iter().collect::<Vec<_>>(), &left.iter().collect::<Vec<_>>())
    }

    #[test]
    fn enough_stores_have_to_be_left_for_every_rule() {
        let east = |id| row(id, "east", "Up", &[("zone", "east")]);
        let west = |id| row(id, "west", "Up", &[("zone", "west")]);
        let flash = |id, of: &str| row(id, of, "Up", &[("engine", "tiflash")]);
        let here = [west(1), west(2), west(3)];
        let left = [east(4), east(5), east(6)];
        assert_eq!(shorts(&[rule(3, &[])], &here, &left), Vec::<String>::new());
        assert!(shorts(&[rule(3, &[])], &here, &left[..2])[0].contains("2 Up TiKV stores"));
        assert!(shorts(&[rule(3, &[]), rule(2, &[])], &here, &left)[0].contains("5 replicas"));
        // Three stores are left, and none of them where the rule wants one.
        assert!(shorts(&[rule(3, &[]), rule(0, &[]), rule(1, &[("zone", "in", "west")])], &here, &left)[1].contains("0 stores that fit"));
        // Tables of TiFlash: the leaving side has the only one.
        let tiflash = rule(1, &[("engine", "in", "tiflash")]);
        let with_flash = [west(1), flash(9, "west")];
        assert!(shorts(&[rule(3, &[]), tiflash.clone()], &with_flash, &left)[0].contains("0 TiFlash stores"));
        let both = [east(4), east(5), east(6), flash(8, "east")];
        assert_eq!(shorts(&[rule(3, &[]), tiflash], &with_flash, &both), Vec::<String>::new());
    }

    #[test]
    fn replicas_lie_apart_only_where_there_are_enough_places() {
        let at = |zones: &[&str], of: &str| -> Vec<StoreRow> {
            zones.iter().enumerate().map(|(i, zone)| row(i as u64, of, "Up", &[("zone", zone)])).collect()
        };
        let placement = |labels: &[&str]| Placement {
            location_labels: Some(labels.iter().map(|l| (*l).to_owned()).collect()),
            ..Placement::default()
        };
        let cases: [(&[&str], &[&str], &[&str], u64); 5] = [
            (&["zone"], &["c", "c", "c"], &["a", "a", "b"], 1),
            (&["zone"], &["b", "b", "b"], &["a", "a", "a"], 3),
            (&[], &["c", "c"], &["a", "b"], 2),
            (&["zone"], &["c", "d"], &["a", "b"], 2),
            (&["zone"], &[], &["a", "b", "c"], 0),
        ];
        for (labels, here, left, expected) in cases {
            let (here, left) = (at(here, "west"), at(left, "east"));
            let found =
                risk(&placement(labels), 3, &here.iter().collect::<Vec<_>>(), &left.iter().collect::<Vec<_>>());
            assert_eq!(found, Risk { replicas: expected, tolerated: 1 }, "{labels:?} {here:?} {left:?}");
        }
    }
}
