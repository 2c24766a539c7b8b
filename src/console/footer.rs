//! The last line: a prompt while one is open, else the latest word to the person, else the keys of this view.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use tui_input::Input;

use super::click_targets::Spots;
use super::text::{cut, span};
use super::theme::{Role, Theme};
use crate::app::message::Pointed;
use crate::app::{App, Dialog};

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, spots: &mut Spots) {
    if area.is_empty() {
        return;
    }
    match &app.dialog {
        Some(Dialog::Filter { input, selected }) => {
            prompt(frame, area, theme, "/", input);
            if *selected {
                let text = u16::try_from(input.visual_cursor()).unwrap_or(u16::MAX);
                let of = Rect { x: area.x.saturating_add(1), width: text, ..area }.intersection(area);
                frame.buffer_mut().set_style(of, theme.style(Role::Cursor));
            }
            return;
        }
        Some(Dialog::Palette { input, .. }) => return prompt(frame, area, theme, ":", input),
        Some(
            Dialog::Help { .. }
            | Dialog::Ask { .. }
            | Dialog::Typed { .. }
            | Dialog::Choices { .. }
            | Dialog::Copy { .. }
            | Dialog::Pick { .. }
            | Dialog::Reason { .. }
            | Dialog::Port { .. }
            | Dialog::Overrule { .. },
        )
        | None => {}
    }
    if let Some(flash) = &app.flash {
        let room = usize::from(area.width).saturating_sub(4);
        let style = theme.level(flash.level);
        let text = cut(&flash.text, room, theme);
        let glyph = Span::styled(format!(" {} ", theme.glyph(flash.level)), style);
        frame.render_widget(Line::from(vec![glyph, Span::styled(text, style)]), area);
        return;
    }
    let hints = app.hints();
    let wide = |(key, word): &(&str, &str)| 4 + super::text::width(&theme.key(key)) + word.len();
    // The way to all the others keeps its place.
    let help = hints.last().filter(|(key, _)| *key == "?");
    let reserved = help.map_or(0, wide);
    let mut room = usize::from(area.width).saturating_sub(reserved);
    let mut shown: Vec<&(&str, &str)> = Vec::new();
    for hint in hints.iter().filter(|hint| help.is_none_or(|help| *hint != help)) {
        let Some(left) = room.checked_sub(wide(hint)) else { break };
        room = left;
        shown.push(hint);
    }
    shown.extend(help);
    let mut spans = Vec::new();
    let mut x = area.x;
    for (key, word) in shown {
        let width = u16::try_from(wide(&(key, word))).unwrap_or(u16::MAX);
        spots.put(Rect { x, width, ..area }.intersection(area), Pointed::Key(key));
        x = x.saturating_add(width);
        spans.push(Span::styled(format!(" {}", theme.key(key)), theme.style(Role::Accent)));
        spans.push(Span::styled(format!(" {word}  "), theme.style(Role::Dim)));
    }
    frame.render_widget(Line::from(spans), area);
}

/// One line of input with the terminal's own cursor in it.
pub fn prompt(frame: &mut Frame<'_>, area: Rect, theme: Theme, head: &str, input: &Input) {
    if area.is_empty() {
        return;
    }
    let lead = u16::try_from(super::text::width(head)).unwrap_or(0).min(area.width - 1);
    let room = usize::from(area.width - lead);
    let scroll = input.visual_scroll(room.saturating_sub(1));
    let shown: String = input.value().chars().skip(scroll).collect();
    let line = Line::from(vec![
        Span::styled(head.to_owned(), theme.style(Role::Accent)),
        span(cut(&shown, room, theme), theme.style(Role::Plain)),
    ]);
    frame.render_widget(line, area);
    let at = u16::try_from(input.visual_cursor().saturating_sub(scroll)).unwrap_or(u16::MAX);
    let x = area.x.saturating_add(lead).saturating_add(at).min(area.right() - 1);
    frame.set_cursor_position(Position::new(x, area.y));
}
