//! A Database part by part: each component of each TidbCluster with its version, in the order in which versions move.
//!
//! PD first and everywhere, then TiFlash, TiKV, Pump, TiDB, TiCDC; of each the initial TidbCluster first (`domain.md`
//! §2.3, §4.4). No gate of the operator looks at another TidbCluster, so this order exists nowhere else. Pure. Not
//! here: whether a part has finished rolling ([`super::rollout`]).

use super::database::Database;
use super::rollout::{rollout, stateful_set};
use super::tidbcluster::Component;
use super::version::Version;
use super::workload::image_tag;
use super::{Fleet, ObjectRef};

/// The order across TidbClusters. TiProxy has versions of its own and is not among them.
pub const ORDER: [Component; 6] =
    [Component::Pd, Component::Tiflash, Component::Tikv, Component::Pump, Component::Tidb, Component::Ticdc];

/// One component of one TidbCluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub of: ObjectRef,
    pub component: Component,
    /// The version that it should run: its own, else that of the TidbCluster.
    pub version: Option<String>,
    /// Whether the version is the component's own.
    pub own_version: bool,
    /// Tag of the image that its pods are made from.
    pub running: Option<String>,
    pub settled: bool,
    /// What is still missing, one sentence; empty when settled.
    pub reason: String,
}

/// Every part of a Database in the order of an upgrade; TiProxies stand at the end.
pub fn parts(fleet: &Fleet, database: &Database) -> Vec<Part> {
    let mut all = Vec::new();
    for of in &database.tidb_clusters {
        let (Some(cluster), Some(tc)) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(of)) else { continue };
        for state in rollout(cluster, tc) {
            let component = state.component;
            let image = tc.component_status(component).image.as_deref();
            let image = image.or_else(|| stateful_set(cluster, tc, component)?.image(component));
            let part = Part {
                of: of.clone(),
                component,
                version: tc.component_version(component).map(str::to_owned),
                own_version: tc.component(component).is_some_and(|spec| spec.version.is_some()),
                running: image.and_then(image_tag).map(str::to_owned),
                settled: state.settled,
                reason: state.reason,
            };
            all.push((place(component), tc.spec.cluster.is_some(), part));
        }
    }
    all.sort_by(|(place, joined, part), (other_place, other_joined, other)| {
        (place, joined, &part.of).cmp(&(other_place, other_joined, &other.of))
    });
    all.into_iter().map(|(_, _, part)| part).collect()
}

fn place(component: Component) -> usize {
    ORDER.iter().position(|other| *other == component).unwrap_or(ORDER.len())
}

/// Every version that something of the Database is known to run or to be told to run, TiProxies left out.
pub fn versions(fleet: &Fleet, database: &Database) -> Vec<String> {
    let parts = parts(fleet, database);
    let told = parts
        .iter()
        .filter(|part| part.component != Component::Tiproxy)
        .flat_map(|part| part.version.iter().chain(&part.running).cloned());
    let pd = database.tidb_clusters.iter().flat_map(|of| {
        let (cluster, tc) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(of));
        let pods = cluster.zip(tc).map(|(cluster, tc)| {
            let pods = super::rollout::component_pods(cluster, tc, Component::Pd).into_iter();
            pods.filter_map(|pod| cluster.pd.get(&pod.metadata.key())?.answer.as_ref().ok()?.version.clone())
        });
        pods.into_iter().flatten().collect::<Vec<_>>()
    });
    let stores = database.stores.iter().filter(|row| !row.store.is_gone() && !row.store.version.is_empty());
    let stores = stores.map(|row| format!("v{}", row.store.version.trim_start_matches('v')));
    let mut all: Vec<String> = told.chain(pd).chain(stores).collect();
    all.sort();
    // A distribution's own suffix is in the tag only (`v8.5.7-arm64`): PD and stores tell the number.
    all.dedup_by(|next, kept| {
        next == kept || Version::parse(next).is_some_and(|next| Some(next) == Version::parse(kept))
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::database::database_of;
    use crate::fleet::tidbcluster::TidbCluster;
    use crate::fleet::{Change, Freshness, What};
    use serde_json::json;

    #[test]
    fn pd_everywhere_first_and_the_initial_one_before_the_others() {
        let mut fleet = Fleet::default();
        let mut say = |context: &str, what| {
            fleet.apply(Change { context: context.into(), at: jiff::Timestamp::UNIX_EPOCH, what })
        };
        // By name the joined one comes first.
        for (context, cluster) in
            [("a", Some(json!({"name": "t", "namespace": "n", "clusterDomain": "b"}))), ("b", None)]
        {
            say(context, What::Connection { freshness: Freshness::Live, message: None });
            let mut tc = json!({"metadata": {"name": "t", "namespace": "n"},
                "spec": {"version": "v8.1.0", "clusterDomain": context, "pd": {"replicas": 1}, "tidb": {"replicas": 1, "version": "v8.1.1"},
                    "tikv": {"replicas": 1}, "tiflash": {"replicas": 1}, "ticdc": {"replicas": 1}, "tiproxy": {"replicas": 1}},
                "status": {"clusterID": "7", "tikv": {"image": "r:5000/pingcap/tikv:v8.1.0@sha256:0"}}});
            if let Some(cluster) = cluster {
                tc["spec"]["cluster"] = cluster;
            }
            say(context, What::TidbClusters(vec![serde_json::from_value::<TidbCluster>(tc).expect("shape")]));
        }
        let database = database_of(&fleet, &ObjectRef::new("a", "n", "t")).expect("one Database");
        let order: Vec<String> =
            parts(&fleet, &database).iter().map(|p| format!("{} {}", p.component.key(), p.of.context)).collect();
        assert_eq!(
            order,
            [
                "pd b",
                "pd a",
                "tiflash b",
                "tiflash a",
                "tikv b",
                "tikv a",
                "tidb b",
                "tidb a",
                "ticdc b",
                "ticdc a",
                "tiproxy b",
                "tiproxy a"
            ]
        );
        let tikv = parts(&fleet, &database).into_iter().find(|part| part.component == Component::Tikv).expect("there");
        assert_eq!((tikv.running.as_deref(), tikv.own_version), (Some("v8.1.0"), false));
        assert_eq!(versions(&fleet, &database), ["v8.1.0", "v8.1.1"]);
    }
}
