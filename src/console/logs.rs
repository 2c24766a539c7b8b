//! The lines of one or several logs, merged by time, the last one at the bottom; each log has a name and a colour.
//!
//! PD's, TiKV's and TiDB's lines are taken apart: their own time gives way, the level is lit, fields are dim. Text from a
//! container passes [`super::text::span`] like all that came from a cluster. Not here: what is kept (`app::logs_and_events`).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::text::{clean, folded, pad, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::logs_and_events;
use crate::app::status_level::Level;
use crate::app::{App, View};
use crate::fleet::log_line::{Gravity, parse};
use crate::fleet::logs_and_events::{LogOf, MOST_LOGS, Reading};
use crate::pluralize::counted;

/// Colours of the user's own palette that tell logs apart; red and yellow are for levels.
const COLORS: [Color; 6] =
    [Color::Cyan, Color::Green, Color::Magenta, Color::Blue, Color::LightCyan, Color::LightMagenta];

/// Lines that can be scrolled through.
pub fn extent(app: &App) -> usize {
    app.closeup.backwards(&app.screen().filter).count()
}

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, of: &[LogOf]) {
    if area.is_empty() {
        return;
    }
    let head = heads(app, theme, of);
    let mut y = area.y;
    for line in head.into_iter().take(usize::from(area.height / 2)) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
        y += 1;
    }
    let room = usize::from(area.bottom() - y);
    let names: Vec<String> = of.iter().map(|one| name(one, of)).collect();
    let wide = names.iter().map(|name| width(name)).max().unwrap_or(0).min(usize::from(area.width) / 3);
    let filter = &app.screen().filter;
    let mut lines: Vec<Line<'static>> = Vec::new();
    for entry in app.closeup.backwards(filter).skip(app.screen().scroll) {
        let mut made = entry_lines(app, theme, entry, &names, wide, usize::from(area.width));
        made.reverse();
        lines.extend(made);
        if lines.len() >= room {
            break;
        }
    }
    if lines.is_empty() && room > 0 {
        let sentence = match app.closeup.count() {
            0 if is_previous(app) => "The run before has left no line here. p goes back to the current one.",
            0 if app.closeup.readings.iter().any(|one| matches!(one, Reading::Asking)) => "Asking for the log.",
            0 => "No line yet. p reads the run before, C another container.",
            _ if app.closeup.grave_only => "No warning and no error; ctrl-z shows every line.",
            _ => "No line fits the filter. Esc clears it, / changes it.",
        };
        let line = Line::from(vec![Span::raw("  "), Span::styled(sentence, theme.style(Role::Dim))]);
        frame.render_widget(line, Rect { y, height: 1, ..area });
        return;
    }
    lines.truncate(room);
    lines.reverse();
    for (offset, line) in lines.into_iter().enumerate() {
        let y = y + u16::try_from(offset).unwrap_or(u16::MAX);
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

/// Whether the log of the run before is in front.
fn is_previous(app: &App) -> bool {
    matches!(app.view(), View::Logs { previous: true, .. })
}

/// What is read and how it stands: one line, and one more for each log that is not being read.
fn heads(app: &App, theme: Theme, of: &[LogOf]) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let dim = theme.style(Role::Dim);
    let reading = app.closeup.readings.iter().filter(|one| matches!(one, Reading::Following)).count();
    let previous = is_previous(app);
    let over = app.closeup.readings.iter().filter(|one| matches!(one, Reading::Over)).count();
    let state = match (app.closeup.follow, over) {
        (_, 1..) => "the run before, to its end".to_owned(),
        _ if previous => "the run before".to_owned(),
        (true, _) => format!("following {reading} of {}", of.len()),
        (false, _) => "standing still: s follows again".to_owned(),
    };
    let mut spans = vec![span("  ", dim)];
    spans.extend(whose(app, theme, of));
    spans.push(span(format!("  {state}  {}", counted(app.closeup.count(), "line")), dim));
    if app.closeup.grave_only {
        spans.push(span("  warnings and errors only", theme.style(Role::Accent)));
    }
    if app.closeup.dropped > 0 {
        spans.push(span(format!(" ({} left out)", counted(app.closeup.dropped, "older line")), dim));
    }
    lines.push(Line::from(spans));
    if of.len() > MOST_LOGS {
        let text = format!("  only the first {MOST_LOGS} are read: mark fewer pods");
        lines.push(Line::from(span(text, theme.level(Level::Working))));
    }
    for (one, state) in of.iter().zip(&app.closeup.readings) {
        let (level, why) = match state {
            Reading::Waiting(why) => (Level::Working, why),
            Reading::Refused(why) => (Level::Bad, why),
            Reading::Asking | Reading::Following | Reading::Over => continue,
        };
        let text = format!("  {} {}: {why}", theme.glyph(level), name(one, of));
        lines.push(Line::from(span(text, theme.level(level))));
    }
    lines
}

/// The pod and the container, and whether there are others of it; of several pods how many.
fn whose(app: &App, theme: Theme, of: &[LogOf]) -> Vec<Span<'static>> {
    let mut pods: Vec<_> = of.iter().map(|one| &one.pod).collect();
    pods.dedup();
    let (strong, dim) = (theme.style(Role::Strong), theme.style(Role::Dim));
    let [pod] = pods.as_slice() else {
        let more = match of.len() {
            all if all > pods.len() => format!(", {}", counted(all, "container")),
            _ => String::new(),
        };
        return vec![span(format!("{}{more}", counted(pods.len(), "pod")), strong)];
    };
    let read: Vec<&str> = of.iter().filter_map(|one| one.container.as_deref()).collect();
    let mut spans = vec![span(pod.to_string(), strong)];
    if !read.is_empty() {
        spans.push(span(format!("  container {}", read.join(", ")), strong));
    }
    let others = app.containers_of(pod).iter().filter(|name| !read.contains(&name.as_str())).count();
    if others > 0 && !read.is_empty() {
        spans.push(span(format!(" (C: {others} more)"), dim));
    }
    spans
}

/// The pod, with its cluster where they are of several; the container where a pod has several here.
fn name(one: &LogOf, all: &[LogOf]) -> String {
    let pod = match all.iter().all(|other| other.pod.context == one.pod.context) {
        true => one.pod.name.clone(),
        false => format!("{}/{}", one.pod.context, one.pod.name),
    };
    let of_pod = all.iter().filter(|other| other.pod == one.pod).count();
    match &one.container {
        Some(container) if of_pod == all.len() && of_pod > 1 => container.clone(),
        Some(container) if of_pod > 1 => format!("{pod}/{container}"),
        _ => pod,
    }
}

fn entry_lines(
    app: &App,
    theme: Theme,
    entry: &logs_and_events::Line,
    names: &[String],
    wide: usize,
    room: usize,
) -> Vec<Line<'static>> {
    let dim = theme.style(Role::Dim);
    let mut head = vec![Span::raw(" ")];
    if names.len() > 1 {
        let text = super::text::cut_middle(names.get(entry.of).map_or("?", String::as_str), wide, theme);
        let color = COLORS[entry.of % COLORS.len()];
        let style = if app.options.color { Style::new().fg(color) } else { theme.style(Role::Strong) };
        head.push(span(pad(&text, wide) + " ", style));
    }
    if app.closeup.timestamps {
        head.push(span(format!("{} ", entry.at.strftime("%H:%M:%S%.3f")), dim));
    }
    let indent: usize = head.iter().map(Span::width).sum();
    let mut body = Vec::new();
    match parse(&entry.text) {
        Some(parsed) => {
            body.push((format!("{:<5} ", parsed.gravity.word()), gravity_style(theme, parsed.gravity)));
            let message =
                if parsed.gravity >= Gravity::Warn { theme.style(Role::Strong) } else { theme.style(Role::Plain) };
            body.push((parsed.message, message));
            body.push((format!(" {}", parsed.fields), dim));
            body.push((format!(" {}", parsed.place), dim));
        }
        None => body.push((entry.text.clone(), gravity_style(theme, entry.gravity))),
    }
    if !app.closeup.wrap {
        head.extend(body.into_iter().map(|(text, style)| span(text, style)));
        return vec![marked_where_cut(head, theme, room)];
    }
    // Wrapped as one text: styles go, nothing is lost.
    let style = body.get(1).or(body.first()).map(|(_, style)| *style).unwrap_or_default();
    let text: String = body.into_iter().map(|(text, _)| text).collect();
    let mut lines = Vec::new();
    for piece in wrap(&clean(&text), room.saturating_sub(indent).max(10)) {
        let mut spans = std::mem::replace(&mut head, vec![Span::raw(" ".repeat(indent))]);
        spans.push(span(piece, style));
        lines.push(Line::from(spans));
    }
    lines
}

/// A line that goes on beyond the screen says so at its end.
fn marked_where_cut(spans: Vec<Span<'static>>, theme: Theme, room: usize) -> Line<'static> {
    if spans.iter().map(Span::width).sum::<usize>() <= room {
        return Line::from(spans);
    }
    let mut shown = folded(spans, room.saturating_sub(1)).into_iter().next().unwrap_or_default();
    shown.push(Span::styled(theme.goes_on(), theme.style(Role::Accent)));
    Line::from(shown)
}

fn gravity_style(theme: Theme, gravity: Gravity) -> Style {
    match gravity {
        Gravity::Debug => theme.style(Role::Dim),
        Gravity::Info => theme.style(Role::Plain),
        Gravity::Warn => theme.level(Level::Working),
        Gravity::Error | Gravity::Fatal => theme.level(Level::Bad),
    }
}
