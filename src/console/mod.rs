//! Face 1: the interactive console. Reads `&App`, draws a frame; [`event_loop`] is the loop around it.
//!
//! [`draw`] is pure: same state, same frame, at any size down to one cell ([`terminal_too_small`]). Not here: what keys do (`app`), acting on
//! the world (`app::driver`).
//!
//! Neighbours: [`theme`] (glyph, word and colour of a status), [`text`] and [`table`] (fitting), then one file per view.

mod approvals;
pub mod click_targets;
mod clipboard;
mod cluster_bar;
mod column_widths;
mod detail;
mod dialog;
pub mod event_loop;
pub mod export_markdown;
mod footer;
mod form;
mod form_preview;
mod header;
pub mod input_events;
mod inspector;
pub mod key_script;
mod labelled_page;
mod list_scroll;
mod logs;
mod one_cluster_panel;
mod overview;
mod plan_page;
mod plan_panes;
mod pod_page;
mod raw_mode;
mod regions;
mod run_page;
mod run_progress;
pub mod screenshots;
mod search_highlight;
mod shell_attach;
mod svg;
mod synchronized_backend;
mod table;
mod terminal_too_small;
pub mod text;
pub mod theme;
mod views;
mod yaml_and_diff;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::status_level::{Level, endeavour, freshness_level, freshness_words};
use crate::app::visible_rows::Row;
use crate::app::{App, Dialog, View};
use crate::pluralize::counted;
use click_targets::Spots;
use text::Page;
use theme::{Role, Theme};

/// The parts of the screen. A low terminal loses the header first, then the footer, then the title.
struct Parts {
    header: Rect,
    title: Rect,
    body: Rect,
    footer: Rect,
}

fn parts(area: Rect) -> Parts {
    let header = match area.height {
        10.. => 2,
        5..10 => 1,
        _ => 0,
    };
    let title = u16::from(area.height >= 4);
    let footer = u16::from(area.height >= 3);
    let body = area.height - header - title - footer;
    let mut y = area.y;
    let mut take = |height: u16| {
        let part = Rect { y, height, ..area };
        y += height;
        part
    };
    Parts { header: take(header), title: take(title), body: take(body), footer: take(footer) }
}

/// Draws the whole screen.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    draw_noting(app, frame, &mut Spots::default());
}

/// The same, and notes what lies where.
pub fn draw_noting(app: &App, frame: &mut Frame<'_>, spots: &mut Spots) {
    let area = frame.area();
    spots.question = None;
    if area.is_empty() {
        return;
    }
    let theme = Theme::new(&app.options);
    if terminal_too_small::is_small(area) {
        return terminal_too_small::draw(app, theme, frame, area);
    }
    spots.question = app.question();
    let parts = parts(area);
    header::draw(app, theme, frame, parts.header, spots);
    let rows = app.rows();
    title(app, theme, frame, parts.title, &rows);
    let (body, beside) = inspector::split(app, theme, parts.body);
    views::draw(app, theme, frame, body, &rows, spots);
    if let Some(beside) = beside {
        inspector::draw(app, theme, frame, beside);
    }
    footer::draw(app, theme, frame, parts.footer, spots);
    dialog::draw(app, theme, frame, parts.body, parts.footer);
}

/// Tells the core what only the face knows: which lines of a page have what is looked for, and where scrolling ends.
pub fn settle(app: &mut App, area: Rect) {
    let body = parts(area).body;
    if let Some(wanted) = app.wanted_text() {
        let text = views::text(app, Theme::new(&app.options), usize::from(body.width));
        let lines = text.map(|text| search_highlight::hits(&text, wanted)).unwrap_or_default();
        app.sought(&lines, usize::from(body.height));
    }
    app.limit_scroll(scroll_limit(app, area));
}

/// The last line on which scrolling text may begin; 0 for everything else.
pub fn scroll_limit(app: &App, area: Rect) -> usize {
    let body = parts(area).body;
    let theme = Theme::new(&app.options);
    let room = usize::from(body.width);
    let (lines, height) = match (&app.dialog, app.view()) {
        (Some(Dialog::Help { of, .. }), _) => {
            let (lines, inner) = dialog::help(app, *of, theme, body);
            (lines.len(), inner.height)
        }
        (_, View::Plan) => plan_panes::extent(app, theme, body),
        (_, View::Run) => run_progress::extent(app, theme, body),
        (_, View::Logs { .. }) => (logs::extent(app), body.height),
        _ => match views::text(app, theme, room) {
            Some(text) => (text.lines.len(), body.height),
            None => return 0,
        },
    };
    lines.saturating_sub(usize::from(height))
}

/// Of each cluster that is not live and has rows here, how old they are and what is done about it. What is live has no age: a
/// heading that counts seconds would move for ever.
fn ages(app: &App, rows: &[Row]) -> Vec<(String, String)> {
    if app.view().spec().columns.is_empty() {
        return Vec::new();
    }
    let mut contexts: Vec<&str> = rows.iter().filter(|row| row.old).filter_map(|row| app.context_of(row)).collect();
    contexts.sort_unstable();
    contexts.dedup();
    let clusters = contexts.into_iter().filter_map(|context| app.fleet.clusters.get(context));
    clusters
        .map(|cluster| {
            let words = freshness_words(cluster, app.now);
            (cluster.context.clone(), format!("{words}{}", endeavour(&cluster.freshness)))
        })
        .collect()
}

/// The rule over the body: `members(3)[1] </filter>`.
fn title(app: &App, theme: Theme, frame: &mut Frame<'_>, area: Rect, rows: &[Row]) {
    if area.is_empty() {
        return;
    }
    let rule = theme.style(Role::Dim);
    let mut spans = vec![Span::styled(theme.rule().repeat(2) + " ", rule)];
    let mut path: Vec<&str> = app.path().map(View::title).collect();
    path.dedup();
    let last = path.pop().unwrap_or_default();
    for step in path {
        spans.push(Span::styled(format!("{step} {} ", theme.arrow()), rule));
    }
    spans.push(Span::styled(last.to_owned(), theme.style(Role::Title)));
    let all = app.count_all();
    if all > 0 {
        spans.push(Span::styled(format!("({all})"), theme.style(Role::Title)));
    }
    if rows.len() != all {
        spans.push(Span::styled(format!("[{}]", rows.len()), theme.style(Role::Strong)));
    }
    let accent = theme.style(Role::Accent);
    spans.extend(narrowed(app).into_iter().map(|words| text::span(format!(" <{words}>"), accent)));
    spans.push(Span::raw(" "));
    for (context, words) in ages(app, rows) {
        let used: usize = spans.iter().map(Span::width).sum();
        let words = format!("{context}: {words} ");
        if used + text::width(&words) + 2 > usize::from(area.width) {
            break;
        }
        let fresh = app.fleet.clusters.get(&context).map_or(Level::Unknown, |one| freshness_level(&one.freshness));
        spans.push(Span::styled(theme.rule().to_owned() + " ", rule));
        spans.push(text::span(words, theme.level(fresh)));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    // What there is to try, in the first view of a rehearsal.
    let job = app.first_job().filter(|job| used + text::width(job) + 4 <= usize::from(area.width));
    if let Some(job) = job {
        spans.push(text::span(format!("{job} "), accent));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    spans.push(Span::styled(theme.rule().repeat(usize::from(area.width).saturating_sub(used)), rule));
    frame.render_widget(Line::from(spans), area);
}

/// What of the view is shown and how, where that is not all of it in its own order.
fn narrowed(app: &App) -> Vec<String> {
    let screen = app.screen();
    let marked = screen.marks.len();
    let without_tls = app.runs_without_tls().filter(|_| *app.view() == View::Certificates);
    let all = [
        (!screen.filter.is_empty()).then(|| match (app.wanted_text(), screen.hit) {
            (Some(wanted), Some(hit)) => format!("/{wanted} {} of {}", hit.number, hit.of),
            (Some(wanted), None) => format!("/{wanted} in no line"),
            (None, _) => format!("/{}", screen.filter),
        }),
        (marked > 0).then(|| format!("{marked} marked")),
        app.faults_only.then(|| "faults only".to_owned()),
        app.focus.as_ref().map(|context| format!("only {context}")),
        app.namespace.as_ref().map(|namespace| format!("ns {namespace}")),
        without_tls.map(|name| format!("{name} runs without TLS")),
        app.order_of_instances().map(str::to_owned),
        app.aged_words(),
    ];
    all.into_iter().flatten().collect()
}

/// Lines one below the other from the `top`th on, as many as have room.
fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>, top: usize) {
    for (offset, line) in lines.into_iter().skip(top).take(usize::from(area.height)).enumerate() {
        let y = area.y + u16::try_from(offset).unwrap_or(u16::MAX);
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

/// Text from its `scroll`th line on, with a mark at the right edge while there is more.
fn page(frame: &mut Frame<'_>, area: Rect, page: Page, scroll: usize, theme: Theme) {
    let height = usize::from(area.height);
    let top = scroll.min(page.lines.len().saturating_sub(height));
    let more = page.lines.len() > top + height;
    lines(frame, area, page.lines, top);
    if more && area.width > 20 && height > 0 {
        let mark = format!(" {} more ", theme.key("down"));
        let wide = u16::try_from(text::width(&mark)).unwrap_or(0);
        let spot = Rect { x: area.right() - wide, y: area.bottom() - 1, width: wide, height: 1 };
        frame.render_widget(Span::styled(mark, theme.style(Role::Accent)), spot);
    }
}

/// One quiet sentence where a view has nothing to show.
fn empty(frame: &mut Frame<'_>, area: Rect, theme: Theme, sentence: &str) {
    if area.is_empty() {
        return;
    }
    let y = area.y + u16::from(area.height > 2);
    for (offset, line) in text::wrap(sentence, usize::from(area.width).saturating_sub(4)).into_iter().enumerate() {
        let y = y + u16::try_from(offset).unwrap_or(u16::MAX);
        if y < area.bottom() {
            let line = Line::from(vec![Span::raw("  "), Span::styled(line, theme.style(Role::Dim))]);
            frame.render_widget(line, Rect { y, height: 1, ..area });
        }
    }
}

/// What hides the rows that there are, and the key that shows them.
fn hidden(app: &App) -> String {
    let filter = &app.screen().filter;
    let mut rows = Vec::new();
    if !filter.is_empty() {
        rows.push(format!("that fits the filter {filter:?}"));
    }
    if app.faults_only && app.view().spec().faults {
        rows.push("that is at fault".to_owned());
    }
    if let Some(namespace) = &app.namespace {
        rows.push(format!("in namespace {namespace}"));
    }
    let keys = match (filter.is_empty(), app.faults_only, app.namespace.is_some()) {
        (false, ..) => "Esc clears the filter, / changes it.",
        (true, true, _) => "Ctrl-z shows what is well, too.",
        (true, false, _) => "0 shows every namespace.",
    };
    format!("No row {} is seen here, of {} in all. {keys}", rows.join(" and "), counted(app.count_all(), "row"))
}

/// Why a list is empty: the filter, or that there is nothing.
fn nothing(app: &App, otherwise: &str) -> String {
    if app.count_all() > 0 {
        return hidden(app);
    }
    if app.fleet.clusters.is_empty() {
        return "No cluster yet: the kubeconfig has no context, or it is still being read.".into();
    }
    if let Some(context) = app.focus.as_ref().filter(|_| !app.view().spec().columns.is_empty()) {
        let live = app.fleet.clusters.get(context).is_some_and(|cluster| cluster.freshness.is_live());
        let seen = if live { "has nothing for this list" } else { "is not seen" };
        return format!("Only {context} is shown, and it {seen}. 0 shows all clusters.");
    }
    // What is empty is not empty for being hidden.
    let dark = app.fleet.clusters.values().filter(|cluster| !cluster.freshness.is_live()).count();
    let partly = app.databases().iter().any(|database| !database.unseen.is_empty());
    match (dark, partly) {
        (0, false) => otherwise.to_owned(),
        (0, true) => format!("{otherwise} A part of what is here is not seen."),
        (dark, _) => format!("{otherwise} {dark} of {} not seen.", counted(app.fleet.clusters.len(), "cluster")),
    }
}
