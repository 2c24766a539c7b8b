//! Which variables a shell text sets, and replacing them as a shell would.
//!
//! What is read: assignments (`a=1; b=2`, before a command, with `export`, `local`, `declare` …), `for`, `read`, `printf -v`,
//! `mapfile`, `getopts`. What a command gives is set, with a value that nobody knows. What cannot be followed (`source`,
//! `eval`) may set anything. Not here: here-documents and command lines ([`crate::hazards::lint::shell_text`]). Nothing is run.

use std::collections::{BTreeMap, BTreeSet};

use crate::hazards::lint::limits::Room;
use crate::hazards::lint::shell_quotes::{simple_commands, skip};

/// Set by whoever starts a shell.
const ENVIRONMENT: [&str; 20] = [
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "PWD",
    "OLDPWD",
    "HOSTNAME",
    "SHELL",
    "UID",
    "EUID",
    "LANG",
    "TMPDIR",
    "RANDOM",
    "SECONDS",
    "LINENO",
    "HOSTTYPE",
    "OSTYPE",
    "KUBECONFIG",
    "EPOCHSECONDS",
    "BASH_SOURCE",
];

/// The variables of one text.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// Every name that the whole text sets or expects from outside, wherever that stands: functions are written before
    /// they are called.
    names: BTreeSet<String>,
    /// Something was read that may set any name.
    open: bool,
    /// The values so far; `None` where only a run would tell.
    values: BTreeMap<String, Option<String>>,
    /// What values and replacements may still add.
    room: Room,
}

impl Variables {
    /// Looks over a whole text, whose values are not known yet.
    pub fn of(lines: &[String]) -> Self {
        let mut all = Self::default();
        // Only the names count here.
        let room = Room::default();
        for line in lines {
            expected(line, &mut all.names);
            for words in simple_commands(line) {
                if let Some(word) = words.iter().find(|word| !is_keyword(word)) {
                    all.open |= matches!(word.as_str(), "source" | "." | "eval");
                    // `export $(cat .env)`
                    let sets = matches!(word.as_str(), "export" | "declare" | "readonly");
                    all.open |= sets && words.iter().any(|word| word.starts_with("$(") || word.starts_with('`'));
                }
                all.names.extend(assigned(&words, &BTreeMap::new(), &room).into_iter().map(|(name, _)| name));
            }
        }
        all
    }

    /// Takes over what one line sets.
    pub fn read(&mut self, line: &str) {
        for words in simple_commands(line) {
            let set = assigned(&words, &self.values, &self.room);
            self.values.extend(set);
        }
    }

    /// Whether values became too long to be followed.
    pub fn too_long(&self) -> bool {
        self.room.refused()
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.open || self.names.contains(name) || ENVIRONMENT.contains(&name)
    }

    /// Whether the text itself says what a name is.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Replaces `${name}` and `$name` where the value is known, by nothing where the variable is not set; what is set to
    /// something unknown stays, without braces, which mean something in YAML. Names all.
    pub fn replace(&self, text: &str) -> (String, Vec<String>) {
        replace(text, |name| match self.values.get(name) {
            Some(Some(value)) if self.room.take(value.len()) => Some(value.clone()),
            None if !self.is_set(name) => Some(String::new()),
            Some(_) | None => Some(format!("${name}")),
        })
    }

    /// With the values that are known, and the other variables without braces.
    pub fn known(&self, text: &str) -> String {
        let value = |name: &str| self.values.get(name)?.as_ref().filter(|value| self.room.take(value.len())).cloned();
        replace(text, |name| value(name).or_else(|| Some(format!("${name}")))).0
    }

    /// A text whose variables the reader sets, without braces.
    pub fn bare(text: &str) -> String {
        replace(text, |name| Some(format!("${name}"))).0
    }

    /// The names that a text uses.
    pub fn used(text: &str) -> Vec<String> {
        replace(text, |_| None).1
    }
}

/// Replaces by what `by` gives, leaves as it is where that is `None`, and names all.
fn replace(text: &str, by: impl Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let braced = from.starts_with("${");
        let start = if braced { 2 } else { 1 };
        let name: String = from[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let whole = start + name.len() + usize::from(braced);
        let closed = !braced || from[start + name.len()..].starts_with('}');
        // `$1`, `$@` and `$?` are always there; `${a:-b}` has a word of its own for the case; `\$` is a dollar.
        let counted = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !counted || !closed || before.ends_with('\\') {
            out.push('$');
            rest = &from[1..];
            continue;
        }
        match by(&name) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&from[..whole]),
        }
        names.push(name);
        rest = &from[whole..];
    }
    out.push_str(rest);
    (out, names)
}

/// `${X:?why}`, `${X:-y}`, `${X:=y}`, and what `[ -z "$X" ]` looks at: whoever writes that has thought of it.
fn expected(line: &str, names: &mut BTreeSet<String>) {
    let mut rest = line;
    while let Some(at) = rest.find("${") {
        rest = &rest[at + 2..];
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let after = rest[name.len()..].trim_start_matches(':');
        if !name.is_empty() && after.starts_with(['?', '-', '=', '+']) {
            names.insert(name);
        }
    }
    for words in simple_commands(line) {
        let tests = words
            .iter()
            .find(|word| !is_keyword(word))
            .is_some_and(|word| matches!(word.as_str(), "[" | "[[" | "test"));
        if tests {
            names.extend(words.iter().flat_map(|word| Variables::used(word)));
        }
    }
}

pub fn is_keyword(word: &str) -> bool {
    matches!(word, "do" | "then" | "else" | "elif" | "if" | "while" | "until" | "!" | "{" | "}" | "time" | "$")
}

/// `name=value`, `name+=value`, `name[i]=value`.
pub fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    is_name(name).then_some((name, value))
}

fn is_name(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What a text has set so far, and the room for more.
struct Known<'a> {
    before: &'a BTreeMap<String, Option<String>>,
    /// By the command itself: `a=x b=$a`.
    here: BTreeMap<String, Option<String>>,
    room: &'a Room,
}

impl Known<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.here.get(name).or_else(|| self.before.get(name))?.as_deref()
    }

    /// The value of an assignment, which counts for those behind it.
    fn set(&mut self, name: &str, raw: &str) -> (String, Option<String>) {
        let value = value_of(raw, self);
        self.here.insert(name.to_owned(), value.clone());
        (name.to_owned(), value)
    }
}

/// What one simple command sets.
fn assigned(words: &[String], before: &BTreeMap<String, Option<String>>, room: &Room) -> Vec<(String, Option<String>)> {
    let mut all: Vec<(String, Option<String>)> = Vec::new();
    let mut known = Known { before, here: BTreeMap::new(), room };
    let mut words = words.iter().map(String::as_str).skip_while(|word| is_keyword(word)).peekable();
    // `function f { local a=1`
    if words.peek() == Some(&"function") {
        words.nth(1);
        while words.peek().is_some_and(|word| is_keyword(word)) {
            words.next();
        }
    }
    while let Some((name, value)) = words.peek().and_then(|word| assignment(word)) {
        all.push(known.set(name, value));
        words.next();
    }
    let command = words.next().unwrap_or_default();
    let plain = |words: &mut dyn Iterator<Item = &str>| -> Vec<(String, Option<String>)> {
        let named = words.filter(|word| is_name(word));
        named.map(|name| (name.to_owned(), None)).collect()
    };
    match command {
        "export" | "local" | "declare" | "typeset" | "readonly" | "env" | "sudo" => {
            for word in words {
                match assignment(word) {
                    Some((name, value)) => all.push(known.set(name, value)),
                    // `export NAME`: it was set before or comes from outside.
                    None if is_name(word) && command != "env" && command != "sudo" => {
                        let value = known.before.get(word).cloned().flatten();
                        let value = value.filter(|value| room.take(value.len()));
                        all.push((word.to_owned(), value));
                    }
                    None => {}
                }
            }
        }
        "for" | "select" => all.extend(plain(&mut words.take(1))),
        "read" | "mapfile" | "readarray" => {
            // Flags with a value of their own.
            let valued = if command == "read" { "pdnNtui" } else { "dnOsuCc" };
            let mut words = words;
            while let Some(word) = words.next() {
                match word.strip_prefix('-').and_then(|flags| flags.chars().last()) {
                    Some(flag) if valued.contains(flag) => drop(words.next()),
                    Some(_) => {}
                    None if is_name(word) => all.push((word.to_owned(), None)),
                    None => {}
                }
            }
        }
        "getopts" => all.extend(plain(&mut words.skip(1).take(1))),
        "printf" if words.peek() == Some(&"-v") => all.extend(plain(&mut words.skip(1).take(1))),
        "let" => {
            let set = words.filter_map(|word| assignment(word.trim_matches(['"', '\''])));
            all.extend(set.map(|(name, _)| (name.to_owned(), None)));
        }
        _ => {}
    }
    all
}

/// The value of an assignment; `None` where only a run would tell, and where it is longer than is followed.
fn value_of(raw: &str, known: &Known<'_>) -> Option<String> {
    let mut out = String::new();
    let chars: Vec<char> = raw.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\'' => {
                let end = skip(&chars, at);
                out.extend(&chars[at + 1..end.saturating_sub(1).max(at + 1)]);
                at = end;
            }
            '"' => at += 1,
            '`' => return None,
            '$' if chars.get(at + 1) == Some(&'(') => return None,
            '$' if chars.get(at + 1).is_some_and(|c| *c == '{' || *c == '_' || c.is_ascii_alphanumeric()) => {
                let braced = chars[at + 1] == '{';
                let start = at + if braced { 2 } else { 1 };
                let name: String =
                    chars[start..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
                let mut end = start + name.chars().count();
                if braced {
                    // `${a%b}` and its like would have to be computed.
                    if chars.get(end) != Some(&'}') {
                        return None;
                    }
                    end += 1;
                }
                let value = known.get(&name)?;
                if !known.room.take(value.len()) {
                    return None;
                }
                out.push_str(value);
                at = end;
            }
            '\\' if at + 1 < chars.len() => {
                out.push(chars[at + 1]);
                at += 2;
            }
            c => {
                out.push(c);
                at += 1;
            }
        }
    }
    // Twice: it is kept, and may be read by those behind it in the same command.
    known.room.take(out.len() * 2).then_some(out)
}

#[cfg(test)]
mod tests;
