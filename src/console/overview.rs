//! One Database across all KubeClusters: rows are instances, columns are clusters, above them the quorum.
//!
//! A cluster that cannot be seen keeps its column and says why in it. What the cells say is `app::overview_matrix`.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::click_targets::Spots;
use super::list_scroll::{first_in_sight, more_rows};
use super::table::mark;
use super::text::{cut, cut_middle, pad, span, width, wrap};
use super::theme::{Role, Theme};
use super::{empty, nothing, table};
use crate::app::App;
use crate::app::message::Pointed;
use crate::app::overview_matrix::{CellView, Column, Group, Matrix, MatrixRow};
use crate::app::status_level::{Level, endeavour, freshness_words};
use crate::app::visible_rows::{Item, Row};
use crate::fleet::tidbcluster::TidbCluster;
use crate::pluralize::counted;

const LABEL: usize = 10;
const NARROWEST: usize = 16;
/// A cell with a peerURL in it.
const WIDEST: usize = 112;

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row], spots: &mut Spots) {
    if area.is_empty() {
        return;
    }
    let mut area = area;
    if area.height > 4 {
        frame.render_widget(meter(app, theme, usize::from(area.width)), Rect { height: 1, ..area });
        let gap = if area.height > 12 { 2 } else { 1 };
        area = Rect { y: area.y + gap, height: area.height - gap, ..area };
    }
    let matrix = app.matrix();
    // The seven invariants are one line of lamps; their sentences stand among the findings.
    if !matrix.lamps.is_empty() && usize::from(area.height) > rows.len() + 6 {
        area.height -= 1;
        let line = lamps(&matrix, theme, usize::from(area.width));
        frame.render_widget(line, Rect { y: area.bottom(), height: 1, ..area });
    }
    if matrix.columns.is_empty() {
        return empty(
            frame,
            area,
            theme,
            &nothing(
                app,
                "No TidbCluster is seen in any connected cluster. :ctx says how each answers, r has a runbook that deploys.",
            ),
        );
    }
    if !matrix.elsewhere.is_empty() && area.height > 8 {
        let sentence = format!("  no part of it in {}", matrix.elsewhere.join(", "));
        let line = span(cut(&sentence, usize::from(area.width), theme), theme.style(Role::Dim));
        frame.render_widget(line, Rect { y: area.bottom() - 1, height: 1, ..area });
        area.height -= 1;
    }
    let grid = Grid::of(app, theme, &matrix, area);
    let body = grid.headings(app, frame);
    if rows.is_empty() {
        // The headings already say what is wrong with the clusters; only a filter needs a word here.
        if !matrix.rows.is_empty() {
            empty(frame, body, theme, &nothing(app, ""));
        }
        return;
    }
    grid.rows(app, frame, body, rows, spots);
}

/// Where the columns stand: as many as can be read, around the one under the cursor.
struct Grid<'a> {
    theme: Theme,
    matrix: &'a Matrix,
    area: Rect,
    shown: Vec<(usize, &'a Column)>,
    /// Columns of one of them.
    wide: usize,
    /// The one under the cursor.
    at: usize,
}

impl<'a> Grid<'a> {
    fn of(app: &App, theme: Theme, matrix: &'a Matrix, area: Rect) -> Self {
        let room = usize::from(area.width).saturating_sub(2 + LABEL);
        let fitting = (room / NARROWEST).clamp(1, matrix.columns.len());
        let wide = (room / fitting).clamp(1, WIDEST);
        let at = app.column(matrix.columns.len());
        let first = at.saturating_sub(fitting - 1).max((at + 1).saturating_sub(fitting));
        let shown = matrix.columns.iter().enumerate().skip(first).take(fitting).collect();
        Self { theme, matrix, area, shown, wide, at }
    }

    /// Whether the cursor stands on a cell, and not on a whole row.
    fn by_cell(&self) -> bool {
        self.matrix.columns.len() > 1
    }

    /// Where the column at this place begins.
    fn x(&self, place: usize) -> usize {
        2 + LABEL + place * self.wide
    }

    /// Draws the headings; what is left below them.
    fn headings(&self, app: &App, frame: &mut Frame<'_>) -> Rect {
        let (area, theme) = (self.area, self.theme);
        let head = |(index, column): &(usize, &Column)| {
            heading(app, theme, column, *index == self.at && self.by_cell(), self.wide, area.height)
        };
        let heads: Vec<Vec<Line<'static>>> = self.shown.iter().map(head).collect();
        let tall = heads.iter().map(Vec::len).max().unwrap_or(0).min(usize::from(area.height) / 2);
        let hidden = self.matrix.columns.len() - self.shown.len();
        let mut y = area.y;
        for line in 0..tall {
            for (place, head) in heads.iter().enumerate() {
                if let Some(line) = head.get(line) {
                    put(frame, area, y, self.x(place), line.clone());
                }
            }
            if line == 0 && hidden > 0 {
                put(frame, area, y, 2, Line::from(Span::styled(format!("+{hidden} more"), theme.style(Role::Dim))));
            }
            y += 1;
        }
        Rect { y, height: area.bottom() - y, ..area }
    }

    fn rows(&self, app: &App, frame: &mut Frame<'_>, body: Rect, rows: &[Row], spots: &mut Spots) {
        let cursor = app.cursor(rows);
        let heads = rows.iter().enumerate().filter(|(at, row)| begins(rows, *at) && group(row).is_some()).count();
        // Each component has a heading of its own where there is room, and a gap before it where there is more.
        let headed = rows.len() + heads <= usize::from(body.height);
        let roomy = rows.len() + 2 * heads <= usize::from(body.height);
        let top = first_in_sight(rows.len(), cursor, usize::from(body.height), |_| 1);
        let mut y = body.y;
        let mut below = 0;
        for (index, row) in rows.iter().enumerate().skip(top) {
            let Item::Instance(instance) = &row.item else { continue };
            if headed && begins(rows, index) {
                y += u16::from(roomy);
                y += self.group(frame, y, row);
            }
            if y >= body.bottom() {
                break;
            }
            self.row(app, frame, y, (row, instance), cursor == Some(index));
            self.spots(y, row, spots);
            y += 1;
            below = rows.len() - index - 1;
        }
        more_rows(frame, body, self.theme, below, true);
    }

    /// The heading of a component with its sums; the lines that it took.
    fn group(&self, frame: &mut Frame<'_>, y: u16, row: &Row) -> u16 {
        let Some(sums) = self.matrix.groups.iter().find(|sums| Some(sums.component) == group(row)) else { return 0 };
        let title = Span::styled(sums.component.title(), self.theme.style(Role::Title));
        put(frame, self.area, y, 2, Line::from(title));
        for (place, (column, _)) in self.shown.iter().enumerate() {
            let line = sum(self.theme, sums, *column, self.wide.saturating_sub(2));
            put(frame, self.area, y, self.x(place), line);
        }
        1
    }

    fn row(&self, app: &App, frame: &mut Frame<'_>, y: u16, of: (&Row, &MatrixRow), selected: bool) {
        let ((row, instance), theme) = (of, self.theme);
        let label = match selected {
            true if !self.by_cell() => theme.style(Role::Cursor),
            true => theme.style(Role::Strong),
            false => theme.style(Role::Plain),
        };
        let head = vec![mark(theme, selected), Span::styled(pad(&row.key, LABEL - 1), label)];
        put(frame, self.area, y, 0, Line::from(head));
        for (place, (column, _)) in self.shown.iter().enumerate() {
            let (x, under) = (self.x(place), selected && *column == self.at && self.by_cell());
            let Some(Some(cell)) = instance.cells.get(*column) else {
                if under {
                    put(frame, self.area, y, x, Line::from(Span::styled(theme.dot(), theme.style(Role::Cursor))));
                }
                continue;
            };
            let mut line = cell_line(theme, cell, self.wide.saturating_sub(2), selected, under);
            if app.changed(&row.key, *column) {
                let changed = theme.style(Role::Changed);
                line.spans.iter_mut().for_each(|span| span.style = span.style.patch(changed));
                if let Some(sign) = theme.changed() {
                    put(frame, self.area, y, x - 1, Line::from(sign));
                }
            }
            put(frame, self.area, y, x, line);
        }
    }

    fn spots(&self, y: u16, row: &Row, spots: &mut Spots) {
        let line = Rect { y, height: 1, ..self.area };
        spots.put(line, Pointed::Row { key: row.key.clone(), column: None });
        for (place, (column, _)) in self.shown.iter().enumerate() {
            let x = self.area.x.saturating_add(u16::try_from(self.x(place)).unwrap_or(u16::MAX));
            let spot = Rect { x, width: u16::try_from(self.wide).unwrap_or(u16::MAX), ..line }.intersection(line);
            spots.put(spot, Pointed::Row { key: row.key.clone(), column: Some(*column) });
        }
    }
}

fn group(row: &Row) -> Option<crate::fleet::tidbcluster::Component> {
    match &row.item {
        Item::Instance(instance) => Some(instance.component),
        _ => None,
    }
}

/// Whether a component begins with this row.
fn begins(rows: &[Row], index: usize) -> bool {
    index == 0 || group(&rows[index - 1]) != group(&rows[index])
}

/// What a column has of one component.
fn sum(theme: Theme, sums: &Group, column: usize, room: usize) -> Line<'static> {
    let Some(Some((level, words))) = sums.sums.get(column) else { return Line::default() };
    let style = if *level == Level::Good { theme.style(Role::Dim) } else { theme.level(*level) };
    // Rather a shorter word than half of one.
    let short = words.replace(" region peer", " peer");
    let words = if width(words) > room { &short } else { words };
    Line::from(Span::styled(cut(words, room, theme), style))
}

/// `one cluster?  ● id ● members ● pump …`
fn lamps(matrix: &Matrix, theme: Theme, room: usize) -> Line<'static> {
    let mut spans = vec![Span::styled("  one cluster? ", theme.style(Role::Title))];
    for (level, word) in &matrix.lamps {
        let style = theme.level(*level);
        spans.push(Span::styled(format!("{} ", theme.glyph(*level)), style));
        let word_style = if *level == Level::Good { theme.style(Role::Dim) } else { style };
        spans.push(Span::styled(format!("{word} "), word_style));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    let more = "(f explains)";
    if used + more.len() <= room {
        spans.push(Span::styled(more, theme.style(Role::Dim)));
    }
    Line::from(spans)
}

fn put(frame: &mut Frame<'_>, area: Rect, y: u16, x: usize, line: Line<'static>) {
    let x = area.x.saturating_add(u16::try_from(x).unwrap_or(u16::MAX));
    if x < area.right() && y < area.bottom() {
        frame.render_widget(line, Rect { x, y, width: area.right() - x, height: 1 });
    }
}

/// `PD ■■□ 2/3, tolerates 0; losing cluster east: no quorum`, and at the right how much is wrong.
fn meter(app: &App, theme: Theme, room: usize) -> Line<'static> {
    let Some(database) = app.database() else {
        let waiting = app.fleet.clusters.values().filter(|c| !c.freshness.is_live()).count();
        let text = match (app.fleet.clusters.len(), waiting) {
            (0, _) => "  waiting for the kubeconfig".to_owned(),
            (_, 0) => "  no TidbCluster in any cluster".to_owned(),
            (all, dark) => {
                format!("  no Database seen yet; answers from {} of {}", all - dark, counted(all, "cluster"))
            }
        };
        return Line::from(Span::styled(text, theme.style(Role::Dim)));
    };
    let (level, words) = app.pd_words(database);
    let (full, hollow) = theme.bar();
    let mut spans = vec![Span::raw("  ")];
    let mut bar = String::new();
    for member in database.members.iter().take(9) {
        bar.push_str(if member.healthy == Some(true) { full } else { hollow });
    }
    if !bar.is_empty() {
        spans.push(Span::styled(format!("{bar} "), theme.level(level)));
    }
    spans.push(Span::styled(words, theme.level(level).add_modifier(Modifier::BOLD)));
    let loss = app.loss_words(database);
    let style = if !database.losses.any_may_go() { theme.level(Level::Working) } else { theme.style(Role::Dim) };
    let mut wrong = Vec::new();
    let index = app.database_index().unwrap_or(0);
    let (bad, expected) = app.wrong_rows(database);
    if expected > 0 {
        let text = format!("{} {expected} expected ", theme.glyph(Level::Working));
        wrong.push(Span::styled(text, theme.level(Level::Working)));
    }
    match (bad, database.unseen.len()) {
        (0, 0) if expected > 0 => {}
        (0, 0) => wrong.push(Span::styled("all well ", theme.level(app.database_level(index)))),
        (bad, dark) => {
            if bad > 0 {
                let text = format!("{} {bad} wrong ", theme.glyph(Level::Bad));
                wrong.push(Span::styled(text, theme.level(Level::Bad)));
            }
            if dark > 0 {
                wrong.push(Span::styled(format!("? {dark} unseen "), theme.level(Level::Unknown)));
            }
        }
    }
    let used: usize = spans.iter().chain(&wrong).map(Span::width).sum();
    spans.push(span(cut(&format!("; {loss}"), room.saturating_sub(used + 1), theme), style));
    let used: usize = spans.iter().chain(&wrong).map(Span::width).sum();
    spans.push(Span::raw(" ".repeat(room.saturating_sub(used))));
    spans.extend(wrong);
    Line::from(spans)
}

fn heading(app: &App, theme: Theme, column: &Column, at: bool, wide: usize, height: u16) -> Vec<Line<'static>> {
    let room = wide.saturating_sub(2);
    let Some(cluster) = app.fleet.clusters.get(&column.context) else { return Vec::new() };
    let words =
        format!("{} {}{}", theme.glyph(column.level), freshness_words(cluster, app.now), endeavour(&cluster.freshness));
    let name_room = room.saturating_sub(width(&words) + 1).max(room.min(6));
    let mut style = theme.style(Role::Strong);
    if at {
        style = style.add_modifier(Modifier::UNDERLINED);
    }
    let name = Span::styled(cut_middle(&column.context, name_room, theme), style);
    let rest = room.saturating_sub(name.width() + 1);
    let words = Span::styled(format!(" {}", cut(&words, rest, theme)), theme.level(column.level));
    let mut lines = vec![Line::from(vec![name, words])];
    let dim = theme.style(Role::Dim);
    if let Some(of) = &column.tidb_cluster {
        let paused = app.fleet.tidb_cluster(of).is_some_and(TidbCluster::paused);
        let mark = if paused { " paused" } else { "" };
        let suspended = app.suspended(of).map(|words| format!(" {words}")).unwrap_or_default();
        let marks = mark.len() + suspended.len();
        let name = cut_middle(&format!("{}/{}", of.namespace, of.name), room.saturating_sub(marks), theme);
        let marks = [span(mark, theme.level(Level::Bad)), span(suspended, theme.level(Level::Working))];
        lines.push(Line::from([vec![span(name, dim)], marks.to_vec()].concat()));
    }
    let sentence = cluster.message.as_deref().filter(|_| !cluster.freshness.is_live() || column.tidb_cluster.is_none());
    if let Some(sentence) = sentence {
        let most = match (column.tidb_cluster.is_some(), height) {
            (_, ..8) => 1,
            (true, _) => 3,
            (false, _) => 6,
        };
        let mut pieces = wrap(sentence, room);
        if pieces.len() > most {
            let rest = pieces.split_off(most - 1).join(" ");
            pieces.push(cut(&rest, room, theme));
        }
        let style = theme.level(column.level).remove_modifier(Modifier::BOLD);
        lines.extend(pieces.into_iter().map(|piece| Line::from(Span::styled(piece, style))));
    } else if column.tidb_cluster.is_none() && cluster.freshness.is_live() {
        lines.push(Line::from(Span::styled(cut("no part of this Database", room, theme), dim)));
    }
    lines
}

/// Glyph, word, leader, drift; then as much more as there is room for.
fn cell_line(theme: Theme, cell: &CellView, room: usize, row: bool, under: bool) -> Line<'static> {
    let mut main = theme.level(cell.level);
    if row {
        main = main.add_modifier(Modifier::BOLD);
    }
    if under {
        main = main.add_modifier(Modifier::REVERSED);
    }
    let mut spare = room;
    let text = cut(&format!("{} {}", theme.glyph(cell.level), cell.word), spare, theme);
    spare -= width(&text);
    let mut spans = vec![Span::styled(text, main)];
    let mut add = |short: String, long: String, style: Style| {
        let text = if room >= 34 { long } else { short };
        if width(&text) <= spare {
            spare -= width(&text);
            spans.push(Span::styled(text, style));
        }
    };
    if cell.leader {
        let style = theme.style(Role::Accent);
        add(format!(" {}", theme.leader()), format!(" {} leader", theme.leader()), style);
    }
    if cell.drift {
        let style = theme.level(Level::Bad);
        let both = format!(" {} drift", theme.drift());
        let short = if room >= 22 { both.clone() } else { format!(" {}", theme.drift()) };
        add(short, both, style);
    }
    // The peerURL, if enough of it has room to be told from its neighbours.
    if let Some(peer) = cell.peer.as_ref().filter(|_| spare > width(&cell.detail) + 28) {
        spans.push(span(format!("  {}  ", cell.detail), theme.style(Role::Dim)));
        spare -= width(&cell.detail) + 4;
        spans.extend(table::cell_spans(peer, spare, true, theme));
        return Line::from(spans);
    }
    let fits = |text: &&String| !text.is_empty() && width(text) + 2 <= spare;
    if let Some(more) = [&cell.detail, &cell.brief].into_iter().find(fits) {
        spans.push(span(format!("  {more}"), theme.style(Role::Dim)));
    }
    Line::from(spans)
}
