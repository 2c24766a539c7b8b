//! What lies over a view: the palette's completions, the help, and the questions before something is sent.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

use super::footer::prompt;
use super::text::{cut, pad, span, width, wrap};
use super::theme::{Role, Theme};
use crate::app::choices::ResolutionOffer;
use crate::app::keymap::{Scope, bindings};
use crate::app::palette::candidates;
use crate::app::words::Level;
use crate::app::{App, Dialog};

pub fn draw(app: &App, theme: Theme, frame: &mut Frame<'_>, body: Rect, footer: Rect) {
    match &app.dialog {
        Some(Dialog::Palette { input, stem }) => {
            let stem = stem.as_deref().unwrap_or(input.value());
            palette(app, theme, frame, body, input.value(), stem);
        }
        Some(Dialog::Help { scroll, of }) => {
            let (lines, inner) = help(*of, theme, body);
            let title = " keys of this view ";
            let wide = lines.iter().map(Line::width).max().unwrap_or(0) + 4;
            let Some(inside) = window(frame, theme, inner, wide, title) else { return };
            let top = (*scroll).min(lines.len().saturating_sub(usize::from(inside.height)));
            put(frame, inside, lines.into_iter().skip(top));
        }
        Some(Dialog::Ask { title, question, yes, go, .. }) => {
            ask(theme, frame, body, title, question, yes, *go);
        }
        Some(Dialog::Typed { question, text, input, wrong, .. }) => {
            let lines = vec![span(" type exactly ", theme.style(Role::Dim)), span(text, theme.style(Role::Strong))];
            let wrong = wrong.then_some("that is not it; nothing was sent");
            field(theme, frame, body, footer, question, lines, input, wrong);
        }
        Some(Dialog::Choices { at, offers }) => choices(theme, frame, body, offers, *at),
        Some(Dialog::Reason { offer, input, wrong }) => {
            let (_, about) = offer.words();
            let wrong = wrong.then_some("a reason is needed; nothing was sent");
            let lines = vec![span(" why? it is what the next person will read", theme.style(Role::Dim))];
            field(theme, frame, body, footer, &about, lines, input, wrong);
        }
        Some(Dialog::Overrule { check, sentence, input, wrong }) => {
            let about = format!("check {check}, a reading and not proof: {sentence}");
            let wrong = Some(wrong.as_str()).filter(|wrong| !wrong.is_empty());
            let why = " why does it not count? it is journalled and stands in plan, report and approval";
            field(theme, frame, body, footer, &about, vec![span(why, theme.style(Role::Dim))], input, wrong);
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
    let picked = found.iter().position(|one| one.text == value);
    let top = picked.map_or(0, |at| (at + 1).saturating_sub(shown));
    let height = u16::try_from(shown).unwrap_or(1);
    let area = Rect { y: body.bottom() - height, height, ..body };
    frame.render_widget(Clear, area);
    let widest = found.iter().map(|one| width(&one.text)).max().unwrap_or(0);
    let room = usize::from(body.width);
    let lines = found.iter().enumerate().skip(top).take(shown).map(|(index, one)| {
        let at = picked == Some(index);
        let style = theme.style(if at { Role::Cursor } else { Role::Plain });
        let about = cut(&one.about, room.saturating_sub(widest + 5), theme);
        Line::from(vec![
            super::table::mark(theme, at),
            span(pad(&one.text, widest), style),
            span(format!("  {about}"), theme.style(Role::Dim)),
        ])
    });
    put(frame, area, lines);
}

/// The help of a scope in as many columns as fit, and the area that it takes.
pub fn help(scope: Scope, theme: Theme, body: Rect) -> (Vec<Line<'static>>, Rect) {
    let entries: Vec<(String, &str)> = bindings(scope)
        .map(|binding| {
            let keys: Vec<String> = match binding.keys {
                [first, .., last] if binding.keys.len() > 6 => vec![format!("{first}..{last}")],
                keys => keys.iter().map(|name| theme.key(name)).collect(),
            };
            (keys.join(" "), binding.label)
        })
        .collect();
    let keys = entries.iter().map(|(keys, _)| width(keys)).max().unwrap_or(0);
    let labels = entries.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    let one = keys + 2 + labels + 2;
    let columns = (usize::from(body.width).saturating_sub(4) / one.max(1)).clamp(1, 3);
    let height = entries.len().div_ceil(columns);
    let mut lines = Vec::with_capacity(height);
    for row in 0..height {
        let mut spans = vec![Span::raw(" ")];
        for (keys_of, label) in entries.iter().skip(row).step_by(height).take(columns) {
            spans.push(span(pad(keys_of, keys), theme.style(Role::Accent)));
            spans.push(span(format!("  {}", pad(label, labels + 2)), theme.style(Role::Plain)));
        }
        lines.push(Line::from(spans));
    }
    let area = middle(body, lines.len());
    let inner = Rect { height: area.height.saturating_sub(2).max(1), ..area };
    (lines, if area.height >= 3 { area } else { inner })
}

fn ask(theme: Theme, frame: &mut Frame<'_>, body: Rect, title: &str, question: &str, yes: &str, go: bool) {
    let wide = usize::from(body.width).clamp(1, 72);
    let mut lines: Vec<Line<'static>> = wrap(question, wide.saturating_sub(4))
        .into_iter()
        .map(|piece| Line::from(Span::styled(format!(" {piece}"), theme.style(Role::Plain))))
        .collect();
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

fn choices(theme: Theme, frame: &mut Frame<'_>, body: Rect, offers: &[ResolutionOffer], at: usize) {
    let wide = usize::from(body.width).clamp(1, 78);
    let widest = offers.iter().map(|offer| width(offer.words().0)).max().unwrap_or(0);
    let lines = offers.iter().enumerate().map(|(index, offer)| {
        let (label, about) = offer.words();
        let style = theme.style(if index == at { Role::Cursor } else { Role::Plain });
        let about = cut(&about, wide.saturating_sub(widest + 8), theme);
        Line::from(vec![
            super::table::mark(theme, index == at),
            span(pad(label, widest), style),
            span(format!("  {about}"), theme.style(Role::Dim)),
        ])
    });
    let area = middle(body, offers.len());
    // Where not all fits, what is picked stays in sight.
    let skip = (at + 1).saturating_sub(usize::from(area.height.saturating_sub(2)).max(1));
    let Some(inside) = window(frame, theme, area, wide, " the run has stopped; what now? ") else { return };
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
    asked: Vec<Span<'static>>,
    input: &tui_input::Input,
    wrong: Option<&str>,
) {
    let wide = usize::from(body.width).clamp(1, 72);
    let mut lines: Vec<Line<'static>> = wrap(question, wide.saturating_sub(4))
        .into_iter()
        .map(|piece| Line::from(Span::styled(format!(" {piece}"), theme.style(Role::Plain))))
        .collect();
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
