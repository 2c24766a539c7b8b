//! What lies over a view: the palette's completions, the help, and the questions before something is sent.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use super::footer::prompt;
use super::text::{cut, pad, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::help::Entry;
use crate::app::keymap::{Group, Scope};
use crate::app::palette::candidates;
use crate::app::run_choices::heading;
use crate::app::status_level::Level;
use crate::app::{App, Copyable, Dialog};
use crate::pluralize::{counted, has};

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, body: Rect, footer: Rect) {
    match &app.dialog {
        Some(Dialog::Palette { input, stem }) => {
            let stem = stem.as_deref().unwrap_or(input.value());
            palette(app, theme, frame, body, input.value(), stem);
        }
        Some(Dialog::Help { scroll, of }) => keys_window(app, theme, frame, body, *of, *scroll),
        Some(Dialog::Ask { title, question, yes, go, .. }) => {
            let of = confirmed(app, theme, body);
            ask(theme, frame, body, title, question, yes, *go, of);
        }
        Some(Dialog::Typed { question, text, input, wrong, .. }) => {
            let lines = vec![span(" type exactly ", theme.style(Role::Dim)), span(text, theme.style(Role::Strong))];
            let wrong = wrong.then_some("that is not it; nothing was sent");
            let of = confirmed(app, theme, body);
            field(theme, frame, body, footer, question, of, lines, input, wrong);
        }
        Some(Dialog::Choices { at, offers }) => {
            let lines = offers.iter().map(|offer| {
                let (label, about) = offer.words();
                (label.to_owned(), about)
            });
            choices(theme, frame, body, &format!(" {} ", heading(offers)), lines.collect(), *at);
        }
        Some(Dialog::Pick { title, at, items }) => {
            let lines = items.iter().map(|item| (item.label.clone(), item.about.clone()));
            choices(theme, frame, body, &format!(" {title} "), lines.collect(), *at);
        }
        Some(Dialog::Copy { at, items }) => copies(theme, frame, body, items, *at),
        Some(Dialog::Port { of, port, input, wrong, .. }) => {
            let about = format!("Which port of this machine leads to port {port} of {of}?");
            let wrong = wrong.then_some("a number from 1 to 65535; nothing was opened");
            let lines = vec![span(" on 127.0.0.1; one that is taken is refused", theme.style(Role::Dim))];
            field(theme, frame, body, footer, &about, Vec::new(), lines, input, wrong);
        }
        Some(Dialog::Reason { offer, input, wrong }) => {
            let (_, about) = offer.words();
            let wrong = wrong.then_some("a reason is needed; nothing was sent");
            let lines = vec![span(" why? it is what the next person will read", theme.style(Role::Dim))];
            field(theme, frame, body, footer, &about, Vec::new(), lines, input, wrong);
        }
        Some(Dialog::Overrule { check, sentence, input, wrong }) => {
            let about = format!("check {check}, a reading and not proof: {sentence}");
            let wrong = Some(wrong.as_str()).filter(|wrong| !wrong.is_empty());
            let why = " why does it not count? it is journalled and stands in plan, report and approval";
            field(
                theme,
                frame,
                body,
                footer,
                &about,
                Vec::new(),
                vec![span(why, theme.style(Role::Dim))],
                input,
                wrong,
            );
        }
        Some(Dialog::Filter { .. }) | None => {}
    }
}

/// A cleared box with a border in the middle; `None` where not even one cell would be inside.
fn window(frame: &mut Frame<'_>, theme: Theme, area: Rect, wide: usize, title: &str) -> Option<Rect> {
    let width = u16::try_from(wide).unwrap_or(u16::MAX).min(area.width);
    let spot = Rect { x: area.x + (area.width - width) / 2, width, ..area };
    if spot.width < 3 || spot.height < 3 {
        frame.render_widget(Clear, spot);
        return Some(spot).filter(|spot| !spot.is_empty());
    }
    frame.render_widget(Clear, spot);
    let block = Block::bordered()
        .border_set(theme.border())
        .border_style(theme.style(Role::Accent))
        .title(Span::styled(cut(title, usize::from(width) - 2, theme), theme.style(Role::Strong)));
    let inside = block.inner(spot);
    frame.render_widget(block, spot);
    Some(inside)
}

fn put(frame: &mut Frame<'_>, area: Rect, lines: impl IntoIterator<Item = Line<'static>>) {
    for (offset, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        let y = area.y + u16::try_from(offset).unwrap_or(u16::MAX);
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
}

/// A box of `lines` lines in the middle of the body.
fn middle(body: Rect, lines: usize) -> Rect {
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(body.height);
    Rect { y: body.y + (body.height - height) / 3, height, ..body }
}

fn palette(app: &App, theme: Theme, frame: &mut Frame<'_>, body: Rect, value: &str, stem: &str) {
    let found = candidates(app, stem);
    let shown = found.len().min(usize::from(body.height)).min(12);
    if shown == 0 || body.width < 10 {
        return;
    }
    // The list keeps the picked one in sight.
    // What enter takes is marked: the one that was picked, or the best where it is meant.
    let picked = found.iter().position(|one| one.text == value);
    let meant = !stem.trim().is_empty() && found.first().is_some_and(|one| one.fit.is_meant());
    let picked = picked.or(meant.then_some(0));
    let top = picked.map_or(0, |at| (at + 1).saturating_sub(shown));
    let height = u16::try_from(shown).unwrap_or(1);
    let area = Rect { y: body.bottom() - height, height, ..body };
    frame.render_widget(Clear, area);
    let room = usize::from(body.width);
    let widest = found.iter().map(|one| width(&one.text)).max().unwrap_or(0).min(room * 2 / 3);
    let lines = found.iter().enumerate().skip(top).take(shown).map(|(index, one)| {
        let at = picked == Some(index);
        let style = theme.style(if at { Role::Cursor } else { Role::Plain });
        let about = cut(&one.about, room.saturating_sub(widest + 5), theme);
        Line::from(vec![
            super::table::mark(theme, at),
            span(pad(&cut(&one.text, widest, theme), widest), style),
            span(format!("  {about}"), theme.style(Role::Dim)),
        ])
    });
    put(frame, area, lines);
}

fn keys_window(app: &App, theme: Theme, frame: &mut Frame<'_>, body: Rect, scope: Scope, scroll: usize) {
    let (lines, inner) = help(app, scope, theme, body);
    let title = format!(" keys that work here: {} ", app.view().title());
    let wide = lines.iter().map(Line::width).max().unwrap_or(0) + 4;
    let Some(inside) = window(frame, theme, inner, wide, &title) else { return };
    let room = usize::from(inside.height);
    let top = scroll.min(lines.len().saturating_sub(room));
    let below = lines.len().saturating_sub(top + room);
    put(frame, inside, lines.into_iter().skip(top));
    if below > 0 && inner.height >= 3 {
        // In the border, where it hides no line.
        let words = format!(" {} {below} more ", theme.key("down"));
        let at = Rect { x: inside.x + 1, y: inside.bottom(), height: 1, width: inside.width.saturating_sub(1) };
        frame.render_widget(Span::styled(words, theme.style(Role::Strong)), at);
    }
}

/// The help of a scope, group by group in as many columns as fit, and the area that it takes.
pub fn help(app: &App, scope: Scope, theme: Theme, body: Rect) -> (Vec<Line<'static>>, Rect) {
    let groups = app.help(scope);
    let keys_of = |keys: &[&str]| match keys {
        [first, .., last] if keys.len() > 6 => format!("{first}..{last}"),
        keys => keys.iter().map(|name| theme.key(name)).collect::<Vec<_>>().join(" "),
    };
    let entries = || groups.iter().flat_map(|(_, entries)| entries);
    let mut lines = app.help_lines(scope);
    if scope.is_view() {
        lines.extend(Level::ALL.map(|level| (theme.glyph(level), level.meaning())));
    }
    let of_lines = lines.iter().map(|(line, _)| width(line));
    let keys = entries().map(|(keys, _)| width(&keys_of(keys))).chain(of_lines).max().unwrap_or(0).min(14);
    let of_lines = lines.iter().map(|(_, about)| about.len());
    let labels = entries().map(|(_, label)| label.len()).chain(of_lines).max().unwrap_or(0);
    let one = keys + 2 + labels + 2;
    let columns = (usize::from(body.width).saturating_sub(4) / one.max(1)).clamp(1, 3);
    // Each group with its heading.
    let block = |title: &str, entries: Vec<(String, &str)>| {
        let mut block = vec![Line::from(span(pad(title, one), theme.style(Role::Title)))];
        block.extend(entries.into_iter().map(|(names, label)| {
            Line::from(vec![
                span(pad(&cut(&names, keys, theme), keys), theme.style(Role::Accent)),
                span(format!("  {}", pad(label, labels + 2)), theme.style(Role::Plain)),
            ])
        }));
        block
    };
    let named = |(group, entries): &(Group, Vec<Entry>)| {
        block(group.title(), entries.iter().map(|(names, label)| (keys_of(names), *label)).collect())
    };
    let mut blocks: Vec<Vec<Line<'static>>> = groups.iter().map(named).collect();
    if !lines.is_empty() {
        let lines = lines.into_iter().map(|(line, about)| (line.to_owned(), about));
        blocks.push(block("lines and signs", lines.collect()));
    }
    let filled = in_columns(blocks, columns, one);
    let height = filled.iter().map(Vec::len).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(height + 1);
    let own = app.view().spec().help;
    if !own.is_empty() {
        let own = wrap(own, usize::from(body.width).saturating_sub(6)).into_iter();
        lines.extend(own.map(|line| Line::from(span(format!(" {line}"), theme.style(Role::Dim)))));
    }
    for row in 0..height {
        let mut spans = vec![Span::raw(" ")];
        for column in &filled {
            match column.get(row) {
                Some(line) => spans.extend(line.spans.iter().cloned()),
                None => spans.push(Span::raw(" ".repeat(one))),
            }
        }
        lines.push(Line::from(spans));
    }
    let area = middle(body, lines.len());
    let inner = Rect { height: area.height.saturating_sub(2).max(1), ..area };
    (lines, if area.height >= 3 { area } else { inner })
}

/// Blocks below each other in at most so many columns, as low as that can be; no block is torn apart.
fn in_columns(blocks: Vec<Vec<Line<'static>>>, columns: usize, one: usize) -> Vec<Vec<Line<'static>>> {
    let fits = |used: usize, block: &[Line<'static>], most: usize| used == 0 || used + 1 + block.len() <= most;
    let needed = |most: usize| {
        blocks.iter().fold((1, 0), |(columns, used), block| match fits(used, block, most) {
            true => (columns, used + usize::from(used > 0) + block.len()),
            false => (columns + 1, block.len()),
        })
    };
    let all: usize = blocks.iter().map(|block| block.len() + 1).sum();
    let most = (all / columns.max(1)..all).find(|most| needed(*most).0 <= columns).unwrap_or(all);
    let mut filled: Vec<Vec<Line<'static>>> = vec![Vec::new()];
    for block in blocks {
        let last = filled.len() - 1;
        if !fits(filled[last].len(), &block, most) {
            filled.push(block);
            continue;
        }
        if !filled[last].is_empty() {
            filled[last].push(Line::from(Span::raw(" ".repeat(one))));
        }
        filled[last].extend(block);
    }
    filled
}

/// What can be copied; beneath the list the text of the line in focus stands whole, to be read or copied by hand.
fn copies(theme: Theme, frame: &mut Frame<'_>, body: Rect, items: &[Copyable], at: usize) {
    let wide = usize::from(body.width).clamp(1, 110);
    let widest = items.iter().map(|item| width(item.what)).max().unwrap_or(0);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let style = theme.style(if index == at { Role::Cursor } else { Role::Plain });
        let text = match item.text.trim_end().lines().count() {
            0 | 1 => item.text.clone(),
            several => counted(several, "line"),
        };
        let text = cut(&text, wide.saturating_sub(widest + 8), theme);
        lines.push(Line::from(vec![
            super::table::mark(theme, index == at),
            span(pad(item.what, widest), style),
            span(format!("  {text}"), theme.style(Role::Dim)),
        ]));
    }
    let whole = items.get(at).map(|item| item.text.as_str()).unwrap_or_default();
    let mut below = vec![Line::default()];
    for line in whole.lines() {
        let pieces = wrap(line, wide.saturating_sub(4));
        below.extend(pieces.into_iter().map(|piece| Line::from(span(format!(" {piece}"), theme.style(Role::Plain)))));
    }
    let room = usize::from(body.height).saturating_sub(2);
    below.truncate(room.saturating_sub(lines.len()).max(2));
    let area = middle(body, lines.len() + below.len());
    let list = usize::from(area.height.saturating_sub(2)).saturating_sub(below.len()).max(1);
    let skip = (at + 1).saturating_sub(list);
    let Some(inside) = window(frame, theme, area, wide, " copy ") else { return };
    let shown: Vec<Line<'static>> = lines.into_iter().skip(skip).take(list).chain(below).collect();
    put(frame, inside, shown);
}

/// What a question confirms, whole: before and after, the request, the rollback.
fn confirmed(app: &App, theme: Theme, body: Rect) -> Vec<Line<'static>> {
    let room = usize::from(body.width).clamp(1, 110).saturating_sub(4);
    app.asked_step().map(|step| super::plan_panes::confirmed(theme, &step, room)).unwrap_or_default()
}

/// How wide a question is: as wide as there is room where it shows what it confirms.
fn asking(body: Rect, of: &[Line<'static>]) -> usize {
    usize::from(body.width).clamp(1, if of.is_empty() { 72 } else { 110 })
}

/// What is confirmed in so many lines; what has no room is told.
fn fitted(theme: Theme, mut of: Vec<Line<'static>>, room: usize) -> Vec<Line<'static>> {
    if of.len() > room {
        let more = of.len() + 1 - room.max(1);
        of.truncate(room.saturating_sub(1));
        let words = format!(" {} of it {} no room here", counted(more, "line"), has(more));
        of.push(Line::from(span(words, theme.level(Level::Working))));
    }
    of
}

#[expect(clippy::too_many_arguments, reason = "where it is drawn, and the parts of one box")]
fn ask(
    theme: Theme,
    frame: &mut Frame<'_>,
    body: Rect,
    title: &str,
    question: &str,
    yes: &str,
    go: bool,
    of: Vec<Line<'static>>,
) {
    let wide = asking(body, &of);
    let mut lines: Vec<Line<'static>> = wrap(question, wide.saturating_sub(4))
        .into_iter()
        .map(|piece| Line::from(Span::styled(format!(" {piece}"), theme.style(Role::Plain))))
        .collect();
    let room = usize::from(body.height).saturating_sub(lines.len() + 5);
    lines.extend(fitted(theme, of, room));
    lines.push(Line::default());
    let button = |label: &str, focus: bool| {
        let style = theme.style(if focus { Role::Cursor } else { Role::Plain });
        let (left, right) = if focus { ("[>", "<]") } else { ("[ ", " ]") };
        span(format!("{left}{label}{right}"), style)
    };
    lines.push(Line::from(vec![
        Span::raw(" "),
        button("Not yet", !go),
        Span::raw("  "),
        button(&format!("{yes} (y)"), go),
    ]));
    let area = middle(body, lines.len());
    let skip = lines.len().saturating_sub(usize::from(area.height.saturating_sub(2)).max(1));
    let Some(inside) = window(frame, theme, area, wide, &format!(" {title} ")) else { return };
    // Where not all fits, the buttons stay.
    put(frame, inside, lines.into_iter().skip(skip));
}

/// A list of labels, each with what it means; the one in focus is chosen by enter.
fn choices(theme: Theme, frame: &mut Frame<'_>, body: Rect, title: &str, offers: Vec<(String, String)>, at: usize) {
    let wide = usize::from(body.width).clamp(1, 78);
    let widest = offers.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
    let lines = offers.iter().enumerate().map(|(index, (label, about))| {
        let style = theme.style(if index == at { Role::Cursor } else { Role::Plain });
        let about = cut(about, wide.saturating_sub(widest + 8), theme);
        Line::from(vec![
            super::table::mark(theme, index == at),
            span(pad(label, widest), style),
            span(format!("  {about}"), theme.style(Role::Dim)),
        ])
    });
    let area = middle(body, offers.len());
    // Where not all fits, what is picked stays in sight.
    let skip = (at + 1).saturating_sub(usize::from(area.height.saturating_sub(2)).max(1));
    let Some(inside) = window(frame, theme, area, wide, title) else { return };
    put(frame, inside, lines.skip(skip));
}

/// A question that is answered by typing.
#[expect(clippy::too_many_arguments, reason = "where it is drawn, and the parts of one box")]
fn field(
    theme: Theme,
    frame: &mut Frame<'_>,
    body: Rect,
    footer: Rect,
    question: &str,
    of: Vec<Line<'static>>,
    asked: Vec<Span<'static>>,
    input: &tui_input::Input,
    wrong: Option<&str>,
) {
    let wide = asking(body, &of);
    let mut lines: Vec<Line<'static>> = wrap(question, wide.saturating_sub(4))
        .into_iter()
        .map(|piece| Line::from(Span::styled(format!(" {piece}"), theme.style(Role::Plain))))
        .collect();
    let room = usize::from(body.height).saturating_sub(lines.len() + 6);
    lines.extend(fitted(theme, of, room));
    lines.push(Line::default());
    lines.push(Line::from(asked));
    if let Some(wrong) = wrong {
        let said = format!(" {} {wrong}", theme.glyph(Level::Bad));
        lines.push(Line::from(span(said, theme.level(Level::Bad))));
    }
    let area = middle(body, lines.len() + 1);
    let inside = window(frame, theme, area, wide, " waits for you ");
    let Some(inside) = inside.filter(|inside| inside.height > 1) else {
        // No room for the box: the field takes the last line there is.
        return prompt(frame, footer, theme, "> ", input);
    };
    let height = inside.height - 1;
    let skip = lines.len().saturating_sub(usize::from(height));
    put(frame, Rect { height, ..inside }, lines.into_iter().skip(skip));
    let line = Rect { y: inside.bottom() - 1, height: 1, ..inside };
    prompt(frame, line, theme, " > ", input);
}
