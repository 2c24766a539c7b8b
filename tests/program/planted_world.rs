//! A simulated fleet in which somebody else may write, and the documents that such a one would plant.

use crate::common;
use crate::common::{LONG, Ran, finish};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

/// A simulated fleet, and people with a room each.
pub struct World {
    pub(super) sim: Option<Sim>,
    pub(super) runtime: Runtime,
    pub(super) dir: tempfile::TempDir,
}

impl World {
    pub(super) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let sim =
            runtime.block_on(Sim::start(SimOptions { speed: 200.0, ..SimOptions::default() })).expect("it starts");
        let dir = tempfile::tempdir().expect("temporary directory");
        sim.write_kubeconfig(&dir.path().join("kubeconfig")).expect("written");
        Self { sim: Some(sim), runtime, dir }
    }

    pub(super) fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    /// The binary as one person, with a state and a runbook folder of their own.
    #[track_caller]
    pub(super) fn run(&self, person: &str, arguments: &[&str]) -> Ran {
        let own = self.dir.path().join(person);
        let mut command = Command::new(common::BINARY);
        command
            .args(arguments)
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("TIDEPILOT_STATE", own.join("state"))
            .env("XDG_CONFIG_HOME", own.join("config"))
            .env("HOME", &own)
            .env("TIDEPILOT_LEASE_S", "3")
            .env_remove("TIDEPILOT_READ_ONLY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(command.spawn().expect("the binary starts"), LONG)
    }

    /// A runbook in the folder of a person.
    pub(super) fn give(&self, person: &str, file: &str, text: &str) {
        let folder = self.dir.path().join(person).join("config/tidepilot/runbooks");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(file), text).expect("written");
    }

    /// What was stored from here on, whatever it was: `METHOD path`.
    pub(super) fn stored_since(&self, line: usize) -> Vec<String> {
        let log = self.sim().log().lines();
        let stored = |line: &&Value| common::effect(line) && line["dryRun"] != true;
        log[line..].iter().filter(stored).map(common::short).collect()
    }

    /// Opens a run of this document as somebody who leaves it at its first gate, and then writes its record anew by hand, in
    /// the name of the administrator: what anybody can do who may write ConfigMaps there.
    pub(super) fn plant(&self, document: &str, arguments: &[&str]) -> String {
        self.give("eve", "restart-component.yaml", document);
        let left = self.run("eve", arguments);
        assert_eq!(left.code, 3, "{}", left.all());
        let store = self.sim().store("legacy").expect("a context");
        let open = |object: &Value| object["metadata"]["labels"]["tidepilot/state"] == "open";
        let head = store.list("configmaps", Some("pingcap")).into_iter().find(open).expect("a record");
        let name = head["metadata"]["name"].as_str().expect("a name").to_owned();
        let run = head["metadata"]["labels"]["tidepilot/run"].as_str().expect("a run").to_owned();
        store.remove("configmaps", "pingcap", &name);
        let planted = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": head["data"],
            "metadata": {
                "name": name, "namespace": "pingcap", "labels": head["metadata"]["labels"],
                "annotations": {
                    "tidepilot/user": "alice", "tidepilot/host": "vm", "tidepilot/opener": "alice",
                    "tidepilot/runbook": "restart-component", "tidepilot/target": "legacy/pingcap/basic",
                    "tidepilot/database": head["metadata"]["annotations"]["tidepilot/database"],
                    "tidepilot/opened": head["metadata"]["annotations"]["tidepilot/opened"],
                },
                "managedFields": [{"manager": "kubectl-create", "operation": "Update", "apiVersion": "v1",
                    "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}],
            },
        });
        store.put("configmaps", planted);
        // Nothing of hers is needed any more.
        std::fs::remove_dir_all(self.dir.path().join("eve/state")).expect("hers");
        run
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(sim) = self.sim.take() {
            self.runtime.block_on(sim.shutdown());
        }
    }
}

/// Called like a shipped runbook, with one step of another kind.
pub fn document(step: &str) -> String {
    format!(
        r#"
runbook: v1
id: restart-component
version: "1.0.0"
title: {{en: Restart one component of a TidbCluster}}
summary: {{en: x}}
inputs:
  - {{name: tidbCluster, type: tidb-cluster, prompt: {{en: x}}}}
  - {{name: component, type: text, default: tidb, prompt: {{en: x}}}}
facts: {{}}
preflight: []
phases:
  - id: restart
    title: {{en: Restart}}
    steps:
      - id: mark
        title: {{en: Note the restart on the TidbCluster}}
        why: {{en: Nothing is changed by it.}}
        confirm: once
        timeout: {{totalS: 60, stalledS: 60}}
{step}
"#
    )
}
