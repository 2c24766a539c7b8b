//! The second person of a step with `approvers: 2`: giving an approval, and looking for one.
//!
//! Giving needs nothing but a kubeconfig: run and plan are read from the record in the cluster, and the approval is
//! an object of its own, so neither lease nor journal is touched. Not here: which approval counts
//! (`runbook::run::approval_validity`), the object (`client::share::approval`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::local_runs::replay;
use super::{Driver, RunChannels, journal_reconcile, now, tell};
use crate::app::approvals::ToApprove;
use crate::app::exit_codes::Exit;
use crate::app::message::RunMessage;
use crate::client::journal;
use crate::client::kube::identity::{Identity, Named};
use crate::client::share::approval::{self, object_name};
use crate::client::share::lease::{Lease, Lost};
use crate::client::share::run_record_configmaps::Head;
use crate::client::wire::permit::WritePermit;
use crate::client::wire::user_agent;
use crate::runbook::plan::provenance::Provenance;
use crate::runbook::plan::{CheckResult, CheckState, Plan, PlannedStep};
use crate::runbook::run::approval_validity::{Approval, IdentityProof, Wanted, decide};
use crate::runbook::run::engine::{Run, StepState};
use crate::runbook::run::open_run_status::last_driver;
use crate::runbook::run::record::Record;
use crate::runbook::run::who_counts_as_person::NamedBy;

/// How often the cluster is asked for an approval while one is waited for.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How often it is seen whether the lease is ours still while a person is waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the second person is asked to approve, and where their answer goes.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What they are shown.
    pub shown: ToApprove,
    who: Identity,
    head: Head,
}

impl Driver {
    /// A plan that needs a second person is refused where no second person can see it.
    pub(super) fn second_person(&self, plan: &Plan) -> Option<CheckResult> {
        let needs = guarded(&plan.steps);
        (self.local_only && !needs.is_empty()).then(|| {
            let sentence = format!(
                "{} needs the approval of a second person, and with --local-only no other user can see the run; run it without",
                needs.join(", ")
            );
            let result = CheckResult::new("second-person", CheckState::Refused, sentence);
            result.titled("A second person can see the run")
        })
    }

    /// Why nobody could be second to whoever drives from here: the server does not say who that is. One sentence;
    /// `None` where nothing of these steps needs a second person.
    pub(super) async fn nobody_first<'a>(
        &self,
        plan: &Plan,
        steps: impl IntoIterator<Item = &'a PlannedStep>,
    ) -> Option<String> {
        let needs = guarded(steps);
        let link = self.links.get(&plan.target.context).filter(|_| !self.local_only && !needs.is_empty())?;
        let why = Identity::ask_named(link).await.refusal()?;
        Some(format!(
            "{} needs the approval of a second person, and so it has to be known who the first one is: {why}; nothing was sent",
            needs.join(", ")
        ))
    }

    /// A run as its record in the clusters has it. `Err`: one sentence.
    pub async fn recorded(&self, run: &str) -> Result<(Head, Vec<Record>), String> {
        if run.is_empty() || !run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(format!("{run:?} is not the name of a run"));
        }
        let (head, lines) = self.fetch(run).await?;
        match journal_reconcile::whole(&head, &lines, self.lang()) {
            Ok((records, _)) => Ok((head, records)),
            Err(bad) => Err(bad.refusal(journal::read(&self.runs, run).is_ok())),
        }
    }

    /// What a run in the clusters waits for a second person to approve. `Err`: exit code and one sentence.
    pub async fn asked(&self, run: &str) -> Result<Asked, (Exit, String)> {
        let refuse = |sentence: String| (Exit::Refused, sentence);
        let (head, records) = self.recorded(run).await.map_err(refuse)?;
        let replayed = replay(&records, self.lang()).map_err(refuse)?;
        if let Some(outcome) = replayed.outcome() {
            return Err(refuse(format!("run {run} is over ({}); there is nothing to approve", outcome.word())));
        }
        let Some((step, wanted)) = replayed.awaits_approval() else {
            return Err(refuse(format!(
                "run {run} waits for no approval now: nothing to approve. A step with `approvers: 2` asks for one once its own gate is confirmed"
            )));
        };
        let link = self.links.need(&head.context).map_err(refuse)?;
        let named = Identity::ask_named(link).await;
        if wanted.confirmed_by.as_ref() == Some(&named.who.user) {
            return Err(refuse(format!(
                "{} is {}, who confirmed {} already: an approval has to come from another user of the cluster; nothing was written",
                link.context(),
                named.who.user,
                wanted.step
            )));
        }
        if let Some(why) = named.refusal() {
            return Err(refuse(format!(
                "no second person in {}: {why}; nothing was written and nothing approved",
                link.context()
            )));
        }
        let alike = |other: &&PlannedStep| other.id != step.id && base(&other.id) == base(&step.id);
        let done = |step: &PlannedStep| matches!(replayed.state(&step.id), StepState::Completed(_));
        let shown = ToApprove {
            step: step.clone(),
            alike: replayed.guarded().filter(alike).count(),
            wanted,
            driver: last_driver(&records).unwrap_or_else(|| head.who().to_string()),
            last: records.last().map_or_else(now, |record| record.at),
            document: self.document_of(&replayed, &head).await,
            done: replayed.steps().iter().filter(|step| done(step)).map(|step| step.id.clone()).collect(),
            who: named.who.to_string(),
            plan: replayed.plan,
        };
        Ok(Asked { shown, who: named.who, head })
    }

    async fn document_of(&self, run: &Run, head: &Head) -> Option<String> {
        match self.judged(&run.plan).await.0 {
            Provenance::Shipped => None,
            Provenance::Here { file } => Some(format!("its runbook is {file}, which is on this machine too")),
            Provenance::Foreign { why } => Some(format!(
                "a document of {}, not known here: {why}. What is approved is the request below, whatever its words say",
                head.who()
            )),
        }
    }

    /// Leaves the approval in the cluster. One sentence either way; `Err` with an exit code.
    pub async fn approve(&self, asked: &Asked) -> Result<String, (Exit, String)> {
        let refuse = |sentence: String| (Exit::Refused, sentence);
        let Asked { shown: ToApprove { wanted, plan, driver, .. }, who, head } = asked;
        let permit = WritePermit::for_run(&self.links, &wanted.run, [&head.context]).map_err(refuse)?;
        let link = self.links.need(&head.context).map_err(refuse)?;
        let question = wanted.asked.as_ref().map(|(_, question)| question.clone());
        let approval = Approval {
            run: wanted.run.clone(),
            gate: wanted.gate.clone(),
            step: Some(wanted.step.clone()),
            attempt: wanted.attempt,
            plan: wanted.plan.clone(),
            object: object_name(
                &wanted.run,
                &wanted.step,
                wanted.attempt,
                question.as_deref().unwrap_or_default(),
                &who.user,
            ),
            question,
            user: who.user.clone(),
            named_by: NamedBy::Server,
            host: who.host.clone(),
            at: now(),
            created: None,
            immutable: true,
            unknown: None,
            vouched: IdentityProof::Review,
        };
        let published = approval::publish(link, &permit, &head.namespace, &approval);
        match user_agent::during(&plan.runbook, &wanted.run, published).await {
            Ok(new) => Ok(format!(
                "{} {} for attempt {} as {who} (ConfigMap {} in {}/{}); {} continues with `tidepilot runs resume {}`",
                if new { "approved" } else { "was approved already:" },
                wanted.step,
                wanted.attempt,
                approval.object,
                head.context,
                head.namespace,
                driver,
                wanted.run
            )),
            Err(why) => Err(refuse(format!("the approval was not written: {why}"))),
        }
    }

    /// The approvals of this run, waited for as long as the driver has patience. What cannot be read is none. `Err`:
    /// somebody else has the lease by now.
    pub(super) async fn approvals(
        &self,
        plan: &Plan,
        wanted: &Wanted,
        lease: Option<&Arc<Lease>>,
        channels: &mut RunChannels,
    ) -> Result<Vec<Approval>, String> {
        let Some(link) = self.links.get(&plan.target.context).filter(|_| !self.local_only) else {
            return Ok(Vec::new());
        };
        let namespace = &plan.target.namespace;
        let begun = Instant::now();
        loop {
            let (mut found, unread) = match approval::find(link, namespace, &wanted.run).await {
                Ok(found) => (found, None),
                Err(trouble) => (Vec::new(), Some(trouble.sentence)),
            };
            let lacking = match decide(wanted, &found) {
                Ok(_) => {
                    self.vouch(link, plan, wanted, &mut found).await;
                    return Ok(found);
                }
                Err(sentence) => sentence,
            };
            if let Some(why) = lease.and_then(taken) {
                return Err(why);
            }
            if *channels.stop.borrow() || begun.elapsed() >= self.patience {
                return Ok(found);
            }
            let said = unread.map_or(lacking, |why| format!("{} cannot be seen to be approved: {why}", wanted.step));
            tell(channels, RunMessage::Waiting(said)).await;
            tokio::select! {
                () = tokio::time::sleep(ASK_AGAIN) => {}
                _ = channels.stop.changed() => {}
            }
        }
    }

    /// Notes whether the API server itself has kept people from approving in another name, all the time since before
    /// these were written.
    async fn vouch(&self, link: &crate::client::Link, plan: &Plan, wanted: &Wanted, found: &mut [Approval]) {
        let Ok(permit) = WritePermit::for_run(&self.links, &wanted.run, [&plan.target.context]) else { return };
        let Some(since) = approval::policy_since(link).await else { return };
        let Named { who, .. } = Identity::ask_named(link).await;
        if approval::policy_holds(link, &permit, &plan.target.namespace, &who, &wanted.run).await {
            // The server's times are whole seconds: in the same one it is not known which came first.
            for approval in found.iter_mut().filter(|approval| approval.created.is_some_and(|made| made > since)) {
                approval.vouched = IdentityProof::Server;
            }
        }
    }
}

/// What a lease that somebody else has says.
fn taken(lease: &Arc<Lease>) -> Option<String> {
    match lease.ready() {
        Err(lost @ Lost::Taken { .. }) => Some(lost.to_string()),
        Err(Lost::Unsure { .. }) | Ok(()) => None,
    }
}

/// Comes back, with why, once somebody else has the lease; never without one.
pub(super) async fn until_taken(lease: Option<&Arc<Lease>>) -> String {
    let Some(lease) = lease else { return std::future::pending().await };
    loop {
        if let Some(why) = taken(lease) {
            return why;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Ids of the steps that a second person has to approve.
fn guarded<'a>(steps: impl IntoIterator<Item = &'a PlannedStep>) -> Vec<&'a str> {
    steps.into_iter().filter(|step| step.approvers > 1 && !step.already_so).map(|step| step.id.as_str()).collect()
}

/// A step's id without its item.
fn base(id: &str) -> &str {
    id.split('[').next().unwrap_or(id)
}
