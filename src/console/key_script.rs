//! What is pressed for pictures: keys as they are typed, and in angle brackets what is no character, what is waited for and what
//! is taken: `:findings<enter><wait HAZARD><shot findings>`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One step of a script.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Press(KeyEvent),
    /// Until the screen shows this text.
    Wait(String),
    /// Every wait from here on takes so many seconds at most.
    Patience(u64),
    /// So many seconds, for what fades by itself.
    Rest(u64),
    /// Takes a picture of this name.
    Shot(String),
}

/// Reads a script; the ends of lines mean nothing, so that it can be a file. `Err`: one sentence.
pub fn read(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' | '\r' => {}
            '<' => {
                let Some((inside, after)) = rest.split_once('>') else {
                    return Err(format!("a < in the script has no >: <{rest}"));
                };
                steps.push(named(inside.trim())?);
                rest = after;
            }
            c => steps.push(press(KeyCode::Char(c), KeyModifiers::NONE)),
        }
    }
    match steps.iter().any(|step| matches!(step, Step::Shot(_))) {
        true => Ok(steps),
        false => Err("the script takes no picture: it has no <shot NAME>".to_owned()),
    }
}

fn press(code: KeyCode, modifiers: KeyModifiers) -> Step {
    Step::Press(KeyEvent::new(code, modifiers))
}

fn named(name: &str) -> Result<Step, String> {
    let plain = |code| Ok(press(code, KeyModifiers::NONE));
    match name.split_once(' ') {
        Some(("wait", text)) => return Ok(Step::Wait(text.trim().to_owned())),
        Some((step @ ("rest" | "patience"), seconds)) => {
            let longest = if step == "rest" { 60 } else { 600 };
            let seconds = seconds.trim().parse().ok().filter(|seconds| (1..=longest).contains(seconds));
            let made = if step == "rest" { Step::Rest } else { Step::Patience };
            return seconds.map(made).ok_or_else(|| format!("<{name}>: a number of seconds from 1 to {longest}"));
        }
        Some(("shot", shot)) if is_file_name(shot.trim()) => return Ok(Step::Shot(shot.trim().to_owned())),
        Some(("shot", shot)) => {
            return Err(format!("{shot:?} is no name of a picture: small letters, digits and hyphens"));
        }
        _ => {}
    }
    match name {
        "enter" => plain(KeyCode::Enter),
        "esc" => plain(KeyCode::Esc),
        "tab" => plain(KeyCode::Tab),
        "back" => plain(KeyCode::Backspace),
        "space" => plain(KeyCode::Char(' ')),
        "lt" => plain(KeyCode::Char('<')),
        "up" => plain(KeyCode::Up),
        "down" => plain(KeyCode::Down),
        "left" => plain(KeyCode::Left),
        "right" => plain(KeyCode::Right),
        "pgup" => plain(KeyCode::PageUp),
        "pgdown" => plain(KeyCode::PageDown),
        "home" => plain(KeyCode::Home),
        "end" => plain(KeyCode::End),
        other => match other.strip_prefix("ctrl-").and_then(|key| key.chars().next()) {
            Some(key) => Ok(press(KeyCode::Char(key), KeyModifiers::CONTROL)),
            None => Err(format!(
                "<{other}> is no key; there are enter, esc, tab, back, space, lt, up, down, left, right, pgup, pgdown, home, end, \
                 ctrl-LETTER, <wait TEXT>, <patience SECONDS>, <rest SECONDS> and <shot NAME>"
            )),
        },
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_waits_and_pictures() {
        let steps = read(":a<enter>\n<wait two words><rest 3><shot one-1><ctrl-d>").expect("read");
        let key = |code, modifiers| press(code, modifiers);
        assert_eq!(
            steps,
            [
                key(KeyCode::Char(':'), KeyModifiers::NONE),
                key(KeyCode::Char('a'), KeyModifiers::NONE),
                key(KeyCode::Enter, KeyModifiers::NONE),
                Step::Wait("two words".into()),
                Step::Rest(3),
                Step::Shot("one-1".into()),
                key(KeyCode::Char('d'), KeyModifiers::CONTROL),
            ]
        );
        for (text, wanted) in [
            ("<rest 999>", "from 1 to 60"),
            ("<patience 0>", "from 1 to 600"),
            ("<shot ../x>", "no name"),
            ("a<b", "no >"),
            ("<f99>", "is no key"),
            ("abc", "no picture"),
        ] {
            let why = read(text).expect_err(text);
            assert!(why.contains(wanted), "{text}: {why}");
        }
    }
}
