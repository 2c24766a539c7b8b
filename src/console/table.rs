//! A table: its heading, the rows in sight with their notes, and how many more there are.
//!
//! Only the rows in sight are laid out. The cursor is a glyph, a bold row and a reversed first cell. Not here: what
//! the cells say (`app::views`), how wide a column is ([`super::column_widths`]).

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::click_targets::Spots;
use super::column_widths::{GAP, fit, natural, used};
use super::list_scroll::{first_in_sight, more_rows};
use super::text::{cut, cut_middle, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::message::Pointed;
use crate::app::sorting::{Order, descends};
use crate::app::views::{Cell, Column, Mark, Part, Tone};
use crate::app::visible_rows::Row;

/// From this width on, columns that are for wide tables only are shown where they fit.
const ROOMY: u16 = 168;

/// Colour and weight of a tone.
pub fn tone(theme: Theme, tone: Tone) -> Style {
    theme.style(match tone {
        Tone::Plain => Role::Plain,
        Tone::Dim => Role::Dim,
        Tone::Strong => Role::Strong,
        Tone::Accent => Role::Accent,
        Tone::Level(level) => Role::Level(level),
    })
}

/// The sign of a mark, with its style.
fn sign(theme: Theme, mark: Mark) -> (&'static str, Style) {
    match mark {
        Mark::Level(level) => (theme.glyph(level), theme.level(level)),
        Mark::Leader => (theme.leader(), theme.style(Role::Accent)),
        Mark::Drift => (theme.drift(), theme.level(crate::app::status_level::Level::Bad)),
        Mark::Dot => (theme.dot(), theme.style(Role::Dim)),
    }
}

/// Columns that a cell takes when nothing is cut.
pub fn cell_width(cell: &Cell, theme: Theme) -> usize {
    let parts = cell.parts.iter().map(|part| match part {
        Part::Text { text, .. } => width(&super::text::clean(text)),
        Part::Mark(mark) => width(sign(theme, *mark).0),
        Part::Missing(text) => width(&super::text::clean(text)) + 2,
    });
    parts.sum()
}

/// A cell in so much room: what is common to its neighbours gives way first.
pub fn cell_spans(cell: &Cell, room: usize, middle: bool, theme: Theme) -> Vec<Span<'static>> {
    let mut over = cell_width(cell, theme).saturating_sub(room);
    let mut spans = Vec::new();
    let mut left = room;
    let mut parts = cell.parts.iter().peekable();
    while let Some(part) = parts.next() {
        let (text, style) = match part {
            Part::Mark(mark) => {
                let (text, style) = sign(theme, *mark);
                (text.to_owned(), style)
            }
            Part::Missing(text) => {
                let (open, close) = theme.brackets();
                (format!("{open}{}{close}", super::text::clean(text)), theme.style(Role::Missing))
            }
            Part::Text { text, tone: of, common } => {
                let mut text = super::text::clean(text).into_owned();
                // Common parts beside each other give way together: one sign stands for all that is left out.
                while *common
                    && over > 0
                    && let Some(Part::Text { text: next, .. }) =
                        parts.next_if(|next| matches!(next, Part::Text { common: true, .. }))
                {
                    text.push_str(&super::text::clean(next));
                }
                let wide = width(&text);
                if *common && over > 0 && wide > 1 {
                    let keep = wide.saturating_sub(over).max(1);
                    text = cut_middle(&text, keep, theme);
                    over = over.saturating_sub(wide - width(&text));
                }
                (text, tone(theme, *of))
            }
        };
        let text = if middle { cut_middle(&text, left, theme) } else { cut(&text, left, theme) };
        left -= width(&text);
        if !text.is_empty() {
            spans.push(Span::styled(text, style));
        }
    }
    spans
}

/// Columns that the widest cell of each column takes.
fn measure(columns: &[Column], rows: &[Row], theme: Theme) -> Vec<usize> {
    let mut widest = vec![0; columns.len()];
    for row in rows {
        for (have, cell) in widest.iter_mut().zip(&row.cells) {
            *have = cell_width(cell, theme).max(*have);
        }
    }
    widest
}

/// Columns of the screen that the table in front takes where nothing of it is cut.
pub fn wanted(app: &App, theme: Theme) -> usize {
    let columns = app.view().spec().columns;
    let cells = app.widths(|rows| measure(columns, rows, theme));
    2 + used(&natural(columns, &cells, app.wide))
}

/// One row as it is drawn.
#[derive(Default)]
struct Lines {
    /// How many of the spans are the first cell.
    first: usize,
    spans: Vec<Span<'static>>,
    below: Vec<Line<'static>>,
}

/// What all rows of one drawing share.
struct Layout<'a> {
    columns: &'a [Column],
    widths: Vec<usize>,
    theme: Theme,
    /// Columns of the whole table.
    room: usize,
    area: Rect,
}

impl Layout<'_> {
    /// Where a column begins; a column that had to go begins at the left.
    fn indent(&self, column: usize) -> usize {
        let column = if self.widths.get(column).is_some_and(|room| *room > 0) { column } else { 0 };
        2 + self.widths[..column.min(self.widths.len())].iter().filter(|w| **w > 0).map(|w| w + GAP).sum::<usize>()
    }

    fn spots_of_heading(&self, y: u16, spots: &mut Spots) {
        for (at, room) in self.widths.iter().enumerate().filter(|(_, room)| **room > 0) {
            let x = self.area.x.saturating_add(u16::try_from(self.indent(at)).unwrap_or(u16::MAX));
            let width = u16::try_from(room + 1).unwrap_or(u16::MAX).min(self.area.right().saturating_sub(x));
            spots.put(Rect { x, y, width, height: 1 }, Pointed::Heading(at));
        }
    }

    fn spot_of_row(&self, from: u16, to: u16, row: &Row, spots: &mut Spots) {
        let area = Rect { y: from, height: to.saturating_sub(from), ..self.area };
        spots.put(area, Pointed::Row { key: row.key.clone(), column: None });
    }

    fn row(&self, app: &App, row: &Row, spare: bool) -> Lines {
        let mut first = 0;
        let mut spans = Vec::new();
        let mut below = Vec::new();
        for (at, cell) in row.cells.iter().enumerate() {
            let Some(room) = self.widths.get(at).copied().filter(|room| *room > 0) else { continue };
            let lit = app.changed(&row.key, at);
            if !spans.is_empty() {
                let sign = self.theme.changed().filter(|_| lit);
                let gap = sign.map_or_else(|| " ".repeat(GAP), |sign| format!("{}{sign}", " ".repeat(GAP - 1)));
                spans.push(Span::raw(gap));
            }
            let column = &self.columns[at];
            let begins = spans.is_empty();
            let (mut inner, more) = self.cell(at, cell, room);
            below.extend(more);
            if lit {
                let changed = self.theme.style(Role::Changed);
                inner.iter_mut().for_each(|span| span.style = span.style.patch(changed));
            }
            let filled = room.saturating_sub(inner.iter().map(Span::width).sum());
            let blank = Span::raw(" ".repeat(filled));
            if column.right {
                spans.push(blank);
                spans.append(&mut inner);
            } else {
                spans.append(&mut inner);
                spans.push(blank);
            }
            if begins {
                first = spans.len();
            }
        }
        below.extend(self.notes(row, spare));
        Lines { first, spans, below }
    }

    /// A cell in its column: of a sentence that is too long the first piece, and the others for the lines below.
    fn cell(&self, at: usize, cell: &Cell, room: usize) -> (Vec<Span<'static>>, Vec<Line<'static>>) {
        let column = &self.columns[at];
        if !column.wraps || cell_width(cell, self.theme) <= room {
            return (cell_spans(cell, room, column.middle, self.theme), Vec::new());
        }
        let style = match cell.parts.first() {
            Some(Part::Text { tone: of, .. }) => tone(self.theme, *of),
            _ => Style::new(),
        };
        let mut pieces = wrap(&cell.text(), room).into_iter();
        let first = Span::styled(pieces.next().unwrap_or_default(), style);
        let indent = " ".repeat(self.indent(at));
        let more = pieces.map(|piece| Line::from(vec![Span::raw(indent.clone()), Span::styled(piece, style)]));
        (vec![first], more.collect())
    }

    /// The sentences beneath a row.
    fn notes(&self, row: &Row, spare: bool) -> Vec<Line<'static>> {
        let mut below = Vec::new();
        for note in &row.notes {
            let said = note.instead_of.is_some_and(|at| self.widths.get(at).is_some_and(|room| *room > 0));
            let hidden = said || note.narrow_only.is_some_and(|from| self.area.width >= from) || (note.spare && !spare);
            if hidden || note.text.is_empty() {
                continue;
            }
            let indent = self.indent(note.under) + if note.under == 0 && note.narrow_only.is_none() { 2 } else { 0 };
            let room = self.room.saturating_sub(indent);
            let style = tone(self.theme, note.tone);
            let pieces = match note.narrow_only {
                Some(_) if !note.spare => vec![cut_middle(&note.text, room, self.theme)],
                _ => wrap(&note.text, room.min(110)),
            };
            below.extend(
                pieces
                    .into_iter()
                    .map(|piece| Line::from(vec![Span::raw(" ".repeat(indent)), Span::styled(piece, style)])),
            );
        }
        below
    }

    fn heading(&self, order: Option<Order>, rows: &[Row]) -> Line<'static> {
        let mut spans = vec![Span::raw("  ")];
        let dim = self.theme.style(Role::Dim);
        for (at, column) in self.columns.iter().enumerate().filter(|(at, _)| self.widths[*at] > 0) {
            if spans.len() > 1 {
                spans.push(Span::raw(" ".repeat(GAP)));
            }
            let (text, style) = match order.filter(|order| order.column == at) {
                Some(order) => {
                    let arrow = self.theme.order(descends(rows, order));
                    // The arrow is not cut off with the end of a long heading.
                    let title = cut(column.title, self.widths[at].saturating_sub(width(arrow)), self.theme);
                    (format!("{title}{arrow}"), self.theme.style(Role::Strong))
                }
                None => (column.title.to_owned(), dim),
            };
            let text = cut(&text, self.widths[at], self.theme);
            let blank = " ".repeat(self.widths[at].saturating_sub(width(&text)));
            let (before, after) = if column.right { (blank, String::new()) } else { (String::new(), blank) };
            spans.extend([Span::raw(before), Span::styled(text, style), Span::raw(after)]);
        }
        Line::from(spans)
    }
}

/// Draws the table of the view in front with its headings.
pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row], spots: &mut Spots) {
    if area.is_empty() {
        return;
    }
    let columns = app.view().spec().columns;
    let room = usize::from(area.width);
    let all = app.wide || area.width >= ROOMY;
    let cells = app.widths(|rows| measure(columns, rows, theme));
    let widths = fit(columns, &cells, room.saturating_sub(2), all);
    let layout = Layout { columns, widths, theme, room, area };
    let cursor = app.cursor(rows);
    let mut y = area.y;
    if area.height > 2 {
        frame.render_widget(layout.heading(app.screen().order, rows), Rect { y, height: 1, ..area });
        layout.spots_of_heading(y, spots);
        y += 1;
    }
    let height = usize::from(area.bottom() - y);
    let mut laid = Laid { app, layout: &layout, rows, cursor, whole: true, of: BTreeMap::new() };
    // Where not every note has room, only that of the row under the cursor is shown.
    laid.whole = laid.all_in(height);
    let top = first_in_sight(rows.len(), cursor, height, |at| laid.height(at));
    let mut next = top;
    let mut above = y;
    while y < area.bottom() && next < rows.len() {
        above = y;
        put(app, &layout, frame, &mut y, laid.take(next), &rows[next], cursor == Some(next));
        layout.spot_of_row(above, y, &rows[next], spots);
        next += 1;
    }
    more_rows(frame, area, theme, rows.len() - next, above + 1 == area.bottom());
}

/// Rows that are laid out, each once, and only those that are asked for.
struct Laid<'a> {
    app: &'a App,
    layout: &'a Layout<'a>,
    rows: &'a [Row],
    cursor: Option<usize>,
    /// With every note, not only that of the row under the cursor.
    whole: bool,
    of: BTreeMap<(usize, bool), Lines>,
}

impl Laid<'_> {
    fn row(&mut self, at: usize) -> &Lines {
        let whole = self.whole || Some(at) == self.cursor;
        let (app, layout, rows) = (self.app, self.layout, self.rows);
        self.of.entry((at, whole)).or_insert_with(|| {
            app.note_laid_out(1);
            layout.row(app, &rows[at], whole)
        })
    }

    /// Lines that a row takes.
    fn height(&mut self, at: usize) -> usize {
        1 + self.row(at).below.len()
    }

    fn take(&mut self, at: usize) -> Lines {
        self.row(at);
        let whole = self.whole || Some(at) == self.cursor;
        self.of.remove(&(at, whole)).unwrap_or_default()
    }

    /// Whether all rows have room, as they are.
    fn all_in(&mut self, height: usize) -> bool {
        let mut sum = 0;
        (0..self.rows.len()).all(|at| {
            sum += self.height(at);
            sum <= height
        })
    }
}

fn put(app: &App, layout: &Layout<'_>, frame: &mut Frame<'_>, y: &mut u16, lines: Lines, row: &Row, selected: bool) {
    let (theme, area) = (layout.theme, layout.area);
    let mut spans = lines.spans;
    if row.old {
        // What is not live fades, whatever it said.
        spans.iter_mut().for_each(|span| span.style = theme.style(Role::Dim));
    }
    if selected {
        for (at, span) in spans.iter_mut().enumerate() {
            let cursor =
                if at < lines.first { theme.style(Role::Cursor) } else { Style::new().add_modifier(Modifier::BOLD) };
            span.style = span.style.patch(cursor);
        }
    }
    let marked = app.screen().marks.contains(&row.key);
    spans.insert(0, if marked { self::marked(theme, selected) } else { mark(theme, selected) });
    let mut all = vec![Line::from(spans)];
    all.extend(lines.below);
    for line in all {
        if *y >= area.bottom() {
            return;
        }
        frame.render_widget(line, Rect { y: *y, height: 1, ..area });
        *y += 1;
    }
}

/// The two columns at the left of each row.
pub fn mark(theme: Theme, selected: bool) -> Span<'static> {
    if selected { Span::styled(format!("{} ", theme.cursor()), theme.style(Role::Accent)) } else { Span::raw("  ") }
}

/// The same of a row that is marked.
pub fn marked(theme: Theme, selected: bool) -> Span<'static> {
    let cursor = if selected { theme.cursor() } else { " " };
    span(format!("{cursor}{}", theme.marked()), theme.style(Role::Accent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppOptions;
    use crate::app::url_display;

    #[test]
    fn what_is_left_out_of_a_url_is_one_sign_wherever_it_is() {
        let theme = Theme::new(&AppOptions::default());
        let own = "http://b-pd-0.b-pd-peer.ns.svc.east.local:2380";
        let all =
            [own, "http://b-pd-1.b-pd-peer.ns.svc.east.local:2380", "http://b-pd-0.b-pd-peer.ns.svc.west.local:2380"];
        let cell = url_display::cell(own, None, &all);
        let in_room = |room| -> String {
            cell_spans(&cell, room, false, theme).iter().map(|span| span.content.as_ref()).collect()
        };
        assert_eq!(in_room(60), own);
        assert_eq!(in_room(40), "…b-pd-0.b-pd-peer.ns.svc.east.local:2380");
        for room in 20..46 {
            let text = in_room(room);
            assert!(width(&text) <= room && !text.contains("……") && !text.contains("….…"), "{room}: {text}");
        }
        let text = in_room(22);
        assert!(text.contains("b-pd-0") && text.contains(".east.local"), "{text}");
    }
}
