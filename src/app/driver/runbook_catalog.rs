//! The runbooks at hand: the shipped ones and those of the user's folder, in the language that was asked for.
//!
//! A user's runbook of a shipped id stands in its place and is marked as a fork everywhere. Its text goes into the
//! plan, and so into the journal: a run is resumed with the document it began with, whatever became of the file.
//! Not here: the document itself (`runbook::language::document`), where the folder is (`config`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::app::message::{InputInfo, InputKind, RunbookInfo};
use crate::did_you_mean::near;
use crate::files::{self, Allowed, FOLDER_LIMIT};
pub use crate::runbook::language::document::Lang;
use crate::runbook::language::document::{InputType, Runbook, SHIPPED};
use crate::runbook::language::shared_checks::written_out;
use crate::runbook::plan::{Document, Plan};
use crate::runbook::recorded_text_translation;

/// Longest document that is read, and most files that are looked at.
pub const LONGEST: u64 = 256 * 1024;
const MOST: usize = 200;

/// Where runbooks come from.
#[derive(Clone, Debug, Default)]
pub struct RunbookCatalog {
    /// The user's own; need not exist.
    pub folder: Option<PathBuf>,
    pub lang: Lang,
}

/// One entry of the list.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    /// File name; `None` for a shipped one.
    pub file: Option<String>,
    pub fork: bool,
    /// `Err`: why the file cannot be used, with its path.
    pub runbook: Result<Runbook, String>,
    pub text: String,
    /// The same as a plan keeps it: with the checks that it shares written out.
    pub kept: String,
}

impl Entry {
    /// As a plan keeps it, with the checks that it shares written out; `None` for a shipped one.
    pub fn document(&self) -> Option<Document> {
        self.file.clone().map(|file| Document { file, fork: self.fork, text: self.kept.clone() })
    }

    /// Why it cannot be used, and what helps. The shipped runbook is not taken in its place: an intended fork must not
    /// silently become the original.
    pub fn trouble(&self) -> Option<String> {
        let why = self.runbook.as_ref().err()?;
        let hides = match self.fork {
            true => {
                "; it stands in the place of the shipped runbook of that name: mend it, or move it out of the folder"
            }
            false => "",
        };
        Some(format!("the runbook {:?} cannot be used: {why}{hides}", self.id))
    }
}

impl RunbookCatalog {
    /// One runbook, in the language asked for. A user's file that cannot be read hides the shipped one of its id: an
    /// intended fork must not silently become the original.
    pub fn find(&self, id: &str) -> Result<(Runbook, Option<Document>), String> {
        let mut all = self.own();
        // Of the shipped ones only the one that is asked for is read.
        if !all.iter().any(|entry| entry.id == id)
            && let Some((id, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == id)
        {
            all = vec![shipped(id, text)];
        }
        let named: Vec<&Entry> = all.iter().filter(|entry| entry.id == id).collect();
        let entry = match named.as_slice() {
            [] => return Err(unknown(id, &self.entries(), self.folder.as_deref())),
            [one] => *one,
            [first, second, ..] => {
                let file = |entry: &Entry| entry.file.clone().unwrap_or_default();
                return Err(format!("two files hold a runbook {id:?}: {} and {}", file(first), file(second)));
            }
        };
        let usable = entry.runbook.clone().map_err(|why| entry.trouble().unwrap_or(why));
        let runbook = usable?.worded(self.lang);
        let document = entry.document();
        Ok((runbook, document))
    }

    /// Every runbook: the user's, then the shipped ones that no file stands in for.
    pub fn entries(&self) -> Vec<Entry> {
        let mut all = self.own();
        for (id, text) in SHIPPED {
            if !all.iter().any(|entry| entry.id == *id) {
                all.push(shipped(id, text));
            }
        }
        all
    }

    fn own(&self) -> Vec<Entry> {
        self.folder.as_deref().map(read_folder).unwrap_or_default()
    }

    /// As lists and forms show them.
    pub fn infos(&self) -> Vec<RunbookInfo> {
        self.infos_and_broken().0
    }

    /// The same, and the files that cannot be used, by the runbook that each stands for: why. Reading them is most of the work.
    pub fn infos_and_broken(&self) -> (Vec<RunbookInfo>, BTreeMap<String, String>) {
        let entries = self.entries();
        let broken = entries.iter().filter_map(|entry| Some((entry.id.clone(), entry.trouble()?))).collect();
        let usable = entries.into_iter().filter_map(|entry| Some((entry.runbook.ok()?, entry.fork)));
        (usable.map(|(runbook, fork)| info(runbook.worded(self.lang), fork)).collect(), broken)
    }
}

fn shipped(id: &str, text: &str) -> Entry {
    let runbook = Runbook::read(id, text).map_err(|error| error.to_string());
    Entry { id: id.into(), file: None, fork: false, runbook, text: text.into(), kept: text.into() }
}

/// There is no such runbook: what there is, with the likeliest first. A file is no name: a run that was begun with it could not
/// say which runbook its next line means.
pub fn unknown(id: &str, all: &[Entry], folder: Option<&Path>) -> String {
    if id.contains('/') || id.ends_with(".yaml") || id.ends_with(".yml") {
        let put = folder.map_or_else(String::new, |folder| format!(" Put the file into {} and", folder.display()));
        return format!(
            "{id:?} is a file, and a runbook is named by its id.{put} name what stands there behind `id:`; `tidepilot runbook lint FILE` reads it wherever it is"
        );
    }
    let mut known: Vec<&str> = all.iter().map(|entry| entry.id.as_str()).collect();
    let near = near(id, known.iter().copied());
    known.sort_unstable();
    let meant = near.map_or_else(String::new, |near| format!(" Did you mean {near}?"));
    format!("no runbook is called {id:?}.{meant} There are: {}", known.join(", "))
}

/// The document that a plan was made from.
pub fn of_plan(plan: &Plan) -> Result<Runbook, String> {
    recorded_text_translation::document_of(plan).map_err(|error| error.to_string())
}

fn read_folder(folder: &Path) -> Vec<Entry> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().take(FOLDER_LIMIT).map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "yaml" || ext == "yml"));
    files.sort();
    files.truncate(MOST);
    files
        .into_iter()
        .map(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (text, runbook) = match files::read_text(&path, Allowed::Plain, LONGEST) {
                Ok(text) => {
                    let whole = || match text.trim().is_empty() {
                        true => Err(format!("{} is empty", path.display())),
                        false => Runbook::read(&file, &text).map_err(|error| format!("{}: {error}", path.display())),
                    };
                    let read = whole();
                    (text, read)
                }
                Err(error) => (String::new(), Err(error.to_string())),
            };
            // What cannot be read still has a name: the one it claims, else that of the file.
            let claimed = || {
                let line = text.lines().find_map(|line| line.strip_prefix("id:"));
                line.map(|id| id.trim().trim_matches(['"', '\'']).to_owned())
            };
            let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let id = runbook.as_ref().ok().map(|r| r.id.clone()).or_else(claimed).unwrap_or_else(stem);
            let fork = SHIPPED.iter().any(|(shipped, _)| *shipped == id);
            let kept = written_out(&text).ok().flatten().unwrap_or_else(|| text.clone());
            Entry { id, file: Some(file), fork, runbook, text, kept }
        })
        .collect()
}

fn info(runbook: Runbook, fork: bool) -> RunbookInfo {
    RunbookInfo {
        id: runbook.id,
        title: if fork { format!("{} (fork)", runbook.title.en) } else { runbook.title.en },
        experimental: runbook.experimental,
        summary: runbook.summary.en,
        inputs: runbook
            .inputs
            .into_iter()
            .map(|input| InputInfo {
                name: input.name,
                prompt: input.prompt.en,
                kind: match input.kind {
                    InputType::TidbCluster => InputKind::TidbCluster,
                    InputType::NewTidbCluster => InputKind::NewTidbCluster,
                    InputType::KubeContext => InputKind::KubeContext,
                    InputType::DnsDomain => InputKind::DnsDomain,
                    InputType::Version => InputKind::Version,
                    InputType::Integer => InputKind::Integer,
                    InputType::Boolean => InputKind::Choice(vec!["true".into(), "false".into()]),
                    InputType::Choice => InputKind::Choice(input.options),
                    InputType::NewTidbClusters | InputType::Time | InputType::Text => InputKind::Text,
                },
                required: !input.optional && input.default.is_none() && input.kind != InputType::Time,
                default: input.default,
                propose: input.propose,
            })
            .collect(),
    }
}
