//! A journal that lives in two places: brought here from a cluster, compared with it, and put aside when it forked.
//!
//! Lines are copied byte for byte, so that the hash chain stays one. Not here: the cluster's side
//! (`client::share::run_record_configmaps`), and which of the two is right (`app::driver`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::client::journal::{Journal, LONGEST, LedgerError, TOO_LONG, io_error, path, sync_dir};
use crate::files::open_plain;
use crate::runbook::run::journal_lines::decode;
use crate::runbook::run::record::Record;

impl Journal {
    /// Writes the journal of a run that was found elsewhere.
    pub fn import(dir: &Path, run: &str, lines: &str) -> Result<Self, LedgerError> {
        let mut journal = Self::create(dir, run)?;
        match journal.extend(lines) {
            Ok(_) => Ok(journal),
            Err(error) => {
                journal.discard();
                Err(error)
            }
        }
    }

    /// Every line of the file.
    pub fn text(&mut self) -> Result<String, LedgerError> {
        let mut text = String::new();
        let read = self.file.seek(SeekFrom::Start(0));
        let read = read.and_then(|_| (&mut self.file).take(LONGEST + 1).read_to_string(&mut text));
        let length = read.map_err(|error| io_error("read", &self.path, error))?;
        if length as u64 > LONGEST {
            return Err(LedgerError::NotText { file: self.path.clone(), why: TOO_LONG.into() });
        }
        self.file.seek(SeekFrom::End(0)).map_err(|error| io_error("read", &self.path, error))?;
        Ok(text)
    }

    /// Takes over what `lines` (a whole journal) has beyond this one. What this one has beyond `lines` stays.
    pub fn extend(&mut self, lines: &str) -> Result<Vec<Record>, LedgerError> {
        let own = self.text()?;
        if own.starts_with(lines) {
            return Ok(Vec::new());
        }
        let Some(more) = lines.strip_prefix(own.as_str()) else {
            return Err(LedgerError::Fork { file: self.path.clone() });
        };
        let damaged = |why| LedgerError::Damaged { file: self.path.clone(), why };
        let parsed = decode(lines).map_err(damaged)?;
        let more = &more[..more.rfind('\n').map_or(0, |end| end + 1)];
        self.broken = true;
        self.file.write_all(more.as_bytes()).map_err(|error| io_error("write to", &self.path, error))?;
        self.sync()?;
        self.broken = false;
        let known = usize::try_from(self.next).unwrap_or(usize::MAX);
        self.next = parsed.records.len() as u64;
        self.last_hash = parsed.last_hash;
        Ok(parsed.records.into_iter().skip(known).collect())
    }

    /// Removes a journal under which nothing was sent.
    pub fn discard(self) {
        // Left behind it would only be listed as a run that never sent anything.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Names this very file on this running machine. Whoever has its lock knows that no other process drives from
    /// it; a copied file, another machine or a reboot gives another name. `None` where that cannot be told.
    pub fn lock_id(&self) -> Option<String> {
        lock_id(&self.file)
    }
}

/// The seat of a journal that somebody else may have locked; `None` where there is none, or it cannot be told.
pub fn seat_of(dir: &Path, run: &str) -> Option<String> {
    lock_id(&open_plain(&path(dir, run).ok()?, OpenOptions::new().read(true)).ok()?)
}

fn lock_id(file: &File) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let file = file.metadata().ok()?;
    let digest = Sha256::digest(format!("{} {} {}", boot.trim(), file.dev(), file.ino()));
    Some(hex::encode(&digest[..12]))
}

/// Whether a process has a journal locked now, and so drives its run. Nothing is kept: a shared lock, given back at once,
/// which whoever wants to drive waits out.
pub fn is_locked(dir: &Path, run: &str) -> bool {
    let Some(file) = path(dir, run).ok().and_then(|path| open_plain(&path, OpenOptions::new().read(true)).ok()) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Renames a journal that forked, so that the run can be fetched again and nothing is lost. Gives the new name.
pub fn set_aside(dir: &Path, run: &str) -> Result<PathBuf, LedgerError> {
    let from = path(dir, run)?;
    let aside = (1..1000).map(|n| dir.join(format!("{run}.fork-{n}"))).find(|to| !to.exists());
    let to = aside.unwrap_or_else(|| dir.join(format!("{run}.fork")));
    std::fs::rename(&from, &to).map_err(|error| io_error("rename", &from, error))?;
    sync_dir(dir)?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ObjectRef;
    use crate::runbook::run::record::{Event, PauseReason};
    use jiff::Timestamp;

    fn start(dir: &Path) -> Journal {
        let plan = serde_json::json!({
            "runbook": "x", "runbookVersion": "1", "runbookDigest": "", "title": "x", "experimental": false, "inputs": {},
            "target": ObjectRef::new("c", "n", "t"), "kubeClusters": {}, "contexts": [], "checks": [], "steps": [],
            "observedAt": "1970-01-01T00:00:00Z",
        });
        let plan = serde_json::from_value(plan).expect("a plan");
        let mut journal = Journal::create(dir, "r").expect("created");
        let opened = Event::RunOpened { run: "r".into(), tool: "test".into(), plan };
        journal.append(Timestamp::UNIX_EPOCH, opened).expect("appended");
        journal
    }

    fn pause(journal: &mut Journal, text: &str) {
        let reason = PauseReason::NotReady { sentence: text.into() };
        journal
            .append(Timestamp::UNIX_EPOCH, Event::Paused { step: "s".into(), reason, cause: None })
            .expect("appended");
    }

    #[test]
    fn a_journal_goes_on_elsewhere_and_comes_back() {
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ours = start(here.path());
        let mut theirs = Journal::import(there.path(), "r", &ours.text().expect("text")).expect("imported");
        pause(&mut theirs, "on");
        assert_eq!(ours.extend(&theirs.text().expect("text")).expect("extended").len(), 1);
        assert_eq!(ours.extend(&theirs.text().expect("text")).expect("nothing more").len(), 0);
        // The chain goes on over the copied line.
        pause(&mut ours, "and on");
        assert_eq!(crate::client::journal::read(here.path(), "r").expect("a whole chain").len(), 3);
        assert!(theirs.extend(&ours.text().expect("text")).is_ok());
    }

    #[test]
    fn a_fork_is_refused_and_can_be_put_aside() {
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ours = start(here.path());
        let mut theirs = Journal::import(there.path(), "r", &ours.text().expect("text")).expect("imported");
        pause(&mut ours, "one");
        pause(&mut theirs, "other");
        assert!(matches!(ours.extend(&theirs.text().expect("text")), Err(LedgerError::Fork { .. })));
        drop(ours);
        let aside = set_aside(here.path(), "r").expect("renamed");
        assert!(aside.ends_with("r.fork-1") && crate::client::journal::list(here.path()).next().is_none());
        assert!(Journal::import(here.path(), "r", &theirs.text().expect("text")).is_ok());
    }

    #[test]
    fn a_seat_names_one_file() {
        let (here, there) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ours = start(here.path());
        let copy = Journal::import(there.path(), "r", &ours.text().expect("text")).expect("imported");
        assert!(ours.lock_id() == ours.lock_id() && (ours.lock_id().is_none() || ours.lock_id() != copy.lock_id()));
    }
}
