//! The second person: what a step with `approvers: 2` waits for after its gate was confirmed, and which approval counts.
//!
//! An approval is an object of its own in the cluster ([`Approval`]); the driver reads it and records it as
//! `Approved`, so that the run stays a fold of its journal. Pure: nothing here looks. Not here: writing and finding
//! approvals (`client::approval`), the gate itself ([`super::engine`]).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::digest;
use super::engine::{Effect, Run, StepState, Stop};
use super::plan::{Confirm, PlannedStep};
use super::record::Event;
use super::requests::quote;

/// What an approval has to be about, and of whom it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub run: String,
    pub gate: String,
    pub step: String,
    /// The attempt that it is for: an approval is used up by being sent on.
    pub attempt: u32,
    /// Digest of the plan as `plan` prints it.
    pub plan: String,
    /// What has to be typed, as for the gate.
    pub text: Option<String>,
    /// Its short form, as for the gate.
    pub short: Option<String>,
    pub question: String,
    /// Who confirmed the gate, as the cluster knows them. `None`: nobody knows, so nobody can be a second person.
    pub confirmed_by: Option<String>,
}

/// What the second person left in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub run: String,
    pub gate: String,
    pub attempt: u32,
    pub plan: String,
    pub user: String,
    pub host: String,
    pub at: Timestamp,
    /// Name of the object.
    pub object: String,
    pub vouched: Vouched,
}

/// Who says that the approver is who they say they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vouched {
    /// The API server: an admission policy refuses an approval in anybody else's name.
    Server,
    /// The approver's tidepilot, which asked the API server (SelfSubjectReview). Whoever may write ConfigMaps there
    /// could have written it by hand; the server's audit log tells.
    Review,
    /// The approver's kubeconfig: the server does not know the question.
    Kubeconfig,
}

impl Vouched {
    /// A few words for a list.
    pub fn words(self) -> &'static str {
        match self {
            Vouched::Server => "the API server vouches for the name",
            Vouched::Review => "named by their own tidepilot after asking the API server",
            Vouched::Kubeconfig => "named by their kubeconfig only",
        }
    }
}

/// The part of a run's state that is about people.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    /// Who drives it, as the cluster knows them.
    driver: Option<String>,
    confirmed_by: BTreeMap<String, String>,
    approved: BTreeSet<String>,
}

impl People {
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Leased { user, .. } => self.driver.clone_from(user),
            Event::Confirmed { gate, .. } => {
                match &self.driver {
                    Some(user) => drop(self.confirmed_by.insert(gate.clone(), user.clone())),
                    None => drop(self.confirmed_by.remove(gate)),
                };
            }
            Event::Approved { gate, .. } => drop(self.approved.insert(gate.clone())),
            // Without a lease nobody has been asked who they are.
            Event::Resumed { .. } => self.driver = None,
            Event::RunOpened { .. }
            | Event::TakenOver { .. }
            | Event::Intent { .. }
            | Event::Returned { .. }
            | Event::Chosen { .. }
            | Event::Completed { .. }
            | Event::Paused { .. }
            | Event::Closed { .. } => {}
        }
    }

    /// It was confirmed by somebody whom nobody knows, and whoever drives now is known.
    pub fn ask_again(&self, gate: &str) -> bool {
        self.driver.is_some() && !self.confirmed_by.contains_key(gate)
    }

    pub fn use_up(&mut self, gate: &str) {
        self.approved.remove(gate);
        self.confirmed_by.remove(gate);
    }
}

impl Run {
    /// What this step still needs of a second person.
    pub(super) fn approval_wanted(&self, step: &PlannedStep) -> Option<Wanted> {
        let (gate, text, short) = match &step.confirm {
            Confirm::None => return None,
            Confirm::Plain { gate } => (gate, None, None),
            Confirm::Typed { gate, text, short } => (gate, Some(text.clone()), short.clone()),
        };
        if step.approvers < 2 || self.people.approved.contains(gate) {
            return None;
        }
        Some(Wanted {
            run: self.id.clone(),
            gate: gate.clone(),
            step: step.id.clone(),
            attempt: self.next_attempt(&step.id),
            plan: digest(&self.plan),
            text,
            short,
            question: step.title.clone(),
            confirmed_by: self.people.confirmed_by.get(gate).cloned(),
        })
    }

    /// What the run as recorded waits for a second person to approve: the first step whose gate was confirmed.
    pub fn awaits_approval(&self) -> Option<(&PlannedStep, Wanted)> {
        let open = |step: &&PlannedStep| !matches!(self.state(&step.id), StepState::Completed(_));
        self.steps()
            .iter()
            .filter(open)
            .filter_map(|step| Some((step, self.approval_wanted(step)?)))
            .find(|(_, wanted)| self.is_confirmed(&wanted.gate))
    }
}

/// The approval that counts, or one sentence that says what is lacking.
pub fn decide<'a>(wanted: &Wanted, found: &'a [Approval]) -> Result<&'a Approval, String> {
    let Wanted { run, step, .. } = wanted;
    let Some(first) = &wanted.confirmed_by else {
        return Err(format!(
            "{step} needs a second person, and it is not known who confirmed it: without a lease (--local-only) nobody else can see the run"
        ));
    };
    let about = |approval: &&Approval| {
        approval.run == *run && approval.gate == wanted.gate && approval.attempt == wanted.attempt
    };
    let mut own = false;
    let mut other_plan = false;
    for approval in found.iter().filter(about) {
        if approval.plan != wanted.plan {
            other_plan = true;
        } else if approval.user == *first {
            own = true;
        } else {
            return Ok(approval);
        }
    }
    let confirm = wanted.text.as_ref().map_or_else(String::new, |text| format!(" --confirm {}", quote(text)));
    let noted = match (own, other_plan) {
        (true, _) => format!(" The approval of {first}, who confirmed it, does not count twice."),
        (false, true) => " There is an approval of another plan, which does not count.".to_owned(),
        (false, false) => String::new(),
    };
    Err(format!(
        "{step} waits for a second person, confirmed by {first}: another user of the cluster runs `tidepilot runs approve {run}{confirm}`.{noted}"
    ))
}

/// What follows from what was found.
pub(super) fn found(wanted: &Wanted, found: &[Approval]) -> Vec<Effect> {
    match decide(wanted, found) {
        Ok(approval) => vec![
            Effect::Append(Event::Approved {
                gate: wanted.gate.clone(),
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

    fn wanted() -> Wanted {
        Wanted {
            run: "r1".into(),
            gate: "domain/set".into(),
            step: "set".into(),
            attempt: 1,
            plan: "p".into(),
            text: Some("legacy/db/basic".into()),
            short: None,
            question: "Set it".into(),
            confirmed_by: Some("ann".into()),
        }
    }

    fn approval(user: &str) -> Approval {
        Approval {
            run: "r1".into(),
            gate: "domain/set".into(),
            attempt: 1,
            plan: "p".into(),
            user: user.into(),
            host: String::new(),
            at: Timestamp::UNIX_EPOCH,
            object: "tidepilot-approval-r1".into(),
            vouched: Vouched::Review,
        }
    }

    #[test]
    fn only_another_person_s_approval_of_this_very_attempt_counts() {
        let said = |found: &[Approval]| match decide(&wanted(), found) {
            Ok(approval) => approval.user.clone(),
            Err(sentence) => sentence,
        };
        assert_eq!(said(&[approval("ann"), approval("bob")]), "bob");
        assert!(said(&[]).contains("runs approve r1 --confirm legacy/db/basic"), "{}", said(&[]));
        assert!(said(&[approval("ann")]).contains("does not count twice"));
        let other = Approval { plan: "q".into(), ..approval("bob") };
        assert!(said(&[other]).contains("another plan"));
        for wrong in [
            Approval { run: "r2".into(), ..approval("bob") },
            Approval { gate: "domain/other".into(), ..approval("bob") },
            Approval { attempt: 2, ..approval("bob") },
        ] {
            assert!(said(std::slice::from_ref(&wrong)).contains("waits for a second person"), "{wrong:?}");
        }
        let nobody = Wanted { confirmed_by: None, ..wanted() };
        assert!(decide(&nobody, &[approval("bob")]).is_err(), "nobody is second to a person whom nobody knows");
    }
}
