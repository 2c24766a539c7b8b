//! What the program prints for machines and shells: documents hold to their schemas by somebody else's validator, a watch
//! tells changes and nothing else, completions and manual pages are ones. Not here: what the documents say (`headless`).

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::{Demo, LONG, Ran, Room, eventually, finish};

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";

/// Validates each line of `documents` with Python's jsonschema. `None`: it is not there (never in CI).
pub fn validate(room: &Room, schema: &str, documents: &[String]) -> Option<Ran> {
    let python = "import jsonschema, json, sys\n\
                  schema = json.load(open(sys.argv[1]))\n\
                  kind = jsonschema.validators.validator_for(schema)\n\
                  kind.check_schema(schema)\n\
                  found = [e for line in open(sys.argv[2]) for e in kind(schema).iter_errors(json.loads(line))]\n\
                  [print(list(e.absolute_path), e.message[:300]) for e in found]\n\
                  sys.exit(1 if found else 0)\n";
    let interpreter = std::env::var("TIDEPILOT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&interpreter).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "a Python with jsonschema has to be there in CI");
        return None;
    }
    let (file, lines) = (room.path("schema.json"), room.path("lines.jsonl"));
    std::fs::write(&file, schema).expect("written");
    std::fs::write(&lines, documents.join("\n")).expect("written");
    let mut command = Command::new(&interpreter);
    command.args(["-W", "ignore", "-c", python]).arg(file).arg(lines);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    Some(finish(child.expect("python3 starts"), LONG))
}

fn one_line(ran: &Ran) -> String {
    serde_json::to_string(&ran.json()).expect("JSON")
}

#[track_caller]
fn holds(room: &Room, of: &str, documents: &[String]) {
    let schema = room.run(&["schema", of]).expect(0).stdout;
    if let Some(ran) = validate(room, &schema, documents) {
        assert_eq!(ran.code, 0, "{of}:\n{}", ran.all());
    }
    // And it refuses what is none.
    let mut broken: Value = serde_json::from_str(&documents[0]).expect("JSON");
    let map = broken.as_object_mut().expect("an object");
    let first = "observedAt";
    map.insert(first.into(), Value::from(1));
    if let Some(ran) = validate(room, &schema, &[broken.to_string()]) {
        assert_eq!(ran.code, 1, "{of} takes anything:\n{}", ran.all());
    }
}

/// Every command without commands below it whose `--output` takes `json`.
fn json_commands(command: &clap::Command, path: &str, out: &mut Vec<String>) {
    let output = command.get_arguments().find(|argument| argument.get_id() == "output");
    if output.is_some_and(|output| output.get_possible_values().iter().any(|value| value.get_name() == "json")) {
        out.push(path.trim().to_owned());
    }
    for below in command.get_subcommands().filter(|one| one.get_name() != "help") {
        json_commands(below, &format!("{path} {}", below.get_name()), out);
    }
}

/// What is run for one of them, with the schema that its documents hold to, and whether each line is one.
fn scenes(path: &str, run: &str, file: &str, job: &[&str]) -> Option<Vec<(Vec<String>, &'static str, bool)>> {
    let restart = ["restart-component", "--set", BASIC, "--set", "component=tidb"];
    let scene = |more: &[&str], schema, lines| {
        let words = path.split(' ').chain(more.iter().copied()).chain(["-o", "json"]);
        (words.map(str::to_owned).collect(), schema, lines)
    };
    Some(match path {
        "status" => vec![scene(&[], "status", false)],
        "check" => vec![scene(&[], "check", false), scene(&["--catalogue"], "catalogue", false)],
        "check network-prerequisites" => vec![scene(&[], "network-prerequisites", false)],
        "diagnose" => vec![scene(&[], "diagnose", false)],
        "plan" => vec![scene(&restart, "plan", false)],
        "run" => vec![
            scene(&[&restart[..], &["--dry-run"]].concat(), "plan", false),
            scene(&[&restart[..], &["--confirm", "legacy/pingcap/basic"]].concat(), "run", true),
        ],
        "job" => vec![scene(job, "run", true)],
        "runs list" => vec![scene(&[], "runs", false)],
        // The run is over: going on with it tells nothing more, and what it tells is records.
        "runs show" | "runs resume" => vec![scene(&[run], "run", true)],
        "runs undo" => vec![scene(&[run, "--yes", "--confirm", "legacy/pingcap/basic"], "run", true)],
        "runs abandon" => vec![scene(&[run, "--reason", "tried"], "run", true)],
        "runs take-over" => vec![scene(&[run], "run", true)],
        "runbook lint" => vec![scene(&[file], "lint", false)],
        "version" => vec![scene(&[], "version", false)],
        _ => return None,
    })
}

#[test]
fn every_json_of_the_program_begins_alike_and_has_a_schema() {
    let demo = Demo::start("default", 400);
    let restart = ["run", "restart-component", "--set", BASIC, "--set", "component=tidb"];
    demo.run(&[&restart[..], &["--confirm", "legacy/pingcap/basic"]].concat()).expect(0);
    let run = demo.room.journals()[0].clone();
    let runbook = demo.room.run(&["runbook", "new", "mine"]).expect(0).stdout;
    std::fs::write(demo.room.path("mine.yaml"), runbook).expect("written");
    // What a Job's pod is given.
    let plan = demo.room.path("plan.json");
    demo.run(&["plan", "restart-component", "--set", BASIC, "--set", "component=tidb", "--out", "plan.json"]).expect(2);
    let sealed: Value = serde_json::from_str(&std::fs::read_to_string(&plan).expect("a plan")).expect("JSON");
    let job = [
        ["--run", "20261130-020000-0001", "--plan", "plan.json", "--name", "east/ops/job", "--end", "end"].as_slice(),
        &["--digest", sealed["digest"].as_str().expect("a digest"), "--confirm", "legacy/pingcap/basic"],
    ]
    .concat();
    let mut commands = Vec::new();
    json_commands(&tidepilot::cli::commands(), "", &mut commands);
    assert!(commands.len() >= 12, "{commands:?}");
    for path in &commands {
        let scenes = scenes(path, &run, "mine.yaml", &job);
        for (arguments, schema, lines) in scenes.unwrap_or_else(|| panic!("`{path}` prints JSON and has no scene here"))
        {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let ran = demo.run(&words);
            let documents: Vec<String> = match lines {
                true => ran.stdout.lines().map(str::to_owned).collect(),
                false => vec![one_line(&ran)],
            };
            for document in &documents {
                assert!(document.starts_with("{\"apiVersion\":\"tidepilot/v1\""), "{arguments:?}: {document}");
                let value: Value = serde_json::from_str(document).expect("JSON");
                let at = value["observedAt"].as_str().unwrap_or_default();
                assert!(at.parse::<jiff::Timestamp>().is_ok(), "{arguments:?} has no observedAt: {document}");
            }
            if !documents.is_empty() {
                holds(&demo.room, schema, &documents);
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told_to_programs_by_what_stays_the_same() {
    let demo = Demo::start("quorum-at-risk", 20);
    let status = demo.run(&["status", "-o", "json"]).expect(2).json();
    let wrong = status["wrong"].as_array().expect("a list");
    let known = demo.room.run(&["check", "--catalogue", "-o", "json"]).expect(0).json();
    let known: Vec<&Value> = known["hazards"].as_array().expect("a list").iter().map(|one| &one["id"]).collect();
    let sentences: Vec<&Value> = status["databases"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|database| database["problems"].as_array().expect("a list"))
        .collect();
    assert!(!wrong.is_empty() && sentences.len() <= wrong.len(), "{status:#}");
    for one in wrong {
        assert!(known.contains(&&one["id"]) && one["subjects"][0]["kind"].is_string(), "{one:#}");
    }
    assert!(sentences.iter().all(|sentence| wrong.iter().any(|one| one["sentence"] == **sentence)), "{status:#}");
}

#[test]
fn documents_hold_to_their_schemas() {
    let mut status = Vec::new();
    let mut check = Vec::new();
    for scenario in ["default", "quorum-at-risk", "unreachable", "half-migrated", "tls", "empty"] {
        let demo = Demo::start(scenario, 20);
        status.push(one_line(&demo.run(&["status", "-o", "json"])));
        check.push(one_line(&demo.run(&["check", "-o", "json"])));
        if scenario == "half-migrated" {
            holds(&demo.room, "diagnose", &[one_line(&demo.run(&["diagnose", "-o", "json"]).expect(2))]);
        }
        if scenario == "empty" {
            holds(&demo.room, "status", &status);
        }
    }
    let room = Room::new();
    std::fs::write(
        room.path("tc.yaml"),
        "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {name: a}\nspec: {pvReclaimPolicy: Delete}\n",
    )
    .expect("written");
    check.push(one_line(&room.run(&["check", "--file", "tc.yaml", "-o", "json"]).expect(2)));
    holds(&room, "check", &check);
}

#[test]
fn plans_and_records_hold_to_theirs() {
    let demo = Demo::start("default", 400);
    let set = ["--set", BASIC, "--set", "component=tidb"];
    let plan = demo.run(&[&["plan", "restart-component", "-o", "json"], &set[..]].concat()).expect(2);
    let refused =
        demo.run(&["plan", "migrate-cluster-domain", "-o", "json", "--set", BASIC, "--set", "clusterDomain=no.such"]);
    assert_eq!(refused.code, 4, "{}", refused.all());
    holds(&demo.room, "plan", &[one_line(&plan), one_line(&refused)]);
    let ran = demo
        .run(&[&["run", "restart-component", "--confirm", "legacy/pingcap/basic", "-o", "json"], &set[..]].concat())
        .expect(0);
    let records: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
    assert!(records.len() > 5, "{}", ran.all());
    holds(&demo.room, "run", &records);
}

/// Progress is not the result: a pipe gets how it ended, the terminal sees the way there.
#[test]
fn progress_goes_beside_the_result() {
    let demo = Demo::start("default", 400);
    let set = ["--set", BASIC, "--set", "component=tidb", "--confirm", "legacy/pingcap/basic"];
    let ran = demo.run(&[&["run", "restart-component"], &set[..]].concat()).expect(0);
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.all());
    assert!(ran.stdout.contains("done") && ran.stderr.contains("Restart one component"), "{}", ran.all());
    let list = demo.run(&["runs", "list"]).expect(0).stdout;
    let mut lines = list.lines();
    let (head, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let at =
        |column: &str| row[head.find(column).expect("a column")..].split("  ").next().unwrap_or_default().to_owned();
    assert!(at("OPENED").starts_with("20") && at("LASTED").ends_with('s') && !at("WHO").starts_with('-'), "{list}");
}

/// Lines of a child's standard output as they come.
fn lines_of(child: &mut std::process::Child) -> std::sync::mpsc::Receiver<String> {
    let out = child.stdout.take().expect("piped");
    let (said, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = said.send(line);
        }
    });
    hear
}

pub fn pause(demo: &Demo, paused: bool) {
    let patch = format!("{{\"spec\":{{\"paused\":{paused}}}}}");
    let ran = Command::new("kubectl")
        .args(["--context", "legacy", "-n", "pingcap", "patch", "tc", "basic", "--type", "merge", "-p", &patch])
        .env("KUBECONFIG", &demo.kubeconfig)
        .output()
        .expect("kubectl is there");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

pub fn kubectl() -> bool {
    let there = Command::new("kubectl").args(["version", "--client"]).output().is_ok();
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "kubectl has to be there in CI");
    there
}

#[test]
fn a_watch_tells_changes_and_hands_them_on() {
    if !kubectl() {
        return;
    }
    let demo = Demo::start("default", 20);
    let handed = demo.room.path("handed.jsonl");
    let on_change = format!("cat >> '{}'", handed.display());
    let arguments = ["check", "--watch", "--every", "1", "-o", "json", "--on-change", &on_change];
    let mut child = demo.command(&arguments).spawn().expect("the binary starts");
    let hear = lines_of(&mut child);
    let next = || -> Value {
        let line = hear.recv_timeout(Duration::from_secs(60)).expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    let paused = |document: &Value| {
        let all = document["findings"].as_array().expect("findings");
        all.iter().any(|finding| finding["id"] == "paused")
    };
    assert!(!paused(&next()));
    // Nothing moves, so nothing is told, however often it looks.
    assert!(hear.recv_timeout(Duration::from_secs(4)).is_err());
    pause(&demo, true);
    let told = next();
    assert!(paused(&told), "{told:#}");
    let lines = eventually("both documents were handed on", LONG, || {
        let text = std::fs::read_to_string(&handed).unwrap_or_default();
        (text.lines().count() >= 2 && text.ends_with('\n')).then_some(text)
    });
    let _ = child.kill();
    let _ = child.wait();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(last, told);
}

#[test]
fn a_watched_status_is_a_line_for_each_change() {
    if !kubectl() {
        return;
    }
    let demo = Demo::start("default", 20);
    let mut child = demo.command(&["status", "--watch", "-o", "json"]).spawn().expect("the binary starts");
    let hear = lines_of(&mut child);
    let first: Value =
        serde_json::from_str(&hear.recv_timeout(Duration::from_secs(60)).expect("a line")).expect("JSON");
    assert_eq!(first["apiVersion"], "tidepilot/v1");
    // Two looks later there is still one line.
    assert!(hear.recv_timeout(Duration::from_secs(12)).is_err());
    let ran = Command::new("kubectl")
        .args(["--context", "legacy", "-n", "pingcap", "delete", "pod", "basic-pd-0", "--wait=false"])
        .env("KUBECONFIG", &demo.kubeconfig)
        .output()
        .expect("kubectl is there");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let second: Value =
        serde_json::from_str(&hear.recv_timeout(Duration::from_secs(60)).expect("a line")).expect("JSON");
    let _ = child.kill();
    let _ = child.wait();
    assert_ne!(first["databases"], second["databases"]);
}

#[test]
fn completions_and_manual_pages() {
    let room = Room::new();
    let bash = room.run(&["completion", "bash"]).expect(0).stdout;
    std::fs::write(room.path("complete.sh"), &bash).expect("written");
    // bash itself reads it, and offers the runbooks after `plan`.
    let asked = "source ./complete.sh; COMP_WORDS=(tidepilot plan migr); COMP_CWORD=2; _tidepilot tidepilot migr plan; echo \"${COMPREPLY[*]}\"";
    let output = Command::new("bash").args(["-c", asked]).current_dir(room.dir.path()).output().expect("bash is there");
    let offered = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(offered.trim(), "migrate-cluster-domain", "{}", String::from_utf8_lossy(&output.stderr));
    for shell in ["zsh", "fish"] {
        let script = room.run(&["completion", shell]).expect(0).stdout;
        assert!(script.contains("take-over") && script.contains("tidepilot"), "{shell}");
    }
    room.run(&["completion", "tcsh"]).expect(64);
    room.run(&["man", "pages"]).expect(0);
    let page = std::fs::read_to_string(room.path("pages").join("tidepilot-runs-take-over.1")).expect("a page");
    assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
    let top = std::fs::read_to_string(room.path("pages").join("tidepilot.1")).expect("a page");
    assert!(top.contains(".SH OPTIONS") || top.contains("OPTIONS"), "{top}");
}

#[test]
fn the_version_says_what_it_works_with() {
    let room = Room::new();
    let text = room.run(&["version"]).expect(0).stdout;
    assert!(text.contains(env!("CARGO_PKG_VERSION")) && text.contains("TiDB Operator v1, 1.3.0"), "{text}");
    let json = room.run(&["version", "-o", "json"]).expect(0).json();
    assert_eq!(json["tidbOperator"]["first"], "1.3.0", "{json:#}");
}
