//! Face 2: what is printed — `status`, plans and runs, as tables, JSON, YAML and lines.
//!
//! Pure renderers: data in, text out; `cli` writes it to stdout. Not here: what is looked at (`client`) and what is
//! judged (`fleet`, `runbook`).

pub mod approval_audit;
pub mod approval_request;
pub mod check;
pub mod coredns;
pub mod diagnose;
pub mod legend;
pub mod markdown;
pub mod metrics;
pub mod network_prerequisites;
pub mod plan;
pub mod rbac;
pub mod reference;
pub mod run_lines;
pub mod run_report;
pub mod runbook_writing_guide;
pub mod status;
pub mod status_text;
pub mod table;
pub mod ticket;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// Version of every JSON document that is printed; within it names and types stay, and names may come.
pub const API_VERSION: &str = "tidepilot/v1";

/// A JSON document as it is printed: its version and the time of the look before everything else.
pub fn document(value: impl Serialize, observed_at: Timestamp) -> serde_json::Result<Value> {
    let mut document = Map::new();
    document.insert("apiVersion".into(), API_VERSION.into());
    document.insert("observedAt".into(), observed_at.to_string().into());
    match serde_json::to_value(value)? {
        Value::Object(own) => document.extend(own),
        other => {
            document.insert("items".into(), other);
        }
    }
    Ok(Value::Object(document))
}

/// Removes control characters from text that came from a cluster: a name or an annotation must not be able to
/// move the cursor or set the window title.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// What is to be done, in lines of which each that is a command can be copied as it stands; words between commands become a comment.
pub fn to_do(text: &str) -> Vec<String> {
    const COMMANDS: [&str; 2] = ["kubectl ", "tidepilot "];
    let command = |text: &str| COMMANDS.iter().filter_map(|word| text.find(word)).min();
    let mut lines: Vec<String> = Vec::new();
    for piece in text.split("; ") {
        // In the middle of a sentence it is a part of that.
        let at = command(piece).filter(|at| *at == 0 || piece[..*at].ends_with(": "));
        match (at, lines.last_mut()) {
            (Some(0), _) | (None, None) => lines.push(plain(piece)),
            (Some(at), None) => lines.extend([plain(piece[..at].trim_end()), plain(&piece[at..])]),
            (Some(at), Some(_)) => {
                lines.extend([format!("# {}", plain(piece[..at].trim_end())), plain(&piece[at..])]);
            }
            (None, Some(last)) => *last = format!("{last}; {}", plain(piece)),
        }
    }
    lines
}

/// The same, but line ends stay.
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::to_do;

    #[test]
    fn a_command_has_a_line_of_its_own_and_a_sentence_is_not_cut() {
        for (text, lines) in [
            (
                "kubectl logs x --previous; when it is gone: tidepilot run y",
                &["kubectl logs x --previous", "# when it is gone:", "tidepilot run y"][..],
            ),
            ("bring it back: kubectl describe pod x", &["bring it back:", "kubectl describe pod x"]),
            ("let it go on (tidepilot status --watch); or stop", &["let it go on (tidepilot status --watch); or stop"]),
            ("tidepilot status --watch # wait", &["tidepilot status --watch # wait"]),
        ] {
            assert_eq!(to_do(text), lines);
        }
    }
}
