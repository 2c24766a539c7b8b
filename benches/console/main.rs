//! How fast and how quiet the console is, measured on the release binary in a pseudo terminal.
//!
//! `cargo bench --bench console` starts the simulated fleet in this process, once for each situation, and prints a table;
//! `-- --json FILE` keeps the figures, `--only NAME,…` takes some of the situations, `--binary FILE` measures another build.
//! Any other program: `--peer 'k9s --readonly' --rows 'east-pd-0,…'` (`--type ':pods\r'` are keys sent at once). Any other
//! fleet: `--kubeconfig FILE` (nothing is changed there, so nothing is told of events). Times are of this machine; what CI
//! asserts are counts (`tests/wires/quiet.rs`). What the figures mean: `docs/performance.md`.

#![allow(clippy::too_many_lines, reason = "a benchmark tells one story")]
#![expect(clippy::print_stdout, reason = "a benchmark says its figures")]

mod figures;
mod screen;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use figures::{spent, spread, table, tenths, used};
use screen::Program;
use serde_json::{Map, Value, json};
use tidepilot::sim::load_generator::Load;
use tidepilot::sim::{Sim, SimOptions};

const BINARY: &str = env!("CARGO_BIN_EXE_tidepilot");
/// Title, load, and rates of events at which a cell is looked at.
const SITUATIONS: &[(&str, &str, &[u32])] = &[
    ("1 cluster", "clusters=1", &[]),
    ("3 clusters", "clusters=3", &[]),
    ("8 clusters", "clusters=8", &[]),
    ("16 clusters", "clusters=16", &[100, 1000]),
    ("8 + 10000 pods", "clusters=8,foreignPods=10000", &[]),
    ("50 TidbClusters", "clusters=3,tidbClusters=50", &[1000]),
    ("100 TidbClusters", "clusters=3,tidbClusters=100", &[1000]),
    ("200 TidbClusters", "clusters=3,tidbClusters=200", &[1000]),
    ("400 TidbClusters", "clusters=3,tidbClusters=400", &[1000]),
    ("1000 TidbClusters", "clusters=3,tidbClusters=1000", &[]),
    ("50 clusters", "clusters=50", &[]),
];
/// What is measured where nothing is said.
const USUAL: &[&str] =
    &["1 cluster", "3 clusters", "8 clusters", "16 clusters", "8 + 10000 pods", "50 TidbClusters", "200 TidbClusters"];

struct Options {
    json: Option<PathBuf>,
    only: Vec<String>,
    binary: String,
    peer: Option<String>,
    rows: Vec<String>,
    keys: String,
    kubeconfig: Option<PathBuf>,
    starts: usize,
    rest: Duration,
    show: bool,
}

fn options() -> Options {
    let mut options = Options {
        json: None,
        only: Vec::new(),
        binary: BINARY.to_owned(),
        peer: None,
        rows: Vec::new(),
        keys: String::new(),
        kubeconfig: None,
        starts: 7,
        rest: Duration::from_secs(20),
        show: false,
    };
    let mut arguments = std::env::args().skip(1);
    let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--json" => options.json = Some(value().into()),
            "--only" => options.only = list(value()),
            "--binary" => options.binary = value(),
            "--peer" => options.peer = Some(value()),
            "--rows" => options.rows = list(value()),
            "--type" => options.keys = value().replace("\\r", "\r"),
            "--kubeconfig" => options.kubeconfig = Some(value().into()),
            "--starts" => options.starts = value().parse().expect("a number of starts"),
            "--rest" => options.rest = Duration::from_secs(value().parse().expect("seconds at rest")),
            "--show" => options.show = true,
            other => panic!("{other} is not known; the options stand at the top of benches/console/main.rs"),
        }
    }
    options
}

/// The fleet that is looked at: the simulated one, or somebody's.
struct World {
    sim: Option<Sim>,
    kubeconfig: PathBuf,
    clusters: usize,
    databases: usize,
    folder: tempfile::TempDir,
}

impl World {
    async fn simulated(load: &str) -> Self {
        let load: Load = load.parse().expect("a load");
        let clusters = load.clusters.unwrap_or(3);
        let databases = load.tidb_clusters.unwrap_or(clusters);
        // Its clock stands: what happens is what is measured.
        let options = SimOptions { speed: 0.001, load: Some(load), ..SimOptions::default() };
        let sim = Sim::start(options).await.expect("a simulated fleet");
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = folder.path().join("kubeconfig");
        sim.write_kubeconfig(&kubeconfig).expect("a kubeconfig");
        Self { sim: Some(sim), kubeconfig, clusters, databases, folder }
    }

    fn given(kubeconfig: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = kubeconfig.canonicalize().expect("the kubeconfig is there");
        Self { sim: None, kubeconfig, clusters: 1, databases: 1, folder }
    }

    /// Requests so far: to API servers, and to PD.
    fn requests(&self) -> (usize, usize) {
        let Some(sim) = &self.sim else { return (0, 0) };
        let lines = sim.log().lines();
        let pd = lines.iter().filter(|line| line.get("pod").is_some()).count();
        (lines.len() - pd, pd)
    }

    fn start(&self, options: &Options) -> Program {
        let command: Vec<String> = match &options.peer {
            Some(peer) => peer.split_whitespace().map(str::to_owned).collect(),
            None => vec![options.binary.clone()],
        };
        Program::start(&command, self.folder.path(), &self.kubeconfig)
    }

    /// Whether everything that there is room for is on the screen.
    fn complete(&self, options: &Options) -> impl FnMut(&vt100::Screen) -> bool + Send + 'static {
        let wanted = options.rows.clone();
        let (databases, own) = (self.databases.min(40), options.peer.is_none());
        move |screen| {
            let text = screen.contents();
            match own && wanted.is_empty() {
                true => {
                    text.lines().filter(|line| line.contains("3/3") && line.contains("all well")).count() >= databases
                }
                false => wanted.iter().all(|one| text.contains(one.as_str())),
            }
        }
    }
}

fn main() {
    let options = options();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut all: Vec<(String, Map<String, Value>)> = Vec::new();
    if let Some(kubeconfig) = &options.kubeconfig {
        let world = World::given(kubeconfig);
        all.push(("kubeconfig".to_owned(), measure(&world, &[], &options)));
    }
    let wanted = |title: &str| match options.only.is_empty() {
        true => USUAL.contains(&title),
        false => options.only.iter().any(|one| one == title),
    };
    for (title, load, rates) in SITUATIONS.iter().filter(|(title, ..)| options.kubeconfig.is_none() && wanted(title)) {
        eprint_line(&format!("{title} …"));
        let world = runtime.block_on(World::simulated(load));
        let figures = runtime.block_on(async { tokio::task::block_in_place(|| measure(&world, rates, &options)) });
        runtime.block_on(world.sim.expect("simulated").shutdown());
        println!("{}", json!({"situation": title, "figures": figures}));
        all.push(((*title).to_owned(), figures));
    }
    println!("{}", table(&all));
    if let Some(path) = &options.json {
        let json: Map<String, Value> =
            all.into_iter().map(|(title, figures)| (title, Value::Object(figures))).collect();
        std::fs::write(path, format!("{:#}\n", Value::Object(json))).expect("the figures can be written");
    }
}

#[expect(clippy::print_stderr, reason = "how far it is, beside the figures")]
fn eprint_line(text: &str) {
    eprintln!("{text}");
}

fn measure(world: &World, rates: &[u32], options: &Options) -> Map<String, Value> {
    let mut figures = Map::new();
    let keys = if options.keys.is_empty() && options.peer.is_none() { ":db\r" } else { options.keys.as_str() };
    let (mut bytes, mut frames, mut rows, mut cpus) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.starts {
        let mut program = world.start(options);
        // Before it holds the terminal, the terminal itself would echo the keys.
        program.want(|screen| screen.alternate_screen());
        program.seen(Duration::from_secs(5));
        program.want(world.complete(options));
        program.keys(keys);
        let seen = program.seen(Duration::from_secs(20));
        let cpu = spent(program.id());
        if seen.is_some() {
            cpus.push(cpu);
        }
        bytes.extend(program.first_byte());
        frames.extend(program.first_frame());
        rows.extend(seen.map(|at| at - program.begun));
    }
    let lost = options.starts - rows.len();
    figures.insert("exec → first byte, ms".into(), spread(bytes, 0));
    figures.insert("exec → first frame, ms".into(), spread(frames, 0));
    figures.insert("exec → all rows, ms".into(), spread(rows, lost));
    figures.insert("CPU until all rows, ms".into(), spread(cpus, 0));
    let mut program = world.start(options);
    // What is new is marked for five seconds.
    std::thread::sleep(Duration::from_secs(9));
    rest(world, &program, options, &mut figures);
    if options.show {
        println!("{}", program.text());
    }
    figures.insert("key → bytes, ms".into(), echoes(&mut program));
    if let Some(sim) = world.sim.as_ref().filter(|_| options.peer.is_none()) {
        figures.insert("event → cell at rest, ms".into(), events(sim, &program, 60));
        for rate in rates {
            sim.set_events(*rate);
            std::thread::sleep(Duration::from_secs(2));
            let (_, before) = used(program.id());
            let begun = Instant::now();
            figures.insert(format!("event → cell, {rate}/s, ms"), events(sim, &program, 60));
            let (_, after) = used(program.id());
            let cpu = tenths(100.0 * (after - before) / begun.elapsed().as_secs_f64());
            figures.insert(format!("CPU at {rate}/s, %"), json!(cpu));
            sim.set_events(0);
        }
    }
    figures.insert("RSS at the end, MiB".into(), json!(used(program.id()).0));
    figures
}

/// What it costs to be looked at while nothing happens.
fn rest(world: &World, program: &Program, options: &Options, figures: &mut Map<String, Value>) {
    let (bytes, (api, pd), (_, cpu)) = (program.bytes(), world.requests(), used(program.id()));
    let begun = Instant::now();
    std::thread::sleep(options.rest);
    let seconds = begun.elapsed().as_secs_f64();
    let (api_after, pd_after) = world.requests();
    let (rss, cpu_after) = used(program.id());
    let per_second = |count: usize, of: usize| json!(tenths(count as f64 / seconds / of.max(1) as f64));
    figures.insert("tty at rest, bytes/s".into(), per_second(program.bytes() - bytes, 1));
    if world.sim.is_some() {
        figures.insert("API requests/s per cluster at rest".into(), per_second(api_after - api, world.clusters));
        figures.insert("PD requests/s per Database at rest".into(), per_second(pd_after - pd, world.databases));
    }
    figures.insert("CPU at rest, %".into(), json!(tenths(100.0 * (cpu_after - cpu) / seconds)));
    figures.insert("RSS at rest, MiB".into(), json!(rss));
}

/// The cursor down and up again.
fn echoes(program: &mut Program) -> Value {
    let (mut all, mut lost) = (Vec::new(), 0);
    for at in 0..80 {
        match program.echo(if at % 2 == 0 { "j" } else { "k" }, Duration::from_secs(2)) {
            Some(time) => all.push(time),
            None => lost += 1,
        }
        std::thread::sleep(Duration::from_millis(47));
    }
    spread(all, lost)
}

/// A pod of the Database on the screen gets a word that it did not have; how long until it is on the screen.
fn events(sim: &Sim, program: &Program, count: usize) -> Value {
    let context = sim.contexts().into_iter().next().expect("one cluster");
    let store = sim.store(&context).expect("known");
    let (mut all, mut lost) = (Vec::new(), 0);
    for at in 0..count {
        let word = format!("Ev{at:03}");
        let wanted = word.clone();
        program.want(move |screen| screen.contents().contains(&wanted));
        // Not in step with anything that the program does by the clock.
        std::thread::sleep(Duration::from_millis(130 + (at as u64 * 37) % 101));
        let begun = Instant::now();
        store.edit("pods", "db-0001", "db-0001-tikv-0", |pod| pod["status"]["reason"] = json!(word));
        match program.seen(Duration::from_secs(3)) {
            Some(seen) => all.push(seen.saturating_duration_since(begun)),
            None => lost += 1,
        }
    }
    spread(all, lost)
}
