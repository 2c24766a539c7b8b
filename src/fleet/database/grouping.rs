//! Which TidbClusters are one Database.
//!
//! By PD's cluster id, and by `spec.cluster` while an id is not known. Not here: whose a member or a store is
//! ([`super::joining`]), what is wrong with it ([`super::judging`]).

use std::collections::BTreeSet;

use crate::fleet::pd::PdAnswer;
use crate::fleet::tidbcluster::{ClusterReference, Component, TidbCluster};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};

/// The PD cluster id of one TidbCluster: as its own PD pods say, else as the operator wrote it.
pub(in crate::fleet) fn cluster_id(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Option<String> {
    let cluster = fleet.clusters.get(&of.context)?;
    let told = answers(cluster, tc).find_map(|(_, answer)| answer.cluster_id).map(|id| id.to_string());
    told.or_else(|| tc.status.cluster_id.clone().filter(|id| !id.is_empty()))
}

/// The answers of one TidbCluster's own PD pods.
pub(in crate::fleet) fn answers<'a>(
    cluster: &'a KubeCluster,
    tc: &'a TidbCluster,
) -> impl Iterator<Item = (&'a ObjectKey, &'a PdAnswer)> {
    cluster
        .pd
        .iter()
        .filter(|(pod, _)| pod.namespace == tc.namespace() && pod_of(tc, Component::Pd, &pod.name))
        .filter_map(|(pod, view)| view.answer.as_ref().ok().map(|answer| (pod, answer)))
}

/// Whether a pod name is `<tc>-<component>-<ordinal>`.
pub(in crate::fleet) fn pod_of(tc: &TidbCluster, component: Component, pod: &str) -> bool {
    pod.strip_prefix(tc.name())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(component.key()))
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
}

/// Groups TidbClusters: same PD cluster id, or joined by `spec.cluster` while an id is not known yet. A reference
/// never joins two that are known to be different Databases (hazard 11).
pub(super) fn group(fleet: &Fleet) -> Vec<Vec<ObjectRef>> {
    let mut seen = BTreeSet::new();
    let mut sets: Vec<(BTreeSet<ObjectRef>, Option<String>)> = Vec::new();
    for (of, tc) in fleet.tidb_clusters() {
        // One cluster under two contexts is one set of objects.
        if fleet.same_cluster_as(&of.context).is_some() || !seen.insert(of.clone()) {
            continue;
        }
        let id = cluster_id(fleet, &of, tc);
        match sets.iter_mut().find(|(_, known)| known.is_some() && *known == id) {
            Some((set, _)) => {
                set.insert(of);
            }
            None => sets.push((BTreeSet::from([of]), id)),
        }
    }
    let mut index = 0;
    while index < sets.len() {
        let target = sets[index].0.iter().find_map(|of| {
            let tc = fleet.tidb_cluster(of)?;
            let target = referenced(fleet, of, tc)?;
            let at = sets.iter().position(|(set, _)| set.contains(&target))?;
            (at != index && (sets[at].1.is_none() || sets[index].1.is_none())).then_some(at)
        });
        match target {
            Some(at) => {
                let (set, id) = sets.remove(index);
                let at = if at > index { at - 1 } else { at };
                sets[at].0.extend(set);
                sets[at].1 = sets[at].1.take().or(id);
                index = 0;
            }
            None => index += 1,
        }
    }
    sets.into_iter().map(|(set, _)| set.into_iter().collect()).collect()
}

/// The TidbCluster that `spec.cluster` names. `None` where it is in no connected context, and where it could be more than
/// one.
pub fn referenced(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Option<ObjectRef> {
    let mut all = candidates(fleet, of, tc);
    let one = all.pop()?;
    all.is_empty().then_some(one)
}

/// What `spec.cluster` may mean. Without a domain the name leads into the own Kubernetes cluster, where there is one of
/// it; else to one without a domain, elsewhere.
pub(in crate::fleet) fn candidates(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Vec<ObjectRef> {
    let Some(to) = &tc.spec.cluster else { return Vec::new() };
    let own = fleet.same_cluster_as(&of.context).unwrap_or(&of.context);
    let mut named: Vec<(ObjectRef, &TidbCluster)> = fleet
        .tidb_clusters()
        .filter(|(other, _)| other != of && fleet.same_cluster_as(&other.context).is_none())
        .filter(|(other, _)| names(to, tc, other))
        .collect();
    match to.cluster_domain.as_deref().filter(|domain| !domain.is_empty()) {
        Some(domain) => named.retain(|(_, other)| other.domain() == Some(domain)),
        None if named.iter().any(|(other, _)| other.context == *own) => {
            named.retain(|(other, _)| other.context == *own)
        }
        None => named.retain(|(_, other)| other.domain().is_none()),
    }
    named.into_iter().map(|(other, _)| other).collect()
}

/// Whether a reference of this TidbCluster has the name and namespace of another.
pub(in crate::fleet) fn names(to: &ClusterReference, tc: &TidbCluster, other: &ObjectRef) -> bool {
    other.name == to.name && other.namespace == to.namespace.as_deref().unwrap_or(tc.namespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::database::database_of;
    use crate::fleet::{Change, Freshness, What};
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
            (
                "else elsewhere, where domains are not used",
                &[("a/basic", "", "-"), ("b/x", "", "")],
                Some("a/db/basic"),
            ),
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
            database
                .unseen
                .iter()
                .any(|unseen| unseen.contains("b/db/x") && unseen.contains("may belong to a/db/basic")),
            "{:?}",
            database.unseen
        );
    }
}
