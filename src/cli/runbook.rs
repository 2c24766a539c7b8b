//! `tidepilot runbook list|show`: the shipped runbooks.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{fail, print};
use crate::app::driver::{exit, runbooks};
use crate::report::table::table;
use crate::runbook::definition::SHIPPED;

#[derive(Args, Debug)]
pub struct RunbookArgs {
    #[command(subcommand)]
    command: RunbookCommand,
}

#[derive(Debug, Subcommand)]
enum RunbookCommand {
    /// Names and titles
    List,
    /// The document itself
    Show { id: String },
}

pub fn run(args: &RunbookArgs) -> ExitCode {
    match &args.command {
        RunbookCommand::List => {
            let rows: Vec<Vec<String>> =
                runbooks().into_iter().map(|runbook| vec![runbook.id, runbook.title]).collect();
            print(&table(&["RUNBOOK", "TITLE"], &rows));
            ExitCode::SUCCESS
        }
        RunbookCommand::Show { id } => match SHIPPED.iter().find(|(name, _)| name == id) {
            Some((_, text)) => {
                print(text);
                ExitCode::SUCCESS
            }
            None => {
                let known: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
                fail(&format!("no runbook is called {id:?}; there are: {}", known.join(", ")), exit::REFUSED)
            }
        },
    }
}
