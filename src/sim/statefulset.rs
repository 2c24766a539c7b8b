//! The StatefulSet controller: pods from templates, rolling updates from the highest ordinal, status.
//!
//! Follows the real controller with `podManagementPolicy: Parallel`: below the partition nothing is replaced, one outdated
//! pod goes at a time, and an updated pod that is not Ready stops the roll (an outdated broken one does not). What happens
//! inside a pod is the `kubelet`'s business.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value, json};

use super::components::ordinal;
use super::dns::is_ready;
use super::kubelet::short_hash;
use super::object_store::now;
use super::world::World;

/// One pass over all StatefulSets of a KubeCluster.
pub fn tick(world: &World, kube: usize) {
    let store = &world.kubes[kube].store;
    let (_, sets) = store.snapshot("statefulsets", None);
    for set in &sets {
        sync(world, kube, set);
    }
    // Pods whose StatefulSet is gone follow it.
    let known: HashSet<Option<&str>> = sets.iter().map(|set| set["metadata"]["uid"].as_str()).collect();
    for pod in store.snapshot("pods", None).1 {
        let owner = &pod["metadata"]["ownerReferences"][0];
        if owner["kind"] == "StatefulSet" && !known.contains(&owner["uid"].as_str()) {
            terminate(world, kube, &pod);
        }
    }
}

/// The revision that a template makes.
pub fn revision(set: &Value) -> String {
    format!("{}-{}", set["metadata"]["name"].as_str().unwrap_or_default(), short_hash(&set["spec"]["template"]))
}

fn sync(world: &World, kube: usize, set: &Value) {
    let store = &world.kubes[kube].store;
    let text = |field: &str| set["metadata"][field].as_str().unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    let update = revision(set);
    let current = set["status"]["currentRevision"].as_str().unwrap_or(&update).to_owned();
    let replicas = set["spec"]["replicas"].as_u64().unwrap_or(1);
    let partition = set["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_u64().unwrap_or(0);
    let on_delete = set["spec"]["updateStrategy"]["type"] == "OnDelete";

    let mut pods: Vec<(u64, Arc<Value>)> = store
        .snapshot("pods", Some(namespace))
        .1
        .into_iter()
        .filter(|pod| pod["metadata"]["ownerReferences"][0]["uid"] == set["metadata"]["uid"])
        .filter_map(|pod| Some((u64::from(ordinal(pod["metadata"]["name"].as_str()?)?), pod)))
        .collect();
    pods.sort_by_key(|(ordinal, _)| *ordinal);

    for missing in (0..replicas).filter(|wanted| !pods.iter().any(|(ordinal, _)| ordinal == wanted)) {
        // Below the partition a lost pod comes back as it was, if the old template is still known.
        create(world, kube, set, missing, if missing < partition { &current } else { &update }, &update);
    }
    for (_, pod) in pods.iter().filter(|(ordinal, _)| *ordinal >= replicas) {
        terminate(world, kube, pod);
    }
    if !on_delete {
        let unprobed = partition == 0 && set["metadata"]["labels"]["app.kubernetes.io/component"] == "pd";
        roll(world, kube, &pods, (partition..replicas, unprobed), &update);
    }

    let pods: Vec<&Value> = pods.iter().filter(|(ordinal, _)| *ordinal < replicas).map(|(_, pod)| &**pod).collect();
    let count = |test: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| test(pod)).count();
    let updated = count(&|pod| revision_of(pod) == update);
    let ready = count(&|pod| is_ready(pod) && !is_leaving(pod));
    let done = updated == pods.len() && ready == pods.len() && pods.len() as u64 == replicas;
    let current = if done { update.clone() } else { current };
    let status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": pods.len(),
        "readyReplicas": ready,
        "currentReplicas": count(&|pod| revision_of(pod) == current),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        "availableReplicas": ready,
    });
    if set["status"] != status {
        store.edit("statefulsets", namespace, name, |set| set["status"] = status);
    }
}

fn revision_of(pod: &Value) -> &str {
    pod["metadata"]["labels"]["controller-revision-hash"].as_str().unwrap_or_default()
}

fn is_leaving(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

/// `range`: the ordinals that may go. With `unprobed` a container that runs will do: PD has no readiness probe, so a forced
/// roll takes one pod after the other although none of them serves. (Here a PD that waits for its peers is not Ready.)
fn roll(world: &World, kube: usize, pods: &[(u64, Arc<Value>)], (range, unprobed): (Range<u64>, bool), update: &str) {
    for (_, pod) in pods.iter().rev().filter(|(ordinal, _)| range.contains(ordinal)) {
        if is_leaving(pod) {
            return;
        }
        if revision_of(pod) != update {
            terminate(world, kube, pod);
            return;
        }
        let runs = unprobed && pod["status"]["containerStatuses"][0]["started"] == true;
        if !is_ready(pod) && !runs {
            return;
        }
    }
}

/// Asks the kubelet to end a pod.
fn terminate(world: &World, kube: usize, pod: &Value) {
    if is_leaving(pod) {
        return;
    }
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    world.kubes[kube].store.edit("pods", text("namespace"), text("name"), |pod| {
        pod["metadata"]["deletionTimestamp"] = json!(now());
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    });
}

fn create(world: &World, kube: usize, set: &Value, ordinal: u64, wanted: &str, update: &str) {
    let store = &world.kubes[kube].store;
    let text = |field: &str| set["metadata"][field].as_str().unwrap_or_default();
    let (namespace, set_name) = (text("namespace"), text("name"));
    let name = format!("{set_name}-{ordinal}");
    let old = store
        .find("controllerrevisions", namespace, wanted)
        .map(|revision| revision["data"]["spec"]["template"].clone());
    let (template, revision) = match old {
        Some(template) if wanted != update => (template, wanted),
        _ => (set["spec"]["template"].clone(), update),
    };
    keep_revision(world, kube, set, update);
    let mut volumes = template["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for claim in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let prefix = claim["metadata"]["name"].as_str().unwrap_or_default();
        let claim_name = format!("{prefix}-{name}");
        volumes.push(json!({"name": prefix, "persistentVolumeClaim": {"claimName": claim_name}}));
        if store.find("persistentvolumeclaims", namespace, &claim_name).is_none() {
            bind(world, kube, set, claim, &claim_name, &name);
        }
    }
    let mut labels = template["metadata"]["labels"].clone();
    labels["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
    labels["controller-revision-hash"] = json!(revision);
    labels["statefulset.kubernetes.io/pod-name"] = json!(name);
    let mut spec = template["spec"].clone();
    spec["hostname"] = json!(name);
    spec["subdomain"] = set["spec"]["serviceName"].clone();
    spec["volumes"] = json!(volumes);
    store.put(
        "pods",
        json!({
            "metadata": {
                "namespace": namespace, "name": name, "generateName": format!("{set_name}-"),
                "labels": labels, "annotations": template["metadata"]["annotations"],
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set_name, "uid": set["metadata"]["uid"],
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": spec,
            "status": {"phase": "Pending", "qosClass": "BestEffort"},
        }),
    );
    let message = format!("create Pod {name} in StatefulSet {set_name} successful");
    world.event(kube, set, "statefulset-controller", "Normal", "SuccessfulCreate", &message);
}

/// Remembers a template, for pods that come back below the partition and for whoever asks what was changed. One that is used again
/// gets a new number and keeps the time at which it was made.
fn keep_revision(world: &World, kube: usize, set: &Value, name: &str) {
    let store = &world.kubes[kube].store;
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    let (_, all) = store.snapshot("controllerrevisions", Some(namespace));
    let own = all.iter().filter(|one| one["metadata"]["ownerReferences"][0]["uid"] == set["metadata"]["uid"]);
    let newest = own.filter_map(|one| one["revision"].as_i64()).max().unwrap_or(0);
    let known = store.find("controllerrevisions", namespace, name);
    if known.as_ref().is_some_and(|known| known["revision"].as_i64() < Some(newest)) {
        store.edit("controllerrevisions", namespace, name, |one| {
            one["revision"] = json!(newest + 1);
            one["metadata"]["managedFields"] = json!([{
                "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1", "time": now(),
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}, "f:revision": {}},
            }]);
        });
    }
    if known.is_none() {
        store.put(
            "controllerrevisions",
            json!({
                "metadata": {
                    "namespace": namespace, "name": name, "labels": set["spec"]["selector"]["matchLabels"],
                    "ownerReferences": [{
                        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set["metadata"]["name"],
                        "uid": set["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
                    }],
                },
                "data": {"spec": {"template": set["spec"]["template"]}},
                "revision": newest + 1,
            }),
        );
    }
}

fn bind(world: &World, kube: usize, set: &Value, claim: &Value, name: &str, pod: &str) {
    let store = &world.kubes[kube].store;
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    let storage = &claim["spec"]["resources"]["requests"]["storage"];
    let volume = format!("pvc-{}", short_hash(&json!([kube, namespace, name, set["metadata"]["uid"]])));
    let mut labels = set["spec"]["selector"]["matchLabels"].clone();
    labels["tidb.pingcap.com/pod-name"] = json!(pod);
    let annotations = json!({
        "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
        "tidb.pingcap.com/pod-name": pod,
    });
    store.put("persistentvolumeclaims", json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": claim["spec"]["resources"], "storageClassName": "standard",
            "volumeMode": "Filesystem", "volumeName": volume,
        },
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": storage}},
    }));
    store.put(
        "persistentvolumes",
        json!({
            "metadata": {"name": volume, "labels": {"app.kubernetes.io/namespace": namespace}},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": storage}, "storageClassName": "standard",
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name},
            },
            "status": {"phase": "Bound"},
        }),
    );
}
