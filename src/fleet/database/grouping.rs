//! Which TidbClusters are one Database.
//!
//! By what PD's own members say of each other, and by `spec.cluster` where PD does not tell. Not here: whose a member or a store is
//! ([`super::joining`]), what is wrong with it ([`super::judging`]).

use std::collections::BTreeSet;

use super::names::{host, pod_of};
use crate::fleet::dns::same_name;
use crate::fleet::pd::{MemberId, PdAnswer};
use crate::fleet::tidbcluster::{ClusterReference, Component, TidbCluster};
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef};

/// The PD cluster id of one TidbCluster: as its own PD pods say, else as the operator wrote it.
pub(crate) fn cluster_id(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Option<String> {
    let cluster = fleet.clusters.get(&of.context)?;
    let told = answers(cluster, tc).find_map(|(_, answer)| answer.cluster_id).map(|id| id.to_string());
    told.or_else(|| tc.status.cluster_id.clone().filter(|id| !id.is_empty()))
}

/// The answers of one TidbCluster's own PD pods.
pub(crate) fn answers<'a>(
    cluster: &'a KubeCluster,
    tc: &'a TidbCluster,
) -> impl Iterator<Item = (&'a ObjectKey, &'a PdAnswer)> {
    cluster
        .pd_in(tc.namespace())
        .filter(|(pod, _)| pod_of(tc, Component::Pd, &pod.name))
        .filter_map(|(pod, view)| view.answer.as_ref().ok().map(|answer| (pod, answer)))
}

/// One TidbCluster with what tells where it belongs.
struct Node<'a> {
    of: ObjectRef,
    tc: &'a TidbCluster,
    told: Vec<&'a PdAnswer>,
    /// The id that its own PD pods say.
    confirmed: Option<u64>,
}

impl Node<'_> {
    /// What the operator, or whoever wrote the object, says.
    fn claim(&self) -> Option<&str> {
        self.tc.status.cluster_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Whether a DNS name is that of a pod of this component. Without a domain a name leads no further than its own
    /// Kubernetes cluster.
    fn runs(&self, host: &str, component: Component, near: bool) -> bool {
        let Some((pod, rest)) = host.split_once('.') else { return false };
        let peers = format!("{}-{}-peer.{}.svc", self.tc.name(), component.key(), self.tc.namespace());
        let whole = self.tc.domain().is_some_and(|domain| same_name(rest, &format!("{peers}.{domain}")));
        pod_of(self.tc, component, &pod.to_ascii_lowercase()) && (whole || (near && same_name(rest, &peers)))
    }

    /// Whether PD of this one lists a member, or a store, of another: by the id that the other's pod says is its own, and by
    /// the names that pods of it have. An id alone can be copied.
    fn lists(&self, other: &Node<'_>) -> bool {
        let near = self.of.context == other.of.context;
        let own = |id: MemberId| other.told.iter().any(|answer| answer.self_id == Some(id));
        self.told.iter().any(|answer| {
            let member = answer.members.iter().any(|member| {
                let urls = member.client_urls.iter().chain(&member.peer_urls).filter_map(|url| host(url));
                let known = own(member.id);
                let named = |name: &str| other.runs(name, Component::Pd, near || known);
                // Its own pod says that it is this member, whatever its URLs have become.
                let bare = known && pod_of(other.tc, Component::Pd, member.name.split('.').next().unwrap_or_default());
                bare || urls.chain([member.name.as_str()]).any(named)
            });
            member
                || answer.stores.iter().any(|store| {
                    let component = if store.tiflash { Component::Tiflash } else { Component::Tikv };
                    other.runs(store.address.split(':').next().unwrap_or_default(), component, near)
                })
        })
    }
}

/// TidbClusters of one Database.
struct Set {
    all: BTreeSet<usize>,
    id: Option<u64>,
}

/// Groups TidbClusters. What PD confirms comes first: PDs of one cluster id that list each other are one Database, and so is
/// whatever they list. An id in an object is a claim, which anybody can copy; it joins nothing. `spec.cluster` joins what PD
/// does not tell of (yet), and never two that are known to be different Databases (hazard 11).
pub(super) fn group(fleet: &Fleet) -> Vec<Vec<ObjectRef>> {
    // One cluster under two contexts is one set of objects.
    let twice: BTreeSet<&str> =
        fleet.clusters.keys().map(String::as_str).filter(|context| fleet.same_cluster_as(context).is_some()).collect();
    let all: Vec<(ObjectRef, &TidbCluster)> =
        fleet.tidb_clusters().filter(|(of, _)| !twice.contains(of.context.as_str())).collect();
    let nodes: Vec<Node<'_>> = all
        .into_iter()
        .filter_map(|(of, tc)| {
            let told: Vec<&PdAnswer> =
                answers(fleet.clusters.get(&of.context)?, tc).map(|(_, answer)| answer).collect();
            let confirmed = told.iter().find_map(|answer| answer.cluster_id);
            Some(Node { of, tc, told, confirmed })
        })
        .collect();
    let mut sets: Vec<Set> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| Set { all: BTreeSet::from([index]), id: node.confirmed })
        .collect();
    for (i, one) in nodes.iter().enumerate() {
        for (j, other) in nodes.iter().enumerate().skip(i + 1) {
            let same = one.confirmed.is_some() && one.confirmed == other.confirmed;
            if same && one.lists(other) && other.lists(one) {
                unite(&mut sets, i, j);
            }
        }
    }
    for (j, other) in nodes.iter().enumerate().filter(|(_, node)| node.confirmed.is_none()) {
        let fits = |one: &Node<'_>| match (one.confirmed, other.claim()) {
            (Some(id), Some(claim)) => claim == id.to_string(),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let lister = nodes.iter().position(|one| fits(one) && one.lists(other));
        if let Some(i) = lister {
            unite(&mut sets, i, j);
        }
    }
    for (j, node) in nodes.iter().enumerate() {
        let target = referenced(fleet, &node.of, node.tc);
        // They stand in the order of their names.
        let target = target.and_then(|target| nodes.binary_search_by(|other| other.of.cmp(&target)).ok());
        // Two of one claim that joined the same one, which is not seen.
        let beside = || {
            let claim = node.claim().filter(|_| node.confirmed.is_none() && node.tc.spec.cluster.is_some())?;
            nodes.iter().take(j).position(|other| {
                other.confirmed.is_none()
                    && other.claim() == Some(claim)
                    && other.tc.spec.cluster == node.tc.spec.cluster
            })
        };
        if let Some(i) = target.or_else(beside)
            && compatible(&nodes, &sets, i, j)
        {
            unite(&mut sets, i, j);
        }
    }
    sets.into_iter()
        .filter(|set| !set.all.is_empty())
        .map(|set| {
            let mut all: Vec<ObjectRef> = set.all.into_iter().map(|index| nodes[index].of.clone()).collect();
            all.sort();
            all
        })
        .collect()
}

/// Where a set is that has this node.
fn set_of(sets: &[Set], node: usize) -> usize {
    sets.iter().position(|set| set.all.contains(&node)).expect("every node is in one set from the beginning on")
}

/// Whether a reference may join two sets: not where both know their ids, nor where a claim speaks against it.
fn compatible(nodes: &[Node<'_>], sets: &[Set], i: usize, j: usize) -> bool {
    let (one, other) = (&sets[set_of(sets, i)], &sets[set_of(sets, j)]);
    let said = |set: &Set| -> BTreeSet<String> {
        let claims = set.all.iter().filter_map(|index| nodes[*index].claim().map(ToOwned::to_owned));
        match set.id {
            Some(id) => BTreeSet::from([id.to_string()]),
            None => claims.collect(),
        }
    };
    let (ours, theirs) = (said(one), said(other));
    let unknown = one.id.is_none() || other.id.is_none();
    unknown && (ours.is_empty() || theirs.is_empty() || ours == theirs)
}

fn unite(sets: &mut [Set], i: usize, j: usize) {
    let (to, from) = (set_of(sets, i), set_of(sets, j));
    if to == from {
        return;
    }
    let moved = std::mem::take(&mut sets[from].all);
    sets[to].id = sets[to].id.or(sets[from].id);
    sets[to].all.extend(moved);
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
pub(crate) fn candidates(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Vec<ObjectRef> {
    let Some(to) = &tc.spec.cluster else { return Vec::new() };
    let own = fleet.same_cluster_as(&of.context).unwrap_or(&of.context);
    // Each KubeCluster has one of a name at most.
    let key = ObjectKey::new(to.namespace.as_deref().unwrap_or(tc.namespace()), &to.name);
    let mut named: Vec<(ObjectRef, &TidbCluster)> = fleet
        .clusters
        .values()
        .filter_map(|cluster| {
            let other = ObjectRef::new(&cluster.context, &key.namespace, &key.name);
            Some((other, cluster.tidb_clusters.get(&key)?))
        })
        .filter(|(other, _)| other != of && fleet.same_cluster_as(&other.context).is_none())
        .collect();
    match to.cluster_domain.as_deref().filter(|domain| !domain.is_empty()) {
        Some(domain) => named.retain(|(_, other)| other.domain().is_some_and(|theirs| same_name(theirs, domain))),
        None if named.iter().any(|(other, _)| other.context == *own) => {
            named.retain(|(other, _)| other.context == *own)
        }
        None => named.retain(|(_, other)| other.domain().is_none()),
    }
    named.into_iter().map(|(other, _)| other).collect()
}

/// Whether a reference of this TidbCluster has the name and namespace of another.
pub(crate) fn names(to: &ClusterReference, tc: &TidbCluster, other: &ObjectRef) -> bool {
    other.name == to.name && other.namespace == to.namespace.as_deref().unwrap_or(tc.namespace())
}

/// A reference that leads back to where it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Astray {
    Itself,
    /// The way, from the TidbCluster to itself again.
    Circle(Vec<ObjectRef>),
}

impl Astray {
    pub fn sentence(&self) -> String {
        match self {
            Astray::Itself => "spec.cluster names this very TidbCluster: its PD waits for itself for ever".to_owned(),
            Astray::Circle(way) => {
                let way: Vec<String> = way.iter().map(ToString::to_string).collect();
                format!(
                    "spec.cluster leads in a circle ({}): each waits for the other, and none of them ever begins",
                    way.join(" → ")
                )
            }
        }
    }
}

/// Whether `spec.cluster` leads back to the TidbCluster that has it: the specs alone decide that.
pub fn astray(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Option<Astray> {
    let to = tc.spec.cluster.as_ref()?;
    let domain = to.cluster_domain.as_deref().filter(|domain| !domain.is_empty());
    let own = domain.is_none_or(|domain| tc.domain().is_some_and(|own| same_name(own, domain)));
    if names(to, tc, of) && own && candidates(fleet, of, tc).is_empty() {
        return Some(Astray::Itself);
    }
    let mut way = vec![of.clone()];
    let mut at = (of.clone(), tc);
    while let Some(next) = referenced(fleet, &at.0, at.1) {
        // A circle that this one is not part of is said of those that are.
        if next != *of && way.contains(&next) {
            return None;
        }
        way.push(next.clone());
        if next == *of {
            return Some(Astray::Circle(way));
        }
        let tc = fleet.tidb_cluster(&next)?;
        at = (next, tc);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::database::{Database, database_of, databases};
    use crate::fleet::pd::{EtcdMember, PdView};
    use crate::fleet::problem::ProblemKind;
    use crate::fleet::{Change, Freshness, What};
    use crate::hazards::bed::Bed;
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
            ("under another's id", |real| PdAnswer {
                self_id: Some(MemberId(2)),
                healthy: Some(false),
                ..real.clone()
            }),
        ];
        for (what, answer) in cases {
            let (database, count) = real(&beside(answer));
            assert_eq!((count, database.tidb_clusters.len(), database.members.len()), (2, 2, 3), "{what}");
            assert_eq!(database.quorum.healthy, 3, "{what}");
            let said: Vec<_> = database.problems.iter().map(|problem| problem.kind).collect();
            assert_eq!(said, [ProblemKind::IdNotConfirmed], "{what}: it is said all the same");
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
        let claims =
            database_of(&evil(json!(null)), &ObjectRef::new("east", "tenant", "evil")).expect("one of its own");
        assert_eq!(claims.id, None, "nothing goes by the id of another Database");
        // A reference is its own word as well: it is shown there, and keeps no lease.
        let joined = json!({"namespace": "db", "name": "prod-east", "clusterDomain": "east.local"});
        let (database, count) = real(&evil(joined));
        assert_eq!((count, database.tidb_clusters.len()), (1, 3));
        assert_eq!(database.unconfirmed, [ObjectRef::new("east", "tenant", "evil")]);
    }

    #[test]
    fn what_pd_lists_belongs_to_it_whether_it_answers_or_not() {
        let without_reference =
            |bed: &mut Bed| drop(bed.west.tc["spec"].as_object_mut().expect("spec").remove("cluster"));
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
}
