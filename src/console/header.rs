//! The two lines at the top: what is looked at, how it stands, what this session may do, and how fresh each
//! KubeCluster is. The digit before a cluster is the key that shows it alone.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::spots::Spots;
use super::text::{cut, cut_middle, span, width};
use super::theme::{Role, Theme};
use crate::app::message::Pointed;
use crate::app::words::{Level, endeavour, freshness_level, freshness_words, quorum_level, quorum_loss, quorum_short};
use crate::app::{App, View};
use crate::counted::counted;
use crate::runbook::run::view::Progress;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, spots: &mut Spots) {
    if area.height > 0 {
        first(app, theme, frame, Rect { height: 1, ..area });
    }
    if area.height > 1 {
        let line = chips(app, theme, usize::from(area.width));
        spots_of_chips(app, &line, Rect { y: area.y + 1, height: 1, ..area }, spots);
        frame.render_widget(line, Rect { y: area.y + 1, height: 1, ..area });
    }
}

fn first(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut left = vec![Span::styled(" tidepilot", theme.style(Role::Title))];
    if let Some(database) = app.database() {
        left.push(span(format!("  {}", database.name), theme.style(Role::Strong)));
        if let Some(id) = &database.id {
            left.push(span(format!(" {id}"), theme.style(Role::Dim)));
        }
        let count = app.databases().len();
        if count > 1 {
            let at = app.database_index().unwrap_or(0) + 1;
            left.push(Span::styled(format!(" [{at}/{count}]"), theme.style(Role::Dim)));
        }
    }
    let room = usize::from(area.width);
    let wide = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    // Shorter words come before anything is left out: the majority is not pushed out by a mark.
    let mut right = right_side(app, theme, false);
    if wide(&left[..2.min(left.len())]) + wide(&right) + 2 > room {
        right = right_side(app, theme, true);
    }
    // Where the line is too short, the Database's id goes first, then its number, then the right side from its left
    // end: what this session may do stays to the last.
    let over = (wide(&left) + wide(&right) + 2).saturating_sub(room);
    if over > 0 && left.len() > 2 {
        let keep = left[2].width().saturating_sub(over + 1);
        if keep >= 7 {
            left[2].content = format!(" {}", cut_middle(left[2].content.trim_start(), keep, theme)).into();
        } else {
            left.remove(2);
        }
    }
    if wide(&left) + wide(&right) + 2 > room {
        left.truncate(2);
    }
    while wide(&left) + wide(&right) + 2 > room && right.len() > 2 {
        right.remove(0);
    }
    if wide(&left) + wide(&right) + 2 > room {
        left.truncate(1);
    }
    if wide(&left) + wide(&right) + 2 > room {
        left.clear();
    }
    let mut gap = room.saturating_sub(wide(&left) + wide(&right));
    for one in safety(app, theme) {
        // Not against its neighbours: what is cramped is not read.
        if one.width() + 6 <= gap {
            gap -= one.width() + 3;
            left.extend([Span::raw("   "), one]);
        }
    }
    left.push(Span::raw(" ".repeat(gap)));
    left.extend(right);
    frame.render_widget(Line::from(left), area);
}

/// What can be lost and what is wrong, wherever one is; the overview says it in its first line.
fn safety(app: &App, theme: Theme) -> Vec<Span<'static>> {
    let Some(database) = app.database().filter(|_| *app.view() != View::Overview) else { return Vec::new() };
    let dim = theme.style(Role::Dim);
    let loss = if database.losses.any_may_go() { dim } else { theme.level(Level::Working) };
    let mut all = vec![span(quorum_loss(database), loss)];
    let (wrong, expected) = app.wrong_and_expected(database);
    for (count, word, level) in [(wrong, "wrong", Level::Bad), (expected, "expected", Level::Working)] {
        if count > 0 {
            all.push(Span::styled(format!("{} {count} {word}", theme.glyph(level)), theme.level(level)));
        }
    }
    all
}

/// How it stands, what is under way, what waits, and what this session may do.
fn right_side(app: &App, theme: Theme, short: bool) -> Vec<Span<'static>> {
    let mut right = Vec::new();
    if let Some(database) = app.database() {
        let level = quorum_level(database);
        right.push(Span::styled(format!("{} {}", theme.glyph(level), quorum_short(database)), theme.level(level)));
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

/// A click on a cluster does what its digit does.
fn spots_of_chips(app: &App, line: &Line<'_>, area: Rect, spots: &mut Spots) {
    let names: Vec<&str> = app.fleet.clusters.keys().map(String::as_str).collect();
    let mut x = area.x;
    let mut index = 0;
    for one in &line.spans {
        let width = u16::try_from(one.width()).unwrap_or(u16::MAX);
        if index < 9 && names.get(index).is_some_and(|name| *name == one.content) {
            spots.put(Rect { x, width, ..area }.intersection(area), Pointed::Cluster(index));
            index += 1;
        }
        x = x.saturating_add(width);
    }
}

/// `1 east ● live   2 west ✖ unreachable 41s`, shortened until it fits.
fn chips(app: &App, theme: Theme, room: usize) -> Line<'static> {
    if app.fleet.clusters.is_empty() {
        return Line::from(Span::styled(" no cluster yet", theme.style(Role::Dim)));
    }
    for shortness in 0..4 {
        let line = chips_at(app, theme, shortness);
        if line.width() <= room {
            return line;
        }
    }
    let full = chips_at(app, theme, 3);
    let mut spans = Vec::new();
    let mut left = room;
    for one in full.spans {
        if one.width() > left {
            spans.push(Span::styled(cut(&one.content, left, theme), one.style));
            break;
        }
        left -= width(&one.content);
        spans.push(one);
    }
    Line::from(spans)
}

/// 0: what is done about it too; 1: all words; 2: no word for live ones; 3: glyphs only.
fn chips_at(app: &App, theme: Theme, shortness: u8) -> Line<'static> {
    let mut spans = Vec::new();
    for (index, cluster) in app.fleet.clusters.values().enumerate() {
        spans.push(Span::raw(if index == 0 { " " } else { "   " }));
        let focused = app.focus.as_deref() == Some(&cluster.context);
        if index < 9 {
            spans.push(Span::styled(format!("{} ", index + 1), theme.style(Role::Dim)));
        }
        let name = if focused { theme.style(Role::Cursor) } else { theme.style(Role::Plain) };
        spans.push(span(&cluster.context, name));
        let level = freshness_level(&cluster.freshness);
        let words = freshness_words(cluster, app.now);
        let shown = match shortness {
            0 => format!(" {} {words}{}", theme.glyph(level), endeavour(&cluster.freshness)),
            1 => format!(" {} {words}", theme.glyph(level)),
            2 if level != Level::Good => format!(" {} {words}", theme.glyph(level)),
            _ => format!(" {}", theme.glyph(level)),
        };
        spans.push(Span::styled(shown, theme.level(level)));
        if cluster.read_only && !app.options.read_only && shortness <= 1 {
            spans.push(Span::styled(" read-only", theme.style(Role::Dim)));
        }
    }
    Line::from(spans)
}
