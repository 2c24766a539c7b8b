//! What is asked before a step of a plan: nothing, a plain yes, or the typed name of what is changed; and when a short name will do.
//!
//! Pure. Not here: which changes are not known well enough for a plain yes ([`crate::runbook::actions::change_allowlist`]), the questions of a run
//! ([`crate::runbook::run`]).

use crate::fleet::object_kind::ObjectKind;
use crate::fleet::workload::Pod;
use crate::fleet::{Fleet, KubeCluster, ObjectRef};
use crate::runbook::Observation;
use crate::runbook::action_types::Reversibility;
use crate::runbook::actions::{Action, CreateObject, DeleteObject, PatchTidbCluster};
use crate::runbook::language::document::{ConfirmAsked, Phase, Step};
use crate::runbook::plan::Confirm;

/// What a person is asked before a step of a kind that is known here. `id`: the step's with its item.
pub(super) fn confirm(
    phase: &Phase,
    step: &Step,
    id: &str,
    action: &Action,
    target: &ObjectRef,
    seen: &Observation,
) -> Confirm {
    let plain = |name: &str| Confirm::Plain { gate: format!("{}/{name}", phase.id) };
    match (step.confirm, action.reversibility()) {
        (ConfirmAsked::Typed, _) | (_, Reversibility::Irreversible) => {
            typed_gate(action, target, &phase.id, &step.id, seen)
        }
        (ConfirmAsked::OncePerPhase, _) => plain("all"),
        (ConfirmAsked::Once, _) => plain(&step.id),
        // Whoever let the run make it has let it clean up.
        (ConfirmAsked::None, Reversibility::Compensable)
            if matches!(action, Action::DeleteObject(DeleteObject { made_by: Some(_), .. })) =>
        {
            Confirm::None
        }
        (ConfirmAsked::None, Reversibility::Compensable) => plain(&step.id),
        // What a person is to do, a person has to be asked for.
        (ConfirmAsked::None, Reversibility::Free) if matches!(action, Action::Manual(_)) => plain(id),
        (ConfirmAsked::None, Reversibility::Free) => Confirm::None,
    }
}

/// The gate that asks for the name of what is changed.
pub(super) fn typed_gate(action: &Action, target: &ObjectRef, phase: &str, step: &str, seen: &Observation) -> Confirm {
    // A TidbCluster that is made, changed or deleted is named itself; else the run's is.
    let named = match action {
        Action::CreateObject(CreateObject { target: own, object_kind: ObjectKind::TidbCluster, .. })
        | Action::DeleteObject(DeleteObject { target: own, object_kind: ObjectKind::TidbCluster, .. })
        | Action::PatchTidbCluster(PatchTidbCluster { target: own, .. }) => own,
        // Of one pod its own name: that of its TidbCluster would be the same for one and for all.
        Action::DeleteObject(DeleteObject { target: own, object_kind: ObjectKind::Pod, made_by: None, .. }) => {
            let short = pod_alone(&seen.fleet, own).then(|| own.name.clone());
            return Confirm::Typed { gate: format!("{phase}/{step}@{own}"), text: own.to_string(), short };
        }
        _ => target,
    };
    // One gate for each TidbCluster that is changed: whoever types a name has agreed to that one.
    let gate = if named == target { format!("{phase}/{step}") } else { format!("{phase}/{step}@{named}") };
    Confirm::Typed { gate, text: named.to_string(), short: alone(&seen.fleet, named).then(|| named.name.clone()) }
}

/// Whether no other TidbCluster in any connected context has this one's name. One that is seen through two contexts is one.
fn alone(fleet: &Fleet, named: &ObjectRef) -> bool {
    let uid = fleet.tidb_cluster(named).map(|tc| &tc.metadata.uid);
    let namesakes = fleet.tidb_clusters().filter(|(of, _)| of.name == named.name && of != named);
    namesakes.into_iter().all(|(_, tc)| !tc.metadata.uid.is_empty() && Some(&tc.metadata.uid) == uid)
}

/// Whether no other pod in any connected context has this one's name. One that is seen through two contexts is one.
fn pod_alone(fleet: &Fleet, named: &ObjectRef) -> bool {
    let all = || fleet.clusters.values().flat_map(|cluster| cluster.pods.values().map(move |pod| (cluster, pod)));
    let same = |(cluster, pod): &(&KubeCluster, &Pod)| {
        cluster.context == named.context && pod.metadata.namespace == named.namespace
    };
    let mut namesakes = all().filter(|(_, pod)| pod.metadata.name == named.name);
    let uid = all().filter(same).find(|(_, pod)| pod.metadata.name == named.name).map(|(_, pod)| &pod.metadata.uid);
    namesakes.all(|one| same(&one) || (!one.1.metadata.uid.is_empty() && Some(&one.1.metadata.uid) == uid))
}
