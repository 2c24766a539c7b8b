//! `k8s.place`: where a TidbCluster is or will be; `net.probe-pod`: is a probe pod left from before, is ours ready to look
//! and to be looked at?
//!
//! Pure, from what a look saw at the objects' places. Not here: the look between the pods (`client::kube::cross_cluster_probe`).

use schemars::JsonSchema;
use serde::{Deserialize as _, Serialize};

use super::super::action_types::RUN_LABEL;
use super::database::{SameName, same_cluster, same_name, tls_toggled};
use crate::fleet::database::database_of;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, KubeCluster, ObjectRef};
use crate::runbook::actions::network_probe_result::{probe_at, probe_objects};

/// The place of a TidbCluster that need not be there.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlaceFact {
    context: String,
    namespace: String,
    name: String,
    /// The TidbCluster is there.
    exists: bool,
    /// Absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_exists: Option<bool>,
    /// PD's cluster id as the TidbCluster has it; empty: none yet.
    database_id: String,
    /// What to do about each TidbCluster whose TLS was switched while it runs.
    tls_toggled: Vec<String>,
    same_name: Vec<SameName>,
    /// Other contexts of the same Kubernetes cluster.
    same_cluster: Vec<String>,
    /// Contexts that are not live.
    not_live: Vec<String>,
}

/// The probe pod that stands for the place of a TidbCluster.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProbePodFact {
    context: String,
    namespace: String,
    name: String,
    /// The first DNS domain of its KubeCluster; absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_domain: Option<String>,
    /// Absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_exists: Option<bool>,
    /// Its Pod and Service that are there, with who made them; absent where that may not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<String>>,
    /// It is Ready and has an address.
    ready: bool,
    /// What keeps it from running; empty where nothing does.
    trouble: String,
}

/// `None`: not for us to see.
fn namespace_exists(fleet: &Fleet, of: &ObjectRef) -> Option<bool> {
    let id = ObjectId::new(ObjectKind::Namespace, &ObjectRef::new(&of.context, "", &of.namespace));
    match fleet.sight(&id) {
        Some(Lookup::Absent) => Some(false),
        Some(Lookup::Present(_)) => Some(true),
        Some(Lookup::Unseen(_)) | None => None,
    }
}

pub(super) fn place(fleet: &Fleet, of: &ObjectRef, cluster: &KubeCluster) -> PlaceFact {
    let tc = cluster.tidb_clusters.get(&of.key());
    let not_live = fleet.clusters.values().filter(|cluster| !cluster.freshness.is_live());
    PlaceFact {
        context: of.context.clone(),
        namespace: of.namespace.clone(),
        name: of.name.clone(),
        exists: tc.is_some(),
        namespace_exists: namespace_exists(fleet, of),
        database_id: tc.and_then(|tc| tc.status.cluster_id.clone()).unwrap_or_default(),
        tls_toggled: tls_toggled(database_of(fleet, of).as_ref()),
        same_name: same_name(fleet, of),
        same_cluster: same_cluster(fleet, of),
        not_live: not_live.map(|cluster| cluster.context.clone()).collect(),
    }
}

/// What cannot be seen is left out, so that a check on it stops.
pub(super) fn probe_pod(fleet: &Fleet, of: &ObjectRef) -> ProbePodFact {
    let probe = probe_at(of);
    let both = probe_objects(&probe).map(|id| (fleet.sight(&id), id));
    let seen = both.iter().all(|(sight, _)| matches!(sight, Some(Lookup::Absent | Lookup::Present(_))));
    let there = both.iter().filter_map(|(sight, id)| Some((sight.and_then(Lookup::present)?, id)));
    let left =
        there.map(|(object, id)| match object.pointer("/metadata/labels").and_then(|labels| labels.get(RUN_LABEL)) {
            Some(run) => format!("{id} (made by run {})", run.as_str().unwrap_or_default()),
            None => format!("{id} (not made by a run)"),
        });
    let left = seen.then(|| left.collect());
    let pod = both.iter().find(|(_, id)| id.kind == ObjectKind::Pod);
    let there = pod.and_then(|(sight, _)| sight.and_then(Lookup::present));
    let pod = there.and_then(|object| Pod::deserialize(object).ok());
    ProbePodFact {
        cluster_domain: fleet.clusters.get(&of.context).and_then(|cluster| cluster.dns.first()).map(str::to_owned),
        namespace_exists: namespace_exists(fleet, of),
        left,
        ready: pod.as_ref().is_some_and(|pod| pod.ready() && pod.status.pod_ip.is_some()),
        trouble: match pod {
            Some(pod) => pod.trouble().unwrap_or_default(),
            None if there.is_some() => "it is there, and cannot be read as a pod".to_owned(),
            None => "it is not there yet".to_owned(),
        },
        context: probe.context,
        namespace: probe.namespace,
        name: probe.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Change, What};
    use serde_json::{Value, json};

    fn seen(pod: Lookup, service: Lookup) -> Value {
        let of = ObjectRef::new("a", "db", "x");
        let mut fleet = Fleet::default();
        for (id, sight) in probe_objects(&probe_at(&of)).into_iter().zip([pod, service]) {
            let (kind, key) = id.key();
            let what = What::Object { kind, key, sight: Box::new(sight) };
            fleet.apply(Change { context: "a".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        }
        serde_json::to_value(probe_pod(&fleet, &of)).expect("plain data")
    }

    #[test]
    fn leftovers_and_readiness() {
        let pod = |status: Value| Lookup::Present(json!({"metadata": {"labels": {RUN_LABEL: "r1"}}, "status": status}));
        let ready = json!({"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]});
        let found = seen(pod(ready), Lookup::Absent);
        assert_eq!((&found["ready"], &found["trouble"]), (&json!(true), &json!("")));
        assert_eq!(found["left"], json!(["Pod a/db/x-tidepilot-probe (made by run r1)"]));
        let pulling =
            json!({"containerStatuses": [{"name": "probe", "state": {"waiting": {"reason": "ErrImagePull"}}}]});
        let found = seen(pod(pulling), Lookup::Absent);
        assert_eq!((&found["ready"], &found["trouble"]), (&json!(false), &json!("probe: ErrImagePull")));
        let looping = |count: u64, wait: &str| {
            json!({"containerStatuses": [{"name": "listen", "restartCount": count,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": format!("back-off {wait} restarting")}},
                "lastState": {"terminated": {"exitCode": 127, "message": "starting\nsh: httpd: not found\n"}}}]})
        };
        let sentence = "listen ends again and again with exit code 127: sh: httpd: not found";
        assert_eq!(seen(pod(looping(2, "20s")), Lookup::Absent)["trouble"], sentence);
        // Nothing moves by ending once more: the wait's limit for a stand-still counts on.
        assert_eq!(seen(pod(looping(3, "40s")), Lookup::Absent)["trouble"], sentence);
        assert_eq!(seen(Lookup::Absent, Lookup::Absent)["left"], json!([]));
        assert_eq!(seen(Lookup::Unseen("forbidden".into()), Lookup::Absent).get("left"), None, "unknown is not none");
    }
}
