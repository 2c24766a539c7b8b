//! 82. A field that is nearly one of the TidbCluster's: the API server leaves out what the CRD does not have, and nothing says so.
//!
//! Only what is a letter or two away from a name of the CRD is said: another operator may have fields that are not known here.
//! The lists are held against the CRD of TiDB Operator 1.6 by `tests/program/schemas`.

use crate::fleet::hazard_id::HazardId;
use serde_json::Value;

use super::super::Finding;
use super::at;
use super::yaml_documents::Document;
use crate::fleet::tidbcluster::Component;

/// Of `spec`.
pub const SPEC: [&str; 46] = [
    "acrossK8s",
    "affinity",
    "annotations",
    "cluster",
    "clusterDomain",
    "configUpdateStrategy",
    "discovery",
    "dnsConfig",
    "dnsPolicy",
    "enableDynamicConfiguration",
    "enablePVCReplace",
    "enablePVReclaim",
    "helper",
    "hostNetwork",
    "imagePullPolicy",
    "imagePullSecrets",
    "labels",
    "nodeSelector",
    "paused",
    "pd",
    "pdAddresses",
    "pdms",
    "podManagementPolicy",
    "podSecurityContext",
    "preferIPv6",
    "priorityClassName",
    "pump",
    "pvReclaimPolicy",
    "recoveryMode",
    "schedulerName",
    "serviceAccount",
    "services",
    "startScriptV2FeatureFlags",
    "startScriptVersion",
    "statefulSetUpdateStrategy",
    "suspendAction",
    "ticdc",
    "tidb",
    "tiflash",
    "tikv",
    "timezone",
    "tiproxy",
    "tlsCluster",
    "tolerations",
    "topologySpreadConstraints",
    "version",
];

/// Of the components of `spec`, in one: `spec.pd`, `spec.tikv` and so on.
pub const COMPONENT: [&str; 83] = [
    "additionalContainers",
    "additionalVolumeMounts",
    "additionalVolumes",
    "affinity",
    "annotations",
    "arguments",
    "automountServiceAccountToken",
    "baseImage",
    "binlogEnabled",
    "bootstrapSQLConfigMapName",
    "certLayout",
    "claims",
    "config",
    "configUpdateStrategy",
    "customizedStartupProbe",
    "dataSubDir",
    "dnsConfig",
    "dnsPolicy",
    "enableDashboardInternalProxy",
    "enableNamedStatusPort",
    "env",
    "envFrom",
    "evictLeaderTimeout",
    "failover",
    "gracefulShutdownTimeout",
    "hostNetwork",
    "image",
    "imagePullPolicy",
    "imagePullSecrets",
    "initContainers",
    "initWaitTime",
    "initializer",
    "labels",
    "lifecycle",
    "limits",
    "livenessProbe",
    "logTailer",
    "maxFailoverCount",
    "mode",
    "mountClusterClientSecret",
    "nodeSelector",
    "plugins",
    "podManagementPolicy",
    "podSecurityContext",
    "priorityClassName",
    "privileged",
    "raftLogVolumeName",
    "readinessProbe",
    "recoverFailover",
    "replicas",
    "requests",
    "rocksDBLogVolumeName",
    "scalePolicy",
    "schedulerName",
    "securityContext",
    "separateRaftLog",
    "separateRocksDBLog",
    "separateSlowLog",
    "service",
    "serviceAccount",
    "setTimeZone",
    "slowLogTailer",
    "slowLogVolumeName",
    "spareVolReplaceReplicas",
    "sslEnableTiDB",
    "startTimeout",
    "startUpScriptVersion",
    "statefulSetUpdateStrategy",
    "storageClaims",
    "storageClassName",
    "storageVolumes",
    "storeLabels",
    "suspendAction",
    "terminationGracePeriodSeconds",
    "tlsClient",
    "tlsClientSecretName",
    "tlsClientSecretNames",
    "tokenBasedAuthEnabled",
    "tolerations",
    "topologySpreadConstraints",
    "version",
    "volumeAttributesClassName",
    "waitLeaderTransferBackTimeout",
];

/// Of `spec.cluster`.
pub const REFERENCE: [&str; 3] = ["clusterDomain", "name", "namespace"];

/// A name that is shorter is too near to too many others.
const LONG_ENOUGH: usize = 5;

pub(super) fn judge(document: &Document) -> Vec<Finding> {
    let components = Component::ALL.map(Component::key);
    let mut all = odd(document, &["spec"], &SPEC);
    all.extend(odd(document, &["spec", "cluster"], &REFERENCE));
    all.extend(odd(document, &["spec", "discovery"], &COMPONENT));
    all.extend(components.into_iter().flat_map(|component| odd(document, &["spec", component], &COMPONENT)));
    all
}

fn odd(document: &Document, path: &[&str], known: &[&str]) -> Vec<Finding> {
    let Some(fields) = document.at(path).and_then(Value::as_object) else { return Vec::new() };
    let unknown = fields.keys().map(String::as_str).filter(|field| !known.contains(field));
    let near = unknown.filter_map(|field| Some((field, nearest(field, known)?)));
    near.map(|(field, meant)| {
        let whole = [path, &[field]].concat();
        let sentence = format!(
            "{}.{field} is no field of a TidbCluster; {meant} is: kubectl refuses it, and what applies it without validation leaves it out",
            path.join(".")
        );
        at(document, HazardId::UnknownField, &whole, field, sentence).then(format!("{meant}, if that is what is meant"))
    })
    .collect()
}

/// The name that somebody may have meant.
fn nearest<'a>(field: &str, known: &[&'a str]) -> Option<&'a str> {
    let bare = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let same = known.iter().find(|name| bare(name) == bare(field));
    let distance = |name: &str| strsim::osa_distance(name, field);
    let near = |name: &&&str| name.len() >= LONG_ENOUGH && distance(name) <= if name.len() > 8 { 2 } else { 1 };
    let begun = || known.iter().find(|name| field.len() >= LONG_ENOUGH && name.starts_with(field));
    same.or_else(begun).or_else(|| known.iter().filter(near).min_by_key(|name| distance(name))).copied()
}

#[cfg(test)]
mod tests {
    use super::super::{Text, lint};
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_known_and_a_new_field_is_left_alone() {
        let cases = [
            ("acrosK8s", &SPEC[..], Some("acrossK8s")),
            ("acrossK8S", &SPEC, Some("acrossK8s")),
            ("across-k8s", &SPEC, Some("acrossK8s")),
            ("clusterdomain", &SPEC, Some("clusterDomain")),
            ("clusterDomian", &SPEC, Some("clusterDomain")),
            ("pvReclaimPolic", &SPEC, Some("pvReclaimPolicy")),
            ("tlscluster", &SPEC, Some("tlsCluster")),
            ("replica", &COMPONENT, Some("replicas")),
            ("maxFailOverCount", &COMPONENT, Some("maxFailoverCount")),
            ("storageClass", &COMPONENT, Some("storageClassName")),
            ("tici", &SPEC, None),
            ("somethingNew", &SPEC, None),
            ("clusterdomain", &REFERENCE, Some("clusterDomain")),
        ];
        for (field, known, meant) in cases {
            assert_eq!(nearest(field, known), meant, "{field}");
        }
    }

    /// No known name is another one's slip.
    #[test]
    fn known_names_are_left_alone() {
        let text = "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {name: x}\nspec:\n";
        let fields: String = SPEC.iter().map(|field| format!("  {field}: {{}}\n")).collect();
        let found = lint(&[Text { file: "x.yaml".into(), text: format!("{text}{fields}") }]);
        assert!(!found.findings.iter().any(|finding| finding.id() == "unknown-field"), "{:?}", found.findings);
    }
}
