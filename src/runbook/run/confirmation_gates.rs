//! The questions that stop a run until a person answers, and what an answer becomes. Pure.
//!
//! Not here: when a step comes to its gate ([`crate::runbook::run::engine`]), who answers (the faces).

use serde_json::Value;

use crate::fleet::object_kind::ObjectId;
use crate::runbook::action_types::Reversibility;
use crate::runbook::actions::Action;
use crate::runbook::before_after_image::Image;
use crate::runbook::plan::{Confirm, Gate, PlannedStep};
use crate::runbook::run::engine_effects::{Effect, Stop};
use crate::runbook::run::record::Event;
use crate::runbook::run::undo::undone;
use crate::runbook::run::{Run, StepState};

impl Run {
    /// The gate that this step still waits for.
    pub(in crate::runbook) fn open_gate(&self, step: &PlannedStep) -> Option<Gate> {
        self.gate_to_overwrite(step).or_else(|| self.gate_of(step))
    }

    /// What was accepted and is not so may have been put back by somebody: only a person who says so goes over it.
    fn gate_to_overwrite(&self, step: &PlannedStep) -> Option<Gate> {
        let id = overwrite_gate(&step.id);
        if !self.put_back.contains(&step.id) || self.confirmed.contains(&id) {
            return None;
        }
        let text = format!("overwrite {}", step.id);
        let question = format!(
            "{}: it was accepted before and is not so now; it was lost, or somebody put it back. Type {text:?} to send it once more.",
            self.title_of(step)
        );
        Some(Gate { id, step: step.id.clone(), question, text: Some(text), short: None })
    }

    fn gate_of(&self, step: &PlannedStep) -> Option<Gate> {
        let (id, text, short) = match &step.confirm {
            Confirm::None => return None,
            Confirm::Plain { gate } => (gate, None, None),
            Confirm::Typed { gate, text, short } => (gate, Some(text.clone()), short.clone()),
        };
        if self.confirmed.contains(id) && !(step.approvers > 1 && self.people.ask_again(id)) {
            return None;
        }
        let shares = |other: &&PlannedStep| other.id != step.id && other.confirm == step.confirm;
        let others = self.steps().iter().filter(shares).filter(|s| *self.state(&s.id) == StepState::Pending);
        let others: Vec<&PlannedStep> = others.collect();
        let put_back = self.put_back(step, &others);
        let question = match &text {
            Some(text) => {
                let back = match step.reversibility {
                    Reversibility::Irreversible => " — there is no automatic rollback",
                    Reversibility::Free | Reversibility::Compensable => "",
                };
                let again = if self.sent.contains(&step.id) { " Once more: it was sent, and is not so." } else { "" };
                // Names repeat from cluster to cluster: what the step touches is said where the text does not say it.
                let target = step.action.target().to_string();
                let target = if target == *text { String::new() } else { format!(" [{target}]") };
                format!("{}{target}{back}.{again}{put_back} Type {text} to go on.", self.title_of(step))
            }
            None => {
                let stays = self.what_stays();
                match others.len() {
                    0 => format!("{} — go on?{stays}{put_back}", self.title_of(step)),
                    more => format!("{}, and {more} more like it — go on?{stays}{put_back}", self.title_of(step)),
                }
            }
        };
        Some(Gate { id: id.clone(), step: step.id.clone(), question, text, short })
    }

    /// What an undo changes, of all steps that its one question is about: no plan with it was shown.
    fn put_back(&self, step: &PlannedStep, others: &[&PlannedStep]) -> String {
        const MOST: usize = 6;
        if self.undo.is_none() {
            return String::new();
        }
        let of = |step: &&PlannedStep| {
            let name = undone(&step.id).unwrap_or(&step.id);
            back(name, &step.action, &step.before, &step.after)
        };
        let all: Vec<String> = std::iter::once(&step).chain(others).flat_map(of).collect();
        if all.is_empty() {
            return String::new();
        }
        let more = match all.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!(" Put back: {}{more}.", all[..all.len().min(MOST)].join("; "))
    }

    /// An undo that ends at a step with no rollback leaves what that step did; and former peerURLs are right only where the
    /// TidbCluster is put back too.
    fn what_stays(&self) -> String {
        let Some(way) = &self.undo else { return String::new() };
        let any = |is: fn(&Action) -> bool| way.steps.iter().any(|step| is(&step.action));
        let urls = any(|action| matches!(action, Action::UpdatePeerUrl(_)));
        let fields = any(|action| matches!(action, Action::PatchTidbCluster(_)));
        let until = "`check` will say so (peer-urls-half-updated) until repair-peer-urls sets them again.";
        let Some(end) = &way.ends_at else {
            return match urls && !fields {
                true => format!(
                    " The former peerURLs are not those that the TidbCluster asks for, so they are drift again: {until}"
                ),
                false => String::new(),
            };
        };
        let title = self.plan.step(end).map_or_else(|| end.clone(), |step| self.title_of(step));
        let wrong = if urls { format!(" The former peerURLs do not fit it: {until}") } else { String::new() };
        format!(" What {title:?} did cannot be rolled back and stays.{wrong}")
    }
}

/// What one step of an undo changes, one sentence each.
fn back(name: &str, action: &Action, before: &Image, after: &Image) -> Vec<String> {
    // What was made goes as a whole: it has no values that become others.
    if *after == Image::Absent {
        let what = match action {
            Action::DeleteObject(delete) => ObjectId::new(delete.object_kind, &delete.target).to_string(),
            other => other.target().to_string(),
        };
        return vec![format!("{name} {what} is deleted")];
    }
    let one =
        |(path, before, after): (String, Value, Value)| format!("{name} {path} {} → {}", shown(&before), shown(&after));
    before.changes(after).into_iter().map(one).collect()
}

/// A value on one line; one that would fill the question is cut.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = if value.is_null() { "(not set)".to_owned() } else { value.to_string() };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Id of the gate before a write that was accepted once and is not so.
pub(in crate::runbook) fn overwrite_gate(step: &str) -> String {
    format!("overwrite/{step}")
}

pub(in crate::runbook) fn answered(gate: Gate, text: Option<String>, option: Option<&str>) -> Vec<Effect> {
    match (&gate.text, text) {
        (_, None) => vec![Effect::Stop(Stop::AtGate(gate))],
        (Some(wanted), Some(typed)) if *wanted != typed => vec![Effect::Ask(gate)],
        (wanted, Some(typed)) => {
            let text = wanted.as_ref().map(|_| typed);
            let option = option.map(str::to_owned);
            vec![Effect::Append(Event::Confirmed { gate: gate.id, text, option }), Effect::Observe]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ObjectRef;
    use crate::fleet::object_kind::ObjectKind;
    use crate::runbook::actions::DeleteObject;
    use serde_json::json;

    #[test]
    fn an_undo_of_what_was_made_says_that_it_is_deleted_and_a_long_value_is_cut() {
        let target = ObjectRef::new("east", "db", "x");
        let object_kind = ObjectKind::Certificate;
        let delete = DeleteObject { target, object_kind, uid: None, made_by: Some("r".into()) };
        let action = Action::DeleteObject(delete);
        let told = |before: Image, after: Image| back("issue-x", &action, &before, &after);
        assert_eq!(told(Image::Nothing, Image::Absent), ["issue-x Certificate east/db/x is deleted"]);
        let long = Image::of_fields([("spec.a".into(), json!("é".repeat(500)))].into());
        let told = told(Image::Nothing, long);
        assert_eq!(told, [format!("issue-x spec.a (not set) → \"{}…", "é".repeat(119))]);
    }
}
