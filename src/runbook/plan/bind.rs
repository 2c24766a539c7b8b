//! Binds a runbook to its inputs and to one observation: the plan, with every step concrete.
//!
//! Here: reading inputs, preflight, expanding for-each, before and after of each step. Pure; the server's dry run of
//! a patch is put in afterwards by the driver. Not here: types of the plan ([`crate::runbook::plan`]).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fleet::extras::{Extra, Extras};
use crate::fleet::object::{ObjectId, ObjectKind};
use crate::fleet::pd::MembershipApi;
use crate::fleet::tidbcluster::{Component, TidbCluster};
use crate::fleet::{Fleet, ObjectRef, database, rollout};
use crate::runbook::Observation;
use crate::runbook::action::Reversibility;
use crate::runbook::actions::Action;
use crate::runbook::actions::judge::{Judged, judge};
use crate::runbook::actions::merge;
use crate::runbook::actions::{CreateObject, DeleteObject, PatchTidbCluster, WaitRollout};
pub use crate::runbook::bind_error::BindError;
use crate::runbook::facts::{self, Query};
use crate::runbook::image::Image;
use crate::runbook::language::definition::{self, Check, ConfirmAsked, Fact, Phase, Runbook, Severity, Step};
use crate::runbook::language::expr::{self, Names, Scope};
use crate::runbook::language::inputs::{self, Given};
use crate::runbook::plan::overrule::{self, Accepted};
use crate::runbook::plan::{CheckResult, CheckState, Condition, Confirm, NeverSeen, Plan, PlannedStep, Rehearsal};

/// Field manager shown in a plan; a run puts its id in the place.
pub const FIELD_MANAGER: &str = "tidepilot%2FRUN";

/// Where a document has no sentence for one of its conditions (`runbook lint` asks for it).
const NO_SENTENCE: &str = "a condition of this runbook does not hold; it has no sentence, and `tidepilot runs show -o json` has its expression in the plan";
/// Where the sentence names what cannot be seen.
const NOT_SEEN: &str = "a condition of this runbook does not hold, and not all that its sentence names can be seen";

/// Makes the plan. Steps that stand on what a check has refused are left out of it.
pub fn bind(runbook: &Runbook, given: &BTreeMap<String, String>, seen: &Observation) -> Result<Plan, BindError> {
    bind_accepting(runbook, given, seen, &Accepted::new())
}

/// The same with what a person overrules.
pub fn bind_accepting(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &Observation,
    accepted: &Accepted,
) -> Result<Plan, BindError> {
    plan(runbook, given, seen, accepted, false)
}

/// The same, where every step has to be made whatever the checks say: for linting.
pub(in crate::runbook) fn bind_strictly(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &Observation,
) -> Result<Plan, BindError> {
    plan(runbook, given, seen, &Accepted::new(), true)
}

fn plan(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    seen: &Observation,
    accepted: &Accepted,
    strict: bool,
) -> Result<Plan, BindError> {
    let Given { values: inputs, target, exists, contexts: named } = inputs::read(runbook, given)?;
    // Without the target there is nothing to plan; say so before any check does it less clearly.
    let essential = if exists { Query::TidbCluster } else { Query::KubeCluster };
    facts::fact(essential, &target, seen).map_err(|unseen| BindError::Unseen(unseen.0))?;
    let facts = Facts::new(runbook, &inputs, seen);
    let judged = runbook.preflight.iter().map(|check| overrule::decided(preflight(check, &facts), accepted));
    let mut checks: Vec<CheckResult> = judged.collect();
    overrule::all_used(runbook, &checks, accepted)?;
    let mut steps = Vec::new();
    for phase in &runbook.phases {
        match expand(phase, &facts, &target, &mut steps) {
            Ok(()) => {}
            // What a check has refused is the better reason: a step may well stand on it.
            Err(_) if !strict && checks.iter().any(|check| check.state == CheckState::Refused) => {
                steps.clear();
                break;
            }
            Err(error) => return Err(error),
        }
    }
    checks.extend(steps.iter().filter_map(|step| occupied(step, seen)));
    let database = database::database_of(&seen.fleet, &target);
    let members = database.as_ref().map_or_else(|| vec![target.clone()], |d| d.tidb_clusters.clone());
    let mut contexts: Vec<String> = members.into_iter().map(|member| member.context).collect();
    contexts.extend(named.into_iter().filter(|context| !contexts.contains(context)).collect::<Vec<_>>());
    contexts.dedup();
    let kube_clusters: BTreeMap<String, String> = contexts
        .iter()
        .filter_map(|context| Some((context.clone(), seen.fleet.clusters.get(context)?.uid.clone()?)))
        .collect();
    let nameless: Vec<&str> = contexts.iter().map(String::as_str).filter(|c| !kube_clusters.contains_key(*c)).collect();
    if !nameless.is_empty() {
        let sentence = format!(
            "{} does not tell which Kubernetes cluster it is: grant get on namespace kube-system, whose uid the run is bound to",
            nameless.join(", ")
        );
        checks.push(CheckResult::new("cluster-identity", CheckState::Refused, sentence));
    }
    let mut plan = Plan {
        runbook: runbook.id.clone(),
        runbook_version: runbook.version.clone(),
        runbook_digest: runbook.digest.clone(),
        title: runbook.title.en.clone(),
        experimental: runbook.experimental,
        inputs,
        target,
        kube_clusters,
        database: database.and_then(|database| database.id),
        contexts,
        observed_at: seen.at,
        checks,
        steps,
        basis: BTreeMap::new(),
        document: None,
        sealed: None,
    };
    let hidden = crate::runbook::plan::hidden::check(&plan, seen);
    plan.checks.extend(hidden);
    Ok(plan)
}

/// What stands already where a step would put something else: better said before the first step than at this one.
fn occupied(step: &PlannedStep, seen: &Observation) -> Option<CheckResult> {
    step.action.makes()?;
    let Judged::Foreign { sentence, .. } = judge(&step.action, None, None, "", seen) else { return None };
    Some(CheckResult::new(format!("place-of-{}", step.id), CheckState::Refused, sentence))
}

/// The objects, beside what is listed anyway, that the facts of a runbook are answered from. Where a fact's `when` has no
/// answer, it is looked for.
pub fn objects_of_facts(runbook: &Runbook, inputs: &BTreeMap<String, Value>, seen: &Observation) -> BTreeSet<ObjectId> {
    let facts = Facts::new(runbook, inputs, seen);
    let wanted = runbook.facts.values().filter(|fact| facts.applies(fact) != Ok(false));
    let each = |fact: &Fact| facts.of(fact).ok().map(Of::all).unwrap_or_default();
    wanted.flat_map(|fact| each(fact).into_iter().flat_map(|of| facts::objects(fact.query, &of, &seen.fleet))).collect()
}

/// What a closer look has to read for the facts of a runbook.
pub fn extras_of_facts(runbook: &Runbook) -> Extras {
    runbook.facts.values().flat_map(|fact| facts::extras(fact.query)).copied().collect()
}

/// The TidbClusters whose PD the facts of a runbook ask, there already or not.
pub fn asked_of_pd(runbook: &Runbook, inputs: &BTreeMap<String, Value>, seen: &Observation) -> BTreeSet<ObjectRef> {
    let facts = Facts::new(runbook, inputs, seen);
    let asks = runbook.facts.values().filter(|fact| matches!(fact.query, Query::Membership | Query::Served));
    asks.filter(|fact| facts.applies(fact) != Ok(false))
        .filter_map(|fact| facts.of(fact).ok())
        .flat_map(Of::all)
        .collect()
}

/// The contexts in which the facts of a runbook need an extra.
pub fn contexts_of_extra(
    runbook: &Runbook,
    inputs: &BTreeMap<String, Value>,
    seen: &Observation,
    extra: Extra,
) -> BTreeSet<String> {
    let facts = Facts::new(runbook, inputs, seen);
    let wanted = runbook.facts.values().filter(|fact| facts::extras(fact.query).contains(&extra));
    let wanted = wanted.filter(|fact| facts.applies(fact) != Ok(false));
    wanted.filter_map(|fact| facts.of(fact).ok()).flat_map(Of::all).map(|of| of.context).collect()
}

/// What a fact is about: with several it is a list of as many answers.
#[derive(Deserialize)]
#[serde(untagged)]
pub(in crate::runbook) enum Of {
    One(ObjectRef),
    Several(Vec<ObjectRef>),
}

impl Of {
    pub(in crate::runbook) fn all(self) -> Vec<ObjectRef> {
        match self {
            Of::One(of) => vec![of],
            Of::Several(all) => all,
        }
    }
}

/// Facts of one observation, taken only as far as an expression names them.
pub struct Facts<'a> {
    pub runbook: &'a Runbook,
    pub inputs: &'a BTreeMap<String, Value>,
    pub seen: &'a Observation,
    /// Facts that were named already, by name; all are of this one observation.
    taken: RefCell<BTreeMap<String, Result<expr::Data, String>>>,
}

impl<'a> Facts<'a> {
    pub fn new(runbook: &'a Runbook, inputs: &'a BTreeMap<String, Value>, seen: &'a Observation) -> Self {
        Self { runbook, inputs, seen, taken: RefCell::default() }
    }

    /// What some expressions name: facts and inputs, except where `extra` has the name. A fact which cannot be seen is
    /// an error sentence.
    fn data<'s>(
        &self,
        sources: impl IntoIterator<Item = &'s str>,
        extra: &Scope,
    ) -> Result<Vec<(String, expr::Data)>, String> {
        let mut data: Vec<(String, expr::Data)> = Vec::new();
        for source in sources {
            for name in expr::names(source).map_err(|error| error.to_string())? {
                let known = extra.contains_key(&name) || data.iter().any(|(known, _)| *known == name);
                if !known && (name == "inputs" || self.runbook.facts.contains_key(&name)) {
                    let value = self.taken(&name)?;
                    data.push((name, value));
                }
            }
        }
        Ok(data)
    }

    /// A fact, or the inputs, made once.
    fn taken(&self, name: &str) -> Result<expr::Data, String> {
        if let Some(taken) = self.taken.borrow().get(name) {
            return taken.clone();
        }
        let taken = self.take(name).map(|value| expr::Data::new(&value));
        self.taken.borrow_mut().insert(name.to_owned(), taken.clone());
        taken
    }

    fn take(&self, name: &str) -> Result<Value, String> {
        let Some(fact) = self.runbook.facts.get(name) else { return Ok(json!(self.inputs)) };
        if !self.applies(fact)? {
            return Err(format!("fact {name} is not looked for here: {}", fact.when.as_deref().unwrap_or_default()));
        }
        let of = self.of(fact).map_err(|why| format!("fact {name}: {why}"))?;
        let take = |of: &ObjectRef| facts::fact(fact.query, of, self.seen).map_err(|unseen| unseen.0);
        match of {
            Of::One(of) => take(&of),
            Of::Several(all) => Ok(Value::Array(all.iter().map(take).collect::<Result<_, _>>()?)),
        }
    }

    fn applies(&self, fact: &Fact) -> Result<bool, String> {
        fact.when.as_ref().map_or(Ok(true), |when| self.check(when, &Scope::new()))
    }

    pub(in crate::runbook) fn of(&self, fact: &Fact) -> Result<Of, String> {
        let scope = Scope::from([("inputs".into(), json!(self.inputs))]);
        let of = expr::interpolate(&json!(fact.of), &scope).map_err(|error| error.to_string())?;
        Of::deserialize(of).map_err(|_| "`of` is no TidbCluster and no list of them".to_owned())
    }

    pub fn check(&self, source: &str, extra: &Scope) -> Result<bool, String> {
        let data = self.data([source], extra)?;
        expr::check(source, Names { scope: extra, data: &data }).map_err(|error| error.to_string())
    }

    pub fn eval(&self, source: &str, extra: &Scope) -> Result<Value, String> {
        let data = self.data([source], extra)?;
        expr::eval(source, Names { scope: extra, data: &data }).map_err(|error| error.to_string())
    }

    fn fill(&self, value: &Value, extra: &Scope) -> Result<Value, String> {
        let text = value.to_string().replace("\\\"", "\"");
        let holes = expr::holes(&text).map_err(|error| error.to_string())?;
        let data = self.data(holes.iter().map(String::as_str), extra)?;
        expr::interpolate(value, Names { scope: extra, data: &data }).map_err(|error| error.to_string())
    }

    /// What a person is told of a condition that does not hold: its sentence, and never the expression.
    pub fn told(&self, condition: &Condition, extra: &Scope) -> String {
        match &condition.say {
            Some(say) => self.words(say, extra).unwrap_or_else(|_| NOT_SEEN.to_owned()),
            None => NO_SENTENCE.to_owned(),
        }
    }

    /// A text for people with its `${…}` filled.
    pub fn words(&self, text: &str, extra: &Scope) -> Result<String, String> {
        Ok(match self.fill(&json!(text), extra)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }
}

/// The first preflight check that refuses now. `begun`: the run has sent something, so what it changes itself is not
/// judged any more ([`Check::once`]). `planned`: what was judged for the plan; what a person overruled there does not
/// refuse. Rights are left to the server: they are asked once, for the plan.
pub fn first_refusal(facts: &Facts<'_>, begun: bool, planned: &[CheckResult]) -> Option<CheckResult> {
    let of_rights = |check: &&Check| {
        let fact = |name: &String| facts.runbook.facts.get(name).is_some_and(|fact| fact.query == Query::Rights);
        expr::names(&check.check).is_ok_and(|names| names.iter().any(fact))
    };
    facts
        .runbook
        .preflight
        .iter()
        .filter(|check| !of_rights(check) && (!check.once || !begun))
        .map(|check| preflight(check, facts))
        .find(|result| result.state == CheckState::Refused && !overrule::covers(planned, result))
}

fn preflight(check: &Check, facts: &Facts<'_>) -> CheckResult {
    let none = Scope::new();
    let failed = match check.severity {
        Severity::Refuse => CheckState::Refused,
        Severity::Warn => CheckState::Warning,
    };
    let result = |state, sentence: String| CheckResult::new(&check.id, state, sentence);
    let applies = check.when.as_ref().map_or(Ok(true), |when| facts.check(when, &none));
    match applies.and_then(|applies| if applies { facts.check(&check.check, &none) } else { Ok(true) }) {
        Ok(true) => result(CheckState::Passed, String::new()),
        Ok(false) => match facts.words(&check.fail.en, &none) {
            Ok(sentence) => {
                CheckResult { reading: overrule::may_be(check) && !proven(check, facts), ..result(failed, sentence) }
            }
            Err(why) => result(failed, format!("{} ({why})", check.fail.en)),
        },
        // What cannot be seen refuses, whatever the severity: absent is never fine.
        Err(why) => result(CheckState::Refused, format!("could not be checked: {}", unanswered(&why.to_string()))),
    }
}

/// What lacks, in the words of the objects; the expression behind it, for whoever wrote it.
fn unanswered(why: &str) -> String {
    match why.rsplit_once("No such key: ") {
        Some((asked, field)) => {
            let asked = asked.trim_end_matches(" has no answer: ");
            format!(
                "the field {field:?} is not there or was not returned, and what is not known does not pass ({asked})"
            )
        }
        None => why.to_owned(),
    }
}

/// What cannot be told is taken for proof: only what is known to be a reading is overruled.
fn proven(check: &Check, facts: &Facts<'_>) -> bool {
    check.proven_when.as_ref().is_some_and(|when| facts.check(when, &Scope::new()).unwrap_or(true))
}

fn expand(phase: &Phase, facts: &Facts<'_>, target: &ObjectRef, steps: &mut Vec<PlannedStep>) -> Result<(), BindError> {
    let at = |why: String| BindError::Step { step: phase.id.clone(), why };
    if let Some(when) = &phase.when
        && !facts.check(when, &Scope::new()).map_err(at)?
    {
        return Ok(());
    }
    let mut items = vec![(None, Scope::new(), None)];
    if let Some(each) = &phase.for_each {
        let over = facts.eval(&each.over, &Scope::new()).map_err(at)?;
        let list = over.as_array().cloned().ok_or_else(|| at(format!("forEach over {:?} is no list", each.over)))?;
        if list.is_empty() && !each.allow_empty {
            return Err(at(format!("forEach over {:?} found nothing; an empty list is refused", each.over)));
        }
        items.clear();
        for item in list {
            let mut env = Scope::from([(each.name.clone(), item)]);
            let key = facts.eval(&each.key, &env).map_err(at)?;
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            let last = match &each.last {
                Some(last) => facts.check(last, &env).map_err(at)?,
                None => false,
            };
            env.insert("lastNow".into(), json!(last));
            items.push((Some(key), env, each.last.clone()));
        }
        // The predicted order; the engine asks again when the time has come.
        items.sort_by_key(|(_, env, _)| env["lastNow"] == json!(true));
    }
    for (key, mut env, last) in items {
        env.remove("lastNow");
        for binding in &phase.bindings {
            let value = facts.eval(&binding.value, &env).map_err(at)?;
            env.insert(binding.name.clone(), value);
        }
        for step in &phase.steps {
            let applies = step.when.as_ref().map_or(Ok(true), |when| facts.check(when, &env));
            let fail = |why: String| BindError::Step { step: step.id.clone(), why };
            if applies.map_err(fail)? {
                let mut planned =
                    concrete(phase, step, key.as_deref(), last.clone(), &env, facts, target).map_err(fail)?;
                // What a pending patch will set in motion has not come to its end yet, however calm it looks now.
                let pending = |earlier: &PlannedStep| match &planned.action {
                    Action::WaitRollout(WaitRollout { since: Some(since), .. }) => {
                        earlier.id == *since && !earlier.already_so
                    }
                    Action::DeleteObject(DeleteObject { target, object_kind, made_by: Some(_), .. }) => {
                        let made = matches!(&earlier.action, Action::CreateObject(CreateObject { target: made, object_kind: kind, .. })
                            if made == target && kind == object_kind);
                        made && !earlier.already_so
                    }
                    action if action.awaits() => earlier.action.writes() && !earlier.already_so,
                    _ => false,
                };
                if steps.iter().any(pending) {
                    planned.already_so = false;
                }
                foresee(&mut planned, steps);
                steps.push(planned);
            }
        }
    }
    Ok(())
}

/// What an earlier step of the plan sets is what a later patch of the same field will find.
fn foresee(planned: &mut PlannedStep, earlier: &[PlannedStep]) {
    let Action::PatchTidbCluster(PatchTidbCluster { target, merge, .. }) = &planned.action else { return };
    let wanted = merge::asked(merge);
    let Some(fields) = planned.before.fields_mut() else { return };
    let mut moved = false;
    for step in earlier {
        let Action::PatchTidbCluster(PatchTidbCluster { target: other, merge, .. }) = &step.action else { continue };
        for (path, value) in
            merge::asked(merge).into_iter().filter(|(path, _)| other == target && wanted.contains_key(path))
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
    let action = Action::read(step.action, with, facts.seen)?;
    let cluster = facts.seen.fleet.clusters.get(&action.target().context).ok_or("its KubeCluster is gone")?;
    let tc = facts.seen.fleet.tidb_cluster(action.target());
    // What `WaitRollout` and the URL updates will find is what the patch before them makes, so only "already so"
    // is taken from today's judgement for those.
    let judged = match action.awaits() {
        true => awaited(step, env, facts),
        false => judge(&action, None, None, "", facts.seen),
    };
    let (already_so, before, after) = match judged {
        Judged::Done { evidence } => (true, Image::from(evidence.clone()), Image::from(evidence)),
        Judged::NotDone { before, after } => (false, before, after),
        Judged::Waiting(_) | Judged::Refuse(_) | Judged::Foreign { .. } => match action.kind().images() {
            (Some(before), Some(after)) => (false, before, after),
            // What is in its place now, if anything, will have to be gone by then.
            (None, Some(after)) if action.makes().is_some() => (false, Image::Absent, after),
            (_, _) => (false, Image::Nothing, Image::Nothing),
        },
    };
    let pods = tc.map(|tc| rollout::component_pods(cluster, tc, Component::Pd)).unwrap_or_default();
    let api: Option<MembershipApi> =
        pods.iter().filter_map(|pod| cluster.pd.get(&pod.metadata.key())?.answer.as_ref().ok()?.api).next();
    if step.approvers > 1 && !action.writes() {
        return Err("approvers: 2 is for a step that changes something; this one only looks".into());
    }
    let reversibility = action.reversibility();
    let gate = |name: &str| format!("{}/{name}", phase.id);
    let unfamiliar = crate::runbook::actions::danger::unfamiliar(&action);
    let typed = |action: &Action| typed_gate(action, target, &phase.id, &step.id, facts.seen);
    let confirm = match (step.confirm, reversibility) {
        _ if unfamiliar.is_some() => typed(&action),
        (ConfirmAsked::Typed, _) | (_, Reversibility::Irreversible) => typed(&action),
        (ConfirmAsked::OncePerPhase, _) => Confirm::Plain { gate: gate("all") },
        (ConfirmAsked::Once, _) => Confirm::Plain { gate: gate(&step.id) },
        // Whoever let the run make it has let it clean up.
        (ConfirmAsked::None, Reversibility::Compensable)
            if matches!(&action, Action::DeleteObject(DeleteObject { made_by: Some(_), .. })) =>
        {
            Confirm::None
        }
        (ConfirmAsked::None, Reversibility::Compensable) => Confirm::Plain { gate: gate(&step.id) },
        // What a person is to do, a person has to be asked for.
        (ConfirmAsked::None, Reversibility::Free) if matches!(action, Action::Manual(_)) => Confirm::Plain {
            gate: gate(key.map_or_else(|| step.id.clone(), |key| format!("{}[{key}]", step.id)).as_str()),
        },
        (ConfirmAsked::None, Reversibility::Free) => Confirm::None,
    };
    Ok(PlannedStep {
        id: key.map_or_else(|| step.id.clone(), |key| format!("{}[{key}]", step.id)),
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

/// The gate that asks for the TidbCluster's name.
fn typed_gate(action: &Action, target: &ObjectRef, phase: &str, step: &str, seen: &Observation) -> Confirm {
    // A TidbCluster that is made, changed or deleted is named itself; else the run's is.
    let named = match action {
        Action::CreateObject(CreateObject { target: own, object_kind: ObjectKind::TidbCluster, .. })
        | Action::DeleteObject(DeleteObject { target: own, object_kind: ObjectKind::TidbCluster, .. })
        | Action::PatchTidbCluster(PatchTidbCluster { target: own, .. }) => own,
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
fn conditions(all: &[definition::Condition]) -> Vec<Condition> {
    let say = |condition: &definition::Condition| condition.say.as_ref().map(|say| say.en.clone());
    all.iter().map(|condition| Condition { check: condition.check.clone(), say: say(condition) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::language::sample;

    const TEXT: &str = r#"
runbook: v1
id: x
version: "1"
title: {en: x}
summary: {en: x}
inputs:
  - {name: tidbCluster, type: tidb-cluster, prompt: {en: x}}
facts:
  tc: {query: k8s.tidb-cluster, of: "${inputs.tidbCluster}"}
preflight:
  - {id: once, once: true, check: "false", fail: {en: once}}
  - {id: always, check: "tc.spec.version == 'v8.5.4'", fail: {en: always}}
phases:
  - id: p
    title: {en: x}
    steps:
      - {id: mark, title: {en: x}, action: k8s.patch-tidb-cluster, with: {target: "${inputs.tidbCluster}", merge: {metadata: {annotations: {a.b/c: "1"}}}}, timeout: {totalS: 1, stalledS: 1}}
      - {id: said, title: {en: x}, action: manual, with: {target: "${inputs.tidbCluster}", command: look}, timeout: {totalS: 1, stalledS: 1}}
      - {id: unmark, title: {en: x}, action: k8s.patch-tidb-cluster, with: {target: "${inputs.tidbCluster}", merge: {metadata: {annotations: {a.b/c: null}}}}, timeout: {totalS: 1, stalledS: 1}}
      - {id: other, title: {en: x}, action: k8s.patch-tidb-cluster, with: {target: "${inputs.tidbCluster}", merge: {metadata: {annotations: {d: null}}}}, timeout: {totalS: 1, stalledS: 1}}
"#;

    fn sample() -> (Runbook, BTreeMap<String, String>, Observation) {
        let runbook = Runbook::read("x", TEXT).expect("reads");
        let given = BTreeMap::from([("tidbCluster".to_owned(), sample::TARGET.to_owned())]);
        (runbook, given, sample::observations().swap_remove(0))
    }

    #[test]
    fn a_later_patch_of_a_field_finds_what_an_earlier_one_sets() {
        let (runbook, given, seen) = sample();
        let plan = bind_strictly(&runbook, &given, &seen).expect("binds");
        let step = |id: &str| plan.step(id).expect("it is there");
        // Not set today, and set by the time that its turn comes.
        let unmark = step("unmark");
        assert!(!unmark.already_so);
        assert_eq!(json!(unmark.before)["fields"], json!({"metadata.annotations[a.b/c]": "1"}));
        assert_eq!(json!(unmark.after)["fields"], json!({"metadata.annotations[a.b/c]": null}));
        assert!(step("other").already_so, "a field that no step sets is as it is");
        // What only a person can say is never so already, and always asked.
        let said = step("said");
        assert!(!said.already_so && said.confirm != Confirm::None);
    }

    #[test]
    fn what_the_run_changes_itself_is_not_judged_after_it_has_begun() {
        let (runbook, given, mut seen) = sample();
        let inputs = inputs::read(&runbook, &given).expect("reads").values;
        let first = |seen: &Observation, begun: bool| {
            let facts = Facts::new(&runbook, &inputs, seen);
            first_refusal(&facts, begun, &[]).map(|refused| refused.id)
        };
        assert_eq!(first(&seen, false).as_deref(), Some("once"));
        assert_eq!(first(&seen, true), None);
        for tc in seen.fleet.clusters.values_mut().flat_map(|cluster| cluster.tidb_clusters.values_mut()) {
            tc.spec.version = Some("v9.0.0".into());
        }
        assert_eq!(first(&seen, true).as_deref(), Some("always"));
    }
}
