//! Commands of the binary: arguments in, exit code out. One file per command.
//!
//! Exit codes of `status` and `check`: 0 all well, 2 something is wrong, 3 something could not be seen. Of `plan` and `run`: see
//! [`crate::app::driver::exit`]. Wrong usage is 64 everywhere, so that it is never taken for an answer.

mod approve;
mod audit;
mod check;
mod console;
mod demo;
mod diagnose;
mod options;
mod plan;
mod rbac;
mod repeat;
mod run;
mod runbook;
mod runs;
mod status;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::shown::Shown;

/// Exit code of wrong usage.
const USAGE: u8 = 64;

#[derive(Debug, Parser)]
#[command(
    name = "tidepilot",
    version = version(),
    about = "One TiDB database across several Kubernetes clusters, from one terminal",
    long_about = "One TiDB database across several Kubernetes clusters, from one terminal.\n\nWithout a command it opens the console over every context of the kubeconfig.",
    after_help = "Exit codes are in the help of each command; 64 is wrong usage everywhere.\nFiles: $XDG_CONFIG_HOME/tidepilot/config.yaml, …/tidepilot/runbooks/*.yaml; journals in $XDG_STATE_HOME/tidepilot/runs."
)]
struct Cli {
    #[command(flatten)]
    connect: options::Connect,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything on an embedded simulated fleet: learn, rehearse, reproduce
    Demo(demo::DemoArgs),
    /// Every KubeCluster and Database, once or with --watch
    #[command(
        after_help = "Exit codes: 0 all well, 2 something is wrong, 3 something could not be seen, 64 wrong usage\n\nExamples:\n  tidepilot status --watch\n  tidepilot status -o json --context prod-east"
    )]
    Status(status::StatusArgs),
    /// What is wrong or risky in the fleet, or in YAML before it is applied (--file)
    #[command(
        after_help = "Exit codes: 0 nothing found, 2 something was found, 3 something could not be seen, 64 wrong usage\n\nExamples:\n  tidepilot check --severity high\n  tidepilot check --file tidbcluster.yaml\n  tidepilot check -o sarif > tidepilot.sarif"
    )]
    Check(check::CheckArgs),
    /// What interrupted work lies around, and what finishes or undoes it
    #[command(
        after_help = "Exit codes: 0 nothing, 2 something, 3 something could not be seen, 64 wrong usage\n\nExample:\n  tidepilot diagnose"
    )]
    Diagnose(diagnose::DiagnoseArgs),
    /// What a runbook would do, before anything is sent
    #[command(
        after_help = "Exit codes: 0 nothing to do, 2 changes to make, 4 refused, 64 wrong usage\n\nExample:\n  tidepilot plan migrate-cluster-domain --set tidbCluster=legacy/pingcap/basic --set clusterDomain=cluster1.com"
    )]
    Plan(plan::PlanArgs),
    /// Run a runbook, step by step
    #[command(after_help = format!("{RUN_CODES}\n\nExample:\n  tidepilot run migrate-cluster-domain --set tidbCluster=legacy/pingcap/basic --set clusterDomain=cluster1.com"))]
    Run(run::RunArgs),
    /// Runs: list, show, resume, undo, abandon, approve, take-over, verify, report, remaining
    #[command(after_help = format!("{RUN_CODES}\n\nExamples:\n  tidepilot runs list\n  tidepilot runs resume RUN\n  tidepilot runs report RUN > ticket.md"))]
    Runs(runs::RunsArgs),
    /// The least rights that a run needs, as Roles for kubectl
    #[command(
        after_help = "Exit codes: 0 printed, 4 refused, 64 wrong usage\n\nExample:\n  tidepilot rbac restart-component --set tidbCluster=legacy/pingcap/basic --set component=pd"
    )]
    Rbac(rbac::RbacArgs),
    /// The runbooks: list, show, lint, schema, new
    #[command(
        after_help = "Exit codes: 0 done, 4 there is none, or it cannot be used, 64 wrong usage\n\nExamples:\n  tidepilot runbook list\n  tidepilot runbook show migrate-cluster-domain"
    )]
    Runbook(runbook::RunbookArgs),
}

/// The commands with their options, for tests that go through all of them.
pub fn commands() -> clap::Command {
    Cli::command()
}

/// `0.1.0`, with the commit where the build was told it (`TIDEPILOT_COMMIT`): a build needs no git.
fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| match option_env!("TIDEPILOT_COMMIT").filter(|commit| !commit.is_empty()) {
        Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Exit codes of everything that drives a run.
const RUN_CODES: &str = "Exit codes:\n  0  done, or nothing to do\n  3  stopped at a gate: a confirmation or an approval is needed\n  4  refused before any effect\n  5  paused after effects; the run is open\n  6  somebody else drives it, or another run is open\n  7  somebody else changed what the run was about to change\n  8  undone\n  9  done, and what was to be verified is not so\n  64 wrong usage";

/// Parses the arguments, runs the command and gives its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let printed = error.print().and_then(|()| std::io::stdout().flush());
            return match printed {
                _ if error.use_stderr() => ExitCode::from(USAGE),
                Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
                    fail(&format!("what was to be printed could not be written: {why}"), 1)
                }
                Ok(()) | Err(_) => ExitCode::SUCCESS,
            };
        }
    };
    // Two crypto providers would be linked otherwise undecided; ring is the one that all our crates share.
    let _ = rustls::crypto::ring::default_provider().install_default();
    install_hooks();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    let code = runtime.block_on(async {
        let connect = cli.connect;
        match cli.command {
            None => console::run(&connect).await,
            Some(Command::Demo(args)) => demo::run(args, connect).await,
            Some(Command::Status(args)) => status::run(&args, &connect).await,
            Some(Command::Check(args)) => check::run(&args, &connect).await,
            Some(Command::Diagnose(args)) => diagnose::run(&args, &connect).await,
            Some(Command::Plan(args)) => plan::run(&args, &connect).await,
            Some(Command::Run(args)) => run::run(&args, &connect).await,
            Some(Command::Rbac(args)) => rbac::run(&args, &connect).await,
            Some(Command::Runs(args)) => runs::run(&args, &connect).await,
            Some(Command::Runbook(args)) => runbook::run(&args, &connect),
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
        let _ = UNWRITTEN.set(error.to_string());
    }
}

/// Writes one sentence to stderr, cleaned.
fn complain(text: &str) {
    let text = Shown::new(text);
    let _ = writeln!(std::io::stderr().lock(), "tidepilot: {}", text.as_str());
}

fn fail(text: &str, code: u8) -> ExitCode {
    complain(text);
    ExitCode::from(code)
}
