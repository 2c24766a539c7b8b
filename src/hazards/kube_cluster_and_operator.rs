//! What is wrong with a KubeCluster and with TiDB Operator in it: down, too old, of several versions, refusing; run records that
//! nobody guards, and two contexts of one cluster.
//!
//! Hazards 5, 6, 16, 64, 66 and 68. Not here: what the TidbClusters ask for ([`crate::hazards::tidbcluster_spec`]), a KubeCluster that cannot
//! be reached ([`crate::fleet::kube_cluster_problems`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::closer_look::{Controller, Policy};
use crate::fleet::hazard_id::HazardId;
use crate::fleet::kubectl_quoting::kubectl_in;
use crate::fleet::version::Version;
use crate::fleet::{Crd, Fleet, KubeCluster};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Severity, Subject};
use crate::pluralize::{counted, total};

pub(super) const ALL: &[OfDatabase] =
    &[crd_or_operator_too_old, operator_versions_differ, rejected, no_domain_on_old_operator];

/// Of each KubeCluster once, however many Databases have a part there.
pub(super) fn fleet(fleet: &Fleet) -> Vec<Finding> {
    let with =
        fleet.clusters.values().filter(|cluster| cluster.freshness.answers() && !cluster.tidb_clusters.is_empty());
    let each = |cluster| operator_down(cluster).into_iter().chain(records_unguarded(cluster));
    let mut all = same_cluster_twice(fleet);
    all.extend(with.filter(|cluster| fleet.same_cluster_as(&cluster.context).is_none()).flat_map(each));
    all
}

/// 5. The CRD drops acrossK8s silently, or the operator does not know it.
fn crd_or_operator_too_old(scene: &CheckContext<'_>) -> Vec<Finding> {
    let judge = |part: &Part<'_>| {
        if !scene.spans() && !part.opened() {
            return None;
        }
        let subject = Subject::cluster(&part.of.context);
        let (field, value, sentence) = match (&part.cluster.crd, part.operator()) {
            (Crd::Served { across_k8s: Some(false) }, _) => (
                "CustomResourceDefinition tidbclusters.pingcap.com",
                "no spec.acrossK8s".to_owned(),
                "its TidbCluster CRD does not know acrossK8s and drops the field without a word".to_owned(),
            ),
            (_, Some(operator)) if operator < Version::new(1, 3, 0) => (
                "Deployment tidb-controller-manager, image",
                part.operator_line(),
                format!("TiDB Operator {operator} does not know acrossK8s (1.3.0 is the first)"),
            ),
            _ => return None,
        };
        Some(
            scene.find_at(HazardId::CrdOrOperatorTooOld, part, sentence).saw(&subject, field, value, part.seen()).then(
                "replace the CRD first (server-side apply: it is too large for client-side), then upgrade the operator",
            ),
        )
    };
    scene.parts.iter().filter_map(judge).collect()
}

/// 6. Operators of different minor versions drive one Database.
fn operator_versions_differ(scene: &CheckContext<'_>) -> Vec<Finding> {
    let known: BTreeMap<&str, Version> =
        scene.parts.iter().filter_map(|part| Some((part.of.context.as_str(), part.operator()?))).collect();
    let minors: BTreeSet<(u64, u64)> = known.values().map(|version| (version.major, version.minor)).collect();
    if minors.len() < 2 {
        return Vec::new();
    }
    let said: Vec<String> = known.iter().map(|(context, version)| format!("{context} {version}")).collect();
    let mut found = scene
        .find(HazardId::OperatorVersionsDiffer, format!("different versions of TiDB Operator: {}", said.join(", ")));
    for (context, version) in &known {
        let subject = Subject::cluster(context);
        let seen = scene.fleet.clusters.get(*context).and_then(|cluster| cluster.heard);
        found = found.saw(&subject, "Deployment tidb-controller-manager, image", version.to_string(), seen).on(subject);
    }
    vec![found.then("bring all operators to one minor version before anything else is changed")]
}

/// 68. acrossK8s alone, on an operator that expects another PD name.
fn no_domain_on_old_operator(scene: &CheckContext<'_>) -> Vec<Finding> {
    let old = |part: &&Part<'_>| {
        let before = part
            .operator()
            .is_some_and(|operator| operator >= Version::new(1, 3, 0) && operator < Version::new(1, 3, 9));
        before && part.tc.across_k8s() && part.tc.domain().is_none()
    };
    scene
        .parts
        .iter()
        .filter(old)
        .map(|part| {
            scene
                .find_at(
                    HazardId::AcrossWithoutDomainOldOperator,
                    part,
                    format!(
                        "acrossK8s without clusterDomain under TiDB Operator {}: PD's upgrade never ends",
                        part.operator_line()
                    ),
                )
                .saw(&part.subject(), "spec.clusterDomain", "(absent)", part.seen())
                .saw(
                    &Subject::cluster(&part.of.context),
                    "Deployment tidb-controller-manager, image",
                    part.operator_line(),
                    part.seen(),
                )
                .then("upgrade the operator to 1.3.9 or later before PD is changed")
        })
        .collect()
}

/// 16. The operator rejects the object in its loop and leaves status as it was.
fn rejected(scene: &CheckContext<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for part in &scene.parts {
        let events = part.cluster.more.events.iter().flatten();
        let last = events.filter(|event| {
            event.kind == "TidbCluster" && event.reason == "FailedValidation" && event.object == part.tc.metadata.key()
        });
        let Some(event) = last.max_by_key(|event| event.last) else { continue };
        all.push(
            scene
                .find_at(
                    HazardId::RejectedByOperator,
                    part,
                    format!("the operator rejects the object: {}", event.message),
                )
                .saw(&part.subject(), "event FailedValidation", counted(event.count, "time"), event.last)
                .then("correct what the event names; status is the old one until then"),
        );
    }
    all
}

/// 64. Nobody reconciles.
fn operator_down(cluster: &KubeCluster) -> Option<Finding> {
    let operator = cluster.more.operator.as_ref()?;
    let subject = Subject::cluster(&cluster.context);
    let managers: Vec<&Controller> =
        operator.deployments.iter().filter(|one| one.component == "controller-manager").collect();
    let available = total(managers.iter().map(|one| one.available));
    let wanted = total(managers.iter().map(|one| one.wanted));
    let broken = operator.deployments.iter().find(|one| one.component == "admission-webhook" && one.available == 0);
    let (sentence, field, value) = match (managers.first(), broken) {
        (None, _) => (
            "no Deployment of TiDB Operator was found, though there are TidbClusters".to_owned(),
            "deployments with component=controller-manager".to_owned(),
            "none".to_owned(),
        ),
        (Some(one), _) if wanted == 0 => (
            "TiDB Operator is scaled to 0: nothing that is changed takes effect".to_owned(),
            format!("Deployment {}, spec.replicas", one.key),
            "0".to_owned(),
        ),
        (Some(one), _) if available == 0 => (
            format!(
                "TiDB Operator is not available (0 of {}): nothing that is changed takes effect",
                counted(wanted, "pod")
            ),
            format!("Deployment {}, status.availableReplicas", one.key),
            available.to_string(),
        ),
        (Some(_), Some(webhook)) if operator.webhooks.as_ref().is_some_and(|all| !all.is_empty()) => (
            "the operator's admission webhook is not available: every change of a TidbCluster is refused".to_owned(),
            format!("Deployment {}, status.availableReplicas", webhook.key),
            "0".to_owned(),
        ),
        (Some(_), _) => return None,
    };
    let kubectl = kubectl_in(&cluster.context);
    let then = match managers.first() {
        Some(one) if wanted == 0 => {
            format!("{kubectl} -n {} scale deployment {} --replicas=1", one.key.namespace, one.key.name)
        }
        Some(one) => {
            format!("{kubectl} -n {} get pods -l app.kubernetes.io/component=controller-manager", one.key.namespace)
        }
        None => format!("{kubectl} -A get pods -l app.kubernetes.io/component=controller-manager"),
    };
    let found = Finding::new(HazardId::OperatorDown, None, sentence).saw(&subject, &field, value, cluster.heard);
    Some(found.on(subject).then(then))
}

/// Run records lie here, and the server takes them from anybody in anybody's name.
fn records_unguarded(cluster: &KubeCluster) -> Option<Finding> {
    let guard = cluster.more.records.filter(|guard| guard.records && guard.policy == Policy::Absent)?;
    let subject = Subject::cluster(&cluster.context);
    let sentence = "runs are recorded here, and no admission policy binds a record to the user who writes it: its opener and driver are only claims";
    let found = format!("{:?}", guard.policy);
    Some(
        Finding::new(HazardId::RunRecordsUnguarded, None, sentence)
            .saw(&subject, "ValidatingAdmissionPolicy tidepilot-run-records", found, cluster.heard)
            .on(subject)
            .then(format!("{} apply -f run-records-policy.yaml # assets/rbac", kubectl_in(&cluster.context))),
    )
}

/// 66. Two contexts of one KubeCluster.
fn same_cluster_twice(fleet: &Fleet) -> Vec<Finding> {
    let twice = fleet.clusters.values().filter_map(|cluster| Some((cluster, fleet.same_cluster_as(&cluster.context)?)));
    twice
        .map(|(cluster, first)| {
            let sentence = format!("the contexts {first} and {} are one Kubernetes cluster", cluster.context);
            let subjects = [Subject::cluster(first), Subject::cluster(&cluster.context)];
            // Everything counts such a cluster once: it is worth a word, and harms nobody who names one context.
            let mut found = Finding::new(HazardId::WrongContext, None, sentence).severity(Severity::Info);
            for subject in subjects {
                let (field, value) = match &cluster.uid {
                    Some(uid) => ("namespace kube-system, metadata.uid", uid.as_str()),
                    None => ("kubeconfig, server with one CA", cluster.server.as_str()),
                };
                found = found.saw(&subject, field, value, cluster.heard).on(subject);
            }
            found.then(format!("name one of them: tidepilot --context {first} …"))
        })
        .collect()
}
