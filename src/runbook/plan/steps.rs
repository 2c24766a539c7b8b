//! The steps of a plan: each phase with its for-each, and every step with its before and after.
//!
//! Pure. Not here: the plan as a whole ([`super::bind`]), what is asked before a step ([`super::step_confirmation`]), the types ([`super`]).

use serde_json::json;

use crate::fleet::pd::MembershipApi;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{ObjectRef, rollout};
use crate::runbook::actions::Action;
use crate::runbook::actions::change_allowlist::unfamiliar;
use crate::runbook::actions::judge_types::{Judged, judge};
use crate::runbook::actions::merge_patch;
use crate::runbook::actions::{CreateObject, DeleteObject, PatchTidbCluster, WaitRollout};
use crate::runbook::before_after_image::Image;
use crate::runbook::bind_error::BindError;
use crate::runbook::language::cel_expr::Scope;
use crate::runbook::language::document::{self, ForEach, Phase, Step};
use crate::runbook::plan::fact_evaluation::Facts;
use crate::runbook::plan::step_confirmation::{confirm, typed_gate};
use crate::runbook::plan::{Condition, NeverSeen, PlannedStep, Rehearsal};

/// Field manager shown in a plan; a run puts its id in the place.
pub const FIELD_MANAGER: &str = "tidepilot%2FRUN";

pub(super) fn expand(
    phase: &Phase,
    facts: &Facts<'_>,
    target: &ObjectRef,
    steps: &mut Vec<PlannedStep>,
) -> Result<(), BindError> {
    let at = |why: String| BindError::Step { step: phase.id.clone(), why };
    if let Some(when) = &phase.when
        && !facts.check(when, &Scope::new()).map_err(|why| at(why.into()))?
    {
        return Ok(());
    }
    let items = match &phase.for_each {
        Some(each) => items(each, facts).map_err(at)?,
        None => vec![Item::default()],
    };
    for Item { key, mut env, last } in items {
        for binding in &phase.bindings {
            let value = facts.eval(&binding.value, &env).map_err(|why| at(why.into()))?;
            env.insert(binding.name.clone(), value);
        }
        for step in &phase.steps {
            let applies = step.when.as_ref().map_or(Ok(true), |when| facts.check(when, &env));
            let fail = |why: String| BindError::Step { step: step.id.clone(), why };
            if applies.map_err(|why| fail(why.into()))? {
                let mut planned =
                    concrete(phase, step, key.as_deref(), last.clone(), &env, facts, target).map_err(fail)?;
                if steps.iter().any(|earlier| keeps_open(earlier, &planned.action)) {
                    planned.already_so = false;
                }
                foresee(&mut planned, steps);
                steps.push(planned);
            }
        }
    }
    Ok(())
}

/// One round of a phase: all of it, where it has no `forEach`.
#[derive(Default)]
struct Item {
    key: Option<String>,
    env: Scope,
    last: Option<String>,
}

/// The items of a `forEach` in the predicted order; the engine asks again when the time has come.
fn items(each: &ForEach, facts: &Facts<'_>) -> Result<Vec<Item>, String> {
    let over = facts.eval(&each.over, &Scope::new())?;
    let list = over.as_array().cloned().ok_or_else(|| format!("forEach over {:?} is no list", each.over))?;
    if list.is_empty() && !each.allow_empty {
        return Err(format!("forEach over {:?} found nothing; an empty list is refused", each.over));
    }
    let mut items = Vec::new();
    for item in list {
        let env = Scope::from([(each.name.clone(), item)]);
        let key = facts.eval(&each.key, &env)?;
        let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        let comes_last = match &each.last {
            Some(last) => facts.check(last, &env)?,
            None => false,
        };
        items.push((comes_last, Item { key: Some(key), env, last: each.last.clone() }));
    }
    items.sort_by_key(|(comes_last, _)| *comes_last);
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

/// What a pending step will set in motion has not come to its end yet, however calm it looks now.
fn keeps_open(earlier: &PlannedStep, action: &Action) -> bool {
    let pending = match action {
        Action::WaitRollout(WaitRollout { since: Some(since), .. }) => earlier.id == *since,
        Action::DeleteObject(DeleteObject { target, object_kind, made_by: Some(_), .. }) => {
            matches!(&earlier.action, Action::CreateObject(CreateObject { target: made, object_kind: kind, .. })
                if made == target && kind == object_kind)
        }
        action if action.awaits() => earlier.action.writes(),
        _ => false,
    };
    pending && !earlier.already_so
}

/// What an earlier step of the plan sets is what a later patch of the same field will find.
fn foresee(planned: &mut PlannedStep, earlier: &[PlannedStep]) {
    let Action::PatchTidbCluster(PatchTidbCluster { target, merge, .. }) = &planned.action else { return };
    let wanted = merge_patch::asked(merge);
    let Some(fields) = planned.before.fields_mut() else { return };
    let mut moved = false;
    for step in earlier {
        let Action::PatchTidbCluster(PatchTidbCluster { target: other, merge, .. }) = &step.action else { continue };
        for (path, value) in
            merge_patch::asked(merge).into_iter().filter(|(path, _)| other == target && wanted.contains_key(path))
        {
            moved |= fields.insert(path, value.clone()) != Some(value);
        }
    }
    if moved {
        planned.already_so = json!(fields) == json!(wanted);
        planned.after = Image::of_fields(wanted);
    }
}

fn concrete(
    phase: &Phase,
    step: &Step,
    key: Option<&str>,
    last: Option<String>,
    env: &Scope,
    facts: &Facts<'_>,
    target: &ObjectRef,
) -> Result<PlannedStep, String> {
    let with = facts.fill(&step.with, env)?;
    let action = Action::read(step.action, with, facts.seen).map_err(|bad| bad.to_string())?;
    let cluster = facts.seen.fleet.clusters.get(&action.target().context).ok_or("its KubeCluster is gone")?;
    let tc = facts.seen.fleet.tidb_cluster(action.target());
    // What `WaitRollout` and the URL updates will find is what the patch before them makes, so only "already so"
    // is taken from today's judgement for those.
    let judged = match action.awaits() {
        true => awaited(step, env, facts),
        false => judge(&action, None, None, "", facts.seen),
    };
    let (already_so, before, after) = predicted(&action, judged);
    let pods = tc.map(|tc| rollout::component_pods(cluster, tc, Component::Pd)).unwrap_or_default();
    let api: Option<MembershipApi> =
        pods.iter().filter_map(|pod| cluster.pd.get(&pod.metadata.key())?.answer.as_ref().ok()?.api).next();
    if step.approvers > 1 && !action.writes() {
        return Err("approvers: 2 is for a step that changes something; this one only looks".into());
    }
    let reversibility = action.reversibility();
    let unfamiliar = unfamiliar(&action);
    let id = key.map_or_else(|| step.id.clone(), |key| format!("{}[{key}]", step.id));
    let confirm = match unfamiliar {
        Some(_) => typed_gate(&action, target, &phase.id, &step.id, facts.seen),
        None => confirm(phase, step, &id, &action, target, facts.seen),
    };
    Ok(PlannedStep {
        id,
        phase: phase.id.clone(),
        item: key.map(str::to_owned),
        last,
        title: facts.words(&step.title.en, env)?,
        why: match (step.why.as_ref().map(|why| facts.words(&why.en, env)).transpose()?, unfamiliar) {
            (why, None) => why.unwrap_or_default(),
            (None, Some(unfamiliar)) => format!("Typed: {unfamiliar}."),
            (Some(why), Some(unfamiliar)) => format!("{why} Typed: {unfamiliar}."),
        },
        already_so,
        before,
        after,
        requests: action.requests(FIELD_MANAGER, tc.map_or("", |tc| &tc.metadata.resource_version), api),
        command: action.command(api, tc.is_some_and(TidbCluster::tls)),
        rehearsed: if action.writes() { Rehearsal::Predicted } else { Rehearsal::NotNeeded },
        reversibility,
        confirm,
        approvers: step.approvers,
        invariants: conditions(&phase.invariants),
        between: phase.for_each.as_ref().map(|each| conditions(&each.between)).unwrap_or_default(),
        pre: conditions(&step.pre),
        post: conditions(&step.post),
        until: conditions(&step.until),
        say: step.say.as_ref().map(|say| say.en.clone()),
        never: step
            .never
            .iter()
            .map(|never| NeverSeen { check: never.check.clone(), say: never.say.en.clone() })
            .collect(),
        env: env.clone(),
        total_s: step.timeout.total_s,
        stalled_s: step.timeout.stalled_s,
        action,
    })
}

/// Whether it is so already, what is there, and what will be: as it stands today.
fn predicted(action: &Action, judged: Judged) -> (bool, Image, Image) {
    match judged {
        Judged::Done { evidence } => (true, Image::from(evidence.clone()), Image::from(evidence)),
        Judged::NotDone { before, after } => (false, before, after),
        Judged::Waiting(_) | Judged::Refuse(_) | Judged::Foreign { .. } => match action.kind().images() {
            (Some(before), Some(after)) => (false, before, after),
            // What is in its place now, if anything, will have to be gone by then.
            (None, Some(after)) if action.makes().is_some() => (false, Image::Absent, after),
            (_, _) => (false, Image::Nothing, Image::Nothing),
        },
    }
}

/// Whether what a step waits for holds already.
fn awaited(step: &Step, env: &Scope, facts: &Facts<'_>) -> Judged {
    // Without a condition it is for a person to say.
    let until: Vec<&String> = step.until.iter().map(|until| &until.check).collect();
    match !until.is_empty() && until.iter().all(|until| facts.check(until, env) == Ok(true)) {
        true => Judged::Done { evidence: json!({ "until": until }) },
        false => Judged::NotDone { before: Image::Nothing, after: Image::Until(until.into_iter().cloned().collect()) },
    }
}

/// With their sentences in the language of the document as it was read.
fn conditions(all: &[document::Condition]) -> Vec<Condition> {
    let say = |condition: &document::Condition| condition.say.as_ref().map(|say| say.en.clone());
    all.iter().map(|condition| Condition { check: condition.check.clone(), say: say(condition) }).collect()
}
