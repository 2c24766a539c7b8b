//! Every file that is read or written by name: with a limit of bytes and of time, and never as a device or a pipe that
//! nobody is behind.
//!
//! A kubeconfig may name a FIFO, `/dev/zero` or a file on a mount that hangs, and another user may have laid one where a
//! journal is expected; whoever reads it where he stands stands for ever. Each file is opened and read on a thread of its
//! own, which is left behind when the time is up; journals, which are locked and kept open, are opened so that nothing
//! waits ([`open_plain`]). Not here: what is in the files. The table of all files is in `docs/hostile-worlds.md`.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::Access;

/// How long one file may take, on whatever mount it lies.
pub(crate) const LONGEST: Duration = Duration::from_secs(3);
/// How long the program at the other end of a pipe may take: `--file <(helm template …)` renders a chart first.
const PIPE_LONGEST: Duration = Duration::from_secs(60);
/// Certificates, keys and tokens are a few kB; bundles of CAs a few hundred.
pub(crate) const CREDENTIAL_LIMIT: u64 = 4 * 1024 * 1024;
/// 5,000 contexts with their certificates are about 30 MB.
pub(crate) const KUBECONFIG_LIMIT: u64 = 64 * 1024 * 1024;
/// A config file names contexts.
pub(crate) const CONFIG_LIMIT: u64 = 4 * 1024 * 1024;
/// Names that are looked at in one folder.
pub(crate) const FOLDER_LIMIT: usize = 10_000;

/// What an error of the operating system says to people: no number of it, and no word that only its makers know.
pub(crate) fn io_words(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory",
        io::ErrorKind::PermissionDenied => "permission is denied",
        io::ErrorKind::IsADirectory => "it is a directory; expected a file",
        io::ErrorKind::NotADirectory => "a part of its path is a file and no directory",
        io::ErrorKind::AlreadyExists => "it is there already",
        io::ErrorKind::StorageFull => "no space is left on its file system",
        io::ErrorKind::QuotaExceeded => "the quota of its file system is used up",
        io::ErrorKind::FileTooLarge => "a limit of this process or of its file system lets no file grow that large",
        io::ErrorKind::AddrInUse => "another process listens there already",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::ReadOnlyFilesystem => "its file system is read-only",
        io::ErrorKind::ConnectionRefused => "nothing listens there",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "the connection was cut",
        io::ErrorKind::BrokenPipe => "nobody reads it any more",
        io::ErrorKind::TimedOut => "no answer came in time",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// Why a file cannot be written under this name, as far as that shows before it is tried; one sentence. What takes long to make is
/// refused before it is made.
pub(crate) fn unwritable(file: &Path) -> Option<String> {
    let name = file.display();
    let may = |path: &Path, how| rustix::fs::access(path, how).is_ok();
    match std::fs::metadata(file) {
        Ok(found) if found.is_dir() => Some(format!("{name} is a directory; expected a file")),
        Ok(_) if !may(file, Access::WRITE_OK) => Some(format!("{name} is there and may not be written")),
        Ok(_) => None,
        Err(_) => {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            unfit_folder(folder)
        }
    }
}

/// Why no file can be made in this directory; one sentence.
fn unfit_folder(folder: &Path) -> Option<String> {
    let name = folder.display();
    match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Some(format!("{name} is a file; expected a directory")),
        Ok(_) if rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() => {
            Some(format!("in {name} no file may be made: permission is denied"))
        }
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!("there is no directory {name}")),
        Err(error) => Some(format!("{name}: {}", io_words(&error))),
    }
}

/// The same for a directory that is made where it is not there: the nearest one above it that is there has to take it.
pub(crate) fn unmakable(folder: &Path) -> Option<String> {
    let there = |path: &&Path| path.as_os_str().is_empty() || std::fs::symlink_metadata(path).is_ok();
    let nearest = folder.ancestors().find(there).filter(|path| !path.as_os_str().is_empty());
    unfit_folder(nearest.unwrap_or(Path::new(".")))
}

/// Which kinds of files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Plain files only: a credential that a kubeconfig names.
    Plain,
    /// Also a pipe, as `--kubeconfig <(…)` gives one: a person named it just now.
    PlainOrPipe,
}

/// Why a file was not read. Shows its path, never its content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{} cannot be read: there is no such file", .0.display())]
    Missing(PathBuf),
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable { file: PathBuf, why: String },
    #[error("{} is {found}; expected a plain file", file.display())]
    Odd { file: PathBuf, found: &'static str },
    #[error("{} is larger than {limit} bytes, so it is not read", file.display())]
    Large { file: PathBuf, limit: u64 },
    #[error("{} gave nothing within {} s; does its mount hang, or is it a pipe without a writer?", file.display(), after.as_secs())]
    Slow { file: PathBuf, after: Duration },
    #[error("{} is not text: byte {at} is no UTF-8", file.display())]
    NotText { file: PathBuf, at: usize },
}

/// What the reading thread says: a pipe that was opened has somebody behind it, who may need longer.
enum Said {
    Pipe,
    Done(Result<Vec<u8>, FileError>),
}

/// Reads a file whole, or says why not within [`LONGEST`] (a pipe that somebody writes to: a minute).
pub(crate) fn read(file: &Path, allowed: Allowed, limit: u64) -> Result<Vec<u8>, FileError> {
    let (give, take) = mpsc::sync_channel(2);
    let path = file.to_owned();
    let started = std::thread::Builder::new().name("read-file".into()).spawn(move || {
        let read = read_here(&path, allowed, limit, &give);
        // Nobody waits any more: the answer is of no use.
        let _ = give.send(Said::Done(read));
    });
    if let Err(error) = started {
        return Err(FileError::Unreadable { file: file.to_owned(), why: error.to_string() });
    }
    let mut longest = LONGEST;
    loop {
        match take.recv_timeout(longest) {
            Ok(Said::Done(read)) => return read,
            Ok(Said::Pipe) => longest = PIPE_LONGEST,
            Err(_) => return Err(FileError::Slow { file: file.to_owned(), after: longest }),
        }
    }
}

/// [`read`], as text.
pub(crate) fn read_text(file: &Path, allowed: Allowed, limit: u64) -> Result<String, FileError> {
    let not_text = |error: std::string::FromUtf8Error| FileError::NotText {
        file: file.to_owned(),
        at: error.utf8_error().valid_up_to(),
    };
    String::from_utf8(read(file, allowed, limit)?).map_err(not_text)
}

/// [`read`] for an async caller: its thread is not held up.
pub(crate) async fn read_async(file: PathBuf, allowed: Allowed, limit: u64) -> Result<Vec<u8>, FileError> {
    let path = file.clone();
    let ended = tokio::task::spawn_blocking(move || read(&path, allowed, limit)).await;
    ended.unwrap_or_else(|error| Err(FileError::Unreadable { file, why: error.to_string() }))
}

fn read_here(file: &Path, allowed: Allowed, limit: u64, said: &mpsc::SyncSender<Said>) -> Result<Vec<u8>, FileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(file.to_owned()),
        _ => FileError::Unreadable { file: file.to_owned(), why: io_words(&error) },
    };
    // Before it is opened: opening a FIFO waits for somebody who writes.
    fit(file, &std::fs::metadata(file).map_err(failed)?, allowed)?;
    let opened = File::open(file).map_err(failed)?;
    let found = opened.metadata().map_err(failed)?;
    fit(file, &found, allowed)?;
    if found.file_type().is_fifo() {
        let _ = said.send(Said::Pipe);
    }
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(FileError::Large { file: file.to_owned(), limit });
    }
    Ok(bytes)
}

fn fit(file: &Path, found: &Metadata, allowed: Allowed) -> Result<(), FileError> {
    let kind = found.file_type();
    if kind.is_file() || (allowed == Allowed::PlainOrPipe && kind.is_fifo()) {
        return Ok(());
    }
    Err(FileError::Odd { file: file.to_owned(), found: named(found) })
}

fn named(found: &Metadata) -> &'static str {
    let kind = found.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device or a socket"
    }
}

/// Opens a plain file to keep it open. A pipe does not make it wait, since it is opened without waiting; it is refused.
pub(crate) fn open_plain(file: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = options.custom_flags(nonblocking).open(file)?;
    let found = opened.metadata()?;
    if found.is_file() {
        return Ok(opened);
    }
    Err(io::Error::other(format!("it is {}; expected a plain file", named(&found))))
}

/// Writes a file for its owner alone (0600), also where one was there that others could read. A pipe that nobody reads
/// is left after [`LONGEST`].
pub(crate) fn write_private(file: &Path, text: String) -> io::Result<()> {
    let (give, take) = mpsc::sync_channel(1);
    let path = file.to_owned();
    std::thread::Builder::new().name("write-file".into()).spawn(move || {
        let _ = give.send(write_here(&path, &text));
    })?;
    take.recv_timeout(LONGEST)
        .unwrap_or_else(|_| Err(io::Error::other("nothing took it within 3 s; is it a pipe without a reader?")))
}

/// Writes into a file that somebody else made for this, and leaves its mode as it is: the termination log of a pod.
pub(crate) fn write_into(file: &Path, text: &str) -> io::Result<()> {
    open_plain(file, OpenOptions::new().write(true).truncate(true))?.write_all(text.as_bytes())
}

/// Writes a file that was not there, for its owner alone (0600).
pub(crate) fn write_new(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

fn write_here(file: &Path, text: &str) -> io::Result<()> {
    let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    // A file that was there keeps its mode when it is opened.
    if opened.metadata()?.is_file() {
        opened.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    opened.write_all(text.as_bytes())
}

/// Why a folder is not one's own: who else may lay files into it, and the line that helps. A folder that is not there
/// yet is made for its owner alone.
pub(crate) fn shared(folder: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(folder).ok()?;
    let own = rustix::process::geteuid().as_raw();
    let name = folder.display();
    // What another user owns he may change at any time; root may in any case.
    if found.uid() != own && found.uid() != 0 {
        return Some(format!(
            "{name} belongs to user {} and not to {own}, who could change journals in it; name a folder of your own with --state",
            found.uid()
        ));
    }
    let quoted = format!("'{}'", folder.display().to_string().replace('\'', "'\\''"));
    (found.is_dir() && found.mode() & 0o022 != 0).then(|| {
        format!(
            "{name} may be written by others (mode {:04o}), who could lay journals into it: chmod go-w {quoted}",
            found.mode() & 0o7777
        )
    })
}

/// Whether only the owner of a file may rename or remove it in this folder, whoever may write it.
pub(crate) fn is_sticky(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).is_ok_and(|found| found.mode() & 0o1000 != 0)
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
    fn what_cannot_be_written_is_told_before_it_is_tried_and_in_words() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        let (new, below) = (dir.path().join("new"), file.join("x"));
        assert_eq!([unwritable(&file), unwritable(&new), unwritable(Path::new("new"))], [None, None, None]);
        assert_eq!(
            [unmakable(dir.path()), unmakable(&new.join("a/b")), unmakable(Path::new("a/b"))],
            [None, None, None]
        );
        let far = new.join("x");
        for (path, refused, text) in [
            (dir.path(), unwritable(dir.path()), "is a directory; expected a file"),
            (&*far, unwritable(&far), "there is no directory"),
            (&*below, unwritable(&below), "is a file; expected a directory"),
            (&*file, unmakable(&file), "is a file; expected a directory"),
            (&*below, unmakable(&below), "is a file; expected a directory"),
        ] {
            let refused = refused.unwrap_or_else(|| panic!("{}", path.display()));
            assert!(refused.contains(text), "{refused}");
        }
        let errors = [std::fs::write(dir.path(), ""), std::fs::write(&far, ""), std::fs::write(&below, "")];
        for error in errors.map(|tried| io_words(&tried.expect_err("refused"))) {
            assert!(error.contains("directory") && !error.contains("os error"), "{error}");
        }
        assert_eq!(io_words(&io::Error::from_raw_os_error(5)), "Input/output error");
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
        // Another one: whoever was left behind still waits to read the first.
        let fifo = dir.path().join("other");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let begun = std::time::Instant::now();
        let error = write_private(&fifo, "x".into()).expect_err("nobody reads").to_string();
        assert!(
            error.contains("a pipe without a reader") && begun.elapsed() < LONGEST + Duration::from_secs(2),
            "{error}"
        );
        let error = open_plain(&fifo, OpenOptions::new().read(true).append(true)).expect_err("no file").to_string();
        assert!(error.contains("it is a pipe; expected a plain file"), "{error}");
    }

    #[test]
    fn a_slow_program_behind_a_pipe_is_waited_for() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        let mut slow = std::process::Command::new("sh");
        let mut slow = slow.args(["-c", "exec >\"$0\"; sleep 4; echo made"]).arg(&fifo).spawn().expect("sh runs");
        assert_eq!(read(&fifo, Allowed::PlainOrPipe, 9).expect("read"), b"made\n");
        slow.wait().expect("ended");
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_ones_own() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temporary directory");
        let folder = dir.path().join("a'b");
        assert_eq!(shared(&folder), None, "what is not there yet is made for its owner");
        std::fs::create_dir(&folder).expect("made");
        for (mode, refused) in [(0o700, false), (0o755, false), (0o775, true), (0o777, true), (0o1777, true)] {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).expect("mode");
            let said = shared(&folder);
            assert_eq!(said.is_some(), refused, "{mode:o}: {said:?}");
            assert!(said.is_none_or(|said| said.contains("chmod go-w '") && said.contains("a'\\''b'")));
        }
    }
}
