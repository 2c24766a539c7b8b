//! A run that waits for a second person: when it asks, and what an approval does to it.
//!
//! Not here: which approval counts ([`super::approval_validity`]), where approvals lie (`client::share::approval`).

use crate::runbook::plan::digest::digest;
use crate::runbook::plan::{Confirm, PlannedStep};
use crate::runbook::run::approval_validity::{Approval, Wanted, decide};
use crate::runbook::run::engine_effects::{Effect, Stop};
use crate::runbook::run::record::Event;
use crate::runbook::run::{Run, StepState};

impl Run {
    /// What this step still needs of a second person.
    pub(in crate::runbook) fn approval_wanted(&self, step: &PlannedStep) -> Option<Wanted> {
        let (gate, text, short) = match &step.confirm {
            Confirm::None => return None,
            Confirm::Plain { gate } => (gate, None, None),
            Confirm::Typed { gate, text, short } => (gate, Some(text.clone()), short.clone()),
        };
        let attempt = self.next_attempt(&step.id);
        if step.approvers < 2 || self.people.is_approved(&step.id, attempt) {
            return None;
        }
        let first = self.people.first(gate);
        let asked = self.people.awaited().filter(|awaited| {
            awaited.step == step.id && awaited.attempt == attempt && awaited.gate == *gate && Some(&awaited.by) == first
        });
        Some(Wanted {
            run: self.id.clone(),
            namespace: self.plan.target.namespace.clone(),
            gate: gate.clone(),
            step: step.id.clone(),
            attempt,
            plan: digest(&self.plan),
            text,
            short,
            confirmed_by: first.cloned(),
            nobody: self.people.why_nobody(),
            asked: asked.map(|awaited| (awaited.since, awaited.question.clone())),
        })
    }

    /// What stands in the way of a step until a second person has approved it.
    pub(in crate::runbook) fn ask_second(&self, step: &PlannedStep) -> Option<Vec<Effect>> {
        let wanted = self.approval_wanted(step)?;
        Some(match (&wanted.confirmed_by, &wanted.asked) {
            // The question is in the journal before anybody can answer it.
            (Some(by), None) => {
                let Wanted { gate, step, attempt, .. } = wanted.clone();
                vec![Effect::Append(Event::AwaitsApproval { gate, step, attempt, by: by.clone() }), Effect::Observe]
            }
            (None, _) | (Some(_), Some(_)) => vec![Effect::FindApprovals(wanted)],
        })
    }

    /// What the run as recorded waits for a second person to approve.
    pub fn awaits_approval(&self) -> Option<(&PlannedStep, Wanted)> {
        let awaited = self.people.awaited().filter(|_| self.outcome.is_none() && !self.abandoned)?;
        let step = self.steps().iter().find(|step| step.id == awaited.step)?;
        if matches!(self.state(&step.id), StepState::Completed(_)) {
            return None;
        }
        let wanted = self.approval_wanted(step).filter(|wanted| wanted.asked.is_some())?;
        self.is_confirmed(&wanted.gate).then_some((step, wanted))
    }

    /// The steps that are left and need a second person.
    pub fn guarded(&self) -> impl Iterator<Item = &PlannedStep> {
        let left = |step: &&PlannedStep| !matches!(self.state(&step.id), StepState::Completed(_));
        self.steps().iter().filter(|step| step.approvers > 1 && !step.already_so).filter(left)
    }
}

/// What follows from what was found.
pub(in crate::runbook) fn found(wanted: &Wanted, found: &[Approval]) -> Vec<Effect> {
    match decide(wanted, found) {
        Ok(approval) => vec![
            Effect::Append(Event::Approved {
                gate: wanted.gate.clone(),
                step: Some(wanted.step.clone()),
                attempt: wanted.attempt,
                by: approval.user.clone(),
                host: approval.host.clone(),
                given: approval.at,
                object: approval.object.clone(),
                vouched: approval.vouched,
            }),
            Effect::Observe,
        ],
        Err(sentence) => vec![Effect::Stop(Stop::AwaitsApproval { step: wanted.step.clone(), sentence })],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::action_types::Answer;
    use crate::runbook::before_after_image::Image;
    use crate::runbook::language::document::Runbook;
    use crate::runbook::run::identity_source::{IdentityProof, NamedBy};
    use crate::runbook::run::record::Record;
    use jiff::Timestamp;

    fn wanted() -> Wanted {
        Wanted {
            run: "r1".into(),
            namespace: "db".into(),
            gate: "domain/set".into(),
            step: "set[a]".into(),
            attempt: 1,
            plan: "p".into(),
            text: Some("legacy/db/basic".into()),
            short: None,
            confirmed_by: Some("ann".into()),
            nobody: String::new(),
            asked: Some((at("2026-11-27T10:00:00Z"), "hash".into())),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn approval(user: &str) -> Approval {
        Approval {
            run: "r1".into(),
            gate: "domain/set".into(),
            step: Some("set[a]".into()),
            attempt: 1,
            plan: "p".into(),
            question: Some("hash".into()),
            user: user.into(),
            named_by: NamedBy::Server,
            host: String::new(),
            at: at("2020-01-01T00:00:00Z"),
            created: Some(at("2026-11-27T10:00:05Z")),
            object: "tidepilot-approval-r1".into(),
            immutable: true,
            unknown: None,
            vouched: IdentityProof::Review,
        }
    }

    fn said(found: &[Approval]) -> String {
        match decide(&wanted(), found) {
            Ok(approval) => approval.user.clone(),
            Err(sentence) => sentence,
        }
    }

    #[test]
    fn only_another_person_s_approval_of_this_very_item_attempt_and_question_counts() {
        assert_eq!(said(&[approval("ann"), approval("bob")]), "bob");
        assert!(said(&[]).contains("runs approve r1 -n db --confirm legacy/db/basic"), "{}", said(&[]));
        for (wrong, word) in [
            (approval("ann"), "does not count twice"),
            (Approval { plan: "q".into(), ..approval("bob") }, "another plan"),
            (Approval { step: None, question: None, ..approval("bob") }, "by an earlier tidepilot"),
            (
                Approval { step: Some("set[b]".into()), ..approval("bob") },
                "approved attempt 1 of set[b], and what is asked for now is attempt 1 of set[a]",
            ),
            (
                Approval { attempt: 2, ..approval("bob") },
                "approved attempt 2 of set[a], and what is asked for now is attempt 1",
            ),
            (Approval { question: Some("older".into()), ..approval("bob") }, "answers a question that was put before"),
            (Approval { created: Some(at("2026-11-27T09:57:00Z")), ..approval("bob") }, "is older"),
            (Approval { created: None, ..approval("bob") }, "does not say when"),
            (Approval { named_by: NamedBy::Kubeconfig, ..approval("bob") }, "not the API server's own answer"),
            (Approval { named_by: NamedBy::Impersonation, ..approval("bob") }, "impersonated"),
            (approval("system:serviceaccount:db:default"), "service account"),
            (Approval { immutable: false, ..approval("bob") }, "not immutable"),
            (Approval { unknown: Some("notBefore".into()), ..approval("bob") }, "\"notBefore\""),
            (Approval { run: "r2".into(), ..approval("bob") }, "waits for a second person"),
            (Approval { gate: "domain/other".into(), ..approval("bob") }, "waits for a second person"),
        ] {
            let said = said(std::slice::from_ref(&wrong));
            assert!(said.contains(word) && said != wrong.user, "{wrong:?}: {said}");
        }
    }

    /// A run of one reversible step that needs a second person, after these events.
    fn run_after(events: Vec<Event>) -> Run {
        let target = serde_json::json!({"context": "c", "namespace": "n", "name": "t"});
        let action = serde_json::json!({"kind": "transfer-pd-leader", "target": target, "to": "pd-1"});
        let step = serde_json::json!({
            "id": "move", "phase": "p", "title": "Move", "why": "", "alreadySo": false, "before": null, "after": null,
            "action": action, "requests": [], "command": "", "rehearsed": "predicted", "reversibility": "compensable",
            "confirm": {"kind": "plain", "gate": "p/move"}, "approvers": 2, "pre": [], "post": [], "env": {},
            "totalS": 1, "stalledS": 1,
        });
        let plan = serde_json::from_value(serde_json::json!({
            "runbook": "x", "runbookVersion": "1", "runbookDigest": "", "title": "x", "experimental": false,
            "inputs": {}, "target": target, "kubeClusters": {}, "contexts": [], "checks": [], "steps": [step],
            "observedAt": "1970-01-01T00:00:00Z",
        }));
        let plan = Box::new(plan.expect("a plan"));
        let opened = Event::RunOpened { run: "r1".into(), tool: "t".into(), plan };
        let records: Vec<Record> = [opened]
            .into_iter()
            .chain(events)
            .enumerate()
            .map(|(seq, event)| Record {
                seq: seq as u64,
                at: Timestamp::UNIX_EPOCH,
                prev: format!("hash {seq}"),
                event,
            })
            .collect();
        Run::replay(Runbook::named("x", ""), &records).expect("a run")
    }

    fn leased(user: &str, named_by: Option<NamedBy>) -> Event {
        Event::Leased {
            database: String::new(),
            by: user.into(),
            user: Some(user.into()),
            named_by,
            fences: Vec::new(),
        }
    }

    fn asked(attempt: u32) -> Event {
        Event::AwaitsApproval { gate: "p/move".into(), step: "move".into(), attempt, by: "ann".into() }
    }

    fn approved(step: Option<&str>, attempt: u32) -> Event {
        Event::Approved {
            gate: "p/move".into(),
            step: step.map(Into::into),
            attempt,
            by: "bob".into(),
            host: String::new(),
            given: Timestamp::UNIX_EPOCH,
            object: "o".into(),
            vouched: IdentityProof::Review,
        }
    }

    #[test]
    fn an_approval_is_used_up_by_the_attempt_that_it_is_for() {
        let confirmed = || Event::Confirmed { gate: "p/move".into(), text: None, option: None };
        let begun = || vec![leased("ann", Some(NamedBy::Server)), confirmed(), asked(1)];
        let wanted = |run: &Run| run.approval_wanted(&run.plan.steps[0]).map(|wanted| wanted.attempt);
        let waits =
            |run: &Run| run.awaits_approval().map(|(_, wanted)| (wanted.attempt, wanted.asked.map(|(_, hash)| hash)));
        let run = run_after(begun());
        assert_eq!((wanted(&run), waits(&run)), (Some(1), Some((1, Some("hash 3".to_owned())))));
        let mut events = begun();
        events.push(approved(Some("move"), 1));
        let run = run_after(events.clone());
        assert_eq!((wanted(&run), waits(&run)), (None, None));
        // Sent, and the answer was lost: the next attempt, of a step that can be put back too, is asked anew.
        let action = run.plan.steps[0].action.clone();
        let (before, after) = <(Image, Image)>::default();
        events.push(Event::Intent { step: "move".into(), attempt: 1, action, before, after });
        events.push(Event::Returned {
            step: "move".into(),
            attempt: 1,
            answer: Answer::Unknown { reason: "lost".into() },
        });
        let run = run_after(events.clone());
        assert_eq!((wanted(&run), waits(&run)), (Some(2), None));
        assert!(matches!(
            run.ask_second(&run.plan.steps[0]).expect("asked").as_slice(),
            [Effect::Append(Event::AwaitsApproval { attempt: 2, .. }), Effect::Observe]
        ));
        events.push(asked(2));
        let run = run_after(events);
        assert_eq!(waits(&run).map(|(attempt, _)| attempt), Some(2));
    }

    #[test]
    fn what_an_earlier_tidepilot_recorded_is_read_and_lets_nothing_through() {
        let confirmed = || Event::Confirmed { gate: "p/move".into(), text: None, option: None };
        let run = run_after(vec![leased("ann", None), confirmed(), approved(None, 1)]);
        let wanted = run.approval_wanted(&run.plan.steps[0]).expect("still wanted");
        assert_eq!(wanted.confirmed_by, None);
        assert!(wanted.nobody.contains("earlier tidepilot"), "{}", wanted.nobody);
        // Whoever resumes it with a name that counts is asked anew.
        let run = run_after(vec![leased("ann", None), confirmed(), leased("ann", Some(NamedBy::Server))]);
        assert!(run.people.ask_again("p/move"));
    }

    #[test]
    fn nobody_is_second_to_a_person_whom_nobody_knows() {
        let nobody = Wanted { confirmed_by: None, nobody: "zoe is a name".into(), ..wanted() };
        let why = decide(&nobody, &[approval("bob")]).expect_err("nobody");
        assert!(why.contains("zoe is a name"), "{why}");
    }
}
