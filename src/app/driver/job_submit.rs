//! The laptop's side of a run that a Job drives: what is asked before it is submitted, submitting it, and following it.
//!
//! What is followed is the run's record, as every other face reads it; the Job only tells why there is none yet, and how
//! its pod ended. Not here: what the pod does ([`super::job_pod`]), the objects (`client::jobs`), the words (`cli::run_in_job`).

use std::time::Duration;

use jiff::Timestamp;

use super::local_runs::replay;
use super::planning::cfssl_folder;
use super::{Driver, RunChannels, acquire_lease, end, journal_reconcile, new_run_id};
use crate::app::exit_codes::Exit;
use crate::app::message::RunEnd;
use crate::client::assemble;
use crate::client::jobs;
use crate::client::jobs::job_status::{self, Seen};
use crate::client::jobs::kubeconfig_secret::{self, Access, Unknown};
use crate::client::jobs::manifest::Order;
use crate::client::kube::identity::Identity;
use crate::client::share::run_record_configmaps;
use crate::client::share::{find_run_records, lease};
use crate::client::wire::permit::WritePermit;
use crate::client::write::service_account_token;
use crate::runbook::plan::{Gate, Plan};
use crate::runbook::run::journal_lines::{decode, line_hash};
use crate::runbook::run::open_run_status::gate_anew;
use crate::runbook::run::record::{Event, Record};
use crate::runbook::run::view::Shown;

/// Jobs for one state of a run that ended without a record, before it is given up.
const MOST_NAMES: usize = 50;

/// A run that is to be driven by a Job, as it is now.
#[derive(Clone, Debug)]
pub struct ToDrive {
    pub run: String,
    pub plan: Plan,
    /// How many records it has and the hash of their lines, where it has begun.
    pub begun: Option<(usize, String)>,
    /// What is asked before the next step, where it has begun.
    pub gate: Option<Gate>,
}

impl ToDrive {
    /// A run that has not begun.
    pub fn new(plan: Plan) -> Self {
        Self { run: new_run_id(), plan, begun: None, gate: None }
    }
}

/// What is seen of a run that a Job drives.
#[derive(Debug, Default)]
pub struct Followed {
    /// Every record that there is, and the hash of their lines.
    pub records: Vec<Record>,
    pub mark: String,
    /// Why the record or the Job could not be read, one sentence.
    pub unseen: Option<String>,
    pub job: Seen,
}

impl Driver {
    /// Why no Job can drive this plan; one sentence.
    pub fn not_by_job(&self, plan: &Plan) -> Option<String> {
        if let Some(folder) = cfssl_folder(plan) {
            return Some(format!(
                "cfssl signs here, with its files in {folder}, and neither goes into the pod of a Job; take method builtin, or run it without --in"
            ));
        }
        let two = plan.steps.iter().find(|step| step.approvers > 1 && !step.already_so)?;
        Some(format!(
            "step {} needs two people, and a Job drives as a ServiceAccount, which is no person; run it without --in",
            two.id
        ))
    }

    /// Who is at work on the plan's Database now, or has left a run there that keeps this one out; one sentence.
    pub async fn busy(&self, plan: &Plan) -> Option<String> {
        self.somebody(plan).await
    }

    /// A run of the clusters with which a Job is to go on. Asks as a take-over does; nothing is written.
    pub async fn to_hand_over(&self, run: &str, mut channels: RunChannels) -> Result<ToDrive, RunEnd> {
        let refuse = |sentence: String| end(run, Exit::Refused, sentence);
        let (head, lines) = self.fetch(run).await.map_err(refuse)?;
        let (records, replayed) =
            journal_reconcile::whole(&head, &lines, self.lang()).map_err(|bad| refuse(bad.refusal(false)))?;
        acquire_lease::introduce(&head, &records, &channels).await;
        if let Some(outcome) = replayed.outcome() {
            return Err(end(run, Exit::Done, format!("run {run} is over: {}", outcome.word())));
        }
        // A Job's credentials know nothing of what is read-only here: what nobody may write to from here, no Job does.
        if let Some(sentence) = self.reads_only(run, &replayed.plan).await {
            return Err(refuse(format!("{sentence}; nothing was submitted")));
        }
        if let Some(who) = self.driven(&replayed.plan, run).await {
            let sentence = format!(
                "{who} drives it now; stop it there first (Ctrl-C; a Job: kubectl delete job, which lets it come to a safe stop)"
            );
            return Err(end(run, Exit::AnotherRun, sentence));
        }
        self.ask_before_take_over(run, &replayed.plan, &head, &mut channels).await?;
        let gate = gate_anew(&replayed);
        // As it was recorded: in the reader's language it is only shown.
        let plan = match records.first().map(|record| &record.event) {
            Some(Event::RunOpened { plan, .. }) => plan.as_ref().clone(),
            _ => replayed.plan,
        };
        Ok(ToDrive { run: run.to_owned(), plan, begun: Some((records.len(), line_hash(&lines))), gate })
    }

    /// Why this session may not write to a context of the plan, one sentence.
    async fn reads_only(&self, run: &str, plan: &Plan) -> Option<String> {
        if let Err(sentence) = WritePermit::for_run(&self.links, run, &plan.contexts) {
            return Some(sentence);
        }
        if !self.links.iter().any(|link| link.read_only()) {
            return None;
        }
        let fleet = assemble(self.links.look(None).await);
        self.read_only_elsewhere(&fleet, &plan.contexts)
    }

    /// A name for the Job that nobody has: the one that it would have, unless a Job of that name is over, or only its plan
    /// was left behind. A Job that is under way keeps the name, so that two people do not go on with one run.
    pub async fn free_name(&self, order: &Order) -> String {
        let Ok(link) = self.links.need(&order.context) else { return order.name.clone() };
        for number in 1..=MOST_NAMES {
            let name = if number == 1 { order.name.clone() } else { format!("{}-{number}", order.name) };
            if !jobs::is_used_up(link, &order.namespace, &name).await {
                return name;
            }
        }
        order.name.clone()
    }

    /// Who holds the lease of the run's Database, where it is seen to be renewed.
    async fn driven(&self, plan: &Plan, run: &str) -> Option<String> {
        let ground = self.ground(plan, &[]).await.ok()?;
        for place in &ground.places {
            let first = lease::held_by(&self.links, place, &ground.database).await.ok().flatten();
            let Some(first) = first.filter(|holder| holder.run == run) else { continue };
            // A third of its duration lies between two renewals.
            tokio::time::sleep(Duration::from_millis(first.duration_s * 450)).await;
            let second = lease::held_by(&self.links, place, &ground.database).await.ok().flatten();
            if second.is_some_and(|second| second.renewed != first.renewed) {
                return Some(first.to_string());
            }
        }
        None
    }

    /// The contexts of this session.
    pub fn contexts(&self) -> Vec<String> {
        self.links.iter().map(|link| link.context().to_owned()).collect()
    }

    /// What the Secret with the Job's kubeconfig holds.
    pub async fn job_access(&self, order: &Order) -> Result<Access, Unknown> {
        match self.links.need(&order.context) {
            Ok(link) => kubeconfig_secret::of(link, &order.namespace, &order.kubeconfig_secret).await,
            Err(why) => Err(Unknown::Bad(why)),
        }
    }

    /// A kubeconfig with a token of this ServiceAccount for each context, and until when each lives. `Err`: one sentence.
    pub async fn tokens(
        &self,
        contexts: &[String],
        namespace: &str,
        account: &str,
        seconds: u64,
    ) -> Result<(String, Vec<(String, Timestamp)>), String> {
        let permit = WritePermit::for_run(&self.links, "rbac", contexts)?;
        let links = contexts.iter().map(|context| self.links.need(context)).collect::<Result<Vec<_>, _>>()?;
        service_account_token::kubeconfig(&links, &permit, namespace, account, seconds).await
    }

    /// Who submits it, as the Job's cluster knows them.
    pub async fn submitter(&self, context: &str) -> String {
        match self.links.get(context) {
            Some(link) => Identity::ask(link).await.to_string(),
            None => String::new(),
        }
    }

    /// Lets the server rehearse both objects; nothing is stored. `Err`: one sentence.
    pub async fn rehearse_job(&self, order: &Order) -> Result<(), String> {
        let permit = WritePermit::for_run(&self.links, &order.run, [&order.context])?;
        jobs::rehearse(self.links.need(&order.context)?, &permit, &order.manifests()).await
    }

    /// Creates both objects. `Err`: one sentence.
    pub async fn submit(&self, order: &Order) -> Result<(), String> {
        let permit = WritePermit::for_run(&self.links, &order.run, [&order.context])?;
        jobs::submit(self.links.need(&order.context)?, &permit, &order.manifests()).await
    }

    /// Looks once at the record and at the Job.
    pub async fn follow(&self, order: &Order, plan: &Plan) -> Followed {
        let mut followed = Followed::default();
        match self.record_at(&plan.target.context, &plan.target.namespace, &order.run).await {
            Ok((records, mark)) => (followed.records, followed.mark) = (records, mark),
            Err(why) => followed.unseen = Some(why),
        }
        match self.links.need(&order.context) {
            Ok(link) => match job_status::look(link, &order.namespace, &order.name).await {
                Ok(seen) => followed.job = seen,
                Err(trouble) => followed.unseen = Some(trouble.sentence),
            },
            Err(why) => followed.unseen = Some(why),
        }
        followed
    }

    /// Every record of a run, from where its record would be, and the hash of their lines; none where it has not begun.
    pub async fn record_at(&self, context: &str, namespace: &str, run: &str) -> Result<(Vec<Record>, String), String> {
        let head = find_run_records::at(&self.links, context, namespace, run).await.map_err(|why| why.sentence)?;
        let Some(head) = head else { return Ok(Default::default()) };
        let lines = run_record_configmaps::read(&self.links, &head).await?;
        let parsed = decode(&lines).map_err(|why| why.to_string())?;
        Ok((parsed.records, line_hash(&lines)))
    }

    /// The question that whoever goes on with these records is asked first.
    pub fn question(&self, records: &[Record]) -> Option<Gate> {
        let run = replay(records, self.lang()).ok()?;
        if run.outcome().is_some() { None } else { gate_anew(&run) }
    }

    /// How these records have ended, in words, with its exit code.
    pub fn over(&self, records: &[Record]) -> Option<(Exit, String)> {
        let shown = Shown::of(records).ok()?;
        let outcome = shown.view().outcome?;
        Some((super::job_pod::code_of(outcome), outcome.word().to_owned()))
    }
}
