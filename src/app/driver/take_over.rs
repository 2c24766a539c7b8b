//! Runs that other people, or this one's other machine, left open in the clusters: finding them and going on.
//!
//! Going on needs nothing but a kubeconfig: the journal is fetched. It begins only after the lease was seen to lapse,
//! and from then on the process that had it is refused. Not here: the lease ([`super::acquire_lease`]), the steps.

use std::collections::BTreeSet;

use super::acquire_lease::{Acquire, introduce};
use super::local_runs::replay;
use super::{Driver, RunChannels, TOOL, acquire_lease, ask, end, journal_reconcile, tell};
use crate::app::exit_codes::Exit;
use crate::app::message::{RunEnd, RunMessage};
use crate::client::journal::{self, Journal, LedgerError};
use crate::client::kube::identity::Identity;
use crate::client::share::find_run_records;
use crate::client::share::find_run_records::Found;
use crate::client::share::run_record_configmaps::{self, Head};
use crate::client::wire::permit::WritePermit;
use crate::client::wire::user_agent;
use crate::fleet::kubectl_quoting::quote;
use crate::fleet::object_kind::{ObjectId, ObjectKind};
use crate::fleet::{ObjectRef, What};
use crate::pluralize::counted;
use crate::runbook::actions::untrusted_plan::titles;
use crate::runbook::language::document::Runbook;
use crate::runbook::plan::digest::digest;
use crate::runbook::plan::provenance::{Known, Provenance};
use crate::runbook::plan::{Gate, Plan};
use crate::runbook::run::Run;
use crate::runbook::run::open_run_status::last_driver;
use crate::runbook::run::record::{Event, Record};

/// Asked under the lease, of the records and their lines as they are by then: whether the run is still to be gone on with.
pub(super) type Still<'a> = dyn Fn(&[Record], &str) -> Result<(), RunEnd> + Send + Sync + 'a;

impl Driver {
    /// The open runs in every context. Reads only.
    pub async fn open_runs(&self) -> Found {
        find_run_records::find(&self.links, None).await
    }

    /// Fetches the journal of a run found in the clusters and goes on with it.
    pub async fn take_over(&self, run: &str, mut channels: RunChannels) -> RunEnd {
        let refuse = |sentence: String| end(run, Exit::Refused, sentence);
        // It becomes part of a selector and of names.
        if run.is_empty() || !run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return refuse(format!("{run:?} is not the name of a run"));
        }
        let (head, lines) = match self.fetch(run).await {
            Ok(found) => found,
            Err(sentence) => {
                let here = format!("if its journal is on this machine, `tidepilot runs resume {run}` continues it");
                return refuse(format!("{sentence}; {here}"));
            }
        };
        let (records, replayed) = match journal_reconcile::whole(&head, &lines, self.lang()) {
            Ok(whole) => whole,
            Err(bad) => return refuse(bad.refusal(journal::read(&self.runs, run).is_ok())),
        };
        introduce(&head, &records, &channels).await;
        if replayed.outcome().is_some() {
            self.catch_up_and_say(run, &channels).await;
            return end(run, Exit::Done, format!("run {run} is over; there is nothing to take over"));
        }
        if let Some(sentence) = self.nobody_first(&replayed.plan, replayed.guarded()).await {
            return refuse(sentence);
        }
        let (done, all) = replayed.view().count();
        let sent = if replayed.has_written() { "something was sent, or may have been" } else { "nothing was sent" };
        let plan = replayed.plan;
        tell(&channels, RunMessage::Waiting(self.whose_word(&head).await)).await;
        tell(&channels, RunMessage::Waiting(format!("{done} of {} are over; {sent}", counted(all, "step")))).await;
        if let Err(ended) = self.ask_before_take_over(run, &plan, &head, &mut channels).await {
            return ended;
        }
        let runbook = plan.runbook.clone();
        user_agent::during(&runbook, run, self.take_from(run, head, plan, &lines, &|_, _| Ok(()), channels)).await
    }

    /// What the names in a record are worth in its cluster; asked by rehearsing, so that nothing is stored.
    async fn whose_word(&self, head: &Head) -> String {
        let permit = WritePermit::for_run(&self.links, "rehearsal", [&head.context]);
        if let (Some(link), Ok(permit)) = (self.links.get(&head.context), permit)
            && run_record_configmaps::names_are_checked(link, &permit, &head.namespace, &Identity::ask(link).await)
                .await
        {
            return format!(
                "the API server of {} takes a run's record only from the user whom it names (for as long as its admission policy is there)",
                head.context
            );
        }
        format!(
            "no admission policy binds a run's record in {}: anyone with permission to write ConfigMaps in {} can have written it, under any name",
            head.context, head.namespace
        )
    }

    /// Shows what is to be carried out, as `run` does, and asks. The record is somebody else's word: a plan that is no
    /// runbook known here is typed, by whose it is.
    pub(super) async fn ask_before_take_over(
        &self,
        run: &str,
        plan: &Plan,
        head: &Head,
        channels: &mut RunChannels,
    ) -> Result<(), RunEnd> {
        let (provenance, told) = self.judged(plan).await;
        tell(channels, RunMessage::Planned(Box::new(told))).await;
        let who = head.who();
        let (question, text) = match provenance {
            Provenance::Shipped => (format!("Take this run of {who} over and carry out what is left of it?"), None),
            Provenance::Here { file } => {
                (format!("Take this run of {who} over? Its runbook is {file}, a fork on this machine"), None)
            }
            Provenance::Foreign { why } => {
                let text = format!("document of {}", who.user);
                let question = format!(
                    "This is a document of {who}, not known here: {why}. Anyone with permission to write ConfigMaps in {}/{} can have \
                     written it. Type {text:?} to carry it out with your rights",
                    head.context, head.namespace
                );
                (question, Some(text))
            }
        };
        let gate = Gate { id: "take-over".into(), step: "take-over".into(), question, text, short: None };
        if self::answered(&gate, channels).await {
            return Ok(());
        }
        let need = gate.text.as_ref().map_or("--yes".to_owned(), |text| format!("--confirm {}", quote(text)));
        let sentence = format!("nothing was taken over and nothing sent: {} (needs {need})", gate.question);
        Err(end(run, Exit::AtGate, sentence))
    }

    /// Goes on with a journal of this machine: where it is no runbook known here, it came from elsewhere, or its document
    /// has changed since. Then it is shown and typed, as in a take-over.
    pub(super) async fn ask_before_going_on(
        &self,
        run: &mut Run,
        records: &[Record],
        channels: &mut RunChannels,
    ) -> Result<(), RunEnd> {
        let (provenance, told) = self.judged(&run.plan).await;
        let Provenance::Foreign { why } = provenance else { return Ok(()) };
        run.retell(titles(&told));
        tell(channels, RunMessage::Planned(Box::new(told))).await;
        let user = records.iter().find_map(|record| match &record.event {
            Event::Leased { user, .. } => user.clone(),
            _ => None,
        });
        let whose = user.unwrap_or_else(|| "an unknown user".to_owned());
        let text = format!("document of {whose}");
        let question = format!(
            "The document of this run is not known here: {why}. Whoever wrote its journal has written it. Type {text:?} to carry \
             it out with your rights"
        );
        let gate =
            Gate { id: "document".into(), step: "document".into(), question, text: Some(text.clone()), short: None };
        if self::answered(&gate, channels).await {
            return Ok(());
        }
        let sentence = format!(
            "nothing was sent and the run is as it was: {} (`--confirm {}` answers it)",
            gate.question,
            quote(&text)
        );
        Err(end(&run.id, Exit::AtGate, sentence))
    }

    /// Whose runbook a plan is, and the plan as it may be shown.
    pub(super) async fn judged(&self, plan: &Plan) -> (Provenance, Plan) {
        let shipped = Runbook::shipped(&plan.runbook).ok();
        let entries = self.catalog.entries();
        let here: Vec<Known<'_>> = entries
            .iter()
            .filter_map(|entry| {
                Some(Known { file: entry.file.as_deref()?, text: &entry.kept, runbook: entry.runbook.as_ref().ok()? })
            })
            .collect();
        let mut provenance = Provenance::of(plan, shipped.as_ref(), &here, &BTreeSet::new());
        // A part of a Database has that Database's images, which no document names: held against what runs there now.
        if matches!(provenance, Provenance::Foreign { .. }) && plan.makes_tidb_clusters().next().is_some() {
            provenance = Provenance::of(plan, shipped.as_ref(), &here, &self.images_of(&plan.target).await);
        }
        let lang = self.lang();
        let worded: Vec<Runbook> = here.iter().map(|known| known.runbook.clone().worded(lang)).collect();
        let pairs = here.iter().zip(&worded);
        let here: Vec<Known<'_>> = pairs.map(|(known, runbook)| Known { runbook, ..*known }).collect();
        let told = provenance.retold(plan, shipped.map(|shipped| shipped.worded(lang)).as_ref(), &here);
        (provenance, told)
    }

    /// The images that a TidbCluster names for its components now; none where it cannot be asked.
    async fn images_of(&self, of: &ObjectRef) -> BTreeSet<String> {
        let id = ObjectId::new(ObjectKind::TidbCluster, of);
        let mut images = BTreeSet::new();
        for change in self.links.look_at_objects(&BTreeSet::from([id])).await {
            let What::Object { sight, .. } = change.what else { continue };
            let spec = sight.present().and_then(|object| object["spec"].as_object());
            let parts = spec.into_iter().flat_map(|spec| spec.values());
            images.extend(parts.filter_map(|part| part.get("baseImage")?.as_str()).map(ToOwned::to_owned));
        }
        images
    }

    /// Takes the lease and goes on.
    pub(super) async fn take_from(
        &self,
        run: &str,
        head: Head,
        plan: Plan,
        lines: &str,
        still: &Still<'_>,
        channels: RunChannels,
    ) -> RunEnd {
        let refuse = |sentence: String| end(run, Exit::Refused, sentence);
        if let Err(why) = WritePermit::for_run(&self.links, run, &plan.contexts) {
            return refuse(format!("{why} (the run names its contexts as {} had them)", head.who()));
        }
        let (mut journal, fetched) = match self.local(run, lines, &channels).await {
            Ok(both) => both,
            Err(error @ LedgerError::Held { .. }) => return end(run, Exit::AnotherRun, error.to_string()),
            Err(error) => return refuse(error.to_string()),
        };
        let guarded = match Box::pin(self.guard(&plan, run, &mut journal, Acquire::Over, &channels)).await {
            Ok(guarded) => guarded,
            Err(barred) => {
                if fetched {
                    journal.discard();
                }
                return barred.end(run);
            }
        };
        // What the one before wrote until the lease was ours is in the file by now.
        let records = match journal::read(&self.runs, run) {
            Ok(records) => records,
            Err(error) => return self.give_up(guarded, refuse(error.to_string())).await,
        };
        let judged = match journal.text() {
            Ok(text) => still(&records, &text),
            Err(error) => Err(refuse(error.to_string())),
        };
        if let Err(ended) = judged {
            return self.give_up(guarded, ended).await;
        }
        let mut replayed = match replay(&records, self.lang()) {
            Ok(replayed) => replayed,
            Err(sentence) => return self.give_up(guarded, refuse(sentence)).await,
        };
        // The plan that was shown is the one that is carried out, whatever was written to the record meanwhile.
        if digest(&replayed.plan) != digest(&plan) {
            let sentence = "the plan in its record was changed after it was shown here; nothing was sent".to_owned();
            return self.give_up(guarded, refuse(sentence)).await;
        }
        replayed.retell(titles(&self.judged(&plan).await.1));
        let by = guarded.as_ref().map(|guarded| guarded.who.clone()).unwrap_or_default();
        let from = last_driver(&records).unwrap_or_else(|| head.who().to_string());
        let first = replayed.outcome().is_none().then(|| Event::TakenOver { tool: TOOL.into(), by, from, moves: None });
        Box::pin(self.drive(replayed, journal, guarded, first.into_iter().collect(), channels)).await
    }

    pub(super) async fn fetch(&self, run: &str) -> Result<(Head, String), String> {
        let mut found = find_run_records::find(&self.links, Some(run)).await;
        // Somebody may have laid another object under the same name elsewhere: the one that is whole is the run's.
        found.heads.sort_by_key(|head| head.open);
        for head in found.heads.iter().rev() {
            if let Ok(lines) = run_record_configmaps::read(&self.links, head).await
                && journal_reconcile::whole(head, &lines, self.lang()).is_ok()
            {
                return Ok((head.clone(), lines));
            }
        }
        let Some(head) = found.heads.pop() else {
            let unseen = match found.unseen.as_slice() {
                [] => String::new(),
                unseen => format!(" (not seen: {})", unseen.join("; ")),
            };
            return Err(format!("no cluster has a record of run {run}{unseen}{}", self.looked_where(&found.forbidden)));
        };
        let lines = run_record_configmaps::read(&self.links, &head).await?;
        Ok((head, lines))
    }

    /// In which namespace a record was looked for, where it was not in all of them, and which option looks elsewhere.
    fn looked_where(&self, forbidden: &BTreeSet<String>) -> String {
        let only: BTreeSet<&str> = self.links.iter().filter_map(|link| link.namespace()).collect();
        if let Some(namespace) = only.first() {
            return format!(
                " (looked in namespace {namespace} only: give the namespace of its TidbCluster, `-n NAMESPACE`, or none)"
            );
        }
        if forbidden.is_empty() {
            return String::new();
        }
        let contexts = forbidden.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!(
            "; the whole of {contexts} may not be listed: `-n NAMESPACE` with the namespace of its TidbCluster looks in that one"
        )
    }

    /// The file to go on with; `true` where it was made just now.
    async fn local(&self, run: &str, lines: &str, channels: &RunChannels) -> Result<(Journal, bool), LedgerError> {
        let mut journal = match Journal::open(&self.runs, run) {
            Ok((journal, _)) => journal,
            Err(LedgerError::Missing { .. }) => return Ok((Journal::import(&self.runs, run, lines)?, true)),
            // Every Intent is in the cluster before its action leaves, so the copy there is enough.
            Err(why @ (LedgerError::Damaged { .. } | LedgerError::NotText { .. } | LedgerError::Foreign { .. })) => {
                return self.instead(run, lines, &why.to_string(), channels).await;
            }
            Err(error) => return Err(error),
        };
        match journal.extend(lines) {
            Ok(_) => Ok((journal, false)),
            Err(LedgerError::Fork { .. }) => {
                drop(journal);
                let why = "the journal on this machine has other lines than the one in the cluster";
                self.instead(run, lines, why, channels).await
            }
            Err(error) => Err(error),
        }
    }

    /// Puts this machine's journal aside for the one in the cluster.
    async fn instead(
        &self,
        run: &str,
        lines: &str,
        why: &str,
        channels: &RunChannels,
    ) -> Result<(Journal, bool), LedgerError> {
        let aside = journal::set_aside(&self.runs, run)?;
        tell(channels, RunMessage::Waiting(format!("{why}; it is kept as {}", aside.display()))).await;
        Ok((Journal::import(&self.runs, run, lines)?, false))
    }

    async fn give_up(&self, guarded: Option<acquire_lease::Guarded>, ended: RunEnd) -> RunEnd {
        if let Some(guarded) = guarded {
            guarded.shared.lease.release().await;
        }
        ended
    }

    /// A run that is over in the file but open in the cluster: the last lines were not stored there. Best effort.
    pub(super) async fn repair(&self, plan: &Plan, run: &str, journal: &mut Journal, channels: &RunChannels) {
        if self.local_only || self.links.get(&plan.target.context).is_none_or(|link| link.read_only()) {
            return;
        }
        let found = find_run_records::find(&self.links, Some(run)).await;
        if !found.heads.iter().any(|head| head.open) {
            return;
        }
        if let Ok(Some(guarded)) = self.guard(plan, run, journal, Acquire::Resume, channels).await {
            let mut record = guarded.shared.record;
            record.close();
            let _ = record.flush().await;
            guarded.shared.lease.release().await;
        }
    }
}

/// Asks until it is answered as it has to be, or nobody answers.
async fn answered(gate: &Gate, channels: &mut RunChannels) -> bool {
    loop {
        match (ask(channels, gate).await.text(), &gate.text) {
            (Some(_), None) => return true,
            (Some(typed), Some(wanted)) if typed == *wanted => return true,
            (Some(_), Some(_)) => {}
            (None, _) => return false,
        }
    }
}
