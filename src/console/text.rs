//! Text made safe and made to fit: no control characters, cut to a width, wrapped, laid out as lines.
//!
//! Everything that came from a cluster passes [`clean`] here before it is drawn. Not here: colours ([`super::theme`]).

use std::borrow::Cow;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::theme::Theme;
use crate::sanitize::judged;

/// Puts a dot where a character would steer the terminal, reorder text or stay unseen; white space becomes a blank.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !judged(text).any(|(_, bad)| bad) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", " ");
    Cow::Owned(
        judged(&text)
            .map(|(c, bad)| {
                if matches!(c, '\n' | '\t') {
                    ' '
                } else if bad {
                    '·'
                } else {
                    c
                }
            })
            .collect(),
    )
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Cuts at the end.
pub fn cut(text: &str, room: usize, theme: Theme) -> String {
    let text = clean(text);
    if width(&text) <= room {
        return text.into_owned();
    }
    if room == 0 {
        return String::new();
    }
    head(&text, room - 1) + theme.ellipsis()
}

/// Cuts in the middle: both ends of a URL or an id say which it is.
pub fn cut_middle(text: &str, room: usize, theme: Theme) -> String {
    let text = clean(text);
    if width(&text) <= room {
        return text.into_owned();
    }
    if room < 5 {
        return cut(&text, room, theme);
    }
    let tail = (room - 1) / 2;
    head(&text, room - 1 - tail) + theme.ellipsis() + &self::tail(&text, tail)
}

fn head(text: &str, room: usize) -> String {
    let mut used = 0;
    let fits = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= room
    });
    fits.collect()
}

fn tail(text: &str, room: usize) -> String {
    let mut used = 0;
    let fits: Vec<char> = text
        .chars()
        .rev()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect();
    fits.into_iter().rev().collect()
}

/// Fills up with spaces.
pub fn pad(text: &str, room: usize) -> String {
    let missing = room.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Breaks at spaces; a word longer than the room is broken where it must be.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if width(&line) + gap + width(word) <= room {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while width(rest) > room {
            let mut piece = head(rest, room);
            // URLs and paths break behind their punctuation rather than inside a word.
            if let Some(at) = piece.rfind(['/', '.', ':', ',', '-', '&', '=']).filter(|at| *at >= piece.len() / 2) {
                piece.truncate(at + 1);
            }
            if piece.is_empty() {
                // One character wider than the whole room.
                piece = rest.chars().take(1).collect();
            }
            rest = &rest[piece.len()..];
            lines.push(piece);
        }
        line.push_str(rest);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Spans broken into lines of so many columns, wherever they have to be: of a URL or an id nothing is left out.
pub fn folded(spans: Vec<Span<'static>>, room: usize) -> Vec<Vec<Span<'static>>> {
    let room = room.max(1);
    let (mut lines, mut line, mut left) = (Vec::new(), Vec::new(), room);
    for one in spans {
        let mut rest = one.content.as_ref();
        while !rest.is_empty() {
            let mut piece = head(rest, left);
            if piece.is_empty() && left == room {
                // One character wider than the whole room.
                piece = rest.chars().take(1).collect();
            }
            rest = &rest[piece.len()..];
            left = left.saturating_sub(width(&piece));
            if !piece.is_empty() {
                line.push(Span::styled(piece, one.style));
            }
            if !rest.is_empty() {
                lines.push(std::mem::take(&mut line));
                left = room;
            }
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Lines of text that scroll: plan, run, detail, help.
#[derive(Debug, Default)]
pub struct Page {
    pub lines: Vec<Line<'static>>,
}

impl Page {
    pub fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| line.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    pub fn push(&mut self, spans: Vec<Span<'static>>) {
        self.lines.push(Line::from(spans));
    }

    /// A head on the first line, and the text wrapped beside it.
    pub fn hang(&mut self, head: Vec<Span<'static>>, text: &str, style: Style, room: usize) {
        let indent: usize = head.iter().map(Span::width).sum();
        let mut head = Some(head);
        for piece in wrap(text, room.saturating_sub(indent)) {
            let mut spans = head.take().unwrap_or_else(|| vec![Span::raw(" ".repeat(indent))]);
            spans.push(Span::styled(piece, style));
            self.push(spans);
        }
    }
}

/// A span of cleaned text.
pub fn span(text: impl AsRef<str>, style: Style) -> Span<'static> {
    Span::styled(clean(text.as_ref()).into_owned(), style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppOptions;

    #[test]
    fn a_cluster_cannot_speak_to_the_terminal() {
        for (text, said) in [
            ("plain", "plain"),
            ("\u{1b}]52;c;aGk=\u{7}x", "·]52;c;aGk=·x"),
            ("a\u{9b}31mb", "a·31mb"),
            ("a\r\nb\tc", "a b c"),
            ("ab\u{202e}cd", "ab·cd"),
            ("a\u{200b}b\u{ad}c\u{feff}", "a·b·c·"),
        ] {
            assert_eq!(clean(text), said);
        }
    }

    #[test]
    fn cutting_never_exceeds_the_room() {
        let theme = Theme::new(&AppOptions::default());
        for text in ["", "a", "http://basic-pd-0.basic-pd-peer:2380", "日本語テキスト", "e\u{301}e\u{301}e\u{301}"]
        {
            for room in 0..20 {
                assert!(width(&cut(text, room, theme)) <= room, "{text} in {room}");
                assert!(width(&cut_middle(text, room, theme)) <= room, "{text} in {room}");
            }
        }
        assert_eq!(cut_middle("abcdefghij", 7, theme), "abc…hij");
    }

    #[test]
    fn folding_leaves_nothing_out() {
        let plain = Style::default();
        let texts = |spans: &[&'static str], room| -> Vec<String> {
            let spans = spans.iter().map(|text| Span::styled(*text, plain)).collect();
            folded(spans, room).iter().map(|line| line.iter().map(|one| one.content.as_ref()).collect()).collect()
        };
        assert_eq!(texts(&["abc", "defg", "h"], 4), ["abcd", "efgh"]);
        assert_eq!(texts(&["abcd"], 4), ["abcd"]);
        assert_eq!(texts(&["日本"], 1), ["日", "本"]);
        assert_eq!(texts(&["a日本"], 2), ["a", "日", "本"]);
        assert_eq!(texts(&[], 4), [""]);
    }

    #[test]
    fn wrapping() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh x", 3), ["abc", "def", "gh", "x"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("日本", 1), ["日", "本"]);
        assert_eq!(wrap("http://a.b.example:2380", 12), ["http://a.b.", "example:2380"]);
    }
}
