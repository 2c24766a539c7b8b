//! A run's journal as a file: one record per line, appended and fsynced before anything leaves.
//!
//! One file per run, held with an exclusive lock while it is driven. A torn last line (a crash in the middle of a
//! write) is cut off when the journal is opened; anything else that is wrong with it is refused. After an append
//! that failed, the journal takes no further ones: what is on the disk is no longer known. The records are
//! [`crate::runbook::run::record`]'s, their lines [`crate::runbook::run::journal_lines`]'.

mod import;

pub use import::{is_locked, seat_of, set_aside};

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::files::{self, FOLDER_LIMIT, open_plain, shared};
use crate::runbook::run::journal_lines::{BadLine, Parsed, decode, encode, line_hash};
use crate::runbook::run::record::{Event, Record};

/// Longest journal that is read.
const LONGEST: u64 = 64 * 1024 * 1024;
const TOO_LONG: &str = "it is far too long for a journal";
/// What the journals of a folder may have together to be listed: a run has some ten kB.
const LONGEST_TOGETHER: u64 = 512 * 1024 * 1024;
const SUFFIX: &str = ".jsonl";

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{found:?} is not the name of a run: expected letters, digits, '-' and '_'")]
    BadName { found: String },
    #[error("there is already a journal of run {run} in {}; resume it, or take another id", dir.display())]
    Exists { run: String, dir: PathBuf },
    #[error("there is no journal of run {run} in {}; `tidepilot runs list` names the runs that are known, and one that was begun on another machine is gone on with by `tidepilot runs take-over {run}`", dir.display())]
    Missing { run: String, dir: PathBuf },
    #[error("run {run} is being driven by another process; wait for it or stop it, there is no unlock")]
    Held { run: String },
    #[error("the journal {} cannot be trusted: {why}; nothing of the run can be resumed from it", file.display())]
    Damaged { file: PathBuf, why: BadLine },
    #[error("the journal {} is not text: {why}", file.display())]
    NotText { file: PathBuf, why: String },
    #[error("the journal {} belongs to run {found}, expected {expected}; was it copied or renamed?", file.display())]
    Foreign { file: PathBuf, found: String, expected: String },
    #[error("cannot {verb} {}: {}", path.display(), files::io_words(error))]
    Io { verb: &'static str, path: PathBuf, error: io::Error },
    #[error("an earlier write to {} failed, so it takes no more; resume the run to go on", file.display())]
    Broken { file: PathBuf },
    #[error("the journal {} and the run's record in the cluster have different lines; it was continued elsewhere", file.display())]
    Fork { file: PathBuf },
    #[error("{0}")]
    Shared(String),
    #[error("the journals in {} are too large to be read all at once; move the oldest elsewhere", dir.display())]
    TooMuch { dir: PathBuf },
    #[error("a record could not be written as JSON: {0}")]
    Encoding(#[from] serde_json::Error),
}

/// An open journal, locked for this process.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    next: u64,
    last_hash: String,
    broken: bool,
    syncs: u64,
}

impl Journal {
    /// Starts the journal of a new run; directory 0700, file 0600, both durable.
    pub fn create(dir: &Path, run: &str) -> Result<Self, LedgerError> {
        let path = path(dir, run)?;
        make_dir(dir)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => LedgerError::Exists { run: run.into(), dir: dir.into() },
            _ => io_error("create", &path, error),
        })?;
        lock(&file, run, &path)?;
        file.sync_all().map_err(|error| io_error("sync", &path, error))?;
        sync_dir(dir)?;
        Ok(Self { file, path, next: 0, last_hash: String::new(), broken: false, syncs: 2 })
    }

    /// Opens the journal of a run to go on with it; cuts off a torn last line.
    pub fn open(dir: &Path, run: &str) -> Result<(Self, Vec<Record>), LedgerError> {
        let path = path(dir, run)?;
        own(dir)?;
        let opened = open_plain(&path, OpenOptions::new().read(true).append(true));
        let mut file = opened.map_err(|error| missing_or(run, dir, "open", &path, error))?;
        lock(&file, run, &path)?;
        let parsed = parse(&mut file, run, &path)?;
        if parsed.torn {
            let cut = |error| io_error("cut the torn last line off", &path, error);
            file.set_len(parsed.whole_bytes as u64).map_err(cut)?;
            file.sync_all().map_err(cut)?;
        }
        file.seek(SeekFrom::End(0)).map_err(|error| io_error("read", &path, error))?;
        let next = parsed.records.len() as u64;
        Ok((Self { file, path, next, last_hash: parsed.last_hash, broken: false, syncs: 0 }, parsed.records))
    }

    /// Appends one event; it is on the disk when this returns.
    pub fn append(&mut self, at: Timestamp, event: Event) -> Result<Record, LedgerError> {
        if self.broken {
            return Err(LedgerError::Broken { file: self.path.clone() });
        }
        let record = Record { seq: self.next, at, prev: self.last_hash.clone(), event };
        let line = encode(&record)?;
        // From here on a failure leaves an unknown number of bytes behind.
        self.broken = true;
        self.file.write_all(line.as_bytes()).map_err(|error| io_error("write to", &self.path, error))?;
        self.sync()?;
        self.broken = false;
        self.next += 1;
        self.last_hash = line_hash(line.trim_end_matches('\n'));
        Ok(record)
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.syncs += 1;
        self.file.sync_data().map_err(|error| io_error("sync", &self.path, error))
    }

    /// How often the file, or its name in the directory, was made durable.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads a journal without locking it: another process may be driving the run.
pub fn read(dir: &Path, run: &str) -> Result<Vec<Record>, LedgerError> {
    let path = path(dir, run)?;
    let mut file =
        open_plain(&path, OpenOptions::new().read(true)).map_err(|error| missing_or(run, dir, "open", &path, error))?;
    Ok(parse(&mut file, run, &path)?.records)
}

/// The text of a journal as it stands, unjudged: for verifying it line by line.
pub fn text(dir: &Path, run: &str) -> Result<String, LedgerError> {
    let path = path(dir, run)?;
    let mut bytes = Vec::new();
    let file = open_plain(&path, OpenOptions::new().read(true));
    let file = file.map_err(|error| missing_or(run, dir, "open", &path, error))?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| io_error("read", &path, error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(LedgerError::NotText { file: path, why: TOO_LONG.into() });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Every journal of a directory, by run; one that cannot be read is listed with the reason. No directory: no runs. Each is
/// read when its turn comes: there may be thousands.
pub fn list(dir: &Path) -> impl Iterator<Item = (String, Result<Vec<Record>, LedgerError>)> {
    let mut left = LONGEST_TOGETHER;
    let one = move |run: String| {
        let size = path(dir, &run).ok().and_then(|path| std::fs::metadata(path).ok()).map_or(0, |found| found.len());
        let records = match left.checked_sub(size) {
            Some(rest) => {
                left = rest;
                read(dir, &run)
            }
            None => Err(LedgerError::TooMuch { dir: dir.to_owned() }),
        };
        (run, records)
    };
    names(dir).into_iter().map(one)
}

/// The runs of which there is a journal, unread.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).take(FOLDER_LIMIT);
    let run = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(SUFFIX)?.to_owned());
    let mut runs: Vec<String> = entries.filter_map(run).collect();
    runs.sort();
    runs
}

/// Refuses a folder into which others may lay journals: what stands in one is gone on with.
pub fn own(dir: &Path) -> Result<(), LedgerError> {
    match shared(dir) {
        Some(why) => Err(LedgerError::Shared(why)),
        None => Ok(()),
    }
}

fn path(dir: &Path, run: &str) -> Result<PathBuf, LedgerError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if run.is_empty() || run.len() > 100 || !run.bytes().all(plain) {
        return Err(LedgerError::BadName { found: run.to_owned() });
    }
    Ok(dir.join(format!("{run}{SUFFIX}")))
}

fn make_dir(dir: &Path) -> Result<(), LedgerError> {
    own(dir)?;
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| io_error("create the directory", dir, error))?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => Ok(()),
    }
}

/// A new file's name is durable only when its directory is.
fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| io_error("sync the directory", dir, error))
}

/// Tries for a journal's lock, 20 ms apart.
const LOCK_TRIES: u32 = 10;

/// A program that this process is just starting (a credential plugin) holds a copy of every open file between fork
/// and exec, and so, for a moment, a lock that was already given back: one refusal is not yet somebody else.
fn lock(file: &File, run: &str, path: &Path) -> Result<(), LedgerError> {
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Held { run: run.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path, error)),
        }
    }
}

fn parse(file: &mut File, run: &str, path: &Path) -> Result<Parsed, LedgerError> {
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| io_error("read", path, error))?;
    let not_text = |why: &str| LedgerError::NotText { file: path.to_owned(), why: why.to_owned() };
    if bytes.len() as u64 > LONGEST {
        return Err(not_text(TOO_LONG));
    }
    // A torn last line may end within a character; only whole lines have to be text.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let text = std::str::from_utf8(&bytes[..whole]).map_err(|error| not_text(&error.to_string()))?;
    let mut parsed = decode(text).map_err(|why| LedgerError::Damaged { file: path.to_owned(), why })?;
    parsed.torn |= whole < bytes.len();
    if let Some(Event::RunOpened { run: found, .. }) = parsed.records.first().map(|record| &record.event)
        && found != run
    {
        let (found, expected) = (found.clone(), run.to_owned());
        return Err(LedgerError::Foreign { file: path.to_owned(), found, expected });
    }
    Ok(parsed)
}

fn missing_or(run: &str, dir: &Path, verb: &'static str, path: &Path, error: io::Error) -> LedgerError {
    match error.kind() {
        io::ErrorKind::NotFound => LedgerError::Missing { run: run.into(), dir: dir.into() },
        _ => io_error(verb, path, error),
    }
}

fn io_error(verb: &'static str, path: &Path, error: io::Error) -> LedgerError {
    LedgerError::Io { verb, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ObjectRef;
    use crate::runbook::run::record::{Outcome, PauseReason};

    fn opened(run: &str) -> Event {
        let plan = serde_json::json!({
            "runbook": "x", "runbookVersion": "1", "runbookDigest": "", "title": "x", "experimental": false, "inputs": {},
            "target": ObjectRef::new("c", "n", "t"), "kubeClusters": {}, "contexts": [], "checks": [], "steps": [],
            "observedAt": "1970-01-01T00:00:00Z",
        });
        Event::RunOpened { run: run.into(), tool: "test".into(), plan: serde_json::from_value(plan).expect("a plan") }
    }

    fn paused(text: &str) -> Event {
        Event::Paused { step: "s".into(), reason: PauseReason::NotReady { sentence: text.into() }, cause: None }
    }

    fn three(dir: &Path) -> PathBuf {
        let mut journal = Journal::create(dir, "r").expect("created");
        for event in [opened("r"), paused("grün"), Event::Closed { outcome: Outcome::Done }] {
            journal.append(Timestamp::UNIX_EPOCH, event).expect("appended");
        }
        journal.path().to_owned()
    }

    fn refusal<T>(result: Result<T, LedgerError>) -> String {
        result.map(|_| ()).expect_err("refused").to_string()
    }

    #[test]
    fn what_is_appended_is_read_back_and_goes_on() {
        let root = tempfile::tempdir().expect("temporary directory");
        let dir = root.path().join("state").join("runs");
        let file = three(&dir);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
        }
        assert!(refusal(Journal::create(&dir, "r")).contains("already a journal of run r"));
        let (mut journal, records) = Journal::open(&dir, "r").expect("opened");
        assert_eq!(records.len(), 3);
        let more = journal.append(Timestamp::UNIX_EPOCH, paused("more")).expect("appended");
        assert_eq!((more.seq, read(&dir, "r").expect("read").last()), (3, Some(&more)));
    }

    #[test]
    fn a_record_costs_one_fsync_and_a_new_file_two() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut journal = Journal::create(dir.path(), "r").expect("created");
        assert_eq!(journal.syncs(), 2, "the file and its name");
        for number in 1..=10 {
            let event = if number == 1 { opened("r") } else { paused("why") };
            journal.append(Timestamp::UNIX_EPOCH, event).expect("appended");
            assert_eq!(journal.syncs(), 2 + number);
        }
        let lines = journal.text().expect("read");
        let copy = dir.path().join("copy");
        let fetched = Journal::import(&copy, "r", &lines).expect("imported");
        assert_eq!(fetched.syncs(), 3, "many lines that are fetched together are made durable together");
    }

    #[test]
    fn one_driver_at_a_time() {
        let dir = tempfile::tempdir().expect("temporary directory");
        three(dir.path());
        let (held, _) = Journal::open(dir.path(), "r").expect("opened");
        assert!(refusal(Journal::open(dir.path(), "r")).contains("driven by another process"));
        assert_eq!(read(dir.path(), "r").expect("reading needs no lock").len(), 3);
        drop(held);
        assert!(Journal::open(dir.path(), "r").is_ok());
    }

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_tore() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = three(dir.path());
        let whole = std::fs::read(&file).expect("read");
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
        for cut in ends[0]..whole.len() {
            std::fs::write(&file, &whole[..cut]).expect("written");
            let expected = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(read(dir.path(), "r").expect("read").len(), expected, "cut at {cut}");
            let (mut journal, records) = Journal::open(dir.path(), "r").expect("opened");
            assert_eq!(records.len(), expected);
            journal.append(Timestamp::UNIX_EPOCH, paused("on")).expect("appended");
            assert_eq!(read(dir.path(), "r").expect("read").len(), expected + 1);
        }
        std::fs::write(&file, &whole[..10]).expect("written");
        assert!(refusal(Journal::open(dir.path(), "r")).contains("expected a run-opened record first"));
    }

    #[test]
    fn every_flipped_bit_in_a_whole_line_is_noticed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = three(dir.path());
        let whole = std::fs::read(&file).expect("read");
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("three lines") + 1;
        let truth = read(dir.path(), "r").expect("read");
        for at in 0..last {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            std::fs::write(&file, &bent).expect("written");
            let found = read(dir.path(), "r");
            assert!(
                found.is_err(),
                "bit flipped at {at} of {last}, {} records read of {}",
                found.expect("read").len(),
                truth.len()
            );
        }
    }

    #[test]
    fn foreign_files_and_names() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = three(dir.path());
        std::fs::copy(&file, dir.path().join("other.jsonl")).expect("copied");
        std::fs::write(dir.path().join("noise.jsonl"), b"\xff\xfe\n").expect("written");
        std::fs::write(dir.path().join("notes.txt"), "not ours").expect("written");
        assert!(refusal(Journal::open(dir.path(), "other")).contains("belongs to run r, expected other"));
        assert!(refusal(read(dir.path(), "noise")).contains("is not text"));
        assert!(refusal(read(dir.path(), "none")).contains("no journal of run none"));
        for bad in ["", "../r", "a/b", "a.b"] {
            assert!(refusal(Journal::create(dir.path(), bad)).contains("is not the name of a run"), "{bad}");
        }
        let listed: Vec<(String, bool)> = list(dir.path()).map(|(run, read)| (run, read.is_ok())).collect();
        assert_eq!(listed, [("noise".into(), false), ("other".into(), false), ("r".into(), true)]);
        assert_eq!(list(&dir.path().join("nowhere")).count(), 0);
    }

    #[test]
    fn a_journal_is_read_when_its_turn_comes() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = three(dir.path());
        let second = dir.path().join("s.jsonl");
        std::fs::copy(&file, &second).expect("copied");
        let mut listed = list(dir.path());
        assert!(listed.next().is_some_and(|(run, read)| run == "r" && read.is_ok()));
        std::fs::remove_file(&second).expect("removed");
        let (run, read) = listed.next().expect("the second one");
        assert!(run == "s" && refusal(read).contains("no journal of run s"), "it was read before");
    }

    #[test]
    fn a_full_disk_stops_the_journal_for_good() {
        let dir = tempfile::tempdir().expect("temporary directory");
        three(dir.path());
        let (mut open, _) = Journal::open(dir.path(), "r").expect("opened");
        // The device on which every write fails for want of space.
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { return };
        open.file = full;
        assert!(refusal(open.append(Timestamp::UNIX_EPOCH, paused("x"))).contains("cannot write to"));
        assert!(refusal(open.append(Timestamp::UNIX_EPOCH, paused("x"))).contains("takes no more"));
        assert_eq!(read(dir.path(), "r").expect("read").len(), 3);
        let in_the_way = dir.path().join("file");
        std::fs::write(&in_the_way, "").expect("written");
        assert!(refusal(Journal::create(&in_the_way.join("runs"), "x")).contains("cannot create the directory"));
    }
}
