//! The labels that tie a pod to its Database: cluster, member and store ids, all decimal (domain.md §1.4).
//!
//! The last step of a pass that got that far. It only adds labels to pods; selectors and templates do not know them.

use serde_json::json;

use super::Pass;
use crate::sim::kubelet::{self, component_of};
use crate::sim::object_store::identity;
use crate::sim::tidb_cluster::TidbCluster;
use crate::sim::world::PodKey;

pub fn label(pass: &Pass<'_>, tc: &TidbCluster) {
    let Some(index) = kubelet::database_of(pass.world, pass.state, pass.kube, tc) else { return };
    let database = &pass.state.databases[index];
    let store = &pass.world.kubes[pass.kube].store;
    for pod in store.snapshot("pods", Some(tc.namespace())).1 {
        let ours = pod["metadata"]["labels"]["app.kubernetes.io/instance"] == tc.instance();
        if !ours || component_of(&pod).is_none() {
            continue;
        }
        let (namespace, name) = identity(&pod);
        let key = PodKey { kube: pass.kube, namespace, name };
        let member = database.member_at(&key).map(|id| ("tidb.pingcap.com/member-id", id));
        let held = database.stores.values().find(|held| held.pod == key);
        let held = held.map(|held| ("tidb.pingcap.com/store-id", held.id));
        let cluster = Some(("tidb.pingcap.com/cluster-id", database.cluster_id));
        let known = [cluster, member, held].into_iter().flatten();
        let labels: Vec<(&str, String)> = known.map(|(label, id)| (label, id.to_string())).collect();
        if labels.iter().all(|(label, id)| pod["metadata"]["labels"][label] == id.as_str()) {
            continue;
        }
        let claim = component_of(&pod).and_then(|component| component.claim());
        let claim = claim.map(|claim| format!("{claim}-{}", key.name));
        for (plural, name) in [("pods", Some(key.name.clone())), ("persistentvolumeclaims", claim)] {
            let Some(name) = name else { continue };
            store.edit(plural, &key.namespace, &name, |object| {
                for (label, id) in &labels {
                    object["metadata"]["labels"][label] = json!(id);
                }
            });
        }
    }
}
