//! Reads the whole journal of one run: the file of this machine, or its record in a cluster where that one is further, or alone.
//! Reads only.
//!
//! Not here: how a run stands ([`super::open_runs`]), going on with one ([`super::resume`], [`super::take_over`]).

use super::Driver;
use crate::app::whole_run::WholeRun;
use crate::client::journal::{self, LedgerError};
use crate::runbook::recorded_text_translation;
use crate::runbook::run::journal_lines::decode;
use crate::runbook::run::journal_verify::verify;
use crate::runbook::run::record::Event;

impl Driver {
    /// `Err`: one sentence.
    pub(super) async fn whole_run(&self, run: &str) -> Result<WholeRun, String> {
        let (folder, id) = (self.runs.clone(), run.to_owned());
        // It may be long: not on a thread that others wait for.
        let here = tokio::task::spawn_blocking(move || journal::text(&folder, &id)).await;
        let here = here.map_err(|error| format!("the journal of run {run} was not read: {error}"))?;
        let (text, from) = match here {
            Ok(text) if self.local_only || closed(&text) => (text, HERE.to_owned()),
            Ok(text) => match self.fetch(run).await {
                // Somebody may have gone on with it elsewhere.
                Ok((head, lines)) if lines.len() > text.len() && lines.starts_with(&text) => {
                    (lines, format!("its record in {}/{}", head.context, head.namespace))
                }
                Ok(_) | Err(_) => (text, HERE.to_owned()),
            },
            Err(LedgerError::Missing { .. }) if !self.local_only => {
                let (head, lines) = self.fetch(run).await?;
                (lines, format!("its record in {}/{}", head.context, head.namespace))
            }
            Err(error) => return Err(error.to_string()),
        };
        let verified = verify(run, &text, None);
        let parsed = decode(&text).map_err(|why| {
            format!("the journal of run {run} cannot be trusted: {why}; `tidepilot runs verify {run}` names the line")
        })?;
        let records = recorded_text_translation::records(&parsed.records, self.lang()).into_owned();
        Ok(WholeRun { records, verified, from })
    }
}

const HERE: &str = "the journal on this machine";

/// Whether nothing can follow.
fn closed(text: &str) -> bool {
    let last = decode(text).ok().and_then(|parsed| parsed.records.last().map(|record| record.event.clone()));
    matches!(last, Some(Event::Closed { .. }))
}
