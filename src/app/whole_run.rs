//! The whole journal of one run as it was read: what a list of runs has only the sum of.
//!
//! Plain data. Not here: asking for it ([`super::run_journal_loading`]), reading it (`driver::load_run_journal`).

use crate::runbook::run::journal_verify::Verified;
use crate::runbook::run::record::Record;

/// All records of a run, in the reader's language, and whether the lines are as they were written.
#[derive(Clone, Debug)]
pub struct WholeRun {
    pub records: Vec<Record>,
    pub verified: Verified,
    /// Where it was read: `the journal on this machine`, `its record in east/db`.
    pub from: String,
}
