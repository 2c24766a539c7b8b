//! A table that fits: columns take what they need, then give way in the middle, then go, the least wanted first.
//!
//! Only the rows in sight are laid out. The cursor is a glyph, a bold row and a reversed first cell. Not here: what
//! the cells say (the views).

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::text::{cut, cut_middle, pad, width};
use super::theme::{Role, Theme};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub title: &'static str,
    /// It is never squeezed below this; it goes instead.
    pub min: usize,
    /// Which columns go first: the highest number.
    pub rank: u8,
    /// Cut in the middle (URLs, ids) or at the end.
    pub middle: bool,
}

pub const fn column(title: &'static str, min: usize, rank: u8) -> Column {
    Column { title, min, rank, middle: false }
}

pub const fn middle(title: &'static str, min: usize, rank: u8) -> Column {
    Column { title, min, rank, middle: true }
}

#[derive(Clone, Debug)]
pub struct Cell {
    pub text: String,
    pub style: Style,
}

/// One row, and lines beneath it that begin under one of its columns.
#[derive(Clone, Debug, Default)]
pub struct TableRow {
    pub cells: Vec<Cell>,
    pub below: Vec<(usize, Cell)>,
}

pub fn cell(text: impl Into<String>, style: Style) -> Cell {
    Cell { text: text.into(), style }
}

const GAP: usize = 2;

/// Widths of the columns that are shown, 0 for those that are not.
fn fit(columns: &[Column], rows: &[TableRow], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| width(column.title)).collect();
    for row in rows {
        for (at, cell) in row.cells.iter().enumerate().take(widths.len()) {
            widths[at] = widths[at].max(width(&cell.text));
        }
    }
    let used = |widths: &[usize]| -> usize {
        let shown = widths.iter().filter(|w| **w > 0).count();
        widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1)
    };
    let squeezed = |widths: &[usize]| -> Vec<usize> {
        widths.iter().zip(columns).map(|(have, column)| (*have).min(column.min)).collect()
    };
    // First who stays, then how wide.
    while used(&squeezed(&widths)) > room && widths.iter().filter(|w| **w > 0).count() > 1 {
        match (0..widths.len()).filter(|at| widths[*at] > 0).max_by_key(|at| columns[*at].rank) {
            Some(last) => widths[last] = 0,
            None => break,
        }
    }
    while used(&widths) > room {
        let widest = (0..widths.len()).filter(|at| widths[*at] > columns[*at].min.max(1)).max_by_key(|at| widths[*at]);
        match widest {
            Some(at) => widths[at] -= 1,
            None => {
                // One column is left and even its least is too wide.
                widths.iter_mut().filter(|w| **w > 0).for_each(|w| *w = room);
                break;
            }
        }
    }
    widths
}

fn line(columns: &[Column], widths: &[usize], cells: &[Cell], theme: Theme) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let Some(room) = widths.get(at).copied().filter(|room| *room > 0) else { continue };
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        let text = if columns[at].middle { cut_middle(&cell.text, room, theme) } else { cut(&cell.text, room, theme) };
        spans.push(Span::styled(pad(&text, room), cell.style));
    }
    spans
}

/// Draws the table with its headings; `cursor` is the row under the cursor.
pub fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    theme: Theme,
    columns: &[Column],
    rows: &[TableRow],
    cursor: Option<usize>,
) {
    if area.is_empty() {
        return;
    }
    let widths = fit(columns, rows, usize::from(area.width).saturating_sub(2));
    let mut y = area.y;
    if area.height > 2 {
        let style = theme.style(Role::Dim);
        let titles: Vec<Cell> = columns.iter().map(|column| cell(column.title, style)).collect();
        let mut spans = vec![Span::raw("  ")];
        spans.extend(line(columns, &widths, &titles, theme));
        frame.render_widget(Line::from(spans), Rect { y, height: 1, ..area });
        y += 1;
    }
    let height = usize::from(area.bottom() - y);
    let heights: Vec<usize> = rows.iter().map(|row| 1 + row.below.len()).collect();
    let top = first_in_sight(&heights, cursor, height);
    for (index, row) in rows.iter().enumerate().skip(top) {
        if y >= area.bottom() {
            break;
        }
        let selected = cursor == Some(index);
        let mut spans = line(columns, &widths, &row.cells, theme);
        if selected {
            for (at, span) in spans.iter_mut().enumerate() {
                let cursor =
                    if at == 0 { theme.style(Role::Cursor) } else { Style::new().add_modifier(Modifier::BOLD) };
                span.style = span.style.patch(cursor);
            }
        }
        spans.insert(0, mark(theme, selected));
        frame.render_widget(Line::from(spans), Rect { y, height: 1, ..area });
        y += 1;
        for (under, cell) in &row.below {
            if y >= area.bottom() {
                break;
            }
            // Under a column that had to go, the line begins at the left.
            let under = if widths.get(*under).is_some_and(|room| *room > 0) { *under } else { 0 };
            let shown = widths[..under.min(widths.len())].iter().filter(|w| **w > 0);
            let indent: usize = 2 + shown.map(|w| w + GAP).sum::<usize>();
            let room = usize::from(area.width).saturating_sub(indent);
            let text = cut_middle(&cell.text, room, theme);
            let spans = vec![Span::raw(" ".repeat(indent)), Span::styled(text, cell.style)];
            frame.render_widget(Line::from(spans), Rect { y, height: 1, ..area });
            y += 1;
        }
    }
}

/// The two columns at the left of each row.
pub fn mark(theme: Theme, selected: bool) -> Span<'static> {
    if selected { Span::styled(format!("{} ", theme.cursor()), theme.style(Role::Accent)) } else { Span::raw("  ") }
}

/// The first row in sight such that the cursor is about in the middle; a function of its arguments alone.
pub fn first_in_sight(heights: &[usize], cursor: Option<usize>, room: usize) -> usize {
    let total: usize = heights.iter().sum();
    if total <= room {
        return 0;
    }
    let cursor = cursor.unwrap_or(0).min(heights.len().saturating_sub(1));
    let before: usize = heights[..cursor].iter().sum();
    let wanted = before.saturating_sub(room / 2).min(total - room);
    let mut sum = 0;
    for (index, height) in heights.iter().enumerate() {
        if sum >= wanted || index == cursor {
            return index;
        }
        sum += height;
    }
    0
}
