//! Whose runbook a run's plan is: the shipped one, one on this machine, or one that nobody here knows.
//!
//! A run that somebody left open is as good as the rights on ConfigMaps in its namespace: its record may hold a plan of
//! anybody's making under a shipped name. So nothing in it is believed: each step is held against the document that it
//! says it is from, action by action, gate by gate. What does not fit is [`Provenance::Foreign`], and says why.
//! Pure. Not here: asking ([`crate::runbook::run::confirmation_gates`]), where documents lie (`app::driver::runbook_catalog`).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fleet::object_kind::ObjectKind;
use crate::runbook::action_types::Reversibility;
use crate::runbook::actions::Action;
use crate::runbook::actions::DeleteObject;
use crate::runbook::actions::change_allowlist::unfamiliar;
use crate::runbook::actions::untrusted_plan::retold;
use crate::runbook::language::cel_expr::Scope;
use crate::runbook::language::document::{self, ConfirmAsked, Phase, Runbook, Step, Text};
use crate::runbook::language::template_fit::{fits, leaves_open};
use crate::runbook::plan::{self, Confirm, Plan, PlannedStep};

/// A document on this machine.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub file: &'a str,
    pub text: &'a str,
    pub runbook: &'a Runbook,
}

/// Where a plan comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Every step is one of the shipped runbook of this version.
    Shipped,
    /// Every step is one of this file's, byte for byte.
    Here { file: String },
    /// One sentence.
    Foreign { why: String },
}

impl Provenance {
    /// The plan as it may be shown: told from the document that it comes from, or else from its actions.
    pub fn retold(&self, plan: &Plan, shipped: Option<&Runbook>, here: &[Known<'_>]) -> Plan {
        match self {
            Self::Shipped => retold(plan, shipped, ""),
            Self::Here { file } => {
                let known = here.iter().find(|known| known.file == file).map(|known| known.runbook);
                retold(plan, known, "its document is no more on this machine")
            }
            Self::Foreign { why } => retold(plan, None, &format!("this is a document that is not known here: {why}")),
        }
    }

    /// A few words beside a run; `None`: it is the shipped runbook.
    pub fn mark(&self, plan: &Plan) -> Option<String> {
        match self {
            Self::Shipped => None,
            Self::Here { file } if Runbook::shipped(&plan.runbook).is_ok() => Some(format!("fork {file}")),
            Self::Here { file } => Some(format!("own runbook {file}")),
            Self::Foreign { .. } => Some("UNKNOWN DOCUMENT".to_owned()),
        }
    }

    /// Judges a plan. `shipped`: the shipped runbook of its id, where there is one. `images`: those that the plan's own
    /// TidbCluster runs now, from whatever registry: a part of its Database may have them too.
    pub fn of(plan: &Plan, shipped: Option<&Runbook>, here: &[Known<'_>], images: &BTreeSet<String>) -> Self {
        let (runbook, name) = match &plan.document {
            None => match shipped {
                Some(runbook) => (runbook, None),
                None => return Self::Foreign { why: format!("no shipped runbook is called {:?}", plan.runbook) },
            },
            Some(document) => match here.iter().find(|known| known.text == document.text) {
                Some(known) => (known.runbook, Some(known.file.to_owned())),
                None => {
                    let fork = shipped.map(|shipped| differences(plan, shipped, images)).unwrap_or_default();
                    let fork = match fork.first() {
                        Some(first) => format!("; where the shipped {} differs: {first}", plan.runbook),
                        None => String::new(),
                    };
                    return Self::Foreign {
                        why: format!("its document {:?} is not on this machine{fork}", document.file),
                    };
                }
            },
        };
        match (differences(plan, runbook, images).into_iter().next(), name) {
            (None, None) => Self::Shipped,
            (None, Some(file)) => Self::Here { file },
            (Some(first), _) => {
                Self::Foreign { why: format!("it is not what {} of this version does: {first}", plan.runbook) }
            }
        }
    }
}

/// Where a plan does what its document does not say, one sentence each.
pub fn differences(plan: &Plan, runbook: &Runbook, images: &BTreeSet<String>) -> Vec<String> {
    let inputs = Scope::from([("inputs".to_owned(), json!(plan.inputs))]);
    let steps = plan.steps.iter().filter_map(|planned| difference(planned, runbook, &inputs, images));
    steps.chain(disorder(plan, runbook)).collect()
}

fn difference(planned: &PlannedStep, runbook: &Runbook, inputs: &Scope, images: &BTreeSet<String>) -> Option<String> {
    let Some((phase, step)) = written(planned, runbook) else {
        return Some(format!("it has no step {}", planned.id));
    };
    if planned.action.name() != step.action {
        return Some(format!("step {} is another action", planned.id));
    }
    if !fits(&step.with, &planned.action.kind().written(), inputs) {
        return Some(format!("step {} sends something else", planned.id));
    }
    // What the document takes from what was seen then may be anything now: only what is known to do no harm passes so.
    if let Some(why) = unfamiliar(&without(&planned.action, images)).filter(|_| leaves_open(&step.with, inputs)) {
        return Some(format!("step {} has what the document does not name: {why}", planned.id));
    }
    if weaker(planned, step) {
        return Some(format!("step {} asks less", planned.id));
    }
    let between = phase.for_each.as_ref().map(|each| each.between.as_slice()).unwrap_or_default();
    let same = alike(&planned.pre, &step.pre)
        && alike(&planned.post, &step.post)
        && alike(&planned.until, &step.until)
        && alike(&planned.invariants, &phase.invariants)
        && alike(&planned.between, between)
        && planned.never.iter().map(|never| &never.check).eq(step.never.iter().map(|never| &never.check))
        && planned.never.iter().zip(&step.never).all(|(never, step)| said(&never.say, &step.say))
        && planned.say.as_ref().is_none_or(|say| step.say.as_ref().is_some_and(|text| said(say, text)));
    (!same).then(|| format!("step {} waits for something else", planned.id))
}

/// A new TidbCluster without the images that its Database runs already.
fn without(action: &Action, images: &BTreeSet<String>) -> Action {
    let mut action = action.clone();
    if let Action::CreateObject(create) = &mut action
        && create.object_kind == ObjectKind::TidbCluster
        && let Some(spec) = create.object.get_mut("spec").and_then(Value::as_object_mut)
    {
        for part in spec.values_mut().filter_map(Value::as_object_mut) {
            if part.get("baseImage").and_then(Value::as_str).is_some_and(|image| images.contains(image)) {
                part.shift_remove("baseImage");
            }
        }
    }
    action
}

/// The phase and the step of the document that a planned one is from.
fn written<'a>(planned: &PlannedStep, runbook: &'a Runbook) -> Option<(&'a Phase, &'a Step)> {
    let id = planned.id.split('[').next().unwrap_or_default();
    let phase = runbook.phases.iter().find(|phase| phase.id == planned.phase)?;
    Some((phase, phase.steps.iter().find(|step| step.id == id)?))
}

fn alike(planned: &[plan::Condition], step: &[document::Condition]) -> bool {
    let pair = |(planned, step): (&plan::Condition, &document::Condition)| {
        let text = || step.say.as_ref();
        planned.check == step.check && planned.say.as_ref().is_none_or(|say| text().is_some_and(|text| said(say, text)))
    };
    planned.len() == step.len() && planned.iter().zip(step).all(pair)
}

/// Whether a sentence is the document's, in one of its languages.
fn said(sentence: &str, text: &Text) -> bool {
    sentence == text.en || text.zh.as_deref() == Some(sentence)
}

/// Steps that are left out or stand at another place: the document's waits and looks protect what follows them.
fn disorder(plan: &Plan, runbook: &Runbook) -> Option<String> {
    let place = |planned: &PlannedStep| {
        let (phase, step) = written(planned, runbook)?;
        let at = |id: &String| runbook.phases.iter().position(|phase| phase.id == *id);
        let step = phase.steps.iter().position(|own| own.id == step.id)?;
        Some((at(&planned.phase)?, step))
    };
    let mut before: Option<(&PlannedStep, (usize, usize))> = None;
    for planned in &plan.steps {
        let Some(now) = place(planned) else { continue };
        if let Some((earlier, was)) = before {
            let same_item = earlier.item == planned.item;
            if now.0 < was.0 || (now.0 == was.0 && same_item && now.1 <= was.1) {
                return Some(format!("step {} stands before {}", earlier.id, planned.id));
            }
        }
        before = Some((planned, now));
    }
    for phase in &runbook.phases {
        let own = || plan.steps.iter().filter(|planned| planned.phase == phase.id);
        let mut items: BTreeSet<Option<&String>> = own().map(|planned| planned.item.as_ref()).collect();
        if phase.when.is_none() && phase.for_each.is_none() {
            items.insert(None);
        }
        for item in items {
            let has = |step: &Step| {
                own().any(|planned| {
                    planned.item.as_ref() == item && planned.id.split('[').next() == Some(step.id.as_str())
                })
            };
            if let Some(lacking) = phase.steps.iter().find(|step| step.when.is_none() && !has(step)) {
                return Some(format!("step {} is left out", lacking.id));
            }
        }
    }
    None
}

/// Whether a planned step asks less of people than its document and the floor of its action want.
fn weaker(planned: &PlannedStep, step: &Step) -> bool {
    let reversibility = planned.action.reversibility();
    let cleans_up = matches!(&planned.action, Action::DeleteObject(DeleteObject { made_by: Some(_), .. }));
    let typed = step.confirm == ConfirmAsked::Typed
        || reversibility == Reversibility::Irreversible
        || unfamiliar(&planned.action).is_some();
    let plain = step.confirm != ConfirmAsked::None || (reversibility == Reversibility::Compensable && !cleans_up);
    let asked = match &planned.confirm {
        Confirm::Typed { .. } => true,
        Confirm::Plain { .. } => !typed,
        Confirm::None => !typed && !plain,
    };
    !asked || planned.approvers < step.approvers
}
