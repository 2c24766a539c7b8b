//! Writes what the kubelet would report: pod phase, conditions, container state, address, node.
//!
//! Only the JSON; the stages come from `kubelet`. Nothing is written when nothing changed, and a condition keeps its
//! transition time as long as its status.

use serde_json::{Value, json};

use super::components::ordinal;
use super::kubelet::{Container, Stage, main_container};
use super::object_store::now;
use super::world::{PodKey, World};

/// The simulated machines of a KubeCluster.
pub const NODES: usize = 3;

pub fn node_name(kube: &str, index: usize) -> String {
    format!("{kube}-node-{}", index + 1)
}

/// The machine that a pod runs on.
pub fn node_of(world: &World, key: &PodKey) -> String {
    node_name(&world.kubes[key.kube].name, ordinal(&key.name).unwrap_or(0) as usize % NODES)
}

pub fn write(world: &World, key: &PodKey, pod: &Value, container: &Container) {
    let status = status(key, pod, container);
    let node = node_of(world, key);
    if pod["status"] == status && pod["spec"]["nodeName"] == node.as_str() {
        return;
    }
    let uid = container.uid.as_str();
    world.kubes[key.kube].store.edit("pods", &key.namespace, &key.name, |pod| {
        if pod["metadata"]["uid"] == uid {
            pod["spec"]["nodeName"] = json!(node);
            pod["status"] = status;
        }
    });
}

#[expect(clippy::too_many_lines, reason = "one document")]
fn status(key: &PodKey, pod: &Value, container: &Container) -> Value {
    let name = &main_container(pod)["name"];
    let ready = container.stage == Stage::Running;
    let up = matches!(container.stage, Stage::Script { .. } | Stage::Starting { .. } | Stage::Running);
    let created = container.ip.is_some();
    let since = |kind: &str, status: &str| {
        let conditions = pod["status"]["conditions"].as_array();
        let before = conditions.into_iter().flatten().find(|old| old["type"] == kind && old["status"] == status);
        before.and_then(|old| old["lastTransitionTime"].as_str()).map_or_else(now, str::to_owned)
    };
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        let mut condition = json!({
            "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since(kind, status),
        });
        if !holds {
            condition["reason"] = json!("ContainersNotReady");
            condition["message"] =
                json!(format!("containers with unready status: [{}]", name.as_str().unwrap_or_default()));
        }
        condition
    };
    let running = json!({"running": {"startedAt": container.started}});
    let exited = container.last_exit.map(|code| {
        json!({"terminated": {
            "exitCode": code, "reason": "Error", "startedAt": container.started, "finishedAt": container.started,
        }})
    });
    let state = match container.stage {
        Stage::Creating { .. } => json!({"waiting": {"reason": "ContainerCreating"}}),
        Stage::Script { .. } | Stage::Starting { .. } | Stage::Running => running,
        Stage::BackOff { .. } => json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!("back-off restarting failed container={} pod={}", name.as_str().unwrap_or_default(), key.name),
        }}),
        Stage::Leaving { .. } => {
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": container.started}})
        }
    };
    let exited = exited.unwrap_or_else(|| json!({}));
    // What stands beside the pod's own container lives as long as the pod.
    let beside = json!({"running": {"startedAt": container.started}});
    let alive = created && !matches!(container.stage, Stage::Leaving { .. });
    let containers = pod["spec"]["containers"].as_array();
    let statuses: Vec<Value> = containers
        .into_iter()
        .flatten()
        .map(|one| {
            let image = &one["image"];
            if one["name"] == "slowlog" && alive {
                return json!({
                    "name": one["name"], "image": image,
                    "imageID": format!("docker-pullable://{}", image.as_str().unwrap_or_default()),
                    "containerID": format!("containerd://{}-beside", container.uid.replace('-', "")),
                    "ready": true, "started": true, "restartCount": 0, "state": beside, "lastState": {},
                });
            }
            json!({
                "name": one["name"], "image": image,
                "imageID": format!("docker-pullable://{}", image.as_str().unwrap_or_default()),
                "containerID": format!("containerd://{}", container.uid.replace('-', "")),
                "ready": ready, "started": up, "restartCount": container.restarts,
                "state": state, "lastState": exited,
            })
        })
        .collect();
    let mut status = json!({
        "phase": if created { "Running" } else { "Pending" },
        "conditions": [
            condition("PodReadyToStartContainers", created),
            condition("Initialized", true),
            condition("Ready", ready),
            condition("ContainersReady", ready),
            condition("PodScheduled", true),
        ],
        "hostIP": format!("192.168.{}.{}", 10 + key.kube, ordinal(&key.name).unwrap_or(0) as usize % NODES + 1),
        "hostIPs": [{"ip": format!("192.168.{}.{}", 10 + key.kube, ordinal(&key.name).unwrap_or(0) as usize % NODES + 1)}],
        "startTime": pod["status"]["startTime"].as_str().map_or_else(now, str::to_owned),
        "containerStatuses": statuses,
        "qosClass": "BestEffort",
    });
    if let Some(ip) = &container.ip {
        status["podIP"] = json!(ip);
        status["podIPs"] = json!([{"ip": ip}]);
    }
    status
}
