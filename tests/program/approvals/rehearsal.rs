//! `demo --user`: two people rehearse on a simulated fleet of their own, by the lines that the documentation prints.
//!
//! Not here: what the simulated API server refuses (`tests/wires/sim_api/rights.rs`).

use std::process::Command;
use std::time::Duration;

use super::common::{self, BINARY, Room, finish};

/// The shell lines of the page's section, as printed.
fn printed(heading: &str) -> String {
    let page = include_str!("../../../docs/approvals.md");
    let section = page.split(heading).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("shell lines").to_owned()
}

#[test]
fn the_printed_rehearsal_goes_as_printed() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "kubectl has to be there in CI");
        return;
    }
    let room = Room::new();
    let binaries = std::path::Path::new(BINARY).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    std::os::unix::fs::symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"), room.path("assets")).expect("a link");
    // Whatever happens, the fleet that was served ends with the shell.
    let script = format!("trap 'kill $(jobs -p)' EXIT\n{}", printed("## A rehearsal"));
    std::fs::write(room.path("rehearsal.sh"), &script).expect("written");
    let mut command = Command::new("bash");
    command.arg("-x").arg(room.path("rehearsal.sh")).current_dir(room.dir.path()).envs(room.environment());
    for name in common::FOREIGN {
        command.env_remove(name);
    }
    command.env("PATH", format!("{}:{path}", binaries.display())).env("HOME", room.dir.path());
    // The page sets it itself.
    command.env_remove("XDG_CONFIG_HOME");
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let ran = finish(command.spawn().expect("a shell"), Duration::from_secs(120));
    let all = ran.all();
    assert_eq!(ran.code, 0, "the last line is the report's\n{all}");
    for part in [
        "waits for a second person",
        "User \"bob\" cannot list resource \"configmaps\" in API group \"\"",
        "approved set-domain for attempt 1 as bob",
        "seen there; the API server vouches for the name",
    ] {
        assert!(all.contains(part), "{part}\n{all}");
    }
}

/// A fleet that does not outlive its test, however that ends.
struct Served(std::process::Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_user_has_a_kubeconfig_of_their_own() {
    let room = Room::new();
    let out = room.path("fleet.yaml");
    let arguments = ["demo", "--serve", "--user", "alice,bob:bound", "--user", "eve:read-only", "--kubeconfig-out"];
    let mut command = room.command(arguments);
    command.arg(&out);
    let served = Served(command.spawn().expect("the binary starts"));
    let file = |user: &str| room.path(&format!("fleet-{user}.yaml"));
    common::eventually("the last kubeconfig", common::LONG, || {
        std::fs::read_to_string(file("eve")).is_ok_and(|text| text.ends_with("}\n")).then_some(())
    });
    let mut tokens = std::collections::BTreeSet::new();
    for user in ["alice", "bob", "eve"] {
        let config: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file(user)).expect("written")).expect("JSON");
        let users = config["users"].as_array().expect("a list");
        // In each context one, and nobody else's token.
        assert_eq!(users.len(), config["contexts"].as_array().expect("a list").len(), "{user}");
        for entry in users {
            assert!(entry["name"].as_str().expect("a name").ends_with(&format!("-{user}")), "{entry}");
            assert!(tokens.insert(entry["user"]["token"].as_str().expect("a token").to_owned()));
        }
    }
    assert!(!out.exists(), "it would be nobody's");
    let status = |user: &str| room.run(&["--kubeconfig", file(user).to_str().expect("UTF-8"), "status"]);
    assert_eq!(status("alice").expect(0).stdout.matches(" live ").count(), 3);
    // Who only looks opens no tunnel to PD.
    let ran = status("eve");
    assert!(ran.stdout.contains("User \"eve\" cannot get resource \"pods/portforward\""), "{}", ran.all());
    // Nothing is bound to bob yet.
    let ran = status("bob");
    assert!(ran.code != 0 && ran.all().contains("forbids it"), "{}", ran.all());
    drop(served);
    let ran = room.run(&["demo", "--serve", "--user", "a b"]);
    assert!(ran.code == 64 || ran.code == 2, "{}", ran.all());
    assert!(ran.stderr.contains("read-only, bound"), "{}", ran.stderr);
}
