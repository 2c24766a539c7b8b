//! A text that is looked for in a page: which lines have it, and how they stand out.
//!
//! Not here: where to go next ([`crate::app::search`]).

use std::ops::Range;

use ratatui::text::{Line, Span};

use super::text::Page;
use super::theme::{Role, Theme};
use crate::app::search::Hit;

/// Places that are marked in one line: what a screen can show of it.
const MOST: usize = 500;

/// Indices of the lines that have the text; large and small letters are the same.
pub fn hits(page: &Page, wanted: &str) -> Vec<usize> {
    let has = |line: &Line<'_>| found(&whole(line), wanted).next().is_some();
    page.lines.iter().enumerate().filter(|(_, line)| has(line)).map(|(at, _)| at).collect()
}

/// The page with the text marked in the lines in sight, in the line in front most of all.
pub fn lit(mut page: Page, wanted: &str, hit: Option<Hit>, sight: Range<usize>, theme: Theme) -> Page {
    let (top, height) = (sight.start, sight.len());
    for (at, line) in page.lines.iter_mut().enumerate().skip(top).take(height) {
        let role = if hit.is_some_and(|hit| hit.line == at) { Role::Cursor } else { Role::Changed };
        let text = whole(line);
        let ranges: Vec<(usize, usize)> = found(&text, wanted).take(MOST).collect();
        if !ranges.is_empty() {
            *line = marked(line, &ranges, theme, role);
        }
    }
    page
}

fn whole(line: &Line<'_>) -> String {
    line.spans.iter().map(|span| span.content.as_ref()).collect()
}

/// Where the text stands, in bytes of the line, one behind the other.
fn found<'a>(line: &'a str, wanted: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    let wanted: Vec<char> = wanted.chars().flat_map(char::to_lowercase).collect();
    let mut from = 0;
    std::iter::from_fn(move || {
        while from < line.len() {
            let rest = &line[from..];
            if let Some(long) = begins(rest, &wanted) {
                let at = from;
                from += long;
                return Some((at, at + long));
            }
            from += rest.chars().next().map_or(1, char::len_utf8);
        }
        None
    })
}

/// The bytes that a line begins with of this text, written in small letters.
fn begins(line: &str, wanted: &[char]) -> Option<usize> {
    let mut left = wanted;
    for (at, c) in line.char_indices() {
        if left.is_empty() {
            return (at > 0).then_some(at);
        }
        for small in c.to_lowercase() {
            let (first, rest) = left.split_first()?;
            if *first != small {
                return None;
            }
            left = rest;
        }
    }
    (left.is_empty() && !line.is_empty()).then_some(line.len())
}

/// The line with these ranges in another style.
fn marked(line: &Line<'static>, ranges: &[(usize, usize)], theme: Theme, role: Role) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut begun = 0;
    for span in &line.spans {
        let text = span.content.as_ref();
        let mut at = 0;
        while at < text.len() {
            let place = begun + at;
            let inside = ranges.iter().find(|(from, to)| (*from..*to).contains(&place));
            let next = ranges.iter().map(|(from, _)| *from).find(|from| *from > place);
            let end = inside.map(|(_, to)| *to).or(next).map_or(text.len(), |end| (end - begun).min(text.len()));
            let style = if inside.is_some() { span.style.patch(theme.style(role)) } else { span.style };
            spans.push(Span::styled(text[at..end].to_owned(), style));
            at = end;
        }
        begun += text.len();
    }
    Line::from(spans).style(line.style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppOptions;

    fn all(line: &str, wanted: &str) -> Vec<String> {
        found(line, wanted).map(|(from, to)| line[from..to].to_owned()).collect()
    }

    #[test]
    fn a_text_is_found_however_it_is_written() {
        assert_eq!(all("replicas: 3, Replicas", "REPLICAS"), ["replicas", "Replicas"]);
        assert_eq!(all("aaaa", "aa"), ["aa", "aa"], "one behind the other");
        assert_eq!(all("日本語 本", "本"), ["本", "本"]);
        assert_eq!(all("İstanbul", "i\u{307}s"), ["İs"], "one letter may be two small ones");
        assert!(all("abc", "abcd").is_empty() && all("", "a").is_empty() && all("abc", "").is_empty());
    }

    #[test]
    fn what_is_found_stands_out_across_spans_and_nothing_is_lost() {
        let theme = Theme::new(&AppOptions::default());
        let mut page = Page::default();
        page.push(vec![Span::raw("spec"), Span::raw("."), Span::raw("pd: spec.p")]);
        page.push(vec![Span::raw("other")]);
        assert_eq!(hits(&page, "c.p"), [0]);
        let before: Vec<String> = page.lines.iter().map(|line| whole(line)).collect();
        let page = lit(page, "c.p", Some(Hit { line: 0, number: 1, of: 1 }), 0..2, theme);
        assert_eq!(page.lines.iter().map(|line| whole(line)).collect::<Vec<_>>(), before);
        let bright: Vec<&str> = page.lines[0]
            .spans
            .iter()
            .filter(|span| span.style != ratatui::style::Style::default())
            .map(|span| span.content.as_ref())
            .collect();
        assert_eq!(bright, ["c", ".", "p", "c.p"]);
    }
}
