//! What steers, reorders or hides, planted wherever a text comes from outside, and every command in every output format:
//! nothing of it leaves raw. A new command without a scene here fails.
//!
//! The list of commands and of their formats is the program's own. Not here: whether what is shown is right.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::builder::PossibleValue;
use serde_json::{Value, json};
use tidepilot::app::palette::{Target, entries};
use tidepilot::sanitize::is_hidden;
use tidepilot::sim::{Sim, SimOptions};

use crate::common::pty::{ESC, Terminal};
use crate::common::{Ran, Room, finish};

/// Clipboard, title, clear, colour by C1, override and isolate of direction, and what nobody sees; `PLANT` to find it by.
const PLANT: &str = "PLANT\u{1b}]52;c;aGk=\u{7}\u{1b}]0;OWNED\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}\u{e0041}Z";

const LIMIT: Duration = Duration::from_secs(60);

/// A fleet in which every free text is planted, and a room with files that are.
struct World {
    pub(super) room: Room,
    kubeconfig: PathBuf,
    _sim: Sim,
}

fn plant(sim: &Sim) {
    let store = sim.store("legacy").expect("legacy");
    let spec = json!({"replicas": 1, "baseImage": PLANT, "version": PLANT, "config": {}});
    store.put(
        "tidbclusters",
        json!({
            "metadata": {"namespace": "ill", "name": "ill", "annotations": {PLANT: PLANT}, "labels": {"x": PLANT}},
            "spec": {
                "version": PLANT, "clusterDomain": PLANT, "acrossK8s": true, "paused": true, "timezone": PLANT,
                "cluster": {"name": PLANT, "namespace": PLANT, "clusterDomain": PLANT}, "pdAddresses": [PLANT],
                "pd": spec, "tikv": spec,
            },
            "status": {
                "clusterID": PLANT, "conditions": [{"type": "Ready", "status": "False", "reason": PLANT, "message": PLANT}],
                "pd": {"phase": PLANT, "image": PLANT, "members": {"a": {"name": PLANT, "id": PLANT, "clientURL": PLANT, "health": false}}},
                "tikv": {"phase": PLANT, "stores": {"1": {"id": "1", "podName": PLANT, "ip": PLANT, "state": PLANT}}},
            },
        }),
    );
    let labels = json!({
        "app.kubernetes.io/component": "pd", "app.kubernetes.io/instance": "ill",
        "app.kubernetes.io/managed-by": "tidb-operator", "x": PLANT,
    });
    store.put(
        "pods",
        json!({
            "metadata": {"namespace": "ill", "name": "ill-pd-0", "labels": labels, "annotations": {PLANT: PLANT}},
            "spec": {"nodeName": PLANT, "containers": [{"name": "pd", "image": PLANT}]},
            "status": {
                "phase": "Running", "reason": PLANT, "message": PLANT, "podIP": PLANT,
                "conditions": [{"type": "Ready", "status": "False", "reason": PLANT, "message": PLANT}],
                "containerStatuses": [{"name": "pd", "image": PLANT, "ready": false, "restartCount": 1,
                    "state": {"waiting": {"reason": PLANT, "message": PLANT}}}],
            },
        }),
    );
    for (name, kind) in [("ill", "TidbCluster"), ("ill-pd-0", "Pod")] {
        store.put(
            "events",
            json!({
                "metadata": {"namespace": "ill", "name": format!("{name}.1")}, "type": "Warning", "reason": PLANT,
                "message": PLANT, "involvedObject": {"kind": kind, "namespace": "ill", "name": name},
                "source": {"component": PLANT}, "lastTimestamp": "2026-11-29T08:00:00Z",
            }),
        );
    }
    let opened = json!({"tidepilot/runbook": PLANT, "tidepilot/target": PLANT, "tidepilot/database": PLANT,
        "tidepilot/user": PLANT, "tidepilot/host": PLANT, "tidepilot/opened": PLANT, "tidepilot/driver": PLANT});
    store.put(
        "configmaps",
        json!({
            "metadata": {"namespace": "ill", "name": "tidepilot-run-x", "annotations": opened, "labels": {
                "app.kubernetes.io/managed-by": "tidepilot", "tidepilot/run": "r-planted", "tidepilot/state": "open"}},
            "data": {"journal.jsonl": PLANT},
        }),
    );
    store.put(
        "leases",
        json!({
            "metadata": {"namespace": "pingcap", "name": "tidepilot-7218830945512086113", "annotations": {
                "tidepilot/run": PLANT, "tidepilot/user": PLANT, "tidepilot/host": PLANT}, "labels": {"app.kubernetes.io/managed-by": "tidepilot"}},
            "spec": {"holderIdentity": PLANT, "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"},
        }),
    );
    store.edit("configmaps", "kube-system", "coredns", |map| {
        let corefile = map["data"]["Corefile"].as_str().unwrap_or_default().to_owned();
        map["data"]["Corefile"] =
            json!(format!("{corefile}\n{PLANT}.local:53 {{\n  kubernetes {PLANT} {{\n  }}\n}}\n"));
    });
    store.put("secrets", json!({"metadata": {"namespace": "pingcap", "name": "basic-cluster-client-secret", "annotations": {PLANT: PLANT}},
        "data": {"tls.crt": "UExBTlQb", "tls.key": "UExBTlQb", "ca.crt": "UExBTlQb"}}));
    // In the log of the run before and of the one that goes on: bare, in PD's own form, and where its fields stand.
    let lines = [
        format!("{PLANT} bare"),
        format!(
            "[2026/11/29 08:00:00.000 +00:00] [ERROR] [{PLANT}.go:1] [\"{PLANT}\"] [{PLANT}={PLANT}] [error=\"{PLANT}\"]"
        ),
        format!("{{\"level\":\"warn\",\"ts\":\"{PLANT}\",\"msg\":\"{PLANT}\",\"error\":\"{PLANT}\"}}"),
        format!("I1129 08:00:00.000000 1 {PLANT}.go:1] {PLANT}"),
    ];
    let print = || lines.iter().for_each(|line| sim.print("legacy", "pingcap", "basic-tikv-0", line).expect("legacy"));
    print();
    sim.kill_process("legacy", "pingcap", "basic-tikv-0").expect("legacy");
    std::thread::sleep(Duration::from_millis(600));
    print();
    // Names of members of etcd are free text.
    sim.add_member("basic", PLANT, &format!("http://{PLANT}:2380")).expect("a member");
}

async fn world() -> World {
    let sim = Sim::start(SimOptions { speed: 50.0, ..SimOptions::default() }).await.expect("started");
    plant(&sim);
    let room = Room::new();
    let mut kubeconfig = sim.kubeconfig();
    // A context of that name, one whose plugin says it, and one whose server is called so.
    let named = kubeconfig["contexts"][0]["context"].clone();
    let mut add = |list: &str, entry: Value| kubeconfig[list].as_array_mut().expect("a list").push(entry);
    add("contexts", json!({"name": format!("{PLANT}\nnext"), "context": named}));
    add(
        "users",
        json!({"name": "says", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh",
        "args": ["-c", "printf 'PLANT\\033]0;OWNED\\007\\302\\233 31m \\342\\200\\256 said' >&2; exit 1", PLANT], "interactiveMode": "Never"}}}),
    );
    add("contexts", json!({"name": "says", "context": {"cluster": named["cluster"], "user": "says"}}));
    add("clusters", json!({"name": "odd", "cluster": {"server": format!("http://{PLANT}")}}));
    add("contexts", json!({"name": "odd", "context": {"cluster": "odd", "user": named["user"]}}));
    let file = room.path("fleet.json");
    // YAML, as which it is read, takes some of them only escaped.
    let escape = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    let escaped: String = kubeconfig.to_string().chars().map(escape).collect();
    std::fs::write(&file, escaped).expect("written");
    let runbooks = room.path("config/tidepilot/runbooks");
    std::fs::create_dir_all(&runbooks).expect("made");
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/transfer-pd-leader.yaml"));
    let escaped = "PLANT\\e]52;c;aGk=\\a\\e]0;OWNED\\a\\e[2J\\u009b31m\\u202e\\u2066\\u200b\\ufeffZ";
    let forked: String = shipped
        .expect("shipped")
        .lines()
        .map(|line| match line.split_once("en: ") {
            Some((before, _)) if !line.contains('|') && !line.contains('{') => format!("{before}en: \"{escaped}\"\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(runbooks.join("forked.yaml"), forked).expect("written");
    std::fs::write(runbooks.join(format!("{}.yaml", PLANT.replace('/', ""))), format!("id: {PLANT}\nx: ["))
        .expect("written");
    std::fs::write(room.path(&format!("{PLANT}.yaml")), format!("apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {{name: \"{escaped}\"}}\nspec: {{version: \"{escaped}\", clusterDomain: \"{escaped}\"}}\n")).expect("written");
    std::fs::write(
        room.path("ill.sh"),
        format!("kubectl patch tc {PLANT} -p 1\nkubectl apply -f - <<EOF\nkind: {PLANT}\nx: [\nEOF\n"),
    )
    .expect("written");
    World { room, kubeconfig: file, _sim: sim }
}

impl World {
    fn run(&self, arguments: &[String]) -> Ran {
        let mut command: Command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        finish(command.spawn().expect("the binary starts"), LIMIT)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.replace("PLANT", PLANT)).collect()
}

/// What a command is called with; several times where it has several faces. `run`: a journal that is there.
fn scenes(path: &str, run: &str) -> Option<Vec<Vec<String>>> {
    let leader = "--set tidbCluster=legacy/pingcap/basic --set pod=basic-pd-1";
    let all: Vec<String> = match path {
        "demo" => vec!["demo --scenario PLANT".into()],
        "status" => vec!["status".into()],
        "check" => vec![
            "check".into(),
            "check PLANT".into(),
            "check --file PLANT.yaml".into(),
            "check --file ill.sh".into(),
            "check --file /nonexistent/PLANT".into(),
            "check --catalogue".into(),
        ],
        "check network-prerequisites" => vec![
            "check network-prerequisites".into(),
            "check network-prerequisites PLANT".into(),
            "check network-prerequisites --with PLANT/PLANT".into(),
            "check network-prerequisites --with legacy/PLANT --with east/PLANT".into(),
        ],
        "diagnose" => vec!["diagnose".into()],
        "plan" => vec![
            format!("plan transfer-pd-leader {leader}"),
            "plan transfer-pd-leader --set tidbCluster=legacy/ill/ill --set pod=PLANT".into(),
            "plan migrate-cluster-domain --set tidbCluster=legacy/pingcap/basic --set clusterDomain=PLANT".into(),
            "plan PLANT --set PLANT=PLANT".into(),
        ],
        "run" => vec![
            format!("run transfer-pd-leader --yes {leader}"),
            "run migrate-cluster-domain --yes --set tidbCluster=legacy/ill/ill --set clusterDomain=PLANT".into(),
            "run --plan PLANT.yaml".into(),
        ],
        "rbac" => {
            vec!["rbac transfer-pd-leader --user PLANT".into(), "rbac PLANT".into(), "rbac transfer-pd-leader".into()]
        }
        "render coredns" => vec![
            "render coredns PLANT".into(),
            "render coredns ill --dns PLANT=10.0.0.1".into(),
            "render coredns ill --for PLANT".into(),
        ],
        "job" => vec!["job --run PLANT --plan PLANT.yaml --digest PLANT --name PLANT --end end".into()],
        "runs list" => vec!["runs list".into()],
        "runs show" | "runs verify" | "runs report" | "runs remaining" | "runs resume" | "runs undo" => {
            vec![format!("{path} {run}"), format!("{path} PLANT"), format!("{path} r-planted")]
        }
        "runs abandon" => vec![
            format!("{path} PLANT --reason PLANT"),
            format!("{path} {run} --reason PLANT"),
            format!("{path} r-planted --reason PLANT"),
        ],
        "runs approve" | "runs take-over" => {
            vec![format!("{path} {run} --yes"), format!("{path} r-planted --yes"), format!("{path} PLANT --yes")]
        }
        "runbook list" | "runbook schema" | "version" => vec![path.into()],
        "monitor" => vec!["monitor --once".into(), "monitor --token-file PLANT".into()],
        "schema" => vec!["schema check".into(), "schema PLANT".into()],
        "completion" => vec!["completion bash".into(), "completion PLANT".into()],
        "man" | "docs" => vec![format!("{path} made"), format!("{path} fleet.json/PLANT")],
        "runbook docs" => vec!["runbook docs".into(), "runbook docs PLANT".into()],
        "runbook show" => vec!["runbook show transfer-pd-leader".into(), "runbook show PLANT".into()],
        "runbook new" => vec!["runbook new PLANT".into(), "runbook new mine".into()],
        "runbook lint" => vec![
            "runbook lint config/tidepilot/runbooks/forked.yaml".into(),
            "runbook lint PLANT.yaml".into(),
            "runbook lint /nonexistent/PLANT".into(),
        ],
        _ => return None,
    };
    Some(all.iter().map(|one| words(one)).collect())
}

/// Every command without commands below it, and the values of its `--output`.
fn leaves(command: &clap::Command, path: &str, out: &mut Vec<(String, Vec<String>)>) {
    let below: Vec<&clap::Command> = command.get_subcommands().filter(|one| one.get_name() != "help").collect();
    if below.is_empty() {
        let output = command.get_arguments().find(|argument| argument.get_id() == "output");
        let values = output.map(|output| output.get_possible_values()).unwrap_or_default();
        out.push((path.trim().to_owned(), values.iter().map(PossibleValue::get_name).map(str::to_owned).collect()));
    }
    for one in below {
        leaves(one, &format!("{path} {}", one.get_name()), out);
    }
}

fn raw(text: &str) -> BTreeSet<String> {
    text.chars().filter(|c| is_hidden(*c) && *c != '\n').map(|c| format!("U+{:04X}", u32::from(c))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_planted_leaves_any_command_raw() {
    let world = world().await;
    let walked = tokio::task::spawn_blocking(move || walk(&world)).await.expect("no panic");
    assert!(walked.wrong.is_empty(), "{}", walked.wrong.join("\n"));
    assert!(walked.calls > 60, "only {} calls", walked.calls);
    // A scene that shows nothing that was planted proves nothing.
    let blind: Vec<&String> = walked.commands.difference(&walked.seen).collect();
    let nothing_from_outside = ["runbook schema", "version"];
    assert!(
        blind.iter().all(|one| nothing_from_outside.contains(&one.as_str())),
        "nothing planted was shown by {blind:?}"
    );
}

#[derive(Default)]
struct Walked {
    calls: usize,
    wrong: Vec<String>,
    commands: BTreeSet<String>,
    /// Those that showed something that was planted.
    seen: BTreeSet<String>,
}

fn walk(world: &World) -> Walked {
    let mut walked = Walked::default();
    // A run whose journal holds what was planted: a fork's texts.
    world.run(&words("run transfer-pd-leader --yes --set tidbCluster=east/prod/prod-east --set pod=prod-east-pd-1"));
    let run = world.room.journals().pop().unwrap_or_else(|| "r-none".to_owned());
    let mut commands = Vec::new();
    leaves(&tidepilot::cli::commands(), "", &mut commands);
    assert!(commands.len() >= 18, "{commands:?}");
    for (path, outputs) in commands {
        let Some(scenes) = scenes(&path, &run) else {
            walked.wrong.push(format!("the command `{path}` has no scene: add one, with something planted in it"));
            continue;
        };
        walked.commands.insert(path.clone());
        let formats: Vec<Vec<String>> = match outputs.is_empty() {
            true => vec![Vec::new()],
            false => outputs.iter().map(|value| vec!["-o".to_owned(), value.clone()]).collect(),
        };
        for (scene, format) in scenes.iter().flat_map(|scene| formats.iter().map(move |format| (scene, format))) {
            let arguments = [scene.as_slice(), format.as_slice()].concat();
            let ran = world.run(&arguments);
            walked.calls += 1;
            let found: BTreeSet<String> = raw(&ran.stdout).union(&raw(&ran.stderr)).cloned().collect();
            if !found.is_empty() {
                walked.wrong.push(format!("{arguments:?}: {found:?}"));
            }
            if ran.stderr.contains("panicked") || ran.code < 0 {
                walked.wrong.push(format!("{arguments:?}: ended with {}: {}", ran.code, ran.stderr));
            }
            if ran.all().contains("PLANT") {
                walked.seen.insert(path.clone());
            }
            if ["json", "sarif"].contains(&format.last().map_or("", String::as_str)) {
                for line in json_texts(&path, &ran.stdout) {
                    if let Err(error) = serde_json::from_str::<Value>(&line) {
                        walked.wrong.push(format!("{arguments:?}: no JSON: {error}"));
                    }
                }
            }
        }
    }
    walked
}

/// Runs print one document a line, everything else one document.
fn json_texts(path: &str, stdout: &str) -> Vec<String> {
    match path {
        "run" | "runs show" | "runs resume" | "runs undo" | "runs abandon" | "runs take-over" => {
            stdout.lines().map(str::to_owned).collect()
        }
        _ => vec![stdout.to_owned()].into_iter().filter(|text| !text.trim().is_empty()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_planted_reaches_the_console_s_terminal() {
    let world = world().await;
    let raw = tokio::task::spawn_blocking(move || {
        let kubeconfig = world.kubeconfig.display().to_string();
        let mut terminal = Terminal::start(&world.room, &["--kubeconfig", &kubeconfig], &[], 50, 200);
        terminal.shows(&["legacy", "PLANT"]);
        let views = entries().filter_map(|entry| match entry.target {
            Target::View(_) => Some(entry.names[0]),
            _ => None,
        });
        for view in views {
            terminal.keys(&format!("{ESC}{ESC}:{view}\r"));
            std::thread::sleep(Duration::from_millis(300));
            // The first rows in detail, and all the way down.
            for _ in 0..4 {
                terminal.keys("\r");
                std::thread::sleep(Duration::from_millis(120));
                terminal.keys(&format!("{ESC}j"));
                std::thread::sleep(Duration::from_millis(60));
            }
            terminal.keys("G]");
            std::thread::sleep(Duration::from_millis(100));
        }
        // What is read of one object: its log and that of the run before, its events, its YAML, the difference.
        for (pod, keys) in [
            ("basic-tikv-0", "l"),
            ("basic-tikv-0", "lp"),
            ("ill-pd-0", "e"),
            ("ill-pd-0", "y"),
            ("ill-pd-0", "d"),
            ("legacy", "  D"),
        ] {
            terminal.keys(&format!("{ESC}{ESC}{ESC}{ESC}:pods\r/{pod}\r{keys}"));
            let from = terminal.raw().len();
            terminal.keys("w");
            terminal.until(&format!("what is planted, behind {keys} of {pod}"), |text| text.contains("PLANT"));
            std::thread::sleep(Duration::from_millis(300));
            terminal.keys("jjjjG\x1b[5~g");
            std::thread::sleep(Duration::from_millis(200));
            assert!(terminal.raw().len() > from);
        }
        assert!(terminal.alive(), "{}", terminal.text());
        let raw = terminal.raw();
        terminal.keys(&format!("{ESC}{ESC}:q\r"));
        terminal.ended();
        raw
    })
    .await
    .expect("no panic");
    assert!(raw.matches("PLANT").count() > 20, "hardly anything planted was shown");
    for sequence in ["\u{1b}]52;c;aGk=", "\u{1b}]0;OWNED", "\u{9b}"] {
        assert!(!raw.contains(sequence), "{sequence:?} reached the terminal");
    }
    // What the console itself sends are escape sequences; nothing else that hides is its own.
    let own = ['\u{1b}', '\r', '\n', '\u{8}', '\u{7}'];
    let found: BTreeSet<char> = raw.chars().filter(|c| is_hidden(*c) && !own.contains(c)).collect();
    assert!(found.is_empty(), "{found:?}");
}
