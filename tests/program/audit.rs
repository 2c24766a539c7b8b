//! Plans that can be reviewed, journals that can be checked, and what is left as a script: the real binary on the
//! simulated fleet, with `sh`, kubectl and curl as independent hands where they are installed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SET: [&str; 4] = ["--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=cluster1.com"];

/// `tidepilot demo --serve` with a folder of its own.
struct Demo {
    child: Child,
    dir: tempfile::TempDir,
}

impl Demo {
    fn start(scenario: &str) -> Self {
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

    fn command(&self, program: &str) -> Command {
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

    fn run(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_tidepilot")).args(args).output().expect("runs")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Requests that change the Database: leases and run records are other things.
    fn writes(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("requests")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("one JSON document a line"))
            .filter(changes_the_database)
            .collect()
    }

    fn kubectl(&self, args: &[&str]) -> Output {
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

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn code(output: &Output, expected: i32) -> String {
    let text = said(output);
    assert_eq!(output.status.code(), Some(expected), "{text}");
    text
}

fn migrate<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[verb, "migrate-cluster-domain"], &SET[..], more].concat()
}

/// Whether the programs are there; in CI they have to be.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn have(programs: &[&str]) -> bool {
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

fn only_run(demo: &Demo) -> String {
    let listed = code(&demo.run(&["runs", "list", "-o", "json"]), 0);
    let runs: Value = serde_json::from_str(&listed).expect("JSON");
    runs["runs"][0]["run"].as_str().expect("a run").to_owned()
}

/// Every line that a plan offers for the hands is shell; so is the text that people copy it from.
#[test]
fn the_lines_by_hand_can_be_pasted() {
    let demo = Demo::start("half-migrated");
    let sets = |sets: &[&str]| -> Vec<String> {
        sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect()
    };
    let plans = [
        ("migrate-cluster-domain", sets(&["tidbCluster=legacy/pingcap/basic", "clusterDomain=cluster1.com"])),
        ("restart-component", sets(&["tidbCluster=east/prod/prod-east", "component=pd"])),
        ("transfer-pd-leader", sets(&["tidbCluster=east/prod/prod-east", "pod=prod-west-pd-0"])),
        ("monitor-across-clusters", sets(&["tidbCluster=east/prod/prod-east"])),
        ("verify-network", sets(&["first=east/prod/prod-east", "second=west/prod/prod-west"])),
        ("leave-cluster", sets(&["tidbCluster=west/prod/prod-west", "deletePvcs=true"])),
    ];
    let shell = |line: &str| Command::new("sh").args(["-n", "-c", line]).output().expect("sh runs");
    let mut tried = 0;
    for (runbook, sets) in &plans {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let json = demo.run(&[&["plan", runbook, "-o", "json"], sets.as_slice()].concat());
        let plan: Value = serde_json::from_slice(&json.stdout).unwrap_or_else(|_| panic!("{}", said(&json)));
        let steps = plan["steps"].as_array().expect("steps");
        assert!(!steps.is_empty(), "{runbook}: {plan:#}");
        for line in steps.iter().filter_map(|step| step["command"].as_str()).filter(|line| !line.is_empty()) {
            assert!(shell(line).status.success(), "{runbook}: {line}");
            tried += 1;
        }
        let text = said(&demo.run(&[&["plan", runbook], sets.as_slice()].concat()));
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix("by hand  ")) {
            assert!(shell(line).status.success() && !line.contains("<<"), "{runbook}: {line}");
        }
    }
    assert!(tried > 25, "only {tried} lines");
}

/// A version moves one component: the script waits for that one's revision and for no other, which would never move.
#[test]
fn what_remains_waits_for_what_was_moved() {
    let demo = Demo::start("default");
    let upgrade = ["run", "upgrade-cluster", "--set", "tidbCluster=east/prod/prod-east", "--set", "version=v8.5.9"];
    // Up to the gate of the second TidbCluster: every name is asked for by itself.
    let first = ["--yes", "--confirm", "prod-east"];
    let stopped = code(&demo.run(&[&upgrade[..], &first[..]].concat()), 3);
    assert!(stopped.contains("--confirm west/prod/prod-west"), "{stopped}");
    let script = code(&demo.run(&["runs", "remaining", &only_run(&demo)]), 0);
    let waits: Vec<&str> = script.lines().filter(|line| line.starts_with("until test ")).collect();
    assert_eq!(waits.len(), 5, "PD of west, then TiKV and TiDB of both: {waits:#?}");
    for set in ["prod-west-pd", "prod-east-tikv", "prod-west-tikv", "prod-east-tidb", "prod-west-tidb"] {
        assert_eq!(waits.iter().filter(|line| line.contains(&format!(" {set} "))).count(), 1, "{set}: {waits:#?}");
    }
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
    assert!(text.contains("Rollback: none from step 1 [set-domain] on"), "{text}");
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
        "typed legacy/pingcap/basic",
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

#[test]
fn what_remains_is_a_script_that_works() {
    what_remains_works_on("default");
}

#[test]
fn what_remains_is_a_script_that_works_with_tls() {
    what_remains_works_on("tls");
}

fn what_remains_works_on(scenario: &str) {
    if !have(&["kubectl", "curl"]) {
        return;
    }
    let demo = Demo::start(scenario);
    // No gate is answered: the run is open and nothing has been sent.
    code(&demo.run(&migrate("run", &["-o", "json"])), 3);
    let run = only_run(&demo);
    let script = demo.run(&["runs", "remaining", &run]);
    let text = code(&script, 0);
    assert!(demo.writes().is_empty(), "{scenario}");
    let file = demo.path("remaining.sh");
    std::fs::write(&file, &script.stdout).expect("written");
    by_hand(&demo, &file, &text);
    if scenario == "default" {
        // A second time it finds everything so.
        let before = demo.writes().len();
        by_hand(&demo, &file, &text);
        let members = |from: usize| demo.writes()[from..].iter().filter(|w| w["method"] == "PUT").count();
        assert_eq!((members(0), members(before)), (3, 0));
    }
    let status: Value = serde_json::from_slice(&demo.run(&["status", "-o", "json"]).stdout).expect("JSON");
    let drift =
        |database: &Value| database["members"].as_array().is_some_and(|all| all.iter().any(|m| m["drift"] == true));
    let databases = status["databases"].as_array().expect("databases");
    assert!(!databases.iter().any(drift), "{scenario}: {databases:#?}");
    let text = code(&demo.run(&["runs", "resume", &run, "--yes", "--confirm", "basic"]), 0);
    assert!(text.contains("nothing to do") || text.contains("done"), "{text}");
}

/// Servers on the ports that forwards to PD are usually given: each answers everything with 200 and a member list of its
/// own. One that cannot be had is somebody else's already, which is as good.
fn strangers() -> Vec<std::net::TcpListener> {
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

/// The lines that a plan prints for whoever would do it by hand, run as they stand.
#[test]
fn the_lines_by_hand_of_a_plan_reach_the_pod_that_they_name() {
    if !have(&["kubectl", "curl"]) {
        return;
    }
    let demo = Demo::start("half-migrated");
    let _strangers = strangers();
    let plan: Value = serde_json::from_slice(&demo.run(&migrate("plan", &["-o", "json"])).stdout).expect("JSON");
    let steps = plan["steps"].as_array().expect("steps").clone();
    let line = |step: &Value| step["command"].as_str().expect("a line").to_owned();
    let update = steps.iter().find(|step| step["action"]["kind"] == "update-peer-url" && step["alreadySo"] == false);
    let update = line(update.unwrap_or_else(|| panic!("one stale peerURL: {steps:#?}")));
    assert!(!update.contains("2379:2379") && !update.contains("sleep 2"), "{update}");
    // Where the operator's word and the pod's differ, nothing is sent.
    let real = code(
        &demo.kubectl(&[
            "--context",
            "legacy",
            "-n",
            "pingcap",
            "get",
            "tc",
            "basic",
            "-o",
            "jsonpath={.status.clusterID}",
        ]),
        0,
    );
    let wrong = update.replace(r#""$(kubectl --context legacy -n pingcap get tidbclusters.pingcap.com basic -o jsonpath='{.status.clusterID}')""#, "1");
    assert_ne!(wrong, update);
    let output = demo.command("sh").args(["-c", &wrong]).output().expect("sh runs");
    assert!(
        !output.status.success()
            && said(&output).contains(&format!("is of PD cluster {real}, expected 1; nothing was sent")),
        "{}",
        said(&output)
    );
    assert!(!demo.writes().iter().any(|write| write["method"] == "PUT"), "{:#?}", demo.writes());
    let output = demo.command("sh").args(["-c", &update]).output().expect("sh runs");
    assert!(output.status.success(), "{update}\n{}", said(&output));
    assert_eq!(demo.writes().iter().filter(|write| write["method"] == "PUT").count(), 1, "{:#?}", demo.writes());
    assert!(said(&demo.run(&["status"])).contains("http"), "PD answers still");
    // The lead is handed over in the same way.
    let inputs = [
        "plan",
        "transfer-pd-leader",
        "-o",
        "json",
        "--set",
        "tidbCluster=legacy/pingcap/basic",
        "--set",
        "pod=basic-pd-1",
    ];
    let transfer: Value = serde_json::from_slice(&demo.run(&inputs).stdout).unwrap_or_default();
    for step in transfer["steps"].as_array().into_iter().flatten().filter(|step| step["alreadySo"] == false) {
        let line = line(step);
        assert!(!line.contains("2379:2379") && !line.contains("sleep 2"), "{line}");
    }
}

fn by_hand(demo: &Demo, file: &Path, text: &str) {
    // Whoever may listen where one would expect PD: the script has to pass them by.
    let _strangers = strangers();
    // The fleet's time is fast, so the script's waits may be short: a `sleep` of our own stands before the real one.
    let folder = demo.path("bin");
    std::fs::create_dir_all(&folder).expect("made");
    let shim = folder.join("sleep");
    std::fs::write(&shim, "#!/bin/sh\nexec /bin/sleep 0.2\n").expect("written");
    std::fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    // Whoever runs it says at its waits that they are over.
    let script = demo.command("sh").args(["-c", "yes '' | sh \"$0\""]).env("PATH", path).arg(file).output();
    let output = script.expect("sh runs");
    assert!(output.status.success(), "{}\n{text}", said(&output));
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

#[test]
fn runbooks_speak_chinese_where_the_locale_does() {
    let demo = Demo::start("half-migrated");
    let chinese = code(&demo.run(&["--lang", "zh", "runbook", "list"]), 0);
    assert!(chinese.contains("为已有的 TidbCluster 开启跨 Kubernetes 集群功能"), "{chinese}");
    let mut command = demo.command(env!("CARGO_BIN_EXE_tidepilot"));
    let wrong =
        ["plan", "migrate-cluster-domain", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=x.y"];
    let refused = code(&command.env("LANG", "zh_CN.UTF-8").args(wrong).output().expect("runs"), 4);
    assert!(
        refused.contains("clusterDomain x.y 不是 legacy 的域名") && refused.contains("PD 一直保留首次启动时的 peerURL"),
        "{refused}"
    );
    let english = code(&demo.run(&wrong), 4);
    assert!(english.contains("clusterDomain x.y is not a domain of legacy"), "{english}");
}

fn has_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[test]
fn a_run_is_read_in_the_language_of_its_reader_whoever_opened_it() {
    let demo = Demo::start("half-migrated");
    let zh = |args: &[&str]| demo.run(&[&["--lang", "zh"], args].concat());
    // Opened in Chinese and left at its first gate.
    code(&zh(&migrate("run", &[])), 3);
    let run = only_run(&demo);
    let title = "的 peerURL 设为";
    let faces: Vec<Vec<&str>> = vec![
        vec!["runs", "list"],
        vec!["runs", "show", &run],
        vec!["runs", "report", &run],
        vec!["runs", "remaining", &run],
        vec!["status"],
        vec!["diagnose"],
        vec!["runs", "resume", &run],
    ];
    let both = |faces: &[Vec<&str>]| {
        let mut chinese = String::new();
        for face in faces {
            let english = said(&demo.run(face));
            assert!(!has_chinese(&english), "{face:?} in English\n{english}");
            chinese += &said(&zh(face));
        }
        chinese
    };
    let chinese = both(&faces);
    assert!(chinese.contains(title), "{chinese}");
    // Its records are as they were written.
    assert!(has_chinese(&code(&demo.run(&["runs", "show", &run, "-o", "json"]), 0)));
    assert!(code(&demo.run(&["runs", "verify", &run]), 0).contains("whole"));
    // The other way: gone on with in English, put back in English, read in Chinese.
    code(&demo.run(&["runs", "resume", &run, "--yes", "--confirm", "basic"]), 0);
    code(&demo.run(&["runs", "undo", &run]), 3);
    let chinese = both(&faces);
    assert!(chinese.contains(title), "{chinese}");
}

#[test]
fn a_plan_that_was_reviewed_in_chinese_is_run_in_english() {
    let demo = Demo::start("half-migrated");
    let file = demo.path("plan.json");
    let file = file.to_str().expect("UTF-8");
    code(&demo.run(&[&["--lang", "zh"], migrate("plan", &["--out", file]).as_slice()].concat()), 2);
    let ran = code(&demo.run(&["run", "--plan", file, "--yes", "--confirm", "basic"]), 0);
    assert!(!has_chinese(&ran), "{ran}");
    let report = code(&demo.run(&["runs", "report", &only_run(&demo)]), 0);
    assert!(!has_chinese(&report), "{report}");
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
    assert!(said.contains("in order, 0 warnings"), "{said}");
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
