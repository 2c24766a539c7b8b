//! The lines of docs/practice.md, run by a shell as they are printed.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{BINARY, FOREIGN, Room, finish};

/// Every shell block of the page, one after the other.
fn printed() -> String {
    let page = include_str!("../../docs/practice.md");
    page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_printed_practice_goes_as_printed() {
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "kubectl has to be there in CI");
        return;
    }
    let room = Room::new();
    let binaries = std::path::Path::new(BINARY).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    // Whatever happens, the fleet that was served ends with the shell.
    std::fs::write(room.path("practice.sh"), format!("trap 'kill $(jobs -p)' EXIT\n{}", printed())).expect("written");
    let mut command = Command::new("bash");
    command.arg(room.path("practice.sh")).current_dir(room.dir.path()).envs(room.environment());
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.env("PATH", format!("{}:{path}", binaries.display())).env("TIDEPILOT_STATE", room.path("state"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command.spawn().expect("a shell"), Duration::from_secs(300));
    let all = ran.all();
    for part in ["spec.paused", "exit 2", "REFUSED  not-paused", "exit 4", "[open-run]", "exit 0", "whole"] {
        assert!(all.contains(part), "{part}\n{all}");
    }
    // The migration went to its end, by the run that was killed.
    assert!(ran.stdout.trim_end().ends_with("exit 0"), "{all}");
    assert_eq!(room.journals().len(), 1, "{all}");
}
