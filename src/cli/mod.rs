//! Commands of the binary: arguments in, exit code out. One file per command.
//!
//! Exit codes of `status` and `check`: 0 all well, 2 something is wrong, 3 something could not be seen. Of `plan` and `run`: see
//! [`crate::app::exit_codes`]. Wrong usage is 64 everywhere, so that it is never taken for an answer.

mod check;
mod console;
#[cfg(feature = "demo")]
mod demo;
mod diagnose;
mod docs;
mod gate_prompts;
mod help_texts;
mod job;
mod log_file;
mod monitor;
mod network_prerequisites;
mod notify;
mod plan;
mod printed_command_options;
mod rbac;
mod render;
mod run;
mod run_id_prefix;
mod run_in_job;
mod runbook;
mod runs;
mod runs_approve;
mod runs_audit;
mod schema;
#[cfg(feature = "demo")]
mod screenshots;
mod shared_options;
mod signals;
mod status;
mod unknown_command;
mod version_completion_man;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::signal::unix::SignalKind;

use crate::files::io_words;
use crate::report::legend::Face;
use crate::sanitize::Shown;

/// Exit code of wrong usage.
const USAGE: u8 = 64;

#[derive(Debug, Parser)]
#[command(
    name = "tidepilot",
    version = version_completion_man::version(),
    about = "One TiDB database across several Kubernetes clusters, from one terminal",
    long_about = "One TiDB database across several Kubernetes clusters, from one terminal.\n\nWithout a command it opens the console over every context of the kubeconfig.",
    after_help = help_texts::TOP
)]
struct Cli {
    #[command(flatten)]
    connect: shared_options::Connect,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "demo")]
    /// Everything on an embedded simulated fleet: learn, rehearse, reproduce
    #[command(after_help = help_texts::DEMO)]
    Demo(demo::DemoArgs),
    /// Show the health of every KubeCluster and Database, once or with --watch
    #[command(after_help = help_texts::with_words(Face::Status, help_texts::STATUS))]
    Status(status::StatusArgs),
    /// What is wrong or risky in the fleet, or in YAML before it is applied (--file)
    #[command(after_help = help_texts::with_words(Face::Check, help_texts::CHECK))]
    Check(check::CheckArgs),
    /// List interrupted work, and the command that finishes or undoes it
    #[command(after_help = help_texts::with_words(Face::Diagnose, help_texts::DIAGNOSE))]
    Diagnose(diagnose::DiagnoseArgs),
    /// What a runbook would do, before anything is sent
    #[command(after_help = help_texts::PLAN)]
    Plan(plan::PlanArgs),
    /// Run a runbook, step by step
    #[command(after_help = help_texts::run(help_texts::RUN))]
    Run(run::RunArgs),
    /// What the pod of `run --in` does: drives the run that was submitted
    #[command(hide = true, after_help = help_texts::JOB)]
    Job(job::JobArgs),
    /// Runs: list, show, resume, undo, abandon, approve, take-over, verify, report, remaining
    #[command(after_help = help_texts::run(help_texts::RUNS))]
    Runs(runs::RunsArgs),
    /// The least rights that a run needs, as Roles for kubectl
    #[command(after_help = help_texts::RBAC)]
    Rbac(rbac::RbacArgs),
    /// Print configuration that you apply yourself: coredns
    #[command(after_help = help_texts::RENDER)]
    Render(render::RenderArgs),
    /// The runbooks: list, show, lint, schema, new
    #[command(after_help = help_texts::RUNBOOK)]
    Runbook(runbook::RunbookArgs),
    /// Prometheus metrics and /healthz, for a wall screen and for alerts; read-only
    #[command(after_help = help_texts::MONITOR)]
    Monitor(monitor::MonitorArgs),
    /// JSON Schema of what a command prints
    #[command(after_help = help_texts::SCHEMA)]
    Schema(schema::SchemaArgs),
    /// Version, commit, and what it was seen to work with
    #[command(after_help = help_texts::VERSION)]
    Version(version_completion_man::VersionArgs),
    /// Completion for a shell, to be sourced by it
    #[command(after_help = help_texts::COMPLETION)]
    Completion(version_completion_man::CompletionArgs),
    /// Manual pages, one file for each command
    #[command(after_help = help_texts::MAN)]
    Man(version_completion_man::ManArgs),
    /// Write the reference pages of docs/ (cli.md, console.md, runbooks.md, hazards.md)
    #[command(hide = true, after_help = help_texts::DOCS)]
    Docs(docs::DocsArgs),
}

/// The reference pages that lie in `docs/`, for the test that compares them.
pub fn reference_pages() -> [(&'static str, String); 5] {
    docs::pages()
}

/// The commands with their options, for tests that go through all of them.
pub fn commands() -> clap::Command {
    Cli::command()
}

/// Parses the arguments, runs the command and gives its exit code.
#[expect(clippy::too_many_lines, reason = "one arm for each command")]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                // It repeats what was typed, which may have come from anywhere.
                note(&error.render().to_string());
                if let Some(meant) = unknown_command::meant(&error, &commands()) {
                    note(&format!("\n{meant}\n"));
                }
                return ExitCode::from(USAGE);
            }
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            return match printed {
                Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                    fail(&format!("what was to be printed could not be written: {}", io_words(&why)), 1)
                }
                Ok(()) | Err(_) => ExitCode::SUCCESS,
            };
        }
    };
    // Two crypto providers would be linked otherwise undecided; ring is the one that all our crates share.
    let _ = rustls::crypto::ring::default_provider().install_default();
    install_hooks();
    if let Some(file) = &cli.connect.log_file
        && let Err(why) = log_file::begin(file)
    {
        return fail(&why, USAGE);
    }
    if let Some(folder) = cli.connect.state.as_ref().filter(|folder| folder.exists() && !folder.is_dir()) {
        return fail(&format!("--state {} is no folder, and the journals of runs need one", folder.display()), USAGE);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    let code = runtime.block_on(async {
        // Where a limit of the shell lets no file grow, writing fails as on a full disk, instead of ending us here.
        let full = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        let _full = tokio::signal::unix::signal(full);
        let connect = cli.connect;
        match cli.command {
            None => console::run(&connect).await,
            #[cfg(feature = "demo")]
            Some(Command::Demo(args)) => demo::run(args, connect).await,
            Some(Command::Status(args)) => status::run(&args, &connect).await,
            Some(Command::Check(args)) => check::run(&args, &connect).await,
            Some(Command::Diagnose(args)) => diagnose::run(&args, &connect).await,
            Some(Command::Plan(args)) => plan::run(&args, &connect).await,
            Some(Command::Run(args)) => run::run(&args, &connect).await,
            Some(Command::Job(args)) => job::run(&args, &connect).await,
            Some(Command::Rbac(args)) => rbac::run(&args, &connect).await,
            Some(Command::Render(args)) => render::run(&args, &connect).await,
            Some(Command::Runs(args)) => runs::run(&args, &connect).await,
            Some(Command::Runbook(args)) => runbook::run(&args, &connect),
            Some(Command::Monitor(args)) => monitor::run(&args, &connect).await,
            Some(Command::Schema(args)) => Ok(schema::run(&args)),
            Some(Command::Version(args)) => version_completion_man::tell(&args),
            Some(Command::Completion(args)) => version_completion_man::completion(&args),
            Some(Command::Man(args)) => version_completion_man::man(&args),
            Some(Command::Docs(args)) => docs::write(&args),
        }
    });
    // A hung credential plugin or tunnel must not hang the way out.
    runtime.shutdown_background();
    crate::client::end_credential_plugins();
    if let Some(why) = UNWRITTEN.get() {
        return fail(&format!("what was to be printed could not be written: {why}"), 1);
    }
    match code {
        Ok(code) => code,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

/// Reports errors and panics as color-eyre does, except that a panic report which cannot be written is no second panic:
/// where the terminal is gone, that would abort the process before it has put anything in order.
fn install_hooks() {
    let (panics, errors) = color_eyre::config::HookBuilder::default().display_env_section(false).into_hooks();
    // Only one of each in a process; a second one changes nothing that matters here.
    let _ = errors.install();
    std::panic::set_hook(Box::new(move |info| {
        let _ = writeln!(std::io::stderr().lock(), "{}", panics.panic_report(info));
    }));
}

/// Why standard output did not take everything; a closed pipe is the reader's business.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Writes to stdout, cleaned. That it failed is told at the end, by the exit code too.
fn print(text: &str) {
    let text = Shown::new(text);
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_str().as_bytes()).and_then(|()| out.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // Only the first reason counts.
        let _ = UNWRITTEN.set(io_words(&error));
    }
}

/// Writes progress to stderr as it is, cleaned. A terminal that is gone is no reason to stop a run.
fn note(text: &str) {
    let text = Shown::new(text);
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_str().as_bytes()).and_then(|()| out.flush());
}

/// Writes one sentence to stderr, cleaned.
fn complain(text: &str) {
    let text = Shown::new(text);
    let _ = writeln!(std::io::stderr().lock(), "tidepilot: {}", text.as_str());
}

/// The same, once for each sentence: what a look says, the next look of a watch need not say again.
fn complain_once(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned()) {
        complain(text);
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    complain(text);
    ExitCode::from(code)
}
