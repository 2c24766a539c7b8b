//! What TiDB Operator makes of a TidbMonitor, and Kubernetes of a Deployment: StatefulSets, Services, pods, status.
//!
//! No metrics: the pods run and say nothing, their ports are in the Services. The StatefulSet's pods are the
//! StatefulSet controller's affair; a Deployment gets its pods here, without a ReplicaSet between.

use serde_json::{Value, json};

use super::dns::is_ready;
use super::kubelet::short_hash;
use super::object_store::{Store, identity};
use super::world::World;

/// One pass over the TidbMonitors and the Deployments of a KubeCluster.
pub fn tick(world: &World, kube: usize) {
    let store = &world.kubes[kube].store;
    for monitor in store.snapshot("tidbmonitors", None).1 {
        reconcile(store, &monitor);
    }
    for deployment in store.snapshot("deployments", None).1 {
        // Those of the operator are put there as they are, without pods.
        let operators = deployment["metadata"]["namespace"] == "tidb-admin";
        let discovery = deployment["metadata"]["labels"]["app.kubernetes.io/component"] == "discovery";
        if !operators && !discovery {
            deploy(store, &deployment);
        }
    }
}

fn owner(object: &Value) -> Value {
    json!([{
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"],
        "uid": object["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    }])
}

fn reconcile(store: &Store, monitor: &Value) {
    if monitor["metadata"]["deletionTimestamp"].is_string() {
        return;
    }
    let (namespace, name) = identity(monitor);
    let labels = json!({
        "app.kubernetes.io/name": "tidb-cluster", "app.kubernetes.io/managed-by": "tidb-operator",
        "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "monitor",
    });
    let spec = &monitor["spec"];
    let metadata = |name: String| json!({"namespace": namespace, "name": name, "labels": labels, "ownerReferences": owner(monitor)});
    let port = |name: &str, port: u16| json!({"name": name, "port": port, "targetPort": port, "protocol": "TCP"});
    let mut ports = vec![port("http-prometheus", 9090)];
    let mut containers = vec![container("prometheus", &spec["prometheus"], "prom/prometheus")];
    containers.push(container("reloader", &spec["reloader"], "pingcap/tidb-monitor-reloader"));
    if spec["thanos"].is_object() {
        ports.extend([port("thanos-grpc", 10901), port("thanos-http", 10902)]);
        containers.push(container("thanos-sidecar", &spec["thanos"], "thanosio/thanos"));
    }
    let mut services = vec![("prometheus", ports), ("monitor-reloader", vec![port("tcp-reloader", 9089)])];
    if spec["grafana"].is_object() {
        services.push(("grafana", vec![port("http-grafana", 3000)]));
        containers.push(container("grafana", &spec["grafana"], "grafana/grafana"));
    }
    for (part, ports) in services {
        let service = format!("{name}-{part}");
        if store.find("services", &namespace, &service).is_none() {
            // Follows from the name, so that two Services have two addresses.
            let number = service.bytes().fold(7_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte)));
            let address = format!("10.96.{}.{}", 1 + number / 256 % 250, 1 + number % 250);
            let spec = json!({"type": "ClusterIP", "clusterIP": address, "selector": labels, "ports": ports});
            store.put("services", json!({"metadata": metadata(service), "spec": spec}));
        }
    }
    let set = format!("{name}-monitor");
    if store.find("statefulsets", &namespace, &set).is_none() {
        let claim = json!({
            "metadata": {"name": "monitor"}, "spec": {"resources": {"requests": {"storage": spec["storage"]}}},
        });
        let claims = if spec["persistent"] == true { json!([claim]) } else { json!([]) };
        let spec = json!({
            "replicas": spec["replicas"].as_u64().unwrap_or(1), "serviceName": set, "volumeClaimTemplates": claims,
            "selector": {"matchLabels": labels}, "updateStrategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        });
        store.put("statefulsets", json!({"metadata": metadata(set), "spec": spec}));
    }
}

fn container(name: &str, spec: &Value, image: &str) -> Value {
    let image = spec["baseImage"].as_str().unwrap_or(image);
    let version = spec["version"].as_str().unwrap_or("latest");
    json!({"name": name, "image": format!("{image}:{version}")})
}

fn deploy(store: &Store, deployment: &Value) {
    let (namespace, name) = identity(deployment);
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let template = &deployment["spec"]["template"];
    let uid = &deployment["metadata"]["uid"];
    let all = store.snapshot("pods", Some(&namespace)).1;
    let pods: Vec<_> = all.iter().filter(|pod| pod["metadata"]["ownerReferences"][0]["uid"] == *uid).collect();
    for ordinal in 0..wanted {
        let pod = format!("{name}-{}-{ordinal}", short_hash(template));
        if !pods.iter().any(|known| known["metadata"]["name"] == pod.as_str()) {
            let metadata = json!({
                "namespace": namespace, "name": pod, "labels": template["metadata"]["labels"],
                "ownerReferences": owner(deployment),
            });
            store.put("pods", json!({"metadata": metadata, "spec": template["spec"]}));
        }
    }
    let ready = pods.iter().filter(|pod| is_ready(pod)).count();
    let status = json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": pods.len(), "updatedReplicas": pods.len(),
        "readyReplicas": ready, "availableReplicas": ready,
    });
    if deployment["status"] != status {
        store.edit("deployments", &namespace, &name, |deployment| deployment["status"] = status);
    }
}
