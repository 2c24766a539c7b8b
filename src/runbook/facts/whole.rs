//! Facts about a whole Database: its parts in upgrade order, what is left without one TidbCluster, placement, claims.
//!
//! Projections only; the judgements are `fleet`'s (`fleet::upgrade`, `fleet::leaving`), where `check` finds them too.
//! What could not be seen is an absent field, so that a gate on it stops.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Unseen;
use crate::counted::total;
use crate::fleet::database::{Database, database_of, referenced};
use crate::fleet::extras::RegionCheck;
use crate::fleet::leaving::{self, RemovalImpact};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls_toggle::forced;
use crate::fleet::workload::image_tag;
use crate::fleet::{Fleet, KubeCluster, ObjectRef, rollout, upgrade};

/// The annotation with which the operator looks at the whole quorum before it restarts a PD (`domain.md` §2.3).
const QUORUM_CHECK: &str = "tidb.pingcap.com/pd-check-quorum-before-upgrade";

fn of_database(fleet: &Fleet, of: &ObjectRef) -> Result<Database, Unseen> {
    database_of(fleet, of).ok_or_else(|| Unseen(format!("TidbCluster {of} belongs to no Database yet")))
}

/// Pods that start, end and start again: `of, here, component, title, pod, why`.
fn ill(fleet: &Fleet, of: &ObjectRef, parts: &[upgrade::Part]) -> Vec<Value> {
    let mut all = Vec::new();
    for part in parts {
        let (Some(cluster), Some(tc)) = (fleet.clusters.get(&part.of.context), fleet.tidb_cluster(&part.of)) else {
            continue;
        };
        for pod in rollout::component_pods(cluster, tc, part.component).into_iter().filter(|pod| pod.loops()) {
            all.push(json!({
                "of": part.of.to_string(), "here": part.of == *of, "component": part.component.key(),
                "title": part.component.title(), "pod": pod.metadata.name,
                "why": format!("{}, {} restarts", pod.status_word(), pod.restarts()),
            }));
        }
    }
    all
}

/// Whether what keeps a part from being settled comes to its end by waiting.
fn moves(fleet: &Fleet, part: &upgrade::Part) -> bool {
    let seen = fleet.clusters.get(&part.of.context).zip(fleet.tidb_cluster(&part.of));
    !part.settled && seen.is_none_or(|(cluster, tc)| rollout::moves(cluster, tc, part.component))
}

/// `components[], tidbClusters[], versions[], unsettled[], moving[], ill[]`: of what is not settled, what is being changed; and the
/// pods that only start and end again.
pub(super) fn parts(fleet: &Fleet, of: &ObjectRef) -> Result<Value, Unseen> {
    let database = of_database(fleet, of)?;
    let parts = upgrade::parts(fleet, &database);
    let components: Vec<Value> = parts
        .iter()
        .filter_map(|part| {
            let tc = fleet.tidb_cluster(&part.of)?;
            let spec = tc.component(part.component)?;
            let status = tc.component_status(part.component);
            let mut value = json!({
                "key": format!("{}@{}", part.component.key(), part.of), "of": part.of.to_string(), "tidbCluster": part.of,
                "here": part.of == *of, "component": part.component.key(), "title": part.component.title(),
                "replicas": spec.replicas, "ownVersion": part.own_version, "settled": part.settled, "reason": part.reason,
                "moves": moves(fleet, part),
                "strategy": tc.config_update_strategy(part.component), "hasConfig": spec.config.is_some(),
                "held": rollout::held_in(tc, part.component).map_or("", rollout::Held::words), "upgradable": upgrade::ORDER.contains(&part.component),
                "suspended": tc.asks_to_suspend(part.component),
                "taggedImage": spec.base_image.as_deref().is_some_and(|image| image_tag(image).is_some()),
                "ownSuspend": spec.suspend_action.is_some() && tc.asks_to_suspend(part.component), "phase": status.phase,
            });
            for (name, known) in [("version", &part.version), ("running", &part.running)] {
                if let Some(known) = known {
                    value[name] = json!(known);
                }
            }
            Some(value)
        })
        .collect();
    let tidb_clusters: Vec<Value> = database
        .tidb_clusters
        .iter()
        .filter_map(|member| {
            let tc = fleet.tidb_cluster(member)?;
            let own = parts.iter().filter(|part| part.of == *member);
            let mut value = json!({
                "of": member.to_string(), "tidbCluster": member, "here": member == of, "key": member.to_string(),
                "initial": tc.spec.cluster.is_none(), "acrossK8s": tc.across_k8s(),
                "domain": tc.domain().unwrap_or_default(), "paused": tc.paused(),
                "forceUpgrade": forced(tc),
                "quorumCheck": tc.metadata.annotations.get(QUORUM_CHECK),
                "hasPd": tc.spec.pd.is_some(), "hasTiproxy": tc.spec.tiproxy.is_some(),
                "hasMicroservices": tc.spec.pdms.is_some() || tc.spec.pd.as_ref().is_some_and(|pd| pd.mode.as_deref() == Some("ms")),
                "ownVersions": own.clone().all(|part| part.own_version),
                "synced": tc.spec.pd.is_none() || tc.status.pd.synced == Some(true),
            });
            if let Some(version) = &tc.spec.version {
                value["version"] = json!(version);
            }
            Some(value)
        })
        .collect();
    let unsettled = parts.iter().filter(|part| !part.settled).map(|part| format!("{} ({})", part.of, part.reason));
    let unsettled = unsettled.chain(super::not_known(&database));
    let moving = parts.iter().filter(|part| moves(fleet, part)).map(|part| format!("{} ({})", part.of, part.reason));
    let moving = moving.chain(super::not_known(&database));
    Ok(json!({
        "components": components, "tidbClusters": tidb_clusters, "versions": upgrade::versions(fleet, &database),
        "unsettled": unsettled.collect::<Vec<_>>(), "moving": moving.collect::<Vec<_>>(), "ill": ill(fleet, of, &parts),
    }))
}

/// What is left without this TidbCluster; see [`RemovalImpact`].
pub(super) fn without(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Result<Value, Unseen> {
    let database = of_database(fleet, of)?;
    let found: RemovalImpact = leaving::without(fleet, &database, of, tc);
    let refs = |all: &[ObjectRef]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let zero: serde_json::Map<String, Value> =
        tc.components().map(|(component, _)| (component.key().to_owned(), json!({"replicas": 0}))).collect();
    let successor = database.members.iter().filter(|m| m.healthy == Some(true) && m.of().as_ref() != Some(of));
    let referrers: Vec<String> = refs(&found.referrers).into_iter().chain(super::not_known(&database)).collect();
    let mut value = json!({
        "left": found.up_left, "strangers": found.strangers, "away": not_seen(fleet, &database).join(", "), "tidbClusters": database.tidb_clusters.len(),
        "members": found.members_here.iter().map(|m| m.id.hex()).collect::<Vec<_>>(),
        "unhealthy": found.members_here.iter().filter(|m| m.healthy != Some(true)).count(),
        "membersLeft": found.members_left, "healthyLeft": found.healthy_left,
        "dependents": refs(&found.dependents), "referrers": referrers, "unseen": database.unseen,
        "pods": found.pods, "suspendable": found.pods - found.tiproxy_pods, "lastOf": last_of(fleet, &database, of),
        "pdPods": found.pd_pods, "setReplicas": found.set_replicas,
        "replicas": total(tc.components().map(|(_, spec)| spec.replicas)), "zero": zero,
        "components": tc.components().map(|(component, _)| component.title()).collect::<Vec<_>>(),
        "successors": successor.map(|m| m.name.clone()).collect::<Vec<_>>(),
        "leads": found.members_here.iter().any(|m| m.leader),
    });
    if let Some(stores) = &found.stores_here {
        value["stores"] = stores.iter().map(u64::to_string).collect();
    }
    if let Some(needed) = found.needed {
        value["needed"] = json!(needed);
    }
    if let Some(short) = &found.short {
        value["short"] = json!(short);
    }
    if let Some(risk) = found.at_risk {
        value["atRisk"] = json!(risk.replicas);
        value["tolerated"] = json!(risk.tolerated);
    }
    value["progress"] = json!(progress(fleet, &database));
    Ok(value)
}

/// What else there is of the Database without being seen: what PD lists, and what its TidbClusters joined.
fn not_seen(fleet: &Fleet, database: &Database) -> Vec<String> {
    let parts = database.tidb_clusters.iter().filter(|of| !database.joined_for_certain(of));
    let joined = parts.filter_map(|of| {
        let tc = fleet.tidb_cluster(of)?;
        let to = tc.spec.cluster.as_ref().filter(|_| referenced(fleet, of, tc).is_none())?;
        let namespace = to.namespace.as_deref().unwrap_or(tc.namespace());
        Some(format!("TidbCluster {namespace}/{}, which {of} joined", to.name))
    });
    database.away().into_iter().chain(joined).collect()
}

/// Components with instances here and nowhere else in the Database, by title.
fn last_of(fleet: &Fleet, database: &Database, of: &ObjectRef) -> Vec<&'static str> {
    let replicas = |of: &ObjectRef, component| {
        fleet.tidb_cluster(of).and_then(|tc| tc.component(component)).map_or(0, |spec| spec.replicas)
    };
    let others = |component| {
        database.tidb_clusters.iter().filter(|other| *other != of).any(|other| replicas(other, component) > 0)
    };
    let here = Component::ALL.into_iter().filter(|component| replicas(of, *component) > 0);
    here.filter(|component| !others(*component)).map(Component::title).collect()
}

/// ` (37 % emptied, about 12 min left)`; empty while PD tells of no removal.
fn progress(fleet: &Fleet, database: &Database) -> String {
    let removing = leaving::details(fleet, database).and_then(|details| details.removing.as_ref()?.first());
    removing.map_or_else(String::new, |removing| {
        let left = match removing.left_seconds {
            Some(left) if left < 120.0 => format!("about {left:.0} s left"),
            Some(left) if left < 7_200.0 => format!("about {:.0} min left", left / 60.0),
            Some(left) if left < 1e8 => format!("about {:.1} h left", left / 3_600.0),
            Some(_) | None => "PD cannot say how long yet".to_owned(),
        };
        format!(" ({:.0} % emptied, {left})", removing.progress * 100.0)
    })
}

/// `checks{}, gaps[], ill?`: regions that PD's checks find, by check, and their sum where every check was told.
pub(super) fn placement(fleet: &Fleet, of: &ObjectRef) -> Result<Value, Unseen> {
    let database = of_database(fleet, of)?;
    let details = leaving::details(fleet, &database)
        .ok_or_else(|| Unseen("no PD was reached that knows of placement and regions".into()))?;
    let checks = &details.regions;
    let mut value = json!({"checks": checks, "gaps": details.gaps});
    if RegionCheck::ALL.iter().all(|check| checks.contains_key(check)) {
        value["ill"] = json!(total(checks.values().copied()));
    }
    Ok(value)
}

/// The volume claims of a TidbCluster, also of one that is gone: `claims[]?, pods`.
pub(super) fn claims(of: &ObjectRef, cluster: &KubeCluster) -> Value {
    let instance = cluster.tidb_clusters.get(&of.key()).map_or(of.name.as_str(), TidbCluster::instance);
    // A TidbMonitor of the same name has pods and claims with the same labels but for the component.
    let part = |component: &str| component == "discovery" || Component::parse(component).is_some();
    let ours = |labels: &BTreeMap<String, String>, namespace: &str| {
        namespace == of.namespace
            && labels.get("app.kubernetes.io/instance").map(String::as_str) == Some(instance)
            && labels.get("app.kubernetes.io/component").is_some_and(|component| part(component))
    };
    let pods = cluster.pods.values().filter(|pod| ours(&pod.metadata.labels, &pod.metadata.namespace)).count();
    let mut value = json!({ "pods": pods });
    if let Some(claims) = &cluster.more.claims {
        let claims = claims.values().filter(|claim| {
            let binds = claim.metadata.namespace == of.namespace && claim.binds_to(&of.name).is_some();
            binds || ours(&claim.metadata.labels, &claim.metadata.namespace)
        });
        value["claims"] = claims
            .map(|claim| {
                json!({
                    "name": claim.metadata.name, "volume": claim.spec.volume_name.clone().unwrap_or_default(),
                    "phase": claim.status.phase, "reclaimPolicy": claim.reclaim_policy.clone().unwrap_or_default(),
                    "component": claim.binds_to(&of.name).or_else(|| Component::parse(claim.component()?)).map(Component::title),
                })
            })
            .collect();
    }
    value
}
