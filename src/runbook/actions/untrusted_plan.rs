//! The plan of a run that somebody left, as it may be shown: titles, reasons and requests told anew.
//!
//! What a record says of its steps is its writer's word, and the writer may be anybody who may write ConfigMaps there. So a
//! step is told from its action, or from the document that it was found to come from; what is the record's own is
//! marked as such. Pure. Neighbours: [`crate::runbook::plan::provenance`] (whose the plan is), [`crate::runbook::actions::api_request_parts`] (what goes over the wire).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::runbook::actions::Action;
use crate::runbook::actions::change_allowlist::unfamiliar;
use crate::runbook::actions::merge_patch::asked;
use crate::runbook::actions::{PatchTidbCluster, UpdatePeerUrl};
use crate::runbook::before_after_image::Image;
use crate::runbook::language::cel_expr::{self, Scope};
use crate::runbook::language::document::{Runbook, SHIPPED, Step, Text};
use crate::runbook::language::template_holes::pieces;
use crate::runbook::plan::steps::FIELD_MANAGER;
use crate::runbook::plan::{CheckResult, CheckState, Plan, PlannedStep, Rehearsal};

/// The plan told anew. `document`: the runbook that every step was found to come from; `None`: there is none.
pub fn retold(plan: &Plan, document: Option<&Runbook>, why_not: &str) -> Plan {
    let mut told = plan.clone();
    for step in &mut told.steps {
        let written = document.and_then(|runbook| step_of(runbook, step));
        let risk = unfamiliar(&step.action).map(|why| format!("Typed: {why}."));
        let (title, why) = match written {
            Some(written) => {
                let why = written.why.as_ref().map(|why| words(why, step, plan));
                (words(&written.title, step, plan), why.into_iter().chain(risk).collect::<Vec<_>>().join(" "))
            }
            None => {
                let own = format!("Its record calls it {:?}.", step.title);
                (self::told(&step.action), risk.into_iter().chain([own]).collect::<Vec<_>>().join(" "))
            }
        };
        (step.title, step.why) = (title, why);
        step.command = step.by_hand();
        step.requests = step.action.requests(FIELD_MANAGER, "", step.membership_api());
        step.reversibility = step.action.reversibility();
        // Whether it is so already is looked at again, and nothing is left out of what is shown.
        step.already_so = false;
        images(step, written.is_none());
    }
    match document {
        Some(runbook) => {
            told.title.clone_from(&runbook.title.en);
            told.experimental = runbook.experimental;
            let known = |check: &CheckResult| runbook.preflight.iter().any(|known| known.id == check.id);
            told.checks.retain(known);
            for check in &mut told.checks {
                let written = runbook.preflight.iter().find(|known| known.id == check.id);
                check.title = written.and_then(|known| Some(known.title.as_ref()?.en.clone())).unwrap_or_default();
            }
            for check in told.checks.iter_mut().filter(|check| check.state != CheckState::Passed) {
                check.sentence = format!("as recorded: {}", check.sentence);
            }
        }
        None => {
            told.title = format!("{:?}, as its record calls it", plan.title);
            told.checks = vec![CheckResult::new("document", CheckState::Warning, why_not)];
        }
    }
    if let Some(document) = &mut told.document {
        document.fork = SHIPPED.iter().any(|(id, _)| *id == told.runbook);
        told.runbook_digest = hex(document.text.as_bytes());
    }
    told
}

/// Titles of the steps of a plan told anew, by id: what the gates of its run ask by.
pub fn titles(told: &Plan) -> BTreeMap<String, String> {
    told.steps.iter().map(|step| (step.id.clone(), step.title.clone())).collect()
}

/// What an action does, in its own words.
pub fn told(action: &Action) -> String {
    action.kind().told()
}

fn step_of<'a>(runbook: &'a Runbook, planned: &PlannedStep) -> Option<&'a Step> {
    let id = planned.id.split('[').next().unwrap_or_default();
    let phase = runbook.phases.iter().find(|phase| phase.id == planned.phase)?;
    phase.steps.iter().find(|step| step.id == id)
}

/// A text of the document. A hole is filled only with what the action or the target says too; what else stood there is the
/// record's own word, and is left out.
fn words(text: &Text, step: &PlannedStep, plan: &Plan) -> String {
    let mut scope: Scope = step.env.clone();
    scope.insert("inputs".into(), json!(plan.inputs));
    let seen = format!("{} {} {}", json!(step.action), plan.target, step.action.target());
    let holes = cel_expr::holes(&text.en).unwrap_or_default();
    let filled = holes.iter().map(|hole| match cel_expr::eval(hole, &scope) {
        Ok(Value::String(found)) if !found.is_empty() && seen.contains(json!(found).to_string().trim_matches('"')) => {
            found
        }
        Ok(found @ (Value::Number(_) | Value::Bool(_))) => found.to_string(),
        Ok(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) | Err(_) => "…".to_owned(),
    });
    let mut out = String::new();
    let mut filled = filled.into_iter();
    for (index, piece) in pieces(&text.en).into_iter().enumerate() {
        if index > 0 {
            out.push_str(&filled.next().unwrap_or_else(|| "…".to_owned()));
        }
        out.push_str(&piece);
    }
    out
}

/// Before and after as the action has them; `unknown`: what was there before is the record's word.
fn images(step: &mut PlannedStep, unknown: bool) {
    if !step.action.writes() {
        return;
    }
    step.rehearsed = Rehearsal::Predicted;
    match &step.action {
        Action::PatchTidbCluster(PatchTidbCluster { merge, .. }) => {
            let wanted = asked(merge);
            let before = |path: &String| match step.before.fields().and_then(|fields| fields.get(path)) {
                Some(value) if !unknown => value.clone(),
                Some(value) => json!(format!("{value}, as recorded")),
                None => json!("not recorded"),
            };
            let fields = wanted.keys().map(|path| (path.clone(), before(path))).collect();
            step.before = Image::of_fields(fields);
            step.after = Image::of_fields(wanted);
        }
        Action::UpdatePeerUrl(UpdatePeerUrl { from, to, .. }) => {
            step.before = Image::PeerUrls(from.clone());
            step.after = Image::PeerUrls(to.clone());
        }
        _ => (step.before, step.after) = (Image::Nothing, Image::Nothing),
    }
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
