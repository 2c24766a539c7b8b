//! Files that somebody else names: read with a limit of bytes and of time, and never as a device or a pipe.
//!
//! A kubeconfig may name a FIFO, `/dev/zero` or a file on a mount that hangs; whoever reads it where he stands stands
//! for ever. Each file is opened and read on a thread of its own, which is left behind when the time is up.
//! Not here: what is in the files ([`super::kubeconfig`], [`super::link`], [`super::pd_tls`]).

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long one file may take, on whatever mount it lies.
pub(super) const LONGEST: Duration = Duration::from_secs(3);
/// Certificates, keys and tokens are a few kB; bundles of CAs a few hundred.
pub(super) const CREDENTIAL_LIMIT: u64 = 4 * 1024 * 1024;
/// 5,000 contexts with their certificates are about 30 MB.
pub(super) const KUBECONFIG_LIMIT: u64 = 64 * 1024 * 1024;

/// Which kinds of files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Plain files only: a credential that a kubeconfig names.
    Plain,
    /// Also a pipe, as `--kubeconfig <(…)` gives one: a person named it just now.
    PlainOrPipe,
}

/// Why a file was not read. Shows its path, never its content.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{} cannot be read: there is no such file", .0.display())]
    Missing(PathBuf),
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("{} is {found}; expected a plain file", file.display())]
    Odd { file: PathBuf, found: &'static str },
    #[error("{} is larger than {limit} bytes, so it is not read", file.display())]
    Large { file: PathBuf, limit: u64 },
    #[error("{} gave nothing within {} s; does its mount hang?", file.display(), LONGEST.as_secs())]
    Slow { file: PathBuf },
}

/// Reads a file whole, or says why not within [`LONGEST`].
pub(super) fn read(file: &Path, allowed: Allowed, limit: u64) -> Result<Vec<u8>, FileError> {
    let (give, take) = mpsc::sync_channel(1);
    let path = file.to_owned();
    let started = std::thread::Builder::new().name("read-file".into()).spawn(move || {
        // Nobody waits any more: the answer is of no use.
        let _ = give.send(read_here(&path, allowed, limit));
    });
    if let Err(error) = started {
        return Err(FileError::Unreadable { file: file.to_owned(), why: error.to_string() });
    }
    take.recv_timeout(LONGEST).unwrap_or_else(|_| Err(FileError::Slow { file: file.to_owned() }))
}

/// [`read`] for an async caller: its thread is not held up.
pub(super) async fn read_async(file: PathBuf, allowed: Allowed, limit: u64) -> Result<Vec<u8>, FileError> {
    let path = file.clone();
    let ended = tokio::task::spawn_blocking(move || read(&path, allowed, limit)).await;
    ended.unwrap_or_else(|error| Err(FileError::Unreadable { file, why: error.to_string() }))
}

fn read_here(file: &Path, allowed: Allowed, limit: u64) -> Result<Vec<u8>, FileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(file.to_owned()),
        _ => FileError::Unreadable { file: file.to_owned(), why: error.to_string() },
    };
    // Before it is opened: opening a FIFO waits for somebody who writes.
    fit(file, &std::fs::metadata(file).map_err(failed)?, allowed)?;
    let opened = File::open(file).map_err(failed)?;
    fit(file, &opened.metadata().map_err(failed)?, allowed)?;
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(FileError::Large { file: file.to_owned(), limit });
    }
    Ok(bytes)
}

fn fit(file: &Path, found: &Metadata, allowed: Allowed) -> Result<(), FileError> {
    let kind = found.file_type();
    if kind.is_file() || (allowed == Allowed::PlainOrPipe && is_pipe(&kind)) {
        return Ok(());
    }
    let found = if kind.is_dir() {
        "a directory"
    } else if is_pipe(&kind) {
        "a pipe"
    } else {
        "a device or a socket"
    };
    Err(FileError::Odd { file: file.to_owned(), found })
}

#[cfg(unix)]
fn is_pipe(kind: &std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(kind)
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::FileType) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_of_a_bounded_size() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let plain = dir.path().join("token");
        std::fs::write(&plain, "0123456789").expect("written");
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).expect("linked");
        let said = |file: &Path, limit| read(file, Allowed::Plain, limit).map_err(|error| error.to_string());
        assert_eq!(said(&plain, 10), Ok(b"0123456789".to_vec()));
        for (file, limit, text) in [
            (plain.as_path(), 9, "larger than 9 bytes"),
            (fifo.as_path(), 9, "is a pipe; expected a plain file"),
            (link.as_path(), 9, "a device or a socket"),
            (dir.path(), 9, "a directory"),
            (Path::new("/nonexistent/x"), 9, "there is no such file"),
        ] {
            let error = said(file, limit).expect_err("refused");
            assert!(error.contains(text) && error.contains(&file.display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_left() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let begun = std::time::Instant::now();
        let error = read(&fifo, Allowed::PlainOrPipe, 9).expect_err("nobody writes").to_string();
        assert!(error.contains("gave nothing within 3 s"), "{error}");
        assert!(begun.elapsed() < LONGEST + Duration::from_secs(2));
    }
}
