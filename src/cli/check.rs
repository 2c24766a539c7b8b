//! `tidepilot check [DATABASE]`: what is wrong or risky, over a running fleet or (`--file`) over YAML and shell text that
//! somebody is about to apply. Only reads; `--file` needs no cluster at all.
//!
//! Exit 0: nothing at or above the severity; 2: something; 3: nothing found, but something could not be seen.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::network_prerequisites::{self, NetworkArgs};
use super::notify::{NotifyArgs, Told, dark};
use super::shared_options::Connect;
use super::signals::{Signals, asked};
use super::{USAGE, complain, fail, print};
use crate::client::notify::Notifier;
use crate::client::{self, Links};
use crate::files::{self, Allowed};
use crate::fleet::closer_look::Extras;
use crate::fleet::database::{databases, find_by_name};
use crate::hazards::lint::{Text, lint};
use crate::hazards::{Severity, check_among};
use crate::report;
use crate::report::check::{Shown, catalogue, catalogue_json};
use crate::runbook::run::open_run_status::{self, Standing};

/// Longest text that is linted.
const LONGEST: u64 = 16 * 1024 * 1024;
/// Longest of all texts together.
const LONGEST_TOGETHER: usize = 64 * 1024 * 1024;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CheckArgs {
    #[command(subcommand)]
    command: Option<CheckCommand>,
    /// Name or PD cluster id of a Database (default: all)
    #[arg(conflicts_with_all = ["file", "catalogue"])]
    database: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = CheckOutput::Table)]
    output: CheckOutput,
    /// Only what is at least this bad is shown and counts; `info` never counts
    #[arg(long, value_enum, default_value_t = SeverityArg::Info)]
    severity: SeverityArg,
    /// YAML, or text with shell commands and YAML in it, instead of a fleet; `-`: standard input; repeatable
    #[arg(short, long, value_name = "FILE", num_args = 1..)]
    file: Vec<String>,
    /// Look again every minute (--every); Ctrl-C ends it. JSON: one line for each change
    #[arg(long, conflicts_with_all = ["file", "catalogue"])]
    watch: bool,
    /// Seconds between two looks of --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..), requires = "watch")]
    every: u64,
    /// Command for the shell, run whenever the findings change; the JSON is its standard input
    #[arg(long, value_name = "CMD", requires = "watch")]
    on_change: Option<String>,
    #[command(flatten)]
    notify: NotifyArgs,
    /// Print every hazard with how it is seen, and look at nothing
    #[arg(long, conflicts_with = "file")]
    catalogue: bool,
}

#[derive(Debug, Subcommand)]
enum CheckCommand {
    /// What the networks between KubeClusters have to do for a Database, and what is seen of it
    NetworkPrerequisites(NetworkArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckOutput {
    Table,
    Json,
    /// SARIF 2.1.0, for CI
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SeverityArg {
    Info,
    Low,
    Medium,
    High,
}

impl SeverityArg {
    fn severity(self) -> Severity {
        match self {
            SeverityArg::Info => Severity::Info,
            SeverityArg::Low => Severity::Low,
            SeverityArg::Medium => Severity::Medium,
            SeverityArg::High => Severity::High,
        }
    }
}

#[expect(clippy::too_many_lines, reason = "the command from its arguments to its exit code")]
pub async fn run(args: &CheckArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    if let Some(CheckCommand::NetworkPrerequisites(args)) = &args.command {
        return network_prerequisites::run(args, connect).await;
    }
    let least = args.severity.severity();
    if args.catalogue {
        print(&match args.output {
            CheckOutput::Table => catalogue(),
            CheckOutput::Json | CheckOutput::Sarif => catalogue_json(client::now())?,
        });
        return Ok(ExitCode::SUCCESS);
    }
    if !args.file.is_empty() {
        return match texts(&args.file) {
            Ok(texts) => {
                let shown = Shown::of_texts(lint(&texts), least);
                finish(args.output, &Shown { chinese: connect.chinese(), ..shown }, client::now())
            }
            Err(sentence) => Ok(fail(&sentence, USAGE)),
        };
    }
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let notifier = match args.notify.notifier() {
        // One look tells whoever asked for it.
        Ok(notifier) if args.watch => notifier,
        Ok(_) => Notifier::default(),
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let mut told = Told::default();
    let mut last: Option<Vec<String>> = None;
    let mut warned: Vec<String> = Vec::new();
    let mut signals = None;
    let mut code = ExitCode::SUCCESS;
    loop {
        let observed_at = client::now();
        let looked = tokio::select! {
            looked = look(args, connect, &links, observed_at) => looked,
            _ = asked(&mut signals) => return Ok(code),
        };
        let (shown, dark, unseen) = match looked {
            Ok(all) => all,
            Err(sentence) => return Ok(fail(&sentence, USAGE)),
        };
        if unseen != warned {
            unseen.iter().for_each(|sentence| complain(&format!("warning: open runs not seen in {sentence}")));
            warned = unseen;
        }
        if !args.watch {
            return finish(args.output, &shown, observed_at);
        }
        code = ExitCode::from(shown.exit_code());
        if signals.is_none() {
            signals = Some(Signals::register()?);
        }
        notifier.tell(&told.news(&shown.findings, &dark, observed_at));
        let found = shown.told();
        if last.replace(found.clone()).as_ref() != Some(&found) {
            let document = serde_json::to_string(&report::document(&shown, observed_at)?)? + "\n";
            match args.output {
                CheckOutput::Json => print(&document),
                CheckOutput::Table | CheckOutput::Sarif => {
                    print(&format!("-- {} --\n{}\n", observed_at.strftime("%Y-%m-%d %H:%M:%SZ"), shown.text()));
                }
            }
            if let Some(command) = &args.on_change {
                hand_to(command, &document).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
            _ = asked(&mut signals) => return Ok(code),
        }
    }
}

/// One look, judged, and the clusters that are not live. `Err`: one sentence.
async fn look(
    args: &CheckArgs,
    connect: &Connect,
    links: &Links,
    now: Timestamp,
) -> Result<(Shown, BTreeSet<String>, Vec<String>), String> {
    let least = args.severity.severity();
    let fleet = client::assemble(links.look_closer(None, &Extras::all()).await);
    let all = databases(&fleet);
    find_by_name::chosen(&all, args.database.as_deref()).map_err(|unknown| unknown.to_string())?;
    let mut checked = check_among(&fleet, &all, args.database.as_deref(), now);
    let work = connect.open_work(links, &fleet).await;
    let near = |run: &Standing| {
        args.database.is_none() || all.iter().any(|db| checked.databases.contains(&db.name) && run.concerns(db))
    };
    let mut open: Vec<Standing> = work.open().into_iter().filter(|run| near(run)).collect();
    open_run_status::into_findings(&open, &all, &mut checked.findings);
    // What machines read stays as it is whatever it was asked with.
    if args.output == CheckOutput::Table {
        connect.repeat_of_findings(&mut checked.findings);
        connect.repeat_of_runs(&mut open);
    }
    let shown = Shown::of_fleet(&fleet, checked, least, now);
    Ok((Shown { open_runs: open, chinese: connect.chinese(), ..shown }, dark(&fleet), work.unseen))
}

/// Longest time that a command for changes may take.
const HANDED_S: u64 = 60;

/// Runs a person's own command with the document as its standard input. What it does not do is said, and nothing else
/// comes of it: the watch goes on.
async fn hand_to(command: &str, document: &str) {
    use tokio::io::AsyncWriteExt as _;
    let started = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(why) => return complain(&format!("--on-change could not be started: {}", files::io_words(&why))),
    };
    let handed = async {
        if let Some(mut input) = child.stdin.take() {
            // Whoever does not read all of it may do so.
            let _ = input.write_all(document.as_bytes()).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(Duration::from_secs(HANDED_S), handed).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => complain(&format!("--on-change ended with {status}")),
        Ok(Err(why)) => complain(&format!("--on-change: {}", files::io_words(&why))),
        Err(_) => complain(&format!("--on-change took longer than {HANDED_S} s and was ended")),
    }
}

fn finish(output: CheckOutput, shown: &Shown, observed_at: Timestamp) -> color_eyre::Result<ExitCode> {
    print(&match output {
        CheckOutput::Table => shown.text(),
        CheckOutput::Json => serde_json::to_string_pretty(&report::document(shown, observed_at)?)? + "\n",
        CheckOutput::Sarif => serde_json::to_string_pretty(&shown.sarif())? + "\n",
    });
    Ok(ExitCode::from(shown.exit_code()))
}

fn texts(named: &[String]) -> Result<Vec<Text>, String> {
    let read = |file: &String| {
        let text = match file.as_str() {
            "-" => standard_input()?,
            path => {
                files::read_text(Path::new(path), Allowed::PlainOrPipe, LONGEST).map_err(|error| error.to_string())?
            }
        };
        Ok(Text { file: file.clone(), text })
    };
    let texts: Vec<Text> = named.iter().map(read).collect::<Result<_, String>>()?;
    let all: usize = texts.iter().map(|text| text.text.len()).sum();
    if all > LONGEST_TOGETHER {
        return Err(format!(
            "the files have {all} bytes, and at most {LONGEST_TOGETHER} are judged at once; give fewer"
        ));
    }
    Ok(texts)
}

/// Whoever pipes something in may take his time; how much it is, is bounded.
fn standard_input() -> Result<String, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 > LONGEST => {
            Err(format!("standard input gives more than {LONGEST} bytes, so it is not judged"))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err("standard input is no UTF-8 text, so it is not judged; is it compressed?".to_owned())
        }
        Err(error) => Err(format!("standard input cannot be read: {}", files::io_words(&error))),
    }
}
