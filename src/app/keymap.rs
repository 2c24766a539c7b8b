//! One table: key, command, label, where. Dispatch, footer and help are all read from it, so they cannot disagree.
//!
//! The grammar is k9s'. `ctrl-d` is half a page (it deletes in k9s) and `ctrl-k` is nothing (it kills there); nothing
//! that changes the world hangs on a single key. Not here: what a command does (`perform`).

use crossterm::event::KeyEvent;

use super::key_names::same;
pub use super::key_names::{name, parse};

/// Which part of the table is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Matrix,
    List,
    Text,
    Plan,
    Run,
    Form,
    Filter,
    Palette,
    Help,
    Ask,
    Typed,
    Choices,
    Approval,
    Logs,
}

impl Scope {
    pub const ALL: [Scope; 14] = [
        Scope::Matrix,
        Scope::List,
        Scope::Text,
        Scope::Plan,
        Scope::Run,
        Scope::Form,
        Scope::Filter,
        Scope::Palette,
        Scope::Help,
        Scope::Ask,
        Scope::Typed,
        Scope::Choices,
        Scope::Approval,
        Scope::Logs,
    ];

    /// Whether it is that of a view, and not of what lies over one or of a form.
    pub fn is_view(self) -> bool {
        matches!(
            self,
            Scope::Matrix | Scope::List | Scope::Text | Scope::Plan | Scope::Run | Scope::Approval | Scope::Logs
        )
    }

    /// Where that is, for the reference.
    pub fn place(self) -> &'static str {
        match self {
            Scope::Matrix => "overview",
            Scope::List => "lists",
            Scope::Text => "pages",
            Scope::Plan => "plan",
            Scope::Run => "run",
            Scope::Form => "form",
            Scope::Filter => "filter",
            Scope::Palette => "palette",
            Scope::Help => "help",
            Scope::Ask => "question",
            Scope::Typed => "question that is typed",
            Scope::Choices => "list of choices",
            Scope::Approval => "approval",
            Scope::Logs => "logs",
        }
    }

    /// Keys that mean nothing here are typed into the field.
    pub fn types(self) -> bool {
        matches!(self, Scope::Form | Scope::Filter | Scope::Palette | Scope::Typed)
    }
}

/// What a key or a palette entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Left,
    Right,
    Open,
    Back,
    Close,
    Last,
    Palette,
    Filter,
    NextMatch,
    PreviousMatch,
    Help,
    Copy,
    Save,
    Logs,
    PreviousLogs,
    Events,
    Yaml,
    Describe,
    Diff,
    Forward,
    Shell,
    EndForward,
    Container,
    Follow,
    Wrap,
    Timestamps,
    Mark,
    ClearMarks,
    Sort,
    ReverseSort,
    Wide,
    Inspector,
    Fold,
    Request,
    Runs,
    Refresh,
    FaultsOnly,
    AllClusters,
    Focus,
    PreviousDatabase,
    NextDatabase,
    Runbooks,
    Findings,
    Certificates,
    Approvals,
    Approve,
    Interrupt,
    Start,
    Overrule,
    AnswerGate,
    PauseRun,
    Accept,
    Cancel,
    Yes,
    No,
    Switch,
    Complete,
    CompleteBack,
}

/// Under which heading the help lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Navigation,
    Rows,
    Views,
    Runs,
    Global,
}

impl Group {
    pub const ALL: [Group; 5] = [Group::Navigation, Group::Rows, Group::Views, Group::Runs, Group::Global];

    pub fn title(self) -> &'static str {
        match self {
            Group::Navigation => "navigation",
            Group::Rows => "rows",
            Group::Views => "views",
            Group::Runs => "runs",
            Group::Global => "global",
        }
    }
}

impl Command {
    /// Whether it moves what is looked at, and nothing of what a list is made of.
    pub fn only_moves(self) -> bool {
        matches!(
            self,
            Command::Up
                | Command::Down
                | Command::PageUp
                | Command::PageDown
                | Command::HalfUp
                | Command::HalfDown
                | Command::Top
                | Command::Bottom
        )
    }

    #[expect(clippy::too_many_lines, reason = "a table of commands")]
    pub fn group(self) -> Group {
        match self {
            Command::Up
            | Command::Down
            | Command::PageUp
            | Command::PageDown
            | Command::HalfUp
            | Command::HalfDown
            | Command::Top
            | Command::Bottom
            | Command::Left
            | Command::Right
            | Command::Open
            | Command::Back
            | Command::Close
            | Command::Complete
            | Command::CompleteBack => Group::Navigation,
            Command::Logs
            | Command::PreviousLogs
            | Command::Events
            | Command::Yaml
            | Command::Describe
            | Command::Diff
            | Command::Forward
            | Command::Shell
            | Command::EndForward
            | Command::Container
            | Command::Follow
            | Command::Wrap
            | Command::Timestamps
            | Command::Mark
            | Command::ClearMarks
            | Command::Sort
            | Command::ReverseSort
            | Command::Wide
            | Command::Inspector
            | Command::Fold
            | Command::Request
            | Command::Filter
            | Command::NextMatch
            | Command::PreviousMatch
            | Command::FaultsOnly
            | Command::Copy => Group::Rows,
            Command::Palette
            | Command::Last
            | Command::Findings
            | Command::Certificates
            | Command::AllClusters
            | Command::Focus
            | Command::PreviousDatabase
            | Command::NextDatabase => Group::Views,
            Command::Runbooks
            | Command::Runs
            | Command::Approvals
            | Command::Approve
            | Command::Start
            | Command::Overrule
            | Command::AnswerGate
            | Command::PauseRun => Group::Runs,
            Command::Help
            | Command::Save
            | Command::Refresh
            | Command::Interrupt
            | Command::Accept
            | Command::Cancel
            | Command::Yes
            | Command::No
            | Command::Switch => Group::Global,
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub keys: &'static [&'static str],
    pub command: Command,
    pub label: &'static str,
    pub scopes: &'static [Scope],
    /// Shown in the footer.
    pub hint: bool,
}

/// Where a view is about an object, or a row under the cursor may stand for one.
const OBJECTS: &[Scope] = &[Scope::Matrix, Scope::List, Scope::Text];
const LISTS: &[Scope] = &[Scope::Matrix, Scope::List];
const VIEWS: &[Scope] =
    &[Scope::Matrix, Scope::List, Scope::Text, Scope::Plan, Scope::Run, Scope::Approval, Scope::Logs];
/// The views in which `f` and `t` lead elsewhere; in logs they are about the lines.
const PLACES: &[Scope] = &[Scope::Matrix, Scope::List, Scope::Text, Scope::Plan, Scope::Run, Scope::Approval];
const SCROLL: &[Scope] =
    &[Scope::Matrix, Scope::List, Scope::Text, Scope::Plan, Scope::Run, Scope::Approval, Scope::Help, Scope::Logs];

const fn bind(
    keys: &'static [&'static str],
    command: Command,
    label: &'static str,
    scopes: &'static [Scope],
    hint: bool,
) -> Binding {
    Binding { keys, command, label, scopes, hint }
}

/// The table. The order is the order of the footer and of the help.
pub const KEYMAP: &[Binding] = &[
    bind(&["enter"], Command::Open, "open", LISTS, true),
    bind(&["enter"], Command::Open, "what it is about, how to go on", &[Scope::Text], false),
    bind(&["enter"], Command::Start, "start", &[Scope::Plan], true),
    bind(&["o"], Command::Overrule, "overrule a check", &[Scope::Plan], true),
    bind(&["enter"], Command::AnswerGate, "answer, choose", &[Scope::Run], true),
    bind(&["enter"], Command::Approve, "approve", &[Scope::Approval], true),
    bind(&["p"], Command::PauseRun, "pause", &[Scope::Run], true),
    bind(&["enter"], Command::Accept, "next, then plan", &[Scope::Form], true),
    bind(&["tab"], Command::Complete, "next suggestion", &[Scope::Form], true),
    bind(&["shift-tab"], Command::CompleteBack, "previous suggestion", &[Scope::Form], false),
    bind(&["down", "ctrl-n"], Command::Down, "next field", &[Scope::Form], true),
    bind(&["up", "ctrl-p"], Command::Up, "previous field", &[Scope::Form], false),
    bind(&["esc"], Command::Cancel, "back", &[Scope::Form], true),
    bind(&["enter"], Command::Accept, "keep", &[Scope::Filter], true),
    bind(&["esc"], Command::Cancel, "clear", &[Scope::Filter], true),
    bind(&["enter"], Command::Accept, "go", &[Scope::Palette], true),
    bind(&["tab"], Command::Complete, "complete", &[Scope::Palette], true),
    bind(&["shift-tab"], Command::CompleteBack, "complete backwards", &[Scope::Palette], false),
    bind(&["up"], Command::Up, "earlier", &[Scope::Palette], true),
    bind(&["down"], Command::Down, "later", &[Scope::Palette], false),
    bind(&["esc"], Command::Cancel, "cancel", &[Scope::Palette, Scope::Typed], true),
    bind(&["enter"], Command::Accept, "confirm", &[Scope::Typed], true),
    bind(&["y"], Command::Yes, "yes", &[Scope::Ask], true),
    bind(&["tab", "shift-tab", "left", "right", "h", "l"], Command::Switch, "other button", &[Scope::Ask], true),
    bind(&["enter"], Command::Accept, "press the button", &[Scope::Ask], true),
    bind(&["n"], Command::No, "no", &[Scope::Ask], true),
    bind(&["esc", "q"], Command::Cancel, "not yet", &[Scope::Ask], true),
    bind(&["down", "j", "tab", "s"], Command::Down, "next", &[Scope::Choices], true),
    bind(&["up", "k", "shift-tab"], Command::Up, "previous", &[Scope::Choices], true),
    bind(&["enter"], Command::Accept, "choose", &[Scope::Choices], true),
    bind(&["esc", "q"], Command::Cancel, "not yet", &[Scope::Choices], true),
    bind(&["?", "esc", "q"], Command::Cancel, "close", &[Scope::Help], true),
    bind(&["p"], Command::PreviousLogs, "previous", &[Scope::Logs], true),
    bind(&["C"], Command::Container, "container", &[Scope::Logs], true),
    bind(&["s", "f"], Command::Follow, "follow", &[Scope::Logs], true),
    bind(&["w"], Command::Wrap, "wrap", &[Scope::Logs], true),
    bind(&["t"], Command::Timestamps, "times", &[Scope::Logs], true),
    bind(&["/"], Command::Filter, "filter", &[Scope::Matrix, Scope::List, Scope::Logs], true),
    bind(&["/"], Command::Filter, "find", &[Scope::Text, Scope::Approval], true),
    bind(&["n"], Command::NextMatch, "next found", &[Scope::Text, Scope::Approval], false),
    bind(&["N"], Command::PreviousMatch, "found before", &[Scope::Text, Scope::Approval], false),
    bind(&["ctrl-z"], Command::FaultsOnly, "warnings", &[Scope::Logs], true),
    bind(&[":", "ctrl-p"], Command::Palette, "go to", VIEWS, true),
    bind(&["l"], Command::Logs, "logs", OBJECTS, false),
    bind(&["p"], Command::PreviousLogs, "previous logs", OBJECTS, false),
    bind(&["e"], Command::Events, "events", OBJECTS, false),
    bind(&["y"], Command::Yaml, "YAML", OBJECTS, false),
    bind(&["d"], Command::Describe, "describe", OBJECTS, false),
    bind(&["D"], Command::Diff, "compare with its like", OBJECTS, false),
    bind(&["F"], Command::Forward, "port-forward", OBJECTS, false),
    bind(&["S"], Command::Shell, "a shell in it", OBJECTS, false),
    bind(&["x"], Command::EndForward, "end this port-forward", &[Scope::List], false),
    bind(&["r"], Command::Runbooks, "runbooks", VIEWS, true),
    bind(&["R"], Command::Runs, "runs", VIEWS, false),
    bind(&["!"], Command::Findings, "problems", VIEWS, true),
    bind(&["f"], Command::Findings, "problems", PLACES, false),
    bind(&["t"], Command::Certificates, "TLS certificates", PLACES, false),
    bind(&["a"], Command::Approvals, "approvals", VIEWS, false),
    bind(&["?"], Command::Help, "help", VIEWS, true),
    bind(&["esc"], Command::Back, "back", VIEWS, true),
    bind(&["q"], Command::Close, "back", VIEWS, false),
    bind(&["-"], Command::Last, "last view", VIEWS, false),
    bind(&["down", "j"], Command::Down, "down", SCROLL, false),
    bind(&["up", "k"], Command::Up, "up", SCROLL, false),
    bind(&["right", "tab"], Command::Right, "next column", &[Scope::Matrix], false),
    bind(&["left", "shift-tab"], Command::Left, "previous column", &[Scope::Matrix], false),
    bind(&["g", "home"], Command::Top, "first", SCROLL, false),
    bind(&["G", "end"], Command::Bottom, "last", SCROLL, false),
    bind(&["ctrl-f", "pgdn"], Command::PageDown, "page down", SCROLL, false),
    bind(&["ctrl-b", "pgup"], Command::PageUp, "page up", SCROLL, false),
    bind(&["ctrl-d"], Command::HalfDown, "half a page down", SCROLL, false),
    bind(&["ctrl-u"], Command::HalfUp, "half a page up", SCROLL, false),
    bind(&["1", "2", "3", "4", "5", "6", "7", "8", "9"], Command::Focus, "only that cluster", LISTS, false),
    bind(&["0"], Command::AllClusters, "all clusters", LISTS, false),
    bind(&["]"], Command::NextDatabase, "next database", LISTS, false),
    bind(&["["], Command::PreviousDatabase, "previous database", LISTS, false),
    bind(&["ctrl-z"], Command::FaultsOnly, "faults only", LISTS, false),
    bind(&["s"], Command::Sort, "sort by a column", LISTS, false),
    bind(&["o"], Command::ReverseSort, "the other way round", LISTS, false),
    bind(&["i"], Command::Inspector, "inspector", LISTS, false),
    bind(&["w"], Command::Wide, "wide columns", LISTS, false),
    bind(&["z"], Command::Fold, "fold, unfold", &[Scope::Text, Scope::Plan], false),
    bind(&["space"], Command::Request, "the request, whole", &[Scope::Run], false),
    bind(&["space"], Command::Mark, "mark", LISTS, false),
    bind(&["ctrl-space"], Command::ClearMarks, "no marks", LISTS, false),
    bind(&["c"], Command::Copy, "copy", VIEWS, false),
    bind(&["ctrl-s"], Command::Save, "save as Markdown", VIEWS, false),
    bind(&["ctrl-r"], Command::Refresh, "refresh", VIEWS, false),
    bind(&["ctrl-c"], Command::Interrupt, "quit, pausing a run", &Scope::ALL, false),
];

/// The command of a key, with the position of the key in its binding (which digit of `1`…`9`).
pub fn lookup(scope: Scope, key: &KeyEvent) -> Option<(Command, usize)> {
    KEYMAP.iter().filter(|binding| binding.scopes.contains(&scope)).find_map(|binding| {
        let at = binding.keys.iter().position(|name| parse(name).is_some_and(|wanted| same(&wanted, key)))?;
        Some((binding.command, at))
    })
}

/// The bindings of one scope, in the order of the table.
pub fn bindings(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    KEYMAP.iter().filter(move |binding| binding.scopes.contains(&scope))
}

/// What a key means in another scope, where it means nothing in this one.
pub fn elsewhere(key: &KeyEvent) -> Option<&'static Binding> {
    let means = |binding: &&Binding| {
        binding.keys.iter().any(|name| parse(name).is_some_and(|wanted| same(&wanted, key)))
            && !binding.scopes.iter().any(|scope| scope.types() || matches!(scope, Scope::Ask | Scope::Choices))
    };
    KEYMAP.iter().find(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_readable_and_means_one_thing_per_scope() {
        for scope in Scope::ALL {
            let mut seen = Vec::new();
            for binding in bindings(scope) {
                for name in binding.keys {
                    assert!(parse(name).is_some(), "{name} cannot be read");
                    assert!(!seen.contains(name), "{name} is bound twice in {scope:?}");
                    seen.push(name);
                }
            }
        }
    }

    #[test]
    fn fields_take_every_printable_key() {
        for scope in Scope::ALL.into_iter().filter(|scope| scope.types()) {
            for binding in bindings(scope) {
                assert!(binding.keys.iter().all(|name| name.chars().count() > 1), "{binding:?} cannot be typed");
            }
        }
    }

    #[test]
    fn nothing_hangs_on_the_kill_key() {
        let kill = parse("ctrl-k").expect("readable");
        assert!(Scope::ALL.into_iter().all(|scope| lookup(scope, &kill).is_none()));
    }
}
