//! `tidb.components` and `k8s.events`: of one TidbCluster.

use schemars::JsonSchema;
use serde::Serialize;

use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{KubeCluster, ObjectRef, rollout};

/// A component of the TidbCluster's spec.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ComponentFact {
    /// As in the spec: `pd`, `tikv`, …
    component: &'static str,
    /// As people write it: `PD`, `TiKV`, …
    title: &'static str,
    replicas: i64,
    /// `configUpdateStrategy`.
    strategy: String,
    has_config: bool,
    /// Why the patch that opens the TidbCluster would not restart its pods; empty where it does.
    held: &'static str,
    /// Pods that failover may add; the operator's default is 3.
    max_failover_count: i64,
    /// `spec.pd.mode`; empty where there is none.
    mode: String,
}

/// Warnings about a TidbCluster and its pods since it was made.
#[derive(Serialize, JsonSchema)]
pub(super) struct EventsFact {
    /// Absent where events could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<Warning>>,
}

#[derive(Serialize, JsonSchema)]
struct Warning {
    kind: String,
    name: String,
    reason: String,
    message: String,
}

/// Why setting acrossK8s (and a domain) would restart no pod of a component; empty: it restarts them.
fn held_by_opening(tc: &TidbCluster, component: Component) -> &'static str {
    match rollout::held_in(tc, component) {
        // Its init container's command asks discovery only with acrossK8s: the pod template changes with it.
        Some(rollout::Held::InPlace) if component == Component::Tiflash && !tc.across_k8s() => "",
        held => held.map_or("", rollout::Held::words),
    }
}

pub(super) fn components(tc: &TidbCluster) -> Vec<ComponentFact> {
    tc.components()
        .map(|(component, spec)| {
            let fails_over =
                matches!(component, Component::Pd | Component::Tikv | Component::Tidb | Component::Tiflash);
            ComponentFact {
                component: component.key(),
                title: component.title(),
                replicas: spec.replicas,
                strategy: tc.config_update_strategy(component).to_owned(),
                has_config: spec.config.is_some(),
                held: held_by_opening(tc, component),
                // The operator's default is 3 (`domain.md` §1.2), so absent is not zero.
                max_failover_count: if fails_over { spec.max_failover_count.unwrap_or(3) } else { 0 },
                mode: spec.mode.clone().unwrap_or_default(),
            }
        })
        .collect()
}

pub(super) fn events(of: &ObjectRef, cluster: &KubeCluster) -> EventsFact {
    let Some(events) = &cluster.more.events else { return EventsFact { warnings: None } };
    // Events outlive their object: those of one of the same name before it do not count.
    let made = cluster.tidb_clusters.get(&of.key()).and_then(|tc| tc.metadata.creation_timestamp);
    let pods = format!("{}-", of.name);
    let ours = events.iter().filter(|event| {
        let named = event.object.name == of.name || (event.kind == "Pod" && event.object.name.starts_with(&pods));
        named && event.object.namespace == of.namespace && event.last >= made
    });
    let told = ours.map(|event| Warning {
        kind: event.kind.clone(),
        name: event.object.name.clone(),
        reason: event.reason.clone(),
        message: event.message.clone(),
    });
    EventsFact { warnings: Some(told.collect()) }
}
