//! The `:` palette: its words, what they mean, and their completion.
//!
//! Not here: its line editing (`update`) and its drawing (`console::dialog`).

use super::{App, View};

/// What an entry leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Some take an argument: `:db NAME`, `:ctx NAME`, `:run ID`.
    View(View),
    Faults,
    AllClusters,
    Refresh,
    Help,
    Quit,
}

/// One word of the palette; the first name is the one that is shown.
#[derive(Clone, Debug)]
pub struct Entry {
    pub names: &'static [&'static str],
    pub about: &'static str,
    pub target: Target,
}

const fn entry(names: &'static [&'static str], about: &'static str, target: Target) -> Entry {
    Entry { names, about, target }
}

const COMMANDS: &[Entry] = &[
    entry(&["troubled"], "show only rows with a fault", Target::Faults),
    entry(&["all"], "show all clusters again", Target::AllClusters),
    entry(&["refresh"], "ask all clusters now", Target::Refresh),
    entry(&["help"], "keys of this view", Target::Help),
    entry(&["quit", "q", "q!"], "leave", Target::Quit),
];

/// The views that have a name, and the commands that are no view.
pub fn entries() -> impl Iterator<Item = Entry> {
    let views = View::ALL.into_iter().filter_map(|view| {
        let spec = view.spec();
        (!spec.names.is_empty()).then_some(Entry { names: spec.names, about: spec.about, target: Target::View(view) })
    });
    views.chain(COMMANDS.iter().cloned())
}

/// One line of the completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The whole text of the palette when it is taken.
    pub text: String,
    pub about: String,
}

/// Completions of a text, best first.
pub fn candidates(app: &App, text: &str) -> Vec<Candidate> {
    let text = text.trim_start().to_lowercase();
    if let Some((word, rest)) = text.split_once(' ') {
        let Some(entry) = exact(word) else { return Vec::new() };
        let rest = rest.trim();
        let mut found: Vec<Candidate> = arguments(app, &entry.target)
            .into_iter()
            .filter(|(name, _)| name.to_lowercase().contains(rest))
            .map(|(name, about)| Candidate { text: format!("{word} {name}"), about })
            .collect();
        found.truncate(12);
        return found;
    }
    let mut found: Vec<(usize, Candidate)> = entries()
        .filter_map(|entry| {
            let rank = entry.names.iter().filter_map(|name| rank(name, &text)).min()?;
            let aliases = match entry.names {
                [_] | [] => String::new(),
                [_, rest @ ..] => format!(" ({})", rest.join(", ")),
            };
            let candidate = Candidate { text: entry.names[0].to_owned(), about: format!("{}{aliases}", entry.about) };
            Some((rank, candidate))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// What a finished text means: the target and its argument.
pub fn resolve(app: &App, text: &str) -> Option<(Target, Option<String>)> {
    let text = text.trim();
    let (word, argument) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, Some(rest.trim().to_owned())),
        None => (text, None),
    };
    let word = word.to_lowercase();
    if let Some(entry) = exact(&word) {
        return Some((entry.target.clone(), argument));
    }
    if word.is_empty() || argument.is_some() {
        return None;
    }
    // An unfinished word means its best completion, as in k9s; a part of the middle of one means nothing.
    let unfinished = |entry: &Entry| entry.names.iter().any(|name| name.starts_with(&word));
    let best = candidates(app, &word).into_iter().find_map(|one| exact(&one.text).filter(unfinished))?;
    Some((best.target.clone(), None))
}

/// Why a text leads nowhere, in one sentence.
pub fn nowhere(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap_or_default();
    let hint = match word.to_lowercase().as_str() {
        "ns" | "namespace" | "namespaces" => "; every namespace is shown, and `tidepilot -n NAME` starts with one",
        _ => "",
    };
    format!("no such view or command: {:?}; : and tab list them, ? the keys{hint}", text.trim())
}

fn exact(word: &str) -> Option<Entry> {
    entries().find(|entry| entry.names.contains(&word))
}

fn rank(name: &str, text: &str) -> Option<usize> {
    if name == text {
        Some(0)
    } else if name.starts_with(text) {
        Some(1)
    } else if name.contains(text) {
        Some(2)
    } else {
        None
    }
}

fn arguments(app: &App, target: &Target) -> Vec<(String, String)> {
    match target {
        Target::View(View::Databases) => {
            let all = app.databases().iter();
            all.map(|database| (database.name.clone(), database.id.clone().unwrap_or_default())).collect()
        }
        Target::View(View::Clusters) => {
            let all = app.fleet.clusters.values();
            all.map(|cluster| (cluster.context.clone(), cluster.freshness.word().to_owned())).collect()
        }
        Target::View(View::Runbooks) => {
            app.runbooks.iter().map(|runbook| (runbook.id.clone(), runbook.title.clone())).collect()
        }
        Target::View(_) | Target::Faults | Target::AllClusters | Target::Refresh | Target::Help | Target::Quit => {
            Vec::new()
        }
    }
}
