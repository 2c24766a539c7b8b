//! `database.without`: what is left of a Database without one TidbCluster, and how far its removal has come.
//!
//! A projection; the judgement is `fleet::removal_impact`'s. What could not be seen is an absent field, so that a gate on it stops.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Unseen, not_known, of_database};
use crate::fleet::database::{Database, referenced};
use crate::fleet::not_seen::NotSeenKind;
use crate::fleet::pd_details;
use crate::fleet::removal_impact::{self, RemovalImpact};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, ObjectRef};
use crate::pluralize::total;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WithoutFact {
    /// TiKV stores of the others that are Up.
    left: usize,
    /// Stores that belong to no TidbCluster that is seen.
    strangers: Vec<String>,
    /// What of the Database is not seen, in words.
    away: String,
    /// How many TidbClusters the Database has.
    tidb_clusters: usize,
    /// Ids (hex) of its PD members.
    members: Vec<String>,
    /// Those of them that are not known to be healthy.
    unhealthy: usize,
    members_left: usize,
    healthy_left: usize,
    /// TidbClusters that refer to it and have no PD of their own, `CONTEXT/NAMESPACE/NAME`.
    dependents: Vec<String>,
    /// Those that have one, and what is not seen.
    referrers: Vec<String>,
    /// What of the Database could not be seen, a sentence each.
    unseen: Vec<String>,
    /// Its pods, the discovery pod left out.
    pods: usize,
    /// Those of them that the operator suspends.
    suspendable: usize,
    /// Components with instances here and nowhere else, by title.
    last_of: Vec<&'static str>,
    pd_pods: usize,
    /// Replicas that its StatefulSets still have.
    set_replicas: i64,
    /// Replicas that its spec asks for.
    replicas: i64,
    /// For a merge patch: every component of the spec with `replicas: 0`.
    #[schemars(with = "BTreeMap<String, Zero>")]
    zero: serde_json::Map<String, Value>,
    /// Its components, by title.
    components: Vec<&'static str>,
    /// Healthy PD members elsewhere, by name.
    successors: Vec<String>,
    /// PD's leader is one of its members.
    leads: bool,
    /// Ids of its stores that PD still counts; absent where PD told no stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    stores: Option<Vec<String>>,
    /// Replicas that PD wants of a region; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<u64>,
    /// What could not be kept without it, a sentence each; absent where PD's rules are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    short: Option<Vec<String>>,
    /// The most replicas that one region can have on its stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_risk: Option<u64>,
    /// How many of them a region can lose.
    #[serde(skip_serializing_if = "Option::is_none")]
    tolerated: Option<u64>,
    /// ` (37 % emptied, about 12 min left)`; empty while PD tells of no removal.
    progress: String,
}

/// The shape of one entry of `zero`.
#[derive(JsonSchema)]
struct Zero {
    /// 0.
    #[expect(dead_code)]
    replicas: i64,
}

pub(super) fn without(fleet: &Fleet, of: &ObjectRef, tc: &TidbCluster) -> Result<WithoutFact, Unseen> {
    let database = of_database(fleet, of)?;
    let found: RemovalImpact = removal_impact::without(fleet, &database, of, tc);
    let refs = |all: &[ObjectRef]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let successor = database.members.iter().filter(|m| m.healthy == Some(true) && m.place.of() != Some(of));
    // What PD has yet to count hides no part of it: after each change of its leader it begins anew.
    let unseen = database.unseen.iter().filter(|one| one.kind != NotSeenKind::RegionLeadersNotSeen);
    Ok(WithoutFact {
        left: found.up_left,
        away: not_seen(fleet, &database).join(", "),
        tidb_clusters: database.tidb_clusters.len(),
        members: found.members_here.iter().map(|m| m.id.hex()).collect(),
        unhealthy: found.members_here.iter().filter(|m| m.healthy != Some(true)).count(),
        members_left: found.members_left,
        healthy_left: found.healthy_left,
        dependents: refs(&found.dependents),
        referrers: refs(&found.referrers).into_iter().chain(not_known(&database)).collect(),
        pods: found.pods,
        suspendable: found.pods - found.tiproxy_pods,
        last_of: last_of(fleet, &database, of),
        pd_pods: found.pd_pods,
        set_replicas: found.set_replicas,
        replicas: total(tc.components().map(|(_, spec)| spec.replicas)),
        zero: tc.components().map(|(component, _)| (component.key().to_owned(), json!({"replicas": 0}))).collect(),
        components: tc.components().map(|(component, _)| component.title()).collect(),
        successors: successor.map(|m| m.name.clone()).collect(),
        leads: found.members_here.iter().any(|m| m.leader),
        stores: found.stores_here.map(|stores| stores.iter().map(u64::to_string).collect()),
        needed: found.needed,
        short: found.short,
        at_risk: found.at_risk.map(|risk| risk.replicas),
        tolerated: found.at_risk.map(|risk| risk.tolerated),
        progress: progress(fleet, &database),
        strangers: found.strangers,
        unseen: unseen.map(ToString::to_string).collect(),
    })
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
    database.away().iter().map(ToString::to_string).chain(joined).collect()
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

fn progress(fleet: &Fleet, database: &Database) -> String {
    let removing = pd_details::details(fleet, database).and_then(|details| details.removing.as_ref()?.first());
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
