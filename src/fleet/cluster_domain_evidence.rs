//! Which DNS domain a TidbCluster has: `spec.clusterDomain` is one witness among several, and the only one that anybody can
//! take away with one patch.
//!
//! The others are the names and clientURLs under which its PD members announce themselves (their start script wrote them,
//! `domain.md` §2.4), the peerURLs that etcd holds, the references of the TidbClusters that joined it, its stores'
//! addresses, and what the cluster's DNS serves. Where they disagree, which peerURLs are right is not known, and nothing is
//! built on it. A witness without a domain contradicts nobody: in the midst of a migration the old pods have none yet.
//! Pure. Not here: what a runbook does about it; which zones CoreDNS serves ([`super::corefile`]).

use super::database::grouping::names;
use super::database::member_and_store::{Member, StoreRow};
use super::database::pod_hostnames::{domain_in, host};
use super::dns::{Served, normal};
use super::pd::MemberId;
use super::tidbcluster::{Component, TidbCluster};
use super::{Fleet, KubeCluster, ObjectRef};
use crate::fleet::kubectl_quoting::{kubectl, quote};

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A PD member.
    Member(MemberId),
    Store(u64),
    /// What the operator wrote into the status of the TidbCluster itself.
    Status,
    /// A TidbCluster of the same Database that joined it, or that lies in another KubeCluster.
    TidbCluster(ObjectRef),
    /// The DNS of its KubeCluster.
    Dns,
}

/// One thing that names a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    pub source: Source,
    /// `name`, `peerURLs`, `spec.cluster.clusterDomain`, …
    pub field: &'static str,
    /// As it stands there.
    pub value: String,
    pub domain: String,
}

/// A TidbCluster whose domain is in doubt, so that the peerURLs of its PD are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainDoubt {
    pub of: ObjectRef,
    /// `spec.clusterDomain` as it is now.
    pub now: Option<String>,
    /// The domain that it had; `None` where only DNS speaks against the present one.
    pub old: Option<String>,
    /// Those that speak against the spec, the strongest first; then those that agree with them.
    pub witnesses: Vec<Witness>,
}

impl DomainDoubt {
    /// One sentence without a full stop: what it is, and what says otherwise.
    pub fn sentence(&self) -> String {
        let now = self.now.as_deref().map_or("not set".to_owned(), |now| format!("{now:?}"));
        match &self.old {
            Some(old) => {
                let said: Vec<String> =
                    self.witnesses.iter().filter(|one| one.domain == *old).take(3).map(Witness::words).collect();
                let lost = if self.now.is_none() { "removed" } else { "changed" };
                format!(
                    "clusterDomain of TidbCluster {} is {now}, but it was {old:?} and has been {lost}: {}",
                    self.of,
                    said.join(", ")
                )
            }
            None => {
                let served: Vec<&str> = self.witnesses.iter().map(|one| one.domain.as_str()).collect();
                format!(
                    "clusterDomain of TidbCluster {} is {now}, but the DNS of {} serves {}",
                    self.of,
                    self.of.context,
                    served.join(", ")
                )
            }
        }
    }

    /// The command that puts the old domain back.
    pub fn back(&self) -> Option<String> {
        let (kubectl, name) = (kubectl(&self.of), quote(&self.of.name));
        self.old.as_ref().map(|old| {
            format!("{kubectl} patch tidbcluster {name} --type merge -p '{{\"spec\":{{\"clusterDomain\":\"{old}\"}}}}'")
        })
    }
}

impl Witness {
    fn words(&self) -> String {
        match &self.source {
            Source::Member(id) => format!("{} {} of PD member {}", self.field, self.value, id.hex()),
            Source::Store(id) => format!("{} {} of store {id}", self.field, self.value),
            Source::Status => format!("{} has {}", self.field, self.value),
            Source::TidbCluster(of) => format!("{} {} of {of}", self.field, self.value),
            Source::Dns => format!("DNS serves {}", self.value),
        }
    }
}

/// One TidbCluster with its KubeCluster.
type Part<'a> = (&'a ObjectRef, &'a KubeCluster, &'a TidbCluster);

/// The TidbClusters of one Database whose domain is in doubt.
pub fn doubts(fleet: &Fleet, parts: &[Part<'_>], members: &[Member], stores: &[StoreRow]) -> Vec<DomainDoubt> {
    parts.iter().filter_map(|part| doubt(fleet, parts, members, stores, *part)).collect()
}

fn doubt(
    fleet: &Fleet,
    parts: &[Part<'_>],
    members: &[Member],
    stores: &[StoreRow],
    (of, cluster, tc): Part<'_>,
) -> Option<DomainDoubt> {
    let now = tc.domain().map(normal);
    let against = |domain: &str| now.as_deref() != Some(domain);
    // A name whose bearer did not say who it is may be of a TidbCluster of the same name that nobody sees.
    let ours = |domain: &str| cluster.dns.serves(domain) == Served::Yes && !taken(fleet, of, domain);
    let own: Vec<&Member> = members.iter().filter(|member| member.place.of() == Some(of)).collect();

    let mut announced: Vec<Witness> = own.iter().flat_map(|member| announces(tc, member)).collect();
    let strangers = members.iter().filter(|member| !member.place.is_known());
    announced.extend(strangers.flat_map(|member| announces(tc, member)).filter(|one| ours(&one.domain)));
    if own.is_empty() {
        announced.extend(in_status(tc));
    }
    let says_now = announced.iter().any(|one| !against(&one.domain));

    let mut all: Vec<Witness> = announced.into_iter().filter(|one| against(&one.domain)).collect();
    all.extend(held(tc, &own).into_iter().filter(|one| {
        let served = cluster.dns.serves(&one.domain);
        against(&one.domain) && if now.is_none() { served != Served::No } else { served == Served::Yes }
    }));
    let rows = stores.iter().filter(|row| !row.store.is_gone() && row.place.of().is_none_or(|at| at == of));
    all.extend(rows.filter_map(|row| at_store(tc, row)).filter(|one| against(&one.domain) && ours(&one.domain)));

    // Members and stores without a domain never had one, whatever a reference says: then the reference is what is wrong.
    if now.is_some() || own.is_empty() || !all.is_empty() {
        let refers = references(parts, of).into_iter();
        let refers = refers.filter(|one| against(&one.domain) && !taken(fleet, of, &one.domain));
        all.extend(refers.filter(|one| match cluster.dns.serves(&one.domain) {
            Served::Yes => true,
            // Nobody can tell who of the two has moved, unless the pods still bear the name.
            Served::Unknown(_) => !says_now,
            Served::No => false,
        }));
    }

    let served: Vec<Witness> = cluster.dns.domains.iter().map(|domain| dns(domain)).collect();
    let Some(first) = all.first() else {
        // A PD that runs under the name had to resolve it before it started.
        let unserved = now.as_deref().is_some_and(|now| cluster.dns.serves(now) == Served::No) && !says_now;
        return unserved.then(|| DomainDoubt { of: of.clone(), now, old: None, witnesses: served });
    };
    let old = first.domain.clone();
    all.extend(served.into_iter().filter(|one| one.domain == old));
    if now.is_none() {
        let away = parts.iter().filter(|(other, ..)| other.context != of.context);
        all.extend(away.filter_map(|(other, _, tc)| {
            let domain = tc.domain()?.to_owned();
            let source = Source::TidbCluster((*other).clone());
            Some(Witness { source, field: "spec.clusterDomain", value: domain.clone(), domain })
        }));
    }
    Some(DomainDoubt { of: of.clone(), now, old: Some(old), witnesses: all })
}

/// Whether a TidbCluster that is seen has this very name, namespace and domain.
fn taken<'a>(fleet: &'a Fleet, of: &'a ObjectRef, domain: &str) -> bool {
    let key = of.key();
    let same = |context: &'a str| fleet.same_cluster_as(context).unwrap_or(context);
    let mut others = fleet.clusters.values().filter(|cluster| cluster.context != of.context);
    others.any(|other| {
        let theirs = other.tidb_clusters.get(&key).and_then(TidbCluster::domain);
        theirs.map(normal).as_deref() == Some(domain) && same(&other.context) != same(&of.context)
    })
}

/// The name and the clientURLs of a member: what its pod was started with.
fn announces(tc: &TidbCluster, member: &Member) -> Vec<Witness> {
    let name = (!member.name.is_empty()).then_some(("name", member.name.as_str(), member.name.as_str()));
    let urls = member.client_urls.iter().filter_map(|url| Some(("clientURLs", url.as_str(), host(url)?)));
    let said = name.into_iter().chain(urls);
    said.filter_map(|(field, value, host)| {
        let domain = domain_in(tc, Component::Pd, host)?;
        Some(Witness { source: Source::Member(member.id), field, value: value.to_owned(), domain })
    })
    .collect()
}

/// The members that the operator takes for this TidbCluster's own.
fn in_status(tc: &TidbCluster) -> Vec<Witness> {
    let known = tc.status.pd.members.iter();
    known
        .filter_map(|(name, _)| {
            let domain = domain_in(tc, Component::Pd, name)?;
            Some(Witness { source: Source::Status, field: "status.pd.members", value: name.clone(), domain })
        })
        .collect()
}

/// The domain in the peerURLs, where every member of this TidbCluster has the same one: one alone may be a slip.
fn held(tc: &TidbCluster, own: &[&Member]) -> Vec<Witness> {
    let mut all = Vec::new();
    for member in own {
        for url in &member.peer_urls {
            let Some(domain) = host(url).and_then(|host| domain_in(tc, Component::Pd, host)) else { return Vec::new() };
            all.push(Witness { source: Source::Member(member.id), field: "peerURLs", value: url.clone(), domain });
        }
    }
    let one = all.windows(2).all(|pair| pair[0].domain == pair[1].domain);
    if one { all } else { Vec::new() }
}

/// The references of those of the same Database that name this TidbCluster.
fn references(parts: &[Part<'_>], of: &ObjectRef) -> Vec<Witness> {
    let others = parts.iter().filter(|(other, ..)| *other != of);
    others
        .filter_map(|(other, _, joiner)| {
            let to = joiner.spec.cluster.as_ref().filter(|to| names(to, joiner, of))?;
            let value = to.cluster_domain.clone().filter(|domain| !domain.is_empty())?;
            let (source, field) = (Source::TidbCluster((*other).clone()), "spec.cluster.clusterDomain");
            Some(Witness { source, field, domain: normal(&value), value })
        })
        .collect()
}

fn at_store(tc: &TidbCluster, row: &StoreRow) -> Option<Witness> {
    let component = row.store.component();
    let domain = domain_in(tc, component, row.store.host())?;
    let value = row.store.address.clone();
    Some(Witness { source: Source::Store(row.store.id), field: "address", value, domain })
}

fn dns(domain: &str) -> Witness {
    Witness { source: Source::Dns, field: "zones of CoreDNS", value: domain.to_owned(), domain: domain.to_owned() }
}
