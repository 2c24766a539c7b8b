//! Pods that `verify-network` made and that are there still: found by their label, in every namespace that is looked at.
//!
//! Only reads. Not here: Leases that were left ([`crate::client::share::orphaned_leases`]), what else lies around (`fleet::interrupted_work`).

use futures::future::join_all;

use crate::client::encode;
use crate::client::kube::list_pagination::{self, MANY};
use crate::client::wire::link::Links;
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, ObjectRef};
use crate::runbook::action_types::RUN_LABEL;

/// A probe pod, and the run that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePod {
    pub pod: ObjectRef,
    pub run: String,
    /// `Running`, `Succeeded`, …
    pub state: String,
}

/// Every probe pod of the KubeClusters that are live, and what could not be read, one sentence each.
pub async fn probe_pods(links: &Links, fleet: &Fleet) -> (Vec<ProbePod>, Vec<String>) {
    let live = fleet.clusters.values().filter(|cluster| cluster.freshness.is_live());
    let asked = live.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()).map(|cluster| async move {
        let link = links.get(&cluster.context)?;
        let place = link.namespace().map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        let path = format!("/api/v1/{place}pods?labelSelector={}", encode(RUN_LABEL));
        Some((&cluster.context, list_pagination::list::<Pod>(link, &path, MANY).await))
    });
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    for (context, answer) in join_all(asked).await.into_iter().flatten() {
        match answer {
            Ok(list) => found.extend(list.items.into_iter().map(|pod| ProbePod {
                pod: ObjectRef::new(context, &pod.metadata.namespace, &pod.metadata.name),
                run: crate::client::plain(pod.metadata.labels.get(RUN_LABEL).map(String::as_str).unwrap_or_default()),
                state: pod.status_word(),
            })),
            Err(trouble) => unseen.push(format!("pods in {context} could not be listed: {}", trouble.sentence)),
        }
    }
    (found, unseen)
}
