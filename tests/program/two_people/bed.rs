//! One simulated fleet and the people who work on it at once.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tidepilot::client::{ConnectOptions, Links, targets};
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

pub(super) const BASIC: &str = "7218830945512086113";

pub(super) const PATIENCE: Duration = Duration::from_secs(40);

/// A fleet with a runtime of its own, so that a test may stop polling another one.
pub(super) struct World {
    pub(super) sim: Option<Sim>,
    pub(super) runtime: Runtime,
    pub(super) dir: tempfile::TempDir,
}

impl World {
    pub(super) fn start() -> Self {
        Self::of("default")
    }

    pub(super) fn of(scenario: &str) -> Self {
        Self::at(scenario, 50.0)
    }

    pub(super) fn at(scenario: &str, speed: f64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let options = SimOptions { scenario: scenario.to_owned(), speed, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start(options)).expect("the simulated fleet starts");
        let dir = tempfile::tempdir().expect("temporary directory");
        sim.write_kubeconfig(&dir.path().join("kubeconfig")).expect("written");
        Self { sim: Some(sim), runtime, dir }
    }

    pub(super) fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    pub(super) fn links(&self) -> Links {
        let options =
            ConnectOptions { kubeconfig: vec![self.dir.path().join("kubeconfig")], ..ConnectOptions::default() };
        Links::new(targets(&options).expect("a good kubeconfig"), options)
    }

    pub(super) fn state(&self, person: &str) -> PathBuf {
        self.dir.path().join(person)
    }

    /// The binary as one person, with a state folder of their own.
    pub(super) fn tidepilot(&self, person: &str, lease_s: u64, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidepilot"));
        command
            .args(arguments)
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("TIDEPILOT_STATE", self.state(person))
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path())
            .env("TIDEPILOT_LEASE_S", lease_s.to_string())
            .env_remove("TIDEPILOT_READ_ONLY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What reached the servers from line `from` on that could have changed something, `METHOD path status`.
    pub(super) fn writes(&self, from: usize) -> Vec<String> {
        let asks = ["reviews", "/member/list", "/maintenance/status"];
        let lines = self.sim().log().lines().into_iter().skip(from);
        let line = |line: Value| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let dry = if line["dryRun"] == true { " dry" } else { "" };
            format!("{} {} {}{dry}", text("method"), text("path"), line["status"])
        };
        lines
            .filter(|line| !matches!(line["method"].as_str(), Some("GET" | "HEAD")))
            .filter(|line| !asks.iter().any(|end| line["path"].as_str().is_some_and(|path| path.ends_with(end))))
            .map(line)
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(sim) = self.sim.take() {
            self.runtime.block_on(sim.shutdown());
        }
    }
}

/// A process that does not outlive its test.
pub(super) struct Process(pub(super) Child);

impl Process {
    pub(super) fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "{name}");
    }

    /// Exit code and stderr.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while self.0.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "the process does not end");
            std::thread::sleep(Duration::from_millis(30));
        }
        let code = self.0.wait().expect("ended").code();
        let mut said = String::new();
        if let Some(mut stderr) = self.0.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut said).expect("text");
        }
        (code, said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn code(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

pub(super) const RUN: [&str; 9] = [
    "run",
    "migrate-cluster-domain",
    "--set",
    "tidbCluster=legacy/pingcap/basic",
    "--set",
    "clusterDomain=cluster1.com",
    "--yes",
    "--confirm",
    "basic",
];

/// Waits until the only journal of a folder has a line that contains `word`; gives the run's name.
pub(super) fn until_journal_has(state: &Path, word: &str) -> String {
    let begun = Instant::now();
    loop {
        for entry in fs::read_dir(state.join("runs")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if fs::read_to_string(entry.path()).unwrap_or_default().contains(word) {
                return name.trim_end_matches(".jsonl").to_owned();
            }
        }
        assert!(begun.elapsed() < PATIENCE, "no journal in {} came to {word:?}", state.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
