//! Several users of one simulated fleet, each with a kubeconfig and a state folder of their own, and the real binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidepilot::sim::object_store::Store;
use tidepilot::sim::scenario::Scenario;
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

use crate::common::{self, Ran, finish};

pub const LONG: Duration = Duration::from_secs(60);
/// A robot, not a person.
pub const ROBOT: &str = "system:serviceaccount:pingcap:deploy";
pub const TARGET: &str = "legacy/pingcap/basic";

pub struct World {
    pub(super) sim: Option<Sim>,
    pub(super) runtime: Runtime,
    pub(super) dir: tempfile::TempDir,
}

impl World {
    /// With a fork of the migration that asks for a second person before its step that has no rollback.
    pub fn start() -> Self {
        let shipped = include_str!("../../../runbooks/migrate-cluster-domain.yaml");
        Self::with(
            "migrate-cluster-domain",
            &shipped.replacen("confirm: typed", "confirm: typed\n        approvers: 2", 1),
        )
    }

    /// With this document in everybody's runbook folder.
    pub fn with(runbook: &str, document: &str) -> Self {
        assert!(document.contains("approvers: 2"), "the fork asks for a second person");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let users = format!(
            "    users: [{{ name: ann, access: admin }}, {{ name: bob, access: admin }}, {{ name: eve, access: readOnly }}, {{ name: {ROBOT:?}, access: admin }}]\n"
        );
        let text = include_str!("../../../assets/scenarios/default.yaml")
            .replace("    operator: v1.6.6\n", &format!("    operator: v1.6.6\n{users}"));
        let scenario = Scenario::parse("approvals", &text).expect("a good scenario");
        let options = SimOptions { speed: 500.0, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start_scenario(scenario, options)).expect("the simulated fleet starts");
        let dir = tempfile::tempdir().expect("temporary directory");
        for user in ["ann", "bob", "eve", ROBOT] {
            let config = sim.kubeconfig_as(Some(user)).to_string();
            std::fs::write(kubeconfig(dir.path(), user), config).expect("written");
        }
        // Ann, whose kubeconfig has her be somebody else.
        let mut as_bob = sim.kubeconfig_as(Some("ann"));
        for user in as_bob["users"].as_array_mut().expect("a list") {
            user["user"]["as"] = json!("bob");
        }
        std::fs::write(dir.path().join("ann-as-bob.yaml"), as_bob.to_string()).expect("written");
        let runbooks = dir.path().join("tidepilot/runbooks");
        std::fs::create_dir_all(&runbooks).expect("a folder");
        std::fs::write(runbooks.join(format!("{runbook}.yaml")), document).expect("written");
        Self { sim: Some(sim), runtime, dir }
    }

    pub fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    pub fn store(&self) -> Store {
        self.sim().store("legacy").expect("there").clone()
    }

    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    pub fn kubeconfig(&self, person: &str) -> PathBuf {
        kubeconfig(self.dir.path(), person)
    }

    pub fn state(&self, person: &str) -> PathBuf {
        self.dir.path().join(format!("state-{}", person.replace(':', "-")))
    }

    /// The binary as one person, with their own kubeconfig and state folder.
    pub fn command(&self, person: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidepilot"));
        command
            .args(arguments)
            .env("KUBECONFIG", kubeconfig(self.dir.path(), person))
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
    pub fn run(&self, person: &str, arguments: &[&str]) -> Ran {
        finish(self.command(person, arguments).spawn().expect("the binary starts"), LONG)
    }

    /// Begins Ann's migration, which stops where a second person is needed; the run's name.
    #[track_caller]
    pub fn begun(&self) -> String {
        self.run("ann", &RUN).expect(3);
        self.run_of("ann")
    }

    /// The only journal of a person.
    #[track_caller]
    pub fn run_of(&self, person: &str) -> String {
        let names = std::fs::read_dir(self.state(person).join("runs")).expect("a folder").flatten();
        let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name.ends_with(".jsonl"));
        assert_eq!(names.len(), 1, "{names:?}");
        names[0].trim_end_matches(".jsonl").to_owned()
    }

    /// Patches of the TidbCluster that were stored.
    pub fn patches(&self) -> usize {
        common::real_patches(&self.sim().log().lines())
    }

    pub fn approvals(&self) -> Vec<Value> {
        let all = self.store().list("configmaps", Some("pingcap"));
        all.into_iter().filter(|object| !object["metadata"]["labels"]["tidepilot/approval"].is_null()).collect()
    }

    /// Lines of a person's journal.
    pub fn journal(&self, person: &str, run: &str) -> Vec<Value> {
        let file = self.state(person).join("runs").join(format!("{run}.jsonl"));
        let text = std::fs::read_to_string(file).expect("read");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Rewrites the run's record in the cluster, as anyone with permission to write ConfigMaps there can; its hashes fit again.
    pub fn rewrite_record(&self, run: &str, edit: impl FnOnce(&mut Vec<Value>)) -> String {
        let store = self.store();
        let name = format!("tidepilot-run-{run}-0");
        let mut object = store.get("configmaps", "pingcap", &name).expect("the record");
        let text = object["data"]["journal.jsonl"].as_str().expect("lines").to_owned();
        let mut records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        edit(&mut records);
        object["data"]["journal.jsonl"] = json!(chained(&records));
        store.put("configmaps", object);
        text
    }

    pub fn put_record_back(&self, run: &str, text: &str) {
        let store = self.store();
        let name = format!("tidepilot-run-{run}-0");
        let mut object = store.get("configmaps", "pingcap", &name).expect("the record");
        object["data"]["journal.jsonl"] = json!(text);
        store.put("configmaps", object);
    }

    pub fn write_journal(&self, person: &str, run: &str, records: &[Value]) {
        let file = self.state(person).join("runs").join(format!("{run}.jsonl"));
        std::fs::write(file, chained(records)).expect("written");
    }

    /// What an approval of the question that is open would say, in the name of this user.
    pub fn forged(&self, run: &str, user: &str, name: &str) -> Value {
        let journal = self.journal("ann", run);
        let asked = journal.iter().rfind(|record| record["record"] == "awaits-approval").expect("a question");
        let shown = self.run("bob", &["runs", "approve", run]).stdout;
        let plan = shown.split("plan sha256:").nth(1).expect("the digest").lines().next().expect("a line");
        json!({"apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": {"name": name, "namespace": "pingcap",
                "labels": {"app.kubernetes.io/managed-by": "tidepilot", "tidepilot/approval": run}},
            "data": {"run": run, "gate": asked["gate"], "step": asked["step"], "attempt": asked["attempt"].to_string(),
                "question": asked["prev"], "plan": plan, "user": user, "host": "", "at": "2020-01-01T10:00:00Z",
                "identity": "review"}})
    }

    /// Applies `assets/rbac/approvals-policy.yaml`.
    pub fn apply_policy(&self) {
        for document in include_str!("../../../assets/rbac/approvals-policy.yaml").split("---\n") {
            let object: Value = serde_saphyr::from_str(document).expect("YAML");
            let plural = match object["kind"].as_str() {
                Some("ValidatingAdmissionPolicy") => "validatingadmissionpolicies",
                Some("ValidatingAdmissionPolicyBinding") => "validatingadmissionpolicybindings",
                other => panic!("{other:?}"),
            };
            self.store().put(plural, object);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(sim) = self.sim.take() {
            self.runtime.block_on(sim.shutdown());
        }
    }
}

/// A colon would end the name in `$KUBECONFIG`.
fn kubeconfig(dir: &Path, user: &str) -> PathBuf {
    dir.join(format!("{}.yaml", user.replace(':', "-")))
}

/// Lines whose hashes fit.
pub fn chained(records: &[Value]) -> String {
    let mut prev = String::new();
    let mut text = String::new();
    for (seq, record) in records.iter().enumerate() {
        let mut record = record.clone();
        record["seq"] = json!(seq);
        record["prev"] = json!(prev);
        let line = record.to_string();
        prev = Sha256::digest(line.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        text.push_str(&line);
        text.push('\n');
    }
    text
}

pub const RUN: [&str; 9] = [
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

/// How Ann goes on.
pub fn resume(run: &str) -> [&str; 6] {
    ["runs", "resume", run, "--yes", "--confirm", TARGET]
}
