//! `verify-network` with the real binary on one simulated fleet: the matrix, what is shut, what is left behind, kill -9.

use std::time::Duration;

use crate::common::{Ran, Room, eventually, finish};
use serde_json::{Value, json};
use tidepilot::sim::{Sim, SimOptions};

/// Two KubeClusters with nothing in them but a namespace each.
struct Bed {
    pub(super) sim: Sim,
    room: Room,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let options = SimOptions { scenario: "empty".into(), speed: 200.0, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start(options)).expect("the fleet starts");
        let room = Room::new();
        sim.write_kubeconfig(&room.path("fleet.yaml")).expect("written");
        for context in ["east", "west"] {
            let store = sim.store(context).expect("a context");
            store.put("namespaces", json!({"metadata": {"name": "prod"}}));
        }
        Self { sim, room, runtime }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(self.room.path("fleet.yaml"));
        command
    }

    #[track_caller]
    fn tidepilot(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("the binary starts"), Duration::from_secs(60))
    }

    #[track_caller]
    fn verify(&self, more: &[&str]) -> Ran {
        let mut arguments = verify(&["patience=0"]);
        more.iter().for_each(|set| arguments.extend(["--set", set]));
        self.tidepilot(&arguments)
    }

    /// Pods and Services of probes, in both KubeClusters.
    fn probes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for context in ["east", "west"] {
            for plural in ["pods", "services"] {
                let all = self.sim.store(context).expect("a context").list(plural, Some("prod"));
                found.extend(all.iter().map(|object| format!("{context} {plural} {}", object["metadata"]["name"])));
            }
        }
        found
    }

    /// Starts a run that keeps trying a closed port, kills it there, and gives its name.
    fn killed(&self) -> String {
        let mut child = self.command(&verify(&["patience=600"])).spawn().expect("the binary starts");
        let known = self.room.journals();
        let run = eventually("a journal", Duration::from_secs(30), || {
            self.room.journals().into_iter().find(|run| !known.contains(run))
        });
        eventually("both pods are seen to run", Duration::from_secs(30), || {
            let records = self.room.records(&run);
            records.iter().any(|r| r["record"] == "completed" && r["step"] == "ready[west]").then_some(())
        });
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        assert_eq!(self.probes().len(), 4, "killed in the middle: {:?}", self.probes());
        run
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // The fleet's tasks belong to this runtime: they end before it does.
        let _inside = self.runtime.enter();
    }
}

fn verify<'a>(sets: &[&'a str]) -> Vec<&'a str> {
    let mut all =
        vec!["run", "verify-network", "--yes", "--set", "first=east/prod/one", "--set", "second=west/prod/two"];
    sets.iter().for_each(|set| all.extend(["--set", set]));
    all
}

fn ways(records: &[Value]) -> Vec<Value> {
    let probe = records.iter().find(|r| r["record"] == "completed" && r["step"] == "probe").expect("it looked");
    probe["evidence"]["ways"].as_array().cloned().expect("ways")
}

#[test]
fn every_way_is_tried_and_nothing_stays_behind() {
    let bed = Bed::new();
    let good = bed.verify(&[]).expect(0);
    assert!(good.all().contains("2 ways, every name resolves and every port is open"), "{}", good.all());
    assert!(good.stdout.contains("FROM → TO") && good.stdout.contains("10080"), "{}", good.all());
    let seen = ways(&bed.room.records(&bed.room.journals()[0]));
    assert_eq!(seen[0]["host"], "two-tidepilot-probe.two-tidepilot-probe.prod.svc.west.local");
    assert_eq!(seen[0]["ports"].as_object().map(serde_json::Map::len), Some(18), "{seen:?}");
    assert_eq!(bed.probes(), Vec::<String>::new());

    // One direction of one port: the run cleans up all the same and says so with its exit code.
    bed.sim.close_port("west", 2380, true).expect("a context");
    let shut = bed.verify(&[]).expect(9);
    assert!(
        shut.all().contains("1 of 2 ways") && shut.all().contains("east/prod → west/prod: closed: 2380"),
        "{}",
        shut.all()
    );
    assert!(shut.stdout.contains("CLOSED"), "{}", shut.all());
    assert_eq!(bed.probes(), Vec::<String>::new());
    let report = bed.tidepilot(&["runs", "report", bed.room.journals().last().expect("two runs")]);
    assert!(report.stdout.contains("CLOSED"), "{}", report.all());

    // Killed while it looks: another run is kept out; going on removes what it made, and so does the rollback.
    let run = bed.killed();
    let second = bed.verify(&[]);
    assert!(second.code == 4 || second.code == 6, "{}", second.all());
    assert!(second.all().contains(&run), "whose the pods are is said: {}", second.all());
    bed.sim.close_port("west", 2380, false).expect("a context");
    bed.tidepilot(&["runs", "resume", &run, "--yes"]).expect(0);
    assert_eq!(bed.probes(), Vec::<String>::new());
    bed.sim.close_port("east", 20160, true).expect("a context");
    let run = bed.killed();
    let left = bed.tidepilot(&["diagnose", "-o", "json"]).json();
    let left = left["leftovers"].as_array().expect("a list").iter().filter(|one| one["kind"] == "probe-pod");
    let left: Vec<&Value> = left.collect();
    assert!(
        left.len() == 2 && left.iter().all(|one| one["remedy"].as_str().is_some_and(|text| text.contains(&run))),
        "{left:#?}"
    );
    bed.tidepilot(&["runs", "undo", &run, "--yes"]).expect(8);
    assert_eq!(bed.probes(), Vec::<String>::new());
}

#[test]
fn what_is_refused_and_what_is_not_touched() {
    let bed = Bed::new();
    let refused = |sets: &[&str], check: &str| {
        let mut arguments = vec!["run", "verify-network", "--yes"];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        let ran = bed.tidepilot(&arguments);
        assert!(ran.code == 4 && ran.all().contains(check), "{check}: {}", ran.all());
    };
    refused(&["first=east/prod/one", "second=west/nowhere/two"], "namespaces-there");
    refused(&["first=east/prod/one", "second=east/prod/two"], "different-clusters");
    // One that no run made is named and left alone.
    let store = bed.sim.store("west").expect("a context");
    store.put(
        "services",
        json!({"metadata": {"namespace": "prod", "name": "two-tidepilot-probe"}, "spec": {"clusterIP": "None"}}),
    );
    refused(&["first=east/prod/one", "second=west/prod/two"], "no-leftovers");
    assert_eq!(bed.probes().len(), 1);
}

#[test]
fn what_the_networks_have_to_do_is_unknown_until_a_run_has_tried_it() {
    let bed = Bed::new();
    let places = ["check", "network-prerequisites", "--with", "east/prod", "--with", "west/prod"];
    let state = |document: &Value, id: &str, from: &str| {
        let all = document["databases"][0]["prerequisites"].as_array().expect("a list").clone();
        let one = all.iter().find(|one| one["id"] == id && one["from"] == from).expect("it is asked").clone();
        one["state"].as_str().expect("a word").to_owned()
    };
    let json = |code: i32| {
        let ran = bed.tidepilot(&[places.as_slice(), &["-o", "json"]].concat());
        assert_eq!(ran.code, code, "{}", ran.all());
        ran.json()
    };
    let before = bed.tidepilot(&places).expect(3);
    let proof = "  do    tidepilot run verify-network --set first=east/prod/NAME --set second=west/prod/NAME";
    assert!(before.stdout.lines().any(|line| line == proof), "{}", before.stdout);
    let text = before.stdout.lines().filter(|line| !line.starts_with("  do    "));
    assert!(text.clone().all(|line| line.chars().count() <= 80), "{}", before.stdout);
    let document = json(3);
    assert_eq!(
        (&document["apiVersion"], state(&document, "ports", "east").as_str()),
        (&json!("tidepilot/v1"), "unknown")
    );
    assert_eq!(state(&document, "dns-domain", "east"), "holds");

    assert_eq!(state(&document, "dns-forward", "east"), "unknown");

    bed.verify(&[]).expect(0);
    // All of it is known now: names that pods resolved were sent on, whichever DNS did it.
    let document = json(0);
    assert_eq!(state(&document, "dns-forward", "east"), "holds", "{document:#}");
    let ways = [state(&document, "ports", "east"), state(&document, "ports", "west")];
    assert_eq!(ways, ["holds", "holds"], "{document:#}");
    assert_eq!(state(&document, "pod-ranges", "east"), "holds", "{document:#}");
    bed.sim.close_port("west", 2380, true).expect("a context");
    bed.verify(&[]).expect(9);
    let document = json(2);
    let ways = [state(&document, "ports", "east"), state(&document, "ports", "west")];
    assert_eq!(ways, ["broken", "holds"], "the newest run counts, each way for itself: {document:#}");
    let shown = bed.tidepilot(&places).expect(2);
    assert!(shown.stdout.contains("closed: 2380"), "{}", shown.stdout);

    for (bad, why) in [
        (["--with", "mars/prod"], "no context \"mars\"; there are: "),
        (["--with", "east"], "expected CONTEXT/NAMESPACE"),
        (["nosuch", "-ojson"], "no Database is called \"nosuch\""),
    ] {
        let ran = bed.tidepilot(&[["check", "network-prerequisites"].as_slice(), &bad].concat()).expect(64);
        assert!(ran.stderr.contains(why), "{bad:?}: {}", ran.stderr);
    }
}
