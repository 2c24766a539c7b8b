//! Where the `${…}` of a text begin and end.
//!
//! A hole is one CEL expression: braces inside its strings and comments are not counted, and it may go over several
//! lines. Pure; what stands in a hole is read by [`crate::runbook::language::cel_expr`].

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Text(&'a str),
    /// Without `${` and `}`.
    Hole(&'a str),
}

/// Cuts a text at its holes; an empty text between two is left out. `Err`: a hole that is never closed, with what stands
/// before it.
pub fn split(text: &str) -> Result<Vec<Part<'_>>, Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let body = &rest[start + 2..];
        let Some(end) = end(body) else {
            parts.push(Part::Text(rest));
            return Err(parts);
        };
        if start > 0 {
            parts.push(Part::Text(&rest[..start]));
        }
        parts.push(Part::Hole(&body[..end]));
        rest = &body[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// What stands between the holes of a text: one more than there are holes. A hole that is never closed is text.
pub fn pieces(text: &str) -> Vec<String> {
    let parts = match split(text) {
        Ok(parts) | Err(parts) => parts,
    };
    let mut pieces = vec![String::new()];
    for part in parts {
        match (part, pieces.last_mut()) {
            (Part::Text(text), Some(last)) => last.push_str(text),
            (Part::Text(_) | Part::Hole(_), _) => pieces.push(String::new()),
        }
    }
    pieces
}

/// Where the brace is that closes a hole, in bytes from its beginning.
fn end(body: &str) -> Option<usize> {
    let mut depth = 1_usize;
    let mut at = 0;
    let mut raw = false;
    while let Some(c) = body[at..].chars().next() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '\'' | '"' => {
                at += string(&body[at..], c, raw)?;
                raw = false;
                continue;
            }
            '/' if body[at..].starts_with("//") => {
                at += body[at..].find('\n')?;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        raw = matches!(c, 'r' | 'R');
        at += c.len_utf8();
    }
    None
}

/// The length in bytes of the string that begins here, quotes included.
fn string(body: &str, quote: char, raw: bool) -> Option<usize> {
    let three: String = std::iter::repeat_n(quote, 3).collect();
    let close = if body.starts_with(&three) { three } else { quote.to_string() };
    let mut at = close.len();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(&close) {
            return Some(at + close.len());
        }
        let next = rest.chars().next()?;
        at += next.len_utf8();
        if next == '\\' && !raw {
            at += body.get(at..)?.chars().next()?.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_end_where_their_expression_does() {
        let cases: [(&str, &[&str]); 11] = [
            ("plain $x {y}", &[]),
            ("${a}", &["a"]),
            ("x ${a} y ${b.c} z", &["a", "b.c"]),
            ("${ {'a': {'b': x}} }!", &[" {'a': {'b': x}} "]),
            ("${'}' + a} after", &["'}' + a"]),
            ("${\"{\" + a}", &["\"{\" + a"]),
            (r"${'it\'s }' + a}", &[r"'it\'s }' + a"]),
            (r"${r'\' + '}'}", &[r"r'\' + '}'"]),
            ("${'''a ' } b'''}", &["'''a ' } b'''"]),
            ("${a.map(x,\n  x.n) // not this }\n}", &["a.map(x,\n  x.n) // not this }\n"]),
            ("${'「}」' + a}", &["'「}」' + a"]),
        ];
        for (text, expected) in cases {
            let parts = split(text).unwrap_or_else(|_| panic!("{text} is closed"));
            let found: Vec<&str> = parts
                .iter()
                .filter_map(|part| match part {
                    Part::Hole(source) => Some(*source),
                    Part::Text(_) => None,
                })
                .collect();
            assert_eq!(found, expected, "{text}");
            assert_eq!(pieces(text).len(), found.len() + 1, "{text}");
        }
    }

    #[test]
    fn what_is_never_closed_is_no_hole() {
        for text in ["${a", "x ${ {a}", "${'}", "${a // }", r"${'\"] {
            assert!(split(text).is_err(), "{text}");
            assert_eq!(pieces(text), [text], "{text}");
        }
        assert_eq!(pieces("a${b}c${d"), ["a", "c${d"]);
    }
}
