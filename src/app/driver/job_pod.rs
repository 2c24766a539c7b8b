//! What the pod of a Job does: begins the run that was submitted, or goes on with it after an earlier pod of the same Job.
//!
//! The pod has no journal: the run is what its record in the cluster says. It is the same driver again only by that
//! record, which names the Job; the lease of an earlier pod is watched until it has lapsed, so that two never drive. A run
//! that a person has taken over since is theirs. Not here: submitting it ([`super::job_submit`]), the steps ([`super::run_loop`]).

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::job_answers::Answers;
use super::{Driver, GateAnswer, Reply, RunChannels, end, journal_reconcile, tell};
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::jobs::api_reachability;
use crate::client::kube::identity::{Named, is_at};
use crate::client::share::find_run_records;
use crate::client::share::lease;
use crate::client::share::run_record_configmaps::{self, Head};
use crate::client::wire::user_agent;
use crate::client::{RequestError, RequestErrorKind};
use crate::fleet::kubectl_quoting::quote;
use crate::pluralize::{counted, has};
use crate::runbook::plan::Plan;
use crate::runbook::plan::digest::{digest, moved};
use crate::runbook::plan::overrule;
use crate::runbook::run::journal_lines::line_hash;
use crate::runbook::run::open_run_status::last_driver;
use crate::runbook::run::record::{Outcome, Record};

/// Before an earlier pod, or a cluster that does not answer, is looked at again.
const AGAIN: Duration = Duration::from_secs(5);
/// For how long an API server may give no answer before the run is begun or taken up.
const LONGEST_AWAY: Duration = Duration::from_secs(30 * 60);

/// What a Job was submitted to drive.
#[derive(Clone, Debug)]
pub struct Task {
    pub run: String,
    /// As it was agreed to.
    pub plan: Plan,
    /// `CONTEXT/NAMESPACE/NAME` of the Job.
    pub job: String,
    /// Hash of the record's lines when it was submitted to go on with a run; a new run has none.
    pub after: Option<String>,
    /// What a person answered where it was submitted: gate and text. Each is good for one attempt of a step.
    pub answers: Vec<(String, String)>,
}

/// What the clusters have of the run.
enum There {
    Nothing,
    Record(Box<Head>, String),
    /// One sentence: it cannot be told now.
    Unseen(String),
    /// One sentence: with these credentials it cannot be told.
    Barred(String),
}

/// One attempt of a pod.
enum Tried {
    Ended(RunEnd),
    /// Why it is to be tried again, one clause: an earlier pod is there, which ends by itself.
    Later(String),
    /// Which API server gave no answer, one sentence: tried again for a bounded time.
    Away(String),
}

impl Driver {
    /// Drives from a Job: others read its name where a machine's would stand.
    pub fn in_job(self, job: &str) -> Self {
        Self { place: Some(host_of(job)), ..self }
    }

    /// Who we are, with where we drive.
    pub(super) fn placed(&self, mut named: Named) -> Named {
        if let Some(place) = &self.place {
            named.who.host.clone_from(place);
        }
        named
    }

    /// Begins the run or goes on with it, and comes back when it has ended or needs a person.
    pub async fn carry_on(&self, task: &Task, mut channels: RunChannels) -> RunEnd {
        let answers = Answers::new(&task.answers);
        let mut away: Option<Instant> = None;
        loop {
            let why = match Box::pin(self.one_attempt(task, &answers, &mut channels)).await {
                Tried::Ended(ended) => return task.worded(ended),
                Tried::Later(why) => {
                    away = None;
                    why
                }
                Tried::Away(why) => {
                    if away.get_or_insert_with(Instant::now).elapsed() > LONGEST_AWAY {
                        let minutes =
                            counted(usize::try_from(LONGEST_AWAY.as_secs() / 60).unwrap_or_default(), "minute");
                        return end(&task.run, Exit::Refused, format!("nothing was sent for {minutes}: {why}"));
                    }
                    why
                }
            };
            tell(&channels, RunMessage::Waiting(format!("{why}; it is looked at again"))).await;
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                _ = channels.stop.wait_for(|stop| *stop) => {
                    let sentence = "stopped as asked before it was begun; nothing was sent from here";
                    return end(&task.run, Exit::Paused, sentence.into());
                }
            }
        }
    }

    /// One attempt, with the news handed on and the gates answered that a person has answered already.
    async fn one_attempt(&self, task: &Task, answers: &Answers<'_>, channels: &mut RunChannels) -> Tried {
        let (reply, replies) = mpsc::channel(4);
        let (news, mut heard) = mpsc::channel(64);
        let own = RunChannels { news, replies, stop: channels.stop.clone() };
        let mut recorded = false;
        let tried = {
            // Large, and deep in a worker's stack already; so are those inside of it.
            let mut attempt = Box::pin(self.attempt(task, answers, own));
            loop {
                tokio::select! {
                    tried = &mut attempt => break tried,
                    Some(said) = channels.replies.recv() => drop(reply.send(said).await),
                    Some(message) = heard.recv() => {
                        recorded |= matches!(message, RunMessage::Record(_));
                        if let Some(said) = hand_on(message, answers, channels).await {
                            drop(reply.send(said).await);
                        }
                    }
                }
            }
        };
        while let Ok(message) = heard.try_recv() {
            recorded |= matches!(message, RunMessage::Record(_));
            hand_on(message, answers, channels).await;
        }
        match tried {
            // What was not reached looks like what is not there or has moved. Nothing was sent and nothing written yet.
            Tried::Ended(ended) if ended.code == Exit::Refused && !recorded => {
                let contexts: Vec<String> = self.links.iter().map(|link| link.context().to_owned()).collect();
                match api_reachability::away(&self.links, &contexts).await {
                    Some(why) => Tried::Away(why),
                    None => Tried::Ended(ended),
                }
            }
            tried => tried,
        }
    }

    async fn attempt(&self, task: &Task, answers: &Answers<'_>, channels: RunChannels) -> Tried {
        if let Some(why) = api_reachability::away(&self.links, &task.plan.contexts).await {
            return Tried::Away(why);
        }
        let ended = match self.there(task).await {
            There::Unseen(why) => return Tried::Away(format!("the run's record cannot be looked for ({why})")),
            There::Barred(why) => end(&task.run, Exit::Refused, format!("nothing was sent: {why}")),
            There::Nothing if task.after.is_some() => {
                end(&task.run, Exit::Refused, format!("the record of run {} is gone; nothing was sent", task.run))
            }
            There::Nothing => Box::pin(self.begin(task, channels)).await,
            There::Record(head, lines) => Box::pin(self.take_up(task, answers, *head, &lines, channels)).await,
        };
        if ended.code == Exit::AnotherRun && self.held_by_this_job(task).await {
            return Tried::Later("an earlier pod of this Job still holds the lease".to_owned());
        }
        Tried::Ended(ended)
    }

    async fn there(&self, task: &Task) -> There {
        let target = &task.plan.target;
        match find_run_records::at(&self.links, &target.context, &target.namespace, &task.run).await {
            Ok(None) => There::Nothing,
            Ok(Some(head)) => match run_record_configmaps::read(&self.links, &head).await {
                Ok(lines) => There::Record(Box::new(head), lines),
                Err(why) => There::Unseen(why),
            },
            // These do not pass by themselves.
            Err(RequestError {
                kind: RequestErrorKind::Forbidden | RequestErrorKind::AuthNeeded, sentence, ..
            }) => There::Barred(sentence),
            Err(trouble) => There::Unseen(trouble.sentence),
        }
    }

    /// A new run: planned anew with the rights that this pod has, and nothing may have moved since it was agreed to.
    async fn begin(&self, task: &Task, channels: RunChannels) -> RunEnd {
        let refuse = |sentence: String| end("", Exit::Refused, sentence);
        let accepted = overrule::of_plan(&task.plan);
        let given = task.plan.given();
        let plan = match Box::pin(self.plan_accepting(&task.plan.runbook, &given, &accepted, true)).await {
            Ok(plan) => plan,
            Err(sentence) => return refuse(sentence),
        };
        // With rights that are lacking everything else is not known.
        if plan.refusals().next().is_some() {
            return Box::pin(self.start_as(task.run.clone(), plan, channels)).await;
        }
        let moved = moved(&task.plan, &plan);
        if !moved.is_empty() {
            return refuse(format!(
                "{} {} moved since the plan was agreed to, so nothing was sent: {}",
                counted(moved.len(), "thing"),
                has(moved.len()),
                moved.join("; ")
            ));
        }
        // Not the plan of just now: what it says beside what counts (who leads, a warning's words) would give it another
        // digest, and the next pod would take the run's own plan for somebody else's.
        Box::pin(self.start_as(task.run.clone(), task.plan.clone(), channels)).await
    }

    /// A run that has a record: gone on with where an earlier pod of this Job was the last to drive it, or where it is as
    /// it was when the Job was submitted.
    async fn take_up(
        &self,
        task: &Task,
        answers: &Answers<'_>,
        head: Head,
        lines: &str,
        channels: RunChannels,
    ) -> RunEnd {
        let run = task.run.as_str();
        let refuse = |sentence: String| end(run, Exit::Refused, sentence);
        let (records, replayed) = match journal_reconcile::whole(&head, lines, self.lang()) {
            Ok(whole) => whole,
            Err(bad) => return refuse(bad.refusal(false)),
        };
        if let Some(outcome) = replayed.outcome() {
            return end(run, code_of(outcome), format!("run {run} is over: {}", outcome.word()));
        }
        if digest(&replayed.plan) != digest(&task.plan) {
            return refuse("the plan in its record is not the one that was agreed to; nothing was sent".to_owned());
        }
        if let Err(ended) = task.still_ours(&records, lines) {
            return ended;
        }
        if let Some(sentence) = self.nobody_first(&replayed.plan, replayed.guarded()).await {
            return refuse(sentence);
        }
        let plan = replayed.plan;
        let runbook = plan.runbook.clone();
        // A person may have had the run while the lease of the pod before was watched.
        let still = |records: &[Record], lines: &str| {
            task.still_ours(records, lines)?;
            answers.spend_on(records, &task.host());
            Ok(())
        };
        user_agent::during(&runbook, run, Box::pin(self.take_from(run, head, plan, lines, &still, channels))).await
    }

    /// Whether the lease is held by an earlier pod of this very Job, which may still be alive.
    async fn held_by_this_job(&self, task: &Task) -> bool {
        let Ok(ground) = self.ground(&task.plan, &[]).await else { return false };
        for place in &ground.places {
            if let Ok(Some(holder)) = lease::held_by(&self.links, place, &ground.database).await
                && holder.run == task.run
                && holder.who.host == task.host()
            {
                return true;
            }
        }
        false
    }
}

/// Hands one piece of news to the face; a gate that a person has answered already is answered here.
async fn hand_on(message: RunMessage, answers: &Answers<'_>, channels: &RunChannels) -> Option<Reply> {
    if let RunMessage::Record(record) = &message {
        answers.spend(record);
    }
    if let RunMessage::Gate(gate) = &message
        && let Some(text) = answers.to(gate)
    {
        return Some(Reply { gate: gate.id.clone(), said: GateAnswer::Text(text) });
    }
    tell(channels, message).await;
    None
}

impl Task {
    fn host(&self) -> String {
        host_of(&self.job)
    }

    /// Whether a run with these records is still this Job's to drive. `Err`: how it ends here.
    fn still_ours(&self, records: &[Record], lines: &str) -> Result<(), RunEnd> {
        let (run, last) = (&self.run, last_driver(records).unwrap_or_default());
        if is_at(&last, &self.host()) || self.after.as_deref() == Some(line_hash(lines).as_str()) {
            return Ok(());
        }
        let sentence =
            format!("run {run} was gone on with by {last} since this Job was submitted; nothing was sent from here");
        Err(end(run, Exit::AnotherRun, sentence))
    }

    /// The pod has no terminal and its journal goes with it: what is printed of it has to go on with a Job.
    fn worded(&self, mut ended: RunEnd) -> RunEnd {
        let Some((place, _)) = self.job.rsplit_once('/') else { return ended };
        let plain = format!("tidepilot runs resume {}", self.run);
        let by_job = format!("{plain} --in {}", quote(place));
        ended.sentence = ended.sentence.replace(&plain, &by_job);
        ended.ways.iter_mut().for_each(|way| way.command.in_job(place));
        ended
    }
}

/// What stands in the place of a machine's name.
pub fn host_of(job: &str) -> String {
    format!("Job {job}")
}

/// The exit code of a run that is over.
pub(super) fn code_of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Done | Outcome::NothingToDo | Outcome::LeftOut | Outcome::Abandoned => Exit::Done,
        Outcome::Undone => Exit::Undone,
    }
}
