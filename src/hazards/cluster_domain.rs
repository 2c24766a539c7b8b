//! `domain.md` §5.1, hazards 1 and 2, and a domain that is missing: what `spec.clusterDomain` says against what is served and used.
//!
//! Not here: which zones CoreDNS serves ([`crate::fleet::corefile`]), who witnesses a domain
//! ([`crate::fleet::cluster_domain_evidence`]). Neighbour: [`crate::hazards::tidbcluster_spec`], the other ways in which an object is written.

use crate::fleet::advice::{Advice, RunLine};
use crate::fleet::cluster_domain_evidence::{DomainDoubt, Source};
use crate::fleet::dns::{Likeness, Served};
use crate::fleet::hazard_id::HazardId;
use crate::fleet::problem_subject::SubjectKind;
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{Finding, OfDatabase, Subject};

pub(super) const ALL: &[OfDatabase] = &[wrong_cluster_domain, cluster_domain_changed, cluster_domain_missing];

/// Hazard 1: the domain of the spec against those that the cluster's DNS serves.
///
/// Certain only where its configuration is understood wholly.
fn wrong_cluster_domain(scene: &CheckContext<'_>) -> Vec<Finding> {
    let judge = |part: &Part<'_>| {
        let domain = part.tc.domain()?;
        let subject = part.subject();
        let found = match part.cluster.dns.serves(domain) {
            Served::Yes => return None,
            Served::No => {
                let served = part.cluster.dns.domains.join(", ");
                scene
                    .find_at(
                        HazardId::WrongClusterDomain,
                        part,
                        format!("clusterDomain is {domain:?}, but the cluster's DNS serves {served:?}"),
                    )
                    .saw(&Subject::cluster(&part.of.context), "kube-system/coredns Corefile", served, part.seen())
            }
            Served::Unknown(why) if part.live() => scene
                .find_at(
                    HazardId::WrongClusterDomain,
                    part,
                    format!("whether the cluster's DNS serves {domain:?} is not known: {why}"),
                )
                .unknown(),
            Served::Unknown(_) => return None,
        };
        let name = &part.of.name;
        let check = format!(
            "{} exec {name}-pd-0 -- nslookup {name}-pd-0.{name}-pd-peer.{}.svc.{domain}. # must give the pod's own address; else put the right domain, with every PD watched",
            part.kubectl(),
            part.of.namespace
        );
        Some(found.saw(&subject, "spec.clusterDomain", domain, part.seen()).then(check))
    };
    scene.parts.iter().filter_map(judge).collect()
}

/// 2. Its members, its joiners, etcd or its stores know the TidbCluster under another domain than the spec has now.
fn cluster_domain_changed(scene: &CheckContext<'_>) -> Vec<Finding> {
    let judge = |part: &Part<'_>| {
        let doubt = scene.database.domain_doubts.iter().find(|doubt| doubt.of == *part.of)?;
        let (old, back) = (doubt.old.as_deref()?, doubt.back()?);
        let sentence = match &doubt.now {
            None => format!(
                "clusterDomain is not set any more; it was {old:?}, and the operator takes its own PD members for foreign ones"
            ),
            Some(now) => format!(
                "clusterDomain is {now:?} now; it was {old:?}, and the operator takes its own PD members for foreign ones"
            ),
        };
        let mut found = scene.find_at(HazardId::ClusterDomainChanged, part, sentence).saw(
            &part.subject(),
            "spec.clusterDomain",
            doubt.now.as_deref().unwrap_or("(none)"),
            part.seen(),
        );
        for witness in doubt.witnesses.iter().take(6) {
            let (subject, seen) = match &witness.source {
                Source::Member(id) => (Subject::of_pd(SubjectKind::Member, id.hex()), scene.pd_seen()),
                Source::Store(id) => (Subject::of_pd(SubjectKind::Store, id.to_string()), scene.pd_seen()),
                Source::Status => (part.subject(), part.seen()),
                Source::TidbCluster(of) => (Subject::tidb_cluster(of), part.seen()),
                Source::Dns => (Subject::cluster(&part.of.context), part.seen()),
            };
            found = found.saw(&subject, witness.field, &witness.value, seen);
        }
        Some(found.then(format!("put the old domain back: {back}")))
    };
    scene.parts.iter().filter_map(judge).collect()
}

/// Without a domain across KubeClusters that serve different ones: names lead into the own cluster only.
fn cluster_domain_missing(scene: &CheckContext<'_>) -> Vec<Finding> {
    let here = |context: &str| scene.fleet.same_cluster_as(context).unwrap_or(context).to_owned();
    let doubtful =
        |part: &Part<'_>| scene.database.domain_doubts.iter().any(|doubt: &DomainDoubt| doubt.of == *part.of);
    let judge = |part: &Part<'_>| {
        let other = scene.parts.iter().find(|other| {
            here(&other.of.context) != here(&part.of.context)
                && part.cluster.dns.like(&other.cluster.dns) == Likeness::Differ
        })?;
        let domain = part.cluster.cluster_domain()?;
        let theirs = other.cluster.dns.domains.join(", ");
        let sentence = format!(
            "clusterDomain is not set, though {} serves {theirs:?} and {} {domain:?}: names without a domain lead into the own cluster only",
            other.of.context, part.of.context
        );
        let way = match scene.members(part).is_empty() {
            true => {
                let patch = part.patch(&format!("{{\"clusterDomain\":\"{domain}\"}}"));
                Advice::from(format!("set it while it has no data: {patch}"))
            }
            false => RunLine::run("migrate-cluster-domain").on(part.of).set("clusterDomain", domain).into(),
        };
        let seen = other.cluster.heard;
        Some(
            scene
                .find_at(HazardId::ClusterDomainMissing, part, sentence)
                .saw(&part.subject(), "spec.clusterDomain", "(absent)", part.seen())
                .saw(&Subject::cluster(&part.of.context), "kube-system/coredns Corefile", domain, part.seen())
                .saw(&Subject::cluster(&other.of.context), "kube-system/coredns Corefile", theirs, seen)
                .then(way),
        )
    };
    scene.parts.iter().filter(|part| part.tc.domain().is_none() && !doubtful(part)).filter_map(judge).collect()
}
