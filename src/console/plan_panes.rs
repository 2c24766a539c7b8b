//! The plan in two panes: the checks and the steps, and beside (or beneath) them all that is known of the chosen one: why,
//! before and after, the exact request, the line by hand, the rollback.
//!
//! The arrows choose, pages scroll the card. The words of a card and the whole plan as one page are [`super::plan_page`]'s.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list_scroll::first_in_sight;
use super::plan_page;
use super::table::mark;
use super::text::{Page, cut, span, wrap};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::message::Pointed;
use crate::app::status_level::Level;
use crate::runbook::action_types::Reversibility;
use crate::runbook::plan::{Confirm, Plan, PlannedStep};

use super::click_targets::Spots;

/// From this width on the card stands beside the list.
const BESIDE: u16 = 110;

struct Panes {
    head: Rect,
    list: Rect,
    card: Rect,
}

/// Where everything goes; `None` where there is no plan yet.
fn panes(app: &App, theme: Theme, area: Rect) -> Option<(Panes, Vec<Line<'static>>)> {
    let plan = app.plan.as_ref()?;
    let head = plan_page::head_of(app, theme, plan, usize::from(area.width)).lines;
    let tall = u16::try_from(head.len()).unwrap_or(u16::MAX).min(area.height / 2);
    let top = Rect { height: tall, ..area };
    let rest = Rect { y: top.bottom(), height: area.height - tall, ..area };
    if area.width >= BESIDE {
        let left = (area.width / 2).min(84);
        let list = Rect { width: left, ..rest };
        let card = Rect { x: rest.x + left + 1, width: rest.width - left - 1, ..rest };
        return Some((Panes { head: top, list, card }, head));
    }
    let rows = u16::try_from(entries(plan).len()).unwrap_or(u16::MAX);
    let list = Rect { height: rows.min(rest.height / 2), ..rest };
    let card = Rect { y: list.bottom(), height: rest.height - list.height, ..rest };
    Some((Panes { head: top, list, card }, head))
}

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, spots: &mut Spots) {
    let Some((panes, head)) = panes(app, theme, area) else {
        return super::page(frame, area, plan_page::page(app, theme, usize::from(area.width)), 0, theme);
    };
    let Some(plan) = &app.plan else { return };
    super::lines(frame, panes.head, head, 0);
    list(app, theme, frame, panes.list, plan, spots);
    if area.width >= BESIDE {
        for y in panes.card.y..panes.card.bottom() {
            let line = Rect { x: panes.card.x - 1, y, width: 1, height: 1 };
            frame.render_widget(Span::styled(theme.bar_of_panes(), theme.style(Role::Dim)), line);
        }
    } else if panes.card.height > 0 {
        let rule = Span::styled(theme.rule().repeat(usize::from(area.width)), theme.style(Role::Dim));
        frame.render_widget(rule, Rect { height: 1, ..panes.card });
    }
    let inner = inside(panes.card, area.width >= BESIDE);
    super::page(frame, inner, card(app, theme, plan, usize::from(inner.width)), app.screen().scroll, theme);
}

fn inside(card: Rect, beside: bool) -> Rect {
    let rule = u16::from(!beside && card.height > 0);
    Rect { y: card.y + rule, height: card.height - rule, ..card }
}

/// Lines of the card, and how many have room.
pub fn extent(app: &App, theme: Theme, area: Rect) -> (usize, u16) {
    let Some((panes, _)) = panes(app, theme, area) else { return (0, 0) };
    let Some(plan) = &app.plan else { return (0, 0) };
    let inner = inside(panes.card, area.width >= BESIDE);
    (card(app, theme, plan, usize::from(inner.width)).lines.len(), inner.height)
}

/// What is chosen: 0 are the checks, then the steps.
fn card(app: &App, theme: Theme, plan: &Plan, room: usize) -> Page {
    let mut page = Page::default();
    match app.chosen_step().checked_sub(1).and_then(|at| Some((at, plan.steps.get(at)?))) {
        Some((at, step)) => {
            plan_page::step(&mut page, theme, at + 1, step, room);
            if let Some(restart) = app.restarts_of(step) {
                page.gap();
                let head = span("      restarts ", theme.level(Level::Working));
                page.hang(vec![head], &restart.words(), theme.style(Role::Plain), room);
                plan_page::felt(&mut page, app, theme, &restart, "        ", room);
            }
        }
        None => plan_page::checks(&mut page, theme, plan, room, app.screen().unfolded),
    }
    page
}

enum Entry<'a> {
    Checks,
    Phase(&'a str),
    /// From here on there is no rollback.
    Line,
    Step(usize, &'a PlannedStep),
}

fn entries(plan: &Plan) -> Vec<Entry<'_>> {
    let mut all = vec![Entry::Checks];
    let mut phase = "";
    let last_way =
        plan.steps.iter().position(|one| one.reversibility == Reversibility::Irreversible && !one.already_so);
    for (index, step) in plan.steps.iter().enumerate() {
        if step.phase != phase {
            phase = &step.phase;
            all.push(Entry::Phase(phase));
        }
        if last_way == Some(index) {
            all.push(Entry::Line);
        }
        all.push(Entry::Step(index, step));
    }
    all
}

fn list(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, plan: &Plan, spots: &mut Spots) {
    let all = entries(plan);
    let chosen = app.chosen_step();
    let is = |entry: &Entry<'_>| match entry {
        Entry::Checks => chosen == 0,
        Entry::Step(index, _) => chosen == index + 1,
        Entry::Phase(_) | Entry::Line => false,
    };
    let at = all.iter().position(is);
    let top = first_in_sight(all.len(), at, usize::from(area.height), |_| 1);
    let room = usize::from(area.width).saturating_sub(1);
    for (offset, entry) in all.iter().skip(top).take(usize::from(area.height)).enumerate() {
        let line = Rect { y: area.y + u16::try_from(offset).unwrap_or(u16::MAX), height: 1, ..area };
        frame.render_widget(entry_line(theme, plan, entry, is(entry), room), line);
        let number = match entry {
            Entry::Checks => Some(0),
            Entry::Step(index, _) => Some(index + 1),
            Entry::Phase(_) | Entry::Line => None,
        };
        if let Some(number) = number {
            spots.put(line, Pointed::Step(number));
        }
    }
}

fn entry_line(theme: Theme, plan: &Plan, entry: &Entry<'_>, chosen: bool, room: usize) -> Line<'static> {
    let dim = theme.style(Role::Dim);
    match entry {
        Entry::Checks => {
            let name = theme.style(if chosen { Role::Cursor } else { Role::Title });
            let mut spans = vec![mark(theme, chosen), span("checks", name)];
            spans.extend(plan_page::check_counts(theme, plan));
            Line::from(spans)
        }
        Entry::Phase(phase) => Line::from(span(format!("  {}", cut(phase, room.saturating_sub(2), theme)), dim)),
        Entry::Line => {
            let words = " no rollback from here ";
            let rule = theme.rule().repeat(room.saturating_sub(words.len() + 4).min(20));
            Line::from(span(format!("  {}{words}{rule}", theme.rule().repeat(2)), theme.level(Level::Bad)))
        }
        Entry::Step(index, step) => {
            let (word, level) = doing(step);
            let title = theme.style(if chosen { Role::Strong } else { Role::Plain });
            let number = theme.style(if chosen { Role::Cursor } else { Role::Accent });
            let text = cut(&step.title, room.saturating_sub(7 + word.len()), theme);
            let used = 6 + super::text::width(&text);
            let gap = " ".repeat(room.saturating_sub(used + word.len()));
            Line::from(vec![
                mark(theme, chosen),
                span(format!("{:>2}", index + 1), number),
                span(format!("  {text}"), title),
                Span::raw(gap),
                span(word, theme.level(level)),
            ])
        }
    }
}

/// What a step does, in a word.
fn doing(step: &PlannedStep) -> (&'static str, Level) {
    match (&step.confirm, step.action.writes()) {
        _ if step.already_so => ("already so", Level::Good),
        (Confirm::Typed { .. }, _) => ("asks: type it", Level::Bad),
        (Confirm::Plain { .. }, _) => ("asks", Level::Working),
        (Confirm::None, true) => ("sends", Level::Working),
        (Confirm::None, false) if step.action.awaits() => ("waits", Level::Done),
        (Confirm::None, false) => ("reads", Level::Done),
    }
}

/// What one step changes and sends, for the question before it: all that is confirmed.
pub fn confirmed(theme: Theme, step: &PlannedStep, room: usize) -> Vec<Line<'static>> {
    let mut page = Page::default();
    plan_page::change(&mut page, theme, step, room);
    let (_, sentence, level) = plan_page::way_back(step);
    for piece in wrap(sentence.unwrap_or_default(), room) {
        page.push(vec![span(format!("      {piece}"), theme.level(level))]);
    }
    page.lines
}
