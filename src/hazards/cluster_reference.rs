//! `spec.cluster`: whom a TidbCluster was to join. Hazards 11 and 45.
//!
//! What the specs alone decide is said at once; else what PD tells has to show it. One that has joined runs without its
//! reference; what a PD pod that starts without data would do by it is said all the same. Not here: which TidbClusters are one Database ([`crate::fleet::database`]).

use crate::fleet::database::{Astray, astray, candidates, cluster_id, host, referenced};
use crate::fleet::dns::Served;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::tidbcluster::ClusterReference;
use crate::fleet::{Crd, KubeCluster, ObjectRef};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Severity, Subject};

pub(super) const ALL: &[OfDatabase] = &[wrong_reference, leads_back, names_nobody, misleads];

/// 11 and 45. `spec.cluster` leads nowhere, or the two ended up as two Databases.
fn wrong_reference(scene: &CheckContext<'_>) -> Vec<Finding> {
    let judge = |part: &Part<'_>| {
        let to = part.tc.spec.cluster.as_ref()?;
        match referenced(scene.fleet, part.of, part.tc) {
            Some(joined) => two_databases(scene, part, &joined),
            // Two of one name and domain are a finding by themselves.
            None if candidates(scene.fleet, part.of, part.tc).len() > 1 => None,
            None => leads_nowhere(scene, part, to),
        }
    };
    scene.parts.iter().filter_map(judge).collect()
}

/// The line for one that has no data yet and is a Database of its own.
fn join_anew(part: &Part<'_>) -> String {
    format!(
        "delete this TidbCluster and its claims before data is written, then join with the right reference: {} delete tidbcluster {}",
        part.kubectl(),
        part.of.name
    )
}

/// It names `joined`, and PD has two cluster ids.
fn two_databases(scene: &CheckContext<'_>, part: &Part<'_>, joined: &ObjectRef) -> Option<Finding> {
    let theirs = cluster_id(scene.fleet, joined, scene.fleet.tidb_cluster(joined)?)?;
    let own = scene.database.id.clone()?;
    if own == theirs || scene.database.tidb_clusters.contains(joined) {
        return None;
    }
    // Its members still know the target's pods: it had joined, and the target began anew since.
    let target = format!(".{}-pd-peer.{}.svc", joined.name, joined.namespace);
    let knows = scene.database.members.iter().any(|member| {
        let mut hosts = member.client_urls.iter().filter_map(|url| host(url));
        member.place.context() != Some(&part.of.context) && hosts.any(|host| host.contains(&target))
    });
    let found = match knows {
        true => scene
            .find_at(HazardId::SecondBootstrap, part, format!("{joined} began a second Database ({theirs}); the members here still belong to {own}"))
            .then("stop the PD that began anew, keep its volume, and let it join the surviving members; do not write to it"),
        false => scene
            .find_at(HazardId::WrongClusterReference, part, format!("it was to join {joined}, but is a Database of its own"))
            .then(join_anew(part)),
    };
    let found = found
        .on(Subject::tidb_cluster(joined))
        .saw(&part.subject(), "PD cluster id", own, scene.pd_seen())
        .saw(&Subject::tidb_cluster(joined), "PD cluster id", theirs, part.seen());
    Some(found)
}

/// Nobody that is seen has the name, namespace and domain that `spec.cluster` gives.
fn leads_nowhere(scene: &CheckContext<'_>, part: &Part<'_>, to: &ClusterReference) -> Option<Finding> {
    let namespace = to.namespace.as_deref().unwrap_or(part.tc.namespace());
    let target = format!("{namespace}/{} in {}", to.name, to.cluster_domain.as_deref().unwrap_or("(no domain)"));
    let mut others = scene.fleet.tidb_clusters().filter(|(of, _)| of != part.of);
    let near = others.find(|(of, _)| of.name == to.name && of.namespace == namespace);
    // The other one lost or changed its domain: that is what is wrong, and a finding by itself.
    let moved = |of: &ObjectRef| scene.database.domain_doubts.iter().any(|doubt| doubt.of == *of);
    if near.as_ref().is_some_and(|(of, _)| moved(of)) {
        return None;
    }
    let members = &scene.database.members;
    let alone = !members.is_empty() && members.len() == scene.members(part).len() && part.tc.spec.pd.is_some();
    let sentence = match (&near, alone) {
        (Some((of, tc)), _) => {
            format!("spec.cluster names {target}, but {of} has the domain {}", tc.domain().unwrap_or("(none)"))
        }
        (None, true) => {
            format!("spec.cluster names {target}, which was not found, and PD has only this TidbCluster's own members")
        }
        // It may well lie in a context that is not connected: the Database says so as unseen.
        (None, false) => return None,
    };
    let domain = to.cluster_domain.as_deref().unwrap_or_default();
    let value = format!("name {:?}, namespace {namespace:?}, clusterDomain {domain:?}", to.name);
    let then = match alone {
        true => join_anew(part),
        false => "correct spec.cluster to the name, namespace and clusterDomain of the TidbCluster to join".into(),
    };
    let found = scene.find_at(HazardId::WrongClusterReference, part, sentence);
    Some(found.saw(&part.subject(), "spec.cluster", value, part.seen()).then(then))
}

/// 11. To itself, or over others back to itself: whoever waits there waits for ever.
fn leads_back(scene: &CheckContext<'_>) -> Vec<Finding> {
    let judge = |part: &Part<'_>| {
        let way = astray(scene.fleet, part.of, part.tc)?;
        let then = match &way {
            Astray::Itself => format!(
                "if it is to be the initial one: {}; else name the TidbCluster to join, while there is no data",
                part.patch("{\"cluster\":null}")
            ),
            Astray::Circle(_) => format!(
                "decide which of them is to be initial; if it is this one: {}",
                part.patch("{\"cluster\":null}")
            ),
        };
        let mut found = scene.find_at(HazardId::WrongClusterReference, part, way.sentence()).then(then);
        found = found.saw(&part.subject(), "spec.cluster", reference(part), part.seen());
        if let Astray::Circle(others) = way {
            for other in others.iter().filter(|other| *other != part.of) {
                found = found.on(Subject::tidb_cluster(other));
            }
        }
        Some(found)
    };
    scene.parts.iter().filter(|part| waits(scene, part)).filter_map(judge).collect()
}

/// Nothing of it has ever started, so it still waits for whom it names.
fn waits(scene: &CheckContext<'_>, part: &Part<'_>) -> bool {
    part.live() && part.tc.status.cluster_id.is_none() && scene.members(part).is_empty()
}

fn reference(part: &Part<'_>) -> String {
    let to = part.tc.spec.cluster.clone().unwrap_or_default();
    format!(
        "name {:?}, namespace {:?}, clusterDomain {:?}",
        to.name,
        to.namespace.as_deref().unwrap_or(part.tc.namespace()),
        to.cluster_domain.as_deref().unwrap_or_default()
    )
}

/// Whether everything that a KubeCluster has of TidbClusters is seen.
fn whole(cluster: &KubeCluster) -> bool {
    let served = matches!(cluster.crd, Crd::Missing | Crd::OperatorV2Only);
    cluster.freshness.is_live() && (cluster.listed || served)
}

/// 11. It waits for one that is nowhere, while every context is seen.
fn names_nobody(scene: &CheckContext<'_>) -> Vec<Finding> {
    let clusters = || scene.fleet.clusters.values();
    let judge = |part: &Part<'_>| {
        let to = part.tc.spec.cluster.as_ref()?;
        let namespace = to.namespace.as_deref().unwrap_or(part.tc.namespace());
        let near = |of: &ObjectRef| of.name == to.name && of.namespace == namespace;
        // One of that name under another domain is judged as such; one that waits for itself, too.
        if !candidates(scene.fleet, part.of, part.tc).is_empty() || scene.fleet.tidb_clusters().any(|(of, _)| near(&of))
        {
            return None;
        }
        // Only whoever serves the domain can have it; where that is not known, all of them have to be seen.
        let domain = to.cluster_domain.as_deref().filter(|domain| !domain.is_empty());
        let home = clusters().find(|cluster| domain.is_some_and(|domain| cluster.dns.serves(domain) == Served::Yes));
        let seen = home.map_or_else(|| clusters().all(whole), whole);
        // Where a look is limited to one namespace, another one may well have it.
        let mut others = scene.fleet.tidb_clusters().map(|(of, _)| of.namespace);
        if !seen || (namespace != part.of.namespace && others.all(|other| other == part.of.namespace)) {
            return None;
        }
        let place = match home {
            Some(home) => {
                format!("{}, which serves {:?}, has no such TidbCluster", home.context, domain.unwrap_or_default())
            }
            None => "no connected context has such a TidbCluster".to_owned(),
        };
        let there: Vec<String> = scene
            .fleet
            .tidb_clusters()
            .filter(|(of, tc)| of != part.of && tc.spec.cluster.is_none())
            .filter(|(of, _)| home.is_none_or(|home| home.context == of.context))
            .map(|(of, _)| of.to_string())
            .take(5)
            .collect();
        let there = match there.is_empty() {
            true => "none that could be joined is seen".to_owned(),
            false => format!("there is {}", there.join(", ")),
        };
        Some(
            scene
                .find_at(
                    HazardId::WrongClusterReference,
                    part,
                    format!("spec.cluster names {namespace}/{}, and {place}: its PD waits for it ({there})", to.name),
                )
                .saw(&part.subject(), "spec.cluster", reference(part), part.seen())
                .then(format!(
                    "correct spec.cluster to the name, namespace and clusterDomain of the TidbCluster to join: {} edit tidbcluster {}",
                    part.kubectl(),
                    part.of.name
                )),
        )
    };
    let waiting = scene.parts.iter().filter(|part| waits(scene, part));
    waiting.filter(|part| astray(scene.fleet, part.of, part.tc).is_none()).filter_map(judge).collect()
}

/// 11. It has joined, and all of its Database is seen; its reference leads to none of it, or was taken away.
fn misleads(scene: &CheckContext<'_>) -> Vec<Finding> {
    let listed = |part: &&Part<'_>| part.live() && scene.database.joined_for_certain(part.of);
    let with_pd = |part: &&Part<'_>| !scene.members(part).is_empty();
    // The initial one has none: of several that have none it is the oldest.
    let made = |part: &&Part<'_>| (part.tc.metadata.creation_timestamp, part.of.clone());
    let initial = scene.parts.iter().filter(with_pd).filter(|part| part.tc.spec.cluster.is_none()).min_by_key(made);
    let judge = |part: &Part<'_>| {
        let others: Vec<&Part<'_>> = scene.parts.iter().filter(with_pd).filter(|other| other.of != part.of).collect();
        let to = initial.filter(|initial| initial.of != part.of).or(others.first().copied())?;
        let (sentence, why) = match &part.tc.spec.cluster {
            None if initial.is_some_and(|initial| initial.of == part.of) || !with_pd(&part) => return None,
            None => (
                format!("spec.cluster is not set, though it is a part of the Database of {}", to.of),
                "It runs on without it. Where all of its PD lose their data, they begin a second Database instead of joining again.",
            ),
            Some(reference) => {
                let namespace = reference.namespace.as_deref().unwrap_or(part.tc.namespace());
                // One of that name under another domain, or several, are judged as such.
                let near = |of: &ObjectRef| of != part.of && of.name == reference.name && of.namespace == namespace;
                if !candidates(scene.fleet, part.of, part.tc).is_empty()
                    || scene.fleet.tidb_clusters().any(|(of, _)| near(&of))
                {
                    return None;
                }
                (
                    format!(
                        "spec.cluster names {namespace}/{}, and nothing of this Database is called so",
                        reference.name
                    ),
                    "It runs on without it. A PD pod that starts without data asks the TidbCluster named there, and waits for one that is not there.",
                )
            }
        };
        let domain = to.tc.plain_domain().map_or("null".to_owned(), |domain| format!("{domain:?}"));
        let body = format!(
            "{{\"cluster\":{{\"name\":{:?},\"namespace\":{:?},\"clusterDomain\":{domain}}}}}",
            to.of.name, to.of.namespace
        );
        let found = scene.find_at(HazardId::WrongClusterReference, part, sentence).severity(Severity::Medium);
        let value = part.tc.spec.cluster.as_ref().map_or("(absent)".to_owned(), |_| reference(part));
        let mut found = found.saw(&part.subject(), "spec.cluster", value, part.seen());
        found.why = why;
        Some(found.then(format!("name a TidbCluster of the Database: {}", part.patch(&body))))
    };
    scene.parts.iter().filter(listed).filter_map(judge).collect()
}
