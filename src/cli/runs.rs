//! `tidepilot runs list|show|resume`: the journals on this machine.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::options::Connect;
use super::run::{FaceArgs, drive, finish};
use super::{USAGE, fail, print};
use crate::app::driver::{Driver, exit};
use crate::client::ledger;
use crate::report;

#[derive(Args, Debug)]
pub struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// Every journal, newest first
    List {
        #[arg(short, long, value_enum, default_value_t = ListOutput::Table)]
        output: ListOutput,
    },
    /// One journal, record by record
    Show {
        id: String,
        #[arg(short, long, value_enum, default_value_t = ShowOutput::Text)]
        output: ShowOutput,
    },
    #[command(flatten)]
    Audit(super::audit::AuditCommand),
    /// Go on with an open run
    Resume {
        id: String,
        #[command(flatten)]
        face: FaceArgs,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowOutput {
    Text,
    Json,
}

pub async fn run(args: &RunsArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let folder = match connect.runs() {
        Ok(folder) => folder,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    match &args.command {
        RunsCommand::List { output } => {
            let all = crate::app::driver::journals::summaries(&folder);
            print(&match output {
                ListOutput::Table if all.is_empty() => "no runs on this machine\n".to_owned(),
                ListOutput::Table => report::run::list(&all),
                ListOutput::Json => serde_json::to_string_pretty(&all)? + "\n",
            });
            Ok(ExitCode::SUCCESS)
        }
        RunsCommand::Show { id, output } => match ledger::read(&folder, id) {
            Ok(records) => {
                for record in &records {
                    print(&match output {
                        ShowOutput::Text => report::run::line(record) + "\n",
                        ShowOutput::Json => serde_json::to_string(record)? + "\n",
                    });
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => Ok(fail(&error.to_string(), exit::REFUSED)),
        },
        RunsCommand::Audit(command) => Ok(super::audit::run(command, &folder)),
        RunsCommand::Resume { id, face } => {
            let links = match connect.links() {
                Ok(links) => links,
                Err(sentence) => return Ok(fail(&sentence, USAGE)),
            };
            let driver = Driver::new(links, folder);
            let id = id.clone();
            let end = drive(face, |ears| async move { driver.resume(&id, ears).await }).await;
            Ok(finish(&end))
        }
    }
}
