//! Which PD pod is asked for what only PD's leader knows: placement rules, region counts, schedulers.
//!
//! Any PD passes such a question on; the leader's own pod spares the way. Not here: who leads ([`super::pd_leader_state`]), asking
//! (`client::pd::leader_details`).

use super::database::Database;
use super::rollout::component_pods;
use super::tidbcluster::Component;
use super::{Fleet, ObjectKey, ObjectRef};

/// The leader's pod with its TidbCluster, else the first one whose PD answered (a bare etcd knows nothing of regions and rules).
pub fn pod_to_ask(fleet: &Fleet, database: &Database) -> Option<(ObjectRef, ObjectKey)> {
    let mut first = None;
    for of in &database.tidb_clusters {
        let (Some(cluster), Some(tc)) = (fleet.clusters.get(&of.context), fleet.tidb_cluster(of)) else { continue };
        // What a dark cluster said last, "I lead" included, is no word of now, and its pods cannot be asked.
        if !cluster.freshness.answers() {
            continue;
        }
        for pod in component_pods(cluster, tc, Component::Pd) {
            let key = pod.metadata.key();
            let answer = cluster.pd.get(&key).and_then(|view| view.answer.as_ref().ok());
            let Some(answer) = answer.filter(|answer| answer.version.is_some()) else { continue };
            if answer.leader.is_some() && answer.self_id == answer.leader {
                return Some((of.clone(), key));
            }
            first = first.or_else(|| Some((of.clone(), key)));
        }
    }
    first
}
