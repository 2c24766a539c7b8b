//! The lines of one or several logs, merged by time, the last one at the bottom; each log has a name and a colour.
//!
//! PD's, TiKV's and TiDB's lines are taken apart: their own time gives way, the level is lit, fields are dim. Text from a
//! container passes [`super::text::span`] like all that came from a cluster. Not here: what is kept (`app::closeup`).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::text::{clean, pad, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::closeup;
use crate::app::words::Level;
use crate::counted::counted;
use crate::fleet::closeup::{LogOf, MOST_LOGS, Reading};
use crate::fleet::log_line::{Gravity, parse};

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
            0 => "No line yet.",
            _ if app.closeup.grave_only => "No warning and no error; ctrl-z shows every line.",
            _ => "No line fits the filter. Esc clears it.",
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

/// What is read and how it stands: one line, and one more for each log that is not being read.
fn heads(app: &App, theme: Theme, of: &[LogOf]) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let dim = theme.style(Role::Dim);
    let reading = app.closeup.readings.iter().filter(|one| matches!(one, Reading::Following)).count();
    let over = app.closeup.readings.iter().filter(|one| matches!(one, Reading::Over)).count();
    let state = match (app.closeup.follow, over) {
        (_, 1..) => "the run before, to its end".to_owned(),
        (true, _) => format!("following {reading} of {}", of.len()),
        (false, _) => "standing still: s follows again".to_owned(),
    };
    let mut spans = vec![span("  ", dim)];
    match of {
        [one] => spans.push(span(one.pod.to_string(), theme.style(Role::Strong))),
        several => spans.push(span(counted(several.len(), "pod"), theme.style(Role::Strong))),
    }
    spans.push(span(format!("  {state}  {}", counted(app.closeup.count(), "line")), dim));
    if app.closeup.grave_only {
        spans.push(span("  warnings and errors only", theme.style(Role::Accent)));
    }
    if app.closeup.dropped > 0 {
        spans.push(span(format!(" ({} older ones left out)", app.closeup.dropped), dim));
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

/// The pod, with its cluster where they are of several.
fn name(one: &LogOf, all: &[LogOf]) -> String {
    match all.iter().all(|other| other.pod.context == one.pod.context) {
        true => one.pod.name.clone(),
        false => format!("{}/{}", one.pod.context, one.pod.name),
    }
}

fn entry_lines(
    app: &App,
    theme: Theme,
    entry: &closeup::Line,
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
        return vec![Line::from(head)];
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

fn gravity_style(theme: Theme, gravity: Gravity) -> Style {
    match gravity {
        Gravity::Debug => theme.style(Role::Dim),
        Gravity::Info => theme.style(Role::Plain),
        Gravity::Warn => theme.level(Level::Working),
        Gravity::Error | Gravity::Fatal => theme.level(Level::Bad),
    }
}
