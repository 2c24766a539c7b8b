//! The inputs of a runbook: one field per line, suggestions from the fleet beneath the field in focus.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::footer::prompt;
use super::text::{cut, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::form::{Field, FilledBy, Form};
use crate::app::status_level::Level;
use crate::app::{App, Subject};

#[expect(clippy::too_many_lines, reason = "one screen from top to bottom")]
pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(form) = &app.form else {
        return super::empty(frame, area, theme, "No runbook is chosen. Esc goes back to the list.");
    };
    let target = target(app, form, area);
    if let Some((_, right, page)) = &target {
        super::lines(frame, *right, page.clone(), 0);
    }
    let area = target.as_ref().map_or(area, |(left, ..)| *left);
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
    let left = usize::from(area.bottom().saturating_sub(pen.y));
    let error = form.error.as_ref().map(|error| wrap(error, room.saturating_sub(2))).unwrap_or_default();
    let left = left.saturating_sub(error.len());
    let blocks = |spacious: bool| -> Vec<Block> {
        let block = |(index, field)| {
            let wrong = app.wrong(form, field);
            block(theme, field, (index == form.at, wrong.as_deref()), &suggestions, room, spacious)
        };
        form.fields.iter().enumerate().map(block).collect()
    };
    let height = |blocks: &[Block]| blocks.iter().map(|block| block.rows.len()).sum::<usize>();
    let mut all = blocks(area.height > 10);
    if height(&all) > left {
        all = blocks(false);
    }
    // The field in focus is always to be seen; those before it make room.
    let mut first = 0;
    while first < form.at && height(&all[first..=form.at]) + usize::from(first > 0) > left {
        first += 1;
    }
    if first > 0 {
        pen.text(frame, &format!("  {first} more above"), Role::Dim);
    }
    let end = area.bottom().saturating_sub(u16::try_from(error.len()).unwrap_or(u16::MAX));
    for (block, field) in all.iter().zip(&form.fields).skip(first) {
        for row in &block.rows {
            match row {
                _ if pen.y >= end => {}
                Row::Line(line) => pen.line(frame, line.clone()),
                Row::Prompt if area.width > 4 => {
                    let line = Rect { x: area.x + 4, y: pen.y, width: area.width - 4, height: 1 };
                    prompt(frame, line, theme, "> ", &field.input);
                    pen.y += 1;
                }
                Row::Prompt => {}
            }
        }
    }
    if target.is_none() {
        beneath(app, theme, frame, &mut pen, end);
    }
    for (index, piece) in error.into_iter().enumerate() {
        let head = if index == 0 { theme.glyph(Level::Bad) } else { " " };
        pen.text(frame, &format!("{head} {piece}"), Role::Level(Level::Bad));
    }
    if form.fields.is_empty() {
        pen.text(frame, "It needs no input. Enter makes the plan.", Role::Dim);
    }
}

/// From this width on what is known of the target stands beside the form.
const BESIDE: u16 = 130;

/// The form's part of the area, the target's, and the page of the target.
fn target(app: &App, form: &Form, area: Rect) -> Option<(Rect, Rect, Vec<Line<'static>>)> {
    let of = form.place().filter(|of| app.fleet.tidb_cluster(of).is_some() && area.width >= BESIDE)?;
    let left = Rect { width: area.width * 3 / 5, ..area };
    let right = Rect { x: left.right(), width: area.width - left.width, ..area };
    let theme = Theme::new(&app.options);
    let room = usize::from(right.width);
    let mut page = super::form_preview::page(app, theme, room.saturating_sub(1));
    if !page.lines.is_empty() {
        page.gap();
    }
    page.lines.extend(super::detail::page(app, theme, &Subject::TidbCluster(of), room).lines);
    Some((left, right, page.lines))
}

/// What will follow, in the lines that the fields leave.
fn beneath(app: &App, theme: Theme, frame: &mut Frame<'_>, pen: &mut Pen, end: u16) {
    let lines = super::form_preview::page(app, theme, usize::from(pen.area.width).saturating_sub(1)).lines;
    let room = usize::from(end.saturating_sub(pen.y));
    // A title with nothing beneath it says nothing.
    if room > 1 {
        lines.into_iter().take(room).for_each(|line| pen.line(frame, line));
    }
}

/// The rows of one field.
struct Block {
    rows: Vec<Row>,
}

enum Row {
    Line(Line<'static>),
    /// Where the value is typed.
    Prompt,
}

/// A field as it is drawn: with its value beneath it where there is room, else on one line unless it is in focus.
#[expect(clippy::too_many_lines, reason = "one screen from top to bottom")]
fn block(
    theme: Theme,
    field: &Field,
    (at, wrong): (bool, Option<&str>),
    suggestions: &[String],
    room: usize,
    spacious: bool,
) -> Block {
    let needed = if field.info.required { "" } else { " (optional)" };
    let role = if at { Role::Accent } else { Role::Plain };
    let value = field.input.value();
    let shown = if value.is_empty() { "-" } else { value };
    let by = field.filled().map(FilledBy::words);
    let mut head = vec![super::table::mark(theme, at), span(&field.info.name, theme.style(role))];
    let wrong = |rows: &mut Vec<Row>| {
        let pieces = wrong.map(|wrong| wrap(wrong, room.saturating_sub(8))).unwrap_or_default();
        for (line, piece) in pieces.into_iter().enumerate() {
            let sign = if line == 0 { theme.glyph(Level::Working) } else { " " };
            rows.push(Row::Line(Line::from(span(format!("      {sign} {piece}"), theme.level(Level::Working)))));
        }
    };
    if !spacious && !at {
        head.push(span(
            format!("  {}", cut(shown, room.saturating_sub(field.info.name.len() + 4), theme)),
            theme.style(Role::Plain),
        ));
        let mut rows = vec![Row::Line(Line::from(head))];
        wrong(&mut rows);
        return Block { rows };
    }
    head.push(Span::styled(needed, theme.style(Role::Dim)));
    let used: usize = head.iter().map(Span::width).sum();
    let mut rows = Vec::new();
    // What a field is for may decide what is to be typed, so none of it is cut off.
    if used + 2 + width(&field.info.prompt) <= room {
        head.push(span(format!("  {}", field.info.prompt), theme.style(Role::Dim)));
        rows.push(Row::Line(Line::from(head)));
    } else {
        rows.push(Row::Line(Line::from(head)));
        for piece in wrap(&field.info.prompt, room.saturating_sub(6)) {
            rows.push(Row::Line(Line::from(span(format!("      {piece}"), theme.style(Role::Dim)))));
        }
    }
    if at {
        rows.push(Row::Prompt);
        if let Some(by) = by {
            let words = cut(&format!("      {by}; typing takes its place, backspace empties it"), room, theme);
            rows.push(Row::Line(Line::from(span(words, theme.style(Role::Dim)))));
        }
        wrong(&mut rows);
        for suggestion in suggestions.iter().take(6) {
            let role = if suggestion == value { Role::Cursor } else { Role::Dim };
            let line = vec![Span::raw("      "), span(cut(suggestion, room, theme), theme.style(role))];
            rows.push(Row::Line(Line::from(line)));
        }
        if suggestions.len() > 6 {
            let more = format!("      and {} more; type to narrow", suggestions.len() - 6);
            rows.push(Row::Line(Line::from(span(more, theme.style(Role::Dim)))));
        }
    } else {
        let text = cut(shown, room, theme);
        let left = room.saturating_sub(width(&text));
        let mut line = vec![span(format!("      {text}"), theme.style(Role::Plain))];
        if let Some(by) = by.filter(|by| width(by) + 12 <= left) {
            line.push(span(format!("  ({by})"), theme.style(Role::Dim)));
        }
        rows.push(Row::Line(Line::from(line)));
        wrong(&mut rows);
    }
    if spacious {
        rows.push(Row::Line(Line::default()));
    }
    Block { rows }
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
