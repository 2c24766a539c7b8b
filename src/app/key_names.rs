//! Keys and their names: what is read in the table of keys, and what is said to a person.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key as it is said to a person; `None` for what is no key by itself.
pub fn name(key: &KeyEvent) -> Option<String> {
    let name = match key.code {
        KeyCode::Char(' ') => "space".to_owned(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::F(n) => format!("F{n}"),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::BackTab => "shift-tab".to_owned(),
        KeyCode::Backspace => "backspace".to_owned(),
        KeyCode::Delete => "delete".to_owned(),
        KeyCode::Insert => "insert".to_owned(),
        KeyCode::Left => "left".to_owned(),
        KeyCode::Right => "right".to_owned(),
        KeyCode::Up => "up".to_owned(),
        KeyCode::Down => "down".to_owned(),
        KeyCode::Home => "home".to_owned(),
        KeyCode::End => "end".to_owned(),
        KeyCode::PageUp => "pgup".to_owned(),
        KeyCode::PageDown => "pgdn".to_owned(),
        _ => return None,
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(if control { format!("ctrl-{name}") } else { name })
}

/// Shift is part of the character where there is one, and terminals differ in whether they report it too.
pub(super) fn same(wanted: &KeyEvent, key: &KeyEvent) -> bool {
    let without_shift = |modifiers: KeyModifiers| modifiers.difference(KeyModifiers::SHIFT);
    wanted.code == key.code && without_shift(wanted.modifiers) == without_shift(key.modifiers)
}

/// Reads `j`, `G`, `ctrl-f`, `enter`, `esc`, `tab`, `shift-tab`, `up`, `pgdn`, `space`, …
pub fn parse(name: &str) -> Option<KeyEvent> {
    let (modifiers, rest) = match name.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, name),
    };
    let code = match rest {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "shift-tab" => KeyCode::BackTab,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "backspace" => KeyCode::Backspace,
        "space" => KeyCode::Char(' '),
        other => {
            let mut chars = other.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => KeyCode::Char(one),
                _ => return None,
            }
        }
    };
    Some(KeyEvent::new(code, modifiers))
}
