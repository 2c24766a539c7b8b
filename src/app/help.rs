//! Which keys do something here and now: for the help, the footer, and the sentence where a key does nothing.
//!
//! All three ask [`App::idle`], so a key that is offered works and one that does not says why. Not here: what a key means
//! ([`super::keymap`]) and does (`perform`).

use crossterm::event::KeyEvent;

use super::keymap::{Binding, Command, Group, Scope, bindings, elsewhere, name};
use super::run_view::RunView;
use super::selected_object::nothing_here;
use super::start_blockers::Bar;
use super::status_level::Level;
use super::views::Column;
use super::visible_rows::Item;
use super::{App, View};
use crate::runbook::run::view::ResolutionOffer;

/// One line of the help: its keys, and what they do.
pub type Entry = (Vec<&'static str>, &'static str);

impl App {
    /// Why a key does nothing here now; `None` where it does something.
    pub fn idle(&self, command: Command) -> Option<String> {
        let because = |why: &str| Some(why.to_owned());
        let columns = self.view().spec().columns;
        match command {
            Command::Logs
            | Command::PreviousLogs
            | Command::Events
            | Command::Yaml
            | Command::Describe
            | Command::Diff => (!self.reaches(command)).then(|| nothing_here(command, self.object().as_ref())),
            Command::Forward => self.cannot_forward(),
            Command::Shell => self.cannot_shell(),
            Command::EndForward => self.cannot_end_forward(),
            Command::Container => self.cannot_choose_container(),
            Command::Follow if matches!(self.view(), View::Logs { previous: true, .. }) => {
                because("the run before has ended: nothing follows")
            }
            Command::Save => self.cannot_save(),
            Command::Open => self.closed(),
            Command::Sort if self.sortable().is_empty() => because("there is no column to sort by here"),
            Command::Sort if self.rows().is_empty() => because("there is no row to sort"),
            Command::ReverseSort if self.screen().order.is_none() => {
                because("nothing is sorted yet: s sorts by a column")
            }
            Command::Mark if self.rows().is_empty() => because("there is no row to mark"),
            Command::ClearMarks if self.screen().marks.is_empty() => because("no row is marked"),
            Command::Left | Command::Right if self.matrix().columns.len() < 2 => because("there is one column"),
            Command::PreviousDatabase | Command::NextDatabase if self.databases().len() < 2 => {
                Some(self.no_other_database())
            }
            Command::AllClusters if self.focus.is_none() && self.namespace.is_none() => {
                because("every cluster is shown already")
            }
            Command::FaultsOnly if self.view_scope() != Scope::Logs && !self.view().spec().faults => {
                because("nothing here is left out as being well")
            }
            Command::Wide if !columns.iter().any(may_go) => because("every column is shown already"),
            Command::Copy if self.copyable().is_empty() => because("there is nothing to copy here"),
            Command::PauseRun if !self.run.as_ref().is_some_and(|run| run.driving) => because("no run is under way"),
            _ => None,
        }
    }

    /// What is not seen may hold another one.
    fn no_other_database(&self) -> String {
        let dark = self.fleet.clusters.values().filter(|cluster| !cluster.freshness.is_live());
        let dark: Vec<&str> = dark.map(|cluster| cluster.context.as_str()).collect();
        match dark.as_slice() {
            [] => "there is no other Database".to_owned(),
            [one] => format!("no other Database is seen; {one} is not seen and may hold one"),
            all => format!("no other Database is seen; {} are not seen and may hold one", all.join(", ")),
        }
    }

    /// Why enter opens nothing.
    fn closed(&self) -> Option<String> {
        if let Some(run) = self.run_on_page().filter(|run| !run.open && !run.offers.contains(&ResolutionOffer::Undo)) {
            let shown = self.run.as_ref().is_some_and(|shown| shown.id() == run.run);
            return (!shown).then(|| format!("run {} is over: {}", run.run, run.state));
        }
        if let View::Detail(subject) = self.view() {
            let leads = matches!(subject, super::Subject::Finding(_)) && self.object().is_some();
            let leads = leads || matches!(subject, super::Subject::Run(_));
            return (!leads).then(|| "this page leads nowhere further; esc goes back".to_owned());
        }
        if matches!(self.view(), View::Yaml(_) | View::Compare(..)) {
            return Some("this page leads nowhere further; esc goes back".to_owned());
        }
        let Some(row) = self.row() else { return Some("there is no row to open".to_owned()) };
        let opens = matches!(row.item, Item::Database(_) | Item::Namespace(_) | Item::Runbook { .. } | Item::Run(_));
        (!opens && self.subject(&row).is_none()).then(|| "this row has no page of its own".to_owned())
    }

    /// What a key does here and now.
    fn label(&self, binding: &Binding) -> &'static str {
        match binding.command {
            Command::Start if matches!(self.bar(), Some(Bar::OpenRun(_))) => "the open run",
            Command::PreviousLogs if matches!(self.view(), View::Logs { previous: true, .. }) => "current",
            Command::Runbooks if self.may_restart() => "runbooks, restart (delete) this pod",
            Command::Open => self.opens(binding.label),
            Command::AnswerGate => self.run.as_ref().map_or(binding.label, RunView::asks_for),
            _ => binding.label,
        }
    }

    /// Whether a binding is worth naming: its key does something.
    fn offers(&self, binding: &Binding) -> bool {
        match binding.command {
            Command::Start => matches!(self.bar(), None | Some(Bar::OpenRun(_))),
            Command::Approve => self.cannot_approve().is_none(),
            Command::Overrule => self.can_be_overruled().is_some(),
            Command::AnswerGate => self.run.as_ref().is_some_and(|run| run.gate.is_some() || !run.offers().is_empty()),
            // The digits of the clusters that are there.
            Command::Focus => !self.fleet.clusters.is_empty(),
            other => self.idle(other).is_none(),
        }
    }

    /// The help of a scope: what works here, under its headings.
    pub fn help(&self, scope: Scope) -> Vec<(Group, Vec<Entry>)> {
        let mut groups: Vec<(Group, Vec<Entry>)> = Vec::new();
        for group in Group::ALL {
            let mut entries: Vec<(Command, Entry)> = Vec::new();
            for binding in bindings(scope).filter(|one| one.command.group() == group && self.offers(one)) {
                match entries.iter_mut().find(|(command, _)| *command == binding.command) {
                    Some((_, (keys, _))) => keys.extend(binding.keys),
                    None => entries.push((binding.command, (binding.keys.to_vec(), self.label(binding)))),
                }
            }
            if !entries.is_empty() {
                groups.push((group, entries.into_iter().map(|(_, entry)| entry).collect()));
            }
        }
        groups
    }

    /// Lines of the palette and of the filter, and signs, that a person does not find by pressing keys.
    pub fn help_lines(&self, scope: Scope) -> Vec<(&'static str, &'static str)> {
        if !scope.is_view() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        if !self.options.read_only {
            lines.push((":read-only", "send no change"));
        }
        if self.may_restart() {
            lines.push((":restart", "restart (delete) this pod"));
        }
        lines.push((":changes", "who wrote a spec"));
        lines.push((":q", "leave, pausing a run"));
        if matches!(scope, Scope::Matrix | Scope::List) {
            lines.extend([
                ("/ -l k=v", "filter by label"),
                ("/ age<1h", "filter by age"),
                ("/ !x re:x", "without; pattern"),
            ]);
        }
        let signs = if self.options.ascii { ("<...>", "missing there") } else { ("⟨…⟩", "missing there") };
        lines.push(signs);
        if scope == Scope::Matrix {
            lines.push(("one cluster?", "all one? f explains"));
        }
        lines
    }

    /// The keys of the footer, the most wanted first: on lists and pages those of the object come before the general ones.
    pub fn hints(&self) -> Vec<(&'static str, &'static str)> {
        const OF_ROWS: [Command; 19] = [
            Command::Open,
            Command::EndForward,
            Command::AllClusters,
            Command::Palette,
            Command::Logs,
            Command::Events,
            Command::Yaml,
            Command::Describe,
            Command::Diff,
            Command::Runbooks,
            Command::Filter,
            Command::Findings,
            Command::Approvals,
            Command::NextDatabase,
            Command::Copy,
            Command::Sort,
            Command::Back,
            Command::Forward,
            Command::Shell,
        ];
        let scope = self.scope();
        let shown = |binding: &&Binding| self.offers(binding);
        if !matches!(scope, Scope::Matrix | Scope::List | Scope::Text) {
            return bindings(scope)
                .filter(|one| one.hint)
                .filter(shown)
                .map(|one| (one.keys[0], self.label(one)))
                .collect();
        }
        let wanted = OF_ROWS.iter().filter(|command| match command {
            Command::Approvals => self.approvals().next().is_some(),
            // On the page of an object that is where one is.
            Command::Describe => scope != Scope::Text,
            // Lists are of all Databases, or say in the header which one they are of.
            Command::NextDatabase => scope == Scope::Matrix,
            _ => true,
        });
        let found = wanted.filter_map(|command| bindings(scope).find(|one| one.command == *command)).filter(shown);
        let help = bindings(scope).find(|one| one.command == Command::Help);
        found.chain(help).map(|one| (one.keys[0], self.short(one))).collect()
    }

    /// The word of a key in the footer.
    fn short(&self, binding: &Binding) -> &'static str {
        match binding.command {
            Command::Diff => "diff",
            Command::Sort => "sort",
            Command::AllClusters => "all",
            Command::NextDatabase => "next",
            Command::Forward => "forward",
            Command::Shell => "shell",
            _ => self.label(binding),
        }
    }

    /// What enter on a page leads to.
    fn opens(&self, otherwise: &'static str) -> &'static str {
        match self.view() {
            View::Detail(super::Subject::Finding(_)) => "what it is about",
            View::Detail(super::Subject::Run(id)) => match self.runs.iter().find(|run| run.run == *id) {
                Some(run) if !run.open => "put it back",
                Some(_) | None => "how to go on",
            },
            _ => otherwise,
        }
    }

    /// A key that means nothing here is not met with silence.
    pub(super) fn unbound(&mut self, scope: Scope, key: &KeyEvent) {
        let Some(name) = name(key) else {
            self.dirty = false;
            return;
        };
        let keys: Vec<&str> = bindings(scope).filter(|one| one.hint).map(|one| one.keys[0]).take(5).collect();
        let means = elsewhere(key).map_or_else(String::new, |one| format!(" ({} elsewhere)", one.label));
        // In k9s it kills, and nothing here hangs on one key.
        let means = if name == "ctrl-k" && self.may_restart() { "; :restart restarts this pod" } else { &means };
        let ways = match scope {
            Scope::Ask | Scope::Choices | Scope::Help => keys.join(", "),
            _ => "? lists the keys".to_owned(),
        };
        self.say(Level::Unknown, format!("{name} does nothing here{means}; {ways}"));
    }
}

/// Whether a column is left out where there is little room.
fn may_go(column: &Column) -> bool {
    column.wide || column.rank > 0
}
