//! Beside or beneath a form: what will follow from the values as they stand.

use ratatui::text::Span;

use super::plan_page;
use super::text::{Page, span};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::form_preview::Following;
use crate::app::status_level::Level;
use crate::runbook::actions::Action;
use crate::runbook::plan::{CheckState, Plan};

/// Changes that are named one by one.
const NAMED: usize = 8;

/// Empty while nothing was asked.
pub fn page(app: &App, theme: Theme, room: usize) -> Page {
    let mut page = Page::default();
    let dim = theme.style(Role::Dim);
    let title = || vec![span("  What will follow", theme.style(Role::Title))];
    match app.following() {
        Following::NotAsked => {}
        Following::Asked => {
            page.push(title());
            page.push(vec![span("  looking…", dim)]);
        }
        Following::NoPlan(sentence) => {
            page.push(title());
            page.hang(vec![Span::raw("  ")], sentence, theme.level(Level::Working), room);
        }
        Following::Plan(plan) => {
            page.push(title());
            of_plan(&mut page, app, theme, plan, room);
        }
    }
    page
}

fn of_plan(page: &mut Page, app: &App, theme: Theme, plan: &Plan, room: usize) {
    let (plain, dim) = (theme.style(Role::Plain), theme.style(Role::Dim));
    let checks = [(CheckState::Refused, Level::Bad, "refuses"), (CheckState::Warning, Level::Working, "warns")];
    for (state, level, word) in checks {
        for check in plan.checks.iter().filter(|check| check.state == state) {
            let head = span(format!("  {} {word}: ", theme.glyph(level)), theme.level(level));
            page.hang(vec![head], &check.found(), plain, room);
        }
    }
    if let Some(outage) = app.outage(plan) {
        let head = span(format!("  {} ", theme.glyph(Level::Bad)), theme.level(Level::Bad));
        page.hang(vec![head], &outage, theme.level(Level::Bad), room);
    }
    page.hang(vec![Span::raw("  ")], &plan_page::sums(plan), plain, room);
    for restart in app.restarts(plan) {
        page.hang(vec![span("  restarts ", theme.level(Level::Working))], &restart.words(), plain, room);
    }
    let changing: Vec<_> = plan.steps.iter().filter(|step| step.action.writes() && !step.already_so).collect();
    for step in changing.iter().take(NAMED) {
        page.hang(vec![span(format!("  {} ", theme.arrow()), dim)], &step.title, plain, room);
        if let Action::DeleteObject(delete) = &step.action {
            page.hang(vec![Span::raw("    ")], &delete.outcome(), theme.level(Level::Working), room);
            continue;
        }
        for (path, _, after) in plan_page::diff(&step.before.without_revisions(), &step.after.without_revisions()) {
            let path = match path.as_str() {
                "" | "peerUrls" => "peerURL",
                path => path.trim_start_matches("fields."),
            };
            page.hang(vec![span(format!("    {path} becomes "), dim)], &after, theme.level(Level::Good), room);
        }
    }
    if changing.len() > NAMED {
        page.push(vec![span(format!("  and {} more", changing.len() - NAMED), dim)]);
    }
}
