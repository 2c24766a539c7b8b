//! A simulated fleet, the real binary, and `sh` for what it prints.
//!
//! A fleet may stand still from the beginning: without a StorageClass on TiKV's claims the operator restarts none of its
//! pods, and tells nobody but its log. Nothing here knows a reason for a stop.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidepilot::runbook::language::document::SHIPPED;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

use crate::common::{BINARY, LONG, Ran, Room, finish};

const BASIC: &str = "tidbCluster=legacy/pingcap/basic";
/// The claims that have no StorageClass while the fleet stands.
const STANDING: [&str; 3] = ["tikv-basic-tikv-0", "tikv-basic-tikv-1", "tikv-basic-tikv-2"];
/// Simulated seconds in a real one.
const SPEED: f64 = 400.0;
const RUNBOOK: &str = "migrate-cluster-domain";

pub struct Fleet {
    pub sim: Sim,
    pub room: Room,
}

/// A child that was begun.
pub struct Begun(Option<Child>);

impl Begun {
    pub fn take(&mut self) -> Child {
        self.0.take().expect("taken once")
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// SIGTERM.
pub fn terminate(begun: &Begun) {
    let id = begun.0.as_ref().expect("it runs").id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
    assert!(sent.success());
}

pub async fn ended(child: Child) -> Ran {
    tokio::task::spawn_blocking(move || finish(child, LONG)).await.expect("no panic")
}

/// The command lines below "what helps:".
pub fn ways(ran: &Ran) -> Vec<String> {
    let lines = ran.stderr.lines().skip_while(|line| !line.ends_with("what helps:")).skip(1);
    let all: Vec<String> = lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("      #"))
        .map(|line| line.trim().to_owned())
        .collect();
    assert!(!all.is_empty(), "nothing helps:\n{}", ran.all());
    all
}

impl Fleet {
    /// The default fleet, with the runbook's text changed in these places (a fork in the user's folder).
    pub async fn of(changes: &[(&str, &str)]) -> Self {
        let scenario = Scenario::named("default").expect("an embedded scenario");
        let sim = Sim::start_scenario(scenario, SimOptions { speed: SPEED, ..SimOptions::default() }).await;
        let fleet = Self { sim: sim.expect("it starts"), room: Room::new() };
        fleet.sim.write_kubeconfig(&fleet.room.path("fleet.yaml")).expect("a writable room");
        let folder = fleet.room.path("config").join("tidepilot").join("runbooks");
        std::fs::create_dir_all(&folder).expect("a writable room");
        let (_, text) = SHIPPED.iter().find(|(id, _)| *id == RUNBOOK).expect("ships");
        let mut text = (*text).to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "the runbook no longer holds {from:?}");
            text = text.replace(from, to);
        }
        if !changes.is_empty() {
            std::fs::write(folder.join("fork.yaml"), text).expect("a writable room");
        }
        // What is printed calls the program by its name.
        let bin = fleet.room.path("bin");
        std::fs::create_dir_all(&bin).expect("a writable room");
        std::os::unix::fs::symlink(BINARY, bin.join("tidepilot")).expect("a link");
        fleet
    }

    /// The same, where TiKV is never restarted.
    pub async fn standing(changes: &[(&str, &str)]) -> Self {
        let fleet = Self::of(changes).await;
        fleet.classes(&Value::Null);
        fleet
    }

    pub fn heal(&self) {
        self.classes(&json!("standard"));
    }

    fn classes(&self, class: &Value) {
        let store = self.sim.store("legacy").expect("a context");
        for claim in STANDING {
            let edit = |object: &mut Value| object["spec"]["storageClassName"] = class.clone();
            store.edit("persistentvolumeclaims", "pingcap", claim, edit).expect("the claim is there");
        }
    }

    pub fn edit_basic(&self, change: impl FnOnce(&mut Value)) {
        self.sim.store("legacy").expect("a context").edit("tidbclusters", "pingcap", "basic", change).expect("there");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(self.room.path("fleet.yaml")).env("TIDEPILOT_STILL_S", "1");
        command
    }

    pub async fn tool(&self, arguments: &[&str]) -> Ran {
        ended(self.command(arguments).spawn().expect("the binary starts")).await
    }

    pub async fn run(&self, more: &[&str]) -> Ran {
        let run = ["run", RUNBOOK, "--set", BASIC, "--set", "clusterDomain=cluster1.com"];
        self.tool(&[&run, more].concat()).await
    }

    /// A run with every gate answered, left to itself.
    pub fn begin(&self) -> Begun {
        let run =
            ["run", RUNBOOK, "--set", BASIC, "--set", "clusterDomain=cluster1.com", "--yes", "--confirm", "basic"];
        Begun(Some(self.command(&run).spawn().expect("the binary starts")))
    }

    pub fn only_run(&self) -> String {
        let all = self.room.journals();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    /// Waits until this step is completed. Gives the run.
    pub async fn after(&self, step: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(run) = self.room.journals().pop() {
                let done = |record: &Value| record["record"] == "completed" && record["step"] == step;
                if self.room.records(&run).iter().any(done) {
                    return run;
                }
            }
            assert!(began.elapsed() < LONG, "{step} was never completed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Gives a printed line to a shell.
    pub async fn sh(&self, line: &str) -> Ran {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.args(["-c", line]).envs(self.room.environment()).env("KUBECONFIG", self.room.path("fleet.yaml"));
        command.env("PATH", format!("{}:{path}", self.room.path("bin").display())).env("TIDEPILOT_STILL_S", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ended(command.spawn().expect("a shell")).await
    }

    /// Follows the printed `runs resume`, and at a gate the line that answers it, until it is over or stops otherwise.
    pub async fn go_on(&self, ran: Ran) -> Ran {
        let mut ran = ran;
        for _ in 0..8 {
            let resume = |way: &String| {
                way.starts_with("tidepilot runs resume") && !way.contains("--skip") && !way.contains("--by-hand")
            };
            let Some(line) = ways(&ran).into_iter().find(resume) else { panic!("no way on:\n{}", ran.all()) };
            ran = self.sh(&line).await;
            if ran.code != 3 {
                return ran;
            }
        }
        ran
    }

    /// Follows the printed `runs abandon`: the run is closed.
    pub async fn ends(&self, run: &str, ran: &Ran) {
        let abandon = ways(ran).into_iter().find(|way| way.starts_with("tidepilot runs abandon")).expect("a way out");
        self.sh(&abandon).await.expect(0);
        let last = self.room.records(run).pop().expect("records");
        assert_eq!((&last["record"], &last["outcome"]), (&json!("closed"), &json!("abandoned")), "{last}");
    }

    pub async fn end(self) {
        self.sim.shutdown().await;
    }
}
