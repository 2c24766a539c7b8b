//! What one look costs as a fleet grows, what a run asks, and what many runs cost: counts, milliseconds, growth exponents.
//!
//! `cargo bench --bench look` prints tables and judges nothing; `-- fleets`, `-- contexts`, `-- run` and `-- runs` take one part.
//! An exponent of 1 is growth in step with the thing counted; it is that of the last doubling. Everything is simulated in this
//! process. What CI asserts of it are counts (`tests/program/migration.rs`). Not here: the console (`benches/console`).

#![allow(clippy::too_many_lines, reason = "a benchmark tells one story")]
#![expect(clippy::print_stdout, reason = "a benchmark says its figures")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidepilot::client::journal::{Journal, read};
use tidepilot::client::{ConnectOptions, Links, assemble, targets};
use tidepilot::fleet::Fleet;
use tidepilot::fleet::database::databases;
use tidepilot::hazards::check;
use tidepilot::runbook::run::journal_lines::{encode, line_hash};
use tidepilot::runbook::run::record::{Event, Record};
use tidepilot::sim::{Sim, SimOptions};

const BINARY: &str = env!("CARGO_BIN_EXE_tidepilot");
const MIGRATION: [&str; 9] = [
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

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let wants = |part: &str| wanted.is_empty() || wanted.iter().any(|one| one == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if wants("fleets") {
        println!("TidbClusters in 3 KubeClusters");
        let loads = [50, 100, 200, 400].map(|n| (n, format!("clusters=3,tidbClusters={n}")));
        runtime.block_on(grow(&loads));
    }
    if wants("contexts") {
        println!("KubeClusters with one TidbCluster each");
        let loads = [6, 12, 25, 50].map(|n| (n, format!("clusters={n}")));
        runtime.block_on(grow(&loads));
    }
    if wants("run") {
        runtime.block_on(a_run());
    }
    if wants("runs") {
        runtime.block_on(many_runs());
    }
}

/// A fleet, and a folder for what is made of it.
async fn simulated(options: SimOptions) -> (Sim, tempfile::TempDir) {
    let sim = Sim::start(options).await.expect("a simulated fleet");
    let folder = tempfile::tempdir().expect("a folder");
    sim.write_kubeconfig(&folder.path().join("kubeconfig")).expect("a kubeconfig");
    (sim, folder)
}

/// One figure for each size.
type Figures = Vec<(&'static str, f64)>;

async fn grow(loads: &[(usize, String)]) {
    let mut all: Vec<(usize, Figures)> = Vec::new();
    for (count, load) in loads {
        let load = Some(load.parse().expect("a load"));
        // Its clock stands.
        let (sim, folder) = simulated(SimOptions { speed: 0.001, load, ..SimOptions::default() }).await;
        all.push((*count, a_look(&sim, folder.path()).await));
        sim.shutdown().await;
    }
    for (at, (name, _)) in all[0].1.iter().enumerate() {
        let values: Vec<f64> = all.iter().map(|(_, figures)| figures[at].1).collect();
        let (last, before) = (values[values.len() - 1], values[values.len() - 2]);
        let (more, less) = (all[all.len() - 1].0, all[all.len() - 2].0);
        let exponent = (last / before).ln() / (more as f64 / less as f64).ln();
        let cells: Vec<String> =
            all.iter().zip(&values).map(|((count, _), value)| format!("{count}: {value:.1}")).collect();
        println!("  {name:<28} {}   exponent {exponent:.2}", cells.join("   "));
    }
}

async fn a_look(sim: &Sim, folder: &Path) -> Figures {
    let options = ConnectOptions { kubeconfig: vec![folder.join("kubeconfig")], ..ConnectOptions::default() };
    let links = Links::new(targets(&options).expect("a kubeconfig"), options);
    let (first, _) = timed(links.look(None)).await;
    let before = sim.log().lines().len();
    let (second, changes) = timed(links.look(None)).await;
    let lines = sim.log().lines().split_off(before);
    let of_pd = lines.iter().filter(|line| line["pod"].is_string()).count();
    let fleet = assemble(changes);
    vec![
        ("requests to API servers", (lines.len() - of_pd) as f64),
        ("requests to PD", of_pd as f64),
        ("first look, ms", first),
        ("second look, ms", second),
        ("Databases, ms", often(&fleet, |fleet| drop(databases(fleet)))),
        ("check, ms", often(&fleet, |fleet| drop(check(fleet, None, jiff::Timestamp::UNIX_EPOCH)))),
    ]
}

async fn timed<T>(what: impl Future<Output = T>) -> (f64, T) {
    let begun = Instant::now();
    let done = what.await;
    (ms(begun.elapsed()), done)
}

fn often(fleet: &Fleet, what: impl Fn(&Fleet)) -> f64 {
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || begun.elapsed() < Duration::from_millis(300) {
        what(fleet);
        rounds += 1;
    }
    ms(begun.elapsed()) / f64::from(rounds)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The migration of the default fleet, fifty times as fast as in life, and what reached the servers.
async fn a_run() {
    let (sim, folder) = simulated(SimOptions { speed: 50.0, ..SimOptions::default() }).await;
    migrate(folder.path(), &[]).await;
    let lines = sim.log().lines();
    sim.shutdown().await;
    let steps = records(folder.path()).iter().filter(|record| record["record"] == "completed").count();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for line in &lines {
        *kinds.entry(kind(line)).or_default() += 1;
    }
    let mut kinds: Vec<(String, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), kind.clone()));
    println!("migration: {} requests, {:.1} per step", lines.len(), lines.len() as f64 / steps.max(1) as f64);
    for (kind, count) in kinds.iter().take(16) {
        println!("  {count:>4}  {kind}");
    }
}

/// To whom, how, and what, without names.
fn kind(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let whom = if line["pod"].is_string() { "PD" } else { "API" };
    let parts: Vec<&str> = text("path").split('/').filter(|part| !part.is_empty()).collect();
    let path = match (whom, parts.iter().position(|part| *part == "namespaces")) {
        ("API", Some(at)) => parts.get(at + 2).copied().unwrap_or("namespaces").to_owned(),
        ("API", None) => parts.last().copied().unwrap_or_default().to_owned(),
        _ => text("path").to_owned(),
    };
    let stream = match parts.last() {
        Some(last @ (&"portforward" | &"exec")) => format!("/{last}"),
        _ => String::new(),
    };
    let watch = if text("query").contains("watch=true") { " (watch)" } else { "" };
    format!("{whom} {} {path}{stream}{watch}", text("method"))
}

async fn migrate(room: &Path, more: &[&str]) {
    let mut command = Command::new(BINARY);
    command.args(MIGRATION).args(more).arg("--kubeconfig").arg(room.join("kubeconfig"));
    let command = at_home(command, room);
    let ran = tokio::task::spawn_blocking(move || ran(command)).await.expect("no panic");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn ran(mut command: Command) -> std::process::Output {
    command.output().expect("the binary starts")
}

fn at_home(mut command: Command, room: &Path) -> Command {
    command.env_clear().env("HOME", room).env("XDG_STATE_HOME", room.join("state"));
    command
}

fn runs_of(room: &Path) -> std::path::PathBuf {
    room.join("state/tidepilot/runs")
}

fn records(room: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(runs_of(room)).expect("journals");
    let texts = files.flatten().filter(|file| file.path().extension().is_some_and(|ext| ext == "jsonl"));
    let texts = texts.map(|file| std::fs::read_to_string(file.path()).expect("a journal"));
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>())
        .collect()
}

/// A whole run over and over under other names: `runs list` over all of them; and one journal that is very long.
async fn many_runs() {
    let (sim, folder) = simulated(SimOptions { speed: 50.0, ..SimOptions::default() }).await;
    let room = folder.path();
    migrate(room, &["--local-only"]).await;
    sim.shutdown().await;
    let runs = runs_of(room);
    let first = std::fs::read_dir(&runs)
        .expect("journals")
        .flatten()
        .find_map(|file| Some(file.path().file_name()?.to_str()?.strip_suffix(".jsonl")?.to_owned()));
    let first = first.expect("a journal");
    let whole = read(&runs, &first).expect("a whole journal");
    let mut made = 1;
    let mut took = Vec::new();
    for count in [250, 500, 1000, 2000] {
        while made < count {
            let run = format!("20260101-000000-{made:04}");
            drop(Journal::import(&runs, &run, &lines_of(&run, &whole)).expect("written"));
            made += 1;
        }
        took.push((count, list(room)));
    }
    let cells: Vec<String> = took.iter().map(|(count, ms)| format!("{count}: {ms:.0}")).collect();
    let exponent = (took[3].1 / took[2].1).log2();
    println!("runs list, ms   {}   exponent {exponent:.2}", cells.join("   "));
}

/// The same records in the name of another run.
fn lines_of(run: &str, whole: &[Record]) -> String {
    let (mut lines, mut prev) = (String::new(), String::new());
    for record in whole {
        let event = match record.event.clone() {
            Event::RunOpened { plan, tool, .. } => Event::RunOpened { run: run.to_owned(), plan, tool },
            other => other,
        };
        let line = encode(&Record { prev, event, ..record.clone() }).expect("encodes");
        prev = line_hash(line.trim_end());
        lines.push_str(&line);
    }
    lines
}

fn list(room: &Path) -> f64 {
    // No cluster: only what lies on this machine.
    let nothing = room.join("nothing");
    std::fs::write(&nothing, "apiVersion: v1\nkind: Config\n").expect("written");
    let mut command = Command::new(BINARY);
    command.args(["runs", "list", "--kubeconfig"]).arg(nothing);
    let begun = Instant::now();
    ran(at_home(command, room));
    ms(begun.elapsed())
}
