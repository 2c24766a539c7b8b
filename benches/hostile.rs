//! What a world that means ill costs, measured on the real binary: memory, processor, requests, time.
//!
//! `cargo bench --bench hostile` prints one line for each attack; `docs/hostile-worlds.md` has the figures beside those of
//! the first release. Takes about four minutes. Quick forms of the same attacks are tests (`tests/program/hostile`).

#![allow(clippy::too_many_lines, reason = "a benchmark tells one story")]
#![expect(clippy::print_stdout, reason = "a benchmark says its figures")]

#[path = "../tests/program/hostile/server.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod server;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::{Value, json};
use server::{Answer, Hostile, good, list, pd_pod};
use tidepilot::sim::{Sim, SimOptions};

const BINARY: &str = env!("CARGO_BIN_EXE_tidepilot");

/// What a process has used.
#[derive(Default)]
struct Used {
    peak_mb: u64,
    cpu_s: f64,
    files: usize,
}

fn used(id: u32, so_far: &mut Used) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { return false };
    let kb = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = kb.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let Some(kb) = kb else { return false };
    so_far.peak_mb = so_far.peak_mb.max(kb / 1024);
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let ticks: f64 = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|text| text.parse::<f64>().ok())
        .sum();
    so_far.cpu_s = so_far.cpu_s.max(ticks / 100.0);
    so_far.files = so_far.files.max(std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count));
    true
}

fn said(attack: &str, used: &Used, seconds: f64, more: &str) {
    println!(
        "{attack:48} {:>6} MB {:>7.2} CPU s {:>6.1} s {:>5} files  {more}",
        used.peak_mb, used.cpu_s, seconds, used.files
    );
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder).env("HOME", folder).env("TIDEPILOT_STATE", folder.join("state"));
    command.env_remove("KUBECONFIG").env_remove("TIDEPILOT_READ_ONLY");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs a command to its end, at most so long.
fn headless(attack: &str, folder: &Path, arguments: &[&str], limit: Duration) {
    let mut child: Child = command(folder, arguments).spawn().expect("starts");
    let (begun, mut all) = (Instant::now(), Used::default());
    let code = loop {
        if let Some(status) = child.try_wait().expect("our own") {
            break status.code().map_or("killed".to_owned(), |code| code.to_string());
        }
        used(child.id(), &mut all);
        if begun.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            break "did not end".to_owned();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    said(attack, &all, begun.elapsed().as_secs_f64(), &format!("exit {code}"));
}

/// The console in a terminal for so long.
fn console(attack: &str, folder: &Path, kubeconfig: &Path, time: Duration, ill: Option<&Hostile>) {
    let pair =
        native_pty_system().openpty(PtySize { rows: 40, cols: 160, pixel_width: 0, pixel_height: 0 }).expect("a pty");
    let mut command = CommandBuilder::new(BINARY);
    command.args(["--kubeconfig", kubeconfig.to_str().expect("plain")]);
    command.cwd(folder);
    command.env("HOME", folder);
    command.env("TIDEPILOT_STATE", folder.join("state"));
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    let mut child = pair.slave.spawn_command(command).expect("starts");
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().expect("a reader");
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let requests = || ill.map_or(0, |ill| ill.counts.requests.load(Ordering::SeqCst));
    let (begun, mut all, before) = (Instant::now(), Used::default(), requests());
    while begun.elapsed() < time && used(child.process_id().unwrap_or(0), &mut all) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let lived = child.try_wait().expect("our own").is_none();
    let asked = (requests() - before) as f64 / begun.elapsed().as_secs_f64();
    said(
        attack,
        &all,
        begun.elapsed().as_secs_f64(),
        &format!("{asked:.1} requests/s, {}", if lived { "alive" } else { "ENDED" }),
    );
    let _ = child.kill();
    let _ = child.wait();
}

fn written(folder: &Path, name: &str, value: &Value) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, value.to_string()).expect("written");
    file
}

fn pods_and(
    answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
    count: usize,
) -> impl Fn(&str) -> Option<Answer> + Send + Sync + 'static {
    let pods = list(&(0..count).map(pd_pod).collect::<Vec<_>>());
    move |path| {
        answer(path).or_else(|| (path.starts_with("/api/v1/pods") && !path.contains("watch")).then(|| good(&pods)))
    }
}

fn flood(kind: &str, distinct: bool) -> Answer {
    let line = |number: usize| {
        let mut pod = pd_pod(if distinct { number } else { 0 });
        pod["status"]["phase"] = json!("Pending");
        json!({"type": kind, "object": pod}).to_string() + "\n"
    };
    let then: String = (0..if distinct { 60_000 } else { 100 }).map(line).collect();
    Answer::Endless { first: "".into(), then: then.into() }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let folder = folder.path().to_path_buf();
    let sim = Sim::start(SimOptions { speed: 10.0, ..SimOptions::default() }).await.expect("started");
    let time = Duration::from_secs(10);
    let page: Arc<str> = format!(
        r#"{{"metadata":{{"resourceVersion":"1","continue":"m"}},"items":[],"x":"{}"}}"#,
        "x".repeat(44_000_000)
    )
    .into();
    let listed = |path: &str| path.contains("/tidbclusters?") && path.contains("limit=200");
    let watched = |path: &str| path.starts_with("/api/v1/pods") && path.contains("watch=true");
    let forwarded = |path: &str| path.contains("portforward");
    let pings: Arc<[u8]> = [0x89, 0x00].repeat(8_000).into();
    let busy = || Answer::Whole(429, "retry-after: 30\r\n", r#"{"message":"too many"}"#.into());
    let attacks: Vec<(&str, Hostile)> = vec![
        ("nothing ill (three good clusters and an empty one)", Hostile::start(|_| None).await),
        (
            "a watch that floods MODIFIED",
            Hostile::start(move |path| watched(path).then(|| flood("MODIFIED", false))).await,
        ),
        (
            "a watch that floods BOOKMARK",
            Hostile::start(move |path| watched(path).then(|| flood("BOOKMARK", false))).await,
        ),
        (
            "a watch that adds 60,000 pods over and over",
            Hostile::start(move |path| watched(path).then(|| flood("ADDED", true))).await,
        ),
        (
            "a list paged for ever, 44 MB a page",
            Hostile::start({
                let page = Arc::clone(&page);
                move |path| listed(path).then(|| Answer::Whole(200, "", Arc::clone(&page)))
            })
            .await,
        ),
        (
            "2,500 PD pods whose port-forwards are silent",
            Hostile::start(pods_and(move |path| forwarded(path).then_some(Answer::Quiet), 2_500)).await,
        ),
        (
            "a port-forward of pings without pause",
            Hostile::start(pods_and(move |path| forwarded(path).then(|| Answer::Frames(Arc::clone(&pings))), 1)).await,
        ),
        ("429 with Retry-After to watches", Hostile::start(move |path| path.contains("watch=true").then(busy)).await),
        (
            "429 with Retry-After to port-forwards of 50 pods",
            Hostile::start(pods_and(move |path| forwarded(path).then(busy), 50)).await,
        ),
        ("silence", Hostile::start(|_| Some(Answer::Silence)).await),
    ];
    for (number, (attack, ill)) in attacks.into_iter().enumerate() {
        let mut kubeconfig = sim.kubeconfig();
        ill.join(&mut kubeconfig, "ill");
        let file = written(&folder, &format!("fleet-{number}"), &kubeconfig);
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || {
            console(&format!("console: {attack}"), &folder, &file, time, Some(&ill));
            if number == 4 || number == 5 {
                headless(
                    &format!("status: {attack}"),
                    &folder,
                    &["status", "--kubeconfig", file.to_str().expect("plain")],
                    Duration::from_secs(60),
                );
            }
        })
        .await
        .expect("no panic");
    }
    tokio::task::spawn_blocking(move || texts(&folder)).await.expect("no panic");
    simulator();
}

/// Texts that others sent to `check --file`.
fn texts(folder: &Path) {
    let doubled: String = (1..60).map(|n| format!("a{n}=$a{0}$a{0}\n", n - 1)).collect();
    let object = "cat <<EOF | kubectl apply -f -\napiVersion: v1\nkind: ConfigMap\nx: ${a59}\nEOF\n";
    let all = [
        ("60 lines of doubling variables", format!("a0=x\n{doubled}{object}")),
        ("2 MB of nested $(", format!("kubectl get {}\n", "$(kubectl get ".repeat(140_000))),
        ("40 $( in each other, closed", format!("kubectl get {}{}\n", "$(kubectl get ".repeat(40), ")".repeat(40))),
        ("100,000 commands on one line", "kubectl get tc;".repeat(100_000)),
        ("200,000 here-documents without an end", format!("#!/bin/sh\n{}", "cat <<a\n".repeat(200_000))),
        ("400,000 quotes without an end", format!("#!/bin/sh\n{}", "a=\"\n".repeat(400_000))),
        ("500,000 ${ without an end", format!("#!/bin/sh\ncat <<E | kubectl apply -f -\nkind: {}\nE\n", "${".repeat(500_000))),
        ("a flow list of 900,000 items", format!("kind: TidbClusterList\nitems: [{}]\n", "{kind: X},".repeat(900_000))),
        ("600,000 small documents", "kind: TidbCluster\n---\n".repeat(600_000)),
        ("19,000 TidbClusters that refer to each other", (0..19_000).map(|n| format!("apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {{name: a{n}, namespace: n}}\nspec: {{acrossK8s: true, clusterDomain: c.l, cluster: {{name: a{}}}, pd: {{replicas: 1}}}}\n---\n", n + 1)).collect()),
    ];
    for (attack, text) in all {
        let file = folder.join("text.sh");
        std::fs::write(&file, text).expect("written");
        headless(&format!("check --file: {attack}"), folder, &["check", "--file", "text.sh"], Duration::from_secs(120));
    }
}

/// Nineteen minutes of churn in one go: as many changes as an operator and its pods made in the soak of the first release.
fn simulator() {
    let store = tidepilot::sim::object_store::Store::new();
    let text = "x".repeat(24 * 1024);
    let (begun, mut all) = (Instant::now(), Used::default());
    used(std::process::id(), &mut all);
    let before = rss_mb();
    for number in 0..60_000 {
        let name = format!("p{}", number % 12);
        store.put("pods", json!({"metadata": {"namespace": "n", "name": name}, "status": {"n": number, "x": text}}));
    }
    println!(
        "simulator: 60,000 changes of 24 kB: {} MB more, {:.1} s",
        rss_mb().saturating_sub(before),
        begun.elapsed().as_secs_f64()
    );
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kb.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}
