//! What this program said, noticed and asked in this session, the last one first.
//! Drawn by `console::table`.

use super::{Cell, Item, LIST, Row, Tone, ViewSpec, column, middle, number, sentence, state};
use crate::app::connection_stats::Request;
use crate::app::status_level::Level;
use crate::app::{App, Told};

pub const SPEC: ViewSpec = ViewSpec {
    title: "log",
    names: &["log", "messages", "requests"],
    about: "what this program said and noticed in this session, and each request with its end",
    columns: &[
        column("AT", 8, 0),
        column("WHAT", 8, 1),
        middle("CLUSTER", 7, 2),
        state("STATUS", 6, 1),
        number("MS", 4, 3),
        sentence("SENTENCE", 30, 0),
    ],
    rows,
    empty: "Nothing was said yet, and nothing asked: each request and each word to you is listed here.",
    ..LIST
};

fn rows(app: &App) -> Vec<Row> {
    let told = app.told.iter().enumerate().map(|(at, told)| (told.at, said(at, told)));
    let in_focus = |request: &&Request| app.in_focus(Some(&request.context));
    let asked = app.requests.all.iter().filter(in_focus).map(|request| (request.asked.at, asked(request)));
    let mut all: Vec<_> = told.chain(asked).collect();
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all.into_iter().map(|(_, row)| row).collect()
}

fn said(at: usize, told: &Told) -> Row {
    Row::new(format!("said {at}"), told.level, Item::Line).copies(&told.sentence).cells(vec![
        Cell::dim(told.at.strftime("%H:%M:%S").to_string()),
        Cell::level(told.level, told.about),
        Cell::plain(""),
        Cell::plain(""),
        Cell::plain(""),
        Cell::plain(&told.sentence),
    ])
}

fn asked(request: &Request) -> Row {
    let asked = &request.asked;
    // What is forbidden or not there is often asked for on purpose: only what failed is a fault.
    let level = if asked.failed() { Level::Bad } else { Level::Done };
    let status = match &asked.ended {
        Ok(status) => status.to_string(),
        Err(why) => why.clone(),
    };
    let tone = if asked.failed() { Tone::Level(level) } else { Tone::Dim };
    let line = format!("{} {}", asked.method, asked.path);
    Row::new(format!("request {}", request.number), level, Item::Line).copies(line).cells(vec![
        Cell::dim(asked.at.strftime("%H:%M:%S").to_string()),
        Cell::dim(&asked.method),
        Cell::plain(&request.context),
        Cell::new(status, tone),
        Cell::number(i64::try_from(asked.ms).ok()),
        Cell::dim(&asked.path),
    ])
}
