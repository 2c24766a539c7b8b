//! A run under way: what is going on now, every step with its state, and the records as they are written.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list_scroll::{first_in_sight, more_rows};
use super::plan_page;
use super::text::{Page, cut, pad, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::run_view::{RunView, level};
use crate::app::status_level::Level;
use crate::runbook::actions::network_probe_result;
use crate::runbook::run::record::Event;
use crate::runbook::run::view::{Progress, StepLine};

/// From this width on steps and records stand side by side.
const SIDE_BY_SIDE: u16 = 140;
/// Columns of a step beside its title: the cursor, the glyph, and the longest word of a state.
const BESIDE_TITLES: usize = 20;

struct Layout {
    now: Rect,
    steps: Rect,
    /// Of the step whose turn it is, where there is room.
    card: Option<Rect>,
    log: Rect,
    world: Option<Rect>,
}

fn layout(run: &RunView, area: Rect, sentence_lines: usize, whole_card: bool) -> Layout {
    let parts = parts(run, area, sentence_lines);
    if !whole_card || run.end.is_some() {
        return parts;
    }
    // The card has the journal's place too.
    let card = parts.card.map_or(parts.log, |card| card.union(parts.log));
    Layout { card: Some(card), log: Rect { height: 0, ..parts.log }, ..parts }
}

fn parts(run: &RunView, area: Rect, sentence_lines: usize) -> Layout {
    let wanted = u16::try_from(sentence_lines + 1).unwrap_or(u16::MAX);
    let now = Rect { height: wanted.min(area.height.div_ceil(3)), ..area };
    let mut rest = Rect { y: now.bottom(), height: area.height - now.height, ..area };
    let world = (rest.height >= 14).then(|| {
        rest.height -= 1;
        Rect { y: rest.bottom(), height: 1, ..area }
    });
    let (lines, _) = run.lines();
    if area.width >= SIDE_BY_SIDE {
        // What the titles need, within bounds: the card beside them has sentences and addresses.
        let longest = lines.iter().map(|line| width(&line.title)).max().unwrap_or(0) + BESIDE_TITLES;
        let left = u16::try_from(longest).unwrap_or(u16::MAX).clamp(area.width / 5 * 2, area.width / 5 * 3);
        let steps = Rect { width: left, ..rest };
        let right = Rect { x: rest.x + left, width: rest.width - left, ..rest };
        if rest.height < 16 || run.end.is_some() {
            return Layout { now, steps, card: None, log: right, world };
        }
        let card = Rect { height: rest.height * 3 / 5, ..right };
        let log = Rect { y: card.bottom(), height: right.height - card.height, ..right };
        return Layout { now, steps, card: Some(card), log, world };
    }
    let tall = titles(&lines, usize::from(area.width)).iter().map(Vec::len).sum::<usize>();
    let steps = u16::try_from(tall).unwrap_or(u16::MAX);
    let log = rest.height.saturating_sub(steps.saturating_add(1)).max(rest.height / 3);
    let steps = Rect { height: rest.height - log, ..rest };
    let log = Rect { y: steps.bottom(), height: log, ..rest };
    Layout { now, steps, card: None, log, world }
}

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(run) = &app.run else {
        return super::empty(frame, area, theme, "No run in this session. r lists the runbooks, R the runs.");
    };
    let head = now(app, run, theme, usize::from(area.width));
    let parts = layout(run, area, head.lines.len(), app.screen().unfolded);
    super::lines(frame, parts.now, head.lines, 0);
    steps(run, theme, frame, parts.steps);
    let title = Line::from(span("  Journal", theme.style(Role::Title)));
    super::lines(frame, parts.log, vec![title], 0);
    let records = below_title(parts.log);
    let (lines, top) = log_window(app, run, theme, records);
    super::lines(frame, records, lines, top);
    if let Some(area) = parts.card {
        let top = if app.screen().unfolded { app.screen().scroll } else { 0 };
        super::page(frame, area, card(run, theme, usize::from(area.width)), top, theme);
    }
    if let Some(area) = parts.world {
        frame.render_widget(world(app, theme, usize::from(area.width)), area);
    }
}

/// The step whose turn it is: what it changes and sends.
fn card(run: &RunView, theme: Theme, room: usize) -> Page {
    let (lines, turn) = run.lines();
    let step = turn.and_then(|at| lines.get(at)).and_then(|line| run.step(&line.id));
    let mut page = Page::default();
    if let Some((index, step)) = step {
        plan_page::step(&mut page, theme, index + 1, step, room);
    }
    page
}

/// How the world stands that the run changes: PD's majority, and what is ready of each component.
fn world(app: &App, theme: Theme, room: usize) -> Line<'static> {
    let Some(database) = app.database() else { return Line::default() };
    let (level, words) = app.pd_words(database);
    let mut spans = vec![
        Span::styled("  the world  ", theme.style(Role::Title)),
        Span::styled(format!("{} {words}", theme.glyph(level)), theme.level(level)),
    ];
    let matrix = app.matrix();
    for group in &matrix.groups {
        for (column, sum) in matrix.columns.iter().zip(&group.sums) {
            let Some((level, words)) = sum else { continue };
            // Regions and sizes are of the overview.
            let words = words.split("  ").next().unwrap_or_default();
            let place = if matrix.columns.len() > 1 { format!(" {}", column.context) } else { String::new() };
            spans.push(Span::raw("   "));
            spans.push(span(
                format!("{} {}{place} {words}", theme.glyph(*level), group.component.title()),
                theme.level(*level),
            ));
        }
    }
    let mut left = room;
    spans.retain(|span| {
        let fits = span.width() <= left;
        left = if fits { left - span.width() } else { 0 };
        fits
    });
    Line::from(spans)
}

/// Lines that the record log has, and the lines that it can show: for the end of scrolling.
pub fn extent(app: &App, theme: Theme, area: Rect) -> (usize, u16) {
    let Some(run) = &app.run else { return (0, 0) };
    let head = now(app, run, theme, usize::from(area.width)).lines.len();
    let parts = layout(run, area, head, app.screen().unfolded);
    if let Some(area) = parts.card.filter(|_| app.screen().unfolded) {
        return (card(run, theme, usize::from(area.width)).lines.len(), area.height);
    }
    let log = below_title(parts.log);
    (self::log(run, theme, usize::from(log.width)).lines.len(), log.height)
}

/// The name of the run and the sentence of the moment.
fn now(app: &App, run: &RunView, theme: Theme, room: usize) -> Page {
    let mut page = Page::default();
    let title = run.plan.as_ref().map_or("", |plan| plan.title.as_str());
    let target = run.plan.as_ref().map_or_else(String::new, |plan| format!(" on {}", plan.target));
    let lasted = run.lasted(app.now).map_or_else(String::new, |lasted| format!(", {lasted}"));
    let (name, id) = (format!("  {title}{target}"), format!("  run {}{lasted}", run.id()));
    let (name, id) = (span(name, theme.style(Role::Strong)), span(id, theme.style(Role::Dim)));
    // A run is named by its id elsewhere, so it is not cut off.
    if name.width() + id.width() <= room {
        page.push(vec![name, id]);
    } else {
        page.push(vec![name]);
        page.push(vec![id]);
    }
    if let Some(document) = run.plan.as_ref().and_then(|plan| plan.document.as_ref()) {
        page.hang(vec![Span::raw("  ")], &document.mark(), theme.level(Level::Working), room);
    }
    let (level, state) = run.standing();
    let sentence = run.sentence(app.now);
    let glyph = if run.gate.is_some() { theme.step(&Progress::WaitingForYou).0 } else { theme.glyph(level) };
    let head = span(format!("  {glyph} {state}"), theme.level(level));
    // The sentence of an end begins with the same word.
    let sentence = sentence.strip_prefix(&format!("{state}: ")).unwrap_or(&sentence).to_owned();
    if head.width() + super::text::width(&sentence) + 3 <= room {
        page.push(vec![head, span(format!(": {sentence}"), theme.style(Role::Plain))]);
    } else {
        page.push(vec![head]);
        page.hang(vec![span("    ", theme.style(Role::Plain))], &sentence, theme.style(Role::Plain), room);
    }
    let end = run.end.as_ref();
    for line in end.iter().flat_map(|end| &end.more) {
        page.hang(vec![span("    ", theme.style(Role::Plain))], line, theme.style(Role::Strong), room);
    }
    // As the command line shows them; enter offers what can be chosen here.
    for way in end.iter().flat_map(|end| &end.ways) {
        let command = way.command.to_string();
        let command = command.lines().next().unwrap_or_default();
        page.hang(vec![span("    $ ", theme.style(Role::Dim))], command, theme.style(Role::Plain), room);
        page.hang(vec![span("      # ", theme.style(Role::Dim))], &way.does, theme.style(Role::Dim), room);
    }
    page
}

/// Columns of the words of states: no wider than the longest that stands there, the titles have the rest.
fn words(lines: &[StepLine]) -> usize {
    lines.iter().map(|line| width(line.progress.word())).max().unwrap_or(0)
}

/// The titles of steps, wrapped beside their states.
fn titles(lines: &[StepLine], room: usize) -> Vec<Vec<String>> {
    let room = room.saturating_sub(words(lines) + 6);
    lines.iter().map(|line| wrap(&line.title, room)).collect()
}

fn steps(run: &RunView, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let (lines, turn) = run.lines();
    let height = usize::from(area.height);
    let current = turn.unwrap_or(lines.len());
    let (room, words) = (usize::from(area.width), words(&lines));
    let mut titles = titles(&lines, room);
    // Whole where all have room, else one line each.
    if titles.iter().map(Vec::len).sum::<usize>() > height {
        let short = |line: &StepLine| vec![cut(&line.title, room.saturating_sub(words + 6), theme)];
        titles = lines.iter().map(short).collect();
    }
    let top = first_in_sight(lines.len(), Some(current), height, |at| titles[at].len());
    let mut y = area.y;
    let mut below = 0;
    for (index, line) in lines.iter().enumerate().skip(top) {
        if y >= area.bottom() {
            break;
        }
        let (glyph, level) = theme.step(&line.progress);
        let title = match &line.progress {
            Progress::Pending | Progress::PutBack => theme.style(Role::Dim),
            Progress::Done(_) => theme.style(Role::Plain),
            Progress::Current
            | Progress::WaitingForYou
            | Progress::Sent
            | Progress::Verifying
            | Progress::Refused
            | Progress::Paused => theme.style(Role::Strong),
        };
        let mut head = vec![
            super::table::mark(theme, index == current),
            span(format!("{glyph} {}  ", pad(line.progress.word(), words)), theme.level(level)),
        ];
        for piece in &titles[index] {
            let mut spans = std::mem::replace(&mut head, vec![Span::raw(" ".repeat(words + 6))]);
            spans.push(span(piece, title));
            let at = Rect { y, height: 1, ..area }.intersection(area);
            frame.render_widget(Line::from(spans), at);
            y = y.saturating_add(1);
        }
        below = lines.len() - index - 1;
    }
    more_rows(frame, area, theme, below, true);
}

fn log(run: &RunView, theme: Theme, room: usize) -> Page {
    let mut page = Page::default();
    for record in &run.records {
        let (level, sentence) = (level(record), run.told(record));
        let at = record.at.strftime("%H:%M:%S").to_string();
        let style = if level == Level::Bad { theme.level(level) } else { theme.style(Role::Plain) };
        let head = vec![
            span(format!("  {at} "), theme.style(Role::Dim)),
            span(format!("{} ", theme.glyph(level)), theme.level(level)),
        ];
        page.hang(head, &sentence, style, room.saturating_sub(1));
        if let Event::Completed { evidence, .. } = &record.event {
            let ways = network_probe_result::ways(evidence);
            let rows = if ways.is_empty() { Vec::new() } else { network_probe_result::table(&ways) };
            for row in rows {
                page.push(vec![span(
                    format!("    {}", cut(&row, room.saturating_sub(5), theme)),
                    theme.style(Role::Plain),
                )]);
            }
        }
    }
    page
}

/// Where the records stand: their title stays, however far down one reads.
fn below_title(log: Rect) -> Rect {
    let title = log.height.min(1);
    Rect { y: log.y + title, height: log.height - title, ..log }
}

/// The newest records, or as far up as was scrolled: the scroll counts from the end here.
fn log_window(app: &App, run: &RunView, theme: Theme, area: Rect) -> (Vec<Line<'static>>, usize) {
    let lines = log(run, theme, usize::from(area.width)).lines;
    let last = lines.len().saturating_sub(usize::from(area.height));
    (lines, last.saturating_sub(app.screen().scroll))
}
