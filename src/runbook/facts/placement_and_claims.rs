//! `pd.placement` and `k8s.claims`: the regions of a Database, and the volume claims of a TidbCluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Unseen, of_database};
use crate::fleet::pd_details;
use crate::fleet::region_health_counts::RegionCheck;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, KubeCluster, ObjectRef};
use crate::pluralize::total;

/// Regions that miss something, as PD's leader counts them.
#[derive(Serialize, JsonSchema)]
pub(super) struct PlacementFact {
    /// How many, by PD's check (`miss-peer`, `down-peer`, …).
    #[schemars(with = "BTreeMap<String, u64>")]
    checks: BTreeMap<RegionCheck, u64>,
    /// What PD left out, a sentence each.
    gaps: Vec<String>,
    /// The sum; absent where a check was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    ill: Option<u64>,
}

/// Volume claims, also of a TidbCluster that is gone.
#[derive(Serialize, JsonSchema)]
pub(super) struct ClaimsFact {
    /// Pods of it that are left.
    pods: usize,
    /// Absent where claims could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Vec<Claim>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Claim {
    name: String,
    /// Of its PersistentVolume; empty while it has none.
    volume: String,
    phase: String,
    /// `Retain` or `Delete`; empty where that is not known.
    reclaim_policy: String,
    /// By title; null where it belongs to none.
    component: Option<&'static str>,
}

pub(super) fn placement(fleet: &Fleet, of: &ObjectRef) -> Result<PlacementFact, Unseen> {
    let database = of_database(fleet, of)?;
    let details = pd_details::details(fleet, &database)
        .ok_or_else(|| Unseen("no PD was reached that knows of placement and regions".into()))?;
    let checks = &details.regions;
    let whole = RegionCheck::ALL.iter().all(|check| checks.contains_key(check));
    Ok(PlacementFact {
        ill: whole.then(|| total(checks.values().copied())),
        checks: checks.clone(),
        gaps: details.gaps.clone(),
    })
}

pub(super) fn claims(of: &ObjectRef, cluster: &KubeCluster) -> ClaimsFact {
    let instance = cluster.tidb_clusters.get(&of.key()).map_or(of.name.as_str(), TidbCluster::instance);
    // A TidbMonitor of the same name has pods and claims with the same labels but for the component.
    let part = |component: &str| component == "discovery" || Component::parse(component).is_some();
    let ours = |labels: &BTreeMap<String, String>, namespace: &str| {
        namespace == of.namespace
            && labels.get("app.kubernetes.io/instance").map(String::as_str) == Some(instance)
            && labels.get("app.kubernetes.io/component").is_some_and(|component| part(component))
    };
    let pods = cluster.pods.values().filter(|pod| ours(&pod.metadata.labels, &pod.metadata.namespace)).count();
    let claims = cluster.more.claims.as_ref().map(|claims| {
        let claims = claims.values().filter(|claim| {
            let binds = claim.metadata.namespace == of.namespace && claim.binds_to(&of.name).is_some();
            binds || ours(&claim.metadata.labels, &claim.metadata.namespace)
        });
        claims
            .map(|claim| Claim {
                name: claim.metadata.name.clone(),
                volume: claim.spec.volume_name.clone().unwrap_or_default(),
                phase: claim.status.phase.clone(),
                reclaim_policy: claim.reclaim_policy.clone().unwrap_or_default(),
                component: claim
                    .binds_to(&of.name)
                    .or_else(|| Component::parse(claim.component()?))
                    .map(Component::title),
            })
            .collect()
    });
    ClaimsFact { pods, claims }
}
