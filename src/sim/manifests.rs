//! The objects TiDB Operator makes from a TidbCluster: ConfigMaps, Services, StatefulSets, the discovery Deployment.
//!
//! Builders only: what to write and when is decided in `operator`. The start script is kept in a small form of our own that
//! the simulated kubelet reads back (`NAME=value` lines), so that a changed ConfigMap does to a pod what it does in truth.

use serde_json::{Value, json};

use super::components::{Component, labels};
use super::kubelet::short_hash;
use super::tidb_cluster::TidbCluster;

fn owner(tc: &TidbCluster) -> Value {
    json!([{
        "apiVersion": "pingcap.com/v1alpha1", "kind": "TidbCluster", "name": tc.name(), "uid": tc.uid(),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

fn metadata(tc: &TidbCluster, component: &str, name: &str) -> Value {
    json!({
        "namespace": tc.namespace(), "name": name, "labels": labels(tc.instance(), component), "ownerReferences": owner(tc),
    })
}

/// What a component's container is started with.
pub fn start_script(tc: &TidbCluster, component: Component) -> String {
    let service = component.peer_service(tc.name());
    let suffix = tc.domain().map(|domain| format!(".{domain}")).unwrap_or_default();
    let host = format!("${{POD_NAME}}.{service}.{}.svc{suffix}", tc.namespace());
    let long_name = component == Component::Pd && (tc.domain().is_some() || tc.across());
    let name = if long_name { host.as_str() } else { "${POD_NAME}" };
    // With acrossK8s every component but PD asks discovery where PD is, so their scripts change as well and all of them
    // roll, also without a domain.
    let verify = if component != Component::Pd && tc.across() { "VERIFY_PD=discovery\n" } else { "" };
    format!("DOMAIN={host}\nNAME={name}\nSCHEME={}\n{verify}", tc.scheme())
}

/// The ConfigMap of a component, or `None` when its `config` is not set: then the operator leaves what there is. TiFlash,
/// Pump and TiProxy have one in any case. For TiFlash the start script stands for its configuration, which has the names.
pub fn config_map(tc: &TidbCluster, component: Component) -> Option<Value> {
    let config = tc.component(component)?.get("config").filter(|config| !config.is_null());
    let always = matches!(component, Component::TiFlash | Component::Pump | Component::TiProxy);
    let text = match config {
        Some(config) => config.as_str().map_or_else(|| config.to_string(), str::to_owned),
        None if always => String::new(),
        None => return None,
    };
    let data = match component.script_in_command() {
        true => json!({"config-file": text}),
        false => json!({"config-file": text, "startup-script": start_script(tc, component)}),
    };
    let plain = component.stateful_set(tc.name());
    let name = if tc.rolling_config(component) { format!("{plain}-{}", short_hash(&data)) } else { plain };
    Some(json!({"metadata": metadata(tc, component.key(), &name), "data": data}))
}

/// Stands in where a component never had a `config`.
pub fn first_config_map(tc: &TidbCluster, component: Component) -> Value {
    let data = json!({"config-file": "", "startup-script": start_script(tc, component)});
    json!({"metadata": metadata(tc, component.key(), &component.stateful_set(tc.name())), "data": data})
}

/// Headless and, where there is one, client-facing services.
pub fn services(tc: &TidbCluster, component: Component) -> Vec<Value> {
    let selector = labels(tc.instance(), component.key());
    let ports = |names: &[&str]| -> Vec<Value> {
        let chosen = component.ports().iter().filter(|(name, _)| names.is_empty() || names.contains(name));
        chosen.map(|(name, port)| json!({"name": name, "port": port, "targetPort": port, "protocol": "TCP"})).collect()
    };
    let service = |name: &str, used_by: &str, spec: Value| {
        let mut metadata = metadata(tc, component.key(), name);
        metadata["labels"]["app.kubernetes.io/used-by"] = json!(used_by);
        json!({"metadata": metadata, "spec": spec})
    };
    let mut made = vec![service(
        &component.peer_service(tc.name()),
        "peer",
        json!({
            "clusterIP": "None", "clusterIPs": ["None"], "publishNotReadyAddresses": true, "type": "ClusterIP",
            "ports": ports(&[]), "selector": selector, "sessionAffinity": "None",
        }),
    )];
    let front: Option<&[&str]> = match component {
        Component::Pd => Some(&["client"]),
        Component::TiDb if tc.spec()["tidb"]["service"].is_object() => Some(&[]),
        Component::TiProxy => Some(&["tiproxy"]),
        _ => None,
    };
    if let Some(names) = front {
        let name = component.stateful_set(tc.name());
        let kind = tc.spec()[component.key()]["service"]["type"].as_str().unwrap_or("ClusterIP");
        let ip = service_ip(tc.namespace(), &name);
        made.push(service(
            &name,
            "end-user",
            json!({
                "clusterIP": ip, "clusterIPs": [ip], "type": kind, "ports": ports(names), "selector": selector,
                "sessionAffinity": "None",
            }),
        ));
    }
    made
}

/// A stable made-up address.
fn service_ip(namespace: &str, name: &str) -> String {
    let sum =
        format!("{namespace}/{name}").bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("10.{}.{}.{}", 97 + sum % 8, sum / 8 % 250, sum / 2_000 % 250 + 2)
}

/// The pod template; `config_map` is the name to mount.
pub fn template(tc: &TidbCluster, component: Component, config_map: &str) -> Value {
    let key = component.key();
    let (mut volumes, mut mounts) = (Vec::new(), Vec::new());
    // TiCDC without `config` has no ConfigMap at all.
    if !config_map.is_empty() {
        volumes.push(json!({"name": "config", "configMap": {"name": config_map, "defaultMode": 420,
            "items": [{"key": "config-file", "path": format!("{key}.toml")}]}}));
        mounts.push(json!({"name": "config", "mountPath": format!("/etc/{key}"), "readOnly": true}));
    }
    if !component.script_in_command() {
        volumes.push(json!({"name": "startup-script", "configMap": {"name": config_map, "defaultMode": 493,
            "items": [{"key": "startup-script", "path": format!("{key}_start_script.sh")}]}}));
        mounts.push(json!({"name": "startup-script", "mountPath": "/usr/local/bin", "readOnly": true}));
    }
    let command = match component {
        _ if component.script_in_command() => json!(["/bin/sh", "-c", start_script(tc, component)]),
        // What its init container asks, which is in the template: it changes with acrossK8s and not with the domain.
        Component::TiFlash if tc.across() => json!(["/bin/sh", "-c", "VERIFY_PD=discovery"]),
        Component::TiFlash => json!(["/bin/sh", "-c", "/tiflash/tiflash server --config-file /data0/config.toml"]),
        _ => json!(["/bin/sh", format!("/usr/local/bin/{key}_start_script.sh")]),
    };
    if let Some(claim) = component.claim() {
        mounts.push(json!({"name": claim, "mountPath": format!("/var/lib/{key}")}));
    }
    if tc.tls() {
        let secret = format!("{}-{key}-cluster-secret", tc.name());
        volumes.push(json!({"name": format!("{key}-tls"), "secret": {"secretName": secret, "defaultMode": 420}}));
        mounts
            .push(json!({"name": format!("{key}-tls"), "mountPath": format!("/var/lib/{key}-tls"), "readOnly": true}));
    }
    let ports: Vec<Value> = component
        .ports()
        .iter()
        .map(|(name, port)| json!({"name": name, "containerPort": port, "protocol": "TCP"}))
        .collect();
    let mut annotations = json!({
        "prometheus.io/scrape": "true", "prometheus.io/path": "/metrics",
        "prometheus.io/port": component.ports().last().map(|(_, port)| port.to_string()),
    });
    for source in [&tc.spec()["annotations"], &tc.spec()[key]["annotations"]] {
        for (name, value) in source.as_object().into_iter().flatten() {
            annotations[name] = value.clone();
        }
    }
    json!({
        "metadata": {"labels": labels(tc.instance(), key), "annotations": annotations},
        "spec": {
            "containers": [{
                "name": key,
                "image": tc.image(component),
                "imagePullPolicy": tc.spec()["imagePullPolicy"].as_str().unwrap_or("IfNotPresent"),
                "command": command,
                "env": [
                    {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}},
                    {"name": "PEER_SERVICE_NAME", "value": component.peer_service(tc.name())},
                    {"name": "SET_NAME", "value": component.stateful_set(tc.name())},
                    {"name": "TZ", "value": tc.spec()["timezone"].as_str().unwrap_or("UTC")},
                ],
                "ports": ports,
                "resources": {},
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler",
            "securityContext": {},
        },
    })
}

/// A new StatefulSet in its quiet form: the partition equals the replicas, so that nothing rolls by itself.
pub fn stateful_set(tc: &TidbCluster, component: Component, template: Value) -> Value {
    let replicas = tc.replicas(component);
    let claims: Vec<Value> = component
        .claim()
        .map(|claim| {
            let storage = tc.spec()[component.key()]["requests"]["storage"].as_str().unwrap_or("100Gi");
            json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}, "volumeMode": "Filesystem"},
            })
        })
        .into_iter()
        .collect();
    json!({
        "metadata": metadata(tc, component.key(), &component.stateful_set(tc.name())),
        "spec": {
            "replicas": replicas,
            "serviceName": component.peer_service(tc.name()),
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": labels(tc.instance(), component.key())},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": replicas}},
            "template": template,
            "volumeClaimTemplates": claims,
        },
    })
}

/// The discovery Deployment with its service and its pod, which never change afterwards.
pub fn discovery(tc: &TidbCluster) -> [(&'static str, Value); 3] {
    let name = format!("{}-discovery", tc.name());
    let labels = labels(tc.instance(), "discovery");
    let spec = json!({
        "containers": [{
            "name": "discovery", "image": "pingcap/tidb-operator:v1.6.6", "command": ["/usr/local/bin/tidb-discovery"],
            "ports": [{"name": "discovery", "containerPort": 10261}, {"name": "proxy", "containerPort": 10262}],
        }],
        "serviceAccountName": name,
    });
    let mut pod = metadata(tc, "discovery", &format!("{name}-{}", short_hash(&json!([tc.uid(), name]))));
    pod["labels"]["pod-template-hash"] = json!("6d5f8c9b7");
    [
        (
            "services",
            json!({"metadata": metadata(tc, "discovery", &name), "spec": {
                "type": "ClusterIP", "clusterIP": service_ip(tc.namespace(), &name), "selector": labels,
                "ports": [{"name": "discovery", "port": 10261, "targetPort": 10261}, {"name": "proxy", "port": 10262, "targetPort": 10262}],
            }}),
        ),
        (
            "deployments",
            json!({"metadata": metadata(tc, "discovery", &name), "spec": {
            "replicas": 1, "selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        }, "status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1, "observedGeneration": 1}}),
        ),
        ("pods", json!({"metadata": pod, "spec": spec})),
    ]
}
