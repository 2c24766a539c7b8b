//! What is handed out: `.ci/dist` packs the program, and whoever unpacks the archive has everything in it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{BINARY, Demo, finish};

/// The tools that the script takes for granted on a machine that makes releases.
fn there(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var("CI").as_deref() != Ok("true"), "{tool} has to be there in CI");
    found
}

#[test]
fn an_archive_is_all_that_is_needed() {
    if !["bash", "tar", "gzip", "sha256sum", "python3", "cargo"].into_iter().all(there) {
        return;
    }
    let demo = Demo::start("default", 20);
    let out = demo.room.path("out");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/dist");
    let child = Command::new("bash")
        .arg(script)
        .env("PROGRAM", BINARY)
        .env("OUT", &out)
        .env("URL_BASE", "https://example.com/r")
        .env("CARGO_NET_OFFLINE", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    finish(child.expect("bash starts"), Duration::from_secs(180)).expect(0);
    // The checksums are those of what lies there, and unpacking gives one folder.
    let shell = "set -e; sha256sum -c --quiet SHA256SUMS; tar xzf tidepilot-*.tar.gz; cd tidepilot-*/; \
                 ./tidepilot version; ./kubectl-tidepilot status; ls man/man1 completions; grep -c pkg:cargo sbom.cdx.json; \
                 grep -c \"$(cut -d' ' -f1 ../SHA256SUMS | head -n 1)\" ../tidepilot.krew.yaml; ! grep @ ../tidepilot.krew.yaml";
    let mut command = Command::new("bash");
    command.args(["-c", shell]).current_dir(&out).envs(demo.room.environment()).env("KUBECONFIG", &demo.kubeconfig);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command.spawn().expect("bash starts"), Duration::from_secs(60)).expect(0);
    for part in ["tidepilot    ", "Database prod-east", "tidepilot-runs-take-over.1", "tidepilot.fish"] {
        assert!(ran.stdout.contains(part), "{part}\n{}", ran.all());
    }
}
