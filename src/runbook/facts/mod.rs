//! Facts: what an expression can ask of an observation, and the shape it gets.
//!
//! A fact is a pure projection of one fresh [`Observation`]; within one look it is made once
//! ([`crate::runbook::plan::fact_evaluation::Facts`]), never kept for the next. What could not be seen is an error ([`Unseen`]) or an
//! absent field, never an empty list that looks like "all fine". Each fact is a struct in one of the files here; its fields
//! with their meaning are what `docs/writing-runbooks.md` prints ([`Query::schema`]).
//! Not here: how an observation is taken (`client::kube::snapshot`).

mod components_and_events;
mod database;
mod kube_cluster;
mod membership;
mod monitoring;
mod place_and_probe_pod;
mod placement_and_claims;
mod removal;
mod secrets;
pub(in crate::runbook) mod tls;
pub(in crate::runbook) mod tls_expression_functions;
mod upgrade_parts;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use database::{Doubt, doubts, not_known, of_database};
pub(in crate::runbook) use kube_cluster::serves_domain;

use super::Observation;
use crate::fleet::closer_look::Extra;
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::{Fleet, KubeCluster, ObjectRef, rollout};
use crate::runbook::actions::network_probe_result::{probe_at, probe_objects};

macro_rules! queries {
    ($(#[doc = $doc:literal] $Query:ident, $name:literal;)+) => {
        /// The closed set of queries.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub enum Query {
            $(#[doc = $doc] #[serde(rename = $name)] $Query,)+
        }

        impl Query {
            pub const ALL: &[Self] = &[$(Self::$Query,)+];

            /// As a document writes it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$Query => $name,)+
                }
            }

            /// What it tells.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$Query => $doc,)+
                }
            }
        }
    };
}

queries! {
    /// The TidbCluster as the API has it: `metadata`, `spec`, `status`.
    TidbCluster, "k8s.tidb-cluster";
    /// Each component of the TidbCluster's spec.
    Components, "tidb.components";
    /// How far each component is with what its spec asks for.
    Rollout, "tidb.rollout";
    /// PD's members, as all PD pods of the Database tell them.
    Membership, "pd.membership";
    /// The KubeCluster: versions, CRD, DNS domains beside those of the others.
    KubeCluster, "k8s.cluster";
    /// The Database of the TidbCluster.
    Database, "fleet.database";
    /// The place of a TidbCluster that need not be there.
    Place, "k8s.place";
    /// Every component of every TidbCluster of the Database, in the order in which versions move.
    Parts, "database.parts";
    /// What is left of the Database without this TidbCluster.
    Without, "database.without";
    /// Regions that miss something, as PD's leader counts them.
    Placement, "pd.placement";
    /// Volume claims, also of a TidbCluster that is gone.
    Claims, "k8s.claims";
    /// The probe pod that stands for the place of a TidbCluster.
    ProbePod, "net.probe-pod";
    /// Warnings about a TidbCluster and its pods since it was made.
    Events, "k8s.events";
    /// Where the parts of the Database's monitoring go, and whether they run.
    Monitoring, "fleet.monitoring";
    /// A Secret that somebody else makes, beside each TidbCluster of the Database.
    Secret, "k8s.secret";
    /// What the Secrets with the certificates of a TidbCluster say; for `tlsTroubles`.
    Certificates, "tls.certificates";
    /// The certificates with which the components of the whole Database speak with each other.
    Trust, "tls.trust";
    /// Whether the running PD pods serve the certificate that their Secret holds.
    Served, "tls.served";
    /// The API of cert-manager that can be used.
    CertManager, "k8s.cert-manager";
    /// Rights that this run needs and the user lacks.
    Rights, "k8s.rights";
}

impl Query {
    /// JSON Schema (draft 2020-12) of what it gives, with the meaning of each field.
    pub fn schema(self) -> Schema {
        let generator = SchemaGenerator::default();
        match self {
            Self::TidbCluster => generator.into_root_schema_for::<serde_json::Map<String, Value>>(),
            Self::Components => generator.into_root_schema_for::<Vec<components_and_events::ComponentFact>>(),
            Self::Rollout => generator.into_root_schema_for::<Vec<rollout::ComponentRollout>>(),
            Self::Membership => generator.into_root_schema_for::<membership::MembershipFact>(),
            Self::KubeCluster => generator.into_root_schema_for::<kube_cluster::KubeClusterFact>(),
            Self::Database => generator.into_root_schema_for::<database::DatabaseFact>(),
            Self::Place => generator.into_root_schema_for::<place_and_probe_pod::PlaceFact>(),
            Self::Parts => generator.into_root_schema_for::<upgrade_parts::PartsFact>(),
            Self::Without => generator.into_root_schema_for::<removal::WithoutFact>(),
            Self::Placement => generator.into_root_schema_for::<placement_and_claims::PlacementFact>(),
            Self::Claims => generator.into_root_schema_for::<placement_and_claims::ClaimsFact>(),
            Self::ProbePod => generator.into_root_schema_for::<place_and_probe_pod::ProbePodFact>(),
            Self::Events => generator.into_root_schema_for::<components_and_events::EventsFact>(),
            Self::Monitoring => generator.into_root_schema_for::<monitoring::MonitoringFact>(),
            Self::Secret => generator.into_root_schema_for::<Vec<secrets::SecretFact>>(),
            Self::Certificates => generator.into_root_schema_for::<tls::CertificatesFact>(),
            Self::Trust => generator.into_root_schema_for::<tls::TrustFact>(),
            Self::Served => generator.into_root_schema_for::<tls::ServedFact>(),
            Self::CertManager => generator.into_root_schema_for::<tls::CertManagerFact>(),
            Self::Rights => generator.into_root_schema_for::<RightsFact>(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct RightsFact {
    /// A sentence each.
    denied: Vec<String>,
}

/// A fact that cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unseen(pub String);

/// The objects, beside what is listed anyway, that a query is answered from.
pub fn objects(query: Query, of: &ObjectRef, fleet: &Fleet) -> Vec<ObjectId> {
    let namespace = || ObjectId::new(ObjectKind::Namespace, &ObjectRef::new(&of.context, "", &of.namespace));
    match query {
        Query::Place => vec![namespace()],
        Query::Monitoring => monitoring::objects(of),
        Query::Secret => secrets::objects(of, fleet),
        Query::Certificates => tls::objects(of),
        Query::Served => vec![tls::pd_secret(of)],
        Query::Trust => tls::between(of, fleet).into_iter().map(|(_, id)| id).collect(),
        Query::ProbePod => probe_objects(&probe_at(of)).into_iter().chain([namespace()]).collect(),
        Query::TidbCluster
        | Query::Components
        | Query::Rollout
        | Query::Membership
        | Query::KubeCluster
        | Query::Database
        | Query::Parts
        | Query::Without
        | Query::Placement
        | Query::Claims
        | Query::Events
        | Query::CertManager
        | Query::Rights => Vec::new(),
    }
}

/// What a closer look has to read for a query.
pub fn extras(query: Query) -> &'static [Extra] {
    match query {
        Query::Claims => &[Extra::Claims],
        Query::Events => &[Extra::Events],
        Query::CertManager => &[Extra::CertManager],
        Query::Served => &[Extra::Served],
        Query::Without | Query::Placement => &[Extra::Pd],
        Query::TidbCluster
        | Query::Components
        | Query::Rollout
        | Query::Membership
        | Query::KubeCluster
        | Query::Database
        | Query::Parts
        | Query::Monitoring
        | Query::Secret
        | Query::Certificates
        | Query::Trust
        | Query::Place
        | Query::ProbePod
        | Query::Rights => &[],
    }
}

/// Answers one query about one TidbCluster. Some are about its place, where it need not be yet.
pub fn fact(query: Query, of: &ObjectRef, seen: &Observation) -> Result<Value, Unseen> {
    let cluster = seen.fleet.clusters.get(&of.context).ok_or_else(|| {
        Unseen(format!("context {} is not connected; it is not in the kubeconfig or not chosen", of.context))
    })?;
    if !cluster.freshness.is_live() {
        let why = cluster.message.as_deref().unwrap_or("no answer");
        return Err(Unseen(format!("KubeCluster {} is {}: {why}", of.context, cluster.freshness.word())));
    }
    let fleet = &seen.fleet;
    let tc = || cluster.tidb_clusters.get(&of.key()).ok_or_else(|| no_such_tc(of, cluster));
    match query {
        Query::KubeCluster => told(kube_cluster::kube_cluster(fleet, cluster)),
        Query::Place => told(place_and_probe_pod::place(fleet, of, cluster)),
        Query::Events => told(components_and_events::events(of, cluster)),
        Query::ProbePod => told(place_and_probe_pod::probe_pod(fleet, of)),
        Query::Secret => told(secrets::secrets(of, fleet)),
        Query::Certificates => told(tls::certificates(of, seen)),
        Query::Trust => told(tls::trust(of, seen)),
        Query::Served => told(tls::served(of, cluster, tc()?, seen)),
        Query::CertManager => told(tls::cert_manager(cluster)?),
        Query::TidbCluster => told(tc()?),
        Query::Components => told(components_and_events::components(tc()?)),
        Query::Rollout => told(rollout::rollout(cluster, tc()?)),
        Query::Membership => told(membership::membership(fleet, of, cluster, tc()?)?),
        Query::Database => tc().and_then(|_| told(database::database(fleet, of))),
        Query::Parts => tc().and_then(|_| told(upgrade_parts::parts(fleet, of)?)),
        Query::Without => told(removal::without(fleet, of, tc()?)?),
        Query::Placement => tc().and_then(|_| told(placement_and_claims::placement(fleet, of)?)),
        Query::Monitoring => tc().and_then(|_| told(monitoring::monitoring(fleet, of)?)),
        Query::Claims => told(placement_and_claims::claims(of, cluster)),
        Query::Rights => match &seen.denied {
            Some(denied) => told(RightsFact { denied: denied.clone() }),
            None => Err(Unseen("the rights of this user were not asked".into())),
        },
    }
}

fn told(fact: impl Serialize) -> Result<Value, Unseen> {
    serde_json::to_value(fact).map_err(|error| Unseen(error.to_string()))
}

fn no_such_tc(of: &ObjectRef, cluster: &KubeCluster) -> Unseen {
    let known: Vec<String> = cluster.tidb_clusters.keys().map(|key| format!("{}/{key}", of.context)).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let why = cluster.message.as_deref().map(|m| format!(" ({m})")).unwrap_or_default();
    Unseen(format!("there is no TidbCluster {of}; in this KubeCluster there are: {known}{why}"))
}
