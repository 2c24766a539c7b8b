//! What is plainly down. No hazard of the dossier's list, but no check may call such a Database well.

use crate::fleet::advice::{Advice, RunLine};
use crate::fleet::database::StoreRow;
use crate::fleet::hazard_id::HazardId;
use crate::fleet::kubectl_quoting::{kubectl, quote};
use crate::fleet::pd_leader_state::Lead;
use crate::fleet::problem::Problem;
use crate::fleet::problem_subject::SubjectKind;
use crate::fleet::remedy_commands;
use crate::fleet::rollout::suspended_words;
use crate::fleet::tidbcluster::Component;
use crate::fleet::workload::Pod;
use crate::fleet::{ObjectKey, ObjectRef};
use crate::hazards::check_context::CheckContext;
use crate::hazards::{Finding, OfDatabase, Severity, Subject};
use crate::pluralize::counted;

pub(super) const ALL: &[OfDatabase] = &[members, leader, not_ready];

/// Members that are not healthy: the worse, the less quorum is left.
fn members(scene: &CheckContext<'_>) -> Vec<Finding> {
    let database = scene.database;
    // One that never started is a hazard of its own.
    let started = database.members.iter().filter(|member| !member.name.is_empty());
    let sick: Vec<_> = started.filter(|member| member.healthy == Some(false)).collect();
    if sick.is_empty() {
        return Vec::new();
    }
    let quorum = database.quorum;
    let (severity, what) = if scene.database.lead == Lead::Lost {
        (Severity::High, "PD has lost its quorum".to_owned())
    } else if !quorum.stands() {
        (Severity::High, "PD is without a leader at the moment".to_owned())
    } else if quorum.tolerate == 0 {
        (Severity::High, "the next loss stops the Database".to_owned())
    } else {
        (Severity::Medium, format!("{} more may be lost", quorum.tolerate))
    };
    let sentence = format!("{} of {} not healthy: {what}", sick.len(), counted(quorum.members, "PD member"));
    let mut found = scene.find(HazardId::PdMemberUnhealthy, sentence).severity(severity);
    for member in sick {
        let subject = Subject::of_pd(SubjectKind::Member, member.id.hex());
        let pod = member.place.pod().unwrap_or("no pod known");
        let value = format!("not healthy ({pod}, {})", member.pod_phase.as_deref().unwrap_or("not seen"));
        found = found.saw(&subject, "GET /pd/api/v1/health, /health", value, scene.pd_seen()).on(subject);
    }
    let (pods, line) = sick_pods(scene);
    let what =
        format!("bring every such pod back before anything else is changed; look at its log and its events{pods}");
    vec![found.then(Advice::with(what, line))]
}

/// The lines that show why they are down, those without a pod first: whoever lacks only a leader is none of them. With the
/// first that runs something.
fn sick_pods(scene: &CheckContext<'_>) -> (String, Option<RunLine>) {
    let mut sick: Vec<_> = scene.database.members.iter().filter(|member| member.healthy == Some(false)).collect();
    sick.sort_by_key(|member| !member.gone);
    let placed = sick.into_iter().filter_map(|member| Some((member.place.of()?, member.place.pod()?)));
    let loops = |of: &ObjectRef, pod: &str| {
        let cluster = scene.fleet.clusters.get(&of.context);
        cluster.and_then(|cluster| cluster.pods.get(&ObjectKey::new(&of.namespace, pod))).is_some_and(Pod::loops)
    };
    let mut first = None;
    let lines: Vec<String> = placed
        .map(|(of, pod)| {
            // It ends again for a reason that its log tells; once that is gone, and while the others are a majority, it is
            // made anew.
            match loops(of, pod) && scene.database.lead == Lead::Leads {
                true => {
                    let advice = remedy_commands::crash_loop(of, Component::Pd, pod, true);
                    first = first.take().or_else(|| advice.line().cloned());
                    advice.to_string()
                }
                false => format!("{} describe pod {pod}", kubectl(of)),
            }
        })
        .collect();
    (if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }, first)
}

/// How much a store that is away touches: the regions with a peer on it, as PD knew it last.
pub(super) fn touched(scene: &CheckContext<'_>, problem: &Problem, found: Finding) -> Finding {
    let named = |row: &&StoreRow| {
        let name = row.store.id.to_string();
        problem.about.iter().any(|about| about.kind == SubjectKind::Store && about.name == name)
    };
    scene.database.stores.iter().filter(named).fold(found, |found, row| {
        let subject = Subject::of_pd(SubjectKind::Store, row.store.id.to_string());
        let value = format!("{} with a peer on it", counted(row.store.region_count, "region"));
        found.saw(&subject, "GET /pd/api/v1/stores, region_count", value, scene.pd_seen())
    })
}

fn leader(scene: &CheckContext<'_>) -> Vec<Finding> {
    let database = scene.database;
    let Some(sentence) = database.lead.problem(&database.members, database.quorum) else { return Vec::new() };
    if database.lead == Lead::Lost {
        // Said of the members.
        return Vec::new();
    }
    let whole = Subject::of_pd(SubjectKind::Database, &database.name);
    vec![
        scene
            .find(HazardId::PdNoLeader, sentence)
            .on(whole.clone())
            .saw(&whole, "leader, of every PD pod that answered", "none", scene.pd_seen())
            .then("look again in 15 s; if it stays so, check the network between the PD pods on port 2380"),
    ]
}

fn not_ready(scene: &CheckContext<'_>) -> Vec<Finding> {
    let parts = scene.parts.iter().filter(|part| part.live());
    let unready =
        parts.filter_map(|part| Some((part, part.tc.ready_condition().filter(|ready| ready.status != "True")?)));
    unready
        .map(|(part, ready)| {
            let why = suspended_words(part.cluster, part.tc).map(|words| format!(" ({words})")).unwrap_or_default();
            scene
                .find_at(HazardId::NotReady, part, format!("TidbCluster is not Ready: {}{why}", ready.reason))
                .saw(
                    &part.subject(),
                    "status.conditions[Ready]",
                    format!("{}: {}", ready.status, ready.message),
                    part.seen(),
                )
                .then(format!(
                    "{} describe tidbcluster {} # its conditions and events say what it waits for",
                    kubectl(part.of),
                    quote(&part.of.name)
                ))
        })
        .collect()
}
