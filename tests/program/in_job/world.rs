//! A simulated fleet whose Jobs a node of the tests carries out, and a laptop that submits to it.

use self::node::Node;
use crate::common::{LONG, Ran, Room, finish};
use crate::in_job::*;
use serde_json::{Value, json};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tidepilot::sim::object_store::Store;
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

pub struct World {
    node: Option<Node>,
    pub(super) sim: Option<Sim>,
    pub(super) runtime: Runtime,
    pub(super) room: Room,
}

impl World {
    /// A fleet with a node in `east/ops`, and the Secret that the printed steps make.
    pub(super) fn start() -> Self {
        let mut world = Self::bare(50.0);
        world.grant();
        world.serve();
        world
    }

    pub(super) fn bare(speed: f64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
        let options = SimOptions { speed, ..SimOptions::default() };
        let sim = runtime.block_on(Sim::start(options)).expect("the simulated fleet starts");
        let room = Room::new();
        sim.write_kubeconfig(&room.path("kubeconfig")).expect("written");
        let world = Self { node: None, sim: Some(sim), runtime, room };
        for context in ["east", "legacy"] {
            world.store(context).put("namespaces", json!({"metadata": {"name": "ops"}}));
        }
        world
    }

    pub(super) fn serve(&mut self) {
        let (store, folder) = (self.store("east").clone(), self.room.path("pods"));
        std::fs::create_dir_all(&folder).expect("our own");
        self.node = Some(Node::start(&store, "ops", &folder, &[("TIDEPILOT_LEASE_S", "4")]));
    }

    /// Applies what `rbac` prints, asks for tokens, and lays the kubeconfig into the Secret.
    pub(super) fn grant(&self) {
        let rbac = ["rbac", RUN[1], RUN[2], RUN[3], RUN[4], RUN[5], "--service-account", ACCOUNT];
        let printed = self.laptop(&rbac).expect(0).stdout;
        self.apply(&printed);
        let file = self.room.path("access.yaml");
        let out = ["--kubeconfig-out", file.to_str().expect("a path")];
        let told = self.laptop(&[rbac.as_slice(), &out].concat()).expect(0).stdout;
        assert!(told.contains("legacy: a token of ops/tidepilot until "), "{told}");
        let text = std::fs::read_to_string(&file).expect("written");
        self.secret("tidepilot-access", &text);
    }

    pub(super) fn secret(&self, name: &str, kubeconfig: &str) {
        let data = k8s_openapi::ByteString(kubeconfig.as_bytes().to_vec());
        self.store("east").put(
            "secrets",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "ops"}, "data": {"kubeconfig": data}}),
        );
    }

    /// Puts each printed document into its KubeCluster.
    fn apply(&self, printed: &str) {
        for section in printed.split("# KubeCluster ").skip(1) {
            let (context, documents) = section.split_once('\n').expect("a line with the context");
            for document in documents.split("---\n").filter(|document| !document.trim().is_empty()) {
                let object: Value = serde_saphyr::from_str(document).expect("YAML");
                let plural = format!("{}s", object["kind"].as_str().expect("a kind").to_lowercase());
                self.store(context.trim()).put(&plural, object);
            }
        }
    }

    pub(super) fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().expect("it was started")
    }

    pub(super) fn store(&self, context: &str) -> &Store {
        self.sim().store(context).expect("a context")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(self.room.path("kubeconfig")).env("TIDEPILOT_LEASE_S", "4");
        command
    }

    pub(super) fn laptop(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("the binary starts"), LONG)
    }

    pub(super) fn spawned(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the binary starts")
    }

    /// The records of the only run in the cluster.
    pub(super) fn records(&self) -> String {
        let maps = self.store("legacy").list("configmaps", Some("pingcap"));
        let own = maps.iter().filter(|map| map["metadata"]["labels"]["tidepilot/state"].is_string());
        own.filter_map(|map| map["data"]["journal.jsonl"].as_str()).collect()
    }

    pub(super) fn run_id(&self) -> String {
        let maps = self.store("legacy").list("configmaps", Some("pingcap"));
        let own = maps.iter().find_map(|map| map["metadata"]["labels"]["tidepilot/run"].as_str());
        own.expect("a record").to_owned()
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < LONG, "it never came to: {what}\n{}\n{}", self.records(), self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What every pod printed.
    pub(super) fn logs(&self) -> String {
        let folders = std::fs::read_dir(self.room.path("pods")).into_iter().flatten().flatten();
        folders.map(|folder| std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()).collect()
    }

    /// Every write to the Database was sent once.
    #[track_caller]
    pub(super) fn sent_once(&self) {
        let log = self.sim().log().lines();
        let sent = |method: &str, path: &str, status: u64| {
            let is = |line: &&Value| {
                line["method"] == method
                    && line["path"].as_str().is_some_and(|found| found.starts_with(path))
                    && line["status"] == status
                    && line["dryRun"] != true
            };
            log.iter().filter(is).count()
        };
        // A resumed run may move the version of the TidbCluster by an annotation of its own.
        let domain = log.iter().filter(|line| line["method"] == "PATCH" && line["dryRun"] != true).count();
        assert!(domain >= 1, "{log:#?}");
        assert_eq!(sent("PUT", "/v2/members/", 204), 3, "{log:#?}");
        let spec = &self.store("legacy").get("tidbclusters", "pingcap", "basic").expect("there")["spec"];
        assert_eq!(spec["clusterDomain"], "cluster1.com");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.node.take();
        if let Some(sim) = self.sim.take() {
            self.runtime.block_on(sim.shutdown());
        }
    }
}
