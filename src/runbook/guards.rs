//! What keeps an effect from leaving, whatever step it belongs to: another object under the known name, a broken
//! invariant, what has to hold between two items, and an undo that would set something else than was recorded.
//!
//! Pure, as the engine is; what belongs to one step (its action, `pre`, gates, attempts) is in [`super::engine`].

use serde_json::json;

use jiff::Timestamp;

use super::Observation;
use super::action::Action;
use super::bind::Facts;
use super::engine::{Effect, POLL_S, Run};
use super::plan::PlannedStep;
use super::undo::undone;
use crate::fleet::database::database_of;

/// How long an invariant may be seen broken before the run pauses; no effect leaves meanwhile. One look can catch a
/// PD between two heartbeats, so a single one does not end a run.
const BREACH_S: u64 = 30;

impl Run {
    /// A context that now leads to another Kubernetes cluster than when the plan was made (hazard 66).
    pub(super) fn moved_cluster(&self, seen: &Observation) -> Option<String> {
        self.plan.kube_clusters.iter().find_map(|(context, uid)| {
            let found = seen.fleet.clusters.get(context)?.uid.as_ref()?;
            (found != uid).then(|| {
                format!(
                    "context {context} is another Kubernetes cluster now: expected kube-system uid {uid}, found {found}"
                )
            })
        })
    }

    /// A context that does not say which Kubernetes cluster it is cannot be written to.
    pub(super) fn unknown_cluster(&self, seen: &Observation) -> Option<String> {
        let silent = |context: &&String| seen.fleet.clusters.get(*context).is_none_or(|cluster| cluster.uid.is_none());
        self.plan.kube_clusters.keys().find(silent).map(|context| {
            format!("context {context} does not tell which Kubernetes cluster it is (the uid of namespace kube-system)")
        })
    }

    /// PD's cluster id is another one than when the plan was made: this is not the same Database.
    pub(super) fn other_database(&self, seen: &Observation) -> Option<String> {
        let planned = self.plan.database.as_ref()?;
        let found = database_of(&seen.fleet, &self.plan.target)?.id?;
        (found != *planned).then(|| {
            format!("this is another Database now: expected PD cluster id {planned}, found {found}; plan again")
        })
    }

    /// The target under its name, but not the object that the plan was made for: deleted and created anew.
    pub(super) fn other_object(&self, seen: &Observation) -> Option<String> {
        self.plan.steps.iter().find_map(|step| {
            let Action::PatchTidbCluster { target, uid, .. } = &step.action else { return None };
            let found = &seen.fleet.tidb_cluster(target)?.metadata.uid;
            (found != uid).then(|| {
                format!(
                    "TidbCluster {target} is not the one of the plan: expected uid {uid}, found {found}; plan again"
                )
            })
        })
    }

    /// An invariant of the step's phase that does not hold, or cannot be seen to hold. Also for a step of the way
    /// back: what it goes back through is no less in need of it.
    pub(super) fn breach(&self, step: &PlannedStep, facts: &Facts<'_>, now: Timestamp) -> Option<Vec<Effect>> {
        step.invariants.iter().find_map(|invariant| match facts.check(invariant, &step.env) {
            Ok(true) => None,
            Ok(false) => {
                let sentence =
                    format!("nothing is sent: {invariant} must hold all through {} and does not", step.phase);
                Some(vec![Effect::Wait { seconds: POLL_S, sentence, stalled_s: BREACH_S.min(step.stalled_s) }])
            }
            Err(why) => Some(self.wait(step, format!("cannot see whether {invariant} holds: {why}"), now)),
        })
    }

    /// What has to hold between two items of a for-each, when this step would begin another one.
    pub(super) fn not_between(&self, step: &PlannedStep, facts: &Facts<'_>) -> Option<String> {
        let begun = |item: &Option<String>| item.as_ref().is_some_and(|item| self.begun.contains(item));
        let after_another = self.steps().iter().any(|other| other.phase == step.phase && begun(&other.item));
        if begun(&step.item) || !after_another {
            return None;
        }
        step.between.iter().find_map(|between| match facts.check(between, &step.env) {
            Ok(true) => None,
            Ok(false) => Some(format!("before the next one: {between} does not hold")),
            Err(why) => Some(format!("before the next one: {why}")),
        })
    }

    /// What a peerURL is put back to must be what an Intent of this run recorded.
    pub(super) fn is_recorded(&self, step: &PlannedStep) -> bool {
        match &step.action {
            Action::UpdatePeerUrl { restores: true, to, .. } => undone(&step.id)
                .and_then(|of| self.images().get(of))
                .and_then(|image| image.get("peerUrls"))
                .is_some_and(|recorded| *recorded == json!(to)),
            Action::UpdatePeerUrl { .. }
            | Action::PatchTidbCluster { .. }
            | Action::WaitRollout { .. }
            | Action::ProbePeerUrl { .. }
            | Action::CreateObject { .. }
            | Action::DeleteObject { .. }
            | Action::CopySecret { .. }
            | Action::IssueCa { .. }
            | Action::IssueCertificate { .. }
            | Action::TransferPdLeader { .. }
            | Action::RemovePdMember { .. }
            | Action::NetProbe { .. }
            | Action::Await { .. }
            | Action::Manual { .. } => true,
        }
    }
}
