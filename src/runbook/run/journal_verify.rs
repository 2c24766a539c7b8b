//! `runs verify`: is a journal as it was written? Names the line that was removed, edited or reordered.
//!
//! Pure: the file's text in, findings out. Each line holds the hash of the one before, so a line is protected by
//! the next one and the last by nothing here: its hash is printed, to be kept elsewhere and given with `--head`.
//! Not here: reading a journal to go on with it (`runbook::run::journal_lines::decode`, which is as strict and says less).

use std::collections::BTreeMap;

use crate::pluralize::counted;
use crate::runbook::run::journal_lines::line_hash;
use crate::runbook::run::record::{Event, Record};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub lines: usize,
    /// Hash of the last whole line.
    pub head: String,
    /// Each a sentence; empty when the chain is whole.
    pub findings: Vec<String>,
    /// What the chain cannot tell.
    pub notes: Vec<String>,
}

struct Line {
    number: usize,
    hash: String,
    prev: String,
}

/// Checks the journal of run `run`. `head`: the hash of some line, noted earlier.
#[expect(clippy::too_many_lines, reason = "one pass over the lines of a journal")]
pub fn verify(run: &str, text: &str, head: Option<&str>) -> Verified {
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    let mut by_seq: BTreeMap<u64, Line> = BTreeMap::new();
    let mut hashes = Vec::new();
    let mut highest: Option<u64> = None;
    let (whole, torn) = text.rfind('\n').map_or(("", text), |end| (&text[..end], &text[end + 1..]));
    for (index, raw) in whole.split('\n').enumerate().filter(|_| !whole.is_empty()) {
        let number = index + 1;
        let hash = line_hash(raw);
        hashes.push(hash.clone());
        let record: Record = match serde_json::from_str(raw) {
            Ok(record) => record,
            Err(error) => {
                findings.push(format!("line {number} is no journal record ({error}): it was edited or damaged"));
                continue;
            }
        };
        if let Some(above) = highest.filter(|above| record.seq < *above) {
            findings
                .push(format!("line {number} (record {}) was reordered: it stands after record {above}", record.seq));
        }
        highest = highest.max(Some(record.seq));
        if record.seq == 0 {
            match &record.event {
                Event::RunOpened { run: found, .. } if found == run => {}
                Event::RunOpened { run: found, .. } => {
                    findings
                        .push(format!("line {number} opens run {found}, not {run}: the file was renamed or copied"));
                }
                _ => findings.push(format!("line {number} should open the run and does not")),
            }
        }
        if let Some(first) = by_seq.get(&record.seq) {
            findings.push(format!("line {number} repeats record {} of line {}", record.seq, first.number));
            continue;
        }
        by_seq.insert(record.seq, Line { number, hash, prev: record.prev });
    }
    links(&by_seq, &mut findings);
    let last = hashes.last().cloned().unwrap_or_default();
    if hashes.is_empty() {
        findings.push("there is not one whole line: this is no journal of a run".into());
    } else {
        notes.push(format!(
            "the last line ({}) is protected only by a next one: an edit of it, and lines cut off at the end, do not show here. Keep its hash elsewhere and give it with --head: {last}",
            hashes.len()
        ));
    }
    if !torn.is_empty() {
        notes.push(format!("after line {} a torn line follows; resuming the run cuts it off", hashes.len()));
    }
    match head {
        Some(head) if head == last => notes.push("the head is the last line: nothing was cut off or edited".into()),
        Some(head) => match hashes.iter().position(|hash| hash == head) {
            Some(at) => notes.push(format!(
                "the head is line {}, before the last {}",
                at + 1,
                counted(hashes.len() - at - 1, "line")
            )),
            None => findings.push(format!("no line has the hash {head}: that line was edited or removed")),
        },
        None => {}
    }
    Verified { lines: hashes.len(), head: last, findings, notes }
}

fn links(by_seq: &BTreeMap<u64, Line>, findings: &mut Vec<String>) {
    let mut before: Option<(u64, &Line)> = None;
    for (seq, line) in by_seq {
        match before {
            None if *seq > 0 => findings.push(format!("records 0 to {} were removed before line {}", seq - 1, line.number)),
            None if !line.prev.is_empty() => {
                findings.push(format!("line {} is the first record and yet has one before it", line.number));
            }
            None => {}
            Some((last, above)) if last + 1 < *seq => {
                let gone = if last + 2 == *seq { format!("record {} was", last + 1) } else { format!("records {} to {} were", last + 1, seq - 1) };
                findings.push(format!("{gone} removed between line {} and line {}", above.number, line.number));
            }
            Some((last, above)) if above.hash != line.prev => findings.push(format!(
                "line {} (record {last}) was edited: line {} was written after another text of it (or that line's own link was edited, or lines between were removed)",
                above.number, line.number
            )),
            Some(_) => {}
        }
        before = Some((*seq, line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::run::journal_lines::encode;
    use crate::runbook::run::record::{Outcome, PauseReason};
    use serde_json::json;

    fn journal() -> Vec<String> {
        let plan = json!({
            "runbook": "x", "runbookVersion": "1", "runbookDigest": "", "title": "x", "experimental": false, "inputs": {},
            "target": {"context": "c", "namespace": "n", "name": "t"}, "kubeClusters": {}, "contexts": [], "checks": [],
            "steps": [], "observedAt": "1970-01-01T00:00:00Z",
        });
        let plan = serde_json::from_value(plan).expect("a plan");
        let mut events = vec![Event::RunOpened { run: "r".into(), tool: "t".into(), plan: Box::new(plan) }];
        for text in ["one", "two", "three"] {
            let reason = PauseReason::NotReady { sentence: text.into() };
            events.push(Event::Paused { step: "s".into(), reason, cause: None });
        }
        events.push(Event::Closed { outcome: Outcome::Done });
        let mut prev = String::new();
        let mut lines = Vec::new();
        for (seq, event) in events.into_iter().enumerate() {
            let record = Record { seq: seq as u64, at: jiff::Timestamp::UNIX_EPOCH, prev: prev.clone(), event };
            let line = encode(&record).expect("JSON").trim_end().to_owned();
            prev = line_hash(&line);
            lines.push(line);
        }
        lines
    }

    fn findings(lines: &[String]) -> Vec<String> {
        verify("r", &(lines.join("\n") + "\n"), None).findings
    }

    #[test]
    fn the_line_is_named() {
        let good = journal();
        assert_eq!(findings(&good), Vec::<String>::new());
        let mut removed = good.clone();
        removed.remove(2);
        assert_eq!(findings(&removed), ["record 2 was removed between line 2 and line 3"]);
        let mut swapped = good.clone();
        swapped.swap(1, 2);
        assert_eq!(findings(&swapped), ["line 3 (record 1) was reordered: it stands after record 2"]);
        for (at, line) in good.iter().enumerate().take(good.len() - 1) {
            let mut edited = good.clone();
            edited[at] = line.replacen("1970", "1971", 1);
            let found = findings(&edited);
            assert!(
                found.len() == 1 && found[0].starts_with(&format!("line {} (record {at}) was edited", at + 1)),
                "{found:?}"
            );
        }
        let mut first = good.clone();
        first.remove(0);
        assert_eq!(findings(&first), ["records 0 to 0 were removed before line 1"]);
        assert!(findings(&["{}".to_owned()])[0].contains("line 1 is no journal record"));
        assert!(!verify("other", &(good.join("\n") + "\n"), None).findings.is_empty());
    }

    #[test]
    fn the_last_line_needs_a_head_kept_elsewhere() {
        let good = journal();
        let head = verify("r", &(good.join("\n") + "\n"), None).head;
        let cut = good[..4].join("\n") + "\n";
        assert_eq!(verify("r", &cut, None).findings, Vec::<String>::new());
        assert!(verify("r", &cut, None).notes[0].contains("protected only by a next one"));
        assert_eq!(verify("r", &cut, Some(&head)).findings.len(), 1);
        assert_eq!(verify("r", &(good.join("\n") + "\n"), Some(&head)).findings.len(), 0);
    }
}
