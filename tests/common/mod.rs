//! Driving the real binary: a room of its own for every test, the simulated fleet as a child, and its request log.
//!
//! Nothing here knows what is tested. Every wait is bounded and polls; a child is killed when its handle goes.
//! Neighbours: [`pty`] (the binary in a terminal), [`openssl`] (who else reads certificates).

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod openssl;
pub mod pty;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_tidepilot");
/// Longest life of one command.
pub const LONG: Duration = Duration::from_secs(90);

/// The environment variables that could lead a test to somebody's real clusters or files.
pub const FOREIGN: [&str; 6] =
    ["KUBECONFIG", "TIDEPILOT_READ_ONLY", "TIDEPILOT_STATE", "NO_COLOR", "LC_ALL", "LC_CTYPE"];

/// A directory that is home, configuration and state of the commands run in it.
pub struct Room {
    pub dir: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// Both outputs, for messages and for sentences that may be on either.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "expected exit code {code}\n{}", self.all());
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}):\n{}", self.all()))
    }
}

impl Room {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder of the journals.
    pub fn runs(&self) -> PathBuf {
        self.path("state").join("runs")
    }

    /// The pairs that keep a command in this room.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("HOME", self.dir.path().to_path_buf()),
            ("XDG_CONFIG_HOME", self.path("config")),
            ("XDG_STATE_HOME", self.path("xdg-state")),
            ("XDG_DATA_HOME", self.path("data")),
            ("XDG_CACHE_HOME", self.path("cache")),
        ]
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(BINARY);
        command.current_dir(self.dir.path()).envs(self.environment()).env("TIDEPILOT_STATE", self.path("state"));
        for name in FOREIGN.into_iter().filter(|name| *name != "TIDEPILOT_STATE") {
            command.env_remove(name);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("the binary starts"), LONG)
    }

    /// Names of the journals, oldest first.
    pub fn journals(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.runs()) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".jsonl")?.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// The records of a journal.
    pub fn records(&self, run: &str) -> Vec<Value> {
        lines(&self.runs().join(format!("{run}.jsonl")))
    }
}

/// Waits for a child, at most so long, and collects what it wrote.
#[track_caller]
pub fn finish(mut child: Child, limit: Duration) -> Ran {
    let began = Instant::now();
    let collect = |pipe: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = collect(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = collect(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let mut killed = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if !killed && began.elapsed() > limit {
            killed = true;
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(5));
    };
    let ran = Ran {
        code: status.code().unwrap_or(-1),
        stdout: stdout.join().expect("a reader"),
        stderr: stderr.join().expect("a reader"),
        took: began.elapsed(),
    };
    assert!(!killed, "still running after {limit:?}\n{}", ran.all());
    ran
}

/// Polls until the answer is there; panics with what is missing.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whole lines of JSON in a file; one that is being written is left for the next look.
pub fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// `tidepilot demo --serve` as a child, with a room for the commands that are run against it.
pub struct Demo {
    pub room: Room,
    pub kubeconfig: PathBuf,
    log: PathBuf,
    child: Child,
}

impl Demo {
    pub fn start(scenario: &str, speed: u32) -> Self {
        let room = Room::new();
        let (kubeconfig, log) = (room.path("fleet.yaml"), room.path("requests.jsonl"));
        let speed = speed.to_string();
        let mut command = room.command(["demo", "--serve", "--scenario", scenario, "--speed", speed.as_str()]);
        command.arg("--kubeconfig-out").arg(&kubeconfig).arg("--request-log").arg(&log);
        let mut child = command.stderr(Stdio::null()).spawn().expect("the binary starts");
        let out = child.stdout.take().expect("piped");
        let (said, hear) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let demo = Self { room, kubeconfig, log, child };
        let began = Instant::now();
        loop {
            let left = Duration::from_secs(30).saturating_sub(began.elapsed());
            let line = hear.recv_timeout(left).expect("the demo serves within 30 s");
            if line.starts_with("serving until") {
                return demo;
            }
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("the binary starts"), LONG)
    }

    /// `status -o json`, whatever its exit code.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status", "-o", "json"]).json()
    }

    /// Every request that has arrived so far.
    pub fn log(&self) -> Vec<Value> {
        lines(&self.log)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request as a short line, for messages and comparisons.
pub fn short(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let dry = if line["dryRun"] == true { " (dry run)" } else { "" };
    format!("{} {}{} {}{dry}", text("kubeCluster"), text("method"), text("path"), line["status"])
        .replacen(" /", &format!(" {} /", text("pod")), 1)
        .replace("  ", " ")
}

/// Whether a request could change anything: a write (dry runs too) or a program in a pod. Judged here on its own,
/// not by the product's own table: only what is known to be a read is one.
pub fn effect(line: &Value) -> bool {
    let (method, path) = (line["method"].as_str().unwrap_or_default(), line["path"].as_str().unwrap_or_default());
    if line.get("pod").is_some() {
        return match method {
            "GET" | "HEAD" => false,
            "POST" => !["/v3/cluster/member/list", "/v3/maintenance/status"].contains(&path),
            _ => true,
        };
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    match method {
        "GET" | "HEAD" => ["exec", "attach", "proxy"].iter().any(|word| path.split('/').any(|part| part == *word)),
        "POST" => !["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"].contains(&last),
        _ => true,
    }
}

pub fn effects(log: &[Value]) -> Vec<String> {
    log.iter().filter(|line| effect(line)).map(short).collect()
}

fn patches(log: &[Value], dry_run: bool) -> usize {
    log.iter()
        .filter(|line| line["method"] == "PATCH" && line["dryRun"] == dry_run && line["status"] == 200)
        .filter(|line| line["path"].as_str().is_some_and(|path| path.contains("/tidbclusters/")))
        .count()
}

/// Patches of TidbClusters that were stored.
pub fn real_patches(log: &[Value]) -> usize {
    patches(log, false)
}

pub fn dry_patches(log: &[Value]) -> usize {
    patches(log, true)
}

/// Membership writes that PD took, in their order: the member's id for v2 (hex), the path for v3.
pub fn membership_writes(log: &[Value]) -> Vec<String> {
    log.iter()
        .filter(|line| line.get("pod").is_some() && effect(line))
        .map(|line| {
            let path = line["path"].as_str().unwrap_or_default();
            let taken = line["status"].as_u64().is_some_and(|status| (200..300).contains(&status));
            assert!(taken, "PD refused a write: {}", short(line));
            path.strip_prefix("/v2/members/").unwrap_or(path).to_owned()
        })
        .collect()
}

/// The Database with this name.
#[track_caller]
pub fn database<'a>(status: &'a Value, name: &str) -> &'a Value {
    let all = status["databases"].as_array().expect("databases");
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no Database {name} in {status:#}"))
}

#[track_caller]
pub fn members(database: &Value) -> &[Value] {
    database["members"].as_array().expect("members")
}

/// Every member has exactly the peerURL it should have.
#[track_caller]
pub fn no_drift(database: &Value, count: usize) {
    let all = members(database);
    assert_eq!(all.len(), count, "{database:#}");
    for member in all {
        assert_eq!(member["drift"], false, "{member:#}");
        assert_eq!(member["peerUrls"], serde_json::json!([member["expectedPeerUrl"]]), "{member:#}");
        assert_eq!(member["healthy"], true, "{member:#}");
    }
}
