//! What one look proves against a run: an object that it works on is gone, or a field that it has set was changed by
//! somebody else. Neither becomes right by waiting, whatever step the run is at.
//!
//! Pure. Not here: what belongs to the step under way ([`crate::runbook::actions::judge_types`]), another object under the known name and what
//! has to hold all through a phase ([`crate::runbook::run::write_guards`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::fleet::managed_fields::last_writer_of_fields;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::{Crd, Fleet, ObjectRef};
use crate::runbook::Observation;
use crate::runbook::actions::Action;
use crate::runbook::actions::judge_types::shown;
use crate::runbook::actions::merge_patch;
use crate::runbook::actions::{CreateObject, DeleteObject, PatchTidbCluster};
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::PlannedStep;
use crate::runbook::run::engine::{Run, StepState};
use crate::runbook::run::record::{How, PauseReason};

/// What somebody else made of fields that a completed step had set.
pub(in crate::runbook) struct Overtaken<'a> {
    /// The step that had set them.
    pub step: &'a PlannedStep,
    pub sentence: String,
    pub before: Image,
    pub ours: Image,
    pub theirs: Image,
}

/// TidbClusters of a list that is whole, and that are not in it.
pub fn missing<'a>(needed: &'a BTreeSet<ObjectRef>, fleet: &Fleet) -> Option<&'a ObjectRef> {
    needed.iter().find(|of| {
        fleet
            .clusters
            .get(&of.context)
            .is_some_and(|cluster| cluster.freshness.is_live() && !cluster.tidb_clusters.contains_key(&of.key()))
    })
}

pub fn namespace_of(of: &ObjectRef) -> ObjectId {
    ObjectId::new(ObjectKind::Namespace, &ObjectRef::new(&of.context, "", &of.namespace))
}

/// What a sentence of [`gone_sentence`] has, and none of another object under the same name.
const GONE: &str = " is gone: ";

/// Whether a stop with the cause `OtherObject` says that the object is gone, and not that it was made anew. A record has one
/// cause for both, and an earlier version refuses one with a field or a cause that it does not know
/// ([`crate::runbook::run::unknown_record_fields`]): so the sentence is read back, here and nowhere else.
pub(in crate::runbook) fn says_gone(reason: &PauseReason) -> bool {
    reason.sentence().contains(GONE)
}

/// That it is gone, with what went along with it, as one sentence. A list that answers without it is proof.
pub fn gone_sentence(of: &ObjectRef, fleet: &Fleet) -> String {
    let namespace = fleet.sight(&namespace_of(of)).is_some_and(|sight| matches!(sight, Lookup::Absent));
    let kind = fleet.clusters.get(&of.context).is_some_and(|cluster| matches!(cluster.crd, Crd::Missing));
    let along = match (kind, namespace) {
        (true, _) => format!(", and context {} serves no TidbClusters any more", of.context),
        (false, true) => format!(", and so is its namespace {}", of.namespace),
        (false, false) => String::new(),
    };
    format!(
        "TidbCluster {of}{GONE}it was deleted{along}; the API server keeps no record of who did it (its audit log may). This run cannot go on: abandon it, and plan anew once there is something to plan for"
    )
}

impl Run {
    /// The TidbClusters without which this run cannot go on: those of the plan that it changes, and those that it made. Not
    /// one that it deletes, or is about to.
    pub fn needed(&self) -> BTreeSet<ObjectRef> {
        let deletes = |of: &ObjectRef| {
            self.steps().iter().any(|step| {
                let own = matches!(&step.action, Action::DeleteObject(DeleteObject { target, object_kind: ObjectKind::TidbCluster, .. }) if target == of);
                let begun = *self.state(&step.id) != StepState::Pending;
                own && (self.undoing().is_some() || begun || self.under_way().is_some_and(|now| now.id == step.id))
            })
        };
        let makes = |of: &ObjectRef| {
            self.plan.steps.iter().find(|step| {
                matches!(&step.action, Action::CreateObject(CreateObject { target, object_kind: ObjectKind::TidbCluster, .. }) if target == of)
            })
        };
        let there = |step: &PlannedStep| match self.state(&step.id) {
            StepState::Completed(how) => !matches!(how, How::Skipped { .. }),
            StepState::Pending | StepState::Open { .. } => false,
        };
        let named = self.plan.steps.iter().filter_map(|step| {
            let own = matches!(
                &step.action,
                Action::PatchTidbCluster(_)
                    | Action::CreateObject(CreateObject { object_kind: ObjectKind::TidbCluster, .. })
            );
            own.then(|| step.action.target().clone())
        });
        named.filter(|of| !deletes(of) && makes(of).is_none_or(there)).collect()
    }

    /// One that is gone, as a sentence.
    pub(in crate::runbook) fn vanished(&self, seen: &Observation) -> Option<String> {
        missing(&self.needed(), &seen.fleet).map(|of| gone_sentence(of, &seen.fleet))
    }

    /// What has to be asked to tell what went along with it.
    pub(in crate::runbook) fn asked_of_the_gone(&self, seen: &Observation) -> Option<ObjectId> {
        missing(&self.needed(), &seen.fleet).map(namespace_of)
    }

    /// A field that this run has set and that is another one now, though no later step of it had to do with that. `step`:
    /// the one under way, which judges its own fields itself.
    pub(in crate::runbook) fn overtaken<'a>(&'a self, step: &PlannedStep, seen: &Observation) -> Option<Overtaken<'a>> {
        let mut holders: BTreeMap<(&ObjectRef, String), Option<&'a PlannedStep>> = BTreeMap::new();
        for set in self.steps() {
            let Action::PatchTidbCluster(PatchTidbCluster { target, merge, .. }) = &set.action else { continue };
            let holder = match self.state(&set.id) {
                _ if set.id == step.id => None,
                StepState::Completed(How::Skipped { .. }) | StepState::Pending => continue,
                StepState::Open { .. } => None,
                StepState::Completed(_) => Some(set),
            };
            for (at, _) in merge_patch::leaves(merge) {
                holders.insert((target, at), holder);
            }
        }
        for ((target, at), holder) in &holders {
            let Some(set) = holder else { continue };
            let Action::PatchTidbCluster(PatchTidbCluster { uid, merge, .. }) = &set.action else { continue };
            let live = seen.fleet.clusters.get(&target.context).is_some_and(|cluster| cluster.freshness.is_live());
            let Some(tc) = seen.fleet.tidb_cluster(target).filter(|tc| live && tc.metadata.uid == *uid) else {
                continue;
            };
            let Ok(object) = serde_json::to_value(tc) else { continue };
            let Some(lost) = merge_patch::lost(merge, &object, at) else { continue };
            let image = self.images().get(&set.id).unwrap_or(&set.before);
            let before = image.subject();
            let who = last_writer_of_fields(tc, &[&lost.name]).map_or_else(String::new, |who| format!(" ({who})"));
            let sentence = format!(
                "somebody else changed TidbCluster {target} after {} had set it: {} was {}, this run set {}, and now it is {}{who}",
                set.id,
                lost.name,
                shown(before.get(&lost.name)),
                shown(Some(lost.asked)),
                shown(Some(&lost.found)),
            );
            let ours = Image::from(json!(merge_patch::asked(merge)));
            let theirs = Image::from(json!(merge_patch::found(merge, &object)));
            let before = Image::from(before);
            return Some(Overtaken { step: set, sentence, before, ours, theirs });
        }
        None
    }
}
