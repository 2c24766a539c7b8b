//! `tidepilot runs approve ID`: shows what a run waits with and leaves this person's approval in the cluster.
//!
//! Not here: the run itself (whoever drives it goes on), which approval counts (`runbook::approval`).

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::options::Connect;
use super::run::prompted;
use super::{USAGE, fail, print};
use crate::app::driver::approve::Asked;
use crate::app::driver::{Driver, exit};
use crate::report;
use crate::runbook::action::Reversibility;
use crate::runbook::plan::{ambiguous, answers};
use crate::runbook::requests::quote;

pub async fn run(id: &str, yes: bool, confirm: Option<&str>, folder: PathBuf, connect: &Connect) -> ExitCode {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return fail(&sentence, USAGE),
    };
    let driver = Driver::new(links, folder);
    let asked = match driver.asked(id).await {
        Ok(asked) => asked,
        Err((code, sentence)) => return fail(&sentence, code),
    };
    print(&shown(&asked));
    if let Err(sentence) = answered(&asked, yes, confirm).await {
        return fail(&sentence, exit::AT_GATE);
    }
    match driver.approve(&asked).await {
        Ok(sentence) => {
            print(&format!("{}\n", report::plain(&sentence)));
            ExitCode::SUCCESS
        }
        Err((code, sentence)) => fail(&sentence, code),
    }
}

/// What is asked for, as the plan shows it.
fn shown(asked: &Asked) -> String {
    let Asked { plan, step, wanted, driver, last, who, .. } = asked;
    let mut out = String::new();
    let _ = writeln!(out, "Run {}: {} on {}", wanted.run, plan.title, plan.target);
    let _ = writeln!(out, "driven by {driver}, last record {last}; plan sha256:{}", wanted.plan);
    if let Some(origin) = report::plan::origin(plan) {
        let _ = writeln!(out, "! {origin}");
    }
    for (check, _) in plan.accepted() {
        let _ = writeln!(out, "! check {} refused and was overruled: {}", check.id, check.found());
    }
    let _ = writeln!(out, "Step {} (attempt {}): {}", step.id, wanted.attempt, step.title);
    if !step.why.is_empty() {
        let _ = writeln!(out, "  why      {}", step.why);
    }
    for (path, before, after) in report::plan::changes(step) {
        let _ = writeln!(out, "  change   {path}: {before} → {after}");
    }
    for request in &step.requests {
        let _ = writeln!(out, "  request  [{}] {} {}", request.context, request.method, request.path);
        let _ = writeln!(out, "           {}", request.body);
    }
    let _ = writeln!(out, "  undo     {}", report::plan::undo(step));
    let first = wanted.confirmed_by.as_deref().unwrap_or("somebody unknown");
    let _ = writeln!(out, "Confirmed by {first}. You are {who}.");
    report::status::plain_lines(&out)
}

async fn answered(asked: &Asked, yes: bool, confirm: Option<&str>) -> Result<(), String> {
    let back = match asked.step.reversibility {
        Reversibility::Irreversible => " There is no way back from it.",
        Reversibility::Free | Reversibility::Compensable => "",
    };
    let terminal = std::io::stdin().is_terminal();
    let short = asked.wanted.short.as_deref();
    match &asked.wanted.text {
        Some(text) => {
            let typed = match confirm {
                Some(typed) => Some(typed.to_owned()),
                None if terminal => prompted(&format!("Approve it?{back} Type {text} to approve."), true).await,
                None => None,
            };
            match typed {
                Some(typed) if typed == *text => Ok(()),
                Some(typed) if confirm.is_some() && answers(Some(text), short, &typed) => Ok(()),
                Some(typed) => Err(match ambiguous(Some(text), short, &typed) {
                    Some(why) => format!("nothing was approved: {why}"),
                    None => format!("expected {text}, found {typed}; nothing was approved"),
                }),
                None => Err(format!("nothing was approved: it needs --confirm {}", quote(text))),
            }
        }
        None if yes => Ok(()),
        None if terminal && prompted(&format!("Approve it?{back}"), false).await.is_some() => Ok(()),
        None => Err("nothing was approved: it needs --yes".into()),
    }
}
