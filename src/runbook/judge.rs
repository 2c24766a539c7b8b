//! Looks at the world for one action: is it done, still to do, or has somebody else been here?
//!
//! The same judgement serves before the first attempt, after an answer, and after a crash or a lost answer. It only
//! looks; it decides nothing about order, gates or time ([`super::engine`]). Built-in conditions here hold whatever
//! a document says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Observation;
use super::action::Action;
use super::blame;
use super::merge;
use super::requests::unpause;
use crate::counted::{counted, is};
use crate::fleet::certificate::SecretFacts;
use crate::fleet::database::{Member, database_of};
use crate::fleet::object::{ObjectId, ObjectKind, Sight};
use crate::fleet::pd::{MemberId, PdAnswer};
use crate::fleet::peer_url;
use crate::fleet::rollout::{component_pods, revisions, rollout};
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::tls::operator_asks;
use crate::fleet::tls_toggle::speaks_tls;
use crate::fleet::{KubeCluster, ObjectRef};

/// What an action's object looks like now.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// As the action wants it; with what was seen.
    Done { evidence: Value },
    /// Still to do.
    NotDone { before: Value, after: Value },
    /// Cannot be decided yet; one sentence.
    Waiting(String),
    /// Must not be done; one sentence.
    Refuse(String),
    /// Neither as it was before our intent nor as we want it: somebody else changed it.
    Foreign { sentence: String, before: Value, ours: Value, theirs: Value },
}

/// Judges an action. `expected` is the before-image that the world must still show if the action is not done: that of
/// an open Intent, else the plan's. What is neither so nor as wanted is foreign. `started` is the before-image of the
/// step which a wait refers to. `run`: whose action it is; empty before there is a run.
pub fn judge(
    action: &Action,
    expected: Option<&Value>,
    started: Option<&Value>,
    run: &str,
    seen: &Observation,
) -> Judged {
    if let Some(judged) = super::judge_objects::judge(action, run, seen) {
        return judged;
    }
    let target = action.target();
    let (cluster, tc) = match locate(target, seen) {
        Ok(found) => found,
        Err(judged) => return judged,
    };
    match action {
        Action::PatchTidbCluster { uid, merge, .. } => patch(uid, merge, expected, cluster, tc),
        Action::WaitRollout { component, .. } => match wait_rollout(*component, started, cluster, tc) {
            Judged::Waiting(why) => Judged::Waiting(format!("{why}{}", blinded(target, tc, seen))),
            other => other,
        },
        Action::ProbePeerUrl { id, url, .. } => match views_of(*id, target, seen) {
            Ok(views) if views.values().all(|urls| urls == std::slice::from_ref(url)) => {
                Judged::Done { evidence: json!({"peerUrls": [url], "probe": "not needed: the member already has it"}) }
            }
            Ok(views) => {
                Judged::NotDone { before: json!({"peerUrls": views.values().next()}), after: json!({"url": url}) }
            }
            Err(why) => Judged::Waiting(why),
        },
        Action::UpdatePeerUrl { restores: true, .. } if let Some(elsewhere) = member_elsewhere(target, seen) => {
            Judged::Refuse(format!(
                "PD member {elsewhere} is not of {target}, so it may not resolve the old peerURLs; they are not put back"
            ))
        }
        Action::UpdatePeerUrl { .. } => update(action, expected, tc, seen),
        Action::TransferPdLeader { to, .. } => transfer(to, target, seen),
        Action::RemovePdMember { id, .. } => remove(*id, target, seen),
        // Judged above, or by the step's own conditions (`engine`).
        Action::CreateObject { .. }
        | Action::DeleteObject { .. }
        | Action::CopySecret { .. }
        | Action::IssueCa { .. }
        | Action::IssueCertificate { .. }
        | Action::NetProbe { .. }
        | Action::Await { .. }
        | Action::Manual { .. } => Judged::Refuse("this action has nothing that could be looked at here".into()),
    }
}

/// Who leads is asked of the whole Database: the lead may have gone to another KubeCluster.
fn transfer(to: &str, target: &ObjectRef, seen: &Observation) -> Judged {
    let Some(database) = database_of(&seen.fleet, target) else {
        return Judged::Waiting(format!("TidbCluster {target} belongs to no Database yet"));
    };
    match (database.leader().map(|leader| leader.name.clone()), database.members.iter().any(|member| member.name == to))
    {
        (_, false) => Judged::Refuse(format!("there is no PD member {to} any more")),
        (None, true) => Judged::Waiting("PD has no leader now".into()),
        (Some(leader), true) if leader == to => Judged::Done { evidence: json!({ "leader": leader }) },
        (Some(leader), true) => Judged::NotDone { before: json!({ "leader": leader }), after: json!({ "leader": to }) },
    }
}

fn remove(id: MemberId, target: &ObjectRef, seen: &Observation) -> Judged {
    match views_of(id, target, seen) {
        Err(why) => Judged::Waiting(why),
        Ok(views) if views.values().all(Vec::is_empty) => Judged::Done { evidence: json!({"removed": id.hex()}) },
        Ok(views) if views.values().any(Vec::is_empty) => {
            Judged::Waiting(format!("not every PD pod has seen member {id} go yet"))
        }
        Ok(views) => Judged::NotDone {
            before: json!({"member": id.hex(), "peerUrls": views.values().next()}),
            after: json!({"absent": true}),
        },
    }
}

fn locate<'a>(target: &ObjectRef, seen: &'a Observation) -> Result<(&'a KubeCluster, &'a TidbCluster), Judged> {
    let Some(cluster) = seen.fleet.clusters.get(&target.context) else {
        return Err(Judged::Refuse(format!("context {} is not connected", target.context)));
    };
    if !cluster.freshness.is_live() {
        let why = cluster.message.as_deref().unwrap_or("no answer");
        return Err(Judged::Waiting(format!("KubeCluster {} is {}: {why}", target.context, cluster.freshness.word())));
    }
    match cluster.tidb_clusters.get(&target.key()) {
        Some(tc) => Ok((cluster, tc)),
        None => Err(Judged::Refuse(format!("TidbCluster {target} is gone"))),
    }
}

/// A member of the same Database that is not of this TidbCluster: a peerURL without a domain may mean nothing to it.
fn member_elsewhere(target: &ObjectRef, seen: &Observation) -> Option<String> {
    let members = database_of(&seen.fleet, target)?.members;
    let here = |member: &Member| {
        member.kube_cluster.as_ref() == Some(&target.context)
            && member.namespace.as_ref() == Some(&target.namespace)
            && member.tidb_cluster.as_ref() == Some(&target.name)
    };
    let elsewhere = members.into_iter().find(|member| !here(member))?;
    Some(if elsewhere.name.is_empty() { elsewhere.id.to_string() } else { elsewhere.name })
}

fn patch(uid: &str, merge: &Value, expected: Option<&Value>, cluster: &KubeCluster, tc: &TidbCluster) -> Judged {
    if tc.metadata.uid != uid {
        return Judged::Refuse(format!(
            "TidbCluster {}/{} is not the one of the plan: expected uid {uid}, found {}",
            tc.namespace(),
            tc.name(),
            tc.metadata.uid
        ));
    }
    let Ok(object) = serde_json::to_value(tc) else {
        return Judged::Refuse("the TidbCluster could not be read back".into());
    };
    let now = merge::found(merge, &object);
    let wanted = merge::asked(merge);
    // The revisions belong to the before-image: a later wait must see them move.
    let image = |fields: &BTreeMap<String, Value>| json!({"fields": fields, "revisions": revisions(cluster, tc)});
    if merge::holds(merge, &object) {
        return Judged::Done { evidence: json!({"fields": now, "resourceVersion": tc.metadata.resource_version}) };
    }
    match expected.and_then(|before| before.get("fields")) {
        Some(before) if !merge::unchanged(merge, before, &object) => {
            let moved: Vec<&str> = now
                .iter()
                .filter(|(field, value)| before.get(field.as_str()) != Some(value))
                .map(|(field, _)| field.as_str())
                .collect();
            let told: Vec<String> = moved
                .iter()
                .map(|field| {
                    let (was, ours, theirs) = (before.get(*field), wanted.get(*field), now.get(*field));
                    format!(
                        "{field} was {}, this run sets {}, and now it is {}",
                        shown(was),
                        shown(ours),
                        shown(theirs)
                    )
                })
                .collect();
            let who = blame::of_fields(tc, &moved).map_or_else(String::new, |who| format!(" ({who})"));
            Judged::Foreign {
                sentence: format!(
                    "somebody else changed TidbCluster {}/{}/{} meanwhile: {}{who}",
                    cluster.context,
                    tc.namespace(),
                    tc.name(),
                    told.join("; ")
                ),
                before: before.clone(),
                ours: json!(wanted),
                theirs: json!(now),
            }
        }
        Some(_) | None => Judged::NotDone { before: image(&now), after: json!({"fields": wanted}) },
    }
}

/// A value for people; what is not there is said to be so.
pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn wait_rollout(only: Option<Component>, started: Option<&Value>, cluster: &KubeCluster, tc: &TidbCluster) -> Judged {
    if tc.paused() {
        let who = blame::of_fields(tc, &["spec.paused"]).map_or_else(String::new, |who| format!(" ({who})"));
        let of = ObjectRef::new(&cluster.context, tc.namespace(), tc.name());
        return Judged::Refuse(format!(
            "TidbCluster {of} is paused (spec.paused is true): the operator does nothing, so this wait would never end{who}. Unpause it: `{}`",
            unpause(&of)
        ));
    }
    // Nothing would come of waiting for what has no pods. Of a whole TidbCluster the others still roll.
    if let Some(component) = only.filter(|component| tc.asks_to_suspend(*component)) {
        return Judged::Refuse(format!(
            "{} of TidbCluster {} is suspended (suspendAction): it has no pods that could roll; resume it first",
            component.title(),
            tc.name()
        ));
    }
    let mut now = revisions(cluster, tc);
    let mut all = rollout(cluster, tc);
    if let Some(only) = only {
        now.retain(|key, _| key == only.key());
        all.retain(|component| component.component == only);
    }
    // What is moving tells more than what has not begun: the operator goes component by component.
    if let Some(component) = all.iter().find(|component| !component.settled) {
        return Judged::Waiting(component.reason.clone());
    }
    // Right after a patch everything still describes the old state, so each revision has to move.
    let before = started.and_then(|image| image.get("revisions")).and_then(Value::as_object);
    let waits = |component: &&Component| {
        let was = before.and_then(|before| before.get(component.key())).and_then(Value::as_str);
        was.is_some() && was == now.get(component.key()).map(String::as_str) && !unmoved(**component, started, tc)
    };
    let asked = |component: &&Component| only.is_none_or(|only| only == **component);
    if let Some(component) = Component::ALL.iter().filter(asked).find(waits) {
        return Judged::Waiting(format!("waiting for the operator to begin with {}", component.title()));
    }
    Judged::Done {
        evidence: json!({"revisions": now, "pods": all.iter().map(|c| (c.component.key(), c.ready)).collect::<BTreeMap<_, _>>()}),
    }
}

/// Why the operator cannot reach PD, where an object shows it: a rest of a sentence.
fn blinded(target: &ObjectRef, tc: &TidbCluster, seen: &Observation) -> String {
    if tc.status.pd.synced == Some(true) {
        return String::new();
    }
    if let Some(toggle) = database_of(&seen.fleet, target).as_ref().and_then(|database| database.toggled(target)) {
        return format!(": {}; {}", toggle.sentence(), toggle.advice());
    }
    let secret = format!("{}-pd-cluster-secret", tc.name());
    let at = ObjectId::new(ObjectKind::Secret, &ObjectRef::new(&target.context, &target.namespace, &secret));
    let facts = seen.fleet.sight(&at).and_then(Sight::present).and_then(SecretFacts::of).filter(|_| tc.tls());
    let asked = operator_asks(tc.name(), tc.namespace(), tc.domain());
    match facts.and_then(|facts| facts.certificate) {
        Some(certificate) if !certificate.names(&asked) => format!(
            ": PD's certificate (Secret {secret}) lacks the name {asked}, by which the operator asks; stop this run (its record stays), run renew-certificates for {target}, and resume it"
        ),
        Some(_) | None => String::new(),
    }
}

/// Whether a component's start script does not depend on what was patched: PD's asks for acrossK8s *or*
/// clusterDomain (`domain.md` §2.4), so acrossK8s on top of a domain restarts everything but PD. Of any other patch this says
/// nothing: a mark or a version restarts PD as it does the others.
fn unmoved(component: Component, started: Option<&Value>, tc: &TidbCluster) -> bool {
    let fields = started.and_then(|image| image.get("fields")).and_then(Value::as_object);
    let opens = fields.is_some_and(|fields| {
        let opening = |name: &String| name == "spec.acrossK8s" || name == "spec.clusterDomain";
        fields.contains_key("spec.acrossK8s") && fields.keys().all(opening)
    });
    let domain_before = fields.and_then(|fields| fields.get("spec.clusterDomain"));
    let same_domain = domain_before.is_none_or(|before| before.as_str() == tc.domain());
    component == Component::Pd && tc.domain().is_some() && opens && same_domain
}

/// The PD pods of the whole Database with their answers, wherever they run. One of another TidbCluster is named in full.
fn pd_pods<'a>(target: &ObjectRef, seen: &'a Observation) -> BTreeMap<String, Option<&'a PdAnswer>> {
    let all = database_of(&seen.fleet, target).map_or_else(|| vec![target.clone()], |database| database.tidb_clusters);
    let mut pods = BTreeMap::new();
    for of in &all {
        let (Some(cluster), Some(tc)) = (seen.fleet.clusters.get(&of.context), seen.fleet.tidb_cluster(of)) else {
            continue;
        };
        for pod in component_pods(cluster, tc, Component::Pd) {
            let name = &pod.metadata.name;
            let shown = if of == target { name.clone() } else { format!("{}/{}/{name}", of.context, of.namespace) };
            pods.insert(shown, cluster.pd.get(&pod.metadata.key()).and_then(|view| view.answer.as_ref().ok()));
        }
    }
    pods
}

fn pd_answers<'a>(target: &ObjectRef, seen: &'a Observation) -> BTreeMap<String, &'a PdAnswer> {
    pd_pods(target, seen).into_iter().filter_map(|(pod, answer)| Some((pod, answer?))).collect()
}

/// The peerURLs of one member as each PD pod of the Database lists them. At least two pods have to answer where
/// there are two: one pod's list is only its own.
fn views_of(id: MemberId, target: &ObjectRef, seen: &Observation) -> Result<BTreeMap<String, Vec<String>>, String> {
    let pods = pd_pods(target, seen).len();
    let views: BTreeMap<String, Vec<String>> = pd_answers(target, seen)
        .into_iter()
        .filter(|(_, answer)| !answer.members.is_empty())
        .map(|(pod, answer)| {
            let urls = answer.members.iter().find(|m| m.id == id).map(|m| m.peer_urls.clone());
            (pod, urls.unwrap_or_default())
        })
        .collect();
    let needed = pods.clamp(1, 2);
    if views.len() < needed {
        return Err(format!(
            "{} of {} answered; {needed} {} needed to be sure",
            views.len(),
            counted(pods, "PD pod"),
            is(needed)
        ));
    }
    Ok(views)
}

fn update(action: &Action, expected: Option<&Value>, tc: &TidbCluster, seen: &Observation) -> Judged {
    let Action::UpdatePeerUrl { target, id, pod, from, to, restores } = action else {
        return Judged::Refuse("not a peerURL update".into());
    };
    let (id, restores) = (*id, *restores);
    let views = match views_of(id, target, seen) {
        Ok(views) => views,
        Err(why) => return Judged::Waiting(why),
    };
    if views.values().all(Vec::is_empty) {
        return Judged::Refuse(format!("member {id} is no longer in the membership"));
    }
    if views.values().all(|urls| urls == to) {
        return Judged::Done { evidence: json!({ "peerUrls": views }) };
    }
    if views.values().any(|urls| urls == to) && views.values().all(|urls| urls == to || urls == from) {
        return Judged::Waiting(format!("not every PD pod lists the new peerURL of {pod} yet"));
    }
    if views.values().all(|urls| urls == from) {
        let Some(cluster) = seen.fleet.clusters.get(&target.context) else {
            return Judged::Waiting(format!("{} was not seen", target.context));
        };
        if let Some(toggle) = database_of(&seen.fleet, target).as_ref().and_then(|one| one.toggled(target)) {
            let why = format!("{}; {}", toggle.sentence(), toggle.advice());
            return Judged::Refuse(format!("the peerURL of {pod} was not sent: {why}"));
        }
        let tls = speaks_tls(cluster, tc, pod);
        let proper = tc.expected_peer_url(pod, tls);
        for answer in pd_answers(target, seen).values() {
            let checked = match restores {
                true => peer_url::check_restore(id, to, tls, &answer.members),
                false => peer_url::check_update(id, to, &proper, tls, &answer.members),
            };
            if let Err(bad) = checked {
                return Judged::Refuse(format!("the peerURL of {pod} was not sent: {bad}"));
            }
        }
        return Judged::NotDone { before: json!({ "peerUrls": from }), after: json!({ "peerUrls": to }) };
    }
    let theirs = views.values().find(|urls| *urls != from && *urls != to).cloned().unwrap_or_default();
    let sentence = format!(
        "somebody else changed the peerURL of {pod} ({id}): it was {}, this run sets {}, and now it is {} (PD keeps no record of who changed it)",
        from.join(", "),
        to.join(", "),
        if theirs.is_empty() { "not the same in every PD pod".to_owned() } else { theirs.join(", ") }
    );
    let before = expected.cloned().unwrap_or_else(|| json!({ "peerUrls": from }));
    Judged::Foreign { sentence, before, ours: json!({ "peerUrls": to }), theirs: json!({ "peerUrls": theirs }) }
}
