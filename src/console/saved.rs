//! The view in front as text: whole, not only what is in sight, without colours. For `ctrl-s`.
//!
//! Not here: writing the file (`app::driver::saved`).

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::plan;
use super::theme::Theme;
use crate::app::message::Effect;
use crate::app::{App, Subject, View};

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
        View::Detail(Subject::Finding(key)) => {
            format!("finding-{}", key.split_whitespace().next().unwrap_or_default())
        }
        View::Detail(Subject::Pod(of)) => format!("pod-{}-{}", of.context, of.name),
        View::Detail(Subject::TidbCluster(of)) => format!("tidbcluster-{}-{}", of.context, of.name),
        _ => view.replace(' ', "-"),
    }
}

/// The screen, as tall as what it shows; of a plan all of its steps.
pub fn text(app: &App) -> String {
    if *app.view() == View::Plan {
        let page = plan::page(app, Theme::new(&app.options), usize::from(WIDE));
        let lines = page.lines.iter().map(|line| format!("{}\n", line.to_string().trim_end()));
        return format!("{}\n{}", app.now, lines.collect::<String>());
    }
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
    format!("{}\n{}\n", app.now, lines.join("\n"))
}

/// Lines that the view would take.
fn tall(app: &App) -> usize {
    let whole = Rect::new(0, 0, WIDE, FRAME + 1);
    let text = super::scroll_limit(app, whole) + 2;
    let notes = app.rows().iter().map(|row| 1 + row.notes.len() * 3).sum::<usize>();
    text.max(notes + 10)
}
