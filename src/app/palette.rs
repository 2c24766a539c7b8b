//! The `:` palette: its words, the objects that it leads to, what a text means, and how it is completed.
//!
//! An object is an argument of the view that lists it (`pods east/db/basic-pd-0`); typed alone it is found by the parts of
//! its name. Not here: its line editing (`update`), carrying out (`prompt`) and its drawing (`console::dialog`).

use super::kubectl_k9s_aliases::{Leads, OTHER_WORDS};
use super::palette_run_command::in_palette;
use super::{App, View};

/// What an entry leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Some take an argument: `:db NAME`, `:ctx NAME`, `:run ID`, `:pods NAME`.
    View(View),
    Faults,
    AllClusters,
    Refresh,
    ReadOnly,
    Help,
    Quit,
    /// A word of kubectl or k9s that is none of ours.
    Other(Leads),
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
    entry(&["all"], "show all clusters and namespaces again", Target::AllClusters),
    entry(&["refresh"], "ask all clusters now", Target::Refresh),
    entry(
        &["read-only", "readonly"],
        "send nothing that changes anything, for the rest of the session",
        Target::ReadOnly,
    ),
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

/// The words of kubectl and k9s that lead to something else here.
fn others() -> impl Iterator<Item = Entry> {
    OTHER_WORDS.iter().map(|word| entry(word.names, word.about, Target::Other(word.leads)))
}

/// From so many letters on such a word is offered by its beginning.
const OTHERS_FROM: usize = 3;

/// One line of the completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The whole text of the palette when it is taken.
    pub text: String,
    pub about: String,
    /// How well it fits.
    pub fit: Fit,
}

/// How well a text fits a name, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Whole,
    Begins,
    /// A part of the name begins so: `pd-0` of `basic-pd-0`.
    PartBegins,
    Inside,
    /// Its letters in this order, with others between.
    Scattered,
}

impl Fit {
    /// Whether enter takes it: what is only similar is offered, and chosen with tab.
    pub fn is_meant(self) -> bool {
        self <= Fit::PartBegins
    }
}

/// How well `text` fits `name`; both in small letters.
pub fn fit(name: &str, text: &str) -> Option<Fit> {
    if name == text {
        return Some(Fit::Whole);
    }
    if name.starts_with(text) {
        return Some(Fit::Begins);
    }
    let begins = |at: usize| name[..at].ends_with(|before: char| !before.is_alphanumeric());
    if name.match_indices(text).any(|(at, _)| begins(at)) {
        return Some(Fit::PartBegins);
    }
    if name.contains(text) {
        return Some(Fit::Inside);
    }
    let mut rest = text.chars().filter(|c| !c.is_whitespace()).peekable();
    for c in name.chars() {
        rest.next_if_eq(&c);
    }
    (rest.peek().is_none() && text.len() > 2).then_some(Fit::Scattered)
}

/// Longest list of completions.
const MOST: usize = 40;

/// Completions of a text, best first.
pub fn candidates(app: &App, text: &str) -> Vec<Candidate> {
    let text = text.trim_start().to_lowercase();
    if let Some((word, rest)) = text.split_once(' ')
        && let Some(entry) = exact(word)
    {
        if entry.target == Target::View(View::Runbooks)
            && let Some((id, target)) = rest.trim_start().split_once(' ')
        {
            return targets_like(app, word, id, target);
        }
        return arguments_like(app, &entry, word, rest.trim());
    }
    let text = text.trim_end();
    let mut found: Vec<(Fit, usize, Candidate)> = Vec::new();
    // Their middle says nothing: `log` is ours, and only begins another word.
    let begins = |name: &&&str| if text.len() < OTHERS_FROM { **name == text } else { name.starts_with(text) };
    let others = others().filter(|other| other.names.iter().any(|name| begins(&name)));
    for entry in entries().chain(others) {
        if let Some(best) = entry.names.iter().filter_map(|name| fit(name, text)).min() {
            let aliases = match entry.names {
                [_] | [] => String::new(),
                [_, rest @ ..] => format!(" ({})", rest.join(", ")),
            };
            let candidate =
                Candidate { text: entry.names[0].to_owned(), about: format!("{}{aliases}", entry.about), fit: best };
            found.push((best, 0, candidate));
        }
        // An empty text lists the words; objects come once there is something to find them by.
        if !text.is_empty() && !matches!(entry.target, Target::Other(_)) {
            let own = arguments_like(app, &entry, entry.names[0], text);
            found.extend(own.into_iter().map(|one| (one.fit, 1, one)));
        }
    }
    found.sort_by_key(|(fit, object, one)| (*fit, *object, if *object == 1 { one.text.len() } else { 0 }));
    found.truncate(MOST);
    found.into_iter().map(|(_, _, candidate)| candidate).collect()
}

/// The arguments of an entry that a text fits, best first.
fn arguments_like(app: &App, entry: &Entry, word: &str, text: &str) -> Vec<Candidate> {
    let found = arguments(app, &entry.target).into_iter().filter_map(|(name, about)| {
        // Found by what it is called, and by what it is called elsewhere: a member by its pod.
        let low = name.to_lowercase();
        let last = low.rsplit('/').next().unwrap_or(&low).to_owned();
        let best = [fit(&low, text), fit(&last, text), about_fit(&about, text)].into_iter().flatten().min()?;
        Some(Candidate { text: format!("{word} {name}"), about, fit: best })
    });
    let mut found: Vec<Candidate> = found.collect();
    found.sort_by_key(|one| one.fit);
    found.truncate(MOST);
    found
}

/// `run ID on TARGET` for every TidbCluster that a text fits; none once more than the target is typed.
fn targets_like(app: &App, word: &str, id: &str, text: &str) -> Vec<Candidate> {
    let text = text.trim();
    let text = if text == "on" { "" } else { text.strip_prefix("on ").unwrap_or(text).trim() };
    let clusters = Entry { names: &["tc"], about: "", target: Target::View(View::TidbClusters) };
    let mut found = arguments_like(app, &clusters, &format!("{word} {id} on"), text);
    found.retain(|one| !one.text.ends_with(&format!(" {text}")));
    found
}

fn about_fit(about: &str, text: &str) -> Option<Fit> {
    let about = about.to_lowercase();
    match fit(&about, text)? {
        Fit::Scattered => None,
        // What is said of a thing is not its name.
        other => Some(other.max(Fit::Inside)),
    }
}

/// The candidate that enter takes for a text that is no finished word.
pub fn meant(app: &App, text: &str) -> Option<Candidate> {
    candidates(app, text).into_iter().next().filter(|one| one.fit.is_meant())
}

/// What a finished text means: the target and its argument.
pub fn resolve(app: &App, text: &str) -> Option<(Target, Option<String>)> {
    let text = &in_palette(text);
    if text.is_empty() {
        return None;
    }
    if let Some(found) = finished(text) {
        return only_one(app, text, &found).or(Some(found));
    }
    // An unfinished word means its best completion, as in k9s; a part of the middle of one means nothing.
    finished(&meant(app, text)?.text)
}

/// The only completion of an argument that is no name as it stands: `run migr`. Of a list it would be a filter.
fn only_one(app: &App, text: &str, (target, argument): &(Target, Option<String>)) -> Option<(Target, Option<String>)> {
    let one = argument.as_deref().filter(|argument| !argument.contains(char::is_whitespace))?;
    let named = matches!(target, Target::View(View::Runbooks | View::Databases | View::Clusters | View::Namespaces));
    if !named || arguments(app, target).iter().any(|(name, _)| name == one) {
        return None;
    }
    let all = candidates(app, text);
    let mut meant = all.iter().filter(|one| one.fit.is_meant());
    let (only, None) = (meant.next()?, meant.next()) else { return None };
    finished(&only.text)
}

fn finished(text: &str) -> Option<(Target, Option<String>)> {
    let (word, argument) = match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, Some(rest.trim().to_owned())),
        None => (text, None),
    };
    let entry = exact(&word.to_lowercase())?;
    Some((entry.target, argument.filter(|argument| !argument.is_empty())))
}

/// Why a text leads nowhere, in one sentence.
pub fn nowhere(text: &str) -> String {
    format!("no such view, command or object: {:?}; : and tab list them, ? the keys", text.trim())
}

fn exact(word: &str) -> Option<Entry> {
    entries().chain(others()).find(|entry| entry.names.contains(&word))
}

/// The objects that an entry leads to by name, each with what is said of it.
pub(super) fn arguments(app: &App, target: &Target) -> Vec<(String, String)> {
    let view = match target {
        Target::View(view) => view,
        Target::Other(leads) if leads.about_a_pod() => &View::Pods,
        _ => return Vec::new(),
    };
    match view {
        View::Databases => {
            let all = app.databases().iter();
            all.map(|database| (database.name.clone(), database.id.clone().unwrap_or_default())).collect()
        }
        View::Clusters => {
            let all = app.fleet.clusters.values();
            all.map(|cluster| (cluster.context.clone(), cluster.freshness.word().to_owned())).collect()
        }
        View::Namespaces => {
            let all = app.namespaces();
            let each = all.into_iter().map(|(name, one)| {
                let contexts: Vec<String> = one.contexts.into_iter().collect();
                (name, format!("in {}", contexts.join(", ")))
            });
            each.chain([("all".to_owned(), "every namespace".to_owned())]).collect()
        }
        View::Runbooks => app.runbooks.iter().map(|runbook| (runbook.id.clone(), runbook.title.clone())).collect(),
        View::TidbClusters => {
            let all = app.fleet.tidb_clusters();
            all.map(|(of, tc)| (of.to_string(), tc.spec.version.clone().unwrap_or_default())).collect()
        }
        View::Pods => {
            let all = app.fleet.clusters.values();
            let pods = all.flat_map(|cluster| cluster.pods.values().map(move |pod| (cluster, pod)));
            pods.map(|(cluster, pod)| {
                let meta = &pod.metadata;
                (format!("{}/{}/{}", cluster.context, meta.namespace, meta.name), pod.status_word())
            })
            .collect()
        }
        View::Members => {
            let all = app.databases().iter().flat_map(|database| &database.members);
            all.map(|member| (member.id.hex(), place(member.place.pod(), member.place.context()))).collect()
        }
        View::Stores => {
            let all = app.database().into_iter().flat_map(|database| &database.stores);
            all.map(|row| (row.store.id.to_string(), place(row.place.pod(), row.place.context()))).collect()
        }
        View::Runs => {
            let all = app.runs.iter();
            all.map(|run| (run.run.clone(), format!("{} on {}: {}", run.runbook, run.target, run.state))).collect()
        }
        _ => Vec::new(),
    }
}

fn place(pod: Option<&str>, context: Option<&str>) -> String {
    match (pod, context) {
        (Some(pod), Some(context)) => format!("{pod} in {context}"),
        _ => "in no connected context".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_well_a_text_fits() {
        for (name, text, found) in [
            ("stores", "stores", Some(Fit::Whole)),
            ("stores", "sto", Some(Fit::Begins)),
            ("east/db/basic-pd-0", "pd-0", Some(Fit::PartBegins)),
            ("stores", "ores", Some(Fit::Inside)),
            ("basic-tikv-10", "tkv10", Some(Fit::Scattered)),
            ("runs", "ns", Some(Fit::Inside)),
            ("runs", "sr", None),
            // Two letters in any order fit nearly everything.
            ("basic", "bc", None),
            ("日本語-pd", "pd", Some(Fit::PartBegins)),
        ] {
            assert_eq!(fit(name, text), found, "{text} in {name}");
        }
    }
}
