//! What a run waits for a second person with.
//!
//! The page is made from the step's action, as `runs approve` prints it; what the runbook calls it stands apart. Not here:
//! what a key does (`app::approvals`).

use ratatui::text::Span;

use super::plan_page;
use super::text::{Page, pad, span};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::approvals::{Stage, ToApprove};
use crate::app::status_level::Level;
use crate::runbook::plan::{CheckState, Confirm, Rehearsal};
use crate::runbook::step_from_action::{deed, step as rendered};

/// Width of the labels at the left.
const LABEL: usize = 14;

/// What the run on the screen waits with.
pub fn page(app: &App, theme: Theme, room: usize) -> Page {
    let mut page = Page::default();
    let dim = theme.style(Role::Dim);
    let Some(approving) = &app.approving else {
        page.hang(vec![Span::raw("  ")], "No run was chosen. a lists those that wait.", dim, room);
        return page;
    };
    let word = |page: &mut Page, level: Level, sentence: &str| {
        let head = span(format!("  {} ", theme.glyph(level)), theme.level(level));
        page.hang(vec![head], sentence, theme.level(level), room);
    };
    match &approving.stage {
        Stage::Reading => {
            let sentence = format!("Reading the record of run {} in the cluster.", approving.run);
            page.hang(vec![Span::raw("  ")], &sentence, dim, room);
        }
        Stage::Refused(why) => word(&mut page, Level::Bad, why),
        Stage::Given(said) => word(&mut page, Level::Good, said),
        Stage::Sending(asked) => {
            word(&mut page, Level::Working, "The approval is on its way.");
            whole(&mut page, theme, asked, room);
        }
        Stage::Shown(asked) => {
            if let Some(why) = app.cannot_approve() {
                word(&mut page, Level::Bad, &why);
            }
            whole(&mut page, theme, asked, room);
        }
    }
    page
}

fn labelled(page: &mut Page, theme: Theme, (label, text): (&str, &str), role: Role, room: usize) {
    let label = span(format!("  {}", pad(label, LABEL)), theme.style(Role::Dim));
    page.hang(vec![label], text, theme.style(role), room.saturating_sub(1));
}

fn whole(page: &mut Page, theme: Theme, asked: &ToApprove, room: usize) {
    let ToApprove { wanted, plan, driver, last, who, .. } = asked;
    let line = |page: &mut Page, label: &str, text: &str, role: Role| labelled(page, theme, (label, text), role, room);
    line(page, "run", &format!("{}: {} on {}", wanted.run, plan.runbook, plan.target), Role::Strong);
    line(page, "driven by", &format!("{driver}, last record {last}"), Role::Plain);
    line(page, "plan", &format!("sha256:{}", wanted.plan), Role::Plain);
    if let Some(document) = &plan.document {
        let what = if document.fork { "a fork of the shipped runbook" } else { "a runbook of one's own" };
        line(
            page,
            "!",
            &format!("{what}, from {} on the driver's machine", document.file),
            Role::Level(Level::Working),
        );
    }
    if let Some(note) = &asked.document {
        line(page, "!", note, Role::Level(Level::Working));
    }
    for (name, value) in &plan.inputs {
        line(page, "input", &format!("{name} = {value}"), Role::Plain);
    }
    for (check, _) in plan.accepted() {
        line(
            page,
            "overruled",
            &format!("check {} refused: {}", check.name(), check.found()),
            Role::Level(Level::Working),
        );
    }
    for check in plan.checks.iter().filter(|check| check.state != CheckState::Passed) {
        line(page, "warned", &format!("{}: {}", check.name(), check.sentence), Role::Level(Level::Working));
    }
    let since = wanted.asked.as_ref().map_or_else(String::new, |(at, _)| at.to_string());
    line(page, "waits since", &since, Role::Plain);
    let first = wanted.confirmed_by.as_deref().unwrap_or("somebody unknown");
    line(page, "not by", &format!("{first}, who confirmed it; an impersonated user; a service account"), Role::Plain);
    line(page, "you are", who, Role::Strong);
    sent(page, theme, asked, room);
}

/// What leaves once it is approved, made from the action and not from the record's words.
fn sent(page: &mut Page, theme: Theme, asked: &ToApprove, room: usize) {
    let ToApprove { wanted, plan, .. } = asked;
    let line = |page: &mut Page, label: &str, text: &str, role: Role| labelled(page, theme, (label, text), role, room);
    page.gap();
    page.push(vec![span("  What is sent once you approve", theme.style(Role::Title))]);
    let item = asked.step.item.as_ref().map_or_else(String::new, |item| format!("item {item}, "));
    let mut shown = rendered(&asked.step);
    // Of the record's own words nothing stands among what is made from the action.
    shown.title = format!("{} ({item}attempt {}): {}", shown.id, wanted.attempt, deed(&shown.action));
    (shown.why, shown.command) = (String::new(), String::new());
    (shown.confirm, shown.approvers, shown.already_so) = (Confirm::None, 1, false);
    shown.rehearsed = Rehearsal::NotNeeded;
    let number = plan.steps.iter().position(|step| step.id == shown.id).map_or(0, |at| at + 1);
    plan_page::step(page, theme, number, &shown, room);
    if asked.alike > 0 {
        let more = format!("{} more like it follow; each needs an approval of its own", asked.alike);
        line(page, "more", &more, Role::Level(Level::Working));
    }
    let why = if asked.step.why.is_empty() { String::new() } else { format!("; {}", asked.step.why) };
    line(page, "words", &format!("the runbook calls it {:?}{why}", asked.step.title), Role::Dim);
    page.gap();
    page.push(vec![span("  The whole plan", theme.style(Role::Title))]);
    for (index, step) in plan.steps.iter().enumerate() {
        let (glyph, level) = match (asked.done.contains(&step.id), step.id == asked.step.id) {
            (true, _) => (theme.glyph(Level::Good), Level::Good),
            (false, true) => (theme.glyph(Level::Working), Level::Working),
            (false, false) => (" ", Level::Done),
        };
        let head = vec![
            span(format!("  {:>2} ", index + 1), theme.style(Role::Accent)),
            span(format!("{glyph} "), theme.level(level)),
        ];
        page.hang(head, &format!("{}: {}", step.id, deed(&step.action)), theme.style(Role::Plain), room);
    }
}
