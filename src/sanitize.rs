//! Text that may leave for a terminal, a pipe or a file: nothing in it steers, reorders or hides.
//!
//! Names of PD members, store addresses, context names and runbook titles are free text from somebody else. [`Shown`] can
//! only be made by cleaning, and the printing parts take nothing else, so no face has to remember it. What is cleaned is
//! made visible (`\u202e`), not dropped: two names that differ must not look the same. The notation is that of JSON, so a
//! document stays the document that it was. Not here: cutting and wrapping (`console::text`, `report::table`).

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// Cleaned text, of any number of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub fn new(text: &str) -> Self {
        Self(visible(text, |c| c == '\n' || c == '\t').into_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One line: line ends and tabs are made visible as well.
pub fn one_line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false)
}

fn visible(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !judged(text).any(|(c, bad)| bad && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (c, bad) in judged(text) {
        if bad && !keep(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Marks without a width of their own that may follow each other: more than a letter of any script carries.
const PILE: usize = 8;

/// Each character, and whether it is to be made visible: by itself, or as one of a pile of marks, which takes no room
/// however high it is, and so would never be cut.
pub fn judged(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut pile = 0;
    text.chars().map(move |c| {
        let mark = !c.is_ascii() && c.width() == Some(0);
        pile = if mark { pile + 1 } else { 0 };
        (c, is_hidden(c) || pile > PILE)
    })
}

/// Whether a terminal would obey it (C0, DEL, C1), or a reader would not see it, or see others in another order.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // soft hyphen, Arabic letter mark, Mongolian vowel separator, Hangul fillers
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            // zero width, marks and overrides of direction, line and paragraph separators
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // byte order mark, interlinear marks, tags
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_or_hides_is_made_visible() {
        let cases = [
            ("plain ü 日本 👍", "plain ü 日本 👍"),
            ("a\nb\tc", "a\nb\tc"),
            ("\u{1b}]52;c;aGk=\u{7}", "\\u001b]52;c;aGk=\\u0007"),
            ("a\u{9b}31m\u{7f}", "a\\u009b31m\\u007f"),
            ("a\r\nb", "a\\u000d\nb"),
            (
                "x\u{202e}y\u{2066}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}",
                "x\\u202ey\\u2066\\u061c\\u200b\\u200d\\u2060\\ufeff\\u00ad",
            ),
            ("\u{e0041}", "\\udb40\\udc41"),
        ];
        for (text, expected) in cases {
            assert_eq!(Shown::new(text).as_str(), expected);
        }
        assert_eq!(one_line("a\nb\tc"), "a\\u000ab\\u0009c");
    }

    #[test]
    fn a_pile_of_marks_takes_room_from_its_ninth_on() {
        let pile = format!("z{}", "\u{301}".repeat(40_000));
        let shown = one_line(&pile);
        assert!(shown.starts_with(&format!("z{}\\u0301", "\u{301}".repeat(8))), "{}", &shown[..60]);
        assert_eq!(shown.matches("\\u0301").count(), 40_000 - 8);
        for plain in ["n\u{303}", "\u{1112}\u{1161}\u{11ab}", "\u{915}\u{94d}\u{937}\u{93f}", "\u{e01}\u{e33}\u{e49}"] {
            assert_eq!(one_line(plain), plain);
        }
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({"a\u{9b}": "x\u{202e}\u{1b}\\\u{ad}\u{e0041}\n", "b": ["\u{feff}"]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("serialises")] {
            let shown = Shown::new(&text);
            assert!(!shown.as_str().chars().any(|c| is_hidden(c) && c != '\n'), "{shown:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(shown.as_str()).expect("JSON"), value);
        }
    }
}
