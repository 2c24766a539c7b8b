//! `tidepilot runs list|show|resume|undo|abandon`: the journals on this machine.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::options::Connect;
use super::run::{FaceArgs, drive, finish};
use super::{USAGE, fail, print};
use crate::app::driver::{Driver, exit};
use crate::client::ledger;
use crate::report;
use crate::runbook::choices::Wish;

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
    /// Go on with an open run: try again, or as chosen
    Resume {
        id: String,
        /// This step was done by hand: verify it and go on
        #[arg(long, value_name = "STEP", conflicts_with = "skip")]
        by_hand: Option<String>,
        /// Leave this step out; never one with no way back, nor one that a later step waits for
        #[arg(long, value_name = "STEP", requires = "reason")]
        skip: Option<String>,
        /// Why the step is left out
        #[arg(long, value_name = "TEXT", requires = "skip")]
        reason: Option<String>,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Put back what a run sent, the newest first, as far as there is a way back
    Undo {
        id: String,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Give an open run up as it stands; says what is left half done
    Abandon {
        id: String,
        #[arg(long, value_name = "TEXT")]
        reason: String,
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
        RunsCommand::Resume { id, by_hand, skip, reason, face } => {
            let wish = match (by_hand, skip) {
                (Some(step), _) => Some(Wish::ByHand { step: step.clone() }),
                (None, Some(step)) => {
                    Some(Wish::Skip { step: step.clone(), reason: reason.clone().unwrap_or_default() })
                }
                (None, None) => None,
            };
            go_on(id, wish, face, folder, connect).await
        }
        RunsCommand::Undo { id, face } => go_on(id, Some(Wish::Undo), face, folder, connect).await,
        RunsCommand::Abandon { id, reason, face } => {
            go_on(id, Some(Wish::Abandon { reason: reason.clone() }), face, folder, connect).await
        }
    }
}

/// Goes on with a run as chosen.
async fn go_on(
    id: &str,
    wish: Option<Wish>,
    face: &FaceArgs,
    folder: PathBuf,
    connect: &Connect,
) -> color_eyre::Result<ExitCode> {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let driver = Driver::new(links, folder);
    let id = id.to_owned();
    let end = drive(face, |ears| async move { driver.resume_with(&id, wish.as_ref(), ears).await }).await;
    Ok(finish(&end))
}
