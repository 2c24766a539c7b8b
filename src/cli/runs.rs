//! `tidepilot runs list|show|resume|undo|abandon|approve|take-over`: the journals on this machine, and the open runs in the
//! clusters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::gate_prompts::{FaceArgs, drive, finish};
use super::run::SharingArgs;
use super::run_in_job::InArgs;
use super::shared_options::Connect;
use super::{USAGE, complain, fail, help_texts, print, run_id_prefix};
use crate::app::driver::open_runs::OpenWork;
use crate::app::driver::run_notifications::RunTeller;
use crate::app::driver::{Driver, local_runs};
use crate::app::exit_codes::Exit;
use crate::client;
use crate::client::journal::{self, LedgerError};
use crate::report;
use crate::runbook::recorded_text_translation;
use crate::runbook::run::open_run_status::Standing;
use crate::runbook::run::pause_choices::Resolution;
use crate::runbook::run::record::{Event, Record};

#[derive(Args, Debug)]
pub struct RunsArgs {
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum RunsCommand {
    /// Every journal on this machine, newest first, and the open runs found in the clusters
    #[command(after_help = help_texts::RUNS_LIST)]
    List {
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t = ListOutput::Table)]
        output: ListOutput,
    },
    /// One journal, record by record
    #[command(after_help = help_texts::RUNS_SHOW)]
    Show {
        /// Name of the run (`tidepilot runs list`), or its beginning or last part where that is one run's alone
        id: String,
        /// Form of the output; json: the records, one a line
        #[arg(short, long, value_enum, default_value_t = ShowOutput::Text)]
        output: ShowOutput,
        /// Print its record in the cluster, and go on as it grows, until the run is over; wherever it is driven
        #[arg(long)]
        follow: bool,
    },
    #[command(flatten)]
    Audit(super::runs_audit::AuditCommand),
    /// Go on with an open run: try again, or as chosen
    #[command(after_help = help_texts::run(help_texts::RUNS_RESUME))]
    Resume {
        /// Name of the run (`tidepilot runs list`), or its beginning or last part where that is one run's alone
        id: String,
        /// This step was done by hand: verify it and go on
        #[arg(long, value_name = "STEP", conflicts_with = "skip")]
        by_hand: Option<String>,
        /// Leave this step out; never an irreversible one, nor one that a later step waits for
        #[arg(long, value_name = "STEP", requires = "reason")]
        skip: Option<String>,
        /// Why the step is left out
        #[arg(long, value_name = "TEXT", requires = "skip")]
        reason: Option<String>,
        #[command(flatten)]
        place: InArgs,
        #[command(flatten)]
        sharing: SharingArgs,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Put back what a run sent, the newest first, as far as it is reversible
    #[command(after_help = help_texts::run(help_texts::RUNS_UNDO))]
    Undo {
        /// Name of the run (`tidepilot runs list`), whole
        id: String,
        #[command(flatten)]
        sharing: SharingArgs,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Give an open run up as it stands; says what is left half done
    #[command(after_help = help_texts::run(help_texts::RUNS_ABANDON))]
    Abandon {
        /// Name of the run (`tidepilot runs list`), whole
        id: String,
        /// Why it is given up; kept in the journal
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        sharing: SharingArgs,
        #[command(flatten)]
        face: FaceArgs,
    },
    /// Approve, as a second person, the step that an open run waits with (`approvers: 2`)
    #[command(after_help = help_texts::RUNS_APPROVE)]
    Approve {
        /// Name of the run (`tidepilot runs list`), whole
        id: String,
        /// Answer the question without asking; never one that wants a text typed
        #[arg(long)]
        yes: bool,
        /// The text that the step asks for
        #[arg(long, value_name = "TEXT")]
        confirm: Option<String>,
    },
    /// Go on with an open run of somebody else (or of another machine), once no process drives it
    #[command(after_help = help_texts::run(help_texts::RUNS_TAKE_OVER))]
    TakeOver {
        /// Name of the run (`tidepilot runs list`), whole
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

impl RunsCommand {
    /// The same with the whole name of its run. `Err`: a part of a name that fits several, or where only a whole one will do.
    fn of_whole_name(&self, folder: &Path) -> Result<Self, String> {
        let mut command = self.clone();
        match &mut command {
            RunsCommand::Show { id, .. } | RunsCommand::Resume { id, .. } => *id = run_id_prefix::whole(folder, id)?,
            RunsCommand::Audit(audit) => *audit.run_mut() = run_id_prefix::whole(folder, audit.run_mut())?,
            RunsCommand::Undo { id, .. } => run_id_prefix::only_whole(folder, id, "undo")?,
            RunsCommand::Abandon { id, .. } => run_id_prefix::only_whole(folder, id, "abandon")?,
            RunsCommand::TakeOver { id, .. } => run_id_prefix::only_whole(folder, id, "take-over")?,
            // Whoever approves has no journal of the run.
            RunsCommand::Approve { .. } | RunsCommand::List { .. } => {}
        }
        Ok(command)
    }
}

pub async fn run(args: &RunsArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let folder = match connect.runs() {
        Ok(folder) => folder,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let command = match args.command.of_whole_name(&folder) {
        Ok(command) => command,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    match &command {
        RunsCommand::List { output } => list(*output, folder, connect).await,
        RunsCommand::Show { id, output, follow: true } => grown(id, *output, folder, connect).await,
        RunsCommand::Show { id, output, follow: false } => show(id, *output, folder, connect).await,
        RunsCommand::Audit(command) => Ok(super::runs_audit::run(command, &folder, connect).await),
        RunsCommand::TakeOver { id, face } => take_over(id, face, folder, connect).await,
        RunsCommand::Resume { id, by_hand, skip, place, face, .. } if place.is_given() => {
            if by_hand.is_some() || skip.is_some() {
                return Ok(fail("--by-hand and --skip are decided here: resume it without --in first", USAGE));
            }
            Ok(super::run_in_job::go_on(place, face, connect, id, folder).await)
        }
        RunsCommand::Resume { id, by_hand, skip, reason, sharing, face, .. } => {
            let wish = match (by_hand, skip) {
                (Some(step), _) => Some(Resolution::ByHand { step: step.clone() }),
                (None, Some(step)) => {
                    Some(Resolution::Skip { step: step.clone(), reason: reason.clone().unwrap_or_default() })
                }
                (None, None) => None,
            };
            go_on(id, wish, sharing, face, folder, connect).await
        }
        RunsCommand::Approve { id, yes, confirm } => {
            Ok(super::runs_approve::run(id, *yes, confirm.as_deref(), folder, connect).await)
        }
        RunsCommand::Undo { id, sharing, face } => {
            go_on(id, Some(Resolution::Undo), sharing, face, folder, connect).await
        }
        RunsCommand::Abandon { id, reason, sharing, face } => {
            go_on(id, Some(Resolution::Abandon { reason: reason.clone() }), sharing, face, folder, connect).await
        }
    }
}

/// This machine's journals, and what is open in the clusters.
async fn list(output: ListOutput, folder: PathBuf, connect: &Connect) -> color_eyre::Result<ExitCode> {
    // A context that was asked for and is not there is a slip; without any kubeconfig there are still this machine's runs.
    if !connect.contexts.is_empty()
        && let Err(sentence) = connect.links()
    {
        return Ok(fail(&sentence, USAGE));
    }
    let observed_at = client::now();
    let mut work = found(connect, folder).await;
    print(&match output {
        ListOutput::Table => {
            connect.repeat_of_runs(&mut work.runs);
            table(&work)
        }
        ListOutput::Json => {
            let document = report::document(json!({"runs": json(&work)?}), observed_at)?;
            serde_json::to_string_pretty(&document)? + "\n"
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// One journal, and what can be done about it.
async fn show(id: &str, output: ShowOutput, folder: PathBuf, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let records = match journal::read(&folder, id) {
        Ok(records) => records,
        Err(LedgerError::Missing { dir, .. }) => {
            let missing = format!("there is no journal of run {id} in {}", dir.display());
            return show_recorded(id, output, &missing, folder, connect).await;
        }
        Err(error) => return Ok(connect.refuse(&error.to_string(), Exit::Refused.code())),
    };
    if output == ShowOutput::Json {
        print_records(&records, output, connect)?;
        return Ok(ExitCode::SUCCESS);
    }
    let document = records.first().and_then(|record| match &record.event {
        Event::RunOpened { plan, .. } => plan.document.as_ref(),
        _ => None,
    });
    if let Some(document) = document {
        print(&(report::plain(&document.mark()) + "\n"));
    }
    print_records(&recorded_text_translation::records(&records, connect.lang()), output, connect)?;
    let ways = report::run_lines::ways(&local_runs::ways_on(&records, connect.lang()), &connect.repeated());
    print(&connect.with_kubeconfig(&ways));
    Ok(ExitCode::SUCCESS)
}

/// One line each.
fn print_records(records: &[Record], output: ShowOutput, connect: &Connect) -> color_eyre::Result<()> {
    for record in records {
        print(&match output {
            ShowOutput::Text => connect.with_kubeconfig(&report::run_lines::line(record)) + "\n",
            ShowOutput::Json => report::run_lines::json(record)? + "\n",
        });
    }
    Ok(())
}

async fn take_over(id: &str, face: &FaceArgs, folder: PathBuf, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let (catalog, notifier) = match connect.catalog().and_then(|catalog| Ok((catalog, face.notify.notifier()?))) {
        Ok(both) => both,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let mut teller = RunTeller::of(notifier, &folder, id);
    let driver = Driver::new(links, folder).with_catalog(catalog).patience(face.patience());
    let id = id.to_owned();
    let end = drive(face, &mut teller, |channels| async move { driver.take_over(&id, channels).await }).await;
    Ok(finish(&end, face, connect, &teller).await)
}

/// Prints a run's record as it grows, until the run is over or whoever looks leaves.
async fn grown(id: &str, output: ShowOutput, folder: PathBuf, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let driver = match connect.links() {
        Ok(links) => Driver::new(links, folder),
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let (head, _) = match driver.recorded(id).await {
        Ok(found) => found,
        Err(sentence) => return Ok(connect.refuse(&sentence, Exit::Refused.code())),
    };
    let mut known = 0;
    loop {
        match driver.record_at(&head.context, &head.namespace, id).await {
            Ok((records, _)) => {
                let told = recorded_text_translation::records(&records, connect.lang());
                print_records(told.get(known..).unwrap_or_default(), output, connect)?;
                if records.is_empty() && known > 0 {
                    let sentence =
                        format!("the record of run {id} was deleted from {}/{}", head.context, head.namespace);
                    return Ok(connect.refuse(&sentence, Exit::Refused.code()));
                }
                known = records.len().max(known);
                if driver.over(&records).is_some() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            // It is looked at again: whoever watches wants to see when it is there.
            Err(why) => complain(&why),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// A run whose journal is not here: its plan and its records as the cluster has them. That is what a second person reads.
async fn show_recorded(
    id: &str,
    output: ShowOutput,
    missing: &str,
    folder: PathBuf,
    connect: &Connect,
) -> color_eyre::Result<ExitCode> {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => {
            return Ok(
                connect.refuse(&format!("{missing}, and no cluster could be asked: {sentence}"), Exit::Refused.code())
            );
        }
    };
    let (head, records) = match Driver::new(links, folder).recorded(id).await {
        Ok(found) => found,
        Err(sentence) => {
            let known = "`tidepilot runs list` shows the runs that there are";
            return Ok(connect.refuse(&format!("{missing}, and {sentence}; {known}"), Exit::Refused.code()));
        }
    };
    if output == ShowOutput::Json {
        for record in &records {
            print(&(report::run_lines::json(record)? + "\n"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let records = recorded_text_translation::records(&records, connect.lang());
    let place = format!("{}/{}", head.context, head.namespace);
    print(&connect.with_kubeconfig(&report::run_lines::recorded(&head.who().to_string(), &place, &records)));
    Ok(ExitCode::SUCCESS)
}

/// Goes on with a run as chosen.
async fn go_on(
    id: &str,
    wish: Option<Resolution>,
    sharing: &SharingArgs,
    face: &FaceArgs,
    folder: PathBuf,
    connect: &Connect,
) -> color_eyre::Result<ExitCode> {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    sharing.warn();
    let (catalog, notifier) = match connect.catalog().and_then(|catalog| Ok((catalog, face.notify.notifier()?))) {
        Ok(both) => both,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let mut teller = RunTeller::of(notifier, &folder, id);
    let driver =
        Driver::new(links, folder).with_catalog(catalog).local_only(sharing.local_only).patience(face.patience());
    let id = id.to_owned();
    let end =
        drive(face, &mut teller, |channels| async move { driver.resume_with(&id, wish.as_ref(), channels).await })
            .await;
    Ok(finish(&end, face, connect, &teller).await)
}

/// This machine's runs and the open ones in the clusters. Without a kubeconfig there are only this machine's; what could
/// not be seen is said.
async fn found(connect: &Connect, folder: PathBuf) -> OpenWork {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => {
            complain(&format!("open runs in the clusters were not looked for: {sentence}"));
            return OpenWork { runs: local_runs::standings(&folder, connect.lang()), ..OpenWork::default() };
        }
    };
    // A run whose TidbCluster is gone is told from one that only waits by looking.
    let contexts: BTreeSet<String> = local_runs::standings(&folder, connect.lang())
        .into_iter()
        .filter(|run| run.open)
        .flat_map(|run| run.needed.into_iter().map(|of| of.context))
        .collect();
    let fleet = match contexts.is_empty() {
        true => None,
        false => Some(client::assemble(links.look(Some(&contexts)).await)),
    };
    let catalog = connect.catalog().unwrap_or_default();
    let mut work = Driver::new(links, folder).with_catalog(catalog).open_work(None).await;
    if let Some(fleet) = &fleet {
        work.runs.iter_mut().for_each(|run| run.seen(fleet));
    }
    for sentence in &work.unseen {
        complain(&format!("open runs not seen in {sentence}"));
    }
    for sentence in &work.narrowed {
        complain(sentence);
    }
    work
}

fn table(work: &OpenWork) -> String {
    let (here, others): (Vec<Standing>, Vec<Standing>) = work.runs.iter().cloned().partition(|run| run.here);
    let mut out = if here.is_empty() {
        "no runs on this machine\n".into()
    } else {
        report::run_lines::list(&here, client::now())
    };
    if !others.is_empty() {
        out.push_str("\nopen in the clusters, of others:\n");
        out.push_str(&report::run_lines::list(&others, client::now()));
    }
    let open = report::run_lines::open(&work.runs);
    if !open.is_empty() {
        out.push('\n');
        out.push_str(&open);
    }
    out
}

/// The same as JSON; with where its record is, for those that a cluster knows.
fn json(work: &OpenWork) -> serde_json::Result<Vec<Value>> {
    let mut list = Vec::new();
    for run in &work.runs {
        let mut value = serde_json::to_value(run)?;
        if let Some(head) = work.heads.iter().find(|head| head.run == run.run) {
            value["inCluster"] = serde_json::to_value(head)?;
        }
        list.push(value);
    }
    Ok(list)
}
