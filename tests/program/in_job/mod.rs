//! `run --in`: a Kubernetes Job drives the run. The real binary on both sides: a laptop that submits, and the pod of the
//! Job, which [`node`] starts from its template as a kubelet would, with the least rights that `rbac` prints.

mod node;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidepilot::sim::store::Store;
use tidepilot::sim::{Sim, SimOptions};
use tokio::runtime::Runtime;

use self::node::{MISSING_IMAGE, Node};
use crate::common::{self, LONG, Ran, Room, finish};

const RUN: [&str; 6] =
    ["run", "migrate-cluster-domain", "--set", "tidbCluster=legacy/pingcap/basic", "--set", "clusterDomain=cluster1.com"];
const ANSWERED: [&str; 3] = ["--yes", "--confirm", "basic"];
const IN: [&str; 2] = ["--in", "east/ops"];
const ACCOUNT: &str = "ops/tidepilot";

struct World {
    node: Option<Node>,
    sim: Option<Sim>,
    runtime: Runtime,
    room: Room,
}

impl World {
    /// A fleet with a node in `east/ops`, and the Secret that the printed steps make.
    fn start() -> Self {
        let mut world = Self::bare(50.0);
        world.grant();
        world.serve();
        world
    }

    fn bare(speed: f64) -> Self {
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

    fn serve(&mut self) {
        let (store, folder) = (self.store("east").clone(), self.room.path("pods"));
        std::fs::create_dir_all(&folder).expect("our own");
        self.node = Some(Node::start(&store, "ops", &folder, &[("TIDEPILOT_LEASE_S", "4")]));
    }

    /// Applies what `rbac` prints, asks for tokens, and lays the kubeconfig into the Secret.
    fn grant(&self) {
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

    fn secret(&self, name: &str, kubeconfig: &str) {
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

    fn sim(&self) -> &Sim {
        self.sim.as_ref().expect("it runs until the end")
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("it was started")
    }

    fn store(&self, context: &str) -> &Store {
        self.sim().store(context).expect("a context")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.room.command(arguments);
        command.arg("--kubeconfig").arg(self.room.path("kubeconfig")).env("TIDEPILOT_LEASE_S", "4");
        command
    }

    fn laptop(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("the binary starts"), LONG)
    }

    fn spawned(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the binary starts")
    }

    /// The records of the only run in the cluster.
    fn records(&self) -> String {
        let maps = self.store("legacy").list("configmaps", Some("pingcap"));
        let own = maps.iter().filter(|map| map["metadata"]["labels"]["tidepilot/state"].is_string());
        own.filter_map(|map| map["data"]["journal.jsonl"].as_str()).collect()
    }

    fn run_id(&self) -> String {
        let maps = self.store("legacy").list("configmaps", Some("pingcap"));
        let own = maps.iter().find_map(|map| map["metadata"]["labels"]["tidepilot/run"].as_str());
        own.expect("a record").to_owned()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < LONG, "it never came to: {what}\n{}\n{}", self.records(), self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What every pod printed.
    fn logs(&self) -> String {
        let folders = std::fs::read_dir(self.room.path("pods")).into_iter().flatten().flatten();
        folders.map(|folder| std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()).collect()
    }

    /// Every write to the Database was sent once.
    #[track_caller]
    fn sent_once(&self) {
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

fn with<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    parts.concat()
}

#[test]
fn a_job_drives_the_run_to_its_end_and_the_laptop_follows_it() {
    let world = World::start();
    let ran = world.laptop(&with(&[&RUN, &ANSWERED, &IN]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.all(), world.logs());
    assert!(ran.stderr.contains("was submitted to east/ops as Job tidepilot-"), "{}", ran.all());
    assert!(ran.stderr.contains("set-domain") && ran.stdout.contains("done: "), "{}", ran.all());
    world.sent_once();
    // Nobody but the Job's account has written to the Database, and the record says who drove it and where.
    assert!(world.records().contains("system:serviceaccount:ops:tidepilot on Job east/ops/tidepilot-"), "{}", world.records());
    assert_eq!(world.room.journals(), Vec::<String>::new(), "the laptop has no journal of it");
    let forbidden: Vec<String> =
        world.sim().log().lines().iter().filter(|line| line["status"] == 403).map(common::short).collect();
    assert_eq!(forbidden, Vec::<String>::new(), "the printed rights are enough");
    // The plan's ConfigMap goes with the Job.
    let jobs = world.node().jobs();
    let plan = world.store("east").list("configmaps", Some("ops"));
    assert_eq!(jobs.len(), 1);
    assert!(plan.iter().any(|map| map["metadata"]["ownerReferences"][0]["uid"] == jobs[0]["metadata"]["uid"]), "{plan:#?}");
}
