//! What is typed after `/`: words that must be there, `!` that must not, `re:` a pattern, `-l key=value` a label,
//! `column:text` one column, `age<1h` what is younger. Where nothing holds a word as it is typed, its letters in order are enough.
//!
//! Not here: the typing itself (`update`), which text a row is found by (`views`).

use regex::{Regex, RegexBuilder};

use super::views::{Column, Row};

/// Largest compiled pattern: what is typed must not take the machine's memory.
const PATTERN: usize = 1 << 20;

/// One condition; `false`: it must not hold.
#[derive(Debug)]
struct Term {
    wanted: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Word(String),
    Pattern(Regex),
    Label {
        key: String,
        value: Option<String>,
    },
    Column {
        at: usize,
        text: String,
    },
    /// `ago<1h`: a column of ages, in seconds.
    Age {
        at: usize,
        younger: bool,
        seconds: i64,
    },
}

/// A filter that was read.
#[derive(Debug, Default)]
pub struct Filter {
    terms: Vec<Term>,
    /// What cannot be read, in words: such a part is left out.
    pub wrong: Option<String>,
}

impl Filter {
    pub fn new(text: &str, columns: &[Column]) -> Self {
        let mut filter = Self::default();
        // A pattern may hold spaces: it goes to the end.
        let (words, pattern) = match text.find("re:").filter(|at| *at == 0 || text[..*at].ends_with([' ', '!'])) {
            Some(at) => (&text[..at], Some(&text[at + 3..])),
            None => (text, None),
        };
        let mut words = words.split_whitespace().peekable();
        let mut pattern_wanted = true;
        while let Some(word) = words.next() {
            let (wanted, word) = match word.strip_prefix('!') {
                Some(rest) => (false, rest),
                None => (true, word),
            };
            if word.is_empty() {
                pattern_wanted &= wanted || pattern.is_none() || words.peek().is_some();
                continue;
            }
            let kind = if word == "-l" {
                let Some(labels) = words.next() else { continue };
                filter.terms.extend(labels.split(',').filter(|label| !label.is_empty()).map(|one| label(one, wanted)));
                continue;
            } else if let Some(age) = of_age(word, columns) {
                age
            } else if let Some((at, text)) = of_column(word, columns) {
                Kind::Column { at, text }
            } else {
                Kind::Word(word.to_lowercase())
            };
            filter.terms.push(Term { wanted, kind });
        }
        if let Some(pattern) = pattern.map(str::trim).filter(|pattern| !pattern.is_empty()) {
            match RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN).build() {
                Ok(pattern) => filter.terms.push(Term { wanted: pattern_wanted, kind: Kind::Pattern(pattern) }),
                Err(_) => filter.wrong = Some(format!("{pattern:?} is no pattern that can be read")),
            }
        }
        filter
    }

    /// The rows that fit; only where none does are letters in order enough.
    pub fn keep(&self, rows: &mut Vec<Row>) {
        if self.terms.is_empty() {
            return;
        }
        let exact = rows.iter().any(|row| self.takes(row, false));
        rows.retain(|row| self.takes(row, !exact));
    }

    pub fn takes(&self, row: &Row, loosely: bool) -> bool {
        let text = text_of(row);
        self.terms.iter().all(|term| term.kind.holds(row, &text, loosely && term.wanted) == term.wanted)
    }

    /// Whether the row is called so, rather than only speaks of it.
    pub fn names(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        self.terms.iter().all(|term| match &term.kind {
            Kind::Word(word) => key.contains(word) == term.wanted,
            _ => true,
        })
    }
}

impl Kind {
    fn holds(&self, row: &Row, text: &str, loosely: bool) -> bool {
        match self {
            Kind::Word(word) => {
                text.contains(word) || (loosely && text.split_whitespace().any(|one| in_order(one, word)))
            }
            Kind::Pattern(pattern) => pattern.is_match(text),
            Kind::Label { key, value } => match (row.labels.get(key), value) {
                (Some(have), Some(wanted)) => have == wanted,
                (Some(_), None) => true,
                (None, _) => false,
            },
            Kind::Column { at, text } => {
                row.cells.get(*at).is_some_and(|cell| cell.text().to_lowercase().contains(text))
            }
            Kind::Age { at, younger, seconds } => {
                let age = row.cells.get(*at).and_then(|cell| cell.number).filter(|age| *age != i64::MAX);
                age.is_some_and(|age| (age < *seconds) == *younger)
            }
        }
    }
}

/// All that a row can be found by, in small letters.
fn text_of(row: &Row) -> String {
    let mut text = row.search_text.to_lowercase();
    for cell in &row.cells {
        text.push(' ');
        text.push_str(&cell.text().to_lowercase());
    }
    for note in &row.notes {
        text.push(' ');
        text.push_str(&note.text.to_lowercase());
    }
    text
}

fn of_column(word: &str, columns: &[Column]) -> Option<(usize, String)> {
    let (name, text) = word.split_once(':').filter(|(name, text)| !name.is_empty() && !text.is_empty())?;
    let same = |title: &str| title.replace(' ', "").eq_ignore_ascii_case(name);
    let at = columns.iter().position(|column| same(column.title))?;
    Some((at, text.to_lowercase()))
}

/// `key=value`, `key==value`, `key!=value` or `key`, as kubectl takes it.
fn label(text: &str, wanted: bool) -> Term {
    let (key, value, equal) = match (text.split_once("!="), text.split_once('=')) {
        (Some((key, value)), _) => (key, Some(value), false),
        (None, Some((key, value))) => (key, Some(value.trim_start_matches('=')), true),
        (None, None) => (text, None, true),
    };
    let kind = Kind::Label { key: key.to_owned(), value: value.map(str::to_owned) };
    Term { wanted: wanted == equal, kind }
}

/// `age<1h`, `ago>30m`: by the column of ages, whatever it is called here. Without a unit it is seconds.
fn of_age(word: &str, columns: &[Column]) -> Option<Kind> {
    let at = word.find(['<', '>'])?;
    let (name, rest) = (word[..at].to_lowercase(), &word[at + 1..]);
    // Their cells are ordered by seconds.
    let column = columns.iter().position(|column| matches!(column.title, "AGE" | "AGO"))?;
    if !matches!(name.as_str(), "age" | "ago") {
        return None;
    }
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let unit = match &rest[digits..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = rest[..digits].parse::<i64>().ok()?.checked_mul(unit)?;
    Some(Kind::Age { at: column, younger: word[at..].starts_with('<'), seconds })
}

/// The letters of `short` in `long`, in that order, the first at the beginning of it or after a sign.
pub fn in_order(long: &str, short: &str) -> bool {
    let mut long = long.chars();
    short.chars().all(|wanted| long.any(|have| have == wanted))
}

#[cfg(test)]
mod tests {
    use super::super::status_level::Level;
    use super::super::views::{Cell, Item, column};
    use super::*;

    #[test]
    fn filters() {
        let columns = [column("POD", 1, 0), column("STATE", 1, 0)];
        for (filter, takes) in [
            ("", true),
            ("pd", true),
            ("PD east", true),
            ("pd west", false),
            ("!pd", false),
            ("!", true),
            ("!west", true),
            ("re:pd-[0-2]", true),
            ("re:^west", false),
            ("!re:pd-[0-2]", false),
            ("east re:basic pd", false),
            ("-l zone=a", true),
            ("-l zone=b", false),
            ("-l zone", true),
            ("!-l zone=a", false),
            ("-l rack", false),
            ("-l zone==a", true),
            ("-l zone!=a", false),
            ("-l zone!=b", true),
            ("-l zone=a,rack", false),
            ("-l zone=a,zone!=b", true),
            ("state:run", true),
            ("state:basic", false),
            ("pod:basic !state:down", true),
            ("http://pd", false),
        ] {
            let mut row = Row::new("east", Level::Good, Item::Line);
            row = row.cells(vec![Cell::plain("basic-PD-0"), Cell::plain("Running")]);
            row.labels.insert("zone".into(), "a".into());
            assert_eq!(Filter::new(filter, &columns).takes(&row, false), takes, "{filter:?}");
        }
    }

    #[test]
    fn ages_are_compared() {
        let columns = [column("POD", 1, 0), column("AGO", 1, 0)];
        let row = |seconds: i64| {
            let cells = vec![Cell::plain("x"), Cell::plain("some").ordered_by(seconds)];
            Row::new("x", Level::Good, Item::Line).cells(cells)
        };
        for (filter, seconds, takes) in [
            ("ago<1h", 3_599, true),
            ("ago<1h", 3_600, false),
            ("age<10m", 599, true),
            ("age>10m", 599, false),
            ("age>2d", 200_000, true),
            ("!age<10m", 599, false),
            ("ago<90", 89, true),
            // What is not known is neither young nor old.
            ("ago<1h", i64::MAX, false),
            ("ago>1h", i64::MAX, false),
            // No age: a word like any other.
            ("ago<soon", 1, false),
        ] {
            assert_eq!(Filter::new(filter, &columns).takes(&row(seconds), false), takes, "{filter} of {seconds}");
        }
    }

    #[test]
    fn letters_in_order_count_only_where_nothing_fits_as_typed() {
        let rows = || -> Vec<Row> {
            ["basic-tikv-2", "basic-tikv-0", "tk"].iter().map(|key| Row::new(*key, Level::Good, Item::Line)).collect()
        };
        let kept = |text: &str| {
            let mut rows = rows();
            Filter::new(text, &[]).keep(&mut rows);
            rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>()
        };
        assert_eq!(kept("tk"), ["tk"]);
        assert_eq!(kept("btk2"), ["basic-tikv-2"]);
        assert!(kept("zz").is_empty());
        assert!(Filter::new("re:(", &[]).wrong.is_some());
    }
}
