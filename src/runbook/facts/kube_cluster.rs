//! `k8s.cluster`: a KubeCluster, its DNS beside that of the others, its TidbCluster CRD; and the function `servesDomain`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::fleet::dns::Dns;
use crate::fleet::{Crd, Fleet, KubeCluster};
use crate::runbook::language::function_error::FunctionError;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct KubeClusterFact {
    context: String,
    /// Every DNS domain that it is known to serve.
    cluster_domains: Vec<String>,
    /// What was read of its DNS, for `servesDomain(kube, domain)`.
    #[schemars(with = "serde_json::Map<String, Value>")]
    dns: Dns,
    /// Why what was read of its DNS proves nothing, a sentence each.
    dns_doubts: Vec<String>,
    others: Vec<OtherCluster>,
    /// `unknown`, `served`, `missing` or `operator-v2-only`.
    crd: &'static str,
    /// Whether the CRD has `spec.acrossK8s`; absent where that is not known.
    #[serde(rename = "crdAcrossK8s", skip_serializing_if = "Option::is_none")]
    crd_across_k8s: Option<bool>,
    /// The first of `clusterDomains`; absent where none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_domain: Option<String>,
    /// Absent where no version of TiDB Operator could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_version: Option<String>,
    /// Of Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Of its namespace kube-system.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
}

/// Another connected KubeCluster.
#[derive(Serialize, JsonSchema)]
struct OtherCluster {
    context: String,
    domains: Vec<String>,
    /// How its DNS stands to this one's: `share`, `differ`, `unknown`.
    likeness: &'static str,
    /// `CONTEXT (its domains)`.
    sentence: String,
}

pub(super) fn kube_cluster(fleet: &Fleet, cluster: &KubeCluster) -> KubeClusterFact {
    let mut dns_doubts: Vec<String> = cluster.dns.doubts.iter().map(|doubt| doubt.why.clone()).collect();
    if !cluster.dns.read {
        dns_doubts.push("its configuration could not be read".to_owned());
    }
    let crd_across_k8s = match cluster.crd {
        Crd::Served { across_k8s } => across_k8s,
        Crd::Unknown | Crd::Missing | Crd::OperatorV2Only => None,
    };
    KubeClusterFact {
        context: cluster.context.clone(),
        cluster_domains: cluster.dns.domains.clone(),
        dns: cluster.dns.clone(),
        dns_doubts,
        others: others(fleet, cluster),
        crd: match cluster.crd {
            Crd::Unknown => "unknown",
            Crd::Served { .. } => "served",
            Crd::Missing => "missing",
            Crd::OperatorV2Only => "operator-v2-only",
        },
        crd_across_k8s,
        cluster_domain: cluster.dns.domains.first().cloned(),
        operator_version: cluster.operator_version.clone(),
        version: cluster.version.clone(),
        uid: cluster.uid.clone(),
    }
}

fn others(fleet: &Fleet, own: &KubeCluster) -> Vec<OtherCluster> {
    let here = fleet.same_cluster_as(&own.context).unwrap_or(&own.context);
    let others = fleet
        .clusters
        .values()
        .filter(|other| fleet.same_cluster_as(&other.context).is_none() && other.context != here);
    others
        .map(|other| {
            let domains = other.dns.domains.join(", ");
            let known = if domains.is_empty() { "not known".to_owned() } else { domains };
            OtherCluster {
                context: other.context.clone(),
                domains: other.dns.domains.clone(),
                likeness: own.dns.like(&other.dns).word(),
                sentence: format!("{} ({known})", other.context),
            }
        })
        .collect()
}

/// The function `servesDomain`: whether the cluster of a `k8s.cluster` fact serves a domain: `yes`, `no`, `unknown`.
pub(in crate::runbook) fn serves_domain(kube: &Value, domain: &str) -> Result<Value, FunctionError> {
    let wrong = |why: &dyn std::fmt::Display| FunctionError::argument("servesDomain", why);
    let dns = kube.get("dns").ok_or_else(|| wrong(&"expected a k8s.cluster fact"))?;
    let dns: Dns =
        serde_json::from_value(dns.clone()).map_err(|error| wrong(&format!("a k8s.cluster fact: {error}")))?;
    Ok(json!(dns.serves(domain).word()))
}
