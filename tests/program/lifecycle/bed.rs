//! A simulated fleet in this process and the real binary beside it.
//!
//! Nothing here knows a runbook. Neighbours: `common` (rooms, children, request logs).
#![allow(dead_code, reason = "shared by two test binaries, one of which uses less of it")]

use std::time::{Duration, Instant};

use serde_json::Value;
use tidepilot::sim::object_store::Store;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};

use crate::common::{self, Ran, Room, finish};

/// Simulated seconds in a real one.
const SPEED: f64 = 400.0;

pub struct Bed {
    pub sim: Sim,
    pub room: Room,
}

impl Bed {
    /// An embedded scenario, after some words of it were replaced.
    pub async fn of(scenario: &str, changes: &[(&str, &str)]) -> Self {
        Self::at_speed(scenario, changes, SPEED).await
    }

    /// The same with so many simulated seconds in a real one, where the product's own patience is what is tested.
    pub async fn at_speed(scenario: &str, changes: &[(&str, &str)], speed: f64) -> Self {
        let path = format!("{}/assets/scenarios/{scenario}.yaml", env!("CARGO_MANIFEST_DIR"));
        let mut text = std::fs::read_to_string(path).expect("an embedded scenario");
        for (from, to) in changes {
            assert!(text.contains(from), "the scenario no longer holds {from:?}");
            text = text.replace(from, to);
        }
        let scenario = Scenario::parse(scenario, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let options = SimOptions { speed, ..SimOptions::default() };
        let sim = Sim::start_scenario(scenario, options).await.expect("it starts");
        let bed = Self { sim, room: Room::new() };
        bed.sim.write_kubeconfig(&bed.room.path("fleet.yaml")).expect("a writable room");
        bed
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(self.room.path("fleet.yaml"));
        command
    }

    /// Runs the binary to its end.
    pub async fn tool(&self, arguments: &[&str]) -> Ran {
        let child = self.command(arguments).spawn().expect("the binary starts");
        tokio::task::spawn_blocking(move || finish(child, common::LONG)).await.expect("no panic")
    }

    /// The same in an environment that has these too.
    pub async fn tool_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let child = command.spawn().expect("the binary starts");
        tokio::task::spawn_blocking(move || finish(child, common::LONG)).await.expect("no panic")
    }

    /// `run RUNBOOK` with these inputs, everything confirmed that asks for one of these texts.
    pub async fn run(&self, runbook: &str, inputs: &[&str], confirm: &[&str]) -> Ran {
        let mut arguments = vec!["run", runbook, "--yes"];
        arguments.extend(inputs.iter().flat_map(|input| ["--set", input]));
        arguments.extend(confirm.iter().flat_map(|text| ["--confirm", text]));
        self.tool(&arguments).await
    }

    /// The same, killed with SIGKILL as soon as its journal has so many records. Gives the run's id, and whether it
    /// was still running.
    pub async fn killed(&self, runbook: &str, inputs: &[&str], confirm: &[&str], records: usize) -> (String, bool) {
        let mut arguments = vec!["run", runbook, "--yes"];
        arguments.extend(inputs.iter().flat_map(|input| ["--set", input]));
        arguments.extend(confirm.iter().flat_map(|text| ["--confirm", text]));
        let before = self.room.journals();
        let mut child = self.command(&arguments).spawn().expect("the binary starts");
        let began = Instant::now();
        loop {
            // Its own journal, not that of a run that is open beside it.
            let run = self.room.journals().into_iter().find(|run| !before.contains(run));
            let lines = run.as_ref().map_or(0, |run| {
                let file = self.room.runs().join(format!("{run}.jsonl"));
                std::fs::read(file).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
            });
            let over = child.try_wait().expect("our own child").is_some();
            if lines >= records || over {
                let _ = child.kill();
                let ran = tokio::task::spawn_blocking(move || finish(child, common::LONG)).await.expect("no panic");
                return (run.unwrap_or_else(|| panic!("it ended without a journal: {}", ran.all())), !over);
            }
            assert!(began.elapsed() < common::LONG, "record {records} was never written");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// `enable-across-k8s` on `basic` with no other KubeCluster connected: the others serve other DNS domains.
    pub async fn enable_alone(&self) -> Ran {
        let basic = ["--set", "tidbCluster=legacy/pingcap/basic", "--confirm", "basic", "--context", "legacy"];
        self.tool(&[&["run", "enable-across-k8s", "--yes"], basic.as_slice()].concat()).await
    }

    /// Runs the binary, and asks it to stop (SIGINT) when it has not ended by then.
    pub async fn interrupted(&self, arguments: &[&str], after: Duration) -> Ran {
        let mut child = self.command(arguments).spawn().expect("the binary starts");
        let began = Instant::now();
        while began.elapsed() < after && child.try_wait().expect("our own child").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(sent.is_ok(), "kill is there");
        tokio::task::spawn_blocking(move || finish(child, common::LONG)).await.expect("no panic")
    }

    pub fn store(&self, context: &str) -> &Store {
        self.sim.store(context).expect("a context")
    }

    pub fn object(&self, context: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.store(context).get(plural, namespace, name)
    }

    /// Changes an object behind everybody's back.
    pub fn edit(&self, context: &str, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.store(context).edit(plural, namespace, name, change).expect("it is there");
    }

    /// Makes pods crash at each start, and waits until the kubelet of each has counted one: before it has, nobody can
    /// tell a pod that is ill from one that is only late.
    pub async fn crash_loops(&self, context: &str, namespace: &str, pods: &[&str]) {
        for pod in pods {
            self.sim.break_pod(context, namespace, pod, true).expect("a context");
        }
        let ill = |pod: &str| {
            let pod = self.object(context, "pods", namespace, pod).unwrap_or_default();
            // Of several: TiDB's slow log is a container of its own, which does not crash.
            let crashed = |one: &Value| one["restartCount"].as_i64() > Some(0) && one["ready"] == false;
            pod["status"]["containerStatuses"].as_array().is_some_and(|all| all.iter().any(crashed))
        };
        let began = std::time::Instant::now();
        while !pods.iter().all(|pod| ill(pod)) {
            assert!(began.elapsed() < common::LONG, "{pods:?} do not crash again and again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn status(&self) -> Value {
        self.tool(&["status", "-o", "json"]).await.json()
    }

    /// What was sent from here on that changed, or could have changed, anything but leases and run records.
    pub fn writes_since(&self, line: usize) -> Vec<String> {
        let log = self.sim.log().lines();
        let ours = |line: &&Value| {
            let path = line["path"].as_str().unwrap_or_default();
            common::effect(line)
                && line["dryRun"] != true
                && !path.contains("/leases")
                && !path.contains("/configmaps")
                && !path.ends_with("/exec")
        };
        log[line..].iter().filter(ours).map(common::short).collect()
    }

    pub fn log_length(&self) -> usize {
        self.sim.log().lines().len()
    }

    pub async fn end(self) {
        self.sim.shutdown().await;
    }
}
