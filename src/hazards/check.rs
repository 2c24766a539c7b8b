//! Asks every check, and makes one list of what they find: what a problem says already is said once, what only follows from something
//! else is left out, and what nobody could look at is unseen. Then the order in which people read it.
//!
//! Not here: what one check finds (its own file), the words of a finding ([`crate::hazards::finding`]).

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::fleet::advice::{Advice, RunLine};
use crate::fleet::closer_look::Extra;
use crate::fleet::database::{Database, Member, databases};
use crate::fleet::hazard_id::HazardId;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::not_seen::{NotSeen, NotSeenKind};
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::problem::Problem;
use crate::fleet::tidbcluster::Component;
use crate::fleet::tls::{Wanted, wanted_of};
use crate::fleet::tls_toggle::Toggle;
use crate::fleet::{Fleet, KubeCluster, ObjectRef, kube_cluster_problems};
use crate::hazards::check_context::{CheckContext, Part};
use crate::hazards::{
    Checked, Finding, OfDatabase, Severity, Subject, SubjectKind, cluster_domain, cluster_reference, health,
    kube_cluster_and_operator, membership, names_and_versions, peer_urls, region_replicas, stalled_operations,
    tidbcluster_removal, tidbcluster_spec, tls_certificates, upgrade, volume_claims,
};

/// Everything that is wrong or risky in the Databases of this name or id (`None`: all, and the fleet itself). `now` is
/// what certificates are judged by.
pub fn check(fleet: &Fleet, only: Option<&str>, now: Timestamp) -> Checked {
    check_among(fleet, &databases(fleet), only, now)
}

/// The same, of Databases that were computed already: those of this very fleet.
#[expect(clippy::too_many_lines, reason = "the list of all hazards")]
pub fn check_among(fleet: &Fleet, all: &[Database], only: Option<&str>, now: Timestamp) -> Checked {
    let named = |db: &Database| only.is_none_or(|only| db.is_called(only));
    let chosen: Vec<&Database> = all.iter().filter(|database| named(database)).collect();
    let mut checked = Checked { databases: chosen.iter().map(|db| db.name.clone()).collect(), ..Checked::default() };
    let functions: Vec<OfDatabase> = [
        cluster_domain::ALL,
        tidbcluster_spec::ALL,
        kube_cluster_and_operator::ALL,
        names_and_versions::ALL,
        cluster_reference::ALL,
        tls_certificates::ALL,
        membership::ALL,
        peer_urls::ALL,
        region_replicas::ALL,
        upgrade::ALL,
        tidbcluster_removal::ALL,
        volume_claims::ALL,
        stalled_operations::ALL,
        health::ALL,
    ]
    .concat();
    let mut contexts: BTreeSet<&str> = BTreeSet::new();
    for database in &chosen {
        let scene = CheckContext::of(fleet, database, now);
        let mut found: Vec<Finding> = functions.iter().flat_map(|function| function(&scene)).collect();
        for problem in &database.problems {
            if !found.iter().any(|finding| says(finding, problem)) {
                found.push(of_problem(&scene, problem));
            }
        }
        let causes: BTreeSet<Subject> =
            found.iter().filter(|one| breaks_pd(one)).flat_map(|one| one.subjects.clone()).collect();
        found.retain(|finding| finding.hazard.id != HazardId::ReadyTooEarly || !caused(&scene, finding, &causes));
        checked.findings.extend(found.into_iter().filter_map(|finding| explained(&scene, finding)));
        contexts.extend(database.tidb_clusters.iter().map(|of| of.context.as_str()));
        checked.unseen.extend(database.unseen.iter().map(|one| one.within(&database.name)));
        checked.unseen.extend(unasked(&scene).iter().map(|one| one.within(&database.name)));
        checked.notes.extend(membership::majority(&scene).map(|note| format!("{}: {note}", database.name)));
        let gaps = scene.details.iter().flat_map(|(_, details)| &details.gaps);
        checked.unseen.extend(gaps.map(|gap| {
            let whole = Subject::of_pd(SubjectKind::Database, &database.name);
            NotSeen::new(NotSeenKind::PdDetailsUnread, [whole], gap).within(&database.name)
        }));
    }
    let mut whole: Vec<Finding> = tidbcluster_spec::fleet(fleet, all);
    whole.extend(volume_claims::fleet(fleet));
    whole.extend(kube_cluster_and_operator::fleet(fleet));
    for problem in kube_cluster_problems::problems(fleet) {
        if !whole.iter().any(|finding| says(finding, &problem)) {
            whole.push(told(Finding::new(problem.kind.hazard(), None, &problem.sentence), fleet, &problem, None));
        }
    }
    for finding in whole {
        let ours = finding.database.as_ref().is_none_or(|of| checked.databases.contains(of));
        let near = only.is_none() || finding.subjects.iter().any(|subject| contexts.contains(subject.context.as_str()));
        if ours && near {
            checked.findings.push(finding);
        }
    }
    let near = |cluster: &&KubeCluster| only.is_none() || contexts.contains(cluster.context.as_str());
    for cluster in fleet.clusters.values().filter(near) {
        checked.unseen.extend(unread(cluster));
    }
    // A cluster that is dark may hold a part of any Database, asked for or not.
    checked.unseen.extend(kube_cluster_problems::unseen(fleet));
    checked.findings.sort_by(|a, b| {
        let key =
            |f: &Finding| (f.unknown, std::cmp::Reverse(f.severity), !f.first, f.hazard.number, f.database.clone());
        key(a).cmp(&key(b)).then_with(|| a.subjects.cmp(&b.subjects)).then_with(|| a.sentence.cmp(&b.sentence))
    });
    checked
}

/// What shows because TLS was switched (hazard 25) says so, and advises nothing else; what would only repeat it is left out.
fn explained(scene: &CheckContext<'_>, finding: Finding) -> Option<Finding> {
    let own = |toggle: &&Toggle| finding.subjects.contains(&Subject::tidb_cluster(&toggle.of));
    let toggles = &scene.database.tls_toggled;
    let whole = matches!(finding.hazard.id, HazardId::PdNoLeader | HazardId::PdMemberUnhealthy);
    let any = || toggles.iter().find(own).or(toggles.first().filter(|_| whole));
    match finding.hazard.id {
        HazardId::SinglePdUnsynced | HazardId::PeerUrlsHalfUpdated | HazardId::DiscoveryUnavailable
            if toggles.iter().any(|t| own(&t)) =>
        {
            None
        }
        HazardId::PdNoLeader
        | HazardId::PdMemberUnhealthy
        | HazardId::ReadyTooEarly
        | HazardId::NotReady
        | HazardId::ForceUpgradeLeft => match any() {
            Some(toggle) => Some(finding.then(format!("see tls-toggled: {}", toggle.cure()))),
            None => Some(finding),
        },
        // Of one that is not open to the others there is no right peerURL yet.
        HazardId::PeerUrlUnexpected => {
            let closed = |part: &&Part<'_>| {
                scene.spans() && !part.opened() && finding.subjects.contains(&Subject::tidb_cluster(part.of))
            };
            match scene.parts.iter().find(closed) {
                Some(part) => Some(finding.then(scene.migrate(part))),
                None => Some(finding),
            }
        }
        _ => Some(finding),
    }
}

/// Whether a finding names a certificate by which PD is not reached: what waits for PD waits for that.
fn breaks_pd(finding: &Finding) -> bool {
    const CERTIFICATES: [HazardId; 5] = [
        HazardId::SanMissing,
        HazardId::DifferentCa,
        HazardId::CertificateExpiry,
        HazardId::CertificateUnusable,
        HazardId::CertificateLooksSelfSigned,
    ];
    !finding.unknown && finding.severity == Severity::High && CERTIFICATES.contains(&finding.hazard.id)
}

/// Whether "wait for it" would stand beside what has to be done first: members without a pod, a lost quorum, a certificate.
fn caused(scene: &CheckContext<'_>, finding: &Finding, causes: &BTreeSet<Subject>) -> bool {
    let part = scene.parts.iter().find(|part| finding.subjects.contains(&part.subject()));
    let unreached =
        part.is_some_and(|part| part.tc.status.pd.synced == Some(false) && causes.contains(&part.subject()));
    if scene.database.lead == Lead::Lost || unreached {
        return true;
    }
    let gone = |member: &Member| {
        member.gone && member.place.of().is_some_and(|of| finding.subjects.contains(&Subject::tidb_cluster(of)))
    };
    finding.rolls == Some(Component::Pd) && scene.database.members.iter().any(gone)
}

/// Whether a finding says of one of its objects what a problem says.
pub fn says(finding: &Finding, problem: &Problem) -> bool {
    !finding.unknown
        && problem.kind.hazards().contains(&finding.hazard.id)
        && problem.about.iter().any(|about| finding.subjects.contains(about))
}

/// What is wrong for `status` is found by `check`, whether a hazard's own function has more to say of it or not.
fn of_problem(scene: &CheckContext<'_>, problem: &Problem) -> Finding {
    health::touched(
        scene,
        problem,
        told(scene.find(problem.kind.hazard(), &problem.sentence), scene.fleet, problem, scene.pd_seen()),
    )
}

fn told(mut found: Finding, fleet: &Fleet, problem: &Problem, pd_seen: Option<Timestamp>) -> Finding {
    for about in &problem.about {
        let seen = fleet.clusters.get(&about.context).map_or(pd_seen, |cluster| cluster.heard);
        found = found.saw(about, "as tidepilot status tells it", &problem.sentence, seen).on(about.clone());
    }
    // The object that has all three, else the nearest.
    let whole = |about: &&Subject| about.kind == SubjectKind::TidbCluster;
    let of = problem.about.iter().find(whole).or(problem.about.first());
    let advice = problem.kind.what_to_do();
    let Some(of) = of else { return found.then(advice) };
    let line =
        problem.kind.runbook().map(|id| RunLine::plan(id).on(&ObjectRef::new(&of.context, &of.namespace, &of.name)));
    found.then(Advice::with(filled(advice, of, line.as_ref()), line))
}

/// Advice with its place in it; a name that holds one of the words stays as it is.
fn filled(advice: &str, of: &Subject, line: Option<&RunLine>) -> String {
    let line = line.map(ToString::to_string).unwrap_or_default();
    let [namespace, context, name] = [&of.namespace, &of.context, &of.name].map(|name| quote(name));
    let place = [("NAMESPACE", namespace), ("CONTEXT", context), ("NAME", name), ("LINE", line)];
    let (mut text, mut rest) = (String::new(), advice);
    while let Some((at, (word, value))) =
        place.iter().filter_map(|one| Some((rest.find(one.0)?, one))).min_by_key(|(at, _)| *at)
    {
        text = text + &rest[..at] + value;
        rest = &rest[at + word.len()..];
    }
    text + rest
}

/// What a closer look would have shown of a Database, and nobody took.
fn unasked(scene: &CheckContext<'_>) -> Vec<NotSeen> {
    let mut all = Vec::new();
    let pd_answers = scene.views().any(|(_, _, _, answer)| answer.version.is_some());
    if pd_answers && scene.details.is_none() {
        let whole = Subject::of_pd(SubjectKind::Database, &scene.database.name);
        let sentence = "PD's placement rules and region counts have not been read yet";
        all.push(NotSeen::new(NotSeenKind::PdDetailsUnread, [whole], sentence));
    }
    for part in scene.parts.iter().filter(|part| part.tc.tls() && part.live()) {
        let looked = |wanted: &Wanted| {
            let at = ObjectRef::new(&part.of.context, &part.of.namespace, &wanted.secret);
            scene.fleet.sight(&ObjectId::new(ObjectKind::Secret, &at)).is_some()
        };
        if !wanted_of(part.tc).iter().all(looked) {
            let sentence = format!("the TLS Secrets of {} have not been read yet", part.of);
            all.push(NotSeen::new(NotSeenKind::TlsSecretsUnread, [Subject::tidb_cluster(part.of)], sentence));
        }
    }
    all
}

/// What a closer look would have shown of a cluster with TidbClusters, and did not.
fn unread(cluster: &KubeCluster) -> Vec<NotSeen> {
    let mut all = Vec::new();
    if !cluster.freshness.is_live() {
        // Said once, by its freshness.
        return all;
    }
    if cluster.tidb_clusters.is_empty() {
        return all;
    }
    let more = &cluster.more;
    let parts = [
        (Extra::Claims, more.claims.is_some(), "persistentvolumeclaims"),
        (Extra::Events, more.events.is_some(), "events"),
        (Extra::Operator, more.operator.is_some(), "the operator's Deployment"),
    ];
    for (extra, seen, what) in parts {
        let sentence = match (seen, more.lacking.get(&extra)) {
            (true, _) => continue,
            (false, Some(why)) => format!("KubeCluster {}: {why}", cluster.context),
            (false, None) => format!("KubeCluster {}: {what} have not been read yet", cluster.context),
        };
        all.push(NotSeen::new(NotSeenKind::ObjectsUnread, [Subject::cluster(&cluster.context)], sentence));
    }
    all
}
