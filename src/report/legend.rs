//! What the words in capitals mean that `check`, `status` and `diagnose` print: the one table, for the help of each.
//!
//! A test holds it against the words that are printed. Not here: the signs of the console (`app::status_level`).

use std::fmt::Write as _;

/// A command that prints such words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Check,
    Status,
    Diagnose,
}

/// Each word with what it means and who prints it.
const WORDS: [(&str, &str, &[Face]); 16] = [
    ("HIGH", "lost data or an outage", &[Face::Check]),
    ("MEDIUM", "stuck, or a wrong result", &[Face::Check]),
    ("LOW", "confusing", &[Face::Check]),
    ("INFO", "never counts", &[Face::Check]),
    ("WRONG", "it is wrong now", &[Face::Status]),
    ("WAIT", "an open run accounts for it: it is expected, and passes with the run", &[Face::Check, Face::Status]),
    ("BROKEN", "one of the seven conditions of one cluster does not hold", &[Face::Check]),
    ("UNKNOWN", "not decided: what it takes to decide it was not seen", &[Face::Check]),
    (
        "UNSEEN",
        "could not be seen, so nothing is said of it; never taken for healthy",
        &[Face::Check, Face::Status, Face::Diagnose],
    ),
    ("UNREAD", "a file, or a part of one, that could not be read (--file)", &[Face::Check]),
    ("NOTE", "worth knowing; counts for nothing", &[Face::Check, Face::Status]),
    ("RUN", "a run that is open", &[Face::Check]),
    ("TLS", "which certificate ends first", &[Face::Check]),
    ("DRIFT", "the peerURL of a member is not the one that is expected of it", &[Face::Status]),
    ("UNHEALTHY", "PD calls the member ill", &[Face::Status]),
    ("LEFT", "work that was interrupted", &[Face::Diagnose]),
];

/// The words of one command, a line each, for its help.
pub fn words(face: Face) -> String {
    let mut out = "Words in capitals:".to_owned();
    for (word, about, _) in WORDS.iter().filter(|(.., faces)| faces.contains(&face)) {
        let _ = write!(out, "\n  {word:<9} {about}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words at the head of a line, as the sources write them: `"BROKEN"`, `"UNSEEN  {unseen}"`.
    fn printed(source: &str) -> Vec<&str> {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let texts = code.split('"').skip(1).step_by(2);
        let words = texts.filter_map(|text| {
            let text = text.trim_start_matches("\\n");
            let word = text.split([' ', ':']).next().unwrap_or_default();
            let capital = word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase());
            // A heading of a column is nothing but its word, and no word of a state.
            (capital
                && ((text.len() == 8 && text.ends_with(" "))
                    || text.starts_with(&format!("{word}  "))
                    || text.starts_with(&format!("{word}:"))
                    || STATES.contains(&word)))
            .then_some(word)
        });
        words.collect()
    }

    /// States that stand in a column of their own.
    const STATES: [&str; 4] = ["BROKEN", "UNKNOWN", "WAIT", "UNHEALTHY"];

    #[test]
    fn every_word_that_is_printed_is_explained_where_it_is_printed() {
        let sources = [
            (Face::Check, include_str!("check.rs"), 7),
            (Face::Status, include_str!("status_text.rs"), 6),
            (Face::Diagnose, include_str!("diagnose.rs"), 2),
        ];
        for (face, source, at_least) in sources {
            let explained = words(face);
            let mut found: Vec<&str> = printed(source);
            found.sort_unstable();
            found.dedup();
            assert!(found.len() >= at_least, "{face:?}: only {found:?}");
            for word in found {
                assert!(explained.contains(word), "{face:?} prints {word}, and its help does not explain it");
            }
        }
    }
}
