//! Which TidbClusters are one Database.
//!
//! By what PD's own members say of each other, and by `spec.cluster` where PD does not tell. Not here: whose a member or a store is
//! ([`super::member_pod_matching`]), what is wrong with it ([`super::database_problems`]).

use std::collections::BTreeSet;

use super::pod_hostnames::{host, pod_of};
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
                    let component = store.component();
                    other.runs(store.host(), component, near)
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
#[expect(clippy::too_many_lines, reason = "rounds over one set of groups")]
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
mod tests;
