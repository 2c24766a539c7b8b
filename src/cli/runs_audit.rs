//! `tidepilot runs verify|report|remaining`: a journal for those who were not there. Reads files, and the
//! approvals that a journal names.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;

use super::shared_options::Connect;
use super::{help_texts, print};
use crate::app::driver::approval_audit::{Seen, recorded};
use crate::app::driver::local_runs;
use crate::app::exit_codes::Exit;
use crate::client::journal;
use crate::pluralize::counted;
use crate::report;
use crate::runbook::recorded_text_translation;
use crate::runbook::run::journal_lines::decode;
use crate::runbook::run::journal_verify::verify;
use crate::runbook::run::record::Event;
use crate::runbook::run::remaining_script::remaining;
use crate::runbook::run::view::Shown;

/// The journal is not as it was written.
const NOT_WHOLE: u8 = 2;

#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Whether the journal is as it was written; exit 0 whole, 2 not, 4 unreadable
    #[command(after_help = help_texts::RUNS_VERIFY)]
    Verify {
        /// Name of the run (`tidepilot runs list`), or its beginning or last part where that is one run's alone
        id: String,
        /// Hash of a line noted earlier
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
    },
    /// One Markdown document: who, what, when, each request and its evidence
    #[command(after_help = help_texts::RUNS_REPORT)]
    Report {
        /// Name of the run (`tidepilot runs list`), or its beginning or last part where that is one run's alone
        id: String,
    },
    /// What is left, as a shell script with kubectl and curl
    #[command(after_help = help_texts::RUNS_REMAINING)]
    Remaining {
        /// Name of the run (`tidepilot runs list`), or its beginning or last part where that is one run's alone
        id: String,
    },
}

impl AuditCommand {
    /// The run that it is about.
    pub fn run_mut(&mut self) -> &mut String {
        let (AuditCommand::Verify { id, .. } | AuditCommand::Report { id } | AuditCommand::Remaining { id }) = self;
        id
    }
}

pub async fn run(command: &AuditCommand, folder: &Path, connect: &Connect) -> ExitCode {
    let (AuditCommand::Verify { id, .. } | AuditCommand::Report { id } | AuditCommand::Remaining { id }) = command;
    let text = match journal::text(folder, id) {
        Ok(text) => text,
        Err(error) => return connect.refuse(&error.to_string(), Exit::Refused.code()),
    };
    let head = if let AuditCommand::Verify { head, .. } = command { head.as_deref() } else { None };
    let mut verified = verify(id, &text, head);
    let approvals = match command {
        AuditCommand::Verify { .. } | AuditCommand::Report { .. } => approvals(&text, connect).await,
        AuditCommand::Remaining { .. } => Vec::new(),
    };
    report::approval_audit::into(&mut verified, &approvals);
    if let AuditCommand::Verify { .. } = command {
        let mut out = String::new();
        let (word, code) = if verified.findings.is_empty() { ("whole", 0) } else { ("NOT WHOLE", NOT_WHOLE) };
        out.push_str(&format!("journal of run {id}: {}, {word}\n", counted(verified.lines, "line")));
        verified.findings.iter().for_each(|finding| out.push_str(&format!("  WRONG  {}\n", report::plain(finding))));
        verified.notes.iter().for_each(|note| out.push_str(&format!("  note   {}\n", report::plain(note))));
        print(&out);
        return ExitCode::from(code);
    }
    let parsed = match decode(&text) {
        Ok(parsed) => parsed,
        Err(why) => {
            let sentence =
                format!("the journal of run {id} cannot be trusted: {why}; `runs verify {id}` names the line");
            return connect.refuse(&sentence, Exit::Refused.code());
        }
    };
    let records = recorded_text_translation::records(&parsed.records, connect.lang());
    let Some(Event::RunOpened { plan, .. }) = records.first().map(|record| &record.event) else {
        return connect.refuse(&format!("the journal of run {id} does not open a run"), Exit::Refused.code());
    };
    if let AuditCommand::Remaining { .. } = command {
        return match local_runs::replay(&parsed.records, connect.lang()) {
            Ok(run) => {
                let undoing = run.undoing().map(|way| way.steps.as_slice());
                print(&connect.repeat(&remaining(id, plan, undoing, &records)));
                ExitCode::SUCCESS
            }
            Err(sentence) => connect.refuse(&sentence, Exit::Refused.code()),
        };
    }
    match report::run_report::markdown(&records, &verified, &approvals) {
        Some(document) => {
            print(&document);
            ExitCode::SUCCESS
        }
        None => connect.refuse(&format!("the journal of run {id} does not open a run"), Exit::Refused.code()),
    }
}

/// The approvals that a journal records, looked for where a cluster can be asked. A journal without any asks nobody.
async fn approvals(text: &str, connect: &Connect) -> Vec<Seen> {
    let Ok(parsed) = decode(text) else { return Vec::new() };
    let Ok(shown) = Shown::of(&parsed.records) else { return Vec::new() };
    let none = recorded(shown.run(), &parsed.records, "no cluster could be asked");
    if none.is_empty() {
        return none;
    }
    match connect.links().map(|links| connect.driver(links)) {
        Ok(Ok(driver)) => driver.approved(shown.run(), &parsed.records).await,
        Ok(Err(why)) | Err(why) => recorded(shown.run(), &parsed.records, &why),
    }
}
