//! Writes what a person keeps of a screen into a new file of the working folder, which only this user may read.
//!
//! Nothing is ever overwritten: a name that is taken gets a number. Not here: the words (`console`).

use std::path::PathBuf;

use crate::app::status_level::Level;
use crate::files;

/// Names that are tried.
const MOST: usize = 100;

/// Writes it, and says where it is.
pub(super) async fn write(name: &str, text: &str) -> (Level, String) {
    let (name, text) = (name.to_owned(), text.to_owned());
    let written = tokio::task::spawn_blocking(move || write_here(&name, &text)).await;
    match written {
        Ok(Ok(path)) => (Level::Good, format!("saved to {}", path.display())),
        Ok(Err(why)) => (Level::Bad, format!("nothing was saved: {why}")),
        Err(error) => (Level::Bad, format!("nothing was saved: {error}")),
    }
}

fn write_here(name: &str, text: &str) -> Result<PathBuf, String> {
    let folder = std::env::current_dir()
        .map_err(|error| format!("the working folder is not known: {}", files::io_words(&error)))?;
    write_in(&folder, name, text)
}

fn write_in(folder: &std::path::Path, name: &str, text: &str) -> Result<PathBuf, String> {
    // The name is ours, but parts of it are called in the cluster.
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).take(120).collect();
    for number in 1..=MOST {
        let file = match number {
            1 => folder.join(format!("{name}.md")),
            more => folder.join(format!("{name}-{more}.md")),
        };
        match files::write_new(&file, text) {
            Ok(()) => return Ok(file),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{} cannot be written: {}", file.display(), files::io_words(&error))),
        }
    }
    Err("too many files of that name are there already".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_saved_is_ones_own_and_overwrites_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = write_in(folder.path(), "plan ../x", "one\n").expect("written");
        let second = write_in(folder.path(), "plan ../x", "two\n").expect("written");
        assert_ne!(first, second);
        assert_eq!(first.file_name().and_then(|name| name.to_str()), Some("plan-..-x.md"));
        assert_eq!(std::fs::read_to_string(&first).expect("readable"), "one\n");
        let mode = std::fs::metadata(&second).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(write_in(&folder.path().join("none"), "x", "").is_err());
    }
}
