//! The second person: `approvers: 2`, the real binary as two users of one simulated fleet, on real wires.
//!
//! A fork of the shipped runbook asks for a second person before the step that has no way back. Not here: which
//! approval counts (a table in `runbook::approval`), the lease (`tests/two_people.rs`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

mod common;
use common::{Ran, finish};

const LONG: Duration = Duration::from_secs(60);

struct World {
    sim: Option<Sim>,
    runtime: Runtime,
    dir: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let text = include_str!("../assets/scenarios/default.yaml").replace(
            "    operator: v1.6.6\n",
            "    operator: v1.6.6\n    users: [{ name: ann, access: admin }, { name: bob, access: admin }, { name: eve, access: readOnly }]\n",
        );
        let scenario = Scenario::parse("approvals", &text).expect("a good scenario");
        let options = SimOptions { speed: 500.0, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start_scenario(scenario, options)).expect("the simulated fleet starts");
        let dir = tempfile::tempdir().expect("temporary directory");
        for user in ["ann", "bob", "eve"] {
            let config = sim.kubeconfig_as(Some(user)).to_string();
            std::fs::write(dir.path().join(format!("{user}.yaml")), config).expect("written");
        }
        let runbooks = dir.path().join("tidepilot/runbooks");
        std::fs::create_dir_all(&runbooks).expect("a folder");
        let shipped = include_str!("../runbooks/migrate-cluster-domain.yaml");
        let forked = shipped.replacen("confirm: typed", "confirm: typed\n        approvers: 2", 1);
        assert_ne!(forked, shipped);
        std::fs::write(runbooks.join("migrate-cluster-domain.yaml"), forked).expect("written");
        Self { sim: Some(sim), runtime, dir }
    }

    fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    fn state(&self, person: &str) -> PathBuf {
        self.dir.path().join(person)
    }

    /// The binary as one person, with their own kubeconfig and state folder.
    fn command(&self, person: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidepilot"));
        command
            .args(arguments)
            .env("KUBECONFIG", self.dir.path().join(format!("{person}.yaml")))
            .env("TIDEPILOT_STATE", self.state(person))
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.dir.path())
            // Whoever the machine says we are must not matter.
            .env("USER", "carol")
            .env("LOGNAME", "carol")
            .env_remove("TIDEPILOT_READ_ONLY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, person: &str, arguments: &[&str]) -> Ran {
        finish(self.command(person, arguments).spawn().expect("the binary starts"), LONG)
    }

    /// Patches of the TidbCluster that were stored.
    fn patches(&self) -> usize {
        common::real_patches(&self.sim().log().lines())
    }

    fn approvals(&self) -> Vec<Value> {
        let all = self.sim().store("legacy").expect("there").list("configmaps", Some("pingcap"));
        all.into_iter().filter(|object| !object["metadata"]["labels"]["tidepilot/approval"].is_null()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(sim) = self.sim.take() {
            self.runtime.block_on(sim.shutdown());
        }
    }
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

/// The only journal of a person.
fn run_of(state: &Path) -> String {
    let names = std::fs::read_dir(state.join("runs")).expect("a folder").flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".jsonl"));
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].trim_end_matches(".jsonl").to_owned()
}

#[test]
fn an_irreversible_step_waits_for_another_user_of_the_cluster() {
    let world = World::start();

    // Where nobody else could see it, nothing begins.
    let local: Vec<&str> = RUN.into_iter().chain(["--local-only"]).collect();
    let ran = world.run("ann", &local).expect(4);
    assert!(ran.all().contains("second-person") && ran.all().contains("--local-only nobody else"), "{}", ran.all());
    assert_eq!(world.patches(), 0);

    // Ann's own word is not enough: her run stops at the second gate, having sent nothing.
    let ran = world.run("ann", &RUN).expect(3);
    assert!(ran.all().contains("then a second person approves"), "the plan says so\n{}", ran.all());
    let run = run_of(&world.state("ann"));
    let ask = format!("tidepilot runs approve {run} --confirm legacy/pingcap/basic");
    assert!(ran.all().contains(&ask) && ran.all().contains("confirmed by ann"), "{}", ran.all());
    assert_eq!(world.patches(), 0);

    // It does not count twice, whatever the machine calls her, and leaves nothing behind.
    let approve = ["runs", "approve", &run, "--confirm", "basic"];
    let ran = world.run("ann", &approve).expect(4);
    assert!(ran.stderr.contains("is ann, who confirmed set-domain already"), "{}", ran.all());
    // Neither does one that she leaves by hand in her own name.
    let forged = |user: &str, name: &str, run: &str, plan: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": {"name": name, "namespace": "pingcap",
                "labels": {"app.kubernetes.io/managed-by": "tidepilot", "tidepilot/approval": run}},
            "data": {"run": run, "gate": "domain/set-domain", "attempt": "1", "plan": plan, "user": user,
                "host": "", "at": "2026-11-27T10:00:00Z", "identity": "review"}})
    };
    let shown = world.run("bob", &["runs", "approve", &run]).expect(3);
    assert!(shown.stderr.contains("it needs --confirm basic"), "{}", shown.all());
    assert!(shown.stdout.contains("spec.clusterDomain: (not set) → \"cluster1.com\""), "{}", shown.stdout);
    assert!(shown.stdout.contains("NO WAY BACK") && shown.stdout.contains("You are bob"), "{}", shown.stdout);
    let digest = shown.stdout.split("plan sha256:").nth(1).expect("the digest").lines().next().expect("a line");
    let store = world.sim().store("legacy").expect("there");
    store.put("configmaps", forged("ann", "by-ann", &run, digest));
    store.put("configmaps", forged("bob", "other-plan", &run, "another plan"));
    let resume = ["runs", "resume", &run, "--yes", "--confirm", "basic"];
    let ran = world.run("ann", &resume).expect(3);
    assert!(ran.stderr.contains("does not count twice"), "{}", ran.all());
    assert_eq!(world.patches(), 0);
    store.remove("configmaps", "pingcap", "by-ann");
    let ran = world.run("ann", &resume).expect(3);
    assert!(ran.stderr.contains("another plan"), "{}", ran.all());
    store.remove("configmaps", "pingcap", "other-plan");

    // A wrong text approves nothing; nor does somebody who may not write.
    world.run("bob", &["runs", "approve", &run, "--confirm", "other"]).expect(3);
    let ran = world.run("eve", &approve).expect(4);
    assert!(ran.stderr.contains("forbids it"), "{}", ran.all());
    let ran = world.run("bob", &["--read-only", "runs", "approve", &run, "--confirm", "basic"]).expect(4);
    assert!(ran.stderr.contains("read-only"), "{}", ran.all());
    assert_eq!(world.approvals(), Vec::<Value>::new());

    // Bob does while Ann's process waits under its lease: his word needs no lease, and she goes on by herself.
    let waiting: Vec<&str> = resume.into_iter().chain(["--await-approval", "50"]).collect();
    let ann = world.command("ann", &waiting).spawn().expect("the binary starts");
    let held = || {
        let leases = store.list("leases", Some("pingcap"));
        leases.iter().any(|lease| lease["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()))
    };
    common::eventually("Ann drives", LONG, || held().then_some(()));
    let ran = world.run("bob", &approve).expect(0);
    assert!(ran.stdout.contains("approved set-domain for attempt 1 as bob"), "{}", ran.all());
    let again = world.run("bob", &approve);
    assert!(again.code == 0 || again.stderr.contains("waits for no approval"), "{}", again.all());
    finish(ann, LONG).expect(0);
    assert_eq!(world.patches(), 1);

    // The journal, its copy in the cluster and the report tell who.
    let journal = std::fs::read_to_string(world.state("ann").join("runs").join(format!("{run}.jsonl"))).expect("read");
    let approved: Vec<Value> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|record| record["record"] == "approved")
        .collect();
    assert_eq!(approved.len(), 1, "{journal}");
    assert_eq!((&approved[0]["by"], &approved[0]["vouched"]), (&json!("bob"), &json!("review")));
    let copies = store.list("configmaps", Some("pingcap"));
    assert!(
        copies.iter().any(|copy| copy["data"]["journal.jsonl"].as_str().is_some_and(|l| l.contains("\"approved\"")))
    );
    let report = world.run("ann", &["runs", "report", &run]).expect(0);
    assert!(report.stdout.contains("approved by bob"), "{}", report.stdout);
    world.run("ann", &["runs", "verify", &run]).expect(0);
    assert!(!journal.contains("carol"), "the login name of the machine is nobody");

    // What is over needs no approval.
    let ran = world.run("bob", &approve).expect(4);
    assert!(ran.stderr.contains("is over (done)"), "{}", ran.all());
}

#[test]
fn with_the_admission_policy_the_server_vouches_for_the_second_person() {
    let world = World::start();
    world.sim().faults("legacy").expect("there").set_own_name_only(true);
    world.run("ann", &RUN).expect(3);
    let run = run_of(&world.state("ann"));
    world.run("bob", &["runs", "approve", &run, "--confirm", "basic"]).expect(0);
    assert_eq!(world.approvals().len(), 1);
    // Bob may as well take over: two people have agreed, and he is the second of them.
    let ran = world.run("bob", &["runs", "take-over", &run, "--yes", "--confirm", "basic"]).expect(0);
    assert!(ran.stdout.contains("approved by bob (the API server vouches for the name)"), "{}", ran.all());
    assert_eq!(world.patches(), 1);
    assert_eq!(world.approvals().len(), 1, "the rehearsals in made-up names stored nothing");
}
