//! Looks at the world for one action: is it done, still to do, or has somebody else been here?
//!
//! Here: the answers, and what several actions look with; each judges itself in its own file ([`crate::runbook::actions`]). The same judgement serves before the first attempt, after an answer, and after a crash or a lost answer. It only
//! looks; it decides nothing about order, gates or time ([`crate::runbook::run::engine`]). Built-in conditions here hold whatever
//! a document says.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fleet::database::parts_of;
use crate::fleet::object_kind::{Lookup, ObjectId};
use crate::fleet::pd::{MemberId, PdAnswer};
use crate::fleet::rollout::component_pods;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{KubeCluster, ObjectRef};
use crate::pluralize::{counted, is};
use crate::runbook::Observation;
use crate::runbook::actions::Action;
use crate::runbook::before_after_image::Image;

/// What an action's object looks like now.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// As the action wants it; with what was seen.
    Done { evidence: Value },
    /// Still to do.
    NotDone { before: Image, after: Image },
    /// Cannot be decided yet; one sentence.
    Waiting(String),
    /// Must not be done; one sentence.
    Refuse(String),
    /// Neither as it was before our intent nor as we want it: somebody else changed it.
    Foreign { sentence: String, before: Image, ours: Image, theirs: Image },
}

/// What an action is judged by.
pub(in crate::runbook) struct Look<'a> {
    /// The before-image that the world must still show if the action is not done: that of an open Intent, else the
    /// plan's. What is neither so nor as wanted is foreign.
    pub expected: Option<&'a Image>,
    /// The before-image of the step which a wait refers to.
    pub started: Option<&'a Image>,
    /// Whose action it is; empty before there is a run.
    pub run: &'a str,
    pub seen: &'a Observation,
}

/// Judges an action; see [`Look`] for what it is judged by.
pub fn judge(
    action: &Action,
    expected: Option<&Image>,
    started: Option<&Image>,
    run: &str,
    seen: &Observation,
) -> Judged {
    action.kind().judge(&Look { expected, started, run, seen })
}

impl<'a> Look<'a> {
    /// The TidbCluster with its KubeCluster, or why nothing can be said.
    pub fn locate(&self, target: &ObjectRef) -> Result<(&'a KubeCluster, &'a TidbCluster), Judged> {
        let cluster = self.live(&target.context)?;
        match cluster.tidb_clusters.get(&target.key()) {
            Some(tc) => Ok((cluster, tc)),
            None => Err(Judged::Refuse(format!("TidbCluster {target} is gone"))),
        }
    }

    /// What the look saw at an object's place, or why nothing can be said.
    pub fn sight(&self, id: &ObjectId) -> Result<&'a Lookup, Judged> {
        self.live(&id.context)?;
        match self.seen.fleet.sight(id) {
            Some(Lookup::Unseen(why)) => Err(Judged::Waiting(format!("{id} cannot be read: {why}"))),
            None => Err(Judged::Waiting(format!("{id} was not looked at"))),
            Some(sight) => Ok(sight),
        }
    }

    /// Of an action that its step's own conditions decide ([`crate::runbook::run::engine`]).
    pub fn by_until(&self, target: &ObjectRef) -> Judged {
        match self.locate(target) {
            Ok(_) => Judged::Refuse("this action has nothing that could be looked at here".into()),
            Err(judged) => judged,
        }
    }

    fn live(&self, context: &str) -> Result<&'a KubeCluster, Judged> {
        let Some(cluster) = self.seen.fleet.clusters.get(context) else {
            return Err(Judged::Refuse(format!("context {context} is not connected")));
        };
        if !cluster.freshness.is_live() {
            let why = cluster.message.as_deref().unwrap_or("no answer");
            return Err(Judged::Waiting(format!("KubeCluster {context} is {}: {why}", cluster.freshness.word())));
        }
        Ok(cluster)
    }
}

pub(in crate::runbook) fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// A value for people; what is not there is said to be so.
pub(in crate::runbook) fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The PD pods of the whole Database with their answers, wherever they run. One of another TidbCluster is named in full.
fn pd_pods<'a>(target: &ObjectRef, seen: &'a Observation) -> BTreeMap<String, Option<&'a PdAnswer>> {
    let all = parts_of(&seen.fleet, target);
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

pub(in crate::runbook) fn pd_answers<'a>(target: &ObjectRef, seen: &'a Observation) -> BTreeMap<String, &'a PdAnswer> {
    pd_pods(target, seen).into_iter().filter_map(|(pod, answer)| Some((pod, answer?))).collect()
}

/// The peerURLs of one member as each PD pod of the Database lists them. At least two pods have to answer where
/// there are two: one pod's list is only its own.
pub(in crate::runbook) fn views_of(
    id: MemberId,
    target: &ObjectRef,
    seen: &Observation,
) -> Result<BTreeMap<String, Vec<String>>, String> {
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

#[cfg(test)]
pub(in crate::runbook) mod tests {
    use super::*;
    use crate::fleet::object_kind::ObjectKind;
    use crate::fleet::{Change, Fleet, Freshness, What};
    use crate::runbook::actions::ActionKind;

    /// A world with one live KubeCluster `a`, in which one place was looked at.
    pub(in crate::runbook) fn observation(kind: ObjectKind, name: &str, sight: Lookup) -> Observation {
        let mut fleet = Fleet::default();
        let mut say = |what| fleet.apply(Change { context: "a".into(), at: jiff::Timestamp::UNIX_EPOCH, what });
        say(What::Connection { freshness: Freshness::Live, message: None });
        let (kind, key) = ObjectId::new(kind, &ObjectRef::new("a", "db", name)).key();
        say(What::Object { kind, key, sight: Box::new(sight) });
        Observation { at: jiff::Timestamp::UNIX_EPOCH, fleet, denied: None }
    }

    /// How an action of a run is judged there, as a word.
    pub(in crate::runbook) fn judged(action: &dyn ActionKind, run: &str, seen: &Observation) -> &'static str {
        match action.judge(&Look { expected: None, started: None, run, seen }) {
            Judged::Done { .. } => "done",
            Judged::NotDone { .. } => "not done",
            Judged::Waiting(_) => "waiting",
            Judged::Refuse(_) => "refuse",
            Judged::Foreign { .. } => "foreign",
        }
    }
}
