//! The objects TiDB Operator makes from a TidbCluster: ConfigMaps, Services, StatefulSets, the discovery Deployment.
//!
//! Builders only: what to write and when is decided in `operator`. The start script is kept in a small form of our own that
//! the simulated kubelet reads back (`NAME=value` lines), so that a changed ConfigMap does to a pod what it does in truth.

use serde_json::{Value, json};

use super::components::{Component, labels};
use super::kubelet::{json_hash, short_hash};
use super::tidb_cluster::TidbCluster;
use super::{object_store, toml_text};

/// What the operator keeps of an object's spec, to see what it changed itself.
const LAST_APPLIED: &str = "pingcap.com/last-applied-configuration";

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
        Some(config) => config_file(tc, component, config),
        None if always => String::new(),
        None => return None,
    };
    let data = match component.script_in_command() {
        true => json!({"config-file": text}),
        false => json!({"config-file": text, "startup-script": start_script(tc, component)}),
    };
    let plain = component.stateful_set(tc.name());
    let name = if tc.rolling_config(component) { format!("{plain}-{}", digest(&data)) } else { plain };
    Some(json!({"metadata": metadata(tc, component.key(), &name), "data": data}))
}

/// The TOML that a component is started with; with TLS the operator adds where the certificates lie.
fn config_file(tc: &TidbCluster, component: Component, config: &Value) -> String {
    let names = match component {
        Component::Pd => ["cacert-path", "cert-path", "key-path"],
        Component::TiKv => ["ca-path", "cert-path", "key-path"],
        Component::TiDb => ["cluster-ssl-ca", "cluster-ssl-cert", "cluster-ssl-key"],
        Component::TiProxy | Component::TiFlash | Component::Pump | Component::TiCdc => {
            return config.as_str().map_or_else(|| config.to_string(), str::to_owned);
        }
    };
    let mut tree = Value::Object(toml_text::read(config));
    if tc.tls() {
        for (name, file) in names.into_iter().zip(["ca.crt", "tls.crt", "tls.key"]) {
            tree["security"][name] = json!(format!("/var/lib/{}-tls/{file}", component.key()));
        }
    }
    toml_text::write(&toml_text::read(&tree))
}

/// Seven digits, as the operator's digest looks. Its own has some 4000 values, so that in truth one change in 4000 finds the
/// name taken and restarts nothing; here that would be chance in a test.
fn digest(data: &Value) -> String {
    format!("{:07}", json_hash(data) % 10_000_000)
}

/// Stands in where a component never had a `config`.
pub fn first_config_map(tc: &TidbCluster, component: Component) -> Value {
    let data = json!({"config-file": "", "startup-script": start_script(tc, component)});
    json!({"metadata": metadata(tc, component.key(), &component.stateful_set(tc.name())), "data": data})
}

/// Headless and, where there is one, client-facing services.
pub fn services(tc: &TidbCluster, component: Component) -> Vec<Value> {
    let selector = labels(tc.instance(), component.key());
    let service = |name: &str, used_by: &str, spec: Value| {
        let mut metadata = metadata(tc, component.key(), name);
        metadata["labels"]["app.kubernetes.io/used-by"] = json!(used_by);
        service_object(metadata, spec)
    };
    let mut made = vec![service(
        &component.peer_service(tc.name()),
        "peer",
        json!({
            "clusterIP": "None", "clusterIPs": ["None"], "ports": service_ports(peer_ports(component)),
            "publishNotReadyAddresses": true, "selector": selector, "sessionAffinity": "None", "type": "ClusterIP",
        }),
    )];
    let front: Option<&[(&str, u16)]> = match component {
        Component::Pd => Some(&[("client", 2379)]),
        Component::TiDb if tc.spec()["tidb"]["service"].is_object() => {
            Some(&[("mysql-client", 4000), ("status", 10080)])
        }
        Component::TiProxy => Some(&[("tiproxy", 6000)]),
        _ => None,
    };
    if let Some(ports) = front {
        let name = component.stateful_set(tc.name());
        let kind = tc.spec()[component.key()]["service"]["type"].as_str().unwrap_or("ClusterIP");
        let ip = service_ip(tc.namespace(), &name);
        made.push(service(
            &name,
            "end-user",
            json!({
                "clusterIP": ip, "clusterIPs": [ip], "ports": service_ports(ports), "selector": selector,
                "sessionAffinity": "None", "type": kind,
            }),
        ));
    }
    made
}

/// As the operator names the ports of the headless services.
fn peer_ports(component: Component) -> &'static [(&'static str, u16)] {
    match component {
        Component::Pd => &[("tcp-peer-2380", 2380), ("tcp-peer-2379", 2379)],
        Component::TiKv => &[("peer", 20160)],
        Component::TiDb => &[("status", 10080)],
        Component::TiProxy | Component::TiFlash | Component::Pump | Component::TiCdc => component.ports(),
    }
}

fn service_ports(ports: &[(&str, u16)]) -> Vec<Value> {
    ports
        .iter()
        .map(|(name, port)| json!({"name": name, "port": port, "protocol": "TCP", "targetPort": port}))
        .collect()
}

/// A Service with what the operator and the API server add to it.
fn service_object(mut metadata: Value, mut spec: Value) -> Value {
    metadata["annotations"] = json!({LAST_APPLIED: spec.to_string()});
    spec["internalTrafficPolicy"] = json!("Cluster");
    spec["ipFamilies"] = json!(["IPv4"]);
    spec["ipFamilyPolicy"] = json!("SingleStack");
    json!({"metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}})
}

/// A stable made-up address.
fn service_ip(namespace: &str, name: &str) -> String {
    let sum =
        format!("{namespace}/{name}").bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("10.{}.{}.{}", 97 + sum % 8, sum / 8 % 250, sum / 2_000 % 250 + 2)
}

/// The pod template; `config_map` is the name to mount.
#[expect(clippy::too_many_lines, reason = "one document")]
pub fn template(tc: &TidbCluster, component: Component, config_map: &str) -> Value {
    let key = component.key();
    let mut volumes = vec![json!({"name": "annotations", "downwardAPI": {"defaultMode": 420, "items": [
        {"path": "annotations", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations"}}]}})];
    let mut mounts = vec![json!({"name": "annotations", "mountPath": "/etc/podinfo", "readOnly": true})];
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
        // TiKV's stands before the others.
        let at = if component == Component::TiKv { 1 } else { mounts.len() };
        mounts.insert(at, json!({"name": claim, "mountPath": format!("/var/lib/{key}")}));
    }
    if tc.tls() {
        let secret = format!("{}-{key}-cluster-secret", tc.name());
        volumes.push(json!({"name": format!("{key}-tls"), "secret": {"secretName": secret, "defaultMode": 420}}));
        mounts
            .push(json!({"name": format!("{key}-tls"), "mountPath": format!("/var/lib/{key}-tls"), "readOnly": true}));
    }
    if component == Component::TiDb {
        volumes.push(json!({"name": "slowlog", "emptyDir": {}}));
        mounts.push(json!({"name": "slowlog", "mountPath": "/var/log/tidb"}));
    }
    // TiKV does not say that it listens for its status.
    let told = component.ports().iter().filter(|(name, _)| component != Component::TiKv || *name == "server");
    let ports: Vec<Value> =
        told.map(|(name, port)| json!({"name": name, "containerPort": port, "protocol": "TCP"})).collect();
    let mut annotations = json!({
        "prometheus.io/scrape": "true", "prometheus.io/path": "/metrics",
        "prometheus.io/port": component.ports().last().map(|(_, port)| port.to_string()),
    });
    for source in [&tc.spec()["annotations"], &tc.spec()[key]["annotations"]] {
        for (name, value) in source.as_object().into_iter().flatten() {
            annotations[name] = value.clone();
        }
    }
    let pull = tc.spec()["imagePullPolicy"].as_str().unwrap_or("IfNotPresent");
    let mut own = json!({
        "name": key,
        "image": tc.image(component),
        "imagePullPolicy": pull,
        "command": command,
        "env": environment(tc, component),
        "ports": ports,
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    });
    let mut containers = Vec::new();
    match component {
        Component::TiKv => own["securityContext"] = json!({"privileged": false}),
        Component::TiDb => {
            own["readinessProbe"] = json!({
                "failureThreshold": 3, "initialDelaySeconds": 10, "periodSeconds": 10, "successThreshold": 1,
                "tcpSocket": {"port": 4000}, "timeoutSeconds": 1,
            });
            containers.push(json!({
                "name": "slowlog",
                "image": "alpine:3.16.0",
                "imagePullPolicy": pull,
                "command": ["sh", "-c", "touch /var/log/tidb/slowlog; tail -n0 -F /var/log/tidb/slowlog;"],
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "volumeMounts": [{"name": "slowlog", "mountPath": "/var/log/tidb"}],
            }));
        }
        Component::Pd | Component::TiProxy | Component::TiFlash | Component::Pump | Component::TiCdc => {}
    }
    containers.push(own);
    json!({
        "metadata": {"labels": labels(tc.instance(), key), "annotations": annotations},
        "spec": {
            "containers": containers,
            "volumes": volumes,
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler",
            "securityContext": {},
        },
    })
}

fn environment(tc: &TidbCluster, component: Component) -> Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}});
    let set = |name: &str, value: String| json!({"name": name, "value": value});
    let zone = set("TZ", tc.spec()["timezone"].as_str().unwrap_or("UTC").to_owned());
    let namespace = field("NAMESPACE", "metadata.namespace");
    let service = component.peer_service(tc.name());
    let name = || tc.name().to_owned();
    match component {
        Component::Pd => json!([
            namespace,
            set("PEER_SERVICE_NAME", service),
            set("SERVICE_NAME", component.stateful_set(tc.name())),
            set("SET_NAME", component.stateful_set(tc.name())),
            zone,
        ]),
        Component::TiDb => json!([
            set("CLUSTER_NAME", name()),
            zone,
            set("BINLOG_ENABLED", "false".to_owned()),
            set("SLOW_LOG_FILE", "/var/log/tidb/slowlog".to_owned()),
            field("POD_NAME", "metadata.name"),
            namespace,
            set("HEADLESS_SERVICE_NAME", service),
        ]),
        Component::TiKv | Component::TiFlash | Component::TiProxy | Component::Pump | Component::TiCdc => json!([
            namespace,
            set("CLUSTER_NAME", name()),
            set("HEADLESS_SERVICE_NAME", service),
            set("CAPACITY", "0".to_owned()),
            zone,
        ]),
    }
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
                "status": {"phase": "Pending"},
            })
        })
        .into_iter()
        .collect();
    let mut spec = json!({
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "podManagementPolicy": "Parallel",
        "replicas": replicas,
        "revisionHistoryLimit": 10,
        "selector": {"matchLabels": labels(tc.instance(), component.key())},
        "serviceName": component.peer_service(tc.name()),
        "template": template,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": replicas}},
    });
    if !claims.is_empty() {
        spec["volumeClaimTemplates"] = json!(claims);
    }
    let mut set = json!({"metadata": metadata(tc, component.key(), &component.stateful_set(tc.name())), "spec": spec});
    note_applied(&mut set);
    set
}

/// Notes on an object what the operator last made of its spec.
pub fn note_applied(object: &mut Value) {
    object["metadata"]["annotations"][LAST_APPLIED] = json!(object["spec"].to_string());
}

/// The discovery Deployment with its service and its pod, which change with `tlsCluster` only.
pub fn discovery(tc: &TidbCluster) -> [(&'static str, Value); 3] {
    let name = format!("{}-discovery", tc.name());
    let labels = labels(tc.instance(), "discovery");
    let mut spec = json!({
        "containers": [{
            "name": "discovery", "image": "pingcap/tidb-operator:v1.6.6", "command": ["/usr/local/bin/tidb-discovery"],
            "ports": [{"name": "discovery", "containerPort": 10261}, {"name": "proxy", "containerPort": 10262}],
        }],
        "serviceAccountName": name,
    });
    if tc.tls() {
        let secret = format!("{}-pd-cluster-secret", tc.name());
        spec["volumes"] = json!([{"name": "pd-tls", "secret": {"secretName": secret, "defaultMode": 420}}]);
        spec["containers"][0]["volumeMounts"] =
            json!([{"name": "pd-tls", "mountPath": "/var/lib/pd-tls", "readOnly": true}]);
    }
    let mut pod = metadata(tc, "discovery", &format!("{name}-{}", short_hash(&json!([tc.uid(), name, tc.tls()]))));
    pod["labels"]["pod-template-hash"] = json!("6d5f8c9b7");
    pod["generateName"] = json!(format!("{name}-6d5f8c9b7-"));
    let mut about = metadata(tc, "discovery", &name);
    about["annotations"] = json!({
        "deployment.kubernetes.io/revision": "1", LAST_APPLIED: spec.to_string(),
        "pingcap.com/last-applied-podtemplate": spec.to_string(),
    });
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": message,
            "lastUpdateTime": object_store::now(), "lastTransitionTime": object_store::now()})
    };
    let progressed = format!("ReplicaSet \"{name}-6d5f8c9b7\" has successfully progressed.");
    [
        (
            "services",
            service_object(
                metadata(tc, "discovery", &name),
                json!({
                    "clusterIP": service_ip(tc.namespace(), &name), "clusterIPs": [service_ip(tc.namespace(), &name)],
                    "ports": service_ports(&[("discovery", 10261), ("proxy", 10262)]), "selector": labels,
                    "sessionAffinity": "None", "type": "ClusterIP",
                }),
            ),
        ),
        (
            "deployments",
            json!({"metadata": about, "spec": {
                "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
                "selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            }, "status": {
                "availableReplicas": 1,
                "conditions": [
                    condition("Progressing", "NewReplicaSetAvailable", &progressed),
                    condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
                ],
                "observedGeneration": 1, "readyReplicas": 1, "replicas": 1, "terminatingReplicas": 0, "updatedReplicas": 1,
            }}),
        ),
        ("pods", json!({"metadata": pod, "spec": spec})),
    ]
}
