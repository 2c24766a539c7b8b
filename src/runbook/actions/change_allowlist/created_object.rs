//! What a created object may hold on a plain yes: kind by kind, the fields that shipped runbooks set, with their values.
//!
//! Everything else is named, and typed for. A pod runs only an image and a command that a shipped runbook runs, a Service
//! reaches nobody outside of its cluster, a certificate takes no other Secret's place, and no object gets a label by which
//! TiDB Operator or tidepilot would take it for one of their own. Pure. Not here: patches, copies and deletes ([`super`]).

use serde_json::Value;

use crate::fleet::ObjectRef;
use crate::fleet::object_kind::ObjectKind;
use crate::fleet::tidbcluster::Component;

/// The fields that are not known to do no harm, with their values where these are short; empty: a plain yes is enough.
pub(super) fn odd(kind: ObjectKind, target: &ObjectRef, object: &Value) -> Vec<String> {
    let known: fn(&[&str], &Value) -> bool = match kind {
        ObjectKind::TidbCluster => tidb_cluster,
        ObjectKind::TidbMonitor => tidb_monitor,
        ObjectKind::Pod => |path, value| starts(path, &["spec"], pod, value),
        ObjectKind::Deployment => deployment,
        ObjectKind::Service => service,
        ObjectKind::Issuer | ObjectKind::IssuerV1alpha2 => issuer,
        ObjectKind::Certificate | ObjectKind::CertificateV1alpha2 => certificate,
        ObjectKind::ConfigMap => |path, _| matches!(path, ["data" | "binaryData", _]),
        // Each gives rights, holds secrets or takes a disk: typed as such, whatever is in it.
        ObjectKind::Namespace
        | ObjectKind::Secret
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::ServiceAccount
        | ObjectKind::Role
        | ObjectKind::RoleBinding => |_, _| false,
    };
    let mut odd = Vec::new();
    leaves(object, &mut Vec::new(), &mut |path, value| {
        let same = |own: &str| value.as_str() == Some(own);
        let good = match path {
            ["apiVersion" | "kind"] => true,
            ["metadata", "name"] => same(&target.name),
            ["metadata", "namespace"] => same(&target.namespace),
            ["metadata", "labels", name] => labelled(kind) && label(name, value),
            // cert-manager replaces the Secret of that name, whatever it holds.
            ["spec", "secretName"] if kind.kind() == "Certificate" => {
                same(&target.name)
                    || value.as_str().and_then(|secret| secret.strip_suffix("-secret")) == Some(&target.name)
            }
            _ => known(path, value),
        };
        if !good {
            odd.push(named(path, value));
        }
    });
    if kind == ObjectKind::ConfigMap && (ours(&target.name) || target.namespace.starts_with("kube-")) {
        odd.push(format!("the name {target}"));
    }
    odd
}

/// A name that tidepilot gives to its own records and approvals.
fn ours(name: &str) -> bool {
    name.starts_with("tidepilot")
}

/// `spec.pd.baseImage = evil/pd`
fn named(path: &[&str], value: &Value) -> String {
    let path = path.join(".").replace(".[]", "[]");
    match value {
        Value::String(text) if text.chars().count() <= 80 => format!("{path} = {text}"),
        Value::Bool(_) | Value::Number(_) => format!("{path} = {value}"),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => path,
    }
}

/// Every value that holds no other, with its path; `[]` stands for any place of a list.
fn leaves<'a>(value: &'a Value, path: &mut Vec<&'a str>, each: &mut impl FnMut(&[&str], &'a Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                path.push(key);
                leaves(inner, path, each);
                path.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for inner in items {
                path.push("[]");
                leaves(inner, path, each);
                path.pop();
            }
        }
        other => each(path, other),
    }
}

/// Holds `known` to what lies below `at`.
fn starts(path: &[&str], at: &[&str], known: fn(&[&str], &Value) -> bool, value: &Value) -> bool {
    path.strip_prefix(at).is_some_and(|rest| known(rest, value))
}

fn is(value: &Value, allowed: &[&str]) -> bool {
    value.as_str().is_some_and(|text| allowed.contains(&text))
}

fn empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn plain(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Kinds to which a shipped runbook gives labels.
fn labelled(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Pod | ObjectKind::Service | ObjectKind::Deployment)
}

/// TiDB Operator finds its pods by `component`, `managed-by` and the name `tidb-cluster`; a label that is not one of these
/// may be anybody's, and is not on the list.
fn label(name: &str, value: &Value) -> bool {
    match name {
        "app.kubernetes.io/name" => {
            is(value, &["tidepilot-probe", "thanos-query", "thanos-store", "prometheus-federation", "global-grafana"])
        }
        "app.kubernetes.io/managed-by" => is(value, &["tidepilot"]),
        "app.kubernetes.io/instance" | "tidepilot/run" | "tidepilot/probe" => value.is_string(),
        "sidecar.istio.io/inject" => is(value, &["false"]),
        _ => false,
    }
}

/// The vendor's own image of a component.
fn vendors(component: &str, value: &Value) -> bool {
    value.as_str().and_then(|image| image.strip_prefix("pingcap/")).is_some_and(|rest| {
        let name = rest.strip_suffix("-enterprise").unwrap_or(rest);
        name == component
    })
}

fn tidb_cluster(path: &[&str], value: &Value) -> bool {
    match path {
        ["spec", "version" | "acrossK8s" | "clusterDomain" | "timezone" | "enableDynamicConfiguration"] => plain(value),
        ["spec", "configUpdateStrategy"] => is(value, &["RollingUpdate", "InPlace"]),
        ["spec", "pvReclaimPolicy"] => is(value, &["Retain"]),
        ["spec", "cluster", "name" | "namespace" | "clusterDomain"] | ["spec", "tlsCluster", "enabled"] => plain(value),
        ["spec", "discovery"] => empty(value),
        ["spec", "imagePullSecrets", "[]", "name"] => value.is_string(),
        ["spec", name, rest @ ..] => Component::parse(name).is_some() && component(name, rest, value),
        _ => false,
    }
}

fn component(name: &str, path: &[&str], value: &Value) -> bool {
    match path {
        ["replicas" | "maxFailoverCount" | "version" | "mountClusterClientSecret" | "storageClassName"]
        | ["requests", "storage"]
        | ["tlsClient", "enabled"]
        | ["storageClaims", "[]", "storageClassName"]
        | ["storageClaims", "[]", "resources", "requests", "storage"] => plain(value),
        ["baseImage"] => vendors(name, value),
        ["service", "type"] => is(value, &["ClusterIP"]),
        ["config"] => empty(value),
        ["config", "security", "cert-allowed-cn" | "cluster-verify-cn", "[]"]
        | ["config", "config", "security", "cert_allowed_cn", "[]"] => value.is_string(),
        _ => false,
    }
}

fn tidb_monitor(path: &[&str], value: &Value) -> bool {
    let image = |part: &str| match part {
        "initializer" => "pingcap/tidb-monitor-initializer",
        "reloader" => "pingcap/tidb-monitor-reloader",
        "prometheus" => "prom/prometheus",
        "thanos" => "thanosio/thanos",
        _ => "grafana/grafana",
    };
    match path {
        ["spec", "clusters", "[]", "name" | "namespace" | "clusterDomain"]
        | ["spec", "externalLabels", _]
        | ["spec", "imagePullPolicy" | "persistent" | "storage" | "storageClassName"] => plain(value),
        ["spec", "pvReclaimPolicy"] => is(value, &["Retain"]),
        ["spec", part @ ("initializer" | "reloader" | "prometheus" | "thanos" | "grafana"), rest @ ..] => match rest {
            ["baseImage"] => is(value, &[image(part)]),
            ["version"] => plain(value),
            ["logLevel"] => is(value, &["debug", "info", "warn", "error"]),
            // TiDB Operator puts it into a shell's line.
            ["retentionTime"] => *part == "prometheus" && value.as_str().is_some_and(duration),
            ["service", "type"] => is(value, &["ClusterIP"]),
            ["usernameSecret" | "passwordSecret", "name" | "key"] => *part == "grafana" && plain(value),
            _ => false,
        },
        _ => false,
    }
}

fn service(path: &[&str], value: &Value) -> bool {
    match path {
        ["spec", "type"] => is(value, &["ClusterIP"]),
        ["spec", "clusterIP"] => is(value, &["None"]),
        ["spec", "publishNotReadyAddresses"] => plain(value),
        // It may lead to nothing but what is made beside it.
        ["spec", "selector", name] => label(name, value),
        ["spec", "ports", "[]", "name" | "port" | "targetPort" | "protocol"] => plain(value),
        _ => false,
    }
}

fn deployment(path: &[&str], value: &Value) -> bool {
    match path {
        ["spec", "replicas"] => value.as_u64().is_some_and(|count| count <= 3),
        ["spec", "selector", "matchLabels", name] | ["spec", "template", "metadata", "labels", name] => {
            label(name, value)
        }
        ["spec", "template", "spec", rest @ ..] => pod(rest, value),
        _ => false,
    }
}

/// The spec of a pod.
fn pod(path: &[&str], value: &Value) -> bool {
    match path {
        ["hostname" | "subdomain" | "restartPolicy" | "activeDeadlineSeconds" | "terminationGracePeriodSeconds"] => {
            plain(value)
        }
        ["automountServiceAccountToken"] => *value == Value::Bool(false),
        ["securityContext", rest @ ..] => takes(rest, value),
        ["containers" | "initContainers", "[]", rest @ ..] => container(rest, value),
        // Of Secrets and of the node's files nothing is on the list.
        ["volumes", "[]", "name"] => plain(value),
        ["volumes", "[]", "emptyDir"] => empty(value),
        _ => false,
    }
}

fn container(path: &[&str], value: &Value) -> bool {
    match path {
        ["name" | "terminationMessagePolicy"]
        | ["ports", "[]", "name" | "containerPort" | "protocol"]
        | ["resources", "requests" | "limits", "cpu" | "memory"]
        | ["livenessProbe" | "readinessProbe", "httpGet", "path" | "port"] => plain(value),
        ["image"] => value.as_str().is_some_and(image),
        ["command" | "args", "[]"] => value.as_str().is_some_and(word),
        ["volumeMounts", "[]", "name"] => plain(value),
        ["volumeMounts", "[]", "mountPath"] => is(value, &MOUNTS),
        ["env", "[]", "name"] => is(value, &VARIABLES),
        // The initializer's script hands them to a shell as they are.
        ["env", "[]", "value"] => value.as_str().is_some_and(one_word),
        ["securityContext", rest @ ..] => takes(rest, value),
        _ => false,
    }
}

/// Where a shipped runbook mounts what it made.
const MOUNTS: [&str; 7] = [
    "/prometheus",
    "/prometheus-rules",
    "/etc/thanos",
    "/var/thanos/store",
    "/etc/grafana/provisioning/dashboards",
    "/etc/grafana/provisioning/datasources",
    "/grafana-dashboard-definitions/tidb",
];

/// What the initializer of dashboards and the federation are told.
const VARIABLES: [&str; 7] = [
    "TARGETS",
    "RETENTION",
    "GF_PROVISIONING_PATH",
    "GF_DATASOURCE_PATH",
    "GF_TIDB_PROMETHEUS_URL",
    "TIDB_CLUSTER_NAMESPACE",
    "PROM_CONFIG_PATH",
];

/// An image that a shipped runbook runs, by its tag: a digest or a registry in front is somebody else's.
fn image(text: &str) -> bool {
    let Some((name, tag)) = text.split_once(':') else { return false };
    let known =
        ["busybox", "thanosio/thanos", "prom/prometheus", "grafana/grafana", "pingcap/tidb-monitor-initializer"];
    known.contains(&name)
        && !tag.is_empty()
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// The script of the federation's Prometheus: what it is told comes in quotes.
const FEDERATION: &str = concat!(
    r#"printf '{"scrape_configs": [{"job_name": "federate", "scrape_interval": "15s", "honor_labels": true, "#,
    r#""metrics_path": "/federate", "params": {"match[]": ["{__name__=~\\".+\\"}"]}, "#,
    r#""static_configs": [{"targets": [%s]}]}]}' "$TARGETS" >/prometheus/federation.yml; "#,
    "exec prometheus --config.file=/prometheus/federation.yml --storage.tsdb.path=/prometheus/data ",
    r#"--storage.tsdb.retention.time="$RETENTION""#
);

/// The initializer, and where Grafana finds what it made.
const DASHBOARDS: &str = concat!(
    r#"/usr/bin/init.sh; printf '{"apiVersion": 1, "providers": [{"name": "tidb", "type": "file", "options": "#,
    r#"{"path": "/grafana-dashboard-definitions/tidb/dashboards"}}]}' >/etc/grafana/provisioning/dashboards/tidb.yaml"#
);

/// One word of a command that a shipped runbook runs: of `sleep 3600`, of the listener, of Thanos, of Prometheus, of the initializer.
fn word(text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "sleep",
        "3600",
        "sh",
        "-ec",
        "query",
        "store",
        "--log.level=info",
        "--data-dir=/var/thanos/store",
        "--objstore.config-file=/etc/thanos/objectstorage.yaml",
        FEDERATION,
        DASHBOARDS,
    ];
    const OPTIONS: [&str; 4] =
        ["--grpc-address=0.0.0.0:", "--http-address=0.0.0.0:", "--query.replica-label=", "--store="];
    let listener = text
        .strip_prefix("for port in ")
        .and_then(|rest| rest.strip_suffix("; do httpd -p $port -h /tmp; done; exec sleep 3600"))
        .is_some_and(|ports| ports.chars().all(|c| c.is_ascii_digit() || c == ' '));
    WORDS.contains(&text) || OPTIONS.iter().any(|option| text.starts_with(option)) && one_word(text) || listener
}

/// `15d`, as Prometheus has it.
fn duration(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=9).contains(&digits) && ["ms", "s", "m", "h", "d", "w", "y"].contains(&&text[digits..])
}

/// Nothing that a shell would take for the end of a word.
fn one_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "=-_.:/+,[]".contains(c))
}

/// Fields of a securityContext that only take rights away.
fn takes(path: &[&str], value: &Value) -> bool {
    match path {
        ["privileged" | "allowPrivilegeEscalation"] => *value == Value::Bool(false),
        ["runAsNonRoot" | "readOnlyRootFilesystem"] => *value == Value::Bool(true),
        ["runAsUser" | "runAsGroup" | "fsGroup"] => value.as_i64().is_some_and(|id| id > 0),
        ["seccompProfile", "type"] => is(value, &["RuntimeDefault"]),
        ["capabilities", "drop", "[]"] => value.is_string(),
        _ => false,
    }
}

fn issuer(path: &[&str], value: &Value) -> bool {
    match path {
        ["spec", "selfSigned"] => empty(value),
        ["spec", "ca", "secretName"] => value.is_string(),
        _ => false,
    }
}

fn certificate(path: &[&str], value: &Value) -> bool {
    match path {
        ["spec", "commonName" | "isCA" | "duration" | "renewBefore"]
        | ["spec", "organization" | "usages" | "dnsNames" | "ipAddresses", "[]"]
        | ["spec", "subject", "organizations", "[]"]
        | ["spec", "issuerRef", "name"] => plain(value),
        ["spec", "privateKey", "rotationPolicy"] => is(value, &["Never", "Always"]),
        ["spec", "issuerRef", "kind"] => is(value, &["Issuer"]),
        ["spec", "issuerRef", "group"] => is(value, &["cert-manager.io"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::document::Runbook;

    #[test]
    fn the_scripts_are_those_that_ship() {
        let runbook = Runbook::shipped("monitor-across-clusters").expect("ships");
        let steps = || runbook.phases.iter().flat_map(|phase| &phase.steps);
        for (id, part) in [("create-federation", "containers"), ("create-grafana", "initContainers")] {
            let step = steps().find(|step| step.id == id).expect("a step");
            let script = &step.with["object"]["spec"]["template"]["spec"][part][0]["args"][0];
            assert!(script.as_str().is_some_and(word), "{id}: {script}");
        }
    }

    #[test]
    fn a_retention_is_a_duration_and_nothing_for_a_shell() {
        assert!(["15d", "2h", "500ms"].into_iter().all(duration));
        assert!(!["", "d", "15", "15 d", "15d; sh", "15d\n", "1234567890d", "${x}"].into_iter().any(duration));
    }
}
