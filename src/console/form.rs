//! The inputs of a runbook: one field per line, suggestions from the fleet beneath the field in focus.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::footer::prompt;
use super::text::{cut, span, wrap};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::words::Level;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(form) = &app.form else {
        return super::empty(frame, area, theme, "No runbook is chosen. Esc goes back to the list.");
    };
    let mut pen = Pen { area, y: area.y, theme };
    let room = usize::from(area.width).saturating_sub(4);
    pen.line(frame, Line::from(span(format!("  {}", form.runbook.title), theme.style(Role::Strong))));
    if area.height > 10 {
        for piece in wrap(&form.runbook.summary, room.min(100)) {
            pen.text(frame, &piece, Role::Dim);
        }
        pen.y += 1;
    }
    let suggestions = app.suggestions();
    for (index, field) in form.fields.iter().enumerate() {
        let at = index == form.at;
        let needed = if field.info.required { "" } else { " (optional)" };
        let role = if at { Role::Accent } else { Role::Plain };
        let head = vec![
            super::table::mark(theme, at),
            span(&field.info.name, theme.style(role)),
            Span::styled(needed, theme.style(Role::Dim)),
            span(format!("  {}", field.info.prompt), theme.style(Role::Dim)),
        ];
        pen.line(frame, Line::from(head));
        if pen.y < area.bottom() && area.width > 4 {
            let line = Rect { x: area.x + 4, y: pen.y, width: area.width - 4, height: 1 };
            if at {
                prompt(frame, line, theme, "> ", &field.input);
            } else {
                let value = field.input.value();
                let shown = if value.is_empty() { "-" } else { value };
                frame.render_widget(span(format!("  {}", cut(shown, room, theme)), theme.style(Role::Plain)), line);
            }
            pen.y += 1;
        }
        if at {
            for suggestion in suggestions.iter().take(6) {
                let chosen = suggestion == field.input.value();
                let role = if chosen { Role::Cursor } else { Role::Dim };
                let head = vec![Span::raw("      "), span(cut(suggestion, room, theme), theme.style(role))];
                pen.line(frame, Line::from(head));
            }
            if suggestions.len() > 6 {
                pen.text(frame, &format!("    and {} more; type to narrow", suggestions.len() - 6), Role::Dim);
            }
        }
        if area.height > 10 {
            pen.y += 1;
        }
    }
    if let Some(error) = &form.error {
        for (index, piece) in wrap(error, room.saturating_sub(2)).into_iter().enumerate() {
            let head = if index == 0 { theme.glyph(Level::Bad) } else { " " };
            pen.text(frame, &format!("{head} {piece}"), Role::Level(Level::Bad));
        }
    }
    if form.fields.is_empty() {
        pen.text(frame, "It needs no input. Enter makes the plan.", Role::Dim);
    }
}

/// Writes line after line and stops at the end of the area.
struct Pen {
    area: Rect,
    y: u16,
    theme: Theme,
}

impl Pen {
    fn line(&mut self, frame: &mut Frame<'_>, line: Line<'static>) {
        if self.y < self.area.bottom() {
            frame.render_widget(line, Rect { y: self.y, height: 1, ..self.area });
            self.y += 1;
        }
    }

    fn text(&mut self, frame: &mut Frame<'_>, text: &str, role: Role) {
        let line = Line::from(span(format!("  {text}"), self.theme.style(role)));
        self.line(frame, line);
    }
}
