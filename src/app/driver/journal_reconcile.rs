//! The two copies of a run, its journal here and its record in a cluster: how they compare, and what follows.
//!
//! Neither is believed alone. A run that was ended elsewhere is ended here too; one that was continued elsewhere is gone on
//! with from there; a record that is none of this run's is named, with what removes it, and bars nothing silently. Nothing
//! is sent from here. Not here: going on ([`super::take_over`], [`super::resume`]), the files (`client::journal`).

use std::collections::BTreeMap;

use super::local_runs::replay;
use super::runbook_catalog::Lang;
use super::{Driver, RunChannels, tell};
use crate::app::message::RunMessage;
use crate::client::journal::{self, Journal, LedgerError};
use crate::client::share::find_run_records::{self, Dark};
use crate::client::share::run_record_configmaps::{self, Head};
use crate::runbook::run::Run;
use crate::runbook::run::journal_lines::decode;
use crate::runbook::run::open_run_status::Standing;
use crate::runbook::run::open_run_status::unreadable_record::BadRecord;
use crate::runbook::run::record::{Event, Record};

/// The records of a run as a cluster has them, and the run that they make. `Err`: why they are no journal of this run.
pub(super) fn whole(head: &Head, lines: &str, lang: Lang) -> Result<(Vec<Record>, Run), BadRecord> {
    let refused = |why: String| bad(head, why);
    if lines.is_empty() {
        return Err(refused(format!("there is no line in ConfigMap {}", run_record_configmaps::head_name(&head.run))));
    }
    let records = decode(lines).map_err(|why| refused(why.to_string()))?.records;
    if let Some(Event::RunOpened { run, .. }) = records.first().map(|record| &record.event)
        && *run != head.run
    {
        return Err(refused(format!("it holds the journal of run {run}")));
    }
    let run = replay(&records, lang).map_err(refused)?;
    if run.plan.target.namespace != head.namespace {
        return Err(refused(format!("its plan is about {}, in another namespace", run.plan.target)));
    }
    Ok((records, run))
}

/// The record as the object that it is.
pub(super) fn bad(head: &Head, why: String) -> BadRecord {
    BadRecord {
        run: head.run.clone(),
        context: head.context.clone(),
        namespace: head.namespace.clone(),
        object: head.object.clone(),
        why,
        writer: head.writer(),
        whole_name: head.object == run_record_configmaps::head_name(&head.run),
    }
}

/// Whether two journals are of one run: they begin with the same line.
fn one_run(here: &str, there: &str) -> bool {
    here.split_once('\n').map(|(first, _)| first) == there.split_once('\n').map(|(first, _)| first)
}

/// What a record is to the journal here, both whole.
pub(super) fn another_run(head: &Head, here: &str, there: &str) -> Option<BadRecord> {
    (!one_run(here, there))
        .then(|| bad(head, "it begins with another line than the journal of this machine".to_owned()))
}

impl Driver {
    /// Ends this machine's journal where the run was ended elsewhere; one sentence if it did. The lines that were here and are
    /// not there are kept beside it.
    pub(super) async fn catch_up(&self, run: &str, dark: &Dark) -> Option<String> {
        let here = journal::text(&self.runs, run).ok()?;
        let known = journal::read(&self.runs, run);
        if known.as_ref().is_ok_and(|records| replay(records, self.lang()).is_ok_and(|run| run.outcome().is_some())) {
            return None;
        }
        for head in find_run_records::find_in(&self.links, Some(run), &BTreeMap::new(), dark).await.heads {
            let Ok(lines) = run_record_configmaps::read(&self.links, &head).await else { continue };
            let Ok((_, ended)) = whole(&head, &lines, self.lang()) else { continue };
            let Some(outcome) = ended.outcome() else { continue };
            // What is damaged here has to be of the same run as far as it can be told: by its first line.
            if !one_run(&here, &lines) && known.is_ok() {
                continue;
            }
            let told = format!(
                "run {run} was ended elsewhere ({}), last by {}; its journal here is brought up to that",
                outcome.word(),
                head.who()
            );
            return match self.replace(run, &lines) {
                Ok(None) => Some(told),
                Ok(Some(aside)) => Some(format!("{told}, and what was here is kept as {aside}")),
                // Somebody is at it, or it cannot be written: then it stays as it is.
                Err(_) => None,
            };
        }
        None
    }

    /// Brings a journal of this machine to these lines: lengthened, or put aside where it has others. Gives the name under
    /// which it was put aside.
    pub(super) fn replace(&self, run: &str, lines: &str) -> Result<Option<String>, LedgerError> {
        // Kept locked until its successor is there.
        let _held = match Journal::open(&self.runs, run) {
            Ok((mut journal, _)) => match journal.extend(lines) {
                Ok(_) => return Ok(None),
                Err(LedgerError::Fork { .. }) => Some(journal),
                Err(error) => return Err(error),
            },
            Err(LedgerError::Damaged { .. } | LedgerError::NotText { .. } | LedgerError::Foreign { .. }) => None,
            Err(error) => return Err(error),
        };
        let aside = journal::set_aside(&self.runs, run)?;
        Journal::import(&self.runs, run, lines)?;
        Ok(Some(aside.display().to_string()))
    }

    /// Fetches what was done elsewhere since, of a run that is open in the cluster.
    pub(super) async fn bring_up(&self, run: &str) {
        let Ok(here) = journal::text(&self.runs, run) else { return };
        for head in find_run_records::find(&self.links, Some(run)).await.heads {
            let Ok(lines) = run_record_configmaps::read(&self.links, &head).await else { continue };
            if one_run(&here, &lines) && !here.starts_with(&lines) && whole(&head, &lines, self.lang()).is_ok() {
                // What cannot be fetched is said by whoever goes on.
                let _ = self.replace(run, &lines);
            }
        }
    }

    /// Of a journal that cannot be used: what goes on in its place.
    pub(super) async fn on_record(&self, run: &str, why: &LedgerError) -> String {
        let damaged =
            matches!(why, LedgerError::Damaged { .. } | LedgerError::NotText { .. } | LedgerError::Foreign { .. });
        let missing = matches!(why, LedgerError::Missing { .. });
        if !(damaged || missing) || self.local_only {
            return String::new();
        }
        let found = match self.fetch(run).await {
            Ok((head, lines)) => Some(whole(&head, &lines, self.lang()).map(|_| head)),
            Err(_) => None,
        };
        match found {
            // That a take-over goes on is said already where there is no journal.
            Some(Ok(_)) | None if missing => String::new(),
            Some(Ok(head)) => format!(
                "; its record in {}/{} is whole: `tidepilot runs take-over {run}` continues with that",
                head.context, head.namespace
            ),
            Some(Err(bad)) => format!("; {}", bad.refusal(false)),
            None => format!(
                "; `tidepilot runs verify {run}` says where, and no cluster has a record to go on with: once it is moved out of {} it is not \
                 looked at",
                self.runs.display()
            ),
        }
    }

    /// The same, said to whoever listens.
    pub(super) async fn catch_up_and_say(&self, run: &str, channels: &RunChannels) {
        if self.local_only {
            return;
        }
        if let Some(sentence) = self.catch_up(run, &Dark::new()).await {
            tell(channels, RunMessage::Waiting(sentence)).await;
        }
    }

    /// Whether a run of another record can be gone on with from the journal of this machine: it is whole, and it has every
    /// line that is there.
    pub(super) fn have(&self, run: &str, there: &str) -> bool {
        let whole = journal::read(&self.runs, run).is_ok();
        whole && journal::text(&self.runs, run).is_ok_and(|here| here.starts_with(there))
    }

    /// Notes how a run of this machine stands in the cluster whose record of it is this one.
    pub(super) async fn compare(&self, standing: &mut Standing, head: &Head) {
        let Ok(lines) = run_record_configmaps::read(&self.links, head).await else { return };
        let here = journal::text(&self.runs, &standing.run).unwrap_or_default();
        let readable = journal::read(&self.runs, &standing.run).is_ok();
        match whole(head, &lines, self.lang()) {
            Err(bad) => standing.barred_by(bad),
            Ok(_) if !readable => {
                standing.open = true;
                standing.here = false;
                standing.waits = "is open there, and the journal here cannot be read".to_owned();
                standing.target = format!("{}/{}/{}", head.context, head.namespace, head.name());
                standing.runbook.clone_from(&head.runbook);
                standing.opened = head.opened.parse().unwrap_or_default();
                standing.driven(standing.drives.clone());
            }
            Ok(_) if here.starts_with(&lines) && standing.open => {}
            Ok(_) if here.starts_with(&lines) => standing.not_closed_there(),
            Ok(_) => match another_run(head, &here, &lines) {
                Some(bad) => standing.barred_by(bad),
                None => {
                    standing.open = true;
                    standing.continued();
                }
            },
        }
    }
}
