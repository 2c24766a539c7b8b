//! What the journal costs: fsyncs and milliseconds per step of a run, and reading back 10,000 and 100,000 records.
//!
//! `cargo bench` prints figures and judges nothing; how many fsyncs a record may cost is asserted in
//! `client::journal`'s tests. The files lie in a folder below `target/`, on a real disk: a temporary folder may be memory.
//! The records are those of the migration on the model world. Not here: the network (the record's copy in the cluster).

#![allow(clippy::too_many_lines, reason = "a benchmark tells one story")]

#[path = "../tests/engine/model/mod.rs"]
mod model;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use model::{Branch, Course, drive, opened, runbook};
use tidepilot::client::journal::{Journal, read};
use tidepilot::runbook::action_types::Answer;
use tidepilot::runbook::run::engine::Run;
use tidepilot::runbook::run::journal_lines::decode;
use tidepilot::runbook::run::record::{Event, Record};

/// Whole runs that are written.
const RUNS: u32 = 20;
const LONG: [usize; 2] = [10_000, 100_000];
/// Times that the long journal is read.
const READS: u32 = 5;

fn main() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = tempfile::tempdir_in(target).expect("a folder below target/");
    let mut bed = opened(Branch::Domain);
    drive(&mut bed, Course::default());
    let records = decode(&bed.disk.0).expect("a whole journal").records;
    a_run(dir.path(), &records);
    for count in LONG {
        let dir = tempfile::tempdir_in(target).expect("a folder below target/");
        a_long_one(dir.path(), &records, count);
    }
}

fn a_run(dir: &Path, records: &[Record]) {
    let steps = match &records[0].event {
        Event::RunOpened { plan, .. } => plan.steps.len(),
        other => panic!("not an opening: {other:?}"),
    };
    let (mut syncs, mut slowest, begun) = (0, Duration::ZERO, Instant::now());
    for number in 0..RUNS {
        let mut journal = Journal::create(dir, &format!("run-{number}")).expect("a new file");
        for record in records {
            let one = Instant::now();
            journal.append(record.at, record.event.clone()).expect("written");
            slowest = slowest.max(one.elapsed());
        }
        syncs += journal.syncs();
    }
    let (took, runs) = (begun.elapsed(), f64::from(RUNS));
    let all = runs * steps as f64;
    say(&format!(
        "migration: {} records, {steps} steps; {:.1} fsyncs and {:.2} ms per step, {:.1} fsyncs and {:.1} ms per run; slowest append {:.2} ms",
        records.len(),
        syncs as f64 / all,
        took.as_secs_f64() * 1000.0 / all,
        syncs as f64 / runs,
        took.as_secs_f64() * 1000.0 / runs,
        slowest.as_secs_f64() * 1000.0,
    ));
}

/// A run that was tried again and again: its opening, then Intent, refusal and resumption over and over.
fn a_long_one(dir: &Path, records: &[Record], count: usize) {
    let intent =
        records.iter().find(|record| matches!(record.event, Event::Intent { .. })).expect("it sends something");
    let Event::Intent { step, .. } = &intent.event else { panic!("not an Intent") };
    let returned = Event::Returned {
        step: step.clone(),
        attempt: 1,
        answer: Answer::Refused { reason: "the server refused it".into() },
    };
    let resumed = Event::Resumed { tool: "bench".into(), moves: None };
    let mut disk = model::Disk::default();
    disk.append(records[0].at, records[0].event.clone());
    let mut lines = disk.0;
    let mut prev = tidepilot::runbook::run::journal_lines::line_hash(lines.trim_end());
    for number in 1..count {
        let event = [&intent.event, &returned, &resumed][number % 3].clone();
        let record = Record { seq: number as u64, at: intent.at, prev, event };
        let line = tidepilot::runbook::run::journal_lines::encode(&record).expect("encodes");
        prev = tidepilot::runbook::run::journal_lines::line_hash(line.trim_end());
        lines.push_str(&line);
    }
    // The run's name is in its opening.
    let Event::RunOpened { run, .. } = &records[0].event else { panic!("not an opening") };
    let journal = Journal::import(dir, run, &lines).expect("written");
    drop(journal);
    let begun = Instant::now();
    let mut found = Vec::new();
    for _ in 0..READS {
        found = read(dir, run).expect("a whole journal");
    }
    let reading = begun.elapsed() / READS;
    let begun = Instant::now();
    for _ in 0..READS {
        let replayed = Run::replay(runbook(), &found).expect("replays");
        assert!(replayed.has_written());
    }
    let replaying = begun.elapsed() / READS;
    assert_eq!(found.len(), count);
    say(&format!(
        "{count} records, {:.1} MB: read and checked (hash chain) in {:.0} ms, replayed in {:.1} ms",
        lines.len() as f64 / 1e6,
        reading.as_secs_f64() * 1000.0,
        replaying.as_secs_f64() * 1000.0,
    ));
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
