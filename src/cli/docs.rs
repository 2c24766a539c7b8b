//! `tidepilot docs DIR` (hidden): the reference pages of `docs/`, made of the commands, the runbooks and the catalogue.
//! A test compares what lies in `docs/` with what this writes. Here: the page of the commands, since only this room knows
//! clap. Not here: the other pages (`report::reference`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Args, Command};

use super::{commands, fail};
use crate::report::{reference, runbook_writing_guide};

#[derive(Args, Debug)]
pub struct DocsArgs {
    /// Folder for the pages
    dir: PathBuf,
}

pub fn write(args: &DocsArgs) -> color_eyre::Result<ExitCode> {
    for (name, text) in pages() {
        let file = args.dir.join(name);
        if let Err(why) = std::fs::write(&file, text) {
            return Ok(fail(&format!("{} cannot be written: {}", file.display(), crate::files::io_words(&why)), 1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Each page with its name.
pub fn pages() -> [(&'static str, String); 5] {
    [
        ("cli.md", reference_of_commands()),
        ("console.md", crate::app::console_docs::page()),
        ("runbooks.md", reference::runbooks()),
        ("hazards.md", reference::hazards()),
        ("writing-runbooks.md", runbook_writing_guide::page()),
    ]
}

fn reference_of_commands() -> String {
    let mut top = commands();
    top.build();
    let mut out = String::from(
        "# Commands\n\nWritten by `tidepilot docs`; the same texts are in `--help` and in the manual pages (`tidepilot man DIR`).\n\n## Options of every command\n\n",
    );
    for argument in top.get_arguments().filter(|argument| argument.is_global_set() && !argument.is_hide_set()) {
        argument_line(&mut out, argument);
    }
    section(&mut out, &top, "tidepilot");
    out
}

fn section(out: &mut String, command: &Command, path: &str) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(out, "\n## `{path}`\n\n{}\n\n", about.trim());
    if !command.has_subcommands() || path == "tidepilot" {
        let usage = command.clone().bin_name(path).render_usage().to_string();
        let _ = writeln!(out, "```text\n{}\n```\n", usage.trim());
    }
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set() && !argument.is_hide_set())
        .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        .collect();
    own.iter().for_each(|argument| argument_line(out, argument));
    if !own.is_empty() {
        out.push('\n');
    }
    if let Some(after) = command.get_after_help() {
        let _ = writeln!(out, "```text\n{}\n```", after.to_string().trim_end());
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
        section(out, below, &format!("{path} {}", below.get_name()));
    }
}

/// `* `--set NAME=VALUE`: An input of the runbook; repeatable`
fn argument_line(out: &mut String, argument: &Arg) {
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let taken = argument.get_action().takes_values() && !values.is_empty();
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let name = match (taken, name.is_empty()) {
        (true, false) => format!("{name} {}", values.join(" ")),
        (true, true) => values.join(" "),
        (false, _) => name,
    };
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.replace("\n\n", " ").replace('\n', " ");
    let possible = argument.get_possible_values();
    let possible: Vec<&str> = possible.iter().map(clap::builder::PossibleValue::get_name).collect();
    let possible = match possible.is_empty() || !taken || argument.get_id() == "read_only" {
        true => String::new(),
        false => format!(" ({})", possible.join(", ")),
    };
    let default: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = match default.is_empty() || !taken || argument.get_id() == "read_only" {
        true => String::new(),
        false => format!(", default `{}`", default.join(" ")),
    };
    let _ = writeln!(out, "* `{name}`: {help}{possible}{default}");
}
