//! The log format of PD, TiKV and TiDB: `[time] [LEVEL] [file:line] ["message"] [key=value]`, taken apart.
//!
//! Pure. Whatever is not in this format stays a text of its own. Not here: where lines come from (`closeup`).

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Gravity {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "DEBUG" | "TRACE" => Gravity::Debug,
            "INFO" => Gravity::Info,
            "WARN" | "WARNING" => Gravity::Warn,
            "ERROR" => Gravity::Error,
            "FATAL" | "PANIC" | "CRITICAL" | "DPANIC" => Gravity::Fatal,
            _ => return None,
        })
    }

    pub fn word(self) -> &'static str {
        match self {
            Gravity::Debug => "DEBUG",
            Gravity::Info => "INFO",
            Gravity::Warn => "WARN",
            Gravity::Error => "ERROR",
            Gravity::Fatal => "FATAL",
        }
    }
}

/// A line taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    pub gravity: Gravity,
    /// `server.go:1720`
    pub place: &'a str,
    pub message: String,
    /// The fields as they were written, brackets included.
    pub fields: &'a str,
}

/// `None`: the line is in another format.
pub fn parse(line: &str) -> Option<Parsed<'_>> {
    let (time, rest) = part(line)?;
    if !time.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (level, rest) = part(rest)?;
    let gravity = Gravity::of(level)?;
    let (place, rest) = part(rest)?;
    let (message, fields) = part(rest)?;
    Some(Parsed { gravity, place, message: unquoted(message), fields: fields.trim_start() })
}

/// How grave a line looks; of other formats, by the words that Go and Rust programs print when they die.
pub fn gravity(line: &str) -> Gravity {
    match parse(line) {
        Some(parsed) => parsed.gravity,
        None if line.starts_with("panic:") || line.starts_with("fatal error:") => Gravity::Fatal,
        None => Gravity::Info,
    }
}

/// The first part in brackets and what is behind it. A bracket inside quotes ends nothing.
fn part(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().strip_prefix('[')?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> String {
    match text.starts_with('"') {
        true => serde_json::from_str(text).unwrap_or_else(|_| text.trim_matches('"').to_owned()),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_pd_tikv_and_tidb() {
        let cases = [
            (
                r#"[2026/11/29 12:00:00.123 +00:00] [INFO] [server.go:1720] ["campaign PD leader ok"] [campaign-leader-name=pd-0]"#,
                Some((Gravity::Info, "server.go:1720", "campaign PD leader ok", "[campaign-leader-name=pd-0]")),
            ),
            (
                r#"[2026/11/29 12:00:00.123 +00:00] [WARN] [raft.rs:1] ["a \"b\" ] c"] [x="[1]"] [y=2]"#,
                Some((Gravity::Warn, "raft.rs:1", r#"a "b" ] c"#, r#"[x="[1]"] [y=2]"#)),
            ),
            (
                "[2026/11/29 12:00:00.123 +00:00] [FATAL] [main.go:8] [died]",
                Some((Gravity::Fatal, "main.go:8", "died", "")),
            ),
            ("nslookup domain x success", None),
            ("[not] [INFO] [a] [b]", None),
            ("[2026/11/29 12:00:00.123 +00:00] [LOUD] [a] [b]", None),
            ("[2026/11/29 12:00:00.123 +00:00] [INFO] [a] [\"open", None),
            ("", None),
        ];
        for (line, expected) in cases {
            let parsed = parse(line);
            let found = parsed.as_ref().map(|p| (p.gravity, p.place, p.message.as_str(), p.fields));
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(gravity("panic: failed NewURLs"), Gravity::Fatal);
        assert_eq!(gravity("ready"), Gravity::Info);
    }
}
