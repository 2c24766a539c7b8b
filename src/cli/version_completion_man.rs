//! `tidepilot version|completion|man`: what a person installs beside the program, and what it says of itself.
//!
//! Everything is made of the commands' own definitions. Not here: the reference page of the commands (`docs`).

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::builder::PossibleValuesParser;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use serde_json::json;

use super::shared_options::new_folder;
use super::{commands, complain, fail, print};
use crate::client::now;
use crate::files::io_words;
use crate::pluralize::counted;
use crate::report;
use crate::runbook::language::document::SHIPPED;

/// The first TiDB Operator that knows acrossK8s, and the newest one whose objects the tests are made of.
const OPERATORS: (&str, &str) = ("1.3.0", "1.6");

#[derive(Args, Debug)]
pub struct VersionArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = VersionOutput::Text)]
    output: VersionOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VersionOutput {
    Text,
    Json,
}

#[derive(Args, Debug)]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: ShellName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
}

#[derive(Args, Debug)]
pub struct ManArgs {
    /// Folder for the pages; made where it is not there
    #[arg(value_parser = new_folder())]
    dir: PathBuf,
}

/// The commit where the build was told it (`TIDEPILOT_COMMIT`): a build needs no git.
fn commit() -> Option<&'static str> {
    option_env!("TIDEPILOT_COMMIT").filter(|commit| !commit.is_empty())
}

/// `0.1.0`, with the commit where it is known.
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| match commit() {
        Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    })
}

pub fn tell(args: &VersionArgs) -> color_eyre::Result<ExitCode> {
    let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    let (first, newest) = OPERATORS;
    print(&match args.output {
        VersionOutput::Text => format!(
            "tidepilot    {}\ncommit       {}\nplatform     {platform}\nTiDB Operator v1, {first} or later; tested with {newest}; without clusterDomain 1.3.9 or later\n",
            env!("CARGO_PKG_VERSION"),
            commit().unwrap_or("not known in this build"),
        ),
        VersionOutput::Json => {
            let value = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "commit": commit(),
                "platform": platform,
                "tidbOperator": {"first": first, "tested": newest, "firstWithoutClusterDomain": "1.3.9"},
            });
            serde_json::to_string_pretty(&report::document(value, now())?)? + "\n"
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// The commands with the shipped runbooks as values: a shell offers them, and a runbook of one's own is still taken.
fn offering() -> Command {
    let ids = || PossibleValuesParser::new(SHIPPED.iter().map(|(id, _)| *id));
    let runbook = |command: Command| command.mut_arg("runbook", |argument| argument.value_parser(ids()));
    let id = |command: Command| command.mut_arg("id", |argument| argument.value_parser(ids()));
    commands()
        .mut_subcommand("plan", runbook)
        .mut_subcommand("run", runbook)
        .mut_subcommand("rbac", runbook)
        .mut_subcommand("runbook", |command| command.mut_subcommand("show", id).mut_subcommand("docs", id))
}

pub fn completion(args: &CompletionArgs) -> color_eyre::Result<ExitCode> {
    let shell = match args.shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Zsh => Shell::Zsh,
        ShellName::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut offering(), "tidepilot", &mut script);
    print(&String::from_utf8(script)?);
    Ok(ExitCode::SUCCESS)
}

pub fn man(args: &ManArgs) -> color_eyre::Result<ExitCode> {
    let written = std::fs::create_dir_all(&args.dir).and_then(|()| clap_mangen::generate_to(commands(), &args.dir));
    if let Err(why) = written {
        let why = io_words(&why);
        return Ok(fail(&format!("the manual pages cannot be written into {}: {why}", args.dir.display()), 1));
    }
    let pages = std::fs::read_dir(&args.dir)?.flatten();
    let pages = pages.filter(|page| page.file_name().to_string_lossy().starts_with("tidepilot")).count();
    complain(&format!("{} in {}", counted(pages, "manual page"), args.dir.display()));
    Ok(ExitCode::SUCCESS)
}
