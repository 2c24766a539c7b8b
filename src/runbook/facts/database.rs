//! `fleet.database`: the Database of a TidbCluster; and what other facts say of a whole Database as well.

use schemars::JsonSchema;
use serde::Serialize;

use super::Unseen;
use crate::fleet::database::{Database, database_of, referenced};
use crate::fleet::same_kube_cluster::{Kin, kin};
use crate::fleet::tidbcluster::Component;
use crate::fleet::{Fleet, ObjectRef, rollout};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatabaseFact {
    /// `CONTEXT/NAMESPACE/NAME` of each.
    tidb_clusters: Vec<String>,
    /// Contexts that are not live and hold no TidbCluster of it that is known.
    not_seen: Vec<String>,
    /// Contexts of its TidbClusters that are not live.
    not_live: Vec<String>,
    same_name: Vec<SameName>,
    doubts: Vec<Doubt>,
    /// What to do about each TidbCluster whose TLS was switched while it runs.
    tls_toggled: Vec<String>,
    /// Other contexts of the same Kubernetes cluster.
    same_cluster: Vec<String>,
    /// `CONTEXT has VERSION` of TiDB Operators of another version.
    other_operators: Vec<String>,
    /// Its other TidbClusters that are being changed, with the reason, and what of it is not seen.
    rolling: Vec<String>,
    /// All that a suspendAction asks for, gone or still going.
    suspended: Vec<Suspended>,
    /// TidbClusters whose `spec.cluster` names this one, and what of the Database is not seen.
    joined: Vec<String>,
}

/// Another TidbCluster of the same name and namespace.
#[derive(Serialize, JsonSchema)]
pub(super) struct SameName {
    /// `CONTEXT/NAMESPACE/NAME`.
    #[serde(rename = "ref")]
    of: String,
    /// Empty where it has none.
    #[serde(rename = "clusterDomain")]
    cluster_domain: String,
}

/// A TidbCluster whose clusterDomain is in doubt.
#[derive(Serialize, JsonSchema)]
pub(super) struct Doubt {
    /// `CONTEXT/NAMESPACE/NAME`.
    of: String,
    /// It had another one; else only DNS speaks against it.
    changed: bool,
    sentence: String,
    /// The command that puts the old one back, or nothing.
    back: String,
}

/// A component that a suspendAction takes away.
#[derive(Serialize, JsonSchema)]
struct Suspended {
    /// `CONTEXT/NAMESPACE/NAME`.
    of: String,
    /// Of the TidbCluster that was asked about.
    here: bool,
    /// As in the spec: `pd`, `tikv`, …
    component: &'static str,
    /// As people write it: `PD`, `TiKV`, …
    title: &'static str,
}

/// The Database of a TidbCluster, for facts that need one.
pub(super) fn of_database(fleet: &Fleet, of: &ObjectRef) -> Result<Database, Unseen> {
    database_of(fleet, of).ok_or_else(|| Unseen(format!("TidbCluster {of} belongs to no Database yet")))
}

pub(super) fn database(fleet: &Fleet, of: &ObjectRef) -> DatabaseFact {
    let database = database_of(fleet, of);
    let dark = database.as_ref().map(not_known).unwrap_or_default();
    let (doubts, tls_toggled) = (database.as_ref().map_or_else(Vec::new, doubts), tls_toggled(database.as_ref()));
    let members: Vec<ObjectRef> = database.map_or_else(|| vec![of.clone()], |database| database.tidb_clusters);
    let live = |context: &str| fleet.clusters.get(context).is_some_and(|cluster| cluster.freshness.is_live());
    let operator = |context: &str| fleet.clusters.get(context).and_then(|cluster| cluster.operator_version.clone());
    let own_operator = operator(&of.context);
    let other_operator = |member: &ObjectRef| {
        let version = operator(&member.context).filter(|version| Some(version) != own_operator.as_ref())?;
        Some(format!("{} has {version}", member.context))
    };
    let rolling = |member: &ObjectRef| {
        let (cluster, other) = (fleet.clusters.get(&member.context)?, fleet.tidb_cluster(member)?);
        let moving = rollout::rollout(cluster, other).into_iter().find(|component| !component.settled)?;
        Some(format!("{member} ({})", moving.reason))
    };
    let joined = fleet.tidb_clusters().filter(|(other, tc)| {
        other != of
            && fleet.same_cluster_as(&other.context).is_none()
            && referenced(fleet, other, tc).as_ref() == Some(of)
    });
    DatabaseFact {
        tidb_clusters: members.iter().map(ToString::to_string).collect(),
        not_seen: fleet
            .clusters
            .keys()
            .filter(|context| !live(context) && !members.iter().any(|member| member.context == **context))
            .cloned()
            .collect(),
        not_live: members.iter().filter(|member| !live(&member.context)).map(|member| member.context.clone()).collect(),
        same_name: same_name(fleet, of),
        doubts,
        tls_toggled,
        same_cluster: same_cluster(fleet, of),
        other_operators: members
            .iter()
            .filter(|member| member.context != of.context)
            .filter_map(other_operator)
            .collect(),
        rolling: members
            .iter()
            .filter(|member| *member != of)
            .filter_map(rolling)
            .chain(dark.iter().cloned())
            .collect(),
        suspended: members.iter().flat_map(|member| suspended(fleet, member, member == of)).collect(),
        joined: joined.map(|(other, _)| other.to_string()).chain(dark.iter().cloned()).collect(),
    }
}

/// What stands in a list of troubles for parts of a Database that are not seen: an empty list would pass for "none".
pub(super) fn not_known(database: &Database) -> Vec<String> {
    database.away().into_iter().map(|what| format!("not known: what runs {what}, in no connected context")).collect()
}

/// What was found, and the one way out.
pub(super) fn tls_toggled(database: Option<&Database>) -> Vec<String> {
    let all = database.into_iter().flat_map(|database| &database.tls_toggled);
    all.map(|toggle| format!("{}: {}; {}", toggle.of, toggle.sentence(), toggle.advice())).collect()
}

/// Every other TidbCluster of this name and namespace with its domain: hazard 3 is decided against the domain that is
/// about to be set.
pub(super) fn same_name(fleet: &Fleet, of: &ObjectRef) -> Vec<SameName> {
    let others = fleet.tidb_clusters().filter(|(other, _)| {
        other != of
            && fleet.same_cluster_as(&other.context).is_none()
            && other.name == of.name
            && other.namespace == of.namespace
    });
    others
        .map(|(other, tc)| SameName {
            of: other.to_string(),
            cluster_domain: tc.domain().unwrap_or_default().to_owned(),
        })
        .collect()
}

/// The other contexts of the same Kubernetes cluster.
pub(super) fn same_cluster(fleet: &Fleet, of: &ObjectRef) -> Vec<String> {
    let Some(own) = fleet.clusters.get(&of.context) else { return Vec::new() };
    let others = fleet.clusters.values().filter(|other| other.context != of.context && kin(own, other) == Kin::Same);
    others.map(|other| other.context.clone()).collect()
}

pub(super) fn doubts(database: &Database) -> Vec<Doubt> {
    let doubts = database.domain_doubts.iter();
    doubts
        .map(|doubt| Doubt {
            of: doubt.of.to_string(),
            changed: doubt.old.is_some(),
            sentence: doubt.sentence(),
            back: doubt.back().unwrap_or_default(),
        })
        .collect()
}

/// What a suspendAction takes away of a TidbCluster.
fn suspended(fleet: &Fleet, of: &ObjectRef, here: bool) -> Vec<Suspended> {
    let Some(tc) = fleet.tidb_cluster(of) else { return Vec::new() };
    let asked = tc.components().map(|(component, _)| component).filter(|component| tc.asks_to_suspend(*component));
    let shown = |component: Component| Suspended {
        of: of.to_string(),
        here,
        component: component.key(),
        title: component.title(),
    };
    asked.map(shown).collect()
}
