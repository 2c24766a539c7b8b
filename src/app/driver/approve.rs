//! The second person of a step with `approvers: 2`: giving an approval, and looking for one.
//!
//! Giving needs nothing but a kubeconfig: run and plan are read from the record in the cluster, and the approval is
//! an object of its own, so neither lease nor journal is touched. Not here: which approval counts
//! (`runbook::approval`), the object (`client::approval`).

use std::time::{Duration, Instant};

use super::journals::replay;
use super::{Driver, Ears, Timestamp, exit, now, tell};
use crate::app::message::RunMessage;
use crate::client::access::WritePermit;
use crate::client::agent;
use crate::client::approval::{self, object_name};
use crate::client::identity::Identity;
use crate::client::open_run::Head;
use crate::runbook::approval::{Approval, Vouched, Wanted, decide};
use crate::runbook::plan::{CheckResult, CheckState, Plan, PlannedStep};
use crate::runbook::record::decode;
use crate::runbook::standing::last_driver;

/// How often the cluster is asked for an approval while one is waited for.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What the second person is asked to approve.
#[derive(Clone, Debug)]
pub struct Asked {
    pub wanted: Wanted,
    pub plan: Plan,
    pub step: PlannedStep,
    /// Who opened or last drove the run.
    pub driver: String,
    /// Since when the record in the cluster has stood still.
    pub last: Timestamp,
    /// Whom the approval will name.
    pub who: Identity,
    head: Head,
    reviewed: bool,
}

impl Driver {
    /// A plan that needs a second person is refused where no second person can see it.
    pub(super) fn second_person(&self, plan: &Plan) -> Option<CheckResult> {
        let needs: Vec<&str> = plan
            .steps
            .iter()
            .filter(|step| step.approvers > 1 && !step.already_so)
            .map(|step| step.id.as_str())
            .collect();
        (self.local_only && !needs.is_empty()).then(|| {
            let sentence = format!(
                "{} needs the approval of a second person, and with --local-only nobody else can see the run; run it without",
                needs.join(", ")
            );
            CheckResult::new("second-person", CheckState::Refused, sentence)
        })
    }

    /// What a run in the clusters waits for a second person to approve. `Err`: exit code and one sentence.
    pub async fn asked(&self, run: &str) -> Result<Asked, (u8, String)> {
        let refuse = |sentence: String| (exit::REFUSED, sentence);
        if run.is_empty() || !run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(refuse(format!("{run:?} is not the name of a run")));
        }
        let (head, lines) = self.fetch(run).await.map_err(refuse)?;
        let records = decode(&lines)
            .map(|parsed| parsed.records)
            .map_err(|why| refuse(format!("the record of run {run} in {} cannot be trusted: {why}", head.context)))?;
        let replayed = replay(&records).map_err(refuse)?;
        if let Some(outcome) = replayed.outcome() {
            return Err(refuse(format!("run {run} is over ({}); there is nothing to approve", outcome.word())));
        }
        let Some((step, wanted)) = replayed.awaits_approval() else {
            return Err(refuse(format!(
                "run {run} waits for no approval now: a step with `approvers: 2` asks for it once its own gate is confirmed"
            )));
        };
        let link = self.links.need(&head.context).map_err(refuse)?;
        let (who, reviewed) = Identity::ask_source(link).await;
        if wanted.confirmed_by.as_ref() == Some(&who.user) {
            return Err(refuse(format!(
                "{} is {}, who confirmed {} already: an approval has to come from another user of the cluster; nothing was written",
                link.context(),
                who.user,
                wanted.step
            )));
        }
        Ok(Asked {
            step: step.clone(),
            wanted,
            driver: last_driver(&records).unwrap_or_else(|| head.who().to_string()),
            last: records.last().map_or_else(now, |record| record.at),
            plan: replayed.plan,
            who,
            head,
            reviewed,
        })
    }

    /// Leaves the approval in the cluster. One sentence either way; `Err` with an exit code.
    pub async fn approve(&self, asked: &Asked) -> Result<String, (u8, String)> {
        let refuse = |sentence: String| (exit::REFUSED, sentence);
        let Asked { wanted, who, head, .. } = asked;
        let permit = WritePermit::for_run(&self.links, &wanted.run, [&head.context]).map_err(refuse)?;
        let link = self.links.need(&head.context).map_err(refuse)?;
        let approval = Approval {
            run: wanted.run.clone(),
            gate: wanted.gate.clone(),
            attempt: wanted.attempt,
            plan: wanted.plan.clone(),
            user: who.user.clone(),
            host: who.host.clone(),
            at: now(),
            object: object_name(&wanted.run, &wanted.gate, wanted.attempt, &who.user),
            vouched: if asked.reviewed { Vouched::Review } else { Vouched::Kubeconfig },
        };
        let published = approval::publish(link, &permit, &head.namespace, &approval);
        match agent::during(&asked.plan.runbook, &wanted.run, published).await {
            Ok(new) => Ok(format!(
                "{} {} for attempt {} as {who} (ConfigMap {} in {}/{}); {} goes on with `tidepilot runs resume {}`",
                if new { "approved" } else { "was approved already:" },
                wanted.step,
                wanted.attempt,
                approval.object,
                head.context,
                head.namespace,
                asked.driver,
                wanted.run
            )),
            Err(why) => Err(refuse(format!("the approval was not written: {why}"))),
        }
    }

    /// The approvals of this run, waited for as long as the driver has patience. What cannot be read is none.
    pub(super) async fn approvals(&self, plan: &Plan, wanted: &Wanted, ears: &mut Ears) -> Vec<Approval> {
        let Some(link) = self.links.get(&plan.target.context).filter(|_| !self.local_only) else { return Vec::new() };
        let namespace = &plan.target.namespace;
        let begun = Instant::now();
        loop {
            let mut found = match approval::find(link, namespace, &wanted.run).await {
                Ok(found) => found,
                Err(trouble) => {
                    let sentence = format!("approvals cannot be read: {}", trouble.sentence);
                    tell(ears, RunMessage::Waiting(sentence)).await;
                    Vec::new()
                }
            };
            let lacking = match decide(wanted, &found) {
                Ok(_) => {
                    self.vouch(link, plan, wanted, &mut found).await;
                    return found;
                }
                Err(sentence) => sentence,
            };
            if *ears.stop.borrow() || begun.elapsed() >= self.patience {
                return found;
            }
            tell(ears, RunMessage::Waiting(lacking)).await;
            tokio::select! {
                () = tokio::time::sleep(ASK_AGAIN) => {}
                _ = ears.stop.changed() => {}
            }
        }
    }

    /// Notes whether the API server itself keeps people from approving in another name.
    async fn vouch(&self, link: &crate::client::Link, plan: &Plan, wanted: &Wanted, found: &mut [Approval]) {
        let Ok(permit) = WritePermit::for_run(&self.links, &wanted.run, [&plan.target.context]) else { return };
        let who = Identity::ask(link).await;
        if approval::vouched_for(link, &permit, &plan.target.namespace, &who, &wanted.run).await {
            for approval in found {
                approval.vouched = Vouched::Server;
            }
        }
    }
}
