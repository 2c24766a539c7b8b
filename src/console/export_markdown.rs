//! What is looked at as Markdown for a ticket, whole and not only what is in sight. For `ctrl-s`: a finding, the list of them, a
//! plan and a run in the words of `report`, a list as a table, any other page as a block.
//!
//! Not here: writing the file (`app::driver::save_to_file`).

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::theme::Theme;
use crate::app::driver::approval_audit::recorded;
use crate::app::message::Effect;
use crate::app::overview_matrix::{CellView, Column};
use crate::app::run_journal_loading::Known;
use crate::app::status_level::freshness_words;
use crate::app::views::{Cell, Row, members};
use crate::app::visible_rows::Item;
use crate::app::whole_run::WholeRun;
use crate::app::{App, Subject, View};
use crate::report;
use crate::report::markdown::{block, cell};
use crate::report::ticket;
use crate::runbook::run::view;
use crate::sanitize::Shown;

/// Columns of what is saved.
const WIDE: u16 = 160;
/// Most lines of it.
const MOST: u16 = 4_000;
/// Lines of the frame around a view.
const FRAME: u16 = 5;

/// What is to be written, and under which name.
pub fn of(app: &App) -> Effect {
    let at = app.now.strftime("%Y%m%d-%H%M%S");
    Effect::Write { name: format!("tidepilot-{}-{at}", called(app)), text: text(app) }
}

fn called(app: &App) -> String {
    let view = app.view().title();
    match app.view() {
        View::Run => format!("run-{}", app.run.as_ref().map_or("none", |run| run.id())),
        View::Plan => {
            let target = app.plan.as_ref().map_or_else(String::new, |plan| format!("-{}", plan.target.name));
            format!("plan{target}")
        }
        View::Detail(Subject::Sentence(sentence)) => sentence.chars().take(60).collect(),
        View::Detail(Subject::Finding(key)) => {
            format!("finding-{}", key.split_whitespace().next().unwrap_or_default())
        }
        View::Detail(Subject::Run(id)) => format!("run-{id}"),
        View::Detail(Subject::Pod(of)) => format!("pod-{}-{}", of.context, of.name),
        View::Detail(Subject::TidbCluster(of)) => format!("tidbcluster-{}-{}", of.context, of.name),
        _ => view.replace(' ', "-"),
    }
}

/// The document. Names in it are free text of others, and a ticket shows them to people who never saw the console.
pub fn text(app: &App) -> String {
    Shown::new(&written(app)).as_str().to_owned()
}

fn written(app: &App) -> String {
    let own = match app.view() {
        View::Plan => app.plan.as_ref().map(|plan| report::plan::markdown(plan)),
        View::Run => app.run.as_ref().and_then(|run| report::run_report::so_far(&run.records)),
        View::Detail(Subject::Run(_)) => match app.whole_run() {
            Some(Known::Read(whole)) => report_of(whole),
            Some(Known::Asked | Known::NotRead(_)) | None => None,
        },
        _ => None,
    };
    own.unwrap_or_else(|| format!("{}\n{}", head(app), body(app)))
}

/// What `runs report` prints of it; the objects of approvals are not looked for from here.
fn report_of(whole: &WholeRun) -> Option<String> {
    let shown = view::Shown::of(&whole.records).ok()?;
    let approvals =
        recorded(shown.run(), &whole.records, "the console does not look for it, tidepilot runs report does");
    let mut verified = whole.verified.clone();
    report::approval_audit::into(&mut verified, &approvals);
    report::run_report::markdown(&whole.records, &verified, &approvals)
}

/// What a ticket is about: of a page its object.
fn title(view: &View) -> String {
    match view {
        View::Detail(Subject::Pod(of)) => format!("pod {of}"),
        View::Detail(Subject::Member(id)) => format!("PD member {id}"),
        View::Detail(Subject::Store(id)) => format!("store {id}"),
        View::Detail(Subject::Cluster(context)) => format!("KubeCluster {context}"),
        View::Detail(Subject::TidbCluster(of)) => format!("TidbCluster {of}"),
        View::Detail(Subject::Run(id)) => format!("run {id}"),
        View::Detail(Subject::Sentence(sentence)) => sentence.clone(),
        View::Detail(Subject::Finding(key)) => format!("finding {}", key.split(' ').next().unwrap_or_default()),
        View::Detail(Subject::Certificate(key)) => format!("certificate {key}"),
        _ => view.title().to_owned(),
    }
}

/// What is looked at, when, and how much of the fleet is seen.
fn head(app: &App) -> String {
    let mut out = format!("# {}\n\n", cell(&title(app.view())));
    out.push_str(&ticket::about("at", &app.now.to_string()));
    if *app.view() == View::Findings {
        // Their list is that of every Database.
        for one in app.databases() {
            let pd = format!("{}; {}", app.pd_words(one).1, app.loss_words(one));
            out.push_str(&ticket::about(&format!("database {}, PD", one.name), &pd));
        }
    } else if let Some(database) = app.database() {
        out.push_str(&ticket::about("database", &database.name));
        out.push_str(&ticket::about("PD", &format!("{}; {}", app.pd_words(database).1, app.loss_words(database))));
    }
    for cluster in app.fleet.clusters.values() {
        out.push_str(&ticket::about(&cluster.context, &freshness_words(cluster, app.now)));
    }
    if !app.screen().filter.is_empty() {
        out.push_str(&ticket::about("filter", &app.screen().filter));
    }
    out
}

fn body(app: &App) -> String {
    match app.view() {
        View::Findings => findings(app),
        View::Detail(Subject::Sentence(sentence)) => sentence.clone(),
        View::Detail(Subject::Finding(key)) => app.finding(key).map(ticket::finding).unwrap_or_default(),
        View::Detail(subject) => {
            let page = super::detail::page(app, Theme::new(&app.options), subject, usize::from(WIDE));
            block(&page.lines.iter().map(|line| format!("{}\n", line.to_string().trim_end())).collect::<String>())
        }
        View::Overview => instances(app),
        view if !view.spec().columns.is_empty() => table(app),
        _ => block(&screen(app)),
    }
}

/// What is wrong, each with its evidence; then what is not seen.
fn findings(app: &App) -> String {
    let mut out = String::new();
    let mut sentences = String::new();
    for row in app.rows().iter() {
        match &row.item {
            Item::Finding(index) => {
                out.extend(app.checked().findings.get(*index).map(|one| format!("{}\n", ticket::finding(one))));
            }
            Item::Problem(problem) => {
                sentences.push_str(&format!("* {}: {}\n", cell(&problem.of), cell(&problem.sentence)));
            }
            _ => {}
        }
    }
    if out.is_empty() && sentences.is_empty() {
        return empty(app);
    }
    format!("{out}{sentences}")
}

/// An empty page would not say whether there is nothing or nothing was seen.
fn empty(app: &App) -> String {
    format!("{}\n", cell(&super::views::why_empty(app)))
}

fn table(app: &App) -> String {
    let headings: Vec<String> = app.view().spec().columns.iter().map(|column| column.title.to_owned()).collect();
    let rows: Vec<Vec<String>> = app.rows().iter().map(|row| cells(app, row)).collect();
    if rows.is_empty() {
        return empty(app);
    }
    ticket::table(&headings, &rows)
}

/// The cells of a row. What a colour says on the screen is a word here.
fn cells(app: &App, row: &Row) -> Vec<String> {
    let mut all: Vec<String> = row.cells.iter().map(Cell::words).collect();
    let drifts = match row.item {
        Item::Member(index) => {
            app.database().and_then(|database| database.members.get(index)).is_some_and(|one| one.drift)
        }
        _ => false,
    };
    let url = app.view().spec().columns.iter().position(|column| column.title == members::PEER_URL);
    if let Some(cell) = url.filter(|_| drifts).and_then(|at| all.get_mut(at)) {
        cell.push_str(" (drift)");
    }
    all
}

/// The overview: an instance a row, a TidbCluster a column.
fn instances(app: &App) -> String {
    let matrix = app.matrix();
    let named = |column: &Column| {
        let of = column.tidb_cluster.as_ref().map(|of| format!(" {}/{}", of.namespace, of.name));
        format!("{}{}", column.context, of.unwrap_or_default())
    };
    let headings: Vec<String> = ["INSTANCE".to_owned()].into_iter().chain(matrix.columns.iter().map(named)).collect();
    let shown = |cell: &CellView| {
        let lead = if cell.leader { ", leads" } else { "" };
        let drift = if cell.drift { ", its peerURL is not the one of its pod" } else { "" };
        format!("{}{lead}{drift}, {}", cell.word, cell.detail).trim_end_matches([',', ' ']).to_owned()
    };
    let rows: Vec<Vec<String>> = app
        .rows()
        .iter()
        .filter_map(|row| match &row.item {
            Item::Instance(instance) => {
                let cells = instance.cells.iter().map(|cell| cell.as_ref().map(shown).unwrap_or_default());
                Some([instance.label()].into_iter().chain(cells).collect())
            }
            _ => None,
        })
        .collect();
    ticket::table(&headings, &rows)
}

/// The screen, as tall as what it shows.
fn screen(app: &App) -> String {
    let height = u16::try_from(tall(app)).unwrap_or(MOST).saturating_add(FRAME).clamp(24, MOST);
    let mut terminal = match Terminal::new(TestBackend::new(WIDE, height)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    match terminal.draw(|frame| super::draw(app, frame)) {
        Ok(_) => {}
        Err(never) => match never {},
    }
    let buffer = terminal.backend().buffer();
    let mut lines: Vec<String> = Vec::new();
    // The last line is that of the keys.
    for y in 0..height.saturating_sub(1) {
        let line: String = (0..WIDE).map(|x| buffer[(x, y)].symbol()).collect();
        lines.push(line.trim_end().to_owned());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

/// Lines that the view would take.
fn tall(app: &App) -> usize {
    let whole = Rect::new(0, 0, WIDE, FRAME + 1);
    let text = super::scroll_limit(app, whole) + 2;
    let notes = app.rows().iter().map(|row| 1 + row.notes.len() * 3).sum::<usize>();
    text.max(notes + 10)
}
