//! `docs/console.md`: the keys, the views and the words of the palette, from the tables that the console itself reads.
//!
//! Nothing is said here that is not in those tables, but how a line of the palette is written. Not here: the help of a view
//! (`help`), which leaves out what does nothing at the moment.

use std::fmt::Write as _;

use super::View;
use super::keymap::{Binding, Command, Group, KEYMAP, Scope};
use super::kubectl_k9s_aliases::{Leads, OTHER_WORDS, filled};
use super::palette::{Target, entries};

const HEAD: &str = "# The console

Written by `tidepilot docs` from the tables of keys and of views; `?` in the console lists what works where one is. The keys
are k9s' where it has one for the same: `:` goes to a view, `/` filters, `esc` goes one step back, `l` `y` `d` `e` show logs,
YAML, description and events of what is under the cursor. Nothing that changes the world hangs on one key: `F`, `S` and every
gate ask first, and a read-only session refuses them.

## Lines of the palette

| line | leads to |
|---|---|
| `:WORD` | a view, by any of its words below or by their beginning |
| `:NAME` | a pod, member, store, TidbCluster, Database, namespace, context, runbook or run, by a part of its name |
| `:run ID on CONTEXT/NAMESPACE/NAME NAME=VALUE` | a runbook with these inputs filled in; nothing is sent before its plan was seen |
| `:read-only` | nothing that changes anything leaves this session any more; it cannot be taken back |
| `tidepilot …` | a line for a shell, as findings and runs print them, leads to the same place here |

In a filter `!text` leaves out, `re:` is a regular expression, `-l key=value,other!=value` asks for labels, `column:text` looks
in one column, `age<1h` is younger; letters with others between them fit too. A filter that stands is selected by `/`: typing takes its
place, an arrow keeps it. In a form a value that was filled in is named as such: typing takes its
place, backspace empties the field, and what a person typed or emptied is never filled in again.
";

/// The whole page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    views(&mut out);
    others(&mut out);
    keys(&mut out);
    places(&mut out);
    out
}

fn views(out: &mut String) {
    out.push_str("\n## Views\n\n| `:` | shows | columns |\n|---|---|---|\n");
    for view in View::ALL {
        let spec = view.spec();
        if spec.names.is_empty() {
            continue;
        }
        let words: Vec<String> = spec.names.iter().map(|word| format!("`{word}`")).collect();
        let titles: Vec<String> = spec.columns.iter().map(|one| one.title.to_lowercase()).collect();
        let titles: Vec<&str> = titles.iter().map(String::as_str).filter(|title| !title.is_empty()).collect();
        let more = if spec.help.is_empty() { String::new() } else { format!("; {}", spec.help) };
        let _ = writeln!(out, "| {} | {}{} | {} |", words.join(" "), cell(spec.about), cell(&more), titles.join(", "));
    }
    out.push_str("\nCommands that are no view:");
    for entry in entries().filter(|entry| !matches!(entry.target, Target::View(_))) {
        let _ = write!(out, " `:{}` ({})", entry.names[0], entry.about);
    }
    out.push('\n');
}

/// What words of kubectl and k9s lead to.
fn others(out: &mut String) {
    out.push_str("\n## Words of kubectl and k9s\n\n");
    out.push_str("A word for a kind of object never opens a form. Where there is nothing here, the kubectl line that has it is shown\n");
    out.push_str("with what is under the cursor filled in, and enter copies it.\n\n| `:` | leads to |\n|---|---|\n");
    for word in OTHER_WORDS {
        let names: Vec<String> = word.names.iter().map(|name| format!("`{name}`")).collect();
        let leads = match word.leads {
            Leads::Key(_) | Leads::Restart => word.about.to_owned(),
            Leads::Nowhere { instead, kubectl } => {
                format!("{instead}: `{}`", filled(kubectl, |_| None))
            }
        };
        let _ = writeln!(out, "| {} | {} |", names.join(" "), cell(&leads));
    }
}

/// What works in views, under the headings of the help.
fn keys(out: &mut String) {
    out.push_str("\n## Keys of views\n");
    for group in Group::ALL {
        let _ = write!(out, "\n### {}\n\n| key | | where |\n|---|---|---|\n", first_upper(group.title()));
        let of_group = |one: &&Binding| one.command.group() == group && one.scopes.iter().any(|scope| scope.is_view());
        for binding in KEYMAP.iter().filter(of_group) {
            let _ = writeln!(out, "| {} | {} | {} |", names(binding), cell(binding.label), places_of(binding));
        }
    }
}

/// What works in a form and in what lies over a view.
fn places(out: &mut String) {
    out.push_str("\n## Keys of forms and questions\n\n| where | keys |\n|---|---|\n");
    for scope in Scope::ALL.into_iter().filter(|scope| !scope.is_view()) {
        let own =
            KEYMAP.iter().filter(|binding| binding.scopes.contains(&scope) && binding.command != Command::Interrupt);
        let own: Vec<String> = own.map(|binding| format!("{} {}", names(binding), cell(binding.label))).collect();
        let _ = writeln!(out, "| {} | {} |", scope.place(), own.join(", "));
    }
}

fn names(binding: &Binding) -> String {
    match binding.keys {
        ["1", .., "9"] => "`1` … `9`".to_owned(),
        keys => keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" "),
    }
}

fn places_of(binding: &Binding) -> String {
    let views = || Scope::ALL.into_iter().filter(|scope| scope.is_view());
    if views().all(|scope| binding.scopes.contains(&scope)) {
        return "everywhere".to_owned();
    }
    let places: Vec<&str> = views().filter(|scope| binding.scopes.contains(scope)).map(Scope::place).collect();
    places.join(", ")
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
