//! Two people, one Database: the lease, its fence, and the run's record in the cluster, on real wires.
//!
//! With the real binary twice on one simulated fleet, and with the client room alone where a moment has to be hit
//! exactly. Not here: what a run does (`tests/engine/crash_points.rs`).

mod apart;
mod busy;
mod fence;
mod front;
mod joining;
mod late;
mod lost;
mod pairs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidepilot::app::driver::{Driver, GateAnswer, Reply, RunChannels};
use tidepilot::app::exit::Exit;
use tidepilot::app::message::RunMessage;
use tidepilot::client::kube::identity::Identity;
use tidepilot::client::share::found_runs::find;
use tidepilot::client::share::lease::{Lease, Lost, NotTaken, Place, Timing, Wanted};
use tidepilot::client::share::open_run::{Head, NotShared, OpenRun, read};
use tidepilot::client::wire::clock::{Clock, Moment};
use tidepilot::client::write::perform;
use tidepilot::client::{ConnectOptions, Links, WritePermit, assemble, targets};
use tidepilot::fleet::ObjectRef;
use tidepilot::runbook::action::Answer;
use tidepilot::runbook::actions::Action;
use tidepilot::runbook::actions::PatchTidbCluster;
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

const BASIC: &str = "7218830945512086113";
const PATIENCE: Duration = Duration::from_secs(40);

/// A fleet with a runtime of its own, so that a test may stop polling another one.
struct World {
    sim: Option<Sim>,
    runtime: Runtime,
    dir: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        Self::of("default")
    }

    fn of(scenario: &str) -> Self {
        Self::at(scenario, 50.0)
    }

    fn at(scenario: &str, speed: f64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let options = SimOptions { scenario: scenario.to_owned(), speed, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start(options)).expect("the simulated fleet starts");
        let dir = tempfile::tempdir().expect("temporary directory");
        sim.write_kubeconfig(&dir.path().join("kubeconfig")).expect("written");
        Self { sim: Some(sim), runtime, dir }
    }

    fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    fn links(&self) -> Links {
        let options =
            ConnectOptions { kubeconfig: vec![self.dir.path().join("kubeconfig")], ..ConnectOptions::default() };
        Links::new(targets(&options).expect("a good kubeconfig"), options)
    }

    fn state(&self, person: &str) -> PathBuf {
        self.dir.path().join(person)
    }

    /// The binary as one person, with a state folder of their own.
    fn tidepilot(&self, person: &str, lease_s: u64, arguments: &[&str]) -> Command {
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
    fn writes(&self, from: usize) -> Vec<String> {
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
struct Process(Child);

impl Process {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("kill is there").success(), "{name}");
    }

    /// Exit code and stderr.
    fn end(mut self) -> (Option<i32>, String) {
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

fn code(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

const RUN: [&str; 9] = [
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
fn until_journal_has(state: &Path, word: &str) -> String {
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

#[test]
fn the_second_one_waits_takes_over_and_the_first_is_refused() {
    let world = World::start();
    let first = Process::start(world.tidepilot("ann", 4, &RUN));
    let run = until_journal_has(&world.state("ann"), r#""record":"completed","step":"set-domain""#);
    // The rolling restart cannot end before this pod starts: however busy the machine is, Ann stays in the middle.
    let broken = |broken| world.sim().break_pod("legacy", "pingcap", "basic-pd-0", broken).expect("there");
    broken(true);

    // While Ann drives, Bob is told who does, and leaves no trace.
    let (exit_code, said) = code(&world.tidepilot("bob", 4, &RUN).output().expect("ran"));
    assert!(exit_code == 6 && said.contains("admin") && said.contains(&run), "{exit_code} {said}");
    let again = ["runs", "take-over", &run, "--yes", "--confirm", "basic"];
    let (exit_code, said) = code(&world.tidepilot("bob", 4, &again).output().expect("ran"));
    assert!(exit_code == 6 && said.contains("renews it"), "{exit_code} {said}");
    assert_eq!(fs::read_dir(world.state("bob").join("runs")).map_or(0, Iterator::count), 0);
    let list = world.tidepilot("bob", 4, &["runs", "list", "-o", "json"]).output().expect("ran");
    let list: Value = serde_json::from_slice::<Value>(&list.stdout).expect("JSON")["runs"].take();
    assert_eq!((&list[0]["run"], &list[0]["inCluster"]["user"]), (&json!(run), &json!("admin")), "{list}");
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &["runs", "resume", &run]).output().expect("ran"));
    assert!(exit_code == 6 && said.contains("driven by admin"), "{exit_code} {said}");

    first.signal("STOP");
    broken(false);
    let taken = world.tidepilot("bob", 4, &again).output().expect("ran");
    let (exit_code, _) = code(&taken);
    let lines = text(&taken);
    assert_eq!(exit_code, 0, "{lines}");
    assert!(lines.contains("opened") && lines.contains("Intent") && lines.contains("taken over from admin"), "{lines}");

    // Ann comes back: she finds out before she writes anything.
    let from = world.sim().log().lines().len();
    first.signal("CONT");
    let (exit_code, said) = first.end();
    assert_eq!(exit_code, Some(6), "{said}");
    assert!(said.contains("not ours any more"), "{said}");
    let late: Vec<String> = world.writes(from).into_iter().filter(|line| !line.ends_with(" 409")).collect();
    assert_eq!(late, Vec::<String>::new());

    // Between the two of them everything was sent once.
    let all = world.writes(0);
    let count = |start: &str, end: &str| all.iter().filter(|l| l.starts_with(start) && l.ends_with(end)).count();
    assert_eq!(count("PATCH /apis/pingcap.com", " 200"), 1, "{all:#?}");
    assert_eq!(count("PUT /v2/members/", " 204"), 3, "{all:#?}");
    let lease = world.sim().store("legacy").expect("there").get("leases", "pingcap", &format!("tidepilot-{BASIC}"));
    let lease = lease.expect("it stays, free");
    assert_eq!((&lease["spec"]["leaseTransitions"], &lease["spec"]["holderIdentity"]), (&json!(2), &Value::Null));
    let list = world.tidepilot("ann", 4, &["runs", "list"]).output().expect("ran");
    assert!(!String::from_utf8_lossy(&list.stdout).contains("open in the clusters"));
}

#[test]
fn a_killed_run_goes_on_at_once_from_its_own_journal() {
    let world = World::start();
    let first = Process::start(world.tidepilot("ann", 30, &RUN));
    let run = until_journal_has(&world.state("ann"), r#""record":"completed","step":"set-domain""#);
    first.signal("KILL");
    let (exit_code, _) = first.end();
    assert_eq!(exit_code, None);
    // The lease lives for 30 s more; the lock on the very file shows that its process is dead.
    let begun = Instant::now();
    let resume = ["runs", "resume", &run, "--yes", "--confirm", "basic"];
    let output = world.tidepilot("ann", 30, &resume).output().expect("ran");
    assert_eq!(code(&output).0, 0, "{}", code(&output).1);
    assert!(begun.elapsed() < Duration::from_secs(25), "it waited for the lease: {:?}", begun.elapsed());
    assert!(world.writes(0).iter().all(|line| !line.contains("DELETE")));
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// One source for "is something half done here": every face names the run and the line that goes on with it, and none
/// proposes another command for its Database.
#[test]
fn a_killed_run_is_told_by_every_face_and_to_everybody() {
    let world = World::start();
    let first = Process::start(world.tidepilot("ann", 4, &RUN));
    let run = until_journal_has(&world.state("ann"), r#""record":"completed","step":"set-domain""#);
    let broken = |broken| world.sim().break_pod("legacy", "pingcap", "basic-pd-0", broken).expect("there");
    broken(true);
    // While it is driven, what it restarts is to be expected: nobody is alarmed, and it stays to be seen.
    let driven = world.tidepilot("bob", 4, &["status"]).output().expect("ran");
    assert!(text(&driven).contains(&format!("RUN     run {run}: migrate-cluster-domain")), "{}", text(&driven));
    let settled = Instant::now();
    loop {
        let status = world.tidepilot("bob", 4, &["status"]).output().expect("ran");
        let said = text(&status);
        if said.contains(&format!("(expected: run {run} is restarting legacy/pingcap/basic)"))
            && !said.contains("WRONG")
        {
            break;
        }
        assert!(settled.elapsed() < PATIENCE, "{said}");
    }
    first.signal("KILL");
    first.end();
    for (person, go_on) in [("ann", "resume"), ("bob", "take-over")] {
        let next = format!("tidepilot runs {go_on} {run}");
        for arguments in [&["diagnose"][..], &["status"], &["check"], &["runs", "list"]] {
            let output = world.tidepilot(person, 4, arguments).output().expect("ran");
            let said = text(&output);
            assert!(said.contains(&next), "{person} {arguments:?}:\n{said}");
            assert!(!said.contains("tidepilot run migrate"), "{person} {arguments:?}:\n{said}");
            assert!(!said.contains("no interrupted work"), "{said}");
            // Whether a lease is renewed still is not seen in one look: only `diagnose` watches it.
            if arguments[0] == "diagnose" || (person == "ann" && arguments[0] != "runs") {
                assert_eq!(output.status.code(), Some(2), "{person} {arguments:?}:\n{said}");
            }
        }
        let (exit_code, said) = code(&world.tidepilot(person, 4, &RUN).output().expect("ran"));
        assert!(exit_code == 6 && said.contains(&next), "{person}: {exit_code} {said}");
    }
    // Its process is gone: nobody is said to drive it.
    let list = world.tidepilot("ann", 4, &["runs", "list", "-o", "json"]).output().expect("ran");
    let list: Value = serde_json::from_slice::<Value>(&list.stdout).expect("JSON")["runs"].take();
    assert!(matches!(list[0]["drives"]["is"].as_str(), Some("gone" | "nobody")), "{list:#}");
    broken(false);
    // And the line that was printed goes on with it.
    let resume = ["runs", "resume", &run, "--yes", "--confirm", "basic"];
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &resume).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
    let after = world.tidepilot("bob", 4, &["diagnose"]).output().expect("ran");
    assert!(after.status.code() == Some(0) && !text(&after).contains(&run), "{}", text(&after));
}

/// Patches that were no rehearsal.
fn sent_patches(world: &World) -> usize {
    world.writes(0).iter().filter(|line| line.starts_with("PATCH") && !line.ends_with(" dry")).count()
}

#[test]
fn a_run_at_its_gate_keeps_the_same_runbook_out() {
    let world = World::start();
    let asks = &RUN[..6];
    let (exit_code, said) = code(&world.tidepilot("ann", 4, asks).output().expect("ran"));
    let run = until_journal_has(&world.state("ann"), r#""record":"leased""#);
    assert!(
        exit_code == 3
            && said.contains(&format!("`tidepilot runs resume {run} --confirm legacy/pingcap/basic` continues it")),
        "{exit_code} {said}"
    );
    for (person, go_on) in [("ann", "resume"), ("bob", "take-over")] {
        let (exit_code, said) = code(&world.tidepilot(person, 4, &RUN).output().expect("ran"));
        let next = format!("`tidepilot runs {go_on} {run} --confirm legacy/pingcap/basic`");
        assert!(exit_code == 6 && said.contains(&next), "{person}: {exit_code} {said}");
        assert!(said.contains("has sent nothing yet") && said.contains("waits at the gate"), "{said}");
        let diagnosed = world.tidepilot(person, 4, &["diagnose"]).output().expect("ran");
        assert!(diagnosed.status.code() == Some(2) && text(&diagnosed).contains("[open-run]"), "{}", text(&diagnosed));
    }
    assert_eq!(sent_patches(&world), 0);
    let end = ["runs", "abandon", &run, "--reason", "not now"];
    assert_eq!(code(&world.tidepilot("ann", 4, &end).output().expect("ran")).0, 0);
    let list = world.tidepilot("bob", 4, &["runs", "list"]).output().expect("ran");
    assert!(!text(&list).contains(&run), "{}", text(&list));
}

/// A whole run, who it says it is, and an undo that nobody confirms.
#[test]
fn an_undo_without_yes_leaves_nothing_open_and_every_request_says_whose_it_is() {
    let world = World::start();
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &RUN).output().expect("ran"));
    assert_eq!(exit_code, 0, "{said}");
    let run = until_journal_has(&world.state("ann"), r#""record":"closed""#);
    let ours = format!("tidepilot/{} (migrate-cluster-domain {run})", env!("CARGO_PKG_VERSION"));
    let lines = world.sim().log().lines();
    let ours_too = |line: &Value| line["agent"] == ours.as_str();
    let bare = format!("tidepilot/{}", env!("CARGO_PKG_VERSION"));
    // A program in a pod is the pod's own.
    let known = |line: &Value| ours_too(line) || line["agent"] == bare.as_str() || line["agent"] == "Wget";
    let foreign: Vec<&Value> = lines.iter().filter(|line| !known(line)).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    // Reads and writes, upgrades, and what goes through a tunnel to PD.
    for (what, fits) in [
        ("a look", Box::new(|line: &Value| line["method"] == "GET") as Box<dyn Fn(&Value) -> bool>),
        ("a tunnel", Box::new(|line| line["path"].as_str().is_some_and(|path| path.ends_with("/portforward")))),
        ("a program", Box::new(|line| line["path"].as_str().is_some_and(|path| path.ends_with("/exec")))),
        ("PD", Box::new(|line| line.get("pod").is_some() && line["method"] == "GET")),
        ("a peerURL", Box::new(|line| line["method"] == "PUT" && line.get("pod").is_some())),
        ("a lease", Box::new(|line| line["path"].as_str().is_some_and(|path| path.contains("/leases")))),
    ] {
        assert!(lines.iter().any(|line| fits(line) && ours_too(line)), "no request of the run: {what}");
    }
    let writes =
        |line: &&Value| !matches!(line["method"].as_str(), Some("GET" | "HEAD" | "POST")) && line["dryRun"] != true;
    let nameless: Vec<&Value> = lines.iter().filter(writes).filter(|line| !ours_too(line)).collect();
    assert!(nameless.is_empty(), "{nameless:#?}");

    let (exit_code, said) = code(&world.tidepilot("ann", 4, &["runs", "undo", &run]).output().expect("ran"));
    let line = format!("`tidepilot runs undo {run} --yes`");
    assert!(exit_code == 3 && said.contains("nothing was put back") && said.contains(&line), "{exit_code} {said}");
    let list = world.tidepilot("ann", 4, &["runs", "list", "-o", "json"]).output().expect("ran");
    let list: Value = serde_json::from_slice::<Value>(&list.stdout).expect("JSON")["runs"].take();
    assert_eq!((&list[0]["state"], &list[0]["open"]), (&json!("done"), &json!(false)), "{list:#}");
    let diagnosed = world.tidepilot("ann", 4, &["diagnose"]).output().expect("ran");
    assert_eq!(diagnosed.status.code(), Some(0), "{}", text(&diagnosed));
    let (exit_code, said) = code(&world.tidepilot("ann", 4, &["runs", "undo", &run, "--yes"]).output().expect("ran"));
    assert_eq!(exit_code, 8, "{said}");
}

/// The first one began before PD had an id, under another name; and many other runs are open.
#[test]
fn a_run_that_began_before_the_database_had_an_id_is_seen() {
    let world = World::start();
    let store = world.sim().store("legacy").expect("there");
    for number in 0..230 {
        store.put(
            "configmaps",
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {
                    "name": format!("tidepilot-run-20250101-000000-{number:04}-0"), "namespace": "pingcap",
                    "labels": {"app.kubernetes.io/managed-by": "tidepilot", "tidepilot/state": "open",
                        "tidepilot/run": format!("20250101-000000-{number:04}")},
                    "annotations": {"tidepilot/database": "99", "tidepilot/target": "legacy/pingcap/other"},
                },
                "data": {"journal.jsonl": ""},
            }),
        );
    }
    let runtime = one();
    let (links, here) = (world.links(), place("legacy", "pingcap", "u"));
    let unborn = Wanted { database: "new-pingcap-basic".into(), ..wanted("zz-deploy", vec![here.clone()], 4) };
    let lease = runtime.block_on(async {
        let (permit, lease) = take(&links, &unborn).await.expect("free");
        let head = Head { database: unborn.database.clone(), ..head("zz-deploy") };
        let mut record = OpenRun::open(&links, permit, head).await.expect("opened");
        record.add("what cannot be read may have sent something\n");
        record.flush().await.expect("stored");
        assert_eq!(find(&links, None).await.heads.len(), 231, "every page is read");
        lease
    });
    // Held and renewed: whoever comes with PD's id waits for it all the same.
    let renewing = std::thread::scope(|scope| {
        let second = scope.spawn(|| world.tidepilot("bob", 4, &RUN).output().expect("ran"));
        while !second.is_finished() {
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
        }
        second.join().expect("ended")
    });
    let (exit_code, said) = code(&renewing);
    assert!(exit_code == 6 && said.contains("zz-deploy"), "{exit_code} {said}");
    // Given back, and the run is open still: its record is found by the TidbCluster, behind 230 others.
    runtime.block_on(lease.release());
    let (exit_code, said) = code(&world.tidepilot("bob", 4, &RUN).output().expect("ran"));
    // It cannot be read, and whether anything was sent under it is not known: it is named, with what removes it.
    let removal = "kubectl --context legacy -n pingcap delete configmap -l app.kubernetes.io/managed-by=tidepilot,tidepilot/run=zz-deploy";
    assert!(exit_code == 6 && said.contains(removal), "{exit_code} {said}");
    assert_eq!(sent_patches(&world), 0);
    // The other way round: the one that goes on under the old name sees whoever has PD's id.
    runtime.block_on(async {
        let (_, theirs) = take(&links, &wanted("b", vec![here.clone()], 4)).await.expect("free");
        let again = Wanted { beside: vec![(here.clone(), BASIC.into())], ..unborn.clone() };
        let refused = take(&links, &again).await.expect_err("held");
        assert!(matches!(&refused, NotTaken::Held { holder, .. } if holder.run == "b"), "{refused}");
        theirs.release().await;
        assert!(take(&links, &again).await.is_ok());
    });
}

#[test]
fn alone_means_no_lease_and_no_record() {
    let world = World::start();
    let mut alone = RUN.to_vec();
    alone.push("--local-only");
    let (exit_code, said) = code(&world.tidepilot("ann", 30, &alone).output().expect("ran"));
    assert!(exit_code == 0 && said.contains("no lease keeps a second operator out"), "{exit_code} {said}");
    assert!(world.writes(0).iter().all(|line| !line.contains("lease") && !line.contains("configmaps")));
}

// ---- the client room, to the moment ----

fn one() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

fn place(context: &str, namespace: &str, kube_uid: &str) -> Place {
    Place { kube_uid: kube_uid.into(), namespace: namespace.into(), context: context.into() }
}

fn wanted(run: &str, places: Vec<Place>, seconds: u64) -> Wanted {
    Wanted {
        database: BASIC.into(),
        run: run.into(),
        places,
        also: Vec::new(),
        beside: Vec::new(),
        who: Identity { user: run.to_uppercase(), host: String::new() },
        lock_id: None,
        timing: Timing::of_seconds(seconds),
        clock: Clock::default(),
    }
}

async fn take(links: &Links, wanted: &Wanted) -> Result<(WritePermit, Arc<Lease>), NotTaken> {
    let contexts: Vec<&String> = wanted.places.iter().map(|place| &place.context).collect();
    let permit = WritePermit::for_run(links, &wanted.run, contexts).expect("armed");
    let lease = Arc::new(Lease::take(links, &permit, wanted, &|_| ()).await?);
    Ok((permit.under(Arc::clone(&lease)), lease))
}

async fn patch(links: &Links) -> (Action, tidepilot::fleet::Fleet) {
    let target = ObjectRef::new("legacy", "pingcap", "basic");
    let fleet = assemble(links.look(None).await);
    let uid = fleet.tidb_cluster(&target).expect("seen").metadata.uid.clone();
    (
        Action::PatchTidbCluster(PatchTidbCluster {
            target,
            uid,
            merge: json!({"spec": {"clusterDomain": "cluster1.com"}}),
        }),
        fleet,
    )
}

fn patches(world: &World) -> usize {
    world.writes(0).iter().filter(|line| line.starts_with("PATCH")).count()
}

#[test]
fn a_write_that_is_late_by_one_lease_is_refused_by_the_fence() {
    let world = World::start();
    let (links, runtime) = (world.links(), one());
    let place = place("legacy", "pingcap", "u");
    let a = wanted("a", vec![place], 1);
    let (permit, lease, action, fleet) = runtime.block_on(async {
        let (permit, lease) = take(&links, &a).await.expect("free");
        let (action, fleet) = patch(&links).await;
        (permit, lease, action, fleet)
    });
    // Nothing polls A's runtime while B watches, takes over and holds on: A is as good as stopped.
    let other = world.links();
    let (_, theirs) = world
        .runtime
        .block_on(async {
            tokio::time::timeout(PATIENCE, take(&other, &Wanted { run: "b".into(), ..a.clone() })).await
        })
        .expect("in time")
        .expect("lapsed");
    runtime.block_on(async {
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        let Answer::Refused { reason } = answer else { panic!("{answer:?}") };
        assert!(reason.contains("nothing was sent") && reason.contains("ours was 1"), "{reason}");
        assert!(matches!(lease.confirm().await, Err(Lost::Taken { .. })));
        lease.release().await;
    });
    assert_eq!(patches(&world), 0);
    assert_eq!(world.runtime.block_on(theirs.confirm()), Ok(()), "A's release does not touch B's lease");
}

#[test]
fn without_a_renewal_nothing_is_sent_until_there_is_one_again() {
    let world = World::start();
    world.runtime.block_on(async {
        let links = world.links();
        let (permit, lease) = take(&links, &wanted("a", vec![place("legacy", "pingcap", "u")], 3)).await.expect("free");
        let (action, fleet) = patch(&links).await;
        let faults = world.sim().faults("legacy").expect("there");
        faults.set_refuse(Some(503));
        let begun = Instant::now();
        while lease.ready().is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(4), "it is believed for too long");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
        faults.set_refuse(None);
        while lease.ready().is_err() {
            assert!(begun.elapsed() < PATIENCE, "it is not renewed any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(patches(&world), 0);
        let answer = perform(&links, &permit, "a", &action, &fleet).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        lease.release().await;
    });
}

#[test]
fn all_of_the_leases_or_none() {
    let world = World::start();
    world.runtime.block_on(async {
        let links = world.links();
        let both = vec![place("west", "prod", "a"), place("east", "prod", "b")];
        let (_, theirs) = take(&links, &wanted("b", vec![place("east", "prod", "b")], 3)).await.expect("free");
        let refused = take(&links, &wanted("a", both.clone(), 3)).await.expect_err("held");
        let NotTaken::Held { context, holder } = &refused else { panic!("{refused}") };
        assert_eq!((context.as_str(), holder.who.user.as_str(), holder.run.as_str()), ("east", "B", "b"));
        let name = format!("tidepilot-{BASIC}");
        let lease = |context: &str| world.sim().store(context).expect("there").get("leases", "prod", &name);
        assert_eq!(lease("west"), None, "nothing was taken before all were seen to be free");
        theirs.release().await;
        let (_, ours) = take(&links, &wanted("a", both, 3)).await.expect("free now");
        let fences: Vec<(&str, u64)> = ours.fences().map(|(place, fence)| (place.context.as_str(), fence)).collect();
        assert_eq!(fences, [("west", 1), ("east", 2)]);
        let writes = world.writes(0);
        let last: Vec<&String> = writes.iter().rev().take(2).collect();
        assert!(last[1].starts_with("POST") && last[0].starts_with("PUT"), "in the order of the uids: {last:?}");
        ours.release().await;
        for context in ["west", "east"] {
            assert_eq!(lease(context).expect("stays")["spec"]["holderIdentity"], Value::Null);
        }
    });
}

fn head(run: &str) -> Head {
    Head {
        run: run.into(),
        runbook: "x".into(),
        target: "legacy/pingcap/basic".into(),
        database: BASIC.into(),
        user: "ann".into(),
        host: "box".into(),
        opened: "2026-01-01T00:00:00Z".into(),
        open: true,
        context: "legacy".into(),
        namespace: "pingcap".into(),
        opener: String::new(),
        written: None,
        object: format!("tidepilot-run-{run}-0"),
    }
}

#[test]
fn the_record_in_the_cluster_is_bounded_and_has_one_writer() {
    let world = World::start();
    world.runtime.block_on(async {
        let links = world.links();
        let (permit, lease) =
            take(&links, &wanted("r-1", vec![place("legacy", "pingcap", "u")], 30)).await.expect("free");
        let mut ours = OpenRun::open(&links, permit.clone(), head("r-1")).await.expect("opened");
        let mut all = String::new();
        for (size, letter) in [(10, "a"), (90_000, "b"), (20_000, "c"), (300_000, "d"), (5, "e")] {
            let line = letter.repeat(size) + "\n";
            ours.add(&line);
            ours.flush().await.expect("stored");
            all.push_str(&line);
        }
        let found = find(&links, None).await;
        assert_eq!(found.heads.iter().map(|head| head.run.as_str()).collect::<Vec<_>>(), ["r-1"]);
        assert_eq!(read(&links, &found.heads[0]).await.expect("read"), all);
        let store = world.sim().store("legacy").expect("there");
        let sizes: BTreeMap<String, usize> = store
            .list("configmaps", Some("pingcap"))
            .iter()
            .filter(|map| map["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "tidepilot")
            .map(|map| (map["metadata"]["name"].as_str().unwrap_or("").to_owned(), map.to_string().len()))
            .collect();
        assert_eq!(sizes.len(), 4, "{sizes:?}");
        assert!(sizes.values().all(|size| *size < 512 * 1024), "{sizes:?}");
        ours.add(&("f".repeat(400_000) + "\n"));
        assert!(matches!(ours.flush().await, Err(NotShared::Failed(why)) if why.contains("too long")));

        // Somebody else goes on: what we still wanted to write is refused, not merged.
        let mut ours = OpenRun::open(&links, permit.clone(), head("r-1")).await.expect("opened");
        let mut theirs = OpenRun::open(&links, permit, head("r-1")).await.expect("opened");
        theirs.seal().await.expect("sealed");
        ours.add("late\n");
        assert!(matches!(ours.flush().await, Err(NotShared::Taken(_))));
        theirs.add("on\n");
        theirs.close();
        theirs.flush().await.expect("stored");
        assert_eq!(theirs.text(), all + "on\n");
        assert!(find(&links, None).await.heads.is_empty());
        assert!(find(&links, Some("r-1")).await.heads.iter().all(|head| !head.open));
        lease.release().await;
    });
}

#[test]
fn an_intent_that_cannot_be_stored_in_the_cluster_is_not_sent() {
    let world = World::start();
    world.runtime.block_on(async {
        let driver = Driver::new(world.links(), world.state("ann").join("runs"));
        let inputs = [("tidbCluster", "legacy/pingcap/basic"), ("clusterDomain", "cluster1.com")];
        let inputs = inputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let plan = driver.plan("migrate-cluster-domain", &inputs, false).await.expect("a plan");
        let (news, mut heard) = tokio::sync::mpsc::channel(64);
        let (reply, replies) = tokio::sync::mpsc::channel(4);
        let (_stop, stop) = tokio::sync::watch::channel(false);
        let running = tokio::spawn(async move { driver.start(plan, RunChannels { news, replies, stop }).await });
        let mut taken_away = false;
        while let Some(message) = heard.recv().await {
            let RunMessage::Gate(gate) = message else { continue };
            let store = world.sim().store("legacy").expect("there");
            for map in store.list("configmaps", Some("pingcap")) {
                let name = map["metadata"]["name"].as_str().unwrap_or_default();
                if name.starts_with("tidepilot-run-") {
                    store.remove("configmaps", "pingcap", name);
                    taken_away = true;
                }
            }
            let _ = reply.send(Reply { gate: gate.id, said: GateAnswer::Text(gate.text.unwrap_or_default()) }).await;
        }
        let end = running.await.expect("ended");
        assert!(taken_away && end.code == Exit::AnotherRun, "{end:?}");
        assert_eq!(patches(&world), 0);
    });
}
