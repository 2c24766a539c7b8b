//! `tidepilot runbook list|show|lint|schema|new`: the shipped runbooks, the user's own, and help to write one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::shared_options::Connect;
use super::{USAGE, complain, fail, help_texts, print};
use crate::app::driver::runbook_catalog::{Entry, LONGEST, RunbookCatalog, unknown};
use crate::app::exit_codes::Exit;
use crate::client::now;
use crate::files::{self, Allowed};
use crate::pluralize::counted;
use crate::report::table::table;
use crate::report::{self, plain};
use crate::runbook::language::document::SHIPPED;
use crate::runbook::language::lint::{Finding, json, lint};
use crate::runbook::language::schema::{schema, skeleton};

#[derive(Args, Debug)]
pub struct RunbookArgs {
    #[command(subcommand)]
    command: RunbookCommand,
}

#[derive(Debug, Subcommand)]
enum RunbookCommand {
    /// Names and titles
    #[command(after_help = help_texts::RUNBOOK_LIST)]
    List,
    /// The document itself
    #[command(after_help = help_texts::RUNBOOK_SHOW)]
    Show {
        /// Name of the runbook (`tidepilot runbook list`)
        id: String,
        /// The one inside the program, also where a file of yours stands in its place
        #[arg(long)]
        shipped: bool,
    },
    /// Look a document over on sample fleets; exit 0 usable, 4 not
    #[command(after_help = help_texts::RUNBOOK_LINT)]
    Lint {
        /// The YAML document
        file: PathBuf,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t = LintOutput::Text)]
        output: LintOutput,
    },
    /// JSON Schema of a runbook, for editors
    #[command(after_help = help_texts::RUNBOOK_SCHEMA)]
    Schema,
    /// Print the skeleton of a new runbook
    #[command(after_help = help_texts::RUNBOOK_NEW)]
    New {
        /// Its id: small letters, digits and -
        id: String,
    },
    /// One runbook as a page: inputs, checks with their reasons, steps, undo
    #[command(after_help = help_texts::RUNBOOK_DOCS)]
    Docs {
        /// Name of the runbook; all of them when left out
        id: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LintOutput {
    Text,
    Json,
}

pub fn run(args: &RunbookArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let catalog = match connect.catalog() {
        Ok(catalog) => catalog,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    match &args.command {
        RunbookCommand::List => {
            list(&catalog);
            Ok(ExitCode::SUCCESS)
        }
        RunbookCommand::Show { id, shipped: false } => Ok(text_of(&catalog, id)),
        RunbookCommand::Show { id, shipped: true } => match SHIPPED.iter().find(|(name, _)| name == id) {
            Some((_, text)) => {
                print(text);
                Ok(ExitCode::SUCCESS)
            }
            None => Ok(fail(&format!("no shipped runbook {id:?}: `tidepilot runbook list`"), Exit::Refused.code())),
        },
        RunbookCommand::Lint { file, output } => match files::read_text(file, Allowed::PlainOrPipe, LONGEST) {
            Ok(text) => show(file, &lint(&file.display().to_string(), &text), *output),
            Err(error) => Ok(fail(&error.to_string(), USAGE)),
        },
        RunbookCommand::Schema => {
            print(&(serde_json::to_string_pretty(&schema())? + "\n"));
            Ok(ExitCode::SUCCESS)
        }
        RunbookCommand::Docs { id } => Ok(pages(&catalog, id.as_deref())),
        RunbookCommand::New { id } => {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if id.is_empty() || id.len() > 60 || !id.bytes().all(plain) {
                return Ok(fail(&format!("{id:?}: expected lower-case letters, digits and '-'"), USAGE));
            }
            if SHIPPED.iter().any(|(name, _)| name == id) {
                complain(&format!(
                    "{id} ships with tidepilot: a file of that name in your runbooks stands in its place, as a fork"
                ));
            }
            print(&skeleton(id));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Every runbook, with where it is from.
fn list(catalog: &RunbookCatalog) {
    let titles = catalog.infos();
    let title = |id: &str| titles.iter().find(|info| info.id == id).map(|info| info.title.clone());
    let rows: Vec<Vec<String>> = catalog
        .entries()
        .into_iter()
        .map(|entry| {
            let from = match (&entry.file, entry.fork) {
                (None, _) => "shipped".to_owned(),
                (Some(file), true) => format!("{file} (fork of the shipped one)"),
                (Some(file), false) => file.clone(),
            };
            let title = match &entry.runbook {
                Ok(_) => title(&entry.id).unwrap_or_default(),
                Err(why) => format!("CANNOT BE USED: {}", why.lines().next().unwrap_or_default()),
            };
            vec![entry.id, from, title]
        })
        .collect();
    print(&table(&["RUNBOOK", "FROM", "TITLE"], &rows));
}

/// One runbook as it is written, whether it can be used or not.
fn text_of(catalog: &RunbookCatalog, id: &str) -> ExitCode {
    let entries = catalog.entries();
    let Some(entry) = entries.iter().find(|entry| entry.id == id) else {
        return fail(&unknown(id, &entries, catalog.folder.as_deref()), Exit::Refused.code());
    };
    if entry.text.trim().is_empty() {
        return fail(&entry.trouble().unwrap_or_default(), Exit::Refused.code());
    }
    // Beside the text, which may go into a file.
    if let Some(document) = entry.document() {
        complain(&document.mark());
    }
    if let Some(trouble) = entry.trouble() {
        complain(&trouble);
    }
    print(&entry.text);
    ExitCode::SUCCESS
}

/// The reference of one runbook, or of all that can be used.
fn pages(catalog: &RunbookCatalog, id: Option<&str>) -> ExitCode {
    let entries = catalog.entries();
    let asked = |entry: &&Entry| id.is_none_or(|id| entry.id == id);
    if let Some(trouble) = entries.iter().filter(|entry| id.is_some() && asked(entry)).find_map(Entry::trouble) {
        return fail(&trouble, Exit::Refused.code());
    }
    let documents = entries.iter().filter(asked).filter_map(|entry| entry.runbook.as_ref().ok());
    let pages: String = documents.map(report::reference::runbook).collect();
    match id {
        Some(id) if pages.is_empty() => fail(&unknown(id, &entries, catalog.folder.as_deref()), Exit::Refused.code()),
        _ => {
            print(&pages);
            ExitCode::SUCCESS
        }
    }
}

fn show(file: &Path, findings: &[Finding], output: LintOutput) -> color_eyre::Result<ExitCode> {
    let errors = findings.iter().filter(|finding| finding.error).count();
    match output {
        LintOutput::Json => {
            let document = serde_json::json!({"file": file.display().to_string(), "findings": json(findings)});
            print(&(serde_json::to_string_pretty(&report::document(document, now())?)? + "\n"));
        }
        LintOutput::Text => {
            for finding in findings {
                let at = match (finding.line, finding.column) {
                    (Some(line), Some(column)) => format!("{line}:{column}:"),
                    (Some(line), None) => format!("{line}:"),
                    (None, _) => String::new(),
                };
                let kind = if finding.error { "error" } else { "warning" };
                let first = finding.sentence.lines().next().unwrap_or_default();
                print(&format!("{}:{at} {kind}: {}: {}\n", file.display(), finding.place, plain(first)));
            }
        }
    }
    if errors > 0 {
        return Ok(fail(
            &format!("{}; this runbook cannot be used as it is", counted(errors, "error")),
            Exit::Refused.code(),
        ));
    }
    complain(&format!("{}: valid, {}", file.display(), counted(findings.len(), "warning")));
    Ok(ExitCode::SUCCESS)
}
