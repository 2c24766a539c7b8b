//! What somebody may have meant who typed a command that there is not, or asked for its help.

use clap::Command;
use clap::error::{ContextKind, ContextValue};

use crate::did_you_mean::near;
use crate::runbook::language::document::SHIPPED;

/// One line for whoever typed it; `None`: nothing is near, or clap has said it.
pub fn meant(error: &clap::Error, commands: &Command) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    if let Some((runbook, _)) = SHIPPED.iter().find(|(id, _)| id == typed) {
        return Some(format!("{runbook} is a runbook: `tidepilot run {runbook}`"));
    }
    let shown = |command: &&Command| !command.is_hide_set();
    let has = |group: &&Command| group.get_subcommands().filter(shown).any(|one| one.get_name() == typed);
    let groups: Vec<&str> = commands.get_subcommands().filter(has).map(Command::get_name).collect();
    if !groups.is_empty() {
        let lines: Vec<String> = groups.iter().map(|group| format!("`tidepilot {group} {typed}`")).collect();
        return Some(format!("{typed} is a command of {}: {}", groups.join(" and "), lines.join(", ")));
    }
    if error.get(ContextKind::SuggestedSubcommand).is_some() {
        return None;
    }
    let names = commands.get_subcommands().filter(shown).map(Command::get_name);
    if let Some(name) = near(typed, names) {
        return Some(format!("did you mean `tidepilot {name}`?"));
    }
    near(typed, SHIPPED.iter().map(|(id, _)| *id)).map(|id| format!("did you mean `tidepilot run {id}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands;

    #[test]
    fn whoever_types_what_there_is_not_learns_what_there_is() {
        for (typed, line) in [
            ("help approve", "approve is a command of runs: `tidepilot runs approve`"),
            ("approve", "approve is a command of runs: `tidepilot runs approve`"),
            ("help list", "list is a command of runs and runbook: `tidepilot runs list`, `tidepilot runbook list`"),
            ("verify", "verify is a command of runs: `tidepilot runs verify`"),
            ("help statu", "did you mean `tidepilot status`?"),
            ("runs statuss", "did you mean `tidepilot status`?"),
            ("help upgrade-clusters", "did you mean `tidepilot run upgrade-cluster`?"),
            ("restart-component", "restart-component is a runbook: `tidepilot run restart-component`"),
        ] {
            let arguments = std::iter::once("tidepilot").chain(typed.split(' '));
            let error = commands().try_get_matches_from(arguments).expect_err("no such command");
            assert_eq!(meant(&error, &commands()).as_deref(), Some(line), "{typed}");
        }
        // What clap says itself is not said twice, and what is near nothing leads nowhere.
        for typed in ["statu", "runs aprove", "help zzzzzzzz"] {
            let arguments = std::iter::once("tidepilot").chain(typed.split(' '));
            let error = commands().try_get_matches_from(arguments).expect_err("no such command");
            assert_eq!(meant(&error, &commands()), None, "{typed}");
        }
    }
}
