//! The run that is meant by a part of its name: its beginning or its last part, where that is one run's alone.
//!
//! Of this machine's journals only, and for commands that look or go on; what puts back or gives up takes the whole name.
//! Nothing is read but the names of files.

use std::path::Path;

use crate::client::journal;

/// Fewer letters say nothing: every run of a century begins with the same two.
const FEWEST: usize = 4;

/// The whole name of the run that is meant. A name that fits no journal here stays as it is: its record may lie in a cluster.
/// `Err`: one sentence with those that it fits.
pub fn whole(folder: &Path, given: &str) -> Result<String, String> {
    let mut found = fitting(folder, given);
    match found.len() {
        0 => Ok(given.to_owned()),
        1 => Ok(found.remove(0)),
        _ => Err(format!("{given} may be any of these runs: {}; give more of the name", found.join(", "))),
    }
}

/// Refuses a part of a name, for what is not done on a guess. `verb`: undo.
pub fn only_whole(folder: &Path, given: &str, verb: &str) -> Result<(), String> {
    match fitting(folder, given).as_slice() {
        [] => Ok(()),
        [one] if one == given => Ok(()),
        found => {
            Err(format!("`runs {verb}` takes the whole name of a run, and {given} is a part: {}", found.join(", ")))
        }
    }
}

/// The journals that it may be; one that is called just so is no other.
fn fitting(folder: &Path, given: &str) -> Vec<String> {
    let mut names = journal::names(folder);
    if names.iter().any(|name| name == given) {
        return vec![given.to_owned()];
    }
    let last = |name: &str| name.rsplit('-').next() == Some(given);
    names.retain(|name| given.len() >= FEWEST && (name.starts_with(given) || last(name)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_is_the_one_run_that_it_fits() {
        let dir = tempfile::tempdir().expect("a folder");
        for run in ["20261130-115002-7f3a", "20261130-115002-7f3b", "20261201-090000-0001", "2026"] {
            std::fs::write(dir.path().join(format!("{run}.jsonl")), "").expect("written");
        }
        let of = |given| whole(dir.path(), given);
        for (given, run) in [
            ("20261201", "20261201-090000-0001"),
            ("7f3a", "20261130-115002-7f3a"),
            ("20261130-115002-7f3b", "20261130-115002-7f3b"),
            // One that is called just so, whatever begins with it.
            ("2026", "2026"),
            // Too short, in the middle, not there: as it was given.
            ("7f3", "7f3"),
            ("115002", "115002"),
            ("20261202", "20261202"),
        ] {
            assert_eq!(of(given), Ok(run.to_owned()), "{given}");
        }
        let why = of("20261130").expect_err("two");
        assert!(why.contains("20261130-115002-7f3a, 20261130-115002-7f3b;"), "{why}");
        assert!(only_whole(dir.path(), "20261201-090000-0001", "undo").is_ok());
        assert!(only_whole(dir.path(), "20261202", "undo").is_ok(), "it is looked for as it was given");
        let why = only_whole(dir.path(), "0001", "undo").expect_err("a part");
        assert!(why.contains("`runs undo` takes the whole name") && why.contains("20261201-090000-0001"), "{why}");
    }
}
