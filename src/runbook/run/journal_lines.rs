//! A journal's lines: one [`Record`] per line of JSON, each with the hash of the line before; what is torn, foreign or tampered.
//!
//! Pure. Not here: the file (`client::journal`).

use sha2::{Digest, Sha256};

use crate::invalid_value::parser_words;
use crate::runbook::run::record::{Event, Record};
use crate::runbook::run::unknown_record_fields::unknown_field;

/// Why a line cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    #[error("line {line}: expected a journal record, found something else ({why})")]
    NotARecord { line: usize, why: String },
    #[error("line {line}: expected record number {expected}, found {found}; a line was removed or reordered")]
    Sequence { line: usize, expected: u64, found: u64 },
    #[error("line {line}: its hash link does not match the line before; a line was edited, removed or reordered")]
    Chain { line: usize },
    #[error(
        "line {line}: {tool} wrote it, with a field that this version (tidepilot {}) does not know: {field}. It may be a guard, \
         so nothing of the run is carried out from here; go on with that version, or a newer one",
        env!("CARGO_PKG_VERSION")
    )]
    Newer { line: usize, tool: String, field: String },
    #[error("expected a run-opened record first; this is not a journal of a run")]
    NoOpening,
}

/// SHA-256 of one line without its newline, in hex.
pub fn line_hash(line: &str) -> String {
    hex::encode(Sha256::digest(line.as_bytes()))
}

/// A journal read back.
#[derive(Debug, Default, PartialEq)]
pub struct Parsed {
    pub records: Vec<Record>,
    /// Bytes of whole lines: a torn last line starts here and is to be cut off.
    pub whole_bytes: usize,
    pub torn: bool,
    /// Hash of the last whole line: the next record's `prev`.
    pub last_hash: String,
}

/// Writes one record as a line with its newline.
pub fn encode(record: &Record) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(record)? + "\n")
}

/// Reads a journal. Only the *last* line may be torn (a crash in the middle of a write); anything else is refused.
pub fn decode(text: &str) -> Result<Parsed, BadLine> {
    let mut parsed = Parsed::default();
    let mut rest = text;
    let mut line_number = 0;
    let mut tool = "another tidepilot".to_owned();
    while let Some(end) = rest.find('\n') {
        line_number += 1;
        let line = &rest[..end];
        let bad = |error: serde_json::Error| BadLine::NotARecord {
            line: line_number,
            why: in_short(&parser_words(&error.to_string())),
        };
        let record: Record = serde_json::from_str(line).map_err(bad)?;
        tool = record.event.tool().unwrap_or(&tool).to_owned();
        if let Some(field) = unknown_field(&serde_json::from_str(line).map_err(bad)?, &record) {
            let (tool, field) = (in_short(&tool), in_short(&field));
            return Err(BadLine::Newer { line: line_number, tool, field });
        }
        let expected = parsed.records.len() as u64;
        if record.seq != expected {
            return Err(BadLine::Sequence { line: line_number, expected, found: record.seq });
        }
        if record.prev != parsed.last_hash {
            return Err(BadLine::Chain { line: line_number });
        }
        parsed.last_hash = line_hash(line);
        parsed.whole_bytes += end + 1;
        parsed.records.push(record);
        rest = &rest[end + 1..];
    }
    parsed.torn = !rest.is_empty();
    match parsed.records.first().map(|record| &record.event) {
        Some(Event::RunOpened { .. }) => Ok(parsed),
        _ => Err(BadLine::NoOpening),
    }
}

/// A parser's words, which quote what they found, however long that is: the beginning and the end, where the place stands.
pub fn in_short(why: &str) -> String {
    const MOST: usize = 300;
    let length = why.chars().count();
    if length <= MOST {
        return why.to_owned();
    }
    let head: String = why.chars().take(MOST / 2).collect();
    let tail: String = why.chars().skip(length - MOST / 2).collect();
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_refusal_is_no_longer_than_a_sentence_whatever_it_found() {
        let line = json!({"seq": 0, "at": "2026-11-29T08:00:00Z", "prev": "", "record": "日本".repeat(50_000)});
        let why = decode(&format!("{line}\n")).expect_err("no record").to_string();
        assert!(why.len() < 1_200 && why.contains("found `日本") && why.contains("line 1"), "{why}");
    }

    #[test]
    fn a_field_of_a_newer_version_stops_and_is_named() {
        let step = json!({
            "id": "s", "phase": "p", "title": "S", "why": "", "alreadySo": false, "before": null, "after": null,
            "action": {"kind": "await", "target": {"context": "c", "namespace": "n", "name": "t"}},
            "requests": [], "command": "", "rehearsed": "not-needed", "reversibility": "free",
            "confirm": {"kind": "none"}, "pre": [], "post": [], "env": {}, "totalS": 1, "stalledS": 1, "approvers": 1,
        });
        let opened = |step: &Value| {
            let plan = json!({
                "runbook": "x", "runbookVersion": "1", "runbookDigest": "", "title": "x", "experimental": false,
                "inputs": {}, "target": {"context": "c", "namespace": "n", "name": "t"}, "kubeClusters": {},
                "contexts": [], "checks": [], "steps": [step], "observedAt": "1970-01-01T00:00:00Z",
            });
            let record = json!({"seq": 0, "at": "1970-01-01T00:00:00Z", "prev": "", "record": "run-opened", "run": "r",
                "tool": "tidepilot 9.9.9", "plan": plan});
            decode(&(record.to_string() + "\n"))
        };
        assert!(opened(&step).is_ok(), "{:?}", opened(&step));
        for (path, at) in
            [("/mustNotBefore", "plan.steps[0].mustNotBefore"), ("/action/quorum", "plan.steps[0].action.quorum")]
        {
            let mut newer = step.clone();
            let (parent, name) = path.rsplit_once('/').expect("a path");
            newer.pointer_mut(parent).expect("there")[name] = json!("2027");
            let why = opened(&newer).expect_err("refused").to_string();
            assert!(why.contains("tidepilot 9.9.9") && why.contains(at), "{why}");
        }
    }
}
