//! A planned step as its action has it: what it sends, changes and can have back, made anew and not read.
//!
//! A plan that comes from a cluster says in words of its own what each step does, and whoever may write its record can
//! change them. Who takes a run over, and who approves a step of one, is shown what follows from the action, which is
//! what is sent. Pure. Not here: whether the document is known ([`super::provenance`]), printing (`report`).

use serde_json::json;

use super::action::Action;
use super::bind::FIELD_MANAGER;
use super::merge::asked;
use super::plan::PlannedStep;
use crate::fleet::object::ObjectId;
use crate::fleet::pd::MembershipApi;

/// One step: everything but its title, its reason and what it waits for.
pub fn step(step: &PlannedStep) -> PlannedStep {
    let mut step = step.clone();
    let api = step.requests.iter().find_map(|request| match request.path.as_str() {
        path if path.starts_with("/v2/members") => Some(MembershipApi::V2),
        path if path.starts_with("/v3/cluster") => Some(MembershipApi::V3),
        _ => None,
    });
    step.requests = step.action.requests(FIELD_MANAGER, "", api);
    step.reversibility = step.action.reversibility();
    match &step.action {
        Action::PatchTidbCluster { merge, .. } => step.after = json!({ "fields": asked(merge) }),
        Action::UpdatePeerUrl { from, to, .. } => {
            (step.before, step.after) = (json!({ "peerUrls": from }), json!({ "peerUrls": to }));
        }
        Action::CreateObject { object, .. } => step.after = json!({ "object": object }),
        Action::WaitRollout { .. }
        | Action::ProbePeerUrl { .. }
        | Action::DeleteObject { .. }
        | Action::CopySecret { .. }
        | Action::IssueCa { .. }
        | Action::IssueCertificate { .. }
        | Action::TransferPdLeader { .. }
        | Action::RemovePdMember { .. }
        | Action::NetProbe { .. }
        | Action::Await { .. }
        | Action::Manual { .. } => {}
    }
    step
}

/// What an action does, in a few words of this version's own: never a document's.
pub fn deed(action: &Action) -> String {
    match action {
        Action::PatchTidbCluster { target, .. } => format!("changes TidbCluster {target}"),
        Action::UpdatePeerUrl { target, id, pod, .. } => {
            format!("sets the peerURLs of PD member {} (pod {pod}) of {target}", id.hex())
        }
        Action::CreateObject { target, object_kind, .. } => format!("creates {}", ObjectId::new(*object_kind, target)),
        Action::DeleteObject { target, object_kind, .. } => format!("deletes {}", ObjectId::new(*object_kind, target)),
        Action::CopySecret { from, target, keys } => {
            format!("copies {} of Secret {from} to Secret {target}", keys.join(", "))
        }
        Action::IssueCa { target, .. } => format!("makes a CA in Secret {target}"),
        Action::IssueCertificate { target, replaces: None, .. } => format!("makes a certificate in Secret {target}"),
        Action::IssueCertificate { target, replaces: Some(_), .. } => {
            format!("replaces the certificate in Secret {target}")
        }
        Action::TransferPdLeader { target, to } => format!("asks PD of {target} to hand its lead to {to}"),
        Action::RemovePdMember { target, id } => format!("removes PD member {} of {target}", id.hex()),
        Action::WaitRollout { target, .. } | Action::Await { target } => format!("waits for {target}"),
        Action::ProbePeerUrl { target, .. } | Action::NetProbe { target, .. } => format!("looks around {target}"),
        Action::Manual { target, .. } => format!("asks a person to do something on {target}"),
    }
}
