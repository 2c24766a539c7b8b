//! What is left of a Database when one of its TidbClusters goes: stores, PD members, and who refers to it.
//!
//! The arithmetic of leaving and of suspending (`domain.md` §2.7, §2.9), over all KubeClusters. Pure; what could not be
//! seen is absent or a sentence, never zero. Not here: what a runbook makes of it, the order in which the operator
//! shrinks things.

use std::collections::BTreeMap;

use super::database::{Database, Member, StoreRow};
use super::pd_details::{LabelConstraint, PdDetails, PlacementRule, details, location_labels};
use super::regions_after_cluster_loss::{Risk, risk};
use super::rollout::{component_pods, stateful_set};
use super::tidbcluster::{Component, TidbCluster};
use super::{Fleet, ObjectRef};
use crate::pluralize::{counted, is, total};

/// One Database without one of its TidbClusters.
#[derive(Clone, Debug, PartialEq)]
pub struct RemovalImpact {
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
    /// The operator does not suspend TiProxy.
    pub tiproxy_pods: usize,
    /// Replicas that its StatefulSets still have.
    pub set_replicas: i64,
}

/// The placement rules; none where PD says that they are off, `None` where they are not known.
fn rules(details: &PdDetails) -> Option<&[PlacementRule]> {
    match &details.rules {
        Some(rules) => Some(rules),
        None => details.gaps.is_empty().then_some(&[]),
    }
}

/// The Database without this TidbCluster.
pub fn without(fleet: &Fleet, database: &Database, of: &ObjectRef, tc: &TidbCluster) -> RemovalImpact {
    let counted = |row: &&StoreRow| !row.store.is_gone();
    let (here, left): (Vec<&StoreRow>, Vec<&StoreRow>) =
        database.stores.iter().filter(counted).partition(|row| row.place.of() == Some(of));
    let up_left: Vec<&StoreRow> = left.into_iter().filter(|row| row.store.is_up()).collect();
    let tikv = |rows: &[&StoreRow]| rows.iter().filter(|row| !row.store.tiflash).count();
    let details = details(fleet, database);
    let rules = details.and_then(rules);
    let by_rules = details.and_then(PdDetails::tikv_needed);
    let needed = database.max_replicas.max(by_rules);
    let labels = location_labels(fleet, database);
    let (members_here, members_left): (Vec<&Member>, Vec<&Member>) =
        database.members.iter().partition(|member| member.place.of() == Some(of));
    let names =
        |other: &ObjectRef, tc: &TidbCluster| super::database::referenced(fleet, other, tc).as_ref() == Some(of);
    let (mut dependents, mut referrers) = (Vec::new(), Vec::new());
    for (other, _) in fleet.tidb_clusters().filter(|(other, tc)| other != of && names(other, tc)) {
        let has_pd = fleet.tidb_cluster(&other).is_some_and(|tc| tc.spec.pd.as_ref().is_some_and(|pd| pd.replicas > 0));
        if has_pd { referrers.push(other) } else { dependents.push(other) }
    }
    let cluster = fleet.clusters.get(&of.context);
    let pods = |component| cluster.map_or(0, |cluster| component_pods(cluster, tc, component).len());
    let sets = cluster
        .into_iter()
        .flat_map(|cluster| Component::ALL.into_iter().filter_map(|component| stateful_set(cluster, tc, component)));
    RemovalImpact {
        stores_here: (!database.stores.is_empty()).then(|| here.iter().map(|row| row.store.id).collect()),
        up_left: tikv(&up_left),
        needed,
        short: rules.zip(needed).map(|(rules, needed)| short(rules, needed, &here, &up_left)),
        at_risk: labels
            .zip(rules)
            .zip(needed)
            .map(|((labels, rules), needed)| worst(rules, labels, needed, &here, &up_left)),
        strangers: database
            .stores
            .iter()
            .filter(counted)
            .filter(|row| !row.place.is_known())
            .map(|row| row.store.address.clone())
            .collect(),
        members_here: members_here.into_iter().cloned().collect(),
        members_left: members_left.len(),
        healthy_left: members_left.iter().filter(|member| member.healthy == Some(true)).count(),
        dependents,
        referrers,
        pods: Component::ALL.into_iter().map(pods).sum(),
        pd_pods: pods(Component::Pd),
        tiproxy_pods: pods(Component::Tiproxy),
        set_replicas: total(sets.map(|set| set.spec.replicas.max(set.status.replicas))),
    }
}

/// A key range, the ids of the stores that are left for it, and whether they are TiFlash's.
type Wanting<'a> = (&'a str, &'a str, Vec<u64>, bool);

/// What the stores that are left could not hold. Rules of different key ranges that overlap are looked at one by one.
fn short(rules: &[PlacementRule], needed: u64, here: &[&StoreRow], left: &[&StoreRow]) -> Vec<String> {
    let mut all = Vec::new();
    let tikv = |rows: &[&StoreRow]| rows.iter().filter(|row| !row.store.tiflash).count() as u64;
    if tikv(here) > 0 && tikv(left) < needed {
        all.push(format!(
            "{} left, all Up, and {} wanted",
            counted(tikv(left), "TiKV store"),
            counted(needed, "replica")
        ));
    }
    // Rules of one range that want the very same stores want them together.
    let mut wants: BTreeMap<Wanting<'_>, (u64, Vec<String>)> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| here.iter().any(|row| fits(rule, row))) {
        let fitting: Vec<u64> = left.iter().filter(|row| fits(rule, row)).map(|row| row.store.id).collect();
        let want = wants.entry((&rule.start_key, &rule.end_key, fitting, rule.tiflash())).or_default();
        want.0 += rule.count;
        want.1.push(format!("{}/{}", rule.group_id, rule.id));
    }
    for ((_, _, fitting, tiflash), (count, rules)) in wants {
        if (fitting.len() as u64) < count {
            let what = if tiflash { "TiFlash store" } else { "fitting store" };
            all.push(format!(
                "placement rule {} wants {}, and {} {} left",
                rules.join(" with "),
                counted(count, "replica"),
                counted(fitting.len(), what),
                is(fitting.len())
            ));
        }
    }
    all
}

/// The key range that fares worst: only replicas that vote count, against that range's own majority. Where the rules leave a
/// region no place but here, its replicas are here.
fn worst(rules: &[PlacementRule], labels: &[String], needed: u64, here: &[&StoreRow], left: &[&StoreRow]) -> Risk {
    let mut ranges: BTreeMap<(&str, &str), Vec<&PlacementRule>> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| !rule.tiflash() && rule.role != "learner") {
        ranges.entry((&rule.start_key, &rule.end_key)).or_default().push(rule);
    }
    let of_range = |rules: &Vec<&PlacementRule>| {
        let voters = total(rules.iter().map(|rule| rule.count));
        let fit = |rows: &[&StoreRow], rule: &PlacementRule| rows.iter().filter(|row| fits(rule, row)).count() as u64;
        let forced = total(rules.iter().map(|rule| rule.count.saturating_sub(fit(left, rule)).min(fit(here, rule))));
        fn any<'a>(rows: &[&'a StoreRow], rules: &[&PlacementRule]) -> Vec<&'a StoreRow> {
            rows.iter().copied().filter(|row| rules.iter().any(|rule| fits(rule, row))).collect()
        }
        let spread = risk(labels, voters, &any(here, rules), &any(left, rules));
        Risk { replicas: spread.replicas.max(forced), tolerated: spread.tolerated }
    };
    let all = ranges.values().map(of_range);
    let all = all.chain(ranges.is_empty().then(|| risk(labels, needed, here, left)));
    let worse = |risk: &Risk| i128::from(risk.replicas) - i128::from(risk.tolerated);
    all.max_by_key(worse).unwrap_or(Risk { replicas: 0, tolerated: 0 })
}

/// PD gives stores with `engine=tiflash` only to rules that ask for it.
fn fits(rule: &PlacementRule, row: &StoreRow) -> bool {
    let labels = &row.store.labels;
    let exclusive = row.store.tiflash && !rule.tiflash();
    !exclusive && rule.label_constraints.iter().all(|constraint| holds(constraint, labels))
}

fn holds(constraint: &LabelConstraint, labels: &BTreeMap<String, String>) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::database::Place;
    use crate::fleet::pd::Store;

    fn row(id: u64, of: &str, state: &str, labels: &[(&str, &str)]) -> StoreRow {
        let labels: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let tiflash = labels.get("engine").is_some_and(|engine| engine == "tiflash");
        let store = Store { id, state: state.into(), tiflash, labels, ..Store::default() };
        StoreRow { store, place: Place::new(ObjectRef::new(of, "db", of), format!("{of}-{id}")) }
    }

    fn rule(count: u64, constraints: &[(&str, &str, &str)]) -> PlacementRule {
        let label_constraints = constraints
            .iter()
            .map(|(key, op, value)| LabelConstraint {
                key: (*key).into(),
                op: (*op).into(),
                values: vec![(*value).into()],
            })
            .collect();
        PlacementRule {
            group_id: "pd".into(),
            id: "r".into(),
            role: "voter".into(),
            count,
            label_constraints,
            ..PlacementRule::default()
        }
    }

    fn shorts(rules: &[PlacementRule], here: &[StoreRow], left: &[StoreRow]) -> Vec<String> {
        let details = PdDetails { rules: Some(rules.to_vec()), ..PdDetails::default() };
        let needed = details.tikv_needed().unwrap_or(0).max(3);
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
        assert!(
            shorts(&[rule(3, &[])], &here, &left[..2])[0].contains("2 TiKV stores left, all Up, and 3 replicas wanted")
        );
        assert!(shorts(&[rule(3, &[]), rule(2, &[])], &here, &left)[0].contains("5 replicas"));
        // Three stores are left, and none of them where the rule wants one.
        assert!(
            shorts(&[rule(3, &[]), rule(0, &[]), rule(1, &[("zone", "in", "west")])], &here, &left)[1]
                .contains("0 fitting stores are left")
        );
        // Two rules for the same two stores.
        let east_only = [("zone", "in", "east")];
        let both = [rule(1, &east_only), rule(2, &east_only)];
        assert!(shorts(&both, &[east(7), west(1)], &[east(4), east(5), west(2)])[0].contains("r with pd/r wants 3"));
        // Tables of TiFlash: the leaving side has the only one.
        let tiflash = rule(1, &[("engine", "in", "tiflash")]);
        let with_flash = [west(1), flash(9, "west")];
        assert!(shorts(&[rule(3, &[]), tiflash.clone()], &with_flash, &left)[0].contains("0 TiFlash stores"));
        let both = [east(4), east(5), east(6), flash(8, "east")];
        assert_eq!(shorts(&[rule(3, &[]), tiflash], &with_flash, &both), Vec::<String>::new());
    }

    #[test]
    fn the_worst_range_counts_and_only_those_who_vote() {
        let zone = |id: u64, of: &str| row(id, of, "Up", &[("zone", of)]);
        let here = [zone(1, "west"), zone(2, "west")];
        let left = [zone(3, "east"), zone(4, "north"), zone(5, "east"), zone(6, "north")];
        let labels = ["zone".to_owned()];
        let judge = |rules: &[PlacementRule]| {
            worst(rules, &labels, 3, &here.iter().collect::<Vec<_>>(), &left.iter().collect::<Vec<_>>())
        };
        let learner = |count: u64| PlacementRule { role: "learner".into(), id: "l".into(), ..rule(count, &[]) };
        let ranged = |count: u64, constraints: &[(&str, &str, &str)]| PlacementRule {
            start_key: "74".into(),
            end_key: "75".into(),
            ..rule(count, constraints)
        };
        assert_eq!(judge(&[]), Risk { replicas: 1, tolerated: 1 });
        // Learners give no majority: three voters stay three.
        assert_eq!(judge(&[rule(3, &[]), learner(2)]), Risk { replicas: 1, tolerated: 1 });
        // One table with five replicas does not make the others bear two losses.
        let near: Vec<&StoreRow> =
            left.iter().filter(|row| row.place.of().is_some_and(|of| of.name == "east")).collect();
        let found = worst(&[rule(3, &[]), ranged(5, &[])], &labels, 5, &here.iter().collect::<Vec<_>>(), &near);
        assert_eq!(found, Risk { replicas: 2, tolerated: 1 });
        // A table that lies only in west is gone with it.
        assert_eq!(judge(&[rule(3, &[]), ranged(2, &[("zone", "in", "west")])]), Risk { replicas: 2, tolerated: 0 });
    }
}
