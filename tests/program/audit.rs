//! Plans that can be reviewed, journals that can be checked, interrupted work that is found: the real binary on the
//! simulated fleet, with `sh`, kubectl and curl as independent hands where they are installed.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SET: [&str; 4] = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=cluster1.com"];

/// `tidepilot demo --serve` with a folder of its own.
pub struct Demo {
    child: Child,
    dir: tempfile::TempDir,
}

impl Demo {
    pub(super) fn start(scenario: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let child = Command::new(env!("CARGO_BIN_EXE_tidepilot"))
            .args(["demo", "--serve", "--speed", "100", "--scenario", scenario, "--kubeconfig-out"])
            .arg(dir.path().join("kubeconfig"))
            .arg("--request-log")
            .arg(dir.path().join("requests"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut demo = Self { child, dir };
        let out = demo.child.stdout.take().expect("piped");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out));
        while !lines.next().expect("the demo serves").expect("text").contains("serving until") {}
        let until = Instant::now() + Duration::from_secs(60);
        while demo.run(&["status"]).status.code() != Some(0) && scenario == "default" {
            assert!(Instant::now() < until, "the fleet does not become well");
            std::thread::sleep(Duration::from_millis(200));
        }
        demo
    }

    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", self.path("kubeconfig"))
            .env("TIDEPILOT_STATE", self.path("state"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("LC_MESSAGES")
            .current_dir(self.dir.path());
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_tidepilot")).args(args).output().expect("runs")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Requests that change the Database: leases and run records are other things.
    pub(super) fn writes(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("requests")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("one JSON document a line"))
            .filter(changes_the_database)
            .collect()
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> Output {
        self.command("kubectl").args(args).output().expect("kubectl runs")
    }
}

fn changes_the_database(line: &Value) -> bool {
    let (method, path) = (line["method"].as_str().unwrap_or(""), line["path"].as_str().unwrap_or(""));
    let write = matches!(method, "PUT" | "PATCH" | "DELETE") && line["dryRun"] != Value::Bool(true);
    write && (path.contains("/tidbclusters/") || path.contains("/members/")) || path.ends_with("/member/update")
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn code(output: &Output, expected: i32) -> String {
    let text = said(output);
    assert_eq!(output.status.code(), Some(expected), "{text}");
    text
}

pub fn migrate<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[verb, "migrate-cluster-domain"], &SET[..], more].concat()
}

/// Whether the programs are there; in CI they have to be.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub fn have(programs: &[&str]) -> bool {
    let missing: Vec<&&str> = programs
        .iter()
        .filter(|program| {
            Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .output()
                .is_ok_and(|o| !o.status.success())
        })
        .collect();
    if !missing.is_empty() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing in CI: {missing:?}");
        eprintln!("left out: {missing:?} not installed");
    }
    missing.is_empty()
}

pub fn only_run(demo: &Demo) -> String {
    let listed = code(&demo.run(&["runs", "list", "-o", "json"]), 0);
    let runs: Value = serde_json::from_str(&listed).expect("JSON");
    runs["runs"][0]["run"].as_str().expect("a run").to_owned()
}

#[test]
fn a_reviewed_plan_runs_only_while_nothing_has_moved() {
    if !have(&["kubectl"]) {
        return;
    }
    let demo = Demo::start("default");
    let file = demo.path("plan.json");
    let file = file.to_str().expect("UTF-8");
    let text = code(&demo.run(&migrate("plan", &["--out", file])), 2);
    assert!(text.contains("---- no rollback from here on ----\n~ 1."), "{text}");
    assert!(
        text.contains("NO ROLLBACK; before it was spec.acrossK8s = (not set), spec.clusterDomain = (not set)"),
        "{text}"
    );
    assert!(
        text.contains("puts back peerURLs [\"http://basic-pd-0.basic-pd-peer.pingcap.svc:2380\"] of basic-pd-0"),
        "{text}"
    );
    assert!(text.contains("Rollback: step 1 [set-domain] cannot be undone"), "{text}");
    let first: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("written")).expect("JSON");
    // Another look at the same world has the same digest, whatever the resourceVersions.
    code(&demo.kubectl(&["--context", "legacy", "-n", "pingcap", "label", "tc", "basic", "a=b"]), 0);
    let again: Value = serde_json::from_slice(&demo.run(&migrate("plan", &["-o", "json"])).stdout).expect("JSON");
    assert_eq!(first["digest"], again["digest"]);
    let markdown = code(&demo.run(&migrate("plan", &["-o", "markdown"])), 2);
    assert!(
        markdown.contains("**No rollback from here on.**")
            && markdown.contains(first["digest"].as_str().expect("text"))
    );
    // An edited file is not used.
    let edited = demo.path("edited.json");
    let text = std::fs::read_to_string(file).expect("written").replace("cluster1.com", "cluster2.com");
    std::fs::write(&edited, text).expect("written");
    let text = code(&demo.run(&["run", "--plan", edited.to_str().expect("UTF-8"), "--yes"]), 4);
    assert!(text.contains("it was edited"), "{text}");
    // Somebody sets another field that the checks judge.
    let patch = r#"{"spec":{"pd":{"maxFailoverCount":3}}}"#;
    code(
        &demo.kubectl(&[
            "--context",
            "legacy",
            "-n",
            "pingcap",
            "patch",
            "tc",
            "basic",
            "--type",
            "merge",
            "-p",
            patch,
        ]),
        0,
    );
    let before = demo.writes().len();
    let text = code(&demo.run(&["run", "--plan", file, "--yes", "--confirm", "basic"]), 4);
    assert!(
        text.contains("moved: TidbCluster legacy/pingcap/basic: spec.pd.maxFailoverCount: was 0, is now 3"),
        "{text}"
    );
    assert!(text.contains("moved: check failover-off: was \"passed\", is now \"refused\""), "{text}");
    assert_eq!(demo.writes().len(), before, "nothing was sent");
    let patch = r#"{"spec":{"pd":{"maxFailoverCount":0}}}"#;
    code(
        &demo.kubectl(&[
            "--context",
            "legacy",
            "-n",
            "pingcap",
            "patch",
            "tc",
            "basic",
            "--type",
            "merge",
            "-p",
            patch,
        ]),
        0,
    );
    code(&demo.run(&["run", "--plan", file, "--yes", "--confirm", "basic"]), 0);
    let run = only_run(&demo);
    a_finished_run_is_reported(&demo, &run);
    a_journal_that_was_touched_is_found_out(&demo, &run);
}

fn a_finished_run_is_reported(demo: &Demo, run: &str) {
    let report = code(&demo.run(&["runs", "report", run]), 0);
    for wanted in [
        "| state | done |",
        "--confirm legacy/pingcap/basic on the command line",
        &format!("?fieldManager=tidepilot%2F{run}&fieldValidation=Strict"),
        "PUT /v2/members/",
        "* the hash chain is whole",
        "completed (performed); seen: `{\"peerUrls\":",
        "| KubeCluster legacy | kube-system uid ",
    ] {
        assert!(report.contains(wanted), "{wanted} is not in\n{report}");
    }
    assert!(!report.contains("tidepilot%2FRUN"));
    assert!(code(&demo.run(&["runs", "remaining", run]), 0).contains("# Nothing"));
}

fn a_journal_that_was_touched_is_found_out(demo: &Demo, run: &str) {
    let text = code(&demo.run(&["runs", "verify", run]), 0);
    assert!(text.contains("whole") && text.contains("protected only by a next one"), "{text}");
    let head = text.trim_end().rsplit(' ').next().expect("a hash").to_owned();
    let file = demo.path("state").join("runs").join(format!("{run}.jsonl"));
    let whole = std::fs::read_to_string(&file).expect("a journal");
    let lines: Vec<&str> = whole.lines().collect();
    let write = |lines: &[&str]| {
        let text = lines.iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
        std::fs::write(&file, text).expect("written");
    };
    let mut removed = lines.clone();
    removed.remove(3);
    write(&removed);
    let text = code(&demo.run(&["runs", "verify", run]), 2);
    assert!(text.contains("record 3 was removed between line 3 and line 4"), "{text}");
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    write(&swapped);
    assert!(code(&demo.run(&["runs", "verify", run]), 2).contains("line 4 (record 2) was reordered"));
    let at = lines.iter().position(|line| line.contains("\"record\":\"confirmed\"")).expect("a gate was answered");
    let edited = lines[at].replacen("basic", "other", 1);
    let mut touched = lines.clone();
    touched[at] = &edited;
    write(&touched);
    let text = code(&demo.run(&["runs", "verify", run]), 2);
    assert!(text.contains(&format!("line {} (record {at}) was edited", at + 1)), "{text}");
    write(&lines[..lines.len() - 1]);
    code(&demo.run(&["runs", "verify", run]), 0);
    code(&demo.run(&["runs", "verify", run, "--head", &head]), 2);
    write(&lines);
    code(&demo.run(&["runs", "verify", run, "--head", &head]), 0);
    code(&demo.run(&["runs", "verify", "nosuch"]), 4);
}

/// Servers on the ports that forwards to PD are usually given: each answers everything with 200 and a member list of its
/// own. One that cannot be had is somebody else's already, which is as good.
pub fn strangers() -> Vec<std::net::TcpListener> {
    let bound = [2379, 12379].into_iter().filter_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    let all: Vec<std::net::TcpListener> = bound.collect();
    for listener in &all {
        let listener = listener.try_clone().expect("a second handle");
        std::thread::spawn(move || {
            for stream in listener.incoming().take(1000).flatten() {
                use std::io::{Read as _, Write as _};
                let mut stream = stream;
                let _ = stream.read(&mut [0; 4096]);
                let body = r#"{"id":1,"members":[],"etcdserver":"3.4.3","etcdcluster":"3.4.0"}"#;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
    }
    all
}

#[test]
fn a_fork_is_marked_and_its_run_needs_no_file() {
    let demo = Demo::start("half-migrated");
    let folder = demo.path("config").join("tidepilot").join("runbooks");
    std::fs::create_dir_all(&folder).expect("created");
    let shipped = code(&demo.run(&["runbook", "show", "migrate-cluster-domain"]), 0);
    let file = folder.join("mine.yaml");
    std::fs::write(&file, shipped.replace("en: Open an existing TidbCluster", "en: Our own way to open a TidbCluster"))
        .expect("written");
    let listed = code(&demo.run(&["runbook", "list"]), 0);
    assert!(listed.contains("mine.yaml (fork of the shipped one)") && listed.contains("Our own way"), "{listed}");
    code(&demo.run(&["runbook", "lint", file.to_str().expect("UTF-8")]), 0);
    let text = code(&demo.run(&migrate("plan", &[])), 2);
    assert!(text.contains("! migrate-cluster-domain comes from mine.yaml: a fork of the shipped runbook"), "{text}");
    // The run stops at a gate; then the file is gone, and the run goes on all the same.
    code(&demo.run(&migrate("run", &[])), 3);
    let run = only_run(&demo);
    std::fs::write(&file, "runbook: v1\nid: migrate-cluster-domain\nnonsense: true\n").expect("written");
    let refused = code(&demo.run(&migrate("plan", &[])), 4);
    assert!(refused.contains("nonsense"), "a broken fork must not become the original: {refused}");
    assert!(code(&demo.run(&["runbook", "list"]), 0).contains("CANNOT BE USED"));
    let found = code(&demo.run(&["runbook", "lint", file.to_str().expect("UTF-8")]), 4);
    assert!(found.contains("mine.yaml:3:1: error: document"), "{found}");
    // What it would carry out is in no file here any more, so that is shown and typed.
    let asked = code(&demo.run(&["runs", "resume", &run, "--yes", "--confirm", "basic"]), 3);
    assert!(asked.contains("--confirm 'document of admin'") && asked.contains("is not on this machine"), "{asked}");
    assert!(demo.writes().is_empty());
    let typed = ["runs", "resume", &run, "--yes", "--confirm", "basic", "--confirm", "document of admin"];
    code(&demo.run(&typed), 0);
    let report = code(&demo.run(&["runs", "report", &run]), 0);
    assert!(report.contains("| from | mine.yaml, a fork: it stood in the place of the shipped runbook |"), "{report}");
    assert_eq!(demo.writes().len(), 1, "one stale peerURL");
}

pub fn has_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[test]
fn a_new_runbook_begins_in_order() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidepilot"));
        command.env("XDG_CONFIG_HOME", dir.path()).args(args).output().expect("runs")
    };
    let text = code(&run(&["runbook", "new", "my-own"]), 0);
    let file = dir.path().join("my-own.yaml");
    std::fs::write(&file, &text).expect("written");
    let said = code(&run(&["runbook", "lint", file.to_str().expect("UTF-8")]), 0);
    assert!(said.contains("valid, 0 warnings"), "{said}");
    std::fs::write(&file, text.replace("pd.agree && pd.hasLeader", "pd.agreed && pd.hasLeader")).expect("written");
    let line = text.lines().position(|line| line.contains("pd.agree &&")).expect("there") + 1;
    let found = code(&run(&["runbook", "lint", file.to_str().expect("UTF-8")]), 4);
    assert!(found.contains(&format!("my-own.yaml:{line}:")) && found.contains("preflight pd-healthy"), "{found}");
    let schema: Value = serde_json::from_slice(&run(&["runbook", "schema"]).stdout).expect("JSON");
    assert_eq!(schema["$defs"]["step"]["additionalProperties"], false);
    assert_eq!(run(&["runbook", "new", "../x"]).status.code(), Some(64));
}

#[test]
fn interrupted_work_is_found_without_a_journal() {
    if !have(&["kubectl"]) {
        return;
    }
    let demo = Demo::start("half-migrated");
    let kubectl = |args: &[&str]| code(&demo.kubectl(&[&["--context", "legacy", "-n", "pingcap"], args].concat()), 0);
    let found = |expected: i32| -> Vec<Value> {
        let output = demo.run(&["diagnose", "basic", "-o", "json"]);
        assert_eq!(output.status.code(), Some(expected), "{}", said(&output));
        let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        value["leftovers"].as_array().expect("a list").clone()
    };
    let first = found(2);
    assert_eq!(first.len(), 1, "{first:#?}");
    assert_eq!(first[0]["kind"], "half-updated-peer-urls");
    // What it says to do is what finishes it.
    let remedy = first[0]["remedy"].as_str().expect("text").to_owned();
    let mut words: Vec<&str> = remedy.split(' ').skip(1).collect();
    words.extend(["--yes", "--confirm", "basic"]);
    code(&demo.run(&words), 0);
    assert_eq!(found(0), Vec::<Value>::new());
    kubectl(&["annotate", "tc", "basic", "tidb.pingcap.com/force-upgrade=true"]);
    kubectl(&["annotate", "pod", "basic-tikv-0", "tidb.pingcap.com/evict-leader=none"]);
    let lease = demo.path("lease.json");
    std::fs::write(
        &lease,
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "tidepilot-1"},
            "spec": {"holderIdentity": "a@b", "leaseDurationSeconds": 2, "renewTime": "2026-01-01T00:00:00.000000Z"}})
        .to_string(),
    )
    .expect("written");
    kubectl(&["create", "-f", lease.to_str().expect("UTF-8")]);
    let left = found(2);
    let kinds: Vec<&str> = left.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["force-upgrade", "pod-annotation", "orphaned-lease"], "{left:#?}");
    // The kubectl lines do what they say.
    for one in left.iter().filter(|one| one["kind"] != "orphaned-lease") {
        let line = one["remedy"].as_str().expect("text");
        let output = demo.command("sh").args(["-c", line]).output().expect("sh runs");
        assert!(output.status.success(), "{line}: {}", said(&output));
    }
    kubectl(&["delete", "lease", "tidepilot-1"]);
    assert_eq!(found(0), Vec::<Value>::new());
    assert_eq!(demo.run(&["diagnose", "nosuch"]).status.code(), Some(64));
}
