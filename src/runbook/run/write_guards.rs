//! What keeps an effect from leaving, whatever step it belongs to: another object under the known name, a broken
//! invariant, what has to hold between two items, and an undo that would set something else than was recorded.
//!
//! Pure, as the engine is; what belongs to one step (its action, `pre`, gates, attempts) is in [`crate::runbook::run::engine`].

use jiff::Timestamp;

use crate::fleet::Freshness;
use crate::fleet::database::database_of;
use crate::runbook::Observation;
use crate::runbook::actions::Action;
use crate::runbook::actions::{PatchTidbCluster, UpdatePeerUrl};
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::PlannedStep;
use crate::runbook::plan::fact_evaluation::Facts;
use crate::runbook::run::condition_last_writer;
use crate::runbook::run::engine::{About, Effect, POLL_S, Run};
use crate::runbook::run::undo::undone;

/// How long an invariant may be seen broken before the run pauses; no effect leaves meanwhile. One look can catch a
/// PD between two heartbeats, so a single one does not end a run.
const BREACH_S: u64 = 30;
/// How long an API server may be away before the run pauses: longer than an upgrade of a control plane takes. The run
/// resumes where it was.
const AWAY_S: u64 = 900;

impl Run {
    /// A context that now leads to another Kubernetes cluster than when the plan was made (hazard 66).
    pub(in crate::runbook) fn moved_cluster(&self, seen: &Observation) -> Option<String> {
        self.plan.kube_clusters.iter().find_map(|(context, uid)| {
            let found = seen.fleet.clusters.get(context)?.uid.as_ref()?;
            (found != uid).then(|| {
                format!(
                    "context {context} is another Kubernetes cluster now: expected kube-system uid {uid}, found {found}"
                )
            })
        })
    }

    /// A context that does not answer, or does not say which Kubernetes cluster it is, cannot be written to.
    pub(in crate::runbook) fn unknown_cluster(
        &self,
        step: &PlannedStep,
        seen: &Observation,
        now: Timestamp,
    ) -> Option<Vec<Effect>> {
        self.plan.kube_clusters.keys().find_map(|context| {
            let Some(cluster) = seen.fleet.clusters.get(context) else {
                let sentence = format!("context {context} is not connected: it is not in the kubeconfig, or not chosen");
                return Some(self.wait_about(step, About::Connection, sentence, AWAY_S, now));
            };
            if cluster.uid.is_some() {
                return None;
            }
            let told = cluster.message.as_deref().unwrap_or("no answer");
            Some(match cluster.freshness {
                Freshness::Live | Freshness::Forbidden => {
                    let sentence = format!(
                        "context {context} does not tell which Kubernetes cluster it is: grant get on namespace kube-system, whose uid the run is bound to"
                    );
                    self.wait(step, sentence, now)
                }
                Freshness::AuthNeeded => {
                    let sentence = format!("{context} does not let us in: {told}");
                    self.wait_about(step, About::Connection, sentence, AWAY_S, now)
                }
                Freshness::Unreachable | Freshness::Stale { .. } | Freshness::NeverSeen => {
                    let sentence = format!("{context} does not answer: {told}");
                    self.wait_about(step, About::Connection, sentence, AWAY_S, now)
                }
            })
        })
    }

    /// PD's cluster id is another one than when the plan was made: this is not the same Database.
    pub(in crate::runbook) fn other_database(&self, seen: &Observation) -> Option<String> {
        let planned = self.plan.database.as_ref()?;
        let found = database_of(&seen.fleet, &self.plan.target)?.id?;
        (found != *planned).then(|| {
            format!("this is another Database now: expected PD cluster id {planned}, found {found}; plan again")
        })
    }

    /// The target under its name, but not the object that the plan was made for: deleted and created anew.
    pub(in crate::runbook) fn other_object(&self, seen: &Observation) -> Option<String> {
        self.plan.steps.iter().find_map(|step| {
            let Action::PatchTidbCluster(PatchTidbCluster { target, uid, .. }) = &step.action else { return None };
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
    pub(in crate::runbook) fn breach(
        &self,
        step: &PlannedStep,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Option<Vec<Effect>> {
        step.invariants.iter().find_map(|invariant| match facts.check(&invariant.check, &step.env) {
            Ok(true) => None,
            Ok(false) => {
                let who = condition_last_writer::of_check(facts, &invariant.check, &self.plan.target);
                let who = who.map_or_else(String::new, |who| format!(" ({who})"));
                let sentence = format!("nothing is sent: {}{who}", facts.told(invariant, &step.env));
                let (about, stalled_s) = (About::Invariant, BREACH_S.min(step.stalled_s));
                Some(vec![Effect::Wait { seconds: POLL_S, sentence, stalled_s, about }])
            }
            Err(why) => {
                let sentence = format!("whether {} may go on cannot be seen: {why}", step.id);
                Some(self.wait(step, sentence, now))
            }
        })
    }

    /// What has to hold between two items of a for-each, when this step would begin another one.
    pub(in crate::runbook) fn not_between(&self, step: &PlannedStep, facts: &Facts<'_>) -> Option<String> {
        let begun = |item: &Option<String>| item.as_ref().is_some_and(|item| self.begun.contains(item));
        let after_another = self.steps().iter().any(|other| other.phase == step.phase && begun(&other.item));
        if begun(&step.item) || !after_another {
            return None;
        }
        step.between.iter().find_map(|between| match facts.check(&between.check, &step.env) {
            Ok(true) => None,
            Ok(false) => Some(format!("before the next one: {}", facts.told(between, &step.env))),
            Err(why) => Some(format!("before the next one: {why}")),
        })
    }

    /// What a peerURL is put back to must be what an Intent of this run recorded.
    pub(in crate::runbook) fn is_recorded(&self, step: &PlannedStep) -> bool {
        let Action::UpdatePeerUrl(UpdatePeerUrl { restores: true, to, .. }) = &step.action else { return true };
        let image = undone(&step.id).and_then(|of| self.images().get(of));
        image.and_then(Image::peer_urls).is_some_and(|recorded| recorded == *to)
    }
}
