//! `tidepilot runs approve ID`: shows what a run waits with and leaves this person's approval in the cluster.
//!
//! Not here: the run itself (whoever drives it goes on), which approval counts (`runbook::run::approval_validity`).

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::gate_prompts::prompted;
use super::shared_options::Connect;
use super::{USAGE, fail, print};
use crate::app::approvals::ToApprove;
use crate::app::driver::Driver;
use crate::app::exit_codes::Exit;
use crate::report;
use crate::runbook::action_types::Reversibility;
use crate::runbook::plan::{ambiguous, answers};

pub async fn run(id: &str, yes: bool, confirm: Option<&str>, folder: PathBuf, connect: &Connect) -> ExitCode {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return fail(&sentence, USAGE),
    };
    let driver = Driver::new(links, folder);
    let asked = match driver.asked(id).await {
        Ok(asked) => asked,
        Err((code, sentence)) => return connect.refuse(&sentence, code.code()),
    };
    print(&report::approval_request::text(&asked.shown));
    if let Err(sentence) = answered(&asked.shown, yes, confirm).await {
        return connect.refuse(&sentence, Exit::AtGate.code());
    }
    match driver.approve(&asked).await {
        Ok(sentence) => {
            print(&format!("{}\n", report::plain(&sentence)));
            ExitCode::SUCCESS
        }
        Err((code, sentence)) => connect.refuse(&sentence, code.code()),
    }
}

async fn answered(asked: &ToApprove, yes: bool, confirm: Option<&str>) -> Result<(), String> {
    let back = match asked.step.action.reversibility() {
        Reversibility::Irreversible => " It is irreversible.",
        Reversibility::Free | Reversibility::Compensable => "",
    };
    let terminal = std::io::stdin().is_terminal();
    let short = asked.wanted.short.as_deref();
    match &asked.wanted.text {
        Some(text) => {
            let typed = match confirm {
                Some(typed) => Some(typed.to_owned()),
                None if terminal => prompted(&format!("Approve it?{back} Type {text} to approve."), true).await.text(),
                None => None,
            };
            match typed {
                Some(typed) if typed == *text => Ok(()),
                Some(typed) if confirm.is_some() && answers(Some(text), short, &typed) => Ok(()),
                Some(typed) => Err(match ambiguous(Some(text), short, &typed) {
                    Some(why) => format!("nothing was approved: {why}"),
                    None => format!("expected {text}, found {typed}; nothing was approved"),
                }),
                None => Err(format!("nothing was approved: it needs{}", asked.wanted.answer())),
            }
        }
        None if yes => Ok(()),
        None if terminal && prompted(&format!("Approve it?{back}"), false).await.text().is_some() => Ok(()),
        None => Err("nothing was approved: it needs --yes".into()),
    }
}
