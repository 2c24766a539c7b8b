//! Quotes of shell text, and the simple commands between its operators.

use crate::hazards::lint::limits::NESTED;

/// Which quote a text has opened and not closed, read piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotes {
    open: Option<char>,
    escaped: bool,
}

impl Quotes {
    pub fn read(&mut self, text: &str) {
        for c in text.chars() {
            match (c, self.open) {
                _ if self.escaped => self.escaped = false,
                ('\\', None | Some('"')) => self.escaped = true,
                ('\'' | '"', None) => self.open = Some(c),
                (c, Some(open)) if c == open => self.open = None,
                _ => {}
            }
        }
    }

    /// The line ends: a backslash there continues it.
    pub fn end_line(&mut self) {
        self.escaped = false;
    }

    pub fn is_open(self) -> bool {
        self.open.is_some()
    }
}

/// Whether a quote that the text opens is not closed in it.
pub fn is_open(text: &str) -> bool {
    let mut quotes = Quotes::default();
    quotes.read(text);
    quotes.is_open()
}

/// A line cut into simple commands, and these into words with their quotes. A comment ends it.
pub fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let chars: Vec<char> = line.chars().collect();
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut at = 0;
    let end_word = |words: &mut Vec<String>, word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    while at < chars.len() {
        let c = chars[at];
        let redirects = (at > 0 && chars[at - 1] == '>') || chars.get(at + 1) == Some(&'>');
        match c {
            '#' if word.is_empty() => {
                let end = chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |end| at + end);
                at = end;
                continue;
            }
            ';' | '\n' | '|' | '(' | ')' => {
                end_word(&mut words, &mut word);
                all.push(std::mem::take(&mut words));
            }
            '&' if !redirects => {
                end_word(&mut words, &mut word);
                all.push(std::mem::take(&mut words));
            }
            c if c.is_whitespace() => end_word(&mut words, &mut word),
            '\\' => {
                word.push(c);
                if let Some(next) = chars.get(at + 1) {
                    word.push(*next);
                    at += 1;
                }
            }
            '\'' | '"' | '`' => {
                let end = skip(&chars, at);
                word.extend(&chars[at..end]);
                at = end;
                continue;
            }
            '$' if matches!(chars.get(at + 1), Some('(' | '{')) => {
                let end = skip(&chars, at);
                word.extend(&chars[at..end]);
                at = end;
                continue;
            }
            _ => word.push(c),
        }
        at += 1;
    }
    end_word(&mut words, &mut word);
    all.push(words);
    all.retain(|words| !words.is_empty());
    all
}

/// Behind what begins at `at`: a quoted part, `$(…)`, `${…}` or a command in backticks. What is never closed reaches to the
/// end.
pub fn skip(chars: &[char], at: usize) -> usize {
    skip_nested(chars, at, 0)
}

fn skip_nested(chars: &[char], at: usize, depth_so_far: usize) -> usize {
    let opens = |at: usize| {
        matches!(chars[at], '\'' | '"' | '`') || (chars[at] == '$' && matches!(chars.get(at + 1), Some('(' | '{')))
    };
    let (close, mut next, nested) = match (chars[at], chars.get(at + 1)) {
        ('$', Some('(')) => (')', at + 2, true),
        ('$', Some('{')) => ('}', at + 2, true),
        (quote, _) => (quote, at + 1, quote == '"'),
    };
    let mut depth = 0;
    while next < chars.len() {
        match chars[next] {
            c if c == close && depth == 0 => return next + 1,
            ')' if close == ')' => depth -= 1,
            '(' if close == ')' => depth += 1,
            '\\' if close != '\'' => next += 1,
            // Inside of double quotes a single one is a letter.
            '\'' if close == '"' => {}
            // Deeper than anybody writes, what opens something is a letter.
            _ if nested && depth_so_far < NESTED && opens(next) => {
                next = skip_nested(chars, next, depth_so_far + 1);
                continue;
            }
            _ => {}
        }
        next += 1;
    }
    chars.len()
}
