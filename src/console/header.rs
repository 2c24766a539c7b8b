//! The first line at the top: what is looked at, in which version, how it stands, what this session may do, and the time.
//!
//! It never wraps: what matters least goes first. The line below it is [`super::cluster_bar`]'s.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::click_targets::Spots;
use super::text::span;
use super::theme::{Role, Theme};
use crate::app::overview_matrix::store_level;
use crate::app::status_level::Level;
use crate::app::{App, View};
use crate::pluralize::counted;
use crate::runbook::run::view::Progress;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, spots: &mut Spots) {
    if area.height > 0 {
        first(app, theme, frame, Rect { height: 1, ..area });
    }
    if area.height > 1 {
        super::cluster_bar::draw(app, theme, frame, Rect { y: area.y + 1, height: 1, ..area }, spots);
    }
}

fn first(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let room = usize::from(area.width);
    let mut left = vec![Span::styled(" tidepilot", theme.style(Role::Title))];
    let name = app.database().map(|database| database.name.clone());
    // What no Database has yet is named itself, and no other one in its place.
    let name = name.or_else(|| app.of_no_database().map(|of| of.to_string()));
    left.extend(name.map(|name| span(format!("  {name}"), theme.style(Role::Strong))));
    // Shorter words come before anything is left out: the majority is not pushed out by a mark, and the clock by none of both.
    let clock = clock(app, theme);
    let mut right = right_side(app, theme, false);
    if wide(&left) + wide(&right) + wide(&clock) + 2 > room {
        right = right_side(app, theme, true);
    }
    let whole = right.len();
    // Where the line is too short the right side goes from its left end: what this session may do stays to the last.
    while wide(&left) + wide(&right) + 2 > room && right.len() > 2 {
        right.remove(0);
    }
    while wide(&left) + wide(&right) + 2 > room && !left.is_empty() {
        left.pop();
    }
    let mut gap = room.saturating_sub(wide(&left) + wide(&right));
    let mut take = |group: Vec<Span<'static>>, spare: usize| {
        let fits = wide(&group) + spare <= gap;
        gap -= if fits { wide(&group) } else { 0 };
        group.into_iter().filter(move |_| fits)
    };
    // First of all that may be left out: what takes its place in a wider terminal would push it out again.
    if right.len() == whole && (left.len() > 1 || app.database().is_none()) {
        right.splice(right.len() - 1..right.len() - 1, take(clock, 2));
    }
    if left.len() > 1 {
        left.extend(about(app, theme).into_iter().flat_map(|one| take(vec![one], 2)));
    }
    // Not against its neighbours: what is cramped is not read.
    let apart = |group: Vec<Span<'static>>| [vec![Span::raw("   ")], group].concat();
    let safety: Vec<Span<'static>> = safety(app, theme).into_iter().flat_map(|group| take(apart(group), 3)).collect();
    // It says least to people, so it has what room is left.
    if left.len() > 1 {
        left.extend(take(id(app, theme), 3));
    }
    left.extend(safety);
    left.push(Span::raw(" ".repeat(gap)));
    left.extend(right);
    frame.render_widget(Line::from(left), area);
}

fn wide(spans: &[Span<'_>]) -> usize {
    spans.iter().map(Span::width).sum()
}

/// Which Database it is: its number, its versions; each with the gap before it.
fn about(app: &App, theme: Theme) -> Vec<Span<'static>> {
    let mut all = Vec::new();
    let count = app.databases().len();
    if let (2.., Some(at)) = (count, app.database_index()) {
        let at = at + 1;
        all.push(Span::styled(format!(" [{at}/{count}]"), theme.style(Role::Dim)));
    }
    let versions = app.versions();
    if !versions.is_empty() {
        // More than one: it is between two, which is worth a look.
        let style = if versions.len() > 1 { theme.level(Level::Working) } else { theme.style(Role::Plain) };
        all.push(span(format!(" {}", versions.join(", ")), style));
    }
    let others = app.others_wrong();
    if others > 0 {
        let text = format!(" {} {others} other wrong (])", theme.glyph(Level::Bad));
        all.push(Span::styled(text, theme.level(Level::Bad)));
    }
    all
}

fn id(app: &App, theme: Theme) -> Vec<Span<'static>> {
    let id = app.database().and_then(|database| database.id.as_ref());
    id.map(|id| span(format!(" {id}"), theme.style(Role::Dim))).into_iter().collect()
}

fn clock(app: &App, theme: Theme) -> Vec<Span<'static>> {
    let shown = app.options.clock.then(|| format!("  {}", app.now.strftime("%H:%MZ")));
    shown.map(|time| Span::styled(time, theme.style(Role::Dim))).into_iter().collect()
}

/// `TiKV ■■□ 2/3`: the stores that PD has as Up.
fn stores(app: &App, theme: Theme) -> Option<Vec<Span<'static>>> {
    let stores = &app.database()?.stores;
    let tikv: Vec<_> = stores.iter().filter(|row| !row.store.tiflash && !row.store.is_gone()).collect();
    let up = tikv.iter().filter(|row| row.store.is_up()).count();
    let level = tikv.iter().map(|row| store_level(&row.store.state)).max()?;
    let (full, hollow) = theme.bar();
    let bar = match tikv.len() {
        all @ 1..=MOST_BOXES => format!("{}{} ", full.repeat(up), hollow.repeat(all - up)),
        _ => String::new(),
    };
    Some(vec![
        Span::styled("TiKV ", theme.style(Role::Dim)),
        Span::styled(bar, theme.level(level)),
        Span::styled(format!("{up}/{}", tikv.len()), theme.level(level)),
    ])
}

/// With more of them a bar takes the place of words.
const MOST_BOXES: usize = 9;

/// What can be lost, what is wrong, and how TiKV stands, wherever one is; the overview says the first two in its first line.
fn safety(app: &App, theme: Theme) -> Vec<Vec<Span<'static>>> {
    let tikv = stores(app, theme);
    let Some(database) = app.database().filter(|_| *app.view() != View::Overview) else {
        return tikv.into_iter().collect();
    };
    let dim = theme.style(Role::Dim);
    let loss = if database.losses.any_may_go() { dim } else { theme.level(Level::Working) };
    let mut all = vec![vec![span(app.loss_words(database), loss)]];
    let (wrong, expected) = app.wrong_rows(database);
    for (count, word, level) in [(wrong, "wrong", Level::Bad), (expected, "expected", Level::Working)] {
        if count > 0 {
            all.push(vec![Span::styled(format!("{} {count} {word}", theme.glyph(level)), theme.level(level))]);
        }
    }
    all.extend(tikv);
    all
}

/// How it stands, what is under way, what waits, and what this session may do.
fn right_side(app: &App, theme: Theme, short: bool) -> Vec<Span<'static>> {
    let mut right = Vec::new();
    if let Some(database) = app.database() {
        let (level, words) = app.pd_words(database);
        right.push(Span::styled(format!("{} {words}", theme.glyph(level)), theme.level(level)));
        right.push(Span::raw("  "));
    }
    if let Some((word, level)) = run_mark(app, theme) {
        right.push(Span::styled(word, theme.level(level)));
        right.push(Span::raw("  "));
    }
    if let Some(words) = yours(app, short) {
        let (glyph, level) = theme.step(&Progress::WaitingForYou);
        right.push(Span::styled(format!("{glyph} {words}"), theme.level(level)));
        right.push(Span::raw("  "));
    }
    if app.options.simulated {
        right.push(Span::styled(if short { "SIM" } else { "SIMULATED" }, theme.style(Role::Accent)));
        right.push(Span::raw("  "));
    }
    if app.options.read_only {
        right.push(Span::styled("READ-ONLY", theme.style(Role::Strong)));
    } else {
        right.push(Span::styled("read-write", theme.style(Role::Dim)));
    }
    right.push(Span::raw(" "));
    right
}

/// A run under way is seen from everywhere.
fn run_mark(app: &App, theme: Theme) -> Option<(String, Level)> {
    let Some(run) = app.run.as_ref().filter(|run| run.driving) else { return left_mark(app, theme) };
    let (done, all) = run.count();
    if run.gate.is_some() && *app.view() != View::Run {
        let (glyph, level) = theme.step(&Progress::WaitingForYou);
        return Some((format!("{glyph} run waits for you"), level));
    }
    Some((format!("{} run {done}/{all}", theme.glyph(Level::Working)), Level::Working))
}

/// Runs that a second person has to approve, and that is who sits here.
fn yours(app: &App, short: bool) -> Option<String> {
    match app.approvals().filter(|(_, run)| run.waits_for_you()).count() {
        0 => None,
        more if short => Some(counted(more, "approval")),
        1 => Some("1 run waits for your approval".to_owned()),
        more => Some(format!("{more} runs wait for your approval")),
    }
}

/// Runs that are open and not driven from here, those aside that wait for the person who sits here.
fn left_mark(app: &App, theme: Theme) -> Option<(String, Level)> {
    let left = || app.runs_left().filter(|run| !run.waits_for_you());
    let half_done = left().filter(|run| run.half_done()).count();
    let level = if half_done > 0 { Level::Bad } else { Level::Working };
    match left().count() {
        0 => None,
        open => Some((format!("{} {}", theme.glyph(level), counted(open, "open run")), level)),
    }
}
