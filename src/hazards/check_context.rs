//! What the hazard functions look at: one Database with its parts at hand, and the words that several of them need.
//!
//! Pure views into a Fleet; nothing is judged here.

use crate::fleet::advice::RunLine;
use crate::fleet::hazard_id::HazardId;
use jiff::Timestamp;

use crate::fleet::database::{Database, Member, answers};
use crate::fleet::dns::Served;
use crate::fleet::kubectl_quoting::kubectl;
use crate::fleet::pd::{PdAnswer, PdView};
use crate::fleet::pd_details::PdDetails;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::version::Version;
use crate::fleet::{Fleet, KubeCluster, ObjectKey, ObjectRef, remedy_commands};
use crate::hazards::{Finding, Subject};

/// One TidbCluster of the Database.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub of: &'a ObjectRef,
    pub cluster: &'a KubeCluster,
    pub tc: &'a TidbCluster,
}

/// One Database.
pub struct CheckContext<'a> {
    pub fleet: &'a Fleet,
    pub database: &'a Database,
    pub parts: Vec<Part<'a>>,
    /// PD's details, with the context that told them.
    pub details: Option<(&'a str, &'a PdDetails)>,
    pub now: Timestamp,
}

impl<'a> CheckContext<'a> {
    pub fn of(fleet: &'a Fleet, database: &'a Database, now: Timestamp) -> Self {
        let parts: Vec<Part<'a>> = database
            .tidb_clusters
            .iter()
            .filter_map(|of| Some(Part { of, cluster: fleet.clusters.get(&of.context)?, tc: fleet.tidb_cluster(of)? }))
            .collect();
        let mut told: Vec<(&str, &PdDetails)> = parts
            .iter()
            .flat_map(|part| answers(part.cluster, part.tc).map(move |(pod, _)| (part, pod)))
            .filter_map(|(part, pod)| Some((part.of.context.as_str(), part.cluster.more.pd.get(pod)?)))
            .collect();
        told.sort_by_key(|(_, details)| details.at);
        Self { fleet, database, parts, details: told.pop(), now }
    }

    /// Whether its TidbClusters lie in more than one KubeCluster.
    pub fn spans(&self) -> bool {
        self.parts.iter().any(|part| part.of.context != self.parts[0].of.context)
    }

    /// A finding about this Database.
    pub fn find(&self, id: HazardId, sentence: impl Into<String>) -> Finding {
        Finding::new(id, Some(&self.database.name), sentence)
    }

    /// A finding about one of its TidbClusters.
    pub fn find_at(&self, id: HazardId, part: &Part<'_>, sentence: impl Into<String>) -> Finding {
        self.find(id, sentence).on(Subject::tidb_cluster(part.of))
    }

    /// The command that gives a part its domain and its names, with the domain where names need one.
    pub fn migrate(&self, part: &Part<'_>) -> RunLine {
        remedy_commands::migrate(self.fleet, self.database, part.of)
    }

    /// The members whose pods are of this part.
    pub fn members(&self, part: &Part<'_>) -> Vec<&'a Member> {
        self.database.members.iter().filter(|member| member.place.of() == Some(part.of)).collect()
    }

    /// Every PD view that answered.
    pub fn views(&self) -> impl Iterator<Item = (&Part<'a>, &'a ObjectKey, &'a PdView, &'a PdAnswer)> {
        self.parts.iter().flat_map(|part| {
            answers(part.cluster, part.tc)
                .filter_map(move |(pod, answer)| Some((part, pod, part.cluster.pd.get(pod)?, answer)))
        })
    }

    /// When PD was last asked about the membership.
    pub fn pd_seen(&self) -> Option<Timestamp> {
        self.views().map(|(_, _, view, _)| view.at).max()
    }

    /// Up TiKV (or TiFlash) stores.
    pub fn up(&self, tiflash: bool) -> usize {
        self.database.stores.iter().filter(|row| row.store.tiflash == tiflash && row.store.is_up()).count()
    }

    /// Up stores that a part is about to give away, going by the replicas that it asks for.
    pub fn leaving(&self, part: &Part<'_>, component: Component) -> usize {
        let own = self.database.stores.iter().filter(|row| {
            row.place.of() == Some(part.of)
                && row.store.tiflash == (component == Component::Tiflash)
                && row.store.is_up()
        });
        let wanted = match part.deleting() {
            true => 0,
            false => part.tc.component(component).map_or(0, |spec| usize::try_from(spec.replicas).unwrap_or(0)),
        };
        own.count().saturating_sub(wanted)
    }
}

impl Part<'_> {
    pub fn subject(&self) -> Subject {
        Subject::tidb_cluster(self.of)
    }

    /// When its KubeCluster last said anything.
    pub fn seen(&self) -> Option<Timestamp> {
        self.cluster.heard
    }

    /// Opened for other KubeClusters.
    pub fn opened(&self) -> bool {
        self.tc.across_k8s() || self.tc.domain().is_some()
    }

    pub fn deleting(&self) -> bool {
        self.tc.metadata.deletion_timestamp.is_some()
    }

    pub fn live(&self) -> bool {
        self.cluster.freshness.is_live()
    }

    pub fn operator(&self) -> Option<Version> {
        Version::parse(self.cluster.operator_version.as_deref()?)
    }

    /// `kubectl --context C -n N`
    pub fn kubectl(&self) -> String {
        kubectl(self.of)
    }

    /// One of PD's own programs, run in the first PD pod.
    pub fn pd_ctl(&self, what: &str) -> String {
        format!("{} exec {}-pd-0 -- /pd-ctl {what}", self.kubectl(), self.of.name)
    }

    /// A merge patch of its spec, as a command line.
    pub fn patch(&self, spec: &str) -> String {
        remedy_commands::patch(self.of, spec)
    }

    pub fn operator_line(&self) -> String {
        self.cluster.operator_version.clone().unwrap_or_else(|| "not known".into())
    }
}

/// The live KubeCluster in which a pod of this DNS name would have to run, with `(tc name, namespace)`.
pub(super) fn home<'a>(
    scene: &CheckContext<'a>,
    host: &str,
    component: Component,
) -> Option<(&'a KubeCluster, String, String)> {
    let mut labels = host.splitn(5, '.');
    let (_, service, namespace) = (labels.next()?, labels.next()?, labels.next()?);
    let (svc, domain) = (labels.next()?, labels.next()?);
    let name = service.strip_suffix(&format!("-{}-peer", component.key()))?;
    let cluster = scene
        .fleet
        .clusters
        .values()
        .find(|cluster| cluster.freshness.is_live() && cluster.dns.serves(domain) == Served::Yes && svc == "svc")?;
    Some((cluster, name.to_owned(), namespace.to_owned()))
}

/// A member by its name, or by its id while it has none.
pub(super) fn member_name(member: &Member) -> String {
    if member.name.is_empty() { member.id.hex() } else { member.name.clone() }
}

/// A member as what a finding is about.
pub(super) fn member_subject(member: &Member) -> Subject {
    Subject::of_pd(SubjectKind::Member, member.id.hex())
}
